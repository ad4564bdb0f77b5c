/* SPDX-License-Identifier: Apache-2.0 */
/* Starting, step by step; each step that waits names the next.
 *
 *   node_start -> engine_ready -> cluster_made -> node_registered -> serve
 */
#include "daemon/node.h"

#include "base/assertion.h"
#include "base/report.h"
#include "daemon/notify.h"
#include "daemon/reserve.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

/* ---- the port ---- */

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
        };
    struct net_options options = {
        .monitor = node->control.monitor,
        .broker = &node->core.broker,
        .handler = {handle_supports, handle_admit, handle_prepare, handle_start},
        .listeners = listeners,
        .listener_count = settings->listener_count,
        .limits = settings->limits,
    };
    enum error error = net_open(&options, &node->net, &node->failure);
    if (error != ERROR_NONE)
        return error;
    for (uint32_t i = 0; i < settings->listener_count; i++) {
        if (!settings->insecure && !net_is_loopback(node->net, i))
            return failure_because(
                &node->failure, ERROR_INVALID_CONFIG,
                "listener %s://%s:%u is not loopback and has no authentication: set "
                "topicfs.insecure=true to allow it",
                settings->listeners[i].name, settings->listeners[i].host,
                settings->listeners[i].port);
    }
    return ERROR_NONE;
}

static int32_t advertised_port(const struct node *node)
{
    int32_t port = node->settings->advertised[0].port;
    return port != 0 ? port : net_port(node->net, 0);
}

/* ---- the engine ---- */

static void engine_ready(void *context, enum error error);

static enum error engine_begin(struct node *node)
{
    const struct settings *settings = node->settings;
    char directory[PATH_MAX];
    char address[ENDPOINT_HOST_BYTES + 16];
    (void)snprintf(directory, sizeof directory, "%s/raft", settings->data_directory);
    (void)snprintf(address, sizeof address, "%s:%d", settings->advertised[0].host,
                   advertised_port(node));
    struct engine_options options = {
        .loop = &node->control.loop,
        .monitor = node->control.monitor,
        .catalog = node->catalog,
        .directory = directory,
        .node_id = (uint64_t)settings->node_id + 1, /* Raft's ids begin at 1, Kafka's at 0. */
        .address = address,
        .bootstrap = node->data.fresh,
        .ready = engine_ready,
        .context = node,
    };
    enum error error = engine_open(&options, &node->engine, &node->failure);
    if (error != ERROR_NONE)
        return failure_at(&node->failure, error, "open %s", directory);
    monitor_enter(node->control.monitor);
    catalog_set_proposer(node->catalog, engine_proposer(node->engine));
    monitor_leave(node->control.monitor);
    return ERROR_NONE;
}

