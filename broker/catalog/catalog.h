/* SPDX-License-Identifier: Apache-2.0 */
/* The metadata image of the cluster: topics, partitions, nodes, configurations, producer id blocks,
 * features.
 *
 *   handler -> catalog_propose(command) -> engine (Raft log) -> catalog_apply on every node ->
 * watchers
 *
 * apply is pure: the same commands in the same order give the same image and the same image hash on
 * every node (invariants 20, 21). A command is checked against the state at its log position, never
 * against the proposer's view, and its outcome is the proposer's answer. Inside the monitor. */
#ifndef BROKER_CATALOG_CATALOG_H
#define BROKER_CATALOG_CATALOG_H

#include "base/executor.h"
#include "base/uuid.h"
#include "catalog/config.h"

enum {
    TOPIC_NAME_BYTES_MAX = 249,
    CATALOG_REPLICAS_MAX = 32,
    CATALOG_COMMAND_PARTITIONS_MAX =
        10000, /* Made by one command (Kafka's
                  ReplicationControlManager.MAX_PARTITIONS_PER_BATCH). */
    CATALOG_TOPIC_PARTITIONS_MAX = 100000
};

/* One partition as the quorum agreed it. Arrays are of node ids. */
struct catalog_partition {
    int32_t index;
    int32_t leader; /* -1: none. */
    int32_t leader_epoch;
    int32_t partition_epoch;
    bool recovering; /* Its leader may miss committed records: an unclean election (KIP-704). */
    uint32_t replica_count, isr_count, elr_count, adding_count, removing_count;
    int32_t replicas[CATALOG_REPLICAS_MAX];
    int32_t isr[CATALOG_REPLICAS_MAX];
    int32_t elr[CATALOG_REPLICAS_MAX];
    int32_t adding[CATALOG_REPLICAS_MAX];
    int32_t removing[CATALOG_REPLICAS_MAX];
};

struct catalog_topic {
    const char *name;
    struct uuid id;
    bool internal;
    int64_t created_ms; /* Wall clock of the proposer. */
    uint32_t partition_count;
    const struct config_set *config; /* The topic's own values; NULL: none. */
};

struct catalog_node {
    int32_t id;
    int64_t epoch; /* Log index of its registration. */
    char host[256];
    int32_t port;
    char rack[64]; /* "" : none. */
    bool fenced;
    bool draining;      /* The operator wants it empty: it gets no replicas, and leads last. */
    bool shutting_down; /* Until it registers again: leads nothing another can. */
    bool sync_default;  /* Its own topicfs.durability is fsync. */
    struct uuid incarnation_id;
    struct uuid directory_id;
    int64_t registered_ms;
};

struct catalog;

enum error catalog_new(struct executor *executor, struct catalog **ret_catalog);
void catalog_free(struct catalog *catalog);

/* ---- reading the image; pointers are valid until the next apply ---- */

const struct catalog_topic *catalog_topic_find(const struct catalog *catalog, struct slice name);
const struct catalog_topic *catalog_topic_find_id(const struct catalog *catalog,
                                                  const struct uuid *id);
/* Fills *ret from the compact in-memory form; false when there is no such partition. */
bool catalog_partition_find(const struct catalog *catalog, const struct catalog_topic *topic,
                            int32_t index, struct catalog_partition *ret_partition);
/* In name order. `each` returns false to stop; must not change the catalog. */
void catalog_topic_each(const struct catalog *catalog,
                        bool (*each)(void *context, const struct catalog_topic *topic),
                        void *context);
/* The first topic whose name is > `name` in byte order (null slice: the first), NULL at the end:
 * for resumable listings. */
const struct catalog_topic *catalog_topic_next(const struct catalog *catalog, struct slice name);
/* What the election rules go by: the topic's own min.insync.replicas, else the cluster-wide dynamic
 * default, else 1; never more than `replica_count`. A leader that lets its high watermark move
 * with fewer breaks the eligible leader replicas (KIP-966). */
