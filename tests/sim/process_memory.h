/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of simulated processes: everything taken through base/memory.h and by libraft, so that
 * a crash can take it away without running a single destructor, as kill -9 does, and a clean stop
 * can be shown to have freed all of it.
 *
 * The calls reach this file by the linker's --wrap (see meson.build) and by raft_heap_set; the
 * product's code is the same. What is allocated belongs to the process selected at that moment;
 * whoever steps a process selects it before. */
#ifndef TESTS_SIM_PROCESS_MEMORY_H
#define TESTS_SIM_PROCESS_MEMORY_H

#include <stddef.h>
#include <stdint.h>

enum { PROCESS_MAX = 16 };

/* The process that runs from here on, below PROCESS_MAX; returns the one that ran before. */
uint32_t process_memory_select(uint32_t process);

/* Blocks of the selected process not freed yet, without libraft's: it leaves some behind where it
 * refuses. */
size_t process_memory_blocks(void);

/* The selected process is gone: frees every block of it. */
void process_memory_forget(void);

/* Lets libraft allocate here, too. Once is enough. */
void process_memory_take_raft(void);

#endif
