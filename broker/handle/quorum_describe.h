/* SPDX-License-Identifier: Apache-2.0 */
/* How the metadata quorum stands, for DescribeQuorum: filled by the daemon from the engine. Inside
 * the monitor. */
#ifndef BROKER_HANDLE_QUORUM_DESCRIBE_H
#define BROKER_HANDLE_QUORUM_DESCRIBE_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct quorum_describe_member {
    int32_t node_id;
    bool voter;                /* Else it only follows (a standby). */
    int64_t log_end_index;     /* Its last entry, as far as the leader knows; -1: it does not. */
    int64_t last_fetch_ms;     /* Wall clock; -1: not known. */
    int64_t last_caught_up_ms; /* Wall clock; -1: not known. */
};

struct quorum_state {
    int32_t leader_id;
    int32_t leader_epoch; /* The term. */
    int64_t commit_index;
};

struct quorum_describe;

struct quorum_describe_ops {
    /* Calls `each` for every member. NOT_CONTROLLER: this node does not lead and cannot say. */
    enum error (*describe)(struct quorum_describe *, struct quorum_state *ret_state,
                           void (*each)(void *context, const struct quorum_describe_member *member),
                           void *context);
};

struct quorum_describe {
    const struct quorum_describe_ops *ops;
};

#endif
