/* SPDX-License-Identifier: Apache-2.0 */
/* The disk seam over the simulated tree: open files, faults, limits, power. */
#include "sim/simulated_storage.h"

#include "base/assertion.h"
#include "base/memory.h"
#include "sim/simulated_tree.h"

#include <stdlib.h>
#include <string.h>

struct simulated_storage {
    struct storage base;
    struct simulated_tree tree;
    struct list handles;
    struct random random;
    uint64_t limit_bytes;
    bool power_is_off;
    bool syncs_all;               /* can_sync_all says so. */
    struct simulated_fault fault; /* operations 0: none. */
    uint64_t faults_met;
    struct simulated_counters counters;
};

struct simulated_handle {
    struct storage_file base;
    struct list link;
    struct simulated_inode *inode; /* NULL once dead. */
    bool writable;
    char path[]; /* As opened. */
};

static struct simulated_storage *simulated_of(struct storage *storage)
{
    return container_of(storage, struct simulated_storage, base);
}

/* A file from before the crash is used by a struct that should be gone. */
static struct simulated_handle *handle_of(struct storage_file *file)
{
    struct simulated_handle *handle = container_of(file, struct simulated_handle, base);
    ASSERT(handle->inode != NULL);
    return handle;
}

/* Each call passes here first: power, the fault that was set. */
static enum error begin(struct simulated_storage *simulated, unsigned operation, const char *path)
{
    simulated->counters.calls++;
    if (simulated->power_is_off)
        return ERROR_STORAGE;
    struct simulated_fault *fault = &simulated->fault;
    if ((fault->operations & operation) == 0)
        return ERROR_NONE;
    if (fault->path_part != NULL && strstr(path, fault->path_part) == NULL)
        return ERROR_NONE;
    if (fault->countdown > 0) {
        fault->countdown--;
        return ERROR_NONE;
    }
    simulated->faults_met++;
    if (!fault->persistent)
        fault->operations = 0;
    return fault->error;
}

static bool is_full(const struct simulated_storage *simulated)
{
    return simulated->tree.used_bytes >= simulated->limit_bytes;
}

static enum error open_inode(struct simulated_storage *simulated, const char *path, unsigned flags,
                             struct simulated_inode **ret_inode)
{
    struct simulated_place place;
    enum error error = simulated_tree_find(&simulated->tree, path, &place);
    if (error != ERROR_NONE)
        return error;

    if (place.inode == NULL) {
        if ((flags & STORAGE_CREATE) == 0)
            return ERROR_NOT_FOUND;
        if (is_full(simulated))
            return ERROR_DISK_FULL;
        *ret_inode = simulated_tree_make(&simulated->tree, &place, false);
        return ERROR_NONE;
    }
    if ((flags & STORAGE_EXCLUSIVE) != 0)
        return ERROR_EXISTS;
    if (place.inode->is_directory)
        return ERROR_STORAGE;
    if ((flags & STORAGE_TRUNCATE) != 0)
        simulated_contents_truncate(&place.inode->contents, 0);
    *ret_inode = place.inode;
    return ERROR_NONE;
}

static enum error simulated_open(struct storage *storage, const char *path, unsigned flags,
                                 struct storage_file **ret_file)
{
    ASSERT((flags & STORAGE_WRITE) != 0 || flags == STORAGE_READ);
    struct simulated_storage *simulated = simulated_of(storage);
    simulated->counters.opens++;
    size_t path_size = strlen(path) + 1;
    struct simulated_handle *handle = memory_allocate(sizeof *handle + path_size);
    if (handle == NULL)
        return ERROR_OUT_OF_MEMORY;

    struct simulated_inode *inode = NULL;
    enum error error = begin(simulated, SIMULATED_OPEN, path);
    if (error == ERROR_NONE)
        error = open_inode(simulated, path, flags, &inode);
    if (error != ERROR_NONE) {
        memory_free(handle);
        return error;
    }

