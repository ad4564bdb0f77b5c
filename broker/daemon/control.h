/* SPDX-License-Identifier: Apache-2.0 */
/* The control loop: the main thread's uv loop with the monitor's timers and the signals that stop
 * the node. The engine lives on it too. */
#ifndef BROKER_DAEMON_CONTROL_H
#define BROKER_DAEMON_CONTROL_H

#include "base/monitor.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <uv.h>

/* What signals mean; called on the loop. */
struct control_signals {
    void (*stop)(void *context);   /* SIGTERM, SIGINT. */
    void (*reopen)(void *context); /* SIGHUP. */
    void *context;
};

struct control {
    uv_loop_t loop;
    uv_async_t wake; /* A call was posted. */
    int timer;       /* timerfd: the monitor's earliest timer. Whoever starts an earlier one
                        sets it, and wakes nobody with that. */
    uv_poll_t timer_poll;
    uv_signal_t signals[3]; /* SIGTERM, SIGINT, SIGHUP. */
    struct monitor *monitor;
    pthread_mutex_t mutex; /* Guards calls. */
    struct list calls;     /* struct control_call */
    struct control_signals on;
    bool closed;
};

/* Something to run on the control loop's thread. Owned by the poster until it runs. */
struct control_call {
    struct list link;
    void (*run)(struct control_call *call);
};

/* Makes loop and monitor. */
enum error control_open(struct control *control, int work_threads, const struct control_signals *on,
                        struct failure *failure);

/* Until control_close and every handle on the loop is closed. */
void control_run(struct control *control);

/* Any thread. */
void control_post(struct control *control, struct control_call *call);

/* Closes its own handles; on the loop's thread. Timers no longer fire. */
void control_close(struct control *control);

/* After control_run (or when nothing was run): frees monitor and loop. */
void control_done(struct control *control);

#endif
