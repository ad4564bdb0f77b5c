/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks of memory that hold the bytes (growing up) and the chunk headers (growing down).
 *
 *   | block header | bytes ->  next      end  <- chunk | chunk |
 */
#include "wire/writer.h"

#include "base/arena.h"
#include "base/assertion.h"
#include "base/memory.h"

enum {
    BLOCK_BYTES_MIN = 512,
    BLOCK_BYTES_MAX = 64 * 1024,
    FRAME_PREFIX_BYTES = 4,
};

struct writer_block {
    struct writer_block *next;
    size_t size; /* Of `bytes`. */
    uint8_t bytes[];
};

static bool discarding(const struct writer *writer)
{
    return writer->measuring || writer->failure != ERROR_NONE;
}

static void use_scratch(struct writer *writer)
{
    writer->next = writer->scratch;
    writer->end = writer->scratch + sizeof writer->scratch;
}

void writer_init(struct writer *writer)
{
    *writer = (struct writer){0};
    writer->next = writer->scratch; /* No room: the first write takes a block. */
    writer->end = writer->scratch;
}

void writer_init_frame(struct writer *writer)
{
    writer_init(writer);
    writer->framed = true;
    write_int32(writer, 0);
}

void writer_init_measuring(struct writer *writer)
{
    writer_init(writer);
    writer->measuring = true;
    use_scratch(writer);
}

uint64_t writer_measured(const struct writer *writer)
{
    if (writer->measuring)
        return writer->size + (uint64_t)(writer->next - writer->scratch);
    if (writer->open == NULL)
        return writer->size;
    return writer->size + (uint64_t)(writer->next - writer->open->data);
}

void writer_fail(struct writer *writer, enum error error)
{
    if (writer->failure == ERROR_NONE)
        writer->failure = error;
    if (!writer->measuring)
        use_scratch(writer);
}

/* Room for one chunk header, taken from the end of the newest block; NULL when there is none. */
static struct chunk *chunk_carve(struct writer *writer)
{
    if (writer->blocks == NULL)
        return NULL;
    uintptr_t end = (uintptr_t)writer->end & ~(uintptr_t)(_Alignof(struct chunk) - 1);
    if (end < (uintptr_t)writer->next + sizeof(struct chunk))
        return NULL;
    writer->end -= (uintptr_t)writer->end - end + sizeof(struct chunk);
    struct chunk *chunk = (struct chunk *)(void *)writer->end;
    *chunk = (struct chunk){0};
    return chunk;
}

static void chunk_link(struct writer *writer, struct chunk *chunk)
{
    if (writer->last == NULL)
        writer->first = chunk;
    else
        writer->last->next = chunk;
    writer->last = chunk;
    writer->size += chunk->size;
}

/* Puts what was written since the last chunk into the chain; an empty one stays open. */
static void open_close(struct writer *writer)
{
    struct chunk *open = writer->open;
    if (open == NULL || writer->next == open->data)
        return;
    open->size = (size_t)(writer->next - open->data);
    chunk_link(writer, open);
    writer->open = NULL;
}

/* A new block with room for two chunk headers and at least `size` bytes. */
static bool block_add(struct writer *writer, size_t size)
{
    size_t block_size = writer->blocks == NULL ? BLOCK_BYTES_MIN : writer->blocks->size * 2;
    if (block_size > BLOCK_BYTES_MAX)
        block_size = BLOCK_BYTES_MAX;
    size_t needed = size + 3 * sizeof(struct chunk);
    if (block_size < needed)
        block_size = needed;
    struct writer_block *block = memory_allocate_raw(sizeof *block + block_size);
    if (block == NULL) {
        writer_fail(writer, ERROR_OUT_OF_MEMORY);
        return false;
    }
    block->size = block_size;
    block->next = writer->blocks;
    writer->blocks = block;
    writer->next = block->bytes;
    writer->end = block->bytes + block_size;
    writer->open = NULL;
    return true;
}

/* Starts a memory chunk at `next`. */
static void open_start(struct writer *writer)
{
    struct chunk *chunk = chunk_carve(writer);
    ASSERT(chunk != NULL);
    chunk->data = writer->next;
    writer->open = chunk;
}

void writer_extend(struct writer *writer, size_t size)
{
    ASSERT(size <= WRITER_SCRATCH_BYTES);
    if (discarding(writer)) {
        if (writer->measuring)
            writer->size += (uint64_t)(writer->next - writer->scratch);
        use_scratch(writer);
        return;
    }
    open_close(writer);
    if (block_add(writer, size))
        open_start(writer);
}

/* Adds a chunk that is not the writer's own memory; releases the holder at once on failure. */
static void chunk_add(struct writer *writer, struct chunk foreign)
{
    ASSERT(!writer->measuring);
    struct chunk *chunk = NULL;
    if (!discarding(writer)) {
        open_close(writer);
        chunk = chunk_carve(writer);
        if (chunk == NULL && block_add(writer, 0))
            chunk = chunk_carve(writer);
    }
    if (chunk == NULL) {
        chunk_release(&foreign);
        return;
    }
    *chunk = foreign;
    chunk_link(writer, chunk);
    if (writer->open != NULL) /* Empty, so its place is still `next`. */
        return;
    struct chunk *open = chunk_carve(writer);
    if (open == NULL) {
        writer->next = writer->end; /* The next write takes a new block. */
        return;
    }
    open->data = writer->next;
    writer->open = open;
}

