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
    if (node->has_ask)
        ask_done(&node->ask);
    node_op_gather_clear(node);
    memory_free(node->stats.each);
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
    if (node->has_ask)
        ask_cancel(&node->ask);
    list_for_each(link, &node->asks)
    {
        ask_cancel(container_of(link, struct ask, link));
    }
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
    list_init(&op->asks);
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

/* False: the op is complete. */
static bool ask_prepare(struct node_op *op, struct ask *ask, int16_t api_key, int16_t version)
{
    enum error error = ask_init(ask, op->op.tree, api_key, version);
    if (error == ERROR_UNSUPPORTED_VERSION)
        node_op_fail(op, error, "%s is not in this build", ask->request.api->name);
    else if (error != ERROR_NONE)
        node_op_done(op, error);
    return error == ERROR_NONE;
}

bool node_op_request(struct node_op *op, int16_t api_key, int16_t version)
{
    if (op->has_ask)
        ask_done(&op->ask);
    op->has_ask = true;
    return ask_prepare(op, &op->ask, api_key, version);
}

static void node_op_answered(struct ask *ask)
{
    struct node_op *op = container_of(ask, struct node_op, ask);
    if (!op->op.complete)
        op->answered(op);
    op_unref(&op->op);
}

void node_op_ask(struct node_op *op, int32_t node_id, int64_t timeout_ms,
                 void (*answered)(struct node_op *op))
{
    op->answered = answered;
    op->ask.done = node_op_answered;
    atomic_fetch_add_explicit(&op->op.references, 1, memory_order_relaxed);
    ask_start(&op->ask, node_id, timeout_ms);
}

static void node_op_answered_here(struct ask *ask)
{
    struct node_op *op = container_of(ask, struct node_op, ask);
    if (!op->op.complete && ask->error != ERROR_NONE)
        node_op_done(op, ask->error);
    node_op_answered(ask);
}

void node_op_start(struct node_op *op, void (*answered)(struct node_op *op))
{
    op->answered = answered;
    op->ask.done = node_op_answered_here;
    atomic_fetch_add_explicit(&op->op.references, 1, memory_order_relaxed);
    ask_start(&op->ask, op->op.tree->broker->node_id, 0);
}

/* ---- several requests at once ---- */

void node_op_gather_clear(struct node_op *op)
{
    ASSERT(op->asks_running == 0);
    for (struct list *link; (link = list_take(&op->asks)) != NULL;) {
        struct ask *ask = container_of(link, struct ask, link);
        ask_done(ask);
        memory_free(ask);
    }
}

struct ask *node_op_gather_add(struct node_op *op, int16_t api_key, int16_t version,
                               int32_t node_id)
{
    struct ask *ask = memory_allocate(sizeof *ask);
    if (ask == NULL) {
        node_op_done(op, ERROR_OUT_OF_MEMORY);
        return NULL;
    }
    bool ready = ask_prepare(op, ask, api_key, version);
    ask->node_id = node_id;
    list_push(&op->asks, &ask->link);
    return ready ? ask : NULL;
}

static void node_op_gathered(struct ask *ask)
{
    struct node_op *op = ask->context;
    if (--op->asks_running == 0 && !op->op.complete)
        op->gathered(op);
    op_unref(&op->op);
}

void node_op_gather(struct node_op *op, int64_t timeout_ms, void (*gathered)(struct node_op *op))
{
    ASSERT(op->asks_running == 0);
    op->gathered = gathered;
    list_for_each(link, &op->asks)
    {
        struct ask *ask = container_of(link, struct ask, link);
        if (ask->done != NULL)
            continue; /* Gathered before. */
        ask->context = op;
        ask->done = node_op_gathered;
        op->asks_running++;
        atomic_fetch_add_explicit(&op->op.references, 1, memory_order_relaxed);
        ask_start(ask, ask->node_id, timeout_ms);
    }
    if (op->asks_running == 0)
        gathered(op);
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
