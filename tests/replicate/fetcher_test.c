/* SPDX-License-Identifier: Apache-2.0 */
/* Whole partitions replicated between nodes, by fetchers and sessions. */
#include "base/memory.h"
#include "replicate/replicas_fixture.h"

#include <cmocka.h>
#include <string.h>

/* acks=all is answered once every member has the record, and soon. */
static void a_record_is_on_every_replica_before_acks_all_is_answered(void **state)
{
    struct replicas *c = *state;
    replicas_make(c, 1, 0);
    replicas_run_for(c, 100);
    int64_t before_ns = c->clock.now_ns;

    replicas_append(c, 0, 0, 10, 100, -1, ERROR_NONE);

    assert_true(c->clock.now_ns - before_ns < 30 * INT64_C(1000000));
    for (int32_t node = 0; node < 3; node++)
        assert_int_equal(replicas_end(c, node, 0), 10);
    assert_true(replicas_settle(c, 0, 100));
    replicas_expect_equal(c, 0);
}

/* Far more than one answer may hold, in batches of all sizes. */
static void a_follower_that_was_away_catches_up(void **state)
{
    struct replicas *c = *state;
    replicas_make(c, 1, 0);
    replicas_stop(c, 2, true, false);
    replicas_elect(c, 0, 0, "01");
    for (int i = 1; i < 60; i++)
        replicas_append(c, 0, 0, i, (size_t)(i * 37), -1, ERROR_NONE);
    replicas_append(c, 0, 0, 1, 200000, -1, ERROR_NONE);
    assert_int_equal(c->isr_changes, 0);

    replicas_start(c, 2);

    assert_true(replicas_settle(c, 0, 5000));
    replicas_expect_equal(c, 0);
    replicas_run_for(c, 100);
    assert_int_equal(c->agreed[0].isr_count, 3);
}

/* With every answer checked on the pool, the next is asked for meanwhile, and goes behind it. */
static void a_follower_asks_ahead_while_it_checks(void **state)
{
    struct replicas *c = *state;
    c->fetching.early_bytes_max = 0;
    c->fetching.fetch_max_bytes = 3000;
    replicas_make(c, 1, 0);
    replicas_stop(c, 2, true, false);
    replicas_elect(c, 0, 0, "01");
    for (int i = 0; i < 120; i++)
        replicas_append(c, 0, 0, 2, 500, -1, ERROR_NONE);

    replicas_start(c, 2);

    assert_true(replicas_settle(c, 0, 5000));
    replicas_expect_equal(c, 0);
    assert_int_equal(fetchers_view(c->nodes[2].fetchers).failed, 0);
    replicas_run_for(c, 200);
    assert_int_equal(c->agreed[0].isr_count, 3);
    replicas_append(c, 0, 0, 1, 100, -1, ERROR_NONE);
    replicas_expect_equal(c, 0);
}

/* Far behind the high watermark a vote moves nothing: a request an answer, not two. */
static void a_follower_far_behind_does_not_vote_for_each_answer(void **state)
{
    struct replicas *c = *state;
    c->fetching.early_bytes_max = 0;
    c->fetching.fetch_max_bytes = 1500; /* A batch and a part of the next. */
    replicas_make(c, 1, 0);
    replicas_stop(c, 2, true, false);
    replicas_elect(c, 0, 0, "01");
    for (int i = 0; i < 100; i++)
        replicas_append(c, 0, 0, 2, 500, -1, ERROR_NONE);

    replicas_start(c, 2);

    assert_true(replicas_settle(c, 0, 5000));
    assert_in_range(fetchers_view(c->nodes[2].fetchers).requests, 90, 130);
    replicas_expect_equal(c, 0);
}

/* One answer is damaged while what is behind it is on its way: none of that is written before it.
 */
