/* SPDX-License-Identifier: Apache-2.0 */
/* DeleteRecords (KIP-107): moves the start of logs. Kafka's ReplicaManager.deleteRecords. */
#include "handle/handlers.h"
#include "wire/api_delete_records.h"

enum { LOW_WATERMARK_UNKNOWN = -1 };

static enum error delete_before(struct request *request, struct slice topic, int32_t index,
                                int64_t offset, int64_t *ret_low_watermark)
{
    struct partition *partition = partition_table_find(request->broker->partitions, topic, index);
    if (partition == NULL)
        return ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    /* A topic that only compacts keeps its records (PolicyViolationException in Kafka). */
    if (!partition_config(partition)->log.delete_enabled)
        return ERROR_POLICY_VIOLATION;
    if (offset < -1)
        return ERROR_OFFSET_OUT_OF_RANGE;
    return partition_delete_records(partition, offset, ret_low_watermark);
}

static bool fill_topic(struct request *request,
                       const struct delete_records_request_delete_records_topic *asked,
                       struct delete_records_response_delete_records_topic_result *answer)
{
    answer->name = asked->name;
    answer->partitions =
        arena_allocate_array(&request->arena, asked->partitions_count, sizeof *answer->partitions);
    if (answer->partitions == NULL)
        return false;
    answer->partitions_count = asked->partitions_count;
    for (uint32_t i = 0; i < asked->partitions_count; i++) {
        struct delete_records_response_delete_records_partition_result *partition =
            &answer->partitions[i];
        partition->partition_index = asked->partitions[i].partition_index;
        partition->low_watermark = LOW_WATERMARK_UNKNOWN;
        partition->error_code =
            error_to_kafka(delete_before(request, asked->name, asked->partitions[i].partition_index,
                                         asked->partitions[i].offset, &partition->low_watermark));
    }
    return true;
}

void handle_delete_records(struct request *request)
{
    const struct delete_records_request *body = request->body;
    struct delete_records_response *response = request_response(request);
    if (response != NULL)
        response->topics =
            arena_allocate_array(&request->arena, body->topics_count, sizeof *response->topics);
    bool answered = response != NULL && response->topics != NULL;
    for (uint32_t i = 0; answered && i < body->topics_count; i++) {
        response->topics_count++;
        answered = fill_topic(request, &body->topics[i], &response->topics[i]);
    }
    request_end(request, answered);
}
