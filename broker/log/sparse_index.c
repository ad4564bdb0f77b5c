/* SPDX-License-Identifier: Apache-2.0 */
/* Sorted fixed-size entries in a file, the newest of them in memory. */
#include "log/sparse_index.h"

#include "base/assertion.h"
#include "base/byteorder.h"
#include "base/memory.h"

#include <string.h>

enum { SPARSE_INDEX_BLOCK_BYTES = 4096 };

int64_t sparse_key_read(struct sparse_key key, const uint8_t *entry)
{
    if (key.bytes == 4)
        return (int32_t)load_be32(entry + key.at);
    return (int64_t)load_be64(entry + key.at);
}

void sparse_index_init(struct sparse_index *index, const char *suffix, uint8_t entry_bytes)
{
    ASSERT(entry_bytes <= SPARSE_INDEX_ENTRY_BYTES_MAX);
    *index = (struct sparse_index){.suffix = suffix, .entry_bytes = entry_bytes};
}

void sparse_index_done(struct sparse_index *index)
{
    storage_close(index->file);
    memory_free(index->pending);
    sparse_index_init(index, index->suffix, index->entry_bytes);
}

/* Lookups keep the file open for the next one; *ret_opened tells the others to close it again. */
static enum error file_open(struct sparse_index *index, const struct file_place *place,
                            bool *ret_opened)
{
    *ret_opened = index->file == NULL;
    if (index->file != NULL)
        return ERROR_NONE;
    char path[FILE_PATH_BYTES];
    file_path(place, index->suffix, path);
    return storage_open(place->storage, path, STORAGE_WRITE, &index->file);
}

static void file_close(struct sparse_index *index, bool opened)
{
    if (opened) {
        storage_close(index->file);
        index->file = NULL;
    }
}

static enum error entries_read(struct sparse_index *index, uint32_t first, uint32_t count,
                               uint8_t *ret_entries)
{
    size_t wanted = (size_t)count * index->entry_bytes;
    size_t size;
    enum error error =
        storage_read(index->file, (uint64_t)first * index->entry_bytes, ret_entries, wanted, &size);
    if (error != ERROR_NONE)
        return error;
    return size == wanted ? ERROR_NONE : ERROR_STORAGE;
}

enum error sparse_index_create(struct sparse_index *index, const struct file_place *place)
{
    sparse_index_done(index);
    char path[FILE_PATH_BYTES];
    file_path(place, index->suffix, path);
    enum error error = storage_open(
        place->storage, path, STORAGE_WRITE | STORAGE_CREATE | STORAGE_TRUNCATE, &index->file);
    if (error != ERROR_NONE)
        return error;
    file_close(index, true);
    index->loaded = true;
    index->unsynced = true;
    return ERROR_NONE;
}

/* The size and last entry of the open file. */
static enum error file_measure(struct sparse_index *index)
{
    uint64_t size;
    enum error error = storage_size(index->file, &size);
    if (error != ERROR_NONE)
        return error;
    if (size % index->entry_bytes != 0 || size > INT32_MAX)
        return ERROR_MALFORMED;
    uint32_t count = (uint32_t)(size / index->entry_bytes);
    if (count > 0) {
        error = entries_read(index, count - 1, 1, index->last);
        if (error != ERROR_NONE)
            return error;
    }
    index->file_count = count;
    index->loaded = true;
    return ERROR_NONE;
}

enum error sparse_index_load(struct sparse_index *index, const struct file_place *place)
{
    if (index->loaded)
        return ERROR_NONE;
    bool opened;
    enum error error = file_open(index, place, &opened);
    if (error != ERROR_NONE)
        return error;
    error = file_measure(index);
    file_close(index, opened);
    return error;
}

uint32_t sparse_index_count(const struct sparse_index *index)
{
    return index->file_count + index->pending_count;
}

const uint8_t *sparse_index_last(const struct sparse_index *index)
{
    ASSERT(index->loaded);
    return sparse_index_count(index) == 0 ? NULL : index->last;
}

enum error sparse_index_reserve(struct sparse_index *index, const struct file_place *place)
{
    enum error error = sparse_index_load(index, place);
    if (error != ERROR_NONE)
        return error;
    if (index->pending_count >= SPARSE_INDEX_PENDING_MAX)
        (void)sparse_index_flush(index, place); /* Entries stay pending; the file is not needed. */
    if (index->pending_count < index->pending_capacity)
        return ERROR_NONE;
    uint32_t capacity = index->pending_capacity == 0 ? 4 : index->pending_capacity * 2;
    uint8_t *grown = memory_resize(index->pending, (size_t)capacity * index->entry_bytes);
    if (grown == NULL)
        return ERROR_OUT_OF_MEMORY;
    index->pending = grown;
    index->pending_capacity = capacity;
    return ERROR_NONE;
}

void sparse_index_append(struct sparse_index *index, const uint8_t *entry)
{
    ASSERT(index->loaded);
    ASSERT(index->pending_count < index->pending_capacity);
    memcpy(index->pending + (size_t)index->pending_count * index->entry_bytes, entry,
           index->entry_bytes);
    memcpy(index->last, entry, index->entry_bytes);
    index->pending_count++;
}

enum error sparse_index_flush(struct sparse_index *index, const struct file_place *place)
{
    if (index->pending_count == 0)
        return ERROR_NONE;
    bool opened;
    enum error error = file_open(index, place, &opened);
    if (error != ERROR_NONE)
        return error;
    uint64_t end = (uint64_t)index->file_count * index->entry_bytes;
    error = storage_write(index->file, end, index->pending,
                          (size_t)index->pending_count * index->entry_bytes);
    /* Part of it, left there, would be taken for entries when the file is loaded again. */
    if (error != ERROR_NONE)
        (void)storage_truncate(index->file, end);
    file_close(index, opened);
    if (error != ERROR_NONE)
        return error;
    index->file_count += index->pending_count;
    index->unsynced = true;
    index->pending_count = 0;
    index->pending_capacity = 0;
    memory_free(index->pending);
    index->pending = NULL;
    return ERROR_NONE;
}

