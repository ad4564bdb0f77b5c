/* SPDX-License-Identifier: Apache-2.0 */
/* A request's life, and the table that says which handler answers which API. */
#include "handle/request.h"

#include "base/assertion.h"
#include "handle/handlers.h"

struct handler_row {
    enum api_key key;
    void (*start)(struct request *request);
};

/* An API is advertised exactly when it has a row. */
static const struct handler_row rows[] = {
    {API_PRODUCE, handle_produce},
    {API_FETCH, handle_fetch},
    {API_LIST_OFFSETS, handle_list_offsets},
    {API_METADATA, handle_metadata},
    {API_API_VERSIONS, handle_api_versions},
    {API_OFFSET_FOR_LEADER_EPOCH, handle_offset_for_leader_epoch},
};

static const struct handler_row *row_find(int16_t api_key)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if ((int16_t)rows[i].key == api_key)
            return &rows[i];
    }
    return NULL;
}

bool handle_supports(int16_t api_key)
{
    return row_find(api_key) != NULL;
}

void handle_each_supported(void (*each)(void *context, const struct api *api), void *context)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        each(context, api_find((int16_t)rows[i].key));
}

void request_init(struct request *request, struct broker *broker, const struct api *api,
                  int16_t version)
{
    *request = (struct request){.broker = broker, .api = api, .version = version};
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

void request_cancel(struct request *request)
{
    void (*cancel)(struct request *) = request->cancel;
    request->cancel = NULL;
    if (!request->completed && cancel != NULL)
        cancel(request);
}

bool handle_admit(struct request *request)
{
    return request->api->key == API_PRODUCE && produce_admit(request);
}

void handle_prepare(struct request *request, struct codec_context *context)
{
    if (request->api->key == API_PRODUCE)
        produce_prepare(request, context);
}

void handle_start(struct request *request)
{
    const struct handler_row *row = row_find((int16_t)request->api->key);
    ASSERT(row != NULL);
    ASSERT(!request->completed);
    row->start(request);
}
