/* SPDX-License-Identifier: Apache-2.0 */
/* When the next request goes out, and what it names. */
#include "base/assertion.h"
#include "replicate/core/fetcher_state.h"

enum {
    NAMED_MAX = 2000,          /* Partitions in one request. */
    OPENED_MAX = 50,           /* Logs opened for one request: each costs reads. */
    REGISTRATION_WAIT_MS = 50, /* Between looks whether this node has registered. */
    ARENA_BYTES_MAX = 4 << 20
};

/* ---- building ---- */

struct building {
    struct flight *flight;
    struct replica_fetch_request_replica_partition *named;
    uint32_t count;
    uint32_t opened;
};

static struct replica_fetch_request_replica_topic *topic_for(struct building *building,
                                                             const struct uuid *topic_id)
{
    struct replica_fetch_request *body = &building->flight->body;
    if (body->topics_count > 0) {
        struct replica_fetch_request_replica_topic *last = &body->topics[body->topics_count - 1];
        if (uuid_equals(&last->topic_id, topic_id))
            return last;
    }
    struct replica_fetch_request_replica_topic *topic = &body->topics[body->topics_count++];
    replica_fetch_request_replica_topic_init(topic);
    topic->topic_id = *topic_id;
    topic->partitions = &building->named[building->count];
    return topic;
}

static void name(struct building *building, struct fetched *fetched,
                 const struct partition_position *position)
{
    const struct fetchers_config *config = &fetched->fetcher->fetchers->options.config;
    struct replica_fetch_request_replica_topic *topic = topic_for(building, &fetched->key.topic_id);
    struct replica_fetch_request_replica_partition *named = &building->named[building->count++];
    replica_fetch_request_replica_partition_init(named);
    named->partition_index = fetched->key.index;
    named->leader_epoch = fetched->leader_epoch;
    bool ahead = fetched->ahead_offset >= position->end_offset;
    named->fetch_offset = ahead ? fetched->ahead_offset : position->end_offset;
    named->end_offset = position->end_offset;
    named->synced_offset = position->synced_offset;
    named->log_start_offset = position->log_start_offset;
    named->last_fetched_epoch = ahead ? fetched->ahead_epoch : position->last_epoch;
    named->high_watermark = position->high_watermark;
    named->max_bytes = config->fetch_max_bytes;
    topic->partitions_count++;
    if (!fetched->awaited || fetched->asked_offset != named->fetch_offset)
        fetched->named_number = building->flight->number;
    fetched->asked_offset = named->fetch_offset;
    fetched->awaited = true;
    fetched->renewed = false;
    list_remove(&fetched->link);
}

/* The leader is to begin anew with those whose last answer came to nothing. */
static bool forgotten_fill(struct fetcher *fetcher, struct flight *flight)
{
    struct replica_fetch_request *body = &flight->body;
    uint32_t count = fetcher->forgotten_count;
    list_for_each(link, &fetcher->news) count += container_of(link, struct fetched, link)->renewed;
    if (count == 0 || fetcher->session_id == 0)
        return true;
    body->forgotten = arena_allocate_array(&flight->arena, count, sizeof *body->forgotten);
    int32_t *partitions = arena_allocate_array(&flight->arena, count, sizeof *partitions);
    if (body->forgotten == NULL || partitions == NULL)
        return false;
    for (uint32_t i = 0; i < fetcher->forgotten_count; i++) {
        partitions[i] = fetcher->forgotten[i].index;
        body->forgotten[i] = (struct replica_fetch_request_forgotten_topic){
            .topic_id = fetcher->forgotten[i].topic_id,
            .partitions = &partitions[i],
            .partitions_count = 1};
    }
    body->forgotten_count = fetcher->forgotten_count;
    list_for_each(link, &fetcher->news)
    {
        const struct fetched *fetched = container_of(link, struct fetched, link);
        if (!fetched->renewed)
            continue;
        uint32_t at = body->forgotten_count++;
        partitions[at] = fetched->key.index;
        body->forgotten[at] =
            (struct replica_fetch_request_forgotten_topic){.topic_id = fetched->key.topic_id,
                                                           .partitions = &partitions[at],
                                                           .partitions_count = 1};
    }
    return true;
}

static uint32_t news_count(const struct fetcher *fetcher)
{
    uint32_t count = 0;
    for (const struct list *link = fetcher->news.next; link != &fetcher->news && count < NAMED_MAX;
         link = link->next)
        count++;
    return count;
}

