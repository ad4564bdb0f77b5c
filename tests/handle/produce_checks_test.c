/* SPDX-License-Identifier: Apache-2.0 */
/* What Produce refuses and with which code: the checks of Kafka's produce path (numbers are those
 * of protocol facts (d)), each by the direct way and by way of admit and prepare. */
#include "handle/produce_fixture.h"

#include <cmocka.h>

/* Sends it both ways: the same refusal, no offset, nothing appended. */
static struct sent refused(struct broker_fixture *f, struct send send, enum error expected)
{
    struct sent sent = {0};
    for (int way = 0; way < 2; way++) {
        send.by_both_steps = way == 1;
        sent = fixture_send(f, &send);
        assert_true(sent.answered);
        assert_false(sent.closed);
        assert_kafka_error(sent.error_code, expected);
        assert_int_equal(sent.base_offset, -1);
        assert_int_equal(sent.log_append_time_ms, -1);
    }
    return sent;
}

/* The same, of a batch that is let go of afterwards. */
static struct sent refused_batch(struct broker_fixture *f, struct buffer *batch,
                                 enum error expected)
{
    struct sent sent = refused(f, send_of(batch), expected);
    assert_int_equal(fixture_end_offset(f, "orders", 0), 0);
    buffer_unref(batch);
    return sent;
}

static struct buffer *one_record(void)
{
    return batch_make(1, SIMULATED_WALL_CLOCK_MS);
}

