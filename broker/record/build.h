/* SPDX-License-Identifier: Apache-2.0 */
/* Making batches: from records one at a time, from a batch with another compression, and the marker
 * that ends a transaction. What is made is one counted buffer that the caller owns.
 *
 *   init -> append, append, ... -> finish -> append, ...        (done at any time)
 *
 * One thread at a time. */
#ifndef BROKER_RECORD_BUILD_H
#define BROKER_RECORD_BUILD_H

#include "record/batch.h"
#include "record/codec.h"
#include "record/record.h"

/* What every batch of a builder carries. */
struct batch_options {
    enum codec codec;
    int level; /* codec_level_default's, or a topic's. */
    enum timestamp_type timestamp_type;
    int64_t append_timestamp; /* maxTimestamp under TIMESTAMP_APPEND. */
    int64_t base_offset;
    int32_t leader_epoch;
    int64_t producer_id; /* PRODUCER_ID_NONE, PRODUCER_EPOCH_NONE, SEQUENCE_NONE without one. */
    int16_t producer_epoch;
    int32_t base_sequence;
    bool is_transactional;
    bool is_control;
    size_t size_bytes_max;     /* Of a batch before compression, header included. */
    int32_t last_offset_delta; /* -1: the last record's. Compaction keeps the old batch's. */
};

/* No producer, no compression, create time, base offset 0, leader epoch -1, no limit. */
struct batch_options batch_options_default(void);

struct batch_builder {
    struct batch_options options; /* May be changed before the first append of a batch. */
    struct buffer *buffer;        /* Header room and records; NULL before the first append. */
    int32_t record_count;
    int64_t last_offset;
    int64_t base_timestamp;
    int64_t max_timestamp;
};

/* Allocates nothing. */
void batch_builder_init(struct batch_builder *builder, const struct batch_options *options);

/* Frees what was appended and not finished. */
void batch_builder_done(struct batch_builder *builder);

/* Adds a copy of the record; its headers are encoded (record_header_write). record->offset must be
 * at least base_offset and rise. TOO_LARGE when the batch would exceed size_bytes_max, or an offset
 * or length its field; OUT_OF_MEMORY. On error the batch is as before. */
enum error batch_builder_append(struct batch_builder *builder, const struct record *record);

/* The same without headers, at the offset behind the last record. */
enum error batch_builder_append_next(struct batch_builder *builder, int64_t timestamp,
                                     struct slice key, struct slice value);

/* Bytes of the batch so far, uncompressed; 0 when nothing was appended. */
size_t batch_builder_size(const struct batch_builder *builder);

/* Bytes that appending this record would add at most (a bound, for callers that plan). */
size_t batch_builder_record_size_max(struct slice key, struct slice value);

/* Makes the batch, CRC included; the builder is then empty and keeps its options. With no record
 * it makes an empty batch (Kafka keeps those for producer state; last_offset_delta must be set).
 * The context may be NULL without compression. On error the builder is as before. */
enum error batch_builder_finish(struct batch_builder *builder, struct codec_context *context,
                                struct buffer **ret_batch);

/* Rewrites a batch of a client (valid by batch_validate_produce) with another codec, for a topic
 * whose compression.type is not `producer`: records, timestamps, producer fields and attributes
 * stay, offset deltas become 0, 1, 2, ... The caller checks max.message.bytes again. */
enum error batch_recompress(const struct batch_header *header, enum codec codec, int level,
                            size_t decompressed_bytes_max, struct codec_context *context,
                            struct buffer **ret_batch);

/* The one-record control batch that ends a transaction (Kafka: EndTransactionMarker; KIP-98). */
struct transaction_marker {
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t coordinator_epoch;
    bool is_commit;
    int64_t timestamp;
};

/* Base offset 0, leader epoch -1: the log sets them. */
enum error batch_build_marker(const struct transaction_marker *marker, struct buffer **ret_batch);

#endif
