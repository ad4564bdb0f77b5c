/* SPDX-License-Identifier: Apache-2.0 */
/* The sweeps over faults, allocations and power cuts. */
#include "sim/sweep.h"

#include "base/memory.h"

#include <cmocka.h>

enum { SWEEP_RUNS_MAX = 100000 };

static struct simulated_storage *prepared(const struct sweep *sweep, uint64_t seed)
{
    struct simulated_storage *simulated = simulated_storage_new(seed);
    if (sweep->prepare != NULL)
        sweep->prepare(simulated_storage_seam(simulated), sweep->context);
    return simulated;
}

static void arm(const struct sweep *sweep, struct simulated_storage *simulated, int countdown)
{
    struct simulated_fault fault = {
        .operations = sweep->operations == 0 ? SIMULATED_ANY : sweep->operations,
        .countdown = countdown,
        .error = sweep->error == ERROR_NONE ? ERROR_STORAGE : sweep->error,
        .persistent = sweep->persistent,
    };
    simulated_storage_fail(simulated, &fault);
}

static void judge(const struct sweep *sweep, const char *what, int countdown, bool met,
                  enum error got)
{
    if (!met && got != ERROR_NONE)
        fail_msg("run without a fault failed: %s", error_text(got));
    if (met && got == ERROR_NONE && !sweep->may_succeed)
        fail_msg("%s %d was refused and nobody said so", what, countdown);
}

static void check(const struct sweep *sweep, struct simulated_storage *simulated, enum error got)
{
    if (sweep->check != NULL)
        sweep->check(simulated_storage_seam(simulated), sweep->context, got);
}

int sweep_faults(const struct sweep *sweep)
{
    for (int countdown = 0; countdown < SWEEP_RUNS_MAX; countdown++) {
        struct simulated_storage *simulated = prepared(sweep, sweep->seed + (uint64_t)countdown);
        arm(sweep, simulated, countdown);
        enum error got = sweep->scenario(simulated_storage_seam(simulated), sweep->context);
        bool met = simulated_storage_faults_met(simulated) > 0;
        simulated_storage_fail_end(simulated);
        judge(sweep, "storage call", countdown, met, got);
        check(sweep, simulated, got);
        simulated_storage_free(simulated);
        if (!met)
            return countdown + 1;
    }
    fail_msg("no run without a fault in %d", SWEEP_RUNS_MAX);
    return 0;
}

int sweep_memory(const struct sweep *sweep)
{
    for (int countdown = 0; countdown < SWEEP_RUNS_MAX; countdown++) {
        struct simulated_storage *simulated = prepared(sweep, sweep->seed);
        memory_fault_arm(countdown);
        enum error got = sweep->scenario(simulated_storage_seam(simulated), sweep->context);
        bool met = memory_fault_fired() != 0;
        memory_fault_arm(-1);
        judge(sweep, "allocation", countdown, met, got);
        if (met && got != ERROR_NONE && got != ERROR_OUT_OF_MEMORY)
            fail_msg("allocation %d was refused; said: %s", countdown, error_text(got));
        check(sweep, simulated, got);
        simulated_storage_free(simulated);
        if (!met)
            return countdown + 1;
    }
    fail_msg("no run without a fault in %d", SWEEP_RUNS_MAX);
    return 0;
}

/* False when the scenario ended before the power did. */
static bool crash_once(const struct sweep *sweep, int countdown, int cut)
{
    uint64_t seed = sweep->seed + (uint64_t)countdown * 1000003 + (uint64_t)cut;
    struct simulated_storage *simulated = prepared(sweep, seed);
    struct simulated_fault fault = {
        .operations = sweep->operations == 0 ? SIMULATED_CHANGE : sweep->operations,
        .countdown = countdown,
        .error = ERROR_STORAGE,
        .persistent = true,
    };
    simulated_storage_fail(simulated, &fault);
    enum error got = sweep->scenario(simulated_storage_seam(simulated), sweep->context);
    bool met = simulated_storage_faults_met(simulated) > 0;
    judge(sweep, "after the power cut, call", countdown, met, got);

    struct random random;
    random_seed(&random, seed);
    if (cut == 0)
        simulated_storage_crash_losing_all(simulated);
    else
        simulated_storage_crash(simulated, &random);
    check(sweep, simulated, got);
    simulated_storage_free(simulated);
    return met;
}

int sweep_crashes(const struct sweep *sweep, int cuts)
{
    for (int countdown = 0; countdown < SWEEP_RUNS_MAX; countdown++) {
        bool met = false;
        for (int cut = 0; cut < cuts; cut++)
            met = crash_once(sweep, countdown, cut) || met;
        if (!met)
            return countdown + 1;
    }
    fail_msg("no run without a fault in %d", SWEEP_RUNS_MAX);
    return 0;
}
