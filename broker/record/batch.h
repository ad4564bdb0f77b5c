/* SPDX-License-Identifier: Apache-2.0 */
/* A record batch v2 as bytes: where its fields lie, how to read them, the few that are rewritten in
 * place. Big-endian, on the wire as on disk (Kafka: DefaultRecordBatch; KIP-98).
 *
 *   0           8        12             16      17    21
 *   | baseOffset | length | leaderEpoch | magic | crc | attributes ... records |
 *                         |<--------------- length bytes --------------------->|
 *                                                     |<- CRC-32C covers this >|
 *
 * Any thread; a batch is written only by whoever holds its bytes alone. */
#ifndef BROKER_RECORD_BATCH_H
#define BROKER_RECORD_BATCH_H

#include "base/byteorder.h"
#include "base/error.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Byte positions inside a batch. */
enum {
    BATCH_BASE_OFFSET_AT = 0,
    BATCH_LENGTH_AT = 8,
    BATCH_LENGTH_ENDS_AT = 12, /* The length field counts the bytes from here. */
    BATCH_LEADER_EPOCH_AT = BATCH_LENGTH_ENDS_AT,
    BATCH_MAGIC_AT = 16,
    BATCH_CRC_AT = 17,
    BATCH_ATTRIBUTES_AT = 21,
    BATCH_LAST_OFFSET_DELTA_AT = 23,
    BATCH_BASE_TIMESTAMP_AT = 27,
    BATCH_MAX_TIMESTAMP_AT = 35,
    BATCH_PRODUCER_ID_AT = 43,
    BATCH_PRODUCER_EPOCH_AT = 51,
    BATCH_BASE_SEQUENCE_AT = 53,
    BATCH_RECORD_COUNT_AT = 57,
    BATCH_RECORDS_AT = 61,
};

enum {
    BATCH_LENGTH_MIN = 49,
    BATCH_MAGIC = 2,
    BATCH_HEADER_BYTES = BATCH_RECORDS_AT,
};

_Static_assert(BATCH_LENGTH_AT == BATCH_BASE_OFFSET_AT + 8, "baseOffset is 8 bytes");
_Static_assert(BATCH_LENGTH_ENDS_AT == BATCH_LENGTH_AT + 4, "length is 4 bytes");
_Static_assert(BATCH_MAGIC_AT == BATCH_LEADER_EPOCH_AT + 4, "leaderEpoch is 4 bytes");
_Static_assert(BATCH_CRC_AT == BATCH_MAGIC_AT + 1, "magic is 1 byte");
_Static_assert(BATCH_ATTRIBUTES_AT == BATCH_CRC_AT + 4, "crc is 4 bytes");
_Static_assert(BATCH_LAST_OFFSET_DELTA_AT == BATCH_ATTRIBUTES_AT + 2, "attributes are 2 bytes");
_Static_assert(BATCH_BASE_TIMESTAMP_AT == BATCH_LAST_OFFSET_DELTA_AT + 4, "the delta is 4 bytes");
_Static_assert(BATCH_MAX_TIMESTAMP_AT == BATCH_BASE_TIMESTAMP_AT + 8, "a timestamp is 8 bytes");
_Static_assert(BATCH_PRODUCER_ID_AT == BATCH_MAX_TIMESTAMP_AT + 8, "a timestamp is 8 bytes");
_Static_assert(BATCH_PRODUCER_EPOCH_AT == BATCH_PRODUCER_ID_AT + 8, "producerId is 8 bytes");
_Static_assert(BATCH_BASE_SEQUENCE_AT == BATCH_PRODUCER_EPOCH_AT + 2, "producerEpoch is 2 bytes");
_Static_assert(BATCH_RECORD_COUNT_AT == BATCH_BASE_SEQUENCE_AT + 4, "baseSequence is 4 bytes");
_Static_assert(BATCH_RECORDS_AT == BATCH_RECORD_COUNT_AT + 4, "the count is 4 bytes");
_Static_assert(BATCH_RECORDS_AT == 61, "a v2 batch header is 61 bytes");
_Static_assert(BATCH_LENGTH_MIN == BATCH_RECORDS_AT - BATCH_LENGTH_ENDS_AT, "an empty batch");

/* Bits of the attributes field. */
enum {
    BATCH_CODEC_MASK = 0x07,
    BATCH_APPEND_TIME = 1 << 3, /* LogAppendTime: maxTimestamp holds for every record. */
    BATCH_TRANSACTIONAL = 1 << 4,
    BATCH_CONTROL = 1 << 5,
    BATCH_DELETE_HORIZON = 1 << 6, /* KIP-534: baseTimestamp is the horizon (deltas still add). */
};

