/* SPDX-License-Identifier: Apache-2.0 */
/* Fetchers come and go with what the partitions follow; sessions begin anew when something went
 * wrong. */
#include "replicate/core/fetcher_state.h"

#include "base/assertion.h"
#include "base/report.h"

#include <stdio.h>

/* ---- one partition ---- */

static void fetched_free(struct fetched *fetched)
{
    executor_timer_stop(fetched->fetcher->fetchers->options.executor, &fetched->timer);
    list_remove(&fetched->link);
    partition_news_remove(&fetched->news);
    partition_unref(fetched->partition);
    memory_free(fetched);
}

bool fetched_release(struct fetched *fetched)
{
    if (!fetched->gone)
        return false;
    /* What is on the pool ends first. */
    if (fetched->parts == 0 && fetched->state != FETCHED_TRUNCATING)
        fetched_free(fetched);
    return true;
}

bool fetched_may_be_named(const struct fetched *fetched)
{
    return fetched->state == FETCHED_FETCHING ||
           (fetched->state == FETCHED_CHECKING && fetched->ahead_offset >= 0);
}

bool fetched_vote_can_wait(const struct fetched *fetched, int64_t vote)
{
    return fetched->awaited && vote < fetched->leader_high_watermark;
}

void fetched_announce(struct fetched *fetched)
{
    ASSERT(!fetched->gone);
    ASSERT(fetched_may_be_named(fetched));
    list_remove(&fetched->link);
    list_push(&fetched->fetcher->news, &fetched->link);
    fetcher_wake(fetched->fetcher);
}

static void fetched_retry(struct timer *timer)
{
    struct fetched *fetched = container_of(timer, struct fetched, timer);
    fetched->fetcher->fetchers->view.failed--;
    /* Parts that are of no use any more end first. */
    fetched->state = fetched->parts > 0 ? FETCHED_CHECKING : FETCHED_FETCHING;
    if (fetched->parts == 0)
        fetched_announce(fetched);
}

static void report_failure(const struct fetched *fetched, enum error error)
{
    const struct fetchers *fetchers = fetched->fetcher->fetchers;
    struct partition_reporter *reporter = fetchers->options.reporter;
    char detail[300];
    if (reporter == NULL)
        return;
    (void)snprintf(detail, sizeof detail,
                   "leader=%d leader_epoch=%d error=\"%s\" lost=nothing retry_ms=%lld",
                   (int)fetched->fetcher->node_id, (int)fetched->leader_epoch, error_text(error),
                   (long long)fetched->backoff_ms);
    reporter->report(reporter, REPORT_WARNING, "replica_fetch_failed",
                     partition_topic(fetched->partition), partition_index(fetched->partition),
                     detail);
}

/* Between half of it and all: those that failed together need not come back together. */
static int64_t jittered(struct executor *executor, int64_t pause_ms)
{
    return pause_ms - (int64_t)(executor_random(executor) % (uint64_t)(pause_ms / 2 + 1));
}

/* A partition whose leader moved is at odds with it for a moment; only what lasts is reported. */
static bool worth_reporting(const struct fetched *fetched, enum error error)
{
    const struct fetchers_config *config = &fetched->fetcher->fetchers->options.config;
    return error == ERROR_CORRUPT_MESSAGE || error == ERROR_UNSUPPORTED_FOR_MESSAGE_FORMAT ||
           fetched->backoff_ms == config->backoff_max_ms;
}

void fetched_fail(struct fetched *fetched, enum error error)
{
    struct fetchers *fetchers = fetched->fetcher->fetchers;
    const struct fetchers_config *config = &fetchers->options.config;
    ASSERT(!fetched->gone);
    ASSERT(fetched->state != FETCHED_FAILED);
    int64_t before_ms = fetched->backoff_ms;
    fetched->backoff_ms = before_ms == 0 ? config->backoff_min_ms : 2 * before_ms;
    if (fetched->backoff_ms > config->backoff_max_ms)
        fetched->backoff_ms = config->backoff_max_ms;
    if (fetched->backoff_ms != before_ms && worth_reporting(fetched, error))
        report_failure(fetched, error);
    fetched->state = FETCHED_FAILED;
    fetched->renewed = true;
    fetched->awaited = false;
    fetched->ahead_offset = -1;
    fetched->life++;
    fetchers->view.failed++;
    list_remove(&fetched->link);
    executor_timer_start(fetchers->options.executor, &fetched->timer,
                         jittered(fetchers->options.executor, fetched->backoff_ms));
}

