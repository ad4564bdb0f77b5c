/* SPDX-License-Identifier: Apache-2.0 */
/* Plans over small clusters: what moves, what does not, and that carrying plans out ends. */
#include "replicate/core/balance.h"

#include "base/memory.h"
#include "replicate/cluster_fixture.h"

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

enum { MOVES_MAX = 64 };

struct fixture {
    struct cluster_fixture cluster;
    struct balance_options options;
    struct balance_move moves[MOVES_MAX];
    uint32_t count;
    int32_t stuck_node_id;
};

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof *f);
    cluster_setup(&f->cluster, 1);
    f->options = (struct balance_options){
        .in_flight_max = 16, .spread = true, .internal_replication_factor = 3};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    cluster_teardown(&f->cluster);
    test_free(f);
    return 0;
}

static void add_nodes(struct fixture *f, int32_t first, int32_t last)
{
    for (int32_t id = first; id <= last; id++)
        (void)cluster_register(&f->cluster, id, false);
}

static void drain(struct fixture *f, int32_t id)
{
    struct catalog_command command = {.kind = CATALOG_NODE_DRAIN, .node_id = id, .draining = true};
    assert_int_equal(cluster_apply(&f->cluster, &command).error, ERROR_NONE);
}

static void plan(struct fixture *f)
{
    assert_int_equal(balance_plan_moves(f->cluster.nodes[0].catalog, &f->options, f->moves,
                                        &f->count, &f->stuck_node_id),
                     ERROR_NONE);
    assert_true(f->count <= f->options.in_flight_max);
}

/* "0:1,2,3 4:..." of the planned moves, by partition index. */
static const char *planned(struct fixture *f)
{
    static char text[2000];
    size_t size = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < f->count; i++) {
        size += (size_t)snprintf(text + size, sizeof text - size, "%s%d:", i == 0 ? "" : " ",
                                 f->moves[i].partition.index);
        for (uint32_t j = 0; j < f->moves[i].target.replica_count; j++)
            size += (size_t)snprintf(text + size, sizeof text - size, "%s%d", j == 0 ? "" : ",",
                                     f->moves[i].target.replicas[j]);
    }
    return text;
}

/* Carries the plan out: the reassignment, and the leader's ISR that ends it. */
static void carry_out(struct fixture *f)
{
    for (uint32_t i = 0; i < f->count; i++) {
        struct catalog_command command = {.kind = CATALOG_REASSIGN,
                                          .topic_id = f->moves[i].partition.topic_id,
                                          .partition = {.index = f->moves[i].partition.index},
                                          .assignments = &f->moves[i].target,
                                          .assignment_count = 1};
        assert_int_equal(cluster_apply(&f->cluster, &command).error, ERROR_NONE);
        const struct catalog *catalog = f->cluster.nodes[0].catalog;
        const struct catalog_topic *topic =
            catalog_topic_find_id(catalog, &f->moves[i].partition.topic_id);
        struct catalog_partition now;
        assert_true(catalog_partition_find(catalog, topic, f->moves[i].partition.index, &now));
        if (now.adding_count == 0 && now.removing_count == 0)
            continue;
        struct catalog_command isr = {.kind = CATALOG_ISR_CHANGE,
                                      .topic_id = topic->id,
                                      .node_id = now.leader,
                                      .partition = now};
        isr.partition.isr_count = now.replica_count;
        for (uint32_t j = 0; j < now.replica_count; j++) {
            isr.partition.isr[j] = now.replicas[j];
            isr.isr_epochs[j] = catalog_node_find(catalog, now.replicas[j])->epoch;
        }
        assert_int_equal(cluster_apply(&f->cluster, &isr).error, ERROR_NONE);
    }
}

static uint32_t replicas_of(struct fixture *f, int32_t id)
{
    struct balance_share share;
    balance_share(f->cluster.nodes[0].catalog, id, &share);
    return share.replicas;
}

/* Replicas already even are left where they are. */
static void an_even_cluster_stays(void **state)
{
    struct fixture *f = *state;
    static const char *const replicas[] = {"1,2", "2,3", "3,1"};
    add_nodes(f, 1, 3);
    cluster_topic(&f->cluster, "orders", replicas, 3);
    plan(f);
    assert_int_equal(f->count, 0);
    assert_int_equal(f->stuck_node_id, -1);
}

