/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of simulated clients. */
#include "sim/world.h"

#include "base/assertion.h"

#include <string.h>

void *call_begin(struct call *call, struct world *world, int16_t api_key, int16_t version)
{
    ASSERT(!call->in_flight);
    const struct api *api = api_find(api_key);
    ASSERT(api != NULL);
    ASSERT(api_supports(api, version));
    request_init(&call->request, &world->node.broker, api, version);
    call->world = world;
    call->request.requester = (struct requester){.principal = slice_of("User:ANONYMOUS"),
                                                 .client_id = slice_of("simulated"),
                                                 .client_host = slice_of("/127.0.0.1"),
                                                 .listener_host = "localhost",
                                                 .listener_port = 9092,
                                                 .connection_id = 1,
                                                 .peer_node_id = PEER_CLIENT};
    call->request.body = call_allocate(call, 1, api->request.size);
    api->request.init(call->request.body);
    return call->request.body;
}

void *call_allocate(struct call *call, size_t count, size_t size)
{
    void *bytes = arena_allocate_array(&call->request.arena, count, size);
    ASSERT(bytes != NULL);
    return bytes;
}

struct slice call_text(struct call *call, const char *text)
{
    struct slice copy = arena_copy(&call->request.arena, slice_of(text));
    ASSERT(copy.data != NULL);
    return copy;
}

static void answered(struct request *request)
{
    struct call *call = container_of(request, struct call, request);
    call->in_flight = false;
    call->done(call);
}

void call_send(struct call *call, void (*done)(struct call *call))
{
    call->done = done;
    call->in_flight = true;
    call->request.done = answered;
    handle_start(&call->request);
}

void call_forget(struct call *call)
{
    memset(&call->request, 0, sizeof call->request);
    call->in_flight = false;
}
