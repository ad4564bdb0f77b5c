/* SPDX-License-Identifier: Apache-2.0 */
/* The commit rule and group commit: one sync covers every batch that arrived while the last one
 * ran.
 *
 *   append, append, append --> sync 1 --> high watermark --> three answers
 *        append, append ...... (while sync 1 runs) .... --> sync 2 --> ... */
#include "partition/replica.h"

#include "base/assertion.h"
#include "base/report.h"

static int64_t own_vote(const struct partition *partition)
{
    if (partition->topic->config.durability == PARTITION_FSYNC)
        return log_synced_offset(partition->log);
    return log_end_offset(partition->log);
}

static void append_complete(struct partition *partition, struct partition_append *append,
                            enum error error)
{
    struct executor *executor = partition->table->options.executor;
    list_remove(&append->link);
    append->error = error;
    if (error != ERROR_NONE)
        append->base_offset = -1;
    executor_timer_stop(executor, &append->timer);
    executor_post(executor, &append->task);
}

static void wake_waits(struct partition *partition)
{
    struct executor *executor = partition->table->options.executor;
    struct list *link;
    while ((link = list_take(&partition->waits)) != NULL) {
        struct partition_wait *wait = container_of(link, struct partition_wait, link);
        wait->posted = true;
        executor_post(executor, &wait->task);
    }
}

static void answer_below_high_watermark(struct partition *partition)
{
    while (!list_empty(&partition->appends)) {
        struct partition_append *append =
            container_of(partition->appends.next, struct partition_append, link);
        bool committed = append->end_offset <= partition->high_watermark;
        bool synced = append->acks == 1 && append->end_offset <= log_synced_offset(partition->log);
        if (!committed && !synced)
            return;
        append_complete(partition, append, ERROR_NONE);
    }
}

void partition_commit(struct partition *partition)
{
    if (partition->role != PARTITION_LEADER || partition->log == NULL)
        return;
    int64_t vote = own_vote(partition);
    ASSERT(vote <= log_end_offset(partition->log));
    if (vote > partition->high_watermark) {
        partition->high_watermark = vote;
        log_visible_advance(partition->log, vote);
        answer_below_high_watermark(partition);
        wake_waits(partition);
    }
    if (partition->topic->config.durability == PARTITION_FSYNC)
        (void)partition_sync(partition); /* A failure was reported when it came. */
}

static void sync_run(struct work *work)
{
    struct partition *partition = container_of(work, struct partition, sync_work);
    log_sync_run(&partition->sync);
}

static void sync_done(struct work *work)
{
    struct partition *partition = container_of(work, struct partition, sync_work);
    partition->syncing = false;
    partition->table->works_under_way--;
    enum error error = log_sync_end(partition->log, &partition->sync);
    if (partition->deleted) {
        log_discard(partition->log);
        partition->log = NULL;
    } else if (error != ERROR_NONE) {
        /* The kernel may have thrown the pages away and would call the next sync a success. */
        if (!partition->sync_failed)
            partition_report(partition, REPORT_ERROR, "sync_failed",
                             "error=\"%s\" lost=\"nothing acknowledged\" do=\"see the disk; the "
                             "partition takes no writes until the node is restarted\"",
                             error_text(error));
        partition->sync_failed = true;
        partition_abandon(partition, error);
    } else {
        partition_commit(partition);
        if (partition->table->closing)
            (void)partition_sync(partition); /* What one sync did not cover. */
        wake_waits(partition);               /* Whoever asked for the sync. */
    }
    partition_unref(partition);
}

enum error partition_sync(struct partition *partition)
{
    if (partition->sync_failed)
        return ERROR_STORAGE;
    if (partition->syncing || partition->log == NULL)
        return ERROR_NONE;
    if (!log_sync_begin(partition->log, &partition->sync))
        return ERROR_NONE;
    partition->syncing = true;
    partition->table->works_under_way++;
    (void)partition_ref(partition);
    partition->sync_work.run = sync_run;
    partition->sync_work.done = sync_done;
    executor_work(partition->table->options.executor, &partition->sync_work);
    return ERROR_NONE;
}

void partition_abandon(struct partition *partition, enum error error)
{
    while (!list_empty(&partition->appends))
        append_complete(
            partition, container_of(partition->appends.next, struct partition_append, link), error);
    wake_waits(partition);
}
