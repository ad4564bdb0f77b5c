/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a file operation: begun by a worker, completed once, answered once, interrupted at
 * any time between. */
#include "fs/op.h"

#include "base/assertion.h"
#include "base/memory.h"
#include "fs/fuse.h"
#include "fs/partition_file.h"
#include "fs/tree.h"

#include <stdarg.h>
#include <stdio.h>

enum { OP_COMPLETE = 1, OP_LEFT = 2 };
enum { OP_PATH_BYTES = 1024 };

void op_begin(struct op *op, struct tree *tree, struct fuse_req *fuse, struct inode *inode,
              const char *verb)
{
    list_init(&op->link);
    op->tree = tree;
    op->fuse = fuse;
    op->inode = inode;
    op->verb = verb;
    atomic_init(&op->state, 0);
    atomic_init(&op->references, 1);
    atomic_fetch_add_explicit(&tree->operations, 1, memory_order_relaxed);
}

void op_enter(struct op *op)
{
    list_push(&op->tree->parked, &op->link);
    (void)inode_ref(op->inode);
}

void op_unref(struct op *op)
{
    if (atomic_fetch_sub_explicit(&op->references, 1, memory_order_acq_rel) > 1)
        return;
    struct tree *tree = op->tree;
    op->release(op);
    atomic_fetch_sub_explicit(&tree->operations, 1, memory_order_release);
}

/* What failed, where and why, for whoever saw only an errno. A name that is not there is no
 * failure worth keeping, nor is an interrupt. */
static void op_note(struct op *op, const char *reason)
{
    if (op->verb == NULL || op->error == ERROR_INTERRUPTED)
        return;
    struct tree *tree = op->tree;
    char path[OP_PATH_BYTES];
    size_t size = strlen(inode_path(op->inode, path, sizeof path));
    if (op->name != NULL)
        (void)snprintf(path + size, sizeof path - size, "%s%s", size > 0 ? "/" : "", op->name);
    errors_add(&tree->errors, executor_wall_clock_ms(tree_executor(tree)), op->verb, path,
               op->error, reason);
    memory_free(op->inode->error);
    const char *text = reason != NULL ? reason : error_text(op->error);
    op->inode->error = memory_copy_text(text, strlen(text));
}

void op_complete(struct op *op, enum error error, const char *reason)
{
    ASSERT(!op->complete);
    op->complete = true;
    op->error = error;
    if (error != ERROR_NONE)
        op_note(op, reason);
    list_remove(&op->link);
    inode_unref(&op->tree->inodes, op->inode, 1);
    if (atomic_fetch_or(&op->state, OP_COMPLETE) & OP_LEFT) {
        op->inside = true;
        (void)op->reply(op);
        op_unref(op);
    }
}

/* libfuse may call this for a request that was answered a moment ago: only what is still parked is
 * looked at, and a request's address is not used again while this runs. */
static void op_interrupted(fuse_req_t request, void *context)
{
    struct tree *tree = context;
    monitor_enter(tree->monitor);
    list_for_each(link, &tree->parked)
    {
        struct op *op = container_of(link, struct op, link);
        if (op->fuse != request)
            continue;
        op->cancel(op);
        break;
    }
    monitor_leave(tree->monitor);
}

void op_settle(struct op *op)
{
    /* The interrupt is registered outside the monitor (libfuse calls op_interrupted with its own
     * lock held) and only when there is something to wait for. */
    if (!(atomic_load(&op->state) & OP_COMPLETE) && op->fuse != NULL)
        fuse_req_interrupt_func(op->fuse, op_interrupted, op->tree);
    if (atomic_fetch_or(&op->state, OP_LEFT) & OP_COMPLETE) {
        (void)op->reply(op);
        op_unref(op);
    }
}

void op_cancel_all(struct tree *tree)
{
    struct list waiting;
    tree->closing = true;
    list_move(&tree->parked, &waiting);
    while (!list_empty(&waiting)) {
        struct op *op = container_of(waiting.next, struct op, link);
        list_remove(&op->link);
        list_push(&tree->parked, &op->link);
        op->cancel(op);
    }
}

/* ---- operations on names, directories and small files ---- */

static void node_op_release(struct op *op)
{
    struct node_op *node = node_op_of(op);
    ASSERT(node->found == NULL);
    if (node->has_request)
        request_done(&node->request);
    text_done(&node->text);
    text_done(&node->input_text);
    listing_done(&node->listing);
    memory_free(node);
}

/* What is under way goes on by itself; nobody waits for it any more. */
static void node_op_cancel(struct op *op)
{
    struct node_op *node = node_op_of(op);
    executor_timer_stop(tree_executor(op->tree), &node->retry);
    remote_look_stop(&node->look);
    if (node->found != NULL)
        inode_unref(&op->tree->inodes, node->found, 1);
    node->found = NULL;
    if (node->has_request)
        request_cancel(&node->request);
    op_complete(op, ERROR_INTERRUPTED, NULL);
}

struct node_op *node_op_new(struct tree *tree, struct fuse_req *fuse, struct inode *inode,
                            const char *verb, bool (*reply)(struct op *op))
{
    struct node_op *op = memory_allocate(sizeof *op);
    if (op == NULL) {
        (void)fuse_reply_err(fuse, ENOMEM);
        return NULL;
    }
    op_begin(&op->op, tree, fuse, inode, verb);
    op->op.reply = reply;
    op->op.cancel = node_op_cancel;
    op->op.release = node_op_release;
    return op;
}

