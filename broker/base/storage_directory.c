/* SPDX-License-Identifier: Apache-2.0 */
/* The real storage: a directory, held open by descriptor, so that renaming or remounting above it
 * never makes us write elsewhere. */
#include "base/assertion.h"
#include "base/list.h"
#include "base/memory.h"
#include "base/storage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

enum {
    DIRECTORY_MODE = 0700,
    FILE_MODE = 0600,
    REMOVE_DEPTH_MAX = 32,  /* Our own trees are three deep. */
    REMOVE_PASSES_MAX = 16, /* Somebody else may be filling what we empty. */
    SYNC_ALL_FILES_MIN = 64,
    /* Milliseconds of writing for a disk, and no more than many files one by one would take. */
    FOREIGN_BYTES = 8 << 20,
    FOREIGN_BYTES_EACH = 64 << 10,
};

struct storage_directory {
    struct storage base;
    int root;
    bool syncs_all;           /* See syncs_all_of. */
    int memory_facts;         /* /proc/meminfo; -1: cannot be asked. */
    atomic_bool errors_taken; /* Those of before the first sync_all. */
};

struct directory_file {
    struct storage_file base;
    int descriptor;
};

static int root_of(struct storage *storage)
{
    return container_of(storage, struct storage_directory, base)->root;
}

static int descriptor_of(struct storage_file *file)
{
    return container_of(file, struct directory_file, base)->descriptor;
}

static enum error last_error(void)
{
    /* An interrupted sync or open is a failed one here: the seam's callers know no INTERRUPTED. */
    if (errno == EINTR)
        return ERROR_STORAGE;
    if (errno == ENOTEMPTY)
        return ERROR_EXISTS;
    return error_from_errno(errno);
}

/* Names are checked where they come from (topic names, our own file names); one that climbs out of
 * the root can only be a bug. */
static void path_check(const char *path)
{
    ASSERT(path[0] != '/');
    for (const char *at = path; at != NULL; at = strchr(at, '/')) {
        at += *at == '/';
        ASSERT(!(at[0] == '.' && at[1] == '.' && (at[2] == '/' || at[2] == '\0')));
    }
}

static int open_retrying(int root, const char *path, int flags)
{
    int descriptor;
    do
        descriptor = openat(root, path, flags | O_CLOEXEC | O_NOCTTY, FILE_MODE);
    while (descriptor < 0 && errno == EINTR);
    return descriptor;
}

/* "" is the root itself. */
static int open_directory(int root, const char *path)
{
    return open_retrying(root, path[0] == '\0' ? "." : path, O_RDONLY | O_DIRECTORY);
}

static int flags_of(unsigned flags)
{
    int result = (flags & STORAGE_WRITE) != 0 ? O_RDWR : O_RDONLY;
    if ((flags & STORAGE_CREATE) != 0)
        result |= O_CREAT;
    if ((flags & STORAGE_TRUNCATE) != 0)
        result |= O_TRUNC;
    if ((flags & STORAGE_EXCLUSIVE) != 0)
        result |= O_EXCL;
    return result;
}

static enum error directory_open(struct storage *storage, const char *path, unsigned flags,
                                 struct storage_file **ret_file)
{
    path_check(path);
    ASSERT((flags & STORAGE_WRITE) != 0 || flags == STORAGE_READ);

    struct directory_file *file = memory_allocate(sizeof *file);
    if (file == NULL)
        return ERROR_OUT_OF_MEMORY;

    /* O_NONBLOCK: a FIFO somebody left in the directory must not hang us; no effect on files. */
    int descriptor = open_retrying(root_of(storage), path, flags_of(flags) | O_NONBLOCK);
    if (descriptor < 0) {
        enum error error = last_error();
        memory_free(file);
        return error;
    }
    struct stat status;
    if (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
        (void)close(descriptor);
        memory_free(file);
        return ERROR_STORAGE;
    }

    file->base.storage = storage;
    file->descriptor = descriptor;
    *ret_file = &file->base;
    return ERROR_NONE;
}

static void directory_close(struct storage_file *base)
{
    struct directory_file *file = container_of(base, struct directory_file, base);
    /* What had to reach the disk was synced before; close reports nothing more. */
    (void)close(file->descriptor);
    memory_free(file);
}

