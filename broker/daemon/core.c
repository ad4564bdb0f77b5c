/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a node's core: made, and ended in the opposite order. */
#include "daemon/core.h"

#include "base/assertion.h"
#include "group/group.h"
#include "handle/cluster_view.h"
#include "handle/fetch_session.h"
#include "handle/replica_session.h"
#include "handle/topic_creation.h"

#include <stdio.h>

enum { FETCH_BACKOFF_MS_MIN = 20 };

/* ---- making ---- */

static uint32_t offsets_partition_count(void *context, bool create)
{
    return offsets_topic_partitions(context, create);
}

static enum error partitions_make(struct core *core)
{
    const struct core_options *options = &core->options;
    const struct config_set *config = options->config;
    isr_changes_init(&core->isr, options->catalog, options->node_id);
    struct partition_table_options table = {
        .storage = options->storage,
        .executor = options->executor,
        .directory = options->directory,
        .reporter = options->reporter,
        .quorum = &core->isr.quorum,
        .node_id = options->node_id,
        .replica_lag_time_max_ms = config_node_number(config, "replica.lag.time.max.ms"),
        .retention_check_interval_ms =
            config_node_number(config, "log.retention.check.interval.ms"),
        .checkpoint_interval_ms =
            config_node_number(config, "log.flush.offset.checkpoint.interval.ms"),
    };
    return partition_table_new(&table, &core->broker.partitions);
}

static enum error groups_make(struct core *core)
{
    const struct config_set *config = core->options.config;
    struct group_coordinator_options groups = {
        .executor = core->options.executor,
        .partitions = core->broker.partitions,
        .config =
            {
                .initial_rebalance_delay_ms =
                    config_node_number(config, "group.initial.rebalance.delay.ms"),
                .min_session_timeout_ms =
                    config_node_number(config, "group.min.session.timeout.ms"),
                .max_session_timeout_ms =
                    config_node_number(config, "group.max.session.timeout.ms"),
                .offsets_retention_ms =
                    config_node_number(config, "offsets.retention.minutes") * 60000,
                .offsets_retention_check_interval_ms =
                    config_node_number(config, "offsets.retention.check.interval.ms"),
                .commit_timeout_ms = config_node_number(config, "offsets.commit.timeout.ms"),
                .max_size = (int32_t)config_node_number(config, "group.max.size"),
                .offset_metadata_max_bytes =
                    (int32_t)config_node_number(config, "offset.metadata.max.bytes"),
            },
        .offsets_partition_count = offsets_partition_count,
        .context = &core->broker,
    };
    return group_coordinator_new(&groups, &core->broker.groups);
}

static enum error parts_make(struct core *core)
{
    struct broker *broker = &core->broker;
    enum error error = partitions_make(core);
    if (error == ERROR_NONE)
        error = groups_make(core);
    if (error == ERROR_NONE)
        error = fetch_sessions_new(
            broker->executor,
            (uint32_t)config_node_number(core->options.config,
                                         "max.incremental.fetch.session.cache.slots"),
            &broker->fetch_sessions);
    if (error == ERROR_NONE)
        error =
            replica_sessions_new(broker->executor, broker->partitions, &broker->replica_sessions);
    if (error == ERROR_NONE)
        error = broker_follow_catalog(broker, &core->follower);
    return error;
}

enum error core_open(struct core *core)
{
    struct log_directory *directory = core->options.directory;
    enum error error = parts_make(core);
    if (error != ERROR_NONE)
        return error;
    if (log_directory_was_clean(directory))
        return partition_table_sort(core->broker.partitions);
    if (!core->options.fresh)
        partition_table_recover(core->broker.partitions);
    return ERROR_NONE;
}

/* ---- replication ---- */

static int64_t own_epoch(void *context)
{
    return ((const struct core *)context)->node_epoch;
}

static bool is_throttled(void *context, const char *topic, int32_t index)
{
    const struct core *core = context;
    return broker_replica_throttled(&core->broker, topic, index,
                                    "follower.replication.throttled.replicas");
}

/* As it is in force: static, and over it what was altered since. */
static struct fetchers_config fetchers_config_of(const struct core *core)
{
    const struct config_set *config = core->broker.config;
    return (struct fetchers_config){
        .wait_max_ms = config_node_number(config, "replica.fetch.wait.max.ms"),
        .fetch_max_bytes = (int32_t)config_node_number(config, "replica.fetch.max.bytes"),
        .response_max_bytes =
            (int32_t)config_node_number(config, "replica.fetch.response.max.bytes"),
        .backoff_min_ms = FETCH_BACKOFF_MS_MIN,
        .backoff_max_ms = config_node_number(config, "replica.fetch.backoff.ms"),
        .request_timeout_ms = config_node_number(config, "replica.socket.timeout.ms"),
        .throttled_rate = config_node_number(config, "follower.replication.throttled.rate"),
        .early_bytes_max = core->options.fetch_early_bytes_max,
    };
}

