/* SPDX-License-Identifier: Apache-2.0 */
/* One node of a simulated cluster: the daemon's core (daemon/core.h) on simulated seams, started as
 * the daemon starts it.
 *
 *   FINDING its cluster -> JOINING the quorum -> STARTING its core -> SERVING */
#include "sim/cluster.h"

#include "base/assertion.h"
#include "sim/process_memory.h"

#include <stdio.h>
#include <string.h>

enum { ELECTION_TIMEOUT_MS = 500, SNAPSHOT_THRESHOLD = 64 };

static struct executor *executor_of(struct cluster_node *node)
{
    return simulated_executor_seam(node->events);
}

void cluster_node_init(struct cluster *cluster, uint32_t number)
{
    struct cluster_node *node = &cluster->nodes[number];
    uint64_t seed = cluster->seed * 1000 + number;
    *node = (struct cluster_node){.cluster = cluster, .number = number};
    node->disk = simulated_storage_new(seed);
    node->events = simulated_executor_new(seed ^ 0x5eed, &cluster->clock);
}

void cluster_node_done(struct cluster_node *node)
{
    ASSERT(node->state == NODE_DOWN);
    simulated_executor_free(node->events);
    simulated_storage_free(node->disk);
}

void cluster_node_failed(struct cluster_node *node, enum error error, const char *step)
{
    cluster_say(node->cluster, "node %u: %s: %s", node->number, step, error_text(error));
    node->dead = true; /* As a process that says why and exits. */
}

/* ---- its core ---- */

static void config_make(struct cluster_node *node)
{
    static const char *const rows[][2] = {
        {"auto.leader.rebalance.enable", "true"},
        {"broker.heartbeat.interval.ms", "400"},
        {"broker.session.timeout.ms", "3000"},
        {"group.initial.rebalance.delay.ms", "100"},
        {"group.min.session.timeout.ms", "1000"},
        {"leader.imbalance.check.interval.seconds", "20"},
        {"log.flush.offset.checkpoint.interval.ms", "3000"},
        {"log.retention.check.interval.ms", "60000"},
        {"log.retention.ms", "-1"},
        {"offsets.topic.num.partitions", "1"},
        {"offsets.topic.replication.factor", "3"},
        {"replica.lag.time.max.ms", "4000"},
        {"replica.socket.timeout.ms", "2000"},
        {"topicfs.durability", "fsync"},

    };
    enum error error = config_set_new(&node->config);
    ASSERT(error == ERROR_NONE);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char reason[CONFIG_REASON_BYTES];
        error = config_set_put(node->config, CONFIG_NODE, rows[i][0], rows[i][1], reason);
        ASSERT(error == ERROR_NONE);
    }
}

static void partition_reported(struct partition_reporter *reporter, int level, const char *event,
                               const char *topic, int32_t partition, const char *detail)
{
    struct cluster_node *node = container_of(reporter, struct cluster_node, reporter);
    cluster_say(node->cluster, "node %u level=%d %s %s-%d %s", node->number, level, event, topic,
                (int)partition, detail);
    if (strcmp(topic, "t") == 0)
        cluster_moment_reported(node, event, partition);
}

static void core_started(void *context, enum error error, const char *step)
{
    struct cluster_node *node = context;
    if (error != ERROR_NONE) {
        cluster_node_failed(node, error, step);
        return;
    }
    node->state = NODE_SERVING;
    cluster_say(node->cluster, "node %u serves", node->number);
}

static void core_removed(void *context)
{
    struct cluster_node *node = context;
    node->removed = true;
    cluster_node_failed(node, ERROR_BROKER_ID_NOT_REGISTERED, "the cluster has removed it");
}

