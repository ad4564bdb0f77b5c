/* SPDX-License-Identifier: Apache-2.0 */
/* Starting, step by step; each step that waits names the next.
 *
 *   node_start -> [node_cluster_find] -> node_cluster_agreed -> engine_ready -> core_start -> serve
 */
#include "daemon/node.h"

#include "base/assertion.h"
#include "base/report.h"
#include "daemon/notify.h"
#include "daemon/reserve.h"
#include "net/address.h"

#include <limits.h>

/* Checking less than this costs less than the way to the pool and back, and is soon over. */
enum { FETCH_EARLY_BYTES_MAX = 256 << 10 };
#include <stdio.h>
#include <string.h>

/* ---- the port ---- */

static bool gate_admit(struct request *request)
{
    return node_admits(request) && handle_admit(request);
}

static void gate_start(struct request *request)
{
    if (node_admits(request)) {
        handle_start(request);
        return;
    }
    if (request->requester.nodes_only && request->requester.peer_node_id == PEER_CLIENT)
        report(REPORT_WARNING, "client_refused", "",
               "from=%.*s reason=\"this listener is not loopback and clients cannot prove who they "
               "are\" do=\"connect on the node itself, or set topicfs.insecure=true\"",
               SLICE_PRINT(request->requester.client_host));
    request->close_connection = true;
    request_complete(request);
}

static bool in_cluster(const struct node *node)
{
    return node->settings->cluster.node_count > 0;
}

/* A name that does not resolve is refused when the port is bound. */
static bool endpoint_is_loopback(const struct endpoint *endpoint)
{
    struct address address;
    return address_resolve(endpoint->host, endpoint->port, &address, NULL) == ERROR_NONE &&
           address_is_loopback(&address);
}

static enum error port_open(struct node *node)
{
    const struct settings *settings = node->settings;
    struct net_listener_options listeners[ENDPOINTS_MAX];
    for (uint32_t i = 0; i < settings->listener_count; i++)
        listeners[i] = (struct net_listener_options){
            .name = settings->listeners[i].name,
            .host = settings->listeners[i].host,
            .port = settings->listeners[i].port,
            .advertised_host = settings->advertised[i].host,
            .advertised_port = settings->advertised[i].port,
            .nodes_only = in_cluster(node) && !settings->insecure &&
                          !endpoint_is_loopback(&settings->listeners[i]),
        };
    struct net_options options = {
        .monitor = node->control.monitor,
        .broker = &node->core.broker,
        .handler = {handle_supports, gate_admit, handle_prepare, gate_start},
        .listeners = listeners,
        .listener_count = settings->listener_count,
        .limits = settings->limits,
        .raft_accepted = in_cluster(node) ? node_cluster_raft_accepted : NULL,
        .raft_context = node,
    };
    return net_open(&options, &node->net, &node->failure);
}

/* Off loopback only who proves himself is let in, unless the operator says otherwise: clients
 * cannot yet, nodes of a cluster can. */
static enum error port_check(struct node *node)
{
    const struct settings *settings = node->settings;
    for (uint32_t i = 0; i < settings->listener_count; i++) {
        if (!settings->insecure && !in_cluster(node) && !net_is_loopback(node->net, i))
            return failure_because(
                &node->failure, ERROR_INVALID_CONFIG,
                "listener %s://%s:%u is not loopback and has no authentication: set "
                "topicfs.insecure=true to allow it",
                settings->listeners[i].name, settings->listeners[i].host,
                settings->listeners[i].port);
    }
    return ERROR_NONE;
}

int32_t node_advertised_port(const struct node *node)
{
    int32_t port = node->settings->advertised[node->settings->node_listener].port;
    return port != 0 ? port : net_port(node->net, node->settings->node_listener);
}

/* ---- the engine ---- */

static void engine_ready(void *context, enum error error);

/* Inside the monitor. */
static void engine_changed(void *context, const struct engine_state *state)
{
    struct node *node = context;
    if (in_cluster(node))
        engine_quorum_changed(&node->cluster.quorum, state);
}

