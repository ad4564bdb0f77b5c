/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of clients. */
#include "sim/cluster_call.h"

#include "base/assertion.h"

enum { BODY_BYTES_MAX = 1 << 20 };

static void call_over(struct call *base)
{
    struct client_call *call = container_of(base, struct client_call, call);
    call->in_flight = false;
    call->ended(call);
    call_done(&call->call);
    arena_done(&call->body);
}

void *client_call_open(struct client_call *call, int16_t key, int16_t version, int32_t node_id,
                       enum call_channel channel, int64_t timeout_ms)
{
    const struct api *api = api_find(key);
    ASSERT(api != NULL);
    call_init(&call->call, &call->cluster->client.base, api, node_id, channel, timeout_ms);
    call->call.version = version;
    call->call.done = call_over;
    arena_init(&call->body, BODY_BYTES_MAX);
    void *body = arena_allocate(&call->body, api->request.size);
    ASSERT(body != NULL);
    api->request.init(body);
    call->call.body = body;
    return body;
}

void *client_call_take(struct client_call *call, size_t size)
{
    void *bytes = arena_allocate(&call->body, size);
    ASSERT(bytes != NULL);
    return bytes;
}

void client_call_start(struct client_call *call, void (*ended)(struct client_call *call))
{
    call->ended = ended;
    call->in_flight = true;
    call_start(simulated_executor_seam(call->cluster->client_events), &call->call);
}

int64_t client_soon(struct cluster *cluster)
{
    return cluster_now_ms(cluster) + random_between(&cluster->random, 5, 200);
}
