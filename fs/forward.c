/* SPDX-License-Identifier: Apache-2.0 */
/* Batches for leaders elsewhere. */
#include "fs/forward.h"

#include "base/assertion.h"
#include "base/memory.h"
#include "fs/tree.h"
#include "handle/broker.h"
#include "wire/api_produce.h"
#include "wire/call.h"

/* So that the leader's own answer, that the time is over, comes first. */
enum { ANSWER_GRACE_MS = 500 };

struct forward {
    struct call call;
    struct tree *tree;
    struct lane_batch *batch; /* NULL once it was left. */
    struct buffer *buffer;    /* Of the batch: held until the call ends. */
    struct uuid topic_id;
    void (*done)(struct lane_batch *batch, bool maybe_stored);
    struct produce_request body;
    struct produce_request_topic_produce_data topic;
    struct produce_request_partition_produce_data partition;
};

/* What the leader says of the one partition; NULL when it says something else. */
static const struct produce_response_partition_produce_response *
answer_of(const struct forward *forward)
{
    const struct produce_response *response = forward->call.response;
    if (response->responses_count != 1 || response->responses[0].partition_responses_count != 1)
        return NULL;
    const struct produce_response_partition_produce_response *answer =
        &response->responses[0].partition_responses[0];
    return answer->index == forward->partition.index ? answer : NULL;
}

/* A leader that does not know the topic has not learnt of it yet, unless it is gone here too. */
static bool is_unknown_there(const struct forward *forward, enum error error)
{
    return (error == ERROR_UNKNOWN_TOPIC_ID || error == ERROR_UNKNOWN_TOPIC_OR_PARTITION) &&
           catalog_topic_find_id(forward->tree->broker->catalog, &forward->topic_id) != NULL;
}

static enum error answer_take(struct forward *forward, bool *ret_maybe_stored)
{
    struct partition_append *append = &forward->batch->append;
    const struct produce_response_partition_produce_response *answer = answer_of(forward);
    if (answer == NULL)
        return ERROR_NETWORK;
    enum error error = error_from_kafka(answer->error_code);
    if (is_unknown_there(forward, error)) {
        *ret_maybe_stored = false;
        return ERROR_LEADER_NOT_AVAILABLE;
    }
    if (error == ERROR_UNKNOWN_TOPIC_ID)
        return ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    if (error == ERROR_NONE) {
        /* Whoever looks now sees it. */
        remote_forget_age(forward->tree, &forward->topic_id, forward->partition.index);
        append->base_offset = answer->base_offset;
        append->log_append_time_ms = answer->log_append_time_ms;
        append->log_start_offset = answer->log_start_offset;
        append->end_offset = answer->base_offset + append->facts.header.record_count;
    }
    return error;
}

static void forward_ended(struct call *call)
{
    struct forward *forward = container_of(call, struct forward, call);
    struct tree *tree = forward->tree;
    struct lane_batch *batch = forward->batch;
    if (batch != NULL) {
        bool maybe_stored = call->error != ERROR_LEADER_NOT_AVAILABLE;
        if (call->error == ERROR_NONE)
            batch->append.error = answer_take(forward, &maybe_stored);
        else if (call->error == ERROR_LEADER_NOT_AVAILABLE ||
                 call->error == ERROR_REQUEST_TIMED_OUT)
            batch->append.error = call->error;
        else
            batch->append.error = ERROR_NETWORK;
        batch->forward = NULL;
        forward->done(batch, maybe_stored);
    }
    call_done(&forward->call);
    buffer_unref(forward->buffer);
    memory_free(forward);
    atomic_fetch_sub_explicit(&tree->operations, 1, memory_order_release);
}

enum error forward_start(struct tree *tree, const struct inode *inode, struct lane_batch *batch,
                         int32_t leader, int32_t timeout_ms,
                         void (*done)(struct lane_batch *batch, bool maybe_stored))
{
    struct forward *forward = memory_allocate(sizeof *forward);
    if (forward == NULL)
        return ERROR_OUT_OF_MEMORY;
    call_init(&forward->call, tree->broker->caller, api_find(API_PRODUCE), leader, CALL_PRODUCE,
              (int64_t)timeout_ms + ANSWER_GRACE_MS);
    produce_request_init(&forward->body);
    produce_request_topic_produce_data_init(&forward->topic);
    produce_request_partition_produce_data_init(&forward->partition);
    forward->tree = tree;
    forward->batch = batch;
    forward->buffer = buffer_ref(batch->buffer);
    forward->topic_id = inode->topic_id;
    forward->done = done;
    forward->partition.index = inode->index;
    forward->partition.records.data = slice_from(batch->append.batch, batch->append.size);
    forward->topic.topic_id = inode->topic_id;
    forward->topic.partition_data = &forward->partition;
    forward->topic.partition_data_count = 1;
    /* acks=0 is never answered, and the lane goes by answers. */
    forward->body.acks = batch->append.acks == 0 ? 1 : batch->append.acks;
    forward->body.timeout_ms = timeout_ms;
    forward->body.topic_data = &forward->topic;
    forward->body.topic_data_count = 1;
    forward->call.body = &forward->body;
    forward->call.done = forward_ended;
    batch->forward = forward;
    /* The tree waits for it as for an operation: its end looks at the tree. */
    atomic_fetch_add_explicit(&tree->operations, 1, memory_order_relaxed);
    call_start(tree_executor(tree), &forward->call);
    return ERROR_NONE;
}

void forward_end(struct forward *forward)
{
    call_cancel(&forward->call);
}

void forward_leave(struct forward *forward)
{
    ASSERT(forward->batch != NULL);
    forward->batch->forward = NULL;
    forward->batch = NULL;
    call_cancel(&forward->call);
}