/* A new node is given its share, a few at a time, until nothing moves any more. */
static void a_new_node_gets_its_share(void **state)
{
    struct fixture *f = *state;
    static const char *const replicas[] = {"1,2,3", "2,3,1", "3,1,2", "1,3,2", "2,1,3",
                                           "3,2,1", "1,2,3", "2,3,1", "3,1,2", "1,3,2"};
    add_nodes(f, 1, 3);
    cluster_topic(&f->cluster, "orders", replicas, 10);
    add_nodes(f, 4, 4);
    f->options.in_flight_max = 3;
    int rounds = 0;
    for (plan(f); f->count > 0; plan(f)) {
        carry_out(f);
        assert_true(++rounds < 50);
    }
    assert_true(rounds > 1);
    assert_in_range(replicas_of(f, 4), 6, 8);
    for (int32_t id = 1; id <= 3; id++)
        assert_in_range(replicas_of(f, id), 7, 8);
}

/* Switched off, nothing is spread. */
static void spreading_can_be_off(void **state)
{
    struct fixture *f = *state;
    static const char *const replicas[] = {"1", "1", "1", "1"};
    add_nodes(f, 1, 2);
    cluster_topic(&f->cluster, "orders", replicas, 4);
    f->options.spread = false;
    plan(f);
    assert_int_equal(f->count, 0);
    f->options.spread = true;
    plan(f);
    assert_int_equal(f->count, 2);
}

/* While a node is away that may be back soon, nothing is spread. */
static void an_absence_is_no_reason_to_move(void **state)
{
    struct fixture *f = *state;
    static const char *const replicas[] = {"1", "1", "1", "1"};
    add_nodes(f, 1, 2);
    (void)cluster_register(&f->cluster, 3, true);
    cluster_topic(&f->cluster, "orders", replicas, 4);
    plan(f);
    assert_int_equal(f->count, 0);
}

/* A draining node's places go to the others, also with spreading off; order is kept. */
static void a_draining_node_is_emptied(void **state)
{
    struct fixture *f = *state;
    static const char *const replicas[] = {"1,2", "2,3", "3,1"};
    add_nodes(f, 1, 4);
    cluster_topic(&f->cluster, "orders", replicas, 3);
    drain(f, 2);
    f->options.spread = false;
    plan(f);
    assert_string_equal(planned(f), "0:1,4 1:4,3");
    assert_int_equal(f->stuck_node_id, -1);
    carry_out(f);
    assert_int_equal(replicas_of(f, 2), 0);
    plan(f);
    assert_int_equal(f->count, 0);
}

/* No other node can take a replica: said, and the rest is still done. */
static void a_drain_without_room_is_said(void **state)
{
    struct fixture *f = *state;
    static const char *const replicas[] = {"1,2,3", "2,3"};
    add_nodes(f, 1, 3);
    cluster_topic(&f->cluster, "orders", replicas, 2);
    drain(f, 2);
    plan(f);
    assert_string_equal(planned(f), "1:1,3");
    assert_int_equal(f->stuck_node_id, 2);
}

static void reassign(struct fixture *f, int32_t index, const char *replicas)
{
    struct catalog_assignment target = {.replica_count = 0};
    for (; *replicas != '\0'; replicas++)
        if (*replicas != ',')
            target.replicas[target.replica_count++] = *replicas - '0';
    const struct catalog_topic *topic =
        catalog_topic_find(f->cluster.nodes[0].catalog, slice_of("orders"));
    struct catalog_command command = {.kind = CATALOG_REASSIGN,
                                      .topic_id = topic->id,
                                      .partition = {.index = index},
                                      .assignments = &target,
                                      .assignment_count = 1};
    assert_int_equal(cluster_apply(&f->cluster, &command).error, ERROR_NONE);
}

/* What moves to a node that then drains, or is gone, moves on to another; where there is no other,
 * a replica more is not insisted on. */
static void a_move_to_a_node_that_leaves_is_redirected(void **state)
{
    struct fixture *f = *state;
    static const char *const replicas[] = {"1,2", "1,2", "1,2,3,5"};
    add_nodes(f, 1, 5);
    cluster_topic(&f->cluster, "orders", replicas, 3);
    reassign(f, 0, "1,4");
    reassign(f, 1, "1,2,4");
    reassign(f, 2, "1,2,3,5,4");
    drain(f, 4);
    f->options.spread = false;
    plan(f);
    assert_string_equal(planned(f), "0:1,3 1:1,2,5 2:1,2,3,5");
    carry_out(f);
    assert_int_equal(replicas_of(f, 4), 0);
}

