/* SPDX-License-Identifier: Apache-2.0 */
/* The metadata quorum alone, simulated: engines, libraft and catalogs on disks that fail and a
 * network that loses, with clients that propose. Smaller and faster than a cluster, so that many
 * more elections fit into a seed.
 *
 *   clients --propose--> catalog, engine, libraft (real) --> simulated disk, network, clock
 *                              | applied: index, hash
 *                              v
 *                        checks: one image at one index on every node, one leader a term, nothing
 *                        answered is lost or done twice */
#ifndef TESTS_SIM_QUORUM_H
#define TESTS_SIM_QUORUM_H

#include "replicate/engine/engine.h"
#include "sim/simulated_network.h"
#include "sim/simulated_raft_io.h"
#include "sim/simulated_storage.h"

enum { QUORUM_NODES = 8, QUORUM_CLIENTS = 6, QUORUM_TERMS = 4096, QUORUM_INDEXES = 1 << 16 };

struct quorum_world;

struct quorum_node {
    struct quorum_world *world;
    uint32_t number; /* Its raft id - 1. */
    char address[16];
    struct simulated_storage *disk;
    struct simulated_executor *events;
    struct catalog *catalog;
    struct catalog_watcher watcher;
    struct engine *engine;
    struct simulated_raft *raft;
    bool exists; /* Founder, or added: not removed for good. */
    bool founder;
    bool is_up, dead, closed, disk_is_full;
    uint64_t commit_index; /* The highest seen in this life. */
};

/* One command until its outcome is known, through whatever nodes it takes. */
struct quorum_client {
    struct quorum_world *world;
    struct catalog_proposal proposal;
    struct uuid id; /* Zero: nothing under way. */
    bool registers; /* Registers the node that takes ids, first. */
    int32_t at;     /* The node it is with; -1: none. */
    int64_t next_ms;
};

struct quorum_answer {
    struct uuid id;
    int64_t producer_id_first;
};

struct quorum_plants {
    bool vote_not_synced, append_not_synced;
};

struct quorum_world {
    uint64_t seed;
    int64_t step;
    bool verbose;
    bool figure8; /* The schedule of quorum_figure8.c instead of chance. */
    struct quorum_plants plants;
    struct random random;
    struct simulated_clock clock;
    struct simulated_network *network;
    uint32_t founders;
    struct quorum_node nodes[QUORUM_NODES];
    struct quorum_client clients[QUORUM_CLIENTS];
    struct engine_change change;
    int32_t change_at; /* The node asked; -1: none under way. */
    int32_t change_of;
    int change_kind;
    uint64_t hashes[QUORUM_INDEXES]; /* By index of the command; 0: not known. */
    int32_t leaders[QUORUM_TERMS];   /* Node number + 1 by term; 0: none seen. */
    struct quorum_answer *answers;
    size_t answer_count, answer_capacity;
    uint64_t crashes, elections;
    int64_t applied_last;
    uint64_t trace;
    /* Which kinds of faults this seed has. */
    bool power_cuts, kills, pauses, cuts, failed_writes, full_disks, slow_disks, changes, transfers;
};

/* ---- quorum_nodes.c ---- */

void quorum_node_init(struct quorum_world *world, uint32_t number, bool founder);
void quorum_node_done(struct quorum_node *node);
void quorum_node_start(struct quorum_node *node);
void quorum_node_crash(struct quorum_node *node, bool power_cut);
/* A clean stop; frees everything it held or fails. */
void quorum_node_stop(struct quorum_node *node);

/* One event of whatever is next; false when nothing is. Deaths are seen to, checks made. */
bool quorum_step(struct quorum_world *world);
void quorum_run_for(struct quorum_world *world, int64_t ms);
int64_t quorum_now_ms(const struct quorum_world *world);

/* The node that leads with the highest term; NULL: none. */
struct quorum_node *quorum_leader(struct quorum_world *world);

/* ---- quorum.c ---- */

void quorum_fail(const struct quorum_world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));
void quorum_say(const struct quorum_world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Each client does what it may do now. */
void quorum_clients_act(struct quorum_world *world);

/* What was under way at a node that is gone has an unknown outcome. */
void quorum_forget(struct quorum_world *world, const struct quorum_node *node);

void quorum_applied(struct quorum_node *node, int64_t index);
void quorum_check(struct quorum_node *node);

/* ---- quorum_figure8.c ---- */

void quorum_figure8_step(struct quorum_world *world);

#endif