enum error node_start(struct node *node)
{
    struct executor *executor = monitor_executor(node->control.monitor);
    node->started_ns = executor_monotonic_ns(executor);
    if (node->settings->cluster.node_count > 0)
        return failure_because(&node->failure, ERROR_INVALID_CONFIG,
                               "topicfs.nodes: clusters of several nodes are not supported yet");
    enum error error = port_open(node);
    if (error != ERROR_NONE)
        return error;
    error = data_open(node->settings, executor, &node->data, &node->failure);
    if (error != ERROR_NONE)
        return error;
    error = catalog_new(executor, &node->catalog);
    if (error != ERROR_NONE)
        return failure_at(&node->failure, error, "make the catalog");
    return engine_begin(node);
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

/* Everything a handler may reach. Inside the monitor. */
static enum error core_begin(struct node *node)
{
    node->reporter.report = partition_reported;
    struct core_options options = {
        .executor = monitor_executor(node->control.monitor),
        .storage = node->data.storage,
        .directory = node->data.directory,
        .catalog = node->catalog,
        .config = node->settings->config,
        .data_directory = node->settings->data_directory,
        .node_id = node->settings->node_id,
        .reporter = &node->reporter,
        .fresh = node->data.fresh,
    };
    return core_open(&node->core, &options);
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
    monitor_enter(node->control.monitor);
    enum error error = core_begin(node);
    monitor_leave(node->control.monitor);
    if (error != ERROR_NONE) {
        node_start_failed(node, error, "take up the partitions");
        return;
    }
    error = net_start(node->net, &node->failure);
    if (error != ERROR_NONE) {
        node_start_failed(node, error, "serve the port");
        return;
    }
    node->net_started = true;
    error = mount_begin(node);
    if (error != ERROR_NONE) {
        node_start_failed(node, error, "mount");
        return;
    }
    error = pid_file_write(node->settings->pid_file, &node->failure);
    if (error != ERROR_NONE) {
        node_start_failed(node, error, "write the pid file");
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

/* ---- the cluster ---- */

static struct node *node_of_proposal(struct catalog_proposal *proposal)
{
    return container_of(proposal, struct node, proposal);
}

/* Proposals end inside the monitor, on any thread: their next steps run on the control loop. */
static void propose(struct node *node, const struct catalog_command *command,
                    void (*next)(struct control_call *call))
{
    node->proposal_ended.run = next;
    monitor_enter(node->control.monitor);
    catalog_propose(node->catalog, command, &node->proposal);
    monitor_leave(node->control.monitor);
}

static void proposal_done(struct catalog_proposal *proposal)
{
    struct node *node = node_of_proposal(proposal);
    control_post(&node->control, &node->proposal_ended);
}

static void node_registered(struct control_call *call)
{
    struct node *node = container_of(call, struct node, proposal_ended);
    if (node->state != NODE_STARTING)
        return;
    enum error error = node->proposal.outcome.error;
    if (error != ERROR_NONE) {
        node_start_failed(node, error, "register the node");
        return;
    }
    serve(node);
}

static void register_node(struct node *node)
{
    const struct settings *settings = node->settings;
    struct executor *executor = monitor_executor(node->control.monitor);
    const struct log_identity *identity = log_directory_identity(node->data.directory);
    struct catalog_command command = {
        .kind = CATALOG_NODE_REGISTER,
        .id = uuid_random(executor),
        .wall_clock_ms = executor_wall_clock_ms(executor),
        .node = {.id = settings->node_id,
                 .port = advertised_port(node),
                 .incarnation_id = uuid_random(executor),
                 .directory_id = identity->directory_id,
                 .registered_ms = executor_wall_clock_ms(executor)},
        .node_id = settings->node_id,
        .clean = node->data.fresh || log_directory_was_clean(node->data.directory),
    };
    const char *durability = config_node_value(settings->config, "topicfs.durability", NULL);
    command.node.sync_default = strcmp(durability, "fsync") == 0;
    (void)snprintf(command.node.host, sizeof command.node.host, "%s", settings->advertised[0].host);
    const char *rack = config_node_value(settings->config, "broker.rack", NULL);
    (void)snprintf(command.node.rack, sizeof command.node.rack, "%s", rack == NULL ? "" : rack);
    propose(node, &command, node_registered);
}

static void cluster_made(struct control_call *call)
{
    struct node *node = container_of(call, struct node, proposal_ended);
    if (node->state != NODE_STARTING)
        return;
    enum error error = node->proposal.outcome.error;
    if (error != ERROR_NONE)
        node_start_failed(node, error, "found the cluster");
    else
        register_node(node);
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
    node->proposal.done = proposal_done;
    monitor_enter(node->control.monitor);
    struct uuid cluster_id = catalog_cluster_id(node->catalog);
    monitor_leave(node->control.monitor);
    const struct log_identity *identity = log_directory_identity(node->data.directory);
    if (uuid_is_zero(&cluster_id)) {
        struct catalog_command command = {
            .kind = CATALOG_CLUSTER_INIT,
            .id = uuid_random(monitor_executor(node->control.monitor)),
            .cluster_id = identity->cluster_id,
        };
        propose(node, &command, cluster_made);
    } else if (!uuid_equals(&cluster_id, &identity->cluster_id)) {
        node_start_failed(node, ERROR_INCONSISTENT_CLUSTER_ID, "compare raft and meta.properties");
    } else {
        register_node(node);
    }
}
