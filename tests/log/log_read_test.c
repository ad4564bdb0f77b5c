/* SPDX-License-Identifier: Apache-2.0 */
/* Reads: their limits, their sizes, what they cost. */
#include "log/fixture.h"

/* Out of range below the start and above the end; empty at the end. */
static void reads_are_within_start_and_end(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 41);
    fixture_open(&fixture, false, -1);
    for (int i = 0; i < 10; i++)
        fixture_append(fixture.log, 3, 0);
    log_visible_advance(fixture.log, 15);
    assert_int_equal(log_start_advance(fixture.log, 6), ERROR_NONE);
    struct log_slice slice;
    assert_int_equal(log_read(fixture.log, 5, 100, true, LOG_READ_END, &slice),
                     ERROR_OFFSET_OUT_OF_RANGE);
    assert_int_equal(log_read(fixture.log, 31, 100, true, LOG_READ_END, &slice),
                     ERROR_OFFSET_OUT_OF_RANGE);
    assert_int_equal(log_read(fixture.log, 30, 100, true, LOG_READ_END, &slice), ERROR_NONE);
    assert_null(slice.segment);
    assert_int_equal(log_read(fixture.log, 15, 100, true, LOG_READ_VISIBLE, &slice), ERROR_NONE);
    assert_null(slice.segment);
    enum error error;
    assert_int_equal(fixture_read_from(fixture.log, 6, LOG_READ_VISIBLE, &error), 15);
    assert_int_equal(fixture_read_from(fixture.log, 6, LOG_READ_END, &error), 30);
    fixture_done(&fixture);
}

/* The first batch comes whole when asked, else what max_bytes allows. */
static void sizes_are_as_asked(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 42);
    fixture_open(&fixture, false, -1);
    fixture_append(fixture.log, 3, 0);
    int64_t first = log_size_bytes(fixture.log);
    fixture_append(fixture.log, 3, 0);
    struct log_slice slice;
    assert_int_equal(log_read(fixture.log, 1, 10, true, LOG_READ_END, &slice), ERROR_NONE);
    assert_int_equal(slice.size, first);
    assert_int_equal(slice.base_offset, 0);
    log_slice_release(&slice);
    assert_int_equal(log_read(fixture.log, 1, 10, false, LOG_READ_END, &slice), ERROR_NONE);
    assert_int_equal(slice.size, 10);
    log_slice_release(&slice);
    assert_int_equal(log_read(fixture.log, 1, 0, false, LOG_READ_END, &slice), ERROR_NONE);
    assert_null(slice.segment);
    assert_int_equal(log_read(fixture.log, 0, 1 << 20, false, LOG_READ_END, &slice), ERROR_NONE);
    assert_int_equal(slice.size, log_size_bytes(fixture.log));
    log_slice_release(&slice);
    log_visible_advance(fixture.log, 6);
    assert_int_equal(log_visible_bytes_after(fixture.log, 0), log_size_bytes(fixture.log));
    assert_int_equal(log_visible_bytes_after(fixture.log, 3), log_size_bytes(fixture.log) - first);
    assert_int_equal(log_visible_bytes_after(fixture.log, 6), 0);
    fixture_done(&fixture);
}

/* Who reads behind the writer costs one header read a time. */
static void reading_at_the_tail_costs_one_read(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 43);
    fixture_open(&fixture, false, -1);
    for (int i = 0; i < 1000; i++) {
        fixture_append(fixture.log, 2, 0);
        log_visible_advance(fixture.log, log_end_offset(fixture.log));
        struct simulated_counters before = simulated_storage_counters(fixture.disk);
        struct log_slice slice;
        assert_int_equal(log_read(fixture.log, 2 * i, 1 << 20, true, LOG_READ_VISIBLE, &slice),
                         ERROR_NONE);
        assert_int_equal(slice.base_offset, 2 * i);
        log_slice_release(&slice);
        struct simulated_counters after = simulated_storage_counters(fixture.disk);
        assert_true(after.reads - before.reads <= 1);
        assert_int_equal(after.opens, before.opens);
    }
    fixture_done(&fixture);
}

/* A slice is readable after its segment was deleted and after the log was closed. */
static void a_slice_outlives_its_segment(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 44);
    fixture.config.segment_bytes = 1000;
    fixture.config.retention_bytes = 1000;
    fixture.config.file_delete_delay_ms = 0;
    fixture_open(&fixture, false, -1);
    for (int i = 0; i < 60; i++)
        fixture_append(fixture.log, 3, 0);
    log_visible_advance(fixture.log, log_end_offset(fixture.log));
    struct log_slice slice;
    assert_int_equal(log_read(fixture.log, 0, 100, true, LOG_READ_VISIBLE, &slice), ERROR_NONE);
    uint32_t deleted;
    assert_int_equal(log_retention(fixture.log, SIMULATED_WALL_CLOCK_MS, &deleted), ERROR_NONE);
    assert_true(deleted > 0);
    log_remove_deleted(fixture.log, INT64_MAX);
    fixture_close(&fixture, false);
    uint8_t bytes[100];
    size_t size;
    assert_int_equal(storage_read(slice.file, slice.position, bytes, sizeof bytes, &size),
                     ERROR_NONE);
    struct batch_header header;
    assert_int_equal(batch_header_peek(bytes, size, &header), ERROR_NONE);
    assert_int_equal(header.base_offset, 0);
    log_slice_release(&slice);
    fixture_done(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_are_within_start_and_end),
        cmocka_unit_test(sizes_are_as_asked),
        cmocka_unit_test(reading_at_the_tail_costs_one_read),
        cmocka_unit_test(a_slice_outlives_its_segment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
