/* SPDX-License-Identifier: Apache-2.0 */
/* Who is fenced, who is not any more, and who may go. */
#include "base/memory.h"
#include "replicate/controller_fixture.h"

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static int setup(void **state)
{
    struct control *control = test_calloc(1, sizeof *control);
    control_setup(control, 3);
    *state = control;
    return 0;
}

static int teardown(void **state)
{
    control_teardown(*state);
    test_free(*state);
    return 0;
}

/* Nodes that beat serve on, for as long as they do. */
static void nodes_that_beat_are_not_fenced(void **state)
{
    struct control *control = *state;
    control_live(control, 20000);
    for (int32_t id = 0; id < 3; id++)
        assert_false(control_fenced(control, id));
    assert_int_equal(control_events(control, 0, "fenced"), 0);
}

/* A silent one is fenced once a session has passed, not sooner, and its leaders move. */
static void a_silent_node_is_fenced(void **state)
{
    struct control *control = *state;
    static const char *const replicas[] = {"1,2", "2,1", "1"};
    cluster_topic(&control->cluster, "orders", replicas, 3);
    control_live(control, 1000);
    struct node_heartbeat_request last = control_beat(control, 1);
    (void)control_send(control, 0, &last);
    control->silent[1] = true;
    control_live(control, SESSION_MS - 10);
    assert_false(control_fenced(control, 1));
    control_live(control, 20);
    assert_true(control_fenced(control, 1));
    struct catalog_partition partition;
    cluster_partition(&control->cluster, "orders", 0, &partition);
    assert_int_equal(partition.leader, 2);
    assert_int_equal(control_events(control, 0, "node 1 is fenced: 1 leaders moved, 1 partitions"),
                     1);
    assert_int_equal(control_events(control, 2, "node 1 is fenced"), 1);
    assert_true(control_reports("event=node_fenced") > 0);
    assert_false(control_fenced(control, 0));
    assert_false(control_fenced(control, 2));
}

static void drain(struct control *control, bool draining)
{
    struct catalog_command command = {
        .kind = CATALOG_NODE_DRAIN, .node_id = 2, .draining = draining};
    (void)cluster_apply(&control->cluster, &command);
}

/* One that is heard but does not follow the log is fenced a session after the first thing it does
 * not know, with a line that says why; it stays fenced until it knows of that, too. */
static void a_node_whose_log_stands_still_is_fenced(void **state)
{
    struct control *control = *state;
    struct cluster_node *node = &control->cluster.nodes[1];
    uint32_t lines = control_reports("event=node_stands_still");
    control_live(control, 1000);
    node->follows = false;
    control_live(control, 3 * SESSION_MS);
    assert_false(control_fenced(control, 1)); /* It knows everything. */
    drain(control, true);
    control_live(control, SESSION_MS - 100);
    assert_false(control_fenced(control, 1));
    control_live(control, 300);
    assert_true(control_fenced(control, 1));
    assert_int_equal(control_reports("event=node_stands_still"), lines + 1);
    assert_int_equal(control_events(control, 0, "node 1: heard, but its metadata log stands"), 1);
    control_live(control, 5 * SESSION_MS);
    assert_true(control_fenced(control, 1)); /* No coming and going. */
    assert_int_equal(control_events(control, 0, "node 1 serves"), 0);
    node->follows = true;
    drain(control, false);
    control_live(control, 300);
    assert_false(control_fenced(control, 1));
    control_live(control, 3 * SESSION_MS);
    assert_false(control_fenced(control, 1));
    assert_int_equal(control_reports("event=node_stands_still"), lines + 1);
}

/* One that is behind for many sessions but gets on is not: it has much to apply. */
static void a_node_that_is_busy_with_applying_is_not_fenced(void **state)
{
    struct control *control = *state;
    struct node_heartbeat_request beat = control_beat(control, 1);
    int64_t applied_index = beat.applied_index;
    control_live(control, 100);
    control->silent[1] = true;
    for (int i = 0; i < 100; i++)
        drain(control, i % 2 == 0);
    for (int i = 0; i < 90; i++) { /* 27 s. */
        beat.applied_index = applied_index + i / 4;
        beat.wall_clock_ms = executor_wall_clock_ms(control->cluster.executor);
        assert_int_equal(control_send(control, 0, &beat).error, ERROR_NONE);
        control_live(control, 300);
        assert_false(control_fenced(control, 1));
    }
}