static void nothing_asked_for_ahead_is_written_behind_a_gap(void **state)
{
    struct replicas *c = *state;
    c->fetching.early_bytes_max = 0;
    c->fetching.fetch_max_bytes = 3000;
    replicas_make(c, 1, 0);
    for (int round = 0; round < 8; round++) {
        replicas_stop(c, 2, true, false);
        replicas_elect(c, 0, 0, "01");
        for (int i = 0; i < 40; i++)
            replicas_append(c, 0, 0, 2, 500, -1, ERROR_NONE);
        replicas_start(c, 2);
        replicas_run_for(c, 2 + round);
        c->damages = 1 + round % 3;
        assert_true(replicas_settle(c, 0, 10000));
        replicas_expect_equal(c, 0);
        c->damages = 0;
    }
}

/* A new leader, records deleted below, a leader that cuts off: all while answers are worked on. */
static void what_was_asked_for_ahead_of_an_old_leader_is_of_no_use(void **state)
{
    struct replicas *c = *state;
    c->config.min_insync_replicas = 1;
    c->fetching.early_bytes_max = 0;
    c->fetching.fetch_max_bytes = 2000;
    replicas_make(c, 1, 0);
    for (int round = 0; round < 12; round++) {
        int32_t leader = round % 2;
        replicas_stop(c, 2, true, false);
        replicas_elect(c, 0, leader, "01");
        for (int i = 0; i < 30; i++)
            replicas_append(c, leader, 0, 2, 500, 1, ERROR_NONE);
        replicas_run_for(c, 200);
        replicas_start(c, 2);
        replicas_run_for(c, 1 + round);
        if (round % 3 == 1) {
            int64_t low;
            (void)partition_delete_records(replicas_at(c, leader, 0),
                                           replicas_high_watermark(c, leader, 0) - 5, &low);
        }
        replicas_elect(c, 0, 1 - leader, "01");
        replicas_append(c, 1 - leader, 0, 1, 100, 1, ERROR_NONE);
        assert_true(replicas_settle(c, 0, 20000));
        replicas_expect_equal(c, 0);
    }
}

/* A cluster at rest: no request names anything, whatever the number of partitions. */
static void partitions_at_rest_cost_a_request_now_and_then(void **state)
{
    struct replicas *c = *state;
    replicas_make(c, 1000, 0);
    replicas_run_for(c, 5000);
    uint64_t before = c->nodes[1].calls_started;
    uint64_t bytes = c->records_bytes;

    replicas_run_for(c, 10000);

    assert_true(c->nodes[1].calls_started - before <= 21);
    assert_true(c->records_bytes - bytes < 42 * 40);
    assert_int_equal(simulated_storage_counters(c->nodes[1].disk).writes, 0);
    assert_int_equal(fetchers_view(c->nodes[1].fetchers).partitions, 1000);
}

/* KIP-101 and KIP-279 with everything between: leaders that append what nobody else gets, cut off
 * from each other, twice in a row. */
static void leaders_cut_off_in_a_row_end_with_one_log(void **state)
{
    struct replicas *c = *state;
    c->config.min_insync_replicas = 1;
    replicas_make(c, 1, 0);
    replicas_append(c, 0, 0, 3, 100, -1, ERROR_NONE);
    memset(c->cut, 1, sizeof c->cut);
    replicas_append(c, 0, 0, 4, 100, 1, ERROR_NONE);
    replicas_elect(c, 0, 1, "1");
    replicas_append(c, 1, 0, 2, 100, 1, ERROR_NONE);
    replicas_elect(c, 0, 0, "0");
    replicas_append(c, 0, 0, 2, 100, 1, ERROR_NONE);
    replicas_elect(c, 0, 1, "1");
    replicas_append(c, 1, 0, 1, 100, 1, ERROR_NONE);
    memset(c->cut, 0, sizeof c->cut);

    assert_true(replicas_settle(c, 0, 10000));

    replicas_expect_equal(c, 0);
    assert_int_equal(replicas_end(c, 0, 0), 6);
    replicas_run_for(c, 100);
    assert_int_equal(c->agreed[0].isr_count, 3);
}

