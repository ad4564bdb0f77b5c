/* SPDX-License-Identifier: Apache-2.0 */
/* Syncing in three steps: what there is to sync, the blocking part, what came of it. */
#include "log/log_state.h"

#include "base/assertion.h"

#include <string.h>

enum { SYNC_SEGMENTS_MAX = 8 };

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
                              .parent = log->parent_unsynced};
    for (uint32_t i = first; i < log->segment_count; i++) {
        struct segment *segment = log->segments[i];
        if (sync->segment_count == SYNC_SEGMENTS_MAX) {
            sync->end_offset = segment->place.base_offset;
            break;
        }
        ASSERT(segment->file != NULL);
        if (segment->indexes_unsynced)
            sync->index_mask |= 1u << sync->segment_count;
        segment->unsynced = false;
        sync->segments[sync->segment_count++] = segment_ref(segment);
    }
    if (sync->segment_count == 0 && !sync->directory && !sync->parent)
        return false;
    log->directory_unsynced = false;
    log->parent_unsynced = false;
    log->sync_under_way = true;
    log->sync_clip = INT64_MAX;
    return true;
}

/* By path: the open index files belong to the monitor. */
static enum error index_sync(const struct file_place *place, const char *suffix)
{
    char path[FILE_PATH_BYTES];
    file_path(place, suffix, path);
    struct storage_file *file;
    enum error error = storage_open(place->storage, path, STORAGE_WRITE, &file);
    if (error == ERROR_NOT_FOUND) /* Deleted meanwhile. */
        return ERROR_NONE;
    if (error != ERROR_NONE)
        return error;
    error = storage_sync(file);
    storage_close(file);
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
    enum error error = ERROR_NONE;
    for (uint32_t i = 0; i < sync->segment_count && error == ERROR_NONE; i++) {
        const struct segment *segment = sync->segments[i];
        error = storage_sync(segment->file);
        if (error != ERROR_NONE || (sync->index_mask & 1u << i) == 0)
            continue;
        error = index_sync(&segment->place, OFFSET_INDEX_SUFFIX);
        if (error == ERROR_NONE)
            error = index_sync(&segment->place, TIME_INDEX_SUFFIX);
        if (error == ERROR_NONE)
            error = index_sync(&segment->place, LINE_INDEX_SUFFIX);
    }
    if (error == ERROR_NONE && sync->directory)
        error = storage_sync_directory(sync->log->storage, sync->log->directory);
    if (error == ERROR_NONE && sync->parent)
        error = parent_sync(sync->log);
    sync->error = error;
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
