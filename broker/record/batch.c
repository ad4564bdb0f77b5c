/* SPDX-License-Identifier: Apache-2.0 */
/* Header fields of a record batch. */
#include "record/batch.h"

#include "base/assertion.h"
#include "base/crc32c.h"

enum error batch_header_peek(const uint8_t *bytes, size_t size, struct batch_header *ret_header)
{
    if (size < BATCH_HEADER_BYTES)
        return ERROR_CORRUPT_MESSAGE;
    uint8_t magic = bytes[BATCH_MAGIC_AT];
    if (magic < BATCH_MAGIC)
        return ERROR_UNSUPPORTED_FOR_MESSAGE_FORMAT;
    if (magic > BATCH_MAGIC)
        return ERROR_CORRUPT_MESSAGE;
    int32_t length = (int32_t)load_be32(bytes + BATCH_LENGTH_AT);
    if (length < BATCH_LENGTH_MIN)
        return ERROR_CORRUPT_MESSAGE;

    *ret_header = (struct batch_header){
        .bytes = bytes,
        .size = BATCH_LENGTH_ENDS_AT + (size_t)length,
        .base_offset = (int64_t)load_be64(bytes + BATCH_BASE_OFFSET_AT),
        .leader_epoch = (int32_t)load_be32(bytes + BATCH_LEADER_EPOCH_AT),
        .crc = load_be32(bytes + BATCH_CRC_AT),
        .attributes = load_be16(bytes + BATCH_ATTRIBUTES_AT),
        .last_offset_delta = (int32_t)load_be32(bytes + BATCH_LAST_OFFSET_DELTA_AT),
        .base_timestamp = (int64_t)load_be64(bytes + BATCH_BASE_TIMESTAMP_AT),
        .max_timestamp = (int64_t)load_be64(bytes + BATCH_MAX_TIMESTAMP_AT),
        .producer_id = (int64_t)load_be64(bytes + BATCH_PRODUCER_ID_AT),
        .producer_epoch = (int16_t)load_be16(bytes + BATCH_PRODUCER_EPOCH_AT),
        .base_sequence = (int32_t)load_be32(bytes + BATCH_BASE_SEQUENCE_AT),
        .record_count = (int32_t)load_be32(bytes + BATCH_RECORD_COUNT_AT),
    };
    return ERROR_NONE;
}

enum error batch_header_read(const uint8_t *bytes, size_t size, struct batch_header *ret_header)
{
    struct batch_header header;
    enum error error = batch_header_peek(bytes, size, &header);
    if (error != ERROR_NONE)
        return error;
    if (header.size > size)
        return ERROR_CORRUPT_MESSAGE;
    *ret_header = header;
    return ERROR_NONE;
}

static uint32_t batch_crc(const uint8_t *bytes, size_t size)
{
    ASSERT(size >= BATCH_HEADER_BYTES);
    return crc32c(0, bytes + BATCH_ATTRIBUTES_AT, size - BATCH_ATTRIBUTES_AT);
}

bool batch_crc_valid(const uint8_t *bytes, size_t size)
{
    return load_be32(bytes + BATCH_CRC_AT) == batch_crc(bytes, size);
}

void batch_set_crc(uint8_t *bytes, size_t size)
{
    store_be32(bytes + BATCH_CRC_AT, batch_crc(bytes, size));
}

int32_t sequence_add(int32_t sequence, int32_t delta)
{
    ASSERT(sequence >= 0);
    ASSERT(delta >= 0);
    return (int32_t)(((uint32_t)sequence + (uint32_t)delta) & INT32_MAX);
}

int32_t batch_last_sequence(const struct batch_header *header)
{
    if (header->base_sequence < 0 || header->last_offset_delta < 0)
        return SEQUENCE_NONE;
    return sequence_add(header->base_sequence, header->last_offset_delta);
}

void batch_set_max_timestamp(uint8_t *bytes, size_t size, enum timestamp_type type,
                             int64_t max_timestamp)
{
    uint16_t before = load_be16(bytes + BATCH_ATTRIBUTES_AT);
    uint16_t after = before & (uint16_t)~BATCH_APPEND_TIME;
    if (type == TIMESTAMP_APPEND)
        after |= BATCH_APPEND_TIME;
    if (after == before && (int64_t)load_be64(bytes + BATCH_MAX_TIMESTAMP_AT) == max_timestamp)
        return;
    store_be16(bytes + BATCH_ATTRIBUTES_AT, after);
    store_be64(bytes + BATCH_MAX_TIMESTAMP_AT, (uint64_t)max_timestamp);
    batch_set_crc(bytes, size);
}

void batch_set_producer(uint8_t *bytes, size_t size, int64_t producer_id, int16_t producer_epoch,
                        int32_t base_sequence)
{
    enum { FIRST_BYTES = BATCH_RECORD_COUNT_AT - BATCH_ATTRIBUTES_AT };
    ASSERT(size >= BATCH_HEADER_BYTES);
    uint32_t before = crc32c(0, bytes + BATCH_ATTRIBUTES_AT, FIRST_BYTES);
    store_be64(bytes + BATCH_PRODUCER_ID_AT, (uint64_t)producer_id);
    store_be16(bytes + BATCH_PRODUCER_EPOCH_AT, (uint16_t)producer_epoch);
    store_be32(bytes + BATCH_BASE_SEQUENCE_AT, (uint32_t)base_sequence);
    uint32_t after = crc32c(0, bytes + BATCH_ATTRIBUTES_AT, FIRST_BYTES);
    store_be32(bytes + BATCH_CRC_AT, crc32c_replaced(load_be32(bytes + BATCH_CRC_AT), before, after,
                                                     size - BATCH_RECORD_COUNT_AT));
}
