/* SPDX-License-Identifier: Apache-2.0 */
/* follower.replication.throttled.rate: partitions that move to this node share so many bytes a
 * second, in the ISR or not; what was asked for is taken, and paid for afterwards. */
#include "replicate/core/fetcher_state.h"

static void refill(struct fetchers *fetchers)
{
    int64_t now_ms = executor_monotonic_ms(fetchers->options.executor);
    int64_t rate = fetchers->options.config.throttled_rate;
    int64_t passed_ms = now_ms - fetchers->quota_ms;
    fetchers->quota_ms = now_ms;
    if (passed_ms > 1000)
        passed_ms = 1000; /* More than a second's is never saved up. */
    int64_t earned = rate > INT64_MAX / 1000 ? rate : rate * passed_ms / 1000;
    fetchers->quota_bytes =
        fetchers->quota_bytes > rate - earned ? rate : fetchers->quota_bytes + earned;
}

static bool unlimited(const struct fetchers *fetchers)
{
    int64_t rate = fetchers->options.config.throttled_rate;
    return rate <= 0 || rate == INT64_MAX;
}

static void throttle_due(struct timer *timer)
{
    struct fetchers *fetchers = container_of(timer, struct fetchers, throttle_timer);
    list_for_each(link, &fetchers->list)
    {
        struct fetcher *fetcher = container_of(link, struct fetcher, link);
        struct list *held;
        while ((held = list_take(&fetcher->held)) != NULL)
            fetched_announce(container_of(held, struct fetched, link));
    }
}

void throttle_init(struct fetchers *fetchers)
{
    fetchers->throttle_timer.fire = throttle_due;
    fetchers->quota_ms = executor_monotonic_ms(fetchers->options.executor);
    fetchers->quota_bytes = 0;
}

bool throttle_admits(struct fetched *fetched)
{
    struct fetchers *fetchers = fetched->fetcher->fetchers;
    if (!fetched->throttled || unlimited(fetchers))
        return true;
    refill(fetchers);
    if (fetchers->quota_bytes > 0)
        return true;
    list_remove(&fetched->link);
    list_push(&fetched->fetcher->held, &fetched->link);
    int64_t rate = fetchers->options.config.throttled_rate;
    int64_t wait_ms = 1 + -fetchers->quota_bytes / (rate / 1000 + 1);
    if (!timer_running(&fetchers->throttle_timer))
        executor_timer_start(fetchers->options.executor, &fetchers->throttle_timer, wait_ms);
    return false;
}

void throttle_spend(struct fetched *fetched, size_t bytes)
{
    struct fetchers *fetchers = fetched->fetcher->fetchers;
    if (fetched->throttled && !unlimited(fetchers))
        fetchers->quota_bytes -= (int64_t)bytes;
}