uint32_t catalog_min_insync_replicas(const struct catalog *catalog,
                                     const struct catalog_topic *topic, uint32_t replica_count);
uint32_t catalog_topic_count(const struct catalog *catalog);
uint32_t catalog_partition_count(const struct catalog *catalog);
/* All that are registered, fenced ones too: as many as catalog_node_each goes through. */
uint32_t catalog_node_count(const struct catalog *catalog);
const struct catalog_node *catalog_node_find(const struct catalog *catalog, int32_t id);
void catalog_node_each(const struct catalog *catalog,
                       void (*each)(void *context, const struct catalog_node *node), void *context);
/* The dynamic node configuration; node_id -1 is the cluster-wide default. NULL: none set. */
const struct config_set *catalog_node_config(const struct catalog *catalog, int32_t node_id);
/* Dynamic group configuration (ConfigResource type 32). NULL: none set. */
const struct config_set *catalog_group_config(const struct catalog *catalog, struct slice group);
/* In name order: the groups that have one. */
void catalog_group_config_each(const struct catalog *catalog,
                               void (*each)(void *context, struct slice group), void *context);
/* Every id below it has been given to a node at some time and is never given again. */
int32_t catalog_node_id_next(const struct catalog *catalog);
/* 0: not set. */
int16_t catalog_feature_level(const struct catalog *catalog, struct slice feature);
struct uuid catalog_cluster_id(const struct catalog *catalog);
int64_t catalog_applied_index(const struct catalog *catalog);
int32_t catalog_applied_term(const struct catalog *catalog);
/* Of the whole image (not of the applied index, nor of remembered outcomes): two images that read
 * the same have the same, however they came about. */
uint64_t catalog_hash(const struct catalog *catalog);

/* Topic names as Kafka's Topic.validate: [a-zA-Z0-9._-]{1,249}, not "." or "..". */
bool topic_name_valid(struct slice name);
/* Kafka's Topic.hasCollision: equal once '.' is '_'. */
bool topic_name_collides(struct slice a, struct slice b);
/* Kafka's own topics (Topic.isInternal): __consumer_offsets and the like. */
bool topic_name_internal(struct slice name);
/* The topic whose name collides with `name`, which itself need not exist; NULL: none. */
const struct catalog_topic *catalog_topic_colliding(const struct catalog *catalog,
                                                    struct slice name);

/* ---- commands ---- */

/* Whatever a command does to nodes, the leaders and in-sync replicas of every partition concerned
 * follow in the same apply (election.h). */
enum catalog_command_kind {
    /* cluster id; only on an empty image. INCONSISTENT_CLUSTER_ID. */
    CATALOG_CLUSTER_INIT = 1,
    /* node (fenced as given), clean: gives a new epoch, the outcome's index. Not clean, its in-sync
     * places are lost where records count before they are synced; with another directory (or an id
     * not registered before) all of them are (invariant 14). */
    CATALOG_NODE_REGISTER,
    /* node_id, node_epoch (0: any), fenced. BROKER_ID_NOT_REGISTERED, STALE_BROKER_EPOCH. */
    CATALOG_NODE_FENCE,
    /* node_id. BROKER_ID_NOT_REGISTERED. Replicas keep naming it. */
    CATALOG_NODE_UNREGISTER,
    /* topic_name, topic_id, assignments, config pairs. TOPIC_ALREADY_EXISTS. */
    CATALOG_TOPIC_CREATE,
    /* topic_id. UNKNOWN_TOPIC_ID. */
    CATALOG_TOPIC_DELETE,
    /* topic_id, expected_count (compare), assignments. INVALID_PARTITIONS. */
    CATALOG_PARTITIONS_ADD,
    /* 8 was used by a release that never proposed it. */
    /* resource, pairs; a null value removes. */
    CATALOG_CONFIG_SET = 9,
    /* Takes the next block of CATALOG_PRODUCER_ID_BLOCK ids for node_id. */
    CATALOG_PRODUCER_IDS,
    /* Feature name and level; 0 removes. */
    CATALOG_FEATURE_SET,
    /* node_id, node_epoch (0: any): it is about to stop. As NODE_FENCE. */
    CATALOG_NODE_SHUTDOWN,
    /* node_id, draining. BROKER_ID_NOT_REGISTERED. */
    CATALOG_NODE_DRAIN,
    /* topic_id, node_id (the leader that asks), partition {index, leader_epoch, partition_epoch,
     * isr, recovering}, isr_epochs: Kafka's AlterPartition (invariants 11, 13, 17).
     * UNKNOWN_TOPIC_ID, UNKNOWN_TOPIC_OR_PARTITION; NOT_CONTROLLER: epochs newer than the image's;
     * FENCED_LEADER_EPOCH; INVALID_UPDATE_VERSION: another partition epoch; INELIGIBLE_REPLICA;
     * INVALID_REQUEST. With NONE the partition is as the image then says: perhaps under another
     * leader. */
    CATALOG_ISR_CHANGE,
    /* partitions (none: every partition), unclean: a preferred leader, or any, for each. Those that
     * are not there are passed over; what came of it the image says. */
    CATALOG_ELECT_LEADERS,
    /* topic_id, partition.index, assignments: one, the target; none: cancel. UNKNOWN_TOPIC_ID,
     * UNKNOWN_TOPIC_OR_PARTITION, INVALID_REPLICA_ASSIGNMENT, NO_REASSIGNMENT_IN_PROGRESS. */
    CATALOG_REASSIGN,
    /* The outcome says which id: for a node that joins. */
    CATALOG_NODE_ID_TAKE
};

