/* SPDX-License-Identifier: Apache-2.0 */
/* ListGroups: by state (KIP-518) and by type (KIP-848). */
#include "group/group.h"
#include "handle/handlers.h"
#include "wire/api_list_groups.h"

#include <strings.h>

struct listing {
    struct request *request;
    struct list_groups_response *response;
    uint32_t capacity;
    bool failed;
};

static bool passes(const struct slice *filter, uint32_t count, const char *name)
{
    for (uint32_t i = 0; i < count; i++) {
        if (filter[i].size == strlen(name) &&
            strncasecmp((const char *)filter[i].data, name, filter[i].size) == 0)
            return true;
    }
    return count == 0;
}

static void count_one(void *context, const struct group_view *group)
{
    (void)group;
    ((struct listing *)context)->capacity++;
}

static void add_one(void *context, const struct group_view *group)
{
    struct listing *listing = context;
    const struct list_groups_request *body = listing->request->body;
    if (!passes(body->states_filter, body->states_filter_count, group->state) ||
        !passes(body->types_filter, body->types_filter_count, "classic"))
        return;
    struct arena *arena = &listing->request->arena;
    struct list_groups_response_listed_group *answer =
        &listing->response->groups[listing->response->groups_count++];
    list_groups_response_listed_group_init(answer);
    answer->group_id = arena_copy(arena, group->group_id);
    answer->protocol_type = arena_copy(arena, group->protocol_type);
    answer->group_state = slice_of(group->state);
    answer->group_type = slice_of("classic");
    listing->failed =
        listing->failed || answer->group_id.data == NULL || answer->protocol_type.data == NULL;
}

void handle_list_groups(struct request *request)
{
    struct listing listing = {.request = request, .response = request_response(request)};
    if (listing.response != NULL) {
        group_each(request->broker->groups, count_one, &listing);
        listing.response->groups = arena_allocate_array(&request->arena, listing.capacity,
                                                        sizeof *listing.response->groups);
    }
    if (listing.response == NULL || listing.response->groups == NULL) {
        request_fail(request);
        return;
    }
    if (group_coordinator_loading(request->broker->groups))
        listing.response->error_code = error_to_kafka(ERROR_COORDINATOR_LOAD_IN_PROGRESS);
    else
        group_each(request->broker->groups, add_one, &listing);
    if (listing.failed)
        request_fail(request);
    else
        request_complete(request);
}
