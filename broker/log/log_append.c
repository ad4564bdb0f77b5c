/* SPDX-License-Identifier: Apache-2.0 */
/* Appending: deciding to roll, one write, then everything that must know of each batch.
 *
 *   a leader     | batch |                     checked, numbered, written
 *   a follower   | batch | batch | bat...      as many as fit the segment and are of one epoch go
 *                                              into the file with one write */
#include "log/log_state.h"

#include "base/assertion.h"

/* ---- rolling ---- */

/* The active segment as it is, or will be once some more batches are in it. */
struct fill {
    uint64_t size_bytes;
    int64_t first_timestamp;
    uint32_t entries_more; /* In the indexes, at most. */
};

static struct fill fill_of(const struct segment *segment)
{
    return (struct fill){.size_bytes = segment->size_bytes,
                         .first_timestamp = segment->first_timestamp};
}

static void fill_add(struct fill *fill, const struct batch_header *header)
{
    if (fill->size_bytes == 0)
        fill->first_timestamp = header->max_timestamp;
    fill->size_bytes += header->size;
    fill->entries_more++;
}

/* Kafka: LogSegment.timeWaitedForRoll. */
static int64_t time_waited_ms(struct log *log, const struct fill *fill, int64_t timestamp)
{
    if (fill->first_timestamp >= 0)
        return timestamp - fill->first_timestamp;
    return executor_wall_clock_ms(log->executor) - log_active(log)->created_ms;
}

/* Kafka: LogSegment.shouldRoll. An empty segment takes any batch whose offsets fit. */
static bool should_roll(struct log *log, const struct fill *fill, const struct batch_header *header)
{
    const struct segment *active = log_active(log);
    if (batch_last_offset(header) - active->place.base_offset > INT32_MAX)
        return true;
    if (fill->size_bytes == 0)
        return false;
    if (fill->size_bytes + header->size > SEGMENT_FILES_MAX_BYTES)
        return true;
    if (log->config.segment_bytes >= 0 &&
        (int64_t)(fill->size_bytes + header->size) > log->config.segment_bytes)
        return true;
    if (log->config.segment_ms >= 0 && time_waited_ms(log, fill, header->max_timestamp) >
                                           log->config.segment_ms - log->roll_jitter_ms)
        return true;
    int64_t index_bytes = log->config.segment_index_bytes;
    return index_bytes >= TIME_ENTRY_BYTES &&
           (sparse_index_count(&active->offsets) + fill->entries_more >=
                index_bytes / OFFSET_ENTRY_BYTES ||
            sparse_index_count(&active->times) + fill->entries_more >=
                index_bytes / TIME_ENTRY_BYTES - 1);
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

static enum error roll_if_due(struct log *log, const struct batch_header *header)
{
    struct fill fill = fill_of(log_active(log));
    if (!should_roll(log, &fill, header))
        return ERROR_NONE;
    bool near = batch_last_offset(header) - log->end_offset <= INT32_MAX;
    int64_t base = near && log_active(log)->size_bytes > 0 ? log->end_offset : header->base_offset;
    return roll_to(log, base);
}

/* Whether a batch may be written at all; afterwards the active segment is where it belongs. */
static enum error append_begin(struct log *log, const struct batch_header *header)
{
    if (log_damaged(log))
        return ERROR_CORRUPT_MESSAGE;
    if (log->failed)
        return ERROR_STORAGE;
    /* Epochs never go back in a log: recovery would take it for damage. */
    if (header->leader_epoch >= 0 && header->leader_epoch < epoch_cache_latest(&log->epochs))
        return ERROR_FENCED_LEADER_EPOCH;
    log->finished = false;
    return roll_if_due(log, header);
}

/* Everything else that may fail before the batch is written. */
static enum error append_prepare(struct log *log, const struct batch_header *header)
{
    enum error error = producer_state_reserve(&log->producers, header);
    if (error == ERROR_NONE)
        error = log_ring_reserve(log);
    if (error == ERROR_NONE && header->leader_epoch > epoch_cache_latest(&log->epochs))
        error = log_epoch_assign(log, header->leader_epoch, header->base_offset);
    return error;
}

/* `size` bytes are written with it, its own and those of batches behind it; 0: it was written. */
static enum error append_batch(struct log *log, const uint8_t *bytes, size_t size,
                               const struct batch_header *header, uint64_t text_bytes)
{
    enum error error = append_prepare(log, header);
    if (error != ERROR_NONE)
        return error;
    struct segment *active = log_active(log);
    int64_t interval_bytes = log->config.index_interval_bytes;
    if (size > 0)
        error = segment_append(active, bytes, size, header, (int64_t)text_bytes, interval_bytes);
    else
        error = segment_note(active, header, (int64_t)text_bytes, interval_bytes);
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
        error = append_begin(log, &header);
    if (error == ERROR_NONE)
        error = append_batch(log, batch, size, &header, facts->text_bytes);
    if (error == ERROR_NONE)
        *ret_base_offset = base_offset;
    return error;
}

/* ---- of a replica ---- */

static enum error check_replica(int64_t end_offset, const struct batch_header *header)
{
    if (header->base_offset < end_offset || header->last_offset_delta < 0 ||
        header->base_offset > INT64_MAX - INT32_MAX - 1)
        return ERROR_CORRUPT_MESSAGE;
    return header->size > SEGMENT_FILES_MAX_BYTES ? ERROR_RECORD_LIST_TOO_LARGE : ERROR_NONE;
}

/* Bytes of the first batch and of those behind it, in memory too, that belong into the active
 * segment with it and begin no epoch, which would have to be in its file first. */
static size_t run_bytes(struct log *log, const struct batch_facts *batches, uint32_t count)
{
    const struct batch_header *last = &batches[0].header;
    struct fill fill = fill_of(log_active(log));
    uint64_t before = fill.size_bytes;
    fill_add(&fill, last);
    for (uint32_t i = 1; i < count; i++) {
        const struct batch_header *header = &batches[i].header;
        if (check_replica(batch_last_offset(last) + 1, header) != ERROR_NONE ||
            header->bytes != last->bytes + last->size ||
            header->leader_epoch != last->leader_epoch || should_roll(log, &fill, header))
            break;
        fill_add(&fill, header);
        last = header;
    }
    return (size_t)(fill.size_bytes - before);
}

enum error log_append_replica(struct log *log, const struct batch_facts *batches, uint32_t count)
{
    enum error error = ERROR_NONE;
    for (uint32_t i = 0; error == ERROR_NONE && i < count; i++) {
        const struct batch_header *header = &batches[i].header;
        bool written = log_active(log)->ahead_bytes > 0;
        error = check_replica(log->end_offset, header);
        if (error == ERROR_NONE && written && log->failed)
            error = ERROR_STORAGE;
        if (error == ERROR_NONE && !written)
            error = append_begin(log, header);
        size_t size = 0;
        if (error == ERROR_NONE && !written)
            size = run_bytes(log, batches + i, count - i);
        if (error == ERROR_NONE)
            error = append_batch(log, header->bytes, size, header, batches[i].text_bytes);
    }
    segment_cut_ahead(log_active(log));
    return error;
}