enum error node_cluster_agreed(struct node *node)
{
    const struct settings *settings = node->settings;
    char directory[PATH_MAX];
    char address[ENDPOINT_HOST_BYTES + 16];
    struct engine_member members[FOUNDING_MEMBERS_MAX];
    (void)snprintf(directory, sizeof directory, "%s/raft", settings->data_directory);
    (void)snprintf(address, sizeof address, "%s:%d",
                   settings->advertised[settings->node_listener].host, node_advertised_port(node));
    struct engine_options options = {
        .loop = &node->control.loop,
        .monitor = node->control.monitor,
        .catalog = node->catalog,
        .directory = directory,
        .node_id = engine_id_of_node(settings->node_id),
        .address = address,
        .bootstrap = node->data.fresh,
        .changed = engine_changed,
        .ready = engine_ready,
        .context = node,
    };
    if (in_cluster(node))
        node_cluster_engine_options(node, &options, members);
    enum error error = engine_open(&options, &node->engine, &node->failure);
    if (error != ERROR_NONE)
        return failure_at(&node->failure, error, "open %s", directory);
    monitor_enter(node->control.monitor);
    node->cluster.quorum.engine = node->engine;
    catalog_set_proposer(node->catalog, engine_proposer(node->engine));
    monitor_leave(node->control.monitor);
    return ERROR_NONE;
}

static enum error port_serve(struct node *node)
{
    enum error error = net_start(node->net, &node->failure);
    if (error != ERROR_NONE)
        return failure_at(&node->failure, error, "serve the port");
    node->net_started = true;
    return ERROR_NONE;
}

enum error node_start(struct node *node)
{
    struct executor *executor = monitor_executor(node->control.monitor);
    node->started_ns = executor_monotonic_ns(executor);
    enum error error = port_open(node);
    if (error == ERROR_NONE)
        error = port_check(node);
    if (error == ERROR_NONE)
        error = data_open(node->settings, executor, &node->data, &node->failure);
    if (error != ERROR_NONE)
        return error;
    error = catalog_new(executor, &node->catalog);
    if (error != ERROR_NONE)
        return failure_at(&node->failure, error, "make the catalog");
    core_init(&node->core, executor, node->catalog, node->settings->config);
    if (!in_cluster(node))
        return node_cluster_agreed(node);
    error = node_cluster_open(node);
    if (error == ERROR_NONE)
        error = port_serve(node); /* The other nodes ask before there is a cluster. */
    return error == ERROR_NONE ? node_cluster_find(node) : error;
}

/* ---- serving ---- */

static void partition_reported(struct partition_reporter *reporter, int level, const char *event,
                               const char *topic, int32_t partition, const char *detail)
{
    (void)reporter;
    char subject[TOPIC_NAME_BYTES_MAX + 40];
    (void)snprintf(subject, sizeof subject, "topic=%s partition=%d", topic, partition);
    report((enum report_level)level, event, subject, "%s", detail);
}

static void stop_asked(struct control_call *call)
{
    node_stop(container_of(call, struct node, stop_asked));
}

/* On a thread of the mount, once: umount(8). */
static void mount_ended(void *context)
{
    struct node *node = context;
    node->stop_asked.run = stop_asked;
    control_post(&node->control, &node->stop_asked);
}

static enum error mount_begin(struct node *node)
{
    const struct settings *settings = node->settings;
    if (settings->mount_point == NULL)
        return ERROR_NONE;
    struct mount_settings mount = {
        .path = settings->mount_point,
        .options = settings->mount_options,
        .threads = settings->mount_threads,
        .monitor = node->control.monitor,
        .broker = &node->core.broker,
        .ended = mount_ended,
        .context = node,
    };
    return mount_open(&mount, &node->mount, &node->failure);
}

static void reserve_due(uv_timer_t *timer)
{
    const struct node *node = timer->data;
    reserve_keep(node->settings->data_directory);
}

static void reserve_begin(struct node *node)
{
    reserve_keep(node->settings->data_directory);
    node->reserve_timer_opened = uv_timer_init(&node->control.loop, &node->reserve_timer) == 0;
    node->reserve_timer.data = node;
    if (node->reserve_timer_opened)
        (void)uv_timer_start(&node->reserve_timer, reserve_due, RESERVE_CHECK_MS, RESERVE_CHECK_MS);
}