static enum error directory_read(struct storage_file *file, uint64_t at, void *bytes, size_t size,
                                 size_t *ret_size)
{
    int descriptor = descriptor_of(file);
    size_t used = 0;
    while (used < size) {
        ssize_t got = pread(descriptor, (char *)bytes + used, size - used, (off_t)(at + used));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return last_error();
        if (got == 0)
            break;
        used += (size_t)got;
    }
    *ret_size = used;
    return ERROR_NONE;
}

static enum error directory_write(struct storage_file *file, uint64_t at, const void *bytes,
                                  size_t size)
{
    int descriptor = descriptor_of(file);
    size_t used = 0;
    while (used < size) {
        ssize_t put =
            pwrite(descriptor, (const char *)bytes + used, size - used, (off_t)(at + used));
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return last_error();
        if (put == 0) /* Would loop for ever; no regular file does this. */
            return ERROR_STORAGE;
        used += (size_t)put;
    }
    return ERROR_NONE;
}

static enum error directory_sync(struct storage_file *file)
{
    return fdatasync(descriptor_of(file)) == 0 ? ERROR_NONE : last_error();
}

static enum error directory_write_back(struct storage_file *file, bool wait)
{
    unsigned flags = SYNC_FILE_RANGE_WRITE;
    if (wait)
        flags |= SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WAIT_AFTER;
    if (sync_file_range(descriptor_of(file), 0, 0, flags) == 0)
        return ERROR_NONE;
    if (errno == EIO || errno == ENOSPC || errno == EDQUOT || errno == EINTR)
        return last_error();
    return wait ? directory_sync(file) : ERROR_NONE; /* Not known here: the long way. */
}

static enum error directory_truncate(struct storage_file *file, uint64_t size)
{
    int result;
    do
        result = ftruncate(descriptor_of(file), (off_t)size);
    while (result != 0 && errno == EINTR);
    return result == 0 ? ERROR_NONE : last_error();
}

static enum error directory_size(struct storage_file *file, uint64_t *ret_size)
{
    struct stat status;
    if (fstat(descriptor_of(file), &status) != 0)
        return last_error();
    *ret_size = (uint64_t)status.st_size;
    return ERROR_NONE;
}

static int directory_descriptor(struct storage_file *file)
{
    return descriptor_of(file);
}

static enum error directory_rename(struct storage *storage, const char *from, const char *to)
{
    path_check(from);
    path_check(to);
    int root = root_of(storage);
    return renameat(root, from, root, to) == 0 ? ERROR_NONE : last_error();
}

static enum error remove_at(int parent, const char *name, int depth);

/* Takes over `descriptor`. */
static enum error remove_entries(int descriptor, int depth)
{
    DIR *stream = fdopendir(descriptor);
    if (stream == NULL) {
        enum error error = last_error();
        (void)close(descriptor);
        return error;
    }

    enum error error = ERROR_NONE;
    while (error == ERROR_NONE) {
        errno = 0;
        struct dirent *entry = readdir(stream);
        if (entry == NULL) {
            error = errno == 0 ? ERROR_NONE : last_error();
            break;
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        error = remove_at(dirfd(stream), entry->d_name, depth + 1);
        if (error == ERROR_NOT_FOUND) /* Gone already, which is what we wanted. */
            error = ERROR_NONE;
    }
    (void)closedir(stream);
    return error;
}

static enum error remove_at(int parent, const char *name, int depth)
{
    if (unlinkat(parent, name, 0) == 0)
        return ERROR_NONE;
    if (errno != EISDIR && errno != EPERM) /* POSIX says EPERM for a directory, Linux EISDIR. */
        return last_error();
    if (depth >= REMOVE_DEPTH_MAX)
        return ERROR_STORAGE;

