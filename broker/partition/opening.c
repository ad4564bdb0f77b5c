/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a replica's log on first use, and what stands in the way: a directory of another topic of
 * that name, a directory that is gone, damage. */
#include "partition/replica.h"

#include "base/assertion.h"
#include "base/report.h"

#include <stdio.h>

void partition_check(const struct partition *partition)
{
    if (partition->log == NULL)
        return;
    ASSERT(log_start_offset(partition->log) <= partition->high_watermark);
    ASSERT(partition->high_watermark <= log_end_offset(partition->log));
}

/* What was committed before is visible at once; the rest of what the log holds counts when the
 * commit rule says so, with durability fsync after a sync (belief 3). */
static void take_up(struct partition *partition)
{
    struct log *log = partition->log;
    int64_t high_watermark = log_directory_high_watermark(partition->table->options.directory,
                                                          partition->topic->name, partition->index);
    if (high_watermark < log_start_offset(log))
        high_watermark = log_start_offset(log);
    if (high_watermark > log_end_offset(log))
        high_watermark = log_end_offset(log);
    partition->high_watermark = high_watermark;
    log_visible_advance(log, high_watermark);

    if (log_tail_cut_bytes(log) > 0)
        partition_report(partition, REPORT_WARNING, "tail_cut",
                         "offset=%lld bytes=%llu lost=\"nothing that was acknowledged, unless the "
                         "disk lost it\" do=\"nothing, after a crash or a power cut\"",
                         (long long)log_end_offset(log),
                         (unsigned long long)log_tail_cut_bytes(log));
    struct log_damage damage = log_damage(log);
    if (damage.offset >= 0)
        partition_report(partition, REPORT_ERROR, "log_damaged",
                         "offset=%lld segment=%lld position=%llu lost=\"records from this offset "
                         "on are not served\" do=\"restore the partition from a copy\"",
                         (long long)damage.offset, (long long)damage.segment_base_offset,
                         (unsigned long long)damage.position);
}

enum error directory_set_aside(struct partition_table *table, const char *directory,
                               char ret_path[LOG_DIRECTORY_NAME_BYTES + 80])
{
    const struct partition_table_options *options = &table->options;
    struct uuid unique = uuid_random(options->executor);
    char unique_text[UUID_TEXT_BYTES];
    uuid_to_text(&unique, unique_text);
    (void)snprintf(ret_path, LOG_DIRECTORY_NAME_BYTES + 80, "%.200s.%s-stray", directory,
                   unique_text);
    return storage_rename(options->storage, directory, ret_path);
}

/* A deletion that a crash cut short, or a foreign directory: kept under another name, never mixed
 * (invariant 18). */
static enum error set_aside(struct partition *partition, const char *directory)
{
    char path[LOG_DIRECTORY_NAME_BYTES + 80];
    enum error error = directory_set_aside(partition->table, directory, path);
    if (error == ERROR_NONE)
        partition_report(
            partition, REPORT_WARNING, "stray_directory",
            "directory=%s renamed=%s reason=\"it belongs to another topic of this name, or a crash "
            "left it before it was synced\" "
            "lost=nothing do=\"remove it when nobody misses it\"",
            directory, path);
    return error;
}

/* A partition of this name that is gone may have left offsets behind: of a deletion that a crash
 * cut short, or whose checkpoint failed. */
static enum error forget_predecessor(struct partition *partition, struct failure *failure)
{
    struct log_directory *directory = partition->table->options.directory;
    bool is_new =
        log_directory_recovery_point(directory, partition->topic->name, partition->index) < 0;
    if (!is_new || !log_directory_owes(directory))
        return ERROR_NONE;
    enum error error = log_directory_checkpoint(directory);
    return error == ERROR_NONE ? ERROR_NONE : failure_at(failure, error, "write the checkpoints");
}