/* False when out of memory; nothing was taken from the news then. */
static bool build(struct fetcher *fetcher, struct flight *flight)
{
    const struct fetchers_options *options = &fetcher->fetchers->options;
    struct replica_fetch_request *body = &flight->body;
    replica_fetch_request_init(body);
    arena_init(&flight->arena, ARENA_BYTES_MAX);
    uint32_t most = news_count(fetcher);
    struct building building = {.flight = flight};
    if (most > 0) {
        building.named = arena_allocate_array(&flight->arena, most, sizeof *building.named);
        body->topics = arena_allocate_array(&flight->arena, most, sizeof *body->topics);
    }
    bool memory = most == 0 || (building.named != NULL && body->topics != NULL);
    if (!memory || !forgotten_fill(fetcher, flight))
        return false;
    fetcher->forgotten_count = 0;
    list_for_each_safe(link, &fetcher->news)
    {
        struct fetched *fetched = container_of(link, struct fetched, link);
        if (building.count == most || building.opened == OPENED_MAX)
            break;
        if (!throttle_admits(fetched))
            continue;
        building.opened += !partition_is_open(fetched->partition);
        struct partition_position position;
        enum error error = partition_position(fetched->partition, &position);
        if (error == ERROR_NONE)
            name(&building, fetched, &position);
        else
            fetched_fail(fetched, error);
    }
    body->node_id = options->node_id;
    body->node_epoch = fetcher->node_epoch;
    body->session_id = fetcher->session_id;
    body->session_epoch = fetcher->session_epoch;
    body->max_wait_ms = (int32_t)options->config.wait_max_ms;
    body->max_bytes = options->config.response_max_bytes;
    return true;
}

/* ---- sending ---- */

static void flight_landed(struct call *call)
{
    struct flight *flight = container_of(call, struct flight, call);
    struct fetcher *fetcher = flight->fetcher;
    const struct replica_fetch_response *response = call->response;
    flight->sent = false;
    bool current = flight->generation == fetcher->generation && !fetcher->fetchers->stopping;
    if (current && call->error != ERROR_NONE) {
        fetcher_restart(fetcher, true);
    } else if (current && response->error_code != 0) {
        /* An unknown session is begun anew at once; the next refusal waits. */
        enum error error = error_from_kafka(response->error_code);
        fetcher_restart(fetcher,
                        error != ERROR_FETCH_SESSION_ID_NOT_FOUND || fetcher->session_id == 0);
    } else if (current) {
        fetcher->backoff_ms = 0;
        fetcher->session_id = response->session_id;
        flight_take(flight, response);
    }
    flight_early_done(flight);
    if (!flight->landed) {
        call_done(&flight->call);
        arena_done(&flight->arena);
    }
    if (!fetcher->fetchers->stopping)
        fetcher_wake(fetcher);
}

static void send(struct fetcher *fetcher, struct flight *flight)
{
    struct fetchers *fetchers = fetcher->fetchers;
    const struct fetchers_options *options = &fetchers->options;
    flight->number = ++fetcher->last_number;
    if (!build(fetcher, flight)) {
        arena_done(&flight->arena);
        fetcher_restart(fetcher, true);
        return;
    }
    call_init(&flight->call, options->caller, api_find(API_REPLICA_FETCH), fetcher->node_id,
              CALL_REPLICA, options->config.wait_max_ms + options->config.request_timeout_ms);
    flight->call.body = &flight->body;
    flight->call.done = flight_landed;
    flight->call.arrived = flight_check_early;
    flight->early_bytes_max = options->config.early_bytes_max;
    flight->generation = fetcher->generation;
    flight->sent = true;
    fetcher->session_epoch = fetcher->session_epoch == INT32_MAX ? 1 : fetcher->session_epoch + 1;
    fetchers->view.requests++;
    call_start(options->executor, &flight->call);
    if (!list_empty(&fetcher->news))
        fetcher_wake(fetcher);
}

/* A free flight when a request may go out now: one that waits at the leader, and beside it one with
 * news. While an answer is being worked on only news are worth a request: there will be some. As
 * many answers are in memory at most as there are flights. */
static struct flight *flight_free(struct fetcher *fetcher)
{
    bool news = !list_empty(&fetcher->news) || fetcher->forgotten_count > 0;
    uint32_t sent = 0;
    uint32_t landed = 0;
    struct flight *unused = NULL;
    for (int i = 0; i < FLIGHTS; i++) {
        struct flight *flight = &fetcher->flights[i];
        sent += flight->sent;
        landed += flight->landed;
        if (!flight->sent && !flight->landed)
            unused = flight;
    }
    if (sent == FLIGHTS_SENT_MAX)
        return NULL;
    if (fetcher->session_id == 0)
        return sent + landed == 0 && news ? unused : NULL;
    if (sent > 0 || landed > 0)
        return news ? unused : NULL;
    return unused;
}

void fetcher_consider(struct fetcher *fetcher)
{
    struct fetchers *fetchers = fetcher->fetchers;
    const struct fetchers_options *options = &fetchers->options;
    if (fetchers->stopping || timer_running(&fetcher->timer))
        return;
    if (fetcher->count == 0 && fetcher->forgotten_count == 0)
        return;
    int64_t epoch = options->node_epoch(options->context);
    if (epoch < 0) {
        executor_timer_start(options->executor, &fetcher->timer, REGISTRATION_WAIT_MS);
        return;
    }
    if (epoch != fetcher->node_epoch) {
        fetcher->node_epoch = epoch;
        if (fetcher->session_id != 0)
            fetcher_restart(fetcher, false);
    }
    struct flight *flight = flight_free(fetcher);
    if (flight != NULL)
        send(fetcher, flight);
}
