/* SPDX-License-Identifier: Apache-2.0 */
/* Finding what a request names more than once, however many names a hostile client sends. */
#ifndef BROKER_HANDLE_DUPLICATES_H
#define BROKER_HANDLE_DUPLICATES_H

#include "base/arena.h"

/* An array in the arena that is true where another of `names` is equal; NULL without memory.
 * Sorts: count * log(count) comparisons. */
bool *duplicates_mark(struct arena *arena, const struct slice *names, uint32_t count);

#endif
