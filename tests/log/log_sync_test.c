/* SPDX-License-Identifier: Apache-2.0 */
/* What a sync covers, and what it costs. */
#include "log/fixture.h"

/* Nothing to sync: no call; one batch: one sync of one file. */
static void a_sync_costs_what_it_must(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 111);
    fixture_open(&fixture, false, -1);
    assert_int_equal(fixture_sync(fixture.log), ERROR_NONE); /* Files and directories made. */
    fixture_append(fixture.log, 1, 0);
    assert_int_equal(fixture_sync(fixture.log), ERROR_NONE);
    struct log_sync sync = {0};
    assert_false(log_sync_begin(fixture.log, &sync));
    fixture_append(fixture.log, 1, 0);
    struct simulated_counters before = simulated_storage_counters(fixture.disk);
    assert_int_equal(fixture_sync(fixture.log), ERROR_NONE);
    struct simulated_counters after = simulated_storage_counters(fixture.disk);
    assert_int_equal(after.syncs - before.syncs, 1);
    assert_int_equal(after.calls - before.calls, 1);
    assert_int_equal(log_synced_offset(fixture.log), 2);
    fixture_done(&fixture);
}

/* What is appended while a sync is under way is not covered by it. */
static void a_sync_covers_what_was_there_when_it_began(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 112);
    fixture_open(&fixture, false, -1);
    fixture_append(fixture.log, 5, 0);
    struct log_sync sync = {0};
    assert_true(log_sync_begin(fixture.log, &sync));
    fixture_append(fixture.log, 5, 0);
    log_sync_run(&sync);
    assert_int_equal(log_sync_end(fixture.log, &sync), ERROR_NONE);
    assert_int_equal(log_synced_offset(fixture.log), 5);
    assert_int_equal(fixture_sync(fixture.log), ERROR_NONE);
    assert_int_equal(log_synced_offset(fixture.log), 10);
    fixture_done(&fixture);
}

/* More segments than one sync takes: several, each with its own end. */
static void many_segments_take_several_syncs(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 113);
    fixture.config.segment_bytes = 300;
    fixture_open(&fixture, false, -1);
    for (int i = 0; i < 60; i++)
        fixture_append(fixture.log, 2, 0);
    assert_true(log_segment_count(fixture.log) > 16);
    struct log_sync sync = {0};
    assert_true(log_sync_begin(fixture.log, &sync));
    log_sync_run(&sync);
    assert_int_equal(log_sync_end(fixture.log, &sync), ERROR_NONE);
    int64_t synced = log_synced_offset(fixture.log);
    assert_true(synced > 0 && synced < 120);
    assert_true(log_recovery_point(fixture.log) <= synced);
    assert_int_equal(fixture_sync(fixture.log), ERROR_NONE);
    assert_int_equal(log_synced_offset(fixture.log), 120);
    assert_int_equal(log_recovery_point(fixture.log), 120);
    log_discard(fixture.log);
    simulated_storage_crash_losing_all(fixture.disk);
    fixture_open(&fixture, false, 120);
    assert_int_equal(fixture_verify(fixture.log, 0), 120);
    fixture_done(&fixture);
}

/* Written back and synced as a whole, a log is as if it had been synced alone: records, sealed
 * indexes, names. */
static void a_sync_of_everything_takes_a_log_along(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 114);
    simulated_storage_syncs_all(fixture.disk, true);
    fixture.config.segment_bytes = 700;
    fixture_open(&fixture, false, -1);
    for (int i = 0; i < 20; i++)
        fixture_append(fixture.log, 2, 0);
    uint64_t syncs = simulated_storage_counters(fixture.disk).syncs;
    struct log_sync sync = {0};
    assert_true(log_sync_begin(fixture.log, &sync));
    log_sync_write_back(&sync, false);
    log_sync_write_back(&sync, true);
    assert_int_equal(sync.error, ERROR_NONE);
    assert_int_equal(storage_sync_all(fixture.storage), ERROR_NONE);
    assert_int_equal(log_sync_end(fixture.log, &sync), ERROR_NONE);
    assert_int_equal(log_synced_offset(fixture.log), 40);
    assert_int_equal(log_recovery_point(fixture.log), 40);
    assert_int_equal(simulated_storage_counters(fixture.disk).syncs, syncs);
    log_discard(fixture.log);
    simulated_storage_crash_losing_all(fixture.disk);
    fixture_open(&fixture, false, 40);
    assert_int_equal(log_damage(fixture.log).offset, -1);
    assert_int_equal(fixture_verify(fixture.log, 0), 40);
    fixture_done(&fixture);
}