static void core_begin(struct cluster_node *node)
{
    node->reporter.report = partition_reported;
    struct core_options options = {
        .executor = executor_of(node),
        .storage = simulated_storage_seam(node->disk),
        .directory = node->directory,
        .catalog = node->catalog,
        .local = engine_proposer(node->engine),
        .config = node->config,
        .data_directory = "/simulated",
        .node_id = node->founding.node_id,
        .host = node->host,
        .port = CLUSTER_PORT,
        .version = "simulated",
        .reporter = &node->reporter,
        .fresh = node->fresh,
        /* One node in two works on answers while it asks for the next. */
        .fetch_early_bytes_max = node->number % 2 == 0 ? 0 : 4096,
        .caller = &node->caller.base,
        .quorum = &node->quorum.quorum,
        .founding = node->founding.founder ? &node->founding : NULL,
        .started = core_started,
        .removed = core_removed,
        .context = node,
    };
    node->state = NODE_STARTING;
    enum error error = core_start(&node->core, &options);
    if (error != ERROR_NONE)
        cluster_node_failed(node, error, "put the node together");
}

/* ---- the quorum ---- */

static bool is_identified(const struct cluster_node *node)
{
    return !uuid_is_zero(&log_directory_identity(node->directory)->cluster_id);
}

static void engine_became_ready(void *context, enum error error)
{
    struct engine_quorum *quorum = context;
    struct cluster_node *node = container_of(quorum, struct cluster_node, quorum);
    const struct founding *founding = &node->founding;
    struct log_identity identity = {.cluster_id = founding->cluster_id,
                                    .node_id = founding->node_id,
                                    .directory_id = founding->node_uuid};
    if (error == ERROR_NONE && !is_identified(node))
        error = log_directory_identify(node->directory, &identity);
    if (error == ERROR_NONE)
        core_begin(node);
    else
        cluster_node_failed(node, error, "find the quorum");
}

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
    cluster_check_applied(node, index);
}

/* What was sent to another node that was at this address is not for this one. */
static void raft_arrived(void *context, const struct raft_parcel *parcel)
{
    struct cluster *cluster = context;
    struct cluster_node *node = &cluster->nodes[parcel->parcel.to];
    if (node->raft == NULL || parcel->receiver_id != engine_id_of_node(node->founding.node_id))
        return;
    uint32_t before = process_memory_select(node->number + 1);
    simulated_raft_receive(node->raft, parcel);
    (void)process_memory_select(before);
}

static int32_t raft_place(void *context, const char *address)
{
    return cluster_slot_at(context, address);
}

static uint32_t members_make(const struct cluster_node *node, struct engine_member *ret_members)
{
    const struct founding *founding = &node->founding;
    for (uint32_t i = 0; i < founding->member_count; i++) {
        ret_members[i] = (struct engine_member){
            .id = engine_id_of_node(founding->members[i].node_id), .role = ENGINE_VOTER};
        (void)snprintf(ret_members[i].address, sizeof ret_members[i].address, "%s:%d",
                       founding->members[i].host, founding->members[i].port);
    }
    return founding->member_count;
}

enum error cluster_node_agreed(struct cluster_node *node)
{
    struct cluster *cluster = node->cluster;
    struct engine_member members[FOUNDING_MEMBERS_MAX];
    bool first = !is_identified(node);
    struct simulated_raft_options raft = {
        .storage = simulated_storage_seam(node->disk),
        .executor = executor_of(node),
        .network = cluster->network,
        .node = node->number,
        .place = raft_place,
        .arrived = raft_arrived,
        .context = cluster,
        .dead = &node->dead,
    };
    char address[sizeof node->host + 8];
    (void)snprintf(address, sizeof address, "%s:%d", node->host, CLUSTER_PORT);
    struct engine_options engine = {
        .executor = executor_of(node),
        .catalog = node->catalog,
        .node_id = engine_id_of_node(node->founding.node_id),
        .address = address,
        .bootstrap = first && node->founding.founder,
        .join = first && !node->founding.founder,
        .members = members,
        .election_timeout_ms = ELECTION_TIMEOUT_MS,
        .snapshot_threshold = SNAPSHOT_THRESHOLD,
        .changed = engine_quorum_changed,
        .ready = engine_became_ready,
        .context = &node->quorum,
    };
    if (engine.bootstrap)
        engine.member_count = members_make(node, members);
    node->state = NODE_JOINING;
    enum error error = simulated_raft_open(&raft, &engine, &node->engine, &node->raft);
    if (error == ERROR_NONE) {
        node->quorum.engine = node->engine;
        catalog_set_proposer(node->catalog, engine_proposer(node->engine));
    }
    return error;
}

