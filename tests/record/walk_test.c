/* SPDX-License-Identifier: Apache-2.0 */
/* Walking batches: the golden one, every codec, damage, and batches held beyond the next walk. */
#include "record/walk.h"

#include "tests/record/samples.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct batch_header header_of(const uint8_t *bytes, size_t size)
{
    struct batch_header header;
    assert_int_equal(batch_header_read(bytes, size, &header), ERROR_NONE);
    return header;
}

/* Null and empty fields, headers and timestamps of the hand-written batch. */
static void the_golden_batch_gives_its_records(void **state)
{
    (void)state;
    struct batch_header header = header_of(golden_batch, sizeof golden_batch);
    struct record_walk walk;
    struct record record;

    assert_int_equal(record_walk_init(&walk, &header, NULL, 0), ERROR_NONE);

    assert_true(record_walk_next(&walk, &record));
    assert_int_equal(record.offset, 0x102);
    assert_int_equal(record.timestamp, 1000);
    assert_true(slice_equals_text(record.key, "k"));
    assert_true(slice_equals_text(record.value, "hello"));
    assert_int_equal(record.header_count, 0);

    assert_true(record_walk_next(&walk, &record));
    assert_int_equal(record.offset, 0x103);
    assert_int_equal(record.timestamp, 1005);
    assert_null(record.key.data);
    assert_null(record.value.data);
    assert_int_equal(record.header_count, 1);
    struct slice key, value;
    assert_true(record_header_next(&record.headers, &key, &value));
    assert_true(slice_equals_text(key, "h"));
    assert_true(slice_equals_text(value, "v"));
    assert_false(record_header_next(&record.headers, &key, &value));

    assert_false(record_walk_next(&walk, &record));
    assert_int_equal(walk.error, ERROR_NONE);
    record_walk_done(&walk);
}

static void check_sample_walk(struct record_walk *walk, int count, size_t value_size)
{
    struct record record;
    int index = 0;
    for (; record_walk_next(walk, &record); index++) {
        char key[32];
        snprintf(key, sizeof key, "key-%d", index);
        assert_int_equal(record.offset, index);
        assert_int_equal(record.timestamp, 1000 + 3 * index);
        assert_true(slice_equals_text(record.key, key));
        assert_int_equal(record.value.size, value_size);
        for (size_t at = 0; at < value_size; at++)
            assert_int_equal(record.value.data[at], sample_value_byte(index, at));
        assert_int_equal(record.header_count, index % 3 == 0);
    }
    assert_int_equal(walk->error, ERROR_NONE);
    assert_int_equal(index, count);
}

/* What the builder made comes back the same through every codec and many sizes. */
static void every_codec_gives_back_what_was_built(void **state)
{
    (void)state;
    struct codec_context context;
    codec_context_init(&context);
    const size_t sizes[] = {0, 1, 10, 1000, 40000};
    for (unsigned codec = CODEC_NONE; codec < CODEC_COUNT; codec++) {
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            for (int count = 1; count <= 64; count = count * 3 + 1) {
                struct buffer *batch = sample_batch((enum codec)codec, count, sizes[i]);
                struct batch_header header = header_of(batch->data, batch->size);
                struct record_walk walk;
                assert_int_equal(record_walk_init(&walk, &header, &context, 16 << 20), ERROR_NONE);
                check_sample_walk(&walk, count, sizes[i]);
                record_walk_done(&walk);
                buffer_unref(batch);
            }
        }
    }
    codec_context_done(&context);
}

/* A walk keeps its decompressed bytes although the context goes on to the next batch. */
static void a_walk_outlives_the_next_use_of_its_context(void **state)
{
    (void)state;
    struct codec_context context;
    codec_context_init(&context);
    struct buffer *first = sample_batch(CODEC_ZSTD, 5, 100);
    struct buffer *second = sample_batch(CODEC_GZIP, 9, 200);
    struct batch_header first_header = header_of(first->data, first->size);
    struct batch_header second_header = header_of(second->data, second->size);
    struct record_walk walk_first, walk_second;

    assert_int_equal(record_walk_init(&walk_first, &first_header, &context, 1 << 20), ERROR_NONE);
    assert_int_equal(record_walk_init(&walk_second, &second_header, &context, 1 << 20), ERROR_NONE);
    codec_context_done(&context);

    check_sample_walk(&walk_first, 5, 100);
    check_sample_walk(&walk_second, 9, 200);
    record_walk_done(&walk_first);
    record_walk_done(&walk_second);
    buffer_unref(first);
    buffer_unref(second);
}