void write_raw(struct writer *writer, struct slice bytes)
{
    if (writer->measuring) {
        writer->size += bytes.size;
        return;
    }
    while (bytes.size > 0 && writer->failure == ERROR_NONE) {
        size_t room = (size_t)(writer->end - writer->next);
        if (room == 0) {
            writer_extend(writer, 1);
            continue;
        }
        size_t part = bytes.size < room ? bytes.size : room;
        memcpy(writer->next, bytes.data, part);
        writer->next += part;
        bytes.data += part;
        bytes.size -= part;
    }
}

void write_string(struct writer *writer, struct slice value, bool flexible, bool nullable)
{
    if (value.size > INT16_MAX) {
        writer_fail(writer, ERROR_TOO_LARGE);
        return;
    }
    bool null = slice_is_null(value) && nullable;
    if (flexible)
        write_uvarint(writer, null ? 0 : value.size + 1);
    else
        write_int16(writer, null ? -1 : (int16_t)value.size);
    write_raw(writer, value);
}

static void write_size(struct writer *writer, uint64_t size, bool null, bool flexible)
{
    if (size > INT32_MAX) {
        writer_fail(writer, ERROR_TOO_LARGE);
        return;
    }
    if (flexible)
        write_uvarint(writer, null ? 0 : size + 1);
    else
        write_int32(writer, null ? -1 : (int32_t)size);
}

void write_bytes(struct writer *writer, struct slice value, bool flexible, bool nullable)
{
    write_size(writer, value.size, slice_is_null(value) && nullable, flexible);
    write_raw(writer, value);
}

static void buffer_release(void *holder)
{
    buffer_unref(holder);
}

void write_records(struct writer *writer, const struct records *records, bool flexible,
                   bool nullable)
{
    uint64_t size = records->data.size;
    for (uint32_t i = 0; i < records->parts_count; i++)
        size += records->parts[i].size;
    bool null = slice_is_null(records->data) && records->parts_count == 0;
    write_size(writer, size, null && nullable, flexible);

    if (records->owner != NULL && records->data.size > 0) {
        chunk_add(writer, (struct chunk){
                              .data = records->data.data,
                              .size = records->data.size,
                              .release = buffer_release,
                              .holder = buffer_ref(records->owner),
                          });
    } else {
        write_raw(writer, records->data);
    }
    for (uint32_t i = 0; i < records->parts_count; i++) {
        const struct records_part *part = &records->parts[i];
        struct chunk chunk = {
            .size = part->size,
            .file = part->file,
            .position = part->position,
            .release = records->release,
            .holder = part->holder,
        };
        if (part->size == 0)
            chunk_release(&chunk);
        else
            chunk_add(writer, chunk);
    }
}

enum error writer_finish(struct writer *writer, struct outgoing *ret_outgoing)
{
    ASSERT(!writer->measuring);
    if (writer->failure == ERROR_NONE)
        open_close(writer);
    if (writer->framed && writer->size > FRAME_PREFIX_BYTES + (uint64_t)INT32_MAX)
        writer_fail(writer, ERROR_TOO_LARGE);
    if (writer->failure != ERROR_NONE) {
        writer_done(writer);
        return writer->failure;
    }
    if (writer->framed) {
        /* The first chunk is the writer's own memory: the prefix was its first write. */
        ASSERT(writer->first->size >= FRAME_PREFIX_BYTES);
        uint8_t *prefix = (uint8_t *)(uintptr_t)writer->first->data;
        store_be32(prefix, (uint32_t)(writer->size - FRAME_PREFIX_BYTES));
    }
    *ret_outgoing = (struct outgoing){
        .first = writer->first,
        .blocks = writer->blocks,
        .size_bytes = writer->size,
    };
    return ERROR_NONE;
}

enum error writer_finish_slice(struct writer *writer, struct arena *arena, struct slice *ret_slice)
{
    struct outgoing outgoing;
    enum error error = writer_finish(writer, &outgoing);
    if (error != ERROR_NONE)
        return error;
    uint8_t *copy = arena_allocate(arena, (size_t)outgoing.size_bytes);
    if (copy == NULL) {
        outgoing_done(&outgoing);
        return ERROR_OUT_OF_MEMORY;
    }
    size_t at = 0;
    for (struct chunk *chunk = outgoing.first; chunk != NULL; chunk = chunk->next) {
        ASSERT(chunk->data != NULL);
        memcpy(copy + at, chunk->data, chunk->size);
        at += chunk->size;
    }
    outgoing_done(&outgoing);
    *ret_slice = slice_from(copy, at);
    return ERROR_NONE;
}

void writer_done(struct writer *writer)
{
    struct outgoing outgoing = {.first = writer->first, .blocks = writer->blocks};
    outgoing_done(&outgoing);
    writer->first = NULL;
    writer->last = NULL;
    writer->open = NULL;
    writer->blocks = NULL;
    writer->next = writer->scratch;
    writer->end = writer->scratch;
}

void chunk_release(struct chunk *chunk)
{
    if (chunk->release == NULL)
        return;
    void (*release)(void *holder) = chunk->release;
    chunk->release = NULL;
    release(chunk->holder);
}

void outgoing_done(struct outgoing *outgoing)
{
    for (struct chunk *chunk = outgoing->first; chunk != NULL; chunk = chunk->next)
        chunk_release(chunk);
    struct writer_block *block = outgoing->blocks;
    while (block != NULL) {
        struct writer_block *next = block->next;
        memory_free(block);
        block = next;
    }
    *outgoing = (struct outgoing){0};
}
