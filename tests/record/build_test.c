/* SPDX-License-Identifier: Apache-2.0 */
/* Building batches: golden bytes, limits, producer fields, recompression, refused allocations. */
#include "record/build.h"

#include "base/memory.h"
#include "record/walk.h"
#include "tests/record/samples.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct batch_header header_of(const struct buffer *batch)
{
    struct batch_header header;
    assert_int_equal(batch_header_read(batch->data, batch->size, &header), ERROR_NONE);
    assert_int_equal(header.size, batch->size);
    assert_true(batch_crc_valid(batch->data, batch->size));
    return header;
}

/* The hand-written batch comes out byte for byte. */
static void the_golden_batch_is_built_byte_for_byte(void **state)
{
    (void)state;
    struct batch_options options = batch_options_default();
    options.base_offset = 0x102;
    options.leader_epoch = 7;
    struct batch_builder builder;
    batch_builder_init(&builder, &options);
    uint8_t headers[8];
    size_t headers_size = record_header_write(headers, slice_of("h"), slice_of("v"));
    struct record second = {
        .offset = 0x103,
        .timestamp = 1005,
        .headers = slice_from(headers, headers_size),
        .header_count = 1,
    };
    struct buffer *batch;

    assert_int_equal(batch_builder_size(&builder), 0);
    assert_int_equal(batch_builder_append_next(&builder, 1000, slice_of("k"), slice_of("hello")),
                     ERROR_NONE);
    assert_int_equal(batch_builder_append(&builder, &second), ERROR_NONE);
    assert_int_equal(batch_builder_size(&builder), sizeof golden_batch);
    assert_int_equal(batch_builder_finish(&builder, NULL, &batch), ERROR_NONE);

    assert_int_equal(batch->size, sizeof golden_batch);
    assert_memory_equal(batch->data, golden_batch, sizeof golden_batch);
    buffer_unref(batch);
}

/* The end marker of a transaction, byte for byte but its CRC (EndTransactionMarker's schema). */
static void an_abort_marker_has_kafkas_bytes(void **state)
{
    (void)state;
    const uint8_t record[] = {0x20, 0, 0, 0, 8, 0, 0, 0, 0, 12, 0, 0, 0, 0, 1, 2, 0};
    struct transaction_marker marker = {.producer_id = 5, .coordinator_epoch = 0x102};
    struct buffer *batch;
    assert_int_equal(batch_build_marker(&marker, &batch), ERROR_NONE);
    struct batch_header header = header_of(batch);
    assert_int_equal(header.attributes, BATCH_TRANSACTIONAL | BATCH_CONTROL);
    assert_int_equal(batch->size, BATCH_HEADER_BYTES + sizeof record);
    assert_memory_equal(batch->data + BATCH_RECORDS_AT, record, sizeof record);
    buffer_unref(batch);
}

/* A record that would exceed the limit is refused and leaves the batch as it was; the bound for
 * planning is one. */
static void a_full_batch_refuses_and_stays_whole(void **state)
{
    (void)state;
    struct batch_options options = batch_options_default();
    options.size_bytes_max = 200;
    struct batch_builder builder;
    batch_builder_init(&builder, &options);
    struct slice value = slice_of("0123456789012345678901234567890123456789");
    int count = 0;
    size_t before = BATCH_HEADER_BYTES;
    while (batch_builder_append_next(&builder, 5, SLICE_NULL, value) == ERROR_NONE) {
        size_t size = batch_builder_size(&builder);
        assert_true(size - before <= batch_builder_record_size_max(SLICE_NULL, value));
        before = size;
        count++;
    }
    assert_int_equal(count, 2);
    assert_int_equal(batch_builder_append_next(&builder, 5, SLICE_NULL, value), ERROR_TOO_LARGE);
    assert_int_equal(batch_builder_size(&builder), before);

    struct buffer *batch;
    assert_int_equal(batch_builder_finish(&builder, NULL, &batch), ERROR_NONE);
    assert_int_equal(header_of(batch).record_count, 2);
    buffer_unref(batch);
}

