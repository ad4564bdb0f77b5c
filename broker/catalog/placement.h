/* SPDX-License-Identifier: Apache-2.0 */
/* Which nodes new replicas go to. Pure: the same catalog, counts and start give the same places. */
#ifndef BROKER_CATALOG_PLACEMENT_H
#define BROKER_CATALOG_PLACEMENT_H

#include "catalog/catalog.h"

/* Fills `partitions` assignments of `replication_factor` nodes each. Leaders go round the nodes
 * that may serve from `start` (any number; random for an even load); followers to racks not used
 * yet, then to nodes with the fewest replicas of this call. Nodes that are fenced or shutting down
 * follow only, and only where the others do not suffice; draining ones get nothing. What Kafka's
 * StripedReplicaPlacer does. INVALID_REPLICATION_FACTOR: 0, more than CATALOG_REPLICAS_MAX, more
 * than there are such nodes, or none of them may lead. OUT_OF_MEMORY. */
enum error catalog_place(const struct catalog *catalog, uint32_t partitions,
                         uint32_t replication_factor, uint32_t start,
                         struct catalog_assignment *ret_assignments);

/* A target for a partition whose replica count changes, or whose draining and unregistered nodes
 * must go: keeps, in their order, as many of its replicas as may stay (of a reassignment on its
 * way, those of its target), in-sync ones and the leader before others, and adds places as
 * catalog_place does. Errors as there. */
enum error catalog_replace(const struct catalog *catalog, const struct catalog_partition *present,
                           uint32_t replication_factor, uint32_t start,
                           struct catalog_assignment *ret_assignment);

/* How many nodes may take a replica: not draining. */
uint32_t catalog_placeable_count(const struct catalog *catalog);

#endif
