/* SPDX-License-Identifier: Apache-2.0 */
/* Joining, syncing, heartbeats, leaving, sessions, static members: what each client is told. */
#include "group/group_fixture.h"

#include "base/memory.h"

/* Two members of one generation, `first` leading; neither has synced. */
static void join_two(struct node *node, struct joiner *first, struct joiner *second)
{
    joiner_init(first, "", "range=f");
    joiner_init(second, "", "range=s");
    joiner_send(node, first);
    joiner_send(node, second);
    node_run(node, 2 * INITIAL_DELAY_MS);
    assert_int_equal(first->answers, 1);
    assert_int_equal(second->answers, 1);
}

/* The leader gives both their parts and both have them. */
static void sync_two(struct node *node, const struct joiner *first, const struct joiner *second)
{
    struct syncer leader;
    struct syncer follower;
    syncer_init(&leader, first);
    syncer_init(&follower, second);
    syncer_assign(&leader, first->join.joined_member_id, "one");
    syncer_assign(&leader, second->join.joined_member_id, "two");
    syncer_send(node, &follower);
    syncer_send(node, &leader);
    assert_error(leader.sync.error, ERROR_NONE);
    assert_text(leader.sync.assignment, "one");
    assert_error(follower.sync.error, ERROR_NONE);
    assert_text(follower.sync.assignment, "two");
    syncer_done(&leader);
    syncer_done(&follower);
}

static void join_again_init(struct joiner *again, const struct joiner *was, const char *protocols)
{
    joiner_init(again, "", protocols);
    again->join.member_id = was->join.joined_member_id;
    again->join.instance_id = was->join.instance_id;
}

/* Sends one join and gives its error; it must be answered at once. */
static enum error join_error(struct node *node, struct joiner *joiner)
{
    joiner_send(node, joiner);
    assert_int_equal(joiner->answers, 1);
    return joiner->join.error;
}

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