/* A follower that hangs is taken out of the ISR, what waited is acknowledged, and it comes back. */
static void a_follower_that_hangs_leaves_the_isr_and_comes_back(void **state)
{
    struct replicas *c = *state;
    replicas_make(c, 1, 0);
    replicas_append(c, 0, 0, 1, 100, -1, ERROR_NONE);
    c->cut[2][0] = true;
    int64_t before_ns = c->clock.now_ns;
    replicas_append(c, 0, 0, 1, 100, -1, ERROR_NONE);
    assert_true(c->clock.now_ns - before_ns > REPLICAS_LAG_MS * INT64_C(1000000) / 2);
    assert_int_equal(c->agreed[0].isr_count, 2);

    c->cut[2][0] = false;

    assert_true(replicas_settle(c, 0, 10000));
    replicas_run_for(c, 1000);
    assert_int_equal(c->agreed[0].isr_count, 3);
    replicas_append(c, 0, 0, 1, 100, -1, ERROR_NONE);
    assert_true(replicas_settle(c, 0, 1000));
    replicas_expect_equal(c, 0);
}

/* Two hang: too few are left, and acks=all is told so at its timeout; acks=1 goes on. */
static void a_leader_left_alone_acknowledges_only_acks_one(void **state)
{
    struct replicas *c = *state;
    replicas_make(c, 1, 0);
    replicas_append(c, 0, 0, 1, 100, -1, ERROR_NONE);
    c->cut[1][0] = c->cut[2][0] = true;

    replicas_append(c, 0, 0, 1, 100, -1, ERROR_NOT_ENOUGH_REPLICAS_AFTER_APPEND);
    replicas_append(c, 0, 0, 1, 100, -1, ERROR_NOT_ENOUGH_REPLICAS);
    replicas_append(c, 0, 0, 1, 100, 1, ERROR_NONE);
    assert_int_equal(replicas_high_watermark(c, 0, 0), 1);
    c->cut[1][0] = c->cut[2][0] = false;

    assert_true(replicas_settle(c, 0, 10000));
    assert_int_equal(replicas_high_watermark(c, 2, 0), 3);
    replicas_expect_equal(c, 0);
}

/* A follower killed in the middle of catching up goes on from what it has. */
static void a_follower_killed_while_catching_up_goes_on(void **state)
{
    struct replicas *c = *state;
    replicas_make(c, 1, 0);
    replicas_stop(c, 2, true, false);
    replicas_elect(c, 0, 0, "01");
    for (int i = 0; i < 100; i++)
        replicas_append(c, 0, 0, 5, 2000, -1, ERROR_NONE);
    for (int round = 0; round < 6; round++) {
        replicas_start(c, 2);
        replicas_run_for(c, 12 + 3 * round);
        replicas_stop(c, 2, false, round % 2 == 0);
    }

    replicas_start(c, 2);

    assert_true(replicas_settle(c, 0, 10000));
    replicas_expect_equal(c, 0);
}

/* Only what is synced counts: a power cut of both followers takes nothing that was acknowledged. */
static void what_is_acknowledged_survives_a_power_cut_everywhere(void **state)
{
    struct replicas *c = *state;
    replicas_make(c, 1, 0);
    for (int i = 0; i < 20; i++)
        replicas_append(c, 0, 0, 3, 500, -1, ERROR_NONE);
    struct replicas_append unknown;
    replicas_append_start(c, 0, 0, &unknown, 3, 500, -1);
    for (int32_t node = 0; node < 3; node++)
        replicas_stop(c, node, false, true);
    buffer_unref(unknown.batch);
    for (int32_t node = 0; node < 3; node++)
        replicas_start(c, node);
    replicas_elect(c, 0, 1, "012");

    assert_true(replicas_settle(c, 0, 10000));

    assert_true(replicas_end(c, 1, 0) >= 60);
    replicas_expect_equal(c, 0);
}

/* The leader's log begins above the follower's end: it begins anew there. */
static void a_follower_below_the_leaders_start_begins_anew(void **state)
{
    struct replicas *c = *state;
    replicas_make(c, 1, 0);
    replicas_append(c, 0, 0, 3, 100, -1, ERROR_NONE);
    replicas_stop(c, 2, true, false);
    replicas_elect(c, 0, 0, "01");
    for (int i = 0; i < 10; i++)
        replicas_append(c, 0, 0, 3, 100, -1, ERROR_NONE);
    int64_t low;
    assert_int_equal(partition_delete_records(replicas_at(c, 0, 0), 20, &low), ERROR_NONE);

    replicas_start(c, 2);

    assert_true(replicas_settle(c, 0, 10000));
    struct partition_position position;
    assert_int_equal(partition_position(replicas_at(c, 2, 0), &position), ERROR_NONE);
    assert_int_equal(position.log_start_offset, 20);
    replicas_expect_equal(c, 0);
}

