/* SPDX-License-Identifier: Apache-2.0 */
/* Where leaders and replicas ought to be, planned from the catalog alone: the same image gives the
 * same plan. Nothing is proposed here.
 *
 * Replicas are moved, most urgent first: off nodes that drain; to internal topics with too few;
 * to nodes with fewer than others, topic by topic; and preferred leaders are spread by changing the
 * order of replicas, which moves no byte. A plan is never more than a few steps ahead: it is made
 * again when they are done. */
#ifndef REPLICATE_CORE_BALANCE_H
#define REPLICATE_CORE_BALANCE_H

#include "catalog/catalog.h"

enum { BALANCE_MOVES_MAX = 1024 };

struct balance_options {
    uint32_t in_flight_max; /* Reassignments at a time, those under way included. */
    bool spread; /* Also move replicas from full nodes to emptier ones, and preferred leaders. */
    int16_t internal_replication_factor; /* Internal topics get so many, where nodes allow. */
};

/* One reassignment: the partition's replicas are to be these. */
struct balance_move {
    struct catalog_partition_name partition;
    struct catalog_assignment target;
};

/* At most options->in_flight_max (and BALANCE_MOVES_MAX) moves into `ret_moves`.
 * *ret_stuck_node_id is a draining node with a replica that no other node can take, -1 when there
 * is none. OUT_OF_MEMORY. */
enum error balance_plan_moves(const struct catalog *catalog, const struct balance_options *options,
                              struct balance_move *ret_moves, uint32_t *ret_count,
                              int32_t *ret_stuck_node_id);

/* The partitions whose preferred leader could lead and does not, at most `capacity` of them
 * (Kafka's ReplicationControlManager.maybeBalancePartitionLeaders); how many were filled in. */
uint32_t balance_plan_leaders(const struct catalog *catalog,
                              struct catalog_partition_name *ret_partitions, uint32_t capacity);

/* A registered node's share of all partitions. */
struct balance_share {
    uint32_t leaders;
    uint32_t replicas; /* Those it is being given included. */
    uint32_t in_sync;  /* Of these. */
};

void balance_share(const struct catalog *catalog, int32_t node_id, struct balance_share *ret_share);

#endif
