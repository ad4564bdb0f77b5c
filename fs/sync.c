/* SPDX-License-Identifier: Apache-2.0 */
/* fsync(2): 0 only when every record the file had at the call is below the high watermark and on
 * stable storage (reliability.md 2), whatever the topic's durability is. */
#include "base/assertion.h"
#include "base/memory.h"
#include "fs/append.h"
#include "fs/fuse.h"
#include "handle/broker.h"
#include "wire/api_text_stat.h"
#include "wire/call.h"

enum { RETRY_MS = 50, ANSWER_GRACE_MS = 500 };

struct sync_op {
    struct op op;
    struct partition *partition; /* Counted; NULL: another node leads. */
    int64_t offset;              /* Everything below it is waited for. */
    struct partition_wait wait;
    struct timer timer;
    struct append_watch tail;
    /* To a leader elsewhere. */
    struct call call;
    bool calling;
    int32_t leader;
    struct timer retry; /* Also looks whether it still leads. */
    int64_t deadline_ms;
    struct text_stat_request body;
    struct text_stat_request_topic topic;
    struct text_stat_request_partition asked;
};

static void sync_finish(struct sync_op *sync, enum error error)
{
    append_watch_end(&sync->tail);
    partition_wait_remove(&sync->wait);
    executor_timer_stop(tree_executor(sync->op.tree), &sync->timer);
    executor_timer_stop(tree_executor(sync->op.tree), &sync->retry);
    if (sync->calling)
        call_cancel(&sync->call);
    partition_unref(sync->partition);
    sync->partition = NULL;
    op_complete(&sync->op, error, NULL);
}

static void sync_start(struct sync_op *sync);

static void sync_retry_due(struct timer *timer)
{
    struct sync_op *sync = container_of(timer, struct sync_op, retry);
    struct catalog_partition known;
    const struct inode *inode = sync->op.inode;
    const struct catalog_topic *topic = inode_topic(sync->op.tree, inode);
    if (!sync->calling) {
        sync_start(sync);
        return;
    }
    /* A leader that hangs is one no more after a while. */
    if (topic == NULL ||
        !catalog_partition_find(sync->op.tree->broker->catalog, topic, inode->index, &known) ||
        known.leader != sync->leader)
        call_cancel(&sync->call);
    executor_timer_start(tree_executor(sync->op.tree), &sync->retry, RETRY_MS);
}

/* Looks where things stand; asks for a sync and waits when more is owed. Inside the monitor. */
static void sync_step(struct sync_op *sync)
{
    bool durable = false;
    enum error error = partition_deleted(sync->partition) ? ERROR_STALE : ERROR_NONE;
    if (error == ERROR_NONE)
        error = partition_is_durable(sync->partition, sync->offset, &durable);
    if (durable) {
        sync_finish(sync, ERROR_NONE);
        return;
    }
    if (error == ERROR_NONE && partition_role(sync->partition) != PARTITION_LEADER) {
        partition_unref(sync->partition); /* The next leader is asked, from the beginning. */
        sync->partition = NULL;
        executor_timer_start(tree_executor(sync->op.tree), &sync->retry, RETRY_MS);
        return;
    }
    if (error == ERROR_NONE)
        error = partition_sync(sync->partition);
    if (error != ERROR_NONE) {
        sync_finish(sync, error);
        return;
    }
    partition_wait_add(sync->partition, &sync->wait);
}

static void sync_woken(struct task *task)
{
    struct partition_wait *wait = container_of(task, struct partition_wait, task);
    struct sync_op *sync = container_of(wait, struct sync_op, wait);
    wait->posted = false;
    sync_step(sync);
}

static void sync_timed_out(struct timer *timer)
{
    sync_finish(container_of(timer, struct sync_op, timer), ERROR_STORAGE);
}

static void sync_cancel(struct op *op)
{
    sync_finish(container_of(op, struct sync_op, op), ERROR_INTERRUPTED);
}

static bool sync_reply(struct op *op)
{
    return fuse_reply_err(op->fuse, error_to_errno(op->error)) == 0;
}

static void sync_release(struct op *op)
{
    struct sync_op *sync = container_of(op, struct sync_op, op);
    ASSERT(sync->partition == NULL);
    memory_free(sync);
}

/* ---- a leader elsewhere ---- */

