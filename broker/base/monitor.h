/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's executor (see executor.h): one mutex around the core, a timer heap and a task list
 * that whoever leaves the monitor drains, and a pool of threads for blocking work.
 *
 * A thread that is not inside calls monitor_enter, makes its calls into the core, and
 * monitor_leave, which first runs every posted task. Timers fire on the thread that calls
 * monitor_run_timers (the control loop). */
#ifndef BROKER_BASE_MONITOR_H
#define BROKER_BASE_MONITOR_H

#include "base/error.h"
#include "base/executor.h"

struct monitor;

/* `wake` is called (from any thread, inside the monitor) when the earliest timer moved forward: the
 * control loop is to run timers no later than in `delay_ms`. It must be safe to call at any time,
 * and should wake nobody before; NULL for none. Starts one pool thread at once, so a daemon forks
 * before; the others when work waits for one. */
enum error monitor_new(int work_threads, void (*wake)(void *context, int64_t delay_ms),
                       void *context, struct monitor **ret_monitor);

/* Waits for work under way, runs its done() calls, then frees. Timers left are dropped. Accepts
 * NULL. */
void monitor_free(struct monitor *monitor);

struct executor *monitor_executor(struct monitor *monitor);

/* Not recursive. */
void monitor_enter(struct monitor *monitor);
void monitor_leave(struct monitor *monitor);

/* Milliseconds until the earliest timer; 0 when due, -1 when there is none. Enters by itself. */
int64_t monitor_timeout_ms(struct monitor *monitor);

/* Fires what is due. Enters by itself. */
void monitor_run_timers(struct monitor *monitor);

/* The same, and calls `wake` for the earliest timer left, if there is one. */
void monitor_serve_timers(struct monitor *monitor);

#endif