/* A controller that stood still itself lets everybody have that time. */
static void a_paused_controller_forgives_a_log_that_stood_still(void **state)
{
    struct control *control = *state;
    control_live(control, 1000);
    control->cluster.nodes[1].follows = false;
    drain(control, true);
    control_live(control, 500);
    simulated_executor_clock(control->cluster.simulated)->now_ns += 3LL * SESSION_MS * 1000000;
    control_live(control, 300);
    assert_false(control_fenced(control, 1));
    control_live(control, SESSION_MS);
    assert_true(control_fenced(control, 1));
    control->cluster.nodes[1].follows = true;
}

/* Back, it serves again as soon as it has applied its registration, and not before. */
static void a_node_serves_once_it_has_caught_up(void **state)
{
    struct control *control = *state;
    control->epochs[1] = cluster_register(&control->cluster, 1, true);
    cluster_run_for(&control->cluster, 10);
    struct node_heartbeat_request beat = control_beat(control, 1);
    beat.applied_index = control->epochs[1] - 1;
    struct membership_answer answer = control_send(control, 0, &beat);
    assert_int_equal(answer.error, ERROR_NONE);
    assert_true(answer.fenced);
    cluster_run_for(&control->cluster, 100);
    assert_true(control_fenced(control, 1));
    beat.applied_index = control->epochs[1];
    (void)control_send(control, 0, &beat);
    cluster_run_for(&control->cluster, 100);
    assert_false(control_fenced(control, 1));
    assert_false(control_send(control, 0, &beat).fenced);
    assert_int_equal(control_events(control, 0, "node 1 serves"), 1);
}

/* Beats that are no sign of life of the registration in force, or not for this node to hear. */
static void wrong_beats_are_refused(void **state)
{
    struct control *control = *state;
    struct node_heartbeat_request beat = control_beat(control, 1);
    assert_int_equal(control_send(control, 1, &beat).error, ERROR_NOT_CONTROLLER);
    beat.node_epoch--;
    assert_int_equal(control_send(control, 0, &beat).error, ERROR_STALE_BROKER_EPOCH);
    beat.node_epoch += 2;
    assert_int_equal(control_send(control, 0, &beat).error, ERROR_STALE_BROKER_EPOCH);
    beat.node_id = 77;
    assert_int_equal(control_send(control, 0, &beat).error, ERROR_BROKER_ID_NOT_REGISTERED);
    control->cluster.barrier = false;
    beat = control_beat(control, 1);
    assert_int_equal(control_send(control, 0, &beat).error, ERROR_NOT_CONTROLLER);
}

/* A refused beat does not keep a node alive. */
static void a_stale_incarnation_does_not_keep_the_next_alive(void **state)
{
    struct control *control = *state;
    struct node_heartbeat_request old = control_beat(control, 1);
    (void)cluster_register(&control->cluster, 1, false);
    control->silent[1] = true;
    for (int i = 0; i < 25; i++) {
        assert_int_equal(control_send(control, 0, &old).error, ERROR_STALE_BROKER_EPOCH);
        control_live(control, 100);
    }
    assert_true(control_fenced(control, 1));
}

/* Nobody listens at its port: 300 ms, unless it is heard of. */
static void a_refused_connection_fences_soon(void **state)
{
    struct control *control = *state;
    control_live(control, 1000);
    controller_node_unreachable(control->controllers[0], 1);
    control_live(control, 1000);
    assert_false(control_fenced(control, 1));
    control->silent[1] = true;
    controller_node_unreachable(control->controllers[0], 1);
    controller_node_unreachable(control->controllers[0], 1);
    controller_node_unreachable(control->controllers[0], 77);
    controller_node_unreachable(control->controllers[2], 2);
    control_live(control, CONTROLLER_UNREACHABLE_MS - 10);
    assert_false(control_fenced(control, 1));
    control_live(control, 20);
    assert_true(control_fenced(control, 1));
    assert_false(control_fenced(control, 2));
}

