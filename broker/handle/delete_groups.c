/* SPDX-License-Identifier: Apache-2.0 */
/* DeleteGroups (KIP-229): empty groups with all their offsets. */
#include "base/assertion.h"
#include "group/group.h"
#include "handle/handlers.h"
#include "wire/api_delete_groups.h"

struct delete_groups {
    struct request *request;
    uint32_t pending;
};

struct delete_one {
    struct group_delete deletion;
    struct delete_groups *all;
    struct delete_groups_response_deletable_group_result *answer;
};

static void release(struct delete_groups *all)
{
    ASSERT(all->pending > 0);
    if (--all->pending == 0)
        request_complete(all->request);
}

static void one_done(struct group_delete *deletion)
{
    struct delete_one *one = container_of(deletion, struct delete_one, deletion);
    one->answer->error_code = error_to_kafka(deletion->error);
    release(one->all);
}

void handle_delete_groups(struct request *request)
{
    const struct delete_groups_request *body = request->body;
    struct arena *arena = &request->arena;
    struct delete_groups_response *response = request_response(request);
    struct delete_groups *all = arena_allocate(arena, sizeof *all);
    struct delete_one *each = arena_allocate_array(arena, body->groups_names_count, sizeof *each);
    if (response != NULL)
        response->results =
            arena_allocate_array(arena, body->groups_names_count, sizeof *response->results);
    if (response == NULL || response->results == NULL || all == NULL || each == NULL) {
        request_fail(request);
        return;
    }
    *all = (struct delete_groups){.request = request, .pending = 1};
    response->results_count = body->groups_names_count;
    for (uint32_t i = 0; i < body->groups_names_count; i++) {
        response->results[i].group_id = body->groups_names[i];
        each[i].all = all;
        each[i].answer = &response->results[i];
        each[i].deletion.group_id = body->groups_names[i];
        each[i].deletion.done = one_done;
        all->pending++;
        group_delete_start(request->broker->groups, &each[i].deletion);
    }
    release(all);
}
