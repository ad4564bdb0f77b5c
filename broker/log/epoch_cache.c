/* SPDX-License-Identifier: Apache-2.0 */
/* Leader epochs of one log, in memory and in their checkpoint file. */
#include "log/epoch_cache.h"

#include "base/assertion.h"
#include "base/memory.h"
#include "log/checkpoint_file.h"
#include "log/file_name.h"

#include <inttypes.h>
#include <stdio.h>

enum { EPOCH_FILE_BYTES_MAX = 16 << 20, EPOCH_LINE_BYTES = 40 };

void epoch_cache_init(struct epoch_cache *cache)
{
    *cache = (struct epoch_cache){0};
}

void epoch_cache_done(struct epoch_cache *cache)
{
    memory_free(cache->entries);
    epoch_cache_init(cache);
}

static enum error entry_push(struct epoch_cache *cache, int32_t epoch, int64_t start_offset)
{
    if (cache->count == cache->capacity) {
        uint32_t capacity = cache->capacity == 0 ? 2 : cache->capacity * 2;
        struct epoch_entry *grown =
            memory_resize(cache->entries, capacity * sizeof *cache->entries);
        if (grown == NULL)
            return ERROR_OUT_OF_MEMORY;
        cache->entries = grown;
        cache->capacity = capacity;
    }
    cache->entries[cache->count++] = (struct epoch_entry){epoch, start_offset};
    return ERROR_NONE;
}

/* Reads the lines behind the count. */
static enum error entries_parse(struct epoch_cache *cache, struct checkpoint_reader *reader)
{
    for (int64_t left = reader->count; left > 0; left--) {
        int64_t epoch;
        int64_t start_offset;
        if (!checkpoint_read_number(reader, ' ', &epoch) ||
            !checkpoint_read_number(reader, '\n', &start_offset))
            return ERROR_MALFORMED;
        if (epoch < 0 || epoch > INT32_MAX || start_offset < 0)
            return ERROR_MALFORMED;
        if (cache->count > 0) {
            const struct epoch_entry *last = &cache->entries[cache->count - 1];
            if (epoch <= last->epoch || start_offset <= last->start_offset)
                return ERROR_MALFORMED;
        }
        enum error error = entry_push(cache, (int32_t)epoch, start_offset);
        if (error != ERROR_NONE)
            return error;
    }
    return checkpoint_read_end(reader) ? ERROR_NONE : ERROR_MALFORMED;
}

enum error epoch_cache_load(struct epoch_cache *cache, struct storage *storage,
                            const char *directory)
{
    char path[FILE_PATH_BYTES];
    file_path_in(directory, EPOCH_FILE_NAME, path);
    struct checkpoint_reader reader;
    enum error error = checkpoint_open(storage, path, EPOCH_FILE_BYTES_MAX, &reader);
    if (error != ERROR_NONE)
        return error;
    cache->count = 0;
    error = entries_parse(cache, &reader);
    checkpoint_close(&reader);
    if (error != ERROR_NONE)
        cache->count = 0;
    return error;
}

enum error epoch_cache_store(const struct epoch_cache *cache, struct storage *storage,
                             const char *directory, bool synced)
{
    size_t capacity = (size_t)(cache->count + 1) * EPOCH_LINE_BYTES;
    char *text = memory_allocate_raw(capacity);
    if (text == NULL)
        return ERROR_OUT_OF_MEMORY;
    size_t size = (size_t)snprintf(text, capacity, "0\n%" PRIu32 "\n", cache->count);
    for (uint32_t i = 0; i < cache->count; i++) {
        size += (size_t)snprintf(text + size, capacity - size, "%" PRId32 " %" PRId64 "\n",
                                 cache->entries[i].epoch, cache->entries[i].start_offset);
        ASSERT(size < capacity);
    }
    char path[FILE_PATH_BYTES];
    file_path_in(directory, EPOCH_FILE_NAME, path);
    enum error error = synced ? storage_write_whole(storage, path, text, size)
                              : storage_replace_whole(storage, path, text, size);
    memory_free(text);
    return error;
}

bool epoch_cache_would_assign(const struct epoch_cache *cache, int32_t epoch, int64_t start_offset)
{
    if (cache->count == 0)
        return true;
    const struct epoch_entry *last = &cache->entries[cache->count - 1];
    return epoch != last->epoch || start_offset < last->start_offset;
}

enum error epoch_cache_assign(struct epoch_cache *cache, int32_t epoch, int64_t start_offset)
{
    if (!epoch_cache_would_assign(cache, epoch, start_offset))
        return ERROR_NONE;
    uint32_t kept = cache->count;
    while (kept > 0 && (cache->entries[kept - 1].epoch >= epoch ||
                        cache->entries[kept - 1].start_offset >= start_offset))
        kept--;
    if (kept < cache->count) { /* Room is there. */
        cache->count = kept;
        cache->entries[cache->count++] = (struct epoch_entry){epoch, start_offset};
        return ERROR_NONE;
    }
    return entry_push(cache, epoch, start_offset);
}

bool epoch_cache_truncate_end(struct epoch_cache *cache, int64_t end_offset)
{
    uint32_t before = cache->count;
    while (cache->count > 0 && cache->entries[cache->count - 1].start_offset >= end_offset)
        cache->count--;
    return cache->count != before;
}

void epoch_cache_drop_above(struct epoch_cache *cache, int32_t epoch)
{
    while (cache->count > 0 && cache->entries[cache->count - 1].epoch > epoch)
        cache->count--;
}

bool epoch_cache_truncate_start(struct epoch_cache *cache, int64_t start_offset)
{
    uint32_t dropped = 0; /* Entries that begin at or below start_offset, but for the last one. */
    while (dropped + 1 < cache->count && cache->entries[dropped + 1].start_offset <= start_offset)
        dropped++;
    if (cache->count == 0 || cache->entries[dropped].start_offset >= start_offset)
        return false;
    for (uint32_t i = dropped; i < cache->count; i++)
        cache->entries[i - dropped] = cache->entries[i];
    cache->count -= dropped;
    cache->entries[0].start_offset = start_offset;
    return true;
}

int32_t epoch_cache_at(const struct epoch_cache *cache, int64_t offset)
{
    for (uint32_t i = cache->count; i > 0; i--) {
        if (cache->entries[i - 1].start_offset <= offset)
            return cache->entries[i - 1].epoch;
    }
    return -1;
}

int32_t epoch_cache_latest(const struct epoch_cache *cache)
{
    return cache->count == 0 ? -1 : cache->entries[cache->count - 1].epoch;
}

void epoch_cache_end(const struct epoch_cache *cache, int32_t epoch, int64_t log_end_offset,
                     int32_t *ret_epoch, int64_t *ret_end_offset)
{
    *ret_epoch = -1;
    *ret_end_offset = -1;
    if (epoch < 0 || cache->count == 0)
        return;
    if (epoch == epoch_cache_latest(cache)) {
        *ret_epoch = epoch;
        *ret_end_offset = log_end_offset;
        return;
    }
    uint32_t higher = 0;
    while (higher < cache->count && cache->entries[higher].epoch <= epoch)
        higher++;
    if (higher == cache->count) /* Beyond every known epoch. */
        return;
    /* Below every known epoch: the requested epoch and where the first known one begins. */
    *ret_epoch = higher == 0 ? epoch : cache->entries[higher - 1].epoch;
    *ret_end_offset = cache->entries[higher].start_offset;
}
