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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sync_costs_what_it_must),
        cmocka_unit_test(a_sync_covers_what_was_there_when_it_began),
        cmocka_unit_test(many_segments_take_several_syncs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
