/* SPDX-License-Identifier: Apache-2.0 */
/* Taking groups up from __consumer_offsets after a stop and a crash. */
#include "group/group_fixture.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_NODE(a_clean_stop_keeps_members_and_offsets),
        WITH_NODE(a_crash_keeps_members_and_offsets),
        WITH_NODE(a_loading_group_asks_for_patience),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
