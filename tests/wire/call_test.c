/* SPDX-License-Identifier: Apache-2.0 */
/* What every implementation of the seam to other nodes shares. */
#include "base/assertion.h"
#include "sim/simulated_executor.h"
#include "wire/call.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static int ended;

static void note_end(struct call *call)
{
    (void)call;
    ended++;
}

/* A cluster of one has nobody to call; the end still comes later, as the contract says. */
static void without_a_network_a_call_ends_unsent(void **state)
{
    (void)state;
    struct simulated_executor *executor = simulated_executor_new(1, NULL);
    struct call call;
    call_init(&call, NULL, api_find(API_METADATA), 2, CALL_CONTROL, 1000);
    call.done = note_end;
    ended = 0;
    call_start(simulated_executor_seam(executor), &call);
    assert_int_equal(ended, 0);
    simulated_executor_run_until_idle(executor);
    assert_int_equal(ended, 1);
    assert_int_equal(call.error, ERROR_LEADER_NOT_AVAILABLE);
    assert_null(call.response);
    call_done(&call);
    simulated_executor_free(executor);
}

/* The newest version of the API is asked for. */
static void a_call_has_the_newest_version(void **state)
{
    (void)state;
    struct call call;
    call_init(&call, NULL, api_find(API_PRODUCE), 2, CALL_PRODUCE, 1000);
    assert_int_equal(call.version, api_find(API_PRODUCE)->version_max);
    call_done(&call);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_network_a_call_ends_unsent),
        cmocka_unit_test(a_call_has_the_newest_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
