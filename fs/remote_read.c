/* SPDX-License-Identifier: Apache-2.0 */
/* Reads that go to the leader.
 *
 *   ask --> TextRead --> walk (pool thread) --> answer, or ask for what is behind
 *    '-- no leader, another one, no answer: look where it is, again, until timeo */
#include "fs/remote_read.h"

#include "base/assertion.h"
#include "base/memory.h"
#include "fs/fuse.h"
#include "fs/op.h"
#include "handle/broker.h"
#include "wire/api_text_read.h"
#include "wire/call.h"

enum {
    ASK_BYTES_FIRST = 256 << 10,
    ASK_BYTES_MOST = 4 << 20,
    BATCH_BYTES_MAX = 128 << 20,
    CALL_TIMEOUT_MS = 5000,
    RETRY_MS = 20,
};

struct read_op {
    struct op op;
    struct open_file *file; /* Held (open_file_hold) while the pool thread walks. */
    uint64_t position;
    uint8_t *block;
    size_t used;
    size_t size;
    int64_t deadline_ms;
    int32_t ask_bytes; /* At least: the first batch is that large, or there is no text in less. */
    enum error error;
    struct partition_source from;
    struct remote_look look;
    struct timer retry;
    struct call call;
    bool calling;
    int64_t shift;  /* In the epoch that was asked. */
    uint64_t asked; /* The text position that was. */
    struct text_read_request body;
    struct work work;
};

static void read_ask(struct read_op *read);

static struct read_op *read_of(struct op *op)
{
    return container_of(op, struct read_op, op);
}

static void read_end(struct read_op *read, enum error error)
{
    op_complete(&read->op, read->used > 0 ? ERROR_NONE : error, NULL);
}

/* ---- walking ---- */

static void walk_run(struct work *work)
{
    struct read_op *read = container_of(work, struct read_op, work);
    size_t got = 0;
    read->error = partition_source_read(&read->from, read->file, read->position + read->used,
                                        read->block + read->used, read->size - read->used, &got);
    if (read->error == ERROR_NONE)
        read->used += got;
}

/* What was sent held no text (control batches, emptied ones): more is asked for. */
static bool read_widen(struct read_op *read)
{
    if (read->body.max_bytes > BATCH_BYTES_MAX / 2)
        return false;
    read->ask_bytes = read->body.max_bytes * 2;
    return true;
}

static void walk_done(struct work *work)
{
    struct read_op *read = container_of(work, struct read_op, work);
    open_file_release(read->op.tree, read->file);
    if (!read->op.complete) {
        bool more = read->error == ERROR_NONE && read->from.starved && read->used < read->size;
        if (!more)
            read_end(read, read->error);
        else if (read->from.is_elsewhere && read->from.wanted == read->asked && !read_widen(read))
            read_end(read, ERROR_CORRUPT_MESSAGE);
        else
            read_ask(read);
    }
    op_unref(&read->op);
}

static void read_walk(struct read_op *read)
{
    open_file_hold(read->file);
    atomic_fetch_add_explicit(&read->op.references, 1, memory_order_relaxed);
    read->work.run = walk_run;
    read->work.done = walk_done;
    executor_work(tree_executor(read->op.tree), &read->work);
}

/* ---- asking ---- */

static void retry_due(struct timer *timer)
{
    read_ask(container_of(timer, struct read_op, retry));
}

static void look_done(struct remote_look *look)
{
    struct read_op *read = container_of(look, struct read_op, look);
    if (look->error == ERROR_NONE)
        read_ask(read);
    else
        read_end(read, look->error == ERROR_UNKNOWN_TOPIC_OR_PARTITION ? ERROR_STALE : look->error);
}

static void read_look(struct read_op *read)
{
    struct executor *executor = tree_executor(read->op.tree);
    const struct inode *inode = read->op.inode;
    int64_t left_ms = read->deadline_ms - executor_monotonic_ms(executor);
    read->look = (struct remote_look){.topic_id = inode->topic_id,
                                      .index = inode->index,
                                      .timeout_ms = left_ms < 0 ? 0 : left_ms,
                                      .done = look_done};
    remote_look_start(read->op.tree, &read->look);
}

/* Another epoch has another text: it is looked at before it is asked again. */
static void read_failed(struct read_op *read, enum error error)
{
    struct tree *tree = read->op.tree;
    if (!remote_error_passes(tree, &read->op.inode->topic_id, error)) {
        read_end(read, error == ERROR_UNKNOWN_TOPIC_ID || error == ERROR_UNKNOWN_TOPIC_OR_PARTITION
                           ? ERROR_STALE
                           : error);
    } else if (executor_monotonic_ms(tree_executor(tree)) >= read->deadline_ms) {
        read_end(read, ERROR_REQUEST_TIMED_OUT);
    } else {
        remote_forget_age(tree, &read->op.inode->topic_id, read->op.inode->index);
        executor_timer_start(tree_executor(tree), &read->retry, RETRY_MS);
    }
}

