/* SPDX-License-Identifier: Apache-2.0 */
/* DeleteRecords (KIP-107): moves the start of logs, and answers once every live replica has moved
 * (Kafka: ReplicaManager.deleteRecords, DelayedDeleteRecords).
 *
 *   handle_delete_records -> own log starts -> replicas behind? -> answer
 *                                               yes -> waits, woken as they report -> answer */
#include "base/assertion.h"
#include "handle/handlers.h"
#include "handle/leader_hint.h"
#include "wire/api_delete_records.h"

enum { LOW_WATERMARK_UNKNOWN = -1 };

/* One partition of the request. */
struct deletion {
    struct deletions *deletions;
    struct delete_records_response_delete_records_partition_result *answer;
    struct partition *partition; /* Counted while its replicas are waited for; else NULL. */
    struct partition_wait wait;
    int64_t offset; /* Where every replica is to begin. */
};

struct deletions {
    struct request *request;
    struct deletion *parts;
    uint32_t count;
    uint32_t capacity;
    uint32_t pending;
    struct timer timer;
};

static enum error delete_before(struct request *request, struct slice topic, int32_t index,
                                int64_t offset, struct partition **ret_partition,
                                int64_t *ret_low_watermark)
{
    struct broker *broker = request->broker;
    struct partition *partition = partition_table_find(broker->partitions, topic, index);
    enum error error =
        leader_hint_absent(broker, catalog_topic_find(broker->catalog, topic), index);
    if (partition == NULL && error == ERROR_UNKNOWN_TOPIC_OR_PARTITION)
        return error;
    if (topic_is_internal(topic))
        return ERROR_INVALID_TOPIC; /* Kafka: ReplicaManager.deleteRecordsOnLocalLog. */
    if (partition == NULL)
        return error;
    error = partition_check_leader(partition, -1);
    if (error != ERROR_NONE)
        return error;
    /* A topic that only compacts keeps its records (PolicyViolationException in Kafka). */
    if (!partition_config(partition)->log.delete_enabled)
        return ERROR_POLICY_VIOLATION;
    if (offset < -1)
        return ERROR_OFFSET_OUT_OF_RANGE;
    *ret_partition = partition;
    return partition_delete_records(partition, offset, ret_low_watermark);
}

/* True when nothing more is to be waited for. */
static bool deletion_settled(struct deletion *deletion, bool timed_out)
{
    enum error error = partition_check_leader(deletion->partition, -1);
    int64_t low_watermark = partition_low_watermark(deletion->partition);
    bool reached = error == ERROR_NONE && low_watermark >= deletion->offset;
    if (error == ERROR_NONE && !reached && timed_out)
        error = ERROR_REQUEST_TIMED_OUT;
    if (!reached && error == ERROR_NONE)
        return false;
    deletion->answer->error_code = error_to_kafka(error);
    deletion->answer->low_watermark = reached ? low_watermark : LOW_WATERMARK_UNKNOWN;
    partition_wait_remove(&deletion->wait);
    partition_unref(deletion->partition);
    deletion->partition = NULL;
    deletion->deletions->pending--;
    return true;
}

static void deletions_end(struct deletions *deletions)
{
    struct request *request = deletions->request;
    ASSERT(deletions->pending == 0);
    request->cancel = NULL;
    executor_timer_stop(request->broker->executor, &deletions->timer);
    request_complete(request);
}

static void deletion_woken(struct task *task)
{
    struct partition_wait *wait = container_of(task, struct partition_wait, task);
    struct deletion *deletion = container_of(wait, struct deletion, wait);
    wait->posted = false;
    if (!deletion_settled(deletion, false))
        partition_wait_add(deletion->partition, wait);
    else if (deletion->deletions->pending == 0)
        deletions_end(deletion->deletions);
}

static void deletions_give_up(struct deletions *deletions)
{
    for (uint32_t i = 0; i < deletions->count; i++) {
        if (deletions->parts[i].partition != NULL)
            (void)deletion_settled(&deletions->parts[i], true);
    }
    deletions_end(deletions);
}

static void deletions_timed_out(struct timer *timer)
{
    deletions_give_up(container_of(timer, struct deletions, timer));
}

static void deletions_cancelled(struct request *request)
{
    deletions_give_up(request->handler_state);
}

static void deletion_begin(struct deletions *deletions, struct slice topic,
                           const struct delete_records_request_delete_records_partition *asked,
                           struct delete_records_response_delete_records_partition_result *answer)
{
    ASSERT(deletions->count < deletions->capacity);
    struct deletion *deletion = &deletions->parts[deletions->count++];
    struct partition *partition = NULL;
    int64_t start;
    answer->partition_index = asked->partition_index;
    answer->low_watermark = LOW_WATERMARK_UNKNOWN;
    enum error error = delete_before(deletions->request, topic, asked->partition_index,
                                     asked->offset, &partition, &start);
    answer->error_code = error_to_kafka(error);
    if (error != ERROR_NONE)
        return;
    deletion->deletions = deletions;
    deletion->answer = answer;
    deletion->offset = start;
    deletion->partition = partition_ref(partition);
    deletion->wait.task.run = deletion_woken;
    list_init(&deletion->wait.link);
    list_init(&deletion->wait.task.link);
    deletions->pending++;
    if (!deletion_settled(deletion, false))
        partition_wait_add(partition, &deletion->wait);
}

static bool deletions_make(struct request *request, struct deletions **ret_deletions)
{
    const struct delete_records_request *body = request->body;
    struct delete_records_response *response = request_response(request);
    struct deletions *deletions = arena_allocate(&request->arena, sizeof *deletions);
    if (response == NULL || deletions == NULL)
        return false;
    deletions->request = request;
    for (uint32_t i = 0; i < body->topics_count; i++)
        deletions->capacity += body->topics[i].partitions_count;
    deletions->parts =
        arena_allocate_array(&request->arena, deletions->capacity, sizeof *deletions->parts);
    response->topics =
        arena_allocate_array(&request->arena, body->topics_count, sizeof *response->topics);
    if (deletions->parts == NULL || response->topics == NULL)
        return false;
    response->topics_count = body->topics_count;
    for (uint32_t i = 0; i < body->topics_count; i++) {
        struct delete_records_response_delete_records_topic_result *answer = &response->topics[i];
        answer->name = body->topics[i].name;
        answer->partitions = arena_allocate_array(&request->arena, body->topics[i].partitions_count,
                                                  sizeof *answer->partitions);
        if (answer->partitions == NULL)
            return false;
        answer->partitions_count = body->topics[i].partitions_count;
    }
    *ret_deletions = deletions;
    return true;
}

void handle_delete_records(struct request *request)
{
    const struct delete_records_request *body = request->body;
    struct deletions *deletions;
    if (!deletions_make(request, &deletions)) {
        request_end(request, false);
        return;
    }
    const struct delete_records_response *response = request->response;
    for (uint32_t i = 0; i < body->topics_count; i++) {
        for (uint32_t k = 0; k < body->topics[i].partitions_count; k++)
            deletion_begin(deletions, body->topics[i].name, &body->topics[i].partitions[k],
                           &response->topics[i].partitions[k]);
    }
    request->handler_state = deletions;
    deletions->timer.fire = deletions_timed_out;
    if (deletions->pending == 0) {
        deletions_end(deletions);
    } else if (body->timeout_ms <= 0) {
        deletions_give_up(deletions);
    } else {
        request->cancel = deletions_cancelled;
        executor_timer_start(request->broker->executor, &deletions->timer, body->timeout_ms);
    }
}