/* A new controller has heard of nobody and gives each a whole session; less to the one it took over
 * from, which has been silent since before the election: what its lease may still last. */
static void a_new_controller_gives_everybody_time(void **state)
{
    struct control *control = *state;
    control_live(control, 5000);
    cluster_elect(&control->cluster, -1);
    cluster_run_for(&control->cluster, 5000);
    assert_false(control_fenced(control, 2));
    cluster_elect(&control->cluster, 1);
    control->silent[0] = true;
    control->silent[2] = true;
    int64_t lease_left_ms = SESSION_MS * 8 / 10 - ELECTION_MS * 8 / 10;
    control_live(control, lease_left_ms - 10);
    assert_false(control_fenced(control, 0));
    control_live(control, 20);
    assert_true(control_fenced(control, 0));
    control_live(control, SESSION_MS - lease_left_ms - 20);
    assert_false(control_fenced(control, 2));
    control_live(control, 40);
    assert_true(control_fenced(control, 2));
    assert_false(control_fenced(control, 1));
    assert_int_equal(control_events(control, 2, "node 1 is the controller"), 1);
}

/* A controller that was deposed fences nobody. */
static void a_deposed_controller_fences_nobody(void **state)
{
    struct control *control = *state;
    control_live(control, 1000);
    cluster_elect(&control->cluster, -1);
    uint32_t taken = control->cluster.proposals_taken;
    cluster_run_for(&control->cluster, 20000);
    assert_int_equal(control->cluster.proposals_taken, taken);
}

/* A controller that was stopped for a while does not take its own deafness for others' silence. */
static void a_paused_controller_forgives(void **state)
{
    struct control *control = *state;
    control_live(control, 1000);
    simulated_executor_clock(control->cluster.simulated)->now_ns += INT64_C(30000000000);
    cluster_run_for(&control->cluster, 100);
    control_live(control, 1000);
    for (int32_t id = 0; id < 3; id++)
        assert_false(control_fenced(control, id));
    control->silent[1] = true;
    control_live(control, SESSION_MS + 10);
    assert_true(control_fenced(control, 1));
}

/* A fence that the log refuses is proposed again. */
static void a_refused_fence_is_proposed_again(void **state)
{
    struct control *control = *state;
    control->silent[1] = true;
    control->cluster.proposal_error = ERROR_DISK_FULL;
    control_live(control, SESSION_MS + 1000);
    assert_false(control_fenced(control, 1));
    control->cluster.proposal_error = ERROR_NONE;
    control_live(control, 200);
    assert_true(control_fenced(control, 1));
}

/* A node that is to stop hands its leaders on, and goes when all who live know; it is then fenced,
 * and its last beats do not bring it back. */
static void a_shutdown_waits_until_the_others_know(void **state)
{
    struct control *control = *state;
    static const char *const replicas[] = {"1,2", "2,1", "1"};
    struct catalog_partition partition;
    cluster_topic(&control->cluster, "orders", replicas, 3);
    control_live(control, 500);
    struct node_heartbeat_request beat = control_beat(control, 1);
    beat.wants_shutdown = true;
    assert_false(control_send(control, 0, &beat).should_shutdown);
    cluster_run_for(&control->cluster, 10);
    assert_true(cluster_node_known(&control->cluster, 1)->shutting_down);
    cluster_partition(&control->cluster, "orders", 0, &partition);
    assert_int_equal(partition.leader, 2);
    struct node_heartbeat_request other = control_beat(control, 2);
    other.applied_index = 1;
    (void)control_send(control, 0, &other);
    assert_false(control_send(control, 0, &beat).should_shutdown);
    other = control_beat(control, 2);
    (void)control_send(control, 0, &other);
    assert_true(control_send(control, 0, &beat).should_shutdown);
    cluster_run_for(&control->cluster, 10);
    assert_true(control_fenced(control, 1));
    beat.wants_shutdown = false;
    beat.applied_index = catalog_applied_index(control->cluster.nodes[1].catalog);
    (void)control_send(control, 0, &beat);
    cluster_run_for(&control->cluster, 100);
    assert_true(control_fenced(control, 1));
    assert_int_equal(control_events(control, 0, "node 1 is about to stop: 1 leaders moved"), 1);
}

