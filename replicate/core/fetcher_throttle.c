/* SPDX-License-Identifier: Apache-2.0 */
/* follower.replication.throttled.rate: partitions that move to this node share so many bytes a
 * second, in the ISR or not; what was asked for is taken, and paid for afterwards. */
#include "replicate/core/fetcher_state.h"

void throttle_release(struct fetchers *fetchers)
{
    list_for_each(link, &fetchers->list)
    {
        struct fetcher *fetcher = container_of(link, struct fetcher, link);
        struct list *held;
        while ((held = list_take(&fetcher->held)) != NULL)
            fetched_announce(container_of(held, struct fetched, link));
    }
}

static void throttle_due(struct timer *timer)
{
    throttle_release(container_of(timer, struct fetchers, throttle_timer));
}

void throttle_init(struct fetchers *fetchers)
{
    fetchers->throttle_timer.fire = throttle_due;
    rate_limit_init(&fetchers->quota, executor_monotonic_ms(fetchers->options.executor));
}

bool throttle_admits(struct fetched *fetched)
{
    struct fetchers *fetchers = fetched->fetcher->fetchers;
    struct executor *executor = fetchers->options.executor;
    int64_t rate = fetchers->options.config.throttled_rate;
    if (!fetched->throttled || rate_is_unlimited(rate) ||
        rate_limit_left(&fetchers->quota, rate, executor_monotonic_ms(executor)))
        return true;
    list_remove(&fetched->link);
    list_push(&fetched->fetcher->held, &fetched->link);
    if (!timer_running(&fetchers->throttle_timer))
        executor_timer_start(executor, &fetchers->throttle_timer,
                             rate_limit_wait_ms(&fetchers->quota, rate));
    return false;
}

void throttle_spend(struct fetched *fetched, size_t bytes)
{
    struct fetchers *fetchers = fetched->fetcher->fetchers;
    if (fetched->throttled && !rate_is_unlimited(fetchers->options.config.throttled_rate))
        rate_limit_spend(&fetchers->quota, bytes);
}