/* A builder goes on with the same options after each batch; leftovers die with it. */
static void a_builder_makes_one_batch_after_another(void **state)
{
    (void)state;
    struct batch_options options = batch_options_default();
    options.producer_id = 77;
    options.producer_epoch = 3;
    options.base_sequence = 10;
    options.is_transactional = true;
    struct batch_builder builder;
    batch_builder_init(&builder, &options);
    for (int round = 0; round < 3; round++) {
        struct buffer *batch;
        builder.options.base_offset = 100 * round;
        assert_int_equal(batch_builder_append_next(&builder, round, SLICE_NULL, slice_of("x")),
                         ERROR_NONE);
        assert_int_equal(batch_builder_finish(&builder, NULL, &batch), ERROR_NONE);
        struct batch_header header = header_of(batch);
        assert_int_equal(header.base_offset, 100 * round);
        assert_int_equal(header.base_timestamp, round);
        assert_int_equal(header.producer_id, 77);
        assert_int_equal(header.producer_epoch, 3);
        assert_int_equal(header.base_sequence, 10);
        assert_true(batch_is_transactional(&header));
        assert_false(batch_is_control(&header));
        buffer_unref(batch);
    }
    assert_int_equal(batch_builder_append_next(&builder, 1, SLICE_NULL, slice_of("x")), ERROR_NONE);
    batch_builder_done(&builder);
    batch_builder_done(&builder);
}

/* Offsets beyond what a delta can say, and timestamps as far apart as they can be. */
static void extreme_offsets_and_timestamps_are_kept_or_refused(void **state)
{
    (void)state;
    struct batch_options options = batch_options_default();
    struct batch_builder builder;
    batch_builder_init(&builder, &options);
    struct record record = {.offset = 0, .timestamp = INT64_MIN, .value = SLICE_EMPTY};
    assert_int_equal(batch_builder_append(&builder, &record), ERROR_NONE);
    record.offset = (int64_t)INT32_MAX + 1;
    assert_int_equal(batch_builder_append(&builder, &record), ERROR_TOO_LARGE);
    record.offset = INT32_MAX;
    record.timestamp = INT64_MAX;
    assert_int_equal(batch_builder_append(&builder, &record), ERROR_NONE);
    struct buffer *batch;
    assert_int_equal(batch_builder_finish(&builder, NULL, &batch), ERROR_NONE);

    struct batch_header header = header_of(batch);
    struct record_walk walk;
    assert_int_equal(header.max_timestamp, INT64_MAX);
    assert_int_equal(record_walk_init(&walk, &header, NULL, 0), ERROR_NONE);
    assert_true(record_walk_next(&walk, &record));
    assert_true(record.timestamp == INT64_MIN);
    assert_true(record_walk_next(&walk, &record));
    assert_true(record.timestamp == INT64_MAX);
    assert_int_equal(record.offset, INT32_MAX);
    record_walk_done(&walk);
    buffer_unref(batch);
}

static void assert_same_records(const struct batch_header *a, const struct batch_header *b,
                                struct codec_context *context)
{
    struct record_walk walk_a, walk_b;
    struct record record_a, record_b;
    assert_int_equal(record_walk_init(&walk_a, a, context, 1 << 20), ERROR_NONE);
    assert_int_equal(record_walk_init(&walk_b, b, context, 1 << 20), ERROR_NONE);
    while (record_walk_next(&walk_a, &record_a)) {
        assert_true(record_walk_next(&walk_b, &record_b));
        assert_int_equal(record_a.offset, record_b.offset);
        assert_int_equal(record_a.timestamp, record_b.timestamp);
        assert_true(slice_equals(record_a.key, record_b.key));
        assert_true(slice_equals(record_a.value, record_b.value));
        assert_true(slice_equals(record_a.headers, record_b.headers));
        assert_int_equal(record_a.header_count, record_b.header_count);
    }
    assert_false(record_walk_next(&walk_b, &record_b));
    assert_int_equal(walk_a.error, ERROR_NONE);
    assert_int_equal(walk_b.error, ERROR_NONE);
    record_walk_done(&walk_a);
    record_walk_done(&walk_b);
}

