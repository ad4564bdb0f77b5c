/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a batch may enter a log, and what the log needs to know about it, in one pass.
 *
 * batch_validate_produce makes the checks of Kafka's produce path that need only the bytes and the
 * topic's limits, in Kafka's order (ProduceRequest.validateRecords, UnifiedLog
 * .analyzeAndValidateRecords, LogValidator; numbers of protocol facts (d)): 3, 4, 8 to 17.
 * Elsewhere: topic, leadership, acks, authorization (1, 2, 5 to 7: handle and partition); producer
 * epochs, sequences and transactions (18 to 23: partition). Any thread, one context each. */
#ifndef BROKER_RECORD_VALIDATE_H
#define BROKER_RECORD_VALIDATE_H

#include "record/batch.h"
#include "record/codec.h"

/* What a topic allows. */
struct batch_limits {
    int16_t produce_version;            /* Of the request; the newest for batches made here. */
    size_t size_bytes_max;              /* max.message.bytes, of the batch as it came. */
    size_t segment_bytes_max;           /* segment.bytes. */
    size_t decompressed_bytes_max;      /* Cap of a batch's decompressed records. */
    bool is_compacted;                  /* cleanup.policy has compact: every record needs a key. */
    enum timestamp_type timestamp_type; /* message.timestamp.type. */
    int64_t now_ms;
    int64_t timestamp_before_max_ms; /* message.timestamp.before.max.ms, not negative. */
    int64_t timestamp_after_max_ms;  /* message.timestamp.after.max.ms, not negative. */
};

/* What one pass over a batch finds out. */
struct batch_facts {
    struct batch_header header;  /* As it is in the bytes; header.size bytes are the batch. */
    int64_t max_timestamp;       /* The log's: now_ms under TIMESTAMP_APPEND. TIMESTAMP_NONE when
                                    no record has one. Give it to batch_set_max_timestamp. */
    int32_t max_timestamp_delta; /* Offset delta of the first record that has it. */
    bool offsets_in_order;       /* Deltas are 0, 1, 2, ...: if not, batch_recompress the batch
                                    before appending it, as Kafka does. */
    uint64_t text_bytes;         /* Size in the text view: value length + 1 over all records, a
                                    null value counting 0 + 1; 0 for a control batch. */
};

enum { BATCH_REFUSED_RECORDS_MAX = 100 };

/* Why a batch was refused, for the produce answer's errorMessage and recordErrors (KIP-467). */
struct batch_refusal {
    const char *text; /* Static; never NULL after a refusal. */
    struct batch_refused_record {
        int32_t index; /* In the batch. */
        const char *text;
    } records[BATCH_REFUSED_RECORDS_MAX];
    uint32_t records_count; /* Filled above. */
    uint32_t refused_count; /* All of them. */
};

/* Checks the records field of one partition of a produce request. Bytes behind the first batch that
 * are no whole batch are left out of it, as Kafka trims them (facts.header.size).
 *
 *   INVALID_RECORD    no batch, magic 0 or 1, a second batch, base offset not 0, counts that do not
 *                     agree, control batch, producer id without sequence, transactional without
 *                     producer id, records that do not decode (a bomb too), null key (compacted)
 *   CORRUPT_MESSAGE   shorter than 61 bytes or than it says, unknown magic, CRC, snappy framing
 *   INVALID_TIMESTAMP out of range, or LogAppendTime set by the client
 *   UNSUPPORTED_COMPRESSION_TYPE (zstd before version 7; codec 5 to 7), MESSAGE_TOO_LARGE,
 *   RECORD_LIST_TOO_LARGE, OUT_OF_MEMORY.
 *
 * The CRC is computed once. ret_refusal may be NULL; it is written only on error. */
enum error batch_validate_produce(const uint8_t *bytes, size_t size,
                                  const struct batch_limits *limits, struct codec_context *context,
                                  struct batch_facts *ret_facts, struct batch_refusal *ret_refusal);

/* Checks one batch that was read back from a log, or came from its leader: structure, CRC, and that
 * its records decode with rising offsets inside the batch. Compaction may have emptied it or taken
 * records out (offsets_in_order is then false and means nothing). max_timestamp is the records'.
 * CORRUPT_MESSAGE, UNSUPPORTED_FOR_MESSAGE_FORMAT (magic 0, 1), OUT_OF_MEMORY. */
enum error batch_validate_log(const uint8_t *bytes, size_t size, size_t decompressed_bytes_max,
                              struct codec_context *context, struct batch_facts *ret_facts);

#endif
