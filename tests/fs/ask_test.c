/* SPDX-License-Identifier: Apache-2.0 */
/* One question, here and elsewhere. */
#include "elsewhere_fixture.h"
#include "fs/ask.h"
#include "wire/api_list_groups.h"

#include <cmocka.h>

enum { HERE = 7, THERE = 1, LIST_GROUPS_VERSION = 5, TIMEOUT_MS = 1000 };

struct asking {
    struct ask ask;
    int answers;
};

static void count(struct ask *ask)
{
    container_of(ask, struct asking, ask)->answers++;
}

static bool is_answered(void *context)
{
    return ((struct asking *)context)->answers > 0;
}

static void begin(struct elsewhere *e, struct asking *asking, int32_t node_id)
{
    *asking = (struct asking){.answers = 0};
    assert_int_equal(ask_init(&asking->ask, &e->kernel.tree, API_LIST_GROUPS, LIST_GROUPS_VERSION),
                     ERROR_NONE);
    asking->ask.done = count;
    ask_start(&asking->ask, node_id, TIMEOUT_MS);
    assert_int_equal(asking->answers, 0);
}

static void finish(struct elsewhere *e, struct asking *asking, enum error expected)
{
    assert_true(simulated_executor_run_until(e->far->executor, is_answered, asking, 10000));
    assert_int_equal(asking->answers, 1);
    assert_int_equal(asking->ask.error, expected);
    assert_int_equal(asking->ask.request.response != NULL, expected == ERROR_NONE);
    ask_done(&asking->ask);
}

/* This node's handler and another's call are answered alike. */
static void both_are_answered(void **state)
{
    struct elsewhere e;
    struct asking asking;
    elsewhere_start(&e, *state, "");
    begin(&e, &asking, HERE);
    finish(&e, &asking, ERROR_NONE);
    assert_int_equal(e.calls, 0);
    begin(&e, &asking, THERE);
    finish(&e, &asking, ERROR_NONE);
    assert_int_equal(e.calls, 1);
    elsewhere_end(&e);
}

/* Without an answer there is a reason. */
static void no_answer_has_a_reason(void **state)
{
    struct elsewhere e;
    struct asking asking;
    elsewhere_start(&e, *state, "");
    e.mode = CALLS_REFUSED;
    begin(&e, &asking, THERE);
    finish(&e, &asking, ERROR_LEADER_NOT_AVAILABLE);
    e.mode = CALLS_HANG;
    begin(&e, &asking, THERE);
    finish(&e, &asking, ERROR_REQUEST_TIMED_OUT);
    begin(&e, &asking, THERE);
    ask_cancel(&asking.ask);
    finish(&e, &asking, ERROR_INTERRUPTED);
    elsewhere_end(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BROKER(both_are_answered),
        WITH_BROKER(no_answer_has_a_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
