/* SPDX-License-Identifier: Apache-2.0 */
/* The leader's side: what the other replicas have, and how far their votes let the high watermark
 * go.
 *
 *   REPLICA_FETCH --> progress --> vote --> min over the maximal ISR --> high watermark
 *                         '--> caught up? --> isr.c: join or leave the ISR
 *
 * A member of the ISR lags when it has not had all there was for replica.lag.time.max.ms: a mark is
 * set at our end now and then, and the member had caught up when the mark was set once its vote
 * reaches it (Kafka compares with the end at the previous fetch; votes here also come between
 * fetches, when a sync ends). */
#include "partition/replica.h"

#include "base/assertion.h"

int64_t partition_own_vote(const struct partition *partition)
{
    if (partition->topic->config.durability == PARTITION_FSYNC)
        return log_synced_offset(partition->log);
    return log_end_offset(partition->log);
}

static int64_t own_end(const struct partition *partition)
{
    return partition->log == NULL ? 0 : log_end_offset(partition->log);
}

static int64_t vote_of(const struct partition *partition, const struct follower *follower)
{
    if (partition->topic->config.durability == PARTITION_FSYNC)
        return follower->synced_offset;
    return follower->end_offset;
}

static bool is_self(const struct partition *partition, const struct follower *follower)
{
    return follower->node_id == partition->table->options.node_id;
}

uint32_t partition_isr_size(const struct partition *partition)
{
    return partition->followers == NULL ? 1 : partition->followers->isr_count;
}

/* Kafka: Partition.effectiveMinIsr. */
uint32_t partition_min_insync(const struct partition *partition)
{
    int32_t wanted = partition->topic->config.min_insync_replicas;
    uint32_t most = partition->followers == NULL ? 1 : partition->followers->count;
    if (wanted < 1)
        return 1;
    return (uint32_t)wanted < most ? (uint32_t)wanted : most;
}

bool follower_caught_up(const struct partition *partition, const struct follower *follower,
                        int64_t now_ms)
{
    if (follower->end_offset < 0)
        return false;
    if (vote_of(partition, follower) >= own_end(partition))
        return true;
    return follower->caught_up_ms != CAUGHT_UP_NEVER &&
           now_ms - follower->caught_up_ms <= partition->table->options.replica_lag_time_max_ms;
}

bool follower_may_join(const struct partition *partition, const struct follower *follower)
{
    struct partition_quorum *quorum = partition->table->options.quorum;
    return quorum != NULL && follower->node_epoch >= 0 &&
           quorum->node_epoch(quorum, follower->node_id) == follower->node_epoch &&
           quorum->may_join_isr(quorum, follower->node_id);
}

bool follower_in_sync(const struct partition *partition, const struct follower *follower)
{
    int64_t vote = vote_of(partition, follower);
    return partition->epoch_start >= 0 && vote >= partition->epoch_start &&
           vote >= partition->high_watermark;
}

int64_t partition_votes(const struct partition *partition)
{
    int64_t lowest = partition_own_vote(partition);
    const struct followers *followers = partition->followers;
    if (!partition_table_is_leased(partition->table))
        return -1;
    if (followers == NULL)
        return lowest;
    /* Belief 6: a smaller ISR may have lost what it says it has. */
    if (followers->isr_count < partition_min_insync(partition))
        return -1;
    int64_t now_ms = 0;
    for (uint32_t i = 0; i < followers->count; i++) {
        const struct follower *follower = &followers->each[i];
        int64_t vote = vote_of(partition, follower);
        if (vote >= lowest || is_self(partition, follower))
            continue;
        bool counts = follower->in_isr || follower->joining;
        if (!counts) {
            /* One that keeps up and is about to join is waited for, else it would never reach a
             * high watermark that runs ahead of it (Kafka: maybeIncrementLeaderHW). */
            if (now_ms == 0)
                now_ms = executor_monotonic_ms(partition->table->options.executor);
            counts = vote >= 0 && follower_caught_up(partition, follower, now_ms) &&
                     follower_may_join(partition, follower);
        }
        if (counts)
            lowest = vote;
    }
    return lowest;
}

