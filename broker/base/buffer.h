/* SPDX-License-Identifier: Apache-2.0 */
/* A counted block of bytes: one network read, shared by the request that came in it and whoever
 * still needs it (log append, follower, parked answer). Counting is atomic; contents are written
 * only by the one holder that made it. */
#ifndef BROKER_BASE_BUFFER_H
#define BROKER_BASE_BUFFER_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct buffer {
    atomic_int references;
    size_t capacity;
    size_t size; /* Bytes that hold something; kept by the writer. */
    uint8_t data[];
};

/* One reference, size 0, contents not initialised. NULL when out of memory. */
struct buffer *buffer_new(size_t capacity);

struct buffer *buffer_ref(struct buffer *buffer);

/* Frees with the last reference. Accepts NULL. */
void buffer_unref(struct buffer *buffer);

#endif
