/* SPDX-License-Identifier: Apache-2.0 */
/* The group coordinator: classic consumer groups (KIP-62, 134, 345, 394, 429) and committed
 * offsets, kept in __consumer_offsets in Kafka's own record schemas and rebuilt from it. Inside the
 * monitor.
 *
 *   EMPTY -> PREPARING_REBALANCE -> COMPLETING_REBALANCE -> STABLE ; -> DEAD when the last offset
 * of an empty group goes
 *
 * A group lives on the leader of __consumer_offsets partition (hash of the group id, Kafka's:
 * abs(String.hashCode) % partitions). An answer that promises something (offset commit, assignment,
 * deletion) is given when its record is committed. */
#ifndef BROKER_GROUP_GROUP_H
#define BROKER_GROUP_GROUP_H

#include "base/executor.h"
#include "base/slice.h"
#include "partition/partition.h"

struct arena;
struct group_member;
struct group_commit_write;

struct group_coordinator;

struct group_config {
    int64_t initial_rebalance_delay_ms, min_session_timeout_ms, max_session_timeout_ms;
    int64_t offsets_retention_ms, offsets_retention_check_interval_ms;
    int64_t commit_timeout_ms; /* How long a record may take to be committed. */
    int32_t max_size, offset_metadata_max_bytes;
};

struct group_coordinator_options {
    struct executor *executor;
    struct partition_table *partitions;
    struct group_config config;
    /* Makes __consumer_offsets when it is missing (once; COORDINATOR_NOT_AVAILABLE meanwhile) and
     * tells its partition count, 0 while it is not there. */
    uint32_t (*offsets_partition_count)(void *context, bool create);
    void *context;
};

enum error group_coordinator_new(const struct group_coordinator_options *options,
                                 struct group_coordinator **ret_coordinator);
/* Parked joins and syncs end with NOT_COORDINATOR; nothing new is taken. Writes go on until
 * group_coordinator_idle. */
void group_coordinator_stop(struct group_coordinator *coordinator);
bool group_coordinator_idle(const struct group_coordinator *coordinator);
/* Once stopped and idle. Accepts NULL. */
void group_coordinator_free(struct group_coordinator *coordinator);

/* Which partition of __consumer_offsets a group belongs to. */
int32_t group_partition_of(struct slice group_id, uint32_t partition_count);

/* This node became or ceased to be leader of that partition: load (in bounded steps;
 * COORDINATOR_LOAD_IN_PROGRESS meanwhile) or drop its groups. */
void group_coordinator_elected(struct group_coordinator *coordinator, int32_t partition);
void group_coordinator_resigned(struct group_coordinator *coordinator, int32_t partition);

/* A deleted topic's committed offsets go too. */
void group_coordinator_topic_deleted(struct group_coordinator *coordinator, struct slice topic);

/* NOT_COORDINATOR (also without the node's lease), COORDINATOR_LOAD_IN_PROGRESS,
 * COORDINATOR_NOT_AVAILABLE (the offsets topic is being made), INVALID_GROUP_ID, or NONE: this node
 * coordinates the group now. */
enum error group_coordinator_check(struct group_coordinator *coordinator, struct slice group_id);

/* ---- membership ---- */

struct group_protocol {
    struct slice name;
    struct slice metadata;
};

struct group_join_member {
    struct slice member_id;
    struct slice instance_id; /* Null: dynamic. */
    struct slice metadata;
};

/* JoinGroup. Owned by the caller until done; input slices are borrowed until then, results are
 * copied into `arena`. */
struct group_join {
    struct list link;
    struct task task;
    struct arena *arena;
    struct slice group_id, member_id, instance_id, client_id, client_host, protocol_type;
    int32_t session_timeout_ms, rebalance_timeout_ms;
    const struct group_protocol *protocols;
    uint32_t protocol_count;
    bool require_known_member_id;      /* v4+ (KIP-394). */
    bool supports_skipping_assignment; /* v9+ (KIP-814). */
    /* Results. */
    enum error error;
    int32_t generation_id;
    struct slice protocol_name; /* Null: none yet. */
    struct slice leader;
    struct slice joined_member_id;
    bool skip_assignment;
    struct group_join_member *members; /* The leader's only. */
    uint32_t member_count;
    void (*done)(struct group_join *join);
    struct group_member *waiting_member; /* The coordinator's own. */
};

void group_join_start(struct group_coordinator *coordinator, struct group_join *join);
/* The client is gone: a new member is forgotten, an old one gets its session timeout. */
void group_join_cancel(struct group_coordinator *coordinator, struct group_join *join);

