/* SPDX-License-Identifier: Apache-2.0 */
/* When a node that beats holds its lease. */
#include "replicate/heartbeat_fixture.h"

#include <cmocka.h>

static void stand_still(struct fixture *f, int64_t ms)
{
    simulated_executor_clock(f->cluster.simulated)->now_ns += ms * 1000000;
}

/* A paused controller may have been replaced and not know yet: its own word gives no lease before a
 * majority has confirmed it. */
static void a_controller_that_stood_still_waits_for_the_proof(void **state)
{
    struct fixture *f = *state;
    struct cluster_node *node = &f->cluster.nodes[0];
    cluster_elect(&f->cluster, 0);
    heartbeat_start(f->heartbeat, EPOCH);
    cluster_run_for(&f->cluster, 3000);
    assert_int_equal(f->lease_count, 1);
    assert_true(f->lease);

    stand_still(f, 2 * SESSION_MS);
    node->answer.proved_ms_ago = 2 * SESSION_MS; /* From before. */
    cluster_run_for(&f->cluster, 1);
    assert_false(f->lease);
    assert_false(heartbeat_lease_held(f->heartbeat));
    uint32_t heard = node->heard_count;
    cluster_run_for(&f->cluster, INTERVAL_MS);
    assert_false(heartbeat_lease_held(f->heartbeat));
    assert_true(node->heard_count >= heard + 5); /* It asks itself all the time. */
    node->answer.proved_ms_ago = 100;
    cluster_run_for(&f->cluster, 100);
    assert_true(f->lease); /* Nobody has replaced it. */
    assert_int_equal(f->lease_count, 3);

    stand_still(f, 2 * SESSION_MS);
    cluster_elect(&f->cluster, 1);
    node->answer.proved_ms_ago = -1;
    cluster_run_for(&f->cluster, 20);
    assert_true(f->lease); /* The word of the new one counts at once. */
}

/* The word of a controller, this node's own or another, counts from when it certainly was one. */
static void the_lease_counts_from_the_proof(void **state)
{
    struct fixture *f = *state;
    for (int32_t leader_id = 0; leader_id < 2; leader_id++) {
        struct cluster_node *controller = &f->cluster.nodes[leader_id];
        controller->answer.proved_ms_ago = -1; /* Just elected. */
        cluster_elect(&f->cluster, leader_id);
        heartbeat_start(f->heartbeat, EPOCH);
        cluster_run_for(&f->cluster, 2 * SESSION_MS);
        assert_false(f->lease);
        controller->answer.proved_ms_ago = LEASE_MS; /* Too long ago. */
        cluster_run_for(&f->cluster, INTERVAL_MS);
        assert_false(f->lease);
        controller->answer.proved_ms_ago = 600;
        uint32_t heard = controller->heard_count;
        while (controller->heard_count == heard)
            cluster_run_for(&f->cluster, 1);
        int64_t sent_ms = now_ms(f) - 1;
        cluster_run_for(&f->cluster, 5);
        assert_true(f->lease);
        controller->answer.proved_ms_ago = -1; /* Then nobody follows it any more. */
        while (f->lease && now_ms(f) < sent_ms + 2 * SESSION_MS)
            cluster_run_for(&f->cluster, 1);
        assert_in_range(now_ms(f) - sent_ms, LEASE_MS - 600 - 1, LEASE_MS - 600 + 2);
    }
}

/* Each beat carries back the clock of the answer before, while this node follows who told it: under
 * another term that proves nothing. */
