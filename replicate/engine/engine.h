/* SPDX-License-Identifier: Apache-2.0 */
/* The consensus engine: an ordered, durable log of metadata commands agreed by a quorum, also of
 * one. Implemented on libraft >= 0.22.1 (0.15 can lose a committed entry: Raft figure 8), hidden
 * here so that another could replace it.
 *
 *   catalog_propose -> engine (control loop thread) -> raft_apply -> disk -> commit ->
 * catalog_apply inside the monitor
 *
 * engine_open, engine_close and engine callbacks belong to the control loop's thread (a uv loop);
 * submit is called inside the monitor on any thread and crosses by a mailbox. Entering the monitor
 * for every apply is the engine's business. */
#ifndef REPLICATE_ENGINE_ENGINE_H
#define REPLICATE_ENGINE_ENGINE_H

#include "base/error.h"
#include "base/monitor.h"
#include "catalog/catalog.h"

#include <uv.h>

struct engine;

struct engine_options {
    uv_loop_t *loop; /* The control loop. */
    struct monitor *monitor;
    struct catalog *catalog;
    const char *directory; /* Absolute path of the Raft directory; made when absent. */
    uint64_t node_id;      /* Raft server id, > 0. */
    const char *address;   /* "host:port" of this node's listener. */
    bool bootstrap;        /* Found a cluster of one if the directory is fresh; else that is
                              NOT_FOUND. */
};

enum engine_role { ENGINE_UNAVAILABLE, ENGINE_FOLLOWER, ENGINE_CANDIDATE, ENGINE_LEADER };

struct engine_state {
    enum engine_role role;
    uint64_t leader_id; /* 0: none known. */
    uint64_t term;
    uint64_t commit_index;
    uint64_t applied_index;
    uint64_t snapshot_index;
};

/* Opens and recovers: the newest snapshot is in the catalog when it returns, the log behind it is
 * applied as the loop runs. `ready` comes on the loop once this node leads and has applied
 * everything before its barrier, or with CLOSING. Outside the monitor and of any callback of the
 * loop: when opening fails (MALFORMED: damaged files, which the failure names; STORAGE, DISK_FULL,
 * ...) it runs the loop until nothing is left of it. */
enum error engine_open(const struct engine_options *options,
                       void (*ready)(void *context, enum error error), void *context,
                       struct engine **ret_engine, struct failure *failure);

/* The proposer to give to catalog_set_proposer. An outcome of REQUEST_TIMED_OUT or CLOSING is
 * unknown: the command may be in the log; proposing it again with the same id is safe. DISK_FULL:
 * refused, and taken again once there is space. */
struct catalog_proposer *engine_proposer(struct engine *engine);

/* Any thread. */
struct engine_state engine_state(struct engine *engine);

/* Proposals not answered yet end with CLOSING. `closed` comes on the loop; then engine_free. */
void engine_close(struct engine *engine, void (*closed)(void *context), void *context);
void engine_free(struct engine *engine);

#endif