/* Another replica was on its way when the node went: without it that never ends. */
static void a_move_that_waits_for_a_dead_node_goes_on_without_it(void **state)
{
    struct fixture *f = *state;
    static const char *const replicas[] = {"1,2"};
    add_nodes(f, 1, 4);
    cluster_topic(&f->cluster, "orders", replicas, 1);
    reassign(f, 0, "1,2,3");
    drain(f, 2);
    f->options.spread = false;
    plan(f);
    assert_int_equal(f->count, 0); /* It is there yet: one after the other. */
    struct catalog_command fence = {.kind = CATALOG_NODE_FENCE, .node_id = 2, .fenced = true};
    assert_int_equal(cluster_apply(&f->cluster, &fence).error, ERROR_NONE);
    plan(f);
    assert_string_equal(planned(f), "0:1,4,3");
}

/* A node that was unregistered is replaced as one that drains. */
static void an_unregistered_node_is_replaced(void **state)
{
    struct fixture *f = *state;
    static const char *const replicas[] = {"1,2", "2,1"};
    add_nodes(f, 1, 3);
    cluster_topic(&f->cluster, "orders", replicas, 2);
    struct catalog_command fence = {.kind = CATALOG_NODE_FENCE, .node_id = 2, .fenced = true};
    assert_int_equal(cluster_apply(&f->cluster, &fence).error, ERROR_NONE);
    struct catalog_command leave = {.kind = CATALOG_NODE_UNREGISTER, .node_id = 2};
    assert_int_equal(cluster_apply(&f->cluster, &leave).error, ERROR_NONE);
    plan(f);
    assert_string_equal(planned(f), "0:1,3 1:3,1");
}

/* Internal topics get replicas as nodes come, up to their factor. */
static void internal_topics_grow_with_the_cluster(void **state)
{
    struct fixture *f = *state;
    static const char *const replicas[] = {"1", "1"};
    add_nodes(f, 1, 1);
    cluster_topic(&f->cluster, "__consumer_offsets", replicas, 2);
    f->options.spread = false;
    plan(f);
    assert_int_equal(f->count, 0);
    add_nodes(f, 2, 2);
    plan(f);
    assert_string_equal(planned(f), "0:1,2 1:1,2");
    carry_out(f);
    add_nodes(f, 3, 4);
    plan(f);
    assert_string_equal(planned(f), "0:1,2,3 1:1,2,4");
    carry_out(f);
    plan(f);
    assert_int_equal(f->count, 0);
}

/* Replicas go to racks that hold none of the partition's others. */
static void racks_are_kept_apart(void **state)
{
    struct fixture *f = *state;
    static const char *const racks[] = {"a", "a", "b", "b", "c"};
    static const char *const replicas[] = {"1,3"};
    for (int32_t id = 1; id <= 5; id++) {
        struct catalog_command command = {.kind = CATALOG_NODE_REGISTER,
                                          .clean = true,
                                          .node = {.id = id, .port = id, .host = "h"}};
        snprintf(command.node.rack, sizeof command.node.rack, "%s", racks[id - 1]);
        assert_int_equal(cluster_apply(&f->cluster, &command).error, ERROR_NONE);
    }
    cluster_topic(&f->cluster, "orders", replicas, 1);
    drain(f, 3);
    plan(f);
    assert_string_equal(planned(f), "0:1,4");
    drain(f, 4);
    plan(f);
    assert_string_equal(planned(f), "0:1,5");
}

/* What is under way counts; nothing is planned for a partition twice. */
static void reassignments_under_way_take_room(void **state)
{
    struct fixture *f = *state;
    static const char *const replicas[] = {"1", "1", "1", "1"};
    add_nodes(f, 1, 2);
    cluster_topic(&f->cluster, "orders", replicas, 4);
    drain(f, 1);
    f->options.in_flight_max = 3;
    plan(f);
    assert_int_equal(f->count, 3);
    struct balance_move first = f->moves[0];
    struct catalog_command command = {.kind = CATALOG_REASSIGN,
                                      .topic_id = first.partition.topic_id,
                                      .partition = {.index = first.partition.index},
                                      .assignments = &first.target,
                                      .assignment_count = 1};
    assert_int_equal(cluster_apply(&f->cluster, &command).error, ERROR_NONE);
    plan(f);
    assert_string_equal(planned(f), "1:2 2:2");
}