    handle->base.storage = storage;
    handle->inode = inode;
    handle->writable = (flags & STORAGE_WRITE) != 0;
    memcpy(handle->path, path, path_size);
    list_push(&simulated->handles, &handle->link);
    inode->handles++;
    simulated_tree_charge(&simulated->tree, inode);
    *ret_file = &handle->base;
    return ERROR_NONE;
}

static void handle_kill(struct simulated_storage *simulated, struct simulated_handle *handle)
{
    struct simulated_inode *inode = handle->inode;
    if (inode == NULL)
        return;
    ASSERT(inode->handles > 0);
    inode->handles--;
    simulated_tree_charge(&simulated->tree, inode);
    handle->inode = NULL;
}

static void simulated_close(struct storage_file *file)
{
    struct simulated_handle *handle = container_of(file, struct simulated_handle, base);
    handle_kill(simulated_of(file->storage), handle);
    list_remove(&handle->link);
    memory_free(handle);
}

static enum error simulated_read(struct storage_file *file, uint64_t at, void *bytes, size_t size,
                                 size_t *ret_size)
{
    struct simulated_storage *simulated = simulated_of(file->storage);
    struct simulated_handle *handle = handle_of(file);
    simulated->counters.reads++;
    enum error error = begin(simulated, SIMULATED_READ, handle->path);
    if (error != ERROR_NONE)
        return error;

    const struct simulated_bytes *contents = &handle->inode->contents.current;
    size_t there = at < contents->size ? (size_t)(contents->size - at) : 0;
    size_t used = size < there ? size : there;
    if (used > 0)
        memcpy(bytes, contents->data + at, used);
    simulated->counters.bytes_read += used;
    *ret_size = used;
    return ERROR_NONE;
}

/* How much of a write up to `end` fits on the disk, as its new end. */
static uint64_t end_that_fits(const struct simulated_storage *simulated, uint64_t file_size,
                              uint64_t end)
{
    if (end <= file_size)
        return end;
    uint64_t room = is_full(simulated) ? 0 : simulated->limit_bytes - simulated->tree.used_bytes;
    return end - file_size <= room ? end : file_size + room;
}

static enum error simulated_write(struct storage_file *file, uint64_t at, const void *bytes,
                                  size_t size)
{
    struct simulated_storage *simulated = simulated_of(file->storage);
    struct simulated_handle *handle = handle_of(file);
    struct simulated_inode *inode = handle->inode;
    ASSERT(handle->writable);
    ASSERT(size < INT64_MAX);
    ASSERT(at < INT64_MAX - size);
    simulated->counters.writes++;
    enum error error = begin(simulated, SIMULATED_WRITE, handle->path);
    if (error != ERROR_NONE && simulated->power_is_off)
        return error;

    uint64_t wanted = size;
    if (error != ERROR_NONE) /* A part of it may be there all the same. */
        wanted = random_below(&simulated->random, size + 1);
    uint64_t end = end_that_fits(simulated, inode->contents.current.size, at + wanted);
    uint64_t fits = end > at ? end - at : 0;
    if (error == ERROR_NONE && fits < size)
        error = ERROR_DISK_FULL;
    simulated_contents_write(&inode->contents, at, bytes, fits);
    simulated_tree_charge(&simulated->tree, inode);
    simulated->counters.bytes_written += fits;
    return error;
}

/* What a sync of this file alone is told. */
static enum error sync_begin(struct simulated_handle *handle)
{
    struct simulated_storage *simulated = simulated_of(handle->base.storage);
    struct simulated_contents *contents = &handle->inode->contents;
    enum error error = begin(simulated, SIMULATED_SYNC, handle->path);
    if (error == ERROR_NONE && contents->write_failed)
        error = ERROR_STORAGE;
    else if (error != ERROR_NONE && !simulated->power_is_off)
        simulated_contents_sync_failed(contents, &simulated->random);
    contents->write_failed = false;
    return error;
}

static enum error simulated_sync(struct storage_file *file)
{
    struct simulated_handle *handle = handle_of(file);
    simulated_of(file->storage)->counters.syncs++;
    enum error error = sync_begin(handle);
    if (error == ERROR_NONE)
        simulated_contents_sync(&handle->inode->contents);
    return error;
}

