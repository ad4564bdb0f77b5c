/* SPDX-License-Identifier: Apache-2.0 */
/* The flat bytes of commands and snapshots: big-endian integers, strings with a 16-bit length
 * (0xffff: null). A writer and a reader with a sticky failure each, so that code has no ladder. */
#ifndef BROKER_CATALOG_BYTES_H
#define BROKER_CATALOG_BYTES_H

#include "base/byteorder.h"
#include "base/slice.h"
#include "base/uuid.h"

enum { BYTES_STRING_MAX = 0xfffe };

struct bytes_writer {
    uint8_t *data; /* The caller's to free with memory_free. */
    size_t size;
    size_t capacity;
    bool failed;  /* Out of memory, or something too long. */
    bool refused; /* It was memory. */
};

void put_bytes(struct bytes_writer *writer, const void *bytes, size_t size);
void put_u8(struct bytes_writer *writer, uint8_t value);
void put_u16(struct bytes_writer *writer, uint16_t value);
void put_u32(struct bytes_writer *writer, uint32_t value);
void put_u64(struct bytes_writer *writer, uint64_t value);
void put_uuid(struct bytes_writer *writer, const struct uuid *uuid);
void put_string(struct bytes_writer *writer, struct slice string);

struct bytes_reader {
    const uint8_t *at;
    const uint8_t *end;
    bool failed; /* Truncated; everything read since is zero. */
};

uint8_t take_u8(struct bytes_reader *reader);
bool take_flag(struct bytes_reader *reader); /* 0 or 1; anything else fails. */
uint16_t take_u16(struct bytes_reader *reader);
uint32_t take_u32(struct bytes_reader *reader);
uint64_t take_u64(struct bytes_reader *reader);
struct uuid take_uuid(struct bytes_reader *reader);

/* Points into the bytes; null when it was, or when truncated. */
struct slice take_string(struct bytes_reader *reader);

/* A 32-bit count of elements of at least `least_bytes` each: more than could follow is a failure,
 * so that a count never asks for more memory than the bytes themselves took. */
uint32_t take_count(struct bytes_reader *reader, size_t least_bytes);

#endif