    for (int pass = 0; pass < REMOVE_PASSES_MAX; pass++) {
        if (unlinkat(parent, name, AT_REMOVEDIR) == 0)
            return ERROR_NONE;
        if (errno != ENOTEMPTY && errno != EEXIST)
            return last_error();
        int descriptor = open_retrying(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        if (descriptor < 0)
            return last_error();
        enum error error = remove_entries(descriptor, depth);
        if (error != ERROR_NONE)
            return error;
    }
    return ERROR_STORAGE;
}

static enum error directory_remove(struct storage *storage, const char *path)
{
    path_check(path);
    ASSERT(path[0] != '\0');
    return remove_at(root_of(storage), path, 0);
}

static enum error directory_make_directory(struct storage *storage, const char *path)
{
    path_check(path);
    return mkdirat(root_of(storage), path, DIRECTORY_MODE) == 0 ? ERROR_NONE : last_error();
}

static enum error directory_sync_directory(struct storage *storage, const char *path)
{
    path_check(path);
    int descriptor = open_directory(root_of(storage), path);
    if (descriptor < 0)
        return last_error();
    enum error error = fsync(descriptor) == 0 ? ERROR_NONE : last_error();
    (void)close(descriptor);
    return error;
}

/* ---- syncing everything ----
 *
 * syncfs(2) writes all inodes of the filesystem; the disk is then flushed by an fsync of the root,
 * because ext4 without a journal writes inodes after the flush that syncfs makes. It is trusted
 *  - on ext2, ext3 and ext4 only: elsewhere the fsync of a directory need not flush the disk, and
 *    FUSE and NFS may answer without doing anything;
 *  - since Linux 5.17, which first returned what the filesystem's own sync answers. (Since 5.8 it
 *    returns write errors of any inode there, once for each open file: the root's own.)
 * A write error of one of our files is seen twice, then: by syncfs, which any sync_all may take,
 * and by write_back of that file, whose descriptor has its own memory of errors (errseq_t). So no
 * sync_all takes an error away from a file that was not part of it. One of another program's file
 * fails a sync_all too: better than to guess. */

static bool kernel_tells_errors(void)
{
    struct utsname name;
    unsigned major = 0;
    unsigned minor = 0;
    return uname(&name) == 0 && sscanf(name.release, "%3u.%3u", &major, &minor) == 2 &&
           (major > 5 || (major == 5 && minor >= 17));
}

static bool syncs_all_of(int root)
{
    struct statfs status;
    return fstatfs(root, &status) == 0 && status.f_type == EXT4_SUPER_MAGIC &&
           kernel_tells_errors();
}

/* What the kernel holds for any disk and has not written, in bytes; a huge number: unknown. */
static uint64_t unwritten_bytes(const struct storage_directory *directory)
{
    enum { FACTS_BYTES_MAX = 4096, KIBIBYTE = 1024 };
    static const char *const names[] = {"\nDirty:", "\nWriteback:"};
    char text[FACTS_BYTES_MAX];
    ssize_t size = -1;
    if (directory->memory_facts >= 0)
        size = pread(directory->memory_facts, text, sizeof text - 1, 0);
    if (size <= 0)
        return UINT64_MAX;
    text[size] = '\0';
    uint64_t bytes = 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *at = strstr(text, names[i]);
        if (at == NULL)
            return UINT64_MAX;
        bytes += strtoull(at + strlen(names[i]), NULL, 10) * KIBIBYTE;
    }
    return bytes;
}

static bool directory_can_sync_all(struct storage *storage, uint32_t files)
{
    struct storage_directory *directory = container_of(storage, struct storage_directory, base);
    uint64_t foreign_bytes_max = FOREIGN_BYTES + (uint64_t)files * FOREIGN_BYTES_EACH;
    if (files < SYNC_ALL_FILES_MIN || !directory->syncs_all ||
        unwritten_bytes(directory) > foreign_bytes_max)
        return false;
    /* Errors from before, of whatever on this filesystem, are not the first round's. */
    if (!atomic_exchange_explicit(&directory->errors_taken, true, memory_order_relaxed))
        (void)syncfs(directory->root);
    return true;
}

static enum error directory_sync_all(struct storage *storage)
{
    int root = root_of(storage);
    return syncfs(root) == 0 && fsync(root) == 0 ? ERROR_NONE : last_error();
}

static bool entry_is_directory(DIR *stream, const struct dirent *entry)
{
    if (entry->d_type != DT_UNKNOWN && entry->d_type != DT_LNK)
        return entry->d_type == DT_DIR;
    struct stat status;
    return fstatat(dirfd(stream), entry->d_name, &status, 0) == 0 && S_ISDIR(status.st_mode);
}

static enum error directory_list(struct storage *storage, const char *path,
                                 void (*each)(void *context, const struct storage_entry *entry),
                                 void *context)
{
    path_check(path);
    int descriptor = open_directory(root_of(storage), path);
    if (descriptor < 0)
        return last_error();
    DIR *stream = fdopendir(descriptor);
    if (stream == NULL) {
        enum error error = last_error();
        (void)close(descriptor);
        return error;
    }

    for (;;) {
        errno = 0;
        struct dirent *entry = readdir(stream);
        if (entry == NULL)
            break;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        struct storage_entry found = {.name = entry->d_name,
                                      .is_directory = entry_is_directory(stream, entry)};
        each(context, &found);
    }
    enum error error = errno == 0 ? ERROR_NONE : last_error();
    (void)closedir(stream);
    return error;
}

static enum error directory_space(struct storage *storage, struct storage_space *ret_space)
{
    struct statvfs status;
    int result;
    do
        result = fstatvfs(root_of(storage), &status);
    while (result != 0 && errno == EINTR);
    if (result != 0)
        return last_error();
    ret_space->total_bytes = (uint64_t)status.f_blocks * status.f_frsize;
    ret_space->free_bytes = (uint64_t)status.f_bavail * status.f_frsize;
    return ERROR_NONE;
}

static const struct storage_ops directory_ops = {
    .open = directory_open,
    .close = directory_close,
    .read = directory_read,
    .write = directory_write,
    .sync = directory_sync,
    .write_back = directory_write_back,
    .truncate = directory_truncate,
    .size = directory_size,
    .descriptor = directory_descriptor,
    .rename = directory_rename,
    .remove = directory_remove,
    .make_directory = directory_make_directory,
    .sync_directory = directory_sync_directory,
    .can_sync_all = directory_can_sync_all,
    .sync_all = directory_sync_all,
    .list = directory_list,
    .space = directory_space,
};

/* Makes `path` unless it is there. A new name is synced in its parent: otherwise a power cut could
 * take the whole data directory, synced files included. */
static enum error make_synced(const char *path)
{
    if (mkdir(path, DIRECTORY_MODE) != 0)
        return errno == EEXIST ? ERROR_NONE : last_error();

