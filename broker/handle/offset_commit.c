/* SPDX-License-Identifier: Apache-2.0 */
/* OffsetCommit: all partitions of a request are one batch of __consumer_offsets. */
#include "group/group.h"
#include "handle/handlers.h"
#include "wire/api_offset_commit.h"

struct commit_state {
    struct group_commit commit;
    struct request *request;
    int16_t **answers; /* Where each offset's error code goes. */
};

static void commit_done(struct group_commit *commit)
{
    struct commit_state *state = container_of(commit, struct commit_state, commit);
    for (uint32_t i = 0; i < commit->offset_count; i++)
        *state->answers[i] = error_to_kafka(commit->offsets[i].error);
    request_complete(state->request);
}

/* v10 names topics by id. */
static enum error topic_of(struct request *request, const struct offset_commit_request_topic *asked,
                           const struct catalog_topic **ret_topic, struct slice *ret_name)
{
    const struct catalog *catalog = request->broker->catalog;
    bool by_id = request->version >= 10;
    const struct catalog_topic *topic = by_id ? catalog_topic_find_id(catalog, &asked->topic_id)
                                              : catalog_topic_find(catalog, asked->name);
    *ret_topic = topic;
    *ret_name =
        by_id && topic != NULL ? arena_copy(&request->arena, slice_of(topic->name)) : asked->name;
    if (topic == NULL)
        return by_id ? ERROR_UNKNOWN_TOPIC_ID : ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    return ret_name->data == NULL ? ERROR_OUT_OF_MEMORY : ERROR_NONE;
}

static bool lay_out_topic(struct commit_state *state,
                          const struct offset_commit_request_topic *asked,
                          struct offset_commit_response_topic *answer)
{
    struct request *request = state->request;
    struct group_commit *commit = &state->commit;
    offset_commit_response_topic_init(answer);
    answer->name = asked->name;
    answer->topic_id = asked->topic_id;
    answer->partitions =
        arena_allocate_array(&request->arena, asked->partitions_count, sizeof *answer->partitions);
    if (answer->partitions == NULL)
        return false;
    answer->partitions_count = asked->partitions_count;
    const struct catalog_topic *topic;
    struct slice name;
    enum error error = topic_of(request, asked, &topic, &name);
    for (uint32_t i = 0; i < asked->partitions_count; i++) {
        const struct offset_commit_request_partition *partition = &asked->partitions[i];
        answer->partitions[i].partition_index = partition->partition_index;
        state->answers[commit->offset_count] = &answer->partitions[i].error_code;
        struct group_offset *offset = &commit->offsets[commit->offset_count++];
        *offset = (struct group_offset){
            .topic = name,
            .partition = partition->partition_index,
            .offset = partition->committed_offset,
            .leader_epoch = partition->committed_leader_epoch,
            .metadata = partition->committed_metadata.data == NULL ? SLICE_EMPTY
                                                                   : partition->committed_metadata,
            .error = error,
        };
        if (error == ERROR_NONE && (partition->partition_index < 0 ||
                                    (uint32_t)partition->partition_index >= topic->partition_count))
            offset->error = ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    }
    return true;
}

static bool lay_out(struct commit_state *state)
{
    struct request *request = state->request;
    const struct offset_commit_request *body = request->body;
    struct offset_commit_response *response = request_response(request);
    uint32_t count = 0;
    for (uint32_t i = 0; i < body->topics_count; i++)
        count += body->topics[i].partitions_count;
    state->commit.offsets =
        arena_allocate_array(&request->arena, count, sizeof *state->commit.offsets);
    state->answers = arena_allocate_array(&request->arena, count, sizeof *state->answers);
    if (response != NULL)
        response->topics =
            arena_allocate_array(&request->arena, body->topics_count, sizeof *response->topics);
    if (response == NULL || response->topics == NULL || state->commit.offsets == NULL ||
        state->answers == NULL)
        return false;
    response->topics_count = body->topics_count;
    for (uint32_t i = 0; i < body->topics_count; i++) {
        if (!lay_out_topic(state, &body->topics[i], &response->topics[i]))
            return false;
    }
    return true;
}

void handle_offset_commit(struct request *request)
{
    const struct offset_commit_request *body = request->body;
    struct commit_state *state = arena_allocate(&request->arena, sizeof *state);
    if (state == NULL) {
        request_fail(request);
        return;
    }
    state->request = request;
    state->commit = (struct group_commit){
        .group_id = body->group_id,
        .member_id = body->member_id,
        .instance_id = body->group_instance_id,
        .generation_id = body->generation_id_or_member_epoch,
        .done = commit_done,
    };
    if (!lay_out(state)) {
        request_fail(request);
        return;
    }
    group_commit_start(request->broker->groups, &state->commit);
}
