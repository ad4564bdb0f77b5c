/* SPDX-License-Identifier: Apache-2.0 */
/* What the replicas of a few partitions hold, modelled simply: logs of numbered records, leaders
 * that act on what they last heard of the catalog, followers that copy and truncate, disks that
 * lose what was not synced. Beside the catalog, so that its rules can be judged by what they are
 * for. */
#ifndef TESTS_CATALOG_ELECTION_MODEL_H
#define TESTS_CATALOG_ELECTION_MODEL_H

#include "catalog_fixture.h"
#include "sim/random.h"

enum { MODEL_NODES = 7, MODEL_PARTITIONS = 4, MODEL_LOG_MAX = 256 };

/* A partition is the only one of topic "t<index>", with id id_of(index + 1). */
struct model_replica {
    int32_t records[MODEL_LOG_MAX];
    uint32_t end;
    uint32_t synced;
    uint32_t high_watermark;
    struct catalog_partition view; /* What its node last heard. */
    uint32_t view_min_insync;
    /* While it leads by its view: */
    bool leads;
    uint32_t epoch_start;
    int64_t votes[MODEL_NODES + 1];       /* -1: has not fetched in this epoch. */
    int64_t vote_epochs[MODEL_NODES + 1]; /* The registration that fetched. */
    bool proposing;                       /* `proposal` is on its way. */
    bool proposal_applied;                /* But the node has not heard so. */
    struct catalog_command proposal;
};

struct model_node {
    bool up;
    bool clean;    /* It stopped cleanly (or never ran). */
    bool wiped;    /* Since it stopped. */
    int64_t epoch; /* Of its registration. */
    uint8_t incarnation;
    uint8_t directory;
    struct model_replica replicas[MODEL_PARTITIONS];
};

struct model_partition {
    bool synced_durability;
    int32_t committed[MODEL_LOG_MAX];
    uint32_t committed_count;
    int32_t valid_since_epoch; /* What older leaders still commit is void: an unclean election. */
    int32_t next_record;
};

struct model {
    struct random random;
    struct catalog *catalog;
    uint32_t node_count;
    struct model_node nodes[MODEL_NODES + 1]; /* By id, from 1. */
    struct model_partition partitions[MODEL_PARTITIONS];
};

struct catalog_partition model_partition_now(const struct model *model, uint32_t partition);
const struct catalog_topic *model_topic(const struct model *model, uint32_t partition);

/* One random thing that replicas do by themselves: append, fetch, sync, hear of the catalog. */
void model_step(struct model *model);
/* Everything the node has not heard yet. */
void model_catch_up(struct model *model, int32_t node);
/* A proposal of a leader that is on its way: its node and partition. False: none. */
bool model_proposal(struct model *model, int32_t *ret_node, uint32_t *ret_partition);

/* The process ends: with its memory only, or with what was not synced, or having synced all. */
enum model_stop { MODEL_STOP_CLEAN, MODEL_STOP_KILL, MODEL_STOP_POWER };
void model_stop(struct model *model, int32_t node, enum model_stop how);
/* All its records are gone. */
void model_wipe(struct model *model, int32_t node);

/* Whether the node holds every committed record; with `on_disk` where a power cut leaves them. */
bool model_holds_committed(const struct model *model, int32_t node, uint32_t partition,
                           bool on_disk);
/* Records were given up on purpose: what counts now is what the node has. */
void model_give_up(struct model *model, int32_t node, uint32_t partition, int32_t leader_epoch);

#endif
