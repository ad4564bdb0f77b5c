/* SPDX-License-Identifier: Apache-2.0 */
/* SyncGroup: parks until the leader's assignment is stored. */
#include "group/group.h"
#include "handle/handlers.h"
#include "wire/api_sync_group.h"

struct sync_state {
    struct group_sync sync;
    struct request *request;
};

static void sync_done(struct group_sync *sync)
{
    struct request *request = container_of(sync, struct sync_state, sync)->request;
    struct sync_group_response *response = request_response(request);
    if (response == NULL) {
        request_fail(request);
        return;
    }
    response->error_code = error_to_kafka(sync->error);
    response->protocol_type = sync->result_protocol_type;
    response->protocol_name = sync->result_protocol_name;
    response->assignment = sync->assignment.data == NULL ? SLICE_EMPTY : sync->assignment;
    request_complete(request);
}

static void sync_cancelled(struct request *request)
{
    struct sync_state *state = request->handler_state;
    group_sync_cancel(request->broker->groups, &state->sync);
}

void handle_sync_group(struct request *request)
{
    const struct sync_group_request *body = request->body;
    struct sync_state *state = arena_allocate(&request->arena, sizeof *state);
    struct group_assignment *assignments =
        arena_allocate_array(&request->arena, body->assignments_count, sizeof *assignments);
    if (state == NULL || assignments == NULL) {
        request_fail(request);
        return;
    }
    for (uint32_t i = 0; i < body->assignments_count; i++)
        assignments[i] = (struct group_assignment){.member_id = body->assignments[i].member_id,
                                                   .assignment = body->assignments[i].assignment};
    state->request = request;
    state->sync = (struct group_sync){
        .arena = &request->arena,
        .group_id = body->group_id,
        .member_id = body->member_id,
        .instance_id = body->group_instance_id,
        .generation_id = body->generation_id,
        .protocol_type = body->protocol_type,
        .protocol_name = body->protocol_name,
        .assignments = assignments,
        .assignment_count = body->assignments_count,
        .done = sync_done,
    };
    request->handler_state = state;
    request->cancel = sync_cancelled;
    group_sync_start(request->broker->groups, &state->sync);
}
