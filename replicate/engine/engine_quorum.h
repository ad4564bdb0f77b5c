/* SPDX-License-Identifier: Apache-2.0 */
/* The seam of replicate/core to the metadata quorum, over an engine. Raft's ids begin at 1 and
 * Kafka's at 0: a node's Raft id is its node id and one. Inside the monitor. */
#ifndef REPLICATE_ENGINE_ENGINE_QUORUM_H
#define REPLICATE_ENGINE_ENGINE_QUORUM_H

#include "replicate/core/quorum.h"
#include "replicate/engine/engine.h"

struct engine_quorum {
    struct quorum quorum;
    struct engine *engine; /* NULL until it is open, and again when it closes. */
    struct executor *executor;
    struct engine_state state;
    struct list watchers;
};

void engine_quorum_init(struct engine_quorum *quorum, struct executor *executor);

/* For engine_options.changed; the context is the engine_quorum. */
void engine_quorum_changed(void *context, const struct engine_state *state);

static inline uint64_t engine_id_of_node(int32_t node_id)
{
    return (uint64_t)node_id + 1;
}

/* -1 for 0: nobody. */
static inline int32_t engine_id_to_node(uint64_t id)
{
    return (int32_t)((int64_t)id - 1);
}

#endif
