/* SPDX-License-Identifier: Apache-2.0 */
/* The consensus engine: an ordered, durable log of metadata commands agreed by a quorum, also of
 * one. Implemented on libraft >= 0.22.1 (0.15 can lose a committed entry: Raft figure 8), hidden
 * here so that another could replace it.
 *
 *   catalog_propose -> engine (control loop thread) -> raft_apply -> disk -> commit ->
 * catalog_apply inside the monitor
 *
 * engine_open, engine_close and engine callbacks belong to the control loop's thread (a uv loop);
 * proposals and changes of the members are given inside the monitor on any thread and cross by a
 * mailbox. Entering the monitor for every apply is the engine's business. */
#ifndef REPLICATE_ENGINE_ENGINE_H
#define REPLICATE_ENGINE_ENGINE_H

#include "base/error.h"
#include "base/monitor.h"
#include "catalog/catalog.h"

struct engine;
struct raft_uv_transport;
struct uv_loop_s;

enum engine_role { ENGINE_UNAVAILABLE, ENGINE_FOLLOWER, ENGINE_CANDIDATE, ENGINE_LEADER };

struct engine_state {
    enum engine_role role;
    uint64_t leader_id; /* 0: none known. */
    uint64_t term;
    bool settled; /* It leads, and has applied all that leaders before it committed. */
    uint64_t commit_index;
    uint64_t applied_index;
    uint64_t snapshot_index;
};

/* What a member does: vote; follow the log without a vote; or nothing yet. */
enum engine_member_role { ENGINE_VOTER, ENGINE_STANDBY, ENGINE_SPARE };

enum { ENGINE_ADDRESS_BYTES = 272, ENGINE_MEMBERS_MAX = 256 };

struct engine_member {
    uint64_t id; /* > 0. */
    enum engine_member_role role;
    char address[ENGINE_ADDRESS_BYTES]; /* "host:port"; no two members may have the same. */
};

struct engine_options {
    struct monitor *monitor;   /* NULL: everything is on one thread (the simulator). */
    struct executor *executor; /* NULL: the monitor's. */
    struct catalog *catalog;
    uint64_t node_id;    /* Raft server id, > 0. */
    const char *address; /* "host:port" of this node's listener. */
    /* A fresh directory is NOT_FOUND unless one of these is set. */
    bool bootstrap; /* Found the cluster: of `members`, the same on each of them, or of this node
                       alone when there are none. Ignored by a directory that is not fresh. */
    bool join;      /* Wait for a leader that was told of this node by engine_add. */
    const struct engine_member *members;
    uint32_t member_count;
    uint32_t election_timeout_ms; /* 0: 1000. Heartbeats are sent at a fifth of it. */
    uint32_t snapshot_threshold;  /* Entries between two snapshots; 0: 1024. */
    /* Role, leader, term or settled changed. On the engine's thread, inside the monitor; may be
     * NULL. */
    void (*changed)(void *context, const struct engine_state *state);
    /* Once: this node knows a leader (or leads) and has applied all it then knew to be committed;
     * or CLOSING. On the engine's thread, outside the monitor. */
    void (*ready)(void *context, enum error error);
    void *context; /* Of both. */

    /* For engine_open only: */
    struct uv_loop_s *loop; /* The control loop. */
    const char *directory;  /* Absolute path of the Raft directory; made when absent. */
    /* The way to other nodes, already filled in; must outlive the engine. NULL: a cluster of one.
     */
    struct raft_uv_transport *transport;
};

/* Opens and recovers: the newest snapshot is in the catalog when it returns, the log behind it is
 * applied as the loop runs. Outside the monitor and of any callback of the loop: when opening fails
 * (MALFORMED: damaged files, which the failure names; STORAGE, DISK_FULL, ...) it runs the loop
 * until nothing is left of it, and `ready` does not come. */
enum error engine_open(const struct engine_options *options, struct engine **ret_engine,
                       struct failure *failure);

/* The proposer to give to catalog_set_proposer. An outcome of REQUEST_TIMED_OUT or CLOSING is
 * unknown: the command may be in the log; proposing it again with the same id is safe.
 * NOT_CONTROLLER: certainly not in the log. DISK_FULL: refused, and taken again once there is
 * space. */
struct catalog_proposer *engine_proposer(struct engine *engine);

/* Any thread. */
struct engine_state engine_state(struct engine *engine);

/* The members as this node knows them, also those not committed yet; up to `max`. How many there
 * are. Any thread. */
uint32_t engine_members(struct engine *engine, struct engine_member *ret_members, uint32_t max);

/* ---- changing the members: on the leader only ---- */

/* One change, the caller's until `done`. They are carried out one after the other. */
struct engine_change {
    struct list link; /* The first six are the engine's own until done. */
    struct task task;
    int kind;
    uint64_t id;
    const char *address;
    enum engine_member_role role;
    /* NOT_CONTROLLER: this node does not lead. REQUEST_TIMED_OUT: leadership went, and the change
     * may have been made or be made yet; NETWORK: the member did not catch up with the log;
     * DUPLICATE_RESOURCE: id or address is another member's; NOT_FOUND: no such member;
     * INVALID_REQUEST: it has that role; OPERATION_NOT_ATTEMPTED: an older change is not committed
     * yet, try again; CLOSING. */
    enum error error;
    void (*done)(struct engine_change *change); /* Inside the monitor. */
};

/* Adds a spare. `address` is borrowed until done. These four inside the monitor; set change->done
 * first. */
void engine_add(struct engine *engine, struct engine_change *change, uint64_t id,
                const char *address);

/* Becoming a voter waits until the member has caught up. */
void engine_assign(struct engine *engine, struct engine_change *change, uint64_t id,
                   enum engine_member_role role);

/* The removed node is not told by the log: tell it and stop it. Removing the leader ends its
 * leadership. */
void engine_remove(struct engine *engine, struct engine_change *change, uint64_t id);

/* Hands leadership to a voter, 0: to the one that is up to date. NETWORK: it did not take it in an
 * election timeout. */
void engine_transfer(struct engine *engine, struct engine_change *change, uint64_t id);

/* ---- the end ---- */

/* Proposals and changes not answered yet end with CLOSING. `closed` comes on the engine's thread;
 * then engine_free. */
void engine_close(struct engine *engine, void (*closed)(void *context), void *context);
void engine_free(struct engine *engine);

#endif
