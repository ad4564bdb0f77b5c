/* SPDX-License-Identifier: Apache-2.0 */
/* DescribeProducers (KIP-664): the idempotent producers a partition remembers. */
#include "handle/handlers.h"
#include "handle/leader_hint.h"
#include "wire/api_describe_producers.h"

struct producers {
    struct describe_producers_response_partition_response *answer;
    uint32_t capacity;
};

static void count_producer(void *context, const struct log_producer *producer)
{
    (void)producer;
    struct producers *producers = context;
    producers->capacity++;
}

static void fill_producer(void *context, const struct log_producer *producer)
{
    struct producers *producers = context;
    if (producers->answer->active_producers_count == producers->capacity)
        return;
    struct describe_producers_response_producer_state *state =
        &producers->answer->active_producers[producers->answer->active_producers_count++];
    state->producer_id = producer->producer_id;
    state->producer_epoch = producer->producer_epoch;
    state->last_sequence = producer->last_sequence;
    state->last_timestamp = producer->last_timestamp;
    state->coordinator_epoch = producer->coordinator_epoch;
    state->current_txn_start_offset = producer->current_transaction_start_offset;
}

static enum error fill_partition(struct request *request, struct slice topic, int32_t index,
                                 struct describe_producers_response_partition_response *answer)
{
    struct partition *partition = partition_table_find(request->broker->partitions, topic, index);
    if (partition == NULL)
        return topic_name_valid(topic)
                   ? leader_hint_absent(request->broker,
                                        catalog_topic_find(request->broker->catalog, topic), index)
                   : ERROR_INVALID_TOPIC;
    /* Any replica answers for itself (kafka-transactions describe-producers --broker-id). */
    struct log *log;
    enum error error = partition_log(partition, &log);
    if (error != ERROR_NONE)
        return error;
    struct producers producers = {.answer = answer};
    log_producer_each(log, count_producer, &producers);
    answer->active_producers =
        arena_allocate_array(&request->arena, producers.capacity, sizeof *answer->active_producers);
    if (answer->active_producers == NULL)
        return ERROR_OUT_OF_MEMORY;
    log_producer_each(log, fill_producer, &producers);
    return ERROR_NONE;
}

static bool fill_topic(struct request *request,
                       const struct describe_producers_request_topic_request *asked,
                       struct describe_producers_response_topic_response *answer)
{
    answer->name = asked->name;
    answer->partitions_count = asked->partition_indexes_count;
    answer->partitions =
        arena_allocate_array(&request->arena, answer->partitions_count, sizeof *answer->partitions);
    if (answer->partitions == NULL)
        return false;
    for (uint32_t i = 0; i < answer->partitions_count; i++) {
        struct describe_producers_response_partition_response *partition = &answer->partitions[i];
        describe_producers_response_partition_response_init(partition);
        partition->partition_index = asked->partition_indexes[i];
        partition->active_producers = WIRE_EMPTY;
        enum error error =
            fill_partition(request, asked->name, asked->partition_indexes[i], partition);
        if (error == ERROR_OUT_OF_MEMORY)
            return false;
        partition->error_code = error_to_kafka(error);
    }
    return true;
}

void handle_describe_producers(struct request *request)
{
    const struct describe_producers_request *body = request->body;
    struct describe_producers_response *response = request_response(request);
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
