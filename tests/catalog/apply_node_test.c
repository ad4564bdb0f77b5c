/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes that register, are fenced, stop, are emptied and go, and what becomes of their partitions
 * in the same apply. */
#include "catalog_fixture.h"

#include <cmocka.h>
#include <stdio.h>

/* Partition 0 is on 1,2,3 and partition 3 on 1 alone (catalog_fixture.c). */
static void make_orders(struct catalog_fixture *f)
{
    make_topic(f, "orders", 1, 4);
    f->told[0] = '\0';
}

/* A fenced node leaves the in-sync replicas, and the next in order leads; its partitions are told
 * once a topic. With enough in-sync replicas nobody else is eligible. */
static void a_fenced_leader_is_followed(void **state)
{
    struct catalog_fixture *f = *state;
    make_orders(f);
    fence_node(f, 1, true);
    assert_partition(f, "orders", 0, "leader 2 epoch 1/1 replicas 1,2,3 isr 2,3 elr -");
    assert_partition(f, "orders", 1, "leader 2 epoch 0/1 replicas 2,3,1 isr 2,3 elr -");
    assert_partition(f, "orders", 2, "leader 3 epoch 0/1 replicas 3,1,2 isr 3,2 elr -");
    assert_partition(f, "orders", 3, "leader -1 epoch 1/1 replicas 1 isr - elr 1");
    assert_string_equal(f->told, "nodes;topic orders;");

    /* It comes back: nobody else could have led its own partition, so it leads again. */
    f->told[0] = '\0';
    fence_node(f, 1, false);
    assert_partition(f, "orders", 0, "leader 2 epoch 1/1 replicas 1,2,3 isr 2,3 elr -");
    assert_partition(f, "orders", 3, "leader 1 epoch 2/2 replicas 1 isr 1 elr -");
    assert_string_equal(f->told, "nodes;topic orders;");
    f->told[0] = '\0';
    fence_node(f, 1, false);
    assert_partition(f, "orders", 3, "leader 1 epoch 2/2 replicas 1 isr 1 elr -");
    assert_string_equal(f->told, "nodes;");
}

/* Below the minimum whoever was in sync is eligible, and the last one leads again when it is back:
 * the last replica standing of KIP-966 loses nothing. */
static void who_was_in_sync_below_the_minimum_is_eligible(void **state)
{
    struct catalog_fixture *f = *state;
    make_orders(f);
    configure(f, "orders", "min.insync.replicas", "2");
    fence_node(f, 1, true);
    fence_node(f, 2, true);
    assert_partition(f, "orders", 0, "leader 3 epoch 2/2 replicas 1,2,3 isr 3 elr 2");
    fence_node(f, 3, true);
    assert_partition(f, "orders", 0, "leader -1 epoch 3/3 replicas 1,2,3 isr - elr 2,3");
    fence_node(f, 1, false); /* It misses what 2 and 3 agreed on. */
    assert_partition(f, "orders", 0, "leader -1 epoch 3/3 replicas 1,2,3 isr - elr 2,3");
    fence_node(f, 2, false);
    assert_partition(f, "orders", 0, "leader 2 epoch 4/4 replicas 1,2,3 isr 2 elr 3");
    struct catalog_command join = isr_command(f, "orders", 0, (const int32_t[]){2, 1}, 2);
    apply_expecting(f, &join, ERROR_NONE);
    assert_partition(f, "orders", 0, "leader 2 epoch 4/5 replicas 1,2,3 isr 2,1 elr -");
}

/* Nobody that may miss records leads, unless the topic asks for it; then it says so. */
static void an_unclean_election_is_explicit(void **state)
{
    struct catalog_fixture *f = *state;
    make_orders(f);
    struct catalog_command shrink = isr_command(f, "orders", 0, (const int32_t[]){1}, 1);
    apply_expecting(f, &shrink, ERROR_NONE);
    fence_node(f, 1, true);
    assert_partition(f, "orders", 0, "leader -1 epoch 1/2 replicas 1,2,3 isr - elr 1");
    fence_node(f, 2, true);
    f->told[0] = '\0';
    configure(f, "orders", "unclean.leader.election.enable", "true");
    assert_partition(f, "orders", 0, "leader 3 epoch 2/3 replicas 1,2,3 isr 3 elr - recovering");
    assert_string_equal(f->told, "config orders;topic orders;");
}

