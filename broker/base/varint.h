/* SPDX-License-Identifier: Apache-2.0 */
/* Variable-length integers: plain unsigned (wire) and zigzag signed (records). Protocol Buffers'
 * base-128 encoding, at most 5 bytes for 32 bits and 10 for 64.
 *
 * A read returns the bytes consumed, 0 when truncated, longer than allowed, or out of range. */
#ifndef BROKER_BASE_VARINT_H
#define BROKER_BASE_VARINT_H

#include <stddef.h>
#include <stdint.h>

enum { VARINT_BYTES_MAX = 5, VARLONG_BYTES_MAX = 10 };

static inline size_t varlong_unsigned_read(const uint8_t *at, size_t size, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size && i < VARLONG_BYTES_MAX; i++) {
        uint64_t bits = at[i] & 0x7f;
        if (i == VARLONG_BYTES_MAX - 1 && bits > 1)
            return 0;
        value |= bits << (7 * i);
        if ((at[i] & 0x80) == 0) {
            *ret_value = value;
            return i + 1;
        }
    }
    return 0;
}

static inline size_t varint_unsigned_read(const uint8_t *at, size_t size, uint32_t *ret_value)
{
    uint64_t value;
    size_t used =
        varlong_unsigned_read(at, size < VARINT_BYTES_MAX ? size : VARINT_BYTES_MAX, &value);
    if (used == 0 || value > UINT32_MAX)
        return 0;
    *ret_value = (uint32_t)value;
    return used;
}

static inline size_t varint_read(const uint8_t *at, size_t size, int32_t *ret_value)
{
    if (size > 0 && at[0] < 0x80) { /* One byte: the common case. */
        *ret_value = (int32_t)(at[0] >> 1) ^ -(int32_t)(at[0] & 1);
        return 1;
    }
    uint32_t raw;
    size_t used = varint_unsigned_read(at, size, &raw);
    if (used != 0)
        *ret_value = (int32_t)(raw >> 1) ^ -(int32_t)(raw & 1);
    return used;
}

static inline size_t varlong_read(const uint8_t *at, size_t size, int64_t *ret_value)
{
    uint64_t raw;
    size_t used = varlong_unsigned_read(at, size, &raw);
    if (used != 0)
        *ret_value = (int64_t)(raw >> 1) ^ -(int64_t)(raw & 1);
    return used;
}

/* Writes at most VARLONG_BYTES_MAX bytes; returns how many. */
static inline size_t varlong_unsigned_write(uint8_t *at, uint64_t value)
{
    size_t used = 0;
    while (value >= 0x80) {
        at[used++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    at[used++] = (uint8_t)value;
    return used;
}

static inline size_t varint_write(uint8_t *at, int32_t value)
{
    return varlong_unsigned_write(at, ((uint32_t)value << 1) ^ (uint32_t)(value >> 31));
}

static inline size_t varlong_write(uint8_t *at, int64_t value)
{
    return varlong_unsigned_write(at, ((uint64_t)value << 1) ^ (uint64_t)(value >> 63));
}

static inline size_t varlong_unsigned_size(uint64_t value)
{
    size_t size = 1;
    while (value >= 0x80) {
        size++;
        value >>= 7;
    }
    return size;
}

static inline size_t varlong_size(int64_t value)
{
    return varlong_unsigned_size(((uint64_t)value << 1) ^ (uint64_t)(value >> 63));
}

static inline size_t varint_size(int32_t value)
{
    return varlong_unsigned_size(((uint32_t)value << 1) ^ (uint32_t)(value >> 31));
}

#endif
