/* SPDX-License-Identifier: Apache-2.0 */
/* One node of a simulated cluster: put together as the daemon does, event by event.
 *
 *   FINDING a leader of the quorum -> REGISTERING -> SERVING */
#include "sim/cluster.h"

#include "base/assertion.h"
#include "handle/fetch_session.h"
#include "handle/replica_session.h"
#include "handle/topic_creation.h"
#include "log/directory.h"
#include "sim/process_memory.h"

#include <stdio.h>

enum { ELECTION_TIMEOUT_MS = 500, SNAPSHOT_THRESHOLD = 64, HEARTBEAT_MS = 400 };

static struct executor *executor_of(struct cluster_node *node)
{
    return simulated_executor_seam(node->events);
}

void cluster_node_init(struct cluster *cluster, uint32_t number)
{
    struct cluster_node *node = &cluster->nodes[number];
    uint64_t seed = cluster->seed * 1000 + number;
    *node = (struct cluster_node){.cluster = cluster, .number = number};
    (void)snprintf(node->address, sizeof node->address, "node%u:9092", number);
    node->disk = simulated_storage_new(seed);
    node->events = simulated_executor_new(seed ^ 0x5eed, &cluster->clock);
}

void cluster_node_done(struct cluster_node *node)
{
    ASSERT(node->state == NODE_DOWN);
    simulated_executor_free(node->events);
    simulated_storage_free(node->disk);
}

static void node_failed(struct cluster_node *node, enum error error, const char *step)
{
    cluster_say(node->cluster, "node %u: %s: %s", node->number, step, error_text(error));
    node->dead = true; /* As a process that says why and exits. */
}

/* ---- parts ---- */

static void config_make(struct cluster_node *node)
{
    static const char *const rows[][2] = {
        {"offsets.topic.num.partitions", "1"},
        {"offsets.topic.replication.factor", "3"},
        {"num.partitions", "1"},
        {"default.replication.factor", "3"},
        {"min.insync.replicas", "2"},
        {"topicfs.durability", "fsync"},
        {"replica.lag.time.max.ms", "4000"},
        {"log.flush.offset.checkpoint.interval.ms", "3000"},
        {"log.retention.check.interval.ms", "60000"},
        {"log.retention.ms", "-1"},
    };
    enum error error = config_set_new(&node->config);
    ASSERT(error == ERROR_NONE);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char reason[CONFIG_REASON_BYTES];
        error = config_set_put(node->config, CONFIG_NODE, rows[i][0], rows[i][1], reason);
        ASSERT(error == ERROR_NONE);
    }
}

static enum error directory_open(struct cluster_node *node)
{
    struct executor *executor = executor_of(node);
    enum error error =
        log_directory_open(simulated_storage_seam(node->disk), executor, &node->directory, NULL);
    if (error != ERROR_NONE || !uuid_is_zero(&log_directory_identity(node->directory)->cluster_id))
        return error;
    struct log_identity identity = {.cluster_id = node->cluster->cluster_id,
                                    .node_id = (int32_t)node->number,
                                    .directory_id = uuid_random(executor)};
    return log_directory_identify(node->directory, &identity);
}

static void partition_reported(struct partition_reporter *reporter, int level, const char *event,
                               const char *topic, int32_t partition, const char *detail)
{
    struct cluster_node *node = container_of(reporter, struct cluster_node, reporter);
    cluster_say(node->cluster, "node %u level=%d %s %s-%d %s", node->number, level, event, topic,
                (int)partition, detail);
}

static uint32_t offsets_partition_count(void *context, bool create)
{
    return offsets_topic_partitions(context, create);
}

static enum error groups_make(struct cluster_node *node)
{
    const struct config_set *config = node->config;
    struct group_coordinator_options options = {
        .executor = executor_of(node),
        .partitions = node->broker.partitions,
        .config = {.initial_rebalance_delay_ms = 100,
                   .min_session_timeout_ms = 1000,
                   .max_session_timeout_ms = 60000,
                   .offsets_retention_ms = INT64_C(7) * 24 * 3600 * 1000,
                   .offsets_retention_check_interval_ms = 600000,
                   .commit_timeout_ms = config_node_number(config, "offsets.commit.timeout.ms"),
                   .max_size = 100,
                   .offset_metadata_max_bytes = 4096},
        .offsets_partition_count = offsets_partition_count,
        .context = &node->broker,
    };
    return group_coordinator_new(&options, &node->broker.groups);
}

