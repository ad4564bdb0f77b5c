/* SPDX-License-Identifier: Apache-2.0 */
/* The commit rule over several replicas: whose vote counts, when the high watermark rests, and who
 * is answered with what. */
#include "partition_fixture.h"

#include <cmocka.h>

static struct partition *lead(struct partition_fixture *f, const char *isr)
{
    struct partition_assignment assignment = fixture_assignment(0, 5, 10, isr);
    return fixture_take(f, &assignment);
}

/* With durability fsync a follower's vote is what it synced, and every member has to give it. */
static void the_high_watermark_is_the_lowest_synced_vote_of_the_isr(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *partition = lead(f, "012");
    struct fixture_append append;
    fixture_append_start(partition, &append, 10, -1, FIXTURE_WAIT_MS);
    fixture_run(f);
    assert_int_equal(append.done, 0);
    assert_int_equal(fixture_high_watermark(partition), 0);

    fixture_progress(f, partition, 1, 10, 10);
    fixture_progress(f, partition, 2, 10, 0);
    fixture_run(f);
    assert_int_equal(append.done, 0);
    fixture_progress(f, partition, 2, 10, 10);
    fixture_run(f);

    assert_int_equal(append.done, 1);
    assert_int_equal(append.append.error, ERROR_NONE);
    assert_int_equal(fixture_high_watermark(partition), 10);
    fixture_append_done(&append);
}

/* With durability replicated the end of its log is enough (Kafka's meaning). */
static void replicated_durability_counts_ends_instead_of_syncs(void **state)
{
    struct partition_fixture *f = *state;
    f->config.durability = PARTITION_REPLICATED;
    struct partition *partition = lead(f, "012");
    struct fixture_append append;
    fixture_append_start(partition, &append, 10, -1, FIXTURE_WAIT_MS);

    fixture_progress(f, partition, 1, 10, 0);
    fixture_progress(f, partition, 2, 10, 0);
    fixture_run_tasks(f);

    assert_int_equal(append.done, 1);
    assert_int_equal(append.append.error, ERROR_NONE);
    fixture_append_done(&append);
}

/* A slow follower in the ISR holds acks=all up, not acks=1, and is not waited for outside it. */
static void a_slow_follower_holds_up_only_acks_all_and_only_in_the_isr(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *partition = lead(f, "01");
    struct fixture_append all, one;
    fixture_append_start(partition, &all, 10, -1, FIXTURE_WAIT_MS);
    fixture_append_start(partition, &one, 10, 1, FIXTURE_WAIT_MS);
    fixture_run(f);
    assert_int_equal(all.done, 0);
    assert_int_equal(one.done, 1);
    assert_int_equal(one.append.error, ERROR_NONE);

    fixture_progress(f, partition, 1, 10, 10);
    fixture_run(f);

    assert_int_equal(all.done, 1);
    assert_int_equal(fixture_high_watermark(partition), 10);
    fixture_append_done(&all);
    fixture_append_done(&one);
}

/* Belief 6: below min.insync.replicas nothing is committed, and acks=all is refused before it is
 * written; acks=1 is written and waits in the log. */
static void too_small_an_isr_refuses_acks_all_and_commits_nothing(void **state)
{
    struct partition_fixture *f = *state;
    f->config.min_insync_replicas = 2;
    struct partition *partition = lead(f, "0");
    struct fixture_append all, one;
    fixture_append_start(partition, &all, 1, -1, FIXTURE_WAIT_MS);
    fixture_append_start(partition, &one, 1, 1, FIXTURE_WAIT_MS);
    fixture_run(f);

    assert_int_equal(all.append.error, ERROR_NOT_ENOUGH_REPLICAS);
    assert_int_equal(one.append.error, ERROR_NONE);
    assert_int_equal(fixture_end(partition), 1);
    assert_int_equal(fixture_high_watermark(partition), 0);
    fixture_append_done(&all);
    fixture_append_done(&one);
}

/* min.insync.replicas beyond the number of replicas is the number of replicas (Kafka:
 * effectiveMinIsr). */
static void min_insync_is_at_most_the_number_of_replicas(void **state)
{
    struct partition_fixture *f = *state;
    f->config.min_insync_replicas = 5;
    struct partition *partition = fixture_assign(f, "orders", 1, 0);

    assert_int_equal(fixture_append_one(f, partition), 0);

    assert_int_equal(fixture_high_watermark(partition), 1);
}

/* Written, but the ISR shrank below min.insync.replicas while it waited: the outcome is unknown,
 * and the error says so at the timeout. */
