/* SPDX-License-Identifier: Apache-2.0 */
/* Putting a node together, stopping it and crashing it. */
#include "sim/node.h"

#include "base/assertion.h"
#include "base/memory.h"
#include "handle/fetch_session.h"
#include "handle/topic_creation.h"
#include "sim/process_memory.h"
#include "sim/simulated_file.h"
#include "sim/simulated_raft_io.h"

#include <stdio.h>
#include <string.h>

enum { START_MS = 600000, STOP_MS = 600000 };

static struct executor *executor_of(struct node *node)
{
    return simulated_executor_seam(node->events);
}

void node_init(struct node *node, uint64_t seed, const struct node_setting *settings)
{
    *node = (struct node){.settings = settings};
    node->disk = simulated_storage_new(seed);
    /* Every other node's disk can be synced as a whole. */
    simulated_storage_syncs_all(node->disk, (random_mix(seed) & 1) != 0);
    node->events = simulated_executor_new(seed ^ 0x5eed, NULL);
}

void node_done(struct node *node)
{
    ASSERT(!node->is_up);
    simulated_executor_free(node->events);
    simulated_storage_free(node->disk);
}

static void partition_reported(struct partition_reporter *reporter, int level, const char *event,
                               const char *topic, int32_t partition, const char *detail)
{
    struct node *node = container_of(reporter, struct node, reporter);
    if (node->verbose)
        printf("report level=%d %s %s-%d %s\n", level, event, topic, (int)partition, detail);
    if (node->reported != NULL)
        node->reported(node, event, topic, partition, detail);
}

static uint32_t offsets_partition_count(void *context, bool create)
{
    return offsets_topic_partitions(context, create);
}

/* ---- starting ---- */

static void config_make(struct node *node)
{
    enum error error = config_set_new(&node->config);
    ASSERT(error == ERROR_NONE);
    for (const struct node_setting *setting = node->settings;
         setting != NULL && setting->key != NULL; setting++) {
        char reason[CONFIG_REASON_BYTES];
        error = config_set_put(node->config, CONFIG_NODE, setting->key, setting->value, reason);
        ASSERT(error == ERROR_NONE);
    }
}

static enum error directory_open(struct node *node)
{
    struct executor *executor = executor_of(node);
    enum error error =
        log_directory_open(simulated_storage_seam(node->disk), executor, &node->directory, NULL);
    if (error != ERROR_NONE)
        return error;
    if (!uuid_is_zero(&log_directory_identity(node->directory)->cluster_id))
        return ERROR_NONE;
    struct log_identity identity = {.cluster_id = uuid_random(executor),
                                    .node_id = NODE_ID,
                                    .directory_id = uuid_random(executor)};
    return log_directory_identify(node->directory, &identity);
}

static enum error groups_make(struct node *node)
{
    const struct config_set *config = node->config;
    struct group_coordinator_options options = {
        .executor = executor_of(node),
        .partitions = node->broker.partitions,
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
        .context = &node->broker,
    };
    return group_coordinator_new(&options, &node->broker.groups);
}

static enum error broker_make(struct node *node)
{
    const struct config_set *config = node->config;
    struct broker *broker = &node->broker;
    node->reporter.report = partition_reported;
    struct partition_table_options table = {
        .storage = broker->storage,
        .executor = broker->executor,
        .directory = node->directory,
        .reporter = &node->reporter,
        .node_id = NODE_ID,
        .replica_lag_time_max_ms = config_node_number(config, "replica.lag.time.max.ms"),
        .retention_check_interval_ms =
            config_node_number(config, "log.retention.check.interval.ms"),
        .checkpoint_interval_ms =
            config_node_number(config, "log.flush.offset.checkpoint.interval.ms"),
    };
    enum error error = partition_table_new(&table, &broker->partitions);
    if (error == ERROR_NONE)
        error = groups_make(node);
    if (error == ERROR_NONE)
        error = fetch_sessions_new(
            broker->executor,
            (uint32_t)config_node_number(config, "max.incremental.fetch.session.cache.slots"),
            &broker->fetch_sessions);
    if (error == ERROR_NONE)
        error = broker_follow_catalog(broker, &node->follower);
    if (error == ERROR_NONE && !log_directory_was_clean(node->directory))
        partition_table_recover(broker->partitions);
    return error;
}