static void sync_answered(struct call *call)
{
    struct sync_op *sync = container_of(call, struct sync_op, call);
    sync->calling = false;
    if (!sync->op.complete) {
        const struct text_stat_response *response = call->response;
        enum error error = call->error;
        if (error == ERROR_NONE)
            error = error_from_kafka(response->error_code);
        executor_timer_stop(tree_executor(sync->op.tree), &sync->retry);
        if (remote_error_passes(sync->op.tree, &sync->op.inode->topic_id, error))
            executor_timer_start(tree_executor(sync->op.tree), &sync->retry, RETRY_MS);
        else
            sync_finish(sync, error == ERROR_UNKNOWN_TOPIC_OR_PARTITION ? ERROR_STALE : error);
    }
    call_done(call);
    op_unref(&sync->op);
}

static void sync_ask(struct sync_op *sync, int32_t leader)
{
    struct tree *tree = sync->op.tree;
    const struct inode *inode = sync->op.inode;
    int64_t left_ms = sync->deadline_ms - executor_monotonic_ms(tree_executor(tree));
    call_init(&sync->call, tree->broker->caller, api_find(API_TEXT_STAT), leader, CALL_READ,
              left_ms + ANSWER_GRACE_MS);
    text_stat_request_init(&sync->body);
    text_stat_request_topic_init(&sync->topic);
    text_stat_request_partition_init(&sync->asked);
    sync->asked.partition_index = inode->index;
    sync->topic.topic_id = inode->topic_id;
    sync->topic.partitions = &sync->asked;
    sync->topic.partitions_count = 1;
    sync->body.topics = &sync->topic;
    sync->body.topics_count = 1;
    sync->body.sync = true;
    sync->body.max_wait_ms = (int32_t)left_ms;
    sync->call.body = &sync->body;
    sync->call.done = sync_answered;
    sync->calling = true;
    sync->leader = leader;
    atomic_fetch_add_explicit(&sync->op.references, 1, memory_order_relaxed);
    executor_timer_start(tree_executor(tree), &sync->retry, RETRY_MS);
    call_start(tree_executor(tree), &sync->call);
}

/* ---- either ---- */

/* Who leads by the catalog; -1: nobody. */
static int32_t sync_leader(struct sync_op *sync)
{
    struct tree *tree = sync->op.tree;
    struct catalog_partition known;
    const struct catalog_topic *topic = inode_topic(tree, sync->op.inode);
    if (topic == NULL ||
        !catalog_partition_find(tree->broker->catalog, topic, sync->op.inode->index, &known))
        return -1;
    return known.leader;
}

/* Inside the monitor. */
static void sync_start(struct sync_op *sync)
{
    struct log *log;
    struct tree *tree = sync->op.tree;
    int32_t leader = sync_leader(sync);
    struct partition *replica = inode_replica(tree, sync->op.inode);
    if (!inode_alive(tree, sync->op.inode)) {
        sync_finish(sync, ERROR_STALE);
        return;
    }
    if (leader >= 0 && leader != tree->broker->node_id) {
        sync_ask(sync, leader);
        return;
    }
    if (leader < 0 || replica == NULL) {
        executor_timer_start(tree_executor(tree), &sync->retry, RETRY_MS);
        return;
    }
    sync->partition = partition_ref(replica);
    enum error error = partition_log(sync->partition, &log);
    if (error != ERROR_NONE) {
        sync_finish(sync, partition_deleted(sync->partition) ? ERROR_STALE : error);
        return;
    }
    sync->offset = log_end_offset(log);
    sync_step(sync);
}

static void tail_stored(struct append_watch *watch, enum error error)
{
    struct sync_op *sync = container_of(watch, struct sync_op, tail);
    if (error == ERROR_NONE)
        sync_start(sync);
    else
        sync_finish(sync, error);
}

void append_sync(struct tree *tree, struct fuse_req *fuse, struct open_file *file)
{
    struct sync_op *sync = memory_allocate(sizeof *sync);
    if (sync == NULL) {
        (void)fuse_reply_err(fuse, ENOMEM);
        return;
    }
    op_begin(&sync->op, tree, fuse, file->inode, "fsync");
    sync->op.reply = sync_reply;
    sync->op.cancel = sync_cancel;
    sync->op.release = sync_release;
    list_init(&sync->wait.link);
    list_init(&sync->wait.task.link);
    sync->wait.task.run = sync_woken;
    sync->timer.fire = sync_timed_out;
    sync->tail.done = tail_stored;
    sync->retry.fire = sync_retry_due;

    monitor_enter(tree->monitor);
    op_enter(&sync->op);
    sync->deadline_ms = executor_monotonic_ms(tree_executor(tree)) + tree->options.write_timeout_ms;
    executor_timer_start(tree_executor(tree), &sync->timer, tree->options.write_timeout_ms);
    if (!append_tail_inside(tree, file, &sync->tail))
        sync_start(sync);
    monitor_leave(tree->monitor);
    op_settle(&sync->op);
}
