/* SPDX-License-Identifier: Apache-2.0 */
/* The calls of one channel to one node, and the connection they need.
 *
 *   IDLE --a call--> DIALING --proved--> READY
 *    ^                |  ^                 | ended: once more at once, to learn whether
 *    '-- cannot be ---'  '-----------------'        anybody is left there
 *        reached: what waits ends with LEADER_NOT_AVAILABLE */
#include "base/assertion.h"
#include "base/memory.h"
#include "replicate/peer/state.h"
#include "wire/frame.h"

#include <stdio.h>
#include <string.h>

/* ---- outbounds ---- */

static void deadline_fired(struct timer *timer);

struct outbound *outbound_new(struct peers *peers, struct call *call)
{
    struct list *spare = list_take(&peers->spares);
    struct outbound *outbound;
    if (spare != NULL) {
        peers->spare_count--;
        outbound = container_of(spare, struct outbound, link);
    } else {
        outbound = memory_allocate(sizeof *outbound);
        if (outbound == NULL)
            return NULL;
    }
    *outbound = (struct outbound){
        .call = call,
        .api = call->api,
        .timeout_ms = call->timeout_ms,
        .deadline = {.fire = deadline_fired},
    };
    list_init(&outbound->link);
    return outbound;
}

/* Takes it off the way and frees it; its call must have ended. */
static void outbound_free(struct outbound *outbound)
{
    ASSERT(outbound->call == NULL);
    struct link *link = outbound->owner;
    struct peers *peers = link->peers;
    peers_timer_stop(peers, &outbound->deadline);
    list_remove(&outbound->link);
    if (outbound->hh.tbl != NULL)
        HASH_DEL(link->on_way, outbound);
    outgoing_done(&outbound->outgoing);
    if (peers->spare_count < PEER_SPARE_OUTBOUNDS) {
        peers->spare_count++;
        list_push(&peers->spares, &outbound->link);
    } else {
        memory_free(outbound);
    }
}

void outbound_end(struct outbound *outbound, enum error error)
{
    struct call *call = outbound->call;
    outbound->call = NULL;
    if (call != NULL)
        peers_call_end(outbound->owner->peers, call, error);
    outbound_free(outbound);
}

/* The other node can not have seen all of it. */
static bool certainly_not_sent(const struct outbound *outbound)
{
    return outbound->sent_ms == 0;
}

static void deadline_fired(struct timer *timer)
{
    struct outbound *outbound = container_of(timer, struct outbound, deadline);
    struct link *link = outbound->owner;
    if (outbound->hh.tbl == NULL) { /* Not encoded. */
        outbound_end(outbound, ERROR_LEADER_NOT_AVAILABLE);
        return;
    }
    int32_t correlation_id = outbound->correlation_id;
    stream_receive(link->stream); /* When this thread was held up, the answer may be here. */
    HASH_FIND_INT(link->on_way, &correlation_id, outbound);
    if (outbound == NULL)
        return;
    struct call *call = outbound->call;
    bool unsent = certainly_not_sent(outbound);
    outbound->call = NULL;
    if (call != NULL)
        peers_call_end(link->peers, call,
                       unsent ? ERROR_LEADER_NOT_AVAILABLE : ERROR_REQUEST_TIMED_OUT);
    if (unsent || link->received_ms <= outbound->sent_ms) {
        link_failed(link, "it does not answer");
        return;
    }
    /* It answers others: this one may come late. */
    outbound->sent_ms = peers_now_ms(link->peers);
    peers_timer_start(link->peers, &outbound->deadline, outbound->timeout_ms);
}

/* ---- connecting ---- */

static void link_dial(struct link *link);

static void link_idle(struct link *link)
{
    link->state = LINK_IDLE;
    link->dial = NULL;
    peers_timer_stop(link->peers, &link->retry);
}

static void waiting_end(struct link *link, enum error error)
{
    while (!list_empty(&link->waiting))
        outbound_end(container_of(link->waiting.next, struct outbound, link), error);
}

