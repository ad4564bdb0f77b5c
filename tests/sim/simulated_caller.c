/* SPDX-License-Identifier: Apache-2.0 */
/* Frames between simulated nodes. */
#include "sim/simulated_caller.h"

#include "base/assertion.h"
#include "base/memory.h"
#include "handle/peer_door.h"
#include "handle/request.h"
#include "sim/process_memory.h"
#include "sim/simulated_file.h"
#include "wire/frame.h"

#include <stdlib.h>
#include <string.h>

enum { SIZE_BYTES = 4 };

/* A frame on its way, of the simulation's memory. */
struct frame_parcel {
    struct parcel parcel;
    struct caller_world *world;
    uint64_t connection;
    enum call_channel channel;
    int32_t correlation;
    int32_t from_id, to_id; /* Node ids of a request; -1: none, or whoever is there. */
    bool is_answer;
    bool from_client;
    bool closes; /* An answer that is none: the server closed. */
    size_t size;
    uint8_t *bytes;
};

static void frame_send(struct simulated_network *network, struct frame_parcel *frame);

/* A call under way; the caller's node's memory. */
struct pending {
    struct list link;
    struct simulated_caller *caller;
    struct call *call;
    struct timer timer;
    uint32_t to;
    uint64_t connection;
    int32_t correlation;
};

/* A request being answered; the server's node's memory. */
struct served {
    struct list link;
    struct request request;
    struct simulated_served *all;
    struct caller_world *world;
    struct simulated_network *network;
    uint32_t node, client;
    uint64_t connection;
    enum call_channel channel;
    int32_t correlation;
};

static struct simulated_caller *caller_of(struct caller *caller)
{
    return container_of(caller, struct simulated_caller, base);
}

/* ---- frames ---- */

static void frame_take(struct frame_parcel *frame, struct outgoing *outgoing)
{
    frame->size = outgoing->size_bytes;
    frame->bytes = simulation_allocate(frame->size + 1);
    size_t at = 0;
    for (struct chunk *chunk = outgoing->first; chunk != NULL; chunk = chunk->next) {
        size_t got = chunk->size;
        if (chunk->data != NULL)
            memcpy(frame->bytes + at, chunk->data, chunk->size);
        else if (storage_read(chunk->file, chunk->position, frame->bytes + at, chunk->size, &got) !=
                     ERROR_NONE ||
                 got != chunk->size)
            frame->closes = true; /* As a sendfile that fails. */
        at += chunk->size;
    }
    outgoing_done(outgoing);
}

static void frame_free(struct frame_parcel *frame)
{
    free(frame->bytes);
    free(frame);
}

/* ---- the calling side ---- */

static void pending_end(struct pending *pending, enum error error)
{
    struct simulated_caller *caller = pending->caller;
    struct call *call = pending->call;
    executor_timer_stop(caller->executor, &pending->timer);
    list_remove(&pending->link);
    call->implementation = NULL;
    memory_free(pending);
    call_complete(caller->executor, call, error);
}

static void connection_break(struct simulated_caller *caller, uint64_t connection)
{
    list_for_each_safe(link, &caller->pending)
    {
        struct pending *pending = container_of(link, struct pending, link);
        if (pending->connection == connection)
            pending_end(pending, ERROR_NETWORK);
    }
    for (uint32_t to = 0; to < NETWORK_NODES_MAX; to++)
        for (int channel = 0; channel < CALL_CHANNELS; channel++)
            if (caller->connections[to][channel] == connection)
                caller->connections[to][channel] = 0;
}

static void timed_out(struct timer *timer)
{
    struct pending *pending = container_of(timer, struct pending, timer);
    struct simulated_caller *caller = pending->caller;
    uint64_t connection = pending->connection;
    pending_end(pending, ERROR_REQUEST_TIMED_OUT);
    connection_break(caller, connection);
}

static enum error answer_decode(struct call *call, const struct frame_parcel *frame)
{
    call->frame = buffer_new(frame->size);
    if (call->frame == NULL)
        return ERROR_OUT_OF_MEMORY;
    memcpy(call->frame->data, frame->bytes, frame->size);
    call->frame->size = frame->size;
    struct reader reader;
    reader_init(&reader, slice_from(call->frame->data + SIZE_BYTES, frame->size - SIZE_BYTES));
    int32_t correlation;
    enum error error = frame_response_decode(&reader, call->api, call->version, &correlation);
    ASSERT(error != ERROR_NONE || correlation == frame->correlation);
    void *response = arena_allocate(&call->arena, call->api->response.size);
    if (error == ERROR_NONE && response == NULL)
        error = ERROR_OUT_OF_MEMORY;
    if (error == ERROR_NONE)
        error = call->api->response.decode(&reader, call->version, &call->arena, response);
    if (error == ERROR_NONE)
        call->response = response;
    if (error == ERROR_NONE && call->arrived != NULL)
        call->arrived(call);
    return error;
}

/* Of one connection each; what is answered out of turn is not answered (real listeners keep the
 * order; here the network does, and each request's handler may take its time). */
