/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of a simulated process: everything taken through base/memory.h, so that a crash can
 * take it away without running a single destructor, as kill -9 does, and a clean stop can be shown
 * to have freed all of it.
 *
 * The calls reach this file by the linker's --wrap (see meson.build); the product's code is the
 * same. One process at a time. */
#ifndef TESTS_SIM_PROCESS_MEMORY_H
#define TESTS_SIM_PROCESS_MEMORY_H

#include <stddef.h>

/* Blocks not freed yet. */
size_t process_memory_blocks(void);

/* The process is gone: frees every block. */
void process_memory_forget(void);

#endif