/* ---- starting ---- */

static void note_partition(void *context, const char *topic, int32_t partition, const char *name)
{
    (void)topic;
    (void)partition;
    (void)name;
    *(bool *)context = true;
}

static void ignore_stray(void *context, const char *name)
{
    (void)context;
    (void)name;
}

static enum error directory_open(struct cluster_node *node)
{
    bool any = false;
    enum error error = log_directory_open(simulated_storage_seam(node->disk), executor_of(node),
                                          &node->directory, NULL);
    if (error == ERROR_NONE && is_identified(node))
        error = log_directory_each(node->directory, note_partition, ignore_stray, &any);
    node->fresh = !any;
    return error;
}

static enum error start_steps(struct cluster_node *node)
{
    config_make(node);
    enum error error = directory_open(node);
    if (error == ERROR_NONE)
        error = catalog_new(executor_of(node), &node->catalog);
    if (error != ERROR_NONE)
        return error;
    node->watcher = (struct catalog_watcher){.applied = applied};
    catalog_watch(node->catalog, &node->watcher);
    core_init(&node->core, executor_of(node), node->catalog, node->config);
    node->core.broker.formation = &node->formation;
    engine_quorum_init(&node->quorum, executor_of(node));
    return cluster_node_find(node);
}

bool cluster_node_admits(const struct cluster_node *node, int16_t key)
{
    if (node->catalog == NULL || node->dead)
        return false;
    return key == API_CLUSTER_QUERY || key == API_API_VERSIONS || core_is_open(&node->core);
}

static void caller_make(struct cluster_node *node)
{
    struct cluster *cluster = node->cluster;
    simulated_served_init(&node->served);
    node->caller = (struct simulated_caller){.world = &cluster->world,
                                             .network = cluster->network,
                                             .executor = executor_of(node),
                                             .node = node->number,
                                             .next_connection = &cluster->connections};
    simulated_caller_init(&node->caller);
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
                                 .state = NODE_FINDING};
    (void)snprintf(fresh.host, sizeof fresh.host, "node%u", node->number);
    *node = fresh;
    cluster_check_forget(node);
    caller_make(node);
    simulated_network_up(cluster->network, node->number, true);
    cluster_say(cluster, "node %u starts", node->number);
    enum error error = start_steps(node);
    if (error != ERROR_NONE)
        cluster_node_failed(node, error, "start");
    (void)process_memory_select(before);
    if (node->dead)
        cluster_node_crash(node, false);
}

void cluster_node_crash(struct cluster_node *node, bool power_cut)
{
    struct cluster *cluster = node->cluster;
    ASSERT(node->state != NODE_DOWN);
    cluster_say(cluster, "node %u %s", node->number, power_cut ? "power cut" : "killed");
    cluster_steward_crashed(node);
    uint32_t before = process_memory_select(node->number + 1);
    simulated_executor_drop_all(node->events);
    simulated_executor_restart(node->events);
    simulated_storage_forget(node->disk);
    process_memory_forget();
    (void)process_memory_select(before);
    node->state = NODE_DOWN;
    node->core = (struct core){0};
    node->catalog = NULL;
    node->raft = NULL;
    if (power_cut)
        simulated_storage_crash(node->disk, &cluster->random);
    else
        simulated_storage_kill(node->disk);
    simulated_network_up(cluster->network, node->number, false);
    cluster->crashes++;
}