/* Which replicas are throttled the fetchers ask themselves. */
static void config_changed(struct catalog_watcher *watcher, enum catalog_resource resource,
                           struct slice name)
{
    struct core *core = container_of(watcher, struct core, watcher);
    (void)name;
    if (resource == CATALOG_RESOURCE_GROUP)
        return;
    struct fetchers_config config = fetchers_config_of(core);
    fetchers_configure(core->fetchers, &config);
}

enum error core_join_replication(struct core *core)
{
    struct fetchers_options options = {
        .executor = core->options.executor,
        .caller = core->options.caller,
        .partitions = core->broker.partitions,
        .reporter = core->options.reporter,
        .config = fetchers_config_of(core),
        .node_id = core->options.node_id,
        .node_epoch = own_epoch,
        .throttled = is_throttled,
        .context = core,
    };
    partition_table_lease(core->broker.partitions, false); /* Until the controller has answered. */
    enum error error = fetchers_new(&options, &core->fetchers);
    if (error != ERROR_NONE)
        return error;
    /* Behind the follower of the catalog, which keeps broker.config. */
    core->watcher = (struct catalog_watcher){.config_changed = config_changed};
    catalog_watch(core->options.catalog, &core->watcher);
    core->watching = true;
    return ERROR_NONE;
}

void core_node_unreachable(struct core *core, int32_t node_id)
{
    if (core->controller != NULL && !core->cluster_stopped)
        controller_node_unreachable(core->controller, node_id);
}

/* ---- ending ---- */

bool core_hand_over(struct core *core, int64_t timeout_ms,
                    void (*done)(void *context, enum error error), void *context)
{
    if (core->heartbeat == NULL || core->cluster_stopped)
        return false;
    heartbeat_shutdown(core->heartbeat, timeout_ms, done, context);
    return true;
}

void core_stop_requests(struct core *core)
{
    core->broker.stopping = true;
    if (core->broker.groups != NULL && !core->stopping)
        group_coordinator_stop(core->broker.groups);
    replica_sessions_stop(core->broker.replica_sessions);
    core->stopping = true;
}

void core_stop_cluster(struct core *core)
{
    if (core->cluster_stopped)
        return;
    core->cluster_stopped = true;
    if (core->broker.executor != NULL)
        executor_timer_stop(core->broker.executor, &core->register_timer);
    if (core->heartbeat != NULL)
        heartbeat_stop(core->heartbeat);
    if (core->controller != NULL)
        controller_stop(core->controller);
    if (core->watching)
        catalog_unwatch(core->options.catalog, &core->watcher);
    core->watching = false;
    if (core->fetchers != NULL)
        fetchers_stop(core->fetchers);
    if (core->route != NULL)
        route_stop(core->route);
}

bool core_quiet(const struct core *core)
{
    return (core->heartbeat == NULL || heartbeat_idle(core->heartbeat)) &&
           (core->controller == NULL || controller_idle(core->controller)) &&
           (core->fetchers == NULL || fetchers_idle(core->fetchers)) &&
           (core->route == NULL || route_idle(core->route));
}

static void cluster_parts_free(struct core *core)
{
    heartbeat_free(core->heartbeat);
    core->heartbeat = NULL;
    fetchers_free(core->fetchers);
    core->fetchers = NULL;
    core->broker.membership = NULL;
    controller_free(core->controller);
    core->controller = NULL;
}

void core_stop(struct core *core)
{
    ASSERT(core_quiet(core));
    core_stop_requests(core);
    core_stop_cluster(core);
    cluster_parts_free(core);
    broker_follow_stop(core->follower);
    core->follower = NULL;
    if (core->broker.groups == NULL && core->broker.partitions != NULL)
        partition_table_stop(core->broker.partitions);
}

bool core_idle(struct core *core)
{
    struct broker *broker = &core->broker;
    ASSERT(core->stopping);
    if (core->proposing || !isr_changes_idle(&core->isr))
        return false;
    if (broker->groups != NULL) { /* Groups first: their last offsets are still being written. */
        if (!group_coordinator_idle(broker->groups))
            return false;
        group_coordinator_free(broker->groups);
        broker->groups = NULL;
        partition_table_stop(broker->partitions);
    }
    return broker->partitions == NULL || partition_table_idle(broker->partitions);
}

enum error core_close(struct core *core, bool clean)
{
    struct broker *broker = &core->broker;
    ASSERT(broker->groups == NULL);
    replica_sessions_free(broker->replica_sessions);
    broker->replica_sessions = NULL;
    fetch_sessions_free(broker->fetch_sessions);
    broker->fetch_sessions = NULL;
    cluster_view_free(broker->cluster_view);
    broker->cluster_view = NULL;
    if (core->route != NULL)
        catalog_set_proposer(core->options.catalog, core->options.local);
    route_free(core->route);
    core->route = NULL;
    if (broker->partitions == NULL)
        return ERROR_NONE;
    bool all_clean = partition_table_close(broker->partitions, clean);
    broker->partitions = NULL;
    if (all_clean)
        return log_directory_mark_clean(core->options.directory);
    enum error error = log_directory_checkpoint(core->options.directory);
    return error == ERROR_NONE && clean ? ERROR_STORAGE : error;
}