static void answer_arrived(struct simulated_caller *caller, const struct frame_parcel *frame)
{
    list_for_each_safe(link, &caller->pending)
    {
        struct pending *pending = container_of(link, struct pending, link);
        if (pending->connection != frame->connection || pending->correlation != frame->correlation)
            continue;
        if (frame->closes)
            connection_break(caller, frame->connection);
        else
            pending_end(pending, answer_decode(pending->call, frame));
        return;
    }
}

/* ---- the answering side ---- */

static void served_answer(struct served *served)
{
    struct request *request = &served->request;
    struct frame_parcel *frame = simulation_allocate(sizeof *frame);
    frame->world = served->world;
    frame->connection = served->connection;
    frame->channel = served->channel;
    frame->correlation = served->correlation;
    frame->is_answer = true;
    frame->parcel.from = served->node;
    frame->parcel.to = served->client;
    frame->closes = request->response == NULL || request->close_connection;
    if (!frame->closes) {
        struct outgoing outgoing = {0};
        enum error error = frame_response_encode(request->api, request->version,
                                                 served->correlation, request->response, &outgoing);
        request->response_taken = true;
        if (error == ERROR_NONE)
            frame_take(frame, &outgoing);
        else
            frame->closes = true;
    }
    frame_send(served->network, frame);
}

static void request_ended(struct request *request)
{
    struct served *served = container_of(request, struct served, request);
    list_remove(&served->link);
    served_answer(served);
    request_done(request);
    memory_free(served);
}

/* A commit that is still under way when its client has given it up, and commits more elsewhere,
 * could come into effect after what came later: for those the connection's end overtakes what was
 * sent on it. */
static bool given_up(const struct frame_parcel *frame, enum api_key key)
{
    if (!frame->from_client || key != API_OFFSET_COMMIT)
        return false;
    const struct simulated_caller *client =
        frame->world->caller_of(frame->world, frame->parcel.from);
    return client->connections[frame->parcel.to][frame->channel] != frame->connection;
}

/* What the real port does: who proves to be another node than was asked for is left, and so is
 * one that takes no such requests yet. */
static bool refuses(const struct frame_parcel *frame, enum api_key key)
{
    struct caller_world *world = frame->world;
    int32_t id = world->id_of(world, frame->parcel.to);
    return (frame->to_id >= 0 && frame->to_id != id) ||
           !world->admits(world, frame->parcel.to, (int16_t)key);
}

static void refuse(const struct frame_parcel *frame)
{
    struct frame_parcel *answer = simulation_allocate(sizeof *answer);
    answer->world = frame->world;
    answer->connection = frame->connection;
    answer->channel = frame->channel;
    answer->correlation = frame->correlation;
    answer->is_answer = true;
    answer->closes = true;
    answer->parcel.from = frame->parcel.to;
    answer->parcel.to = frame->parcel.from;
    frame_send(frame->parcel.network, answer);
}

static int32_t peer_of(const struct frame_parcel *frame)
{
    if (frame->from_client)
        return PEER_CLIENT;
    return frame->from_id < 0 ? PEER_GUEST : frame->from_id;
}

static void request_arrived(const struct frame_parcel *frame)
{
    struct caller_world *world = frame->world;
    uint32_t node = frame->parcel.to;
    struct broker *broker = world->broker_of(world, node);
    struct frame_request head;
    struct reader reader;
    reader_init(&reader, slice_from(frame->bytes + SIZE_BYTES, frame->size - SIZE_BYTES));
    enum error error = frame_request_decode(&reader, &head);
    ASSERT(error == ERROR_NONE);
    ASSERT(head.supported);
    if (broker == NULL || given_up(frame, head.api->key))
        return; /* Nobody listens: its caller's time runs out. */
    if (refuses(frame, head.api->key)) {
        refuse(frame);
        return;
    }
    struct served *served = memory_allocate(sizeof *served);
    struct buffer *bytes = buffer_new(frame->size);
    ASSERT(served != NULL);
    ASSERT(bytes != NULL);
    memcpy(bytes->data, frame->bytes, frame->size);
    bytes->size = frame->size;
    served->all = world->served_of(world, node);
    served->world = world;
    served->network = frame->parcel.network;
    served->node = node;
    served->client = frame->parcel.from;
    served->connection = frame->connection;
    served->channel = frame->channel;
    served->correlation = frame->correlation;
    reader_init(&reader, slice_from(bytes->data + SIZE_BYTES, bytes->size - SIZE_BYTES));
    error = frame_request_decode(&reader, &head);
    ASSERT(error == ERROR_NONE);
    request_init(&served->request, broker, head.api, head.version);
    served->request.frame = bytes;
    served->request.requester = (struct requester){.principal = slice_of("User:ANONYMOUS"),
                                                   .client_id = head.client_id,
                                                   .client_host = slice_of("/127.0.0.1"),
                                                   .listener_host = "localhost",
                                                   .listener_port = 9092,
                                                   .connection_id = frame->connection,
                                                   .peer_node_id = peer_of(frame)};
    error = frame_body_decode(&reader, &head, &served->request.arena, &served->request.body);
    ASSERT(error == ERROR_NONE);
    served->request.done = request_ended;
    list_push(&served->all->requests, &served->link);
    handle_start(&served->request);
}

