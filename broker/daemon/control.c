/* SPDX-License-Identifier: Apache-2.0 */
/* Timers, signals and calls on the main thread. */
#include "daemon/control.h"

#include "base/assertion.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* Any thread, inside the monitor: so the earliest timer is always set last. */
static void timer_set(void *context, int64_t delay_ms)
{
    const struct control *control = context;
    struct itimerspec when = {.it_value = {.tv_sec = (time_t)(delay_ms / 1000),
                                           .tv_nsec = (long)(delay_ms % 1000) * 1000000}};
    if (delay_ms <= 0)
        when.it_value = (struct timespec){.tv_nsec = 1}; /* All zero would stop it. */
    int refused = timerfd_settime(control->timer, 0, &when, NULL);
    ASSERT(refused == 0);
}

static void timer_fired(uv_poll_t *poll, int status, int events)
{
    struct control *control = poll->data;
    uint64_t times;
    (void)status;
    (void)events;
    /* Nothing to read: it was set again meanwhile. */
    if (read(control->timer, &times, sizeof times) == (ssize_t)sizeof times)
        monitor_serve_timers(control->monitor);
}

static void run_calls(struct control *control)
{
    struct list calls;
    (void)pthread_mutex_lock(&control->mutex);
    list_move(&control->calls, &calls);
    (void)pthread_mutex_unlock(&control->mutex);
    for (struct list *link; (link = list_take(&calls)) != NULL;) {
        struct control_call *call = container_of(link, struct control_call, link);
        call->run(call);
    }
}

static void woken(uv_async_t *wake)
{
    struct control *control = wake->data;
    run_calls(control);
}

static void signal_arrived(uv_signal_t *handle, int number)
{
    struct control *control = handle->data;
    if (number == SIGHUP)
        control->on.reopen(control->on.context);
    else
        control->on.stop(control->on.context);
}

void control_post(struct control *control, struct control_call *call)
{
    (void)pthread_mutex_lock(&control->mutex);
    list_push(&control->calls, &call->link);
    (void)pthread_mutex_unlock(&control->mutex);
    (void)uv_async_send(&control->wake);
}

enum error control_open(struct control *control, int work_threads, const struct control_signals *on,
                        struct failure *failure)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
    *control = (struct control){.on = *on};
    control->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (control->timer < 0)
        return failure_at(failure, ERROR_OUT_OF_MEMORY, "make the control loop's timer: %s",
                          strerror(errno));
    list_init(&control->calls);
    (void)pthread_mutex_init(&control->mutex, NULL);
    int refused = uv_loop_init(&control->loop);
    if (refused == 0)
        refused = uv_async_init(&control->loop, &control->wake, woken);
    if (refused == 0)
        refused = uv_poll_init(&control->loop, &control->timer_poll, control->timer);
    if (refused != 0)
        return failure_at(failure, ERROR_OUT_OF_MEMORY, "make the control loop: %s",
                          uv_strerror(refused));
    control->wake.data = control;
    control->timer_poll.data = control;
    (void)uv_poll_start(&control->timer_poll, UV_READABLE, timer_fired);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        (void)uv_signal_init(&control->loop, &control->signals[i]);
        control->signals[i].data = control;
        (void)uv_signal_start(&control->signals[i], signal_arrived, numbers[i]);
    }
    return monitor_new(work_threads, timer_set, control, &control->monitor);
}

void control_run(struct control *control)
{
    (void)uv_run(&control->loop, UV_RUN_DEFAULT);
}

void control_close(struct control *control)
{
    if (control->closed)
        return;
    control->closed = true;
    uv_close((uv_handle_t *)&control->timer_poll, NULL);
    for (size_t i = 0; i < sizeof control->signals / sizeof control->signals[0]; i++)
        uv_close((uv_handle_t *)&control->signals[i], NULL);
    /* The wake goes last, in control_done: calls may be posted until then. So does the timer's
     * descriptor: the monitor may set it until it is freed. */
    uv_unref((uv_handle_t *)&control->wake);
}

void control_done(struct control *control)
{
    control_close(control);
    monitor_free(control->monitor);
    control->monitor = NULL;
    (void)close(control->timer);
    uv_close((uv_handle_t *)&control->wake, NULL);
    (void)uv_run(&control->loop, UV_RUN_DEFAULT);
    int busy = uv_loop_close(&control->loop);
    ASSERT(busy == 0);
    (void)pthread_mutex_destroy(&control->mutex);
}
