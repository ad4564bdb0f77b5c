/* SPDX-License-Identifier: Apache-2.0 */
/* The partition's directory at open: what is there, what a crash left half done, whose it is. */
#include "log/log_state.h"

#include "base/assertion.h"
#include "base/memory.h"
#include "log/transaction_index.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Names are collected first: the directory must not change while it is listed. */
struct file_entry {
    int64_t offset;  /* -1: no number in the name. */
    char suffix[40]; /* Behind the number, or the whole name. */
};

struct file_list {
    struct file_entry *entries;
    uint32_t count;
    uint32_t capacity;
    enum error error;
};

static void entry_collect(void *context, const struct storage_entry *found)
{
    struct file_list *list = context;
    int64_t offset;
    const char *suffix;
    if (list->error != ERROR_NONE || found->is_directory)
        return;
    if (!file_name_parse(found->name, &offset, &suffix)) {
        offset = -1;
        suffix = found->name;
    }
    if (strlen(suffix) >= sizeof list->entries[0].suffix)
        return; /* Not ours. */
    if (list->count == list->capacity) {
        uint32_t capacity = list->capacity == 0 ? 16 : list->capacity * 2;
        struct file_entry *grown = memory_resize(list->entries, capacity * sizeof *grown);
        if (grown == NULL) {
            list->error = ERROR_OUT_OF_MEMORY;
            return;
        }
        list->entries = grown;
        list->capacity = capacity;
    }
    struct file_entry *entry = &list->entries[list->count++];
    entry->offset = offset;
    memcpy(entry->suffix, suffix, strlen(suffix) + 1);
}

static bool ends_with(const char *text, const char *end)
{
    size_t text_size = strlen(text);
    size_t end_size = strlen(end);
    return text_size >= end_size && strcmp(text + text_size - end_size, end) == 0;
}

static const struct file_entry *entry_find(const struct file_list *list, int64_t offset,
                                           const char *suffix)
{
    for (uint32_t i = 0; i < list->count; i++) {
        if (list->entries[i].offset == offset && strcmp(list->entries[i].suffix, suffix) == 0)
            return &list->entries[i];
    }
    return NULL;
}

static enum error entry_remove(struct log *log, struct file_entry *entry)
{
    char path[FILE_PATH_BYTES];
    if (entry->offset >= 0) {
        struct file_place place = {log->storage, log->directory, entry->offset};
        file_path(&place, entry->suffix, path);
    } else {
        file_path_in(log->directory, entry->suffix, path);
    }
    enum error error = storage_remove(log->storage, path);
    log->directory_unsynced = true;
    entry->offset = -1;
    entry->suffix[0] = '\0';
    return error == ERROR_NOT_FOUND ? ERROR_NONE : error;
}

/* Temporary files of a write, a cleaning or a deletion that a crash interrupted. A cleaning that
 * left .cleaned files had not yet renamed all to .swap: its .swap files at or above the lowest of
 * them go too (Kafka: LogLoader.removeTempFilesAndCollectSwapFiles). */
static enum error temporary_remove(struct log *log, struct file_list *list)
{
    int64_t lowest_cleaned = INT64_MAX;
    for (uint32_t i = 0; i < list->count; i++) {
        const struct file_entry *entry = &list->entries[i];
        if (ends_with(entry->suffix, ".cleaned") && entry->offset >= 0 &&
            entry->offset < lowest_cleaned)
            lowest_cleaned = entry->offset;
    }
    for (uint32_t i = 0; i < list->count; i++) {
        struct file_entry *entry = &list->entries[i];
        bool is_swap = ends_with(entry->suffix, ".swap") && entry->offset >= 0;
        if (ends_with(entry->suffix, ".tmp") ||
            (entry->offset >= 0 &&
             (ends_with(entry->suffix, ".cleaned") || ends_with(entry->suffix, DELETED_SUFFIX))) ||
            (is_swap && entry->offset >= lowest_cleaned)) {
            enum error error = entry_remove(log, entry);
            if (error != ERROR_NONE)
                return error;
        }
    }
    return ERROR_NONE;
}