static void link_lost(struct link *link, enum peer_loss loss)
{
    struct peers *peers = link->peers;
    if (link->node->node_id < 0 || peers->options.lost == NULL)
        return;
    link->loss = loss;
    if (list_empty(&link->lost_link))
        list_push(&peers->lost, &link->lost_link);
}

/* Later and later, between half and all of the delay. */
static void retry_postpone(struct link *link)
{
    struct peers *peers = link->peers;
    int64_t delay_ms = link->retry_delay_ms == 0 ? PEER_RETRY_MS_MIN : link->retry_delay_ms * 2;
    link->retry_delay_ms = delay_ms > PEER_RETRY_MS_MAX ? PEER_RETRY_MS_MAX : delay_ms;
    uint64_t jitter = executor_random(peers->executor) % (uint64_t)(link->retry_delay_ms / 2 + 1);
    link->retry_at_ms = peers_now_ms(peers) + link->retry_delay_ms - (int64_t)jitter;
}

static void link_not_reached(struct link *link, enum error error, const char *reason, bool refused)
{
    link_idle(link);
    retry_postpone(link);
    peer_node_tell(link->node, reason);
    if (refused)
        link_lost(link, PEER_REFUSED);
    waiting_end(link, error);
}

static void dialled(void *context, enum error error, int descriptor, const char *reason,
                    bool refused)
{
    struct link *link = context;
    link->dial = NULL;
    if (error == ERROR_NONE)
        error = stream_new(link, descriptor, &link->stream);
    if (error != ERROR_NONE) {
        link_not_reached(link, error, reason, refused);
        return;
    }
    link->state = LINK_READY;
    link->ready_ms = peers_now_ms(link->peers);
    link->received_ms = link->ready_ms;
    peer_node_tell(link->node, "");
    stream_pump(link->stream);
}

static void retry_fired(struct timer *timer)
{
    struct link *link = container_of(timer, struct link, retry);
    struct peers *peers = link->peers;
    struct peer_node *node = link->node;
    struct dial_options options = {
        .node_id = node->node_id,
        .purpose = link->channel == CALL_REPLICA ? PEER_ORDERED : PEER_UNORDERED,
        .address = "",
        .done = dialled,
        .context = link,
        .port = node->port,
    };
    char host[PEER_HOST_BYTES];
    bool known = true;
    if (node->node_id >= 0) {
        monitor_enter(peers->monitor);
        known = peers->options.address(peers->options.context, node->node_id, host, &options.port);
        monitor_leave(peers->monitor);
    } else {
        memcpy(host, node->host, sizeof host);
    }
    options.host = host;
    if (!known) {
        link_not_reached(link, ERROR_LEADER_NOT_AVAILABLE, "no node of this id is known", false);
        return;
    }
    link->dial = dial_start(peers, &options);
    if (link->dial == NULL)
        link_not_reached(link, ERROR_OUT_OF_MEMORY, error_text(ERROR_OUT_OF_MEMORY), false);
}

static void link_dial(struct link *link)
{
    ASSERT(link->state == LINK_IDLE);
    link->state = LINK_DIALING;
    link->retry.fire = retry_fired;
    peers_timer_start(link->peers, &link->retry, link->retry_at_ms - peers_now_ms(link->peers));
}

/* ---- the connection's end ---- */

/* What the other node can not have seen whole goes again, in its order. */
static void sending_wait_again(struct link *link)
{
    while (!list_empty(&link->sending)) {
        struct outbound *outbound = container_of(link->sending.previous, struct outbound, link);
        list_remove(&outbound->link);
        HASH_DEL(link->on_way, outbound);
        outbound->hh.tbl = NULL;
        outgoing_done(&outbound->outgoing);
        outbound->outgoing = (struct outgoing){0};
        if (outbound->call == NULL)
            outbound_free(outbound);
        else
            list_push(link->waiting.next, &outbound->link); /* A ring: before the first. */
    }
    link->unsent_bytes = 0;
}

