/* SPDX-License-Identifier: Apache-2.0 */
/* Power cuts: whatever call they hit and whatever subset of unsynced sectors and names the disk
 * keeps, every synced record is there afterwards, equal, and none is that was not appended. */
#include "log/fixture.h"

#include <stdio.h>

struct life {
    struct fixture fixture;
    struct random random;
    int64_t appended; /* The highest end offset ever reached in this life. */
    int64_t synced;   /* Acknowledged as synced. */
    int64_t checkpoint;
    int32_t epoch;
};

/* Lives until a call fails; every few calls what a partition would do. */
static void live(struct life *life, int steps)
{
    struct log *log = life->fixture.log;
    for (int i = 0; i < steps; i++) {
        enum error error = ERROR_NONE;
        if (random_next(&life->random) % 20 == 0)
            life->epoch++;
        switch (random_next(&life->random) % 8) {
        case 0:
            error = fixture_sync(log);
            break;
        case 1:
            log_visible_advance(log, log_synced_offset(log));
            life->checkpoint = log_recovery_point(log);
            break;
        case 2:
            if (random_next(&life->random) % 4 == 0)
                error = log_roll(log);
            break;
        default:
            life->appended = log_end_offset(log);
            error =
                fixture_try_append(log, 1 + (int)(random_next(&life->random) % 12), life->epoch);
            break;
        }
        if (log_end_offset(log) > life->appended)
            life->appended = log_end_offset(log);
        if (log_synced_offset(log) > life->synced)
            life->synced = log_synced_offset(log);
        if (error != ERROR_NONE) {
            life->appended += 12; /* The batch that failed may be there. */
            return;
        }
    }
}

/* Reopens after a cut and checks what the header promises. */
static void reopen(struct life *life)
{
    struct fixture *fixture = &life->fixture;
    fixture_open(fixture, false, life->checkpoint);
    assert_int_equal(log_damage(fixture->log).offset, -1);
    int64_t end = log_end_offset(fixture->log);
    assert_true(end >= life->synced);
    assert_true(end <= life->appended);
    assert_int_equal(fixture_verify(fixture->log, 0), end);
    log_visible_advance(fixture->log, end);
    assert_int_equal(log_text_end(fixture->log), fixture_text_between(0, end));
    assert_true(log_epoch_latest(fixture->log) <= life->epoch);
}

static void run(uint64_t seed, unsigned operations)
{
    struct life life = {0};
    fixture_init(&life.fixture, seed);
    random_seed(&life.random, seed);
    life.fixture.config.segment_bytes = 3000 + (int64_t)(seed % 5) * 1000;
    life.fixture.config.index_interval_bytes = 300;
    life.checkpoint = -1;
    fixture_open(&life.fixture, false, -1);
    assert_int_equal(fixture_sync(life.fixture.log), ERROR_NONE);
    for (int round = 0; round < 4; round++) {
        struct simulated_fault fault = {.operations = operations,
                                        .countdown = (long)(random_next(&life.random) % 120),
                                        .error = ERROR_STORAGE,
                                        .persistent = true};
        simulated_storage_fail(life.fixture.disk, &fault);
        live(&life, 100);
        simulated_storage_power_off(life.fixture.disk);
        log_discard(life.fixture.log);
        life.fixture.log = NULL;
        if (seed % 7 == 0)
            simulated_storage_crash_losing_all(life.fixture.disk);
        else
            simulated_storage_crash(life.fixture.disk, &life.random);
        reopen(&life);
        life.synced = log_synced_offset(life.fixture.log);
        if (fixture_sync(life.fixture.log) == ERROR_NONE)
            life.synced = log_synced_offset(life.fixture.log);
    }
    fixture_close(&life.fixture, true);
    fixture_done(&life.fixture);
}

/* Many lives of four crashes each, the power going at any changing call. */
static void a_power_cut_loses_nothing_synced(void **state)
{
    (void)state;
    const char *first = getenv("SEED");
    uint64_t seed = first == NULL ? 1 : strtoull(first, NULL, 10);
    uint64_t count = getenv("SEEDS") == NULL ? 400 : strtoull(getenv("SEEDS"), NULL, 10);
    for (uint64_t i = 0; i < count; i++) {
        if (getenv("VERBOSE") != NULL)
            print_message("seed %llu\n", (unsigned long long)(seed + i));
        run(seed + i, SIMULATED_CHANGE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_power_cut_loses_nothing_synced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
