/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a segment: made, extended, cut, put to rest. */
#include "log/segment.h"

#include "base/assertion.h"
#include "base/memory.h"
#include "log/transaction_index.h"

#include <stdio.h>

static const char *const segment_suffixes[] = {LOG_SUFFIX, OFFSET_INDEX_SUFFIX, TIME_INDEX_SUFFIX,
                                               LINE_INDEX_SUFFIX, TRANSACTION_INDEX_SUFFIX};
enum { SEGMENT_SUFFIXES = sizeof segment_suffixes / sizeof segment_suffixes[0] };

static void segment_check(const struct segment *segment)
{
    ASSERT(segment->size_bytes <= SEGMENT_FILES_MAX_BYTES);
    ASSERT(segment->next_offset >= segment->place.base_offset);
    ASSERT(segment->text_bytes >= 0);
}

static struct segment *segment_new(const struct file_place *place, int64_t now_ms)
{
    struct segment *segment = memory_allocate(sizeof *segment);
    if (segment == NULL)
        return NULL;
    atomic_init(&segment->references, 1);
    segment->place = *place;
    segment->next_offset = place->base_offset;
    segment->largest_timestamp = TIMESTAMP_NONE;
    segment->first_timestamp = TIMESTAMP_NONE;
    segment->created_ms = now_ms;
    sparse_index_init(&segment->offsets, OFFSET_INDEX_SUFFIX, OFFSET_ENTRY_BYTES);
    sparse_index_init(&segment->times, TIME_INDEX_SUFFIX, TIME_ENTRY_BYTES);
    sparse_index_init(&segment->lines, LINE_INDEX_SUFFIX, LINE_ENTRY_BYTES);
    return segment;
}

static enum error log_file_open(struct segment *segment, const char *suffix, unsigned flags)
{
    char path[FILE_PATH_BYTES];
    file_path(&segment->place, suffix, path);
    return storage_open(segment->place.storage, path, flags, &segment->file);
}

enum error segment_create(const struct file_place *place, int64_t now_ms,
                          struct segment **ret_segment)
{
    struct segment *segment = segment_new(place, now_ms);
    if (segment == NULL)
        return ERROR_OUT_OF_MEMORY;
    segment->largest_timestamp_known = true;
    segment->unsynced = true;
    enum error error = sparse_index_create(&segment->offsets, place);
    if (error == ERROR_NONE)
        error = sparse_index_create(&segment->times, place);
    if (error == ERROR_NONE)
        error = sparse_index_create(&segment->lines, place);
    /* Last: files without a .log file are removed when the log is opened. */
    if (error == ERROR_NONE)
        error =
            log_file_open(segment, LOG_SUFFIX, STORAGE_WRITE | STORAGE_CREATE | STORAGE_TRUNCATE);
    if (error != ERROR_NONE) {
        segment_unref(segment);
        (void)segment_remove_files(place, "");
        return error;
    }
    *ret_segment = segment;
    return ERROR_NONE;
}

enum error segment_open_as(const struct file_place *place, const char *suffix, int64_t now_ms,
                           struct segment **ret_segment)
{
    struct segment *segment = segment_new(place, now_ms);
    if (segment == NULL)
        return ERROR_OUT_OF_MEMORY;
    enum error error = log_file_open(segment, suffix, STORAGE_WRITE);
    if (error == ERROR_NONE)
        error = storage_size(segment->file, &segment->size_bytes);
    if (error == ERROR_NONE && segment->size_bytes > SEGMENT_FILES_MAX_BYTES)
        error = ERROR_MALFORMED;
    if (error != ERROR_NONE) {
        segment_unref(segment);
        return error;
    }
    *ret_segment = segment;
    return ERROR_NONE;
}

enum error segment_open(const struct file_place *place, int64_t now_ms,
                        struct segment **ret_segment)
{
    return segment_open_as(place, LOG_SUFFIX, now_ms, ret_segment);
}

struct segment *segment_ref(struct segment *segment)
{
    int before = atomic_fetch_add_explicit(&segment->references, 1, memory_order_relaxed);
    ASSERT(before > 0);
    return segment;
}