/* Neither a fenced node nor a new controller keeps it from going. */
static void a_shutdown_ends_under_the_next_controller(void **state)
{
    struct control *control = *state;
    control->silent[2] = true;
    control_live(control, SESSION_MS + 100);
    assert_true(control_fenced(control, 2));
    struct node_heartbeat_request beat = control_beat(control, 1);
    beat.wants_shutdown = true;
    (void)control_send(control, 0, &beat);
    cluster_run_for(&control->cluster, 10);
    cluster_elect(&control->cluster, 2);
    assert_false(control_send(control, 2, &beat).should_shutdown);
    struct node_heartbeat_request other = control_beat(control, 0);
    (void)control_send(control, 2, &other);
    assert_true(control_send(control, 2, &beat).should_shutdown);
}

/* The only node of a cluster may go at once. */
static void a_single_node_may_go(void **state)
{
    struct control *control = *state;
    control->silent[1] = true;
    control->silent[2] = true;
    control_live(control, SESSION_MS + 100);
    struct node_heartbeat_request beat = control_beat(control, 0);
    beat.wants_shutdown = true;
    (void)control_send(control, 0, &beat);
    cluster_run_for(&control->cluster, 10);
    assert_true(control_send(control, 0, &beat).should_shutdown);
}

/* Images that differ at the same index are an error, said once. */
static void a_diverged_image_is_said_once(void **state)
{
    struct control *control = *state;
    control_live(control, 500);
    struct node_heartbeat_request beat = control_beat(control, 1);
    beat.applied_index = 1; /* Not known any more, or never: nothing to compare with. */
    beat.image_hash ^= 1;
    (void)control_send(control, 0, &beat);
    beat.applied_index = INT64_MAX;
    (void)control_send(control, 0, &beat);
    beat.applied_index = -5;
    (void)control_send(control, 0, &beat);
    assert_int_equal(control_events(control, 0, "its metadata differs"), 0);
    struct catalog_command command = {.kind = CATALOG_NODE_DRAIN, .node_id = 2};
    (void)cluster_apply(&control->cluster, &command);
    beat = control_beat(control, 1);
    beat.image_hash ^= 1;
    for (int i = 0; i < 3; i++)
        (void)control_send(control, 0, &beat);
    assert_true(control_reports("event=metadata_diverged") > 0);
    assert_int_equal(control_events(control, 0, "node 1: its metadata differs"), 1);
}

/* A fence that is on its way may be committed after the node was heard again: that is answered as
 * fenced, so that no lease is given that the fence would meet. */
static void a_node_about_to_be_fenced_gets_no_lease(void **state)
{
    struct control *control = *state;
    control_live(control, 500);
    control->silent[1] = true;
    control->cluster.quorum_stuck = true;
    control_live(control, SESSION_MS + 200);
    assert_false(control_fenced(control, 1)); /* Proposed, and not committed. */
    struct node_heartbeat_request beat = control_beat(control, 1);
    assert_true(control_send(control, 0, &beat).fenced);
    beat = control_beat(control, 2);
    assert_false(control_send(control, 0, &beat).fenced);
    control->cluster.quorum_stuck = false;
    control_live(control, 100);
    assert_true(control_fenced(control, 1));
    control->silent[1] = false;
    control_live(control, 500);
    assert_false(control_fenced(control, 1));
    beat = control_beat(control, 1);
    assert_false(control_send(control, 0, &beat).fenced);
}

/* Clocks more than 10 s apart are said once, until they have met again. */
static void skewed_clocks_are_said_once(void **state)
{
    struct control *control = *state;
    uint32_t before = control_reports("event=clock_skew");
    struct node_heartbeat_request beat = control_beat(control, 1);
    beat.wall_clock_ms += CONTROLLER_CLOCKS_APART_MS;
    (void)control_send(control, 0, &beat);
    assert_int_equal(control_reports("event=clock_skew"), before);
    beat.wall_clock_ms -= 2 * CONTROLLER_CLOCKS_APART_MS + 1;
    (void)control_send(control, 0, &beat);
    (void)control_send(control, 0, &beat);
    assert_int_equal(control_reports("event=clock_skew"), before + 1);
}

