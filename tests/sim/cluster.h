/* SPDX-License-Identifier: Apache-2.0 */
/* A simulated cluster: three to seven nodes made of the real core, libraft and wire code, on disks
 * that fail and a network that loses, with clients that follow their metadata.
 *
 *   clients --frames--> node: daemon/core, bootstrap, engine, libraft
 *      |                  |  ^ REPLICA_FETCH, PROPOSE, NODE_HEARTBEAT, Raft     faults: crashes,
 *      |                  v  |                                                   cuts, pauses, full
 *      '---> ledger      other nodes                                             and failing disks
 *         what was acknowledged, where; what was read
 *
 * Each node's memory is its own: no pointer crosses the network (process_memory.h). */
#ifndef TESTS_SIM_CLUSTER_H
#define TESTS_SIM_CLUSTER_H

#include "daemon/core.h"
#include "handle/membership.h"
#include "replicate/core/bootstrap.h"
#include "replicate/engine/engine_quorum.h"
#include "sim/simulated_caller.h"
#include "sim/simulated_raft_io.h"
#include "sim/simulated_storage.h"

enum {
    CLUSTER_FOUNDERS = 7,
    CLUSTER_NODES = 9,   /* Addresses: those of founders first. */
    CLUSTER_JOINERS = 2, /* Of them, at most. */
    CLUSTER_PORT = 9092, /* At each. */
    CLUSTER_NODE_IDS = 256,
    CLUSTER_CLIENT = 14, /* The clients' number in the network. */
    CLUSTER_PARTITIONS = 3,
    CLUSTER_PRODUCERS = 4,
    CLUSTER_COMMITTERS = 3,
    CLUSTER_INDEXES = 1 << 16,
};

struct cluster;
struct ledger;
struct client_producer;
struct client_reader;
struct client_admin;
struct client_committer;
struct client_steward;
struct cluster_facts;

enum cluster_node_state { NODE_DOWN, NODE_FINDING, NODE_JOINING, NODE_STARTING, NODE_SERVING };

/* What runs at an address: over time several nodes, when disks are lost. */
struct cluster_node {
    struct cluster *cluster;
    uint32_t number; /* Of its address: "node<number>". */
    char host[16];
    struct simulated_storage *disk;
    struct simulated_executor *events;
    enum cluster_node_state state;
    bool dead, disk_is_full;
    bool removed;     /* The cluster does not know it any more: it stays down. */
    bool disk_failed; /* It may have been: partitions may be offline. */
    bool sync_armed;  /* A sync of its disk is about to fail. */
    bool fresh;       /* Its disk holds no partition. */
    struct founding founding;
    struct bootstrap *bootstrap;
    struct formation formation;
    uint64_t list_hash;
    struct log_directory *directory;
    struct config_set *config;
    struct catalog *catalog; /* NULL while it is down. */
    struct catalog_watcher watcher;
    struct engine *engine;
    struct engine_quorum quorum;
    struct simulated_raft *raft;
    struct core core;
    struct partition_reporter reporter;
    struct simulated_caller caller;
    struct simulated_served served;
};

struct cluster_faults {
    bool power_cuts, kills, pauses, cuts, failed_writes, failed_syncs, full_disks, slow_disks,
        clock_jumps, losses, reassignments, joins, drains, lost_disks, moments;
};

/* Of cluster_moments.c: slots. */
struct cluster_moment {
    bool under_way, crashed;
    uint32_t leader, controller, outsider;
    int64_t end_ms;
};

