/* SPDX-License-Identifier: Apache-2.0 */
/* What every implementation of the seam shares. */
#include "wire/call.h"

#include "base/assertion.h"

#include <string.h>

enum { CALL_ARENA_BYTES_MAX = 64 << 20 };

void call_init(struct call *call, struct caller *caller, const struct api *api, int32_t node_id,
               enum call_channel channel, int64_t timeout_ms)
{
    *call = (struct call){
        .caller = caller,
        .node_id = node_id,
        .channel = channel,
        .api = api,
        .version = api->version_max,
        .timeout_ms = timeout_ms,
    };
    list_init(&call->link);
    list_init(&call->task.link);
    arena_init(&call->arena, CALL_ARENA_BYTES_MAX);
}

static void call_ended(struct task *task)
{
    struct call *call = container_of(task, struct call, task);
    call->done(call);
}

void call_complete(struct executor *executor, struct call *call, enum error error)
{
    ASSERT(list_empty(&call->task.link));
    ASSERT(error != ERROR_NONE || call->response != NULL);
    call->error = error;
    call->task.run = call_ended;
    executor_post(executor, &call->task);
}

void call_start(struct executor *executor, struct call *call)
{
    if (call->caller == NULL)
        call_complete(executor, call, ERROR_LEADER_NOT_AVAILABLE);
    else
        call->caller->ops->start(call->caller, call);
}

void call_cancel(struct call *call)
{
    if (call->caller != NULL)
        call->caller->ops->cancel(call->caller, call);
}

void call_done(struct call *call)
{
    buffer_unref(call->frame);
    arena_done(&call->arena);
    call->frame = NULL;
    call->response = NULL;
}