static void found_looked(struct node_op *op)
{
    if (op->found->class == &view_class)
        view_looked(op->found, &op->look);
    inode_stat(op->op.tree, op->found, &op->found_stat);
    if (op->opens != NULL)
        op->opens(op, op->found);
    else
        op_complete(&op->op, ERROR_NONE, NULL);
}

void node_op_found(struct node_op *op, struct inode *found)
{
    if (found == NULL) {
        node_op_done(op, ERROR_OUT_OF_MEMORY);
        return;
    }
    op->found = found;
    node_op_look(op, found, PARTITION_STAT_AGE_MS, PARTITION_STAT_WAIT_MS, found_looked);
}

static void look_done(struct remote_look *look)
{
    struct node_op *op = container_of(look, struct node_op, look);
    op->looked(op);
}

void node_op_look(struct node_op *op, struct inode *inode, int64_t age_ms, int64_t timeout_ms,
                  void (*looked)(struct node_op *op))
{
    struct tree *tree = op->op.tree;
    op->look.error = ERROR_NONE;
    op->looked = looked;
    if (!inode->class->is_partition || inode_replica(tree, inode) != NULL ||
        (inode->class != &view_class &&
         remote_is_fresh(tree, &inode->topic_id, inode->index, age_ms))) {
        looked(op);
        return;
    }
    op->look = (struct remote_look){.topic_id = inode->topic_id,
                                    .index = inode->index,
                                    .timeout_ms = timeout_ms,
                                    .done = look_done};
    if (inode->class == &view_class)
        view_places(tree, inode, &op->look);
    remote_look_start(tree, &op->look);
}

void node_op_done(struct node_op *op, enum error error)
{
    if (error == ERROR_NONE && (op->text.failed || op->listing.failed))
        error = ERROR_OUT_OF_MEMORY;
    op_complete(&op->op, error, op->reason[0] != '\0' ? op->reason : NULL);
}

void node_op_fail(struct node_op *op, enum error error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(op->reason, sizeof op->reason, format, arguments);
    va_end(arguments);
    node_op_done(op, error);
}

bool node_op_request(struct node_op *op, int16_t api_key, int16_t version)
{
    static const char client_id[] = "topicfs-mount";
    const struct api *api = api_find(api_key);
    ASSERT(api != NULL);
    ASSERT(api_supports(api, version));
    if (!handle_supports(api_key)) {
        node_op_fail(op, ERROR_UNSUPPORTED_VERSION, "%s is not in this build", api->name);
        return false;
    }
    if (op->has_request)
        request_done(&op->request);
    op->has_request = true;
    request_init(&op->request, op->op.tree->broker, api, version);
    op->request.requester = (struct requester){
        .principal = slice_of("User:ANONYMOUS"),
        .client_id = slice_of(client_id),
        .client_host = slice_of("/127.0.0.1"),
        .listener_host = "localhost",
        .peer_node_id = PEER_CLIENT,
    };
    op->request.body = arena_allocate(&op->request.arena, api->request.size);
    if (op->request.body == NULL) {
        node_op_done(op, ERROR_OUT_OF_MEMORY);
        return false;
    }
    api->request.init(op->request.body);
    return true;
}

static void node_op_answered(struct request *request)
{
    struct node_op *op = container_of(request, struct node_op, request);
    if (!op->op.complete) {
        if (request->response == NULL)
            node_op_done(op, ERROR_OUT_OF_MEMORY);
        else
            op->answered(op);
    }
    op_unref(&op->op);
}

void node_op_start(struct node_op *op, void (*answered)(struct node_op *op))
{
    op->answered = answered;
    op->request.done = node_op_answered;
    atomic_fetch_add_explicit(&op->op.references, 1, memory_order_relaxed);
    handle_start(&op->request);
}

static void retry_due(struct timer *timer)
{
    struct node_op *op = container_of(timer, struct node_op, retry);
    op->again(op);
}

void node_op_again(struct node_op *op, int64_t delay_ms, void (*again)(struct node_op *op))
{
    op->again = again;
    op->retry.fire = retry_due;
    executor_timer_start(tree_executor(op->op.tree), &op->retry, delay_ms);
}

enum error node_op_error(int16_t error_code)
{
    for (int error = 0; error < ERROR_COUNT; error++)
        if (error_to_kafka((enum error)error) == error_code)
            return (enum error)error;
    return ERROR_UNKNOWN_SERVER;
}

static bool refused_as(struct node_op *op, enum error error, struct slice message)
{
    if (error == ERROR_NONE)
        return false;
    if (slice_is_null(message) || message.size == 0)
        node_op_done(op, error);
    else
        node_op_fail(op, error, "%.*s", SLICE_PRINT(message));
    return true;
}

bool node_op_refused(struct node_op *op, int16_t error_code, struct slice message)
{
    return refused_as(op, node_op_error(error_code), message);
}

bool node_op_creation_refused(struct node_op *op, int16_t error_code, struct slice message)
{
    enum error error = node_op_error(error_code);
    return refused_as(op, error == ERROR_POLICY_VIOLATION ? ERROR_QUOTA_EXCEEDED : error, message);
}
