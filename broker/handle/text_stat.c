/* SPDX-License-Identifier: Apache-2.0 */
/* TextStat: what a node that has no replica of a partition must know of its file, from the leader;
 * and, for its fsync(2), that everything there is committed and on stable storage. */
#include "base/assertion.h"
#include "handle/handlers.h"
#include "wire/api_text_stat.h"

enum { PLACE_OFFSET, PLACE_BEFORE_END, PLACE_TIME, PLACE_COMMITTED };

enum { SYNC_WAIT_MS_MAX = 600000 };

/* Waits for the partition of a request with Sync. */
struct text_sync {
    struct request *request;
    struct partition *partition; /* Counted. */
    int64_t offset;              /* Everything below it is waited for. */
    struct partition_wait wait;
    struct timer timer;
};

static int64_t place_offset(struct log *log, const struct text_stat_request_place *place,
                            const struct partition_offsets *offsets, enum error *error)
{
    struct log_found found;
    int64_t offset = offsets->high_watermark;
    switch (place->kind) {
    case PLACE_OFFSET:
    case PLACE_COMMITTED:
        offset = place->value;
        break;
    case PLACE_BEFORE_END:
        if (place->value > 0 && __builtin_sub_overflow(offset, place->value, &offset))
            offset = 0;
        break;
    case PLACE_TIME:
        *error = log_find_timestamp(log, place->value, &found);
        if (*error == ERROR_NONE && found.offset >= 0)
            offset = found.offset;
        break;
    default:
        *error = ERROR_INVALID_REQUEST;
        break;
    }
    return offset;
}

static enum error place_find(struct log *log, const struct text_stat_request_place *place,
                             const struct partition_offsets *offsets,
                             struct text_stat_response_place_answer *answer)
{
    enum error error = ERROR_NONE;
    uint64_t position = log_text_end(log);
    int64_t offset = place_offset(log, place, offsets, &error);
    if (error != ERROR_NONE)
        return error;
    if (place->kind == PLACE_COMMITTED && offset > offsets->high_watermark &&
        offset <= offsets->log_end_offset)
        return ERROR_OFFSET_NOT_AVAILABLE;
    if (offset < offsets->log_start_offset)
        offset = offsets->log_start_offset;
    if (offset >= offsets->high_watermark)
        offset = offsets->high_watermark;
    else
        error = log_text_of_offset(log, offset, &position);
    answer->offset = offset;
    answer->position = (int64_t)position;
    return error;
}

/* What is there; `partition` leads. Nothing is made for one that nothing was ever stored in. */
static enum error stat_fill(struct partition *partition,
                            const struct text_stat_request_partition *asked,
                            struct text_stat_response_partition_answer *answer)
{
    struct partition_offsets offsets;
    struct log_found newest = {.timestamp = -1};
    struct log *log;
    answer->leader_epoch = partition_leader_epoch(partition);
    answer->max_timestamp = -1;
    if (!partition_has_log(partition))
        return ERROR_NONE;
    enum error error = partition_log(partition, &log);
    if (error == ERROR_NONE)
        error = partition_offsets(partition, &offsets);
    if (error != ERROR_NONE)
        return error;
    if (log_find_max_timestamp(log, &newest) == ERROR_NONE)
        answer->max_timestamp = newest.timestamp;
    answer->text_start = (int64_t)log_text_start(log);
    answer->text_end = (int64_t)log_text_end(log);
    answer->log_start_offset = offsets.log_start_offset;
    answer->high_watermark = offsets.high_watermark;
    answer->last_stable_offset = offsets.last_stable_offset;
    answer->log_end_offset = offsets.log_end_offset;
    answer->log_size_bytes = (int64_t)log_size_bytes(log);
    for (uint32_t i = 0; i < asked->places_count && error == ERROR_NONE; i++)
        error = place_find(log, &asked->places[i], &offsets, &answer->places[i]);
    return error;
}

struct replica_list {
    uint32_t count;
    struct text_stat_response_replica_answer each[PARTITION_REPLICAS_MAX];
};

static void add_replica(void *context, const struct partition_replica_view *view)
{
    struct replica_list *list = context;
    if (list->count == PARTITION_REPLICAS_MAX)
        return;
    text_stat_response_replica_answer_init(&list->each[list->count]);
    list->each[list->count].node_id = view->node_id;
    list->each[list->count++].end_offset = view->end_offset;
}

static bool fill_replicas(struct request *request, struct partition *partition,
                          struct text_stat_response_partition_answer *answer)
{
    struct replica_list list = {.count = 0};
    partition_replica_each(partition, add_replica, &list);
    answer->replicas = arena_allocate_array(&request->arena, list.count, sizeof *answer->replicas);
    if (answer->replicas == NULL)
        return false;
    memcpy(answer->replicas, list.each, list.count * sizeof *answer->replicas);
    answer->replicas_count = list.count;
    return true;
}

