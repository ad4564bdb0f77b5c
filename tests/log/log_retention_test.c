/* SPDX-License-Identifier: Apache-2.0 */
/* Which segments go, and what is left. */
#include "log/fixture.h"

static void filled(struct fixture *fixture)
{
    fixture_init(fixture, 71);
    fixture->config.segment_bytes = 1000;
    fixture->config.file_delete_delay_ms = 500;
    fixture_open(fixture, false, -1);
    for (int i = 0; i < 100; i++)
        fixture_append(fixture->log, 2, 0);
}

static uint32_t retain(struct fixture *fixture, int64_t now_ms)
{
    uint32_t deleted;
    assert_int_equal(log_retention(fixture->log, now_ms, &deleted), ERROR_NONE);
    return deleted;
}

/* retention.ms: segments whose newest record is older, up to the active one, which is rolled. */
static void old_segments_go(void **state)
{
    (void)state;
    struct fixture fixture;
    filled(&fixture);
    fixture.config.retention_ms = 1000;
    log_configure(fixture.log, &fixture.config);
    log_visible_advance(fixture.log, 200);
    int64_t newest = fixture_timestamp(199);
    assert_int_equal(retain(&fixture, SIMULATED_WALL_CLOCK_MS), 0);
    assert_true(retain(&fixture, newest + 100) > 0);
    int64_t start = log_start_offset(fixture.log);
    assert_true(start > 60 && start < 120);
    fixture_verify(fixture.log, start);
    (void)retain(&fixture, newest + 2000);
    assert_int_equal(log_start_offset(fixture.log), 200);
    assert_int_equal(log_size_bytes(fixture.log), 0);
    assert_int_equal(log_text_start(fixture.log), log_text_end(fixture.log));
    fixture_append(fixture.log, 3, 0);
    log_visible_advance(fixture.log, 203);
    assert_int_equal(log_text_end(fixture.log) - log_text_start(fixture.log),
                     fixture_text_between(200, 203));
    fixture_verify(fixture.log, 200);
    fixture_done(&fixture);
}

/* A clock that says 1970, or any time before the records, deletes none (reliability.md 100). */
static void a_clock_in_the_past_deletes_nothing(void **state)
{
    (void)state;
    struct fixture fixture;
    static const int64_t clocks_ms[] = {0, 1, -1, INT64_MIN / 2, 1000};
    filled(&fixture);
    fixture.config.retention_ms = 1000;
    log_configure(fixture.log, &fixture.config);
    log_visible_advance(fixture.log, 200);
    for (size_t i = 0; i < sizeof clocks_ms / sizeof clocks_ms[0]; i++)
        assert_int_equal(retain(&fixture, clocks_ms[i]), 0);
    assert_int_equal(log_start_offset(fixture.log), 0);
    fixture_verify(fixture.log, 0);
    fixture_done(&fixture);
}

/* retention.bytes: the newest segments that make up the size stay. */
static void large_logs_shrink(void **state)
{
    (void)state;
    struct fixture fixture;
    filled(&fixture);
    fixture.config.retention_bytes = 3500;
    log_configure(fixture.log, &fixture.config);
    log_visible_advance(fixture.log, 200);
    assert_true(retain(&fixture, SIMULATED_WALL_CLOCK_MS) > 0);
    assert_true(log_size_bytes(fixture.log) >= 3500);
    assert_true(log_size_bytes(fixture.log) < 4600);
    fixture_verify(fixture.log, log_start_offset(fixture.log));
    fixture_done(&fixture);
}

/* Nothing that is not visible goes, whatever its age. */
static void what_is_not_visible_stays(void **state)
{
    (void)state;
    struct fixture fixture;
    filled(&fixture);
    fixture.config.retention_ms = 0;
    fixture.config.retention_bytes = 0;
    log_configure(fixture.log, &fixture.config);
    assert_int_equal(retain(&fixture, INT64_MAX / 2), 0);
    log_visible_advance(fixture.log, 50);
    (void)retain(&fixture, INT64_MAX / 2);
    assert_true(log_start_offset(fixture.log) <= 50);
    assert_true(log_start_offset(fixture.log) > 0);
    fixture_verify(fixture.log, log_start_offset(fixture.log));
    fixture_done(&fixture);
}