static int64_t node_epoch(void *context)
{
    return ((struct cluster_node *)context)->epoch;
}

static enum error fetchers_make(struct cluster_node *node)
{
    struct fetchers_options options = {
        .executor = executor_of(node),
        .caller = &node->caller.base,
        .partitions = node->broker.partitions,
        .reporter = &node->reporter,
        .config = {.wait_max_ms = 500,
                   .fetch_max_bytes = 1 << 20,
                   .response_max_bytes = 4 << 20,
                   .backoff_min_ms = 20,
                   .backoff_max_ms = 1000,
                   .request_timeout_ms = 2000,
                   .throttled_rate = INT64_MAX},
        .node_id = (int32_t)node->number,
        .node_epoch = node_epoch,
        .context = node,
    };
    return fetchers_new(&options, &node->fetchers);
}

static enum error partitions_make(struct cluster_node *node)
{
    struct broker *broker = &node->broker;
    node->reporter.report = partition_reported;
    isr_changes_init(&node->isr, node->catalog, (int32_t)node->number);
    struct partition_table_options table = {
        .storage = broker->storage,
        .executor = broker->executor,
        .directory = node->directory,
        .reporter = &node->reporter,
        .quorum = &node->isr.quorum,
        .node_id = (int32_t)node->number,
        .replica_lag_time_max_ms = config_node_number(node->config, "replica.lag.time.max.ms"),
        .retention_check_interval_ms = 60000,
        .checkpoint_interval_ms = 3000,
    };
    enum error error = partition_table_new(&table, &broker->partitions);
    if (error != ERROR_NONE)
        return error;
    partition_table_lease(broker->partitions, false);
    error = groups_make(node);
    if (error == ERROR_NONE)
        error = fetch_sessions_new(broker->executor, 10, &broker->fetch_sessions);
    if (error == ERROR_NONE)
        error =
            replica_sessions_new(broker->executor, broker->partitions, &broker->replica_sessions);
    if (error == ERROR_NONE)
        error = fetchers_make(node);
    if (error == ERROR_NONE)
        error = broker_follow_catalog(broker, &node->follower);
    if (error == ERROR_NONE && !log_directory_was_clean(node->directory))
        partition_table_recover(broker->partitions);
    return error;
}

/* ---- sign of life ---- */

static void lease_changed(struct heartbeat_events *events, bool held)
{
    struct cluster_node *node = container_of(events, struct cluster_node, heartbeat_events);
    node->lease = held;
    cluster_say(node->cluster, "node %u: lease %d", node->number, held);
    if (node->broker.partitions != NULL)
        partition_table_lease(node->broker.partitions, held);
}

static void must_register(struct heartbeat_events *events)
{
    struct cluster_node *node = container_of(events, struct cluster_node, heartbeat_events);
    node_failed(node, ERROR_STALE_BROKER_EPOCH, "another life of it is registered");
}

static enum error heartbeat_make(struct cluster_node *node)
{
    node->heartbeat_events = (struct heartbeat_events){
        .lease = lease_changed, .unregistered = must_register, .stale_epoch = must_register};
    struct heartbeat_options options = {
        .executor = executor_of(node),
        .caller = &node->caller.base,
        .quorum = &node->quorum.quorum,
        .catalog = node->catalog,
        .membership = controller_membership(node->controller),
        .events = &node->heartbeat_events,
        .node_id = (int32_t)node->number,
        .interval_ms = HEARTBEAT_MS,
        .session_timeout_ms = SESSION_TIMEOUT_MS,
        .version = "simulated",
    };
    return heartbeat_new(&options, &node->heartbeat);
}

/* ---- registering ---- */

static void registered(struct catalog_proposal *proposal)
{
    struct cluster_node *node = container_of(proposal, struct cluster_node, proposal);
    enum error error = proposal->outcome.error;
    if (error == ERROR_NONE) {
        node->epoch = proposal->outcome.index;
        error = partitions_make(node);
    }
    if (error != ERROR_NONE) {
        node_failed(node, error, "register");
        return;
    }
    node->state = NODE_SERVING;
    cluster_say(node->cluster, "node %u serves", node->number);
    heartbeat_start(node->heartbeat, node->epoch);
}

