/* SPDX-License-Identifier: Apache-2.0 */
/* Records found by their timestamp, compared with a look at all of them. */
#include "log/fixture.h"

static int64_t first_at_or_after(int64_t timestamp, int64_t from, int64_t to)
{
    for (int64_t offset = from; offset < to; offset++) {
        if (fixture_timestamp(offset) >= timestamp)
            return offset;
    }
    return -1;
}

static void finds_check(struct log *log, int64_t end)
{
    int64_t start = log_start_offset(log);
    for (int64_t timestamp = SIMULATED_WALL_CLOCK_MS - 30;
         timestamp < SIMULATED_WALL_CLOCK_MS + end * 10 + 30; timestamp += 7) {
        struct log_found found;
        assert_int_equal(log_find_timestamp(log, timestamp, &found), ERROR_NONE);
        int64_t expected = first_at_or_after(timestamp, start, end);
        assert_int_equal(found.offset, expected);
        if (expected >= 0) {
            assert_int_equal(found.timestamp, fixture_timestamp(expected));
            assert_int_equal(found.leader_epoch, 0);
        }
    }
}

/* Timestamps that rise, and some late ones; before and after reopening and cutting. */
static void the_first_record_at_a_time_is_found(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 31);
    fixture.config.segment_bytes = 2500;
    fixture.config.index_interval_bytes = 300;
    fixture_open(&fixture, false, -1);
    struct log_found found;
    assert_int_equal(log_find_timestamp(fixture.log, 0, &found), ERROR_NONE);
    assert_int_equal(found.offset, -1);
    for (int i = 0; i < 80; i++)
        fixture_append(fixture.log, 1 + i % 9, 0);
    int64_t end = log_end_offset(fixture.log);
    assert_int_equal(log_truncate(fixture.log, end - 20), ERROR_NONE);
    end = log_end_offset(fixture.log);
    log_visible_advance(fixture.log, end);
    finds_check(fixture.log, end);
    assert_int_equal(fixture_sync(fixture.log), ERROR_NONE);
    fixture_close(&fixture, true);
    fixture_open(&fixture, true, end);
    log_visible_advance(fixture.log, end);
    finds_check(fixture.log, end);
    assert_int_equal(log_start_advance(fixture.log, 100), ERROR_NONE);
    finds_check(fixture.log, end);
    fixture_done(&fixture);
}

/* Only visible records count, also for the largest timestamp. */
static void the_largest_timestamp_is_of_what_is_visible(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 32);
    fixture.config.segment_bytes = 2500;
    fixture_open(&fixture, false, -1);
    for (int i = 0; i < 60; i++)
        fixture_append(fixture.log, 1, 0);
    for (int64_t visible = 0; visible <= 60; visible++) {
        log_visible_advance(fixture.log, visible);
        int64_t best = -1;
        for (int64_t offset = 0; offset < visible; offset++) {
            if (best < 0 || fixture_timestamp(offset) > fixture_timestamp(best))
                best = offset;
        }
        struct log_found found;
        assert_int_equal(log_find_max_timestamp(fixture.log, &found), ERROR_NONE);
        assert_int_equal(found.offset, best);
    }
    fixture_done(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_record_at_a_time_is_found),
        cmocka_unit_test(the_largest_timestamp_is_of_what_is_visible),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
