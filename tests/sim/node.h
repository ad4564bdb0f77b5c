/* SPDX-License-Identifier: Apache-2.0 */
/* One node of topicfs on simulated seams: the daemon's core (catalog, partitions, logs, groups and
 * request handlers) as a cluster of one, and the real engine and libraft on simulated_raft_io.h.
 * For the simulator and for tests of handlers.
 *
 *   node_init -> node_start -> ... -> node_stop | node_crash -> node_start -> ... -> node_done */
#ifndef TESTS_SIM_NODE_H
#define TESTS_SIM_NODE_H

#include "daemon/core.h"
#include "replicate/engine/engine.h"
#include "sim/random.h"
#include "sim/simulated_executor.h"
#include "sim/simulated_storage.h"

/* A key of the node's configuration. */
struct node_setting {
    const char *key;
    const char *value;
};

struct node {
    struct simulated_storage *disk;
    struct simulated_executor *events;
    const struct node_setting *settings; /* Up to one with a NULL key; NULL: none. */
    struct core core;
    struct config_set *config;
    struct catalog *catalog;
    struct log_directory *directory;
    struct engine *engine;
    struct simulated_raft *raft;
    bool engine_ready, engine_closed;
    bool core_answered; /* Its start has ended, with start_error. */
    enum error start_error;
    bool fresh;            /* Its directory was made at this start. */
    bool dead;             /* Its metadata could not be stored: it must be crashed. */
    int64_t applied_index; /* That applied() was told last. */
    struct partition_reporter reporter;
    struct catalog_proposal proposal;
    bool proposal_done;
    bool is_up;
    bool verbose;    /* Prints what partitions report. */
    bool was_clean;  /* The start now running found the mark of a clean stop. */
    uint64_t starts; /* So far. */
    /* Called for what a partition reports; may be NULL. */
    void (*reported)(struct node *node, const char *event, const char *topic, int32_t partition,
                     const char *detail);
    /* Called when commands were applied, also when they are applied anew after a restart; may be
     * NULL. */
    void (*applied)(struct node *node, int64_t index, uint64_t hash);
    void *context;
};

enum { NODE_ID = 1 };

void node_init(struct node *node, uint64_t seed, const struct node_setting *settings);

/* Opens what is on the disk (a fresh one founds a cluster) and serves. On error the node is down
 * and what it held is lost, as with node_crash. */
enum error node_start(struct node *node);

/* A clean stop, as the daemon's: requests must have ended. On error (a disk that fails) the next
 * start recovers. */
enum error node_stop(struct node *node);

enum node_crash_kind {
    NODE_KILLED,   /* The process dies, the kernel keeps what was written. */
    NODE_POWER_CUT /* The disk keeps what was synced and some of the rest. */
};

/* No code of the node runs: its memory is gone. Requests under way are the caller's to forget. */
void node_crash(struct node *node, enum node_crash_kind kind, struct random *random);

/* Tells `applied` of what was applied since. */
void node_look(struct node *node);

/* Frees disk and events. The node must be down. */
void node_done(struct node *node);

/* ---- shorthands for tests ---- */

/* Proposes and runs events until it is applied. */
struct catalog_outcome node_propose(struct node *node, const struct catalog_command *command);

/* A topic on this node; configuration as pairs "key", "value", ..., up to `pair_count`. */
struct catalog_command node_topic_command(const char *name, const struct uuid *id,
                                          uint32_t partitions, const struct catalog_pair *pairs,
                                          uint32_t pair_count);

struct partition *node_partition(struct node *node, const char *topic, int32_t index);

#endif
