/* SPDX-License-Identifier: Apache-2.0 */
/* Stopping, step by step; also what a failed start goes through, so every part may be missing.
 *
 *   node_stop -> [handed over] -> port closed -> core quiet -> engine closed -> [peers closed]
 *             -> partitions idle -> loop ends -> node_done
 */
#include "daemon/node.h"

#include "base/assertion.h"
#include "base/report.h"
#include "daemon/notify.h"
#include "handle/fetch_session.h"

#include <stdlib.h>
#include <unistd.h>

enum {
    HAND_OVER_MS = 15000,    /* For others to take over. */
    PORT_GRACE_MS = 5000,    /* For answers not sent yet. */
    PORT_DEADLINE_MS = 8000, /* Then requests end as the engine does. */
    QUIET_MS = 1000,         /* For requests to other nodes to end by themselves. */
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

static bool core_is_quiet(struct node *node)
{
    monitor_enter(node->control.monitor);
    bool quiet = core_quiet(&node->core);
    monitor_leave(node->control.monitor);
    return quiet;
}

static void partitions_stop(struct node *node)
{
    node_cluster_free_transport(node);
    monitor_enter(node->control.monitor);
    core_stop(&node->core);
    monitor_leave(node->control.monitor);
    if (!node->stop_timer_opened) {
        loop_end(node);
        return;
    }
    (void)uv_timer_start(&node->stop_timer, partitions_wait, 0, CHECK_INTERVAL_MS);
}

/* Engine and links have ended whatever was asked of them: only the word has to get around. */
static void word_wait(uv_timer_t *timer)
{
    struct node *node = timer->data;
    if (!core_is_quiet(node))
        return;
    (void)uv_timer_stop(timer);
    partitions_stop(node);
}

/* ---- links to other nodes ---- */

static void peers_closed_run(struct control_call *call)
{
    struct node *node = container_of(call, struct node, peers_closed);
    node->cluster.peers_are_closed = true;
    if (core_is_quiet(node))
        partitions_stop(node);
    else
        (void)uv_timer_start(&node->stop_timer, word_wait, 0, CHECK_INTERVAL_MS);
}

/* ---- engine ---- */

static void engine_closed(void *context)
{
    struct node *node = context;
    node->engine_is_closed = true;
    if (!node->port_is_closed)
        return;
    node->peers_closed.run = peers_closed_run;
    node_cluster_close_peers(node);
}

static void engine_stop(struct node *node)
{
    if (node->engine_stopping)
        return;
    node->engine_stopping = true;
    monitor_enter(node->control.monitor);
    node->cluster.quorum.engine = NULL; /* Changes of its members end as CLOSING from now on. */
    monitor_leave(node->control.monitor);
    if (node->engine != NULL)
        engine_close(node->engine, engine_closed, node);
    else
        engine_closed(node);
}

/* ---- heartbeat, controller, fetchers ---- */

/* What the quorum was asked may wait for a leader there never is again: the engine's end ends it.
 */
static void quiet_wait(uv_timer_t *timer)
{
    struct node *node = timer->data;
    if (!core_is_quiet(node) && now_ms(node) - node->quiet_asked_ms < QUIET_MS)
        return;
    (void)uv_timer_stop(timer);
    engine_stop(node);
}

/* Every call under way ends, also those that wait at a node that does not answer. */
static void core_quieten(struct node *node)
{
    if (node->core_quietening)
        return;
    node->core_quietening = true;
    monitor_enter(node->control.monitor);
    core_stop_cluster(&node->core);
    monitor_leave(node->control.monitor);
    node->quiet_asked_ms = now_ms(node);
    if (!node->stop_timer_opened || core_is_quiet(node))
        engine_stop(node);
    else
        (void)uv_timer_start(&node->stop_timer, quiet_wait, 0, CHECK_INTERVAL_MS);
}

/* ---- port ---- */

static void port_closed_run(struct control_call *call)
{
    struct node *node = container_of(call, struct node, port_closed);
    node->port_is_closed = true;
    if (node->engine_is_closed)
        engine_closed(node);
    else
        core_quieten(node);
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
    core_quieten(timer->data);
}

static void port_stop(struct node *node)
{
    monitor_enter(node->control.monitor);
    node_cluster_stop_finding(node);
    core_stop_requests(&node->core);
    monitor_leave(node->control.monitor);
    node->port_closed.run = port_closed_run;
    if (node->net_started) {
        (void)uv_timer_start(&node->stop_timer, port_waited, PORT_DEADLINE_MS, 0);
        net_close(node->net, PORT_GRACE_MS, port_closed, node);
    } else {
        port_closed_run(&node->port_closed);
    }
}

/* ---- leadership ---- */

static void handed_over_run(struct control_call *call)
{
    port_stop(container_of(call, struct node, handed_over));
}

/* Inside the monitor. Also when nobody could take over: the node stops all the same. */
static void handed_over(void *context, enum error error)
{
    struct node *node = context;
    if (error != ERROR_NONE)
        report(REPORT_WARNING, "handover_incomplete", "",
               "reason=\"%s\" lost=nothing do=\"partitions of this node wait for an election\"",
               error_text(error));
    control_post(&node->control, &node->handed_over);
}

/* Others lead what this node leads before it goes (controlled.shutdown.enable). */
static bool hand_over(struct node *node)
{
    if (!config_node_boolean(node->settings->config, "controlled.shutdown.enable"))
        return false;
    node->handed_over.run = handed_over_run;
    monitor_enter(node->control.monitor);
    bool begun = core_hand_over(&node->core, HAND_OVER_MS, handed_over, node);
    monitor_leave(node->control.monitor);
    return begun;
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
        report(REPORT_INFO, "node_stopping", "", "node=%d", node->core.broker.node_id);
    }
    mount_close(node->mount);
    node->stop_timer_opened = uv_timer_init(&node->control.loop, &node->stop_timer) == 0;
    node->stop_timer.data = node;
    if (!ran || !hand_over(node))
        port_stop(node);
}

void node_done(struct node *node)
{
    net_free(node->net);
    mount_free(node->mount);
    fetch_sessions_free(node->core.broker.fetch_sessions);
    if (node->engine != NULL)
        engine_free(node->engine);
    node_cluster_done(node);
    if (node->state == NODE_STOPPED && node->net_started && node->failure.code == ERROR_NONE)
        report(REPORT_INFO, "node_stopped", "", "node=%d took_ms=%lld", node->core.broker.node_id,
               (long long)(now_ms(node) - node->stop_started_ms));
    if (node->pid_file_written)
        (void)unlink(node->settings->pid_file);
    if (node->control_opened)
        control_done(&node->control);
    catalog_free(node->catalog);
    data_close(&node->data);
}
