/* SPDX-License-Identifier: Apache-2.0 */
/* The disk seam: where bytes rest. The real one is a directory; the simulated one is memory that
 * loses or tears what was not synced, fails or shortens calls, fills up and rots.
 *
 * Paths are relative to the storage's root, '/' between names, no "..". All calls are synchronous
 * and may be made from any thread as long as one file is not written by two threads at once; reads
 * and syncs may run beside a write. storage_sync blocks for the disk: core code calls it only from
 * executor_work (see executor.h).
 *
 * Errors: NOT_FOUND, EXISTS, DISK_FULL, OUT_OF_MEMORY, otherwise STORAGE. A failed sync is never
 * retried: the kernel may have dropped the pages and report success the second time (fsyncgate). */
#ifndef BROKER_BASE_STORAGE_H
#define BROKER_BASE_STORAGE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct storage;
struct storage_file;

enum storage_open_flags {
    STORAGE_READ = 0,        /* Reading only. */
    STORAGE_WRITE = 1 << 0,  /* Reading and writing. */
    STORAGE_CREATE = 1 << 1, /* With WRITE: made when absent. */
    STORAGE_TRUNCATE = 1 << 2,
    STORAGE_EXCLUSIVE = 1 << 3, /* With CREATE: EXISTS when present. */
};

/* One entry of a directory listing. */
struct storage_entry {
    const char *name; /* Valid during the callback. */
    bool is_directory;
};

struct storage_space {
    uint64_t total_bytes;
    uint64_t free_bytes; /* Available to this process. */
};

struct storage_ops {
    enum error (*open)(struct storage *, const char *path, unsigned flags,
                       struct storage_file **ret_file);
    void (*close)(struct storage_file *);
    enum error (*read)(struct storage_file *, uint64_t at, void *bytes, size_t size,
                       size_t *ret_size);
    enum error (*write)(struct storage_file *, uint64_t at, const void *bytes, size_t size);
    enum error (*sync)(struct storage_file *);
    enum error (*write_back)(struct storage_file *, bool wait);
    enum error (*truncate)(struct storage_file *, uint64_t size);
    enum error (*size)(struct storage_file *, uint64_t *ret_size);
    int (*descriptor)(struct storage_file *);
    enum error (*rename)(struct storage *, const char *from, const char *to);
    enum error (*remove)(struct storage *, const char *path);
    enum error (*make_directory)(struct storage *, const char *path);
    enum error (*sync_directory)(struct storage *, const char *path);
    bool (*can_sync_all)(struct storage *, uint32_t files);
    enum error (*sync_all)(struct storage *);
    enum error (*list)(struct storage *, const char *path,
                       void (*each)(void *context, const struct storage_entry *entry),
                       void *context);
    enum error (*space)(struct storage *, struct storage_space *ret_space);
};

struct storage {
    const struct storage_ops *ops;
};

struct storage_file {
    struct storage *storage;
};

static inline enum error storage_open(struct storage *storage, const char *path, unsigned flags,
                                      struct storage_file **ret_file)
{
    return storage->ops->open(storage, path, flags, ret_file);
}

/* Accepts NULL. */
static inline void storage_close(struct storage_file *file)
{
    if (file != NULL)
        file->storage->ops->close(file);
}

/* Reads up to `size` bytes; fewer only at the end of the file (0 there). */
static inline enum error storage_read(struct storage_file *file, uint64_t at, void *bytes,
                                      size_t size, size_t *ret_size)
{
    return file->storage->ops->read(file, at, bytes, size, ret_size);
}

/* Writes all of `size` bytes or fails; after a failure what is there beyond `at` is unknown and the
 * caller cuts it off. */
static inline enum error storage_write(struct storage_file *file, uint64_t at, const void *bytes,
                                       size_t size)
{
    return file->storage->ops->write(file, at, bytes, size);
}

