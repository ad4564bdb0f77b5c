/* SPDX-License-Identifier: Apache-2.0 */
/* Replicas of one partition in one table, under different topic names: what a leader's session and
 * a follower's fetcher do between nodes, done by hand.
 *
 *   replica 'a' ... 'c': topics "a" ... "c", partition 0 */
#ifndef TESTS_PARTITION_PAIR_FIXTURE_H
#define TESTS_PARTITION_PAIR_FIXTURE_H

#include "partition_fixture.h"

/* The replica leads that epoch, or follows it. */
struct partition *pair_lead(struct partition_fixture *f, char name, int32_t leader_epoch);
struct partition *pair_follow(struct partition_fixture *f, char name, int32_t leader_epoch);

/* Appends batches of one record each, with acks=1. */
void pair_append(struct partition_fixture *f, struct partition *leader, int count);

/* One round from leader to follower: a truncation, or records, or nothing, and the high watermark.
 * False when there was nothing to do. */
bool pair_fetch(struct partition_fixture *f, struct partition *leader, struct partition *follower);
/* Rounds until nothing is left to do; how many truncated. */
int pair_replicate(struct partition_fixture *f, struct partition *leader,
                   struct partition *follower);

/* Both logs hold the same bytes from the later start to the end. */
void pair_expect_equal(struct partition *one, struct partition *other);

/* Whole batches of a log from `offset` on; freed with memory_free. */
uint8_t *pair_read(struct partition *partition, int64_t offset, size_t *ret_size);

enum error pair_truncate(struct partition_fixture *f, struct partition *follower,
                         int32_t leader_epoch, struct partition_divergence divergence);
enum error pair_reset(struct partition_fixture *f, struct partition *follower, int32_t leader_epoch,
                      int64_t offset);

#endif