enum { CATALOG_PRODUCER_ID_BLOCK = 1000 };

struct catalog_pair {
    struct slice key;
    struct slice value; /* Null: remove. */
};

struct catalog_assignment {
    int32_t replicas[CATALOG_REPLICAS_MAX]; /* The first is the preferred leader; all start in the
                                               ISR. */
    uint32_t replica_count;
};

/* A partition by its topic's id. */
struct catalog_partition_name {
    struct uuid topic_id;
    int32_t index;
};

enum catalog_resource {
    CATALOG_RESOURCE_TOPIC = 2,
    CATALOG_RESOURCE_NODE = 4,
    CATALOG_RESOURCE_GROUP = 32
};

/* Slices and arrays are borrowed for the call that takes the command. */
struct catalog_command {
    enum catalog_command_kind kind;
    struct uuid id; /* Idempotence id: proposing the same again (unknown outcome) changes nothing
                       and answers the same. */
    struct uuid cluster_id;
    struct catalog_node node;
    int32_t node_id;
    int64_t node_epoch;
    bool fenced;
    bool clean;
    bool draining;
    bool unclean;
    struct slice topic_name;
    struct uuid topic_id;
    int64_t wall_clock_ms;
    uint32_t expected_count;
    const struct catalog_assignment *assignments;
    uint32_t assignment_count;
    struct catalog_partition partition;       /* ISR_CHANGE: the wanted in-sync replicas; the epochs
                                                 are those it changes. REASSIGN: the index. */
    int64_t isr_epochs[CATALOG_REPLICAS_MAX]; /* ISR_CHANGE: registrations of partition.isr. */
    const struct catalog_partition_name *partitions;
    uint32_t partition_count; /* At most CATALOG_COMMAND_PARTITIONS_MAX. */
    enum catalog_resource resource;
    struct slice
        resource_name; /* Node id as decimal text, "" for the default; topic or group name. */
    const struct catalog_pair *pairs;
    uint32_t pair_count;
    struct slice feature;
    int16_t feature_level;
};

/* Remembered for idempotence: the outcomes of the last so many commands. */
enum { CATALOG_OUTCOMES_KEPT = 1024 };

/* What applying a command gave, handed to its proposer. */
struct catalog_outcome {
    enum error error;
    int64_t index;             /* Log position. */
    int64_t producer_id_first; /* PRODUCER_IDS; -1 else. */
    int32_t node_id_taken;     /* NODE_ID_TAKE; -1 else. */
};