/* ---- the engine ---- */

static void engine_became_ready(void *context, enum error error)
{
    struct node *node = context;
    node->engine_ready = error == ERROR_NONE;
}

static bool engine_settled(void *context)
{
    const struct node *node = context;
    return node->engine_ready || node->dead;
}

static enum error engine_start(struct node *node)
{
    process_memory_take_raft();
    struct simulated_raft_options raft = {
        .storage = simulated_storage_seam(node->disk),
        .executor = executor_of(node),
        .node = NODE_ID,
        .dead = &node->dead,
    };
    struct engine_options engine = {
        .executor = executor_of(node),
        .catalog = node->catalog,
        .node_id = NODE_ID + 1,
        .address = "localhost:9092",
        .bootstrap = true,
        .snapshot_threshold = 64, /* So that there are some. */
        .ready = engine_became_ready,
        .context = node,
    };
    enum error error = simulated_raft_open(&raft, &engine, &node->engine, &node->raft);
    if (error != ERROR_NONE)
        return error;
    catalog_set_proposer(node->catalog, engine_proposer(node->engine));
    bool settled = simulated_executor_run_until(node->events, engine_settled, node, START_MS);
    return settled && !node->dead ? ERROR_NONE : ERROR_STORAGE;
}

void node_look(struct node *node)
{
    int64_t index = catalog_applied_index(node->catalog);
    if (node->applied == NULL || index == node->applied_index)
        return;
    node->applied_index = index;
    node->applied(node, index, catalog_hash(node->catalog));
}

static enum error cluster_make(struct node *node)
{
    struct executor *executor = executor_of(node);
    struct uuid cluster = catalog_cluster_id(node->catalog);
    if (uuid_is_zero(&cluster)) {
        struct catalog_command command = {.kind = CATALOG_CLUSTER_INIT,
                                          .cluster_id =
                                              log_directory_identity(node->directory)->cluster_id};
        enum error error = node_propose(node, &command).error;
        if (error != ERROR_NONE)
            return error;
    }
    struct catalog_command command = {
        .kind = CATALOG_NODE_REGISTER,
        .node = {.id = NODE_ID,
                 .host = "localhost",
                 .port = 9092,
                 .incarnation_id = uuid_random(executor),
                 .directory_id = log_directory_identity(node->directory)->directory_id},
        .node_id = NODE_ID,
    };
    return node_propose(node, &command).error;
}

static enum error start_steps(struct node *node)
{
    config_make(node);
    enum error error = directory_open(node);
    if (error != ERROR_NONE)
        return error;
    node->was_clean = log_directory_was_clean(node->directory);
    error = catalog_new(executor_of(node), &node->catalog);
    if (error == ERROR_NONE)
        error = engine_start(node);
    if (error == ERROR_NONE)
        error = cluster_make(node);
    if (error != ERROR_NONE)
        return error;
    node->broker = (struct broker){.executor = executor_of(node),
                                   .storage = simulated_storage_seam(node->disk),
                                   .catalog = node->catalog,
                                   .config = node->config,
                                   .data_directory = "/simulated",
                                   .node_id = NODE_ID};
    return broker_make(node);
}

enum error node_start(struct node *node)
{
    ASSERT(!node->is_up);
    ASSERT(process_memory_blocks() == 0);
    node->engine = NULL;
    node->engine_ready = false;
    node->engine_closed = false;
    node->dead = false;
    node->applied_index = 0;
    node->catalog = NULL;
    node->directory = NULL;
    node->follower = NULL;
    node->starts++;
    enum error error = start_steps(node);
    node->is_up = true;
    if (error == ERROR_NONE)
        node_look(node);
    if (error != ERROR_NONE)
        node_crash(node, NODE_KILLED, NULL);
    return error;
}

