/* SPDX-License-Identifier: Apache-2.0 */
/* ReplicaFetch, the leader's side: takes the follower's votes, and answers with records, or waits
 * for some.
 *
 *   handle_replica_fetch -> session -> votes -> news? -> answer
 *                                                no -> parked -> news, max wait, or superseded by
 *                                                                the session's next request
 *
 * Records go out as ranges of the log's files. */
#include "base/assertion.h"
#include "handle/handlers.h"
#include "handle/replica_session.h"

enum { REPLICA_WAIT_MS_MAX = 60000 };

struct replica_fetch {
    struct request *request;
    struct replica_session *session;
    struct timer timer;
};

static void release_segment(void *holder)
{
    segment_unref(holder);
}

/* The response was never encoded: its records give back their segments here. */
static void drop(struct request *request)
{
    struct replica_fetch_response *response = request->response;
    for (uint32_t i = 0; response != NULL && i < response->topics_count; i++) {
        for (uint32_t k = 0; k < response->topics[i].partitions_count; k++) {
            const struct records *records = &response->topics[i].partitions[k].records;
            for (uint32_t n = 0; n < records->parts_count; n++)
                records->release(records->parts[n].holder);
        }
    }
}

/* ---- one partition's answer ---- */

/* What the answers of one response share. */
struct filling {
    const struct broker *broker;
    struct arena *arena;
    struct replica_fetch_response *response;
    struct replica_fetch_response_replica_partition *answers;
    uint32_t used;
    int64_t left;           /* Bytes it may still take. */
    int64_t throttled_rate; /* leader.replication.throttled.rate. */
    bool any_records;
};

static bool fill_records(struct filling *filling, struct log_slice *slice,
                         struct replica_fetch_response_replica_partition *answer)
{
    if (slice->size == 0) {
        log_slice_release(slice);
        return true;
    }
    struct records_part *part = arena_allocate(filling->arena, sizeof *part);
    if (part == NULL) {
        log_slice_release(slice);
        return false;
    }
    *part = (struct records_part){.file = slice->file,
                                  .position = slice->position,
                                  .size = slice->size,
                                  .holder = slice->segment};
    answer->records.parts = part;
    answer->records.parts_count = 1;
    answer->records.release = release_segment;
    filling->any_records = true;
    filling->left -= (int64_t)slice->size;
    return true;
}

/* False when out of memory. *ret_acts: the follower has to do something about it. */
static bool fill(struct filling *filling, const struct replica_entry *entry,
                 struct replica_fetch_response_replica_partition *answer, bool *ret_acts)
{
    replica_fetch_response_replica_partition_init(answer);
    answer->partition_index = entry->key.index;
    answer->records.data = SLICE_EMPTY;
    answer->diverging_epoch = -1;
    answer->diverging_end_offset = -1;
    answer->high_watermark = -1;
    answer->log_start_offset = -1;
    answer->leader_epoch = entry->leader_epoch;
    struct log_slice slice = {0};
    struct partition_offsets offsets = {.log_start_offset = -1, .high_watermark = -1};
    struct partition_divergence divergence = {.epoch = -1, .end_offset = -1};
    enum error error = ERROR_UNKNOWN_TOPIC_ID;
    bool there = entry->partition != NULL && !partition_deleted(entry->partition);
    if (there && partition_role(entry->partition) == PARTITION_LEADER &&
        (entry->unproven || !partition_has_follower(entry->partition, entry->session->node_id))) {
        error = ERROR_UNKNOWN_LEADER_EPOCH; /* This node has not heard of it yet: asked again. */
    } else if (there) {
        int64_t limit = entry->max_bytes < filling->left ? entry->max_bytes : filling->left;
        error = partition_read_replica(
            entry->partition, entry->leader_epoch, entry->last_fetched_epoch, entry->fetch_offset,
            limit < 0 ? 0 : (size_t)limit, !filling->any_records, &slice, &offsets, &divergence);
    }
    answer->error_code = error_to_kafka(error);
    answer->high_watermark = offsets.high_watermark;
    answer->log_start_offset = offsets.log_start_offset;
    answer->diverging_epoch = divergence.epoch;
    answer->diverging_end_offset = divergence.end_offset;
    if (error == ERROR_OFFSET_OUT_OF_RANGE)
        answer->diverging_end_offset = offsets.log_end_offset;
    *ret_acts = error != ERROR_NONE || divergence.epoch >= 0 || slice.size > 0;
    return fill_records(filling, &slice, answer);
}

