/* SPDX-License-Identifier: Apache-2.0 */
/* The batch builder. */
#include "record/build.h"

#include "base/assertion.h"
#include "base/varint.h"
#include "record/walk.h"

enum { BUILDER_BYTES_FIRST = 1024 };

struct batch_options batch_options_default(void)
{
    return (struct batch_options){
        .codec = CODEC_NONE,
        .timestamp_type = TIMESTAMP_CREATE,
        .leader_epoch = -1,
        .producer_id = PRODUCER_ID_NONE,
        .producer_epoch = PRODUCER_EPOCH_NONE,
        .base_sequence = SEQUENCE_NONE,
        .size_bytes_max = INT32_MAX,
        .last_offset_delta = -1,
    };
}

static void builder_clear(struct batch_builder *builder)
{
    builder->buffer = NULL;
    builder->record_count = 0;
    builder->last_offset = -1;
    builder->base_timestamp = TIMESTAMP_NONE;
    builder->max_timestamp = TIMESTAMP_NONE;
}

void batch_builder_init(struct batch_builder *builder, const struct batch_options *options)
{
    builder->options = *options;
    builder_clear(builder);
}

void batch_builder_done(struct batch_builder *builder)
{
    buffer_unref(builder->buffer);
    builder_clear(builder);
}

size_t batch_builder_size(const struct batch_builder *builder)
{
    return builder->buffer == NULL ? 0 : builder->buffer->size;
}

size_t batch_builder_record_size_max(struct slice key, struct slice value)
{
    /* Length, attributes, timestamp and offset deltas, two lengths, a header count of 0. */
    return VARINT_BYTES_MAX + 1 + VARLONG_BYTES_MAX + 3 * VARINT_BYTES_MAX + 1 + key.size +
           value.size;
}

/* Room for `size` bytes in all. */
static enum error builder_reserve(struct batch_builder *builder, size_t size)
{
    struct buffer *old = builder->buffer;
    if (old != NULL && old->capacity >= size)
        return ERROR_NONE;
    size_t capacity = old == NULL ? BUILDER_BYTES_FIRST : old->capacity * 2;
    if (capacity < size)
        capacity = size;
    struct buffer *grown = buffer_new(capacity);
    if (grown == NULL)
        return ERROR_OUT_OF_MEMORY;
    grown->size = BATCH_HEADER_BYTES;
    if (old != NULL) {
        memcpy(grown->data, old->data, old->size);
        grown->size = old->size;
    }
    buffer_unref(old);
    builder->buffer = grown;
    return ERROR_NONE;
}

enum error batch_builder_append(struct batch_builder *builder, const struct record *record)
{
    const struct batch_options *options = &builder->options;
    bool is_first = builder->record_count == 0;
    ASSERT(record->offset >= options->base_offset);
    ASSERT(is_first || record->offset > builder->last_offset);
    if (record->offset - options->base_offset > INT32_MAX || builder->record_count == INT32_MAX)
        return ERROR_TOO_LARGE;
    int32_t offset_delta = (int32_t)(record->offset - options->base_offset);
    int64_t base_timestamp = is_first ? record->timestamp : builder->base_timestamp;
    int64_t timestamp_delta = (int64_t)((uint64_t)record->timestamp - (uint64_t)base_timestamp);
    size_t size = record_size(record, timestamp_delta, offset_delta);
    size_t used = builder->buffer == NULL ? BATCH_HEADER_BYTES : builder->buffer->size;
    ASSERT(options->size_bytes_max <= INT32_MAX);
    if (used > options->size_bytes_max || size > options->size_bytes_max - used)
        return ERROR_TOO_LARGE;
    enum error error = builder_reserve(builder, used + size);
    if (error != ERROR_NONE)
        return error;

    size_t written =
        record_write(builder->buffer->data + used, record, timestamp_delta, offset_delta);
    ASSERT(written == size);
    builder->buffer->size = used + size;
    builder->base_timestamp = base_timestamp;
    if (is_first || record->timestamp > builder->max_timestamp)
        builder->max_timestamp = record->timestamp;
    builder->last_offset = record->offset;
    builder->record_count++;
    return ERROR_NONE;
}

enum error batch_builder_append_next(struct batch_builder *builder, int64_t timestamp,
                                     struct slice key, struct slice value)
{
    struct record record = {
        .offset =
            builder->record_count == 0 ? builder->options.base_offset : builder->last_offset + 1,
        .timestamp = timestamp,
        .key = key,
        .value = value,
        .headers = SLICE_EMPTY,
    };
    return batch_builder_append(builder, &record);
}

/* An empty batch is not compressed: its records section is empty too. */
static enum codec builder_codec(const struct batch_builder *builder)
{
    return builder->record_count == 0 ? CODEC_NONE : builder->options.codec;
}

static uint16_t builder_attributes(const struct batch_options *options, enum codec codec)
{
    unsigned attributes = codec;
    if (options->timestamp_type == TIMESTAMP_APPEND)
        attributes |= BATCH_APPEND_TIME;
    if (options->is_transactional)
        attributes |= BATCH_TRANSACTIONAL;
    if (options->is_control)
        attributes |= BATCH_CONTROL;
    return (uint16_t)attributes;
}

