/* SPDX-License-Identifier: Apache-2.0 */
/* The text view: positions to batches, offsets to positions, start and end. */
#include "log/fixture.h"

#include "record/walk.h"

static void filled(struct fixture *fixture, int batches)
{
    fixture_init(fixture, 21);
    fixture->config.segment_bytes = 2500;
    fixture->config.index_interval_bytes = 300;
    fixture_open(fixture, false, -1);
    for (int i = 0; i < batches; i++)
        fixture_append(fixture->log, 1 + i % 9, 0);
    log_visible_advance(fixture->log, log_end_offset(fixture->log));
}

/* The location's first batch begins at its text position and holds the one asked for. */
static void location_check(struct log *log, uint64_t text)
{
    struct log_text_location location;
    assert_int_equal(log_text_locate(log, text, &location), ERROR_NONE);
    assert_true(location.slice.size > 0);
    assert_int_equal(location.text_position, fixture_text_between(0, location.slice.base_offset));
    assert_true(location.text_position <= text);
    uint8_t start[BATCH_HEADER_BYTES];
    size_t size;
    assert_int_equal(
        storage_read(location.slice.file, location.slice.position, start, sizeof start, &size),
        ERROR_NONE);
    struct batch_header header;
    assert_int_equal(batch_header_peek(start, size, &header), ERROR_NONE);
    assert_int_equal(header.base_offset, location.slice.base_offset);
    assert_true(fixture_text_between(0, batch_last_offset(&header) + 1) > (int64_t)text);
    log_slice_release(&location.slice);
}

/* Every text position leads to its batch, in all segments, before and after reopening. */
static void every_position_leads_to_its_batch(void **state)
{
    (void)state;
    struct fixture fixture;
    filled(&fixture, 150);
    int64_t end = log_end_offset(fixture.log);
    for (int round = 0; round < 2; round++) {
        uint64_t text_end = log_text_end(fixture.log);
        assert_int_equal(log_text_start(fixture.log), 0);
        assert_int_equal(text_end, fixture_text_between(0, end));
        for (uint64_t text = 0; text < text_end; text += 11)
            location_check(fixture.log, text);
        location_check(fixture.log, text_end - 1);
        struct log_text_location location;
        assert_int_equal(log_text_locate(fixture.log, text_end, &location), ERROR_NONE);
        assert_null(location.slice.segment);
        assert_int_equal(location.text_position, text_end);
        assert_int_equal(fixture_sync(fixture.log), ERROR_NONE);
        fixture_close(&fixture, true);
        fixture_open(&fixture, true, end);
        log_visible_advance(fixture.log, end);
    }
    fixture_done(&fixture);
}

/* Every offset, also inside compressed batches, has the sum of what is before it. */
static void every_offset_has_its_position(void **state)
{
    (void)state;
    struct fixture fixture;
    filled(&fixture, 60);
    for (int64_t offset = 0; offset <= log_end_offset(fixture.log); offset++) {
        uint64_t text;
        assert_int_equal(log_text_of_offset(fixture.log, offset, &text), ERROR_NONE);
        assert_int_equal(text, fixture_text_between(0, offset));
    }
    uint64_t text;
    assert_int_equal(log_text_of_offset(fixture.log, log_end_offset(fixture.log) + 1, &text),
                     ERROR_OFFSET_OUT_OF_RANGE);
    fixture_done(&fixture);
}

/* The text ends at the visible offset, wherever that is. */
static void the_text_ends_at_the_visible_offset(void **state)
{
    (void)state;
    struct fixture fixture;
    filled(&fixture, 0);
    int64_t ends[100];
    for (int i = 0; i < 100; i++) {
        fixture_append(fixture.log, 1 + i % 9, 0);
        ends[i] = log_end_offset(fixture.log);
    }
    for (int i = 0; i < 100; i++) {
        log_visible_advance(fixture.log, ends[i]);
        assert_int_equal(log_text_end(fixture.log), fixture_text_between(0, ends[i]));
    }
    fixture_done(&fixture);
}

/* When the start moves, positions stay what they were until the log is opened again. */
static void positions_stay_when_the_start_moves(void **state)
{
    (void)state;
    struct fixture fixture;
    filled(&fixture, 100);
    int64_t end = log_end_offset(fixture.log);
    assert_int_equal(log_start_advance(fixture.log, 201), ERROR_NONE);
    assert_int_equal(log_text_start(fixture.log), fixture_text_between(0, 201));
    assert_int_equal(log_text_end(fixture.log), fixture_text_between(0, end));
    struct log_text_location location;
    assert_int_equal(log_text_locate(fixture.log, 0, &location), ERROR_NONE);
    assert_true(location.slice.base_offset <= 201);
    log_slice_release(&location.slice);
    uint32_t deleted;
    assert_int_equal(log_retention(fixture.log, SIMULATED_WALL_CLOCK_MS, &deleted), ERROR_NONE);
    assert_true(deleted > 0);
    assert_int_equal(log_start_offset(fixture.log), 201);
    assert_int_equal(log_text_end(fixture.log), fixture_text_between(0, end));
    location_check(fixture.log, (uint64_t)fixture_text_between(0, 300));
    assert_int_equal(fixture_sync(fixture.log), ERROR_NONE);
    fixture_close(&fixture, true);

    struct log_open_options options = {.storage = fixture.storage,
                                       .executor = fixture.executor,
                                       .directory = FIXTURE_DIRECTORY,
                                       .config = fixture.config,
                                       .clean = true,
                                       .recovery_point = end,
                                       .log_start_offset = 201};
    assert_int_equal(log_open(&options, &fixture.log, NULL), ERROR_NONE);
    log_visible_advance(fixture.log, end);
    assert_int_equal(log_text_end(fixture.log) - log_text_start(fixture.log),
                     fixture_text_between(201, end));
    assert_true(log_text_start(fixture.log) < 600); /* Less than a batch. */
    fixture_done(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_position_leads_to_its_batch),
        cmocka_unit_test(every_offset_has_its_position),
        cmocka_unit_test(the_text_ends_at_the_visible_offset),
        cmocka_unit_test(positions_stay_when_the_start_moves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
