/* SPDX-License-Identifier: Apache-2.0 */
/* An open log: its segments in order, opening and closing, what is there.
 *
 * Invariants (README.md explains them):
 *  1. start_offset <= visible.offset <= visible_offset <= end_offset; synced_offset <= end_offset.
 *  2. Segments are sorted by base offset, do not overlap, and there is always an active one.
 *  3. Nothing below visible is ever rewritten or cut, but by log_reset and log_truncate.
 *  4. A batch is in the indexes, the producer state and end_offset only after it is in the file.
 *  5. An epoch is in its file before its first batch is written, and on stable storage before that
 *     batch counts as synced.
 *  6. Text positions of the segments add up, from the batch that held log start at open. */
#include "log/log_state.h"

#include "base/assertion.h"
#include "base/memory.h"

#include <inttypes.h>
#include <string.h>

void log_check(const struct log *log)
{
    ASSERT(log->segment_count > 0);
    ASSERT(log->start_offset <= log->visible_offset);
    ASSERT(log->visible.offset <= log->visible_offset);
    ASSERT(log->visible_offset <= log->end_offset);
    ASSERT(log->synced_offset <= log->end_offset);
    ASSERT(log->visible.segment != NULL);
    ASSERT(log->visible.position <= log->visible.segment->size_bytes);
}

/* ---- segments ---- */

uint32_t log_segment_index(const struct log *log, int64_t offset)
{
    uint32_t low = 0; /* The last segment whose base is <= offset. */
    uint32_t high = log->segment_count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (log->segments[middle]->place.base_offset <= offset)
            low = middle;
        else
            high = middle;
    }
    return low;
}

enum error log_segment_push(struct log *log, struct segment *segment)
{
    if (log->segment_count == log->segment_capacity) {
        uint32_t capacity = log->segment_capacity == 0 ? 2 : log->segment_capacity * 2;
        struct segment **grown = memory_resize(log->segments, capacity * sizeof(struct segment *));
        if (grown == NULL)
            return ERROR_OUT_OF_MEMORY;
        log->segments = grown;
        log->segment_capacity = capacity;
    }
    if (log->segment_count > 0) {
        const struct segment *last = log_active(log);
        ASSERT(segment->place.base_offset > last->place.base_offset);
        segment->text_position = last->text_position + last->text_bytes;
    }
    log->segments[log->segment_count++] = segment;
    return ERROR_NONE;
}

void log_segments_drop(struct log *log, uint32_t first, uint32_t count)
{
    ASSERT(first + count <= log->segment_count);
    log->last_read.segment = NULL;
    if (count == 0)
        return; /* There may be no array yet. */
    for (uint32_t i = first; i < first + count; i++)
        segment_unref(log->segments[i]);
    memmove(&log->segments[first], &log->segments[first + count],
            (log->segment_count - first - count) * sizeof(struct segment *));
    log->segment_count -= count;
}

/* Kafka: RollParams, LogSegment.rollJitterMs. */
static void jitter_draw(struct log *log)
{
    int64_t most = log->config.segment_jitter_ms;
    if (log->config.segment_ms >= 0 && most > log->config.segment_ms)
        most = log->config.segment_ms;
    log->roll_jitter_ms =
        most <= 0 ? 0 : (int64_t)(executor_random(log->executor) % (uint64_t)most);
}

enum error log_segment_add(struct log *log, int64_t base_offset)
{
    struct file_place place = {log->storage, log->directory, base_offset};
    struct segment *segment;
    enum error error = segment_create(&place, executor_wall_clock_ms(log->executor), &segment);
    if (error != ERROR_NONE)
        return error;
    error = log_segment_push(log, segment);
    if (error != ERROR_NONE) {
        segment_unref(segment);
        (void)segment_remove_files(&place, "");
        return error;
    }
    log->directory_unsynced = true;
    jitter_draw(log);
    return ERROR_NONE;
}

/* ---- opening ---- */

