/* SPDX-License-Identifier: Apache-2.0 */
/* uthash as this project uses it: memory from base/memory.h, and a refused allocation leaves the
 * element out (its handle's `tbl` is NULL after HASH_ADD) instead of ending the program. */
#ifndef BROKER_BASE_TABLE_H
#define BROKER_BASE_TABLE_H

#include "base/memory.h"

#define uthash_malloc(size) memory_allocate(size)
#define uthash_free(pointer, size) memory_free(pointer)
#define HASH_NONFATAL_OOM 1

#include <uthash.h>

#endif