static void beats_carry_the_controllers_clock_back(void **state)
{
    struct fixture *f = *state;
    struct cluster_node *controller = &f->cluster.nodes[1];
    cluster_elect(&f->cluster, 1);
    controller->answer.term = f->cluster.term;
    controller->answer.clock_ms = 777;
    heartbeat_start(f->heartbeat, EPOCH);
    cluster_run_for(&f->cluster, 10);
    assert_int_equal(controller->heard_count, 1);
    assert_int_equal(controller->heard.echoed_term, -1);
    cluster_run_for(&f->cluster, INTERVAL_MS + 10);
    assert_int_equal(controller->heard.echoed_term, f->cluster.term);
    assert_int_equal(controller->heard.echoed_clock_ms, 777);

    cluster_elect(&f->cluster, 2); /* Whose answers name no clock yet. */
    cluster_run_for(&f->cluster, 10);
    assert_int_equal(f->cluster.nodes[2].heard.echoed_clock_ms, -1);
    f->cluster.nodes[2].answer.term = f->cluster.term;
    f->cluster.nodes[2].answer.clock_ms = 888;
    cluster_run_for(&f->cluster, INTERVAL_MS + 10);
    f->cluster.term++; /* It may have voted for another meanwhile. */
    cluster_run_for(&f->cluster, INTERVAL_MS + 10);
    assert_int_equal(f->cluster.nodes[2].heard.echoed_term, -1);
    assert_int_equal(f->cluster.nodes[2].heard.echoed_clock_ms, -1);
}

/* An old proof is made a new one by a beat that comes soon, not after an interval. */
static void an_old_proof_is_renewed_soon(void **state)
{
    struct fixture *f = *state;
    struct cluster_node *controller = &f->cluster.nodes[1];
    cluster_elect(&f->cluster, 1);
    controller->answer.proved_ms_ago = INTERVAL_MS / 2 + 1;
    heartbeat_start(f->heartbeat, EPOCH);
    cluster_run_for(&f->cluster, 10);
    assert_int_equal(controller->heard_count, 1);
    controller->answer.proved_ms_ago = 50;
    cluster_run_for(&f->cluster, 60);
    assert_int_equal(controller->heard_count, 2);
    cluster_run_for(&f->cluster, INTERVAL_MS - 20);
    assert_int_equal(controller->heard_count, 2);
    assert_int_equal(f->lease_count, 1);
}

/* Answered beats hold the lease without a gap; silence ends it, 0.8 sessions after sending. */
static void the_lease_ends_with_the_answers(void **state)
{
    struct fixture *f = *state;
    cluster_elect(&f->cluster, 1);
    assert_false(heartbeat_lease_held(f->heartbeat));
    heartbeat_start(f->heartbeat, EPOCH);
    cluster_run_for(&f->cluster, 10000);
    assert_int_equal(f->lease_count, 1);
    assert_true(f->lease);
    uint32_t heard = f->cluster.nodes[1].heard_count;
    while (f->cluster.nodes[1].heard_count == heard)
        cluster_run_for(&f->cluster, 1);
    int64_t sent_ms = now_ms(f) - 1;
    f->cluster.nodes[1].reach = CLUSTER_SILENT;
    cluster_run_for(&f->cluster, LEASE_MS - 3);
    assert_true(f->lease);
    while (f->lease)
        cluster_run_for(&f->cluster, 1);
    assert_in_range(now_ms(f) - sent_ms, LEASE_MS - 1, LEASE_MS + 2);
    assert_false(heartbeat_lease_held(f->heartbeat));
    f->cluster.nodes[1].reach = CLUSTER_REACHED;
    cluster_run_for(&f->cluster, SESSION_MS);
    assert_true(f->lease);
    assert_int_equal(f->lease_count, 3);
}

/* The lease counts from sending: an answer that took long is worth that much less. */
static void a_lost_answer_gives_no_lease(void **state)
{
    struct fixture *f = *state;
    cluster_elect(&f->cluster, 1);
    f->cluster.nodes[1].reach = CLUSTER_ANSWER_LOST;
    heartbeat_start(f->heartbeat, EPOCH);
    cluster_run_for(&f->cluster, 3000);
    assert_true(f->cluster.nodes[1].heard_count > 3);
    assert_int_equal(f->lease_count, 0);
    assert_false(heartbeat_lease_held(f->heartbeat));
}

/* A node that is heard while its log stands still may have lost what it led: its lease ends a
 * lease's length after the first thing it does not know at the latest, and comes back with the
 * log. */