/* What a beat says is there to be shown, with nothing in it that could harm a terminal. */
static void beats_are_shown(void **state)
{
    struct control *control = *state;
    struct cluster_node_view view;
    struct node_heartbeat_request beat = control_beat(control, 1);
    beat.software_version = slice_of("1.\x1b[2J");
    (void)control_send(control, 0, &beat);
    assert_true(cluster_view_node(control->views[0], 1, &view));
    assert_int_equal(view.state, CLUSTER_NODE_ALIVE);
    assert_int_equal(view.report.disk_total_bytes, 100);
    assert_int_equal(view.report.disk_free_bytes, 50);
    assert_int_equal(view.report.applied_index, beat.applied_index);
    assert_null(strchr(view.report.version, '\x1b'));
    beat.software_version =
        slice_of("a version of a length that no program has had so far, or will have");
    (void)control_send(control, 0, &beat);
}

static int64_t echo(struct control *control, int32_t id, int64_t term, int64_t clock_ms)
{
    struct node_heartbeat_request beat = control_beat(control, id);
    beat.echoed_term = term;
    beat.echoed_clock_ms = clock_ms;
    return control_send(control, 0, &beat).proved_ms_ago;
}

/* A majority of the voters, this node among them, has to have carried a clock back: the proof is as
 * old as the oldest of theirs. Others than voters, other terms and clocks to come prove nothing. */
static void a_controller_is_proved_by_a_majority(void **state)
{
    struct control *control = *state;
    struct cluster_fixture *cluster = &control->cluster;
    cluster->member_count = 5; /* Nodes 3 and 4 are voters that never come. */
    for (int32_t id = 3; id < 5; id++)
        cluster->members[id] = (struct quorum_member){.node_id = id, .role = QUORUM_VOTER};
    control_live(control, 300);
    int64_t term = cluster->term;
    struct node_heartbeat_request beat = control_beat(control, 1);
    struct membership_answer answer = control_send(control, 0, &beat);
    int64_t clock_ms = answer.clock_ms;
    assert_int_equal(answer.term, term);
    assert_int_equal(clock_ms, executor_monotonic_ms(cluster->executor));
    assert_int_equal(answer.proved_ms_ago, -1);
    cluster_run_for(cluster, 100);
    assert_int_equal(echo(control, 1, term, clock_ms), -1); /* Two of five. */
    assert_int_equal(echo(control, 2, term - 1, clock_ms), -1);
    assert_int_equal(echo(control, 2, term, clock_ms + 1000), -1);
    assert_int_equal(echo(control, 2, term, clock_ms + 30), 100);
    cluster_run_for(cluster, 50);
    assert_int_equal(echo(control, 1, term, clock_ms + 100), 120);
    assert_int_equal(echo(control, 1, term, clock_ms), 120); /* One that was late. */
    cluster->members[2].role = QUORUM_STANDBY;               /* Two of four. */
    assert_int_equal(echo(control, 1, term, clock_ms + 100), -1);
    cluster->member_count = 3; /* Two of two. */
    assert_int_equal(echo(control, 1, term, clock_ms + 100), 50);
    cluster->members[1].role = QUORUM_STANDBY; /* Alone. */
    assert_int_equal(echo(control, 2, -1, -1), 0);
    cluster->members[1].role = cluster->members[2].role = QUORUM_VOTER;
    cluster_elect(cluster, 1);
    cluster_run_for(cluster, 100);
    cluster_elect(cluster, 0); /* A new term: what was proved before is not. */
    cluster_run_for(cluster, 20);
    assert_int_equal(echo(control, 1, term, clock_ms + 100), -1);
}

struct registering {
    struct catalog_proposal proposal;
    int done;
};

static void registered(struct catalog_proposal *proposal)
{
    container_of(proposal, struct registering, proposal)->done++;
}