static void an_isr_that_shrinks_after_the_append_is_told_at_the_timeout(void **state)
{
    struct partition_fixture *f = *state;
    f->config.min_insync_replicas = 2;
    struct partition *partition = lead(f, "01");
    struct fixture_append append;
    fixture_append_start(partition, &append, 1, -1, 500);
    struct partition_assignment shrunk = fixture_assignment(0, 5, 11, "0");
    (void)fixture_take(f, &shrunk);
    simulated_executor_run_for(f->events, 400);
    assert_int_equal(append.done, 0);

    simulated_executor_run_for(f->events, 200);

    assert_int_equal(append.done, 1);
    assert_int_equal(append.append.error, ERROR_NOT_ENOUGH_REPLICAS_AFTER_APPEND);
    fixture_append_done(&append);
}

/* With enough replicas it is a plain timeout. */
static void a_follower_that_never_answers_is_a_timeout(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *partition = lead(f, "01");
    struct fixture_append append;
    fixture_append_start(partition, &append, 1, -1, 500);

    simulated_executor_run_for(f->events, 600);

    assert_int_equal(append.append.error, ERROR_REQUEST_TIMED_OUT);
    fixture_append_done(&append);
}

/* Belief 5: one that is proposed counts before the quorum has answered, one that is to leave until
 * the quorum has. */
static void the_maximal_isr_counts_while_a_change_is_under_way(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *partition = lead(f, "01");
    fixture_progress(f, partition, 1, 0, 0);
    fixture_progress(f, partition, 2, 0, 0);
    fixture_expect_isr(f, "012");
    struct fixture_append append;
    fixture_append_start(partition, &append, 1, -1, FIXTURE_WAIT_MS);
    fixture_run(f);
    fixture_progress(f, partition, 1, 1, 1);
    fixture_run(f);
    assert_int_equal(append.done, 0);

    struct partition_assignment grown = fixture_assignment(0, 5, 11, "012");
    (void)fixture_take(f, &grown);
    fixture_isr_ended(f, ERROR_NONE);
    fixture_run(f);
    assert_int_equal(append.done, 0);
    fixture_progress(f, partition, 2, 1, 1);
    fixture_run(f);

    assert_int_equal(append.done, 1);
    fixture_append_done(&append);
}

/* A refusal that is certain frees the high watermark of the refused one; an unknown outcome does
 * not: it may still be applied. */
static void an_unknown_outcome_keeps_the_proposed_member_counted(void **state)
{
    struct partition_fixture *f = *state;
    f->config.durability = PARTITION_REPLICATED;
    for (int unknown = 0; unknown <= 1; unknown++) {
        struct partition_assignment led = fixture_assignment(0, 5 + unknown, 10 + unknown, "01");
        struct partition *partition = fixture_take(f, &led);
        int64_t end = fixture_end(partition);
        fixture_progress(f, partition, 1, end, end);
        fixture_progress(f, partition, 2, end, end);
        fixture_expect_isr(f, "012");
        struct fixture_append append;
        fixture_append_start(partition, &append, 1, -1, FIXTURE_WAIT_MS);
        fixture_progress(f, partition, 1, end + 1, end + 1);
        f->quorum.may_not_join[2] = true;
        fixture_isr_ended(f, unknown ? ERROR_REQUEST_TIMED_OUT : ERROR_INELIGIBLE_REPLICA);
        fixture_run_tasks(f);
        assert_int_equal(append.done, unknown ? 0 : 1);

        fixture_progress(f, partition, 2, end + 1, end + 1);
        fixture_run_tasks(f);
        assert_int_equal(append.done, 1);
        f->quorum.may_not_join[2] = false;
        fixture_append_done(&append);
    }
}

/* What a node reported before it registered anew is forgotten: it may have lost it (KIP-903). */
static void votes_of_an_earlier_life_do_not_count(void **state)
{
    struct partition_fixture *f = *state;
    f->config.durability = PARTITION_REPLICATED;
    struct partition *partition = lead(f, "01");
    struct fixture_append first, second;
    fixture_append_start(partition, &first, 5, -1, FIXTURE_WAIT_MS);
    fixture_progress(f, partition, 1, 5, 5);
    fixture_append_start(partition, &second, 5, -1, FIXTURE_WAIT_MS);
    fixture_run_tasks(f);
    assert_int_equal(first.done, 1);
    f->quorum.epochs[1] = 200;
    struct partition_assignment again = fixture_assignment(0, 5, 11, "01");
    (void)fixture_take(f, &again);

    fixture_progress(f, partition, 1, 3, 3);
    assert_int_equal(fixture_high_watermark(partition), 5);
    fixture_progress(f, partition, 1, 10, 10);
    fixture_run_tasks(f);

    assert_int_equal(second.done, 1);
    fixture_append_done(&first);
    fixture_append_done(&second);
}

