/* SPDX-License-Identifier: Apache-2.0 */
/* Who leads a partition, who is in sync, who else may lead: pure rules, the same on every node.
 *
 *   in-sync (ISR) --fenced, gone, left behind; |ISR| below the minimum--> eligible (ELR) --elected
 *   when the ISR is empty--> ISR = {it}
 *   in-sync --fenced, gone, left behind; |ISR| enough--> neither, until it has caught up
 *
 * What Kafka's PartitionChangeBuilder, PartitionReassignmentReplicas and
 * PartitionReassignmentRevert do (KIP-455, 704, 841, 903, 966); replication.md invariants 1, 6,
 * 11-15, 17. Beyond Kafka: a draining node leads only where nobody else can, a node that shuts down
 * stays in sync (and leads) where nobody can follow it, and old replicas of a reassignment stay
 * until the whole target is in sync. */
#ifndef BROKER_CATALOG_ELECTION_H
#define BROKER_CATALOG_ELECTION_H

#include "catalog/image.h"

enum election_kind {
    ELECTION_ANY,       /* The leader stays while it may; else the first that may. */
    ELECTION_PREFERRED, /* The first replica, if it may. */
    ELECTION_UNCLEAN    /* As ANY, but a replica that may miss records rather than none. */
};

/* What a decision goes by, beside the partition itself. */
struct election {
    enum election_kind kind;
    const struct image *image; /* For its nodes... */
    const struct catalog_node
        *changed;    /* ...of which this one is about to be like this; NULL: none is. */
    int32_t gone_id; /* ...and this one not registered; -1: none. */
    int32_t lost_id; /* Its log may miss records that it voted for; -1: none's does. */
    bool lost_stays; /* But the log is there: where nobody else is left it may lead (what Kafka
                        calls the last known leader). */
    const struct config_set *topic;   /* The topic's own configuration; NULL: none. */
    const struct config_set *cluster; /* The cluster-wide dynamic one; NULL: none. */
};

/* Of kind ANY, with the nodes and the cluster-wide configuration as they are, and no topic's. */
struct election election_in(const struct image *image);

/* From the topic's own configuration and the cluster-wide dynamic one (either may be NULL); at
 * least 1, at most `replica_count`. */
uint32_t election_min_insync(const struct config_set *topic, const struct config_set *cluster,
                             uint32_t replica_count);
bool election_unclean_enabled(const struct config_set *topic, const struct config_set *cluster);

/* Registered, not fenced, not shutting down: may join the in-sync replicas and be elected. */
bool election_node_active(const struct election *election, int32_t id);

/* Turns a wanted state into the one that the rules allow. `*partition` comes in as `present` with
 * other replicas, adding, removing, isr or recovering where somebody wants it so, and goes out with
 * leader, ELR and epochs too, and a finished reassignment finished. False: it is as `present`. */
bool election_settle(const struct election *election, const struct catalog_partition *present,
                     struct catalog_partition *partition);

/* The first state of a new partition on `assignment`. INVALID_REPLICA_ASSIGNMENT: repeated or
 * unknown nodes, or none of them active. */
enum error election_begin(const struct election *election,
                          const struct catalog_assignment *assignment,
                          struct catalog_partition *ret_partition);

/* What is true of every partition whatever its nodes do: the lists are within the replicas and name
 * nobody twice, nobody is both in sync and eligible, the leader is in sync and there is one exactly
 * when anybody is (invariants 6, 12, 15). */
bool partition_consistent(const struct catalog_partition *partition);

#endif
