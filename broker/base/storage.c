/* SPDX-License-Identifier: Apache-2.0 */
/* Small files read and replaced whole, over any storage. */
#include "base/storage.h"

#include "base/assertion.h"
#include "base/memory.h"

#include <string.h>

static enum error read_contents(struct storage_file *file, size_t limit, char **ret_text,
                                size_t *ret_size)
{
    uint64_t file_size;
    enum error error = storage_size(file, &file_size);
    if (error != ERROR_NONE)
        return error;
    if (file_size > limit)
        return ERROR_TOO_LARGE;

    char *text = memory_allocate_raw((size_t)file_size + 1);
    if (text == NULL)
        return ERROR_OUT_OF_MEMORY;

    size_t size;
    error = storage_read(file, 0, text, (size_t)file_size, &size);
    if (error != ERROR_NONE) {
        memory_free(text);
        return error;
    }
    ASSERT(size <= file_size);
    text[size] = '\0';
    *ret_text = text;
    *ret_size = size;
    return ERROR_NONE;
}

enum error storage_read_whole(struct storage *storage, const char *path, size_t limit,
                              char **ret_text, size_t *ret_size)
{
    ASSERT(limit < SIZE_MAX);
    struct storage_file *file;
    enum error error = storage_open(storage, path, STORAGE_READ, &file);
    if (error != ERROR_NONE)
        return error;

    error = read_contents(file, limit, ret_text, ret_size);
    storage_close(file);
    return error;
}

static enum error write_new(struct storage *storage, const char *path, const void *bytes,
                            size_t size, bool synced)
{
    struct storage_file *file;
    enum error error =
        storage_open(storage, path, STORAGE_WRITE | STORAGE_CREATE | STORAGE_TRUNCATE, &file);
    if (error != ERROR_NONE)
        return error;

    if (size > 0)
        error = storage_write(file, 0, bytes, size);
    if (error == ERROR_NONE && synced)
        error = storage_sync(file);
    storage_close(file);
    return error;
}

static enum error replace_whole(struct storage *storage, const char *path, const void *bytes,
                                size_t size, bool synced)
{
    size_t path_size = strlen(path);
    char *temporary = memory_allocate_raw(path_size + sizeof ".tmp");
    if (temporary == NULL)
        return ERROR_OUT_OF_MEMORY;
    memcpy(temporary, path, path_size);
    memcpy(temporary + path_size, ".tmp", sizeof ".tmp");

    enum error error = write_new(storage, temporary, bytes, size, synced);
    if (error == ERROR_NONE)
        error = storage_rename(storage, temporary, path);
    /* The old contents stay; what is left of the new is only in the way. */
    if (error != ERROR_NONE)
        (void)storage_remove(storage, temporary);
    memory_free(temporary);
    return error;
}

enum error storage_replace_whole(struct storage *storage, const char *path, const void *bytes,
                                 size_t size)
{
    return replace_whole(storage, path, bytes, size, false);
}

enum error storage_write_whole(struct storage *storage, const char *path, const void *bytes,
                               size_t size)
{
    const char *slash = strrchr(path, '/');
    char *parent = memory_copy_text(path, slash == NULL ? 0 : (size_t)(slash - path));
    if (parent == NULL)
        return ERROR_OUT_OF_MEMORY;
    enum error error = replace_whole(storage, path, bytes, size, true);
    if (error == ERROR_NONE)
        error = storage_sync_directory(storage, parent);
    memory_free(parent);
    return error;
}
