/* SPDX-License-Identifier: Apache-2.0 */
/* What the controller does by itself as nodes come, go and come back. */
#include "base/memory.h"
#include "replicate/controller_fixture.h"
#include "replicate/core/balance.h"

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static int setup_of(void **state, uint32_t count)
{
    struct control *control = test_calloc(1, sizeof *control);
    control_setup(control, count);
    *state = control;
    return 0;
}

static int setup(void **state)
{
    return setup_of(state, 3);
}

static int setup_two(void **state)
{
    return setup_of(state, 2);
}

static int teardown(void **state)
{
    control_teardown(*state);
    test_free(*state);
    return 0;
}

static const char *cluster_default(struct control *control, const char *key)
{
    return config_set_get(catalog_node_config(control->cluster.nodes[0].catalog, -1), key);
}

/* Puts every replica of every reassigned partition into the ISR, as its leader would. */
static bool catch_up_topic(void *context, const struct catalog_topic *topic)
{
    struct control *control = context;
    struct catalog *catalog = control->cluster.nodes[0].catalog;
    struct catalog_partition now;
    for (int32_t i = 0; i < (int32_t)topic->partition_count; i++) {
        assert_true(catalog_partition_find(catalog, topic, i, &now));
        if (now.isr_count == now.replica_count || now.leader < 0)
            continue;
        struct catalog_command isr = {.kind = CATALOG_ISR_CHANGE,
                                      .topic_id = topic->id,
                                      .node_id = now.leader,
                                      .partition = now};
        isr.partition.isr_count = 0;
        for (uint32_t j = 0; j < now.replica_count; j++) {
            const struct catalog_node *node = catalog_node_find(catalog, now.replicas[j]);
            if (node == NULL || node->fenced)
                continue;
            isr.isr_epochs[isr.partition.isr_count] = node->epoch;
            isr.partition.isr[isr.partition.isr_count++] = node->id;
        }
        if (isr.partition.isr_count == now.isr_count)
            continue;
        (void)cluster_apply(&control->cluster, &isr);
        return false; /* The topic's pointer is not valid any more. */
    }
    return true;
}

static void catch_up(struct control *control)
{
    for (int i = 0; i < 50; i++)
        catalog_topic_each(control->cluster.nodes[0].catalog, catch_up_topic, control);
}

static void live_and_catch_up(struct control *control, int64_t ms)
{
    for (int64_t passed = 0; passed < ms; passed += 500) {
        control_live(control, 500);
        catch_up(control);
    }
}

static uint32_t replicas_of(struct control *control, int32_t id)
{
    struct balance_share share;
    balance_share(control->cluster.nodes[0].catalog, id, &share);
    return share.replicas;
}

/* Three nodes that serve: topics are replicated from now on. Not before, and proposed once. */
static void the_third_node_brings_replication(void **state)
{
    struct control *control = *state;
    control_live(control, 3000);
    assert_null(cluster_default(control, "default.replication.factor"));
    (void)cluster_register(&control->cluster, 5, false);
    control_live(control, 1500);
    assert_string_equal(cluster_default(control, "default.replication.factor"), "3");
    assert_string_equal(cluster_default(control, "min.insync.replicas"), "2");
    uint32_t taken = control->cluster.proposals_taken;
    control_live(control, 300);
    assert_int_equal(control->cluster.proposals_taken, taken);
}

/* An operator's own choice stays, in the file or altered, of either key. */
static void a_default_of_the_operator_stays(void **state)
{
    struct control *control = *state;
    control_set(control, "min.insync.replicas", "1");
    control_live(control, 3000);
    assert_null(cluster_default(control, "default.replication.factor"));
}

static void an_altered_default_stays(void **state)
{
    struct control *control = *state;
    struct catalog_pair pair = {.key = slice_of("default.replication.factor"),
                                .value = slice_of("1")};
    struct catalog_command command = {.kind = CATALOG_CONFIG_SET,
                                      .resource = CATALOG_RESOURCE_NODE,
                                      .resource_name = SLICE_EMPTY,
                                      .pairs = &pair,
                                      .pair_count = 1};
    assert_int_equal(cluster_apply(&control->cluster, &command).error, ERROR_NONE);
    control_live(control, 3000);
    assert_string_equal(cluster_default(control, "default.replication.factor"), "1");
    assert_null(cluster_default(control, "min.insync.replicas"));
}

