/* SPDX-License-Identifier: Apache-2.0 */
/* The phases of a rebalance: who is waited for, who leads, who gets what. */
#include "group/group_fixture.h"

/* The first member waits out the initial delay, leads generation 1, and its sync ends it. */
static void the_first_member_leads_generation_1_after_the_delay(void **state)
{
    struct node *node = *state;
    struct joiner joiner;
    struct syncer syncer;
    joiner_init(&joiner, "", "range=subscription");
    joiner_send(node, &joiner);
    node_run(node, INITIAL_DELAY_MS - 100);
    assert_int_equal(joiner.answers, 0);
    assert_group(node, "PreparingRebalance", 0, 1);
    node_run(node, 100);
    assert_int_equal(joiner.answers, 1);
    assert_int_equal(joiner.join.generation_id, 1);
    assert_text(joiner.join.protocol_name, "range");
    assert_true(slice_equals(joiner.join.leader, joiner.join.joined_member_id));
    assert_int_equal(joiner.join.member_count, 1);
    assert_text(joiner.join.members[0].metadata, "subscription");
    assert_group(node, "CompletingRebalance", 1, 1);
    syncer_init(&syncer, &joiner);
    syncer_assign(&syncer, joiner.join.joined_member_id, "all");
    syncer_send(node, &syncer);
    assert_text(syncer.sync.assignment, "all");
    assert_group(node, "Stable", 1, 1);
    syncer_done(&syncer);
    joiner_done(&joiner);
}

/* Two who come within the delay share one rebalance; only the leader hears of all. */
static void two_within_the_delay_share_one_rebalance(void **state)
{
    struct node *node = *state;
    struct joiner first;
    struct joiner second;
    join_two(node, &first, &second);
    assert_int_equal(first.join.generation_id, 1);
    assert_int_equal(second.join.generation_id, 1);
    assert_true(slice_equals(second.join.leader, first.join.joined_member_id));
    assert_int_equal(first.join.member_count, 2);
    assert_int_equal(second.join.member_count, 0);
    sync_two(node, &first, &second);
    assert_group(node, "Stable", 1, 2);
    joiner_done(&first);
    joiner_done(&second);
}

/* One leaves: the other is told to rebalance and goes on alone in the next generation. */
static void after_a_leave_the_rest_rebalances(void **state)
{
    struct node *node = *state;
    struct joiner first;
    struct joiner second;
    struct joiner again;
    join_two(node, &first, &second);
    sync_two(node, &first, &second);
    assert_error(leave(node, &first), ERROR_NONE);
    assert_error(leave(node, &first), ERROR_UNKNOWN_MEMBER_ID);
    assert_error(heartbeat(node, &second), ERROR_REBALANCE_IN_PROGRESS);
    join_again_init(&again, &second, "range=s");
    assert_error(join_error(node, &again), ERROR_NONE);
    assert_int_equal(again.join.generation_id, 2);
    assert_true(slice_equals(again.join.leader, second.join.joined_member_id));
    joiner_done(&first);
    joiner_done(&second);
    joiner_done(&again);
}

/* Of the protocols all know, the one most like best is taken, not the leader's. */
static void the_protocol_is_chosen_by_votes(void **state)
{
    struct node *node = *state;
    const char *likes[3] = {"range=1 sticky=1 own=1", "sticky=2 range=2", "sticky=3 range=3"};
    struct joiner joiners[3];
    for (int i = 0; i < 3; i++) {
        joiner_init(&joiners[i], "", likes[i]);
        joiner_send(node, &joiners[i]);
    }
    node_run(node, 2 * INITIAL_DELAY_MS);
    for (int i = 0; i < 3; i++)
        assert_text(joiners[i].join.protocol_name, "sticky");
    assert_text(joiners[0].join.members[2].metadata, "3");
    for (int i = 0; i < 3; i++)
        joiner_done(&joiners[i]);
}

/* A follower that syncs first waits for the leader; whom the leader left out gets nothing. */
static void a_member_the_leader_left_out_gets_an_empty_assignment(void **state)
{
    struct node *node = *state;
    struct joiner first;
    struct joiner second;
    struct syncer leader;
    struct syncer follower;
    join_two(node, &first, &second);
    syncer_init(&follower, &second);
    syncer_send(node, &follower);
    assert_int_equal(follower.answers, 0);
    syncer_init(&leader, &first);
    syncer_assign(&leader, first.join.joined_member_id, "one");
    syncer_send(node, &leader);
    assert_int_equal(follower.answers, 1);
    assert_error(follower.sync.error, ERROR_NONE);
    assert_int_equal(follower.sync.assignment.size, 0);
    assert_text(leader.sync.assignment, "one");
    syncer_done(&leader);
    syncer_done(&follower);
    joiner_done(&first);
    joiner_done(&second);
}

/* A member comes while another waits for its assignment: the wait ends with a call to rejoin. */
static void a_new_member_ends_the_waiting_sync(void **state)
{
    struct node *node = *state;
    struct joiner first;
    struct joiner second;
    struct joiner third;
    struct syncer follower;
    join_two(node, &first, &second);
    syncer_init(&follower, &second);
    syncer_send(node, &follower);
    joiner_init(&third, "", "range=t");
    joiner_send(node, &third);
    assert_int_equal(follower.answers, 1);
    assert_error(follower.sync.error, ERROR_REBALANCE_IN_PROGRESS);
    group_join_cancel(node->coordinator, &third.join);
    node_run(node, 0);
    syncer_done(&follower);
    joiner_done(&first);
    joiner_done(&second);
    joiner_done(&third);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_NODE(the_first_member_leads_generation_1_after_the_delay),
        WITH_NODE(two_within_the_delay_share_one_rebalance),
        WITH_NODE(after_a_leave_the_rest_rebalances),
        WITH_NODE(the_protocol_is_chosen_by_votes),
        WITH_NODE(a_member_the_leader_left_out_gets_an_empty_assignment),
        WITH_NODE(a_new_member_ends_the_waiting_sync),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
