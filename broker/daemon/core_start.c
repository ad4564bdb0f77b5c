/* SPDX-License-Identifier: Apache-2.0 */
/* A core's start, step by step; each step that waits names the next.
 *
 *   core_start -> cluster_named -> defaults_set -> registered -> (heartbeat) -> started
 *                                                    ^
 *                     the controller lost sight of us: stale epoch
 */
#include "base/assertion.h"
#include "daemon/core.h"
#include "handle/cluster_view.h"

#include <stdio.h>

enum { FOUNDERS_FOR_REPLICAS = 3, REGISTER_RETRY_MS = 200 };

static void tell_started(struct core *core, enum error error, const char *step)
{
    if (core->is_started || core->cluster_stopped)
        return;
    core->is_started = true;
    core->options.started(core->options.context, error, step);
}

/* ---- proposing, one at a time ---- */

static void proposal_done(struct catalog_proposal *proposal)
{
    struct core *core = container_of(proposal, struct core, proposal);
    core->proposing = false;
    if (!core->cluster_stopped)
        core->next(core);
}

static void propose(struct core *core, struct catalog_command *command, const char *step,
                    void (*next)(struct core *core))
{
    ASSERT(!core->proposing);
    core->proposing = true;
    core->step = step;
    core->next = next;
    core->proposal.done = proposal_done;
    catalog_propose(core->options.catalog, command, &core->proposal);
}

static bool proposal_failed(struct core *core)
{
    if (core->proposal.outcome.error == ERROR_NONE)
        return false;
    tell_started(core, core->proposal.outcome.error, core->step);
    return true;
}

/* ---- heartbeat ---- */

static struct core *core_of(struct heartbeat_events *events)
{
    return container_of(events, struct core, events);
}

static void lease_changed(struct heartbeat_events *events, bool held)
{
    partition_table_lease(core_of(events)->broker.partitions, held);
}

static bool lease_held(struct partition_lease *lease)
{
    const struct core *core = container_of(lease, struct core, lease);
    return core->heartbeat == NULL || heartbeat_lease_held(core->heartbeat);
}

static void fence_changed(struct heartbeat_events *events, bool fenced)
{
    if (!fenced)
        tell_started(core_of(events), ERROR_NONE, NULL);
}

static void unregistered(struct heartbeat_events *events)
{
    struct core *core = core_of(events);
    if (!core->cluster_stopped)
        core->options.removed(core->options.context);
}

static void register_node(struct core *core, bool clean);

/* Another registration of this id came between, or ours is not known any more as it was: this
 * process has lost nothing. */
static void stale_epoch(struct heartbeat_events *events)
{
    struct core *core = core_of(events);
    if (!core->proposing && !core->cluster_stopped)
        register_node(core, true);
}

static void disk_look(void *context, int64_t *ret_total_bytes, int64_t *ret_free_bytes)
{
    struct storage_space space;
    if (storage_space(((struct core *)context)->options.storage, &space) != ERROR_NONE)
        return;
    *ret_total_bytes = (int64_t)space.total_bytes;
    *ret_free_bytes = (int64_t)space.free_bytes;
}

static enum error heartbeat_make(struct core *core)
{
    const struct config_set *config = core->options.config;
    core->events = (struct heartbeat_events){.lease = lease_changed,
                                             .fenced = fence_changed,
                                             .unregistered = unregistered,
                                             .stale_epoch = stale_epoch};
    struct heartbeat_options options = {
        .executor = core->options.executor,
        .caller = core->options.caller,
        .quorum = core->options.quorum,
        .catalog = core->options.catalog,
        .membership = core->broker.membership,
        .view = core->broker.cluster_view,
        .events = &core->events,
        .node_id = core->options.node_id,
        .interval_ms = config_node_number(config, "broker.heartbeat.interval.ms"),
        .session_timeout_ms = config_node_number(config, "broker.session.timeout.ms"),
        .version = core->options.version,
        .disk = disk_look,
        .context = core,
    };
    core->lease.held = lease_held;
    partition_table_lease_source(core->broker.partitions, &core->lease);
    return heartbeat_new(&options, &core->heartbeat);
}

/* ---- registering ---- */

static void register_first(struct core *core);

static void register_again(struct timer *timer)
{
    register_first(container_of(timer, struct core, register_timer));
}

/* The session of this node's last life, at another address, may not be over yet. */
static bool registration_waits(struct core *core)
{
    struct executor *executor = core->options.executor;
    if (core->proposal.outcome.error != ERROR_DUPLICATE_BROKER_REGISTRATION ||
        executor_monotonic_ms(executor) >= core->register_until_ms)
        return false;
    core->register_timer.fire = register_again;
    executor_timer_start(executor, &core->register_timer, REGISTER_RETRY_MS);
    return true;
}

static void registered(struct core *core)
{
    if (core->opened) { /* Again: an outcome not known is asked for by the next heartbeat. */
        if (core->proposal.outcome.error == ERROR_NONE)
            core->node_epoch = core->proposal.outcome.index;
        heartbeat_start(core->heartbeat, core->node_epoch);
        return;
    }
    if (registration_waits(core) || proposal_failed(core))
        return;
    core->node_epoch = core->proposal.outcome.index;
    enum error error = core_open(core);
    if (error == ERROR_NONE && core->options.caller != NULL)
        error = core_join_replication(core);
    if (error == ERROR_NONE && core->options.caller != NULL)
        error = heartbeat_make(core);
    if (error != ERROR_NONE) {
        tell_started(core, error, "take up the partitions");
        return;
    }
    core->opened = true;
    if (core->heartbeat != NULL)
        heartbeat_start(core->heartbeat, core->node_epoch);
    else
        tell_started(core, ERROR_NONE, NULL);
}