/* ---- what an assignment says ---- */

static void follower_forget(struct follower *follower, int64_t end_offset, int64_t now_ms)
{
    follower->node_epoch = -1;
    follower->end_offset = -1;
    follower->synced_offset = -1;
    follower->log_start_offset = -1;
    follower->caught_up_ms = follower->in_isr ? now_ms : CAUGHT_UP_NEVER;
    follower->mark_offset = end_offset;
    follower->mark_ms = now_ms;
}

static bool holds(const int32_t *nodes, uint32_t count, int32_t node_id)
{
    for (uint32_t i = 0; i < count; i++) {
        if (nodes[i] == node_id)
            return true;
    }
    return false;
}

static struct follower *follower_find(struct followers *followers, int32_t node_id)
{
    for (uint32_t i = 0; followers != NULL && i < followers->count; i++) {
        if (followers->each[i].node_id == node_id)
            return &followers->each[i];
    }
    return NULL;
}

static void follower_take(struct partition *partition, struct follower *follower,
                          struct followers *known, const struct partition_assignment *assignment,
                          int32_t node_id)
{
    struct partition_quorum *quorum = partition->table->options.quorum;
    int64_t now_ms = executor_monotonic_ms(partition->table->options.executor);
    const struct follower *before = follower_find(known, node_id);
    bool in_isr = holds(assignment->isr, assignment->isr_count, node_id);
    if (before != NULL)
        *follower = *before;
    follower->node_id = node_id;
    follower->in_isr = in_isr;
    /* What was proposed for an older partition epoch cannot be applied any more; for this one, of
     * which one is told again when another partition of the topic changes, it still can. */
    follower->joining = before != NULL && before->joining && !in_isr &&
                        assignment->partition_epoch == partition->partition_epoch;
    if (before == NULL)
        follower_forget(follower, own_end(partition), now_ms);
    /* What an earlier life of the node had need not be there in this one. A life that this node
     * has not applied the registration of yet is not told about again. */
    else if (follower->node_epoch >= 0 && quorum != NULL &&
             quorum->node_epoch(quorum, node_id) > follower->node_epoch)
        follower_forget(follower, own_end(partition), now_ms);
}

enum error followers_assign(struct partition *partition,
                            const struct partition_assignment *assignment, bool same_epoch)
{
    struct followers *known = partition->followers;
    struct followers *taken = NULL;
    if (assignment->replica_count > 1) {
        taken = memory_allocate(sizeof *taken + assignment->replica_count * sizeof *taken->each);
        if (taken == NULL)
            return ERROR_OUT_OF_MEMORY;
        taken->count = assignment->replica_count;
        taken->isr_count = assignment->isr_count;
        for (uint32_t i = 0; i < taken->count; i++)
            follower_take(partition, &taken->each[i], same_epoch ? known : NULL, assignment,
                          assignment->replicas[i]);
    }
    partition->followers = taken;
    if (!same_epoch || assignment->partition_epoch != partition->partition_epoch)
        partition->isr_uncertain = false;
    memory_free(known);
    return ERROR_NONE;
}

void followers_epoch_begun(struct partition *partition)
{
    ASSERT(partition->role == PARTITION_LEADER);
    ASSERT(partition->epoch_start < 0);
    partition->epoch_start = own_end(partition);
    struct followers *followers = partition->followers;
    for (uint32_t i = 0; followers != NULL && i < followers->count; i++)
        followers->each[i].mark_offset = partition->epoch_start;
}

int64_t partition_epoch_start(struct partition *partition)
{
    if (partition->role != PARTITION_LEADER)
        return -1;
    if (partition->epoch_start < 0 && !partition_has_log(partition))
        followers_epoch_begun(partition);
    else if (partition->epoch_start < 0)
        (void)partition_open(partition, NULL); /* Which begins it. */
    return partition->epoch_start;
}

/* ---- what followers report ---- */

