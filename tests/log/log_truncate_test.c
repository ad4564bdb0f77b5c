/* SPDX-License-Identifier: Apache-2.0 */
/* Truncation and reset: records, epochs, producers and text go back together. */
#include "log/fixture.h"

static void filled(struct fixture *fixture)
{
    fixture_init(fixture, 61);
    fixture->config.segment_bytes = 1500;
    fixture->config.index_interval_bytes = 200;
    fixture_open(fixture, false, -1);
    for (int i = 0; i < 40; i++)
        fixture_append(fixture->log, 3, i / 10);
}

/* Any offset, also inside a batch (which goes whole); then the log goes on and reopens equal. */
static void any_offset_can_be_cut(void **state)
{
    (void)state;
    for (int64_t offset = 0; offset <= 120; offset++) {
        struct fixture fixture;
        filled(&fixture);
        assert_int_equal(fixture_sync(fixture.log), ERROR_NONE);
        int64_t end = offset / 3 * 3;
        assert_int_equal(log_truncates_to(fixture.log, offset), end);
        assert_int_equal(log_truncate(fixture.log, offset), ERROR_NONE);
        assert_int_equal(log_end_offset(fixture.log), end);
        assert_true(log_synced_offset(fixture.log) <= end);
        fixture_verify(fixture.log, 0);
        int32_t latest = end == 0 ? -1 : (int32_t)((end - 1) / 30);
        assert_int_equal(log_epoch_latest(fixture.log), latest);
        for (int i = 0; i < 5; i++)
            fixture_append(fixture.log, 4, 7);
        fixture_verify(fixture.log, 0);
        log_visible_advance(fixture.log, end + 20);
        assert_int_equal(log_text_end(fixture.log), fixture_text_between(0, end + 20));
        bool clean = offset % 2 == 0;
        if (clean)
            assert_int_equal(fixture_sync(fixture.log), ERROR_NONE);
        fixture_close(&fixture, clean);
        fixture_open(&fixture, clean, clean ? end + 20 : 0);
        assert_int_equal(fixture_verify(fixture.log, 0), end + 20);
        log_visible_advance(fixture.log, end + 20);
        assert_int_equal(log_text_end(fixture.log), fixture_text_between(0, end + 20));
        fixture_done(&fixture);
    }
}

static void producer_count(void *context, const struct log_producer *producer)
{
    *(int32_t *)context = producer->last_sequence;
}

/* The producer state is as if the cut batches had never been. */
static void producers_go_back(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 62);
    fixture.config.segment_bytes = 600;
    fixture_open(&fixture, false, -1);
    for (int i = 0; i < 20; i++)
        (void)fixture_append_producer(fixture.log, 9, 0, 2 * i, 2);
    assert_int_equal(log_truncate(fixture.log, 22), ERROR_NONE);
    int32_t last = -1;
    log_producer_each(fixture.log, producer_count, &last);
    assert_int_equal(last, 21);
    assert_int_equal(log_truncate(fixture.log, 0), ERROR_NONE);
    last = -1;
    log_producer_each(fixture.log, producer_count, &last);
    assert_int_equal(last, -1);
    fixture_done(&fixture);
}

/* Reset drops everything and begins at any offset; positions in the text do not shrink. */
static void a_reset_begins_anywhere(void **state)
{
    (void)state;
    static const int64_t offsets[] = {0, 50, 120, 5000000000};
    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
        struct fixture fixture;
        filled(&fixture);
        log_visible_advance(fixture.log, 60);
        uint64_t text = log_text_end(fixture.log);
        assert_int_equal(log_reset(fixture.log, offsets[i]), ERROR_NONE);
        assert_int_equal(log_start_offset(fixture.log), offsets[i]);
        assert_int_equal(log_end_offset(fixture.log), offsets[i]);
        assert_int_equal(log_segment_count(fixture.log), 1);
        assert_int_equal(log_size_bytes(fixture.log), 0);
        assert_int_equal(log_epoch_latest(fixture.log), -1);
        assert_int_equal(log_text_start(fixture.log), text);
        fixture_append(fixture.log, 5, 9);
        fixture_verify(fixture.log, offsets[i]);
        log_visible_advance(fixture.log, offsets[i] + 5);
        assert_int_equal(log_text_end(fixture.log),
                         (int64_t)text + fixture_text_between(offsets[i], offsets[i] + 5));
        fixture_close(&fixture, false);
        fixture_open(&fixture, false, 0);
        assert_int_equal(log_start_offset(fixture.log), offsets[i]);
        assert_int_equal(fixture_verify(fixture.log, offsets[i]), offsets[i] + 5);
        fixture_done(&fixture);
    }
}

/* The first batch lies so far behind the log's start (a compacted leader's may) that its segment
 * begins there: a cut between the two empties the log. */
static void a_cut_before_the_first_segment_empties_the_log(void **state)
{
    (void)state;
    const int64_t far = INT64_C(1) << 36;
    const int64_t cuts[] = {0, 1, INT16_MAX, far - 1, far};
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        struct fixture fixture;
        fixture_init(&fixture, 65);
        fixture_open(&fixture, false, -1);
        struct buffer *batch = fixture_batch(far, 3, CODEC_NONE);
        struct batch_facts facts = {0};
        batch_set_base_offset(batch->data, far);
        assert_int_equal(batch_validate_log(batch->data, batch->size, CODEC_DECOMPRESSED_BYTES_MAX,
                                            NULL, &facts),
                         ERROR_NONE);
        assert_int_equal(log_append_replica(fixture.log, &facts, 1), ERROR_NONE);
        buffer_unref(batch);
        assert_int_equal(log_start_offset(fixture.log), 0);
        int64_t end = cuts[i] == far ? far : 0;
        assert_int_equal(log_truncates_to(fixture.log, cuts[i]), end);
        assert_int_equal(log_truncate(fixture.log, cuts[i]), ERROR_NONE);
        assert_int_equal(log_end_offset(fixture.log), end);
        fixture_append(fixture.log, 2, 1);
        fixture_close(&fixture, false);
        fixture_open(&fixture, false, 0);
        assert_int_equal(log_end_offset(fixture.log), end + 2);
        fixture_done(&fixture);
    }
}

/* A truncation while a sync is under way: what is appended afterwards is not called synced. */
static void a_sync_under_way_does_not_cover_what_comes_after_a_cut(void **state)
{
    (void)state;
    struct fixture fixture;
    filled(&fixture);
    struct log_sync sync = {0};
    assert_true(log_sync_begin(fixture.log, &sync));
    log_sync_run(&sync);
    assert_int_equal(log_truncate(fixture.log, 90), ERROR_NONE);
    fixture_append(fixture.log, 30, 5);
    assert_int_equal(log_sync_end(fixture.log, &sync), ERROR_NONE);
    assert_true(log_synced_offset(fixture.log) <= 90);
    assert_int_equal(fixture_sync(fixture.log), ERROR_NONE);
    assert_int_equal(log_synced_offset(fixture.log), 120);
    fixture_done(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_offset_can_be_cut),
        cmocka_unit_test(a_cut_before_the_first_segment_empties_the_log),
        cmocka_unit_test(producers_go_back),
        cmocka_unit_test(a_reset_begins_anywhere),
        cmocka_unit_test(a_sync_under_way_does_not_cover_what_comes_after_a_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
