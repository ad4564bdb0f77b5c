/* SPDX-License-Identifier: Apache-2.0 */
/* Group commit, over all partitions of the node: syncs begin together, in rounds, because the disk
 * and the filesystem's journal are flushed once for those that come at the same time.
 *
 *   append, append, append --> wanted --> round: a sync a partition --> high watermarks --> answers
 *        append, append ...... (while the round runs) .... --> wanted --> round --> ...
 *
 * A round begins when none is under way. One more wait keeps rounds large where the disk is faster
 * than the producers: after a round that answered many, the next one begins when as many wait
 * again, at the latest after ROUND_WAIT_MS. A lone producer never waits for others.
 *
 * How a round syncs depends on how many partitions it has.
 *
 * Few: each file on a thread of its own.
 *
 * TOGETHER_MIN or more: the same, after all of them were written back. What is left to each
 * fdatasync is the journal's commit, which the first one makes for all, and the flush, which the
 * kernel shares among those who wait for one. (8 files, 2 cores, ext4 with a journal: 2 flushes
 * instead of 3 or 4; without a journal each syncs its own inode and little is gained.)
 *
 * WHOLE_MIN or more: written back, then the whole storage at once: two or three flushes, whatever
 * the number (5,000 files one by one: 3,500). It also writes what other programs have written to
 * the same disk, which is bounded. For 8 partitions it would be slower than one by one, half the
 * rate: all are answered at the end only, so that producers and disk take turns.
 *
 * Whose an error is: bytes of one file that cannot be written are its partition's, whoever wrote
 * them; so is its own sync's. A failed sync of the whole storage is that of every partition in the
 * round. Nothing that failed is tried again (base/storage.h). */
#include "partition/replica.h"

#include "base/assertion.h"
#include "base/report.h"

enum {
    ROUND_WAIT_MS = 1,
    /* Fewer answers than this prove no crowd: waiting for them would only add latency. */
    ROUND_CROWD_MIN = 8,
    TOGETHER_MIN = 4, /* Partitions. */
};

static void sync_run(struct work *work)
{
    struct partition *partition = container_of(work, struct partition, sync_work);
    log_sync_run(&partition->sync);
}

/* Takes the caller's hold of the partition. */
static void sync_finish(struct partition *partition)
{
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
        partition->disk_failed = true;
        isr_consider(partition);
        partition_abandon(partition, error);
    } else {
        partition_tell(partition, PARTITION_NEWS_SYNCED);
        partition_commit(partition);
        /* What one sync did not cover: what was appended meanwhile may be the last for long. */
        if (table->closing)
            (void)partition_sync(partition);
        else
            partition_sync_vote(partition);
        partition_wake_waits(partition); /* Whoever asked for the sync. */
    }
    partition_unref(partition);
}

static void round_consider(struct partition_table *table);

static void sync_done(struct work *work)
{
    struct partition *partition = container_of(work, struct partition, sync_work);
    struct partition_table *table = partition->table;
    sync_finish(partition);
    round_consider(table);
}

/* False when there is nothing to sync. */
static bool sync_begin(struct partition *partition)
{
    struct partition_table *table = partition->table;
    ASSERT(!partition->syncing);
    if (partition->log == NULL || partition->deleted || partition->sync_failed ||
        !log_sync_begin(partition->log, &partition->sync))
        return false;
    partition->syncing = true;
    table->syncs_under_way++;
    table->works_under_way++;
    return true;
}

/* ---- many partitions ---- */

static struct log_sync *sync_of(struct list *link)
{
    return &container_of(link, struct partition, sync_link)->sync;
}