/* KIP-394: an id is handed out, holds a place, and is forgotten when nobody joins with it. */
static void an_id_handed_out_is_joined_with_or_expires(void **state)
{
    struct node *node = *state;
    struct joiner asking;
    struct joiner joining;
    struct joiner late;
    joiner_init(&asking, "", "range=");
    asking.join.require_known_member_id = true;
    assert_error(join_error(node, &asking), ERROR_MEMBER_ID_REQUIRED);
    assert_true(asking.join.joined_member_id.size > strlen("client-"));
    join_again_init(&joining, &asking, "range=");
    become_stable(node, &joining);
    assert_true(slice_equals(joining.join.joined_member_id, asking.join.joined_member_id));
    assert_error(leave(node, &joining), ERROR_NONE);
    joiner_done(&asking);

    joiner_init(&asking, "", "range=");
    asking.join.require_known_member_id = true;
    assert_error(join_error(node, &asking), ERROR_MEMBER_ID_REQUIRED);
    node_run(node, SESSION_MS + 1);
    join_again_init(&late, &asking, "range=");
    assert_error(join_error(node, &late), ERROR_UNKNOWN_MEMBER_ID);
    joiner_done(&asking);
    joiner_done(&joining);
    joiner_done(&late);
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

/* Heartbeats while completing and stable are well, while preparing they call to rejoin. */
static void heartbeats_tell_the_state(void **state)
{
    struct node *node = *state;
    struct joiner first;
    struct joiner second;
    struct joiner third;
    join_two(node, &first, &second);
    assert_group(node, "CompletingRebalance", 1, 2);
    assert_error(heartbeat(node, &second), ERROR_NONE);
    sync_two(node, &first, &second);
    assert_error(heartbeat(node, &second), ERROR_NONE);
    joiner_init(&third, "", "range=t");
    joiner_send(node, &third);
    assert_error(heartbeat(node, &second), ERROR_REBALANCE_IN_PROGRESS);
    group_join_cancel(node->coordinator, &third.join);
    node_run(node, 0);
    joiner_done(&first);
    joiner_done(&second);
    joiner_done(&third);
}

/* Neither strangers nor members of another generation get in. */
static void strangers_and_other_generations_are_refused(void **state)
{
    struct node *node = *state;
    struct joiner member;
    struct joiner stranger;
    struct syncer syncer;
    joiner_init(&stranger, "nobody", "range=");
    assert_error(join_error(node, &stranger), ERROR_UNKNOWN_MEMBER_ID);
    assert_error(heartbeat(node, &stranger), ERROR_UNKNOWN_MEMBER_ID);
    joiner_init(&member, "", "range=");
    become_stable(node, &member);
    stranger.answers = 0;
    assert_error(join_error(node, &stranger), ERROR_UNKNOWN_MEMBER_ID);
    stranger.join.generation_id = 1;
    assert_error(heartbeat(node, &stranger), ERROR_UNKNOWN_MEMBER_ID);
    member.join.generation_id = 2;
    assert_error(heartbeat(node, &member), ERROR_ILLEGAL_GENERATION);
    syncer_init(&syncer, &member);
    syncer_send(node, &syncer);
    assert_error(syncer.sync.error, ERROR_ILLEGAL_GENERATION);
    syncer.sync.generation_id = 1;
    syncer.sync.protocol_name = slice_of("sticky");
    syncer_send(node, &syncer);
    assert_error(syncer.sync.error, ERROR_INCONSISTENT_GROUP_PROTOCOL);
    syncer_done(&syncer);
    joiner_done(&member);
    joiner_done(&stranger);
}

/* A member that shares no protocol with the others, or is of another type, is refused. */
static void a_join_without_a_common_protocol_is_refused(void **state)
{
    struct node *node = *state;
    struct joiner member;
    struct joiner other;
    joiner_init(&other, "", "");
    assert_error(join_error(node, &other), ERROR_INCONSISTENT_GROUP_PROTOCOL);
    assert_group(node, NULL, 0, 0);
    joiner_init(&member, "", "range=");
    become_stable(node, &member);
    joiner_done(&other);
    joiner_init(&other, "", "sticky=");
    assert_error(join_error(node, &other), ERROR_INCONSISTENT_GROUP_PROTOCOL);
    joiner_done(&other);
    joiner_init(&other, "", "range=");
    other.join.protocol_type = slice_of("connect");
    assert_error(join_error(node, &other), ERROR_INCONSISTENT_GROUP_PROTOCOL);
    assert_group(node, "Stable", 1, 1);
    joiner_done(&other);
    joiner_done(&member);
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

/* group.max.size members are in; one more is not. */
static void a_full_group_takes_nobody(void **state)
{
    struct node *node = *state;
    struct joiner joiners[GROUP_MAX_SIZE + 1];
    for (int i = 0; i < GROUP_MAX_SIZE; i++) {
        joiner_init(&joiners[i], "", "range=");
        joiner_send(node, &joiners[i]);
    }
    joiner_init(&joiners[GROUP_MAX_SIZE], "", "range=");
    assert_error(join_error(node, &joiners[GROUP_MAX_SIZE]), ERROR_GROUP_MAX_SIZE_REACHED);
    node_run(node, 2 * INITIAL_DELAY_MS);
    for (int i = 0; i < GROUP_MAX_SIZE; i++)
        assert_error(joiners[i].join.error, ERROR_NONE);
    for (int i = 0; i <= GROUP_MAX_SIZE; i++)
        joiner_done(&joiners[i]);
}

/* Session timeouts outside of the configured bounds, and a group without a name. */
static void bad_session_timeouts_and_no_name_are_refused(void **state)
{
    struct node *node = *state;
    struct joiner joiner;
    joiner_init(&joiner, "", "range=");
    joiner.join.session_timeout_ms = 5999;
    assert_error(join_error(node, &joiner), ERROR_INVALID_SESSION_TIMEOUT);
    joiner.answers = 0;
    joiner.join.session_timeout_ms = 1800001;
    assert_error(join_error(node, &joiner), ERROR_INVALID_SESSION_TIMEOUT);
    joiner.answers = 0;
    joiner.join.session_timeout_ms = 6000;
    joiner.join.group_id = SLICE_EMPTY;
    assert_error(join_error(node, &joiner), ERROR_INVALID_GROUP_ID);
    joiner_done(&joiner);
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

/* A new member whose connection goes while it waits is forgotten. */
static void a_cancelled_first_join_leaves_no_member(void **state)
{
    struct node *node = *state;
    struct joiner joiner;
    joiner_init(&joiner, "", "range=");
    joiner_send(node, &joiner);
    assert_group(node, "PreparingRebalance", 0, 1);
    group_join_cancel(node->coordinator, &joiner.join);
    node_run(node, 0);
    assert_int_equal(joiner.answers, 1);
    node_run(node, 2 * INITIAL_DELAY_MS);
    assert_group(node, "Empty", 1, 0);
    joiner_done(&joiner);
}

/* An old member whose connection goes while it waits has its session to come back. */
static void a_cancelled_rejoin_keeps_the_member_for_its_session(void **state)
{
    struct node *node = *state;
    struct joiner first;
    struct joiner second;
    struct joiner again;
    join_two(node, &first, &second);
    sync_two(node, &first, &second);
    join_again_init(&again, &first, "range=f");
    joiner_send(node, &again);
    assert_int_equal(again.answers, 0);
    group_join_cancel(node->coordinator, &again.join);
    node_run(node, 0);
    assert_int_equal(again.answers, 1);
    assert_group(node, "PreparingRebalance", 1, 2);
    node_run(node, SESSION_MS + 1);
    assert_group(node, "Empty", 2, 0);
    joiner_done(&first);
    joiner_done(&second);
    joiner_done(&again);
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
        WITH_NODE(an_id_handed_out_is_joined_with_or_expires),
        WITH_NODE(after_a_leave_the_rest_rebalances),
        WITH_NODE(after_a_session_ends_the_rest_rebalances),
        WITH_NODE(heartbeats_tell_the_state),
        WITH_NODE(strangers_and_other_generations_are_refused),
        WITH_NODE(a_join_without_a_common_protocol_is_refused),
        WITH_NODE(the_protocol_is_chosen_by_votes),
        WITH_NODE(a_full_group_takes_nobody),
        WITH_NODE(bad_session_timeouts_and_no_name_are_refused),
        WITH_NODE(a_static_follower_returns_without_a_rebalance),
        WITH_NODE(a_static_leader_returns_and_skips_the_assignment),
        WITH_NODE(a_static_leader_of_an_old_client_returns_as_a_follower),
        WITH_NODE(a_static_member_with_new_protocols_rebalances),
        WITH_NODE(a_cancelled_first_join_leaves_no_member),
        WITH_NODE(a_cancelled_rejoin_keeps_the_member_for_its_session),
        WITH_NODE(a_member_the_leader_left_out_gets_an_empty_assignment),
        WITH_NODE(a_new_member_ends_the_waiting_sync),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