static struct replica_fetch_response_replica_topic *
topic_for(struct filling *filling, const struct uuid *topic_id,
          struct replica_fetch_response_replica_partition *at)
{
    struct replica_fetch_response *response = filling->response;
    if (response->topics_count > 0) {
        struct replica_fetch_response_replica_topic *last =
            &response->topics[response->topics_count - 1];
        if (uuid_equals(&last->topic_id, topic_id))
            return last;
    }
    struct replica_fetch_response_replica_topic *topic =
        &response->topics[response->topics_count++];
    replica_fetch_response_replica_topic_init(topic);
    topic->topic_id = *topic_id;
    topic->partitions = at;
    return topic;
}

/* ---- the response ---- */

/* leader.replication.throttled.replicas names it, and the rate is one that limits. */
static bool is_throttled(const struct filling *filling, const struct replica_entry *entry)
{
    return !rate_is_unlimited(filling->throttled_rate) && entry->partition != NULL &&
           broker_replica_throttled(filling->broker, partition_topic(entry->partition),
                                    entry->key.index, "leader.replication.throttled.replicas");
}

/* Those of `news` that fit; the others stay. A throttled follower that is in sync is never held
 * back (Kafka: ReplicaManager.shouldLeaderThrottle), though what it gets counts. */
static bool fill_all(struct filling *filling, struct list *news)
{
    list_for_each_safe(link, news)
    {
        struct replica_entry *entry = container_of(link, struct replica_entry, link);
        if (filling->left <= 0 && filling->any_records)
            return true;
        bool throttled = is_throttled(filling, entry);
        if (throttled && !partition_in_isr(entry->partition, entry->session->node_id) &&
            replica_entry_hold(entry, filling->throttled_rate))
            continue;
        struct replica_fetch_response_replica_partition *answer = &filling->answers[filling->used];
        bool acts;
        bool filled = fill(filling, entry, answer, &acts);
        /* Also when it could not be filled: the answer holds what there is to be dropped. */
        topic_for(filling, &entry->key.topic_id, answer)->partitions_count++;
        filling->used++;
        if (!filled)
            return false;
        if (throttled && answer->records.parts_count > 0)
            replica_entry_spend(entry, answer->records.parts[0].size);
        replica_entry_answered(entry, acts, answer->records.parts_count > 0);
    }
    return true;
}

static uint32_t list_count(const struct list *head)
{
    uint32_t count = 0;
    for (const struct list *link = head->next; link != head; link = link->next)
        count++;
    return count;
}

static bool respond(struct replica_fetch *fetch, struct replica_fetch_response *response)
{
    struct replica_session *session = fetch->session;
    struct request *request = fetch->request;
    const struct replica_fetch_request *body = request->body;
    struct broker *broker = request->broker;
    struct filling filling = {
        .broker = broker,
        .arena = &request->arena,
        .response = response,
        .left = body->max_bytes,
        .throttled_rate = config_node_number(broker->config, "leader.replication.throttled.rate"),
    };
    response->session_id = session->id;
    uint32_t count = list_count(&session->urgent) + list_count(&session->soft);
    if (count == 0)
        return true;
    response->topics = arena_allocate_array(&request->arena, count, sizeof *response->topics);
    filling.answers = arena_allocate_array(&request->arena, count, sizeof *filling.answers);
    if (response->topics == NULL || filling.answers == NULL)
        return false;
    return fill_all(&filling, &session->urgent) && fill_all(&filling, &session->soft);
}