/* Any file of the log that cannot be written back fails the log, for good. */
static void a_failed_write_back_fails_the_log(void **state)
{
    (void)state;
    for (long nth = 0; nth < 8; nth++) {
        struct fixture fixture;
        fixture_init(&fixture, 115);
        simulated_storage_syncs_all(fixture.disk, true);
        fixture.config.segment_bytes = 700;
        fixture_open(&fixture, false, -1);
        for (int i = 0; i < 20; i++)
            fixture_append(fixture.log, 2, 0);
        struct log_sync sync = {0};
        assert_true(log_sync_begin(fixture.log, &sync));
        struct simulated_fault fault = {
            .operations = SIMULATED_SYNC, .countdown = nth, .error = ERROR_STORAGE};
        simulated_storage_fail(fixture.disk, &fault);
        log_sync_write_back(&sync, false);
        log_sync_write_back(&sync, true);
        assert_int_equal(sync.error, ERROR_STORAGE);
        assert_int_equal(log_sync_end(fixture.log, &sync), ERROR_STORAGE);
        assert_int_equal(log_synced_offset(fixture.log), 0);
        assert_int_equal(fixture_try_append(fixture.log, 1, 0), ERROR_STORAGE);
        fixture_done(&fixture);
    }
}

/* A finished log is closed without another sync after the one that covered it, and the next open
 * trusts it after a power cut. */
static void a_finished_log_is_closed_without_a_sync(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 116);
    fixture.config.index_interval_bytes = 150;
    fixture_open(&fixture, false, -1);
    for (int i = 0; i < 20; i++)
        fixture_append(fixture.log, 2, 0);
    log_finish(fixture.log);
    assert_int_equal(fixture_sync(fixture.log), ERROR_NONE);
    struct simulated_counters before = simulated_storage_counters(fixture.disk);
    fixture_close(&fixture, true);
    struct simulated_counters after = simulated_storage_counters(fixture.disk);
    assert_int_equal(after.calls, before.calls);
    simulated_storage_crash_losing_all(fixture.disk);
    fixture_open(&fixture, true, 40);
    assert_int_equal(simulated_storage_counters(fixture.disk).writes, after.writes);
    assert_int_equal(fixture_verify(fixture.log, 0), 40);
    fixture_done(&fixture);
}

/* Finished too early, a log goes on as any other. */
static void a_finished_log_can_be_appended_to(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 117);
    fixture.config.index_interval_bytes = 150;
    fixture_open(&fixture, false, -1);
    for (int i = 0; i < 20; i++) {
        fixture_append(fixture.log, 2, 0);
        log_finish(fixture.log);
    }
    fixture_append(fixture.log, 2, 0);
    assert_int_equal(fixture_sync(fixture.log), ERROR_NONE);
    fixture_close(&fixture, true);
    fixture_open(&fixture, true, 42);
    assert_int_equal(fixture_verify(fixture.log, 0), 42);
    log_visible_advance(fixture.log, 42);
    assert_int_equal(log_text_end(fixture.log), fixture_text_between(0, 42));
    fixture_done(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sync_costs_what_it_must),
        cmocka_unit_test(a_sync_covers_what_was_there_when_it_began),
        cmocka_unit_test(many_segments_take_several_syncs),
        cmocka_unit_test(a_sync_of_everything_takes_a_log_along),
        cmocka_unit_test(a_failed_write_back_fails_the_log),
        cmocka_unit_test(a_finished_log_is_closed_without_a_sync),
        cmocka_unit_test(a_finished_log_can_be_appended_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