/* The epoch says which registration is meant. */
static void an_older_registration_is_stale(void **state)
{
    struct catalog_fixture *f = *state;
    struct catalog_command fence = {.kind = CATALOG_NODE_FENCE, .node_id = 2, .fenced = true};
    fence.node_epoch = catalog_node_find(f->catalog, 2)->epoch + 1;
    apply_expecting(f, &fence, ERROR_STALE_BROKER_EPOCH);
    fence.kind = CATALOG_NODE_SHUTDOWN;
    apply_expecting(f, &fence, ERROR_STALE_BROKER_EPOCH);
    fence.node_epoch--;
    apply_expecting(f, &fence, ERROR_NONE);
    fence.node_id = 9;
    apply_expecting(f, &fence, ERROR_BROKER_ID_NOT_REGISTERED);
    fence.kind = CATALOG_NODE_DRAIN;
    apply_expecting(f, &fence, ERROR_BROKER_ID_NOT_REGISTERED);
}

/* A node that stops hands over what it leads and leaves the in-sync replicas, but where nobody can
 * follow it stays until it is gone. */
static void a_node_that_stops_hands_over(void **state)
{
    struct catalog_fixture *f = *state;
    make_orders(f);
    shut_node_down(f, 1);
    assert_true(catalog_node_find(f->catalog, 1)->shutting_down);
    assert_partition(f, "orders", 0, "leader 2 epoch 1/1 replicas 1,2,3 isr 2,3 elr -");
    assert_partition(f, "orders", 3, "leader 1 epoch 0/0 replicas 1 isr 1 elr -");
    fence_node(f, 1, true);
    assert_partition(f, "orders", 3, "leader -1 epoch 1/1 replicas 1 isr - elr 1");
    register_node(f, 1, 50, true, true);
    assert_false(catalog_node_find(f->catalog, 1)->shutting_down);
    assert_partition(f, "orders", 3, "leader -1 epoch 1/1 replicas 1 isr - elr 1");
    fence_node(f, 1, false);
    assert_partition(f, "orders", 3, "leader 1 epoch 2/2 replicas 1 isr 1 elr -");
}

/* The last in-sync replica stops while another takes up again: the leader takes it in and is
 * followed by it. An eligible one follows at once. */
static void the_last_in_sync_hands_over_when_it_can(void **state)
{
    struct catalog_fixture *f = *state;
    make_orders(f);
    struct catalog_command shrink = isr_command(f, "orders", 0, (const int32_t[]){1}, 1);
    apply_expecting(f, &shrink, ERROR_NONE);
    shut_node_down(f, 1);
    assert_partition(f, "orders", 0, "leader 1 epoch 0/1 replicas 1,2,3 isr 1 elr -");
    struct catalog_command join = isr_command(f, "orders", 0, (const int32_t[]){1, 3}, 2);
    apply_expecting(f, &join, ERROR_NONE);
    assert_partition(f, "orders", 0, "leader 3 epoch 1/2 replicas 1,2,3 isr 3 elr -");

    configure(f, "", "min.insync.replicas", "2");
    shrink = isr_command(f, "orders", 1, (const int32_t[]){2}, 1);
    apply_expecting(f, &shrink, ERROR_NONE);
    assert_partition(f, "orders", 1, "leader 2 epoch 0/2 replicas 2,3,1 isr 2 elr 3");
    shut_node_down(f, 2);
    assert_partition(f, "orders", 1, "leader 3 epoch 1/3 replicas 2,3,1 isr 3 elr 2");
}

/* A node that is to be emptied leads only what nobody else can; it stays in sync. */
static void a_draining_node_leads_last(void **state)
{
    struct catalog_fixture *f = *state;
    make_orders(f);
    drain_node(f, 1, true);
    assert_partition(f, "orders", 0, "leader 2 epoch 1/1 replicas 1,2,3 isr 1,2,3 elr -");
    assert_partition(f, "orders", 3, "leader 1 epoch 0/0 replicas 1 isr 1 elr -");
    fence_node(f, 2, true);
    fence_node(f, 3, true);
    assert_partition(f, "orders", 0, "leader 1 epoch 3/3 replicas 1,2,3 isr 1 elr -");
    fence_node(f, 3, false);
    struct catalog_command join = isr_command(f, "orders", 0, (const int32_t[]){1, 3}, 2);
    apply_expecting(f, &join, ERROR_NONE);
    assert_partition(f, "orders", 0, "leader 3 epoch 4/4 replicas 1,2,3 isr 1,3 elr -");
    register_node(f, 1, 50, false, true);
    assert_true(catalog_node_find(f->catalog, 1)->draining); /* The operator's word stays. */
    drain_node(f, 1, false);
    assert_partition(f, "orders", 0, "leader 3 epoch 4/4 replicas 1,2,3 isr 1,3 elr -");
}

