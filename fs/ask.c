/* SPDX-License-Identifier: Apache-2.0 */
/* Asking nodes. */
#include "fs/ask.h"

#include "base/assertion.h"
#include "fs/tree.h"
#include "handle/broker.h"

enum { OWN_API_KEY_MIN = 10000 };

enum error ask_init(struct ask *ask, struct tree *tree, int16_t api_key, int16_t version)
{
    static const char client_id[] = "topicfs-mount";
    const struct api *api = api_find(api_key);
    ASSERT(api != NULL);
    ASSERT(api_supports(api, version));
    *ask = (struct ask){.tree = tree};
    list_init(&ask->link);
    request_init(&ask->request, tree->broker, api, version);
    ask->request.requester = (struct requester){
        .principal = slice_of("User:ANONYMOUS"),
        .client_id = slice_of(client_id),
        .client_host = slice_of("/127.0.0.1"),
        .listener_host = "localhost",
        .peer_node_id = api_key >= OWN_API_KEY_MIN ? tree->broker->node_id : PEER_CLIENT,
    };
    call_init(&ask->call, tree->broker->caller, api, -1, CALL_CONTROL, 0);
    if (!handle_supports(api_key))
        return ERROR_UNSUPPORTED_VERSION;
    ask->request.body = arena_allocate(&ask->request.arena, api->request.size);
    if (ask->request.body == NULL)
        return ERROR_OUT_OF_MEMORY;
    api->request.init(ask->request.body);
    return ERROR_NONE;
}

static void answered_here(struct request *request)
{
    struct ask *ask = container_of(request, struct ask, request);
    ask->running = false;
    ask->error = request->response == NULL ? ERROR_OUT_OF_MEMORY : ERROR_NONE;
    ask->done(ask);
}

static void answered_there(struct call *call)
{
    struct ask *ask = container_of(call, struct ask, call);
    ask->running = false;
    ask->error = call->error;
    ask->request.response = call->response;
    ask->done(ask);
}

void ask_start(struct ask *ask, int32_t node_id, int64_t timeout_ms)
{
    ASSERT(!ask->running);
    ask->running = true;
    ask->node_id = node_id;
    if (node_id == ask->tree->broker->node_id) {
        ask->request.done = answered_here;
        handle_start(&ask->request);
        return;
    }
    ask->call.node_id = node_id;
    ask->call.version = ask->request.version;
    ask->call.timeout_ms = timeout_ms;
    ask->call.body = ask->request.body;
    ask->call.done = answered_there;
    call_start(tree_executor(ask->tree), &ask->call);
}

void ask_cancel(struct ask *ask)
{
    if (!ask->running)
        return;
    if (ask->node_id == ask->tree->broker->node_id)
        request_cancel(&ask->request);
    else
        call_cancel(&ask->call);
}

void ask_done(struct ask *ask)
{
    ASSERT(!ask->running);
    request_done(&ask->request);
    call_done(&ask->call);
}