static void register_node(struct cluster_node *node)
{
    struct catalog_command command = {
        .kind = CATALOG_NODE_REGISTER,
        .id = node->incarnation,
        .node = {.id = (int32_t)node->number,
                 .host = "localhost",
                 .port = 9092 + (int32_t)node->number,
                 .fenced = true,
                 .sync_default = true,
                 .incarnation_id = node->incarnation,
                 .directory_id = log_directory_identity(node->directory)->directory_id},
        .node_id = (int32_t)node->number,
        .clean = log_directory_was_clean(node->directory),
    };
    node->proposal = (struct catalog_proposal){.done = registered};
    catalog_propose(node->catalog, &command, &node->proposal);
}

static void cluster_founded(struct catalog_proposal *proposal)
{
    struct cluster_node *node = container_of(proposal, struct cluster_node, proposal);
    if (proposal->outcome.error != ERROR_NONE &&
        proposal->outcome.error != ERROR_INCONSISTENT_CLUSTER_ID)
        node_failed(node, proposal->outcome.error, "found");
    else
        register_node(node);
}

static void engine_became_ready(void *context, enum error error)
{
    struct engine_quorum *quorum = context;
    struct cluster_node *node = container_of(quorum, struct cluster_node, quorum);
    if (error != ERROR_NONE) {
        node_failed(node, error, "find the quorum");
        return;
    }
    node->state = NODE_REGISTERING;
    struct uuid cluster_id = catalog_cluster_id(node->catalog);
    if (!uuid_is_zero(&cluster_id)) {
        register_node(node);
        return;
    }
    struct catalog_command command = {.kind = CATALOG_CLUSTER_INIT,
                                      .id = uuid_random(executor_of(node)),
                                      .cluster_id = node->cluster->cluster_id};
    node->proposal = (struct catalog_proposal){.done = cluster_founded};
    catalog_propose(node->catalog, &command, &node->proposal);
}

/* ---- starting ---- */

static void applied(struct catalog_watcher *watcher, int64_t index)
{
    struct cluster_node *node = container_of(watcher, struct cluster_node, watcher);
    struct cluster *cluster = node->cluster;
    uint64_t hash = catalog_hash(node->catalog);
    ASSERT(index < CLUSTER_INDEXES);
    if (cluster->hashes[index] != 0 && cluster->hashes[index] != hash)
        cluster_fail(cluster, "node %u has another image after command %lld", node->number,
                     (long long)index);
    cluster->hashes[index] = hash;
}

static void raft_arrived(void *context, const struct raft_parcel *parcel)
{
    struct cluster *cluster = context;
    struct cluster_node *node = &cluster->nodes[parcel->parcel.to];
    uint32_t before = process_memory_select(node->number + 1);
    simulated_raft_receive(node->raft, parcel);
    (void)process_memory_select(before);
}

static enum error engine_make(struct cluster_node *node)
{
    struct cluster *cluster = node->cluster;
    struct engine_member members[CLUSTER_NODES];
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        members[i] =
            (struct engine_member){.id = i + 1, .role = i < 5 ? ENGINE_VOTER : ENGINE_STANDBY};
        (void)snprintf(members[i].address, sizeof members[i].address, "node%u:9092", i);
    }
    struct simulated_raft_options raft = {
        .storage = simulated_storage_seam(node->disk),
        .executor = executor_of(node),
        .network = cluster->network,
        .node = node->number,
        .arrived = raft_arrived,
        .context = cluster,
        .dead = &node->dead,
    };
    engine_quorum_init(&node->quorum, executor_of(node));
    struct engine_options engine = {
        .executor = executor_of(node),
        .catalog = node->catalog,
        .node_id = node->number + 1,
        .address = node->address,
        .bootstrap = true,
        .members = members,
        .member_count = cluster->node_count,
        .election_timeout_ms = ELECTION_TIMEOUT_MS,
        .snapshot_threshold = SNAPSHOT_THRESHOLD,
        .changed = engine_quorum_changed,
        .ready = engine_became_ready,
        .context = &node->quorum,
    };
    enum error error = simulated_raft_open(&raft, &engine, &node->engine, &node->raft);
    if (error == ERROR_NONE)
        node->quorum.engine = node->engine;
    return error;
}