/* Invariant 16: a leader without its lease answers nobody; with it again what waited goes on. */
static void without_the_lease_nothing_is_acknowledged(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *partition = lead(f, "01");
    struct fixture_append waits, refused;
    fixture_append_start(partition, &waits, 1, -1, FIXTURE_WAIT_MS);
    partition_table_lease(f->table, false);
    fixture_append_start(partition, &refused, 1, 1, FIXTURE_WAIT_MS);
    fixture_progress(f, partition, 1, 1, 1);
    fixture_run(f);
    assert_int_equal(refused.append.error, ERROR_NOT_LEADER_OR_FOLLOWER);
    assert_int_equal(waits.done, 0);
    assert_int_equal(fixture_high_watermark(partition), 0);
    assert_int_equal(partition_check_leader(partition, -1), ERROR_NOT_LEADER_OR_FOLLOWER);

    partition_table_lease(f->table, true);
    fixture_run(f);

    assert_int_equal(waits.append.error, ERROR_NONE);
    assert_int_equal(partition_check_leader(partition, -1), ERROR_NONE);
    fixture_append_done(&waits);
    fixture_append_done(&refused);
}

struct lease_by_clock {
    struct partition_lease lease;
    bool is_held;
};

static bool clock_says(struct partition_lease *lease)
{
    return container_of(lease, struct lease_by_clock, lease)->is_held;
}

/* A process that was paused: its clock knows before any timer has told. */
static void a_lease_that_lapsed_unnoticed_is_none(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *partition = lead(f, "01");
    struct lease_by_clock clock = {{clock_says}, false};
    struct fixture_append refused;
    partition_table_lease_source(f->table, &clock.lease);
    fixture_append_start(partition, &refused, 1, 1, FIXTURE_WAIT_MS);
    fixture_run(f);
    assert_int_equal(refused.append.error, ERROR_NOT_LEADER_OR_FOLLOWER);
    assert_int_equal(partition_check_leader(partition, -1), ERROR_NOT_LEADER_OR_FOLLOWER);
    clock.is_held = true;
    assert_int_equal(partition_check_leader(partition, -1), ERROR_NONE);
    partition_table_lease_source(f->table, NULL);
    fixture_append_done(&refused);
}

static void view_note(void *context, const struct partition_replica_view *view)
{
    struct partition_replica_view *views = context;
    views[view->node_id] = *view;
}

/* What the leader knows of each replica, itself included, in one look. */
static void the_leader_tells_what_each_replica_has(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *partition = lead(f, "01");
    struct fixture_append append;
    fixture_append_start(partition, &append, 10, 1, FIXTURE_WAIT_MS);
    fixture_run(f);
    fixture_progress(f, partition, 1, 7, 7);
    struct partition_replica_view views[3];

    partition_replica_each(partition, view_note, views);

    assert_int_equal(views[0].end_offset, 10);
    assert_int_equal(views[0].lag, 0);
    assert_int_equal(views[1].end_offset, 7);
    assert_int_equal(views[1].lag, 3);
    assert_true(views[1].in_isr);
    assert_int_equal(views[2].end_offset, -1);
    assert_int_equal(views[2].lag, -1);
    assert_false(views[2].in_isr);
    fixture_append_done(&append);
}

#define FOLLOWERS_TEST(name)                                                                       \
    cmocka_unit_test_setup_teardown(name, partition_fixture_setup, partition_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLLOWERS_TEST(the_high_watermark_is_the_lowest_synced_vote_of_the_isr),
        FOLLOWERS_TEST(replicated_durability_counts_ends_instead_of_syncs),
        FOLLOWERS_TEST(a_slow_follower_holds_up_only_acks_all_and_only_in_the_isr),
        FOLLOWERS_TEST(too_small_an_isr_refuses_acks_all_and_commits_nothing),
        FOLLOWERS_TEST(min_insync_is_at_most_the_number_of_replicas),
        FOLLOWERS_TEST(an_isr_that_shrinks_after_the_append_is_told_at_the_timeout),
        FOLLOWERS_TEST(a_follower_that_never_answers_is_a_timeout),
        FOLLOWERS_TEST(the_maximal_isr_counts_while_a_change_is_under_way),
        FOLLOWERS_TEST(an_unknown_outcome_keeps_the_proposed_member_counted),
        FOLLOWERS_TEST(votes_of_an_earlier_life_do_not_count),
        FOLLOWERS_TEST(without_the_lease_nothing_is_acknowledged),
        FOLLOWERS_TEST(a_lease_that_lapsed_unnoticed_is_none),
        FOLLOWERS_TEST(the_leader_tells_what_each_replica_has),
    };
    return cmocka_run_group_tests_name("followers", tests, NULL, NULL);
}
