/* SPDX-License-Identifier: Apache-2.0 */
/* fsync(2): 0 only when every record the file had at the call is below the high watermark and on
 * stable storage (reliability.md 2), whatever the topic's durability is. */
#include "base/assertion.h"
#include "base/memory.h"
#include "fs/append.h"
#include "fs/fuse.h"

struct sync_op {
    struct op op;
    struct partition *partition; /* Counted. */
    int64_t offset;              /* Everything below it is waited for. */
    struct partition_wait wait;
    struct timer timer;
    struct append_watch tail;
};

static void sync_finish(struct sync_op *sync, enum error error)
{
    append_watch_end(&sync->tail);
    partition_wait_remove(&sync->wait);
    executor_timer_stop(tree_executor(sync->op.tree), &sync->timer);
    partition_unref(sync->partition);
    sync->partition = NULL;
    op_complete(&sync->op, error, NULL);
}

/* Looks where things stand; asks for a sync and waits when more is owed. Inside the monitor. */
static void sync_step(struct sync_op *sync)
{
    struct log *log;
    struct partition_offsets offsets;
    enum error error = partition_deleted(sync->partition) ? ERROR_STALE : ERROR_NONE;
    if (error == ERROR_NONE)
        error = partition_log(sync->partition, &log);
    if (error == ERROR_NONE)
        error = partition_offsets(sync->partition, &offsets);
    if (error == ERROR_NONE && offsets.high_watermark >= sync->offset &&
        log_synced_offset(log) >= sync->offset) {
        sync_finish(sync, ERROR_NONE);
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

/* Inside the monitor. */
static void sync_start(struct sync_op *sync)
{
    struct log *log;
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

    monitor_enter(tree->monitor);
    op_enter(&sync->op);
    sync->partition = partition_ref(file->inode->partition);
    executor_timer_start(tree_executor(tree), &sync->timer, tree->options.write_timeout_ms);
    if (!append_tail_inside(tree, file, &sync->tail))
        sync_start(sync);
    monitor_leave(tree->monitor);
    op_settle(&sync->op);
}
