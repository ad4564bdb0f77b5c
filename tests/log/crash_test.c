/* SPDX-License-Identifier: Apache-2.0 */
/* Power cuts: whatever call they hit and whatever subset of unsynced sectors and names the disk
 * keeps, every synced record is there afterwards, equal, and none is that was not appended. */
#include "log/fixture.h"

#include <stdio.h>

enum { EPOCHS_MAX = 4096 };

struct life {
    struct fixture fixture;
    struct random random;
    int64_t appended; /* The highest end offset ever reached in this life. */
    int64_t synced;   /* Acknowledged as synced. */
    int64_t checkpoint;
    int32_t epoch; /* Of the leader it follows, or is. */
    bool used[EPOCHS_MAX];
};

static void epoch_new(struct life *life)
{
    life->fixture.leader_epoch += 3;
    life->epoch = life->fixture.leader_epoch;
    assert_true(life->epoch < EPOCHS_MAX);
}

/* A follower's truncation: what is cut need not be there any more, nor be gone. */
static enum error cut(struct life *life, struct log *log)
{
    int64_t lowest = log_visible_offset(log);
    int64_t offset = lowest + (int64_t)(random_next(&life->random) %
                                        (uint64_t)(log_end_offset(log) - lowest + 1));
    /* The batch that holds the offset goes whole. */
    if (life->synced > offset - 12)
        life->synced = offset - 12 > lowest ? offset - 12 : lowest;
    if (life->checkpoint > lowest) /* Checkpointed before the truncation begins. */
        life->checkpoint = lowest;
    enum error error = log_truncate(log, offset);
    /* What the new leader sends may be of an epoch older than what was cut, but never of one that
     * began elsewhere. */
    int32_t latest = log_epoch_latest(log);
    int32_t epoch = latest + (int32_t)(random_next(&life->random) %
                                       (uint64_t)(life->fixture.leader_epoch - latest + 1));
    if (epoch >= 0 && (epoch == latest || !life->used[epoch]))
        life->epoch = epoch;
    else
        epoch_new(life);
    return error;
}

/* Lives until a call fails; every few calls what a partition would do. */
static void live(struct life *life, int steps)
{
    struct log *log = life->fixture.log;
    for (int i = 0; i < steps; i++) {
        enum error error = ERROR_NONE;
        if (random_next(&life->random) % 20 == 0)
            epoch_new(life);
        switch (random_next(&life->random) % 10) {
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
        case 3:
            error = cut(life, log);
            break;
        case 4: {
            uint32_t deleted;
            error = log_retention(log, SIMULATED_WALL_CLOCK_MS, &deleted);
            log_remove_deleted(log, INT64_MAX);
            break;
        }
        default:
            life->appended = log_end_offset(log);
            life->used[life->epoch] = true;
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

/* Every batch is of the epoch that the log says, whatever became of its file. */
static void epochs_verify(struct log *log)
{
    struct log_slice slice;
    int64_t offset = log_start_offset(log);
    int32_t epoch = -1;
    while (offset < log_end_offset(log)) {
        assert_int_equal(log_read(log, offset, 1, true, LOG_READ_END, &slice), ERROR_NONE);
        uint8_t bytes[BATCH_HEADER_BYTES];
        size_t size;
        assert_int_equal(storage_read(slice.file, slice.position, bytes, sizeof bytes, &size),
                         ERROR_NONE);
        struct batch_header header;
        assert_int_equal(batch_header_peek(bytes, size, &header), ERROR_NONE);
        log_slice_release(&slice);
        assert_int_equal(log_epoch_at(log, offset), header.leader_epoch);
        offset = batch_last_offset(&header) + 1;
        assert_int_equal(log_epoch_at(log, offset - 1), header.leader_epoch);
        epoch = header.leader_epoch;
    }
    assert_true(epoch <= log_epoch_latest(log));
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
    int64_t start = log_start_offset(fixture->log);
    assert_true(start <= life->synced || start == 0);
    assert_int_equal(fixture_verify(fixture->log, start), end);
    log_visible_advance(fixture->log, start); /* The rest is what live() declares. */
    assert_int_equal(log_text_start(fixture->log), 0);
    uint64_t text;
    assert_int_equal(log_text_of_offset(fixture->log, end, &text), ERROR_NONE);
    assert_int_equal(text, fixture_text_between(start, end));
    epochs_verify(fixture->log);
    if (life->epoch < log_epoch_latest(fixture->log))
        life->epoch = log_epoch_latest(fixture->log);
}

static void run(uint64_t seed, unsigned operations)
{
    struct life life = {0};
    fixture_init(&life.fixture, seed);
    random_seed(&life.random, seed);
    life.fixture.config.segment_bytes = 800 + (int64_t)(seed % 5) * 700;
    life.fixture.config.index_interval_bytes = 300;
    life.fixture.config.retention_bytes = 2500;
    life.fixture.config.file_delete_delay_ms = 0;
    life.checkpoint = -1;
    life.fixture.leader_epoch = 0;
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

/* Many lives of four crashes each, the power going at any changing call. SEED and SEEDS in the
 * environment choose others. */
static void a_power_cut_loses_nothing_synced(void **state)
{
    (void)state;
    const char *first = getenv("SEED");
    uint64_t seed = first == NULL ? 1 : strtoull(first, NULL, 10);
    uint64_t count = getenv("SEEDS") == NULL ? 400 : strtoull(getenv("SEEDS"), NULL, 10);
    for (uint64_t i = 0; i < count; i++) {
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
