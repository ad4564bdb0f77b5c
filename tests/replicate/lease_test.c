/* SPDX-License-Identifier: Apache-2.0 */
/* From which answered beat a lease counts. */
#include "replicate/core/lease.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* Without an answer there is none, however much was applied. */
static void nothing_answered_is_no_lease(void **state)
{
    struct lease lease;
    (void)state;
    lease_init(&lease);
    assert_int_equal(lease_from_ms(&lease, 1000), LEASE_NONE);
}

/* An answer counts at once when its news is known, else when it is, without another answer. */
static void an_answer_counts_once_its_news_is_applied(void **state)
{
    struct lease lease;
    (void)state;
    lease_init(&lease);
    lease_answered(&lease, 100, 7, 7);
    assert_int_equal(lease_from_ms(&lease, 7), 100);
    lease_answered(&lease, 200, 9, 8);
    assert_int_equal(lease_from_ms(&lease, 8), 100);
    assert_int_equal(lease_from_ms(&lease, 9), 200);
}

/* Many answers later a log that stands still has what it had. */
static void a_log_that_stands_still_gains_nothing(void **state)
{
    struct lease lease;
    (void)state;
    lease_init(&lease);
    lease_answered(&lease, 100, 7, 7);
    for (int64_t i = 0; i < 50; i++) {
        lease_answered(&lease, 200 + i, 8 + i, 7);
        assert_int_equal(lease_from_ms(&lease, 7), 100);
    }
    assert_int_equal(lease_from_ms(&lease, 57), 249); /* And all of it when it goes on. */
}

/* A log that is k beats behind has a lease that is at most about twice k old. */
static void a_log_that_lags_has_an_older_lease(void **state)
{
    (void)state;
    for (int64_t lag = 0; lag < 6; lag++) {
        struct lease lease;
        lease_init(&lease);
        for (int64_t i = 0; i < 100; i++) {
            lease_answered(&lease, i, i, i - lag);
            int64_t from = lease_from_ms(&lease, i - lag);
            assert_true(from == LEASE_NONE || from <= i - lag);
            if (i > 3 * lag)
                assert_true(from >= i - 2 * lag - 1);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_answered_is_no_lease),
        cmocka_unit_test(an_answer_counts_once_its_news_is_applied),
        cmocka_unit_test(a_log_that_stands_still_gains_nothing),
        cmocka_unit_test(a_log_that_lags_has_an_older_lease),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
