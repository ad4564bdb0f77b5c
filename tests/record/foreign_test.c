/* SPDX-License-Identifier: Apache-2.0 */
/* Batches that Apache Kafka and kafka-python made are accepted and read, in every codec. */
#include "record/validate.h"

#include "record/build.h"
#include "record/walk.h"
#include "tests/record/foreign_batches.h"
#include "tests/record/samples.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void assert_record(const struct record *record, int index)
{
    assert_int_equal(record->offset, index);
    if (index == 3) {
        assert_int_equal(record->timestamp, 1999);
        assert_null(record->key.data);
        assert_null(record->value.data);
        assert_int_equal(record->header_count, 0);
        return;
    }
    char key[16], value[40];
    snprintf(key, sizeof key, "key%d", index);
    snprintf(value, sizeof value, "a value a value a value %d", index);
    assert_int_equal(record->timestamp, 2000 + index);
    assert_true(slice_equals_text(record->key, key));
    assert_true(slice_equals_text(record->value, value));
    assert_int_equal(record->header_count, 1);
    struct slice headers = record->headers, name, content;
    assert_true(record_header_next(&headers, &name, &content));
    assert_true(slice_equals_text(name, "origin"));
    assert_true(slice_equals_text(content, "java"));
}

static void assert_foreign(const uint8_t *bytes, size_t size, enum codec codec)
{
    struct batch_limits limits = sample_limits();
    struct codec_context context;
    struct batch_facts facts;
    codec_context_init(&context);
    assert_int_equal(batch_validate_produce(bytes, size, &limits, &context, &facts, NULL),
                     ERROR_NONE);
    assert_int_equal(batch_codec(&facts.header), codec);
    assert_int_equal(facts.header.producer_id, 1234);
    assert_int_equal(facts.header.producer_epoch, 5);
    assert_int_equal(facts.header.base_sequence, 77);
    assert_int_equal(facts.max_timestamp, 2002);
    assert_int_equal(facts.max_timestamp_delta, 2);
    assert_int_equal(facts.text_bytes, 3 * 26 + 1);

    struct record_walk walk;
    struct record record;
    int index = 0;
    assert_int_equal(record_walk_init(&walk, &facts.header, &context, 4096), ERROR_NONE);
    while (record_walk_next(&walk, &record))
        assert_record(&record, index++);
    assert_int_equal(walk.error, ERROR_NONE);
    assert_int_equal(index, 4);
    record_walk_done(&walk);
    codec_context_done(&context);
}

/* Java's writer, at the default and at the highest levels. */
static void batches_of_apache_kafka_are_read(void **state)
{
    (void)state;
    assert_foreign(java_none, sizeof java_none, CODEC_NONE);
    assert_foreign(java_gzip, sizeof java_gzip, CODEC_GZIP);
    assert_foreign(java_snappy, sizeof java_snappy, CODEC_SNAPPY);
    assert_foreign(java_lz4, sizeof java_lz4, CODEC_LZ4);
    assert_foreign(java_lz4_17, sizeof java_lz4_17, CODEC_LZ4);
    assert_foreign(java_zstd, sizeof java_zstd, CODEC_ZSTD);
    assert_foreign(java_zstd_22, sizeof java_zstd_22, CODEC_ZSTD);
}

/* Python's: snappy with its own framing writer, LZ4 with a content size in its frame. */
static void batches_of_kafka_python_are_read(void **state)
{
    (void)state;
    assert_foreign(python_gzip, sizeof python_gzip, CODEC_GZIP);
    assert_foreign(python_snappy, sizeof python_snappy, CODEC_SNAPPY);
    assert_foreign(python_lz4, sizeof python_lz4, CODEC_LZ4);
    assert_foreign(python_zstd, sizeof python_zstd, CODEC_ZSTD);
}

/* The other snappy framing: none. */
static void raw_snappy_is_read(void **state)
{
    (void)state;
    assert_foreign(raw_snappy, sizeof raw_snappy, CODEC_SNAPPY);
}

/* Our builder writes what Java's writes, byte for byte, when nothing is compressed. */
static void the_builder_writes_javas_bytes(void **state)
{
    (void)state;
    struct batch_options options = batch_options_default();
    options.producer_id = 1234;
    options.producer_epoch = 5;
    options.base_sequence = 77;
    uint8_t headers[32];
    size_t headers_size = record_header_write(headers, slice_of("origin"), slice_of("java"));
    struct batch_builder builder;
    batch_builder_init(&builder, &options);
    for (int i = 0; i < 3; i++) {
        char key[16], value[40];
        snprintf(key, sizeof key, "key%d", i);
        snprintf(value, sizeof value, "a value a value a value %d", i);
        struct record record = {
            .offset = i,
            .timestamp = 2000 + i,
            .key = slice_of(key),
            .value = slice_of(value),
            .headers = slice_from(headers, headers_size),
            .header_count = 1,
        };
        assert_int_equal(batch_builder_append(&builder, &record), ERROR_NONE);
    }
    assert_int_equal(batch_builder_append_next(&builder, 1999, SLICE_NULL, SLICE_NULL), ERROR_NONE);
    struct buffer *batch;
    assert_int_equal(batch_builder_finish(&builder, NULL, &batch), ERROR_NONE);
    assert_int_equal(batch->size, sizeof java_none);
    assert_memory_equal(batch->data, java_none, sizeof java_none);
    buffer_unref(batch);
}

/* And the same marker. */
static void the_commit_marker_is_javas(void **state)
{
    (void)state;
    struct transaction_marker marker = {
        .producer_id = 1234,
        .producer_epoch = 5,
        .coordinator_epoch = 42,
        .is_commit = true,
        .timestamp = 3000,
    };
    struct buffer *batch;
    assert_int_equal(batch_build_marker(&marker, &batch), ERROR_NONE);
    assert_int_equal(batch->size, sizeof java_commit);
    assert_memory_equal(batch->data, java_commit, sizeof java_commit);
    buffer_unref(batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_of_apache_kafka_are_read),
        cmocka_unit_test(batches_of_kafka_python_are_read),
        cmocka_unit_test(raw_snappy_is_read),
        cmocka_unit_test(the_builder_writes_javas_bytes),
        cmocka_unit_test(the_commit_marker_is_javas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
