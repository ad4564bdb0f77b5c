/* SPDX-License-Identifier: Apache-2.0 */
/* All heap memory of the program comes from here, so that a test can refuse the Nth request.
 * Any thread. Every function that allocates reports ERROR_OUT_OF_MEMORY to its caller. */
#ifndef BROKER_BASE_MEMORY_H
#define BROKER_BASE_MEMORY_H

#include <stddef.h>

/* Zero-filled; NULL when refused. size 0 is allowed and gives a pointer to free. */
void *memory_allocate(size_t size);

/* Contents not initialised: for large blocks that are written whole. */
void *memory_allocate_raw(size_t size);

/* count * size zero-filled bytes; NULL when refused or when the product overflows. */
void *memory_allocate_array(size_t count, size_t size);

/* Contents kept up to the smaller size, the rest is not zeroed. NULL: the old block stays. */
void *memory_resize(void *block, size_t size);

/* A copy of `size` bytes and a NUL behind them. */
char *memory_copy_text(const void *bytes, size_t size);

/* Accepts NULL. */
void memory_free(void *block);

/* For tests: refuses one allocation after `countdown` more have been granted; a negative number
 * ends it. memory_fault_fired tells whether it has happened since. */
void memory_fault_arm(long countdown);
int memory_fault_fired(void);

/* What a test's own helpers take is not refused: between these two nothing is counted. The first
 * gives what the second wants. */
long memory_fault_pause(void);
void memory_fault_resume(long countdown);

#endif