void fetched_succeed(struct fetched *fetched)
{
    fetched->backoff_ms = 0;
}

struct fetched *fetched_find(struct fetcher *fetcher, const struct fetched_key *key)
{
    struct fetched *fetched = NULL;
    HASH_FIND(hh, fetcher->by_key, key, sizeof *key, fetched);
    return fetched;
}

/* A sync ended: a new vote. Or records were deleted here, too. */
static void fetched_news(struct partition_news *news, unsigned kinds)
{
    struct fetched *fetched = container_of(news, struct fetched, news);
    bool votes = (kinds & PARTITION_NEWS_SYNCED) != 0 &&
                 partition_config(fetched->partition)->durability == PARTITION_FSYNC;
    bool start = (kinds & PARTITION_NEWS_START) != 0;
    if (!votes && !start)
        return;
    struct partition_position position;
    if (!start && partition_position(fetched->partition, &position) == ERROR_NONE &&
        fetched_vote_can_wait(fetched, position.synced_offset))
        return;
    if (fetched_may_be_named(fetched) && fetched->awaited && list_empty(&fetched->link))
        fetched_announce(fetched);
}

/* ---- one leader node ---- */

void fetcher_wake(struct fetcher *fetcher)
{
    if (list_empty(&fetcher->task.link))
        executor_post(fetcher->fetchers->options.executor, &fetcher->task);
}

static void fetcher_woken(struct task *task)
{
    fetcher_consider(container_of(task, struct fetcher, task));
}

static void fetcher_rested(struct timer *timer)
{
    fetcher_consider(container_of(timer, struct fetcher, timer));
}

void fetcher_restart(struct fetcher *fetcher, bool pause)
{
    struct fetchers *fetchers = fetcher->fetchers;
    const struct fetchers_config *config = &fetchers->options.config;
    fetcher->generation++;
    fetcher->session_id = 0;
    fetcher->session_epoch = 0;
    fetcher->forgotten_count = 0;
    for (struct fetched *fetched = fetcher->by_key; fetched != NULL; fetched = fetched->hh.next) {
        fetched->awaited = false;
        fetched->renewed = false;
        if (fetched->ahead_offset >= 0) /* The new session knows nothing of what is ahead. */
            list_remove(&fetched->link);
        fetched->ahead_offset = -1;
        if (fetched->state == FETCHED_FETCHING && list_empty(&fetched->link))
            list_push(&fetcher->news, &fetched->link);
    }
    if (!pause) {
        fetcher_wake(fetcher);
        return;
    }
    fetcher->backoff_ms =
        fetcher->backoff_ms == 0 ? config->backoff_min_ms : 2 * fetcher->backoff_ms;
    if (fetcher->backoff_ms > config->backoff_max_ms)
        fetcher->backoff_ms = config->backoff_max_ms;
    executor_timer_start(fetchers->options.executor, &fetcher->timer,
                         jittered(fetchers->options.executor, fetcher->backoff_ms));
}

static struct fetcher *fetcher_find(struct fetchers *fetchers, int32_t node_id)
{
    list_for_each(link, &fetchers->list)
    {
        struct fetcher *fetcher = container_of(link, struct fetcher, link);
        if (fetcher->node_id == node_id)
            return fetcher;
    }
    return NULL;
}

