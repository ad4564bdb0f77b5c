/* SPDX-License-Identifier: Apache-2.0 */
/* A request's life; apart from the handlers, so that a door can be tested without them. */
#include "handle/request.h"

#include "base/assertion.h"
#include "handle/handlers.h"

#include <string.h>

void request_init(struct request *request, struct broker *broker, const struct api *api,
                  int16_t version)
{
    *request = (struct request){.broker = broker, .api = api, .version = version};
    request->requester.peer_node_id = PEER_CLIENT;
    arena_init(&request->arena, REQUEST_ARENA_BYTES_MAX);
    list_init(&request->task.link);
}

void request_done(struct request *request)
{
    if (request->drop_response != NULL && !request->response_taken)
        request->drop_response(request);
    request->drop_response = NULL;
    arena_done(&request->arena);
    buffer_unref(request->frame);
    request->frame = NULL;
}

void *request_response(struct request *request)
{
    if (request->response == NULL) {
        request->response = arena_allocate(&request->arena, request->api->response.size);
        if (request->response != NULL)
            request->api->response.init(request->response);
    }
    return request->response;
}

static void run_done(struct task *task)
{
    struct request *request = container_of(task, struct request, task);
    request->done(request);
}

void request_complete(struct request *request)
{
    ASSERT(!request->completed);
    request->completed = true;
    request->cancel = NULL;
    request->task.run = run_done;
    executor_post(request->broker->executor, &request->task);
}

void request_fail(struct request *request)
{
    request->response = NULL;
    request->close_connection = true;
    request_complete(request);
}

void request_refuse_stranger(struct request *request, size_t error_code_at)
{
    uint8_t *response = request_response(request);
    if (response == NULL) {
        request_fail(request);
        return;
    }
    int16_t code = error_to_kafka(ERROR_CLUSTER_AUTHORIZATION_FAILED);
    memcpy(response + error_code_at, &code, sizeof code);
    request->close_after = true;
    request_complete(request);
}

void request_end(struct request *request, bool answered)
{
    if (answered)
        request_complete(request);
    else
        request_fail(request);
}

void request_hold(struct request *request)
{
    ASSERT(!request->completed);
    request->holds++;
}

void request_release(struct request *request)
{
    ASSERT(request->holds > 0);
    if (--request->holds == 0)
        request_complete(request);
}

void request_cancel(struct request *request)
{
    void (*cancel)(struct request *) = request->cancel;
    request->cancel = NULL;
    if (!request->completed && cancel != NULL)
        cancel(request);
}