/* A registered node becomes a member, follows, and votes when it serves; each step is told. */
static void members_follow_the_registered_nodes(void **state)
{
    struct control *control = *state;
    (void)cluster_register(&control->cluster, 4, true);
    control_live(control, 300);
    assert_string_equal(control->cluster.changes, "add 4;standby 4;");
    assert_int_equal(control_events(control, 0, "quorum: node 4 is standby"), 1);
    struct catalog_command fence = {.kind = CATALOG_NODE_FENCE, .node_id = 4, .fenced = true};
    (void)cluster_apply(&control->cluster, &fence);
    struct catalog_command leave = {.kind = CATALOG_NODE_UNREGISTER, .node_id = 4};
    assert_int_equal(cluster_apply(&control->cluster, &leave).error, ERROR_NONE);
    control_live(control, 300);
    assert_string_equal(control->cluster.changes, "add 4;standby 4;remove 4;");
}

/* A change that fails is tried again, not in a loop. */
static void a_failed_change_is_tried_again(void **state)
{
    struct control *control = *state;
    control->cluster.change_error = ERROR_NETWORK;
    (void)cluster_register(&control->cluster, 4, true);
    control_live(control, 2900);
    assert_string_equal(control->cluster.changes, "add 4 refused;add 4 refused;add 4 refused;");
    control->cluster.change_error = ERROR_NONE;
    control_live(control, 1500);
    assert_non_null(strstr(control->cluster.changes, "add 4;standby 4;"));
}

/* A voter away for longer than topicfs.voter.replace.ms gives its vote to a standby. */
static void a_silent_voter_is_replaced_in_time(void **state)
{
    struct control *control = *state;
    control_set(control, "topicfs.voter.replace.ms", "10000");
    (void)cluster_register(&control->cluster, 3, false);
    control_live(control, 300);
    control->silent[2] = true;
    struct node_heartbeat_request beat = {.node_id = 3, .node_epoch = 0};
    for (int i = 0; i < 150; i++) {
        beat = control_beat(control, 0);
        beat.node_id = 3;
        beat.node_epoch = cluster_node_known(&control->cluster, 3)->epoch;
        (void)control_send(control, 0, &beat);
        control_live(control, 100);
        if (i == 110)
            assert_string_equal(control->cluster.changes, "add 3;standby 3;");
    }
    assert_string_equal(control->cluster.changes, "add 3;standby 3;standby 2;voter 3;");
}

/* The consumer offsets follow the number of nodes. */
static void internal_topics_follow_the_nodes(void **state)
{
    struct control *control = *state;
    static const char *const replicas[] = {"0", "0", "0"};
    cluster_topic(&control->cluster, "__consumer_offsets", replicas, 3);
    live_and_catch_up(control, 4000);
    struct catalog_partition partition;
    for (int32_t i = 0; i < 3; i++) {
        cluster_partition(&control->cluster, "__consumer_offsets", i, &partition);
        assert_int_equal(partition.replica_count, 3);
        assert_int_equal(partition.isr_count, 3);
        assert_int_equal(partition.adding_count, 0);
    }
    assert_int_equal(control_events(control, 1, "reassignment started"), 3);
    assert_int_equal(control_events(control, 1, "reassignment ended"), 3);
}

/* A draining node is emptied, which is told once. */
static void a_drained_node_is_told_of(void **state)
{
    struct control *control = *state;
    static const char *const replicas[] = {"0,1", "1,2", "2,0"};
    cluster_topic(&control->cluster, "orders", replicas, 3);
    struct catalog_command drain = {.kind = CATALOG_NODE_DRAIN, .node_id = 2, .draining = true};
    (void)cluster_apply(&control->cluster, &drain);
    live_and_catch_up(control, 6000);
    assert_int_equal(replicas_of(control, 2), 0);
    assert_int_equal(control_events(control, 0, "node 2 is drained"), 1);
    assert_non_null(cluster_node_known(&control->cluster, 2));
    assert_false(control_fenced(control, 2));
}