/* From every codec to every other: only the codec changes. */
static void recompression_keeps_all_but_the_codec(void **state)
{
    (void)state;
    struct codec_context context;
    codec_context_init(&context);
    for (unsigned from = CODEC_NONE; from < CODEC_COUNT; from++) {
        for (unsigned to = CODEC_NONE; to < CODEC_COUNT; to++) {
            struct buffer *batch = sample_batch((enum codec)from, 12, 200);
            batch_set_base_offset(batch->data, 4096);
            batch_set_leader_epoch(batch->data, 6);
            store_be64(batch->data + BATCH_PRODUCER_ID_AT, 9);
            store_be16(batch->data + BATCH_PRODUCER_EPOCH_AT, 2);
            store_be32(batch->data + BATCH_BASE_SEQUENCE_AT, 55);
            store_be16(batch->data + BATCH_ATTRIBUTES_AT, (uint16_t)(from | BATCH_TRANSACTIONAL));
            batch_set_crc(batch->data, batch->size);
            struct batch_header before = header_of(batch);
            struct buffer *made;
            assert_int_equal(batch_recompress(&before, (enum codec)to,
                                              codec_level_default((enum codec)to), 1 << 20,
                                              &context, &made),
                             ERROR_NONE);
            struct batch_header after = header_of(made);
            assert_int_equal(after.attributes, to | BATCH_TRANSACTIONAL);
            assert_int_equal(after.base_offset, 4096);
            assert_int_equal(after.leader_epoch, 6);
            assert_int_equal(after.max_timestamp, before.max_timestamp);
            assert_int_equal(after.base_timestamp, before.base_timestamp);
            assert_int_equal(after.producer_id, 9);
            assert_int_equal(after.producer_epoch, 2);
            assert_int_equal(after.base_sequence, 55);
            assert_same_records(&before, &after, &context);
            buffer_unref(made);
            buffer_unref(batch);
        }
    }
    codec_context_done(&context);
}

/* Everything a builder does, with one allocation refused; nothing is lost or leaked. */
static enum error build_some(struct codec_context *context, enum codec codec)
{
    struct batch_options options = batch_options_default();
    options.codec = codec;
    options.level = codec_level_default(codec);
    struct batch_builder builder;
    batch_builder_init(&builder, &options);
    static const uint8_t value[900] = {1, 2, 3};
    enum error error = ERROR_NONE;
    for (int i = 0; i < 10 && error == ERROR_NONE; i++)
        error = batch_builder_append_next(&builder, i, SLICE_NULL, slice_from(value, sizeof value));
    struct buffer *batch = NULL, *again = NULL;
    if (error == ERROR_NONE)
        error = batch_builder_finish(&builder, context, &batch);
    batch_builder_done(&builder);
    if (error == ERROR_NONE) {
        struct batch_header header = header_of(batch);
        assert_int_equal(header.record_count, 10);
        error = batch_recompress(&header, CODEC_SNAPPY, 0, 1 << 20, context, &again);
    }
    buffer_unref(batch);
    buffer_unref(again);
    return error;
}

/* The Nth refused allocation is reported, for every N and codec. */
static void a_refused_allocation_leaves_nothing_behind(void **state)
{
    (void)state;
    for (unsigned codec = CODEC_NONE; codec < CODEC_COUNT; codec++) {
        for (long countdown = 0;; countdown++) {
            struct codec_context context;
            codec_context_init(&context);
            memory_fault_arm(countdown);
            enum error error = build_some(&context, (enum codec)codec);
            int fired = memory_fault_fired();
            memory_fault_arm(-1);
            codec_context_done(&context);
            assert_int_equal(error, fired ? ERROR_OUT_OF_MEMORY : ERROR_NONE);
            if (!fired)
                break;
        }
    }
}

/* An append that finds no memory leaves the batch as it was. */
static void an_append_without_memory_can_be_repeated(void **state)
{
    (void)state;
    static const uint8_t value[2000] = {7};
    struct batch_options options = batch_options_default();
    struct batch_builder builder;
    batch_builder_init(&builder, &options);
    assert_int_equal(batch_builder_append_next(&builder, 1, SLICE_NULL, slice_of("first")),
                     ERROR_NONE);
    memory_fault_arm(0);
    assert_int_equal(
        batch_builder_append_next(&builder, 2, SLICE_NULL, slice_from(value, sizeof value)),
        ERROR_OUT_OF_MEMORY);
    memory_fault_arm(-1);
    assert_int_equal(
        batch_builder_append_next(&builder, 2, SLICE_NULL, slice_from(value, sizeof value)),
        ERROR_NONE);
    struct buffer *batch;
    assert_int_equal(batch_builder_finish(&builder, NULL, &batch), ERROR_NONE);
    assert_int_equal(header_of(batch).last_offset_delta, 1);
    buffer_unref(batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_golden_batch_is_built_byte_for_byte),
        cmocka_unit_test(an_abort_marker_has_kafkas_bytes),
        cmocka_unit_test(a_full_batch_refuses_and_stays_whole),
        cmocka_unit_test(a_builder_makes_one_batch_after_another),
        cmocka_unit_test(extreme_offsets_and_timestamps_are_kept_or_refused),
        cmocka_unit_test(recompression_keeps_all_but_the_codec),
        cmocka_unit_test(a_refused_allocation_leaves_nothing_behind),
        cmocka_unit_test(an_append_without_memory_can_be_repeated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