/* The number of entries among `count` at `entries` whose key is <= target. */
static uint32_t entries_at_most(const struct sparse_index *index, const uint8_t *entries,
                                uint32_t count, struct sparse_key key, int64_t target)
{
    uint32_t low = 0;
    uint32_t high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (sparse_key_read(key, entries + (size_t)middle * index->entry_bytes) <= target)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The same over the file: single reads until what is left fits one block. */
static enum error file_at_most(struct sparse_index *index, struct sparse_key key, int64_t target,
                               uint32_t *ret_count, uint8_t *ret_entry)
{
    uint8_t block[SPARSE_INDEX_BLOCK_BYTES];
    uint32_t block_entries = SPARSE_INDEX_BLOCK_BYTES / index->entry_bytes;
    uint32_t low = 0; /* Entries known to be <= target. */
    uint32_t high = index->file_count;
    enum error error;
    while (high - low > block_entries) {
        uint32_t middle = low + (high - low) / 2;
        error = entries_read(index, middle, 1, block);
        if (error != ERROR_NONE)
            return error;
        if (sparse_key_read(key, block) <= target) {
            low = middle + 1;
            memcpy(ret_entry, block, index->entry_bytes);
        } else {
            high = middle;
        }
    }
    if (high > low) {
        error = entries_read(index, low, high - low, block);
        if (error != ERROR_NONE)
            return error;
        uint32_t count = entries_at_most(index, block, high - low, key, target);
        if (count > 0)
            memcpy(ret_entry, block + (size_t)(count - 1) * index->entry_bytes, index->entry_bytes);
        low += count;
    }
    *ret_count = low;
    return ERROR_NONE;
}

enum error sparse_index_floor(struct sparse_index *index, const struct file_place *place,
                              struct sparse_key key, int64_t target, uint8_t *ret_entry,
                              bool *ret_found)
{
    enum error error = sparse_index_load(index, place);
    if (error != ERROR_NONE)
        return error;
    const uint8_t *last = sparse_index_last(index);
    if (last == NULL) {
        *ret_found = false;
        return ERROR_NONE;
    }
    if (sparse_key_read(key, last) <= target) { /* The tail: no I/O. */
        memcpy(ret_entry, last, index->entry_bytes);
        *ret_found = true;
        return ERROR_NONE;
    }
    uint32_t pending = entries_at_most(index, index->pending, index->pending_count, key, target);
    if (pending > 0) {
        memcpy(ret_entry, index->pending + (size_t)(pending - 1) * index->entry_bytes,
               index->entry_bytes);
        *ret_found = true;
        return ERROR_NONE;
    }
    if (index->file_count == 0) {
        *ret_found = false;
        return ERROR_NONE;
    }
    bool opened;
    error = file_open(index, place, &opened);
    if (error != ERROR_NONE)
        return error;
    index->used = true;
    uint32_t count;
    error = file_at_most(index, key, target, &count, ret_entry);
    if (error != ERROR_NONE)
        return error;
    *ret_found = count > 0;
    return ERROR_NONE;
}

/* Cuts the entries in the file that are >= limit. */
static enum error file_truncate(struct sparse_index *index, struct sparse_key key, int64_t limit)
{
    uint32_t count;
    uint8_t entry[SPARSE_INDEX_ENTRY_BYTES_MAX];
    enum error error = file_at_most(index, key, limit - 1, &count, entry);
    if (error == ERROR_NONE && count < index->file_count)
        error = storage_truncate(index->file, (uint64_t)count * index->entry_bytes);
    if (error != ERROR_NONE)
        return error;
    index->file_count = count;
    index->unsynced = true;
    if (count > 0)
        memcpy(index->last, entry, index->entry_bytes);
    return ERROR_NONE;
}

enum error sparse_index_truncate(struct sparse_index *index, const struct file_place *place,
                                 struct sparse_key key, int64_t limit)
{
    enum error error = sparse_index_load(index, place);
    if (error != ERROR_NONE)
        return error;
    const uint8_t *last = sparse_index_last(index);
    if (last == NULL || sparse_key_read(key, last) < limit)
        return ERROR_NONE;
    uint32_t kept = entries_at_most(index, index->pending, index->pending_count, key, limit - 1);
    if (kept > 0) {
        memcpy(index->last, index->pending + (size_t)(kept - 1) * index->entry_bytes,
               index->entry_bytes);
    } else if (index->file_count > 0) {
        bool opened;
        error = file_open(index, place, &opened);
        if (error != ERROR_NONE)
            return error;
        error = file_truncate(index, key, limit);
        file_close(index, opened);
        if (error != ERROR_NONE)
            return error;
    }
    index->pending_count = kept;
    return ERROR_NONE;
}

enum error sparse_index_sync(struct sparse_index *index, const struct file_place *place)
{
    enum error error = sparse_index_flush(index, place);
    if (error != ERROR_NONE || !index->unsynced)
        return error;
    bool opened;
    error = file_open(index, place, &opened);
    if (error != ERROR_NONE)
        return error;
    error = storage_sync(index->file);
    file_close(index, opened);
    if (error == ERROR_NONE)
        index->unsynced = false;
    return error;
}

void sparse_index_rest(struct sparse_index *index)
{
    if (!index->used) {
        storage_close(index->file);
        index->file = NULL;
    }
    index->used = false;
}