static struct fetcher *fetcher_make(struct fetchers *fetchers, int32_t node_id)
{
    struct fetcher *fetcher = memory_allocate(sizeof *fetcher);
    if (fetcher == NULL)
        return NULL;
    fetcher->fetchers = fetchers;
    fetcher->node_id = node_id;
    fetcher->node_epoch = -1;
    fetcher->task.run = fetcher_woken;
    fetcher->timer.fire = fetcher_rested;
    list_init(&fetcher->task.link);
    list_init(&fetcher->news);
    list_init(&fetcher->held);
    list_init(&fetcher->landed);
    for (int i = 0; i < FLIGHTS; i++) {
        fetcher->flights[i].fetcher = fetcher;
        list_init(&fetcher->flights[i].link);
        codec_context_init(&fetcher->flights[i].codec);
    }
    list_push(&fetchers->list, &fetcher->link);
    return fetcher;
}

static void fetcher_free(struct fetcher *fetcher)
{
    ASSERT(fetcher->count == 0);
    list_remove(&fetcher->link);
    for (int i = 0; i < FLIGHTS; i++)
        codec_context_done(&fetcher->flights[i].codec);
    memory_free(fetcher->forgotten);
    memory_free(fetcher);
}

/* ---- the feed ---- */

static bool fetched_add(struct fetcher *fetcher, struct partition *partition, int32_t leader_epoch)
{
    struct fetched *fetched = memory_allocate(sizeof *fetched);
    if (fetched == NULL)
        return false;
    fetched->key.topic_id = partition_topic_id(partition);
    fetched->key.index = partition_index(partition);
    HASH_ADD(hh, fetcher->by_key, key, sizeof fetched->key, fetched);
    if (fetched->hh.tbl == NULL) {
        memory_free(fetched);
        return false;
    }
    fetcher->count++;
    fetcher->fetchers->view.partitions++;
    fetched->fetcher = fetcher;
    fetched->leader_epoch = leader_epoch;
    fetched->ahead_offset = -1;
    fetched->partition = partition_ref(partition);
    fetched->timer.fire = fetched_retry;
    fetched->news.changed = fetched_news;
    list_init(&fetched->link);
    list_init(&fetched->news.link);
    partition_news_add(partition, &fetched->news);
    const struct fetchers_options *options = &fetcher->fetchers->options;
    fetched->throttled = options->throttled != NULL &&
                         options->throttled(options->context, partition_topic(partition),
                                            partition_index(partition));
    fetched_announce(fetched);
    return true;
}

static enum error follow(struct partition_feed *feed, struct partition *partition, int32_t leader,
                         int32_t leader_epoch)
{
    struct fetchers *fetchers = container_of(feed, struct fetchers, feed);
    ASSERT(leader != fetchers->options.node_id);
    struct fetcher *fetcher = fetcher_find(fetchers, leader);
    if (fetcher == NULL)
        fetcher = fetcher_make(fetchers, leader);
    return fetcher != NULL && fetched_add(fetcher, partition, leader_epoch) ? ERROR_NONE
                                                                            : ERROR_OUT_OF_MEMORY;
}

/* Without memory the leader goes on telling of it, and its answers find nobody. */
static void forget_note(struct fetcher *fetcher, const struct fetched_key *key)
{
    if (fetcher->session_id == 0)
        return;
    if (fetcher->forgotten_count == fetcher->forgotten_capacity) {
        uint32_t capacity = fetcher->forgotten_capacity == 0 ? 8 : 2 * fetcher->forgotten_capacity;
        struct fetched_key *grown = memory_resize(fetcher->forgotten, capacity * sizeof *grown);
        if (grown == NULL)
            return;
        fetcher->forgotten = grown;
        fetcher->forgotten_capacity = capacity;
    }
    fetcher->forgotten[fetcher->forgotten_count++] = *key;
    fetcher_wake(fetcher);
}

static void fetched_remove(struct fetched *fetched)
{
    struct fetcher *fetcher = fetched->fetcher;
    struct fetchers_view *view = &fetcher->fetchers->view;
    HASH_DELETE(hh, fetcher->by_key, fetched);
    fetcher->count--;
    view->partitions--;
    view->failed -= fetched->state == FETCHED_FAILED;
    forget_note(fetcher, &fetched->key);
    fetched->gone = true;
    fetched->awaited = false; /* Its news are of no use. */
    fetched->ahead_offset = -1;
    list_remove(&fetched->link);
    executor_timer_stop(fetcher->fetchers->options.executor, &fetched->timer);
    (void)fetched_release(fetched);
}