/* A whole .log.swap replaces the segments its batches cover; its indexes are built anew. */
static enum error swap_complete(struct log *log, struct file_list *list, struct file_entry *swap)
{
    char from[FILE_PATH_BYTES];
    char to[FILE_PATH_BYTES];
    struct file_place place = {log->storage, log->directory, swap->offset};
    file_path(&place, LOG_SUFFIX ".swap", from);
    file_path(&place, LOG_SUFFIX, to);
    /* Opened under its temporary name to learn where its batches end. */
    struct file_place probe = place;
    struct segment *segment;
    int64_t next_offset = swap->offset + 1;
    enum error error = segment_open_as(&probe, LOG_SUFFIX ".swap", 0, &segment);
    if (error != ERROR_NONE)
        return error;
    struct segment_scan scan;
    segment_scan_init(&scan, segment, 0, segment->size_bytes, swap->offset);
    struct batch_header header;
    uint64_t position;
    while ((error = segment_scan_next(&scan, &header, &position)) == ERROR_NONE)
        next_offset = batch_last_offset(&header) + 1;
    segment_unref(segment);
    if (error != ERROR_NOT_FOUND)
        return error;
    for (uint32_t i = 0; i < list->count; i++) {
        struct file_entry *entry = &list->entries[i];
        if (entry == swap || entry->offset < swap->offset || entry->offset >= next_offset ||
            (ends_with(entry->suffix, ".swap") && entry->offset != swap->offset) ||
            strcmp(entry->suffix, SNAPSHOT_SUFFIX) == 0)
            continue;
        error = entry_remove(log, entry);
        if (error != ERROR_NONE)
            return error;
    }
    error = storage_rename(log->storage, from, to);
    if (error == ERROR_NONE)
        memcpy(swap->suffix, LOG_SUFFIX, sizeof LOG_SUFFIX);
    return error;
}

static enum error swaps_complete(struct log *log, struct file_list *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        struct file_entry *entry = &list->entries[i];
        if (entry->offset < 0 || strcmp(entry->suffix, LOG_SUFFIX ".swap") != 0)
            continue;
        enum error error = swap_complete(log, list, entry);
        if (error != ERROR_NONE)
            return error;
    }
    for (uint32_t i = 0; i < list->count; i++) { /* Index files of a swap without its .log. */
        struct file_entry *entry = &list->entries[i];
        if (entry->offset < 0 || !ends_with(entry->suffix, ".swap"))
            continue;
        enum error error = entry_remove(log, entry);
        if (error != ERROR_NONE)
            return error;
    }
    return ERROR_NONE;
}

/* Index files without their .log. */
static enum error orphans_remove(struct log *log, struct file_list *list)
{
    static const char *const suffixes[] = {OFFSET_INDEX_SUFFIX, TIME_INDEX_SUFFIX,
                                           LINE_INDEX_SUFFIX, TRANSACTION_INDEX_SUFFIX};
    for (uint32_t i = 0; i < list->count; i++) {
        struct file_entry *entry = &list->entries[i];
        bool is_index = false;
        for (size_t j = 0; j < sizeof suffixes / sizeof suffixes[0]; j++)
            is_index = is_index || strcmp(entry->suffix, suffixes[j]) == 0;
        if (!is_index || entry->offset < 0 || entry_find(list, entry->offset, LOG_SUFFIX) != NULL)
            continue;
        enum error error = entry_remove(log, entry);
        if (error != ERROR_NONE)
            return error;
    }
    return ERROR_NONE;
}

static int base_compare(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left;
    int64_t b = *(const int64_t *)right;
    return a < b ? -1 : a > b;
}

static enum error listing_fill(struct log *log, const struct file_list *list,
                               struct log_listing *listing)
{
    listing->bases = memory_allocate_array(list->count + 1, sizeof *listing->bases);
    if (listing->bases == NULL)
        return ERROR_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < list->count; i++) {
        const struct file_entry *entry = &list->entries[i];
        if (entry->offset < 0)
            continue;
        if (strcmp(entry->suffix, LOG_SUFFIX) == 0) {
            listing->bases[listing->count++] = entry->offset;
        } else if (strcmp(entry->suffix, SNAPSHOT_SUFFIX) == 0) {
            enum error error = log_snapshot_remember(log, entry->offset);
            if (error != ERROR_NONE)
                return error;
        }
    }
    qsort(listing->bases, listing->count, sizeof *listing->bases, base_compare);
    return ERROR_NONE;
}