/* No other node can take the replicas: that is told once, too. */
static void a_stuck_drain_is_told_of(void **state)
{
    struct control *control = *state;
    static const char *const replicas[] = {"0,1,2"};
    cluster_topic(&control->cluster, "orders", replicas, 1);
    struct catalog_command drain = {.kind = CATALOG_NODE_DRAIN, .node_id = 2, .draining = true};
    (void)cluster_apply(&control->cluster, &drain);
    live_and_catch_up(control, 6000);
    assert_int_equal(replicas_of(control, 2), 1);
    assert_int_equal(control_events(control, 0, "node 2 cannot be drained"), 1);
    assert_true(control_reports("event=drain_stuck") > 0);
}

/* A node that lost its disk joins as another at the same address: the old one's replicas go to it,
 * it takes the vote, and the old one is unregistered. */
static void a_replaced_node_disappears(void **state)
{
    struct control *control = *state;
    static const char *const replicas[] = {"0,1,2", "1,2,0", "2,0,1"};
    cluster_topic(&control->cluster, "orders", replicas, 3);
    control->silent[2] = true;
    control_live(control, SESSION_MS + 500);
    struct catalog_command drain = {.kind = CATALOG_NODE_DRAIN, .node_id = 2, .draining = true};
    (void)cluster_apply(&control->cluster, &drain);
    struct catalog_command command = {.kind = CATALOG_NODE_REGISTER,
                                      .node = {.id = 3, .port = 9092, .host = "node2"}};
    int64_t epoch = cluster_apply(&control->cluster, &command).index;
    for (int i = 0; i < 80; i++) {
        struct node_heartbeat_request beat = control_beat(control, 0);
        beat.node_id = 3;
        beat.node_epoch = epoch;
        (void)control_send(control, 0, &beat);
        live_and_catch_up(control, 100);
    }
    assert_null(cluster_node_known(&control->cluster, 2));
    assert_int_equal(replicas_of(control, 3), 3);
    assert_string_equal(control->cluster.changes, "remove 2;add 3;standby 3;voter 3;");
    assert_int_equal(control_events(control, 0, "node 2 is no longer registered"), 1);
}

/* A node that was away leads again what it is preferred for, when it has caught up with all. */
static void a_node_that_came_back_leads_again(void **state)
{
    struct control *control = *state;
    static const char *const replicas[] = {"1,2", "2,0", "0,1"};
    struct catalog_partition partition;
    cluster_topic(&control->cluster, "orders", replicas, 3);
    control_live(control, 10000);
    control->silent[1] = true;
    control_live(control, SESSION_MS + 500);
    cluster_partition(&control->cluster, "orders", 0, &partition);
    assert_int_equal(partition.leader, 2);
    control->silent[1] = false;
    control_live(control, 8000);
    cluster_partition(&control->cluster, "orders", 0, &partition);
    assert_int_equal(partition.leader, 2); /* It is not in sync. */
    catch_up(control);
    uint32_t moved = control_events(control, 2, "1 leaders moved, 0 partitions");
    control_live(control, 1500);
    cluster_partition(&control->cluster, "orders", 0, &partition);
    assert_int_equal(partition.leader, 1);
    assert_int_equal(control_events(control, 2, "1 leaders moved, 0 partitions"), moved + 1);
}

/* Switched off, leaders stay where they went. */
static void leaders_stay_when_told_so(void **state)
{
    struct control *control = *state;
    static const char *const replicas[] = {"1,2"};
    struct catalog_partition partition;
    control_set(control, "auto.leader.rebalance.enable", "false");
    cluster_topic(&control->cluster, "orders", replicas, 1);
    control->silent[1] = true;
    control_live(control, SESSION_MS + 500);
    control->silent[1] = false;
    control_live(control, 500);
    catch_up(control);
    control_live(control, 400000);
    cluster_partition(&control->cluster, "orders", 0, &partition);
    assert_int_equal(partition.leader, 2);
}