/* Trusts what a clean stop or the recovery point vouches for; CORRUPT_MESSAGE, MALFORMED or
 * NOT_FOUND when a look says otherwise. */
static enum error segment_trust(struct segment *segment, int64_t next_base)
{
    enum error error = sparse_index_load(&segment->lines, &segment->place);
    if (error != ERROR_NONE)
        return error;
    const uint8_t *last = sparse_index_last(&segment->lines);
    struct line_entry entry = {0};
    if (last != NULL)
        entry = line_entry_read(last);
    if ((uint64_t)entry.position != segment->size_bytes || entry.text_position < 0)
        return ERROR_CORRUPT_MESSAGE; /* Not sealed by us: its text must be counted. */
    segment->text_bytes = entry.text_position;
    if (next_base < 0)
        return segment_learn_tail(segment);
    segment->next_offset = next_base;
    /* The other two are looked at when first used, but must be there. */
    error = sparse_index_load(&segment->offsets, &segment->place);
    if (error == ERROR_NONE)
        error = sparse_index_load(&segment->times, &segment->place);
    if (error != ERROR_NONE)
        return error;
    last = sparse_index_last(&segment->offsets);
    if (last == NULL)
        return ERROR_NONE;
    struct offset_entry offset = offset_entry_read(last);
    if (offset.position <= 0 || (uint64_t)offset.position >= segment->size_bytes ||
        offset.last_offset <= 0 || segment->place.base_offset + offset.last_offset >= next_base)
        return ERROR_CORRUPT_MESSAGE;
    return ERROR_NONE;
}

/* Removes the segments from listing->bases[first] on: what a crash left behind a hole. */
static enum error segments_abandon(struct log *log, const struct log_listing *listing,
                                   uint32_t first)
{
    for (uint32_t i = listing->count; i > first; i--) {
        struct file_place place = {log->storage, log->directory, listing->bases[i - 1]};
        enum error error = segment_remove_files(&place, "");
        if (error != ERROR_NONE)
            return error;
    }
    /* Or a second crash could bring them back behind what is appended until then. */
    return storage_sync_directory(log->storage, log->directory);
}

static enum error segment_load(struct log *log, const struct log_open_options *options,
                               int64_t base_offset, struct log_recovery *recovery,
                               struct failure *failure)
{
    struct file_place place = {log->storage, log->directory, base_offset};
    struct segment *segment;
    enum error error = segment_open(&place, executor_wall_clock_ms(log->executor), &segment);
    if (error != ERROR_NONE)
        return failure_at(failure, error, "open segment %" PRId64, base_offset);
    /* The last segment too may lie below the recovery point: its line index then ends with it. */
    bool trusted = options->clean || recovery->next_base <= options->recovery_point;
    if (trusted) {
        error = segment_trust(segment, recovery->next_base);
        trusted = error == ERROR_NONE &&
                  (options->clean || segment->next_offset <= options->recovery_point);
        if (error == ERROR_CORRUPT_MESSAGE || error == ERROR_MALFORMED || error == ERROR_NOT_FOUND)
            error = ERROR_NONE;
    }
    recovery->producers_ready = recovery->producers_ready && !trusted;
    if (error == ERROR_NONE && !trusted)
        error = log_segment_recover(log, segment, recovery, failure);
    if (error == ERROR_NONE && !options->clean && segment->next_offset > options->recovery_point)
        segment->unsynced = true;
    segment->used = false;
    segment_rest(segment, recovery->next_base >= 0);
    if (error == ERROR_NONE)
        error = log_segment_push(log, segment);
    if (error != ERROR_NONE) {
        segment_unref(segment);
        return failure_at(failure, error, "open segment %" PRId64, base_offset);
    }
    return ERROR_NONE;
}

/* A file that ends below the recovery point was shortened after its sync: the offsets that are
 * missing were given, and are not given again, unless all of them were deleted. */