struct group_assignment {
    struct slice member_id;
    struct slice assignment;
};

/* SyncGroup; as group_join. */
struct group_sync {
    struct list link;
    struct task task;
    struct arena *arena;
    struct slice group_id, member_id, instance_id;
    int32_t generation_id;
    struct slice protocol_type, protocol_name; /* Null before v5: not checked. */
    const struct group_assignment *assignments;
    uint32_t assignment_count;
    enum error error;
    struct slice result_protocol_type, result_protocol_name, assignment;
    void (*done)(struct group_sync *sync);
    struct group_member *waiting_member;
};

void group_sync_start(struct group_coordinator *coordinator, struct group_sync *sync);
void group_sync_cancel(struct group_coordinator *coordinator, struct group_sync *sync);

enum error group_heartbeat(struct group_coordinator *coordinator, struct slice group_id,
                           struct slice member_id, struct slice instance_id, int32_t generation_id);

/* One member leaves, named by member id, or by instance id with an empty member id (KIP-345). */
enum error group_leave(struct group_coordinator *coordinator, struct slice group_id,
                       struct slice member_id, struct slice instance_id);

/* ---- committed offsets ---- */

struct group_offset {
    struct slice topic;
    int32_t partition;
    int64_t offset; /* -1: none. */
    int32_t leader_epoch;
    struct slice metadata;
    int64_t commit_timestamp_ms;
    enum error error; /* Of this one. */
};

/* OffsetCommit, and removal (OffsetDelete): one record batch, answered when it is committed. A
 * commit of no offsets makes the group, empty (Kafka: GroupMetadataManager makes it, too); nothing
 * is stored, so it is there while this node coordinates it. As group_join. */
struct group_commit {
    struct list link;
    struct task task;
    struct slice group_id, member_id, instance_id;
    int32_t generation_id;        /* -1: a consumer without membership. */
    bool remove;                  /* Tombstones: OffsetDelete's rules. */
    struct group_offset *offsets; /* error is filled in. */
    uint32_t offset_count;
    enum error error; /* Of the whole request; every offset has it then, too. */
    void (*done)(struct group_commit *commit);
    struct group_commit_write *write; /* The coordinator's own. */
};

void group_commit_start(struct group_coordinator *coordinator, struct group_commit *commit);

/* Reading; slices are valid until the monitor is left. offset -1 and NONE when nothing is
 * committed. */
enum error group_offset_find(struct group_coordinator *coordinator, struct slice group_id,
                             struct slice topic, int32_t partition,
                             struct group_offset *ret_offset);
enum error group_offset_each(struct group_coordinator *coordinator, struct slice group_id,
                             void (*each)(void *context, const struct group_offset *offset),
                             void *context);
/* KIP-848's check of OffsetFetch v9 for classic members: UNKNOWN_MEMBER_ID, ILLEGAL_GENERATION. */
enum error group_check_member(struct group_coordinator *coordinator, struct slice group_id,
                              struct slice member_id, int32_t generation_id);

/* ---- looking and deleting ---- */

struct group_member_view {
    struct slice member_id, instance_id, client_id, client_host, metadata, assignment;
};

struct group_view {
    struct slice group_id;
    const char *state; /* "Empty", "PreparingRebalance", "CompletingRebalance", "Stable", "Dead". */
    struct slice protocol_type, protocol_name;
    int32_t generation_id;
    uint32_t member_count;
};

/* Slices are valid until the monitor is left. GROUP_ID_NOT_FOUND. */
enum error group_describe(struct group_coordinator *coordinator, struct slice group_id,
                          struct group_view *ret_view);
void group_member_each(struct group_coordinator *coordinator, struct slice group_id,
                       void (*each)(void *context, const struct group_member_view *member),
                       void *context);
void group_each(struct group_coordinator *coordinator,
                void (*each)(void *context, const struct group_view *group), void *context);
/* True while a partition of the offsets topic is being loaded: a listing is not complete. */
bool group_coordinator_loading(const struct group_coordinator *coordinator);

/* DeleteGroups for one group; as group_join. Error NON_EMPTY_GROUP, GROUP_ID_NOT_FOUND. */
struct group_delete {
    struct list link;
    struct task task;
    struct slice group_id;
    enum error error;
    void (*done)(struct group_delete *request);
    struct group_commit_write *write;
};
void group_delete_start(struct group_coordinator *coordinator, struct group_delete *request);

#endif
