/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that are carried as bytes, a millisecond each way. */
#include "replicate/loopback.h"

#include "base/assertion.h"
#include "handle/request.h"
#include "wire/frame.h"
#include "wire/reader.h"
#include "wire/writer.h"

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

enum { WAY_MS = 1 };

struct carried {
    struct list link; /* In the caller's calls. */
    struct timer timer;
    struct replica_node *from, *to;
    struct call *call; /* NULL once it is ended. */
    struct buffer *bytes;
    struct request request; /* At the target. */
    bool lost;              /* Or its connection went: no answer comes. */
};

static struct executor *network(const struct carried *carried)
{
    return simulated_executor_seam(carried->from->cluster->network);
}

/* NULL when memory is refused, or a file cannot be read: the disk of a node that is cut off power
 * while it answers. */
static struct buffer *bytes_of(struct outgoing *outgoing)
{
    struct buffer *buffer = buffer_new((size_t)outgoing->size_bytes);
    bool readable = true;
    for (struct chunk *chunk = outgoing->first; buffer != NULL && chunk != NULL && readable;
         chunk = chunk->next) {
        size_t got = chunk->size;
        if (chunk->data != NULL)
            memcpy(buffer->data + buffer->size, chunk->data, chunk->size);
        else
            readable = storage_read(chunk->file, chunk->position, buffer->data + buffer->size,
                                    chunk->size, &got) == ERROR_NONE;
        assert_true(!readable || got == chunk->size);
        buffer->size += got;
    }
    outgoing_done(outgoing);
    *outgoing = (struct outgoing){0};
    if (readable)
        return buffer;
    buffer_unref(buffer);
    return NULL;
}

static void end(struct carried *carried, enum error error)
{
    struct call *call = carried->call;
    carried->call = NULL;
    if (call == NULL)
        return;
    call->implementation = NULL;
    if (error != ERROR_NONE)
        call->response = NULL;
    call_complete(carried->from->broker.executor, call, error);
}

static void carried_free(struct carried *carried)
{
    ASSERT(carried->call == NULL);
    list_remove(&carried->link);
    buffer_unref(carried->bytes);
    free(carried);
}

static bool passes(const struct carried *carried, bool back)
{
    const struct replica_node *from = back ? carried->to : carried->from;
    const struct replica_node *to = back ? carried->from : carried->to;
    return from->up && to->up && !from->cluster->cut[from->id][to->id];
}

/* Somewhere in the records, as a bad cable or memory would. */
static void damage(struct replicas *c, struct buffer *bytes)
{
    if (c->damages == 0 || bytes->size < 200)
        return;
    c->damages--;
    bytes->data[bytes->size - 20] ^= 0x04;
}

static void answer_arrived(struct timer *timer)
{
    struct carried *carried = container_of(timer, struct carried, timer);
    struct call *call = carried->call;
    enum error error = passes(carried, true) && !carried->lost ? ERROR_NONE : ERROR_NETWORK;
    if (call != NULL && error == ERROR_NONE) {
        struct reader reader;
        int32_t correlation_id;
        damage(carried->from->cluster, carried->bytes);
        call->frame = buffer_ref(carried->bytes);
        reader_init(&reader, slice_from(carried->bytes->data + 4, carried->bytes->size - 4));
        error = frame_response_decode(&reader, call->api, call->version, &correlation_id);
        call->response = arena_allocate(&call->arena, call->api->response.size);
        if (call->response == NULL)
            error = ERROR_OUT_OF_MEMORY;
        if (error == ERROR_NONE) {
            call->api->response.init(call->response);
            error =
                call->api->response.decode(&reader, call->version, &call->arena, call->response);
        }
        assert_true(error == ERROR_NONE || error == ERROR_OUT_OF_MEMORY);
        if (error == ERROR_NONE && call->arrived != NULL)
            call->arrived(call);
    }
    end(carried, error);
    carried_free(carried);
}

/* At the target: the door's side of a request. */
static void answered(struct request *request)
{
    struct carried *carried = container_of(request, struct carried, request);
    struct outgoing outgoing = {0};
    enum error error =
        request->response == NULL || request->close_connection ? ERROR_NETWORK : ERROR_NONE;
    if (error == ERROR_NONE) {
        request->response_taken = true;
        error =
            frame_response_encode(request->api, request->version, 7, request->response, &outgoing);
    }
    buffer_unref(carried->bytes);
    carried->bytes = error == ERROR_NONE ? bytes_of(&outgoing) : NULL;
    carried->lost = carried->bytes == NULL;
    if (carried->bytes != NULL)
        carried->from->cluster->records_bytes += carried->bytes->size;
    request_done(request);
    carried->timer.fire = answer_arrived;
    executor_timer_start(network(carried), &carried->timer, WAY_MS);
}

static void request_arrived(struct timer *timer)
{
    struct carried *carried = container_of(timer, struct carried, timer);
    if (!passes(carried, false)) {
        end(carried, ERROR_NETWORK);
        carried_free(carried);
        return;
    }
    struct reader reader;
    struct frame_request head;
    enum error error;
    struct request *request = &carried->request;
    reader_init(&reader, slice_from(carried->bytes->data + 4, carried->bytes->size - 4));
    assert_int_equal(frame_request_decode(&reader, &head), ERROR_NONE);
    request_init(request, &carried->to->broker, head.api, head.version);
    request->requester.peer_node_id = carried->from->id;
    request->frame = buffer_ref(carried->bytes);
    request->done = answered;
    error = frame_body_decode(&reader, &head, &request->arena, &request->body);
    if (error != ERROR_NONE) {
        assert_int_equal(error, ERROR_OUT_OF_MEMORY);
        request_done(request);
        end(carried, ERROR_NETWORK);
        carried_free(carried);
        return;
    }
    handle_start(request);
}

static void start(struct caller *caller, struct call *call)
{
    struct replica_node *node = container_of(caller, struct replica_node, caller);
    struct outgoing outgoing = {0};
    struct carried *carried = calloc(1, sizeof *carried);
    assert_non_null(carried);
    carried->from = node;
    carried->to = &node->cluster->nodes[call->node_id];
    carried->call = call;
    call->implementation = carried;
    list_push(&node->calls, &carried->link);
    node->calls_started++;
    enum error error =
        frame_request_encode(call->api, call->version, 7, slice_of("node"), call->body, &outgoing);
    carried->bytes = error == ERROR_NONE ? bytes_of(&outgoing) : NULL;
    if (carried->bytes == NULL) {
        outgoing_done(&outgoing);
        end(carried, ERROR_OUT_OF_MEMORY);
        carried_free(carried);
        return;
    }
    carried->timer.fire = request_arrived;
    executor_timer_start(network(carried), &carried->timer, WAY_MS);
}

static void cancel(struct caller *caller, struct call *call)
{
    (void)caller;
    if (call->implementation != NULL)
        end(call->implementation, ERROR_INTERRUPTED);
}

static const struct caller_ops loopback_ops = {.start = start, .cancel = cancel};

void loopback_init(struct replica_node *node)
{
    node->caller.ops = &loopback_ops;
    list_init(&node->calls);
}
