/* SPDX-License-Identifier: Apache-2.0 */
/* How far partitions reach, asked of whoever leads each: one TextStat a leader, this node too.
 *
 *   leader_stats_make -> (name the partitions) -> leader_stats_gather --> done
 *                                   '-- it moved, or is gone: asked again, until the time is over
 *
 * Inside the monitor. */
#ifndef FS_LEADER_STATS_H
#define FS_LEADER_STATS_H

#include "base/error.h"
#include "base/uuid.h"

#include <stdbool.h>
#include <stdint.h>

struct node_op;
struct text_stat_response_partition_answer;

struct leader_stat {
    struct uuid topic_id;
    int32_t index;
    /* Results. The answer lives as long as the op; NULL: `error` says why. */
    const struct text_stat_response_partition_answer *answer;
    enum error error;
    int32_t leader; /* Its own, while asking. */
    bool asked;
};

struct leader_stats {
    struct leader_stat *each; /* Freed with the op. */
    uint32_t count;
    bool with_replicas;
    int64_t until_ms;
    void (*done)(struct node_op *op);
};

/* Room for so many; false: out of memory, and the op is complete. */
bool leader_stats_make(struct node_op *op, uint32_t count);

/* Those of one topic next to each other. `done` comes after `timeout_ms` and a little at most, with
 * what is known then. */
void leader_stats_gather(struct node_op *op, int64_t timeout_ms, void (*done)(struct node_op *op));

#endif
