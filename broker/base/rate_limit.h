/* SPDX-License-Identifier: Apache-2.0 */
/* So many bytes a second for somebody who learns only afterwards how much it was: what is taken
 * beyond the rate is paid for by waiting.
 *
 *   left? --yes--> take some, spend it       --no--> again after rate_limit_wait_ms
 *
 * Not safe across threads. The rate is given each time, so that it may change meanwhile. */
#ifndef BROKER_BASE_RATE_LIMIT_H
#define BROKER_BASE_RATE_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RATE_SECOND_MS = 1000 };

struct rate_limit {
    int64_t byte_ms;   /* May be taken, in thousandths of bytes; negative: overdrawn. */
    int64_t filled_ms; /* Monotonic clock: when it was last filled up. */
};

/* Of a rate that limits nobody: none, and Kafka's default. */
static inline bool rate_is_unlimited(int64_t rate)
{
    return rate <= 0 || rate > INT64_MAX / RATE_SECOND_MS / 2;
}

void rate_limit_init(struct rate_limit *limit, int64_t now_ms);

/* Whether something may be taken now, at `rate` bytes a second, which is not unlimited. A
 * second's worth is saved up at most. */
bool rate_limit_left(struct rate_limit *limit, int64_t rate, int64_t now_ms);

void rate_limit_spend(struct rate_limit *limit, size_t bytes);

/* How long from the last rate_limit_left until there is something again; at least 1. */
int64_t rate_limit_wait_ms(const struct rate_limit *limit, int64_t rate);

#endif
