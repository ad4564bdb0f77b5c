/* SPDX-License-Identifier: Apache-2.0 */
/* Going through the records of one batch, compressed or not, with no allocation per record.
 *
 *   record_walk_init(&walk, &header, context, CODEC_DECOMPRESSED_BYTES_MAX);
 *   while (record_walk_next(&walk, &record))
 *       ...
 *   error = walk.error;
 *   record_walk_done(&walk);
 *
 * The records' slices point into the batch, or into the decompressed bytes, which the walk holds
 * until record_walk_done. One thread at a time. */
#ifndef BROKER_RECORD_WALK_H
#define BROKER_RECORD_WALK_H

#include "record/batch.h"
#include "record/codec.h"
#include "record/record.h"

struct record_walk {
    const uint8_t *next; /* The next record's bytes; */
    const uint8_t *end;
    struct buffer *held; /* One reference when the records were compressed, else NULL. */
    int64_t base_offset;
    int64_t base_timestamp;
    int64_t append_timestamp; /* Of every record, when has_append_timestamp. */
    bool has_append_timestamp;
    int32_t left;     /* Records the header counts and that were not returned yet. */
    enum error error; /* Sticky; ERROR_NONE so far. */
};

/* Decompresses if needed, at most `decompressed_bytes_max` bytes; the context may be NULL when the
 * batch is not compressed. On error (codec_decompress's) the walk is usable: it is over, with the
 * same error. The CRC is not looked at. */
enum error record_walk_init(struct record_walk *walk, const struct batch_header *header,
                            struct codec_context *context, size_t decompressed_bytes_max);

/* False at the end and when a record does not decode (walk->error is then CORRUPT_MESSAGE; also
 * when bytes follow the last record). */
bool record_walk_next(struct record_walk *walk, struct record *ret_record);

/* Releases the decompressed bytes. Accepts a walk whose init failed. */
void record_walk_done(struct record_walk *walk);

/* What a control batch's one record says (Kafka: EndTransactionMarker, ControlRecordType). */
struct control_record {
    bool is_transaction_end; /* False: another kind, of which the fields below say nothing. */
    bool is_commit;
    int32_t coordinator_epoch;
};

/* CORRUPT_MESSAGE when key or value are too short or of a version below 0. */
enum error control_record_read(const struct record *record, struct control_record *ret_control);

#endif