static void register_node(struct core *core, bool clean)
{
    const struct core_options *options = &core->options;
    const struct log_identity *identity = log_directory_identity(options->directory);
    const char *durability = config_node_value(options->config, "topicfs.durability", NULL);
    struct catalog_command command = {
        .kind = CATALOG_NODE_REGISTER,
        .node = {.id = options->node_id,
                 .port = options->port,
                 .fenced = options->caller != NULL,
                 .sync_default = strcmp(durability, "fsync") == 0,
                 .incarnation_id = uuid_random(options->executor),
                 .directory_id = identity->directory_id,
                 .registered_ms = executor_wall_clock_ms(options->executor)},
        .node_id = options->node_id,
        .clean = clean,
    };
    (void)snprintf(command.node.host, sizeof command.node.host, "%s", options->host);
    (void)snprintf(command.node.rack, sizeof command.node.rack, "%s",
                   options->rack == NULL ? "" : options->rack);
    propose(core, &command, "register the node", registered);
}

static void register_first(struct core *core)
{
    register_node(core, core->options.fresh || log_directory_was_clean(core->options.directory));
}

/* ---- the cluster ---- */

static void defaults_set(struct core *core)
{
    if (!proposal_failed(core))
        register_first(core);
}

/* Three that found together want three replicas from the first topic on. */
static void set_defaults(struct core *core)
{
    static const char *const values[][2] = {{"default.replication.factor", "3"},
                                            {"min.insync.replicas", "2"}};
    struct catalog_pair pairs[2];
    uint32_t count = 0;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        enum config_source source;
        (void)config_node_value(core->options.config, values[i][0], &source);
        if (source == CONFIG_SOURCE_DEFAULT)
            pairs[count++] = (struct catalog_pair){.key = slice_of(values[i][0]),
                                                   .value = slice_of(values[i][1])};
    }
    const struct founding *founding = core->options.founding;
    if (founding == NULL || founding->member_count < FOUNDERS_FOR_REPLICAS || count == 0 ||
        catalog_node_config(core->options.catalog, -1) != NULL) {
        register_first(core);
        return;
    }
    struct catalog_command command = {.kind = CATALOG_CONFIG_SET,
                                      .resource = CATALOG_RESOURCE_NODE,
                                      .resource_name = SLICE_EMPTY,
                                      .pairs = pairs,
                                      .pair_count = count};
    propose(core, &command, "set the cluster's defaults", defaults_set);
}

static void cluster_named(struct core *core)
{
    if (!proposal_failed(core))
        set_defaults(core);
}

static void name_cluster(struct core *core)
{
    const struct log_identity *identity = log_directory_identity(core->options.directory);
    struct uuid cluster_id = catalog_cluster_id(core->options.catalog);
    if (uuid_is_zero(&cluster_id)) {
        struct catalog_command command = {.kind = CATALOG_CLUSTER_INIT,
                                          .cluster_id = identity->cluster_id};
        propose(core, &command, "found the cluster", cluster_named);
    } else if (!uuid_equals(&cluster_id, &identity->cluster_id)) {
        tell_started(core, ERROR_INCONSISTENT_CLUSTER_ID, "compare raft and meta.properties");
    } else {
        register_first(core);
    }
}

/* ---- beginning ---- */

static int32_t controller_id(const struct broker *broker)
{
    return quorum_leader_id(broker->controller_context);
}

static enum error cluster_parts_make(struct core *core)
{
    struct broker *broker = &core->broker;
    const struct core_options *options = &core->options;
    struct route_options route = {
        .executor = options->executor,
        .caller = options->caller,
        .quorum = options->quorum,
        .catalog = options->catalog,
        .local = options->local,
        .node_id = options->node_id,
    };
    enum error error = route_new(&route, &core->route);
    if (error != ERROR_NONE)
        return error;
    catalog_set_proposer(options->catalog, route_proposer(core->route));
    struct controller_options controller = {
        .executor = options->executor,
        .quorum = options->quorum,
        .catalog = options->catalog,
        .local = options->local,
        .view = broker->cluster_view,
        .config = &broker->config,
        .static_config = options->config,
        .founding = options->founding,
        .node_id = options->node_id,
        .session_timeout_ms = config_node_number(options->config, "broker.session.timeout.ms"),
        .election_timeout_ms =
            config_node_number(options->config, "controller.quorum.election.timeout.ms"),
    };
    error = controller_new(&controller, &core->controller);
    if (error != ERROR_NONE)
        return error;
    broker->caller = options->caller;
    broker->membership = controller_membership(core->controller);
    broker->controller_id = controller_id;
    broker->controller_context = options->quorum;
    return ERROR_NONE;
}

void core_init(struct core *core, struct executor *executor, struct catalog *catalog,
               const struct config_set *config)
{
    *core = (struct core){.node_epoch = -1};
    core->broker.executor = executor;
    core->broker.catalog = catalog;
    core->broker.config = config;
    core->broker.node_id = -1;
}

enum error core_start(struct core *core, const struct core_options *options)
{
    struct broker *broker = &core->broker;
    core->options = *options;
    core->register_until_ms = executor_monotonic_ms(options->executor) +
                              2 * config_node_number(options->config, "broker.session.timeout.ms");
    broker->storage = options->storage;
    broker->data_directory = options->data_directory;
    broker->node_id = options->node_id;
    catalog_set_proposer(options->catalog, options->local);
    enum error error = cluster_view_new(options->executor, options->catalog, &broker->cluster_view);
    if (error == ERROR_NONE && options->caller != NULL)
        error = cluster_parts_make(core);
    if (error == ERROR_NONE)
        name_cluster(core);
    return error;
}
