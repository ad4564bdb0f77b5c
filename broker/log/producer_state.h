/* SPDX-License-Identifier: Apache-2.0 */
/* What a log knows of its idempotent producers: per producer id its epoch, its last five batches
 * and its open transaction (KIP-98; Kafka: ProducerStateManager, ProducerAppendInfo), and the
 * snapshot files that spare reading the whole log for it.
 *
 *   <offset>.snapshot, covering the batches below <offset>:
 *   | int16 version 1 | uint32 CRC-32C of the rest | int32 count | count entries |
 *   entry: int64 producer id, int16 epoch, int32 last sequence, int64 last offset,
 *          int32 offset delta, int64 timestamp, int32 coordinator epoch, int64 transaction start
 *
 * Inside the monitor. */
#ifndef BROKER_LOG_PRODUCER_STATE_H
#define BROKER_LOG_PRODUCER_STATE_H

#include "log/log.h"

enum { PRODUCER_BATCHES_MAX = 5, SNAPSHOT_ENTRY_BYTES = 46, SNAPSHOT_HEADER_BYTES = 10 };

#define SNAPSHOT_SUFFIX ".snapshot"

struct producer_batch {
    int64_t last_offset;
    int64_t timestamp;
    int32_t last_sequence;
    int32_t offset_delta; /* Also the distance of first and last sequence. */
};

struct producer {
    int64_t id; /* -1: a free place. */
    int64_t last_timestamp;
    int64_t transaction_start_offset; /* -1: none open. */
    int32_t coordinator_epoch;
    int16_t epoch; /* -1: unknown. */
    uint8_t batch_count;
    uint8_t batch_next; /* Where the next batch goes in the ring. */
    struct producer_batch batches[PRODUCER_BATCHES_MAX];
};

struct producer_state {
    struct producer *table; /* Open addressing by id; NULL while empty. */
    uint32_t count;
    uint32_t capacity; /* A power of two. */
};

/* An aborted transaction: becomes an entry of the transaction index. */
struct producer_abort {
    bool aborted;
    int64_t producer_id;
    int64_t first_offset;
    int64_t last_offset; /* Of the marker. */
    int64_t last_stable_offset;
};

void producer_state_init(struct producer_state *state);
void producer_state_done(struct producer_state *state);

/* Forgets all producers. */
void producer_state_clear(struct producer_state *state);

/* Rows 18 to 23 of protocol facts (d); changes nothing. */
enum log_producer_verdict producer_state_check(const struct producer_state *state,
                                               const struct batch_header *header,
                                               struct log_duplicate *ret_duplicate,
                                               enum error *ret_error);

/* Makes room, so that producer_state_update of this batch cannot fail. */
enum error producer_state_reserve(struct producer_state *state, const struct batch_header *header);

/* Takes note of a batch that is in the log (header with its final offsets). `bytes` of the header
 * are read for control batches only. */
void producer_state_update(struct producer_state *state, const struct batch_header *header,
                           struct producer_abort *ret_abort);

/* Puts a producer read from a snapshot into the state. */
enum error producer_state_restore(struct producer_state *state, const struct producer *producer);

void producer_state_expire(struct producer_state *state, int64_t wall_clock_ms,
                           int64_t expiration_ms);

const struct producer *producer_state_find(const struct producer_state *state, int64_t id);

/* SEQUENCE_NONE when it has no batch in its epoch. */
int32_t producer_last_sequence(const struct producer *producer);

/* The first offset of the oldest open transaction, -1 when none is open. */
int64_t producer_state_oldest_transaction(const struct producer_state *state);

/* Writes <offset>.snapshot; it carries its own checksum and is not synced. */
enum error producer_state_save(const struct producer_state *state, struct storage *storage,
                               const char *directory, int64_t offset);

/* Replaces the state by a snapshot's. NOT_FOUND, MALFORMED. */
enum error producer_state_load(struct producer_state *state, struct storage *storage,
                               const char *directory, int64_t offset);

#endif
