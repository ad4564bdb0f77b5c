/* SPDX-License-Identifier: Apache-2.0 */
/* What passes between replicas: the leader's log read up to its end, and on the other side batches
 * taken over as they are, after they proved sound. */
#include "partition/replica.h"

#include "base/assertion.h"
#include "base/report.h"

/* ---- epochs ---- */

/* The epoch a leader is about to write begins at its log end, though the log does not know yet. */
static void leader_epoch_end(const struct partition *partition, int32_t epoch, int32_t *ret_epoch,
                             int64_t *ret_end_offset)
{
    int64_t end = partition->log == NULL ? 0 : log_end_offset(partition->log);
    int32_t latest = partition->log == NULL ? -1 : log_epoch_latest(partition->log);
    if (epoch > partition->leader_epoch) {
        *ret_epoch = -1;
        *ret_end_offset = -1;
    } else if (epoch == partition->leader_epoch) {
        *ret_epoch = epoch;
        *ret_end_offset = end;
    } else if (epoch >=
               latest) { /* Without any known epoch: the asked one (Kafka: endOffsetFor). */
        *ret_epoch = latest >= 0 ? latest : epoch;
        *ret_end_offset = end;
    } else {
        log_epoch_end(partition->log, epoch, ret_epoch, ret_end_offset);
    }
}

static void epoch_end(const struct partition *partition, int32_t epoch, int32_t *ret_epoch,
                      int64_t *ret_end_offset)
{
    *ret_epoch = -1;
    *ret_end_offset = -1;
    if (epoch < 0)
        return;
    int32_t latest = partition->log == NULL ? -1 : log_epoch_latest(partition->log);
    if (partition->role == PARTITION_LEADER && latest < partition->leader_epoch)
        leader_epoch_end(partition, epoch, ret_epoch, ret_end_offset);
    else if (partition->log != NULL)
        log_epoch_end(partition->log, epoch, ret_epoch, ret_end_offset);
}

enum error partition_epoch_end(struct partition *partition, int32_t epoch, int32_t *ret_epoch,
                               int64_t *ret_end_offset)
{
    enum error error = partition_has_log(partition) ? partition_open(partition, NULL) : ERROR_NONE;
    if (error == ERROR_NONE)
        epoch_end(partition, epoch, ret_epoch, ret_end_offset);
    return error;
}

/* ---- the leader's side ---- */

static enum error check_replica_leader(const struct partition *partition, int32_t leader_epoch)
{
    if (partition->deleted)
        return ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    if (leader_epoch < partition->leader_epoch)
        return ERROR_FENCED_LEADER_EPOCH;
    if (leader_epoch > partition->leader_epoch)
        return ERROR_UNKNOWN_LEADER_EPOCH;
    if (partition->role == PARTITION_OFFLINE)
        return ERROR_STORAGE;
    return partition->role == PARTITION_LEADER ? ERROR_NONE : ERROR_NOT_LEADER_OR_FOLLOWER;
}

static enum error offsets_without_making(struct partition *partition,
                                         struct partition_offsets *ret_offsets)
{
    if (partition_has_log(partition))
        return partition_offsets(partition, ret_offsets);
    *ret_offsets = (struct partition_offsets){.leader_epoch = partition->leader_epoch};
    return ERROR_NONE;
}

