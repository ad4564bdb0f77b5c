/* SPDX-License-Identifier: Apache-2.0 */
/* A follower's log made a prefix of its leader's: by epochs, never by the high watermark (KIP-101,
 * KIP-279), or begun anew where the leader's begins. */
#include "partition/replica.h"

#include "base/assertion.h"
#include "base/report.h"

static void truncation_finished(struct task *task)
{
    struct partition_truncation *truncation = container_of(task, struct partition_truncation, task);
    struct partition *partition = truncation->partition;
    truncation->done(truncation); /* Which may free it. */
    partition_unref(partition);
}

static void truncation_end(struct partition_truncation *truncation, enum error error)
{
    struct partition *partition = truncation->partition;
    truncation->error = error;
    executor_post(partition->table->options.executor, &truncation->task);
}

static enum error truncation_begin(struct partition *partition, int32_t leader_epoch,
                                   struct partition_truncation *truncation)
{
    list_init(&truncation->task.link);
    truncation->task.run = truncation_finished;
    truncation->partition = partition_ref(partition);
    enum error error = replica_follows(partition, leader_epoch);
    return error == ERROR_NONE ? partition_open(partition, NULL) : error;
}

/* Kafka: AbstractFetcherThread.getOffsetTruncationState. */
static int64_t truncation_offset(const struct partition *partition,
                                 struct partition_divergence divergence)
{
    int64_t offset = log_end_offset(partition->log);
    int32_t own_epoch;
    int64_t own_end;
    log_epoch_end(partition->log, divergence.epoch, &own_epoch, &own_end);
    if (own_epoch >= 0 && own_end < offset)
        offset = own_end;
    /* An epoch the leader knows and we do not: what is left is asked about again. */
    bool common = own_epoch < 0 || own_epoch == divergence.epoch;
    if (common && divergence.end_offset < offset)
        offset = divergence.end_offset;
    return offset;
}

/* The next open would take what is cut now for damage. */
enum error truncation_expect(struct partition *partition, int64_t offset)
{
    struct log_directory *directory = partition->table->options.directory;
    const char *topic = partition->topic->name;
    if (log_directory_recovery_point(directory, topic, partition->index) <= offset &&
        !partition->checkpoint_owed)
        return ERROR_NONE;
    enum error error = log_directory_set(directory, topic, partition->index, offset, -1, -1);
    if (error != ERROR_NONE)
        return error;
    partition->checkpoint_owed = true;
    error = log_directory_checkpoint(directory);
    if (error == ERROR_NONE)
        partition->checkpoint_owed = false;
    return error;
}

static void report_loss(struct partition *partition, int64_t offset, const char *why)
{
    partition_report(partition, REPORT_WARNING, "committed_records_given_up",
                     "from=%lld high_watermark=%lld leader=%d leader_epoch=%d reason=\"%s\" "
                     "lost=\"records from that offset on, which the leader does not have\" "
                     "do=\"nothing, after an unclean election; otherwise see the leader's disk\"",
                     (long long)offset, (long long)partition->high_watermark,
                     (int)partition->leader, (int)partition->leader_epoch, why);
}

static enum error cut(struct partition *partition, int64_t offset)
{
    enum error error = truncation_expect(partition, log_truncates_to(partition->log, offset));
    if (error != ERROR_NONE)
        return error;
    if (offset < partition->high_watermark)
        report_loss(partition, offset, "the leader's log parts from ours there");
    int64_t before = log_end_offset(partition->log);
    error = log_truncate(partition->log, offset);
    int64_t end = log_end_offset(partition->log);
    if (end < partition->high_watermark)
        partition->high_watermark = end;
    partition_report(partition, REPORT_INFO, "truncated", "offset=%lld end=%lld leader_epoch=%d",
                     (long long)end, (long long)before, (int)partition->leader_epoch);
    partition_wake_waits(partition);
    return error;
}

void partition_truncate_replica(struct partition *partition, int32_t leader_epoch,
                                struct partition_divergence divergence,
                                struct partition_truncation *truncation)
{
    enum error error = truncation_begin(partition, leader_epoch, truncation);
    int64_t offset = -1;
    if (error == ERROR_NONE) {
        offset = truncation_offset(partition, divergence);
        bool shorter = offset < log_end_offset(partition->log) ||
                       log_epoch_latest(partition->log) > divergence.epoch;
        /* An answer that changes nothing would come again and again. */
        if (divergence.epoch < 0 || divergence.end_offset < 0 || !shorter)
            error = ERROR_CORRUPT_MESSAGE;
    }
    if (error == ERROR_NONE)
        error = cut(partition, offset);
    partition_check(partition);
    truncation_end(truncation, error);
}

void partition_reset_replica(struct partition *partition, int32_t leader_epoch, int64_t offset,
                             struct partition_truncation *truncation)
{
    ASSERT(offset >= 0);
    enum error error = truncation_begin(partition, leader_epoch, truncation);
    if (error == ERROR_NONE)
        error = truncation_expect(partition, 0);
    if (error == ERROR_NONE) {
        if (offset < partition->high_watermark)
            report_loss(partition, offset, "the leader's log ends there");
        partition_report(partition, REPORT_INFO, "begun_anew",
                         "offset=%lld before=%lld reason=\"the leader's log begins there\"",
                         (long long)offset, (long long)log_end_offset(partition->log));
        error = log_reset(partition->log, offset);
        partition->high_watermark = log_visible_offset(partition->log);
        partition_wake_waits(partition);
    }
    partition_check(partition);
    truncation_end(truncation, error);
}
