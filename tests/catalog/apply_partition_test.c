/* SPDX-License-Identifier: Apache-2.0 */
/* Changed in-sync replicas, elections and reassignments, and everything that is refused at the log
 * position whatever the proposer saw. */
#include "catalog_fixture.h"

#include <cmocka.h>

/* Partition 0 is on 1,2,3; node 4 holds nothing. */
static void make_orders(struct catalog_fixture *f)
{
    register_node(f, 4, 54, false, true);
    make_topic(f, "orders", 1, 4);
    f->told[0] = '\0';
}

#define IDS(...)                                                                                   \
    (const int32_t[])                                                                              \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

static void change_isr(struct catalog_fixture *f, const int32_t *isr, uint32_t count)
{
    struct catalog_command command = isr_command(f, "orders", 0, isr, count);
    apply_expecting(f, &command, ERROR_NONE);
}

static void reassign(struct catalog_fixture *f, const int32_t *target, uint32_t count)
{
    struct catalog_assignment assignment = {.replica_count = count};
    memcpy(assignment.replicas, target, count * sizeof *target);
    struct catalog_command command = reassign_command(f, "orders", 0, &assignment);
    apply_expecting(f, &command, ERROR_NONE);
}

static void cancel(struct catalog_fixture *f, enum error expected)
{
    struct catalog_command command = reassign_command(f, "orders", 0, NULL);
    apply_expecting(f, &command, expected);
}

/* ---- in-sync replicas ---- */

/* The leader takes replicas out and in; the same again changes nothing. */
static void in_sync_replicas_shrink_and_grow(void **state)
{
    struct catalog_fixture *f = *state;
    make_orders(f);
    change_isr(f, IDS(1, 3), 2);
    assert_partition(f, "orders", 0, "leader 1 epoch 0/1 replicas 1,2,3 isr 1,3 elr -");
    change_isr(f, IDS(1, 3), 2);
    assert_partition(f, "orders", 0, "leader 1 epoch 0/1 replicas 1,2,3 isr 1,3 elr -");
    change_isr(f, IDS(1, 2, 3), 3);
    assert_partition(f, "orders", 0, "leader 1 epoch 0/2 replicas 1,2,3 isr 1,2,3 elr -");
    assert_string_equal(f->told, "topic orders;topic orders;");
}

/* KIP-966: below the minimum those that left stay eligible; with enough in sync they are not. */
static void those_who_leave_below_the_minimum_are_eligible(void **state)
{
    struct catalog_fixture *f = *state;
    make_orders(f);
    configure(f, "orders", "min.insync.replicas", "2");
    change_isr(f, IDS(1), 1);
    assert_partition(f, "orders", 0, "leader 1 epoch 0/1 replicas 1,2,3 isr 1 elr 2,3");
    change_isr(f, IDS(1, 3), 2);
    assert_partition(f, "orders", 0, "leader 1 epoch 0/2 replicas 1,2,3 isr 1,3 elr -");
    change_isr(f, IDS(1), 1);
    assert_partition(f, "orders", 0, "leader 1 epoch 0/3 replicas 1,2,3 isr 1 elr 3");
    configure(f, "orders", "min.insync.replicas", "1"); /* Now 1 alone moves the high watermark. */
    assert_partition(f, "orders", 0, "leader 1 epoch 0/4 replicas 1,2,3 isr 1 elr -");
}

/* The cluster's default counts for topics without a value of their own. */
static void a_changed_cluster_minimum_settles_every_topic(void **state)
{
    struct catalog_fixture *f = *state;
    make_orders(f);
    make_topic(f, "own", 2, 1);
    configure(f, "own", "min.insync.replicas", "2");
    configure(f, "", "min.insync.replicas", "2");
    change_isr(f, IDS(1), 1);
    struct catalog_command own = isr_command(f, "own", 0, IDS(1), 1);
    apply_expecting(f, &own, ERROR_NONE);
    f->told[0] = '\0';
    configure(f, "", "min.insync.replicas", NULL);
    assert_partition(f, "orders", 0, "leader 1 epoch 0/2 replicas 1,2,3 isr 1 elr -");
    assert_partition(f, "own", 0, "leader 1 epoch 0/1 replicas 1,2,3 isr 1 elr 2,3");
    assert_string_equal(f->told, "resource;topic orders;");
}

