/* SPDX-License-Identifier: Apache-2.0 */
/* Sorting names with their places; equal ones are neighbours then. */
#include "handle/duplicates.h"

#include <stdlib.h>

struct placed {
    struct slice name;
    uint32_t index;
};

static int compare_placed(const void *a, const void *b)
{
    const struct placed *x = a;
    const struct placed *y = b;
    return slice_compare(x->name, y->name);
}

bool *duplicates_mark(struct arena *arena, const void *elements, uint32_t count, size_t size,
                      size_t name_at)
{
    bool *marks = arena_allocate_array(arena, count, sizeof *marks);
    struct placed *sorted = arena_allocate_array(arena, count, sizeof *sorted);
    if (marks == NULL || sorted == NULL)
        return NULL;
    for (uint32_t i = 0; i < count; i++)
        sorted[i] = (struct placed){
            *(const struct slice *)((const char *)elements + i * size + name_at), i};
    qsort(sorted, count, sizeof *sorted, compare_placed);
    for (uint32_t i = 1; i < count; i++) {
        if (slice_compare(sorted[i - 1].name, sorted[i].name) == 0) {
            marks[sorted[i - 1].index] = true;
            marks[sorted[i].index] = true;
        }
    }
    return marks;
}
