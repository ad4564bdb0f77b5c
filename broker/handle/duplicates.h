/* SPDX-License-Identifier: Apache-2.0 */
/* Finding what a request names more than once, however many names a hostile client sends. */
#ifndef BROKER_HANDLE_DUPLICATES_H
#define BROKER_HANDLE_DUPLICATES_H

#include "base/arena.h"

/* An array in the arena that is true where another of the `count` elements has an equal name; NULL
 * without memory. An element takes `size` bytes and has its name, a struct slice, at `name_at`.
 * Sorts: count * log(count) comparisons. */
bool *duplicates_mark(struct arena *arena, const void *elements, uint32_t count, size_t size,
                      size_t name_at);

#endif
