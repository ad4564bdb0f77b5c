/* SPDX-License-Identifier: Apache-2.0 */
/* Taking records away at the end: a follower that diverged, or begins anew. */
#include "log/log_state.h"

#include "base/assertion.h"
#include "log/transaction_index.h"

/* Removes segments [first, count) and their files, newest first, so that a crash leaves a log that
 * only ends later. */
static enum error segments_remove(struct log *log, uint32_t first)
{
    if (log->segment_count == first)
        return ERROR_NONE;
    while (log->segment_count > first) {
        struct file_place place = log_active(log)->place;
        enum error error = segment_remove_files(&place, "");
        if (error != ERROR_NONE)
            return error;
        log_segments_drop(log, log->segment_count - 1, 1);
    }
    /* Or a crash could bring them back behind what is appended until then. */
    return storage_sync_directory(log->storage, log->directory);
}

/* Cuts `segment`, which becomes the active one, so that nothing at or above `offset` is left: the
 * batch that holds `offset` goes whole. */
static enum error segment_cut(struct log *log, struct segment *segment, int64_t offset)
{
    struct batch_header header;
    uint64_t position;
    enum error error =
        segment_find_offset(segment, offset, segment->size_bytes, &header, &position);
    if (error == ERROR_NOT_FOUND)
        position = segment->size_bytes;
    else if (error != ERROR_NONE)
        return error;
    else if (header.base_offset < offset)
        offset = header.base_offset;
    int64_t text;
    error = segment_text_at(segment, position, &text);
    if (error == ERROR_NONE)
        error = transaction_index_truncate(&segment->place, offset);
    if (error == ERROR_NONE)
        error = segment_truncate(segment, position, text, offset);
    if (error == ERROR_NONE)
        error = storage_sync(segment->file); /* For the same reason. */
    if (error == ERROR_NONE)
        log->end_offset = offset;
    return error;
}

/* A truncation that stopped half-way leaves what only opening the log can put right. */
static enum error truncate_fail(struct log *log, enum error error)
{
    log->failed = true;
    if (log->synced_offset > log->visible_offset)
        log->synced_offset = log->visible_offset;
    return error;
}

/* The log begins with a gap (of a leader's compaction) that reaches beyond `offset`. */
static bool holds_nothing_below(const struct log *log, int64_t offset)
{
    return log->segments[0]->place.base_offset > offset;
}

int64_t log_truncates_to(struct log *log, int64_t offset)
{
    struct log_point point;
    struct batch_header header;
    if (offset >= log->end_offset)
        return log->end_offset;
    if (offset <= log->start_offset || holds_nothing_below(log, offset))
        return log->start_offset;
    enum error error = log_locate(log, offset, &point, &header);
    if (error != ERROR_NONE && error != ERROR_NOT_FOUND)
        return log->start_offset; /* Cannot be told: at least that. */
    return error == ERROR_NONE && header.base_offset < offset ? header.base_offset : offset;
}

enum error log_truncate(struct log *log, int64_t offset)
{
    if (offset >= log->end_offset) /* An epoch may have begun at the end and got no record. */
        return epoch_cache_truncate_end(&log->epochs, log->end_offset)
                   ? log_epochs_store(log, false)
                   : ERROR_NONE;
    if ((offset <= log->start_offset && offset < log->visible_offset) ||
        holds_nothing_below(log, offset))
        return log_reset(log, log->start_offset);
    if (offset < log->visible_offset) {
        enum error error = log_visible_rewind(log, offset);
        if (error != ERROR_NONE)
            return error;
    }
    uint32_t index = log_segment_index(log, offset);
    /* Producer state and epochs must not outlive their batches: they go first. */
    enum error error = log_snapshots_drop_above(log, offset + 1);
    if (error == ERROR_NONE)
        error = segments_remove(log, index + 1);
    if (error == ERROR_NONE)
        error = segment_cut(log, log_active(log), offset);
    if (error == ERROR_NONE && epoch_cache_truncate_end(&log->epochs, log->end_offset))
        error = log_epochs_store(log, false);
    if (error == ERROR_NONE)
        error = log_producers_reload(log);
    if (log->end_offset > log_active(log)->next_offset)
        log->end_offset = log_active(log)->next_offset;
    if (log->synced_offset > log->end_offset)
        log->synced_offset = log->end_offset;
    if (log->sync_clip > log->end_offset)
        log->sync_clip = log->end_offset;
    if (log_damaged(log) && log->damage.offset >= log->end_offset)
        log->damage = (struct log_damage){.offset = -1};
    log_visible_truncate(log);
    if (error != ERROR_NONE)
        return truncate_fail(log, error);
    log_check(log);
    return ERROR_NONE;
}

/* Puts an empty segment at `offset` in the place of the only one, which is empty too. */
static enum error empty_replace(struct log *log, int64_t offset)
{
    ASSERT(log->segment_count == 1);
    struct file_place old = log->segments[0]->place;
    struct file_place place = old;
    place.base_offset = offset;
    struct segment *segment;
    enum error error = segment_create(&place, executor_wall_clock_ms(log->executor), &segment);
    if (error != ERROR_NONE)
        return error;
    segment_unref(log->segments[0]);
    log->segments[0] = segment;
    log->last_read.segment = NULL;
    log->visible.segment = segment; /* Until it is found anew. */
    log->visible.position = 0;
    log->directory_unsynced = true;
    return segment_remove_files(&old, "");
}

enum error log_reset(struct log *log, int64_t offset)
{
    int64_t text = log->visible.text > log->start_text ? log->visible.text : log->start_text;
    enum error error = log_snapshots_drop_above(log, 0);
    if (error != ERROR_NONE)
        return truncate_fail(log, error);
    /* A log has an active segment at all times: the first one is emptied, or replaced last. */
    error = segments_remove(log, 1);
    if (error == ERROR_NONE)
        error = segment_clear(log_active(log));
    if (error != ERROR_NONE)
        return truncate_fail(log, error);
    log->end_offset = log_active(log)->place.base_offset;
    if (log->end_offset != offset) {
        error = empty_replace(log, offset);
        if (error != ERROR_NONE)
            return truncate_fail(log, error);
    }
    log->end_offset = offset;
    log->start_offset = offset;
    log->synced_offset = offset;
    log->sync_clip = offset;
    log->damage = (struct log_damage){.offset = -1};
    log_active(log)->text_position = text; /* Text positions never shrink. */
    log->start_text = text;
    producer_state_clear(&log->producers);
    error = log_visible_restart(log);
    if (error == ERROR_NONE && log->epochs.count > 0) {
        log->epochs.count = 0;
        error = log_epochs_store(log, true); /* No batch is left to tell that they are wrong. */
    }
    if (error != ERROR_NONE)
        return truncate_fail(log, error);
    log_check(log);
    return ERROR_NONE;
}