/* ---- stopping ---- */

static bool groups_idle(void *context)
{
    const struct node *node = context;
    return group_coordinator_idle(node->broker.groups) && node->engine_closed;
}

static bool partitions_idle(void *context)
{
    const struct node *node = context;
    return partition_table_idle(node->broker.partitions);
}

static void engine_was_closed(void *context)
{
    struct node *node = context;
    node->engine_closed = true;
}

enum error node_stop(struct node *node)
{
    ASSERT(node->is_up);
    struct broker *broker = &node->broker;
    broker->stopping = true;
    group_coordinator_stop(broker->groups);
    engine_close(node->engine, engine_was_closed, node);
    bool idle = simulated_executor_run_until(node->events, groups_idle, node, STOP_MS);
    ASSERT(idle);
    broker_follow_stop(node->follower);
    group_coordinator_free(broker->groups);
    fetch_sessions_free(broker->fetch_sessions);
    partition_table_stop(broker->partitions);
    idle = simulated_executor_run_until(node->events, partitions_idle, node, STOP_MS);
    ASSERT(idle);
    enum error error = partition_table_close(broker->partitions, true)
                           ? log_directory_mark_clean(node->directory)
                           : ERROR_STORAGE;
    log_directory_close(node->directory);
    engine_free(node->engine);
    catalog_free(node->catalog);
    config_set_free(node->config);
    simulated_executor_run_until_idle(node->events); /* Answers, and files being removed. */
    ASSERT(process_memory_blocks() == 0);            /* Nothing leaks. */
    process_memory_forget();
    node->is_up = false;
    node->broker = (struct broker){0};
    return error;
}

void node_crash(struct node *node, enum node_crash_kind kind, struct random *random)
{
    ASSERT(node->is_up);
    simulated_executor_drop_all(node->events);
    simulated_executor_restart(node->events);
    simulated_storage_forget(node->disk);
    process_memory_forget();
    if (kind == NODE_POWER_CUT)
        simulated_storage_crash(node->disk, random);
    else
        simulated_storage_kill(node->disk);
    node->is_up = false;
    node->broker = (struct broker){0};
}

/* ---- shorthands ---- */

static void proposal_ended(struct catalog_proposal *proposal)
{
    container_of(proposal, struct node, proposal)->proposal_done = true;
}

static bool proposal_is_done(void *context)
{
    return ((struct node *)context)->proposal_done;
}

struct catalog_outcome node_propose(struct node *node, const struct catalog_command *command)
{
    node->proposal_done = false;
    node->proposal = (struct catalog_proposal){.done = proposal_ended};
    catalog_propose(node->catalog, command, &node->proposal);
    bool done = simulated_executor_run_until(node->events, proposal_is_done, node, START_MS);
    ASSERT(done);
    return node->proposal.outcome;
}

struct catalog_command node_topic_command(const char *name, const struct uuid *id,
                                          uint32_t partitions, const struct catalog_pair *pairs,
                                          uint32_t pair_count)
{
#define HERE                                                                                       \
    {                                                                                              \
        .replicas = {NODE_ID}, .replica_count = 1                                                  \
    }
    static const struct catalog_assignment here[] = {HERE, HERE, HERE, HERE,
                                                     HERE, HERE, HERE, HERE};
    ASSERT(partitions <= sizeof here / sizeof *here);
    return (struct catalog_command){.kind = CATALOG_TOPIC_CREATE,
                                    .topic_name = slice_of(name),
                                    .topic_id = *id,
                                    .assignments = here,
                                    .assignment_count = partitions,
                                    .pairs = pairs,
                                    .pair_count = pair_count};
}

struct partition *node_partition(struct node *node, const char *topic, int32_t index)
{
    return partition_table_find(node->broker.partitions, slice_of(topic), index);
}
