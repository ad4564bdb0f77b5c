/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of the coordinator, shared by the files of this room only.
 *
 *   coordinator -> shards (one a partition of __consumer_offsets) ; groups by id -> members,
 * offsets */
#ifndef BROKER_GROUP_STATE_H
#define BROKER_GROUP_STATE_H

#include "base/arena.h"
#include "base/table.h"
#include "group/group.h"
#include "record/build.h"

/*            first member                 all joined                  leader's assignment stored
 *   EMPTY -----------------> PREPARING ------------> COMPLETING ------------------------> STABLE
 *     ^                        |   ^                    |                                  |
 *     '---- nobody joined -----'   '-- member change ---'------------ member change -------'
 *   DEAD: deleted; stays only until its last holder lets go. */
enum group_state {
    GROUP_EMPTY,
    GROUP_PREPARING_REBALANCE,
    GROUP_COMPLETING_REBALANCE,
    GROUP_STABLE,
    GROUP_DEAD,
    GROUP_STATE_COUNT
};

struct group;

struct group_member {
    UT_hash_handle hh;
    struct list link; /* In group->members, in order of joining. */
    struct group *group;
    char *id;
    char *instance_id; /* NULL: dynamic. */
    char *client_id;
    char *client_host;
    int32_t session_timeout_ms;
    int32_t rebalance_timeout_ms;
    struct group_protocol *protocols; /* One block with all bytes behind it. */
    uint32_t protocol_count;
    uint8_t *assignment;
    size_t assignment_size;
    bool is_new;             /* Has not completed its first join. */
    struct group_join *join; /* Waiting for the rebalance; NULL: not rejoined. */
    struct group_sync *sync;
    struct timer session_timer;
    bool pending_sync; /* Joined this generation, has not sent SyncGroup yet. */
};

/* A member id handed out with MEMBER_ID_REQUIRED, not joined yet (KIP-394). */
struct group_pending {
    UT_hash_handle hh;
    struct group *group;
    struct timer timer;
    char id[];
};

struct group_offset_entry {
    UT_hash_handle hh;
    int64_t offset;
    int64_t commit_timestamp_ms;
    int64_t expire_timestamp_ms; /* -1: by retention (value version 1 had its own). */
    int32_t leader_epoch;
    char *metadata;
    size_t metadata_size;
    int32_t partition; /* The key begins here: partition, topic. */
    char topic[];
};

struct group {
    UT_hash_handle hh;
    struct group_coordinator *coordinator;
    enum group_state state;
    int32_t shard; /* Partition of __consumer_offsets. */
    int32_t generation_id;
    char *protocol_type; /* NULL while never joined. */
    char *protocol_name;
    char *leader_id;
    int64_t state_timestamp_ms; /* Wall clock of the last change to Empty, for offset retention. */
    struct list members;
    struct group_member *members_by_id;
    uint32_t member_count;
    struct group_pending *pending;
    struct group_offset_entry *offsets;
    struct timer rebalance_timer; /* Join phase, then sync phase. */
    bool initial_delay;           /* The join phase is the first one's growing delay. */
    bool members_added;           /* Since the initial delay last ran. */
    int64_t initial_left_ms;
    bool made; /* By a commit of nothing: stays while its coordinator does, or until deleted. */
    uint32_t writes; /* Records of this group on their way. */
    char id[];
};

struct group_shard {
    enum { SHARD_ABSENT, SHARD_LOADING, SHARD_ACTIVE } state;
    int64_t next_offset; /* While loading. */
};

struct group_coordinator {
    struct group_coordinator_options options;
    struct group *groups;
    struct group_shard *shards;
    uint32_t shard_count;
    struct timer load_timer;
    struct timer expiry_timer;
    uint32_t writes;
    bool stopping;
};

/* ---- coordinator.c ---- */
struct group *group_find(struct group_coordinator *coordinator, struct slice id);
struct group *group_make(struct group_coordinator *coordinator, struct slice id);
void group_free(struct group *group);
/* Frees a group of which nothing is left: no members, pending, offsets or writes. */
void group_drop_if_unused(struct group *group);
void group_become(struct group *group, enum group_state state);
const char *group_state_name(enum group_state state);

/* ---- member.c ---- */
struct group_member *member_find(struct group *group, struct slice id);
struct group_member *member_find_instance(struct group *group, struct slice instance_id);
struct group_member *member_new(struct group *group, struct slice id,
                                const struct group_join *join);
enum error member_update(struct group_member *member, const struct group_join *join);
enum error member_set_protocols(struct group_member *member, const struct group_protocol *protocols,
                                uint32_t count);
enum error member_set_assignment(struct group_member *member, struct slice assignment);
bool member_same_protocols(const struct group_member *member, const struct group_join *join);
const struct group_protocol *member_protocol(const struct group_member *member, const char *name);
void member_free(struct group_member *member); /* Answers nothing; timers stop. */
void member_join_answer(struct group_member *member, enum error error);
void member_sync_answer(struct group_member *member, enum error error);
/* The session runs while the member neither joins nor syncs. */
void member_session_restart(struct group_member *member);
/* Fencing of static members, then membership: FENCED_INSTANCE_ID, UNKNOWN_MEMBER_ID. */
enum error member_check(struct group *group, struct slice member_id, struct slice instance_id,
                        struct group_member **ret_member);
void pending_free(struct group *group, struct group_pending *pending);
struct group_pending *pending_find(struct group *group, struct slice id);

/* ---- rebalance.c ---- */
void group_rebalance_prepare(struct group *group);
void group_rebalance_try_complete(struct group *group);
void group_member_remove(struct group_member *member, enum error error);
/* Stores the group's members as they are now; a failure is made good by the next change. */
void group_store(struct group *group);
/* Answers a waiting join with the current generation. */
void group_join_accept(struct group_member *member);
/* Takes the leader's assignment and stores the group; STABLE once that is committed. */
enum error group_sync_begin(struct group *group, const struct group_sync *sync);

/* ---- store.c: records of __consumer_offsets ---- */

/* One batch on its way; `done` runs when it is committed or refused, then the write is freed. */
struct group_write {
    struct partition_append append;
    struct group_coordinator *coordinator;
    struct buffer *batch;
    struct batch_builder builder;
    struct group *group; /* Held by group->writes. */
    int32_t generation_id;
    void *context;
    void (*done)(struct group_write *write, enum error error);
};

struct group_write *group_write_new(struct group *group);
void group_write_free(struct group_write *write);
/* Null offset->metadata.data writes a tombstone. */
enum error group_write_offset(struct group_write *write, const struct group_offset *offset,
                              bool tombstone);
enum error group_write_metadata(struct group_write *write, bool tombstone);
/* Appends; takes the write. Errors come through done as a coordinator answers them. */
void group_write_submit(struct group_write *write);
/* Applies one record found in the log. Damaged or newer records are skipped and counted. */
enum error group_store_apply(struct group_coordinator *coordinator, int32_t shard, struct slice key,
                             struct slice value);

/* ---- offsets.c ---- */
struct group_offset_entry *offset_find(struct group *group, struct slice topic, int32_t partition);
enum error offset_put(struct group *group, const struct group_offset *offset);
/* Whether a member of the group subscribes to the topic, as far as can be told: a subscription that
 * cannot be read might (Kafka's ClassicGroup.isSubscribedToTopic). */
bool group_may_subscribe(const struct group *group, struct slice topic);
bool group_is_of_consumers(const struct group *group);
void offset_remove(struct group *group, struct group_offset_entry *entry);
void group_offsets_expire(struct timer *timer);

/* ---- load.c ---- */
void group_load_due(struct timer *timer);

#endif
