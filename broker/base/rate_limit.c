/* SPDX-License-Identifier: Apache-2.0 */
/* A bucket that fills at the rate and may be overdrawn. */
#include "base/rate_limit.h"

void rate_limit_init(struct rate_limit *limit, int64_t now_ms)
{
    *limit = (struct rate_limit){.filled_ms = now_ms};
}

bool rate_limit_left(struct rate_limit *limit, int64_t rate, int64_t now_ms)
{
    int64_t passed_ms = now_ms - limit->filled_ms;
    if (passed_ms > RATE_SECOND_MS)
        passed_ms = RATE_SECOND_MS; /* More than a second's is never saved up. */
    limit->filled_ms = now_ms;
    limit->byte_ms += rate * passed_ms;
    if (limit->byte_ms > rate * RATE_SECOND_MS)
        limit->byte_ms = rate * RATE_SECOND_MS;
    return limit->byte_ms > 0;
}

void rate_limit_spend(struct rate_limit *limit, size_t bytes)
{
    limit->byte_ms -= (int64_t)bytes * RATE_SECOND_MS;
}

int64_t rate_limit_wait_ms(const struct rate_limit *limit, int64_t rate)
{
    return limit->byte_ms > 0 ? 1 : 1 + -limit->byte_ms / rate;
}
