/* SPDX-License-Identifier: Apache-2.0 */
/* Counted blocks. */
#include "base/buffer.h"

#include "base/assertion.h"
#include "base/memory.h"

struct buffer *buffer_new(size_t capacity)
{
    struct buffer *buffer = NULL;
    if (capacity <= SIZE_MAX - sizeof *buffer)
        buffer = memory_allocate_raw(sizeof *buffer + capacity);
    if (buffer == NULL)
        return NULL;
    atomic_init(&buffer->references, 1);
    buffer->capacity = capacity;
    buffer->size = 0;
    return buffer;
}

struct buffer *buffer_ref(struct buffer *buffer)
{
    int before = atomic_fetch_add_explicit(&buffer->references, 1, memory_order_relaxed);
    ASSERT(before > 0);
    return buffer;
}

void buffer_unref(struct buffer *buffer)
{
    if (buffer == NULL)
        return;
    int before = atomic_fetch_sub_explicit(&buffer->references, 1, memory_order_acq_rel);
    ASSERT(before > 0);
    if (before == 1)
        memory_free(buffer);
}