static void connection_end(struct link *link, enum error error)
{
    stream_close(link->stream);
    link->stream = NULL;
    link_idle(link);
    sending_wait_again(link);
    struct outbound *outbound;
    struct outbound *next;
    HASH_ITER(hh, link->on_way, outbound, next)
    {
        outbound_end(outbound, error);
    }
    ASSERT(link->on_way == NULL);
}

void link_failed(struct link *link, const char *why)
{
    if (link->state != LINK_READY)
        return;
    struct peers *peers = link->peers;
    connection_end(link, ERROR_NETWORK);
    if (peers_now_ms(peers) - link->ready_ms >= PEER_RETRY_MS_MAX)
        link->retry_delay_ms = 0; /* It was of use. */
    peer_node_tell(link->node, why);
    link_lost(link, PEER_LOST);
    if (link->retry_delay_ms == 0)
        link->retry_at_ms = 0;
    else
        retry_postpone(link);
    if (link->node->node_id >= 0 || !list_empty(&link->waiting))
        link_dial(link);
}

/* ---- calls ---- */

void link_add(struct link *link, struct outbound *outbound)
{
    outbound->owner = link;
    list_push(&link->waiting, &outbound->link);
    peers_timer_start(link->peers, &outbound->deadline, outbound->timeout_ms);
    if (link->state == LINK_IDLE)
        link_dial(link);
    else if (link->state == LINK_READY)
        stream_pump(link->stream);
}

void link_cancel(struct link *link, struct outbound *outbound)
{
    if (outbound->hh.tbl == NULL) {
        outbound_end(outbound, ERROR_INTERRUPTED);
        return;
    }
    struct call *call = outbound->call;
    outbound->call = NULL;
    peers_call_end(link->peers, call, ERROR_INTERRUPTED);
}

enum error link_answered(struct link *link, struct buffer *buffer, struct slice frame)
{
    if (frame.size < 4)
        return ERROR_MALFORMED;
    int32_t correlation_id = (int32_t)load_be32(frame.data);
    struct outbound *outbound;
    HASH_FIND_INT(link->on_way, &correlation_id, outbound);
    if (outbound == NULL || certainly_not_sent(outbound))
        return ERROR_MALFORMED;
    struct call *call = outbound->call;
    if (call == NULL) {
        outbound_free(outbound);
        return ERROR_NONE;
    }
    struct reader reader;
    reader_init(&reader, frame);
    void *response = NULL;
    enum error error = frame_response_decode(&reader, call->api, call->version, &correlation_id);
    if (error == ERROR_NONE) {
        response = arena_allocate(&call->arena, call->api->response.size);
        error = response == NULL
                    ? ERROR_OUT_OF_MEMORY
                    : call->api->response.decode(&reader, call->version, &call->arena, response);
    }
    if (error == ERROR_NONE) {
        call->response = response;
        call->frame = buffer_ref(buffer);
        if (call->arrived != NULL)
            call->arrived(call);
    }
    outbound_end(outbound, error);
    return error == ERROR_OUT_OF_MEMORY ? ERROR_NONE : error;
}

/* ---- life ---- */

struct link *link_new(struct peer_node *node, enum call_channel channel)
{
    struct link *link = memory_allocate(sizeof *link);
    if (link == NULL)
        return NULL;
    link->node = node;
    link->peers = node->peers;
    link->channel = channel;
    list_init(&link->lost_link);
    list_init(&link->waiting);
    list_init(&link->sending);
    return link;
}

bool link_is_unused(const struct link *link)
{
    return link->state != LINK_DIALING && list_empty(&link->waiting) && link->on_way == NULL &&
           list_empty(&link->lost_link);
}

void link_free(struct link *link)
{
    if (link->state == LINK_READY)
        connection_end(link, ERROR_CLOSING);
    if (link->dial != NULL)
        dial_cancel(link->dial);
    link_idle(link);
    waiting_end(link, ERROR_CLOSING);
    list_remove(&link->lost_link);
    memory_free(link);
}
