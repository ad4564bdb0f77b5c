/* SPDX-License-Identifier: Apache-2.0 */
/* ListOffsets: by timestamp, or by Kafka's special markers. */
#include "handle/handlers.h"
#include "handle/leader_hint.h"
#include "wire/api_list_offsets.h"

enum {
    LIST_LATEST = -1,
    LIST_EARLIEST = -2,
    LIST_MAX_TIMESTAMP = -3,    /* v7+ */
    LIST_EARLIEST_LOCAL = -4,   /* v8+ */
    LIST_LATEST_TIERED = -5,    /* v9+ */
    LIST_EARLIEST_PENDING = -6, /* v11+ */
};

static bool marker_known(int64_t timestamp, int16_t version)
{
    switch (timestamp) {
    case LIST_LATEST:
    case LIST_EARLIEST:
        return true;
    case LIST_MAX_TIMESTAMP:
        return version >= 7;
    case LIST_EARLIEST_LOCAL:
        return version >= 8;
    case LIST_LATEST_TIERED:
        return version >= 9;
    case LIST_EARLIEST_PENDING:
        return version >= 11;
    default:
        return timestamp >= 0;
    }
}

static enum error find(struct partition *partition, int64_t timestamp,
                       const struct partition_offsets *offsets, int8_t isolation,
                       struct log_found *ret_found)
{
    struct log *log;
    enum error error = partition_log(partition, &log);
    if (error != ERROR_NONE)
        return error;
    struct log_found found = {.offset = -1, .timestamp = -1, .leader_epoch = -1};
    switch (timestamp) {
    case LIST_LATEST:
        found.offset = isolation == 1 ? offsets->last_stable_offset : offsets->high_watermark;
        found.leader_epoch = offsets->leader_epoch;
        break;
    case LIST_EARLIEST:
    case LIST_EARLIEST_LOCAL:
        found.offset = offsets->log_start_offset;
        found.leader_epoch = log_epoch_at(log, offsets->log_start_offset);
        break;
    case LIST_MAX_TIMESTAMP:
        error = log_find_max_timestamp(log, &found);
        break;
    case LIST_LATEST_TIERED: /* Nothing is tiered: Kafka answers -1 without tiered storage. */
    case LIST_EARLIEST_PENDING:
        break;
    default:
        error = log_find_timestamp(log, timestamp, &found);
        break;
    }
    if (error == ERROR_NONE)
        *ret_found = found;
    return error;
}

static enum error answer_partition(struct request *request, struct slice topic,
                                   const struct list_offsets_request_list_offsets_partition *asked,
                                   struct log_found *ret_found)
{
    const struct list_offsets_request *body = request->body;
    if (!marker_known(asked->timestamp, request->version))
        return ERROR_UNSUPPORTED_VERSION; /* Whether or not there is such a partition, as Kafka. */
    struct partition *partition =
        partition_table_find(request->broker->partitions, topic, asked->partition_index);
    if (partition == NULL)
        return leader_hint_absent(request->broker,
                                  catalog_topic_find(request->broker->catalog, topic),
                                  asked->partition_index);
    struct partition_offsets offsets;
    enum error error = partition_check_leader(partition, asked->current_leader_epoch);
    if (error == ERROR_NONE)
        error = partition_offsets(partition, &offsets);
    struct log_found found = {.offset = -1, .timestamp = -1, .leader_epoch = -1};
    if (error == ERROR_NONE)
        error = find(partition, asked->timestamp, &offsets, body->isolation_level, &found);
    /* A new leader does not know yet how much was committed before it: what it does not find may be
     * there (KIP-207). */
    bool above = asked->timestamp == LIST_LATEST || asked->timestamp == LIST_MAX_TIMESTAMP ||
                 (asked->timestamp >= 0 && found.offset < 0);
    if (error == ERROR_NONE && above && partition_epoch_start(partition) > offsets.high_watermark)
        error = request->version >= 5 ? ERROR_OFFSET_NOT_AVAILABLE : ERROR_LEADER_NOT_AVAILABLE;
    if (error == ERROR_NONE)
        *ret_found = found;
    return error;
}

/* A partition asked twice in one request is INVALID_REQUEST for both (Kafka: duplicatePartitions).
 */
static bool is_duplicate(const struct list_offsets_request_list_offsets_topic *topic, uint32_t at)
{
    for (uint32_t i = 0; i < topic->partitions_count && topic->partitions_count <= 1000; i++) {
        if (i != at &&
            topic->partitions[i].partition_index == topic->partitions[at].partition_index)
            return true;
    }
    return false;
}

static bool answer_topic(struct request *request,
                         const struct list_offsets_request_list_offsets_topic *topic,
                         struct list_offsets_response_list_offsets_topic_response *answer)
{
    list_offsets_response_list_offsets_topic_response_init(answer);
    answer->name = topic->name;
    answer->partitions =
        arena_allocate_array(&request->arena, topic->partitions_count, sizeof *answer->partitions);
    if (answer->partitions == NULL)
        return false;
    answer->partitions_count = topic->partitions_count;
    for (uint32_t i = 0; i < topic->partitions_count; i++) {
        struct list_offsets_response_list_offsets_partition_response *found =
            &answer->partitions[i];
        list_offsets_response_list_offsets_partition_response_init(found);
        found->partition_index = topic->partitions[i].partition_index;
        struct log_found offset = {.offset = -1, .timestamp = -1, .leader_epoch = -1};
        enum error error =
            is_duplicate(topic, i)
                ? ERROR_INVALID_REQUEST
                : answer_partition(request, topic->name, &topic->partitions[i], &offset);
        found->error_code = error_to_kafka(error);
        found->offset = offset.offset;
        found->timestamp = offset.timestamp;
        found->leader_epoch = offset.leader_epoch;
    }
    return true;
}

void handle_list_offsets(struct request *request)
{
    const struct list_offsets_request *body = request->body;
    struct list_offsets_response *response = request_response(request);
    if (response != NULL)
        response->topics =
            arena_allocate_array(&request->arena, body->topics_count, sizeof *response->topics);
    bool answered = response != NULL && response->topics != NULL;
    for (uint32_t i = 0; answered && i < body->topics_count; i++) {
        response->topics_count++;
        answered = answer_topic(request, &body->topics[i], &response->topics[i]);
    }
    request_end(request, answered);
}