/* It agreed to found and has not come since: it keeps its id, its vote and the way back. */
static void a_founder_that_does_not_come_is_registered(void **state)
{
    struct control *control = *state;
    control->founding.members[0] =
        (struct founding_member){.node_id = 3, .port = 9092, .host = "late", .uuid = {{7, 7}}};
    control->founding.member_count = 1;
    control_live(control, 2 * SESSION_MS);
    assert_null(cluster_node_known(&control->cluster, 3)); /* No member: it was removed. */
    control->cluster.members[control->cluster.member_count++] =
        (struct quorum_member){3, QUORUM_VOTER};
    control_live(control, SESSION_MS / 2);
    assert_null(cluster_node_known(&control->cluster, 3)); /* It may be on its way. */
    control_live(control, 2 * SESSION_MS);
    const struct catalog_node *node = cluster_node_known(&control->cluster, 3);
    assert_non_null(node);
    assert_true(node->fenced);
    assert_string_equal(node->host, "late");
    assert_int_equal(node->directory_id.bytes[1], 7);
    int64_t epoch = node->epoch;
    control_live(control, 10000);
    assert_int_equal(cluster_node_known(&control->cluster, 3)->epoch, epoch);
}

/* An idle cluster proposes nothing. */
static void an_idle_cluster_is_left_alone(void **state)
{
    struct control *control = *state;
    static const char *const replicas[] = {"0,1,2", "1,2,0", "2,0,1"};
    cluster_topic(&control->cluster, "orders", replicas, 3);
    control_live(control, 10000);
    uint32_t taken = control->cluster.proposals_taken;
    control_live(control, 1000000);
    assert_int_equal(control->cluster.proposals_taken, taken);
    assert_string_equal(control->cluster.changes, "");
}

/* A refused allocation delays what is to be done, and no more. */
static void every_refused_allocation_is_survived(void **state)
{
    struct control *control = *state;
    static const char *const replicas[] = {"0", "0"};
    cluster_topic(&control->cluster, "__consumer_offsets", replicas, 2);
    bool fired = true;
    for (long countdown = 0; fired && countdown < 300; countdown++) {
        memory_fault_arm(countdown);
        control_live(control, 3000);
        fired = memory_fault_fired();
        memory_fault_arm(-1);
        catch_up(control);
        live_and_catch_up(control, 3000);
        struct catalog_partition partition;
        cluster_partition(&control->cluster, "__consumer_offsets", 1, &partition);
        assert_int_equal(partition.replica_count, 3);
        struct catalog_assignment one = {.replicas = {0}, .replica_count = 1};
        struct catalog_command shrink = {.kind = CATALOG_REASSIGN,
                                         .topic_id =
                                             catalog_topic_find(control->cluster.nodes[0].catalog,
                                                                slice_of("__consumer_offsets"))
                                                 ->id,
                                         .partition = {.index = 1},
                                         .assignments = &one,
                                         .assignment_count = 1};
        assert_int_equal(cluster_apply(&control->cluster, &shrink).error, ERROR_NONE);
    }
    assert_false(fired);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_third_node_brings_replication, setup_two, teardown),
        TEST(a_default_of_the_operator_stays),
        TEST(an_altered_default_stays),
        TEST(members_follow_the_registered_nodes),
        TEST(a_failed_change_is_tried_again),
        TEST(a_silent_voter_is_replaced_in_time),
        TEST(internal_topics_follow_the_nodes),
        TEST(a_drained_node_is_told_of),
        TEST(a_stuck_drain_is_told_of),
        TEST(a_replaced_node_disappears),
        TEST(a_node_that_came_back_leads_again),
        TEST(leaders_stay_when_told_so),
        TEST(a_founder_that_does_not_come_is_registered),
        TEST(an_idle_cluster_is_left_alone),
        TEST(every_refused_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