/* A registration in a cluster is fenced: the old one's leaderships go at once, before anybody
 * noticed that it was away (KAFKA-1120). */
static void a_registration_ends_the_leaderships_of_the_last(void **state)
{
    struct catalog_fixture *f = *state;
    make_orders(f);
    register_node(f, 1, 50, true, true);
    assert_partition(f, "orders", 0, "leader 2 epoch 1/1 replicas 1,2,3 isr 2,3 elr -");
    assert_partition(f, "orders", 3, "leader -1 epoch 1/1 replicas 1 isr - elr 1");
}

/* What it voted for was not synced and it did not stop cleanly: it may not lead, unless it is the
 * last, which then says so. Synced topics are not concerned. */
static void an_unclean_stop_loses_unsynced_places(void **state)
{
    struct catalog_fixture *f = *state;
    make_orders(f);
    make_topic(f, "synced", 2, 4);
    configure(f, "", "min.insync.replicas", "3");
    configure(f, "synced", "topicfs.durability", "fsync");
    fence_node(f, 1, true);
    assert_partition(f, "orders", 0, "leader 2 epoch 1/1 replicas 1,2,3 isr 2,3 elr 1");
    register_node(f, 1, 50, true, false);
    assert_partition(f, "orders", 0, "leader 2 epoch 1/2 replicas 1,2,3 isr 2,3 elr -");
    assert_partition(f, "orders", 3, "leader -1 epoch 1/2 replicas 1 isr - elr 1 recovering");
    assert_partition(f, "synced", 0, "leader 2 epoch 1/1 replicas 1,2,3 isr 2,3 elr 1");
    assert_partition(f, "synced", 3, "leader -1 epoch 1/1 replicas 1 isr - elr 1");

    /* The same process registers again: it has lost nothing. */
    fence_node(f, 1, false);
    struct catalog_command join = isr_command(f, "orders", 0, (const int32_t[]){2, 3, 1}, 3);
    apply_expecting(f, &join, ERROR_NONE);
    register_node(f, 1, 50, true, false);
    assert_partition(f, "orders", 0, "leader 2 epoch 1/4 replicas 1,2,3 isr 2,3 elr 1");
}

/* Which durability counts: the topic's, the node's own, the cluster's, the node's file. */
static void durability_is_the_nearest_value(void **state)
{
    struct catalog_fixture *f = *state;
    const struct catalog_pair replicated = pair_of("topicfs.durability", "replicated");
    struct catalog_command own = config_command(CATALOG_RESOURCE_NODE, "1", &replicated, 1);
    make_orders(f);
    struct catalog_command command = node_command(1);
    command.node.sync_default = true;
    apply_expecting(f, &command, ERROR_NONE);
    register_node(f, 1, 50, false, false); /* Synced by its file: as if nothing had been. */
    assert_partition(f, "orders", 3, "leader 1 epoch 0/0 replicas 1 isr 1 elr -");
    configure(f, "", "topicfs.durability", "replicated");
    register_node(f, 1, 51, false, false); /* In a cluster of one it does not even get fenced. */
    assert_partition(f, "orders", 3, "leader 1 epoch 1/1 replicas 1 isr 1 elr - recovering");
    configure(f, "", "topicfs.durability", "fsync");
    register_node(f, 1, 52, false, false);
    assert_partition(f, "orders", 3, "leader 1 epoch 1/1 replicas 1 isr 1 elr - recovering");
    apply_expecting(f, &own, ERROR_NONE);
    register_node(f, 1, 53, false, false);
    assert_partition(f, "orders", 3, "leader 1 epoch 2/2 replicas 1 isr 1 elr - recovering");
}

/* A node with another directory has no records: it is out of every list in the same apply
 * (invariant 14), and what only it had is not led by anybody. */
static void another_directory_loses_everything(void **state)
{
    struct catalog_fixture *f = *state;
    make_orders(f);
    configure(f, "orders", "topicfs.durability", "fsync");
    configure(f, "", "min.insync.replicas", "3");
    struct catalog_command wiped = node_command(1);
    wiped.node.directory_id = id_of(77);
    wiped.clean = true;
    apply_expecting(f, &wiped, ERROR_NONE);
    assert_partition(f, "orders", 0, "leader 2 epoch 1/1 replicas 1,2,3 isr 2,3 elr -");
    assert_partition(f, "orders", 3, "leader -1 epoch 1/1 replicas 1 isr - elr -");
    struct catalog_command elect = {.kind = CATALOG_ELECT_LEADERS, .unclean = true};
    apply_expecting(f, &elect, ERROR_NONE);
    assert_partition(f, "orders", 3, "leader 1 epoch 2/2 replicas 1 isr 1 elr - recovering");
}

