/* SPDX-License-Identifier: Apache-2.0 */
/* Which replicas are in sync: what the leader proposes to the quorum.
 *
 *   committed ISR --proposed--> maximal ISR (both) --applied or refused--> committed ISR
 *
 * A member leaves when it lags for replica.lag.time.max.ms or says it lost what was committed; one
 * joins when its vote is at the high watermark and at the epoch's start, it keeps up, and its node
 * may (invariants 5, 11; KIP-841, KIP-903). One that leaves counts until that is applied; one that
 * joins counts from the moment it is proposed. The other rules are the catalog's. */
#include "partition/replica.h"

#include "base/assertion.h"
#include "base/report.h"

#include <stdio.h>

/* Until a change that was refused, or that a fenced node stood in the way of, is tried again;
 * doubles while changes are refused. */
enum { RETRY_MIN_MS = 50, RETRY_MAX_MS = 1000 };

static void retry_later(struct partition *partition)
{
    struct partition_table *table = partition->table;
    if (list_empty(&partition->isr_link))
        list_push(&table->isr_pending, &partition->isr_link);
    if (!timer_running(&table->retry_timer) && !table->closing)
        executor_timer_start(table->options.executor, &table->retry_timer, table->retry_ms);
}

/* Whether the follower belongs into the ISR; *blocked when only its node stands in the way. */
static bool belongs(const struct partition *partition, const struct follower *follower,
                    int64_t now_ms, bool *blocked)
{
    if (follower->node_id == partition->table->options.node_id)
        return !partition->disk_failed;
    bool keeps_up = follower_caught_up(partition, follower, now_ms);
    if (follower->in_isr) {
        bool lost = follower->end_offset >= 0 && follower->end_offset < partition->high_watermark;
        int64_t lag_max_ms = partition->table->options.replica_lag_time_max_ms;
        /* It may not have come to fetch yet since this node leads. */
        bool new = follower->end_offset < 0 && now_ms - follower->caught_up_ms <= lag_max_ms;
        return !lost && (keeps_up || new);
    }
    if (!keeps_up || !follower_in_sync(partition, follower))
        return false;
    bool may = follower_may_join(partition, follower);
    *blocked = *blocked || !may;
    return may;
}

static void propose(struct partition *partition, const int32_t *isr, uint32_t count)
{
    struct partition_quorum *quorum = partition->table->options.quorum;
    if (quorum->change_isr(quorum, partition, isr, count) != ERROR_NONE) {
        retry_later(partition);
        return;
    }
    /* They count from now on: the proposal may be applied at any time. */
    struct followers *followers = partition->followers;
    char text[12 * PARTITION_REPLICAS_MAX];
    size_t used = 0;
    for (uint32_t i = 0; i < count; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, i == 0 ? "%d" : ",%d", isr[i]);
    for (uint32_t i = 0; followers != NULL && i < followers->count; i++) {
        for (uint32_t k = 0; k < count; k++) {
            if (followers->each[i].node_id == isr[k] && !followers->each[i].in_isr)
                followers->each[i].joining = true;
        }
    }
    partition_report(partition, REPORT_INFO, "isr_proposed",
                     "isr=%s committed=%u high_watermark=%lld", text, partition_isr_size(partition),
                     (long long)partition->high_watermark);
    partition->isr_changing = true;
    list_remove(&partition->isr_link);
}

/* Who may take over from a leader whose disk fails: nobody joins on its word any more. */
static uint32_t in_sync_but_self(const struct partition *partition, int32_t *ret_isr)
{
    const struct followers *followers = partition->followers;
    uint32_t count = 0;
    for (uint32_t i = 0; followers != NULL && i < followers->count; i++) {
        const struct follower *follower = &followers->each[i];
        if (follower->in_isr && follower->node_id != partition->table->options.node_id)
            ret_isr[count++] = follower->node_id;
    }
    return count;
}

void isr_consider(struct partition *partition)
{
    const struct followers *followers = partition->followers;
    struct partition_table *table = partition->table;
    if (partition->role != PARTITION_LEADER || table->options.quorum == NULL || table->closing ||
        partition->isr_changing)
        return;
    int32_t isr[PARTITION_REPLICAS_MAX] = {table->options.node_id};
    uint32_t count = followers == NULL ? 1 : 0;
    bool changed = partition->recovering;
    bool blocked = false;
    int64_t now_ms = executor_monotonic_ms(table->options.executor);
    for (uint32_t i = 0; followers != NULL && i < followers->count; i++) {
        const struct follower *follower = &followers->each[i];
        bool in = belongs(partition, follower, now_ms, &blocked);
        changed = changed || in != follower->in_isr;
        if (in)
            isr[count++] = follower->node_id;
    }
    if (partition->disk_failed)
        count = in_sync_but_self(partition, isr);
    if (changed && count > 0)
        propose(partition, isr, count);
    else if (blocked)
        retry_later(partition);
    else
        list_remove(&partition->isr_link);
}

