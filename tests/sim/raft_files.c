/* SPDX-License-Identifier: Apache-2.0 */
/* Votes, entries and snapshots of one simulated member of the quorum. */
#include "sim/raft_files.h"

#include "base/assertion.h"
#include "base/byteorder.h"
#include "base/crc32c.h"
#include "base/memory.h"

#include <string.h>

enum {
    VOTE_BYTES = 28,
    FRAME_BYTES = 32,
    SNAPSHOT_BYTES = 40,
    CRC_BYTES = 4,
    FILE_BYTES_MAX = 256 << 20
};

static const char *const vote_paths[] = {"metadata/vote0", "metadata/vote1"};
static const char entries_path[] = "metadata/entries";
static const char snapshot_path[] = "metadata/snapshot";

static void *take(size_t size)
{
    void *bytes = raft_malloc(size == 0 ? 1 : size);
    ASSERT(bytes != NULL);
    return bytes;
}

uint64_t raft_files_next_index(const struct raft_files *files)
{
    return files->first_index + files->count;
}

/* ---- vote ---- */

/* The older of the two is written over, in place: no space is needed, and the newer one stays. */
static enum error vote_write(struct raft_files *files, const char *path, const uint8_t *bytes)
{
    struct storage_file *file;
    enum error error = storage_open(files->storage, path, STORAGE_WRITE | STORAGE_CREATE, &file);
    if (error != ERROR_NONE)
        return error;
    error = storage_write(file, 0, bytes, VOTE_BYTES);
    if (error == ERROR_NONE)
        error = storage_sync(file);
    storage_close(file);
    return error == ERROR_NONE ? storage_sync_directory(files->storage, "metadata") : error;
}

enum error raft_files_vote(struct raft_files *files, uint64_t term, uint64_t voted_for)
{
    uint8_t bytes[VOTE_BYTES];
    store_be64(bytes, files->vote_version + 1);
    store_be64(bytes + 8, term);
    store_be64(bytes + 16, voted_for);
    store_be32(bytes + 24, crc32c(0, bytes, 24));
    enum error error = vote_write(files, vote_paths[(files->vote_version + 1) % 2], bytes);
    if (error != ERROR_NONE)
        return error;
    files->vote_version++;
    files->term = term;
    files->voted_for = voted_for;
    return ERROR_NONE;
}

/* One that is cut off was being written over, and never counted. */
static enum error vote_read(struct raft_files *files, const char *path)
{
    char *text;
    size_t size;
    enum error error = storage_read_whole(files->storage, path, VOTE_BYTES, &text, &size);
    if (error == ERROR_NOT_FOUND)
        return ERROR_NONE;
    if (error != ERROR_NONE)
        return error;
    const uint8_t *bytes = (uint8_t *)text;
    if (size == VOTE_BYTES && load_be32(bytes + 24) == crc32c(0, bytes, 24) &&
        load_be64(bytes) > files->vote_version) {
        files->vote_version = load_be64(bytes);
        files->term = load_be64(bytes + 8);
        files->voted_for = load_be64(bytes + 16);
    }
    memory_free(text);
    return ERROR_NONE;
}

/* What a killed process wrote and did not sync is read, and counts from here on. */
static enum error votes_read(struct raft_files *files)
{
    enum error error = vote_read(files, vote_paths[0]);
    if (error == ERROR_NONE)
        error = vote_read(files, vote_paths[1]);
    if (error != ERROR_NONE || files->vote_version == 0)
        return error;
    return raft_files_vote(files, files->term, files->voted_for);
}

/* ---- entries ---- */

static void entry_remember(struct raft_files *files, uint64_t term, uint64_t position)
{
    if (files->count == files->capacity) {
        files->capacity = files->capacity == 0 ? 64 : files->capacity * 2;
        files->entries = memory_resize(files->entries, files->capacity * sizeof *files->entries);
        ASSERT(files->entries != NULL);
    }
    files->entries[files->count++] = (struct raft_files_entry){term, position};
}

static size_t frame_write(uint8_t *at, uint64_t index, const struct raft_entry *entry)
{
    ASSERT(entry->buf.len % 8 == 0);
    store_be32(at, (uint32_t)entry->buf.len);
    store_be64(at + 8, index);
    store_be64(at + 16, entry->term);
    store_be64(at + 24, (uint64_t)entry->type);
    memcpy(at + FRAME_BYTES, entry->buf.base, entry->buf.len);
    store_be32(at + 4, crc32c(load_be32(at), at + 8, FRAME_BYTES - 8 + entry->buf.len));
    return FRAME_BYTES + entry->buf.len;
}

