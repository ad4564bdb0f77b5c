/* SPDX-License-Identifier: Apache-2.0 */
/* JoinGroup: parks until the rebalance is over. */
#include "group/group.h"
#include "handle/handlers.h"
#include "wire/api_join_group.h"

struct join_state {
    struct group_join join;
    struct request *request;
};

static bool fill_members(struct request *request, const struct group_join *join,
                         struct join_group_response *response)
{
    response->members =
        arena_allocate_array(&request->arena, join->member_count, sizeof *response->members);
    if (response->members == NULL)
        return false;
    response->members_count = join->member_count;
    for (uint32_t i = 0; i < join->member_count; i++) {
        join_group_response_member_init(&response->members[i]);
        response->members[i].member_id = join->members[i].member_id;
        response->members[i].group_instance_id = join->members[i].instance_id;
        response->members[i].metadata = join->members[i].metadata;
    }
    return true;
}

static void join_done(struct group_join *join)
{
    struct request *request = container_of(join, struct join_state, join)->request;
    struct join_group_response *response = request_response(request);
    if (response == NULL || !fill_members(request, join, response)) {
        request_fail(request);
        return;
    }
    response->error_code = error_to_kafka(join->error);
    response->generation_id = join->generation_id;
    response->member_id = join->joined_member_id;
    response->leader = join->leader.data == NULL ? SLICE_EMPTY : join->leader;
    response->skip_assignment = join->skip_assignment;
    if (join->error == ERROR_NONE) {
        response->protocol_type = join->protocol_type;
        response->protocol_name = join->protocol_name;
    } else if (request->version < 7) {
        response->protocol_name = SLICE_EMPTY;
    }
    request_complete(request);
}

static void join_cancelled(struct request *request)
{
    struct join_state *state = request->handler_state;
    group_join_cancel(request->broker->groups, &state->join);
}

void handle_join_group(struct request *request)
{
    const struct join_group_request *body = request->body;
    struct join_state *state = arena_allocate(&request->arena, sizeof *state);
    struct group_protocol *protocols =
        arena_allocate_array(&request->arena, body->protocols_count, sizeof *protocols);
    if (state == NULL || protocols == NULL) {
        request_fail(request);
        return;
    }
    for (uint32_t i = 0; i < body->protocols_count; i++)
        protocols[i] = (struct group_protocol){.name = body->protocols[i].name,
                                               .metadata = body->protocols[i].metadata};
    state->request = request;
    state->join = (struct group_join){
        .arena = &request->arena,
        .group_id = body->group_id,
        .member_id = body->member_id,
        .instance_id = body->group_instance_id,
        .client_id = request->requester.client_id,
        .client_host = request->requester.client_host,
        .protocol_type = body->protocol_type,
        .session_timeout_ms = body->session_timeout_ms,
        /* v0 has none: the session timeout serves (Kafka: JoinGroupRequest). */
        .rebalance_timeout_ms =
            request->version == 0 ? body->session_timeout_ms : body->rebalance_timeout_ms,
        .protocols = protocols,
        .protocol_count = body->protocols_count,
        .require_known_member_id = request->version >= 4,
        .supports_skipping_assignment = request->version >= 9,
        .done = join_done,
    };
    request->handler_state = state;
    request->cancel = join_cancelled;
    group_join_start(request->broker->groups, &state->join);
}