/* Deleted records go on the followers, too, and the leader learns that they are gone. */
static void deleted_records_go_on_every_replica(void **state)
{
    struct replicas *c = *state;
    replicas_make(c, 1, 0);
    for (int i = 0; i < 5; i++)
        replicas_append(c, 0, 0, 1, 100, -1, ERROR_NONE);
    assert_true(replicas_settle(c, 0, 1000));
    int64_t low;
    assert_int_equal(partition_delete_records(replicas_at(c, 0, 0), 3, &low), ERROR_NONE);
    assert_int_equal(partition_low_watermark(replicas_at(c, 0, 0)), 0);

    replicas_run_for(c, 100);

    assert_int_equal(partition_low_watermark(replicas_at(c, 0, 0)), 3);
}

/* Damage on the way is never written; it is asked for again. */
static void a_damaged_answer_is_never_written(void **state)
{
    struct replicas *c = *state;
    replicas_make(c, 1, 0);
    replicas_run_for(c, 100);
    c->damages = 3;

    replicas_append(c, 0, 0, 20, 300, -1, ERROR_NONE);

    assert_int_equal(c->damages, 0);
    assert_true(replicas_settle(c, 0, 5000));
    replicas_expect_equal(c, 0);
    assert_non_null(strstr(c->nodes[1].reported, "replica_fetch_failed orders-0;"));
}

