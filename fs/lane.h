/* SPDX-License-Identifier: Apache-2.0 */
/* Exactly once, in order: the batches of one partition on their way to its leader, numbered by one
 * idempotent producer, the mount's (KIP-98, KIP-360).
 *
 *   lane_submit --> waiting --> sent (at most five) --> answered: done
 *                      ^          |
 *                      '----------'  no leader, leader changed, answer lost: the same bytes again
 *
 * To a leader on this node a batch goes straight, to one elsewhere as a Produce (fs/forward.h). Two
 * leaders are never sent to at once: what is on its way to the old one is waited for first.
 *
 * A batch is numbered once, when it is first sent, and kept as it is until it is answered for good,
 * so a leader that has stored it already says so instead of storing it again. Only batches that are
 * certainly not in the log are ever numbered anew, under a new producer epoch; one that may be
 * there is answered with STORAGE instead.
 *
 * A lane costs its partition one producer entry. Alone, a node needs none: what it appends is
 * either in its own log or not (lane_of gives none). Inside the monitor. */
#ifndef FS_LANE_H
#define FS_LANE_H

#include "partition/partition.h"

struct buffer;
struct forward;
struct inode;
struct tree;
struct lane;

/* One batch on its way. Owned by whoever submits it until done. */
struct lane_batch {
    /* Filled in by the submitter but for `done` and `timeout_ms`; error and offsets are results. */
    struct partition_append append;
    struct buffer *buffer; /* Of append.batch: held while it is on its way to another node. */
    int64_t deadline_ms;   /* Monotonic. Then the last refusal, or REQUEST_TIMED_OUT. */
    void (*done)(struct lane_batch *batch);
    /* The lane's. */
    struct lane *lane;       /* NULL before it is submitted and once it is over. */
    struct forward *forward; /* While it is on its way to another node. */
    struct list link;
    struct task task;
    uint64_t number;   /* In the order submitted. */
    bool is_numbered;  /* Producer, epoch and sequence are in the bytes. */
    bool maybe_stored; /* It was sent, and the answer did not say that it was refused. */
    bool refused_at_once;
};

/* What the mount's lanes have in common: producer id and epochs, one a lane. */
struct lane_producer;
enum error lane_producer_new(struct tree *tree, struct lane_producer **ret_producer);
/* No lane is left. One that waits for an id is freed when it comes. Accepts NULL. */
void lane_producer_free(struct lane_producer *producer);

/* The lane of a partition's inode, made when it has none; *ret_lane is NULL when its batches may go
 * straight to the partition: the cluster is this node alone. OUT_OF_MEMORY; STALE: deleted. */
enum error lane_of(struct tree *tree, struct inode *inode, struct lane **ret_lane);

/* Nothing is in it. Accepts NULL. */
void lane_free(struct lane *lane);

/* `done` comes exactly once, never from inside. */
void lane_submit(struct lane *lane, struct lane_batch *batch);

/* Gives up waiting: done comes with INTERRUPTED unless it is over. Accepts one not submitted. */
void lane_cancel(struct lane_batch *batch);

#endif