/* The size of a sound frame at `at`, 0 when there is none. */
static size_t frame_look(const uint8_t *at, size_t size)
{
    if (size < FRAME_BYTES || load_be32(at) > size - FRAME_BYTES)
        return 0;
    size_t data_size = load_be32(at);
    if (load_be32(at + 4) != crc32c((uint32_t)data_size, at + 8, FRAME_BYTES - 8 + data_size))
        return 0;
    return FRAME_BYTES + data_size;
}

static uint64_t end_of(const struct raft_files *files, size_t count)
{
    return count == files->count ? files->end_position : files->entries[count].position;
}

enum error raft_files_append(struct raft_files *files, const struct raft_entry *entries,
                             unsigned count)
{
    size_t size = 0;
    for (unsigned i = 0; i < count; i++)
        size += FRAME_BYTES + entries[i].buf.len;
    uint8_t *bytes = memory_allocate_raw(size);
    ASSERT(bytes != NULL);
    size_t at = 0;
    for (unsigned i = 0; i < count; i++)
        at += frame_write(bytes + at, raft_files_next_index(files) + i, &entries[i]);
    enum error error = storage_write(files->file, files->end_position, bytes, size);
    if (error == ERROR_NONE && !files->skip_sync)
        error = storage_sync(files->file);
    memory_free(bytes);
    if (error != ERROR_NONE)
        return error; /* Written over by the next try. */
    for (unsigned i = 0; i < count; i++) {
        entry_remember(files, entries[i].term, files->end_position);
        files->end_position += FRAME_BYTES + entries[i].buf.len;
    }
    return ERROR_NONE;
}

enum error raft_files_truncate(struct raft_files *files, uint64_t index)
{
    if (index >= raft_files_next_index(files))
        return ERROR_NONE;
    ASSERT(index >= files->first_index);
    size_t count = index - files->first_index;
    uint64_t position = end_of(files, count);
    enum error error = storage_truncate(files->file, position);
    if (error == ERROR_NONE)
        error = storage_sync(files->file);
    if (error != ERROR_NONE)
        return error;
    files->count = count;
    files->end_position = position;
    return ERROR_NONE;
}

static enum error file_read(struct raft_files *files, uint8_t **ret_bytes, size_t *ret_size)
{
    uint64_t size;
    enum error error = storage_size(files->file, &size);
    if (error != ERROR_NONE)
        return error;
    ASSERT(size <= FILE_BYTES_MAX);
    uint8_t *bytes = memory_allocate_raw(size + 1);
    ASSERT(bytes != NULL);
    size_t read = 0;
    error = storage_read(files->file, 0, bytes, size, &read);
    if (error != ERROR_NONE) {
        memory_free(bytes);
        return error;
    }
    *ret_bytes = bytes;
    *ret_size = read;
    return ERROR_NONE;
}

static void entries_find(struct raft_files *files, const uint8_t *bytes, size_t size)
{
    for (size_t at = 0, frame; (frame = frame_look(bytes + at, size - at)) != 0; at += frame) {
        uint64_t index = load_be64(bytes + at + 8);
        if (files->count == 0)
            files->first_index = index;
        ASSERT(index == raft_files_next_index(files));
        entry_remember(files, load_be64(bytes + at + 16), at);
        files->end_position = at + frame;
    }
}

static enum error file_open(struct raft_files *files)
{
    enum error error =
        storage_open(files->storage, entries_path, STORAGE_WRITE | STORAGE_CREATE, &files->file);
    if (error == ERROR_NONE)
        error = storage_sync_directory(files->storage, "metadata");
    return error;
}

/* Begins anew with the entries from `index` on. */
static enum error entries_keep(struct raft_files *files, uint64_t index)
{
    uint64_t next = raft_files_next_index(files);
    size_t dropped = index >= next ? files->count : index - files->first_index;
    uint64_t position = end_of(files, dropped);
    uint8_t *bytes;
    size_t size;
    enum error error = file_read(files, &bytes, &size);
    if (error != ERROR_NONE)
        return error;
    ASSERT(size >= files->end_position);
    error = storage_write_whole(files->storage, entries_path, bytes + position,
                                files->end_position - position);
    memory_free(bytes);
    if (error != ERROR_NONE)
        return error;
    storage_close(files->file);
    files->file = NULL;
    files->first_index = index;
    files->count -= dropped;
    if (files->count > 0)
        memmove(files->entries, files->entries + dropped, files->count * sizeof *files->entries);
    for (size_t i = 0; i < files->count; i++)
        files->entries[i].position -= position;
    files->end_position -= position;
    return file_open(files);
}