void segment_unref(struct segment *segment)
{
    if (segment == NULL)
        return;
    int before = atomic_fetch_sub_explicit(&segment->references, 1, memory_order_acq_rel);
    ASSERT(before > 0);
    if (before > 1)
        return;
    storage_close(segment->file);
    sparse_index_done(&segment->offsets);
    sparse_index_done(&segment->times);
    sparse_index_done(&segment->lines);
    memory_free(segment);
}

enum error segment_wake(struct segment *segment)
{
    segment->used = true;
    return segment->file != NULL ? ERROR_NONE : log_file_open(segment, LOG_SUFFIX, STORAGE_WRITE);
}

void segment_rest(struct segment *segment, bool sealed)
{
    sparse_index_rest(&segment->offsets);
    sparse_index_rest(&segment->times);
    sparse_index_rest(&segment->lines);
    /* Only the log can make one reference two, and it is here. */
    bool idle = !segment->used && !segment->unsynced && !segment->indexes_unsynced;
    if (sealed && idle && atomic_load(&segment->references) == 1) {
        storage_close(segment->file);
        segment->file = NULL;
    }
    segment->used = false;
}

/* ---- appending ---- */

static enum error entries_reserve(struct segment *segment)
{
    enum error error = sparse_index_reserve(&segment->offsets, &segment->place);
    if (error == ERROR_NONE)
        error = sparse_index_reserve(&segment->times, &segment->place);
    if (error == ERROR_NONE)
        error = sparse_index_reserve(&segment->lines, &segment->place);
    return error;
}

static int32_t relative_offset(const struct segment *segment, int64_t offset)
{
    int64_t relative = offset - segment->place.base_offset;
    ASSERT(relative >= 0);
    return relative > INT32_MAX ? INT32_MAX : (int32_t)relative; /* Only a seal's, by one. */
}

/* Kafka: TimeIndex.maybeAppend. Room is reserved. */
static void time_entry_append(struct segment *segment)
{
    const uint8_t *last = sparse_index_last(&segment->times);
    int64_t last_timestamp = last == NULL ? TIMESTAMP_NONE : time_entry_read(last).timestamp;
    if (segment->largest_timestamp <= last_timestamp)
        return;
    uint8_t entry[TIME_ENTRY_BYTES];
    time_entry_write(entry, (struct time_entry){.timestamp = segment->largest_timestamp,
                                                .last_offset = relative_offset(
                                                    segment, segment->largest_timestamp_offset)});
    sparse_index_append(&segment->times, entry);
}

static void line_entry_append(struct segment *segment, int64_t first_offset)
{
    uint8_t entry[LINE_ENTRY_BYTES];
    line_entry_write(entry,
                     (struct line_entry){.first_offset = relative_offset(segment, first_offset),
                                         .position = (int32_t)segment->size_bytes,
                                         .text_position = segment->text_bytes});
    sparse_index_append(&segment->lines, entry);
}

static bool entry_due(const struct segment *segment, int64_t index_interval_bytes)
{
    return segment->bytes_since_entry > (uint64_t)index_interval_bytes;
}

/* Kafka: LogSegment.append, after the write. */
static void batch_note(struct segment *segment, const struct batch_header *header,
                       int64_t text_bytes, bool due)
{
    int64_t last_offset = batch_last_offset(header);
    if (segment->size_bytes == 0)
        segment->first_timestamp = header->max_timestamp;
    if (header->max_timestamp > segment->largest_timestamp) {
        segment->largest_timestamp = header->max_timestamp;
        segment->largest_timestamp_offset = last_offset;
    }
    if (due) {
        uint8_t entry[OFFSET_ENTRY_BYTES];
        offset_entry_write(entry, (struct offset_entry){relative_offset(segment, last_offset),
                                                        (int32_t)segment->size_bytes});
        sparse_index_append(&segment->offsets, entry);
        time_entry_append(segment);
        line_entry_append(segment, header->base_offset);
        segment->bytes_since_entry = 0;
    }
    if (segment->ahead_bytes > 0) {
        ASSERT(segment->ahead_bytes >= header->size);
        segment->ahead_bytes -= header->size;
    }
    segment->bytes_since_entry += header->size;
    segment->size_bytes += header->size;
    segment->text_bytes += text_bytes;
    segment->next_offset = last_offset + 1;
    segment_check(segment);
}