static void follower_mark(const struct partition *partition, struct follower *follower, bool first)
{
    int64_t now_ms = executor_monotonic_ms(partition->table->options.executor);
    int64_t vote = vote_of(partition, follower);
    int64_t end = own_end(partition);
    if (first && !follower->in_isr) { /* What it had before nobody knows. */
        follower->mark_offset = end;
        follower->mark_ms = now_ms;
    } else if (vote >= follower->mark_offset) {
        if (follower->mark_ms > follower->caught_up_ms)
            follower->caught_up_ms = follower->mark_ms;
        follower->mark_offset = end;
        follower->mark_ms = now_ms;
    }
    if (vote >= end)
        follower->caught_up_ms = now_ms;
}

bool partition_has_follower(const struct partition *partition, int32_t node_id)
{
    return partition->role == PARTITION_LEADER && node_id != partition->table->options.node_id &&
           follower_find(partition->followers, node_id) != NULL;
}

bool partition_in_isr(const struct partition *partition, int32_t node_id)
{
    const struct follower *follower =
        partition->role == PARTITION_LEADER ? follower_find(partition->followers, node_id) : NULL;
    return follower != NULL && follower->in_isr;
}

void partition_replica_progress(struct partition *partition, int32_t node_id, int64_t node_epoch,
                                int64_t end_offset, int64_t synced_offset, int64_t log_start_offset)
{
    struct follower *follower = follower_find(partition->followers, node_id);
    if (partition->role != PARTITION_LEADER || follower == NULL || is_self(partition, follower) ||
        partition_epoch_start(partition) < 0)
        return;
    ASSERT(end_offset >= 0);
    ASSERT(synced_offset <= end_offset);
    ASSERT(end_offset <= own_end(partition));
    if (follower->node_epoch != node_epoch && follower->node_epoch >= 0)
        follower_forget(follower, own_end(partition),
                        executor_monotonic_ms(partition->table->options.executor));
    bool first = follower->end_offset < 0;
    bool start_moved = log_start_offset != follower->log_start_offset;
    follower->node_epoch = node_epoch;
    follower->end_offset = end_offset;
    follower->synced_offset = synced_offset;
    follower->log_start_offset = log_start_offset;
    follower_mark(partition, follower, first);
    partition_commit(partition);
    if (!follower->in_isr || end_offset < partition->high_watermark)
        isr_consider(partition);
    if (start_moved && !first)
        partition_wake_waits(partition); /* A deletion of records waits for every replica. */
}

void partition_replica_each(struct partition *partition,
                            void (*each)(void *context, const struct partition_replica_view *),
                            void *context)
{
    if (partition->role != PARTITION_LEADER)
        return;
    int64_t now_ms = executor_monotonic_ms(partition->table->options.executor);
    int64_t end = own_end(partition);
    struct partition_replica_view own = {
        .node_id = partition->table->options.node_id,
        .in_isr = true,
        .end_offset = end,
        .log_start_offset = partition->log == NULL ? 0 : log_start_offset(partition->log),
        .caught_up_ms = now_ms,
    };
    if (partition->followers == NULL)
        each(context, &own);
    for (uint32_t i = 0; partition->followers != NULL && i < partition->followers->count; i++) {
        const struct follower *follower = &partition->followers->each[i];
        struct partition_replica_view view = {
            .node_id = follower->node_id,
            .in_isr = follower->in_isr,
            .end_offset = follower->end_offset,
            .log_start_offset = follower->log_start_offset,
            .lag = follower->end_offset < 0 ? -1 : end - follower->end_offset,
            .caught_up_ms = follower->caught_up_ms,
        };
        each(context, is_self(partition, follower) ? &own : &view);
    }
}

/* Kafka: Partition.lowWatermarkIfLeader. */
int64_t partition_low_watermark(struct partition *partition)
{
    struct partition_quorum *quorum = partition->table->options.quorum;
    int64_t lowest = partition->log == NULL ? 0 : log_start_offset(partition->log);
    const struct followers *followers = partition->followers;
    for (uint32_t i = 0; followers != NULL && i < followers->count; i++) {
        const struct follower *follower = &followers->each[i];
        if (is_self(partition, follower) || quorum == NULL ||
            !quorum->may_join_isr(quorum, follower->node_id))
            continue;
        if (follower->log_start_offset < lowest)
            lowest = follower->log_start_offset;
    }
    return lowest;
}
