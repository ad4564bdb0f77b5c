/* SPDX-License-Identifier: Apache-2.0 */
/* Timers, signals and calls on the main thread. */
#include "daemon/control.h"

#include "base/assertion.h"

#include <signal.h>

static void timer_fired(uv_timer_t *timer);

/* Sleeps until the monitor's earliest timer is due. */
static void timer_arm(struct control *control)
{
    int64_t timeout_ms = monitor_timeout_ms(control->monitor);
    if (timeout_ms < 0) {
        (void)uv_timer_stop(&control->timer);
        return;
    }
    uv_update_time(&control->loop);
    (void)uv_timer_start(&control->timer, timer_fired, (uint64_t)timeout_ms, 0);
}

static void timer_fired(uv_timer_t *timer)
{
    struct control *control = timer->data;
    monitor_run_timers(control->monitor);
    timer_arm(control);
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
    if (!control->closed)
        timer_arm(control);
}

/* Any thread, inside the monitor. */
static void monitor_woke(void *context)
{
    (void)uv_async_send(&((struct control *)context)->wake);
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
    list_init(&control->calls);
    (void)pthread_mutex_init(&control->mutex, NULL);
    int refused = uv_loop_init(&control->loop);
    if (refused == 0)
        refused = uv_async_init(&control->loop, &control->wake, woken);
    if (refused != 0)
        return failure_at(failure, ERROR_OUT_OF_MEMORY, "make the control loop: %s",
                          uv_strerror(refused));
    control->wake.data = control;
    (void)uv_timer_init(&control->loop, &control->timer);
    control->timer.data = control;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        (void)uv_signal_init(&control->loop, &control->signals[i]);
        control->signals[i].data = control;
        (void)uv_signal_start(&control->signals[i], signal_arrived, numbers[i]);
    }
    return monitor_new(work_threads, monitor_woke, control, &control->monitor);
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
    (void)uv_timer_stop(&control->timer);
    uv_close((uv_handle_t *)&control->timer, NULL);
    for (size_t i = 0; i < sizeof control->signals / sizeof control->signals[0]; i++)
        uv_close((uv_handle_t *)&control->signals[i], NULL);
    /* The wake goes last, in control_done: the monitor may call it until it is freed. */
    uv_unref((uv_handle_t *)&control->wake);
}

void control_done(struct control *control)
{
    control_close(control);
    monitor_free(control->monitor);
    control->monitor = NULL;
    uv_close((uv_handle_t *)&control->wake, NULL);
    (void)uv_run(&control->loop, UV_RUN_DEFAULT);
    int busy = uv_loop_close(&control->loop);
    ASSERT(busy == 0);
    (void)pthread_mutex_destroy(&control->mutex);
}
