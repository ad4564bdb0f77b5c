/* SPDX-License-Identifier: Apache-2.0 */
/* The log's producer state: kept beside the batches, saved in snapshots, built anew from both. */
#include "log/log_state.h"

#include "base/assertion.h"
#include "base/memory.h"
#include "log/transaction_index.h"

#include <string.h>

enum log_producer_verdict log_producer_check(struct log *log, const struct batch_header *header,
                                             struct log_duplicate *ret_duplicate,
                                             enum error *ret_error)
{
    return producer_state_check(&log->producers, header, ret_duplicate, ret_error);
}

void log_producer_each(struct log *log, void (*each)(void *context, const struct log_producer *),
                       void *context)
{
    for (uint32_t place = 0; place < log->producers.capacity; place++) {
        const struct producer *producer = &log->producers.table[place];
        if (producer->id == PRODUCER_ID_NONE)
            continue;
        struct log_producer seen = {
            .producer_id = producer->id,
            .producer_epoch = producer->epoch,
            .last_sequence = producer_last_sequence(producer),
            .last_timestamp = producer->last_timestamp,
            .coordinator_epoch = producer->coordinator_epoch,
            .current_transaction_start_offset = producer->transaction_start_offset,
        };
        each(context, &seen);
    }
}

void log_producer_expire(struct log *log, int64_t wall_clock_ms)
{
    producer_state_expire(&log->producers, wall_clock_ms, log->config.producer_id_expiration_ms);
}

enum error log_producer_note(struct log *log, struct segment *segment,
                             const struct batch_header *header)
{
    struct producer_abort abort;
    producer_state_update(&log->producers, header, &abort);
    if (!abort.aborted)
        return ERROR_NONE;
    struct transaction_entry entry = {abort.producer_id, abort.first_offset, abort.last_offset,
                                      abort.last_stable_offset};
    log->directory_unsynced = true;
    return transaction_index_append(&segment->place, &entry);
}

/* ---- snapshots ---- */

enum error log_snapshot_remember(struct log *log, int64_t offset)
{
    uint32_t place = log->snapshot_count;
    while (place > 0 && log->snapshots[place - 1] > offset)
        place--;
    if (place > 0 && log->snapshots[place - 1] == offset)
        return ERROR_NONE;
    if (log->snapshot_count == log->snapshot_capacity) {
        uint32_t capacity = log->snapshot_capacity == 0 ? 2 : log->snapshot_capacity * 2;
        int64_t *grown = memory_resize(log->snapshots, capacity * sizeof *grown);
        if (grown == NULL)
            return ERROR_OUT_OF_MEMORY;
        log->snapshots = grown;
        log->snapshot_capacity = capacity;
    }
    memmove(&log->snapshots[place + 1], &log->snapshots[place],
            (log->snapshot_count - place) * sizeof *log->snapshots);
    log->snapshots[place] = offset;
    log->snapshot_count++;
    return ERROR_NONE;
}

enum error log_snapshot_take(struct log *log)
{
    if (log->snapshot_count > 0 && log->snapshots[log->snapshot_count - 1] == log->end_offset)
        return ERROR_NONE;
    enum error error = log_snapshot_remember(log, log->end_offset);
    if (error == ERROR_NONE)
        error = producer_state_save(&log->producers, log->storage, log->directory, log->end_offset);
    return error;
}

static enum error snapshot_remove(struct log *log, uint32_t place)
{
    struct file_place file = {log->storage, log->directory, log->snapshots[place]};
    enum error error = file_remove(&file, SNAPSHOT_SUFFIX);
    if (error != ERROR_NONE)
        return error;
    log->snapshot_count--;
    memmove(&log->snapshots[place], &log->snapshots[place + 1],
            (log->snapshot_count - place) * sizeof *log->snapshots);
    return ERROR_NONE;
}

enum error log_snapshots_drop_above(struct log *log, int64_t offset)
{
    while (log->snapshot_count > 0 && log->snapshots[log->snapshot_count - 1] >= offset) {
        enum error error = snapshot_remove(log, log->snapshot_count - 1);
        if (error != ERROR_NONE)
            return error;
    }
    return ERROR_NONE;
}

