/* SPDX-License-Identifier: Apache-2.0 */
/* The executor seam on a virtual clock, for tests and the simulator (see base/executor.h). One
 * thread; nothing takes real time. One executor is one node's; several may share a clock.
 *
 * An event is a task, a timer, a work's run() or a work's done(). Tasks go first, in order; then
 * what is due earliest, and the clock jumps to it. A work runs at a seeded later time and is done
 * at another: what the core does between the two comes after the work, as with a real thread. */
#ifndef TESTS_SIM_SIMULATED_EXECUTOR_H
#define TESTS_SIM_SIMULATED_EXECUTOR_H

#include "base/executor.h"
#include "base/timer_heap.h"
#include "sim/random.h"

#include <stddef.h>

struct simulated_clock {
    int64_t now_ns;          /* Monotonic. */
    int64_t wall_at_zero_ms; /* Wall clock at now_ns 0. */
    int64_t events_at_now;   /* Bounds a loop that lets no time pass. */
};

struct simulated_executor;

/* 1 January 2026. */
#define SIMULATED_WALL_CLOCK_MS INT64_C(1767225600000)

/* A clock of its own when `clock` is NULL; a given one must outlive the executor. */
struct simulated_executor *simulated_executor_new(uint64_t seed, struct simulated_clock *clock);

/* What is pending is forgotten. Accepts NULL. */
void simulated_executor_free(struct simulated_executor *simulated);

struct executor *simulated_executor_seam(struct simulated_executor *simulated);
struct simulated_clock *simulated_executor_clock(struct simulated_executor *simulated);

/* A work runs after 0 .. ms and is done 0 .. ms after that; 2 unless set. */
void simulated_executor_work_takes(struct simulated_executor *simulated, int64_t ms);

/* This node's wall clock goes ahead (or behind) by so much. */
void simulated_executor_skew(struct simulated_executor *simulated, int64_t ms);

/* When the next event is due (now, for a task); -1 when there is none. */
int64_t simulated_executor_next_ns(const struct simulated_executor *simulated);

/* One event; false when none is pending. */
bool simulated_executor_step(struct simulated_executor *simulated);

/* One event of the node whose next one is earliest, lowest index first; false when none has any.
 * All share a clock. NULL entries are nodes that are down. */
bool simulated_executors_step(struct simulated_executor **nodes, size_t count);

/* Steps until `predicate` holds; false when `timeout_ms` of virtual time passed, or nothing is left
 * to happen, before it did. */
bool simulated_executor_run_until(struct simulated_executor *simulated,
                                  bool (*predicate)(void *context), void *context,
                                  int64_t timeout_ms);

/* Steps until no task and no work is pending. Timers fire only while one waits for a work. */
void simulated_executor_run_until_idle(struct simulated_executor *simulated);

/* All events of the next `ms`, and the clock ends up there. */
void simulated_executor_run_for(struct simulated_executor *simulated, int64_t ms);

/* The node crashed: its tasks, timers and works are forgotten (their done never comes), and until
 * restart new ones are ignored, so that the node's structs can be torn down. Call it while they are
 * still there. */
void simulated_executor_drop_all(struct simulated_executor *simulated);
void simulated_executor_restart(struct simulated_executor *simulated);

size_t simulated_executor_pending_tasks(const struct simulated_executor *simulated);
size_t simulated_executor_pending_works(const struct simulated_executor *simulated);

/* Of every event so far, its kind, time and order: two runs of one seed give the same. */
uint64_t simulated_executor_trace(const struct simulated_executor *simulated);

#endif
