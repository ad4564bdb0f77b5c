/* SPDX-License-Identifier: Apache-2.0 */
/* Running timers, earliest first; of two due together the one started first. Both executors keep
 * theirs here. A pairing heap (Fredman, Sedgewick, Sleator, Tarjan 1986) whose links are inside the
 * timers, so nothing is allocated: start is O(1), stop and take are O(log n) over time.
 *
 *            root
 *             | child
 *             A <--> B <--> C      next / previous; the first child's previous is its parent
 *             |
 *             D <--> E
 *
 * One thread at a time. */
#ifndef BROKER_BASE_TIMER_HEAP_H
#define BROKER_BASE_TIMER_HEAP_H

#include "base/executor.h"

struct timer_heap {
    struct timer *root; /* The earliest; NULL when none runs. */
    uint64_t order;     /* Starts so far. */
};

/* Starts `timer` or, when it runs in this heap, moves it. */
void timer_heap_start(struct timer_heap *heap, struct timer *timer, int64_t due_ms);

/* Accepts a stopped timer. */
void timer_heap_stop(struct timer_heap *heap, struct timer *timer);

#endif
