/* SPDX-License-Identifier: Apache-2.0 */
/* A growing array of pointers, kept in order by whoever inserts. */
#ifndef BROKER_CATALOG_POINTERS_H
#define BROKER_CATALOG_POINTERS_H

#include "base/assertion.h"
#include "base/memory.h"
#include "catalog/image.h"

/* False when out of memory; nothing changed then. */
static inline bool pointers_insert(struct pointers *pointers, uint32_t at, void *item)
{
    ASSERT(at <= pointers->count);
    if (pointers->count == pointers->capacity) {
        uint32_t capacity = pointers->capacity == 0 ? 8 : pointers->capacity * 2;
        void **items = memory_resize(pointers->items, capacity * sizeof *items);
        if (items == NULL)
            return false;
        pointers->items = items;
        pointers->capacity = capacity;
    }
    memmove(&pointers->items[at + 1], &pointers->items[at],
            (pointers->count - at) * sizeof *pointers->items);
    pointers->items[at] = item;
    pointers->count++;
    return true;
}

static inline void pointers_remove(struct pointers *pointers, uint32_t at)
{
    ASSERT(at < pointers->count);
    pointers->count--;
    memmove(&pointers->items[at], &pointers->items[at + 1],
            (pointers->count - at) * sizeof *pointers->items);
}

static inline void pointers_done(struct pointers *pointers)
{
    memory_free(pointers->items);
}

#endif
