/* SPDX-License-Identifier: Apache-2.0 */
/* DescribeGroups: state, protocol and members. A missing group is "Dead" up to v5 and
 * GROUP_ID_NOT_FOUND since v6 (KIP-1043). */
#include "group/group.h"
#include "handle/handlers.h"
#include "wire/api_describe_groups.h"

struct description {
    struct request *request;
    struct describe_groups_response_described_group *answer;
    bool failed;
};

static void add_member(void *context, const struct group_member_view *member)
{
    struct description *description = context;
    struct arena *arena = &description->request->arena;
    struct describe_groups_response_described_group_member *answer =
        &description->answer->members[description->answer->members_count++];
    describe_groups_response_described_group_member_init(answer);
    answer->member_id = arena_copy(arena, member->member_id);
    answer->group_instance_id = arena_copy(arena, member->instance_id);
    answer->client_id = arena_copy(arena, member->client_id);
    answer->client_host = arena_copy(arena, member->client_host);
    answer->member_metadata = arena_copy(arena, member->metadata);
    answer->member_assignment = arena_copy(arena, member->assignment);
    description->failed =
        description->failed || answer->member_id.data == NULL || answer->client_id.data == NULL ||
        answer->client_host.data == NULL || answer->member_metadata.data == NULL ||
        (member->instance_id.data != NULL && answer->group_instance_id.data == NULL) ||
        answer->member_assignment.data == NULL;
}

static bool describe(struct request *request, struct slice group_id,
                     struct describe_groups_response_described_group *answer)
{
    struct arena *arena = &request->arena;
    describe_groups_response_described_group_init(answer);
    answer->group_id = group_id;
    answer->group_state = SLICE_EMPTY;
    answer->protocol_type = SLICE_EMPTY;
    answer->protocol_data = SLICE_EMPTY;
    struct group_view view;
    enum error error = group_describe(request->broker->groups, group_id, &view);
    if (error == ERROR_GROUP_ID_NOT_FOUND) {
        answer->group_state = slice_of("Dead");
        if (request->version >= 6) {
            answer->error_code = error_to_kafka(error);
            answer->error_message =
                arena_format(arena, "Group %.*s not found.", SLICE_PRINT(group_id));
        }
        return true;
    }
    answer->error_code = error_to_kafka(error);
    if (error != ERROR_NONE)
        return true;
    answer->group_state = slice_of(view.state);
    answer->protocol_type = arena_copy(arena, view.protocol_type);
    answer->protocol_data =
        strcmp(view.state, "Stable") == 0 ? arena_copy(arena, view.protocol_name) : SLICE_EMPTY;
    answer->members = arena_allocate_array(arena, view.member_count, sizeof *answer->members);
    if (answer->members == NULL || answer->protocol_type.data == NULL ||
        (view.protocol_name.data != NULL && answer->protocol_data.data == NULL))
        return false;
    struct description description = {.request = request, .answer = answer};
    group_member_each(request->broker->groups, group_id, add_member, &description);
    return !description.failed;
}

void handle_describe_groups(struct request *request)
{
    const struct describe_groups_request *body = request->body;
    struct describe_groups_response *response = request_response(request);
    if (response != NULL)
        response->groups =
            arena_allocate_array(&request->arena, body->groups_count, sizeof *response->groups);
    bool filled = response != NULL && response->groups != NULL;
    for (uint32_t i = 0; filled && i < body->groups_count; i++) {
        response->groups_count++;
        filled = describe(request, body->groups[i], &response->groups[i]);
    }
    request_end(request, filled);
}
