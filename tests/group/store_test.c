/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that runs out while groups are stored. */
#include "group/group_fixture.h"

#include "base/memory.h"

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
        cmocka_unit_test(each_refused_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