static void shortened_note(struct log *log, const struct log_open_options *options)
{
    struct segment *active = log_active(log);
    if (log_damaged(log) || log->end_offset >= options->recovery_point ||
        options->log_start_offset >= options->recovery_point)
        return;
    log->damage =
        (struct log_damage){log->end_offset, active->place.base_offset, active->size_bytes};
    active->next_offset = options->recovery_point;
    log->end_offset = options->recovery_point;
}

static enum error segments_load(struct log *log, const struct log_open_options *options,
                                bool epochs_known, bool *ret_epochs_changed,
                                struct failure *failure)
{
    struct log_listing listing = {0};
    struct log_recovery recovery = {.recovery_point = options->recovery_point,
                                    .leader_epoch = options->leader_epoch,
                                    .epochs_known = epochs_known};
    enum error error = log_files_list(log, &listing, failure);
    for (uint32_t i = 0; error == ERROR_NONE && i < listing.count; i++) {
        recovery.next_base = i + 1 < listing.count ? listing.bases[i + 1] : -1;
        error = segment_load(log, options, listing.bases[i], &recovery, failure);
        if (error == ERROR_NONE && recovery.cut) {
            error = segments_abandon(log, &listing, i + 1);
            break;
        }
    }
    log_listing_done(&listing);
    *ret_epochs_changed = recovery.epochs_changed;
    if (error != ERROR_NONE)
        return error;
    if (log->segment_count == 0) {
        int64_t base = options->log_start_offset > 0 ? options->log_start_offset : 0;
        error = log_segment_add(log, base);
        if (error != ERROR_NONE)
            return failure_at(failure, error, "make the first segment");
    }
    log->end_offset = log_active(log)->next_offset;
    shortened_note(log, options);
    /* A killed process may have left names that no sync has covered: what was synced below them
     * keeps them, the rest waits for the next sync (a power cut would take the whole file). So may
     * a making of this log that failed half way, which a clean stop knows nothing of. */
    bool never_synced = options->recovery_point <= 0;
    if (never_synced ||
        (!options->clean && log_active(log)->place.base_offset >= options->recovery_point))
        log->directory_unsynced = true;
    if (never_synced)
        log->parent_unsynced = true;
    if ((!options->clean || never_synced) && epochs_known) {
        log->epochs_unsynced = true;
        log->directory_unsynced = true;
    }
    return ERROR_NONE;
}

/* Epochs: the file if it can be trusted and fits the batches, else the batches. */
static enum error epochs_settle(struct log *log, bool known, bool changed, struct failure *failure)
{
    enum error error = ERROR_NONE;
    if (!known && (log->segment_count > 1 || log_active(log)->size_bytes > 0)) {
        error = log_epochs_rebuild(log);
        changed = true;
    }
    if (epoch_cache_truncate_end(&log->epochs, log->end_offset))
        changed = true;
    if (epoch_cache_truncate_start(&log->epochs, log->start_offset))
        changed = true;
    if (error == ERROR_NONE && changed)
        error = log_epochs_store(log, false);
    return error == ERROR_NONE ? ERROR_NONE : failure_at(failure, error, "leader epochs");
}

/* Text position 0 is the batch that holds log start. */
static enum error text_settle(struct log *log)
{
    struct log_point start;
    struct batch_header header;
    enum error error = log_locate(log, log->start_offset, &start, &header);
    if (error == ERROR_NOT_FOUND || error == ERROR_CORRUPT_MESSAGE) {
        start.segment = log->segments[0];
        start.text = start.segment->text_position;
        error = ERROR_NONE;
        if (log->start_offset >= log->end_offset)
            start.text = log_active(log)->text_position + log_active(log)->text_bytes;
    } else if (error == ERROR_NONE) {
        error = log_point_text(&start);
    }
    if (error != ERROR_NONE)
        return error;
    for (uint32_t i = 0; i < log->segment_count; i++)
        log->segments[i]->text_position -= start.text;
    uint64_t text;
    error = log_text_of_offset(log, log->start_offset, &text);
    log->start_text = error == ERROR_NONE ? (int64_t)text : 0;
    return error == ERROR_CORRUPT_MESSAGE ? ERROR_NONE : error;
}