/* Said by the command's apply (Kafka: ReplicationControlManager.validateAlterPartitionData). Of
 * anything else nobody knows what became of the proposal: it counts on. */
static bool refused_for_certain(enum error error)
{
    return error == ERROR_INVALID_UPDATE_VERSION || error == ERROR_FENCED_LEADER_EPOCH ||
           error == ERROR_INELIGIBLE_REPLICA || error == ERROR_INVALID_REQUEST ||
           error == ERROR_UNKNOWN_TOPIC_ID || error == ERROR_UNKNOWN_TOPIC_OR_PARTITION ||
           error == ERROR_NEW_LEADER_ELECTED || error == ERROR_STALE_BROKER_EPOCH;
}

void partition_isr_change_ended(struct partition *partition, enum error error)
{
    ASSERT(partition->isr_changing);
    partition->isr_changing = false;
    if (partition->role != PARTITION_LEADER || partition->deleted)
        return;
    if (error != ERROR_NONE && !refused_for_certain(error))
        partition->isr_uncertain = true;
    struct followers *followers = partition->followers;
    for (uint32_t i = 0; !partition->isr_uncertain && followers != NULL && i < followers->count;
         i++)
        followers->each[i].joining = false;
    struct partition_table *table = partition->table;
    if (error == ERROR_NONE) {
        table->retry_ms = RETRY_MIN_MS;
        isr_consider(partition); /* What came up meanwhile. */
    } else {
        partition_report(partition, REPORT_INFO, "isr_refused", "error=\"%s\"", error_text(error));
        retry_later(partition);
        table->retry_ms = 2 * table->retry_ms < RETRY_MAX_MS ? 2 * table->retry_ms : RETRY_MAX_MS;
    }
    partition_commit(partition); /* A refused member does not hold it up any more. */
}

/* ---- now and then ---- */

static void retry_due(struct timer *timer)
{
    struct partition_table *table = container_of(timer, struct partition_table, retry_timer);
    struct list due;
    list_init(&due);
    struct list *link;
    while ((link = list_take(&table->isr_pending)) != NULL)
        list_push(&due, link);
    while ((link = list_take(&due)) != NULL) {
        struct partition *partition = container_of(link, struct partition, isr_link);
        isr_consider(partition);
        partition_commit(partition);
    }
}

/* This node itself stood still (a debugger, a laptop's lid): nobody lagged meanwhile. */
static void forgive(struct partition *partition, int64_t now_ms)
{
    for (uint32_t i = 0; i < partition->followers->count; i++) {
        struct follower *follower = &partition->followers->each[i];
        if (follower->caught_up_ms != CAUGHT_UP_NEVER)
            follower->caught_up_ms = now_ms;
    }
}

struct isr_check {
    int64_t now_ms;
    bool stood_still;
};

static void check_one(void *context, struct partition *partition)
{
    const struct isr_check *check = context;
    if (partition->role != PARTITION_LEADER || partition->followers == NULL)
        return;
    if (check->stood_still)
        forgive(partition, check->now_ms);
    isr_consider(partition);
    partition_commit(partition); /* One that was waited for may not count any more. */
}

static int64_t check_interval_ms(const struct partition_table *table)
{
    int64_t interval_ms = table->options.replica_lag_time_max_ms / 2;
    return interval_ms > 0 ? interval_ms : 1;
}

static void check_due(struct timer *timer)
{
    struct partition_table *table = container_of(timer, struct partition_table, isr_timer);
    struct isr_check check = {.now_ms = executor_monotonic_ms(table->options.executor)};
    int64_t interval_ms = check_interval_ms(table);
    check.stood_still = check.now_ms - table->isr_checked_ms > 2 * interval_ms;
    table->isr_checked_ms = check.now_ms;
    partition_table_each(table, check_one, &check);
    executor_timer_start(table->options.executor, timer, interval_ms);
}

void isr_watch_start(struct partition_table *table)
{
    list_init(&table->isr_pending);
    table->retry_ms = RETRY_MIN_MS;
    table->isr_timer.fire = check_due;
    table->retry_timer.fire = retry_due;
    table->isr_checked_ms = executor_monotonic_ms(table->options.executor);
    if (table->options.quorum != NULL)
        executor_timer_start(table->options.executor, &table->isr_timer, check_interval_ms(table));
}

void isr_watch_stop(struct partition_table *table)
{
    executor_timer_stop(table->options.executor, &table->isr_timer);
    executor_timer_stop(table->options.executor, &table->retry_timer);
    struct list *link;
    while ((link = list_take(&table->isr_pending)) != NULL)
        list_init(link);
}
