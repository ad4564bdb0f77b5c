/* SPDX-License-Identifier: Apache-2.0 */
/* Appending: deciding to roll, one write, then everything that must know of the batch. */
#include "log/log_state.h"

#include "base/assertion.h"

/* ---- rolling ---- */

/* Kafka: LogSegment.timeWaitedForRoll. */
static int64_t time_waited_ms(const struct segment *segment, int64_t now_ms, int64_t timestamp)
{
    if (segment->first_timestamp >= 0)
        return timestamp - segment->first_timestamp;
    return now_ms - segment->created_ms;
}

/* Kafka: LogSegment.shouldRoll. An empty segment takes any batch whose offsets fit. */
static bool should_roll(struct log *log, const struct batch_header *header)
{
    const struct segment *active = log_active(log);
    if (batch_last_offset(header) - active->place.base_offset > INT32_MAX)
        return true;
    if (active->size_bytes == 0)
        return false;
    if (active->size_bytes + header->size > SEGMENT_FILES_MAX_BYTES)
        return true;
    if (log->config.segment_bytes >= 0 &&
        (int64_t)(active->size_bytes + header->size) > log->config.segment_bytes)
        return true;
    if (log->config.segment_ms >= 0 &&
        time_waited_ms(active, executor_wall_clock_ms(log->executor), header->max_timestamp) >
            log->config.segment_ms - log->roll_jitter_ms)
        return true;
    int64_t index_bytes = log->config.segment_index_bytes;
    return index_bytes >= TIME_ENTRY_BYTES &&
           (sparse_index_count(&active->offsets) >= index_bytes / OFFSET_ENTRY_BYTES ||
            sparse_index_count(&active->times) >= index_bytes / TIME_ENTRY_BYTES - 1);
}

/* Makes a new active segment; an empty one before it goes. */
static enum error roll_to(struct log *log, int64_t base_offset)
{
    struct segment *old = log_active(log);
    ASSERT(base_offset > old->place.base_offset);
    enum error error = segment_seal(old);
    if (error == ERROR_NONE)
        error = log_segment_add(log, base_offset);
    if (error != ERROR_NONE)
        return error;
    old->indexes_unsynced = true;
    log_point_normalise(log, &log->visible);
    log->last_read.segment = NULL;
    if (old->size_bytes == 0 && log->visible.segment != old) {
        struct file_place place = old->place;
        log_segments_drop(log, log->segment_count - 2, 1);
        (void)segment_remove_files(&place, ""); /* Empty: harmless if it stays. */
    }
    (void)log_snapshot_take(log); /* Without it the next open reads more. */
    (void)log_snapshots_prune(log);
    return ERROR_NONE;
}

enum error log_roll(struct log *log)
{
    if (log_damaged(log))
        return ERROR_CORRUPT_MESSAGE;
    if (log->failed)
        return ERROR_STORAGE;
    if (log_active(log)->size_bytes == 0)
        return ERROR_NONE;
    return roll_to(log, log->end_offset);
}

/* ---- appending ---- */

/* Everything that may fail before the batch is written. */
static enum error append_prepare(struct log *log, const struct batch_header *header)
{
    if (log_damaged(log))
        return ERROR_CORRUPT_MESSAGE;
    if (log->failed)
        return ERROR_STORAGE;
    /* Epochs never go back in a log: recovery would take it for damage. */
    if (header->leader_epoch >= 0 && header->leader_epoch < epoch_cache_latest(&log->epochs))
        return ERROR_FENCED_LEADER_EPOCH;
    log->finished = false;
    enum error error = ERROR_NONE;
    if (should_roll(log, header)) {
        bool near = batch_last_offset(header) - log->end_offset <= INT32_MAX;
        int64_t base =
            near && log_active(log)->size_bytes > 0 ? log->end_offset : header->base_offset;
        error = roll_to(log, base);
    }
    if (error == ERROR_NONE)
        error = producer_state_reserve(&log->producers, header);
    if (error == ERROR_NONE)
        error = log_ring_reserve(log);
    if (error == ERROR_NONE && header->leader_epoch > epoch_cache_latest(&log->epochs))
        error = log_epoch_assign(log, header->leader_epoch, header->base_offset);
    return error;
}

static enum error append_batch(struct log *log, const uint8_t *bytes,
                               const struct batch_header *header, uint64_t text_bytes)
{
    enum error error = append_prepare(log, header);
    if (error != ERROR_NONE)
        return error;
    struct segment *active = log_active(log);
    error = segment_append(active, bytes, header, (int64_t)text_bytes,
                           log->config.index_interval_bytes);
    log->failed = log->failed || active->sync_failed;
    if (error != ERROR_NONE)
        return error;
    log->end_offset = active->next_offset;
    log_ring_push(log,
                  (struct log_point){.offset = log->end_offset,
                                     .segment = active,
                                     .position = active->size_bytes,
                                     .text = active->text_position + active->text_bytes},
                  header->base_offset);
    /* The batch is in the log. An aborted transaction that cannot be noted would be served: stop
     * taking more until opening the log has noted it. */
    if (log_producer_note(log, active, header) != ERROR_NONE)
        log->failed = true;
    log_check(log);
    return ERROR_NONE;
}

enum error log_append(struct log *log, uint8_t *batch, size_t size, const struct batch_facts *facts,
                      int32_t leader_epoch, int64_t *ret_base_offset)
{
    int64_t base_offset = log->end_offset;
    batch_set_base_offset(batch, base_offset);
    batch_set_leader_epoch(batch, leader_epoch);
    struct batch_header header;
    enum error error = batch_header_read(batch, size, &header);
    if (error == ERROR_NONE && header.size != size)
        error = ERROR_CORRUPT_MESSAGE;
    if (error == ERROR_NONE && size > SEGMENT_FILES_MAX_BYTES)
        error = ERROR_RECORD_LIST_TOO_LARGE;
    if (error == ERROR_NONE)
        error = append_batch(log, batch, &header, facts->text_bytes);
    if (error == ERROR_NONE)
        *ret_base_offset = base_offset;
    return error;
}

enum error log_append_replica(struct log *log, const uint8_t *batch, size_t size,
                              const struct batch_facts *facts)
{
    struct batch_header header;
    enum error error = batch_header_read(batch, size, &header);
    if (error != ERROR_NONE)
        return error;
    if (header.size != size || header.base_offset < log->end_offset ||
        header.last_offset_delta < 0 || header.base_offset > INT64_MAX - INT32_MAX - 1)
        return ERROR_CORRUPT_MESSAGE;
    if (size > SEGMENT_FILES_MAX_BYTES)
        return ERROR_RECORD_LIST_TOO_LARGE;
    return append_batch(log, batch, &header, facts->text_bytes);
}
