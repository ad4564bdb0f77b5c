/* SPDX-License-Identifier: Apache-2.0 */
/* Every block of base/memory.h in a list of its process, by the linker's --wrap. */
#include "sim/process_memory.h"

#include "base/assertion.h"
#include "base/list.h"
#include "base/memory.h"

#include <raft.h>
#include <stdalign.h>
#include <stdint.h>
#include <string.h>

struct block {
    alignas(16) struct list link;
    uint32_t process;
    bool of_raft;
};

static struct {
    struct list blocks;
    size_t count; /* Without libraft's. */
} processes[PROCESS_MAX];
static uint32_t selected;
static bool in_raft; /* libraft allocates or frees. */

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
    if (processes[selected].blocks.next == NULL)
        list_init(&processes[selected].blocks);
    list_push(&processes[selected].blocks, &block->link);
    processes[selected].count += !in_raft;
    block->of_raft = in_raft;
    block->process = selected;
    return block + 1;
}

static struct block *block_take(void *bytes)
{
    struct block *block = (struct block *)bytes - 1;
    /* A block freed by another process than its own is a pointer that crossed the network. */
    ASSERT(block->process == selected);
    list_remove(&block->link);
    processes[selected].count -= !block->of_raft;
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

uint32_t process_memory_select(uint32_t process)
{
    ASSERT(process < PROCESS_MAX);
    uint32_t before = selected;
    selected = process;
    return before;
}

size_t process_memory_blocks(void)
{
    return processes[selected].count;
}

void process_memory_forget(void)
{
    struct list *blocks = &processes[selected].blocks;
    while (blocks->next != NULL && !list_empty(blocks))
        __wrap_memory_free(container_of(blocks->next, struct block, link) + 1);
}

/* ---- libraft's ---- */

static void *heap_allocate(void *data, size_t size)
{
    (void)data;
    in_raft = true;
    void *block = __wrap_memory_allocate(size); /* Barriers' bytes are stored and never written. */
    in_raft = false;
    return block;
}

static void heap_free(void *data, void *block)
{
    (void)data;
    __wrap_memory_free(block);
}

static void *heap_allocate_array(void *data, size_t count, size_t size)
{
    (void)data;
    in_raft = true;
    void *block = __wrap_memory_allocate_array(count, size);
    in_raft = false;
    return block;
}

static void *heap_resize(void *data, void *block, size_t size)
{
    (void)data;
    in_raft = true;
    void *moved = __wrap_memory_resize(block, size);
    in_raft = false;
    return moved;
}

static void *heap_allocate_aligned(void *data, size_t alignment, size_t size)
{
    (void)data;
    (void)alignment;
    (void)size;
    return NULL; /* Only raft_uv wants it. */
}

static void heap_free_aligned(void *data, size_t alignment, void *block)
{
    (void)data;
    (void)alignment;
    (void)block;
}

void process_memory_take_raft(void)
{
    static struct raft_heap heap = {.malloc = heap_allocate,
                                    .free = heap_free,
                                    .calloc = heap_allocate_array,
                                    .realloc = heap_resize,
                                    .aligned_alloc = heap_allocate_aligned,
                                    .aligned_free = heap_free_aligned};
    raft_heap_set(&heap);
}