void simulated_served_init(struct simulated_served *served)
{
    list_init(&served->requests);
}

void simulated_served_cancel(struct simulated_served *served)
{
    list_for_each_safe(link, &served->requests)
        request_cancel(&container_of(link, struct served, link)->request);
}

static void served_break(struct simulated_served *served, uint64_t connection)
{
    list_for_each_safe(link, &served->requests)
    {
        struct served *one = container_of(link, struct served, link);
        if (one->connection == connection)
            request_cancel(&one->request);
    }
}

/* ---- parcels ---- */

static struct frame_parcel *frame_of(struct parcel *parcel)
{
    return container_of(parcel, struct frame_parcel, parcel);
}

static void frame_deliver(struct parcel *parcel)
{
    struct frame_parcel *frame = frame_of(parcel);
    uint32_t before = process_memory_select(parcel->to + 1);
    if (!frame->is_answer) {
        request_arrived(frame);
    } else {
        struct simulated_caller *caller = frame->world->caller_of(frame->world, parcel->to);
        if (caller != NULL)
            answer_arrived(caller, frame);
    }
    (void)process_memory_select(before);
    frame_free(frame);
}

/* Lost: the connection is gone for both, who learn it at once. Behind a cut they learn nothing. */
static void frame_drop(struct parcel *parcel)
{
    struct frame_parcel *frame = frame_of(parcel);
    uint32_t client = frame->is_answer ? parcel->to : parcel->from;
    uint32_t server = frame->is_answer ? parcel->from : parcel->to;
    bool cut = parcel->network != NULL &&
               simulated_network_is_cut(parcel->network, parcel->from, parcel->to);
    struct simulated_caller *caller = frame->world->caller_of(frame->world, client);
    struct simulated_served *served = frame->world->served_of(frame->world, server);
    if (caller != NULL && !cut) {
        uint32_t before = process_memory_select(client + 1);
        connection_break(caller, frame->connection);
        (void)process_memory_select(before);
    }
    if (served != NULL && !cut) {
        uint32_t before = process_memory_select(server + 1);
        served_break(served, frame->connection);
        (void)process_memory_select(before);
    }
    frame_free(frame);
}

static void frame_send(struct simulated_network *network, struct frame_parcel *frame)
{
    frame->parcel.deliver = frame_deliver;
    frame->parcel.drop = frame_drop;
    simulated_network_send(network, &frame->parcel);
}

/* ---- struct caller ---- */

static void call_begins(struct caller *base, struct call *call)
{
    struct simulated_caller *caller = caller_of(base);
    struct caller_world *world = caller->world;
    int32_t place = world->place_of(world, caller->node, call);
    uint32_t to = (uint32_t)place;
    struct outgoing outgoing = {0};
    int32_t correlation = caller->next_correlation++;
    enum error error = ERROR_NONE;
    if (place < 0) {
        error = ERROR_LEADER_NOT_AVAILABLE;
    } else if (world->broker_of(world, to) == NULL) {
        error = ERROR_LEADER_NOT_AVAILABLE;
        world->refused(world, caller->node, call->node_id);
    } else {
        error = frame_request_encode(call->api, call->version, correlation, slice_of("simulated"),
                                     call->body, &outgoing);
    }
    if (error != ERROR_NONE) {
        call_complete(caller->executor, call, error);
        return;
    }
    struct pending *pending = memory_allocate(sizeof *pending);
    ASSERT(pending != NULL);
    uint64_t *connection = &caller->connections[to][call->channel];
    if (*connection == 0)
        *connection = ++*caller->next_connection;
    pending->caller = caller;
    pending->call = call;
    pending->to = to;
    pending->connection = *connection;
    pending->correlation = correlation;
    pending->timer.fire = timed_out;
    call->implementation = pending;
    list_push(&caller->pending, &pending->link);
    executor_timer_start(caller->executor, &pending->timer, call->timeout_ms);
    struct frame_parcel *frame = simulation_allocate(sizeof *frame);
    frame->world = caller->world;
    frame->connection = *connection;
    frame->channel = call->channel;
    frame->correlation = correlation;
    frame->from_client = caller->is_client;
    frame->from_id = caller->is_client ? -1 : world->id_of(world, caller->node);
    frame->to_id = caller->is_client ? -1 : call->node_id;
    frame->parcel.from = caller->node;
    frame->parcel.to = to;
    frame_take(frame, &outgoing);
    frame_send(caller->network, frame);
}

static void call_cancels(struct caller *base, struct call *call)
{
    (void)base;
    if (call->implementation != NULL)
        pending_end(call->implementation, ERROR_INTERRUPTED);
}

void simulated_caller_init(struct simulated_caller *caller)
{
    static const struct caller_ops ops = {.start = call_begins, .cancel = call_cancels};
    caller->base.ops = &ops;
    list_init(&caller->pending);
    memset(caller->connections, 0, sizeof caller->connections);
}

void simulated_caller_stop(struct simulated_caller *caller)
{
    while (!list_empty(&caller->pending))
        pending_end(container_of(caller->pending.next, struct pending, link), ERROR_CLOSING);
}
