/* SPDX-License-Identifier: Apache-2.0 */
/* OffsetDelete (KIP-496): forgets committed offsets of topics the group does not subscribe to. */
#include "group/group.h"
#include "handle/handlers.h"
#include "wire/api_offset_delete.h"

struct delete_state {
    struct group_commit commit;
    struct request *request;
    int16_t **answers;
};

static void delete_done(struct group_commit *commit)
{
    struct delete_state *state = container_of(commit, struct delete_state, commit);
    struct offset_delete_response *response = state->request->response;
    response->error_code = error_to_kafka(commit->error);
    for (uint32_t i = 0; i < commit->offset_count; i++)
        *state->answers[i] = error_to_kafka(commit->offsets[i].error);
    if (commit->error != ERROR_NONE)
        response->topics_count = 0; /* Kafka: the top-level error stands alone. */
    request_complete(state->request);
}

static bool lay_out(struct delete_state *state)
{
    struct request *request = state->request;
    const struct offset_delete_request *body = request->body;
    struct offset_delete_response *response = request_response(request);
    struct group_commit *commit = &state->commit;
    uint32_t count = 0;
    for (uint32_t i = 0; i < body->topics_count; i++)
        count += body->topics[i].partitions_count;
    commit->offsets = arena_allocate_array(&request->arena, count, sizeof *commit->offsets);
    state->answers = arena_allocate_array(&request->arena, count, sizeof *state->answers);
    if (response != NULL)
        response->topics =
            arena_allocate_array(&request->arena, body->topics_count, sizeof *response->topics);
    if (response == NULL || response->topics == NULL || commit->offsets == NULL ||
        state->answers == NULL)
        return false;
    response->topics_count = body->topics_count;
    for (uint32_t i = 0; i < body->topics_count; i++) {
        const struct offset_delete_request_topic *asked = &body->topics[i];
        struct offset_delete_response_topic *answer = &response->topics[i];
        answer->name = asked->name;
        answer->partitions = arena_allocate_array(&request->arena, asked->partitions_count,
                                                  sizeof *answer->partitions);
        if (answer->partitions == NULL)
            return false;
        answer->partitions_count = asked->partitions_count;
        for (uint32_t j = 0; j < asked->partitions_count; j++) {
            int32_t index = asked->partitions[j].partition_index;
            answer->partitions[j].partition_index = index;
            state->answers[commit->offset_count] = &answer->partitions[j].error_code;
            commit->offsets[commit->offset_count++] =
                (struct group_offset){.topic = asked->name, .partition = index};
        }
    }
    return true;
}

void handle_offset_delete(struct request *request)
{
    const struct offset_delete_request *body = request->body;
    struct delete_state *state = arena_allocate(&request->arena, sizeof *state);
    if (state == NULL) {
        request_fail(request);
        return;
    }
    state->request = request;
    state->commit = (struct group_commit){
        .group_id = body->group_id, .generation_id = -1, .remove = true, .done = delete_done};
    if (!lay_out(state)) {
        request_fail(request);
        return;
    }
    group_commit_start(request->broker->groups, &state->commit);
}
