/* SPDX-License-Identifier: Apache-2.0 */
/* Fetch: collect what is asked (request or session), answer at once or park until enough bytes are
 * there.
 *
 *   handle_fetch -> fetch_collect -> ready? -> fetch_answer
 *                                     no -> waits on every partition + timer -> woken -> ready? ...
 */
#include "base/assertion.h"
#include "handle/fetch_session.h"
#include "handle/handlers.h"
#include "handle/leader_hint.h"
#include "wire/api_fetch.h"

enum { FETCH_WAIT_MS_MAX = 600000 };

/* One partition asked for. */
struct fetch_part {
    struct fetch *fetch;
    struct partition_wait wait;
    struct partition *partition; /* Counted; NULL when there is none here. */
    struct slice topic;
    struct uuid topic_id;
    int32_t index;
    int32_t current_leader_epoch;
    int32_t last_fetched_epoch;
    int32_t max_bytes;
    int64_t fetch_offset;
    enum error error; /* Of looking it up. */
};

struct fetch {
    struct request *request;
    struct fetch_session *session; /* Counted; NULL: none. */
    bool session_new;
    struct fetch_part *parts;
    uint32_t parts_count;
    uint32_t parts_capacity;
    struct timer timer;
    bool waiting;
};

static const struct catalog_topic *part_topic(const struct fetch_part *part)
{
    const struct catalog *catalog = part->fetch->request->broker->catalog;
    return part->fetch->request->version >= 13 ? catalog_topic_find_id(catalog, &part->topic_id)
                                               : catalog_topic_find(catalog, part->topic);
}

static void part_look_up(struct fetch_part *part)
{
    struct request *request = part->fetch->request;
    struct broker *broker = request->broker;
    if (request->version >= 13) {
        const struct catalog_topic *topic = catalog_topic_find_id(broker->catalog, &part->topic_id);
        if (topic == NULL) {
            part->error = ERROR_UNKNOWN_TOPIC_ID;
            return;
        }
        part->partition = partition_table_find_id(broker->partitions, &part->topic_id, part->index);
    } else {
        part->partition = partition_table_find(broker->partitions, part->topic, part->index);
    }
    if (part->partition == NULL)
        part->error = leader_hint_absent(broker, part_topic(part), part->index);
    else
        (void)partition_ref(part->partition);
}

static struct fetch_part *part_add(struct fetch *fetch)
{
    ASSERT(fetch->parts_count < fetch->parts_capacity);
    struct fetch_part *part = &fetch->parts[fetch->parts_count++];
    part->fetch = fetch;
    list_init(&part->wait.link);
    list_init(&part->wait.task.link);
    return part;
}

static bool collect_from_request(struct fetch *fetch)
{
    const struct fetch_request *body = fetch->request->body;
    for (uint32_t i = 0; i < body->topics_count; i++)
        fetch->parts_capacity += body->topics[i].partitions_count;
    fetch->parts =
        arena_allocate_array(&fetch->request->arena, fetch->parts_capacity, sizeof *fetch->parts);
    if (fetch->parts == NULL)
        return false;
    for (uint32_t i = 0; i < body->topics_count; i++) {
        const struct fetch_request_fetch_topic *topic = &body->topics[i];
        for (uint32_t j = 0; j < topic->partitions_count; j++) {
            const struct fetch_request_fetch_partition *asked = &topic->partitions[j];
            struct fetch_part *part = part_add(fetch);
            part->topic = topic->topic;
            part->topic_id = topic->topic_id;
            part->index = asked->partition;
            part->current_leader_epoch = asked->current_leader_epoch;
            part->last_fetched_epoch = asked->last_fetched_epoch;
            part->max_bytes = asked->partition_max_bytes;
            part->fetch_offset = asked->fetch_offset;
            part_look_up(part);
        }
    }
    return true;
}

