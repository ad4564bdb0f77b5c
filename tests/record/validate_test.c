/* SPDX-License-Identifier: Apache-2.0 */
/* Every produce check with the error it owes, the order of the checks, what a good batch tells, and
 * damage of every byte. */
#include "record/validate.h"

#include "base/memory.h"
#include "record/walk.h"
#include "tests/record/samples.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct fixture {
    struct codec_context context;
    struct batch_limits limits;
    struct batch_facts facts;
    struct batch_refusal refusal;
};

static int fixture_begin(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    codec_context_init(&f->context);
    f->limits = sample_limits();
    *state = f;
    return 0;
}

static int fixture_end(void **state)
{
    struct fixture *f = *state;
    codec_context_done(&f->context);
    free(f);
    return 0;
}

static enum error check(struct fixture *f, const uint8_t *bytes, size_t size)
{
    f->refusal.text = NULL;
    enum error error =
        batch_validate_produce(bytes, size, &f->limits, &f->context, &f->facts, &f->refusal);
    assert_true((error == ERROR_NONE) == (f->refusal.text == NULL));
    return error;
}

/* Changes one field of a good batch of three records and puts the CRC right. */
static enum error check_with(struct fixture *f, int at, int width, int64_t value)
{
    struct buffer *batch = sample_batch(CODEC_NONE, 3, 20);
    if (width == 2)
        store_be16(batch->data + at, (uint16_t)value);
    else if (width == 4)
        store_be32(batch->data + at, (uint32_t)value);
    else
        store_be64(batch->data + at, (uint64_t)value);
    batch_set_crc(batch->data, batch->size);
    enum error error = check(f, batch->data, batch->size);
    buffer_unref(batch);
    return error;
}

/* The facts of a good batch, whatever its codec. */
static void a_good_batch_tells_its_facts(void **state)
{
    struct fixture *f = *state;
    for (unsigned codec = CODEC_NONE; codec < CODEC_COUNT; codec++) {
        struct buffer *batch = sample_batch((enum codec)codec, 10, 33);
        for (int as_log = 0; as_log <= 1; as_log++) {
            enum error error = as_log ? batch_validate_log(batch->data, batch->size, 1 << 20,
                                                           &f->context, &f->facts)
                                      : check(f, batch->data, batch->size);
            assert_int_equal(error, ERROR_NONE);
            assert_int_equal(f->facts.header.size, batch->size);
            assert_int_equal(f->facts.header.record_count, 10);
            assert_int_equal(f->facts.header.last_offset_delta, 9);
            assert_int_equal(f->facts.max_timestamp, 1027);
            assert_int_equal(f->facts.max_timestamp_delta, 9);
            assert_true(f->facts.offsets_in_order);
            assert_int_equal(f->facts.text_bytes, 10 * 34);
        }
        buffer_unref(batch);
    }
}

/* A null value is an empty line; the newest timestamp is its first record's. */
static void null_values_and_the_first_newest_timestamp_count(void **state)
{
    struct fixture *f = *state;
    const int64_t timestamps[] = {5, 9, 7, 9, -1};
    struct batch_options options = batch_options_default();
    struct batch_builder builder;
    batch_builder_init(&builder, &options);
    for (int i = 0; i < 5; i++)
        assert_int_equal(batch_builder_append_next(&builder, timestamps[i], SLICE_NULL,
                                                   i == 2 ? SLICE_NULL : slice_of("abc")),
                         ERROR_NONE);
    struct buffer *batch;
    assert_int_equal(batch_builder_finish(&builder, NULL, &batch), ERROR_NONE);

    assert_int_equal(check(f, batch->data, batch->size), ERROR_NONE);

    assert_int_equal(f->facts.max_timestamp, 9);
    assert_int_equal(f->facts.max_timestamp_delta, 1);
    assert_int_equal(f->facts.text_bytes, 4 * 4 + 1);
    buffer_unref(batch);
}

