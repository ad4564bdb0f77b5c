/* SPDX-License-Identifier: Apache-2.0 */
/* Propose: another node's command, as this node's log takes it. */
#include "base/memory.h"
#include "handle/membership_fixture.h"
#include "handle/memory_sweep.h"
#include "wire/api_propose.h"

#include <cmocka.h>
#include <string.h>

static struct slice encoded(struct arena *arena, const struct catalog_command *command)
{
    uint8_t *bytes;
    size_t size;
    assert_int_equal(catalog_command_encode(command, &bytes, &size), ERROR_NONE);
    struct slice copy = arena_copy(arena, slice_from(bytes, size));
    memory_free(bytes);
    return copy;
}

static const struct propose_response *propose(struct broker_fixture *f, struct exchange *exchange,
                                              const struct catalog_command *command)
{
    struct propose_request *body = exchange_begin_as_node(f, exchange, API_PROPOSE);
    body->node_id = 2;
    body->command = encoded(&exchange->arena, command);
    return exchange_run(f, exchange);
}

/* What the log says is the answer, with the index that says it was applied. */
static void an_applied_command_is_answered_with_its_index(void **state)
{
    struct broker_fixture *f = *state;
    struct membership_fixture membership;
    struct exchange exchange;
    membership_fixture_init(&membership, f);
    struct catalog_command command = {
        .kind = CATALOG_PRODUCER_IDS, .id = {{1}}, .node_id = 1, .wall_clock_ms = 5};
    const struct propose_response *answer = propose(f, &exchange, &command);
    assert_kafka_error(answer->error_code, ERROR_NONE);
    assert_int_equal(answer->index, f->index);
    assert_int_equal(answer->producer_id_first, 0);
    assert_int_equal(answer->node_id_taken, -1);
    assert_int_equal(answer->leader_id, 1);
    assert_int_equal(membership.proposed_kind, CATALOG_PRODUCER_IDS);
    exchange_done(&exchange);
    command = (struct catalog_command){.kind = CATALOG_NODE_ID_TAKE, .id = {{2}}};
    answer = propose(f, &exchange, &command);
    assert_int_equal(answer->node_id_taken, 2);
    exchange_done(&exchange);
    command = (struct catalog_command){
        .kind = CATALOG_NODE_FENCE, .id = {{3}}, .node_id = 77, .fenced = true};
    answer = propose(f, &exchange, &command);
    assert_kafka_error(answer->error_code, ERROR_BROKER_ID_NOT_REGISTERED);
    assert_true(answer->index > 0);
    exchange_done(&exchange);
}

/* A node that does not lead says who does; one that stops is as good as that. */
static void a_node_that_does_not_lead_says_so(void **state)
{
    struct broker_fixture *f = *state;
    struct membership_fixture membership;
    static const enum error errors[] = {ERROR_NOT_CONTROLLER, ERROR_CLOSING};
    membership_fixture_init(&membership, f);
    membership.leader_id = 3;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        struct exchange exchange;
        struct catalog_command command = {.kind = CATALOG_NODE_ID_TAKE};
        membership.propose_error = errors[i];
        const struct propose_response *answer = propose(f, &exchange, &command);
        assert_kafka_error(answer->error_code, ERROR_NOT_CONTROLLER);
        assert_int_equal(answer->leader_id, 3);
        assert_int_equal(answer->index, 0);
        exchange_done(&exchange);
    }
    f->broker.membership = NULL;
    struct exchange exchange;
    struct catalog_command command = {.kind = CATALOG_NODE_ID_TAKE};
    const struct propose_response *answer = propose(f, &exchange, &command);
    assert_kafka_error(answer->error_code, ERROR_NOT_CONTROLLER);
    assert_int_equal(answer->leader_id, -1);
    exchange_done(&exchange);
}

/* Bytes that are no command do not reach the log. */
static void garbage_is_not_proposed(void **state)
{
    struct broker_fixture *f = *state;
    struct membership_fixture membership;
    membership_fixture_init(&membership, f);
    struct exchange sound;
    struct propose_request *body = exchange_begin_as_node(f, &sound, API_PROPOSE);
    struct catalog_command command = {.kind = CATALOG_NODE_ID_TAKE};
    struct slice bytes = encoded(&sound.arena, &command);
    for (size_t size = 0; size < bytes.size; size++) {
        struct exchange exchange;
        struct propose_request *cut = exchange_begin_as_node(f, &exchange, API_PROPOSE);
        cut->command = slice_from(bytes.data, size);
        const struct propose_response *answer = exchange_run(f, &exchange);
        assert_int_not_equal(answer->error_code, 0);
        assert_int_equal(answer->index, 0);
        exchange_done(&exchange);
    }
    assert_int_equal(membership.proposed, 0);
    body->command = bytes;
    assert_int_equal(((const struct propose_response *)exchange_run(f, &sound))->error_code, 0);
    exchange_done(&sound);
}

/* Clients are turned away. */
static void clients_may_not_propose(void **state)
{
    struct broker_fixture *f = *state;
    struct membership_fixture membership;
    struct exchange exchange;
    membership_fixture_init(&membership, f);
    struct propose_request *body = exchange_begin(f, &exchange, API_PROPOSE, 0);
    struct catalog_command command = {.kind = CATALOG_NODE_ID_TAKE};
    body->command = encoded(&exchange.arena, &command);
    const struct propose_response *refusal = exchange_run(f, &exchange);
    assert_kafka_error(refusal->error_code, ERROR_CLUSTER_AUTHORIZATION_FAILED);
    assert_true(exchange.request.close_after);
    assert_int_equal(membership.proposed, 0);
    exchange_done(&exchange);
}

/* The same bytes again change nothing and answer the same. */
static void the_same_command_again_answers_the_same(void **state)
{
    struct broker_fixture *f = *state;
    struct membership_fixture membership;
    struct catalog_command command = {.kind = CATALOG_NODE_ID_TAKE, .id = {{7}}};
    membership_fixture_init(&membership, f);
    for (int i = 0; i < 3; i++) {
        struct exchange exchange;
        const struct propose_response *answer = propose(f, &exchange, &command);
        assert_int_equal(answer->node_id_taken, 2);
        exchange_done(&exchange);
    }
}

/* Each refused allocation closes the connection, so that the command comes again. */
static void every_refused_allocation_is_survived(void **state)
{
    struct broker_fixture *f = *state;
    struct membership_fixture membership;
    bool fired = true;
    membership_fixture_init(&membership, f);
    for (long countdown = 0; fired; countdown++) {
        struct exchange exchange;
        struct catalog_command command = {.kind = CATALOG_NODE_ID_TAKE, .id = {{7}}};
        struct propose_request *body = exchange_begin_as_node(f, &exchange, API_PROPOSE);
        body->command = encoded(&exchange.arena, &command);
        fired = exchange_run_refusing(f, &exchange, countdown);
        const struct propose_response *answer = exchange_answer(&exchange);
        assert_true(answer == NULL || answer->error_code != 0 || answer->node_id_taken == 2);
        exchange_done(&exchange);
    }
}

#define TEST(name) WITH_BROKER(name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_applied_command_is_answered_with_its_index),
        TEST(a_node_that_does_not_lead_says_so),
        TEST(garbage_is_not_proposed),
        TEST(clients_may_not_propose),
        TEST(the_same_command_again_answers_the_same),
        WITH_BROKER(every_refused_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