/* The largest timestamp must be known before a smaller one could be taken for it. */
static enum error timestamps_know(struct segment *segment)
{
    int64_t timestamp;
    int64_t offset;
    return segment_largest_timestamp(segment, &timestamp, &offset);
}

enum error segment_note(struct segment *segment, const struct batch_header *header,
                        int64_t text_bytes, int64_t index_interval_bytes)
{
    bool due = entry_due(segment, index_interval_bytes);
    enum error error = timestamps_know(segment);
    if (error == ERROR_NONE && due)
        error = entries_reserve(segment);
    if (error == ERROR_NONE)
        batch_note(segment, header, text_bytes, due);
    return error;
}

/* What is behind the last batch noted goes; what cannot go now goes before the next write. */
static void tail_cut(struct segment *segment)
{
    segment->torn = storage_truncate(segment->file, segment->size_bytes) != ERROR_NONE;
    segment->cut_unsynced = true;
}

enum error segment_append(struct segment *segment, const uint8_t *bytes, size_t size,
                          const struct batch_header *header, int64_t text_bytes,
                          int64_t index_interval_bytes)
{
    ASSERT(header->base_offset >= segment->next_offset);
    ASSERT(size >= header->size);
    ASSERT(segment->size_bytes + size <= SEGMENT_FILES_MAX_BYTES);
    enum error error = segment_wake(segment);
    if (error == ERROR_NONE && segment->torn) {
        error = storage_truncate(segment->file, segment->size_bytes);
        segment->torn = error != ERROR_NONE;
    }
    /* Recovery takes a batch for whole whose every sector was written: a power cut must not leave
     * it one of this attempt's sectors and one of the last's. */
    if (error == ERROR_NONE && segment->cut_unsynced) {
        error = storage_sync(segment->file);
        segment->cut_unsynced = error != ERROR_NONE;
        segment->sync_failed = error != ERROR_NONE;
    }
    bool due = entry_due(segment, index_interval_bytes);
    if (error == ERROR_NONE)
        error = timestamps_know(segment);
    if (error == ERROR_NONE && due)
        error = entries_reserve(segment);
    if (error != ERROR_NONE)
        return error;
    error = storage_write(segment->file, segment->size_bytes, bytes, size);
    segment->unsynced = true;
    if (error != ERROR_NONE) {
        tail_cut(segment);
        return error;
    }
    segment->ahead_bytes = size;
    batch_note(segment, header, text_bytes, due);
    return ERROR_NONE;
}

void segment_cut_ahead(struct segment *segment)
{
    if (segment->ahead_bytes > 0)
        tail_cut(segment);
    segment->ahead_bytes = 0;
}

enum error segment_seal(struct segment *segment)
{
    if (segment->size_bytes > 0) {
        enum error error = entries_reserve(segment);
        if (error == ERROR_NONE)
            error = timestamps_know(segment);
        if (error != ERROR_NONE)
            return error;
        time_entry_append(segment);
        const uint8_t *last = sparse_index_last(&segment->lines);
        if (last == NULL || (uint64_t)line_entry_read(last).position < segment->size_bytes)
            line_entry_append(segment, segment->next_offset);
    }
    enum error error = sparse_index_flush(&segment->offsets, &segment->place);
    if (error == ERROR_NONE)
        error = sparse_index_flush(&segment->times, &segment->place);
    if (error == ERROR_NONE)
        error = sparse_index_flush(&segment->lines, &segment->place);
    return error;
}

enum error segment_largest_timestamp(struct segment *segment, int64_t *ret_timestamp,
                                     int64_t *ret_offset)
{
    if (!segment->largest_timestamp_known) {
        enum error error = sparse_index_load(&segment->times, &segment->place);
        if (error != ERROR_NONE)
            return error;
        const uint8_t *last = sparse_index_last(&segment->times);
        if (last != NULL) {
            struct time_entry entry = time_entry_read(last);
            segment->largest_timestamp = entry.timestamp;
            segment->largest_timestamp_offset = segment->place.base_offset + entry.last_offset;
        }
        segment->largest_timestamp_known = true;
    }
    *ret_timestamp = segment->largest_timestamp;
    *ret_offset = segment->largest_timestamp_offset;
    return ERROR_NONE;
}