/* Without "delete" only what DeleteRecords gave up goes. */
static void the_start_can_be_moved(void **state)
{
    (void)state;
    struct fixture fixture;
    filled(&fixture);
    fixture.config.delete_enabled = false;
    fixture.config.retention_ms = 0;
    log_configure(fixture.log, &fixture.config);
    log_visible_advance(fixture.log, 150);
    assert_int_equal(log_start_advance(fixture.log, 151), ERROR_OFFSET_OUT_OF_RANGE);
    assert_int_equal(retain(&fixture, INT64_MAX / 2), 0);
    assert_int_equal(log_start_advance(fixture.log, 101), ERROR_NONE);
    assert_int_equal(log_start_advance(fixture.log, 90), ERROR_NONE);
    assert_int_equal(log_start_offset(fixture.log), 101);
    assert_true(retain(&fixture, SIMULATED_WALL_CLOCK_MS) > 0);
    assert_int_equal(log_start_offset(fixture.log), 101);
    assert_int_equal(log_epoch_at(fixture.log, 101), 0);
    fixture_verify(fixture.log, 101);
    fixture_done(&fixture);
}

/* Files are renamed at once and removed after the delay, or when the log is opened again. */
static void files_go_after_the_delay(void **state)
{
    (void)state;
    static const char deleted[] = FIXTURE_DIRECTORY "/00000000000000000000.log.deleted";
    for (int reopen = 0; reopen < 2; reopen++) {
        struct fixture fixture;
        filled(&fixture);
        fixture.config.retention_bytes = 3500;
        log_configure(fixture.log, &fixture.config);
        log_visible_advance(fixture.log, 200);
        (void)retain(&fixture, SIMULATED_WALL_CLOCK_MS);
        uint64_t size;
        assert_non_null(simulated_storage_contents(fixture.disk, deleted, &size));
        int64_t now_ms = executor_monotonic_ms(fixture.executor);
        log_remove_deleted(fixture.log, now_ms + 499);
        assert_non_null(simulated_storage_contents(fixture.disk, deleted, &size));
        if (reopen) {
            int64_t start = log_start_offset(fixture.log);
            fixture_close(&fixture, false);
            fixture_open(&fixture, false, 0);
            assert_int_equal(log_start_offset(fixture.log), start);
        } else {
            log_remove_deleted(fixture.log, now_ms + 500);
        }
        assert_null(simulated_storage_contents(fixture.disk, deleted, &size));
        fixture_done(&fixture);
    }
}

/* Damage goes with its segment: what is behind it can be read then, and appended to. */
static void retention_takes_damage_along(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 95);
    fixture.config.segment_bytes = 700;
    fixture_open(&fixture, false, -1);
    for (int i = 0; i < 20; i++)
        fixture_append(fixture.log, 2, 0);
    assert_int_equal(fixture_sync(fixture.log), ERROR_NONE);
    fixture_close(&fixture, false);
    simulated_storage_rot(fixture.disk, FIXTURE_DIRECTORY "/00000000000000000000.log", 300, 1);
    fixture_open(&fixture, false, 0);
    int64_t damaged = log_damage(fixture.log).offset;
    assert_true(damaged >= 0 && damaged < 40);
    log_visible_advance(fixture.log, 40);
    fixture.config.retention_bytes = 900;
    log_configure(fixture.log, &fixture.config);

    uint32_t deleted = 0;
    assert_int_equal(log_retention(fixture.log, SIMULATED_WALL_CLOCK_MS, &deleted), ERROR_NONE);

    assert_true(deleted > 0);
    assert_int_equal(log_damage(fixture.log).offset, -1);
    int64_t start = log_start_offset(fixture.log);
    assert_true(start > damaged);
    enum error error;
    assert_int_equal(fixture_read_from(fixture.log, start, LOG_READ_VISIBLE, &error), 40);
    assert_int_equal(error, ERROR_NONE);
    fixture_append(fixture.log, 1, 0);
    log_visible_advance(fixture.log, 41);
    assert_int_equal(fixture_read_from(fixture.log, start, LOG_READ_VISIBLE, &error), 41);
    fixture_done(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(old_segments_go),
        cmocka_unit_test(large_logs_shrink),
        cmocka_unit_test(what_is_not_visible_stays),
        cmocka_unit_test(the_start_can_be_moved),
        cmocka_unit_test(a_clock_in_the_past_deletes_nothing),
        cmocka_unit_test(files_go_after_the_delay),
        cmocka_unit_test(retention_takes_damage_along),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