/* What the leader sent, as what is behind `wanted`. */
static enum error answer_take(struct read_op *read, bool *ret_again)
{
    const struct text_read_response *response = read->call.response;
    size_t needed = 0;
    struct partition_source *from = &read->from;
    enum error error = error_from_kafka(response->error_code);
    *ret_again = false;
    if (error == ERROR_NONE)
        error = text_piece_new(read->call.frame, response->records.data, &from->piece, &needed);
    if (error != ERROR_NONE)
        return error;
    if (needed > BATCH_BYTES_MAX)
        return ERROR_CORRUPT_MESSAGE;
    *ret_again = needed > 0;
    if (needed > 0)
        read->ask_bytes = (int32_t)needed;
    from->given = true;
    from->batch_text = (uint64_t)(response->batch_position - read->shift);
    from->text_start =
        response->text_start < read->shift ? 0 : (uint64_t)(response->text_start - read->shift);
    return ERROR_NONE;
}

static void read_answered(struct call *call)
{
    struct read_op *read = container_of(call, struct read_op, call);
    bool again = false;
    read->calling = false;
    if (!read->op.complete) {
        enum error error = call->error == ERROR_NONE ? answer_take(read, &again) : call->error;
        if (error != ERROR_NONE)
            read_failed(read, error);
        else if (again)
            read_ask(read);
        else
            read_walk(read);
    }
    call_done(call);
    op_unref(&read->op);
}

static void call_begin(struct read_op *read, const struct remote_partition *known, int32_t leader)
{
    struct tree *tree = read->op.tree;
    const struct inode *inode = read->op.inode;
    struct open_file *file = read->file;
    call_init(&read->call, tree->broker->caller, api_find(API_TEXT_READ), leader, CALL_READ,
              CALL_TIMEOUT_MS);
    int64_t position = (int64_t)read->from.wanted + known->shift;
    if (file->ask_bytes == 0)
        file->ask_bytes = ASK_BYTES_FIRST;
    read->shift = known->shift;
    read->asked = read->from.wanted;
    text_read_request_init(&read->body);
    read->body.topic_id = inode->topic_id;
    read->body.partition_index = inode->index;
    read->body.leader_epoch = known->epoch;
    read->body.position = position < 0 ? 0 : position;
    read->body.max_bytes = read->ask_bytes > file->ask_bytes ? read->ask_bytes : file->ask_bytes;
    if (file->ask_bytes < ASK_BYTES_MOST)
        file->ask_bytes *= 2;
    read->call.body = &read->body;
    read->call.done = read_answered;
    read->calling = true;
    atomic_fetch_add_explicit(&read->op.references, 1, memory_order_relaxed);
    call_start(tree_executor(tree), &read->call);
}

static void read_ask(struct read_op *read)
{
    struct tree *tree = read->op.tree;
    struct inode *inode = read->op.inode;
    struct catalog_partition partition;
    const struct catalog_topic *topic = inode_topic(tree, inode);
    const struct remote_partition *known = remote_find(tree, &inode->topic_id, inode->index);
    text_piece_free(read->from.piece);
    read->from.piece = NULL;
    read->from.given = false;
    if (topic == NULL ||
        !catalog_partition_find(tree->broker->catalog, topic, inode->index, &partition)) {
        read_end(read, ERROR_STALE);
        return;
    }
    read->from.is_elsewhere = inode_replica(tree, inode) == NULL;
    if (!read->from.is_elsewhere) /* It has come meanwhile. */
        read_walk(read);
    else if (known == NULL || known->epoch < partition.leader_epoch || partition.leader < 0)
        read_look(read);
    else
        call_begin(read, known, partition.leader);
}

/* ---- the operation ---- */

static void read_cancel(struct op *op)
{
    struct read_op *read = read_of(op);
    executor_timer_stop(tree_executor(op->tree), &read->retry);
    remote_look_stop(&read->look);
    if (read->calling)
        call_cancel(&read->call);
    op_complete(op, ERROR_INTERRUPTED, NULL);
}

static bool read_reply(struct op *op)
{
    struct read_op *read = read_of(op);
    if (op->error != ERROR_NONE)
        return fuse_reply_err(op->fuse, error_to_errno(op->error)) == 0;
    return fuse_reply_buf(op->fuse, (const char *)read->block, read->used) == 0;
}

static void read_release(struct op *op)
{
    struct read_op *read = read_of(op);
    block_pool_give(&op->tree->blocks, read->block);
    text_piece_free(read->from.piece);
    memory_free(read);
}

void remote_read(struct tree *tree, struct fuse_req *fuse, struct open_file *file,
                 uint64_t position, uint8_t *block, size_t used, size_t size, uint64_t wanted)
{
    struct read_op *read = memory_allocate(sizeof *read);
    if (read == NULL) {
        block_pool_give(&tree->blocks, block);
        (void)fuse_reply_err(fuse, ENOMEM);
        return;
    }
    op_begin(&read->op, tree, fuse, file->inode, "read");
    read->op.reply = read_reply;
    read->op.cancel = read_cancel;
    read->op.release = read_release;
    read->file = file;
    read->position = position;
    read->block = block;
    read->used = used;
    read->size = size;
    read->retry.fire = retry_due;
    partition_source_init(&read->from, tree, file);
    read->from.wanted = wanted;
    read->deadline_ms = executor_monotonic_ms(tree_executor(tree)) + tree->options.write_timeout_ms;
    monitor_enter(tree->monitor);
    op_enter(&read->op);
    read_ask(read);
    monitor_leave(tree->monitor);
    op_settle(&read->op);
}