static enum error start_steps(struct cluster_node *node)
{
    struct executor *executor = executor_of(node);
    config_make(node);
    enum error error = directory_open(node);
    if (error == ERROR_NONE)
        error = catalog_new(executor, &node->catalog);
    if (error != ERROR_NONE)
        return error;
    node->watcher = (struct catalog_watcher){.applied = applied};
    catalog_watch(node->catalog, &node->watcher);
    node->incarnation = uuid_random(executor);
    node->broker = (struct broker){.executor = executor,
                                   .storage = simulated_storage_seam(node->disk),
                                   .catalog = node->catalog,
                                   .config = node->config,
                                   .data_directory = "/simulated",
                                   .node_id = (int32_t)node->number,
                                   .caller = &node->caller.base};
    error = engine_make(node);
    if (error != ERROR_NONE)
        return error;
    struct route_options route = {.executor = executor,
                                  .caller = &node->caller.base,
                                  .quorum = &node->quorum.quorum,
                                  .catalog = node->catalog,
                                  .local = engine_proposer(node->engine),
                                  .node_id = (int32_t)node->number};
    error = route_new(&route, &node->route);
    if (error != ERROR_NONE)
        return error;
    catalog_set_proposer(node->catalog, route_proposer(node->route));
    struct controller_options controller = {.executor = executor,
                                            .quorum = &node->quorum.quorum,
                                            .catalog = node->catalog,
                                            .local = engine_proposer(node->engine),
                                            .config = &node->broker.config,
                                            .static_config = node->config,
                                            .node_id = (int32_t)node->number,
                                            .session_timeout_ms = SESSION_TIMEOUT_MS};
    error = controller_new(&controller, &node->controller);
    if (error != ERROR_NONE)
        return error;
    node->broker.membership = controller_membership(node->controller);
    return heartbeat_make(node);
}

void cluster_node_start(struct cluster_node *node)
{
    struct cluster *cluster = node->cluster;
    ASSERT(node->state == NODE_DOWN);
    uint32_t before = process_memory_select(node->number + 1);
    process_memory_take_raft();
    ASSERT(process_memory_blocks() == 0);
    struct cluster_node fresh = {.cluster = cluster,
                                 .number = node->number,
                                 .disk = node->disk,
                                 .events = node->events,
                                 .disk_is_full = node->disk_is_full,
                                 .sync_armed = node->sync_armed,
                                 .disk_failed = node->disk_failed,
                                 .state = NODE_FINDING,
                                 .epoch = -1};
    (void)snprintf(fresh.address, sizeof fresh.address, "node%u:9092", node->number);
    *node = fresh;
    simulated_served_init(&node->served);
    node->caller = (struct simulated_caller){.world = &cluster->world,
                                             .network = cluster->network,
                                             .executor = executor_of(node),
                                             .node = node->number,
                                             .next_connection = &cluster->connections};
    simulated_caller_init(&node->caller);
    simulated_network_up(cluster->network, node->number, true);
    cluster_say(cluster, "node %u starts", node->number);
    enum error error = start_steps(node);
    if (error != ERROR_NONE)
        node_failed(node, error, "start");
    (void)process_memory_select(before);
    if (node->dead)
        cluster_node_crash(node, false);
}

void cluster_node_crash(struct cluster_node *node, bool power_cut)
{
    struct cluster *cluster = node->cluster;
    ASSERT(node->state != NODE_DOWN);
    cluster_say(cluster, "node %u %s", node->number, power_cut ? "power cut" : "killed");
    uint32_t before = process_memory_select(node->number + 1);
    simulated_executor_drop_all(node->events);
    simulated_executor_restart(node->events);
    simulated_storage_forget(node->disk);
    process_memory_forget();
    (void)process_memory_select(before);
    node->state = NODE_DOWN;
    node->broker = (struct broker){0};
    if (power_cut)
        simulated_storage_crash(node->disk, &cluster->random);
    else
        simulated_storage_kill(node->disk);
    simulated_network_up(cluster->network, node->number, false);
    cluster->crashes++;
}
