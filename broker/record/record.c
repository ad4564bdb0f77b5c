/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and writing one record. */
#include "record/record.h"

#include "base/assertion.h"
#include "base/varint.h"

/* What is left of a record; `failed` is sticky, so that the reads need no ladder. */
struct cursor {
    const uint8_t *next;
    const uint8_t *end;
    bool failed;
};

/* Of one or two bytes, as nearly all are: false when it is longer or broken. */
static inline bool cursor_short(struct cursor *cursor, int32_t *ret_value)
{
    const uint8_t *at = cursor->next;
    const uint8_t *end = cursor->end;
    if (at == end)
        return false;
    uint32_t raw = *at++;
    if (raw >= 0x80) {
        if (at == end || *at >= 0x80)
            return false;
        raw = (raw & 0x7f) | (uint32_t)*at++ << 7;
    }
    cursor->next = at;
    *ret_value = (int32_t)(raw >> 1) ^ -(int32_t)(raw & 1);
    return true;
}

static __attribute__((noinline)) int64_t cursor_long(struct cursor *cursor)
{
    int64_t value = 0;
    size_t used = varlong_read(cursor->next, (size_t)(cursor->end - cursor->next), &value);
    cursor->failed |= used == 0;
    cursor->next += used;
    return value;
}

static inline int64_t cursor_varlong(struct cursor *cursor)
{
    int32_t value;
    return cursor_short(cursor, &value) ? value : cursor_long(cursor);
}

/* At most VARINT_BYTES_MAX bytes, as Java reads it: what is longer is broken. */
static inline int32_t cursor_varint(struct cursor *cursor)
{
    int32_t value;
    if (cursor_short(cursor, &value))
        return value;
    const uint8_t *before = cursor->next;
    int64_t long_value = cursor_long(cursor);
    if (cursor->next - before > VARINT_BYTES_MAX || long_value != (int32_t)long_value)
        cursor->failed = true;
    return (int32_t)long_value;
}

static inline struct slice cursor_slice(struct cursor *cursor)
{
    int32_t length = cursor_varint(cursor);
    if (length == -1)
        return SLICE_NULL;
    if (cursor->failed || length < 0 || length > cursor->end - cursor->next) {
        cursor->failed = true;
        return SLICE_NULL;
    }
    struct slice slice = slice_from(cursor->next, (size_t)length);
    cursor->next += length;
    return slice;
}

/* A header's key may not be null (Kafka: DefaultRecord.readHeaders). */
static void cursor_header(struct cursor *cursor, struct slice *ret_key, struct slice *ret_value)
{
    *ret_key = cursor_slice(cursor);
    if (ret_key->data == NULL)
        cursor->failed = true;
    *ret_value = cursor_slice(cursor);
}

size_t record_read(const uint8_t *at, size_t size, struct record *ret_record)
{
    struct cursor cursor = {.next = at, .end = at + size};
    int32_t length = cursor_varint(&cursor);
    if (cursor.failed || length < RECORD_BYTES_MIN - 1 || length > cursor.end - cursor.next)
        return 0;
    cursor.end = cursor.next + length;
    cursor.next++; /* Attributes: one byte, no bit of it has a meaning. */

    struct record record;
    record.timestamp = cursor_varlong(&cursor);
    record.offset = cursor_varint(&cursor);
    record.key = cursor_slice(&cursor);
    record.value = cursor_slice(&cursor);
    record.header_count = cursor_varint(&cursor);
    record.headers = slice_from(cursor.next, (size_t)(cursor.end - cursor.next));
    if (cursor.failed || record.header_count < 0)
        return 0;
    for (int32_t i = 0; i < record.header_count && !cursor.failed; i++) {
        struct slice key, value;
        cursor_header(&cursor, &key, &value);
    }
    if (cursor.failed || cursor.next != cursor.end)
        return 0;
    *ret_record = record;
    return (size_t)(cursor.end - at);
}

bool record_header_next(struct slice *headers, struct slice *ret_key, struct slice *ret_value)
{
    if (headers->size == 0)
        return false;
    struct cursor cursor = {.next = headers->data, .end = headers->data + headers->size};
    struct slice key, value;
    cursor_header(&cursor, &key, &value);
    if (cursor.failed)
        return false;
    *headers = slice_from(cursor.next, (size_t)(cursor.end - cursor.next));
    *ret_key = key;
    *ret_value = value;
    return true;
}

static size_t slice_encoded_size(struct slice slice)
{
    if (slice.data == NULL)
        return 1;
    return varint_size((int32_t)slice.size) + slice.size;
}

static uint8_t *slice_write(uint8_t *at, struct slice slice)
{
    if (slice.data == NULL)
        return at + varint_write(at, -1);
    at += varint_write(at, (int32_t)slice.size);
    if (slice.size > 0)
        memcpy(at, slice.data, slice.size);
    return at + slice.size;
}

size_t record_header_size(struct slice key, struct slice value)
{
    return slice_encoded_size(key) + slice_encoded_size(value);
}

size_t record_header_write(uint8_t *at, struct slice key, struct slice value)
{
    ASSERT(key.data != NULL);
    return (size_t)(slice_write(slice_write(at, key), value) - at);
}

/* Without the length field; SIZE_MAX when out of range. */
static size_t record_body_size(const struct record *record, int64_t timestamp_delta,
                               int32_t offset_delta)
{
    if (record->key.size > INT32_MAX || record->value.size > INT32_MAX ||
        record->headers.size > INT32_MAX)
        return SIZE_MAX;
    size_t size = 1 + varlong_size(timestamp_delta) + varint_size(offset_delta) +
                  slice_encoded_size(record->key) + slice_encoded_size(record->value) +
                  varint_size(record->header_count) + record->headers.size;
    return size > INT32_MAX ? SIZE_MAX : size;
}

size_t record_size(const struct record *record, int64_t timestamp_delta, int32_t offset_delta)
{
    size_t body = record_body_size(record, timestamp_delta, offset_delta);
    return body == SIZE_MAX ? SIZE_MAX : varint_size((int32_t)body) + body;
}

size_t record_write(uint8_t *at, const struct record *record, int64_t timestamp_delta,
                    int32_t offset_delta)
{
    size_t body = record_body_size(record, timestamp_delta, offset_delta);
    ASSERT(body <= INT32_MAX);
    uint8_t *next = at + varint_write(at, (int32_t)body);
    *next++ = 0;
    next += varlong_write(next, timestamp_delta);
    next += varint_write(next, offset_delta);
    next = slice_write(next, record->key);
    next = slice_write(next, record->value);
    next += varint_write(next, record->header_count);
    if (record->headers.size > 0)
        memcpy(next, record->headers.data, record->headers.size);
    return (size_t)(next + record->headers.size - at);
}