static bool collect_from_session(struct fetch *fetch)
{
    struct arena *arena = &fetch->request->arena;
    fetch->parts_capacity = fetch_session_count(fetch->session);
    fetch->parts = arena_allocate_array(arena, fetch->parts_capacity, sizeof *fetch->parts);
    if (fetch->parts == NULL)
        return false;
    list_for_each(link, fetch_session_entries(fetch->session))
    {
        const struct fetch_session_entry *entry =
            container_of(link, struct fetch_session_entry, link);
        struct fetch_part *part = part_add(fetch);
        part->topic = arena_copy(arena, slice_from(entry->topic, entry->topic_size));
        if (part->topic.data == NULL)
            return false;
        part->topic_id = entry->topic_id;
        part->index = entry->partition;
        part->current_leader_epoch = entry->current_leader_epoch;
        part->last_fetched_epoch = entry->last_fetched_epoch;
        part->max_bytes = entry->max_bytes;
        part->fetch_offset = entry->fetch_offset;
        part_look_up(part);
    }
    return true;
}

static void fetch_release(struct fetch *fetch)
{
    for (uint32_t i = 0; i < fetch->parts_count; i++) {
        partition_unref(fetch->parts[i].partition);
        fetch->parts[i].partition = NULL;
    }
    fetch_session_unref(fetch->session);
    fetch->session = NULL;
}

/* KIP-595's check of the follower's or consumer's last epoch against ours, before its offset is
 * looked at: *ret_diverging is where the logs part, or as it was. An epoch this log knows nothing
 * of is OFFSET_OUT_OF_RANGE (Kafka's Partition.readRecords). */
static enum error check_last_epoch(struct fetch_part *part,
                                   struct fetch_response_epoch_end_offset *ret_diverging)
{
    if (part->last_fetched_epoch < 0)
        return ERROR_NONE;
    struct fetch_response_epoch_end_offset end = {.epoch = -1, .end_offset = -1};
    enum error error = partition_check_leader(part->partition, part->current_leader_epoch);
    if (error == ERROR_NONE)
        error = partition_epoch_end(part->partition, part->last_fetched_epoch, &end.epoch,
                                    &end.end_offset);
    if (error != ERROR_NONE)
        return error;
    if (end.epoch < 0 || end.end_offset < 0)
        return ERROR_OFFSET_OUT_OF_RANGE;
    if (end.epoch < part->last_fetched_epoch || end.end_offset < part->fetch_offset)
        *ret_diverging = end;
    return ERROR_NONE;
}

/* Whether the part is to be answered at once whatever min_bytes says; counts readable bytes. */
static bool part_ready(struct fetch_part *part, int64_t *bytes)
{
    if (part->error != ERROR_NONE)
        return true;
    struct partition_offsets offsets;
    struct log *log;
    if (partition_offsets(part->partition, &offsets) != ERROR_NONE)
        return true;
    if (partition_check_leader(part->partition, part->current_leader_epoch) != ERROR_NONE)
        return true;
    if (part->fetch_offset < offsets.log_start_offset ||
        part->fetch_offset > offsets.log_end_offset)
        return true;
    struct fetch_response_epoch_end_offset diverging = {.epoch = -1};
    if (check_last_epoch(part, &diverging) != ERROR_NONE || diverging.epoch >= 0)
        return true;
    if (part->fetch_offset < offsets.high_watermark &&
        partition_log(part->partition, &log) == ERROR_NONE) {
        int64_t available = log_visible_bytes_after(log, part->fetch_offset);
        *bytes += available < part->max_bytes ? available : part->max_bytes;
        /* Even a batch beyond its limit is given: there is something. */
        if (part->max_bytes <= 0)
            *bytes += 1;
    }
    return false;
}

