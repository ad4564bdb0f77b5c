/* SPDX-License-Identifier: Apache-2.0 */
/* A replica's life once it is there: read, waited on, counted across a deletion, closed. */
#include "partition/replica.h"

#include "base/assertion.h"
#include "base/report.h"

#include <stdarg.h>
#include <stdio.h>

void partition_report(struct partition *partition, int level, const char *event, const char *format,
                      ...)
{
    struct partition_reporter *reporter = partition->table->options.reporter;
    if (reporter == NULL)
        return;
    char detail[400];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(detail, sizeof detail, format, arguments);
    va_end(arguments);
    reporter->report(reporter, level, event, partition->topic->name, partition->index, detail);
}

void partition_close_log(struct partition *partition, bool clean)
{
    if (partition->log == NULL)
        return;
    ASSERT(!partition->syncing);
    (void)partition_note_checkpoint(partition); /* Without memory recovery reads more. */
    log_close(partition->log, clean);
    partition->log = NULL;
    partition->was_clean = clean;
    partition->epoch_assigned = false;
}

enum error partition_log(struct partition *partition, struct log **ret_log)
{
    enum error error = partition_open(partition, NULL);
    if (error == ERROR_NONE)
        *ret_log = partition->log;
    return error;
}

enum error partition_check_leader(const struct partition *partition, int32_t current_leader_epoch)
{
    if (partition->deleted)
        return ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    if (partition->role == PARTITION_OFFLINE)
        return ERROR_STORAGE;
    if (current_leader_epoch >= 0 && current_leader_epoch < partition->leader_epoch)
        return ERROR_FENCED_LEADER_EPOCH;
    if (current_leader_epoch > partition->leader_epoch)
        return ERROR_UNKNOWN_LEADER_EPOCH;
    if (partition->role != PARTITION_LEADER || !partition_table_is_leased(partition->table))
        return ERROR_NOT_LEADER_OR_FOLLOWER;
    return ERROR_NONE;
}

enum error partition_offsets(struct partition *partition, struct partition_offsets *ret_offsets)
{
    enum error error = partition_open(partition, NULL);
    if (error != ERROR_NONE)
        return error;
    *ret_offsets = (struct partition_offsets){
        .log_start_offset = log_start_offset(partition->log),
        .high_watermark = partition->high_watermark,
        .last_stable_offset = partition->high_watermark,
        .log_end_offset = log_end_offset(partition->log),
        .leader_epoch = partition->leader_epoch,
    };
    return ERROR_NONE;
}

enum error partition_is_durable(struct partition *partition, int64_t offset, bool *ret_durable)
{
    enum error error = partition_open(partition, NULL);
    if (error == ERROR_NONE)
        *ret_durable =
            partition->high_watermark >= offset && log_synced_offset(partition->log) >= offset;
    return error;
}

enum error partition_read_local(struct partition *partition, int64_t offset, size_t max_bytes,
                                bool at_least_one, struct log_slice *ret_slice,
                                struct partition_offsets *ret_offsets)
{
    struct partition_offsets offsets;
    enum error error = partition_offsets(partition, &offsets);
    if (error != ERROR_NONE)
        return error;
    if (offset < offsets.log_start_offset || offset > offsets.log_end_offset)
        return ERROR_OFFSET_OUT_OF_RANGE;

    struct log_slice slice = {0};
    if (offset < offsets.high_watermark)
        error = log_read(partition->log, offset, max_bytes, at_least_one, LOG_READ_VISIBLE, &slice);
    if (error != ERROR_NONE)
        return error;
    *ret_slice = slice;
    *ret_offsets = offsets;
    return ERROR_NONE;
}

enum error partition_read(struct partition *partition, int32_t current_leader_epoch, int64_t offset,
                          size_t max_bytes, bool at_least_one, enum partition_isolation isolation,
                          struct log_slice *ret_slice, struct partition_offsets *ret_offsets)
{
    (void)isolation; /* Without open transactions the last stable offset is the high watermark. */
    enum error error = partition_check_leader(partition, current_leader_epoch);
    if (error != ERROR_NONE)
        return error;
    return partition_read_local(partition, offset, max_bytes, at_least_one, ret_slice, ret_offsets);
}

void partition_wait_add(struct partition *partition, struct partition_wait *wait)
{
    ASSERT(!wait->posted);
    list_push(&partition->waits, &wait->link);
}

void partition_wait_remove(struct partition_wait *wait)
{
    list_remove(&wait->link);
    if (wait->posted)
        list_remove(&wait->task.link);
    wait->posted = false;
}

enum error partition_delete_records(struct partition *partition, int64_t offset,
                                    int64_t *ret_low_watermark)
{
    enum error error = partition_check_leader(partition, -1);
    if (error == ERROR_NONE)
        error = partition_open(partition, NULL);
    if (error != ERROR_NONE)
        return error;
    if (offset == -1)
        offset = partition->high_watermark;
    if (offset < 0 || offset > partition->high_watermark)
        return ERROR_OFFSET_OUT_OF_RANGE;
    if (offset > log_start_offset(partition->log))
        error = log_start_advance(partition->log, offset);
    /* Also when the log starts there already: what should have kept that may have failed. */
    if (error == ERROR_NONE)
        error = partition_note_checkpoint(partition);
    if (error == ERROR_NONE)
        error = log_directory_checkpoint(partition->table->options.directory);
    if (error != ERROR_NONE)
        return error;
    partition_tell(partition, PARTITION_NEWS_START);
    *ret_low_watermark = log_start_offset(partition->log);
    return ERROR_NONE;
}

enum partition_role partition_role(const struct partition *partition)
{
    return partition->role;
}

int32_t partition_leader(const struct partition *partition)
{
    return partition->leader;
}

int32_t partition_epoch(const struct partition *partition)
{
    return partition->partition_epoch;
}

int32_t partition_leader_epoch(const struct partition *partition)
{
    return partition->leader_epoch;
}

const char *partition_topic(const struct partition *partition)
{
    return partition->topic->name;
}

int32_t partition_index(const struct partition *partition)
{
    return partition->index;
}

struct uuid partition_topic_id(const struct partition *partition)
{
    return partition->topic->id;
}

const struct partition_config *partition_config(const struct partition *partition)
{
    return &partition->topic->config;
}

bool partition_deleted(const struct partition *partition)
{
    return partition->deleted;
}

struct partition *partition_ref(struct partition *partition)
{
    ASSERT(partition->references > 0);
    partition->references++;
    return partition;
}

void partition_unref(struct partition *partition)
{
    if (partition == NULL)
        return;
    ASSERT(partition->references > 0);
    if (--partition->references == 0)
        partition_free(partition);
}