/* ---- cutting and removing ---- */

enum error segment_index_reset(struct segment *segment)
{
    enum error error = sparse_index_create(&segment->offsets, &segment->place);
    if (error == ERROR_NONE)
        error = sparse_index_create(&segment->times, &segment->place);
    if (error == ERROR_NONE)
        error = sparse_index_create(&segment->lines, &segment->place);
    if (error != ERROR_NONE)
        return error;
    segment->size_bytes = 0;
    segment->text_bytes = 0;
    segment->next_offset = segment->place.base_offset;
    segment->largest_timestamp = TIMESTAMP_NONE;
    segment->largest_timestamp_known = true;
    segment->first_timestamp = TIMESTAMP_NONE;
    segment->bytes_since_entry = 0;
    segment->indexes_unsynced = true;
    return ERROR_NONE;
}

enum error segment_truncate(struct segment *segment, uint64_t position, int64_t text_bytes,
                            int64_t next_offset)
{
    ASSERT(position <= segment->size_bytes);
    int64_t relative = next_offset - segment->place.base_offset;
    enum error error = segment_wake(segment);
    /* Indexes first: an entry beyond the file would be worse than one too few. */
    if (error == ERROR_NONE)
        error = sparse_index_truncate(&segment->offsets, &segment->place, OFFSET_KEY_POSITION,
                                      (int64_t)position);
    if (error == ERROR_NONE)
        error = sparse_index_truncate(&segment->times, &segment->place, TIME_KEY_OFFSET, relative);
    if (error == ERROR_NONE)
        error = sparse_index_truncate(&segment->lines, &segment->place, LINE_KEY_POSITION,
                                      (int64_t)position + 1);
    if (error == ERROR_NONE)
        error = storage_truncate(segment->file, position);
    if (error != ERROR_NONE)
        return error;
    segment->size_bytes = position;
    segment->text_bytes = text_bytes;
    segment->next_offset = next_offset;
    segment->torn = false;
    segment->unsynced = true;
    segment_check(segment);
    error = segment_learn_tail(segment);
    segment->next_offset = next_offset; /* Offsets may be missing before it. */
    return error;
}

enum error segment_clear(struct segment *segment)
{
    enum error error = file_remove(&segment->place, TRANSACTION_INDEX_SUFFIX);
    if (error == ERROR_NONE)
        error = segment_truncate(segment, 0, 0, segment->place.base_offset);
    return error;
}

enum error segment_index_sync(struct segment *segment)
{
    enum error error = sparse_index_sync(&segment->offsets, &segment->place);
    if (error == ERROR_NONE)
        error = sparse_index_sync(&segment->times, &segment->place);
    if (error == ERROR_NONE)
        error = sparse_index_sync(&segment->lines, &segment->place);
    return error;
}

bool segment_index_unsynced(const struct segment *segment)
{
    return segment->offsets.unsynced || segment->times.unsynced || segment->lines.unsynced;
}

enum error segment_rename_deleted(const struct file_place *place)
{
    /* The .log file first: what is left without it is removed when the log is opened. */
    for (int i = 0; i < SEGMENT_SUFFIXES; i++) {
        char from[FILE_PATH_BYTES];
        char suffix[32];
        char to[FILE_PATH_BYTES];
        file_path(place, segment_suffixes[i], from);
        (void)snprintf(suffix, sizeof suffix, "%s%s", segment_suffixes[i], DELETED_SUFFIX);
        file_path(place, suffix, to);
        enum error error = storage_rename(place->storage, from, to);
        if (error != ERROR_NONE && error != ERROR_NOT_FOUND)
            return error;
    }
    return ERROR_NONE;
}

enum error segment_remove_files(const struct file_place *place, const char *suffix)
{
    enum error first_error = ERROR_NONE;
    for (int i = 0; i < SEGMENT_SUFFIXES; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "%s%s", segment_suffixes[i], suffix);
        enum error error = file_remove(place, name);
        if (first_error == ERROR_NONE)
            first_error = error;
    }
    return first_error;
}