static void unfollow(struct partition_feed *feed, struct partition *partition)
{
    struct fetchers *fetchers = container_of(feed, struct fetchers, feed);
    struct fetched_key key = {.topic_id = partition_topic_id(partition),
                              .index = partition_index(partition)};
    list_for_each(link, &fetchers->list)
    {
        struct fetched *fetched = fetched_find(container_of(link, struct fetcher, link), &key);
        if (fetched != NULL && fetched->partition == partition) {
            fetched_remove(fetched);
            return;
        }
    }
}

/* ---- all of them ---- */

enum error fetchers_new(const struct fetchers_options *options, struct fetchers **ret_fetchers)
{
    struct fetchers *fetchers = memory_allocate(sizeof *fetchers);
    if (fetchers == NULL)
        return ERROR_OUT_OF_MEMORY;
    fetchers->options = *options;
    fetchers->feed = (struct partition_feed){.follow = follow, .unfollow = unfollow};
    list_init(&fetchers->list);
    throttle_init(fetchers);
    if (partition_table_feed(options->partitions, &fetchers->feed) != ERROR_NONE) {
        fetchers_stop(fetchers);
        fetchers_free(fetchers);
        return ERROR_OUT_OF_MEMORY;
    }
    *ret_fetchers = fetchers;
    return ERROR_NONE;
}

void fetchers_configure(struct fetchers *fetchers, const struct fetchers_config *config)
{
    const struct fetchers_options *options = &fetchers->options;
    fetchers->options.config = *config;
    list_for_each(link, &fetchers->list)
    {
        struct fetcher *fetcher = container_of(link, struct fetcher, link);
        for (struct fetched *fetched = fetcher->by_key; fetched != NULL; fetched = fetched->hh.next)
            fetched->throttled =
                options->throttled != NULL &&
                options->throttled(options->context, partition_topic(fetched->partition),
                                   partition_index(fetched->partition));
    }
    executor_timer_stop(options->executor, &fetchers->throttle_timer);
    throttle_release(fetchers);
}

void fetchers_stop(struct fetchers *fetchers)
{
    if (fetchers == NULL || fetchers->stopping)
        return;
    fetchers->stopping = true;
    (void)partition_table_feed(fetchers->options.partitions, NULL);
    executor_timer_stop(fetchers->options.executor, &fetchers->throttle_timer);
    list_for_each(link, &fetchers->list)
    {
        struct fetcher *fetcher = container_of(link, struct fetcher, link);
        ASSERT(fetcher->count == 0);
        executor_timer_stop(fetchers->options.executor, &fetcher->timer);
        list_remove(&fetcher->task.link);
        for (int i = 0; i < FLIGHTS; i++) {
            if (fetcher->flights[i].sent)
                call_cancel(&fetcher->flights[i].call);
        }
    }
}

bool fetchers_idle(const struct fetchers *fetchers)
{
    ASSERT(fetchers->stopping);
    if (fetchers->view.truncating > 0)
        return false;
    list_for_each(link, &fetchers->list)
    {
        const struct fetcher *fetcher = container_of(link, struct fetcher, link);
        for (int i = 0; i < FLIGHTS; i++) {
            if (fetcher->flights[i].sent || fetcher->flights[i].landed)
                return false;
        }
    }
    return true;
}

void fetchers_free(struct fetchers *fetchers)
{
    if (fetchers == NULL)
        return;
    ASSERT(fetchers_idle(fetchers));
    while (!list_empty(&fetchers->list))
        fetcher_free(container_of(fetchers->list.next, struct fetcher, link));
    memory_free(fetchers);
}

struct fetchers_view fetchers_view(const struct fetchers *fetchers)
{
    return fetchers->view;
}
