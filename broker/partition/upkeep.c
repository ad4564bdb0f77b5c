/* SPDX-License-Identifier: Apache-2.0 */
/* What has to be done now and then: retention, checkpoints, background syncs, forgotten producers.
 */
#include "partition/replica.h"

#include "base/report.h"

enum error partition_note_checkpoint(struct partition *partition)
{
    struct log *log = partition->log;
    if (log == NULL || partition->deleted)
        return ERROR_NONE;
    int64_t synced = log_recovery_point(log);
    return log_directory_set(partition->table->options.directory, partition->topic->name,
                             partition->index, synced, log_start_offset(log),
                             partition->high_watermark);
}

static bool has_retention(const struct partition_config *config)
{
    return config->log.delete_enabled &&
           (config->log.retention_ms >= 0 || config->log.retention_bytes >= 0);
}

static void retain_one(void *context, struct partition *partition)
{
    struct executor *executor = context;
    if (partition->log == NULL && !has_retention(&partition->topic->config))
        return; /* Idle since the start: nothing to delete, nothing to open it for. */
    if (partition_open(partition, NULL) != ERROR_NONE || partition->sync_failed)
        return;
    int64_t now_ms = executor_wall_clock_ms(executor);
    log_producer_expire(partition->log, now_ms);
    log_remove_deleted(partition->log, executor_monotonic_ms(executor));
    uint32_t deleted = 0;
    enum error error = log_retention(partition->log, now_ms, &deleted);
    if (error != ERROR_NONE)
        partition_report(partition, REPORT_ERROR, "retention_failed",
                         "error=\"%s\" lost=nothing do=\"see the disk\"", error_text(error));
    else if (deleted > 0)
        partition_report(partition, REPORT_INFO, "retention", "segments=%u log_start_offset=%lld",
                         deleted, (long long)log_start_offset(partition->log));
    if (deleted > 0)
        partition_tell(partition, PARTITION_NEWS_START);
}

static void retention_due(struct timer *timer)
{
    struct partition_table *table = container_of(timer, struct partition_table, retention_timer);
    partition_table_each(table, retain_one, table->options.executor);
    executor_timer_start(table->options.executor, timer,
                         table->options.retention_check_interval_ms);
}

/* With durability `replicated` nothing else syncs: this bounds what a recovery has to read. */
static void checkpoint_one(void *context, struct partition *partition)
{
    (void)context;
    if (partition->log == NULL)
        return;
    (void)partition_sync(partition);
    (void)partition_note_checkpoint(partition); /* Without memory: next time. */
}

static void checkpoint_due(struct timer *timer)
{
    struct partition_table *table = container_of(timer, struct partition_table, checkpoint_timer);
    partition_table_each(table, checkpoint_one, NULL);
    /* A failed write is tried again next time; recovery then reads a little more. */
    (void)log_directory_checkpoint(table->options.directory);
    executor_timer_start(table->options.executor, timer, table->options.checkpoint_interval_ms);
}

void upkeep_start(struct partition_table *table)
{
    struct executor *executor = table->options.executor;
    table->retention_timer.fire = retention_due;
    table->checkpoint_timer.fire = checkpoint_due;
    executor_timer_start(executor, &table->retention_timer,
                         table->options.retention_check_interval_ms);
    executor_timer_start(executor, &table->checkpoint_timer, table->options.checkpoint_interval_ms);
}

void upkeep_stop(struct partition_table *table)
{
    executor_timer_stop(table->options.executor, &table->retention_timer);
    executor_timer_stop(table->options.executor, &table->checkpoint_timer);
}
