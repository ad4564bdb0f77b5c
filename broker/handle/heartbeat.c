/* SPDX-License-Identifier: Apache-2.0 */
/* Heartbeat: keeps a member's session, and tells it to rejoin. */
#include "group/group.h"
#include "handle/handlers.h"
#include "wire/api_heartbeat.h"

void handle_heartbeat(struct request *request)
{
    const struct heartbeat_request *body = request->body;
    struct heartbeat_response *response = request_response(request);
    if (response == NULL) {
        request_fail(request);
        return;
    }
    response->error_code =
        error_to_kafka(group_heartbeat(request->broker->groups, body->group_id, body->member_id,
                                       body->group_instance_id, body->generation_id));
    request_complete(request);
}
