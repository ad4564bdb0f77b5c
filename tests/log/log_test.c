/* SPDX-License-Identifier: Apache-2.0 */
/* A log opened, filled, closed and opened again. */
#include "log/fixture.h"

/* What was appended is read back, across segments, in pieces of any size. */
static void appended_batches_are_read_back(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 1);
    fixture.config.segment_bytes = 20000;
    fixture_open(&fixture, false, -1);

    for (int i = 0; i < 200; i++)
        fixture_append(fixture.log, 1 + i % 13, i / 50);

    assert_true(log_segment_count(fixture.log) > 2);
    for (int64_t from = 0; from < log_end_offset(fixture.log); from += 17)
        fixture_verify(fixture.log, from);
    assert_int_equal(log_epoch_latest(fixture.log), 3);
    fixture_close(&fixture, true);
    fixture_done(&fixture);
}

/* A clean stop and start keeps everything and reads next to nothing. */
static void clean_reopening_keeps_everything(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 2);
    fixture.config.segment_bytes = 20000;
    fixture_open(&fixture, false, -1);
    for (int i = 0; i < 600; i++)
        fixture_append(fixture.log, 1 + i % 13, i / 200);
    int64_t end = log_end_offset(fixture.log);
    assert_int_equal(fixture_sync(fixture.log), ERROR_NONE);
    fixture_close(&fixture, true);

    uint64_t read = simulated_storage_counters(fixture.disk).bytes_read;
    fixture_open(&fixture, true, end);
    read = simulated_storage_counters(fixture.disk).bytes_read - read;

    assert_true(read < 40000);
    assert_true(log_size_bytes(fixture.log) > 100000);
    assert_int_equal(log_end_offset(fixture.log), end);
    fixture_verify(fixture.log, 0);
    log_visible_advance(fixture.log, end);
    assert_int_equal(log_text_end(fixture.log), fixture_text_between(0, end));
    fixture_append(fixture.log, 3, 3);
    fixture_verify(fixture.log, 0);
    fixture_close(&fixture, true);
    fixture_done(&fixture);
}

/* A kill without a clean stop: the log is scanned and is what it was. */
static void unclean_reopening_keeps_everything(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 3);
    fixture.config.segment_bytes = 20000;
    fixture_open(&fixture, false, -1);
    for (int i = 0; i < 200; i++)
        fixture_append(fixture.log, 1 + i % 13, i / 50);
    int64_t end = log_end_offset(fixture.log);
    log_discard(fixture.log);
    simulated_storage_kill(fixture.disk);

    fixture_open(&fixture, false, -1);

    assert_int_equal(log_end_offset(fixture.log), end);
    assert_int_equal(log_damage(fixture.log).offset, -1);
    fixture_verify(fixture.log, 0);
    log_visible_advance(fixture.log, end);
    assert_int_equal(log_text_end(fixture.log), fixture_text_between(0, end));
    fixture_close(&fixture, true);
    fixture_done(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appended_batches_are_read_back),
        cmocka_unit_test(clean_reopening_keeps_everything),
        cmocka_unit_test(unclean_reopening_keeps_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