/* Check 3: there is a batch, of magic 2, and only one. */
static void anything_but_one_batch_of_magic_2_is_invalid(void **state)
{
    struct fixture *f = *state;
    struct buffer *batch = sample_batch(CODEC_NONE, 3, 20);
    assert_int_equal(check(f, batch->data, 0), ERROR_INVALID_RECORD);

    uint8_t *two = malloc(batch->size * 2);
    memcpy(two, batch->data, batch->size);
    memcpy(two + batch->size, batch->data, batch->size);
    assert_int_equal(check(f, two, batch->size * 2), ERROR_INVALID_RECORD);

    /* A torn second batch is left out, as Kafka trims it; one that cannot be is corrupt. */
    assert_int_equal(check(f, two, batch->size * 2 - 1), ERROR_NONE);
    assert_int_equal(f->facts.header.size, batch->size);
    assert_int_equal(check(f, two, batch->size + 5), ERROR_NONE);
    assert_int_equal(check(f, two, batch->size + 16), ERROR_NONE);
    store_be32(two + batch->size + BATCH_LENGTH_AT, 13);
    assert_int_equal(check(f, two, batch->size + 16), ERROR_CORRUPT_MESSAGE);
    store_be32(two + batch->size + BATCH_LENGTH_AT, 4000);
    two[batch->size + BATCH_MAGIC_AT] = 3;
    assert_int_equal(check(f, two, batch->size + 17), ERROR_CORRUPT_MESSAGE);
    free(two);

    for (unsigned magic = 0; magic < 256; magic++) {
        batch->data[BATCH_MAGIC_AT] = (uint8_t)magic;
        enum error owed = magic < 2    ? ERROR_INVALID_RECORD
                          : magic == 2 ? ERROR_NONE
                                       : ERROR_CORRUPT_MESSAGE;
        assert_int_equal(check(f, batch->data, batch->size), owed);
    }
    buffer_unref(batch);
}

/* Check 4: zstd came with version 7 (KIP-110). */
static void zstd_before_version_7_is_unsupported(void **state)
{
    struct fixture *f = *state;
    struct buffer *batch = sample_batch(CODEC_ZSTD, 3, 20);
    f->limits.produce_version = 6;
    assert_int_equal(check(f, batch->data, batch->size), ERROR_UNSUPPORTED_COMPRESSION_TYPE);
    f->limits.produce_version = 7;
    assert_int_equal(check(f, batch->data, batch->size), ERROR_NONE);
    buffer_unref(batch);
}