enum error partition_check_replica(struct partition *partition, int32_t leader_epoch,
                                   int32_t last_fetched_epoch, int64_t offset,
                                   struct partition_offsets *ret_offsets,
                                   struct partition_divergence *ret_divergence)
{
    struct partition_offsets offsets;
    enum error error = check_replica_leader(partition, leader_epoch);
    if (error == ERROR_NONE)
        error = offsets_without_making(partition, &offsets);
    if (error != ERROR_NONE)
        return error;
    *ret_offsets = offsets;
    if (offset < offsets.log_start_offset)
        return ERROR_OFFSET_OUT_OF_RANGE;
    struct partition_divergence divergence = {.epoch = -1, .end_offset = -1};
    if (last_fetched_epoch >= 0) {
        epoch_end(partition, last_fetched_epoch, &divergence.epoch, &divergence.end_offset);
        if (divergence.epoch < 0)
            return ERROR_OFFSET_OUT_OF_RANGE;
        if (divergence.epoch == last_fetched_epoch && divergence.end_offset >= offset)
            divergence = (struct partition_divergence){.epoch = -1, .end_offset = -1};
    }
    if (divergence.epoch < 0 && offset > offsets.log_end_offset)
        return ERROR_OFFSET_OUT_OF_RANGE;
    *ret_divergence = divergence;
    return ERROR_NONE;
}

enum error partition_read_replica(struct partition *partition, int32_t leader_epoch,
                                  int32_t last_fetched_epoch, int64_t offset, size_t max_bytes,
                                  bool at_least_one, struct log_slice *ret_slice,
                                  struct partition_offsets *ret_offsets,
                                  struct partition_divergence *ret_divergence)
{
    struct partition_divergence divergence;
    enum error error = partition_check_replica(partition, leader_epoch, last_fetched_epoch, offset,
                                               ret_offsets, &divergence);
    struct log_slice slice = {0};
    if (error == ERROR_NONE && divergence.epoch < 0 && offset < ret_offsets->log_end_offset)
        error = log_read(partition->log, offset, max_bytes, at_least_one, LOG_READ_END, &slice);
    if (error != ERROR_NONE)
        return error;
    *ret_slice = slice;
    *ret_divergence = divergence;
    return ERROR_NONE;
}

/* ---- the follower's side: checking ---- */

static enum error facts_reserve(struct partition_batches *batches, uint32_t *capacity)
{
    if (batches->count < *capacity)
        return ERROR_NONE;
    uint32_t wanted = *capacity == 0 ? 8 : 2 * *capacity;
    struct batch_facts *facts = memory_resize(batches->facts, wanted * sizeof *facts);
    if (facts == NULL)
        return ERROR_OUT_OF_MEMORY;
    batches->facts = facts;
    *capacity = wanted;
    return ERROR_NONE;
}

static bool in_order(const struct batch_header *header, const struct batch_header *before)
{
    if (header->base_offset < 0 || header->last_offset_delta < 0 ||
        header->base_offset > INT64_MAX - INT32_MAX - 1)
        return false;
    return before == NULL || (header->base_offset > batch_last_offset(before) &&
                              header->leader_epoch >= before->leader_epoch);
}

enum error partition_batches_check(const uint8_t *bytes, size_t size, struct codec_context *context,
                                   struct partition_batches *ret_batches)
{
    struct partition_batches batches = {0};
    uint32_t capacity = 0;
    enum error error = ERROR_NONE;
    while (size - batches.size >= BATCH_HEADER_BYTES) {
        struct batch_header header;
        error = batch_header_peek(bytes + batches.size, size - batches.size, &header);
        if (error != ERROR_NONE || header.size > size - batches.size)
            break; /* The latter: torn at the end of what was asked for. */
        error = facts_reserve(&batches, &capacity);
        if (error != ERROR_NONE)
            break;
        struct batch_facts *facts = batches.facts + batches.count;
        error = batch_validate_log(bytes + batches.size, header.size, CODEC_DECOMPRESSED_BYTES_MAX,
                                   context, facts);
        if (error == ERROR_NONE &&
            !in_order(&facts->header, batches.count == 0 ? NULL : &facts[-1].header))
            error = ERROR_CORRUPT_MESSAGE;
        if (error != ERROR_NONE)
            break;
        batches.count++;
        batches.size += header.size;
    }
    if (error != ERROR_NONE) {
        partition_batches_done(&batches);
        return error;
    }
    *ret_batches = batches;
    return ERROR_NONE;
}

