/* SPDX-License-Identifier: Apache-2.0 */
/* Logs that part and are made one again: by epochs alone. */
#include "pair_fixture.h"

#include <cmocka.h>

/* A deposed leader's tail, which nobody else has, goes; what it shares with the new leader stays.
 */
static void a_deposed_leaders_tail_goes(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *a = pair_lead(f, 'a', 1);
    struct partition *b = pair_follow(f, 'b', 1);
    pair_append(f, a, 5);
    (void)pair_replicate(f, a, b);
    pair_append(f, a, 3);
    b = pair_lead(f, 'b', 2);
    pair_append(f, b, 4);
    a = pair_follow(f, 'a', 2);

    assert_int_equal(pair_replicate(f, b, a), 1);

    pair_expect_equal(a, b);
    assert_int_equal(fixture_end(a), 9);
}

/* KIP-101, scenario 1: a follower restarts with an old high watermark and must not cut what its
 * leader has; when it is then elected nothing is lost. */
static void an_old_high_watermark_cuts_nothing(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *a = pair_lead(f, 'a', 1);
    struct partition *b = pair_follow(f, 'b', 1);
    pair_append(f, a, 2);
    assert_true(pair_fetch(f, a, b));
    fixture_close(f, false);
    fixture_open(f);
    a = pair_lead(f, 'a', 1);
    b = pair_follow(f, 'b', 1);
    partition_table_recover(f->table);

    assert_int_equal(pair_replicate(f, a, b), 0);
    b = pair_lead(f, 'b', 2);

    assert_int_equal(fixture_end(b), 2);
}

/* KIP-101, scenario 2: both went down, the one with less comes up first and leads on; the logs hold
 * different records at the same offset, and the epochs tell. */
static void different_records_at_one_offset_are_told_by_their_epochs(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *a = pair_lead(f, 'a', 1);
    struct partition *b = pair_follow(f, 'b', 1);
    pair_append(f, a, 1);
    (void)pair_replicate(f, a, b);
    pair_append(f, a, 1);
    b = pair_lead(f, 'b', 2);
    pair_append(f, b, 1);
    assert_int_equal(fixture_end(a), fixture_end(b));
    a = pair_follow(f, 'a', 2);

    assert_int_equal(pair_replicate(f, b, a), 1);

    pair_expect_equal(a, b);
}

/* KIP-279: two leader changes in a row leave epochs on each side that the other does not know; one
 * answer is not enough. */
static void two_fast_leader_changes_take_more_than_one_round(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *a = pair_lead(f, 'a', 1);
    struct partition *b = pair_follow(f, 'b', 1);
    pair_append(f, a, 3);
    (void)pair_replicate(f, a, b);
    pair_append(f, a, 4); /* a: epoch 1 up to 7. */
    b = pair_lead(f, 'b', 2);
    pair_append(f, b, 2); /* b: epoch 2 from 3 to 5. */
    a = pair_lead(f, 'a', 3);
    pair_append(f, a, 2); /* a: epoch 3 from 7 to 9. */
    b = pair_lead(f, 'b', 4);
    pair_append(f, b, 1); /* b: epoch 4 from 5 to 6. */
    a = pair_follow(f, 'a', 4);

    int truncations = pair_replicate(f, b, a);

    assert_true(truncations >= 2);
    pair_expect_equal(a, b);
    assert_int_equal(fixture_end(a), 6);
}

/* A leader that led an epoch without a record of it leaves no trace in the others' way. */
static void an_epoch_without_records_is_no_divergence(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *a = pair_lead(f, 'a', 1);
    struct partition *b = pair_follow(f, 'b', 1);
    pair_append(f, a, 3);
    (void)pair_replicate(f, a, b);
    b = pair_lead(f, 'b', 2);
    a = pair_lead(f, 'a', 3);
    pair_append(f, a, 1);
    b = pair_follow(f, 'b', 3);

    assert_int_equal(pair_replicate(f, a, b), 0);

    pair_expect_equal(a, b);
}

