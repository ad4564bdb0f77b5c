/* SPDX-License-Identifier: Apache-2.0 */
/* What DescribeQuorum tells of this node's metadata quorum: the engine's members, and how far each
 * of them is by its heartbeats. Inside the monitor. */
#ifndef BROKER_DAEMON_QUORUM_DESCRIPTION_H
#define BROKER_DAEMON_QUORUM_DESCRIPTION_H

#include "handle/quorum_describe.h"

struct broker;
struct engine_quorum;

struct quorum_description {
    struct quorum_describe describe; /* For broker.quorum_describe. */
    struct engine_quorum *quorum;
    const struct broker *broker;
};

void quorum_description_init(struct quorum_description *description, struct engine_quorum *quorum,
                             const struct broker *broker);

#endif