/* Preferred leaders on one node only: the order changes, no replica moves. */
static void preferred_leaders_are_spread(void **state)
{
    struct fixture *f = *state;
    static const char *const replicas[] = {"1,2,3", "1,2,3", "1,2,3", "1,2,3", "1,2,3", "1,2,3"};
    add_nodes(f, 1, 3);
    cluster_topic(&f->cluster, "orders", replicas, 6);
    int rounds = 0;
    for (plan(f); f->count > 0; plan(f)) {
        for (uint32_t i = 0; i < f->count; i++)
            assert_int_equal(f->moves[i].target.replica_count, 3);
        carry_out(f);
        assert_true(++rounds < 10);
    }
    uint32_t preferred[4] = {0};
    for (int32_t i = 0; i < 6; i++) {
        struct catalog_partition partition;
        cluster_partition(&f->cluster, "orders", i, &partition);
        preferred[partition.replicas[0]]++;
    }
    for (int32_t id = 1; id <= 3; id++)
        assert_in_range(preferred[id], 1, 3);
}

/* Partitions led by another than their first replica, where that could lead. */
static void unpreferred_leaders_are_found(void **state)
{
    struct fixture *f = *state;
    static const char *const replicas[] = {"1,2", "2,1", "1,2"};
    struct catalog_partition_name names[3];
    const struct catalog *catalog = f->cluster.nodes[0].catalog;
    add_nodes(f, 1, 2);
    cluster_topic(&f->cluster, "orders", replicas, 3);
    assert_int_equal(balance_plan_leaders(catalog, names, 3), 0);
    struct catalog_command fence = {.kind = CATALOG_NODE_FENCE, .node_id = 1, .fenced = true};
    assert_int_equal(cluster_apply(&f->cluster, &fence).error, ERROR_NONE);
    assert_int_equal(balance_plan_leaders(catalog, names, 3), 0);
    fence.fenced = false;
    assert_int_equal(cluster_apply(&f->cluster, &fence).error, ERROR_NONE);
    assert_int_equal(balance_plan_leaders(catalog, names, 3), 0); /* Not in sync yet. */
    struct catalog_partition now;
    cluster_partition(&f->cluster, "orders", 0, &now);
    assert_int_equal(now.leader, 2);
    struct catalog_command isr = {.kind = CATALOG_ISR_CHANGE,
                                  .topic_id = catalog_topic_find(catalog, slice_of("orders"))->id,
                                  .node_id = 2,
                                  .partition = now};
    isr.partition.isr_count = 2;
    isr.partition.isr[0] = 1;
    isr.partition.isr[1] = 2;
    isr.isr_epochs[0] = catalog_node_find(catalog, 1)->epoch;
    isr.isr_epochs[1] = catalog_node_find(catalog, 2)->epoch;
    assert_int_equal(cluster_apply(&f->cluster, &isr).error, ERROR_NONE);
    assert_int_equal(balance_plan_leaders(catalog, names, 3), 1);
    assert_int_equal(names[0].index, 0);
    assert_int_equal(balance_plan_leaders(catalog, names, 0), 0);
    drain(f, 1);
    assert_int_equal(balance_plan_leaders(catalog, names, 3), 0);
}

/* A share counts leaderships, replicas and those in sync. */
static void a_share_is_counted(void **state)
{
    struct fixture *f = *state;
    static const char *const replicas[] = {"1,2", "2,1", "2"};
    struct balance_share share;
    add_nodes(f, 1, 2);
    cluster_topic(&f->cluster, "orders", replicas, 3);
    balance_share(f->cluster.nodes[0].catalog, 2, &share);
    assert_int_equal(share.leaders, 2);
    assert_int_equal(share.replicas, 3);
    assert_int_equal(share.in_sync, 3);
    balance_share(f->cluster.nodes[0].catalog, 9, &share);
    assert_int_equal(share.replicas, 0);
}

static void no_memory_is_said(void **state)
{
    struct fixture *f = *state;
    add_nodes(f, 1, 2);
    memory_fault_arm(0);
    assert_int_equal(balance_plan_moves(f->cluster.nodes[0].catalog, &f->options, f->moves,
                                        &f->count, &f->stuck_node_id),
                     ERROR_OUT_OF_MEMORY);
    memory_fault_arm(-1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_even_cluster_stays),
        TEST(a_new_node_gets_its_share),
        TEST(spreading_can_be_off),
        TEST(an_absence_is_no_reason_to_move),
        TEST(a_draining_node_is_emptied),
        TEST(a_drain_without_room_is_said),
        TEST(a_move_to_a_node_that_leaves_is_redirected),
        TEST(a_move_that_waits_for_a_dead_node_goes_on_without_it),
        TEST(an_unregistered_node_is_replaced),
        TEST(internal_topics_grow_with_the_cluster),
        TEST(racks_are_kept_apart),
        TEST(reassignments_under_way_take_room),
        TEST(preferred_leaders_are_spread),
        TEST(unpreferred_leaders_are_found),
        TEST(a_share_is_counted),
        TEST(no_memory_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
