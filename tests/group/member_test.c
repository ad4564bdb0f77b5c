/* SPDX-License-Identifier: Apache-2.0 */
/* Static members that return, and sessions that end. */
#include "group/group_fixture.h"

/* One falls silent: its session ends, and the other, who beats on, is told to rebalance. */
static void after_a_session_ends_the_rest_rebalances(void **state)
{
    struct node *node = *state;
    struct joiner first;
    struct joiner second;
    join_two(node, &first, &second);
    sync_two(node, &first, &second);
    node_run(node, SESSION_MS - 100);
    assert_error(heartbeat(node, &second), ERROR_NONE);
    node_run(node, 200);
    assert_group(node, "PreparingRebalance", 1, 1);
    assert_error(heartbeat(node, &second), ERROR_REBALANCE_IN_PROGRESS);
    assert_error(heartbeat(node, &first), ERROR_UNKNOWN_MEMBER_ID);
    node_run(node, SESSION_MS + 1);
    assert_group(node, "Empty", 2, 0);
    joiner_done(&first);
    joiner_done(&second);
}

/* A static follower comes back: no rebalance, its assignment waits, the old id is fenced. */
static void a_static_follower_returns_without_a_rebalance(void **state)
{
    struct node *node = *state;
    struct joiner first;
    struct joiner second;
    struct joiner back;
    struct syncer syncer;
    joiner_init(&first, "", "range=f");
    joiner_init(&second, "", "range=s");
    second.join.instance_id = slice_of("instance");
    joiner_send(node, &first);
    joiner_send(node, &second);
    node_run(node, 2 * INITIAL_DELAY_MS);
    sync_two(node, &first, &second);
    joiner_init(&back, "", "range=s");
    back.join.instance_id = slice_of("instance");
    assert_error(join_error(node, &back), ERROR_NONE);
    assert_int_equal(back.join.generation_id, 1);
    assert_false(slice_equals(back.join.joined_member_id, second.join.joined_member_id));
    assert_group(node, "Stable", 1, 2);
    syncer_init(&syncer, &back);
    syncer_send(node, &syncer);
    assert_text(syncer.sync.assignment, "two");
    assert_error(heartbeat(node, &second), ERROR_FENCED_INSTANCE_ID);
    assert_error(heartbeat(node, &back), ERROR_NONE);
    assert_error(heartbeat(node, &first), ERROR_NONE);
    assert_error(leave(node, &second), ERROR_FENCED_INSTANCE_ID);
    syncer_done(&syncer);
    joiner_done(&first);
    joiner_done(&second);
    joiner_done(&back);
}

/* A static leader comes back and must not assign anew: KIP-814 tells it so; before, it is told
 * that its old self leads. */
static void static_leader_returns(struct node *node, bool supports_skipping)
{
    struct joiner leader;
    struct joiner back;
    joiner_init(&leader, "", "range=f");
    leader.join.instance_id = slice_of("instance");
    become_stable(node, &leader);
    joiner_init(&back, "", "range=f");
    back.join.instance_id = slice_of("instance");
    back.join.supports_skipping_assignment = supports_skipping;
    assert_error(join_error(node, &back), ERROR_NONE);
    assert_int_equal(back.join.generation_id, 1);
    assert_int_equal(back.join.skip_assignment, supports_skipping);
    assert_int_equal(back.join.member_count, supports_skipping ? 1 : 0);
    assert_true(slice_equals(back.join.leader, supports_skipping ? back.join.joined_member_id
                                                                 : leader.join.joined_member_id));
    assert_group(node, "Stable", 1, 1);
    joiner_done(&leader);
    joiner_done(&back);
}

static void a_static_leader_returns_and_skips_the_assignment(void **state)
{
    static_leader_returns(*state, true);
}

static void a_static_leader_of_an_old_client_returns_as_a_follower(void **state)
{
    static_leader_returns(*state, false);
}

/* A static member that returns with another subscription does make a rebalance. */
static void a_static_member_with_new_protocols_rebalances(void **state)
{
    struct node *node = *state;
    struct joiner member;
    struct joiner back;
    joiner_init(&member, "", "range=old");
    member.join.instance_id = slice_of("instance");
    become_stable(node, &member);
    joiner_init(&back, "", "range=new");
    back.join.instance_id = slice_of("instance");
    assert_error(join_error(node, &back), ERROR_NONE);
    assert_int_equal(back.join.generation_id, 2);
    assert_group(node, "CompletingRebalance", 2, 1);
    joiner_done(&member);
    joiner_done(&back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_NODE(after_a_session_ends_the_rest_rebalances),
        WITH_NODE(a_static_follower_returns_without_a_rebalance),
        WITH_NODE(a_static_leader_returns_and_skips_the_assignment),
        WITH_NODE(a_static_leader_of_an_old_client_returns_as_a_follower),
        WITH_NODE(a_static_member_with_new_protocols_rebalances),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
