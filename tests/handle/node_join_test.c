/* SPDX-License-Identifier: Apache-2.0 */
/* NodeJoin: what a node that wants in is told. */
#include "handle/membership_fixture.h"
#include "handle/peer_door.h"
#include "wire/api_node_join.h"

#include <cmocka.h>
#include <string.h>

static struct node_join_request *begin(struct broker_fixture *f, struct exchange *exchange)
{
    struct node_join_request *body = exchange_begin(f, exchange, API_NODE_JOIN, 0);
    exchange->request.requester.peer_node_id = PEER_GUEST;
    body->node_uuid = (struct uuid){{4, 2}};
    body->wanted_node_id = -1;
    body->host = slice_of("new");
    body->port = 9093;
    body->rack = slice_of("r1");
    return body;
}

/* A guest is taken in: its id, the cluster's, and where everybody is. */
static void a_guest_is_taken_in(void **state)
{
    struct broker_fixture *f = *state;
    struct membership_fixture membership;
    struct exchange exchange;
    fixture_add_node(f, 2);
    membership_fixture_init(&membership, f);
    membership.join_at_once = true;
    begin(f, &exchange)->wanted_node_id = 7;
    const struct node_join_response *answer = exchange_run(f, &exchange);
    struct uuid cluster_id = catalog_cluster_id(f->broker.catalog);
    assert_kafka_error(answer->error_code, ERROR_NONE);
    assert_true(slice_is_null(answer->error_message));
    assert_int_equal(answer->node_id, 7);
    assert_true(uuid_equals(&answer->cluster_id, &cluster_id));
    assert_int_equal(answer->leader_id, 1);
    assert_int_equal(answer->members_count, 2);
    assert_int_equal(answer->members[1].node_id, 2);
    assert_slice(answer->members[1].host, "node2");
    assert_int_equal(answer->members[1].port, 9092);
    assert_string_equal(membership.asked.host, "new");
    assert_int_equal(membership.asked.port, 9093);
    assert_string_equal(membership.asked.rack, "r1");
    assert_int_equal(membership.asked.wanted_node_id, 7);
    assert_int_equal(membership.asked.node_uuid.bytes[1], 2);
    exchange_done(&exchange);
}

/* Refusals say why; one without a reason says what the error means. */
static void a_refusal_says_why(void **state)
{
    struct broker_fixture *f = *state;
    struct membership_fixture membership;
    struct exchange exchange;
    membership_fixture_init(&membership, f);
    begin(f, &exchange)->rack = SLICE_NULL;
    exchange_start(f, &exchange);
    assert_string_equal(membership.asked.rack, "");
    membership_fixture_answer(&membership, ERROR_DUPLICATE_BROKER_REGISTRATION, "id 7 is taken",
                              -1);
    simulated_executor_run_until_idle(f->executor);
    const struct node_join_response *answer = exchange_answer(&exchange);
    assert_kafka_error(answer->error_code, ERROR_DUPLICATE_BROKER_REGISTRATION);
    assert_slice(answer->error_message, "id 7 is taken");
    assert_int_equal(answer->node_id, -1);
    exchange_done(&exchange);
    (void)begin(f, &exchange);
    exchange_start(f, &exchange);
    membership.leader_id = 3;
    membership_fixture_answer(&membership, ERROR_NOT_CONTROLLER, "", -1);
    simulated_executor_run_until_idle(f->executor);
    answer = exchange_answer(&exchange);
    assert_kafka_error(answer->error_code, ERROR_NOT_CONTROLLER);
    assert_slice(answer->error_message, error_text(ERROR_NOT_CONTROLLER));
    assert_int_equal(answer->leader_id, 3);
    assert_int_equal(answer->members_count, 1);
    exchange_done(&exchange);
}

/* Nothing that a registration cannot hold, or that is no address, reaches the controller. */
static void nonsense_is_refused(void **state)
{
    struct broker_fixture *f = *state;
    struct membership_fixture membership;
    static char long_name[300];
    memset(long_name, 'x', sizeof long_name);
    membership_fixture_init(&membership, f);
    for (int i = 0; i < 9; i++) {
        struct exchange exchange;
        struct node_join_request *body = begin(f, &exchange);
        body->node_uuid = i == 0 ? UUID_ZERO : body->node_uuid;
        body->wanted_node_id = i == 1 ? -2 : -1;
        body->host = i == 2   ? SLICE_EMPTY
                     : i == 3 ? slice_from(long_name, MEMBERSHIP_HOST_BYTES)
                     : i == 4 ? slice_from("a\0b", 3)
                              : body->host;
        body->port = i == 5 ? 0 : i == 6 ? 65536 : body->port;
        body->rack = i == 7   ? slice_from(long_name, MEMBERSHIP_RACK_BYTES)
                     : i == 8 ? slice_from("\0", 1)
                              : body->rack;
        const struct node_join_response *answer = exchange_run(f, &exchange);
        assert_kafka_error(answer->error_code, ERROR_INVALID_REQUEST);
        assert_true(answer->error_message.size > 0);
        assert_null(membership.join);
        exchange_done(&exchange);
    }
}

/* A node in no cluster takes nobody in, and clients are turned away. */
static void who_cannot_take_in_says_so(void **state)
{
    struct broker_fixture *f = *state;
    struct membership_fixture membership;
    struct exchange exchange;
    (void)begin(f, &exchange);
    const struct node_join_response *answer = exchange_run(f, &exchange);
    assert_kafka_error(answer->error_code, ERROR_NOT_CONTROLLER);
    assert_int_equal(answer->leader_id, -1);
    exchange_done(&exchange);
    membership_fixture_init(&membership, f);
    (void)begin(f, &exchange);
    exchange.request.requester.peer_node_id = PEER_CLIENT;
    const struct node_join_response *refusal = exchange_run(f, &exchange);
    assert_kafka_error(refusal->error_code, ERROR_CLUSTER_AUTHORIZATION_FAILED);
    assert_true(exchange.request.close_after);
    assert_null(membership.join);
    exchange_done(&exchange);
}

/* Each refused allocation closes the connection, or costs nothing. */
static void every_refused_allocation_is_survived(void **state)
{
    struct broker_fixture *f = *state;
    struct membership_fixture membership;
    bool fired = true;
    membership_fixture_init(&membership, f);
    membership.join_at_once = true;
    for (long countdown = 0; fired; countdown++) {
        struct exchange exchange;
        (void)begin(f, &exchange);
        fired = exchange_run_refusing(f, &exchange, countdown);
        const struct node_join_response *answer = exchange_answer(&exchange);
        assert_true(answer == NULL || (answer->node_id == 7 && answer->members_count == 1));
        exchange_done(&exchange);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BROKER(a_guest_is_taken_in),
        WITH_BROKER(a_refusal_says_why),
        WITH_BROKER(nonsense_is_refused),
        WITH_BROKER(who_cannot_take_in_says_so),
        WITH_BROKER(every_refused_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