static bool fetch_ready(struct fetch *fetch)
{
    const struct fetch_request *body = fetch->request->body;
    if (body->max_wait_ms <= 0 || body->min_bytes <= 0 || fetch->parts_count == 0 ||
        fetch->request->broker->stopping)
        return true;
    int64_t bytes = 0;
    for (uint32_t i = 0; i < fetch->parts_count; i++) {
        if (part_ready(&fetch->parts[i], &bytes))
            return true;
        if (bytes >= body->min_bytes)
            return true;
    }
    return bytes >= body->min_bytes;
}

static void release_segment(void *holder)
{
    segment_unref(holder);
}

/* The response was never encoded: its records give back their segments here. */
static void fetch_drop(struct request *request)
{
    struct fetch_response *response = request->response;
    for (uint32_t i = 0; response != NULL && i < response->responses_count; i++) {
        for (uint32_t j = 0; j < response->responses[i].partitions_count; j++) {
            const struct records *records = &response->responses[i].partitions[j].records;
            for (uint32_t k = 0; k < records->parts_count; k++)
                records->release(records->parts[k].holder);
        }
    }
}

static bool fill_records(struct fetch *fetch, struct fetch_response_partition_data *data,
                         struct log_slice *slice)
{
    data->records.data = SLICE_EMPTY;
    if (slice->size == 0) {
        log_slice_release(slice);
        return true;
    }
    struct records_part *part = arena_allocate(&fetch->request->arena, sizeof *part);
    if (part == NULL) {
        log_slice_release(slice);
        return false;
    }
    *part = (struct records_part){.file = slice->file,
                                  .position = slice->position,
                                  .size = slice->size,
                                  .holder = slice->segment};
    data->records.parts = part;
    data->records.parts_count = 1;
    data->records.release = release_segment;
    return true;
}

static void fill_leader(const struct fetch_part *part, struct fetch_response_partition_data *data)
{
    (void)leader_hint(part->fetch->request->broker, part_topic(part), part->index,
                      &data->current_leader.leader_id, &data->current_leader.leader_epoch);
}

/* Reads one partition into its answer. `left` is what the whole response may still take; false when
 * out of memory. */
static bool part_answer(struct fetch_part *part, int64_t left, bool at_least_one,
                        struct fetch_response_partition_data *data)
{
    const struct fetch_request *body = part->fetch->request->body;
    fetch_response_partition_data_init(data);
    data->partition_index = part->index;
    data->high_watermark = -1;
    data->records.data = SLICE_EMPTY;
    struct log_slice slice = {0};
    struct partition_offsets offsets = {0};
    enum error error = part->error;
    if (error == ERROR_NONE)
        error = check_last_epoch(part, &data->diverging_epoch);
    if (error == ERROR_NONE && data->diverging_epoch.epoch >= 0) {
        error = partition_offsets(part->partition, &offsets);
    } else if (error == ERROR_NONE) {
        int64_t limit = part->max_bytes < left ? part->max_bytes : left;
        error = partition_read(part->partition, part->current_leader_epoch, part->fetch_offset,
                               limit < 0 ? 0 : (size_t)limit, at_least_one,
                               (enum partition_isolation)(body->isolation_level == 1), &slice,
                               &offsets);
    }
    data->error_code = error_to_kafka(error);
    if (error != ERROR_NONE) {
        if (error == ERROR_NOT_LEADER_OR_FOLLOWER || error == ERROR_FENCED_LEADER_EPOCH)
            fill_leader(part, data);
        return true;
    }
    data->high_watermark = offsets.high_watermark;
    data->last_stable_offset = offsets.last_stable_offset;
    data->log_start_offset = offsets.log_start_offset;
    data->aborted_transactions = body->isolation_level == 1 ? WIRE_EMPTY : NULL;
    return fill_records(part->fetch, data, &slice);
}

