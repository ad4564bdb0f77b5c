/* SPDX-License-Identifier: Apache-2.0 */
/* A simulated cluster: three to seven nodes made of the real core, libraft and wire code, on disks
 * that fail and a network that loses, with clients that follow their metadata.
 *
 *   clients --frames--> node: handle, partition, log, group, catalog, engine, libraft
 *      |                  |  ^ REPLICA_FETCH, PROPOSE, NODE_HEARTBEAT, Raft     faults: crashes,
 *      |                  v  |                                                   cuts, pauses, full
 *      '---> ledger      other nodes                                             and failing disks
 *         what was acknowledged, where; what was read
 *
 * Each node's memory is its own: no pointer crosses the network (process_memory.h). */
#ifndef TESTS_SIM_CLUSTER_H
#define TESTS_SIM_CLUSTER_H

#include "group/group.h"
#include "replicate/core/controller.h"
#include "replicate/core/fetcher.h"
#include "replicate/core/heartbeat.h"
#include "replicate/core/isr.h"
#include "replicate/core/route.h"
#include "replicate/engine/engine_quorum.h"
#include "sim/simulated_caller.h"
#include "sim/simulated_raft_io.h"
#include "sim/simulated_storage.h"

enum {
    CLUSTER_NODES = 7,
    CLUSTER_CLIENT = 14, /* The clients' number in the network. */
    CLUSTER_PARTITIONS = 3,
    CLUSTER_PRODUCERS = 4,
    CLUSTER_INDEXES = 1 << 16,
    SESSION_TIMEOUT_MS = 3000
};

struct cluster;
struct ledger;
struct client_producer;
struct client_reader;
struct client_admin;

enum cluster_node_state { NODE_DOWN, NODE_FINDING, NODE_REGISTERING, NODE_SERVING };

struct cluster_node {
    struct cluster *cluster;
    uint32_t number;
    char address[24];
    struct simulated_storage *disk;
    struct simulated_executor *events;
    enum cluster_node_state state;
    bool dead, disk_is_full, lease;
    bool disk_failed; /* It may have been: partitions may be offline. */
    bool sync_armed;  /* A sync of its disk is about to fail. */
    struct log_directory *directory;
    struct config_set *config;
    struct catalog *catalog;
    struct catalog_watcher watcher;
    struct engine *engine;
    struct engine_quorum quorum;
    struct simulated_raft *raft;
    struct route *route;
    struct isr_changes isr;
    struct controller *controller;
    struct heartbeat *heartbeat;
    struct heartbeat_events heartbeat_events;
    struct broker broker;
    struct broker_follower *follower;
    struct fetchers *fetchers;
    struct partition_reporter reporter;
    struct simulated_caller caller;
    struct simulated_served served;
    struct catalog_proposal proposal;
    struct uuid incarnation;
    int64_t epoch; /* Of its registration; -1: none yet. */
    uint64_t commit_index;
};

struct cluster_faults {
    bool power_cuts, kills, pauses, cuts, failed_writes, failed_syncs, full_disks, slow_disks,
        clock_jumps, losses, transfers;
};

struct cluster {
    struct caller_world world;
    uint64_t seed;
    int64_t step;
    bool verbose;
    uint32_t node_count;
    struct random random;
    struct simulated_clock clock;
    struct simulated_network *network;
    struct cluster_node nodes[CLUSTER_NODES];
    struct cluster_faults faults;
    uint64_t connections;
    struct uuid cluster_id;
    struct simulated_executor *client_events;
    struct simulated_caller client;
    struct ledger *ledger;
    struct client_producer *producers;
    struct client_reader *readers;
    struct client_admin *admin;
    uint64_t hashes[CLUSTER_INDEXES];
    uint64_t trace, crashes, acknowledged, read;
};

void cluster_fail(const struct cluster *cluster, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));
void cluster_say(const struct cluster *cluster, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
int64_t cluster_now_ms(const struct cluster *cluster);

/* ---- cluster_node.c ---- */

void cluster_node_init(struct cluster *cluster, uint32_t number);
void cluster_node_done(struct cluster_node *node);
/* Begins to start; the rest comes with events. */
void cluster_node_start(struct cluster_node *node);
void cluster_node_crash(struct cluster_node *node, bool power_cut);
static inline bool cluster_node_is_up(const struct cluster_node *node)
{
    return node->state != NODE_DOWN;
}

/* ---- cluster_clients.c ---- */

void cluster_clients_init(struct cluster *cluster);
void cluster_clients_done(struct cluster *cluster);
void cluster_clients_act(struct cluster *cluster, bool finish);
/* Everything sent has its answer. */
bool cluster_clients_idle(struct cluster *cluster);
/* No reader waits for an answer. */
bool cluster_clients_quiet(struct cluster *cluster);
/* Reads every partition anew to its end and checks it against what was acknowledged. */
void cluster_read_all(struct cluster *cluster);
bool cluster_read_all_done(struct cluster *cluster);

#endif