static void serve(struct node *node)
{
    enum error error = node->net_started ? ERROR_NONE : port_serve(node);
    if (error != ERROR_NONE) {
        node_start_failed(node, error, "serve the port");
        return;
    }
    error = mount_begin(node);
    if (error != ERROR_NONE) {
        node_start_failed(node, error, "mount");
        return;
    }
    node->state = NODE_RUNNING;
    reserve_begin(node);
    int64_t took_ns = executor_monotonic_ns(node->core.broker.executor) - node->started_ns;
    report(REPORT_INFO, "node_started", "",
           "node=%d port=%u data=%s mount=%s partitions=%u clean=%s took_ms=%lld",
           node->core.broker.node_id, net_port(node->net, 0), node->settings->data_directory,
           node->mount == NULL ? "none" : node->settings->mount_point,
           catalog_partition_count(node->catalog),
           node->data.fresh || log_directory_was_clean(node->data.directory) ? "yes" : "no",
           (long long)(took_ns / 1000000));
    char keys[300];
    settings_without_effect(node->settings, keys, sizeof keys);
    if (keys[0] != '\0')
        report(REPORT_WARNING, "settings_without_effect", "",
               "keys=\"%s\" lost=nothing do=\"topicfs --help=config says why\"", keys);
    notify_service_manager("READY=1");
    background_ready(node->background);
}

/* ---- the core ---- */

static void core_started_run(struct control_call *call)
{
    struct node *node = container_of(call, struct node, core_started);
    if (node->state != NODE_STARTING)
        return;
    if (node->core_error != ERROR_NONE)
        node_start_failed(node, node->core_error, node->core_step);
    else
        serve(node);
}

/* Inside the monitor, on any thread: the next steps run on the control loop. */
static void core_started(void *context, enum error error, const char *step)
{
    struct node *node = context;
    node->core_error = error;
    node->core_step = step;
    node->core_started.run = core_started_run;
    control_post(&node->control, &node->core_started);
}

static void removed_run(struct control_call *call)
{
    struct node *node = container_of(call, struct node, removed);
    report(REPORT_ERROR, "node_removed", "",
           "node=%d reason=\"the cluster does not know this node any more\" lost=nothing "
           "do=\"start it with an empty log.dirs to have it join as a new one\"",
           node->core.broker.node_id);
    if (node->state == NODE_STARTING)
        node_start_failed(node, ERROR_BROKER_ID_NOT_REGISTERED,
                          "the cluster does not know this node any more");
    else
        node_stop(node);
}

static void core_removed(void *context)
{
    struct node *node = context;
    node->removed.run = removed_run;
    control_post(&node->control, &node->removed);
}

static void core_begin(struct node *node)
{
    const struct settings *settings = node->settings;
    const struct log_identity *identity = log_directory_identity(node->data.directory);
    bool cluster = in_cluster(node);
    node->reporter.report = partition_reported;
    struct core_options options = {
        .executor = monitor_executor(node->control.monitor),
        .storage = node->data.storage,
        .directory = node->data.directory,
        .catalog = node->catalog,
        .local = engine_proposer(node->engine),
        .config = settings->config,
        .data_directory = settings->data_directory,
        .node_id = identity->node_id,
        .host = settings->advertised[settings->node_listener].host,
        .port = node_advertised_port(node),
        .rack = config_node_value(settings->config, "broker.rack", NULL),
        .version = TOPICFS_VERSION,
        .reporter = &node->reporter,
        .fresh = node->data.fresh,
        .fetch_early_bytes_max = FETCH_EARLY_BYTES_MAX,
        .caller = cluster ? peers_caller(node->cluster.peers) : NULL,
        .quorum = cluster ? &node->cluster.quorum.quorum : NULL,
        .founding = node->cluster.founding.founder ? &node->cluster.founding : NULL,
        .started = core_started,
        .removed = core_removed,
        .context = node,
    };
    monitor_enter(node->control.monitor);
    enum error error = core_start(&node->core, &options);
    monitor_leave(node->control.monitor);
    if (error != ERROR_NONE)
        node_start_failed(node, error, "put the node together");
}

/* The catalog holds everything that was committed before; a fresh one learns its cluster's id. */
static void engine_ready(void *context, enum error error)
{
    struct node *node = context;
    if (node->state != NODE_STARTING)
        return;
    if (error != ERROR_NONE) {
        node_start_failed(node, error, "start the metadata quorum");
        return;
    }
    if (in_cluster(node))
        error = node_cluster_identify(node);
    if (error != ERROR_NONE)
        node_start_failed(node, error, "say whose data this is");
    else
        core_begin(node);
}