/* An incremental answer leaves out what the client knows already. */
static bool worth_sending(struct fetch *fetch, const struct fetch_part *part,
                          const struct fetch_response_partition_data *data)
{
    if (fetch->session == NULL)
        return true;
    struct fetch_session_entry *entry =
        fetch_session_find(fetch->session, &part->topic_id, part->topic, part->index);
    bool news = entry == NULL || !entry->known_to_client || data->error_code != 0 ||
                data->records.parts_count > 0 || data->diverging_epoch.epoch >= 0 ||
                data->high_watermark != entry->high_watermark ||
                data->last_stable_offset != entry->last_stable_offset ||
                data->log_start_offset != entry->log_start_offset;
    if (entry != NULL) {
        entry->known_to_client = data->error_code == 0;
        entry->high_watermark = data->high_watermark;
        entry->last_stable_offset = data->last_stable_offset;
        entry->log_start_offset = data->log_start_offset;
        if (data->records.parts_count > 0)
            fetch_session_to_back(fetch->session, entry);
    }
    return news || fetch->session_new;
}

/* The topic to add the next partition to: the last one when it is the same. */
static struct fetch_response_fetchable_topic_response *
topic_for(struct fetch_response *response, const struct fetch_part *part,
          struct fetch_response_partition_data *at)
{
    if (response->responses_count > 0) {
        struct fetch_response_fetchable_topic_response *last =
            &response->responses[response->responses_count - 1];
        if (uuid_equals(&last->topic_id, &part->topic_id) && slice_equals(last->topic, part->topic))
            return last;
    }
    struct fetch_response_fetchable_topic_response *topic =
        &response->responses[response->responses_count++];
    fetch_response_fetchable_topic_response_init(topic);
    topic->topic = part->topic;
    topic->topic_id = part->topic_id;
    topic->partitions = at;
    return topic;
}

/* v16+: where the leaders are that the answer names, each once. Without memory the client asks for
 * metadata as before. */
static void fill_endpoints(struct fetch *fetch, struct fetch_response *response)
{
    struct request *request = fetch->request;
    for (uint32_t i = 0; i < response->responses_count; i++) {
        for (uint32_t k = 0; k < response->responses[i].partitions_count; k++) {
            int32_t leader = response->responses[i].partitions[k].current_leader.leader_id;
            bool known = leader < 0;
            for (uint32_t n = 0; n < response->node_endpoints_count; n++)
                known = known || response->node_endpoints[n].node_id == leader;
            if (known)
                continue;
            if (response->node_endpoints == NULL)
                response->node_endpoints = arena_allocate_array(&request->arena, fetch->parts_count,
                                                                sizeof *response->node_endpoints);
            if (response->node_endpoints == NULL)
                return;
            struct fetch_response_node_endpoint *endpoint =
                &response->node_endpoints[response->node_endpoints_count];
            fetch_response_node_endpoint_init(endpoint);
            endpoint->node_id = leader;
            response->node_endpoints_count += leader_hint_endpoint(
                request, leader, &endpoint->host, &endpoint->port, &endpoint->rack);
        }
    }
}

static bool fetch_fill(struct fetch *fetch, struct fetch_response *response)
{
    struct request *request = fetch->request;
    const struct fetch_request *body = request->body;
    struct arena *arena = &request->arena;
    response->responses =
        arena_allocate_array(arena, fetch->parts_count, sizeof *response->responses);
    struct fetch_response_partition_data *answers =
        arena_allocate_array(arena, fetch->parts_count, sizeof *answers);
    if (response->responses == NULL || answers == NULL)
        return false;
    int64_t left = config_node_number(request->broker->config, "fetch.max.bytes");
    if (body->max_bytes < left)
        left = body->max_bytes;
    uint32_t used = 0;
    bool any_records = false;
    for (uint32_t i = 0; i < fetch->parts_count; i++) {
        struct fetch_part *part = &fetch->parts[i];
        struct fetch_response_partition_data *data = &answers[used];
        if (!part_answer(part, left, !any_records, data))
            return false;
        if (!worth_sending(fetch, part, data))
            continue;
        topic_for(response, part, data)->partitions_count++;
        used++;
        if (data->records.parts_count > 0) {
            any_records = true;
            left -= (int64_t)data->records.parts[0].size;
        }
    }
    response->session_id = fetch->session == NULL ? 0 : fetch_session_id(fetch->session);
    fill_endpoints(fetch, response);
    return true;
}