/* Fills the header of the finished batch and its CRC. */
static void builder_seal(const struct batch_builder *builder, struct buffer *batch)
{
    const struct batch_options *options = &builder->options;
    int64_t last_delta = options->last_offset_delta;
    if (last_delta < 0)
        last_delta = builder->last_offset - options->base_offset;
    ASSERT(last_delta >= 0);
    ASSERT(last_delta <= INT32_MAX);
    ASSERT(builder->record_count == 0 || last_delta >= builder->last_offset - options->base_offset);
    bool append_time = options->timestamp_type == TIMESTAMP_APPEND;

    uint8_t *bytes = batch->data;
    store_be32(bytes + BATCH_LENGTH_AT, (uint32_t)(batch->size - BATCH_LENGTH_ENDS_AT));
    bytes[BATCH_MAGIC_AT] = BATCH_MAGIC;
    store_be16(bytes + BATCH_ATTRIBUTES_AT, builder_attributes(options, builder_codec(builder)));
    store_be32(bytes + BATCH_LAST_OFFSET_DELTA_AT, (uint32_t)last_delta);
    store_be64(bytes + BATCH_BASE_TIMESTAMP_AT, (uint64_t)builder->base_timestamp);
    store_be64(bytes + BATCH_MAX_TIMESTAMP_AT,
               (uint64_t)(append_time ? options->append_timestamp : builder->max_timestamp));
    store_be64(bytes + BATCH_PRODUCER_ID_AT, (uint64_t)options->producer_id);
    store_be16(bytes + BATCH_PRODUCER_EPOCH_AT, (uint16_t)options->producer_epoch);
    store_be32(bytes + BATCH_BASE_SEQUENCE_AT, (uint32_t)options->base_sequence);
    store_be32(bytes + BATCH_RECORD_COUNT_AT, (uint32_t)builder->record_count);
    batch_set_base_offset(bytes, options->base_offset);
    batch_set_leader_epoch(bytes, options->leader_epoch);
    batch_set_crc(bytes, batch->size);
}

enum error batch_builder_finish(struct batch_builder *builder, struct codec_context *context,
                                struct buffer **ret_batch)
{
    const struct batch_options *options = &builder->options;
    ASSERT(builder->record_count > 0 || options->last_offset_delta >= 0);
    enum error error = builder_reserve(builder, BATCH_HEADER_BYTES);
    if (error != ERROR_NONE)
        return error;
    struct buffer *batch = builder->buffer;
    enum codec codec = builder_codec(builder);
    if (codec != CODEC_NONE) {
        ASSERT(context != NULL);
        struct slice records =
            slice_from(batch->data + BATCH_HEADER_BYTES, batch->size - BATCH_HEADER_BYTES);
        error = codec_compress(context, codec, options->level, records, BATCH_HEADER_BYTES, &batch);
        if (error != ERROR_NONE)
            return error;
        ASSERT(batch->size <= INT32_MAX);
        buffer_unref(builder->buffer);
    }
    builder_seal(builder, batch);
    builder_clear(builder);
    *ret_batch = batch;
    return ERROR_NONE;
}

static struct batch_options recompress_options(const struct batch_header *header, enum codec codec,
                                               int level)
{
    struct batch_options options = batch_options_default();
    options.codec = codec;
    options.level = level;
    options.timestamp_type = TIMESTAMP_CREATE;
    options.base_offset = header->base_offset;
    options.leader_epoch = header->leader_epoch;
    options.producer_id = header->producer_id;
    options.producer_epoch = header->producer_epoch;
    options.base_sequence = header->base_sequence;
    options.is_transactional = batch_is_transactional(header);
    return options;
}

enum error batch_recompress(const struct batch_header *header, enum codec codec, int level,
                            size_t decompressed_bytes_max, struct codec_context *context,
                            struct buffer **ret_batch)
{
    ASSERT(!batch_is_control(header));
    ASSERT(header->record_count > 0);
    ASSERT(header->last_offset_delta == header->record_count - 1);
    struct batch_options options = recompress_options(header, codec, level);
    struct record_walk walk;
    enum error error = record_walk_init(&walk, header, context, decompressed_bytes_max);
    struct batch_builder builder;
    batch_builder_init(&builder, &options);
    if (error == ERROR_NONE && walk.end - walk.next <= INT32_MAX - BATCH_HEADER_BYTES)
        error = builder_reserve(&builder, BATCH_HEADER_BYTES + (size_t)(walk.end - walk.next));

    struct record record;
    int64_t offset = header->base_offset;
    while (error == ERROR_NONE && record_walk_next(&walk, &record)) {
        record.offset = offset++;
        error = batch_builder_append(&builder, &record);
    }
    if (error == ERROR_NONE)
        error = walk.error;
    record_walk_done(&walk);
    struct buffer *batch = NULL;
    if (error == ERROR_NONE)
        error = batch_builder_finish(&builder, context, &batch);
    batch_builder_done(&builder);
    if (error != ERROR_NONE)
        return error;

    if (batch_timestamp_type(header) == TIMESTAMP_APPEND)
        batch_set_max_timestamp(batch->data, batch->size, TIMESTAMP_APPEND, header->max_timestamp);
    *ret_batch = batch;
    return ERROR_NONE;
}

enum error batch_build_marker(const struct transaction_marker *marker, struct buffer **ret_batch)
{
    struct batch_options options = batch_options_default();
    options.producer_id = marker->producer_id;
    options.producer_epoch = marker->producer_epoch;
    options.is_transactional = true;
    options.is_control = true;

    uint8_t key[4] = {0, 0, 0, marker->is_commit};
    uint8_t value[6] = {0};
    store_be32(value + 2, (uint32_t)marker->coordinator_epoch);
    struct batch_builder builder;
    batch_builder_init(&builder, &options);
    enum error error = batch_builder_append_next(
        &builder, marker->timestamp, slice_from(key, sizeof key), slice_from(value, sizeof value));
    struct buffer *batch = NULL;
    if (error == ERROR_NONE)
        error = batch_builder_finish(&builder, NULL, &batch);
    batch_builder_done(&builder);
    if (error == ERROR_NONE)
        *ret_batch = batch;
    return error;
}
