/* SPDX-License-Identifier: Apache-2.0 */
/* DeleteGroups (KIP-229): empty groups with all their offsets. */
#include "group/group.h"
#include "handle/handlers.h"
#include "wire/api_delete_groups.h"

struct delete_one {
    struct group_delete deletion;
    struct request *request;
    struct delete_groups_response_deletable_group_result *answer;
};

static void one_done(struct group_delete *deletion)
{
    struct delete_one *one = container_of(deletion, struct delete_one, deletion);
    one->answer->error_code = error_to_kafka(deletion->error);
    request_release(one->request);
}

void handle_delete_groups(struct request *request)
{
    const struct delete_groups_request *body = request->body;
    struct arena *arena = &request->arena;
    struct delete_groups_response *response = request_response(request);
    struct delete_one *each = arena_allocate_array(arena, body->groups_names_count, sizeof *each);
    if (response != NULL)
        response->results =
            arena_allocate_array(arena, body->groups_names_count, sizeof *response->results);
    if (response == NULL || response->results == NULL || each == NULL) {
        request_fail(request);
        return;
    }
    request_hold(request);
    response->results_count = body->groups_names_count;
    for (uint32_t i = 0; i < body->groups_names_count; i++) {
        response->results[i].group_id = body->groups_names[i];
        each[i].request = request;
        each[i].answer = &response->results[i];
        each[i].deletion.group_id = body->groups_names[i];
        each[i].deletion.done = one_done;
        request_hold(request);
        group_delete_start(request->broker->groups, &each[i].deletion);
    }
    request_release(request);
}
