/* SPDX-License-Identifier: Apache-2.0 */
/* NodeHeartbeat: what the controller hears and says. */
#include "handle/cluster_view.h"
#include "handle/membership_fixture.h"

#include <cmocka.h>

static struct node_heartbeat_request *begin(struct broker_fixture *f, struct exchange *exchange)
{
    struct node_heartbeat_request *body = exchange_begin_as_node(f, exchange, API_NODE_HEARTBEAT);
    body->node_id = 2;
    body->node_epoch = 5;
    body->software_version = slice_of("1.0");
    return body;
}

/* The controller's opinion, its position and its clock are the answer. */
static void the_controllers_opinion_is_the_answer(void **state)
{
    struct broker_fixture *f = *state;
    struct membership_fixture membership;
    struct exchange exchange;
    membership_fixture_init(&membership, f);
    membership.answer = (struct membership_answer){
        .fenced = true, .should_shutdown = true, .term = 3, .clock_ms = 1234, .proved_ms_ago = 56};
    struct node_heartbeat_request *body = begin(f, &exchange);
    body->wants_shutdown = true;
    body->echoed_term = 2;
    body->echoed_clock_ms = 1200;
    const struct node_heartbeat_response *answer = exchange_run(f, &exchange);
    assert_kafka_error(answer->error_code, ERROR_NONE);
    assert_true(answer->fenced);
    assert_true(answer->should_shutdown);
    assert_int_equal(answer->leader_id, 1);
    assert_int_equal(answer->applied_index, catalog_applied_index(f->broker.catalog));
    assert_int_equal(answer->wall_clock_ms, executor_wall_clock_ms(f->broker.executor));
    assert_int_equal(answer->term, 3);
    assert_int_equal(answer->clock_ms, 1234);
    assert_int_equal(answer->proved_ms_ago, 56);
    assert_int_equal(membership.heard.echoed_term, 2);
    assert_int_equal(membership.heard.echoed_clock_ms, 1200);
    assert_null(answer->nodes);
    assert_int_equal(membership.heard.node_epoch, 5);
    assert_true(membership.heard.wants_shutdown);
    exchange_done(&exchange);
}

/* Refusals come with the leader's id; without a controller nobody is heard. */
static void refusals_name_the_leader(void **state)
{
    struct broker_fixture *f = *state;
    struct membership_fixture membership;
    struct exchange exchange;
    membership_fixture_init(&membership, f);
    membership.leader_id = 3;
    membership.answer.error = ERROR_STALE_BROKER_EPOCH;
    (void)begin(f, &exchange);
    const struct node_heartbeat_response *answer = exchange_run(f, &exchange);
    assert_kafka_error(answer->error_code, ERROR_STALE_BROKER_EPOCH);
    assert_int_equal(answer->leader_id, 3);
    exchange_done(&exchange);
    f->broker.membership = NULL;
    (void)begin(f, &exchange);
    answer = exchange_run(f, &exchange);
    assert_kafka_error(answer->error_code, ERROR_NOT_CONTROLLER);
    assert_int_equal(answer->proved_ms_ago, -1);
    assert_true(answer->fenced);
    assert_int_equal(answer->leader_id, -1);
    exchange_done(&exchange);
}

/* A node gives signs of life for itself only. */
static void a_beat_in_anothers_name_is_refused(void **state)
{
    struct broker_fixture *f = *state;
    struct membership_fixture membership;
    struct exchange exchange;
    membership_fixture_init(&membership, f);
    begin(f, &exchange)->node_id = 3;
    const struct node_heartbeat_response *answer = exchange_run(f, &exchange);
    assert_kafka_error(answer->error_code, ERROR_INVALID_REQUEST);
    assert_int_equal(membership.heard_count, 0);
    exchange_done(&exchange);
}

/* Asked for, what was heard of all nodes comes with it; of a node never heard of nothing. */
static void all_nodes_are_told_of_on_request(void **state)
{
    struct broker_fixture *f = *state;
    struct membership_fixture membership;
    struct exchange exchange;
    struct cluster_node_report report = {.version = "2.0",
                                         .disk_total_bytes = 9,
                                         .disk_free_bytes = 8,
                                         .applied_index = 7,
                                         .heard_ms = 6};
    fixture_add_node(f, 2);
    membership_fixture_init(&membership, f);
    assert_int_equal(
        cluster_view_new(f->broker.executor, f->broker.catalog, &f->broker.cluster_view),
        ERROR_NONE);
    cluster_view_report(f->broker.cluster_view, 2, &report);
    begin(f, &exchange)->wants_nodes = true;
    const struct node_heartbeat_response *answer = exchange_run(f, &exchange);
    assert_int_equal(answer->nodes_count, 1);
    assert_int_equal(answer->nodes[0].node_id, 2);
    assert_slice(answer->nodes[0].software_version, "2.0");
    assert_int_equal(answer->nodes[0].disk_total_bytes, 9);
    assert_int_equal(answer->nodes[0].disk_free_bytes, 8);
    assert_int_equal(answer->nodes[0].applied_index, 7);
    assert_int_equal(answer->nodes[0].heard_ms, 6);
    exchange_done(&exchange);
    cluster_view_free(f->broker.cluster_view);
    f->broker.cluster_view = NULL;
}

/* Each refused allocation closes the connection, or costs nothing. */
static void every_refused_allocation_is_survived(void **state)
{
    struct broker_fixture *f = *state;
    struct membership_fixture membership;
    struct cluster_node_report report = {.version = "2.0"};
    bool fired = true;
    membership_fixture_init(&membership, f);
    assert_int_equal(
        cluster_view_new(f->broker.executor, f->broker.catalog, &f->broker.cluster_view),
        ERROR_NONE);
    cluster_view_report(f->broker.cluster_view, 1, &report);
    for (long countdown = 0; fired; countdown++) {
        struct exchange exchange;
        begin(f, &exchange)->wants_nodes = true;
        fired = exchange_run_refusing(f, &exchange, countdown);
        const struct node_heartbeat_response *answer = exchange_answer(&exchange);
        assert_true(answer == NULL || answer->nodes_count == 1);
        exchange_done(&exchange);
    }
    cluster_view_free(f->broker.cluster_view);
    f->broker.cluster_view = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BROKER(the_controllers_opinion_is_the_answer),
        WITH_BROKER(refusals_name_the_leader),
        WITH_BROKER(a_beat_in_anothers_name_is_refused),
        WITH_BROKER(all_nodes_are_told_of_on_request),
        WITH_BROKER(every_refused_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