/* The bytes stay what a crash may lose, until the whole disk is synced. */
static enum error simulated_write_back(struct storage_file *file, bool wait)
{
    struct simulated_handle *handle = handle_of(file);
    if (!wait)
        return ERROR_NONE;
    simulated_of(file->storage)->counters.write_backs++;
    return sync_begin(handle);
}

static bool simulated_can_sync_all(struct storage *storage, uint32_t files)
{
    (void)files;
    return simulated_of(storage)->syncs_all;
}

static enum error simulated_sync_all(struct storage *storage)
{
    struct simulated_storage *simulated = simulated_of(storage);
    ASSERT(simulated->syncs_all);
    simulated->counters.whole_syncs++;
    enum error error = begin(simulated, SIMULATED_SYNC, "");
    if (error == ERROR_NONE)
        simulated_tree_sync_all(&simulated->tree);
    else if (!simulated->power_is_off)
        simulated_tree_sync_all_failed(&simulated->tree, &simulated->random);
    return error;
}

static enum error simulated_truncate(struct storage_file *file, uint64_t size)
{
    struct simulated_storage *simulated = simulated_of(file->storage);
    struct simulated_handle *handle = handle_of(file);
    struct simulated_inode *inode = handle->inode;
    ASSERT(handle->writable);
    ASSERT(size < INT64_MAX);
    enum error error = begin(simulated, SIMULATED_TRUNCATE, handle->path);
    if (error != ERROR_NONE)
        return error;
    if (end_that_fits(simulated, inode->contents.current.size, size) < size)
        return ERROR_DISK_FULL;
    simulated_contents_truncate(&inode->contents, size);
    simulated_tree_charge(&simulated->tree, inode);
    return ERROR_NONE;
}

static enum error simulated_size(struct storage_file *file, uint64_t *ret_size)
{
    struct simulated_handle *handle = handle_of(file);
    enum error error = begin(simulated_of(file->storage), SIMULATED_SIZE, handle->path);
    if (error == ERROR_NONE)
        *ret_size = handle->inode->contents.current.size;
    return error;
}

static int simulated_descriptor(struct storage_file *file)
{
    (void)handle_of(file);
    return -1;
}

static enum error simulated_rename(struct storage *storage, const char *from, const char *to)
{
    struct simulated_storage *simulated = simulated_of(storage);
    enum error error = begin(simulated, SIMULATED_RENAME, to);
    struct simulated_place from_place;
    struct simulated_place to_place;
    if (error == ERROR_NONE)
        error = simulated_tree_find(&simulated->tree, from, &from_place);
    if (error == ERROR_NONE)
        error = simulated_tree_find(&simulated->tree, to, &to_place);
    if (error == ERROR_NONE)
        error = simulated_tree_rename(&simulated->tree, &from_place, &to_place);
    return error;
}

static enum error simulated_remove(struct storage *storage, const char *path)
{
    struct simulated_storage *simulated = simulated_of(storage);
    ASSERT(path[0] != '\0');
    enum error error = begin(simulated, SIMULATED_REMOVE, path);
    struct simulated_place place;
    if (error == ERROR_NONE)
        error = simulated_tree_find(&simulated->tree, path, &place);
    if (error != ERROR_NONE)
        return error;
    if (place.inode == NULL)
        return ERROR_NOT_FOUND;
    simulated_tree_remove(&simulated->tree, &place);
    return ERROR_NONE;
}

static enum error simulated_make_directory(struct storage *storage, const char *path)
{
    struct simulated_storage *simulated = simulated_of(storage);
    enum error error = begin(simulated, SIMULATED_MAKE_DIRECTORY, path);
    struct simulated_place place;
    if (error == ERROR_NONE)
        error = simulated_tree_find(&simulated->tree, path, &place);
    if (error != ERROR_NONE)
        return error;
    if (place.inode != NULL)
        return ERROR_EXISTS;
    if (is_full(simulated))
        return ERROR_DISK_FULL;
    (void)simulated_tree_make(&simulated->tree, &place, true);
    return ERROR_NONE;
}

