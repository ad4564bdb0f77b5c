/* SPDX-License-Identifier: Apache-2.0 */
/* The way in: checks that need the partition's state, the write, and who has to wait.
 * What needs no state (CRC, record counts, timestamps) was checked by batch_validate_produce. */
#include "partition/replica.h"

#include "base/assertion.h"
#include "base/report.h"

static void complete(struct partition_append *append, enum error error)
{
    append->error = error;
    if (error != ERROR_NONE)
        append->base_offset = -1;
    executor_timer_stop(append->partition->table->options.executor, &append->timer);
    executor_post(append->partition->table->options.executor, &append->task);
}

static void append_finished(struct task *task)
{
    struct partition_append *append = container_of(task, struct partition_append, task);
    struct partition *partition = append->partition;
    append->done(append); /* Frees the append. */
    partition_unref(partition);
}

static void append_timed_out(struct timer *timer)
{
    struct partition_append *append = container_of(timer, struct partition_append, timer);
    const struct partition *partition = append->partition;
    bool too_few = partition->role == PARTITION_LEADER &&
                   partition_isr_size(partition) < partition_min_insync(partition);
    list_remove(&append->link);
    complete(append, too_few ? ERROR_NOT_ENOUGH_REPLICAS_AFTER_APPEND : ERROR_REQUEST_TIMED_OUT);
}

static enum error check_state(struct partition *partition, const struct partition_append *append)
{
    if (partition->table->closing)
        return ERROR_CLOSING;
    if (partition->deleted)
        return ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    if (append->acks < -1 || append->acks > 1)
        return ERROR_INVALID_REQUIRED_ACKS;
    if (partition->role == PARTITION_OFFLINE)
        return ERROR_STORAGE;
    if (partition->role != PARTITION_LEADER || !partition_table_is_leased(partition->table))
        return ERROR_NOT_LEADER_OR_FOLLOWER;
    if (append->acks == -1 && partition_isr_size(partition) < partition_min_insync(partition))
        return ERROR_NOT_ENOUGH_REPLICAS;
    return partition_open(partition, NULL);
}

/* The epoch's start is on disk before its first record (invariant 8). */
static enum error assign_epoch(struct partition *partition)
{
    if (partition->epoch_assigned)
        return ERROR_NONE;
    enum error error = ERROR_NONE;
    if (log_epoch_latest(partition->log) < partition->leader_epoch)
        error = log_epoch_assign(partition->log, partition->leader_epoch,
                                 log_end_offset(partition->log));
    if (error == ERROR_NONE)
        partition->epoch_assigned = true;
    return error;
}

/* Writes the batch, or recognises it as a repetition of one of the producer's last five. */
static enum error write_batch(struct partition *partition, struct partition_append *append)
{
    struct log_duplicate duplicate;
    enum error error = ERROR_NONE;
    switch (log_producer_check(partition->log, &append->facts.header, &duplicate, &error)) {
    case LOG_PRODUCER_REFUSE:
        return error;
    case LOG_PRODUCER_DUPLICATE:
        append->base_offset = duplicate.base_offset;
        append->log_append_time_ms =
            partition->topic->config.log_append_time ? duplicate.timestamp : -1;
        append->end_offset = duplicate.base_offset + append->facts.header.last_offset_delta + 1;
        return ERROR_NONE;
    case LOG_PRODUCER_APPEND:
        break;
    }
    error = assign_epoch(partition);
    if (error == ERROR_NONE)
        error = log_append(partition->log, append->batch, append->size, &append->facts,
                           partition->leader_epoch, &append->base_offset);
    if (error != ERROR_NONE) {
        if (error == ERROR_STORAGE) {
            partition->disk_failed = true;
            isr_consider(partition);
        }
        if (error == ERROR_STORAGE || error == ERROR_DISK_FULL)
            partition_report(partition, REPORT_ERROR, "append_refused",
                             "error=\"%s\" lost=nothing do=\"%s\"", error_text(error),
                             error == ERROR_DISK_FULL ? "free space; writing goes on by itself"
                                                      : "see the disk, then restart the node");
        return error;
    }
    append->end_offset = append->base_offset + append->facts.header.last_offset_delta + 1;
    append->log_append_time_ms =
        partition->topic->config.log_append_time ? append->facts.header.max_timestamp : -1;
    return ERROR_NONE;
}

/* True when the answer has to wait for the commit rule. */
static bool must_wait(const struct partition *partition, const struct partition_append *append)
{
    if (append->acks == 0 || append->end_offset <= partition->high_watermark)
        return false;
    if (append->acks == -1)
        return true;
    return partition->topic->config.durability == PARTITION_FSYNC &&
           append->end_offset > log_synced_offset(partition->log);
}

void partition_append(struct partition *partition, struct partition_append *append)
{
    struct executor *executor = partition->table->options.executor;
    list_init(&append->link);
    append->task.run = append_finished;
    append->timer = (struct timer){.fire = append_timed_out};
    append->partition = partition_ref(partition);
    append->log_append_time_ms = -1;

    enum error error = check_state(partition, append);
    append->log_start_offset = partition->log != NULL ? log_start_offset(partition->log) : -1;
    if (error == ERROR_NONE)
        error = write_batch(partition, append);
    if (error != ERROR_NONE) {
        complete(append, error);
        return;
    }
    partition_tell(partition, PARTITION_NEWS_END);
    partition_commit(partition);
    if (!must_wait(partition, append)) {
        complete(append, ERROR_NONE);
        return;
    }
    /* Behind those that end no later: a repeated batch may wait for an older end. */
    struct list *waiting = append->acks == -1 ? &partition->appends : &partition->synced;
    struct list *after = waiting->previous;
    while (after != waiting &&
           container_of(after, struct partition_append, link)->end_offset > append->end_offset)
        after = after->previous;
    list_push(after->next, &append->link);
    if (partition->topic->config.durability == PARTITION_FSYNC)
        partition->table->round_waiting++;
    if (append->timeout_ms >= 0)
        executor_timer_start(executor, &append->timer, append->timeout_ms);
}

void partition_append_cancel(struct partition_append *append)
{
    if (list_empty(&append->link))
        return; /* Completed: its task is on the way. */
    list_remove(&append->link);
    complete(append, ERROR_INTERRUPTED);
}
