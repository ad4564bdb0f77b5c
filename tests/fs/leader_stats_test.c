/* SPDX-License-Identifier: Apache-2.0 */
/* .info of partitions led elsewhere: the leaders' numbers, and what is said without them. */
#include "elsewhere_fixture.h"

#include <cmocka.h>

enum { TEXT_BYTES = 1 << 16, PARTITIONS = 64 };

static char text[TEXT_BYTES];

/* One question for all partitions of a leader, and a line for each. */
static void leaders_are_asked_for_all_at_once(void **state)
{
    struct elsewhere e;
    fixture_topic(*state, "orders", PARTITIONS);
    fixture_append(*state, "orders", PARTITIONS - 1, 3, -1);
    elsewhere_start(&e, *state, "timeo=5");
    assert_int_equal(kernel_cat(&e.kernel, "orders/.info", text, sizeof text), 0);
    assert_int_equal(e.calls, 1);
    assert_non_null(strstr(text, "\n0\t1\t1\t1\t0\t0\t0\t0\t0\t-1\t0\n"));
    assert_non_null(strstr(text, "\n63\t1\t1\t1\t0\t3\t3\t3\t"));
    uint32_t lines = 0;
    for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    assert_int_equal(lines, 1 + PARTITIONS);
    elsewhere_end(&e);
}

/* A leader that does not answer is waited for so long; then what was heard last is said. */
static void without_a_leader_the_last_numbers_stand(void **state)
{
    struct elsewhere e;
    fuse_ino_t node;
    static const enum calls_mode modes[] = {CALLS_REFUSED, CALLS_HANG, CALLS_LOSE_ANSWERS};
    fixture_topic(*state, "orders", 2);
    fixture_append(*state, "orders", 0, 3, -1);
    elsewhere_start(&e, *state, "timeo=5");
    assert_int_equal(kernel_path(&e.kernel, "orders/0", &node), 0);
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        e.mode = modes[i];
        int64_t begun_ms = executor_monotonic_ms(e.far->broker.executor);
        assert_int_equal(kernel_cat(&e.kernel, "orders/.info", text, sizeof text), 0);
        assert_in_range(executor_monotonic_ms(e.far->broker.executor) - begun_ms, 1500, 3000);
        assert_non_null(strstr(text, "\n0\t1\t1\t1\t0\t3\t3\t3\t"));
        assert_non_null(strstr(text, "\t-\n1\t"));
    }
    e.mode = CALLS_WORK;
    kernel_forget(&e.kernel, node);
    elsewhere_end(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BROKER(leaders_are_asked_for_all_at_once),
        WITH_BROKER(without_a_leader_the_last_numbers_stand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
