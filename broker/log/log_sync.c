/* SPDX-License-Identifier: Apache-2.0 */
/* Syncing in three steps: what there is to sync, the blocking part, what came of it. */
#include "log/log_state.h"

#include "base/assertion.h"

#include <string.h>

enum { SYNC_SEGMENTS_MAX = 8, OPEN_TRIES = 3 };

bool log_sync_begin(struct log *log, struct log_sync *sync)
{
    ASSERT(!log->sync_under_way);
    if (log->failed)
        return false;
    uint32_t first = log->segment_count;
    while (first > 0 &&
           (log->segments[first - 1]->unsynced || log->segments[first - 1]->indexes_unsynced))
        first--;
    *sync = (struct log_sync){.log = log,
                              .end_offset = log->end_offset,
                              .directory = log->directory_unsynced,
                              .parent = log->parent_unsynced,
                              .epochs = log->epochs_unsynced};
    for (uint32_t i = first; i < log->segment_count; i++) {
        struct segment *segment = log->segments[i];
        if (sync->segment_count == SYNC_SEGMENTS_MAX) {
            sync->end_offset = segment->place.base_offset;
            break;
        }
        ASSERT(segment->file != NULL || !segment->unsynced);
        if (segment->indexes_unsynced)
            sync->index_mask |= 1u << sync->segment_count;
        segment->unsynced = false;
        sync->segments[sync->segment_count++] = segment_ref(segment);
    }
    if (sync->segment_count == 0 && !sync->directory && !sync->parent)
        return false;
    log->directory_unsynced = false;
    log->parent_unsynced = false;
    log->epochs_unsynced = false;
    log->sync_under_way = true;
    log->sync_clip = INT64_MAX;
    return true;
}

enum file_step { FILE_SYNC, FILE_WRITE_BACK_START, FILE_WRITE_BACK };

static enum error file_run(struct storage_file *file, enum file_step step)
{
    if (step == FILE_SYNC)
        return storage_sync(file);
    return storage_write_back(file, step == FILE_WRITE_BACK);
}

/* Files that the monitor has open, or replaces. */
static enum error path_run(struct storage *storage, const char *path, enum file_step step)
{
    struct storage_file *file;
    enum error error = ERROR_OUT_OF_MEMORY;
    /* A log whose sync fails is failed for good: want of memory is given the time to pass. */
    for (int tries = 0; error == ERROR_OUT_OF_MEMORY && tries < OPEN_TRIES; tries++)
        error = storage_open(storage, path, STORAGE_WRITE, &file);
    if (error == ERROR_NOT_FOUND) /* Deleted meanwhile. */
        return ERROR_NONE;
    if (error != ERROR_NONE)
        return error;
    error = file_run(file, step);
    storage_close(file);
    return error;
}

static enum error index_run(const struct file_place *place, const char *suffix, enum file_step step)
{
    char path[FILE_PATH_BYTES];
    file_path(place, suffix, path);
    return path_run(place->storage, path, step);
}

/* The small files beside the segments. */
static enum error notes_run(const struct log_sync *sync, enum file_step step)
{
    const struct log *log = sync->log;
    char path[FILE_PATH_BYTES];
    enum error error = ERROR_NONE;
    if (sync->parent) {
        file_path_in(log->directory, METADATA_FILE_NAME, path);
        error = path_run(log->storage, path, step);
    }
    if (error == ERROR_NONE && sync->epochs) {
        file_path_in(log->directory, EPOCH_FILE_NAME, path);
        error = path_run(log->storage, path, step);
    }
    return error;
}

static enum error segment_run(const struct log_sync *sync, uint32_t place, enum file_step step)
{
    static const char *const suffixes[] = {OFFSET_INDEX_SUFFIX, TIME_INDEX_SUFFIX,
                                           LINE_INDEX_SUFFIX};
    const struct segment *segment = sync->segments[place];
    enum error error = ERROR_NONE;
    /* A file that rests has nothing unsynced: the segment is here for its indexes. */
    if (segment->file != NULL)
        error = file_run(segment->file, step);
    if ((sync->index_mask & 1u << place) == 0)
        return error;
    for (int i = 0; error == ERROR_NONE && i < 3; i++)
        error = index_run(&segment->place, suffixes[i], step);
    return error;
}

static enum error parent_sync(const struct log *log)
{
    char parent[FILE_PATH_BYTES] = "";
    const char *slash = strrchr(log->directory, '/');
    if (slash != NULL && (size_t)(slash - log->directory) < sizeof parent)
        memcpy(parent, log->directory, (size_t)(slash - log->directory));
    return storage_sync_directory(log->storage, parent);
}

void log_sync_run(struct log_sync *sync)
{
    enum error error = notes_run(sync, FILE_SYNC);
    for (uint32_t i = 0; i < sync->segment_count && error == ERROR_NONE; i++)
        error = segment_run(sync, i, FILE_SYNC);
    if (error == ERROR_NONE && sync->directory)
        error = storage_sync_directory(sync->log->storage, sync->log->directory);
    if (error == ERROR_NONE && sync->parent)
        error = parent_sync(sync->log);
    sync->error = error;
}

void log_sync_write_back(struct log_sync *sync, bool wait)
{
    enum file_step step = wait ? FILE_WRITE_BACK : FILE_WRITE_BACK_START;
    if (sync->error == ERROR_NONE)
        sync->error = notes_run(sync, step);
    for (uint32_t i = 0; i < sync->segment_count && sync->error == ERROR_NONE; i++)
        sync->error = segment_run(sync, i, step);
}

enum error log_sync_end(struct log *log, struct log_sync *sync)
{
    ASSERT(log->sync_under_way);
    log->sync_under_way = false;
    for (uint32_t i = 0; i < sync->segment_count; i++) {
        /* After a truncation meanwhile it may not be sealed any more, or anew. */
        if ((sync->index_mask & 1u << i) != 0 && sync->error == ERROR_NONE &&
            log->sync_clip == INT64_MAX)
            sync->segments[i]->indexes_unsynced = false;
        segment_unref(sync->segments[i]);
    }
    sync->segment_count = 0;
    if (sync->error != ERROR_NONE) {
        log->failed = true;
        return sync->error;
    }
    int64_t end = sync->end_offset < log->sync_clip ? sync->end_offset : log->sync_clip;
    if (end > log->end_offset)
        end = log->end_offset;
    if (end > log->synced_offset)
        log->synced_offset = end;
    return ERROR_NONE;
}
