/* SPDX-License-Identifier: Apache-2.0 */
/* What comes back from __consumer_offsets, who coordinates meanwhile, and memory that runs out. */
#include "group/group_fixture.h"

#include "base/memory.h"

/* A stable group with an offset, then `again`; all must be as it was, and go on. */
static void survives(struct node *node, void (*again)(struct node *node))
{
    struct joiner member;
    struct syncer syncer;
    joiner_init(&member, "", "range=subscription");
    become_stable(node, &member);
    assert_error(commit(node, &member, 7, "note"), ERROR_NONE);
    again(node);
    assert_group(node, "Stable", 1, 1);
    assert_int_equal(committed(node, "orders"), 7);
    assert_error(heartbeat(node, &member), ERROR_NONE);
    syncer_init(&syncer, &member);
    syncer_send(node, &syncer);
    assert_error(syncer.sync.error, ERROR_NONE);
    assert_text(syncer.sync.assignment, "all");
    assert_error(commit(node, &member, 8, ""), ERROR_NONE);
    node_run(node, SESSION_MS + 1); /* Loaded members have sessions that end. */
    assert_group(node, "Empty", 2, 0);
    syncer_done(&syncer);
    joiner_done(&member);
}

static void a_clean_stop_keeps_members_and_offsets(void **state)
{
    survives(*state, node_restart);
}

static void a_crash_keeps_members_and_offsets(void **state)
{
    survives(*state, node_crash);
}

/* Until its partition is read a group is neither joined nor committed to. */
static void a_loading_group_asks_for_patience(void **state)
{
    struct node *node = *state;
    struct joiner joiner;
    assert_error(commit(node, NULL, 7, ""), ERROR_NONE);
    node_stop(node, true);
    node_start(node);
    node_lead(node);
    assert_true(group_coordinator_loading(node->coordinator));
    assert_error(group_coordinator_check(node->coordinator, group_name()),
                 ERROR_COORDINATOR_LOAD_IN_PROGRESS);
    joiner_init(&joiner, "", "range=");
    group_join_start(node->coordinator, &joiner.join);
    assert_error(joiner.join.error, ERROR_COORDINATOR_LOAD_IN_PROGRESS);
    node_load(node);
    node_run(node, 0);
    assert_int_equal(joiner.answers, 1);
    assert_error(group_coordinator_check(node->coordinator, group_name()), ERROR_NONE);
    assert_int_equal(committed(node, "orders"), 7);
    joiner_done(&joiner);
}

/* Expiry comes when a group was read, but not yet to its end: it is not taken for empty. */
static void expiry_while_loading_takes_nothing(void **state)
{
    struct node *node = *state;
    struct joiner member;
    joiner_init(&member, "", "range=");
    become_stable(node, &member);
    node_stop(node, true);
    node_start(node);
    node_run(node, EXPIRY_CHECK_MS - 1);
    node_lead(node);
    for (int32_t i = 0; i < OFFSETS_PARTITIONS; i++) {
        if (i != group_partition_of(group_name(), OFFSETS_PARTITIONS))
            group_coordinator_resigned(node->coordinator, i);
    }
    /* The first step of loading comes late: expiry is due before the second. */
    simulated_executor_clock(node->disk.time)->now_ns += 2000000;
    node_load(node);
    node_run(node, 100);
    assert_group(node, "Stable", 1, 1);
    node_restart(node);
    assert_group(node, "Stable", 1, 1);
    joiner_done(&member);
}

/* Without the offsets topic the first use asks for it; nobody coordinates until it is there. */
static void the_first_use_makes_the_offsets_topic(void **state)
{
    struct node *node = *state;
    node_stop(node, true);
    node_start(node);
    node->partition_count = 0;
    assert_error(group_coordinator_check(node->coordinator, group_name()),
                 ERROR_COORDINATOR_NOT_AVAILABLE);
    assert_int_equal(node->creations, 1);
    node->partition_count = OFFSETS_PARTITIONS;
    assert_error(group_coordinator_check(node->coordinator, group_name()), ERROR_NOT_COORDINATOR);
    node_lead(node);
    node_load(node);
    assert_error(group_coordinator_check(node->coordinator, group_name()), ERROR_NONE);
}

