/* SPDX-License-Identifier: Apache-2.0 */
/* Batches for the tests. */
#include "tests/record/samples.h"

#include <stdio.h>

uint8_t *sample_copy(const void *bytes, size_t size)
{
    uint8_t *copy = malloc(size == 0 ? 1 : size);
    if (copy == NULL)
        abort();
    memcpy(copy, bytes, size);
    return copy;
}

struct batch_limits sample_limits(void)
{
    return (struct batch_limits){
        .produce_version = 12,
        .size_bytes_max = 8 << 20,
        .segment_bytes_max = 64 << 20,
        .decompressed_bytes_max = 16 << 20,
        .timestamp_type = TIMESTAMP_CREATE,
        .now_ms = 1000000,
        .timestamp_before_max_ms = INT64_MAX,
        .timestamp_after_max_ms = 3600000,
    };
}

uint8_t sample_value_byte(int index, size_t at)
{
    return (uint8_t)('a' + ((unsigned)index * 7 + at / 5 + at % 3) % 26);
}

struct buffer *sample_batch(enum codec codec, int count, size_t value_size)
{
    struct batch_options options = batch_options_default();
    options.codec = codec;
    options.level = codec_level_default(codec);
    struct batch_builder builder;
    batch_builder_init(&builder, &options);
    uint8_t headers[64];
    size_t headers_size = record_header_write(headers, slice_of("trace"), slice_of("1234"));
    uint8_t *value = sample_copy("", 0);
    value = realloc(value, value_size + 1);
    for (int i = 0; i < count; i++) {
        char key[32];
        int key_size = snprintf(key, sizeof key, "key-%d", i);
        for (size_t at = 0; at < value_size; at++)
            value[at] = sample_value_byte(i, at);
        struct record record = {
            .offset = i,
            .timestamp = 1000 + 3 * i,
            .key = slice_from(key, (size_t)key_size),
            .value = slice_from(value, value_size),
            .headers = i % 3 == 0 ? slice_from(headers, headers_size) : SLICE_EMPTY,
            .header_count = i % 3 == 0,
        };
        if (batch_builder_append(&builder, &record) != ERROR_NONE)
            abort();
    }
    free(value);
    struct codec_context context;
    codec_context_init(&context);
    struct buffer *batch;
    if (batch_builder_finish(&builder, &context, &batch) != ERROR_NONE)
        abort();
    codec_context_done(&context);
    return batch;
}
