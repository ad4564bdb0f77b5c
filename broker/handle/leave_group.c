/* SPDX-License-Identifier: Apache-2.0 */
/* LeaveGroup: one member, or since v3 (KIP-345) a list with an answer each. */
#include "group/group.h"
#include "handle/handlers.h"
#include "wire/api_leave_group.h"

static bool leave_each(struct request *request, struct leave_group_response *response)
{
    const struct leave_group_request *body = request->body;
    response->members =
        arena_allocate_array(&request->arena, body->members_count, sizeof *response->members);
    if (response->members == NULL)
        return false;
    response->members_count = body->members_count;
    for (uint32_t i = 0; i < body->members_count; i++) {
        const struct leave_group_request_member_identity *member = &body->members[i];
        leave_group_response_member_response_init(&response->members[i]);
        response->members[i].member_id = member->member_id;
        response->members[i].group_instance_id = member->group_instance_id;
        response->members[i].error_code = error_to_kafka(group_leave(
            request->broker->groups, body->group_id, member->member_id, member->group_instance_id));
    }
    return true;
}

void handle_leave_group(struct request *request)
{
    const struct leave_group_request *body = request->body;
    struct leave_group_response *response = request_response(request);
    enum error error = group_coordinator_check(request->broker->groups, body->group_id);
    if (response == NULL ||
        (error == ERROR_NONE && request->version >= 3 && !leave_each(request, response))) {
        request_fail(request);
        return;
    }
    if (error == ERROR_NONE && request->version < 3)
        error = group_leave(request->broker->groups, body->group_id, body->member_id, SLICE_NULL);
    response->error_code = error_to_kafka(error);
    request_complete(request);
}
