/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that dies together: the decoded structs and the answer of one request.
 * Not shared between threads at one time. Blocks double from ARENA_BLOCK_BYTES; nothing is freed
 * before arena_done. A limit bounds what hostile input can make it take. */
#ifndef BROKER_BASE_ARENA_H
#define BROKER_BASE_ARENA_H

#include "base/slice.h"

#include <stddef.h>

enum { ARENA_BLOCK_BYTES = 4096 };

struct arena_block;

struct arena {
    struct arena_block *blocks; /* Newest first. */
    size_t used_bytes;          /* Granted so far, over all blocks. */
    size_t limit_bytes;         /* Refuses beyond this. */
};

void arena_init(struct arena *arena, size_t limit_bytes);

/* Frees every block; the arena may be used again. */
void arena_done(struct arena *arena);

/* Forgets everything but keeps the first block, for the next request of a connection. */
void arena_reset(struct arena *arena);

/* Zero-filled, aligned to 16. NULL when the limit or the heap refuses. */
void *arena_allocate(struct arena *arena, size_t size);

/* count * size with the overflow checked. */
void *arena_allocate_array(struct arena *arena, size_t count, size_t size);

/* A copy inside the arena (NUL behind it, not counted); a null slice when refused or null. */
struct slice arena_copy(struct arena *arena, struct slice bytes);

/* printf into the arena; a null slice when refused. */
struct slice arena_format(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
