/* SPDX-License-Identifier: Apache-2.0 */
/* Who should be in the metadata quorum, and who should vote: one change at a time towards it,
 * planned from the catalog and the members alone.
 *
 *   registered --> SPARE --> STANDBY --> VOTER, while voters are fewer than wanted
 *
 * Wanted: one voter below three nodes, then three, and five from five nodes on: always odd. A voter
 * that is gone loses its vote before another gets one, so that a majority stays what is alive. */
#ifndef REPLICATE_CORE_VOTERS_H
#define REPLICATE_CORE_VOTERS_H

#include "catalog/catalog.h"
#include "replicate/core/quorum.h"

struct voters_options {
    const struct catalog *catalog;
    int32_t self; /* The leader, which plans. */
    /* How long a registered node has been fenced, 0 when it is not; and how long a member has not
     * been registered, INT64_MAX when it was seen to be unregistered. */
    int64_t (*away_ms)(void *context, int32_t node_id);
    void *context;
    int64_t replace_ms; /* topicfs.voter.replace.ms */
};

/* Fills kind, node_id, host and port of the next change; false when there is none to make. Members
 * are in order of node id. */
bool voters_plan(const struct voters_options *options, const struct quorum_member *members,
                 uint32_t count, struct quorum_change *ret_change);

/* Another node, registered later, listens at the address of this one, which is fenced and drains:
 * it will not come back. -1: none. Draining is what says so: nodes may also trade addresses. */
int32_t voters_superseded_by(const struct catalog *catalog, int32_t node_id);

#endif