/* A leader knows its own epoch before the first record of it: its followers' last epoch ends where
 * it began. */
static void a_leader_answers_for_its_epoch_before_its_first_record(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *a = pair_lead(f, 'a', 1);
    pair_append(f, a, 3);
    a = pair_lead(f, 'a', 5);
    const struct {
        int32_t asked, epoch;
        int64_t end;
    } cases[] = {{0, 0, 0}, {1, 1, 3}, {3, 1, 3}, {5, 5, 3}, {6, -1, -1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int32_t epoch;
        int64_t end;
        assert_int_equal(partition_epoch_end(a, cases[i].asked, &epoch, &end), ERROR_NONE);
        assert_int_equal(epoch, cases[i].epoch);
        assert_int_equal(end, cases[i].end);
    }
}

/* After an unclean election committed records go, and the operator is told. */
static void what_an_unclean_election_gave_up_is_cut_and_reported(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *a = pair_lead(f, 'a', 1);
    struct partition *b = pair_follow(f, 'b', 1);
    pair_append(f, a, 3);
    (void)pair_replicate(f, a, b);
    pair_append(f, a, 3);
    assert_int_equal(fixture_high_watermark(a), 6);
    b = pair_lead(f, 'b', 2);
    pair_append(f, b, 1);
    a = pair_follow(f, 'a', 2);

    (void)pair_replicate(f, b, a);

    pair_expect_equal(a, b);
    assert_int_equal(fixture_high_watermark(a), 4);
    assert_string_equal(f->reported, "committed_records_given_up a-0;");
}

/* The next open believes the recovery point: it must not lie above what was cut. */
static void a_recovery_point_above_the_cut_is_checkpointed_away(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *a = pair_lead(f, 'a', 1);
    struct partition *b = pair_follow(f, 'b', 1);
    pair_append(f, a, 3);
    (void)pair_replicate(f, a, b);
    pair_append(f, a, 10);
    simulated_executor_run_for(f->events, 61000);
    assert_int_equal(log_directory_recovery_point(f->directory, "a", 0), 13);
    b = pair_lead(f, 'b', 2);
    a = pair_follow(f, 'a', 2);
    (void)pair_replicate(f, b, a);
    assert_int_equal(fixture_end(a), 3);
    simulated_storage_power_off(f->disk);
    fixture_close(f, false);
    simulated_storage_crash_losing_all(f->disk);

    fixture_open(f);
    assert_true(log_directory_recovery_point(f->directory, "a", 0) <= 3);
    a = pair_follow(f, 'a', 2);
    partition_table_recover(f->table);

    assert_int_equal(fixture_end(a), 3);
    assert_int_equal(partition_role(a), PARTITION_FOLLOWER);
}

/* A leader whose log begins above our end leaves us nothing to keep. */
static void a_follower_below_the_leaders_start_begins_anew(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *a = pair_lead(f, 'a', 1);
    struct partition *b = pair_follow(f, 'b', 1);
    pair_append(f, a, 3);
    (void)pair_replicate(f, a, b);
    pair_append(f, a, 7);
    int64_t low;
    assert_int_equal(partition_delete_records(a, 8, &low), ERROR_NONE);

    (void)pair_replicate(f, a, b);

    struct partition_position position;
    assert_int_equal(partition_position(b, &position), ERROR_NONE);
    assert_int_equal(position.log_start_offset, 8);
    pair_expect_equal(a, b);
}

/* An answer that would change nothing is refused instead of asked for again and again. */
static void an_answer_without_sense_is_refused(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *a = pair_lead(f, 'a', 1);
    pair_append(f, a, 3);
    a = pair_follow(f, 'a', 2);
    struct partition_divergence same = {.epoch = 1, .end_offset = 3};
    struct partition_divergence none = {.epoch = -1, .end_offset = 0};

    assert_int_equal(pair_truncate(f, a, 2, same), ERROR_CORRUPT_MESSAGE);
    assert_int_equal(pair_truncate(f, a, 2, none), ERROR_CORRUPT_MESSAGE);

    assert_int_equal(fixture_end(a), 3);
}

/* Who follows another epoch by now, or leads, keeps its log as it is. */
static void a_truncation_for_another_epoch_is_fenced(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *a = pair_lead(f, 'a', 1);
    pair_append(f, a, 3);
    struct partition_divergence divergence = {.epoch = 0, .end_offset = 0};
    assert_int_equal(pair_truncate(f, a, 1, divergence), ERROR_FENCED_LEADER_EPOCH);
    a = pair_follow(f, 'a', 3);

    assert_int_equal(pair_truncate(f, a, 2, divergence), ERROR_FENCED_LEADER_EPOCH);
    assert_int_equal(pair_reset(f, a, 2, 7), ERROR_FENCED_LEADER_EPOCH);

    assert_int_equal(fixture_end(a), 3);
}

/* A disk that refuses any one step of a truncation leaves a log that is right or refuses, and one
 * that is right once it was opened again. */
static void a_truncation_survives_any_failing_call(void **state)
{
    struct partition_fixture *f = *state;
    bool failed = true;
    for (long countdown = 0; failed; countdown++) {
        assert_true(countdown < 200);
        fixture_close(f, true);
        simulated_storage_free(f->disk);
        f->disk = simulated_storage_new(1);
        fixture_open(f);
        struct partition *a = pair_lead(f, 'a', 1);
        struct partition *b = pair_follow(f, 'b', 1);
        pair_append(f, a, 3);
        (void)pair_replicate(f, a, b);
        pair_append(f, a, 3);
        b = pair_lead(f, 'b', 2);
        pair_append(f, b, 2);
        a = pair_follow(f, 'a', 2);
        struct simulated_fault fault = {
            .operations = SIMULATED_ANY, .error = ERROR_STORAGE, .countdown = countdown};
        simulated_storage_fail(f->disk, &fault);
        struct partition_divergence divergence = {.epoch = 1, .end_offset = 3};

        (void)pair_truncate(f, a, 2, divergence);

        failed = simulated_storage_faults_met(f->disk) > 0;
        simulated_storage_fail_end(f->disk);
        fixture_close(f, false);
        fixture_open(f);
        a = pair_follow(f, 'a', 2);
        b = pair_lead(f, 'b', 2);
        partition_table_recover(f->table);
        (void)pair_replicate(f, b, a);
        pair_expect_equal(a, b);
    }
}

#define TRUNCATION_TEST(name)                                                                      \
    cmocka_unit_test_setup_teardown(name, partition_fixture_setup, partition_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TRUNCATION_TEST(a_deposed_leaders_tail_goes),
        TRUNCATION_TEST(an_old_high_watermark_cuts_nothing),
        TRUNCATION_TEST(different_records_at_one_offset_are_told_by_their_epochs),
        TRUNCATION_TEST(two_fast_leader_changes_take_more_than_one_round),
        TRUNCATION_TEST(an_epoch_without_records_is_no_divergence),
        TRUNCATION_TEST(a_leader_answers_for_its_epoch_before_its_first_record),
        TRUNCATION_TEST(what_an_unclean_election_gave_up_is_cut_and_reported),
        TRUNCATION_TEST(a_recovery_point_above_the_cut_is_checkpointed_away),
        TRUNCATION_TEST(a_follower_below_the_leaders_start_begins_anew),
        TRUNCATION_TEST(an_answer_without_sense_is_refused),
        TRUNCATION_TEST(a_truncation_for_another_epoch_is_fenced),
        TRUNCATION_TEST(a_truncation_survives_any_failing_call),
    };
    return cmocka_run_group_tests_name("truncation", tests, NULL, NULL);
}