/* The directory at `path`, "" the root. */
static enum error find_directory(struct simulated_storage *simulated, const char *path,
                                 struct simulated_inode **ret_directory)
{
    struct simulated_place place;
    enum error error = simulated_tree_find(&simulated->tree, path, &place);
    if (error != ERROR_NONE)
        return error;
    if (place.inode == NULL)
        return ERROR_NOT_FOUND;
    if (!place.inode->is_directory)
        return ERROR_STORAGE;
    *ret_directory = place.inode;
    return ERROR_NONE;
}

static enum error simulated_sync_directory(struct storage *storage, const char *path)
{
    struct simulated_storage *simulated = simulated_of(storage);
    simulated->counters.directory_syncs++;
    enum error error = begin(simulated, SIMULATED_SYNC_DIRECTORY, path);
    struct simulated_inode *directory = NULL;
    if (error == ERROR_NONE)
        error = find_directory(simulated, path, &directory);
    if (error == ERROR_NONE)
        simulated_tree_sync(&simulated->tree, directory);
    return error;
}

struct listed {
    uint64_t hash;
    char *name;
    bool is_directory;
};

/* By hash: a caller that relies on sorted names is found out. */
static int listed_compare(const void *left, const void *right)
{
    const struct listed *a = left;
    const struct listed *b = right;
    return a->hash < b->hash ? -1 : a->hash > b->hash;
}

static enum error simulated_list(struct storage *storage, const char *path,
                                 void (*each)(void *context, const struct storage_entry *entry),
                                 void *context)
{
    struct simulated_storage *simulated = simulated_of(storage);
    enum error error = begin(simulated, SIMULATED_LIST, path);
    struct simulated_inode *directory = NULL;
    if (error == ERROR_NONE)
        error = find_directory(simulated, path, &directory);
    if (error != ERROR_NONE)
        return error;

    /* Copied first: `each` may change the directory. */
    size_t count = directory->current.count;
    struct listed *listed = simulation_allocate(count * sizeof *listed);
    for (size_t i = 0; i < count; i++) {
        const struct simulated_name *name = &directory->current.items[i];
        listed[i].name = simulation_copy_text(name->text);
        listed[i].hash = simulated_hash(0, name->text, strlen(name->text));
        listed[i].is_directory = name->inode->is_directory;
    }
    qsort(listed, count, sizeof *listed, listed_compare);
    for (size_t i = 0; i < count; i++) {
        struct storage_entry entry = {.name = listed[i].name,
                                      .is_directory = listed[i].is_directory};
        each(context, &entry);
        free(listed[i].name);
    }
    free(listed);
    return ERROR_NONE;
}

static enum error simulated_space(struct storage *storage, struct storage_space *ret_space)
{
    struct simulated_storage *simulated = simulated_of(storage);
    enum error error = begin(simulated, SIMULATED_SPACE, "");
    if (error != ERROR_NONE)
        return error;
    /* A disk without limit says it has a pebibyte, so that sums over disks do not overflow. */
    uint64_t unlimited = (uint64_t)1 << 50;
    uint64_t total = simulated->limit_bytes < unlimited ? simulated->limit_bytes : unlimited;
    uint64_t used = simulated->tree.used_bytes;
    ret_space->total_bytes = total;
    ret_space->free_bytes = used < total ? total - used : 0;
    return ERROR_NONE;
}

static const struct storage_ops simulated_ops = {
    .open = simulated_open,
    .close = simulated_close,
    .read = simulated_read,
    .write = simulated_write,
    .sync = simulated_sync,
    .write_back = simulated_write_back,
    .truncate = simulated_truncate,
    .size = simulated_size,
    .descriptor = simulated_descriptor,
    .rename = simulated_rename,
    .remove = simulated_remove,
    .make_directory = simulated_make_directory,
    .sync_directory = simulated_sync_directory,
    .can_sync_all = simulated_can_sync_all,
    .sync_all = simulated_sync_all,
    .list = simulated_list,
    .space = simulated_space,
};

