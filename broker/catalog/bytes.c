/* SPDX-License-Identifier: Apache-2.0 */
/* Writing into a growing block, reading with every length checked. */
#include "catalog/bytes.h"

#include "base/memory.h"

static bool writer_grow(struct bytes_writer *writer, size_t size)
{
    if (writer->failed)
        return false;
    if (size <= writer->capacity - writer->size)
        return true;
    size_t capacity = writer->capacity < 128 ? 256 : writer->capacity * 2;
    while (capacity - writer->size < size)
        capacity *= 2;
    uint8_t *data = memory_resize(writer->data, capacity);
    if (data == NULL) {
        writer->failed = true;
        writer->refused = true;
        return false;
    }
    writer->data = data;
    writer->capacity = capacity;
    return true;
}

void put_bytes(struct bytes_writer *writer, const void *bytes, size_t size)
{
    if (size == 0 || !writer_grow(writer, size))
        return;
    memcpy(writer->data + writer->size, bytes, size);
    writer->size += size;
}

void put_u8(struct bytes_writer *writer, uint8_t value)
{
    put_bytes(writer, &value, sizeof value);
}

void put_u16(struct bytes_writer *writer, uint16_t value)
{
    uint8_t bytes[sizeof value];
    store_be16(bytes, value);
    put_bytes(writer, bytes, sizeof bytes);
}

void put_u32(struct bytes_writer *writer, uint32_t value)
{
    uint8_t bytes[sizeof value];
    store_be32(bytes, value);
    put_bytes(writer, bytes, sizeof bytes);
}

void put_u64(struct bytes_writer *writer, uint64_t value)
{
    uint8_t bytes[sizeof value];
    store_be64(bytes, value);
    put_bytes(writer, bytes, sizeof bytes);
}

void put_uuid(struct bytes_writer *writer, const struct uuid *uuid)
{
    put_bytes(writer, uuid->bytes, UUID_BYTES);
}

void put_string(struct bytes_writer *writer, struct slice string)
{
    if (slice_is_null(string)) {
        put_u16(writer, UINT16_MAX);
        return;
    }
    if (string.size > BYTES_STRING_MAX) {
        writer->failed = true;
        return;
    }
    put_u16(writer, (uint16_t)string.size);
    put_bytes(writer, string.data, string.size);
}

/* `size` bytes to read, or NULL. */
static const uint8_t *reader_take(struct bytes_reader *reader, size_t size)
{
    if (reader->failed || (size_t)(reader->end - reader->at) < size) {
        reader->failed = true;
        return NULL;
    }
    const uint8_t *at = reader->at;
    reader->at += size;
    return at;
}

uint8_t take_u8(struct bytes_reader *reader)
{
    const uint8_t *at = reader_take(reader, 1);
    return at == NULL ? 0 : *at;
}

bool take_flag(struct bytes_reader *reader)
{
    uint8_t value = take_u8(reader);
    if (value > 1)
        reader->failed = true;
    return !reader->failed && value == 1;
}

uint16_t take_u16(struct bytes_reader *reader)
{
    const uint8_t *at = reader_take(reader, 2);
    return at == NULL ? 0 : load_be16(at);
}

uint32_t take_u32(struct bytes_reader *reader)
{
    const uint8_t *at = reader_take(reader, 4);
    return at == NULL ? 0 : load_be32(at);
}

uint64_t take_u64(struct bytes_reader *reader)
{
    const uint8_t *at = reader_take(reader, 8);
    return at == NULL ? 0 : load_be64(at);
}

struct uuid take_uuid(struct bytes_reader *reader)
{
    struct uuid uuid = UUID_ZERO;
    const uint8_t *at = reader_take(reader, UUID_BYTES);
    if (at != NULL)
        memcpy(uuid.bytes, at, UUID_BYTES);
    return uuid;
}

struct slice take_string(struct bytes_reader *reader)
{
    uint16_t size = take_u16(reader);
    if (size == UINT16_MAX)
        return SLICE_NULL;
    const uint8_t *at = reader_take(reader, size);
    return at == NULL ? SLICE_NULL : slice_from(at, size);
}

uint32_t take_count(struct bytes_reader *reader, size_t least_bytes)
{
    uint32_t count = take_u32(reader);
    if (!reader->failed && count > (size_t)(reader->end - reader->at) / least_bytes)
        reader->failed = true;
    return reader->failed ? 0 : count;
}
