/* SPDX-License-Identifier: Apache-2.0 */
/* Stopping, step by step; also what a failed start goes through, so every part may be missing.
 *
 *   node_stop -> port closed -> engine closed -> partitions idle -> loop ends -> node_done
 */
#include "daemon/node.h"

#include "base/assertion.h"
#include "base/report.h"
#include "daemon/notify.h"
#include "handle/fetch_session.h"

#include <stdlib.h>
#include <unistd.h>

enum {
    PORT_GRACE_MS = 5000,    /* For answers not sent yet. */
    PORT_DEADLINE_MS = 8000, /* Then requests end as the engine does. */
    STOP_DEADLINE_MS = 60000,
    CHECK_INTERVAL_MS = 2,
};

static int64_t now_ms(const struct node *node)
{
    return executor_monotonic_ms(monitor_executor(node->control.monitor));
}

void node_start_failed(struct node *node, enum error error, const char *step)
{
    if (node->failure.code == ERROR_NONE)
        (void)failure_at(&node->failure, error, "%s", step);
    node_stop(node);
}

/* ---- last steps ---- */

static void loop_end(struct node *node)
{
    if (node->stop_timer_opened)
        uv_close((uv_handle_t *)&node->stop_timer, NULL);
    if (node->reserve_timer_opened)
        uv_close((uv_handle_t *)&node->reserve_timer, NULL);
    node->state = NODE_STOPPED;
    control_close(&node->control);
}

static void partitions_wait(uv_timer_t *timer)
{
    struct node *node = timer->data;
    monitor_enter(node->control.monitor);
    bool idle = core_idle(&node->core);
    monitor_leave(node->control.monitor); /* What was abandoned ends here. */
    enum error error = ERROR_NONE;
    if (idle) {
        mount_free(node->mount); /* Its inodes hold partitions. */
        node->mount = NULL;
        monitor_enter(node->control.monitor);
        /* A start that failed on the way has perhaps not recovered everything. */
        error = core_close(&node->core, node->net_started);
        monitor_leave(node->control.monitor);
    }
    if (error != ERROR_NONE)
        report(REPORT_ERROR, "stop_unclean", "",
               "reason=\"%s\" lost=nothing do=\"the next start recovers\"", error_text(error));
    if (idle) {
        loop_end(node);
        return;
    }
    if (now_ms(node) - node->stop_started_ms >= STOP_DEADLINE_MS) {
        report(REPORT_ERROR, "stop_unclean", "",
               "reason=\"the disk does not finish\" lost=nothing do=\"the next start recovers\"");
        _exit(EXIT_FAILURE);
    }
}

static void partitions_stop(struct node *node)
{
    monitor_enter(node->control.monitor);
    core_stop(&node->core);
    monitor_leave(node->control.monitor);
    if (!node->stop_timer_opened) {
        loop_end(node);
        return;
    }
    (void)uv_timer_start(&node->stop_timer, partitions_wait, 0, CHECK_INTERVAL_MS);
}

/* ---- engine ---- */

static void engine_closed(void *context)
{
    struct node *node = context;
    node->engine_is_closed = true;
    if (node->port_is_closed)
        partitions_stop(node);
}

static void engine_stop(struct node *node)
{
    if (node->engine_stopping)
        return;
    node->engine_stopping = true;
    if (node->engine != NULL)
        engine_close(node->engine, engine_closed, node);
    else
        engine_closed(node);
}

/* ---- port ---- */

static void port_closed_run(struct control_call *call)
{
    struct node *node = container_of(call, struct node, port_closed);
    node->port_is_closed = true;
    if (node->engine_is_closed)
        partitions_stop(node);
    else
        engine_stop(node);
}

/* On a loop's thread. */
static void port_closed(void *context)
{
    struct node *node = context;
    control_post(&node->control, &node->port_closed);
}

/* A request that waits for the quorum ends when the engine does. */
static void port_waited(uv_timer_t *timer)
{
    engine_stop(timer->data);
}

void node_stop(struct node *node)
{
    if (node->state == NODE_STOPPING || node->state == NODE_STOPPED)
        return;
    bool ran = node->state == NODE_RUNNING;
    node->state = NODE_STOPPING;
    node->stop_started_ms = now_ms(node);
    if (ran) {
        notify_service_manager("STOPPING=1");
        report(REPORT_INFO, "node_stopping", "", "node=%d", node->settings->node_id);
    }
    mount_close(node->mount);
    monitor_enter(node->control.monitor);
    core_stop_requests(&node->core);
    monitor_leave(node->control.monitor);
    node->stop_timer_opened = uv_timer_init(&node->control.loop, &node->stop_timer) == 0;
    node->stop_timer.data = node;
    node->port_closed.run = port_closed_run;
    if (node->net_started) {
        (void)uv_timer_start(&node->stop_timer, port_waited, PORT_DEADLINE_MS, 0);
        net_close(node->net, PORT_GRACE_MS, port_closed, node);
    } else {
        port_closed_run(&node->port_closed);
    }
}

void node_done(struct node *node)
{
    net_free(node->net);
    mount_free(node->mount);
    fetch_sessions_free(node->core.broker.fetch_sessions);
    if (node->engine != NULL)
        engine_free(node->engine);
    if (node->state == NODE_STOPPED && node->net_started && node->failure.code == ERROR_NONE) {
        report(REPORT_INFO, "node_stopped", "", "node=%d took_ms=%lld", node->settings->node_id,
               (long long)(now_ms(node) - node->stop_started_ms));
        (void)unlink(node->settings->pid_file);
    }
    if (node->control_opened)
        control_done(&node->control);
    catalog_free(node->catalog);
    data_close(&node->data);
}
