/* SPDX-License-Identifier: Apache-2.0 */
/* Members of the engine as DescribeQuorum has them. */
#include "daemon/quorum_description.h"

#include "base/memory.h"
#include "handle/broker.h"
#include "handle/cluster_view.h"
#include "replicate/engine/engine_quorum.h"

static struct quorum_describe_member member_of(const struct quorum_description *description,
                                               const struct engine_member *member,
                                               const struct engine_state *state)
{
    const struct broker *broker = description->broker;
    int32_t node_id = engine_id_to_node(member->id);
    int64_t now_ms = executor_wall_clock_ms(broker->executor);
    struct quorum_describe_member described = {.node_id = node_id,
                                               .voter = member->role == ENGINE_VOTER,
                                               .log_end_index = -1,
                                               .last_fetch_ms = -1,
                                               .last_caught_up_ms = -1};
    struct cluster_node_report heard;
    if (node_id == broker->node_id) {
        described.log_end_index = (int64_t)state->commit_index;
        described.last_fetch_ms = now_ms;
        described.last_caught_up_ms = now_ms;
    } else if (cluster_view_reported(broker->cluster_view, node_id, &heard)) {
        described.log_end_index = heard.applied_index;
        described.last_fetch_ms = heard.heard_ms;
        if (heard.applied_index >= (int64_t)state->commit_index)
            described.last_caught_up_ms = heard.heard_ms;
    }
    return described;
}

static enum error describe(struct quorum_describe *seam, struct quorum_state *ret_state,
                           void (*each)(void *context, const struct quorum_describe_member *member),
                           void *context)
{
    struct quorum_description *description =
        container_of(seam, struct quorum_description, describe);
    struct engine *engine = description->quorum->engine;
    if (engine == NULL)
        return ERROR_NOT_CONTROLLER;
    struct engine_state state = engine_state(engine);
    if (!state.settled)
        return ERROR_NOT_CONTROLLER;
    struct engine_member *members = memory_allocate_array(ENGINE_MEMBERS_MAX, sizeof *members);
    if (members == NULL)
        return ERROR_OUT_OF_MEMORY;
    *ret_state = (struct quorum_state){.leader_id = description->broker->node_id,
                                       .leader_epoch = (int32_t)state.term,
                                       .commit_index = (int64_t)state.commit_index};
    uint32_t count = engine_members(engine, members, ENGINE_MEMBERS_MAX);
    for (uint32_t i = 0; i < count && i < ENGINE_MEMBERS_MAX; i++) {
        struct quorum_describe_member member = member_of(description, &members[i], &state);
        each(context, &member);
    }
    memory_free(members);
    return ERROR_NONE;
}

static const struct quorum_describe_ops ops = {describe};

void quorum_description_init(struct quorum_description *description, struct engine_quorum *quorum,
                             const struct broker *broker)
{
    *description =
        (struct quorum_description){.describe = {&ops}, .quorum = quorum, .broker = broker};
}
