/* SPDX-License-Identifier: Apache-2.0 */
/* What retention and deleted topics take, and what they leave. */
#include "group/group_fixture.h"

/* An offset nobody ever joined for ages from its commit. */
static void offsets_of_no_members_end_by_retention(void **state)
{
    struct node *node = *state;
    assert_error(commit(node, NULL, 7, ""), ERROR_NONE);
    node_run(node, (int64_t)OFFSETS_RETENTION_MS - 2 * EXPIRY_CHECK_MS);
    assert_int_equal(committed(node, "orders"), 7);
    node_run(node, 4 * EXPIRY_CHECK_MS);
    assert_int_equal(committed(node, "orders"), -1);
    assert_group(node, NULL, 0, 0);
    node_restart(node);
    assert_int_equal(committed(node, "orders"), -1);
}

/* A group that was joined ages from when its last member went, and then goes itself. */
static void a_group_ends_a_retention_after_its_last_member(void **state)
{
    struct node *node = *state;
    struct joiner member;
    joiner_init(&member, "", "range=");
    member.join.session_timeout_ms = 1800000;
    become_stable(node, &member);
    assert_error(commit(node, &member, 7, ""), ERROR_NONE);
    for (int64_t at_ms = 0; at_ms < 2 * (int64_t)OFFSETS_RETENTION_MS; at_ms += 1200000) {
        node_run(node, 1200000);
        assert_error(heartbeat(node, &member), ERROR_NONE);
    }
    assert_int_equal(committed(node, "orders"), 7);
    assert_error(leave(node, &member), ERROR_NONE);
    node_run(node, (int64_t)OFFSETS_RETENTION_MS - 2 * EXPIRY_CHECK_MS);
    assert_int_equal(committed(node, "orders"), 7);
    node_run(node, 4 * EXPIRY_CHECK_MS);
    assert_int_equal(committed(node, "orders"), -1);
    assert_group(node, NULL, 0, 0);
    node_restart(node);
    assert_group(node, NULL, 0, 0);
    joiner_done(&member);
}

/* Heartbeats for two retentions from a member with that subscription; what is left of orders. */
static int64_t left_with_subscription(struct node *node, struct slice subscription)
{
    struct joiner member;
    joiner_init(&member, "", "range=");
    member.protocols[0].metadata = subscription;
    member.join.session_timeout_ms = 1800000;
    become_stable(node, &member);
    assert_error(commit(node, &member, 7, ""), ERROR_NONE);
    for (int64_t at_ms = 0; at_ms < 2 * (int64_t)OFFSETS_RETENTION_MS; at_ms += 1200000) {
        node_run(node, 1200000);
        assert_error(heartbeat(node, &member), ERROR_NONE);
    }
    assert_group(node, "Stable", 1, 1);
    joiner_done(&member);
    return committed(node, "orders");
}

/* Members that read another topic now (KIP-211): the offset goes, the group stays. */
static void offsets_nobody_subscribes_to_end_by_retention(void **state)
{
    static const char subscription[] = "\0\0\0\0\0\1\0\5other\xff\xff\xff\xff";
    struct node *node = *state;
    assert_int_equal(
        left_with_subscription(node, slice_from(subscription, sizeof subscription - 1)), -1);
    node_restart(node);
    assert_int_equal(committed(node, "orders"), -1);
    assert_group(node, "Stable", 1, 1);
}

/* Members that read the topic keep its offset, however old. */
static void offsets_somebody_subscribes_to_stay(void **state)
{
    static const char subscription[] = "\0\0\0\0\0\1\0\6orders\xff\xff\xff\xff";
    assert_int_equal(
        left_with_subscription(*state, slice_from(subscription, sizeof subscription - 1)), 7);
}

/* A subscription that cannot be read might be to anything: nothing goes. */
static void unreadable_subscriptions_keep_offsets(void **state)
{
    assert_int_equal(left_with_subscription(*state, slice_of("what?")), 7);
}

/* An empty group without offsets has nothing to keep: the next round of expiry takes it. */
static void an_empty_group_without_offsets_goes(void **state)
{
    struct node *node = *state;
    struct joiner member;
    joiner_init(&member, "", "range=");
    become_stable(node, &member);
    assert_error(leave(node, &member), ERROR_NONE);
    assert_group(node, "Empty", 2, 0);
    node_run(node, 2 * EXPIRY_CHECK_MS);
    assert_group(node, NULL, 0, 0);
    node_restart(node);
    assert_group(node, NULL, 0, 0);
    joiner_done(&member);
}

/* A deleted topic's offsets go, of members' groups too, and do not come back. */
static void a_deleted_topic_is_forgotten(void **state)
{
    struct node *node = *state;
    struct joiner member;
    joiner_init(&member, "", "range=");
    become_stable(node, &member);
    assert_error(commit(node, &member, 7, ""), ERROR_NONE);
    group_coordinator_topic_deleted(node->coordinator, slice_of("other"));
    node_run(node, 100);
    assert_int_equal(committed(node, "orders"), 7);
    group_coordinator_topic_deleted(node->coordinator, slice_of("orders"));
    node_run(node, 100);
    assert_int_equal(committed(node, "orders"), -1);
    assert_group(node, "Stable", 1, 1);
    node_restart(node);
    assert_int_equal(committed(node, "orders"), -1);
    assert_group(node, "Stable", 1, 1);
    joiner_done(&member);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_NODE(offsets_of_no_members_end_by_retention),
        WITH_NODE(a_group_ends_a_retention_after_its_last_member),
        WITH_NODE(offsets_nobody_subscribes_to_end_by_retention),
        WITH_NODE(offsets_somebody_subscribes_to_stay),
        WITH_NODE(unreadable_subscriptions_keep_offsets),
        WITH_NODE(an_empty_group_without_offsets_goes),
        WITH_NODE(a_deleted_topic_is_forgotten),
        WITH_NODE(expiry_while_loading_takes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
