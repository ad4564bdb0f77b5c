/* SPDX-License-Identifier: Apache-2.0 */
/* Taking records away at the start: by time, by size, by request. */
#include "log/log_state.h"

#include "base/assertion.h"
#include "base/memory.h"

/* The start moved up to `offset`; its text position is `text`. */
static enum error start_set(struct log *log, int64_t offset, int64_t text)
{
    log->start_offset = offset;
    if (text > log->start_text)
        log->start_text = text;
    log_visible_advance(log, offset);
    enum error error = ERROR_NONE;
    if (log_damaged(log) && log->damage.segment_base_offset < log->segments[0]->place.base_offset) {
        log->damage = (struct log_damage){.offset = -1};
        error = log_visible_settle(log);
    }
    log_check(log);
    if (error != ERROR_NONE || !epoch_cache_truncate_start(&log->epochs, offset))
        return error;
    return log_epochs_store(log, false);
}

enum error log_start_advance(struct log *log, int64_t offset)
{
    if (offset <= log->start_offset)
        return ERROR_NONE;
    if (offset > log->visible_offset)
        return ERROR_OFFSET_OUT_OF_RANGE;
    uint64_t text;
    enum error error = log_text_of_offset(log, offset, &text);
    if (error != ERROR_NONE)
        return error;
    return start_set(log, offset, (int64_t)text);
}

/* ---- which segments go ---- */

static enum error is_expired(struct log *log, struct segment *segment, int64_t wall_clock_ms,
                             bool *ret_expired)
{
    *ret_expired = false;
    if (log->config.retention_ms < 0)
        return ERROR_NONE;
    int64_t largest;
    int64_t offset;
    enum error error = segment_largest_timestamp(segment, &largest, &offset);
    if (error != ERROR_NONE)
        return error;
    if (largest < 0) /* No record has a timestamp: by the age of the file, as far as known. */
        largest = segment->created_ms;
    *ret_expired = wall_clock_ms - largest > log->config.retention_ms;
    return ERROR_NONE;
}

/* How many of the oldest segments go; the active one may be among them (Kafka:
 * deleteOldSegments). */
static enum error expired_count(struct log *log, int64_t wall_clock_ms, uint32_t *ret_count)
{
    int64_t beyond_bytes = 0; /* More than retention.bytes keeps. */
    if (log->config.retention_bytes >= 0)
        beyond_bytes = log_size_bytes(log) - log->config.retention_bytes;
    bool by_time = true; /* Until one segment is not expired: time has no holes. */
    uint32_t count = 0;
    while (count < log->segment_count) {
        struct segment *segment = log->segments[count];
        bool is_active = segment == log_active(log);
        if (segment->next_offset > log->visible_offset || (is_active && segment->size_bytes == 0))
            break;
        bool goes = !is_active && segment->next_offset <= log->start_offset;
        if (log->config.delete_enabled && !goes && by_time) {
            enum error error = is_expired(log, segment, wall_clock_ms, &by_time);
            if (error != ERROR_NONE)
                return error;
            goes = by_time;
        }
        if (log->config.delete_enabled && !goes && beyond_bytes >= (int64_t)segment->size_bytes &&
            segment->size_bytes > 0)
            goes = true;
        if (!goes)
            break;
        beyond_bytes -= (int64_t)segment->size_bytes;
        count++;
    }
    *ret_count = count;
    return ERROR_NONE;
}

/* ---- deleting ---- */

static enum error removal_reserve(struct log *log)
{
    if (log->removal_count < log->removal_capacity)
        return ERROR_NONE;
    uint32_t capacity = log->removal_capacity == 0 ? 2 : log->removal_capacity * 2;
    struct log_removal *grown = memory_resize(log->removals, capacity * sizeof *grown);
    if (grown == NULL)
        return ERROR_OUT_OF_MEMORY;
    log->removals = grown;
    log->removal_capacity = capacity;
    return ERROR_NONE;
}

/* Renames the oldest segment's files away and takes it out of the log. */
static enum error oldest_delete(struct log *log)
{
    ASSERT(log->segment_count > 1);
    struct segment *segment = log->segments[0];
    enum error error = removal_reserve(log);
    if (error == ERROR_NONE)
        error = segment_rename_deleted(&segment->place);
    if (error != ERROR_NONE)
        return error;
    log->directory_unsynced = true;
    int64_t delay_ms = log->config.file_delete_delay_ms > 0 ? log->config.file_delete_delay_ms : 0;
    log->removals[log->removal_count++] = (struct log_removal){
        segment->place.base_offset, executor_monotonic_ms(log->executor) + delay_ms};
    if (log->visible.segment == segment) { /* All of it is visible. */
        log->visible.segment = log->segments[1];
        log->visible.position = 0;
        log->visible.text = log->segments[1]->text_position;
    }
    int64_t text = segment->text_position + segment->text_bytes;
    log_segments_drop(log, 0, 1);
    int64_t base = log->segments[0]->place.base_offset;
    if (base <= log->start_offset)
        return ERROR_NONE;
    return start_set(log, base, text);
}

enum error log_retention(struct log *log, int64_t wall_clock_ms, uint32_t *ret_deleted_segments)
{
    uint32_t deleted = 0;
    uint32_t count = 0;
    enum error error = ERROR_NONE;
    if (!log->failed)
        error = expired_count(log, wall_clock_ms, &count);
    if (error == ERROR_NONE && count == log->segment_count)
        error = log_roll(log);
    while (error == ERROR_NONE && deleted < count) {
        error = oldest_delete(log);
        if (error == ERROR_NONE)
            deleted++;
    }
    if (deleted > 0)
        (void)log_snapshots_prune(log); /* They are in nobody's way. */
    for (uint32_t i = 0; i < log->segment_count; i++)
        segment_rest(log->segments[i], i + 1 < log->segment_count);
    *ret_deleted_segments = deleted;
    return error;
}

void log_remove_deleted(struct log *log, int64_t monotonic_ms)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < log->removal_count; i++) {
        struct log_removal removal = log->removals[i];
        struct file_place place = {log->storage, log->directory, removal.base_offset};
        /* What cannot be removed now is tried again, at the latest when the log is opened. */
        if (removal.due_ms > monotonic_ms ||
            segment_remove_files(&place, DELETED_SUFFIX) != ERROR_NONE)
            log->removals[kept++] = removal;
    }
    log->removal_count = kept;
}