static enum error open_log(struct partition *partition, const char *directory,
                           struct failure *failure)
{
    const struct partition_table_options *options = &partition->table->options;
    const char *topic = partition->topic->name;
    int64_t recovery_point =
        log_directory_recovery_point(options->directory, topic, partition->index);
    struct log_open_options open = {
        .storage = options->storage,
        .executor = options->executor,
        .directory = directory,
        .config = partition->topic->config.log,
        .topic_id = partition->topic->id,
        .create = recovery_point <= 0, /* One that held records must be there. */
        .clean = partition->was_clean,
        .recovery_point = recovery_point,
        .leader_epoch = partition->leader_epoch,
        .log_start_offset = log_directory_start_offset(options->directory, topic, partition->index),
    };
    enum error error = log_open(&open, &partition->log, failure);
    if (error != ERROR_INCONSISTENT_TOPIC_ID)
        return error;
    *failure = (struct failure){0};
    open.create = true;
    open.clean = false;
    open.recovery_point = -1;
    open.log_start_offset = -1;
    /* Before the directory moves: offsets without it are those of a log that was lost. */
    log_directory_forget(options->directory, topic, partition->index);
    error = forget_predecessor(partition, failure);
    if (error == ERROR_NONE)
        error = set_aside(partition, directory);
    return error == ERROR_NONE ? log_open(&open, &partition->log, failure) : error;
}

static enum error go_offline(struct partition *partition, enum error error,
                             const struct failure *reason, const char *directory)
{
    partition->disk_failed = true;
    isr_consider(partition); /* While it is still known who is in sync. */
    partition->role = PARTITION_OFFLINE;
    partition->open_error = ERROR_STORAGE;
    partition_report(partition, REPORT_ERROR, "partition_offline",
                     "reason=\"%s\" lost=\"%s\" do=\"restore the directory %s, then restart; or "
                     "delete the topic\"",
                     reason->where,
                     error == ERROR_NOT_FOUND ? "the records, unless there is a copy"
                                              : "nothing was deleted",
                     directory);
    return partition->open_error;
}

bool partition_is_open(struct partition *partition)
{
    return partition->log != NULL || partition->nothing_stored ||
           partition->role == PARTITION_OFFLINE || partition->deleted;
}

bool partition_has_log(struct partition *partition)
{
    const struct partition_table_options *options = &partition->table->options;
    const char *topic = partition->topic->name;
    if (partition->log != NULL || partition->role == PARTITION_OFFLINE || partition->deleted)
        return true;
    if (partition->nothing_stored)
        return false;
    if (log_directory_recovery_point(options->directory, topic, partition->index) > 0)
        return true;
    char directory[LOG_DIRECTORY_NAME_BYTES];
    log_directory_name(topic, partition->index, directory);
    char path[LOG_DIRECTORY_NAME_BYTES + 32];
    (void)snprintf(path, sizeof path, "%s/partition.metadata", directory);
    struct storage_file *file;
    enum error error = storage_open(options->storage, path, STORAGE_READ, &file);
    if (error == ERROR_NONE)
        storage_close(file);
    partition->nothing_stored = error == ERROR_NOT_FOUND;
    return !partition->nothing_stored;
}

enum error partition_open(struct partition *partition, struct failure *failure)
{
    if (partition->log != NULL)
        return ERROR_NONE;
    if (partition->deleted)
        return ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    if (partition->role == PARTITION_OFFLINE)
        return failure_at(failure, partition->open_error, "open %s-%d", partition->topic->name,
                          (int)partition->index);

    char directory[LOG_DIRECTORY_NAME_BYTES];
    log_directory_name(partition->topic->name, partition->index, directory);
    struct failure reason = {0};
    enum error error = forget_predecessor(partition, &reason);
    bool transient = error != ERROR_NONE;
    if (error == ERROR_NONE) {
        error = open_log(partition, directory, &reason);
        transient = error == ERROR_OUT_OF_MEMORY || error == ERROR_DISK_FULL;
    }
    if (error != ERROR_NONE && !transient)
        error = go_offline(partition, error, &reason, directory);
    if (error != ERROR_NONE) {
        if (failure != NULL)
            *failure = reason;
        return error; /* A transient one is tried again on the next use. */
    }
    partition->was_clean = false;
    partition->nothing_stored = false;
    take_up(partition);
    if (partition->role == PARTITION_LEADER && partition->epoch_start < 0)
        followers_epoch_begun(partition);
    partition_commit(partition);
    partition_sync_vote(partition); /* Of a follower, too: nothing more may come for long. */
    partition_check(partition);
    return ERROR_NONE;
}