/* No command is larger: the engine's segments hold many. */
enum { CATALOG_COMMAND_BYTES_MAX = 1 << 20 };

/* Flat bytes, versioned. *ret_bytes is freed by the caller with memory_free. TOO_LARGE: more
 * partitions, replicas or bytes than a command may hold. */
enum error catalog_command_encode(const struct catalog_command *command, uint8_t **ret_bytes,
                                  size_t *ret_size);
struct arena;
/* Bounds every count. Slices point into `bytes` or the arena; keys and values of pairs have a NUL
 * behind them. MALFORMED, UNSUPPORTED_VERSION. */
enum error catalog_command_decode(const uint8_t *bytes, size_t size, struct arena *arena,
                                  struct catalog_command *ret_command);

/* Applies one committed command; deterministic. `index` is above catalog_applied_index, which it
 * becomes. A command of a newer version is ERROR_UNSUPPORTED_VERSION. OUT_OF_MEMORY is no outcome:
 * nothing has changed, the applied index neither, and the caller must not go on to the next. */
struct catalog_outcome catalog_apply(struct catalog *catalog, int64_t index, int32_t term,
                                     const uint8_t *bytes, size_t size);

/* The whole image as bytes, and back (replacing everything; watchers see the difference).
 * MALFORMED: damaged bytes; the image is then as before. */
enum error catalog_snapshot(const struct catalog *catalog, uint8_t **ret_bytes, size_t *ret_size);
enum error catalog_restore(struct catalog *catalog, const uint8_t *bytes, size_t size);

/* ---- watching: called inside apply, after the image changed; must not propose from inside ---- */

struct catalog_watcher {
    struct list link;
    void (*topic_changed)(
        struct catalog_watcher *,
        const struct catalog_topic *topic); /* Made, partitions added, leaders changed. */
    void (*topic_deleted)(struct catalog_watcher *,
                          const struct catalog_topic *topic); /* Still readable during the call. */
    void (*config_changed)(struct catalog_watcher *, enum catalog_resource, struct slice name);
    void (*nodes_changed)(struct catalog_watcher *);
    /* Last, after every applied command (also one that failed) and every restore. */
    void (*applied)(struct catalog_watcher *, int64_t index);
};

/* Any callback may be NULL. The watcher is the caller's; unwatch before it goes. */
void catalog_watch(struct catalog *catalog, struct catalog_watcher *watcher);
void catalog_unwatch(struct catalog *catalog, struct catalog_watcher *watcher);

/* ---- proposing: the seam to the engine ---- */

/* One command on its way through the quorum. Owned by the proposer until done (executor.h
 * contract). */
struct catalog_proposal {
    struct list link;
    struct task task;
    uint8_t *bytes; /* Encoded; owned by the proposal machinery. */
    size_t size;
    struct catalog_outcome outcome;
    void (*done)(struct catalog_proposal *proposal);
};

/* Implemented by replicate/engine, and by a queue of one in tests. `submit` takes proposal->bytes;
 * done comes with outcome.error NOT_CONTROLLER when this node does not lead, CLOSING at shutdown,
 * otherwise what apply said. */
struct catalog_proposer {
    void (*submit)(struct catalog_proposer *proposer, struct catalog_proposal *proposal);
};

void catalog_set_proposer(struct catalog *catalog, struct catalog_proposer *proposer);

/* For proposers: ends a proposal; frees its bytes and posts its `done`. */
void catalog_proposal_complete(struct catalog *catalog, struct catalog_proposal *proposal,
                               const struct catalog_outcome *outcome);

/* Encodes and submits; `done` (set by the caller first) comes exactly once, never from inside. A
 * command without an idempotence id gets a random one, without a wall clock the present. */
void catalog_propose(struct catalog *catalog, const struct catalog_command *command,
                     struct catalog_proposal *proposal);
/* The same by another proposer than the catalog's; NULL: NOT_CONTROLLER. */
void catalog_propose_through(struct catalog *catalog, struct catalog_proposer *proposer,
                             const struct catalog_command *command,
                             struct catalog_proposal *proposal);

#endif
