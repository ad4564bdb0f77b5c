/* SPDX-License-Identifier: Apache-2.0 */
/* ls .groups, of groups whose coordinators are elsewhere. */
#include "elsewhere_fixture.h"

#include <cmocka.h>

enum { TEXT_BYTES = 1 << 16 };

static char text[TEXT_BYTES];

static void begin(struct elsewhere *e, void *broker)
{
    fixture_topic(broker, "__consumer_offsets", 3);
    elsewhere_start(e, broker, "timeo=5");
    assert_int_equal(kernel_mkdir_in(&e->kernel, ".groups", "billing"), 0);
    assert_int_equal(kernel_mkdir_in(&e->kernel, ".groups", "a%20b"), 0);
}

/* Sorted, with names as files have them, each once. */
static void groups_elsewhere_are_listed(void **state)
{
    struct elsewhere e;
    begin(&e, *state);
    assert_int_equal(kernel_list(&e.kernel, ".groups", text, sizeof text), 0);
    assert_string_equal(text, ". .. a%20b billing ");
    elsewhere_end(&e);
}

/* A node that does not answer is waited for so long; the rest is listed, and .errors says what is
 * missing. */
static void what_is_missing_is_said(void **state)
{
    struct elsewhere e;
    static const enum calls_mode modes[] = {CALLS_REFUSED, CALLS_HANG};
    begin(&e, *state);
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        e.mode = modes[i];
        int64_t begun_ms = executor_monotonic_ms(e.far->broker.executor);
        assert_int_equal(kernel_list(&e.kernel, ".groups", text, sizeof text), 0);
        assert_string_equal(text, ". .. ");
        assert_in_range(executor_monotonic_ms(e.far->broker.executor) - begun_ms, 1500, 3000);
    }
    e.mode = CALLS_WORK;
    assert_int_equal(kernel_cat(&e.kernel, ".errors", text, sizeof text), 0);
    assert_non_null(strstr(text, "the groups that node 1 coordinates are left out"));
    elsewhere_end(&e);
}

/* Nobody has committed anything: nobody is asked. */
static void without_an_offsets_topic_there_are_none(void **state)
{
    struct elsewhere e;
    elsewhere_start(&e, *state, "timeo=5");
    assert_int_equal(kernel_list(&e.kernel, ".groups", text, sizeof text), 0);
    assert_string_equal(text, ". .. ");
    assert_int_equal(e.calls, 0);
    elsewhere_end(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BROKER(groups_elsewhere_are_listed),
        WITH_BROKER(what_is_missing_is_said),
        WITH_BROKER(without_an_offsets_topic_there_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