/* Under LogAppendTime every record has the batch's timestamp. */
static void append_time_holds_for_every_record(void **state)
{
    (void)state;
    struct buffer *batch = sample_batch(CODEC_NONE, 4, 10);
    batch_set_max_timestamp(batch->data, batch->size, TIMESTAMP_APPEND, 777);
    struct batch_header header = header_of(batch->data, batch->size);
    struct record_walk walk;
    struct record record;
    assert_int_equal(record_walk_init(&walk, &header, NULL, 0), ERROR_NONE);
    while (record_walk_next(&walk, &record))
        assert_int_equal(record.timestamp, 777);
    assert_int_equal(walk.error, ERROR_NONE);
    record_walk_done(&walk);
    buffer_unref(batch);
}

/* A count above or below what is there ends the walk with an error, not beyond the bytes. */
static void a_wrong_count_is_corrupt(void **state)
{
    (void)state;
    const int32_t counts[] = {-1, 0, 1, 3, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        uint8_t *bytes = sample_copy(golden_batch, sizeof golden_batch);
        store_be32(bytes + BATCH_RECORD_COUNT_AT, (uint32_t)counts[i]);
        struct batch_header header = header_of(bytes, sizeof golden_batch);
        struct record_walk walk;
        struct record record;
        assert_int_equal(record_walk_init(&walk, &header, NULL, 0), ERROR_NONE);
        while (record_walk_next(&walk, &record))
            ;
        assert_int_equal(walk.error, ERROR_CORRUPT_MESSAGE);
        record_walk_done(&walk);
        free(bytes);
    }
}

/* A transaction's end marker says which transaction ended how. */
static void markers_are_built_and_read(void **state)
{
    (void)state;
    for (int is_commit = 0; is_commit <= 1; is_commit++) {
        struct transaction_marker marker = {
            .producer_id = 4711,
            .producer_epoch = 3,
            .coordinator_epoch = 9,
            .is_commit = is_commit,
            .timestamp = 55,
        };
        struct buffer *batch;
        assert_int_equal(batch_build_marker(&marker, &batch), ERROR_NONE);
        struct batch_header header = header_of(batch->data, batch->size);
        assert_true(batch_is_control(&header));
        assert_true(batch_is_transactional(&header));
        assert_int_equal(header.producer_id, 4711);
        assert_int_equal(header.base_sequence, SEQUENCE_NONE);
        assert_true(batch_crc_valid(batch->data, batch->size));

        struct record_walk walk;
        struct record record;
        struct control_record control;
        assert_int_equal(record_walk_init(&walk, &header, NULL, 0), ERROR_NONE);
        assert_true(record_walk_next(&walk, &record));
        assert_int_equal(control_record_read(&record, &control), ERROR_NONE);
        assert_true(control.is_transaction_end);
        assert_int_equal(control.is_commit, is_commit);
        assert_int_equal(control.coordinator_epoch, 9);
        record_walk_done(&walk);
        buffer_unref(batch);
    }
}

/* Control records that are too short are damaged; unknown kinds (KIP-595's) are let through. */
static void short_control_records_are_corrupt(void **state)
{
    (void)state;
    const uint8_t key[] = {0, 0, 0, 1}, value[] = {0, 0, 0, 0, 0, 9},
                  leader_change[] = {0, 0, 0, 2};
    struct control_record control;
    struct record record = {.value = slice_from(value, sizeof value)};
    for (size_t size = 0; size < sizeof key; size++) {
        record.key = slice_from(key, size);
        assert_int_equal(control_record_read(&record, &control), ERROR_CORRUPT_MESSAGE);
    }
    record.key = slice_from(key, sizeof key);
    for (size_t size = 0; size < sizeof value; size++) {
        record.value = slice_from(value, size);
        assert_int_equal(control_record_read(&record, &control), ERROR_CORRUPT_MESSAGE);
    }
    record.key = slice_from(leader_change, sizeof leader_change);
    assert_int_equal(control_record_read(&record, &control), ERROR_NONE);
    assert_false(control.is_transaction_end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_golden_batch_gives_its_records),
        cmocka_unit_test(every_codec_gives_back_what_was_built),
        cmocka_unit_test(a_walk_outlives_the_next_use_of_its_context),
        cmocka_unit_test(append_time_holds_for_every_record),
        cmocka_unit_test(a_wrong_count_is_corrupt),
        cmocka_unit_test(markers_are_built_and_read),
        cmocka_unit_test(short_control_records_are_corrupt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
