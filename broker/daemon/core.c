/* SPDX-License-Identifier: Apache-2.0 */
/* The order in which a node's parts are made and end. */
#include "daemon/core.h"

#include "base/assertion.h"
#include "group/group.h"
#include "handle/fetch_session.h"
#include "handle/replica_session.h"
#include "handle/topic_creation.h"

static uint32_t offsets_partition_count(void *context, bool create)
{
    return offsets_topic_partitions(context, create);
}

static enum error partitions_make(struct core *core, const struct core_options *options)
{
    const struct config_set *config = options->config;
    struct partition_table_options table = {
        .storage = options->storage,
        .executor = options->executor,
        .directory = options->directory,
        .reporter = options->reporter,
        .node_id = options->node_id,
        .replica_lag_time_max_ms = config_node_number(config, "replica.lag.time.max.ms"),
        .retention_check_interval_ms =
            config_node_number(config, "log.retention.check.interval.ms"),
        .checkpoint_interval_ms =
            config_node_number(config, "log.flush.offset.checkpoint.interval.ms"),
    };
    return partition_table_new(&table, &core->broker.partitions);
}

static enum error groups_make(struct core *core, const struct core_options *options)
{
    const struct config_set *config = options->config;
    struct group_coordinator_options groups = {
        .executor = options->executor,
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

static enum error parts_make(struct core *core, const struct core_options *options)
{
    struct broker *broker = &core->broker;
    enum error error = partitions_make(core, options);
    if (error == ERROR_NONE)
        error = groups_make(core, options);
    if (error == ERROR_NONE)
        error =
            fetch_sessions_new(broker->executor,
                               (uint32_t)config_node_number(
                                   options->config, "max.incremental.fetch.session.cache.slots"),
                               &broker->fetch_sessions);
    if (error == ERROR_NONE)
        error =
            replica_sessions_new(broker->executor, broker->partitions, &broker->replica_sessions);
    if (error == ERROR_NONE)
        error = broker_follow_catalog(broker, &core->follower);
    return error;
}

enum error core_open(struct core *core, const struct core_options *options)
{
    struct broker *broker = &core->broker;
    core->directory = options->directory;
    broker->executor = options->executor;
    broker->storage = options->storage;
    broker->catalog = options->catalog;
    broker->config = options->config;
    broker->data_directory = options->data_directory;
    broker->node_id = options->node_id;
    enum error error = parts_make(core, options);
    if (error != ERROR_NONE)
        return error;
    if (log_directory_was_clean(options->directory))
        return partition_table_sort(broker->partitions);
    if (!options->fresh)
        partition_table_recover(broker->partitions);
    return ERROR_NONE;
}

void core_stop_requests(struct core *core)
{
    core->broker.stopping = true;
    if (core->broker.groups != NULL && !core->stopping)
        group_coordinator_stop(core->broker.groups);
    replica_sessions_stop(core->broker.replica_sessions);
    core->stopping = true;
}

void core_stop(struct core *core)
{
    core_stop_requests(core);
    broker_follow_stop(core->follower);
    core->follower = NULL;
    if (core->broker.groups == NULL && core->broker.partitions != NULL)
        partition_table_stop(core->broker.partitions);
}

bool core_idle(struct core *core)
{
    struct broker *broker = &core->broker;
    ASSERT(core->stopping);
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
    if (broker->partitions == NULL)
        return ERROR_NONE;
    bool all_clean = partition_table_close(broker->partitions, clean);
    broker->partitions = NULL;
    return all_clean ? log_directory_mark_clean(core->directory)
                     : log_directory_checkpoint(core->directory);
}