/* On a pool thread: the members and their syncs belong to it. */
static void together_run(struct work *work)
{
    struct partition_table *table = container_of(work, struct partition_table, together.work);
    struct storage *storage = table->options.storage;
    struct sync_together *together = &table->together;
    together->whole = storage_can_sync_all(storage, together->count);
    list_for_each(link, &together->members)
    {
        log_sync_write_back(sync_of(link), false);
    }
    list_for_each(link, &together->members)
    {
        log_sync_write_back(sync_of(link), true);
    }
    if (!together->whole)
        return;
    enum error error = storage_sync_all(storage);
    list_for_each(link, &together->members)
    {
        if (sync_of(link)->error == ERROR_NONE)
            sync_of(link)->error = error;
    }
}

/* Each member has a sync begun; takes the holds. */
static void members_sync_each(struct partition_table *table, struct list *members)
{
    struct list *link;
    while ((link = list_take(members)) != NULL) {
        struct partition *partition = container_of(link, struct partition, sync_link);
        partition->sync_work = (struct work){.run = sync_run, .done = sync_done};
        executor_work(table->options.executor, &partition->sync_work);
    }
}

static void together_done(struct work *work)
{
    struct partition_table *table = container_of(work, struct partition_table, together.work);
    struct list members;
    struct list each;
    list_move(&table->together.members, &members);
    list_init(&each);
    table->together.under_way = false;
    struct list *link;
    while ((link = list_take(&members)) != NULL) {
        if (table->together.whole || sync_of(link)->error != ERROR_NONE)
            sync_finish(container_of(link, struct partition, sync_link));
        else
            list_push(&each, link);
    }
    members_sync_each(table, &each);
    round_consider(table);
}

static void members_sync(struct partition_table *table, struct list *members, uint32_t count)
{
    if (count < TOGETHER_MIN || table->together.under_way) {
        members_sync_each(table, members);
        return;
    }
    list_move(members, &table->together.members);
    table->together.count = count;
    table->together.under_way = true;
    table->together.work = (struct work){.run = together_run, .done = together_done};
    executor_work(table->options.executor, &table->together.work);
}

/* ---- rounds ---- */

static void round_start(struct partition_table *table)
{
    executor_timer_stop(table->options.executor, &table->round_timer);
    table->round_answers += table->round_waiting;
    table->round_waiting = 0;
    struct list members;
    uint32_t count = 0;
    list_init(&members);
    struct list *link;
    while ((link = list_take(&table->sync_wanted)) != NULL) {
        struct partition *partition = container_of(link, struct partition, sync_link);
        if (sync_begin(partition)) {
            list_push(&members, &partition->sync_link);
            count++;
        } else {
            partition_unref(partition);
        }
    }
    members_sync(table, &members, count);
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
    bool crowd = table->round_expected >= ROUND_CROWD_MIN && !table->closing;
    bool complete = !crowd || table->round_waiting >= table->round_expected;
    if (table->syncs_under_way == 0 && complete)
        round_start(table);
    else if (!table->closing && !timer_running(&table->round_timer))
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
    list_init(&table->together.members);
    table->round_task.run = round_asked;
    table->round_timer.fire = round_timed_out;
}

void sync_rounds_stop(struct partition_table *table)
{
    ASSERT(table->closing);
    executor_timer_stop(table->options.executor, &table->round_timer);
    round_consider(table);
    if (list_empty(&table->sync_wanted))
        list_remove(&table->round_task.link);
}

enum error partition_sync(struct partition *partition)
{
    struct partition_table *table = partition->table;
    if (partition->sync_failed)
        return ERROR_STORAGE;
    if (partition->syncing || partition->log == NULL)
        return ERROR_NONE;
    if (list_empty(&partition->sync_link)) {
        list_push(&table->sync_wanted, &partition->sync_link);
        (void)partition_ref(partition);
    }
    /* As a task: appends that come in one go are in one round. */
    if (list_empty(&table->round_task.link))
        executor_post(table->options.executor, &table->round_task);
    return ERROR_NONE;
}

void partition_sync_vote(struct partition *partition)
{
    if (partition->log != NULL && partition->topic->config.durability == PARTITION_FSYNC &&
        log_synced_offset(partition->log) < log_end_offset(partition->log))
        (void)partition_sync(partition); /* A failure was reported when it came. */
}
