/* SPDX-License-Identifier: Apache-2.0 */
/* A chain of blocks, bump-allocated. */
#include "base/arena.h"

#include "base/assertion.h"
#include "base/memory.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>

struct arena_block {
    struct arena_block *next;
    size_t size; /* Of `bytes`. */
    size_t used;
    alignas(16) uint8_t bytes[];
};

void arena_init(struct arena *arena, size_t limit_bytes)
{
    *arena = (struct arena){.limit_bytes = limit_bytes};
}

static void free_blocks(struct arena_block *block)
{
    while (block != NULL) {
        struct arena_block *next = block->next;
        memory_free(block);
        block = next;
    }
}

void arena_done(struct arena *arena)
{
    free_blocks(arena->blocks);
    arena->blocks = NULL;
    arena->used_bytes = 0;
}

void arena_reset(struct arena *arena)
{
    struct arena_block *keep = arena->blocks;
    if (keep == NULL)
        return;
    if (keep->size > 4 * ARENA_BLOCK_BYTES) {
        arena_done(arena);
        return;
    }
    free_blocks(keep->next);
    keep->next = NULL;
    memset(keep->bytes, 0, keep->used);
    keep->used = 0;
    arena->used_bytes = 0;
}

static struct arena_block *block_add(struct arena *arena, size_t size)
{
    size_t block_size = ARENA_BLOCK_BYTES;
    if (arena->blocks != NULL && arena->blocks->size <= (1u << 20) / 2)
        block_size = arena->blocks->size * 2;
    if (block_size < size)
        block_size = size;
    struct arena_block *block = memory_allocate(sizeof *block + block_size);
    if (block == NULL)
        return NULL;
    block->size = block_size;
    block->next = arena->blocks;
    arena->blocks = block;
    return block;
}

void *arena_allocate(struct arena *arena, size_t size)
{
    if (size > arena->limit_bytes || arena->used_bytes > arena->limit_bytes - size)
        return NULL;
    size_t rounded = (size + 15) & ~(size_t)15;
    struct arena_block *block = arena->blocks;
    if (block == NULL || block->size - block->used < rounded) {
        block = block_add(arena, rounded);
        if (block == NULL)
            return NULL;
    }
    void *granted = block->bytes + block->used;
    block->used += rounded;
    arena->used_bytes += rounded;
    ASSERT(block->used <= block->size);
    return granted;
}

void *arena_allocate_array(struct arena *arena, size_t count, size_t size)
{
    if (size != 0 && count > SIZE_MAX / size)
        return NULL;
    return arena_allocate(arena, count * size);
}

struct slice arena_copy(struct arena *arena, struct slice bytes)
{
    if (bytes.data == NULL)
        return SLICE_NULL;
    uint8_t *copy = bytes.size == SIZE_MAX ? NULL : arena_allocate(arena, bytes.size + 1);
    if (copy == NULL)
        return SLICE_NULL;
    if (bytes.size > 0)
        memcpy(copy, bytes.data, bytes.size);
    return slice_from(copy, bytes.size);
}

struct slice arena_format(struct arena *arena, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (size < 0)
        return SLICE_NULL;
    char *text = arena_allocate(arena, (size_t)size + 1);
    if (text == NULL)
        return SLICE_NULL;
    va_start(arguments, format);
    (void)vsnprintf(text, (size_t)size + 1, format, arguments);
    va_end(arguments);
    return slice_from(text, (size_t)size);
}