static void fetch_stop_waiting(struct fetch *fetch)
{
    if (!fetch->waiting)
        return;
    fetch->waiting = false;
    fetch->request->cancel = NULL;
    executor_timer_stop(fetch->request->broker->executor, &fetch->timer);
    for (uint32_t i = 0; i < fetch->parts_count; i++)
        partition_wait_remove(&fetch->parts[i].wait);
}

static void fetch_answer(struct fetch *fetch)
{
    struct request *request = fetch->request;
    fetch_stop_waiting(fetch);
    struct fetch_response *response = request_response(request);
    bool filled = response != NULL && fetch_fill(fetch, response);
    fetch_release(fetch);
    if (filled) {
        request_complete(request);
    } else {
        if (response != NULL)
            fetch_drop(request);
        request->drop_response = NULL;
        request_fail(request);
    }
}

static void fetch_woken(struct task *task)
{
    struct partition_wait *wait = container_of(task, struct partition_wait, task);
    struct fetch_part *part = container_of(wait, struct fetch_part, wait);
    wait->posted = false;
    if (fetch_ready(part->fetch))
        fetch_answer(part->fetch);
    else
        partition_wait_add(part->partition, wait);
}

static void fetch_timed_out(struct timer *timer)
{
    fetch_answer(container_of(timer, struct fetch, timer));
}

static void fetch_cancelled(struct request *request)
{
    fetch_answer(request->handler_state);
}

static void fetch_park(struct fetch *fetch)
{
    const struct fetch_request *body = fetch->request->body;
    fetch->waiting = true;
    fetch->request->cancel = fetch_cancelled;
    for (uint32_t i = 0; i < fetch->parts_count; i++) {
        struct fetch_part *part = &fetch->parts[i];
        part->wait.task.run = fetch_woken;
        partition_wait_add(part->partition, &part->wait);
    }
    fetch->timer.fire = fetch_timed_out;
    executor_timer_start(fetch->request->broker->executor, &fetch->timer,
                         body->max_wait_ms < FETCH_WAIT_MS_MAX ? body->max_wait_ms
                                                               : FETCH_WAIT_MS_MAX);
}

static void answer_error(struct request *request, enum error error)
{
    struct fetch_response *response = request_response(request);
    if (response == NULL) {
        request_fail(request);
        return;
    }
    response->error_code = error_to_kafka(error);
    request_complete(request);
}

void handle_fetch(struct request *request)
{
    const struct fetch_request *body = request->body;
    struct fetch *fetch = arena_allocate(&request->arena, sizeof *fetch);
    if (fetch == NULL) {
        request_fail(request);
        return;
    }
    /* Only nodes of the cluster fetch as replicas, and never on this door (CVE-2018-1288). */
    if (body->replica_id >= 0 || body->replica_state.replica_id >= 0) {
        answer_error(request, ERROR_CLUSTER_AUTHORIZATION_FAILED);
        return;
    }
    fetch->request = request;
    request->handler_state = fetch;
    request->drop_response = fetch_drop;
    enum error error =
        fetch_session_enter(request->broker->fetch_sessions, body, request->version >= 13,
                            &fetch->session, &fetch->session_new);
    if (error != ERROR_NONE) {
        answer_error(request, error);
        return;
    }
    bool collected =
        fetch->session != NULL ? collect_from_session(fetch) : collect_from_request(fetch);
    if (!collected) {
        fetch_release(fetch);
        request_fail(request);
        return;
    }
    if (fetch_ready(fetch))
        fetch_answer(fetch);
    else
        fetch_park(fetch);
}