enum timestamp_type { TIMESTAMP_CREATE, TIMESTAMP_APPEND };

#define TIMESTAMP_NONE ((int64_t)-1)
#define PRODUCER_ID_NONE ((int64_t)-1)
#define PRODUCER_EPOCH_NONE ((int16_t)-1)
#define SEQUENCE_NONE ((int32_t)-1)

/* One batch's header, decoded; borrows the bytes. */
struct batch_header {
    const uint8_t *bytes; /* Of the whole batch, header included. */
    size_t size;          /* 12 + length: of the whole batch. */
    int64_t base_offset;
    int32_t leader_epoch;
    uint32_t crc;
    uint16_t attributes;
    int32_t last_offset_delta;
    int64_t base_timestamp; /* ms since 1970. */
    int64_t max_timestamp;
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t base_sequence;
    int32_t record_count;
};

/* Reads one batch of which all bytes are there; `size` may run on behind it. Checks structure only:
 * CORRUPT_MESSAGE when fewer than 61 bytes, a length below 49 or beyond `size`, or a magic that
 * never was; UNSUPPORTED_FOR_MESSAGE_FORMAT for magic 0 and 1. */
enum error batch_header_read(const uint8_t *bytes, size_t size, struct batch_header *ret_header);

/* The same from the first 61 bytes alone: ret_header->size may go beyond `size`. */
enum error batch_header_peek(const uint8_t *bytes, size_t size, struct batch_header *ret_header);

/* True when the stored CRC is that of the bytes; `size` is the whole batch's, at least 61. */
bool batch_crc_valid(const uint8_t *bytes, size_t size);

static inline unsigned batch_codec(const struct batch_header *header)
{
    return header->attributes & BATCH_CODEC_MASK;
}

static inline enum timestamp_type batch_timestamp_type(const struct batch_header *header)
{
    return header->attributes & BATCH_APPEND_TIME ? TIMESTAMP_APPEND : TIMESTAMP_CREATE;
}

static inline bool batch_is_transactional(const struct batch_header *header)
{
    return (header->attributes & BATCH_TRANSACTIONAL) != 0;
}

static inline bool batch_is_control(const struct batch_header *header)
{
    return (header->attributes & BATCH_CONTROL) != 0;
}

static inline bool batch_has_producer(const struct batch_header *header)
{
    return header->producer_id >= 0;
}

/* The last offset the batch covers, also when compaction removed its last records. */
static inline int64_t batch_last_offset(const struct batch_header *header)
{
    return header->base_offset + header->last_offset_delta;
}

/* The sequence `delta` (not negative) after `sequence`: 2147483647 is followed by 0. */
int32_t sequence_add(int32_t sequence, int32_t delta);

/* The sequence of the batch's last record; SEQUENCE_NONE when it has none. */
int32_t batch_last_sequence(const struct batch_header *header);

/* The records section, compressed or not. */
static inline struct slice batch_records(const struct batch_header *header)
{
    return slice_from(header->bytes + BATCH_RECORDS_AT, header->size - BATCH_RECORDS_AT);
}

/* Both lie outside the CRC. */
static inline void batch_set_base_offset(uint8_t *bytes, int64_t base_offset)
{
    store_be64(bytes + BATCH_BASE_OFFSET_AT, (uint64_t)base_offset);
}

static inline void batch_set_leader_epoch(uint8_t *bytes, int32_t leader_epoch)
{
    store_be32(bytes + BATCH_LEADER_EPOCH_AT, (uint32_t)leader_epoch);
}

/* Sets maxTimestamp and the timestamp type (Kafka: setMaxTimestamp). Touches nothing when they are
 * so already, otherwise computes the CRC anew: `size` is the whole batch's. */
void batch_set_max_timestamp(uint8_t *bytes, size_t size, enum timestamp_type type,
                             int64_t max_timestamp);

/* Sets whose batch it is and its place among that producer's (KIP-98), and the CRC with it, without
 * reading the records: what a batch of any size costs is the same microsecond. The stored CRC must
 * be right; `size` is the whole batch's. */
void batch_set_producer(uint8_t *bytes, size_t size, int64_t producer_id, int16_t producer_epoch,
                        int32_t base_sequence);

/* Computes and stores the CRC of a batch of `size` bytes. */
void batch_set_crc(uint8_t *bytes, size_t size);

#endif
