/* SPDX-License-Identifier: Apache-2.0 */
/* Time, order and background work for the core, as one seam.
 *
 * The core (partition, group, catalog, handle, replicate/core) is a monitor: at any moment at most
 * one thread runs in it. In the daemon the monitor is one mutex that io loops, FUSE threads and the
 * control loop take for the length of one event; in the simulator there is one thread. The core
 * itself never locks, never blocks (no sync, no socket), and never asks the OS for the time.
 *
 * The contract of every asynchronous operation built on this:
 *  1. the caller owns the request struct until its `done`;
 *  2. `done` comes exactly once, also at shutdown (ERROR_CLOSING);
 *  3. never from inside the call that started it: completions are posted as tasks;
 *  4. `done` may free the request and may start new work. */
#ifndef BROKER_BASE_EXECUTOR_H
#define BROKER_BASE_EXECUTOR_H

#include "base/list.h"

#include <stdbool.h>
#include <stdint.h>

struct executor;

/* Something to run soon, inside the monitor, from a clean stack, in the order posted.
 * Owned by the poster until it runs; it may free itself when it does. list_remove(&task->link)
 * withdraws it. */
struct task {
    struct list link;
    void (*run)(struct task *task);
};

/* Runs once inside the monitor, not before `due_ms`. Embedded; zero-initialised is stopped. */
struct timer {
    int64_t due_ms; /* On the executor's monotonic clock. */
    void (*fire)(struct timer *timer);
    /* The executor's own: starting a timer must not need memory, so its links live in here. */
    void *slot; /* NULL while stopped. */
    uint64_t order;
    struct timer *child;
    struct timer *next;
    struct timer *previous;
};

/* Work that blocks: run() on a pool thread outside the monitor, then done() inside it. */
struct work {
    struct list link;
    void (*run)(struct work *work);
    void (*done)(struct work *work);
};

struct executor_ops {
    void (*post)(struct executor *, struct task *);
    void (*timer_start)(struct executor *, struct timer *, int64_t delay_ms);
    void (*timer_stop)(struct executor *, struct timer *);
    void (*work_submit)(struct executor *, struct work *);
    int64_t (*monotonic_ms)(struct executor *);
    int64_t (*monotonic_ns)(struct executor *);
    int64_t (*wall_clock_ms)(struct executor *);
    uint64_t (*random)(struct executor *);
};

struct executor {
    const struct executor_ops *ops;
};

/* Inside the monitor only. */
static inline void executor_post(struct executor *executor, struct task *task)
{
    executor->ops->post(executor, task);
}

/* Inside the monitor only. Restarts a running timer. delay_ms < 0 counts as 0; set timer->fire
 * first. */
static inline void executor_timer_start(struct executor *executor, struct timer *timer,
                                        int64_t delay_ms)
{
    executor->ops->timer_start(executor, timer, delay_ms);
}

/* Inside the monitor only. Afterwards `fire` does not come. Accepts a stopped timer. */
static inline void executor_timer_stop(struct executor *executor, struct timer *timer)
{
    executor->ops->timer_stop(executor, timer);
}

static inline bool timer_running(const struct timer *timer)
{
    return timer->slot != NULL;
}

/* Inside the monitor only. */
static inline void executor_work(struct executor *executor, struct work *work)
{
    executor->ops->work_submit(executor, work);
}

/* CLOCK_MONOTONIC: timeouts, leases, latencies. Any thread. */
static inline int64_t executor_monotonic_ms(struct executor *executor)
{
    return executor->ops->monotonic_ms(executor);
}

static inline int64_t executor_monotonic_ns(struct executor *executor)
{
    return executor->ops->monotonic_ns(executor);
}

/* Milliseconds since 1970: record timestamps and retention only. Any thread. */
static inline int64_t executor_wall_clock_ms(struct executor *executor)
{
    return executor->ops->wall_clock_ms(executor);
}

/* 64 random bits: ids and jitter; seeded in the simulator. Any thread. */
static inline uint64_t executor_random(struct executor *executor)
{
    return executor->ops->random(executor);
}

#endif