/* Check 8, hostile input 28: lengths that cannot be, and a batch cut anywhere. */
static void a_batch_that_is_not_whole_is_corrupt(void **state)
{
    struct fixture *f = *state;
    const int32_t lengths[] = {INT32_MIN, -1, 0, 13, 48, 100000, INT32_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
        assert_int_equal(check_with(f, BATCH_LENGTH_AT, 4, lengths[i]), ERROR_CORRUPT_MESSAGE);
    for (unsigned codec = CODEC_NONE; codec < CODEC_COUNT; codec++) {
        struct buffer *batch = sample_batch((enum codec)codec, 3, 20);
        for (size_t size = 1; size < batch->size; size++) {
            uint8_t *copy = sample_copy(batch->data, size);
            assert_int_equal(check(f, copy, size), ERROR_CORRUPT_MESSAGE);
            free(copy);
        }
        buffer_unref(batch);
    }
}

/* Checks 9 to 13 and the inputs 29 to 37 of the hostile list, one field at a time. */
static void each_header_field_a_client_may_not_send_is_refused(void **state)
{
    struct fixture *f = *state;
    const struct {
        int at, width;
        int64_t value;
        enum error owed;
    } cases[] = {
        {BATCH_BASE_OFFSET_AT, 8, 0, ERROR_NONE},
        {BATCH_BASE_OFFSET_AT, 8, 1, ERROR_INVALID_RECORD},
        {BATCH_BASE_OFFSET_AT, 8, INT64_MIN, ERROR_INVALID_RECORD},
        {BATCH_LEADER_EPOCH_AT, 4, 99, ERROR_NONE},
        {BATCH_LAST_OFFSET_DELTA_AT, 4, -1, ERROR_INVALID_RECORD},
        {BATCH_LAST_OFFSET_DELTA_AT, 4, 1, ERROR_INVALID_RECORD},
        {BATCH_LAST_OFFSET_DELTA_AT, 4, 3, ERROR_INVALID_RECORD},
        {BATCH_LAST_OFFSET_DELTA_AT, 4, INT32_MAX, ERROR_INVALID_RECORD},
        {BATCH_LAST_OFFSET_DELTA_AT, 4, INT32_MIN, ERROR_INVALID_RECORD},
        {BATCH_RECORD_COUNT_AT, 4, 0, ERROR_INVALID_RECORD},
        {BATCH_RECORD_COUNT_AT, 4, -1, ERROR_INVALID_RECORD},
        {BATCH_RECORD_COUNT_AT, 4, 2, ERROR_INVALID_RECORD},
        {BATCH_RECORD_COUNT_AT, 4, INT32_MAX, ERROR_INVALID_RECORD},
        {BATCH_RECORD_COUNT_AT, 4, INT32_MIN, ERROR_INVALID_RECORD},
        {BATCH_ATTRIBUTES_AT, 2, BATCH_CONTROL, ERROR_INVALID_RECORD},
        {BATCH_ATTRIBUTES_AT, 2, BATCH_TRANSACTIONAL, ERROR_INVALID_RECORD},
        {BATCH_ATTRIBUTES_AT, 2, BATCH_APPEND_TIME, ERROR_INVALID_TIMESTAMP},
        {BATCH_ATTRIBUTES_AT, 2, 5, ERROR_UNSUPPORTED_COMPRESSION_TYPE},
        {BATCH_ATTRIBUTES_AT, 2, 6, ERROR_UNSUPPORTED_COMPRESSION_TYPE},
        {BATCH_ATTRIBUTES_AT, 2, 7, ERROR_UNSUPPORTED_COMPRESSION_TYPE},
        {BATCH_ATTRIBUTES_AT, 2, 0xff80, ERROR_NONE}, /* Reserved bits: Kafka looks away. */
        {BATCH_ATTRIBUTES_AT, 2, CODEC_GZIP, ERROR_INVALID_RECORD},
        {BATCH_ATTRIBUTES_AT, 2, CODEC_SNAPPY, ERROR_INVALID_RECORD},
        {BATCH_ATTRIBUTES_AT, 2, CODEC_LZ4, ERROR_INVALID_RECORD},
        {BATCH_ATTRIBUTES_AT, 2, CODEC_ZSTD, ERROR_INVALID_RECORD},
        {BATCH_PRODUCER_ID_AT, 8, 5, ERROR_INVALID_RECORD}, /* The sequence is -1. */
        {BATCH_BASE_SEQUENCE_AT, 4, 5, ERROR_NONE},
        {BATCH_MAX_TIMESTAMP_AT, 8, INT64_MAX, ERROR_NONE}, /* The facts hold the real one. */
        {BATCH_BASE_TIMESTAMP_AT, 8, INT64_MAX, ERROR_INVALID_TIMESTAMP},
        {BATCH_BASE_TIMESTAMP_AT, 8, INT64_MIN, ERROR_INVALID_TIMESTAMP},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        enum error error = check_with(f, cases[i].at, cases[i].width, cases[i].value);
        if (error != cases[i].owed)
            fail_msg("case %zu: %s, owed %s", i, error_name(error), error_name(cases[i].owed));
        if (error == ERROR_NONE)
            assert_int_equal(f->facts.max_timestamp, 1006);
    }
}

/* A producer's batch needs all three of its fields; a transactional one is then fine. */
static void a_transactional_batch_with_its_producer_is_accepted(void **state)
{
    struct fixture *f = *state;
    struct buffer *batch = sample_batch(CODEC_NONE, 3, 20);
    store_be64(batch->data + BATCH_PRODUCER_ID_AT, 4711);
    store_be16(batch->data + BATCH_PRODUCER_EPOCH_AT, 2);
    store_be32(batch->data + BATCH_BASE_SEQUENCE_AT, INT32_MAX - 1);
    store_be16(batch->data + BATCH_ATTRIBUTES_AT, BATCH_TRANSACTIONAL);
    batch_set_crc(batch->data, batch->size);

    assert_int_equal(check(f, batch->data, batch->size), ERROR_NONE);

    assert_int_equal(batch_last_sequence(&f->facts.header), 0);
    buffer_unref(batch);
}

/* Checks 10 and 17: exactly at the limits is allowed; max.message.bytes is looked at first. */
static void sizes_are_limited_by_message_and_segment(void **state)
{
    struct fixture *f = *state;
    struct buffer *batch = sample_batch(CODEC_NONE, 3, 20);
    f->limits.size_bytes_max = f->limits.segment_bytes_max = batch->size;
    assert_int_equal(check(f, batch->data, batch->size), ERROR_NONE);
    f->limits.segment_bytes_max--;
    assert_int_equal(check(f, batch->data, batch->size), ERROR_RECORD_LIST_TOO_LARGE);
    f->limits.size_bytes_max--;
    assert_int_equal(check(f, batch->data, batch->size), ERROR_MESSAGE_TOO_LARGE);
    buffer_unref(batch);
}

/* The first check that fails answers: base offset, size, CRC, counts, in this order. */
static void the_checks_keep_kafkas_order(void **state)
{
    struct fixture *f = *state;
    struct buffer *batch = sample_batch(CODEC_NONE, 3, 20);
    batch->data[BATCH_BASE_OFFSET_AT] = 1;
    f->limits.size_bytes_max = batch->size - 1;
    batch->data[BATCH_RECORD_COUNT_AT] ^= 0x80; /* The count, and so the CRC, are wrong. */

    assert_int_equal(check(f, batch->data, batch->size), ERROR_INVALID_RECORD);
    batch->data[BATCH_BASE_OFFSET_AT] = 0;
    assert_int_equal(check(f, batch->data, batch->size), ERROR_MESSAGE_TOO_LARGE);
    f->limits.size_bytes_max = batch->size;
    assert_int_equal(check(f, batch->data, batch->size), ERROR_CORRUPT_MESSAGE);
    batch_set_crc(batch->data, batch->size);
    assert_int_equal(check(f, batch->data, batch->size), ERROR_INVALID_RECORD);
    buffer_unref(batch);
}

/* Check 15: each record without a key is named, and only those. */
static void null_keys_on_a_compacted_topic_are_named(void **state)
{
    struct fixture *f = *state;
    struct batch_options options = batch_options_default();
    struct batch_builder builder;
    batch_builder_init(&builder, &options);
    for (int i = 0; i < 300; i++)
        assert_int_equal(batch_builder_append_next(
                             &builder, 1000, i % 2 == 0 ? slice_of("k") : SLICE_NULL, SLICE_EMPTY),
                         ERROR_NONE);
    struct buffer *batch;
    assert_int_equal(batch_builder_finish(&builder, NULL, &batch), ERROR_NONE);
    assert_int_equal(check(f, batch->data, batch->size), ERROR_NONE);

    f->limits.is_compacted = true;
    assert_int_equal(check(f, batch->data, batch->size), ERROR_INVALID_RECORD);

    assert_int_equal(f->refusal.refused_count, 150);
    assert_int_equal(f->refusal.records_count, BATCH_REFUSED_RECORDS_MAX);
    for (int i = 0; i < BATCH_REFUSED_RECORDS_MAX; i++) {
        assert_int_equal(f->refusal.records[i].index, 2 * i + 1);
        assert_non_null(f->refusal.records[i].text);
    }
    buffer_unref(batch);
}

static enum error check_timestamp(struct fixture *f, int64_t timestamp)
{
    struct batch_options options = batch_options_default();
    struct batch_builder builder;
    struct buffer *batch;
    batch_builder_init(&builder, &options);
    assert_int_equal(batch_builder_append_next(&builder, timestamp, SLICE_NULL, SLICE_EMPTY),
                     ERROR_NONE);
    assert_int_equal(batch_builder_finish(&builder, NULL, &batch), ERROR_NONE);
    enum error error = check(f, batch->data, batch->size);
    buffer_unref(batch);
    return error;
}

/* Check 16 and hostile input 42, at each edge. */
static void timestamps_out_of_range_are_refused_at_the_edge(void **state)
{
    struct fixture *f = *state;
    f->limits.timestamp_before_max_ms = 1000;
    f->limits.timestamp_after_max_ms = 500;
    assert_int_equal(check_timestamp(f, 1000000), ERROR_NONE);
    assert_int_equal(check_timestamp(f, 999000), ERROR_NONE);
    assert_int_equal(check_timestamp(f, 998999), ERROR_INVALID_TIMESTAMP);
    assert_int_equal(check_timestamp(f, 1000500), ERROR_NONE);
    assert_int_equal(check_timestamp(f, 1000501), ERROR_INVALID_TIMESTAMP);
    assert_int_equal(check_timestamp(f, INT64_MAX), ERROR_INVALID_TIMESTAMP);
    assert_int_equal(check_timestamp(f, INT64_MIN), ERROR_INVALID_TIMESTAMP);
    assert_int_equal(check_timestamp(f, -2), ERROR_INVALID_TIMESTAMP);
    assert_int_equal(f->refusal.records_count, 1);
    assert_int_equal(f->refusal.records[0].index, 0);
    assert_int_equal(check_timestamp(f, TIMESTAMP_NONE), ERROR_NONE);
    assert_int_equal(f->facts.max_timestamp, TIMESTAMP_NONE);
}

/* LogAppendTime: the client's timestamps do not matter, the log's is now. */
static void an_append_time_topic_ignores_the_clients_timestamps(void **state)
{
    struct fixture *f = *state;
    f->limits.timestamp_type = TIMESTAMP_APPEND;
    assert_int_equal(check_timestamp(f, INT64_MAX), ERROR_NONE);
    assert_int_equal(f->facts.max_timestamp, f->limits.now_ms);
    assert_int_equal(f->facts.max_timestamp_delta, 0);
}

/* A refusal for a timestamp outweighs one for a key (LogValidator.processRecordErrors). */
static void a_bad_timestamp_wins_over_a_missing_key(void **state)
{
    struct fixture *f = *state;
    f->limits.is_compacted = true;
    struct batch_options options = batch_options_default();
    struct batch_builder builder;
    struct buffer *batch;
    batch_builder_init(&builder, &options);
    assert_int_equal(batch_builder_append_next(&builder, 5, SLICE_NULL, SLICE_EMPTY), ERROR_NONE);
    assert_int_equal(batch_builder_append_next(&builder, INT64_MAX, slice_of("k"), SLICE_EMPTY),
                     ERROR_NONE);
    assert_int_equal(batch_builder_finish(&builder, NULL, &batch), ERROR_NONE);
    assert_int_equal(check(f, batch->data, batch->size), ERROR_INVALID_TIMESTAMP);
    assert_int_equal(f->refusal.records_count, 2);
    buffer_unref(batch);
}

/* Check 14 and hostile input 35: damage inside the records of a batch whose CRC is right. */
static void records_that_do_not_decode_are_invalid(void **state)
{
    struct fixture *f = *state;
    const struct {
        uint8_t bytes[16];
        size_t size;
        enum error owed;
    } cases[] = {
        {{0x0e, 0, 0, 0, 1, 2, 'v', 0}, 8, ERROR_NONE},
        {{0x0e, 0xff, 0, 0, 1, 2, 'v', 0}, 8, ERROR_NONE},               /* Record attributes. */
        {{0x0e, 0, 0, 0, 1, 2, 'v', 1}, 8, ERROR_INVALID_RECORD},        /* Header count -1. */
        {{0x0e, 0, 0, 0, 1, 2, 'v', 2}, 8, ERROR_INVALID_RECORD},        /* A header is missing. */
        {{0x12, 0, 0, 0, 1, 2, 'v', 2, 1, 1}, 10, ERROR_INVALID_RECORD}, /* Its key is null. */
        {{0x12, 0, 0, 0, 1, 2, 'v', 2, 0, 1}, 10, ERROR_NONE},
        {{0x12, 0, 0, 0, 1, 2, 'v', 2, 0, 3}, 10, ERROR_INVALID_RECORD}, /* Its value is -2. */
        {{0x0e, 0, 0, 0, 3, 2, 'v', 0}, 8, ERROR_INVALID_RECORD},        /* Key length -2. */
        {{0x0e, 0, 0, 0, 1, 4, 'v', 0}, 8, ERROR_INVALID_RECORD},     /* Value takes the count. */
        {{0x0e, 0, 0, 0, 1, 6, 'v', 0}, 8, ERROR_INVALID_RECORD},     /* Value beyond the end. */
        {{0x10, 0, 0, 0, 1, 2, 'v', 0}, 8, ERROR_INVALID_RECORD},     /* Longer than there is. */
        {{0x0c, 0, 0, 0, 1, 2, 'v', 0}, 8, ERROR_INVALID_RECORD},     /* Shorter. */
        {{0x01, 0, 0, 0, 1, 2, 'v', 0}, 8, ERROR_INVALID_RECORD},     /* Length -1. */
        {{0x0e, 0, 0, 0, 1, 2, 'v', 0, 0}, 9, ERROR_INVALID_RECORD},  /* A byte behind. */
        {{0x80, 0x80, 0x80, 0x80, 0x80, 0}, 6, ERROR_INVALID_RECORD}, /* Endless varint. */
        {{0}, 0, ERROR_INVALID_RECORD},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer *one = sample_batch(CODEC_NONE, 1, 0);
        uint8_t bytes[BATCH_RECORDS_AT + 16];
        memcpy(bytes, one->data, BATCH_RECORDS_AT);
        memcpy(bytes + BATCH_RECORDS_AT, cases[i].bytes, cases[i].size);
        size_t size = BATCH_RECORDS_AT + cases[i].size;
        store_be32(bytes + BATCH_LENGTH_AT, (uint32_t)(size - BATCH_LENGTH_ENDS_AT));
        batch_set_crc(bytes, size);
        uint8_t *copy = sample_copy(bytes, size);
        enum error error = check(f, copy, size);
        if (error != cases[i].owed)
            fail_msg("case %zu: %s", i, error_name(error));
        free(copy);
        buffer_unref(one);
    }
}

/* Kafka rewrites batches whose deltas are not 0, 1, 2: the facts ask for it, a log refuses them
 * unless they rise within the batch. */
static void offsets_out_of_order_ask_for_a_rewrite(void **state)
{
    struct fixture *f = *state;
    struct buffer *batch = sample_batch(CODEC_NONE, 2, 0);
    uint8_t *delta = batch->data + BATCH_RECORDS_AT + 3; /* Length, attributes, timestamp. */
    assert_int_equal(*delta, 0);
    *delta = 2; /* Both records say offset 1. */
    batch_set_crc(batch->data, batch->size);

    assert_int_equal(check(f, batch->data, batch->size), ERROR_NONE);
    assert_false(f->facts.offsets_in_order);
    assert_int_equal(batch_validate_log(batch->data, batch->size, 1 << 20, &f->context, &f->facts),
                     ERROR_CORRUPT_MESSAGE);
    struct buffer *rewritten;
    assert_int_equal(
        batch_recompress(&f->facts.header, CODEC_NONE, 0, 1 << 20, &f->context, &rewritten),
        ERROR_NONE);
    assert_int_equal(check(f, rewritten->data, rewritten->size), ERROR_NONE);
    assert_true(f->facts.offsets_in_order);
    buffer_unref(rewritten);
    buffer_unref(batch);
}

/* Walks what was accepted: it must all decode. */
static void walk_accepted(struct fixture *f)
{
    struct record_walk walk;
    struct record record;
    assert_int_equal(record_walk_init(&walk, &f->facts.header, &f->context, 1 << 20), ERROR_NONE);
    while (record_walk_next(&walk, &record))
        ;
    assert_int_equal(walk.error, ERROR_NONE);
    record_walk_done(&walk);
}

/* Every byte of a batch changed to several values, CRC left wrong and put right: it is refused or
 * what it says can be walked. */
static void every_single_byte_mutation_is_refused_or_walks(void **state)
{
    struct fixture *f = *state;
    const uint8_t changes[] = {0x01, 0x02, 0x40, 0x80, 0x7f, 0xff};
    for (unsigned codec = CODEC_NONE; codec < CODEC_COUNT; codec++) {
        struct buffer *batch = sample_batch((enum codec)codec, 4, 30);
        for (size_t at = 0; at < batch->size; at++) {
            for (size_t i = 0; i < sizeof changes; i++) {
                uint8_t *copy = sample_copy(batch->data, batch->size);
                copy[at] ^= changes[i];
                enum error error = check(f, copy, batch->size);
                if (at >= BATCH_CRC_AT)
                    assert_int_not_equal(error, ERROR_NONE);
                batch_set_crc(copy, batch->size);
                if (check(f, copy, batch->size) == ERROR_NONE)
                    walk_accepted(f);
                if (batch_validate_log(copy, batch->size, 1 << 20, &f->context, &f->facts) ==
                    ERROR_NONE)
                    walk_accepted(f);
                free(copy);
            }
        }
        buffer_unref(batch);
    }
}

/* What a log may hold and a client may not send: gaps by compaction, emptied batches, markers. */
static void a_log_may_hold_compacted_and_control_batches(void **state)
{
    struct fixture *f = *state;
    struct batch_options options = batch_options_default();
    options.base_offset = 100;
    options.last_offset_delta = 50;
    struct batch_builder builder;
    struct buffer *batch;
    batch_builder_init(&builder, &options);
    struct record record = {.offset = 120, .timestamp = 7, .value = slice_of("x")};
    assert_int_equal(batch_builder_append(&builder, &record), ERROR_NONE);
    assert_int_equal(batch_builder_finish(&builder, NULL, &batch), ERROR_NONE);
    assert_int_equal(batch_validate_log(batch->data, batch->size, 1 << 20, &f->context, &f->facts),
                     ERROR_NONE);
    assert_int_equal(batch_last_offset(&f->facts.header), 150);
    assert_int_equal(f->facts.max_timestamp_delta, 20);
    assert_int_equal(f->facts.text_bytes, 2);
    buffer_unref(batch);

    builder.options.codec = CODEC_ZSTD;
    assert_int_equal(batch_builder_finish(&builder, &f->context, &batch), ERROR_NONE);
    assert_int_equal(batch->size, BATCH_HEADER_BYTES);
    assert_int_equal(batch_validate_log(batch->data, batch->size, 1 << 20, &f->context, &f->facts),
                     ERROR_NONE);
    assert_int_equal(f->facts.text_bytes, 0);
    buffer_unref(batch);

    struct transaction_marker marker = {.producer_id = 1, .timestamp = 9};
    assert_int_equal(batch_build_marker(&marker, &batch), ERROR_NONE);
    assert_int_equal(batch_validate_log(batch->data, batch->size, 1 << 20, &f->context, &f->facts),
                     ERROR_NONE);
    assert_int_equal(f->facts.text_bytes, 0);
    assert_int_equal(f->facts.max_timestamp, 9);
    assert_int_equal(check(f, batch->data, batch->size), ERROR_INVALID_RECORD);
    buffer_unref(batch);
}

/* On disk, a last offset that the offset's type cannot hold is damage. */
static void a_log_refuses_offsets_that_overflow(void **state)
{
    struct fixture *f = *state;
    struct buffer *batch = sample_batch(CODEC_NONE, 3, 5);
    const int64_t bases[] = {-1, INT64_MIN, INT64_MAX, INT64_MAX - 1};
    for (size_t i = 0; i < sizeof bases / sizeof bases[0]; i++) {
        batch_set_base_offset(batch->data, bases[i]);
        assert_int_equal(
            batch_validate_log(batch->data, batch->size, 1 << 20, &f->context, &f->facts),
            ERROR_CORRUPT_MESSAGE);
    }
    batch_set_base_offset(batch->data, INT64_MAX - 2);
    assert_int_equal(batch_validate_log(batch->data, batch->size, 1 << 20, &f->context, &f->facts),
                     ERROR_NONE);
    buffer_unref(batch);
}

/* With the Nth allocation refused, validation says so and succeeds once memory is back. */
static void a_refused_allocation_is_reported(void **state)
{
    struct fixture *f = *state;
    for (unsigned codec = CODEC_NONE; codec < CODEC_COUNT; codec++) {
        struct buffer *batch = sample_batch((enum codec)codec, 20, 3000);
        for (long countdown = 0;; countdown++) {
            struct codec_context context;
            codec_context_init(&context);
            memory_fault_arm(countdown);
            enum error error = batch_validate_produce(batch->data, batch->size, &f->limits,
                                                      &context, &f->facts, &f->refusal);
            int fired = memory_fault_fired();
            memory_fault_arm(-1);
            assert_int_equal(error, fired ? ERROR_OUT_OF_MEMORY : ERROR_NONE);
            assert_int_equal(
                batch_validate_log(batch->data, batch->size, 1 << 20, &context, &f->facts),
                ERROR_NONE);
            codec_context_done(&context);
            if (!fired)
                break;
        }
        buffer_unref(batch);
    }
}

#define FIXTURE_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_begin, fixture_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(a_good_batch_tells_its_facts),
        FIXTURE_TEST(null_values_and_the_first_newest_timestamp_count),
        FIXTURE_TEST(anything_but_one_batch_of_magic_2_is_invalid),
        FIXTURE_TEST(zstd_before_version_7_is_unsupported),
        FIXTURE_TEST(a_batch_that_is_not_whole_is_corrupt),
        FIXTURE_TEST(each_header_field_a_client_may_not_send_is_refused),
        FIXTURE_TEST(a_transactional_batch_with_its_producer_is_accepted),
        FIXTURE_TEST(sizes_are_limited_by_message_and_segment),
        FIXTURE_TEST(the_checks_keep_kafkas_order),
        FIXTURE_TEST(null_keys_on_a_compacted_topic_are_named),
        FIXTURE_TEST(timestamps_out_of_range_are_refused_at_the_edge),
        FIXTURE_TEST(an_append_time_topic_ignores_the_clients_timestamps),
        FIXTURE_TEST(a_bad_timestamp_wins_over_a_missing_key),
        FIXTURE_TEST(records_that_do_not_decode_are_invalid),
        FIXTURE_TEST(offsets_out_of_order_ask_for_a_rewrite),
        FIXTURE_TEST(every_single_byte_mutation_is_refused_or_walks),
        FIXTURE_TEST(a_log_may_hold_compacted_and_control_batches),
        FIXTURE_TEST(a_log_refuses_offsets_that_overflow),
        FIXTURE_TEST(a_refused_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
