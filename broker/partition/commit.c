/* SPDX-License-Identifier: Apache-2.0 */
/* The commit rule: how far the high watermark may go, and who is answered when it goes.
 *
 *   append --> own vote --> high watermark --> answers, waits
 *                 ^
 *     sync (sync.c), with durability fsync */
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

void partition_wake_waits(struct partition *partition)
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
        partition_wake_waits(partition);
    }
    if (partition->topic->config.durability == PARTITION_FSYNC)
        (void)partition_sync(partition); /* A failure was reported when it came. */
}

void partition_abandon(struct partition *partition, enum error error)
{
    while (!list_empty(&partition->appends))
        append_complete(
            partition, container_of(partition->appends.next, struct partition_append, link), error);
    partition_wake_waits(partition);
}
