/* SPDX-License-Identifier: Apache-2.0 */
/* Every block of base/memory.h in one list, by the linker's --wrap. */
#include "sim/process_memory.h"

#include "base/list.h"
#include "base/memory.h"

#include <stdalign.h>
#include <stdint.h>
#include <string.h>

struct block {
    alignas(16) struct list link;
};

static struct list blocks = {&blocks, &blocks};
static size_t blocks_count;

void *__real_memory_allocate(size_t size);
void *__real_memory_allocate_raw(size_t size);
void __real_memory_free(void *block);
void *__wrap_memory_allocate(size_t size);
void *__wrap_memory_allocate_raw(size_t size);
void *__wrap_memory_allocate_array(size_t count, size_t size);
void *__wrap_memory_resize(void *old, size_t size);
char *__wrap_memory_copy_text(const void *bytes, size_t size);
void __wrap_memory_free(void *old);

static void *block_add(struct block *block)
{
    if (block == NULL)
        return NULL;
    list_push(&blocks, &block->link);
    blocks_count++;
    return block + 1;
}

static struct block *block_take(void *bytes)
{
    struct block *block = (struct block *)bytes - 1;
    list_remove(&block->link);
    blocks_count--;
    return block;
}

void *__wrap_memory_allocate(size_t size)
{
    return block_add(__real_memory_allocate(sizeof(struct block) + size));
}

void *__wrap_memory_allocate_raw(size_t size)
{
    return block_add(__real_memory_allocate_raw(sizeof(struct block) + size));
}

void *__wrap_memory_allocate_array(size_t count, size_t size)
{
    if (size != 0 && count > SIZE_MAX / 2 / size)
        return NULL;
    return __wrap_memory_allocate(count * size);
}

void *__real_memory_resize(void *block, size_t size);
void *__wrap_memory_resize(void *old, size_t size)
{
    if (old == NULL)
        return __wrap_memory_allocate_raw(size);
    struct block *block = block_take(old);
    struct block *moved = __real_memory_resize(block, sizeof *block + size);
    if (moved == NULL) {
        (void)block_add(block);
        return NULL;
    }
    return block_add(moved);
}

char *__wrap_memory_copy_text(const void *bytes, size_t size)
{
    char *copy = size == SIZE_MAX ? NULL : __wrap_memory_allocate(size + 1);
    if (copy != NULL && size > 0)
        memcpy(copy, bytes, size);
    return copy;
}

void __wrap_memory_free(void *old)
{
    if (old != NULL)
        __real_memory_free(block_take(old));
}

size_t process_memory_blocks(void)
{
    return blocks_count;
}

void process_memory_forget(void)
{
    while (!list_empty(&blocks))
        __wrap_memory_free(container_of(blocks.next, struct block, link) + 1);
}