enum error log_files_list(struct log *log, struct log_listing *ret_listing, struct failure *failure)
{
    struct file_list list = {0};
    enum error error = storage_list(log->storage, log->directory, entry_collect, &list);
    if (error == ERROR_NONE)
        error = list.error;
    if (error == ERROR_NONE)
        error = temporary_remove(log, &list);
    if (error == ERROR_NONE)
        error = swaps_complete(log, &list);
    if (error == ERROR_NONE)
        error = orphans_remove(log, &list);
    if (error == ERROR_NONE)
        error = listing_fill(log, &list, ret_listing);
    memory_free(list.entries);
    return error == ERROR_NONE ? ERROR_NONE : failure_at(failure, error, "list the files");
}

void log_listing_done(struct log_listing *listing)
{
    memory_free(listing->bases);
    *listing = (struct log_listing){0};
}

/* ---- partition.metadata ---- */

/* "version: 0\ntopic_id: <22 characters>" (Kafka: PartitionMetadataFile). */
static bool metadata_parse(const char *text, struct uuid *ret_topic_id)
{
    static const char version[] = "version: 0\n";
    static const char key[] = "topic_id: ";
    if (strncmp(text, version, sizeof version - 1) != 0)
        return false;
    text += sizeof version - 1;
    if (strncmp(text, key, sizeof key - 1) != 0)
        return false;
    text += sizeof key - 1;
    char id[UUID_TEXT_BYTES];
    size_t length = strcspn(text, "\r\n");
    if (length >= sizeof id || text[length + strspn(text + length, "\r\n")] != '\0')
        return false;
    memcpy(id, text, length);
    id[length] = '\0';
    return uuid_from_text(id, ret_topic_id);
}

enum { METADATA_BYTES = sizeof "version: 0\ntopic_id: " - 1 + UUID_TEXT_BYTES - 1 };

static enum error metadata_write(struct log *log)
{
    char id[UUID_TEXT_BYTES];
    char text[METADATA_BYTES + 1];
    char path[FILE_PATH_BYTES];
    uuid_to_text(&log->topic_id, id);
    int size = snprintf(text, sizeof text, "version: 0\ntopic_id: %s", id);
    ASSERT(size == METADATA_BYTES);
    file_path_in(log->directory, METADATA_FILE_NAME, path);
    log->parent_unsynced = true;
    log->directory_unsynced = true;
    return storage_replace_whole(log->storage, path, text, (size_t)size);
}

/* It goes to stable storage with the first records: where none were synced a power cut may have
 * torn it, and nobody can say whose what is here is. A clean stop says nothing of a log that it
 * could not open. */
static bool metadata_torn(const struct log_open_options *options, const char *text, size_t size)
{
    return options->recovery_point <= 0 && (size < METADATA_BYTES || memchr(text, 0, size) != NULL);
}

enum error log_metadata_agree(struct log *log, const struct log_open_options *options,
                              struct failure *failure)
{
    char path[FILE_PATH_BYTES];
    file_path_in(log->directory, METADATA_FILE_NAME, path);
    char *text;
    size_t size;
    enum error error = storage_read_whole(log->storage, path, 4096, &text, &size);
    if (error == ERROR_NOT_FOUND) {
        if (uuid_is_zero(&log->topic_id))
            return ERROR_NONE;
        error = metadata_write(log);
        return error == ERROR_NONE ? ERROR_NONE
                                   : failure_at(failure, error, "write %s", METADATA_FILE_NAME);
    }
    struct uuid found = UUID_ZERO;
    if (error == ERROR_NONE) {
        if (metadata_torn(options, text, size))
            error = ERROR_INCONSISTENT_TOPIC_ID;
        else if (strlen(text) != size || !metadata_parse(text, &found))
            error = ERROR_MALFORMED;
        memory_free(text);
    }
    if (error != ERROR_NONE)
        return failure_at(failure, error, "read %s", METADATA_FILE_NAME);
    if (uuid_is_zero(&log->topic_id))
        log->topic_id = found;
    if (!uuid_equals(&log->topic_id, &found))
        return failure_at(failure, ERROR_INCONSISTENT_TOPIC_ID, "%s", METADATA_FILE_NAME);
    return ERROR_NONE;
}
