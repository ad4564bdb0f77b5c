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

struct group_coordinator;

struct group_config {
    int64_t initial_rebalance_delay_ms, min_session_timeout_ms, max_session_timeout_ms;
    int64_t offsets_retention_ms, offsets_retention_check_interval_ms;
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
/* Parked joins and syncs end with CLOSING (sent as NOT_COORDINATOR). */
void group_coordinator_free(struct group_coordinator *coordinator);

/* Which partition of __consumer_offsets a group belongs to. */
int32_t group_partition_of(struct slice group_id, uint32_t partition_count);

/* This node became or ceased to be leader of that partition: load (in bounded steps;
 * COORDINATOR_LOAD_IN_PROGRESS meanwhile) or drop its groups. */
void group_coordinator_elected(struct group_coordinator *coordinator, int32_t partition);
void group_coordinator_resigned(struct group_coordinator *coordinator, int32_t partition);

/* A deleted topic's committed offsets go too. */
void group_coordinator_topic_deleted(struct group_coordinator *coordinator, struct slice topic);

#endif
