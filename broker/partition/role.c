/* SPDX-License-Identifier: Apache-2.0 */
/* Who leads: an assignment of the quorum becomes a role, and everybody concerned hears of it.
 *
 *   FOLLOWER --leader is this node--> LEADER      the high watermark stays what it was: a new
 *       ^ '---other leader or epoch---' |         leader moves it by the votes of its own epoch
 *       '------- leader is another -----'         (invariant 10), a follower by its leader's word
 */
#include "partition/replica.h"

#include "base/assertion.h"
#include "base/report.h"

void partition_tell(struct partition *partition, unsigned kinds)
{
    list_for_each(link, &partition->news)
    {
        struct partition_news *news = container_of(link, struct partition_news, link);
        news->changed(news, kinds);
    }
}

void partition_news_add(struct partition *partition, struct partition_news *news)
{
    list_push(&partition->news, &news->link);
}

void partition_news_remove(struct partition_news *news)
{
    list_remove(&news->link);
}

static void feed_end(struct partition *partition)
{
    struct partition_feed *feed = partition->table->feed;
    if (!partition->fed)
        return;
    partition->fed = false;
    feed->unfollow(feed, partition);
}

static enum error feed_begin(struct partition *partition)
{
    struct partition_feed *feed = partition->table->feed;
    if (feed == NULL || partition->fed || partition->role != PARTITION_FOLLOWER ||
        partition->leader < 0 || partition->deleted || partition->table->closing)
        return ERROR_NONE;
    enum error error = feed->follow(feed, partition, partition->leader, partition->leader_epoch);
    partition->fed = error == ERROR_NONE;
    return error;
}

/* The first step down, which must not fail: nothing is acknowledged any more. */
static void resign(struct partition *partition)
{
    memory_free(partition->followers);
    partition->followers = NULL;
    partition->epoch_start = -1;
    list_remove(&partition->isr_link);
    partition->role = PARTITION_FOLLOWER;
    partition_abandon(partition, ERROR_NOT_LEADER_OR_FOLLOWER);
}

static void lead(struct partition *partition, bool same_epoch)
{
    partition->role = PARTITION_LEADER;
    if (!same_epoch) {
        partition->epoch_start = -1;
        partition->epoch_assigned = false;
        if (partition->log != NULL)
            followers_epoch_begun(partition);
    }
}

static void take_fields(struct partition *partition, const struct partition_assignment *assignment)
{
    partition->leader = assignment->leader;
    partition->leader_epoch = assignment->leader_epoch;
    partition->partition_epoch = assignment->partition_epoch;
    partition->recovering = assignment->recovering;
}

enum error role_assign(struct partition *partition, const struct partition_assignment *assignment)
{
    ASSERT(assignment->replica_count <= PARTITION_REPLICAS_MAX);
    ASSERT(assignment->isr_count <= assignment->replica_count);
    if (assignment->leader_epoch < partition->leader_epoch ||
        (assignment->leader_epoch == partition->leader_epoch &&
         assignment->partition_epoch < partition->partition_epoch))
        return ERROR_NONE;
    if (partition->role == PARTITION_OFFLINE) {
        take_fields(partition, assignment);
        return ERROR_NONE;
    }
    bool led = partition->role == PARTITION_LEADER;
    bool leads = assignment->leader == partition->table->options.node_id;
    bool same_epoch = assignment->leader_epoch == partition->leader_epoch;
    bool moved = !same_epoch || assignment->leader != partition->leader ||
                 partition->role == PARTITION_LOADING;
    /* One leader an epoch (invariant 1): it can lose the epoch, but nobody else can have it. */
    ASSERT(!led || leads || !same_epoch || assignment->leader < 0);
    if (led && !leads)
        resign(partition);
    if (leads) {
        enum error error = followers_assign(partition, assignment, led && same_epoch);
        if (error != ERROR_NONE) {
            if (led && !same_epoch)
                resign(partition);
            return error;
        }
    }
    if (moved)
        feed_end(partition);
    take_fields(partition, assignment);
    if (leads)
        lead(partition, led && same_epoch);
    else
        partition->role = PARTITION_FOLLOWER;
    if (moved) {
        partition_tell(partition, PARTITION_NEWS_ROLE);
        partition_wake_waits(partition);
    }
    partition_commit(partition);
    isr_consider(partition);
    partition_check(partition);
    return feed_begin(partition);
}

void role_end(struct partition *partition)
{
    ASSERT(partition->deleted);
    feed_end(partition);
    list_remove(&partition->isr_link);
    partition_tell(partition, PARTITION_NEWS_ROLE);
}

static void feed_one(void *context, struct partition *partition)
{
    enum error *error = context;
    enum error got = feed_begin(partition);
    if (*error == ERROR_NONE)
        *error = got;
}

static void starve_one(void *context, struct partition *partition)
{
    (void)context;
    feed_end(partition);
}

enum error partition_table_feed(struct partition_table *table, struct partition_feed *feed)
{
    enum error error = ERROR_NONE;
    if (table->feed != NULL)
        partition_table_each(table, starve_one, NULL);
    table->feed = feed;
    partition_table_each(table, feed_one, &error);
    return error;
}

static void lease_one(void *context, struct partition *partition)
{
    (void)context;
    if (partition->role != PARTITION_LEADER)
        return;
    partition_commit(partition);
    partition_wake_waits(partition); /* Those who wait here for records had better ask another. */
}

bool partition_table_is_leased(const struct partition_table *table)
{
    return table->leased && (table->lease == NULL || table->lease->held(table->lease));
}

void partition_table_lease_source(struct partition_table *table, struct partition_lease *lease)
{
    table->lease = lease;
}

void partition_table_lease(struct partition_table *table, bool held)
{
    if (table->leased == held)
        return;
    table->leased = held;
    partition_table_each(table, lease_one, NULL);
}