/* ---- snapshots ---- */

static size_t snapshot_size(const struct raft_snapshot *snapshot, size_t configuration_size)
{
    size_t size = SNAPSHOT_BYTES + configuration_size + CRC_BYTES;
    for (unsigned i = 0; i < snapshot->n_bufs; i++)
        size += snapshot->bufs[i].len;
    return size;
}

static enum error snapshot_write(struct raft_files *files, const struct raft_snapshot *snapshot)
{
    struct raft_buffer configuration;
    int status = raft_configuration_encode(&snapshot->configuration, &configuration);
    ASSERT(status == 0);
    size_t size = snapshot_size(snapshot, configuration.len);
    uint8_t *bytes = memory_allocate_raw(size);
    ASSERT(bytes != NULL);
    store_be64(bytes, snapshot->index);
    store_be64(bytes + 8, snapshot->term);
    store_be64(bytes + 16, snapshot->configuration_index);
    store_be64(bytes + 24, configuration.len);
    store_be64(bytes + 32, size - SNAPSHOT_BYTES - configuration.len - CRC_BYTES);
    memcpy(bytes + SNAPSHOT_BYTES, configuration.base, configuration.len);
    size_t at = SNAPSHOT_BYTES + configuration.len;
    for (unsigned i = 0; i < snapshot->n_bufs; at += snapshot->bufs[i].len, i++)
        memcpy(bytes + at, snapshot->bufs[i].base, snapshot->bufs[i].len);
    store_be32(bytes + at, crc32c(0, bytes, at));
    enum error error = storage_write_whole(files->storage, snapshot_path, bytes, size);
    memory_free(bytes);
    raft_free(configuration.base);
    return error;
}

enum error raft_files_snapshot_put(struct raft_files *files, const struct raft_snapshot *snapshot,
                                   unsigned trailing)
{
    /* A try before may have failed at the last step. */
    enum error error = files->file == NULL ? file_open(files) : ERROR_NONE;
    if (error == ERROR_NONE)
        error = snapshot_write(files, snapshot);
    if (error != ERROR_NONE)
        return error;
    files->snapshot_index = snapshot->index;
    files->snapshot_term = snapshot->term;
    if (trailing == 0) {
        files->count = 0;
        files->end_position = 0;
        return entries_keep(files, snapshot->index + 1);
    }
    uint64_t first = snapshot->index < trailing ? 1 : snapshot->index - trailing + 1;
    return first <= files->first_index ? ERROR_NONE : entries_keep(files, first);
}

static struct raft_snapshot *snapshot_of(const uint8_t *bytes, size_t size)
{
    ASSERT(size >= SNAPSHOT_BYTES + CRC_BYTES);
    ASSERT(load_be32(bytes + size - CRC_BYTES) == crc32c(0, bytes, size - CRC_BYTES));
    struct raft_snapshot *snapshot = take(sizeof *snapshot);
    snapshot->index = load_be64(bytes);
    snapshot->term = load_be64(bytes + 8);
    snapshot->configuration_index = load_be64(bytes + 16);
    struct raft_buffer configuration = {(void *)(bytes + SNAPSHOT_BYTES), load_be64(bytes + 24)};
    raft_configuration_init(&snapshot->configuration);
    int status = raft_configuration_decode(&configuration, &snapshot->configuration);
    ASSERT(status == 0);
    snapshot->n_bufs = 1;
    snapshot->bufs = take(sizeof *snapshot->bufs);
    snapshot->bufs[0].len = load_be64(bytes + 32);
    snapshot->bufs[0].base = take(snapshot->bufs[0].len);
    memcpy(snapshot->bufs[0].base, bytes + SNAPSHOT_BYTES + configuration.len,
           snapshot->bufs[0].len);
    return snapshot;
}

