/* SPDX-License-Identifier: Apache-2.0 */
/* Group commit, over all partitions of the node: syncs begin together, in rounds, because the disk
 * and the filesystem's journal are flushed once for those that come at the same time.
 *
 *   append, append, append --> wanted --> round: a sync a partition --> high watermarks --> answers
 *        append, append ...... (while the round runs) .... --> wanted --> round --> ...
 *
 * A round begins when none is under way. One more wait keeps rounds large where the disk is faster
 * than the producers: after a round that answered many, the next one begins when as many wait
 * again, at the latest after ROUND_WAIT_MS. A lone producer never waits for others. */
#include "partition/replica.h"

#include "base/assertion.h"
#include "base/report.h"

enum {
    ROUND_WAIT_MS = 1,
    /* Fewer answers than this prove no crowd: waiting for them would only add latency. */
    ROUND_CROWD_MIN = 8,
};

static void sync_run(struct work *work)
{
    struct partition *partition = container_of(work, struct partition, sync_work);
    log_sync_run(&partition->sync);
}

static void round_consider(struct partition_table *table);

static void sync_done(struct work *work)
{
    struct partition *partition = container_of(work, struct partition, sync_work);
    struct partition_table *table = partition->table;
    partition->syncing = false;
    table->works_under_way--;
    if (--table->syncs_under_way == 0) {
        table->round_expected = table->round_answers;
        table->round_answers = 0;
    }
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
        partition_tell(partition, PARTITION_NEWS_SYNCED);
        partition_commit(partition);
        if (table->closing)
            (void)partition_sync(partition); /* What one sync did not cover. */
        partition_wake_waits(partition);     /* Whoever asked for the sync. */
    }
    round_consider(table);
    partition_unref(partition);
}

static void sync_start(struct partition *partition)
{
    struct partition_table *table = partition->table;
    ASSERT(!partition->syncing);
    if (partition->log == NULL || partition->deleted || partition->sync_failed ||
        !log_sync_begin(partition->log, &partition->sync))
        return;
    partition->syncing = true;
    table->syncs_under_way++;
    table->works_under_way++;
    (void)partition_ref(partition);
    partition->sync_work.run = sync_run;
    partition->sync_work.done = sync_done;
    executor_work(table->options.executor, &partition->sync_work);
}

static void round_start(struct partition_table *table)
{
    executor_timer_stop(table->options.executor, &table->round_timer);
    table->round_answers += table->round_waiting;
    table->round_waiting = 0;
    struct list *link;
    while ((link = list_take(&table->sync_wanted)) != NULL) {
        struct partition *partition = container_of(link, struct partition, sync_link);
        sync_start(partition);
        partition_unref(partition);
    }
}

/* The last round's slowest sync holds up the others no longer than this. */
static void round_timed_out(struct timer *timer)
{
    round_start(container_of(timer, struct partition_table, round_timer));
}

static void round_consider(struct partition_table *table)
{
    if (list_empty(&table->sync_wanted))
        return;
    bool crowd = table->round_expected >= ROUND_CROWD_MIN;
    bool complete = !crowd || table->round_waiting >= table->round_expected;
    if (table->syncs_under_way == 0 && complete)
        round_start(table);
    else if (!timer_running(&table->round_timer))
        executor_timer_start(table->options.executor, &table->round_timer, ROUND_WAIT_MS);
}

static void round_asked(struct task *task)
{
    round_consider(container_of(task, struct partition_table, round_task));
}

void sync_rounds_init(struct partition_table *table)
{
    list_init(&table->sync_wanted);
    list_init(&table->round_task.link);
    table->round_task.run = round_asked;
    table->round_timer.fire = round_timed_out;
}

void sync_rounds_stop(struct partition_table *table)
{
    executor_timer_stop(table->options.executor, &table->round_timer);
    list_remove(&table->round_task.link);
    struct list *link;
    while ((link = list_take(&table->sync_wanted)) != NULL)
        partition_unref(container_of(link, struct partition, sync_link));
}

enum error partition_sync(struct partition *partition)
{
    struct partition_table *table = partition->table;
    if (partition->sync_failed)
        return ERROR_STORAGE;
    if (partition->syncing || partition->log == NULL)
        return ERROR_NONE;
    if (table->closing) { /* No rounds any more: the stop waits for the last syncs. */
        sync_start(partition);
        return ERROR_NONE;
    }
    if (list_empty(&partition->sync_link)) {
        list_push(&table->sync_wanted, &partition->sync_link);
        (void)partition_ref(partition);
    }
    /* As a task: appends that come in one go are in one round. */
    if (list_empty(&table->round_task.link))
        executor_post(table->options.executor, &table->round_task);
    return ERROR_NONE;
}