enum error log_snapshots_prune(struct log *log)
{
    for (uint32_t i = log->snapshot_count; i > 1; i--) {
        int64_t offset = log->snapshots[i - 2]; /* All but the newest. */
        uint32_t index = log_segment_index(log, offset);
        if (log->segments[index]->place.base_offset == offset)
            continue;
        enum error error = snapshot_remove(log, i - 2);
        if (error != ERROR_NONE)
            return error;
    }
    return ERROR_NONE;
}

/* ---- building anew ---- */

/* Loads the newest snapshot that can be trusted, removing those that cannot; the offset from which
 * batches must be replayed. */
static enum error snapshot_load(struct log *log, int64_t *ret_offset)
{
    producer_state_clear(&log->producers);
    while (log->snapshot_count > 0) {
        int64_t offset = log->snapshots[log->snapshot_count - 1];
        enum error error = ERROR_MALFORMED;
        if (offset <= log->end_offset)
            error = producer_state_load(&log->producers, log->storage, log->directory, offset);
        if (error == ERROR_NONE) {
            *ret_offset = offset;
            return ERROR_NONE;
        }
        if (error != ERROR_MALFORMED && error != ERROR_NOT_FOUND)
            return error;
        error = snapshot_remove(log, log->snapshot_count - 1);
        if (error != ERROR_NONE)
            return error;
    }
    *ret_offset = log->segments[0]->place.base_offset;
    return ERROR_NONE;
}

static enum error batch_replay(struct log *log, struct segment *segment, uint64_t position,
                               const struct batch_header *header)
{
    if (!batch_has_producer(header))
        return ERROR_NONE;
    enum error error = producer_state_reserve(&log->producers, header);
    if (error != ERROR_NONE)
        return error;
    struct producer_abort abort; /* In the transaction index already. */
    if (!batch_is_control(header)) {
        producer_state_update(&log->producers, header, &abort);
        return ERROR_NONE;
    }
    uint8_t *bytes;
    struct batch_header whole;
    error = segment_read_batch(segment, position, header->size, &bytes, &whole);
    if (error == ERROR_NONE) {
        producer_state_update(&log->producers, &whole, &abort);
        memory_free(bytes);
    }
    return error;
}

static enum error segment_replay(struct log *log, struct segment *segment, int64_t offset)
{
    struct batch_header header;
    uint64_t position;
    enum error error =
        segment_find_offset(segment, offset, segment->size_bytes, &header, &position);
    if (error != ERROR_NONE)
        return error;
    struct segment_scan scan;
    segment_scan_init(&scan, segment, position, segment->size_bytes, segment->place.base_offset);
    while ((error = segment_scan_next(&scan, &header, &position)) == ERROR_NONE) {
        error = batch_replay(log, segment, position, &header);
        if (error != ERROR_NONE)
            return error;
    }
    return error;
}

enum error log_producers_seek(struct log *log, int64_t offset)
{
    producer_state_clear(&log->producers);
    int64_t replayed = log->segment_count > 0 ? log->segments[0]->place.base_offset : offset;
    for (uint32_t i = log->snapshot_count; i > 0; i--) {
        if (log->snapshots[i - 1] > offset)
            continue;
        enum error error = producer_state_load(&log->producers, log->storage, log->directory,
                                               log->snapshots[i - 1]);
        if (error == ERROR_NONE) {
            replayed = log->snapshots[i - 1];
            break;
        }
        if (error != ERROR_MALFORMED && error != ERROR_NOT_FOUND)
            return error;
    }
    if (replayed >= offset || log->segment_count == 0)
        return ERROR_NONE;
    for (uint32_t i = log_segment_index(log, replayed); i < log->segment_count; i++) {
        enum error error = segment_replay(log, log->segments[i], replayed);
        if (error != ERROR_NOT_FOUND && error != ERROR_CORRUPT_MESSAGE)
            return error;
    }
    return ERROR_NONE;
}

enum error log_producers_reload(struct log *log)
{
    int64_t offset;
    enum error error = snapshot_load(log, &offset);
    if (error != ERROR_NONE || offset >= log->end_offset)
        return error;
    for (uint32_t i = log_segment_index(log, offset); i < log->segment_count; i++) {
        error = segment_replay(log, log->segments[i], offset);
        if (error == ERROR_CORRUPT_MESSAGE) /* Nothing behind it is served or appended. */
            return ERROR_NONE;
        if (error != ERROR_NOT_FOUND)
            return error;
    }
    return ERROR_NONE;
}
