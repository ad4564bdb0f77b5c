/* SPDX-License-Identifier: Apache-2.0 */
/* OffsetForLeaderEpoch (KIP-101, KIP-320): where a leader epoch ended, so that a consumer or
 * follower can tell whether its log was cut. */
#include "handle/handlers.h"
#include "handle/leader_hint.h"
#include "wire/api_offset_for_leader_epoch.h"

static enum error
answer_partition(struct request *request, struct slice topic,
                 const struct offset_for_leader_epoch_request_offset_for_leader_partition *asked,
                 struct offset_for_leader_epoch_response_epoch_end_offset *answer)
{
    struct partition *partition =
        partition_table_find(request->broker->partitions, topic, asked->partition);
    if (partition == NULL)
        return leader_hint_absent(
            request->broker, catalog_topic_find(request->broker->catalog, topic), asked->partition);
    enum error error = partition_check_leader(partition, asked->current_leader_epoch);
    if (error == ERROR_NONE)
        error = partition_epoch_end(partition, asked->leader_epoch, &answer->leader_epoch,
                                    &answer->end_offset);
    return error;
}

void handle_offset_for_leader_epoch(struct request *request)
{
    const struct offset_for_leader_epoch_request *body = request->body;
    struct arena *arena = &request->arena;
    struct offset_for_leader_epoch_response *response = request_response(request);
    if (response != NULL)
        response->topics =
            arena_allocate_array(arena, body->topics_count, sizeof *response->topics);
    if (response == NULL || response->topics == NULL) {
        request_fail(request);
        return;
    }
    response->topics_count = body->topics_count;
    for (uint32_t i = 0; i < body->topics_count; i++) {
        const struct offset_for_leader_epoch_request_offset_for_leader_topic *topic =
            &body->topics[i];
        struct offset_for_leader_epoch_response_offset_for_leader_topic_result *answer =
            &response->topics[i];
        offset_for_leader_epoch_response_offset_for_leader_topic_result_init(answer);
        answer->topic = topic->topic;
        answer->partitions_count = topic->partitions_count;
        answer->partitions =
            arena_allocate_array(arena, topic->partitions_count, sizeof *answer->partitions);
        if (answer->partitions == NULL) {
            request_fail(request);
            return;
        }
        for (uint32_t j = 0; j < topic->partitions_count; j++) {
            offset_for_leader_epoch_response_epoch_end_offset_init(&answer->partitions[j]);
            answer->partitions[j].partition = topic->partitions[j].partition;
            answer->partitions[j].error_code = error_to_kafka(answer_partition(
                request, topic->topic, &topic->partitions[j], &answer->partitions[j]));
        }
    }
    request_complete(request);
}
