/* SPDX-License-Identifier: Apache-2.0 */
/* The visible offset: moved by the ring without I/O, and by the index after opening. */
#include "log/fixture.h"

static int64_t visible_end(struct log *log)
{
    enum error error;
    int64_t reached = fixture_read_from(log, log_start_offset(log), LOG_READ_VISIBLE, &error);
    assert_int_equal(error, ERROR_NONE);
    return reached;
}

/* Moving it over batches appended since open reads nothing. */
static void moving_it_costs_no_io(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 51);
    fixture.config.segment_bytes = 2000;
    fixture_open(&fixture, false, -1);
    int64_t ends[100];
    for (int i = 0; i < 100; i++) {
        fixture_append(fixture.log, 1 + i % 5, 0);
        ends[i] = log_end_offset(fixture.log);
    }
    for (int i = 0; i < 100; i++) {
        uint64_t calls = simulated_storage_counters(fixture.disk).calls;
        log_visible_advance(fixture.log, ends[i]);
        assert_int_equal(simulated_storage_counters(fixture.disk).calls, calls);
        assert_int_equal(log_visible_offset(fixture.log), ends[i]);
        assert_int_equal(visible_end(fixture.log), ends[i]);
    }
    fixture_done(&fixture);
}

/* After opening nothing is visible until declared, then any offset is found, in any steps. */
static void any_offset_is_found_after_opening(void **state)
{
    (void)state;
    for (int step = 1; step < 40; step += 3) {
        struct fixture fixture;
        fixture_init(&fixture, 52);
        fixture.config.segment_bytes = 2000;
        fixture.config.index_interval_bytes = 200;
        fixture_open(&fixture, false, -1);
        for (int i = 0; i < 60; i++)
            fixture_append(fixture.log, 3, 0);
        assert_int_equal(fixture_sync(fixture.log), ERROR_NONE);
        fixture_close(&fixture, true);
        fixture_open(&fixture, true, 180);
        assert_int_equal(log_visible_offset(fixture.log), 0);
        assert_int_equal(visible_end(fixture.log), 0);
        for (int i = 0; i < 10; i++)
            fixture_append(fixture.log, 3, 0);
        for (int64_t offset = step; offset <= 210; offset += step) {
            log_visible_advance(fixture.log, offset);
            assert_int_equal(log_visible_offset(fixture.log), offset);
            assert_int_equal(visible_end(fixture.log), offset / 3 * 3); /* Whole batches. */
            assert_int_equal(log_text_end(fixture.log), fixture_text_between(0, offset / 3 * 3));
        }
        log_visible_advance(fixture.log, 5); /* Never back. */
        assert_true(log_visible_offset(fixture.log) > 100);
        log_visible_advance(fixture.log, 1000); /* Never beyond the end. */
        assert_int_equal(log_visible_offset(fixture.log), 210);
        fixture_done(&fixture);
    }
}

/* A log whose visible offset never moves does not collect memory for ever. */
static void the_ring_is_bounded(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 53);
    fixture_open(&fixture, false, -1);
    struct buffer *batch = fixture_batch(0, 1, CODEC_NONE);
    struct batch_facts facts = {.text_bytes = (uint64_t)fixture_text_size(0)};
    for (int i = 0; i < 70000; i++) {
        int64_t base;
        assert_int_equal(log_append(fixture.log, batch->data, batch->size, &facts, 0, &base),
                         ERROR_NONE);
    }
    log_visible_advance(fixture.log, 65530);
    assert_int_equal(log_text_end(fixture.log), 65530 * fixture_text_size(0));
    log_visible_advance(fixture.log, 65540);
    assert_int_equal(log_text_end(fixture.log), 65540 * fixture_text_size(0));
    log_visible_advance(fixture.log, 69999);
    assert_int_equal(log_text_end(fixture.log), 69999 * fixture_text_size(0));
    buffer_unref(batch);
    fixture_done(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moving_it_costs_no_io),
        cmocka_unit_test(any_offset_is_found_after_opening),
        cmocka_unit_test(the_ring_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