void replica_fetch_answer(struct replica_fetch *fetch)
{
    struct request *request = fetch->request;
    struct replica_session *session = fetch->session;
    struct executor *executor = request->broker->executor;
    request->cancel = NULL;
    executor_timer_stop(executor, &fetch->timer);
    executor_timer_stop(executor, &session->soft_timer);
    list_remove(&session->task.link);
    session->parked = NULL;
    struct replica_fetch_response *response = request_response(request);
    if (response != NULL && respond(fetch, response)) {
        request_complete(request);
        return;
    }
    if (response != NULL)
        drop(request);
    request->drop_response = NULL;
    request_fail(request);
}

static void timed_out(struct timer *timer)
{
    replica_fetch_answer(container_of(timer, struct replica_fetch, timer));
}

/* The connection is gone: what would have been sent keeps its place in the session, which the
 * follower will begin anew. */
static void cancelled(struct request *request)
{
    struct replica_fetch *fetch = request->handler_state;
    struct replica_session *session = fetch->session;
    executor_timer_stop(request->broker->executor, &fetch->timer);
    executor_timer_stop(request->broker->executor, &session->soft_timer);
    list_remove(&session->task.link);
    session->parked = NULL;
    request_fail(request);
}

static void park(struct replica_fetch *fetch)
{
    struct request *request = fetch->request;
    const struct replica_fetch_request *body = request->body;
    struct replica_session *session = fetch->session;
    ASSERT(session->parked == NULL);
    session->parked = fetch;
    request->cancel = cancelled;
    fetch->timer.fire = timed_out;
    executor_timer_start(request->broker->executor, &fetch->timer,
                         body->max_wait_ms < REPLICA_WAIT_MS_MAX ? body->max_wait_ms
                                                                 : REPLICA_WAIT_MS_MAX);
    replica_session_soften(session);
}

static void refuse(struct request *request, enum error error)
{
    struct replica_fetch_response *response = request_response(request);
    if (response == NULL) {
        request_fail(request);
        return;
    }
    response->error_code = error_to_kafka(error);
    request_complete(request);
}

/* No follower says otherwise: its end is neither below zero nor above what it asks for. */
static bool is_sound(const struct replica_fetch_request *body)
{
    for (uint32_t i = 0; i < body->topics_count; i++) {
        for (uint32_t k = 0; k < body->topics[i].partitions_count; k++) {
            const struct replica_fetch_request_replica_partition *said =
                &body->topics[i].partitions[k];
            if (said->end_offset < 0 || said->end_offset > said->fetch_offset)
                return false;
        }
    }
    return true;
}

void handle_replica_fetch(struct request *request)
{
    struct broker *broker = request->broker;
    const struct replica_fetch_request *body = request->body;
    /* A node speaks for itself only. */
    if (body->node_id != request->requester.peer_node_id) {
        request->close_after = true;
        refuse(request, ERROR_CLUSTER_AUTHORIZATION_FAILED);
        return;
    }
    const struct catalog_node *node = catalog_node_find(broker->catalog, body->node_id);
    if (node != NULL && body->node_epoch < node->epoch) {
        refuse(request, ERROR_STALE_BROKER_EPOCH);
        return;
    }
    if (!is_sound(body)) {
        refuse(request, ERROR_INVALID_REQUEST);
        return;
    }
    struct replica_session *session;
    enum error error = replica_session_enter(broker->replica_sessions, body, &session);
    if (error != ERROR_NONE) {
        refuse(request, error);
        return;
    }
    struct replica_fetch *fetch = arena_allocate(&request->arena, sizeof *fetch);
    if (fetch == NULL) {
        request_fail(request);
        return;
    }
    fetch->request = request;
    fetch->session = session;
    request->handler_state = fetch;
    request->drop_response = drop;
    /* The one that waits goes first, with what it waited for: answers keep the requests' order. */
    if (session->parked != NULL)
        replica_fetch_answer(session->parked);
    if (replica_session_take(session, body) != ERROR_NONE) {
        request_fail(request);
        return;
    }
    /* A new session's id is told at once: without it nothing can follow. */
    if (!list_empty(&session->urgent) || body->max_wait_ms <= 0 || body->session_id == 0)
        replica_fetch_answer(fetch);
    else
        park(fetch);
}