    int made = open_directory(AT_FDCWD, path);
    if (made < 0)
        return last_error();
    int parent = open_directory(made, "..");
    enum error error = parent < 0 || fsync(parent) != 0 ? last_error() : ERROR_NONE;
    if (parent >= 0)
        (void)close(parent);
    (void)close(made);
    return error;
}

/* mkdir -p; `path` is scratch. */
static enum error make_with_parents(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        enum error error = make_synced(path);
        *slash = '/';
        if (error != ERROR_NONE)
            return error;
    }
    return make_synced(path);
}

enum error storage_directory_open(const char *path, struct storage **ret_storage)
{
    ASSERT(path[0] != '\0');
    struct storage_directory *directory = memory_allocate(sizeof *directory);
    char *scratch = memory_copy_text(path, strlen(path));
    enum error error = ERROR_OUT_OF_MEMORY;
    if (directory == NULL || scratch == NULL)
        goto fail;

    /* Only what is missing is made, so that a directory on a read-only parent opens too. */
    int root = open_directory(AT_FDCWD, path);
    if (root < 0 && errno == ENOENT) {
        error = make_with_parents(scratch);
        if (error != ERROR_NONE)
            goto fail;
        root = open_directory(AT_FDCWD, path);
    }
    if (root < 0) {
        error = last_error();
        goto fail;
    }

    memory_free(scratch);
    directory->base.ops = &directory_ops;
    directory->root = root;
    directory->syncs_all = syncs_all_of(root);
    directory->memory_facts =
        directory->syncs_all ? open_retrying(AT_FDCWD, "/proc/meminfo", O_RDONLY) : -1;
    atomic_init(&directory->errors_taken, false);
    *ret_storage = &directory->base;
    return ERROR_NONE;

fail:
    memory_free(scratch);
    memory_free(directory);
    return error;
}

void storage_directory_close(struct storage *storage)
{
    if (storage == NULL)
        return;
    struct storage_directory *directory = container_of(storage, struct storage_directory, base);
    if (directory->memory_facts >= 0)
        (void)close(directory->memory_facts);
    (void)close(directory->root);
    memory_free(directory);
}
