/* SPDX-License-Identifier: Apache-2.0 */
/* The commit rule: how far the high watermark may go, and who is answered when it goes.
 *
 *   append --> own vote --> high watermark --> answers, waits
 *                 ^
 *     sync (sync.c), with durability fsync */
#include "partition/replica.h"

#include "base/assertion.h"
#include "base/report.h"

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

/* Ends those of `waiting` that end at `offset` or below. */
static void answer_up_to(struct partition *partition, struct list *waiting, int64_t offset)
{
    while (!list_empty(waiting)) {
        struct partition_append *append =
            container_of(waiting->next, struct partition_append, link);
        if (append->end_offset > offset)
            return;
        append_complete(partition, append, ERROR_NONE);
    }
}

void partition_commit(struct partition *partition)
{
    if (partition->role != PARTITION_LEADER || partition->log == NULL)
        return;
    int64_t votes = partition_votes(partition);
    ASSERT(votes <= log_end_offset(partition->log));
    if (votes > partition->high_watermark) {
        partition->high_watermark = votes;
        log_visible_advance(partition->log, votes);
        partition_tell(partition, PARTITION_NEWS_HIGH_WATERMARK);
        partition_wake_waits(partition);
    }
    answer_up_to(partition, &partition->appends, partition->high_watermark);
    if (partition_table_is_leased(partition->table)) /* Another may lead by now: invariant 16. */
        answer_up_to(partition, &partition->synced, partition_own_vote(partition));
    partition_sync_vote(partition);
}

static void abandon(struct partition *partition, struct list *waiting, enum error error)
{
    while (!list_empty(waiting))
        append_complete(partition, container_of(waiting->next, struct partition_append, link),
                        error);
}

void partition_abandon(struct partition *partition, enum error error)
{
    abandon(partition, &partition->appends, error);
    abandon(partition, &partition->synced, error);
    partition_wake_waits(partition);
}
