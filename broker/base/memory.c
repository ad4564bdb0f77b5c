/* SPDX-License-Identifier: Apache-2.0 */
/* The heap with a countdown to a refusal. */
#include "base/memory.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static atomic_long fault_countdown = -1;
static atomic_int fault_fired;

void memory_fault_arm(long countdown)
{
    atomic_store(&fault_fired, 0);
    atomic_store(&fault_countdown, countdown);
}

int memory_fault_fired(void)
{
    return atomic_load(&fault_fired);
}

long memory_fault_pause(void)
{
    return atomic_exchange(&fault_countdown, -1);
}

void memory_fault_resume(long countdown)
{
    atomic_store(&fault_countdown, countdown);
}

static int refused(void)
{
    if (atomic_load_explicit(&fault_countdown, memory_order_relaxed) < 0)
        return 0;
    if (atomic_fetch_sub(&fault_countdown, 1) != 0)
        return 0;
    atomic_store(&fault_fired, 1);
    return 1;
}

void *memory_allocate(size_t size)
{
    return refused() ? NULL : calloc(1, size == 0 ? 1 : size);
}

void *memory_allocate_raw(size_t size)
{
    return refused() ? NULL : malloc(size == 0 ? 1 : size);
}

void *memory_allocate_array(size_t count, size_t size)
{
    if (size != 0 && count > SIZE_MAX / size)
        return NULL;
    return memory_allocate(count * size);
}

void *memory_resize(void *block, size_t size)
{
    return refused() ? NULL : realloc(block, size == 0 ? 1 : size);
}

char *memory_copy_text(const void *bytes, size_t size)
{
    char *copy = size == SIZE_MAX ? NULL : memory_allocate(size + 1);
    if (copy != NULL && size > 0)
        memcpy(copy, bytes, size);
    return copy;
}

void memory_free(void *block)
{
    free(block);
}
