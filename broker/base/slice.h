/* SPDX-License-Identifier: Apache-2.0 */
/* A borrowed run of bytes: strings and byte fields of requests point into their frame.
 * A slice never owns; it lives as long as what it points into. data == NULL is Kafka's null. */
#ifndef BROKER_BASE_SLICE_H
#define BROKER_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
    const uint8_t *data;
    size_t size;
};

#define SLICE_NULL ((struct slice){NULL, 0})
#define SLICE_EMPTY ((struct slice){(const uint8_t *)"", 0})

static inline struct slice slice_of(const char *text)
{
    return (struct slice){(const uint8_t *)text, text == NULL ? 0 : strlen(text)};
}

static inline struct slice slice_from(const void *data, size_t size)
{
    return (struct slice){data, size};
}

static inline bool slice_is_null(struct slice slice)
{
    return slice.data == NULL;
}

/* Null equals only null; empty is not null. */
static inline bool slice_equals(struct slice a, struct slice b)
{
    if ((a.data == NULL) != (b.data == NULL) || a.size != b.size)
        return false;
    return a.size == 0 || memcmp(a.data, b.data, a.size) == 0;
}

static inline bool slice_equals_text(struct slice slice, const char *text)
{
    return slice_equals(slice, slice_of(text));
}

/* Byte order, shorter first on a tie: for sorted listings. */
static inline int slice_compare(struct slice a, struct slice b)
{
    size_t shorter = a.size < b.size ? a.size : b.size;
    int order = shorter == 0 ? 0 : memcmp(a.data, b.data, shorter);
    if (order != 0)
        return order;
    return a.size < b.size ? -1 : a.size > b.size;
}

/* For printf("%.*s", SLICE_PRINT(slice)). */
#define SLICE_PRINT(slice)                                                                         \
    (int)(slice).size, (const char *)((slice).data ? (slice).data : (const uint8_t *)"")

#endif