/* fdatasync(2): contents and size are on stable storage when it returns ERROR_NONE. */
static inline enum error storage_sync(struct storage_file *file)
{
    return file->storage->ops->sync(file);
}

static inline enum error storage_truncate(struct storage_file *file, uint64_t size)
{
    return file->storage->ops->truncate(file, size);
}

static inline enum error storage_size(struct storage_file *file, uint64_t *ret_size)
{
    return file->storage->ops->size(file, ret_size);
}

/* The descriptor to sendfile from, or -1 when the storage has none (simulated). */
static inline int storage_descriptor(struct storage_file *file)
{
    return file->storage->ops->descriptor(file);
}

/* Atomic replacement (rename(2)); durable after storage_sync_directory of the parent. */
static inline enum error storage_rename(struct storage *storage, const char *from, const char *to)
{
    return storage->ops->rename(storage, from, to);
}

/* A file, or a directory with everything in it. Open files stay readable. */
static inline enum error storage_remove(struct storage *storage, const char *path)
{
    return storage->ops->remove(storage, path);
}

/* One level; EXISTS when there. */
static inline enum error storage_make_directory(struct storage *storage, const char *path)
{
    return storage->ops->make_directory(storage, path);
}

static inline enum error storage_sync_directory(struct storage *storage, const char *path)
{
    return storage->ops->sync_directory(storage, path);
}

/* ---- syncing many files at once ----
 *
 * One flush of the disk instead of one a file:
 *
 *   can_sync_all? --> write_back(file, false) of each --> write_back(file, true) of each -->
 * sync_all no: sync each
 *
 * Who is told of an error: write_back with `wait` answers for one file, as its sync would, and only
 * once: bytes of it are lost, however they came to be written (the kernel did it, or somebody
 * else's sync). sync_all answers for all together: after an error nobody knows whose it was,
 * nothing that waited for it counts, and neither it nor a sync of the same files is tried again. */

/* Whether sync_all is possible here and pays for so many files: it would also write what other
 * programs have written to the same disk and the kernel still holds, so that is measured. */
static inline bool storage_can_sync_all(struct storage *storage, uint32_t files)
{
    return storage->ops->can_sync_all(storage, files);
}

/* Starts writing a file's bytes to the disk; with `wait` until all are there, or fails. Alone it
 * puts nothing on stable storage. */
static inline enum error storage_write_back(struct storage_file *file, bool wait)
{
    return file->storage->ops->write_back(file, wait);
}

/* All that was written back, sizes and names included, is on stable storage when it returns
 * ERROR_NONE. */
static inline enum error storage_sync_all(struct storage *storage)
{
    return storage->ops->sync_all(storage);
}

/* Calls `each` for every entry but "." and "..", in no order. "" is the root. */
static inline enum error
storage_list(struct storage *storage, const char *path,
             void (*each)(void *context, const struct storage_entry *entry), void *context)
{
    return storage->ops->list(storage, path, each, context);
}

static inline enum error storage_space(struct storage *storage, struct storage_space *ret_space)
{
    return storage->ops->space(storage, ret_space);
}

/* The contents of a small file (at most `limit` bytes, else TOO_LARGE), NUL behind them, to be
 * freed by the caller. */
enum error storage_read_whole(struct storage *storage, const char *path, size_t limit,
                              char **ret_text, size_t *ret_size);

/* Replaces a small file atomically: writes PATH.tmp, syncs, renames over PATH, syncs the directory.
 */
enum error storage_write_whole(struct storage *storage, const char *path, const void *bytes,
                               size_t size);

/* The same without a sync: the contents count once the file and its directory are synced. Until
 * then a crash may leave the old contents, the new, or a file cut short. */
enum error storage_replace_whole(struct storage *storage, const char *path, const void *bytes,
                                 size_t size);

/* The real one, rooted at `path` (made with its parents when absent; mode 0700). */
enum error storage_directory_open(const char *path, struct storage **ret_storage);
void storage_directory_close(struct storage *storage);

#endif