static enum error register_through(struct control *control, const struct catalog_node *node)
{
    struct membership *membership = controller_membership(control->controllers[0]);
    struct catalog_command command = {.kind = CATALOG_NODE_REGISTER, .node = *node};
    struct registering registering = {.proposal = {.done = registered}};
    command.id = uuid_random(control->cluster.executor);
    assert_int_equal(
        catalog_command_encode(&command, &registering.proposal.bytes, &registering.proposal.size),
        ERROR_NONE);
    membership->ops->propose(membership, &command, &registering.proposal);
    cluster_run_for(&control->cluster, 20);
    assert_int_equal(registering.done, 1);
    return registering.proposal.outcome.error;
}

/* Two nodes with one id: the second is refused while the first lives; the same node started again
 * is not. */
static void a_second_node_with_a_living_id_is_refused(void **state)
{
    struct control *control = *state;
    control_live(control, 500);
    struct catalog_node node = *cluster_node_known(&control->cluster, 1);
    node.incarnation_id = (struct uuid){{9}};
    assert_int_equal(register_through(control, &node), ERROR_NONE);
    control->epochs[1] = cluster_node_known(&control->cluster, 1)->epoch;
    control_live(control, 500);
    node.incarnation_id = (struct uuid){{10}};
    struct catalog_node elsewhere = node;
    elsewhere.port++;
    assert_int_equal(register_through(control, &elsewhere), ERROR_DUPLICATE_BROKER_REGISTRATION);
    struct catalog_node other_disk = node;
    other_disk.directory_id = (struct uuid){{8, 8}};
    assert_int_equal(register_through(control, &other_disk), ERROR_DUPLICATE_BROKER_REGISTRATION);
    struct catalog_node other_host = node;
    snprintf(other_host.host, sizeof other_host.host, "elsewhere");
    assert_int_equal(register_through(control, &other_host), ERROR_DUPLICATE_BROKER_REGISTRATION);
    assert_true(control_reports("event=registration_refused") > 0);
    control->silent[1] = true;
    control_live(control, SESSION_MS + 100);
    assert_int_equal(register_through(control, &elsewhere), ERROR_NONE);
}

/* With any allocation refused the silent are fenced all the same, and the living serve. */
static void every_refused_allocation_is_survived(void **state)
{
    struct control *control = *state;
    bool fired = true;
    control->silent[1] = true;
    for (long countdown = 0; fired && countdown < 500; countdown++) {
        control->epochs[1] = cluster_register(&control->cluster, 1, false);
        control->silent[1] = false;
        control_live(control, 300);
        control->silent[1] = true;
        memory_fault_arm(countdown);
        control_live(control, SESSION_MS + 500);
        fired = memory_fault_fired();
        memory_fault_arm(-1);
        assert_true(control_fenced(control, 1));
        assert_false(control_fenced(control, 2));
    }
    assert_false(fired);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nodes_that_beat_are_not_fenced),
        TEST(a_silent_node_is_fenced),
        TEST(a_node_whose_log_stands_still_is_fenced),
        TEST(a_node_that_is_busy_with_applying_is_not_fenced),
        TEST(a_paused_controller_forgives_a_log_that_stood_still),
        TEST(a_node_serves_once_it_has_caught_up),
        TEST(wrong_beats_are_refused),
        TEST(a_stale_incarnation_does_not_keep_the_next_alive),
        TEST(a_refused_connection_fences_soon),
        TEST(a_new_controller_gives_everybody_time),
        TEST(a_deposed_controller_fences_nobody),
        TEST(a_paused_controller_forgives),
        TEST(a_refused_fence_is_proposed_again),
        TEST(a_shutdown_waits_until_the_others_know),
        TEST(a_shutdown_ends_under_the_next_controller),
        TEST(a_single_node_may_go),
        TEST(a_diverged_image_is_said_once),
        TEST(skewed_clocks_are_said_once),
        TEST(a_node_about_to_be_fenced_gets_no_lease),
        TEST(beats_are_shown),
        TEST(a_controller_is_proved_by_a_majority),
        TEST(a_second_node_with_a_living_id_is_refused),
        TEST(every_refused_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