static bool answer_partition(struct request *request, const struct uuid *topic_id,
                             const struct text_stat_request_partition *asked,
                             struct text_stat_response_partition_answer *answer)
{
    text_stat_response_partition_answer_init(answer);
    answer->partition_index = asked->partition_index;
    answer->places =
        arena_allocate_array(&request->arena, asked->places_count, sizeof *answer->places);
    if (answer->places == NULL)
        return false;
    answer->places_count = asked->places_count;
    struct partition *partition =
        partition_table_find_id(request->broker->partitions, topic_id, asked->partition_index);
    enum error error = partition == NULL ? ERROR_UNKNOWN_TOPIC_OR_PARTITION
                                         : partition_check_leader(partition, -1);
    if (error == ERROR_NONE)
        error = stat_fill(partition, asked, answer);
    answer->error_code = error_to_kafka(error);
    const struct text_stat_request *body = request->body;
    return error != ERROR_NONE || !body->with_replicas || fill_replicas(request, partition, answer);
}

static bool answer_all(struct request *request)
{
    const struct text_stat_request *body = request->body;
    struct text_stat_response *response = request->response;
    response->topics =
        arena_allocate_array(&request->arena, body->topics_count, sizeof *response->topics);
    if (response->topics == NULL)
        return false;
    for (uint32_t i = 0; i < body->topics_count; i++) {
        const struct text_stat_request_topic *topic = &body->topics[i];
        struct text_stat_response_topic_answer *answer = &response->topics[i];
        text_stat_response_topic_answer_init(answer);
        response->topics_count++;
        answer->topic_id = topic->topic_id;
        answer->partitions = arena_allocate_array(&request->arena, topic->partitions_count,
                                                  sizeof *answer->partitions);
        if (answer->partitions == NULL)
            return false;
        for (uint32_t k = 0; k < topic->partitions_count; k++) {
            answer->partitions_count++;
            if (!answer_partition(request, &topic->topic_id, &topic->partitions[k],
                                  &answer->partitions[k]))
                return false;
        }
    }
    return true;
}

/* ---- fsync(2) of a file elsewhere ---- */

static void sync_end(struct text_sync *sync, enum error error)
{
    struct request *request = sync->request;
    struct text_stat_response *response = request->response;
    partition_wait_remove(&sync->wait);
    executor_timer_stop(request->broker->executor, &sync->timer);
    partition_unref(sync->partition);
    request->cancel = NULL;
    response->error_code = error_to_kafka(error);
    request_end(request, answer_all(request));
}

static void sync_step(struct text_sync *sync)
{
    bool durable = false;
    enum error error = partition_check_leader(sync->partition, -1);
    if (error == ERROR_NONE)
        error = partition_is_durable(sync->partition, sync->offset, &durable);
    if (durable) {
        sync_end(sync, ERROR_NONE);
        return;
    }
    if (error == ERROR_NONE)
        error = partition_sync(sync->partition);
    if (error == ERROR_NONE)
        partition_wait_add(sync->partition, &sync->wait);
    else
        sync_end(sync, error);
}

static void sync_woken(struct task *task)
{
    struct partition_wait *wait = container_of(task, struct partition_wait, task);
    wait->posted = false;
    sync_step(container_of(wait, struct text_sync, wait));
}

static void sync_timed_out(struct timer *timer)
{
    sync_end(container_of(timer, struct text_sync, timer), ERROR_REQUEST_TIMED_OUT);
}

static void sync_cancel(struct request *request)
{
    sync_end(request->handler_state, ERROR_INTERRUPTED);
}

/* The partition of a request with Sync; NULL: it does not name one alone, or it is not here. */
static struct partition *sync_partition(struct request *request)
{
    const struct text_stat_request *body = request->body;
    if (body->topics_count != 1 || body->topics[0].partitions_count != 1)
        return NULL;
    return partition_table_find_id(request->broker->partitions, &body->topics[0].topic_id,
                                   body->topics[0].partitions[0].partition_index);
}

static void sync_start(struct request *request)
{
    const struct text_stat_request *body = request->body;
    struct text_stat_response *response = request->response;
    struct text_sync *sync = arena_allocate(&request->arena, sizeof *sync);
    struct partition *partition = sync_partition(request);
    struct log *log;
    enum error error = ERROR_NONE;
    if (sync == NULL) {
        request_fail(request);
        return;
    }
    if (partition == NULL)
        error = ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    if (error == ERROR_NONE)
        error = partition_check_leader(partition, -1);
    if (error == ERROR_NONE && partition_has_log(partition))
        error = partition_log(partition, &log);
    if (error != ERROR_NONE || !partition_has_log(partition)) {
        response->error_code = error_to_kafka(error);
        request_end(request, answer_all(request));
        return;
    }
    *sync = (struct text_sync){.request = request,
                               .partition = partition_ref(partition),
                               .offset = log_end_offset(log),
                               .timer = {.fire = sync_timed_out}};
    list_init(&sync->wait.link);
    list_init(&sync->wait.task.link);
    sync->wait.task.run = sync_woken;
    request->handler_state = sync;
    request->cancel = sync_cancel;
    int64_t wait_ms = body->max_wait_ms < SYNC_WAIT_MS_MAX ? body->max_wait_ms : SYNC_WAIT_MS_MAX;
    executor_timer_start(request->broker->executor, &sync->timer, wait_ms);
    sync_step(sync);
}

void handle_text_stat(struct request *request)
{
    const struct text_stat_request *body = request->body;
    if (request_response(request) == NULL)
        request_fail(request);
    else if (body->sync)
        sync_start(request);
    else
        request_end(request, answer_all(request));
}