void partition_batches_done(struct partition_batches *batches)
{
    memory_free(batches->facts);
    *batches = (struct partition_batches){0};
}

/* ---- the follower's side: taking over ---- */

enum error replica_follows(const struct partition *partition, int32_t leader_epoch)
{
    if (partition->deleted)
        return ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    if (partition->role == PARTITION_OFFLINE || partition->sync_failed)
        return ERROR_STORAGE;
    if (partition->table->closing)
        return ERROR_CLOSING;
    if (partition->role != PARTITION_FOLLOWER || partition->leader_epoch != leader_epoch)
        return ERROR_FENCED_LEADER_EPOCH;
    return ERROR_NONE;
}

/* A log that begins where the leader's does may begin inside the leader's first batch: records
 * below were deleted (Kafka: Partition.appendRecordsToFollowerOrFutureReplica). The log start comes
 * back with the high watermark of the same answer. */
static enum error start_inside(struct partition *partition, const struct batch_header *first)
{
    struct log *log = partition->log;
    int64_t end = log_end_offset(log);
    if (log_start_offset(log) != end || first->base_offset >= end || batch_last_offset(first) < end)
        return ERROR_NONE;
    enum error error = truncation_expect(partition, first->base_offset);
    if (error == ERROR_NONE)
        error = log_reset(log, first->base_offset);
    partition->high_watermark = log_visible_offset(log);
    return error;
}

enum error partition_append_replica(struct partition *partition, int32_t leader_epoch,
                                    const struct partition_batches *batches)
{
    enum error error = replica_follows(partition, leader_epoch);
    if (error != ERROR_NONE || batches->count == 0)
        return error;
    error = partition_open(partition, NULL);
    if (error == ERROR_NONE)
        error = start_inside(partition, &batches->facts[0].header);
    /* Invariant 2: nobody else could have written a later epoch's by now. */
    uint32_t count = 0;
    while (count < batches->count && batches->facts[count].header.leader_epoch <= leader_epoch)
        count++;
    if (error == ERROR_NONE)
        error = log_append_replica(partition->log, batches->facts, count);
    if (error == ERROR_NONE && count < batches->count)
        error = ERROR_CORRUPT_MESSAGE;
    partition_sync_vote(partition);
    partition_check(partition);
    return error;
}

enum error partition_replica_high_watermark(struct partition *partition, int32_t leader_epoch,
                                            int64_t high_watermark, int64_t start_offset)
{
    enum error error = replica_follows(partition, leader_epoch);
    if (error != ERROR_NONE || partition->log == NULL)
        return error;
    int64_t end = log_end_offset(partition->log);
    if (high_watermark > end)
        high_watermark = end;
    bool moved = high_watermark > partition->high_watermark;
    if (moved) {
        partition->high_watermark = high_watermark;
        log_visible_advance(partition->log, high_watermark);
    }
    if (start_offset > partition->high_watermark)
        start_offset = partition->high_watermark;
    if (start_offset > log_start_offset(partition->log)) {
        error = log_start_advance(partition->log, start_offset);
        partition_tell(partition, PARTITION_NEWS_START);
    }
    if (moved)
        partition_wake_waits(partition);
    partition_check(partition);
    return error;
}

enum error partition_position(struct partition *partition, struct partition_position *ret_position)
{
    if (partition->sync_failed)
        return ERROR_STORAGE; /* No vote of it counts any more. */
    if (!partition_has_log(partition)) {
        *ret_position = (struct partition_position){.last_epoch = -1};
        return ERROR_NONE;
    }
    enum error error = partition_open(partition, NULL);
    if (error != ERROR_NONE)
        return error;
    struct log *log = partition->log;
    *ret_position = (struct partition_position){
        .end_offset = log_end_offset(log),
        .synced_offset = log_synced_offset(log),
        .log_start_offset = log_start_offset(log),
        .high_watermark = partition->high_watermark,
        .last_epoch = log_epoch_latest(log),
    };
    return ERROR_NONE;
}
