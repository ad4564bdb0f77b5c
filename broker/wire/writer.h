/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the primitives of Kafka's protocol into a chain of chunks: memory of its own, borrowed
 * bytes, and ranges of files that go out by sendfile.
 *
 *   | size, header, fields | file range | fields | borrowed bytes | fields |
 *
 * The first failure (out of memory; a string or frame too large) sticks: later writes are thrown
 * away, but still take over the holders of records, and writer_finish reports it.
 *
 * Not shared between threads. A writer holds a pointer into itself: never copy or move it. */
#ifndef BROKER_WIRE_WRITER_H
#define BROKER_WIRE_WRITER_H

#include "base/byteorder.h"
#include "base/error.h"
#include "base/slice.h"
#include "base/uuid.h"
#include "base/varint.h"
#include "wire/records.h"

#include <stdbool.h>

struct arena;
struct writer_block;

enum { WRITER_SCRATCH_BYTES = 32 };

/* A run of bytes to send: in memory when data is not NULL, otherwise of a file. Never empty. */
struct chunk {
    struct chunk *next;
    const uint8_t *data;
    size_t size;
    struct storage_file *file;
    uint64_t position;
    void (*release)(void *holder); /* NULL when nothing is held, or no longer. */
    void *holder;
};

/* A message ready to send. Owned by whoever called writer_finish; can be moved. */
struct outgoing {
    struct chunk *first;
    struct writer_block *blocks;
    uint64_t size_bytes; /* Of all chunks. */
};

struct writer {
    uint8_t *next; /* Room in the newest block, or the scratch bytes. */
    uint8_t *end;
    struct writer_block *blocks;
    struct chunk *first;
    struct chunk *last;
    struct chunk *open; /* Being written, not in the chain yet; its bytes end at `next`. */
    uint64_t size;      /* Of the chunks in the chain; when measuring, of what left the scratch. */
    enum error failure;
    bool measuring;
    bool framed;
    uint8_t scratch[WRITER_SCRATCH_BYTES];
};

/* For a bare body. */
void writer_init(struct writer *writer);

/* For a frame: starts with its 4-byte size, which writer_finish fills in. */
void writer_init_frame(struct writer *writer);

/* Keeps nothing, only counts: see writer_measured. Needs no done. Takes no records. */
void writer_init_measuring(struct writer *writer);

/* The bytes written so far. */
uint64_t writer_measured(const struct writer *writer);

/* Ends the writing and hands the chunks over. After a failure it frees them, releases the holders
 * and leaves *ret_outgoing untouched. The writer needs no done afterwards. */
enum error writer_finish(struct writer *writer, struct outgoing *ret_outgoing);

/* Like writer_finish, but gives one copy in the arena (records keys and values). Memory only. */
enum error writer_finish_slice(struct writer *writer, struct arena *arena, struct slice *ret_slice);

/* Drops everything written. */
void writer_done(struct writer *writer);

/* Lets go of what the chunk holds, as soon as its bytes are sent. Once; again is harmless. */
void chunk_release(struct chunk *chunk);

/* Releases what is still held and frees the memory. Accepts a zero-filled one. */
void outgoing_done(struct outgoing *outgoing);

/* Only the first failure is kept. */
void writer_fail(struct writer *writer, enum error error);

/* Makes room for `size` (at most WRITER_SCRATCH_BYTES) contiguous bytes. */
void writer_extend(struct writer *writer, size_t size);

static inline uint8_t *writer_take(struct writer *writer, size_t size)
{
    if ((size_t)(writer->end - writer->next) < size)
        writer_extend(writer, size);
    uint8_t *at = writer->next;
    writer->next += size;
    return at;
}

static inline void write_int8(struct writer *writer, int8_t value)
{
    *writer_take(writer, 1) = (uint8_t)value;
}

static inline void write_bool(struct writer *writer, bool value)
{
    *writer_take(writer, 1) = value;
}

static inline void write_int16(struct writer *writer, int16_t value)
{
    store_be16(writer_take(writer, 2), (uint16_t)value);
}

static inline void write_uint16(struct writer *writer, uint16_t value)
{
    store_be16(writer_take(writer, 2), value);
}

static inline void write_int32(struct writer *writer, int32_t value)
{
    store_be32(writer_take(writer, 4), (uint32_t)value);
}

static inline void write_uint32(struct writer *writer, uint32_t value)
{
    store_be32(writer_take(writer, 4), value);
}

static inline void write_int64(struct writer *writer, int64_t value)
{
    store_be64(writer_take(writer, 8), (uint64_t)value);
}

static inline void write_float64(struct writer *writer, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    write_int64(writer, (int64_t)bits);
}

static inline void write_uuid(struct writer *writer, struct uuid value)
{
    memcpy(writer_take(writer, UUID_BYTES), value.bytes, UUID_BYTES);
}

static inline void write_uvarint(struct writer *writer, uint64_t value)
{
    if ((size_t)(writer->end - writer->next) < VARLONG_BYTES_MAX)
        writer_extend(writer, VARLONG_BYTES_MAX);
    writer->next += varlong_unsigned_write(writer->next, value);
}

/* Copies. */
void write_raw(struct writer *writer, struct slice bytes);

/* Null where it is not allowed is written as empty. */
void write_string(struct writer *writer, struct slice value, bool flexible, bool nullable);
void write_bytes(struct writer *writer, struct slice value, bool flexible, bool nullable);

/* Takes over the holders: see records.h. */
void write_records(struct writer *writer, const struct records *records, bool flexible,
                   bool nullable);

/* The count of an array; `array` tells null from empty. */
static inline void write_count(struct writer *writer, const void *array, uint32_t count,
                               bool flexible, bool nullable)
{
    bool null = array == NULL && count == 0 && nullable;
    if (flexible)
        write_uvarint(writer, null ? 0 : (uint64_t)count + 1);
    else
        write_int32(writer, null ? -1 : (int32_t)count);
}

/* What comes before a tagged field's bytes. */
static inline void write_tag(struct writer *writer, uint32_t tag, uint64_t size)
{
    write_uvarint(writer, tag);
    write_uvarint(writer, size);
}

#endif