struct cluster {
    struct caller_world world;
    uint64_t seed;
    int64_t step;
    bool verbose;
    uint32_t founder_count, node_count;
    int32_t slots[CLUSTER_NODE_IDS]; /* Which address a node id has; -1: none yet. */
    struct random random;
    struct simulated_clock clock;
    struct simulated_network *network;
    struct cluster_node nodes[CLUSTER_NODES];
    struct cluster_faults faults;
    struct cluster_moment moment;
    bool replicated; /* Votes are for what is not synced: see cluster_can_crash. */
    uint64_t connections;
    struct simulated_executor *client_events;
    struct simulated_caller client;
    struct ledger *ledger;
    struct client_producer *producers;
    struct client_reader *readers;
    struct client_admin *admin;
    struct client_committer *committers;
    struct client_steward *steward;
    struct cluster_facts *facts;
    uint32_t spared; /* Nodes whose disk failed that were not restarted at the end. */
    uint64_t hashes[CLUSTER_INDEXES];
    uint64_t trace, crashes, acknowledged, read, committed;
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
/* Its process ends by itself, soon. */
void cluster_node_failed(struct cluster_node *node, enum error error, const char *step);
/* Its port takes such requests now: others close the connection. */
bool cluster_node_admits(const struct cluster_node *node, int16_t key);
static inline bool cluster_node_is_up(const struct cluster_node *node)
{
    return node->state != NODE_DOWN;
}

/* ---- cluster_checks.c ---- */

void cluster_checks_init(struct cluster *cluster);
void cluster_checks_done(struct cluster *cluster);
/* Looks at what every node has. */
void cluster_check(struct cluster *cluster);
/* Records below `end` are committed. */
void cluster_check_committed(struct cluster *cluster, int32_t index, int64_t end);
/* The node has applied a command. */
void cluster_check_applied(struct cluster_node *node, int64_t index);
/* Where a replica of the partition runs that is not in sync, as far as any node knows; -1: nowhere.
 */
int32_t cluster_check_outsider(const struct cluster *cluster, int32_t index);
/* The node has begun another life. */
void cluster_check_forget(struct cluster_node *node);

/* Prints what each node knows of the others and of the partitions. */
void cluster_tell(struct cluster *cluster);

/* ---- cluster_forming.c, beside cluster_node.c ---- */

/* Begins to look for the cluster, and ends with cluster_node_agreed: it knows which node it is. */
enum error cluster_node_find(struct cluster_node *node);
enum error cluster_node_agreed(struct cluster_node *node);
/* Where a host is; -1: nowhere. */
int32_t cluster_slot_at(const struct cluster *cluster, const char *host);
/* Where a node thinks another is; -1: it does not know. */
int32_t cluster_slot_of_id(const struct cluster_node *node, int32_t node_id);

/* ---- cluster_clients.c ---- */

/* The node that runs at some address; -1: none. */
int32_t cluster_any_node(struct cluster *cluster);
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

/* ---- cluster_committers.c: of cluster_clients.c, but for the last two ---- */

void cluster_committers_init(struct cluster *cluster);
void cluster_committers_done(struct cluster *cluster);
void cluster_committers_act(struct cluster *cluster, bool finish);
/* Each asks for its group's offsets once more, after its last commit. */
void cluster_committers_finish(struct cluster *cluster);
bool cluster_committers_finished(struct cluster *cluster);

/* ---- cluster_moments.c ---- */

/* A node has reported an event of a partition of the clients' topic. */
void cluster_moment_reported(struct cluster_node *node, const char *event, int32_t partition);
void cluster_moment_act(struct cluster *cluster);

/* ---- cluster_steward.c: of cluster_clients.c ---- */

void cluster_steward_init(struct cluster *cluster);
void cluster_steward_done(struct cluster *cluster);
void cluster_steward_act(struct cluster *cluster);
bool cluster_steward_idle(const struct cluster *cluster);
/* No promise covers what all in-sync replicas lose at once that is not synced: another node has
 * what this one has. */
bool cluster_can_crash(const struct cluster_node *node);
/* The node's process ended: what it had not synced does not count any more. */
void cluster_steward_crashed(const struct cluster_node *node);
/* Where the quorum's leader runs; -1: nobody leads. */
int32_t cluster_controller(struct cluster *cluster);
/* Everything can be written without this node. */
bool cluster_can_spare(const struct cluster_node *node);

#endif
