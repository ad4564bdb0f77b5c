/* SPDX-License-Identifier: Apache-2.0 */
/* Joining, heartbeats and connections that go: what each client is told. */
#include "group/group_fixture.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_NODE(an_id_handed_out_is_joined_with_or_expires),
        WITH_NODE(heartbeats_tell_the_state),
        WITH_NODE(strangers_and_other_generations_are_refused),
        WITH_NODE(a_join_without_a_common_protocol_is_refused),
        WITH_NODE(a_full_group_takes_nobody),
        WITH_NODE(bad_session_timeouts_and_no_name_are_refused),
        WITH_NODE(a_cancelled_first_join_leaves_no_member),
        WITH_NODE(a_cancelled_rejoin_keeps_the_member_for_its_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
