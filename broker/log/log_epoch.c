/* SPDX-License-Identifier: Apache-2.0 */
/* The log's leader epochs: asked, assigned, stored, rebuilt. */
#include "log/log_state.h"

#include "base/memory.h"

#include <string.h>

int32_t log_epoch_at(const struct log *log, int64_t offset)
{
    return epoch_cache_at(&log->epochs, offset);
}

int32_t log_epoch_latest(const struct log *log)
{
    return epoch_cache_latest(&log->epochs);
}

void log_epoch_end(const struct log *log, int32_t epoch, int32_t *ret_epoch,
                   int64_t *ret_end_offset)
{
    epoch_cache_end(&log->epochs, epoch, log->end_offset, ret_epoch, ret_end_offset);
}

/* The file changed: it goes to stable storage with the next sync of the log, whose batches tell the
 * same until then. */
static void epochs_stored(struct log *log)
{
    log->epochs_unsynced = true;
    log->directory_unsynced = true;
}

enum error log_epochs_store(struct log *log, bool synced)
{
    enum error error = epoch_cache_store(&log->epochs, log->storage, log->directory, synced);
    if (error == ERROR_NONE && !synced)
        epochs_stored(log);
    return error;
}

enum error log_epoch_assign(struct log *log, int32_t epoch, int64_t start_offset)
{
    if (!epoch_cache_would_assign(&log->epochs, epoch, start_offset))
        return ERROR_NONE;
    struct epoch_cache changed = {.capacity = log->epochs.count + 1};
    changed.entries = memory_allocate_array(changed.capacity, sizeof *changed.entries);
    if (changed.entries == NULL)
        return ERROR_OUT_OF_MEMORY;
    changed.count = log->epochs.count;
    if (changed.count > 0)
        memcpy(changed.entries, log->epochs.entries, changed.count * sizeof *changed.entries);
    enum error error = epoch_cache_assign(&changed, epoch, start_offset);
    if (error == ERROR_NONE)
        error = epoch_cache_store(&changed, log->storage, log->directory, false);
    if (error != ERROR_NONE) {
        epoch_cache_done(&changed);
        return error;
    }
    epoch_cache_done(&log->epochs);
    log->epochs = changed;
    epochs_stored(log);
    return ERROR_NONE;
}

enum error log_epochs_rebuild(struct log *log)
{
    epoch_cache_done(&log->epochs);
    for (uint32_t i = 0; i < log->segment_count; i++) {
        struct segment *segment = log->segments[i];
        struct segment_scan scan;
        segment_scan_init(&scan, segment, 0, segment->size_bytes, segment->place.base_offset);
        enum error error = ERROR_NONE;
        while (error == ERROR_NONE) {
            struct batch_header header;
            uint64_t position;
            error = segment_scan_next(&scan, &header, &position);
            if (error == ERROR_NONE && header.leader_epoch > epoch_cache_latest(&log->epochs))
                error = epoch_cache_assign(&log->epochs, header.leader_epoch, header.base_offset);
        }
        if (error == ERROR_CORRUPT_MESSAGE) /* Nothing behind it is served. */
            return ERROR_NONE;
        if (error != ERROR_NOT_FOUND)
            return error;
    }
    return ERROR_NONE;
}
