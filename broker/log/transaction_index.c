/* SPDX-License-Identifier: Apache-2.0 */
/* The file of a segment's aborted transactions. */
#include "log/transaction_index.h"

#include "base/byteorder.h"
#include "base/memory.h"

enum { TRANSACTION_INDEX_BYTES_MAX = 64 << 20 };

enum error transaction_index_append(const struct file_place *place,
                                    const struct transaction_entry *entry)
{
    char path[FILE_PATH_BYTES];
    file_path(place, TRANSACTION_INDEX_SUFFIX, path);
    struct storage_file *file;
    enum error error = storage_open(place->storage, path, STORAGE_WRITE | STORAGE_CREATE, &file);
    if (error != ERROR_NONE)
        return error;
    uint8_t bytes[TRANSACTION_ENTRY_BYTES];
    store_be16(bytes, 0);
    store_be64(bytes + 2, (uint64_t)entry->producer_id);
    store_be64(bytes + 10, (uint64_t)entry->first_offset);
    store_be64(bytes + 18, (uint64_t)entry->last_offset);
    store_be64(bytes + 26, (uint64_t)entry->last_stable_offset);
    uint64_t size;
    error = storage_size(file, &size);
    if (error == ERROR_NONE) {
        error = storage_write(file, size, bytes, sizeof bytes);
        if (error != ERROR_NONE)
            (void)storage_truncate(file, size);
    }
    storage_close(file);
    return error;
}

static enum error entries_parse(const uint8_t *bytes, uint32_t count,
                                struct transaction_entry *ret_entries)
{
    int64_t marker = -1;
    for (uint32_t i = 0; i < count; i++, bytes += TRANSACTION_ENTRY_BYTES) {
        struct transaction_entry entry = {
            (int64_t)load_be64(bytes + 2), (int64_t)load_be64(bytes + 10),
            (int64_t)load_be64(bytes + 18), (int64_t)load_be64(bytes + 26)};
        if (load_be16(bytes) != 0 || entry.producer_id < 0 || entry.first_offset < 0 ||
            entry.last_offset < entry.first_offset || entry.last_offset <= marker)
            return ERROR_MALFORMED;
        marker = entry.last_offset;
        ret_entries[i] = entry;
    }
    return ERROR_NONE;
}

enum error transaction_index_read(const struct file_place *place,
                                  struct transaction_entry **ret_entries, uint32_t *ret_count)
{
    char path[FILE_PATH_BYTES];
    file_path(place, TRANSACTION_INDEX_SUFFIX, path);
    char *bytes;
    size_t size;
    enum error error =
        storage_read_whole(place->storage, path, TRANSACTION_INDEX_BYTES_MAX, &bytes, &size);
    if (error == ERROR_NOT_FOUND) {
        *ret_entries = NULL;
        *ret_count = 0;
        return ERROR_NONE;
    }
    if (error != ERROR_NONE)
        return error == ERROR_TOO_LARGE ? ERROR_MALFORMED : error;
    uint32_t count = (uint32_t)(size / TRANSACTION_ENTRY_BYTES);
    struct transaction_entry *entries = NULL;
    if (size % TRANSACTION_ENTRY_BYTES != 0) {
        error = ERROR_MALFORMED;
    } else {
        entries = memory_allocate_array(count, sizeof *entries);
        error = entries == NULL ? ERROR_OUT_OF_MEMORY
                                : entries_parse((const uint8_t *)bytes, count, entries);
    }
    memory_free(bytes);
    if (error != ERROR_NONE) {
        memory_free(entries);
        return error;
    }
    *ret_entries = entries;
    *ret_count = count;
    return ERROR_NONE;
}

enum error transaction_index_truncate(const struct file_place *place, int64_t offset)
{
    struct transaction_entry *entries;
    uint32_t count;
    enum error error = transaction_index_read(place, &entries, &count);
    if (error == ERROR_MALFORMED)
        return file_remove(place, TRANSACTION_INDEX_SUFFIX);
    if (error != ERROR_NONE || count == 0)
        return error;
    uint32_t kept = 0;
    while (kept < count && entries[kept].last_offset < offset)
        kept++;
    memory_free(entries);
    if (kept == count)
        return ERROR_NONE;
    if (kept == 0)
        return file_remove(place, TRANSACTION_INDEX_SUFFIX);
    char path[FILE_PATH_BYTES];
    file_path(place, TRANSACTION_INDEX_SUFFIX, path);
    struct storage_file *file;
    error = storage_open(place->storage, path, STORAGE_WRITE, &file);
    if (error != ERROR_NONE)
        return error;
    error = storage_truncate(file, (uint64_t)kept * TRANSACTION_ENTRY_BYTES);
    storage_close(file);
    return error;
}
