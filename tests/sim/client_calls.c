/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of simulated clients. */
#include "sim/world.h"

#include "base/assertion.h"

#include <string.h>

void *client_call_begin(struct client_call *call, struct world *world, int16_t api_key,
                        int16_t version)
{
    ASSERT(!call->in_flight);
    const struct api *api = api_find(api_key);
    ASSERT(api != NULL);
    ASSERT(api_supports(api, version));
    request_init(&call->request, &world->node.core.broker, api, version);
    call->world = world;
    call->request.requester = (struct requester){.principal = slice_of("User:ANONYMOUS"),
                                                 .client_id = slice_of("simulated"),
                                                 .client_host = slice_of("/127.0.0.1"),
                                                 .listener_host = "localhost",
                                                 .listener_port = 9092,
                                                 .connection_id = 1,
                                                 .peer_node_id = PEER_CLIENT};
    call->request.body = client_call_allocate(call, 1, api->request.size);
    api->request.init(call->request.body);
    return call->request.body;
}

void *client_call_allocate(struct client_call *call, size_t count, size_t size)
{
    void *bytes = arena_allocate_array(&call->request.arena, count, size);
    ASSERT(bytes != NULL);
    return bytes;
}

struct slice client_call_text(struct client_call *call, const char *text)
{
    struct slice copy = arena_copy(&call->request.arena, slice_of(text));
    ASSERT(copy.data != NULL);
    return copy;
}

static void answered(struct request *request)
{
    struct client_call *call = container_of(request, struct client_call, request);
    call->in_flight = false;
    call->done(call);
}

void client_call_send(struct client_call *call, void (*done)(struct client_call *call))
{
    call->done = done;
    call->in_flight = true;
    call->request.done = answered;
    handle_start(&call->request);
}

void client_call_forget(struct client_call *call)
{
    memset(&call->request, 0, sizeof call->request);
    call->in_flight = false;
}