static enum error directory_make(struct log *log, const struct log_open_options *options,
                                 struct failure *failure)
{
    if (!options->create)
        return ERROR_NONE; /* Listing it tells whether it is there. */
    enum error error = storage_make_directory(log->storage, log->directory);
    if (error == ERROR_NONE) {
        log->parent_unsynced = true;
        log->directory_unsynced = true;
    } else if (error != ERROR_EXISTS) {
        return failure_at(failure, error, "make directory %s", log->directory);
    }
    return ERROR_NONE;
}

/* The recovery point is what tells damage from a crash's end the next time too: it must not fall
 * back because indexes were made anew. Where that fails the next sync brings it up again. */
static void damage_settle(struct log *log)
{
    for (uint32_t i = 0; log_damaged(log) && i < log->segment_count; i++) {
        struct segment *segment = log->segments[i];
        if (segment->indexes_unsynced && segment_index_sync(segment) == ERROR_NONE)
            segment->indexes_unsynced = false;
    }
}

static enum error log_load(struct log *log, const struct log_open_options *options,
                           struct failure *failure)
{
    enum error error = directory_make(log, options, failure);
    if (error == ERROR_NONE)
        error = log_metadata_agree(log, options, failure);
    if (error != ERROR_NONE)
        return error;
    error = epoch_cache_load(&log->epochs, log->storage, log->directory);
    bool epochs_known = error == ERROR_NONE;
    if (error != ERROR_NONE && error != ERROR_NOT_FOUND && error != ERROR_MALFORMED &&
        error != ERROR_TOO_LARGE)
        return failure_at(failure, error, "read %s", EPOCH_FILE_NAME);
    bool epochs_changed = false;
    error = segments_load(log, options, epochs_known, &epochs_changed, failure);
    if (error != ERROR_NONE)
        return error;
    log->start_offset = log->segments[0]->place.base_offset;
    if (options->log_start_offset > log->start_offset)
        log->start_offset = options->log_start_offset < log->end_offset ? options->log_start_offset
                                                                        : log->end_offset;
    log->synced_offset = log->end_offset;
    if (!options->clean && options->recovery_point < log->end_offset)
        log->synced_offset = options->recovery_point < 0 ? 0 : options->recovery_point;
    if (log->synced_offset < log->start_offset)
        log->synced_offset = log->start_offset;
    damage_settle(log);
    error = epochs_settle(log, epochs_known, epochs_changed, failure);
    if (error == ERROR_NONE)
        error = log_producers_reload(log);
    if (error == ERROR_NONE)
        error = text_settle(log);
    if (error == ERROR_NONE)
        error = log_visible_restart(log);
    return error;
}

static void log_free(struct log *log)
{
    log_segments_drop(log, 0, log->segment_count);
    epoch_cache_done(&log->epochs);
    producer_state_done(&log->producers);
    memory_free(log->ring.points);
    memory_free(log->segments);
    memory_free(log->snapshots);
    memory_free(log->removals);
    memory_free(log->directory);
    memory_free(log);
}

enum error log_open(const struct log_open_options *options, struct log **ret_log,
                    struct failure *failure)
{
    struct log *log = memory_allocate(sizeof *log);
    if (log == NULL)
        return failure_at(failure, ERROR_OUT_OF_MEMORY, "open %s", options->directory);
    log->storage = options->storage;
    log->executor = options->executor;
    log->config = options->config;
    log->topic_id = options->topic_id;
    log->damage = (struct log_damage){.offset = -1};
    log->sync_clip = INT64_MAX;
    epoch_cache_init(&log->epochs);
    producer_state_init(&log->producers);
    enum error error = ERROR_OUT_OF_MEMORY;
    log->directory = memory_copy_text(options->directory, strlen(options->directory));
    if (log->directory != NULL)
        error = log_load(log, options, failure);
    /* Rot took what came behind: offsets that were deleted, or given to records that were, are not
     * given again (Kafka: LogLoader, an end below the start begins anew at the start). */
    if (error == ERROR_NONE && log->damage.offset < 0 &&
        options->log_start_offset > log->end_offset)
        error = log_reset(log, options->log_start_offset);
    if (error != ERROR_NONE) {
        log_free(log);
        return failure_at(failure, error, "open %s", options->directory);
    }
    log_check(log);
    *ret_log = log;
    return ERROR_NONE;
}