/* Leadership goes while a member waits: it is told, nothing is answered here, until it is back. */
static void a_resigned_coordinator_sends_its_clients_away(void **state)
{
    struct node *node = *state;
    struct joiner joiner;
    int32_t partition = group_partition_of(group_name(), OFFSETS_PARTITIONS);
    assert_error(commit(node, NULL, 7, ""), ERROR_NONE);
    joiner_init(&joiner, "", "range=");
    joiner_send(node, &joiner);
    group_coordinator_resigned(node->coordinator, partition);
    node_run(node, 0);
    assert_int_equal(joiner.answers, 1);
    assert_error(joiner.join.error, ERROR_NOT_COORDINATOR);
    assert_error(group_coordinator_check(node->coordinator, group_name()), ERROR_NOT_COORDINATOR);
    group_coordinator_elected(node->coordinator, partition);
    node_load(node);
    assert_int_equal(committed(node, "orders"), 7);
    joiner_done(&joiner);
}

/* Kafka: Utils.abs("...".hashCode()) % partitions; the hashes are Java's. */
static void a_group_is_where_java_hashes_it(void **state)
{
    static const struct {
        const char *id;
        uint32_t hash;
    } samples[] = {
        {"", 0},
        {"a", 97},
        {"hello", 99162322},
        {"console-consumer-1", 35782224},
        {"gr\xc3\xbc\xc3\x9f"
         "e",
         98768023},
        {"\xe6\x97\xa5\xe6\x9c\xac", 835047},
        {"\xf0\x9f\x98\x80", 1772899},
        {"polygenelubricants", 0}, /* Integer.MIN_VALUE, whose abs is 0. */
    };
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        assert_int_equal(group_partition_of(slice_of(samples[i].id), 50), samples[i].hash % 50);
        assert_int_equal(group_partition_of(slice_of(samples[i].id), 2147483647),
                         samples[i].hash % 2147483647);
    }
}

/* Joins, syncs and commits; false as soon as one is refused. Everything is answered once. */
static bool join_sync_commit(struct node *node, struct joiner *joiner, struct syncer *syncer)
{
    joiner_send(node, joiner);
    node_run(node, INITIAL_DELAY_MS);
    assert_int_equal(joiner->answers, 1);
    syncer_init(syncer, joiner);
    if (joiner->join.error != ERROR_NONE)
        return false;
    syncer_assign(syncer, joiner->join.joined_member_id, "all");
    syncer_send(node, syncer);
    assert_int_equal(syncer->answers, 1);
    return syncer->sync.error == ERROR_NONE && commit(node, joiner, 7, "note") == ERROR_NONE &&
           committed(node, "orders") == 7;
}

/* Each allocation of a first join, sync and commit is refused once: all are answered, nothing is
 * lost or half done, and a stop is clean. */
static void each_refused_allocation_is_survived(void **state)
{
    bool fired = true;
    (void)state;
    for (long countdown = 0; fired; countdown++) {
        struct joiner joiner;
        struct syncer syncer;
        void *node;
        assert_int_equal(node_setup(&node), 0);
        joiner_init(&joiner, "", "range=subscription");
        memory_fault_arm(countdown);
        bool well = join_sync_commit(node, &joiner, &syncer);
        fired = memory_fault_fired() != 0;
        memory_fault_arm(-1);
        assert_true(well || fired);
        joiner_done(&joiner);
        syncer_done(&syncer);
        if (well) {
            node_restart(node);
            assert_int_equal(committed(node, "orders"), 7);
        }
        assert_int_equal(node_teardown(&node), 0);
        assert_true(countdown < 10000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_NODE(a_clean_stop_keeps_members_and_offsets),
        WITH_NODE(a_crash_keeps_members_and_offsets),
        WITH_NODE(a_loading_group_asks_for_patience),
        WITH_NODE(expiry_while_loading_takes_nothing),
        WITH_NODE(the_first_use_makes_the_offsets_topic),
        WITH_NODE(a_resigned_coordinator_sends_its_clients_away),
        cmocka_unit_test(a_group_is_where_java_hashes_it),
        cmocka_unit_test(each_refused_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