/* A topic deleted and made again under its name shares nothing with the old one. */
static void a_topic_made_again_shares_nothing(void **state)
{
    struct replicas *c = *state;
    replicas_make(c, 2, 0);
    for (int i = 0; i < 10; i++)
        replicas_append(c, 0, 1, 5, 1000, -1, ERROR_NONE);
    struct replicas_append late;
    replicas_append_start(c, 0, 1, &late, 5, 1000, -1);
    replicas_run_for(c, 1);

    replicas_remake(c, 1);
    replicas_append(c, 1, 1, 1, 100, -1, ERROR_NONE);

    assert_true(replicas_settle(c, 1, 5000));
    assert_int_equal(replicas_end(c, 0, 1), 1);
    assert_int_equal(late.append.error, ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    replicas_expect_equal(c, 1);
    buffer_unref(late.batch);
}

/* A follower that hears of a new leader before that leader does asks again, soon. */
static void a_leader_that_hears_late_is_asked_again(void **state)
{
    struct replicas *c = *state;
    replicas_make(c, 1, 0);
    replicas_append(c, 0, 0, 1, 100, -1, ERROR_NONE);
    c->nodes[1].up = false;
    replicas_elect(c, 0, 1, "012");
    c->nodes[1].up = true;
    replicas_run_for(c, 200);
    replicas_tell(c, 1, 0);

    replicas_append(c, 1, 0, 1, 100, -1, ERROR_NONE);

    assert_true(replicas_settle(c, 0, 1000));
    replicas_expect_equal(c, 0);
}

/* Throttled, a follower takes no more than its rate; untrottled again, it takes the rest at once.
 */
static void a_throttled_follower_keeps_to_its_rate(void **state)
{
    struct replicas *c = *state;
    c->config.min_insync_replicas = 1;
    replicas_make(c, 1, 0);
    replicas_stop(c, 1, true, false);
    replicas_stop(c, 2, true, false);
    replicas_elect(c, 0, 0, "0");
    for (int i = 0; i < 100; i++)
        replicas_append(c, 0, 0, 1, 10000, 1, ERROR_NONE);
    c->throttles = true;
    c->fetching.throttled_rate = 100000;
    replicas_start(c, 2);
    replicas_run_for(c, 5000);
    int64_t taken = replicas_end(c, 2, 0);
    assert_true(taken >= 30 && taken <= 62);

    c->fetching.throttled_rate = INT64_MAX;
    fetchers_configure(c->nodes[2].fetchers, &c->fetching);

    replicas_run_for(c, 2000);
    assert_int_equal(replicas_end(c, 2, 0), 100);
    replicas_start(c, 1);
}

/* Any storage call of a follower that fails once is survived: the replica ends equal, or refuses
 * and says so until its node starts again. */
static void a_follower_survives_any_failing_storage_call(void **state)
{
    struct replicas *c = *state;
    c->config.min_insync_replicas = 1;
    replicas_make(c, 1, 0);
    bool met = true;
    for (long countdown = 0; met; countdown++) {
        assert_true(countdown < 300);
        struct simulated_fault fault = {
            .operations = SIMULATED_ANY, .error = ERROR_STORAGE, .countdown = countdown};
        simulated_storage_fail(c->nodes[2].disk, &fault);
        replicas_append(c, 0, 0, 3, 400, 1, ERROR_NONE);
        replicas_elect(c, 0, 0, "0");
        replicas_append(c, 0, 0, 3, 400, 1, ERROR_NONE);
        replicas_run_for(c, 300);
        met = simulated_storage_faults_met(c->nodes[2].disk) > 0;
        simulated_storage_fail_end(c->nodes[2].disk);
        replicas_stop(c, 2, false, false);
        replicas_start(c, 2);
        assert_true(replicas_settle(c, 0, 20000));
        replicas_expect_equal(c, 0);
    }
}

/* Memory refused anywhere, on either side: what failed is tried again, and the replicas end equal.
 */
static void replication_survives_refused_memory(void **state)
{
    struct replicas *c = *state;
    c->config.min_insync_replicas = 1;
    replicas_make(c, 2, 0);
    replicas_run_for(c, 100);
    for (long countdown = 0; countdown < 250; countdown++) {
        struct replicas_append append;
        replicas_append_start(c, 0, 0, &append, 3, 400, 1);
        if (countdown % 50 == 49)
            replicas_elect(c, 0, 0, "0");
        memory_fault_arm(countdown);
        replicas_run_for(c, 60);
        memory_fault_arm(-1);
        assert_int_equal(append.done, 1);
        buffer_unref(append.batch);
        assert_true(replicas_settle(c, 0, 20000));
    }
    replicas_expect_equal(c, 0);
}

#define FETCHER_TEST(name) cmocka_unit_test_setup_teardown(name, replicas_setup, replicas_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FETCHER_TEST(a_record_is_on_every_replica_before_acks_all_is_answered),
        FETCHER_TEST(a_follower_that_was_away_catches_up),
        FETCHER_TEST(a_follower_asks_ahead_while_it_checks),
        FETCHER_TEST(a_follower_far_behind_does_not_vote_for_each_answer),
        FETCHER_TEST(nothing_asked_for_ahead_is_written_behind_a_gap),
        FETCHER_TEST(what_was_asked_for_ahead_of_an_old_leader_is_of_no_use),
        FETCHER_TEST(partitions_at_rest_cost_a_request_now_and_then),
        FETCHER_TEST(leaders_cut_off_in_a_row_end_with_one_log),
        FETCHER_TEST(a_follower_that_hangs_leaves_the_isr_and_comes_back),
        FETCHER_TEST(a_leader_left_alone_acknowledges_only_acks_one),
        FETCHER_TEST(a_follower_killed_while_catching_up_goes_on),
        FETCHER_TEST(what_is_acknowledged_survives_a_power_cut_everywhere),
        FETCHER_TEST(a_follower_below_the_leaders_start_begins_anew),
        FETCHER_TEST(deleted_records_go_on_every_replica),
        FETCHER_TEST(a_damaged_answer_is_never_written),
        FETCHER_TEST(a_topic_made_again_shares_nothing),
        FETCHER_TEST(a_leader_that_hears_late_is_asked_again),
        FETCHER_TEST(a_throttled_follower_keeps_to_its_rate),
        FETCHER_TEST(a_follower_survives_any_failing_storage_call),
        FETCHER_TEST(replication_survives_refused_memory),
    };
    return cmocka_run_group_tests_name("fetcher", tests, NULL, NULL);
}
