/* SPDX-License-Identifier: Apache-2.0 */
/* Committing, reading and removing offsets, and deleting groups. */
#include "group/group_fixture.h"

/* A consumer that assigns itself commits without a membership; nothing else is there. */
static void a_commit_outside_of_a_group_is_kept(void **state)
{
    struct node *node = *state;
    struct group_offset found;
    assert_int_equal(committed(node, "orders"), -1);
    assert_error(commit(node, NULL, 42, "note"), ERROR_NONE);
    assert_error(group_offset_find(node->coordinator, group_name(), slice_of("orders"), 0, &found),
                 ERROR_NONE);
    assert_int_equal(found.offset, 42);
    assert_int_equal(found.leader_epoch, 3);
    assert_text(found.metadata, "note");
    assert_int_equal(committed(node, "other"), -1);
    assert_group(node, "Empty", 0, 0);
}

/* A commit of nothing makes the group; it stays when its offsets go, until it is deleted. */
static void a_commit_of_nothing_makes_a_group(void **state)
{
    struct node *node = *state;
    struct group_view view;
    assert_error(commit_nothing(node), ERROR_NONE);
    assert_group(node, "Empty", 0, 0);
    assert_error(commit(node, NULL, 42, "note"), ERROR_NONE);
    assert_error(commit_remove(node, "orders"), ERROR_NONE);
    assert_group(node, "Empty", 0, 0);
    assert_error(delete_group(node), ERROR_NONE);
    assert_error(group_describe(node->coordinator, group_name(), &view), ERROR_GROUP_ID_NOT_FOUND);
}

/* Members commit; strangers beside them and other generations do not. */
static void only_members_of_this_generation_commit(void **state)
{
    struct node *node = *state;
    struct joiner member;
    struct joiner other;
    joiner_init(&member, "", "range=");
    assert_error(commit(node, NULL, 1, ""), ERROR_NONE);
    become_stable(node, &member);
    assert_error(commit(node, &member, 7, ""), ERROR_NONE);
    assert_error(commit(node, NULL, 8, ""), ERROR_UNKNOWN_MEMBER_ID);
    other = member;
    other.join.generation_id = 2;
    assert_error(commit(node, &other, 8, ""), ERROR_ILLEGAL_GENERATION);
    other = member;
    other.join.joined_member_id = slice_of("nobody");
    assert_error(commit(node, &other, 8, ""), ERROR_UNKNOWN_MEMBER_ID);
    assert_int_equal(committed(node, "orders"), 7);
    joiner_done(&member);
}

/* A generation in a group that nobody ever joined is not one. */
static void a_commit_with_a_generation_of_no_group_is_refused(void **state)
{
    struct node *node = *state;
    struct joiner stranger;
    joiner_init(&stranger, "", "range=");
    stranger.join.generation_id = 5;
    stranger.join.joined_member_id = slice_of("nobody");
    assert_error(commit(node, &stranger, 1, ""), ERROR_ILLEGAL_GENERATION);
    assert_group(node, NULL, 0, 0);
    joiner_done(&stranger);
}

/* Metadata longer than offset.metadata.max.bytes is refused, the longest allowed is not. */
static void metadata_too_large_is_refused(void **state)
{
    struct node *node = *state;
    assert_error(commit(node, NULL, 1, "0123456789abcdefg"), ERROR_OFFSET_METADATA_TOO_LARGE);
    assert_int_equal(committed(node, "orders"), -1);
    assert_error(commit(node, NULL, 1, "0123456789abcdef"), ERROR_NONE);
    assert_int_equal(committed(node, "orders"), 1);
}

/* Between joining and the leader's assignment nobody owns anything to commit. */
static void a_commit_while_completing_is_told_to_rebalance(void **state)
{
    struct node *node = *state;
    struct joiner member;
    joiner_init(&member, "", "range=");
    joiner_send(node, &member);
    node_run(node, INITIAL_DELAY_MS);
    assert_group(node, "CompletingRebalance", 1, 1);
    assert_error(commit(node, &member, 7, ""), ERROR_REBALANCE_IN_PROGRESS);
    joiner_done(&member);
}

/* OffsetDelete: not what a member subscribes to, but what none does, and all when it is empty. */
static void offsets_of_a_subscribed_topic_are_not_removed(void **state)
{
    struct node *node = *state;
    /* ConsumerProtocolSubscription version 0: topics ["orders"], no user data. */
    static const char subscription[] = "\0\0\0\0\0\1\0\6orders\xff\xff\xff\xff";
    struct joiner member;
    assert_error(commit_remove(node, "orders"), ERROR_GROUP_ID_NOT_FOUND);
    joiner_init(&member, "", "range=");
    member.protocols[0].metadata = slice_from(subscription, sizeof subscription - 1);
    become_stable(node, &member);
    assert_error(commit(node, &member, 7, ""), ERROR_NONE);
    assert_error(commit_remove(node, "orders"), ERROR_GROUP_SUBSCRIBED_TO_TOPIC);
    assert_error(commit_remove(node, "other"), ERROR_NONE);
    assert_int_equal(committed(node, "orders"), 7);
    assert_error(leave(node, &member), ERROR_NONE);
    assert_error(commit_remove(node, "orders"), ERROR_NONE);
    assert_int_equal(committed(node, "orders"), -1);
    joiner_done(&member);
}

/* DeleteGroups: unknown and with members refused; an empty one goes, and stays gone. */
static void only_an_empty_group_is_deleted(void **state)
{
    struct node *node = *state;
    struct joiner member;
    assert_error(delete_group(node), ERROR_GROUP_ID_NOT_FOUND);
    joiner_init(&member, "", "range=");
    become_stable(node, &member);
    assert_error(commit(node, &member, 7, ""), ERROR_NONE);
    assert_error(delete_group(node), ERROR_NON_EMPTY_GROUP);
    assert_error(leave(node, &member), ERROR_NONE);
    assert_group(node, "Empty", 2, 0);
    assert_error(delete_group(node), ERROR_NONE);
    assert_group(node, NULL, 0, 0);
    assert_int_equal(committed(node, "orders"), -1);
    node_restart(node);
    assert_group(node, NULL, 0, 0);
    assert_int_equal(committed(node, "orders"), -1);
    joiner_done(&member);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_NODE(a_commit_outside_of_a_group_is_kept),
        WITH_NODE(a_commit_of_nothing_makes_a_group),
        WITH_NODE(only_members_of_this_generation_commit),
        WITH_NODE(a_commit_with_a_generation_of_no_group_is_refused),
        WITH_NODE(metadata_too_large_is_refused),
        WITH_NODE(a_commit_while_completing_is_told_to_rebalance),
        WITH_NODE(offsets_of_a_subscribed_topic_are_not_removed),
        WITH_NODE(only_an_empty_group_is_deleted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