/* Check 1: transactions are not here; every partition of the request says so. */
static void transactional_produce_is_refused(void **state)
{
    struct broker_fixture *f = *state;
    fixture_topic(f, "orders", 1);
    struct buffer *batch = one_record();
    struct send send = send_of(batch);
    send.transactional_id = "payments";
    refused(f, send, ERROR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    buffer_unref(batch);
    batch = batch_make_idempotent(1, 7, 0, 0);
    store_be16(batch->data + BATCH_ATTRIBUTES_AT, BATCH_TRANSACTIONAL);
    batch_set_crc(batch->data, batch->size);
    refused_batch(f, batch, ERROR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
}

/* Check 2: by name, by partition, by id. */
static void unknown_topics_and_partitions_are_refused(void **state)
{
    struct broker_fixture *f = *state;
    struct buffer *batch = one_record();
    struct send send = send_of(batch);
    refused(f, send, ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    send.version = 13;
    refused(f, send, ERROR_UNKNOWN_TOPIC_ID);
    fixture_topic(f, "orders", 1);
    static const int32_t indexes[] = {1, -1, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof indexes / sizeof indexes[0]; i++) {
        send.partition = indexes[i];
        send.version = 9;
        refused(f, send, ERROR_UNKNOWN_TOPIC_OR_PARTITION);
        send.version = 13;
        refused(f, send, ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    }
    buffer_unref(batch);
}

/* Check 3: null and empty records, an old format, two batches. */
static void anything_but_one_new_batch_is_refused(void **state)
{
    struct broker_fixture *f = *state;
    fixture_topic(f, "orders", 1);
    struct buffer *batch = one_record();
    struct send send = send_of(batch);
    send.records = SLICE_NULL;
    refused(f, send, ERROR_INVALID_RECORD);
    send.records = SLICE_EMPTY;
    refused(f, send, ERROR_INVALID_RECORD);
    uint8_t two[1024];
    memcpy(two, batch->data, batch->size);
    memcpy(two + batch->size, batch->data, batch->size);
    send.records = slice_from(two, 2 * batch->size);
    refused(f, send, ERROR_INVALID_RECORD);
    for (uint8_t magic = 0; magic < 2; magic++) {
        memcpy(two, batch->data, batch->size);
        two[BATCH_MAGIC_AT] = magic;
        send.records = slice_from(two, batch->size);
        refused(f, send, ERROR_INVALID_RECORD);
    }
    buffer_unref(batch);
    assert_int_equal(fixture_end_offset(f, "orders", 0), 0);
}

static struct buffer *with_codec(enum codec codec)
{
    struct batch_options options = batch_options_default();
    struct batch_builder builder;
    struct codec_context context;
    struct buffer *batch = NULL;
    options.codec = codec;
    options.level = codec_level_default(codec);
    codec_context_init(&context);
    batch_builder_init(&builder, &options);
    assert_int_equal(batch_builder_append_next(&builder, SIMULATED_WALL_CLOCK_MS, slice_of("key"),
                                               slice_of("value")),
                     ERROR_NONE);
    assert_int_equal(batch_builder_finish(&builder, &context, &batch), ERROR_NONE);
    codec_context_done(&context);
    return batch;
}

/* Check 4: zstd from version 7 on, the other codecs always, and no codec that never was. */
static void zstd_needs_version_seven(void **state)
{
    struct broker_fixture *f = *state;
    fixture_topic(f, "orders", 1);
    for (enum codec codec = CODEC_NONE; codec <= CODEC_ZSTD; codec++) {
        struct buffer *batch = with_codec(codec);
        struct send send = send_of(batch);
        send.version = 6;
        if (codec == CODEC_ZSTD)
            refused(f, send, ERROR_UNSUPPORTED_COMPRESSION_TYPE);
        else
            assert_kafka_error(fixture_send(f, &send).error_code, ERROR_NONE);
        send.version = 7;
        assert_kafka_error(fixture_send(f, &send).error_code, ERROR_NONE);
        buffer_unref(batch);
    }
    struct buffer *batch = one_record();
    store_be16(batch->data + BATCH_ATTRIBUTES_AT, 5);
    batch_set_crc(batch->data, batch->size);
    refused(f, send_of(batch), ERROR_UNSUPPORTED_COMPRESSION_TYPE);
    buffer_unref(batch);
}

/* Check 5: acks are 0, 1 or all. */
static void other_acks_are_refused(void **state)
{
    struct broker_fixture *f = *state;
    fixture_topic(f, "orders", 1);
    struct buffer *batch = one_record();
    struct send send = send_of(batch);
    static const int16_t wrong[] = {2, -2, INT16_MAX, INT16_MIN};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        send.acks = wrong[i];
        refused(f, send, ERROR_INVALID_REQUIRED_ACKS);
    }
    buffer_unref(batch);
    assert_int_equal(fixture_end_offset(f, "orders", 0), 0);
}

/* Check 6: the cluster's own topics are for Kafka's own tools. */
static void internal_topics_are_refused_but_to_the_admin_client(void **state)
{
    struct broker_fixture *f = *state;
    fixture_topic(f, "__consumer_offsets", 1);
    struct buffer *batch = one_record();
    struct send send = send_of(batch);
    send.topic = "__consumer_offsets";
    refused(f, send, ERROR_INVALID_TOPIC);
    send.client_id = "producer-1";
    refused(f, send, ERROR_INVALID_TOPIC);
    send.client_id = "__admin_client";
    assert_kafka_error(fixture_send(f, &send).error_code, ERROR_NONE);
    buffer_unref(batch);
}

/* Check 8: shorter than a header or than it says, or a format that never was. */
static void torn_batches_are_refused(void **state)
{
    struct broker_fixture *f = *state;
    fixture_topic(f, "orders", 1);
    struct buffer *batch = one_record();
    struct send send = send_of(batch);
    for (size_t size = 1; size < batch->size; size++) {
        send.records = slice_from(batch->data, size);
        struct sent sent = fixture_send(f, &send);
        assert_true(sent.error_code == error_to_kafka(ERROR_CORRUPT_MESSAGE) ||
                    sent.error_code == error_to_kafka(ERROR_INVALID_RECORD));
    }
    send = send_of(batch);
    batch->data[BATCH_MAGIC_AT] = 3;
    refused(f, send, ERROR_CORRUPT_MESSAGE);
    batch->data[BATCH_MAGIC_AT] = BATCH_MAGIC;
    store_be32(batch->data + BATCH_LENGTH_AT, BATCH_LENGTH_MIN - 1);
    refused_batch(f, batch, ERROR_CORRUPT_MESSAGE);
}

/* Check 9: offsets are given here. */
static void a_base_offset_of_the_clients_own_is_refused(void **state)
{
    struct broker_fixture *f = *state;
    fixture_topic(f, "orders", 1);
    struct buffer *batch = one_record();
    batch_set_base_offset(batch->data, 1);
    refused_batch(f, batch, ERROR_INVALID_RECORD);
}

/* Check 10: the limit is the batch's size as sent, and again after it was compressed anew. */
static void batches_above_the_limit_are_refused(void **state)
{
    struct broker_fixture *f = *state;
    struct buffer *batch = batch_make(50, SIMULATED_WALL_CLOCK_MS);
    char limit[24];
    snprintf(limit, sizeof limit, "%zu", batch->size - 1);
    fixture_set(f, "message.max.bytes", limit);
    fixture_topic(f, "orders", 1);
    refused(f, send_of(batch), ERROR_MESSAGE_TOO_LARGE);
    snprintf(limit, sizeof limit, "%zu", batch->size);
    fixture_set(f, "message.max.bytes", limit);
    struct send send = send_of(batch);
    assert_kafka_error(fixture_send(f, &send).error_code, ERROR_NONE);
    buffer_unref(batch);
    /* Small as it comes, too large as the topic wants it. */
    fixture_set(f, "compression.type", "uncompressed");
    fixture_set(f, "message.max.bytes", "80");
    fixture_topic(f, "plain", 1);
    struct batch_options options = batch_options_default();
    struct batch_builder builder;
    struct codec_context context;
    options.codec = CODEC_ZSTD;
    options.level = codec_level_default(CODEC_ZSTD);
    codec_context_init(&context);
    batch_builder_init(&builder, &options);
    static const char zeros[400];
    assert_int_equal(batch_builder_append_next(&builder, SIMULATED_WALL_CLOCK_MS, slice_of("key"),
                                               slice_from(zeros, sizeof zeros)),
                     ERROR_NONE);
    assert_int_equal(batch_builder_finish(&builder, &context, &batch), ERROR_NONE);
    codec_context_done(&context);
    fixture_set(f, "message.max.bytes", "200");
    assert_true(batch->size < 200);
    send = send_of(batch);
    send.topic = "plain";
    refused(f, send, ERROR_MESSAGE_TOO_LARGE);
    buffer_unref(batch);
}

/* Check 11: any bit behind the CRC. */
static void a_wrong_checksum_is_refused(void **state)
{
    struct broker_fixture *f = *state;
    fixture_topic(f, "orders", 1);
    struct buffer *batch = one_record();
    for (size_t at = BATCH_CRC_AT; at < batch->size; at++) {
        batch->data[at] ^= 0x10;
        struct send send = send_of(batch);
        struct sent sent = fixture_send(f, &send);
        /* The attributes are looked at first (checks 1 and 4). */
        assert_int_not_equal(sent.error_code, 0);
        if (at < BATCH_ATTRIBUTES_AT || at >= BATCH_LAST_OFFSET_DELTA_AT)
            assert_kafka_error(sent.error_code, ERROR_CORRUPT_MESSAGE);
        batch->data[at] ^= 0x10;
    }
    buffer_unref(batch);
}

static void refused_with(struct broker_fixture *f, size_t at, uint32_t value, enum error expected)
{
    struct buffer *batch = batch_make(2, SIMULATED_WALL_CLOCK_MS);
    store_be32(batch->data + at, value);
    batch_set_crc(batch->data, batch->size);
    refused_batch(f, batch, expected);
}

/* Check 12: how many records there are is said twice. */
static void counts_that_disagree_are_refused(void **state)
{
    struct broker_fixture *f = *state;
    fixture_topic(f, "orders", 1);
    refused_with(f, BATCH_LAST_OFFSET_DELTA_AT, 0, ERROR_INVALID_RECORD);
    refused_with(f, BATCH_LAST_OFFSET_DELTA_AT, 2, ERROR_INVALID_RECORD);
    refused_with(f, BATCH_LAST_OFFSET_DELTA_AT, (uint32_t)-1, ERROR_INVALID_RECORD);
    refused_with(f, BATCH_LAST_OFFSET_DELTA_AT, INT32_MAX, ERROR_INVALID_RECORD);
    refused_with(f, BATCH_RECORD_COUNT_AT, 0, ERROR_INVALID_RECORD);
    refused_with(f, BATCH_RECORD_COUNT_AT, 1, ERROR_INVALID_RECORD);
    refused_with(f, BATCH_RECORD_COUNT_AT, (uint32_t)-1, ERROR_INVALID_RECORD);
    refused_with(f, BATCH_RECORD_COUNT_AT, INT32_MAX, ERROR_INVALID_RECORD);
}

/* Check 13: control records are the coordinator's; a producer id comes with a sequence. */
static void control_batches_and_half_producers_are_refused(void **state)
{
    struct broker_fixture *f = *state;
    fixture_topic(f, "orders", 1);
    struct buffer *batch = one_record();
    store_be16(batch->data + BATCH_ATTRIBUTES_AT, BATCH_CONTROL);
    batch_set_crc(batch->data, batch->size);
    refused_batch(f, batch, ERROR_INVALID_RECORD);
    refused_batch(f, batch_make_idempotent(1, 7, 0, -1), ERROR_INVALID_RECORD);
}

/* Check 14: both counts raised alike promise a record that is not there; and bytes behind the last
 * record. */
static void records_that_do_not_decode_are_refused(void **state)
{
    struct broker_fixture *f = *state;
    fixture_topic(f, "orders", 1);
    struct buffer *batch = batch_make(2, SIMULATED_WALL_CLOCK_MS);
    store_be32(batch->data + BATCH_LAST_OFFSET_DELTA_AT, 2);
    store_be32(batch->data + BATCH_RECORD_COUNT_AT, 3);
    batch_set_crc(batch->data, batch->size);
    refused_batch(f, batch, ERROR_INVALID_RECORD);
    batch = batch_make(2, SIMULATED_WALL_CLOCK_MS);
    store_be32(batch->data + BATCH_LAST_OFFSET_DELTA_AT, 0);
    store_be32(batch->data + BATCH_RECORD_COUNT_AT, 1);
    batch_set_crc(batch->data, batch->size);
    refused_batch(f, batch, ERROR_INVALID_RECORD);
    batch = one_record();
    batch->data[BATCH_RECORDS_AT] = 0x7f; /* The record's length: negative. */
    batch_set_crc(batch->data, batch->size);
    refused_batch(f, batch, ERROR_INVALID_RECORD);
}

static struct buffer *without_keys(int count)
{
    struct batch_options options = batch_options_default();
    struct batch_builder builder;
    struct buffer *batch = NULL;
    batch_builder_init(&builder, &options);
    for (int i = 0; i < count; i++)
        assert_int_equal(batch_builder_append_next(&builder, SIMULATED_WALL_CLOCK_MS,
                                                   i == 0 ? slice_of("key") : SLICE_NULL,
                                                   slice_of("value")),
                         ERROR_NONE);
    assert_int_equal(batch_builder_finish(&builder, NULL, &batch), ERROR_NONE);
    return batch;
}

/* Check 15: a compacted topic needs keys; the answer names the records without one. */
static void records_without_a_key_are_named_on_a_compacted_topic(void **state)
{
    struct broker_fixture *f = *state;
    fixture_set(f, "log.cleanup.policy", "compact");
    fixture_topic(f, "orders", 1);
    struct sent sent = refused_batch(f, without_keys(3), ERROR_INVALID_RECORD);
    assert_int_equal(sent.record_errors_count, 2);
    assert_true(sent.has_message);
    struct buffer *batch = without_keys(1);
    struct send send = send_of(batch);
    assert_kafka_error(fixture_send(f, &send).error_code, ERROR_NONE);
    buffer_unref(batch);
}

/* Check 16: too old, too new, or the clock claimed to be ours; a record without a timestamp goes.
 */
static void timestamps_out_of_range_are_refused(void **state)
{
    struct broker_fixture *f = *state;
    fixture_set(f, "log.message.timestamp.before.max.ms", "1000");
    fixture_set(f, "log.message.timestamp.after.max.ms", "2000");
    fixture_topic(f, "orders", 1);
    int64_t now = executor_wall_clock_ms(f->broker.executor);
    struct sent sent = refused_batch(f, batch_make(1, now - 60000), ERROR_INVALID_TIMESTAMP);
    assert_int_equal(sent.record_errors_count, 1);
    assert_true(sent.has_message);
    refused_batch(f, batch_make(1, now + 60000), ERROR_INVALID_TIMESTAMP);
    struct buffer *batch = batch_make(1, now);
    store_be16(batch->data + BATCH_ATTRIBUTES_AT, BATCH_APPEND_TIME);
    batch_set_crc(batch->data, batch->size);
    refused_batch(f, batch, ERROR_INVALID_TIMESTAMP);
    batch = batch_make(1, TIMESTAMP_NONE);
    struct send send = send_of(batch);
    assert_kafka_error(fixture_send(f, &send).error_code, ERROR_NONE);
    buffer_unref(batch);
}

/* Check 17: a batch has to fit a segment. */
static void a_batch_larger_than_a_segment_is_refused(void **state)
{
    struct broker_fixture *f = *state;
    fixture_set(f, "message.max.bytes", "100000000");
    fixture_set(f, "log.segment.bytes", "1048576");
    fixture_topic(f, "orders", 1);
    struct batch_options options = batch_options_default();
    struct batch_builder builder;
    struct buffer *value = buffer_new(1 << 20);
    struct buffer *batch = NULL;
    assert_non_null(value);
    memset(value->data, 'x', 1 << 20);
    batch_builder_init(&builder, &options);
    assert_int_equal(batch_builder_append_next(&builder, SIMULATED_WALL_CLOCK_MS, SLICE_NULL,
                                               slice_from(value->data, 1 << 20)),
                     ERROR_NONE);
    assert_int_equal(batch_builder_finish(&builder, NULL, &batch), ERROR_NONE);
    buffer_unref(value);
    refused_batch(f, batch, ERROR_RECORD_LIST_TOO_LARGE);
}

static void sequence(struct broker_fixture *f, int16_t epoch, int32_t base, enum error expected)
{
    struct buffer *batch = batch_make_idempotent(2, 7, epoch, base);
    struct send send = send_of(batch);
    if (expected == ERROR_NONE)
        assert_kafka_error(fixture_send(f, &send).error_code, ERROR_NONE);
    else
        refused(f, send, expected);
    buffer_unref(batch);
}

/* Checks 20 and 21: epochs do not go back, sequences leave nothing out. */
static void producers_out_of_step_are_refused(void **state)
{
    struct broker_fixture *f = *state;
    fixture_topic(f, "orders", 1);
    sequence(f, 3, 40, ERROR_NONE); /* Not known: any sequence begins. */
    sequence(f, 3, 42, ERROR_NONE);
    sequence(f, 3, 45, ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    sequence(f, 3, 43, ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    sequence(f, 2, 44, ERROR_INVALID_PRODUCER_EPOCH);
    sequence(f, 4, 44, ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    sequence(f, 4, 0, ERROR_NONE);
    sequence(f, 3, 44, ERROR_INVALID_PRODUCER_EPOCH);
    assert_int_equal(fixture_end_offset(f, "orders", 0), 6);
}

/* Check 21: after 2147483647 comes 0. */
static void sequences_wrap_to_zero(void **state)
{
    struct broker_fixture *f = *state;
    fixture_topic(f, "orders", 1);
    sequence(f, 0, INT32_MAX - 2, ERROR_NONE);
    sequence(f, 0, INT32_MAX, ERROR_NONE);
    sequence(f, 0, 1, ERROR_NONE);
    sequence(f, 0, 4, ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BROKER(transactional_produce_is_refused),
        WITH_BROKER(unknown_topics_and_partitions_are_refused),
        WITH_BROKER(anything_but_one_new_batch_is_refused),
        WITH_BROKER(zstd_needs_version_seven),
        WITH_BROKER(other_acks_are_refused),
        WITH_BROKER(internal_topics_are_refused_but_to_the_admin_client),
        WITH_BROKER(torn_batches_are_refused),
        WITH_BROKER(a_base_offset_of_the_clients_own_is_refused),
        WITH_BROKER(batches_above_the_limit_are_refused),
        WITH_BROKER(a_wrong_checksum_is_refused),
        WITH_BROKER(counts_that_disagree_are_refused),
        WITH_BROKER(control_batches_and_half_producers_are_refused),
        WITH_BROKER(records_that_do_not_decode_are_refused),
        WITH_BROKER(records_without_a_key_are_named_on_a_compacted_topic),
        WITH_BROKER(timestamps_out_of_range_are_refused),
        WITH_BROKER(a_batch_larger_than_a_segment_is_refused),
        WITH_BROKER(producers_out_of_step_are_refused),
        WITH_BROKER(sequences_wrap_to_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