/* An unregistered node serves nothing but stays named; when its id registers again nobody knows
 * whether that is the same directory, so it has lost everything. */
static void an_unregistered_node_is_no_leader(void **state)
{
    struct catalog_fixture *f = *state;
    make_orders(f);
    struct catalog_command unregister = {.kind = CATALOG_NODE_UNREGISTER, .node_id = 1};
    apply_expecting(f, &unregister, ERROR_NONE);
    assert_partition(f, "orders", 0, "leader 2 epoch 1/1 replicas 1,2,3 isr 2,3 elr -");
    assert_partition(f, "orders", 3, "leader -1 epoch 1/1 replicas 1 isr - elr 1");
    register_node(f, 1, 50, false, true);
    assert_partition(f, "orders", 3, "leader -1 epoch 1/2 replicas 1 isr - elr -");
}

/* Ids are given once: after every id that was registered or taken. */
static void node_ids_are_given_once(void **state)
{
    struct catalog_fixture *f = *state;
    struct catalog_command take = {.kind = CATALOG_NODE_ID_TAKE, .id = id_of(9)};
    assert_int_equal(catalog_node_id_next(f->catalog), 4);
    assert_int_equal(apply(f, &take).node_id_taken, 4);
    assert_int_equal(apply(f, &take).node_id_taken, 4); /* The same command. */
    take.id = id_of(10);
    assert_int_equal(apply(f, &take).node_id_taken, 5);
    struct catalog_command unregister = {.kind = CATALOG_NODE_UNREGISTER, .node_id = 3};
    apply_expecting(f, &unregister, ERROR_NONE);
    register_node(f, 9, 50, false, true);
    take.id = id_of(11);
    assert_int_equal(apply(f, &take).node_id_taken, 10);
    struct catalog_command last = node_command(INT32_MAX);
    apply_expecting(f, &last, ERROR_INVALID_REQUEST);
}

static void applied(struct catalog_watcher *watcher, int64_t index)
{
    struct catalog_fixture *f = container_of(watcher, struct catalog_fixture, watcher);
    assert_int_equal(catalog_applied_index(f->catalog), index);
    size_t used = strlen(f->told);
    snprintf(f->told + used, sizeof f->told - used, "applied;");
}

/* Watchers hear last that a command was applied, also of one that failed. */
static void an_applied_command_is_told_last(void **state)
{
    struct catalog_fixture *f = *state;
    make_orders(f);
    f->watcher.applied = applied;
    fence_node(f, 1, true);
    assert_string_equal(f->told, "nodes;topic orders;applied;");
    struct catalog_command unregister = {.kind = CATALOG_NODE_UNREGISTER, .node_id = 8};
    apply_expecting(f, &unregister, ERROR_BROKER_ID_NOT_REGISTERED);
    assert_string_equal(f->told, "nodes;topic orders;applied;applied;");
}

int main(void)
{
#define WITH_CATALOG(name)                                                                         \
    cmocka_unit_test_setup_teardown(name, catalog_fixture_setup, catalog_fixture_teardown)
    const struct CMUnitTest tests[] = {
        WITH_CATALOG(a_fenced_leader_is_followed),
        WITH_CATALOG(who_was_in_sync_below_the_minimum_is_eligible),
        WITH_CATALOG(an_unclean_election_is_explicit),
        WITH_CATALOG(an_older_registration_is_stale),
        WITH_CATALOG(a_node_that_stops_hands_over),
        WITH_CATALOG(the_last_in_sync_hands_over_when_it_can),
        WITH_CATALOG(a_draining_node_leads_last),
        WITH_CATALOG(a_registration_ends_the_leaderships_of_the_last),
        WITH_CATALOG(an_unclean_stop_loses_unsynced_places),
        WITH_CATALOG(durability_is_the_nearest_value),
        WITH_CATALOG(another_directory_loses_everything),
        WITH_CATALOG(an_unregistered_node_is_no_leader),
        WITH_CATALOG(node_ids_are_given_once),
        WITH_CATALOG(an_applied_command_is_told_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
