/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the primitives of Kafka's protocol from one frame, never beyond its end.
 *
 * The first failure sticks: from then on every read gives zero, null, empty or false, takes
 * nothing, so that decoders read straight on and look at `failure` once. Sizes and counts are
 * checked against the bytes left before anything is allocated; all arrays of a request together may
 * have `elements_left` elements, and all memory comes from an arena with a limit.
 *
 * Not shared between threads. The frame must outlive what was read: slices point into it. */
#ifndef BROKER_WIRE_READER_H
#define BROKER_WIRE_READER_H

#include "base/arena.h"
#include "base/byteorder.h"
#include "base/error.h"
#include "base/slice.h"
#include "base/uuid.h"
#include "base/varint.h"

#include <stdbool.h>

enum {
    READER_ELEMENTS_MAX = 1 << 20, /* In all arrays of one request together. */
    READER_TAGS_MAX = 64,          /* In one tag section (CVE-2026-111115). */
    READER_STRING_MAX = 32767,     /* Kafka refuses longer ones in every encoding. */
};

struct reader {
    const uint8_t *next;
    const uint8_t *end;
    uint32_t elements_left;
    enum error failure; /* MALFORMED, TOO_LARGE (a budget) or OUT_OF_MEMORY; NONE so far. */
};

/* With READER_ELEMENTS_MAX; set elements_left to lower it (before authentication). */
void reader_init(struct reader *reader, struct slice frame);

/* Only the first failure is kept. */
void reader_fail(struct reader *reader, enum error error);

static inline bool reader_good(const struct reader *reader)
{
    return reader->failure == ERROR_NONE;
}

static inline size_t reader_left(const struct reader *reader)
{
    return (size_t)(reader->end - reader->next);
}

/* The next `size` bytes, consumed; NULL after a failure. */
static inline const uint8_t *reader_take(struct reader *reader, size_t size)
{
    if (__builtin_expect(reader_left(reader) < size, 0)) { /* Nothing is left after a failure. */
        reader_fail(reader, ERROR_MALFORMED);
        return NULL;
    }
    const uint8_t *at = reader->next;
    reader->next += size;
    return at;
}

static inline int8_t read_int8(struct reader *reader)
{
    const uint8_t *at = reader_take(reader, 1);
    return at == NULL ? 0 : (int8_t)*at;
}

/* Anything but 0 is true, as Kafka reads it. */
static inline bool read_bool(struct reader *reader)
{
    return read_int8(reader) != 0;
}

static inline int16_t read_int16(struct reader *reader)
{
    const uint8_t *at = reader_take(reader, 2);
    return at == NULL ? 0 : (int16_t)load_be16(at);
}

static inline uint16_t read_uint16(struct reader *reader)
{
    return (uint16_t)read_int16(reader);
}

static inline int32_t read_int32(struct reader *reader)
{
    const uint8_t *at = reader_take(reader, 4);
    return at == NULL ? 0 : (int32_t)load_be32(at);
}

static inline uint32_t read_uint32(struct reader *reader)
{
    return (uint32_t)read_int32(reader);
}

static inline int64_t read_int64(struct reader *reader)
{
    const uint8_t *at = reader_take(reader, 8);
    return at == NULL ? 0 : (int64_t)load_be64(at);
}

static inline double read_float64(struct reader *reader)
{
    uint64_t bits = (uint64_t)read_int64(reader);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline struct uuid read_uuid(struct reader *reader)
{
    struct uuid uuid = UUID_ZERO;
    const uint8_t *at = reader_take(reader, UUID_BYTES);
    if (at != NULL)
        memcpy(uuid.bytes, at, UUID_BYTES);
    return uuid;
}

/* At most 5 bytes and 32 bits. */
static inline uint32_t read_uvarint(struct reader *reader)
{
    if (reader->next < reader->end && *reader->next < 0x80) /* One byte: the common case. */
        return *reader->next++;
    uint32_t value = 0;
    size_t used = varint_unsigned_read(reader->next, reader_left(reader), &value);
    if (used == 0) {
        reader_fail(reader, ERROR_MALFORMED);
        return 0;
    }
    reader->next += used;
    return value;
}

/* A length or count; -1 is null and refused unless `nullable`. Flexible: an unsigned varint of
 * length + 1. */
static inline int64_t read_length(struct reader *reader, bool flexible, bool nullable)
{
    int64_t length = flexible ? (int64_t)read_uvarint(reader) - 1 : read_int32(reader);
    if (length < (nullable ? -1 : 0)) {
        reader_fail(reader, ERROR_MALFORMED);
        return -1;
    }
    return length;
}

static inline struct slice read_slice(struct reader *reader, int64_t length)
{
    if (length < 0)
        return SLICE_NULL;
    const uint8_t *at = reader_take(reader, (size_t)length);
    return at == NULL ? SLICE_NULL : slice_from(at, (size_t)length);
}

static inline struct slice read_string(struct reader *reader, bool flexible, bool nullable)
{
    int64_t length = flexible ? (int64_t)read_uvarint(reader) - 1 : read_int16(reader);
    if (length < (nullable ? -1 : 0) || length > READER_STRING_MAX) {
        reader_fail(reader, ERROR_MALFORMED);
        return SLICE_NULL;
    }
    return read_slice(reader, length);
}

static inline struct slice read_bytes(struct reader *reader, bool flexible, bool nullable)
{
    return read_slice(reader, read_length(reader, flexible, nullable));
}

/* The count of an array and zero-filled memory for its elements: NULL for null, WIRE_EMPTY for
 * none. An element takes at least `wire_size` bytes of the frame and `size` bytes of memory.
 * After a failure the count is 0. */
void *read_array(struct reader *reader, struct arena *arena, bool flexible, bool nullable,
                 size_t wire_size, size_t size, uint32_t *ret_count);

/* Zero-filled memory for a nullable struct that is present (its marker is not negative); NULL when
 * it is null or after a failure. */
void *read_present(struct reader *reader, struct arena *arena, size_t size);

/* A walk over a tag section (KIP-482):
 *
 *     for (read_tags(reader, &tags); read_tag(reader, &tags);)
 *         ... read the field tags.tag, or read_tag_skip(reader)
 *
 * During the body the reader ends at the field's end; a field not read to its end is a failure.
 * Tags must ascend strictly. */
struct tags {
    const uint8_t *outer_end;
    uint32_t left;
    uint32_t tag;
    int64_t previous;
};

void read_tags(struct reader *reader, struct tags *ret_tags);
bool read_tag(struct reader *reader, struct tags *tags);

static inline void read_tag_skip(struct reader *reader)
{
    reader->next = reader->end;
}

/* A tag section of which no tag is known. */
static inline void read_tags_skip(struct reader *reader)
{
    struct tags tags;
    if (reader->next < reader->end && *reader->next == 0) {
        reader->next++; /* Empty: the common case. */
        return;
    }
    for (read_tags(reader, &tags); read_tag(reader, &tags);)
        read_tag_skip(reader);
}

#endif