/* Invariant 11, in Kafka's order of errors. */
static void a_change_that_does_not_fit_is_refused(void **state)
{
    struct catalog_fixture *f = *state;
    make_orders(f);
    fence_node(f, 2, true);
    struct catalog_command good = isr_command(f, "orders", 0, IDS(1), 1);
    struct catalog_command bad = good;
    bad.topic_id = id_of(9);
    apply_expecting(f, &bad, ERROR_UNKNOWN_TOPIC_ID);
    bad = good;
    bad.partition.index = 4;
    apply_expecting(f, &bad, ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    bad.partition.index = -1;
    apply_expecting(f, &bad, ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    bad = good;
    bad.partition.leader_epoch++;
    apply_expecting(f, &bad, ERROR_NOT_CONTROLLER);
    bad = good;
    bad.partition.partition_epoch++;
    apply_expecting(f, &bad, ERROR_NOT_CONTROLLER);
    bad = good;
    bad.partition.leader_epoch--;
    apply_expecting(f, &bad, ERROR_FENCED_LEADER_EPOCH);
    bad = good;
    bad.node_id = 3;
    apply_expecting(f, &bad, ERROR_INVALID_REQUEST);
    bad = good;
    bad.partition.partition_epoch--;
    apply_expecting(f, &bad, ERROR_INVALID_UPDATE_VERSION);
    bad = isr_command(f, "orders", 0, IDS(1, 3, 3), 3);
    apply_expecting(f, &bad, ERROR_INVALID_REQUEST);
    bad = isr_command(f, "orders", 0, IDS(1, 4), 2); /* No replica. */
    apply_expecting(f, &bad, ERROR_INVALID_REQUEST);
    bad = isr_command(f, "orders", 0, IDS(2), 1); /* Without the leader, and not in sync. */
    apply_expecting(f, &bad, ERROR_INVALID_REQUEST);
    bad = isr_command(f, "orders", 0, IDS(1, 2), 2); /* Fenced. */
    apply_expecting(f, &bad, ERROR_INELIGIBLE_REPLICA);
    bad = isr_command(f, "orders", 0, IDS(1, 3), 2);
    bad.isr_epochs[1]--; /* Another registration than the one that caught up. */
    apply_expecting(f, &bad, ERROR_INELIGIBLE_REPLICA);
    bad = good;
    bad.partition.recovering = true;
    apply_expecting(f, &bad, ERROR_INVALID_REQUEST);
    apply_expecting(f, &good, ERROR_NONE);
}

/* A leader whose disk fails proposes the others: one of them leads, under a new epoch. */
static void a_leader_gives_its_place_to_one_in_sync(void **state)
{
    struct catalog_fixture *f = *state;
    make_orders(f);
    configure(f, "orders", "min.insync.replicas", "2");
    change_isr(f, IDS(2, 3), 2);
    assert_partition(f, "orders", 0, "leader 2 epoch 1/1 replicas 1,2,3 isr 2,3 elr -");
    change_isr(f, IDS(3), 1);
    assert_partition(f, "orders", 0, "leader 3 epoch 2/2 replicas 1,2,3 isr 3 elr 2");
    struct catalog_command joins = isr_command(f, "orders", 0, IDS(1), 1);
    apply_expecting(f, &joins, ERROR_INVALID_REQUEST); /* It was not in sync. */
    struct catalog_command nobody = isr_command(f, "orders", 0, IDS(1), 0);
    apply_expecting(f, &nobody, ERROR_INVALID_REQUEST);
}

/* KIP-841: who is about to stop does not come back into the in-sync replicas. */
static void a_node_that_stops_does_not_join(void **state)
{
    struct catalog_fixture *f = *state;
    make_orders(f);
    shut_node_down(f, 2);
    struct catalog_command join = isr_command(f, "orders", 0, IDS(1, 3, 2), 3);
    apply_expecting(f, &join, ERROR_INELIGIBLE_REPLICA);
}

/* KIP-704: after an unclean election the leader is alone until it says that it has recovered. */
static void a_recovering_leader_is_alone(void **state)
{
    struct catalog_fixture *f = *state;
    make_orders(f);
    change_isr(f, IDS(1), 1);
    fence_node(f, 1, true);
    struct catalog_command elect = {.kind = CATALOG_ELECT_LEADERS, .unclean = true};
    apply_expecting(f, &elect, ERROR_NONE);
    assert_partition(f, "orders", 0, "leader 2 epoch 2/3 replicas 1,2,3 isr 2 elr - recovering");
    struct catalog_command change = isr_command(f, "orders", 0, IDS(2, 3), 2);
    change.partition.recovering = true;
    apply_expecting(f, &change, ERROR_INVALID_REQUEST);
    change_isr(f, IDS(2), 1);
    assert_partition(f, "orders", 0, "leader 2 epoch 2/4 replicas 1,2,3 isr 2 elr -");
    change_isr(f, IDS(2, 3), 2);
}

/* ---- elections ---- */

/* Preferred leaders take over where they are in sync, for all or for those named; what is named
 * twice or not there does no harm. */
static void preferred_leaders_are_elected(void **state)
{
    struct catalog_fixture *f = *state;
    make_orders(f);
    fence_node(f, 1, true);
    fence_node(f, 1, false);
    struct catalog_command elect = {.kind = CATALOG_ELECT_LEADERS};
    f->told[0] = '\0';
    apply_expecting(f, &elect, ERROR_NONE); /* Not in sync: nothing to do. */
    assert_string_equal(f->told, "");
    change_isr(f, IDS(2, 3, 1), 3);
    const struct catalog_partition_name names[] = {{id_of(1), 3}, {id_of(9), 0},  {id_of(1), 0},
                                                   {id_of(1), 9}, {id_of(1), -1}, {id_of(1), 0}};
    elect.partitions = names;
    elect.partition_count = sizeof names / sizeof names[0];
    f->told[0] = '\0';
    apply_expecting(f, &elect, ERROR_NONE);
    assert_partition(f, "orders", 0, "leader 1 epoch 2/3 replicas 1,2,3 isr 2,3,1 elr -");
    assert_string_equal(f->told, "topic orders;");

    drain_node(f, 1, true);
    assert_int_equal(partition_of(f, "orders", 0).leader, 2);
    apply_expecting(f, &elect, ERROR_NONE); /* A node to be emptied is nobody's preferred leader. */
    assert_int_equal(partition_of(f, "orders", 0).leader, 2);
}

/* ---- reassignments ---- */

/* New replicas first catch up; the old ones go, under a new epoch, once all of the target are in
 * sync (invariant 17). */
static void a_reassignment_ends_when_its_target_is_in_sync(void **state)
{
    struct catalog_fixture *f = *state;
    make_orders(f);
    reassign(f, IDS(4, 2), 2);
    assert_partition(f, "orders", 0,
                     "leader 1 epoch 0/1 replicas 4,2,1,3 isr 1,2,3 elr - adding 4 removing 1,3");
    change_isr(f, IDS(1, 4, 3), 3); /* 2 fell behind: not yet. */
    assert_partition(f, "orders", 0,
                     "leader 1 epoch 0/2 replicas 4,2,1,3 isr 1,4,3 elr - adding 4 removing 1,3");
    change_isr(f, IDS(1, 4, 3, 2), 4);
    assert_partition(f, "orders", 0, "leader 4 epoch 1/3 replicas 4,2 isr 4,2 elr -");
    cancel(f, ERROR_NO_REASSIGNMENT_IN_PROGRESS);
}

/* Fewer replicas, or another order, need no catching up; the leader stays while it may. */
static void fewer_replicas_take_effect_at_once(void **state)
{
    struct catalog_fixture *f = *state;
    make_orders(f);
    reassign(f, IDS(3, 1), 2);
    assert_partition(f, "orders", 0, "leader 1 epoch 1/1 replicas 3,1 isr 1,3 elr -");
    reassign(f, IDS(1, 3), 2);
    assert_partition(f, "orders", 0, "leader 1 epoch 1/2 replicas 1,3 isr 1,3 elr -");
    reassign(f, IDS(1, 3), 2);
    assert_partition(f, "orders", 0, "leader 1 epoch 1/2 replicas 1,3 isr 1,3 elr -");
    reassign(f, IDS(3), 1);
    assert_partition(f, "orders", 0, "leader 3 epoch 2/3 replicas 3 isr 3 elr -");
}

/* Cancelling brings the old replicas back; what was in sync of the new ones is not any more. */
static void a_cancelled_reassignment_leaves_what_was(void **state)
{
    struct catalog_fixture *f = *state;
    make_orders(f);
    reassign(f, IDS(4, 2), 2);
    change_isr(f, IDS(1, 4), 2);
    cancel(f, ERROR_NONE);
    assert_partition(f, "orders", 0, "leader 1 epoch 1/3 replicas 2,1,3 isr 1 elr -");
    cancel(f, ERROR_NO_REASSIGNMENT_IN_PROGRESS);
}

/* Where only new replicas are in sync, going back would lose records: refused, unless asked for. */
static void a_cancellation_that_would_lose_records_is_refused(void **state)
{
    struct catalog_fixture *f = *state;
    make_orders(f);
    reassign(f, IDS(4, 2), 2);
    change_isr(f, IDS(1, 4), 2);
    fence_node(f, 1, true);
    assert_partition(f, "orders", 0,
                     "leader 4 epoch 1/3 replicas 4,2,1,3 isr 4 elr - adding 4 removing 1,3");
    cancel(f, ERROR_INVALID_REPLICA_ASSIGNMENT);
    configure(f, "orders", "unclean.leader.election.enable", "true");
    cancel(f, ERROR_NONE);
    assert_partition(f, "orders", 0, "leader 2 epoch 2/4 replicas 2,1,3 isr 2 elr - recovering");
}

/* An eligible replica may follow a cancelled one, but only one that is there. */
static void a_cancellation_may_fall_back_on_an_eligible_replica(void **state)
{
    struct catalog_fixture *f = *state;
    make_orders(f);
    configure(f, "orders", "min.insync.replicas", "3");
    reassign(f, IDS(4, 2), 2);
    change_isr(f, IDS(1, 4), 2);
    fence_node(f, 1, true);
    assert_partition(f, "orders", 0,
                     "leader 4 epoch 1/3 replicas 4,2,1,3 isr 4 elr 2,3,1 adding 4 removing 1,3");
    fence_node(f, 2, true);
    fence_node(f, 3, true);
    cancel(f, ERROR_INVALID_REPLICA_ASSIGNMENT);
    fence_node(f, 3, false);
    cancel(f, ERROR_NONE);
    assert_partition(f, "orders", 0, "leader 3 epoch 2/4 replicas 2,1,3 isr 3 elr 2,1");
}

/* Another target on the way: what the first was adding goes at once while it counts for nothing
 * (KIP-455), and with the others when it is in sync. */
static void a_target_is_changed_on_the_way(void **state)
{
    struct catalog_fixture *f = *state;
    make_orders(f);
    register_node(f, 5, 55, false, true);
    reassign(f, IDS(4, 2), 2);
    reassign(f, IDS(5, 2), 2);
    assert_partition(f, "orders", 0,
                     "leader 1 epoch 1/2 replicas 5,2,1,3 isr 1,2,3 elr - adding 5 removing 1,3");
    change_isr(f, IDS(1, 3, 5), 3);
    reassign(f, IDS(4, 2), 2);
    assert_partition(
        f, "orders", 0,
        "leader 1 epoch 1/4 replicas 4,2,5,1,3 isr 1,3,5 elr - adding 4 removing 5,1,3");
    reassign(f, IDS(1, 2, 3), 3);
    assert_partition(f, "orders", 0,
                     "leader 1 epoch 2/5 replicas 1,2,3,5 isr 1,3,5 elr - adding - removing 5");
    change_isr(f, IDS(1, 2, 3, 5), 4);
    assert_partition(f, "orders", 0, "leader 1 epoch 3/6 replicas 1,2,3 isr 1,2,3 elr -");
}

/* Targets that cannot be. */
static void a_bad_target_is_refused(void **state)
{
    struct catalog_fixture *f = *state;
    make_orders(f);
    struct catalog_assignment target = {.replica_count = 0};
    struct catalog_command command = reassign_command(f, "orders", 0, &target);
    apply_expecting(f, &command, ERROR_INVALID_REPLICA_ASSIGNMENT);
    target = (struct catalog_assignment){.replicas = {1, 1}, .replica_count = 2};
    apply_expecting(f, &command, ERROR_INVALID_REPLICA_ASSIGNMENT);
    target = (struct catalog_assignment){.replicas = {1, 9}, .replica_count = 2};
    apply_expecting(f, &command, ERROR_INVALID_REPLICA_ASSIGNMENT);
    command.partition.index = 7;
    apply_expecting(f, &command, ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    command.topic_id = id_of(9);
    apply_expecting(f, &command, ERROR_UNKNOWN_TOPIC_ID);
    const struct catalog_assignment two[2] = {{.replicas = {1}, .replica_count = 1},
                                              {.replicas = {2}, .replica_count = 1}};
    command = reassign_command(f, "orders", 0, two);
    command.assignment_count = 2;
    apply_expecting(f, &command, ERROR_INVALID_REQUEST);

    /* Target and old replicas together are more than a partition can have. */
    for (int32_t id = 5; id <= CATALOG_REPLICAS_MAX + 1; id++)
        register_node(f, id, (uint8_t)(60 + id), false, true);
    target.replica_count = CATALOG_REPLICAS_MAX;
    for (int32_t i = 0; i < CATALOG_REPLICAS_MAX; i++)
        target.replicas[i] = i + 2;
    command = reassign_command(f, "orders", 0, &target);
    apply_expecting(f, &command, ERROR_INVALID_REPLICA_ASSIGNMENT);
}

int main(void)
{
#define WITH_CATALOG(name)                                                                         \
    cmocka_unit_test_setup_teardown(name, catalog_fixture_setup, catalog_fixture_teardown)
    const struct CMUnitTest tests[] = {
        WITH_CATALOG(in_sync_replicas_shrink_and_grow),
        WITH_CATALOG(those_who_leave_below_the_minimum_are_eligible),
        WITH_CATALOG(a_changed_cluster_minimum_settles_every_topic),
        WITH_CATALOG(a_change_that_does_not_fit_is_refused),
        WITH_CATALOG(a_leader_gives_its_place_to_one_in_sync),
        WITH_CATALOG(a_node_that_stops_does_not_join),
        WITH_CATALOG(a_recovering_leader_is_alone),
        WITH_CATALOG(preferred_leaders_are_elected),
        WITH_CATALOG(a_reassignment_ends_when_its_target_is_in_sync),
        WITH_CATALOG(fewer_replicas_take_effect_at_once),
        WITH_CATALOG(a_cancelled_reassignment_leaves_what_was),
        WITH_CATALOG(a_cancellation_that_would_lose_records_is_refused),
        WITH_CATALOG(a_cancellation_may_fall_back_on_an_eligible_replica),
        WITH_CATALOG(a_target_is_changed_on_the_way),
        WITH_CATALOG(a_bad_target_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
