/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes a second, taken in pieces of any size. */
#include "base/rate_limit.h"

#include <cmocka.h>

/* Taken by whoever asks as often as it may, over so many milliseconds: the bytes it got. */
static int64_t taken_over(struct rate_limit *limit, int64_t rate, size_t piece, int64_t from_ms,
                          int64_t to_ms)
{
    int64_t taken = 0;
    for (int64_t now_ms = from_ms; now_ms < to_ms; now_ms++) {
        while (rate_limit_left(limit, rate, now_ms)) {
            rate_limit_spend(limit, piece);
            taken += (int64_t)piece;
        }
    }
    return taken;
}

/* Pieces far smaller and larger than a second's worth come to the rate in the long run. */
static void the_rate_is_kept_whatever_the_pieces(void **state)
{
    (void)state;
    const size_t pieces[] = {7, 100, 999, 50000};
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        struct rate_limit limit;
        rate_limit_init(&limit, 5000);
        int64_t taken = taken_over(&limit, 10500, pieces[i], 5000, 65000);
        assert_in_range(taken, 620000, 630000 + pieces[i]);
    }
}

/* A rate below a byte a millisecond does not get lost in rounding. */
static void slow_rates_are_kept(void **state)
{
    (void)state;
    struct rate_limit limit;
    rate_limit_init(&limit, 0);
    assert_in_range(taken_over(&limit, 3, 1, 0, 60000), 178, 181);
}

/* Who took nothing for an hour may take a second's worth at once, not an hour's. */
static void a_pause_saves_up_a_second_at_most(void **state)
{
    (void)state;
    struct rate_limit limit;
    rate_limit_init(&limit, 0);
    assert_int_equal(taken_over(&limit, 1000, 1, 3600000, 3600001), 1000);
}

/* The wait told is long enough, and not much longer. */
static void the_wait_is_as_long_as_it_takes(void **state)
{
    (void)state;
    struct rate_limit limit;
    rate_limit_init(&limit, 0);
    assert_true(rate_limit_left(&limit, 100000, 1000));
    rate_limit_spend(&limit, 600000);
    assert_false(rate_limit_left(&limit, 100000, 1000));
    int64_t wait_ms = rate_limit_wait_ms(&limit, 100000);
    assert_in_range(wait_ms, 4900, 5100);
    assert_false(rate_limit_left(&limit, 100000, 1000 + 100));
    assert_in_range(rate_limit_wait_ms(&limit, 100000), 4800, 5000);
}

/* Kafka's default and nothing at all limit nobody; the largest rate that limits does not overflow.
 */
static void large_rates_do_not_overflow(void **state)
{
    (void)state;
    assert_true(rate_is_unlimited(0));
    assert_true(rate_is_unlimited(INT64_MAX));
    assert_false(rate_is_unlimited(1));
    const int64_t most = INT64_MAX / RATE_SECOND_MS / 2;
    assert_false(rate_is_unlimited(most));
    struct rate_limit limit;
    rate_limit_init(&limit, 0);
    for (int64_t now_ms = 1; now_ms < 10; now_ms++) {
        assert_true(rate_limit_left(&limit, most, now_ms));
        rate_limit_spend(&limit, 1 << 20);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rate_is_kept_whatever_the_pieces),
        cmocka_unit_test(slow_rates_are_kept),
        cmocka_unit_test(a_pause_saves_up_a_second_at_most),
        cmocka_unit_test(the_wait_is_as_long_as_it_takes),
        cmocka_unit_test(large_rates_do_not_overflow),
    };
    return cmocka_run_group_tests_name("rate_limit", tests, NULL, NULL);
}