static void a_log_that_stands_still_ends_the_lease(void **state)
{
    struct fixture *f = *state;
    struct cluster_node *node = &f->cluster.nodes[0];
    cluster_elect(&f->cluster, 1);
    heartbeat_start(f->heartbeat, EPOCH);
    cluster_run_for(&f->cluster, 3000);
    node->follows = false;
    cluster_run_for(&f->cluster, 5000);
    assert_true(f->lease); /* Nothing was decided meanwhile. */

    struct catalog_command command = {.kind = CATALOG_NODE_DRAIN, .node_id = 2, .draining = true};
    (void)cluster_apply_at(&f->cluster, &command, 1);
    int64_t decided_ms = now_ms(f);
    cluster_run_for(&f->cluster, LEASE_MS - INTERVAL_MS - 10);
    assert_true(f->lease);
    while (f->lease && now_ms(f) < decided_ms + 2 * SESSION_MS)
        cluster_run_for(&f->cluster, 1);
    assert_in_range(now_ms(f) - decided_ms, LEASE_MS - INTERVAL_MS - 10, LEASE_MS + 2);
    assert_false(heartbeat_lease_held(f->heartbeat));
    uint32_t heard = f->cluster.nodes[1].heard_count;
    cluster_run_for(&f->cluster, 5000);
    assert_false(f->lease);
    assert_true(f->cluster.nodes[1].heard_count > heard + 10); /* Heard all the time. */

    node->follows = true;
    command.draining = false;
    (void)cluster_apply_at(&f->cluster, &command, 1);
    cluster_run_for(&f->cluster, 200);
    assert_true(f->lease);
}

/* One that is always a little behind, with something decided all the time, keeps its lease. */
static void a_log_that_lags_keeps_the_lease(void **state)
{
    struct fixture *f = *state;
    struct cluster_node *node = &f->cluster.nodes[0];
    cluster_elect(&f->cluster, 1);
    heartbeat_start(f->heartbeat, EPOCH);
    cluster_run_for(&f->cluster, 3000);
    struct catalog_command command = {.kind = CATALOG_NODE_DRAIN, .node_id = 2};
    for (int i = 0; i < 400; i++) {
        node->follows = i % 20 == 0; /* 600 ms of 30 each behind, and then it has caught up. */
        command.draining = !command.draining;
        (void)cluster_apply_at(&f->cluster, &command, 1);
        node->follows = false;
        (void)cluster_apply_at(&f->cluster, &command, 1);
        cluster_run_for(&f->cluster, 30);
        assert_true(heartbeat_lease_held(f->heartbeat));
    }
    assert_int_equal(f->lease_count, 1);
}

/* A fenced node has no lease, and says once when that changes. */
static void a_fenced_node_has_no_lease(void **state)
{
    struct fixture *f = *state;
    struct cluster_node *controller = &f->cluster.nodes[1];
    cluster_elect(&f->cluster, 1);
    controller->answer.fenced = true;
    heartbeat_start(f->heartbeat, EPOCH);
    cluster_run_for(&f->cluster, 2000);
    assert_int_equal(f->fenced_count, 0);
    assert_true(heartbeat_fenced(f->heartbeat));
    assert_false(heartbeat_lease_held(f->heartbeat));
    assert_true(controller->heard_count > 30); /* It is waited for: sooner than every interval. */
    controller->answer.fenced = false;
    cluster_run_for(&f->cluster, 2000);
    assert_int_equal(f->fenced_count, 1);
    assert_false(f->fenced);
    assert_true(f->lease);
    controller->answer.fenced = true;
    cluster_run_for(&f->cluster, INTERVAL_MS + 5);
    assert_int_equal(f->fenced_count, 2);
    assert_false(f->lease);
}

#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(name, heartbeat_fixture_setup, heartbeat_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_controller_that_stood_still_waits_for_the_proof),
        TEST(the_lease_counts_from_the_proof),
        TEST(beats_carry_the_controllers_clock_back),
        TEST(an_old_proof_is_renewed_soon),
        TEST(the_lease_ends_with_the_answers),
        TEST(a_lost_answer_gives_no_lease),
        TEST(a_log_that_stands_still_ends_the_lease),
        TEST(a_log_that_lags_keeps_the_lease),
        TEST(a_fenced_node_has_no_lease),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