/* ---- closing ---- */

/* What was not synced may be lost in any part: without its index a segment is scanned with
 * checksums when the log is opened again, also after a clean stop. */
static void log_distrust(struct log *log)
{
    for (uint32_t i = 0; i < log->segment_count; i++) {
        const struct segment *segment = log->segments[i];
        if (segment->next_offset > log->synced_offset || segment->torn)
            (void)file_remove(&segment->place, OFFSET_INDEX_SUFFIX);
    }
}

void log_finish(struct log *log)
{
    struct segment *active = log_active(log);
    if (log->failed || active->torn || log_damaged(log))
        return;
    for (uint32_t i = 0; i < log->segment_count; i++) {
        struct segment *segment = log->segments[i];
        if (segment != active && !segment->indexes_unsynced)
            continue;
        if (segment_seal(segment) != ERROR_NONE)
            return; /* log_close comes to it once more. */
        segment->indexes_unsynced = segment_index_unsynced(segment);
    }
    (void)log_snapshot_take(log); /* Without it the next open reads more. */
    log->finished = true;
}

void log_close(struct log *log, bool clean)
{
    if (log == NULL)
        return;
    ASSERT(!log->sync_under_way);
    struct segment *active = log_active(log);
    bool sound = !log->failed && !active->torn && !log_damaged(log);
    /* Only a clean close ends the active segment's line index: who finds it so may trust it. */
    for (uint32_t i = 0; clean && sound && i < log->segment_count; i++) {
        struct segment *segment = log->segments[i];
        if ((segment != active || log->finished) && !segment->indexes_unsynced)
            continue;
        sound = segment_seal(segment) == ERROR_NONE && segment_index_sync(segment) == ERROR_NONE;
    }
    if (sound && clean)
        (void)log_snapshot_take(log); /* Without it the next open reads more. */
    if (!sound)
        log_distrust(log);
    log_free(log);
}

void log_discard(struct log *log)
{
    if (log == NULL)
        return;
    ASSERT(!log->sync_under_way);
    log_free(log);
}

/* ---- what is there ---- */

int64_t log_start_offset(const struct log *log)
{
    return log->start_offset;
}

int64_t log_end_offset(const struct log *log)
{
    return log->end_offset;
}

int64_t log_synced_offset(const struct log *log)
{
    return log->synced_offset;
}

int64_t log_recovery_point(const struct log *log)
{
    int64_t point = log->synced_offset;
    for (uint32_t i = log->segment_count; i > 0; i--) {
        const struct segment *segment = log->segments[i - 1];
        if (segment->indexes_unsynced && segment->place.base_offset < point)
            point = segment->place.base_offset;
    }
    return point;
}

int64_t log_visible_offset(const struct log *log)
{
    return log->visible_offset;
}

int64_t log_size_bytes(const struct log *log)
{
    int64_t size = 0;
    for (uint32_t i = 0; i < log->segment_count; i++)
        size += (int64_t)log->segments[i]->size_bytes;
    return size;
}

uint32_t log_segment_count(const struct log *log)
{
    return log->segment_count;
}

struct log_damage log_damage(const struct log *log)
{
    return log->damage;
}

uint64_t log_tail_cut_bytes(const struct log *log)
{
    return log->tail_cut_bytes;
}

struct uuid log_topic_id(const struct log *log)
{
    return log->topic_id;
}

void log_configure(struct log *log, const struct log_config *config)
{
    log->config = *config;
}