enum error raft_files_snapshot_get(struct raft_files *files, struct raft_snapshot **ret_snapshot)
{
    char *bytes;
    size_t size;
    enum error error =
        storage_read_whole(files->storage, snapshot_path, FILE_BYTES_MAX, &bytes, &size);
    if (error != ERROR_NONE)
        return error;
    *ret_snapshot = snapshot_of((uint8_t *)bytes, size);
    memory_free(bytes);
    return ERROR_NONE;
}

static enum error snapshot_look(struct raft_files *files)
{
    char *bytes;
    size_t size;
    enum error error =
        storage_read_whole(files->storage, snapshot_path, FILE_BYTES_MAX, &bytes, &size);
    if (error == ERROR_NOT_FOUND)
        return ERROR_NONE;
    if (error != ERROR_NONE)
        return error;
    files->snapshot_index = load_be64((uint8_t *)bytes);
    files->snapshot_term = load_be64((uint8_t *)bytes + 8);
    memory_free(bytes);
    return ERROR_NONE;
}

/* ---- opening ---- */

/* A crash came between a snapshot and dropping the entries it stands for: those that do not go
 * together with it are dropped now. */
static enum error entries_match(struct raft_files *files)
{
    uint64_t index = files->snapshot_index;
    if (index == 0) {
        ASSERT(files->first_index == 1);
        return ERROR_NONE;
    }
    bool holds = index >= files->first_index && index < raft_files_next_index(files);
    if (holds && files->entries[index - files->first_index].term == files->snapshot_term)
        return ERROR_NONE;
    if (files->count > 0 && index + 1 == files->first_index)
        return ERROR_NONE;
    files->count = 0;
    files->end_position = 0;
    return entries_keep(files, index + 1);
}

static enum error entries_open(struct raft_files *files)
{
    uint8_t *bytes;
    size_t size;
    enum error error = file_open(files);
    /* Sync first: what is counted must stay. */
    if (error == ERROR_NONE)
        error = storage_sync(files->file);
    if (error == ERROR_NONE)
        error = file_read(files, &bytes, &size);
    if (error != ERROR_NONE)
        return error;
    entries_find(files, bytes, size);
    memory_free(bytes);
    if (files->end_position < size) {
        error = storage_truncate(files->file, files->end_position);
        if (error == ERROR_NONE)
            error = storage_sync(files->file);
    }
    return error == ERROR_NONE ? entries_match(files) : error;
}

enum error raft_files_open(struct raft_files *files, struct storage *storage)
{
    *files = (struct raft_files){.storage = storage, .first_index = 1};
    enum error error = storage_make_directory(storage, "metadata");
    if (error == ERROR_NONE || error == ERROR_EXISTS)
        error = storage_sync_directory(storage, "");
    if (error == ERROR_NONE)
        error = storage_sync_directory(storage, "metadata");
    if (error == ERROR_NONE)
        error = votes_read(files);
    if (error == ERROR_NONE)
        error = snapshot_look(files);
    if (error == ERROR_NONE)
        error = entries_open(files);
    if (error != ERROR_NONE)
        raft_files_close(files);
    return error;
}

void raft_files_close(struct raft_files *files)
{
    storage_close(files->file);
    files->file = NULL;
    memory_free(files->entries);
    files->entries = NULL;
}

enum error raft_files_load(struct raft_files *files, struct raft_snapshot **ret_snapshot,
                           struct raft_entry **ret_entries, size_t *ret_count)
{
    uint8_t *bytes;
    size_t size;
    enum error error = file_read(files, &bytes, &size);
    if (error != ERROR_NONE)
        return error;
    *ret_snapshot = NULL;
    if (files->snapshot_index != 0)
        error = raft_files_snapshot_get(files, ret_snapshot);
    *ret_entries = NULL;
    *ret_count = error == ERROR_NONE ? files->count : 0;
    if (*ret_count > 0) {
        struct raft_entry *entries = take(files->count * sizeof *entries);
        uint8_t *batch = take(files->end_position);
        memcpy(batch, bytes, files->end_position);
        for (size_t i = 0; i < files->count; i++) {
            uint8_t *at = batch + files->entries[i].position;
            entries[i] = (struct raft_entry){.term = load_be64(at + 16),
                                             .type = (enum raft_entry_type)load_be64(at + 24),
                                             .buf = {at + FRAME_BYTES, load_be32(at)},
                                             .batch = batch};
        }
        *ret_entries = entries;
    }
    memory_free(bytes);
    return error;
}
