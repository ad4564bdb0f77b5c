/* SPDX-License-Identifier: Apache-2.0 */
/* Commands on a simulated disk, one group at a time. */
#include "sim/metadata_log.h"

#include "base/assertion.h"
#include "base/byteorder.h"
#include "base/crc32c.h"
#include "base/memory.h"

#include <string.h>

enum { FRAME_BYTES = 16, TERM = 1, FILE_BYTES_MAX = 64 << 20 };

static const char commands_path[] = "metadata/commands";

static struct catalog_outcome apply(struct metadata_log *metadata, int64_t index,
                                    const uint8_t *bytes, size_t size)
{
    struct catalog_outcome outcome = catalog_apply(metadata->catalog, index, TERM, bytes, size);
    metadata->index = index;
    if (metadata->applied != NULL)
        metadata->applied(metadata->context, index, catalog_hash(metadata->catalog));
    return outcome;
}

/* ---- writing ---- */

static void kick(struct metadata_log *metadata);

static void complete_all(struct metadata_log *metadata, struct list *proposals, enum error error)
{
    struct catalog_outcome outcome = {.error = error};
    struct list *link;
    while ((link = list_take(proposals)) != NULL)
        catalog_proposal_complete(metadata->catalog,
                                  container_of(link, struct catalog_proposal, link), &outcome);
}

static void write_run(struct work *work)
{
    struct metadata_log *metadata = container_of(work, struct metadata_log, work);
    metadata->write_error = storage_write(metadata->file, metadata->end_position,
                                          metadata->bytes->data, metadata->bytes->size);
    if (metadata->write_error == ERROR_NONE)
        metadata->write_error = storage_sync(metadata->file);
}

static void write_done(struct work *work)
{
    struct metadata_log *metadata = container_of(work, struct metadata_log, work);
    size_t size = metadata->bytes->size;
    buffer_unref(metadata->bytes);
    metadata->bytes = NULL;
    metadata->busy = false;
    if (metadata->write_error != ERROR_NONE) {
        metadata->failed = true;
        complete_all(metadata, &metadata->writing, ERROR_NOT_CONTROLLER);
        complete_all(metadata, &metadata->waiting, ERROR_NOT_CONTROLLER);
        return;
    }
    metadata->end_position += size;
    struct list *link;
    while ((link = list_take(&metadata->writing)) != NULL) {
        struct catalog_proposal *proposal = container_of(link, struct catalog_proposal, link);
        struct catalog_outcome outcome =
            apply(metadata, metadata->index + 1, proposal->bytes, proposal->size);
        catalog_proposal_complete(metadata->catalog, proposal, &outcome);
    }
    kick(metadata);
}

static size_t frame_write(uint8_t *at, int64_t index, const uint8_t *bytes, size_t size)
{
    store_be32(at, (uint32_t)size);
    store_be64(at + 8, (uint64_t)index);
    memcpy(at + FRAME_BYTES, bytes, size);
    store_be32(at + 4, crc32c(0, at + 8, 8 + size));
    return FRAME_BYTES + size;
}

static void kick(struct metadata_log *metadata)
{
    if (metadata->busy || list_empty(&metadata->waiting))
        return;
    list_move(&metadata->waiting, &metadata->writing);
    list_init(&metadata->waiting);
    size_t size = 0;
    list_for_each(link, &metadata->writing) size +=
        FRAME_BYTES + container_of(link, struct catalog_proposal, link)->size;
    metadata->bytes = buffer_new(size);
    ASSERT(metadata->bytes != NULL);
    metadata->bytes->size = 0;
    int64_t index = metadata->index;
    list_for_each(link, &metadata->writing)
    {
        const struct catalog_proposal *proposal = container_of(link, struct catalog_proposal, link);
        uint8_t *at = metadata->bytes->data + metadata->bytes->size;
        metadata->bytes->size += frame_write(at, ++index, proposal->bytes, proposal->size);
    }
    metadata->busy = true;
    metadata->work = (struct work){.run = write_run, .done = write_done};
    executor_work(metadata->executor, &metadata->work);
}

static void submit(struct catalog_proposer *proposer, struct catalog_proposal *proposal)
{
    struct metadata_log *metadata = container_of(proposer, struct metadata_log, proposer);
    list_push(&metadata->waiting, &proposal->link);
    if (metadata->failed || metadata->closing)
        complete_all(metadata, &metadata->waiting,
                     metadata->closing ? ERROR_CLOSING : ERROR_NOT_CONTROLLER);
    else
        kick(metadata);
}

/* ---- opening ---- */

/* The position behind the last sound command. */
static uint64_t replay(struct metadata_log *metadata, const uint8_t *bytes, size_t size)
{
    size_t at = 0;
    while (size - at >= FRAME_BYTES) {
        uint32_t command_size = load_be32(bytes + at);
        if (command_size > size - at - FRAME_BYTES ||
            load_be32(bytes + at + 4) != crc32c(0, bytes + at + 8, 8 + command_size))
            break;
        int64_t index = (int64_t)load_be64(bytes + at + 8);
        ASSERT(index == metadata->index + 1);
        (void)apply(metadata, index, bytes + at + FRAME_BYTES, command_size);
        at += FRAME_BYTES + command_size;
    }
    return at;
}

static enum error read_all(struct metadata_log *metadata)
{
    uint64_t size;
    enum error error = storage_size(metadata->file, &size);
    if (error != ERROR_NONE)
        return error;
    ASSERT(size <= FILE_BYTES_MAX);
    uint8_t *bytes = memory_allocate_raw(size);
    ASSERT(bytes != NULL);
    size_t read = 0;
    error = storage_read(metadata->file, 0, bytes, size, &read);
    /* Sync first: what is applied must stay. */
    if (error == ERROR_NONE)
        error = storage_sync(metadata->file);
    if (error == ERROR_NONE)
        metadata->end_position = replay(metadata, bytes, read);
    memory_free(bytes);
    if (error == ERROR_NONE && metadata->end_position < size)
        error = storage_truncate(metadata->file, metadata->end_position);
    return error;
}

enum error metadata_log_open(struct metadata_log *metadata, struct storage *storage,
                             struct executor *executor, struct catalog *catalog)
{
    metadata->proposer.submit = submit;
    metadata->catalog = catalog;
    metadata->executor = executor;
    list_init(&metadata->waiting);
    list_init(&metadata->writing);
    enum error error = storage_make_directory(storage, "metadata");
    if (error == ERROR_NONE || error == ERROR_EXISTS)
        error = storage_sync_directory(storage, "");
    if (error == ERROR_NONE)
        error =
            storage_open(storage, commands_path, STORAGE_WRITE | STORAGE_CREATE, &metadata->file);
    if (error != ERROR_NONE)
        return error;
    error = storage_sync_directory(storage, "metadata");
    if (error == ERROR_NONE)
        error = read_all(metadata);
    if (error != ERROR_NONE) {
        storage_close(metadata->file);
        metadata->file = NULL;
        return error;
    }
    catalog_set_proposer(catalog, &metadata->proposer);
    return ERROR_NONE;
}

void metadata_log_stop(struct metadata_log *metadata)
{
    metadata->closing = true;
    complete_all(metadata, &metadata->waiting, ERROR_CLOSING);
}

bool metadata_log_idle(const struct metadata_log *metadata)
{
    return !metadata->busy;
}

void metadata_log_close(struct metadata_log *metadata)
{
    ASSERT(metadata_log_idle(metadata));
    storage_close(metadata->file);
    metadata->file = NULL;
}
