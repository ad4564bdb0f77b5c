/* SPDX-License-Identifier: Apache-2.0 */
/* Moving replicas: what clients ask for by hand and what is planned here. Inside the monitor. */
#ifndef BROKER_HANDLE_REASSIGNMENT_H
#define BROKER_HANDLE_REASSIGNMENT_H

#include "handle/broker.h"

/* How many replicas the partition has once what is under way has ended. */
uint32_t reassignment_target_count(const struct catalog_partition *partition);

struct factor_move;

/* Owned by the caller until done; zeroed but for `done`. */
struct factor_change {
    void (*done)(struct factor_change *change);
    /* Result: the first that any partition met. UNKNOWN_TOPIC_OR_PARTITION,
     * INVALID_REPLICATION_FACTOR (nothing has changed then), OUT_OF_MEMORY, what the quorum said.
     */
    enum error error;
    struct broker *broker; /* The rest is its own. */
    struct task task;
    struct uuid topic_id;
    uint32_t pending;
    uint32_t count;
    struct factor_move *moves; /* One a partition. */
};

/* Another replication factor for every partition of a topic: replicas that are there stay as far as
 * they can, new ones are placed as for a new topic, and each partition that differs is reassigned.
 * `done` comes exactly once, never from inside, when all of that has been agreed on (the copying
 * goes on). */
void replication_factor_change(struct broker *broker, struct slice topic, uint32_t factor,
                               struct factor_change *change);

#endif