struct simulated_storage *simulated_storage_new(uint64_t seed)
{
    struct simulated_storage *simulated = simulation_allocate(sizeof *simulated);
    simulated->base.ops = &simulated_ops;
    simulated_tree_init(&simulated->tree);
    list_init(&simulated->handles);
    random_seed(&simulated->random, seed);
    simulated->limit_bytes = UINT64_MAX;
    return simulated;
}

static void handles_kill(struct simulated_storage *simulated)
{
    list_for_each(link, &simulated->handles)
        handle_kill(simulated, container_of(link, struct simulated_handle, link));
}

void simulated_storage_forget(struct simulated_storage *simulated)
{
    handles_kill(simulated);
    list_for_each_safe(link, &simulated->handles)
        simulated_close(&container_of(link, struct simulated_handle, link)->base);
}

void simulated_storage_free(struct simulated_storage *simulated)
{
    if (simulated == NULL)
        return;
    simulated_storage_forget(simulated);
    simulated_tree_done(&simulated->tree);
    free(simulated);
}

struct storage *simulated_storage_seam(struct simulated_storage *simulated)
{
    return &simulated->base;
}

void simulated_storage_kill(struct simulated_storage *simulated)
{
    handles_kill(simulated);
    simulated->power_is_off = false;
    simulated_storage_fail_end(simulated);
}

void simulated_storage_crash(struct simulated_storage *simulated, struct random *random)
{
    simulated_storage_kill(simulated);
    simulated_tree_crash(&simulated->tree, random);
}

void simulated_storage_crash_losing_all(struct simulated_storage *simulated)
{
    simulated_storage_crash(simulated, NULL);
}

void simulated_storage_power_off(struct simulated_storage *simulated)
{
    simulated->power_is_off = true;
}

void simulated_storage_fail(struct simulated_storage *simulated,
                            const struct simulated_fault *fault)
{
    ASSERT(fault->error != ERROR_NONE);
    ASSERT(fault->operations != 0);
    simulated->fault = *fault;
    simulated->faults_met = 0;
}

void simulated_storage_fail_end(struct simulated_storage *simulated)
{
    simulated->fault.operations = 0;
}

uint64_t simulated_storage_faults_met(const struct simulated_storage *simulated)
{
    return simulated->faults_met;
}

void simulated_storage_syncs_all(struct simulated_storage *simulated, bool possible)
{
    simulated->syncs_all = possible;
}

void simulated_storage_limit(struct simulated_storage *simulated, uint64_t bytes)
{
    simulated->limit_bytes = bytes;
}

static struct simulated_inode *file_at(struct simulated_storage *simulated, const char *path)
{
    struct simulated_place place;
    if (simulated_tree_find(&simulated->tree, path, &place) != ERROR_NONE)
        return NULL;
    return place.inode == NULL || place.inode->is_directory ? NULL : place.inode;
}

void simulated_storage_rot(struct simulated_storage *simulated, const char *path, uint64_t position,
                           unsigned bit)
{
    struct simulated_inode *inode = file_at(simulated, path);
    ASSERT(inode != NULL);
    simulated_contents_flip(&inode->contents, position, bit);
}

const uint8_t *simulated_storage_contents(struct simulated_storage *simulated, const char *path,
                                          uint64_t *ret_size)
{
    struct simulated_inode *inode = file_at(simulated, path);
    if (inode == NULL)
        return NULL;
    const struct simulated_bytes *current = &inode->contents.current;
    *ret_size = current->size;
    return current->data == NULL ? (const uint8_t *)"" : current->data;
}

struct simulated_counters simulated_storage_counters(const struct simulated_storage *simulated)
{
    return simulated->counters;
}

uint64_t simulated_storage_dump(const struct simulated_storage *simulated)
{
    return simulated_tree_hash(&simulated->tree);
}
