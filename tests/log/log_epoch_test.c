/* SPDX-License-Identifier: Apache-2.0 */
/* The log's epochs: in their file before their first batch, on stable storage with it. */
#include "log/fixture.h"

/* A power cut; what the epoch file on the disk is then. */
static void lose_unsynced(struct fixture *fixture, const char *expected_epochs)
{
    log_discard(fixture->log);
    fixture->log = NULL;
    simulated_storage_crash_losing_all(fixture->disk);
    uint64_t size;
    const uint8_t *text = simulated_storage_contents(
        fixture->disk, FIXTURE_DIRECTORY "/leader-epoch-checkpoint", &size);
    assert_non_null(text);
    assert_int_equal(size, strlen(expected_epochs));
    assert_memory_equal(text, expected_epochs, size);
}

/* What a power cut leaves of the epoch file is what it was at the last sync: not even the name of
 * the new one. */
static void epoch_file_put_back(struct fixture *fixture, const char *text)
{
    assert_int_equal(storage_replace_whole(fixture->storage,
                                           FIXTURE_DIRECTORY "/leader-epoch-checkpoint", text,
                                           strlen(text)),
                     ERROR_NONE);
}

/* A log of five synced records of epoch 3 and, of later epochs, what no sync has covered. */
static void open_synced(struct fixture *fixture, uint64_t seed)
{
    fixture_init(fixture, seed);
    fixture_open(fixture, false, -1);
    fixture_append(fixture->log, 5, 3);
    assert_int_equal(fixture_sync(fixture->log), ERROR_NONE);
}

static void reopen(struct fixture *fixture, int64_t recovery_point, int32_t leader_epoch)
{
    log_discard(fixture->log);
    fixture->log = NULL;
    fixture->leader_epoch = leader_epoch;
    fixture_open(fixture, false, recovery_point);
}

/* A new epoch of a log that holds records syncs nothing by itself; the sync of its first batch
 * takes it along, so that after a power cut that loses all unsynced both are there. */
static void an_epoch_is_synced_with_its_first_batch(void **state)
{
    (void)state;
    struct fixture fixture;
    open_synced(&fixture, 121);
    struct simulated_fault fault = {.operations = SIMULATED_SYNC | SIMULATED_SYNC_DIRECTORY,
                                    .error = ERROR_STORAGE,
                                    .persistent = true};
    simulated_storage_fail(fixture.disk, &fault);
    fixture_append(fixture.log, 2, 8);
    simulated_storage_fail_end(fixture.disk);
    assert_int_equal(log_synced_offset(fixture.log), 5);
    assert_int_equal(fixture_sync(fixture.log), ERROR_NONE);
    assert_int_equal(log_synced_offset(fixture.log), 7);
    lose_unsynced(&fixture, "0\n2\n3 0\n8 5\n");
    fixture_open(&fixture, false, 7);
    assert_int_equal(log_epoch_at(fixture.log, 4), 3);
    int32_t epoch;
    int64_t end;
    log_epoch_end(fixture.log, 3, &epoch, &end);
    assert_int_equal(epoch, 3);
    assert_int_equal(end, 5);
    fixture_done(&fixture);
}

/* Nothing but an epoch has begun: that is synced, too, when somebody asks. */
static void an_epoch_without_a_batch_can_be_synced(void **state)
{
    (void)state;
    struct fixture fixture;
    open_synced(&fixture, 124);
    assert_int_equal(log_epoch_assign(fixture.log, 8, 5), ERROR_NONE);
    assert_int_equal(fixture_sync(fixture.log), ERROR_NONE);
    lose_unsynced(&fixture, "0\n2\n3 0\n8 5\n");
    fixture_done(&fixture);
}

/* The disk kept a batch that no sync had covered and not the file with its epoch, alone or with a
 * torn one behind it: no damage, and the epoch is known again. */
static void an_unsynced_batch_tells_its_epoch(void **state)
{
    (void)state;
    for (int torn = 0; torn < 2; torn++) {
        struct fixture fixture;
        open_synced(&fixture, 125);
        fixture_append(fixture.log, 2, 8);
        uint64_t size = (uint64_t)log_size_bytes(fixture.log);
        fixture_append(fixture.log, 3, 8);
        epoch_file_put_back(&fixture, "0\n1\n3 0\n");
        struct storage_file *file;
        assert_int_equal(storage_open(fixture.storage,
                                      FIXTURE_DIRECTORY "/00000000000000000000.log", STORAGE_WRITE,
                                      &file),
                         ERROR_NONE);
        assert_int_equal(storage_truncate(file, size + 70 * (uint64_t)torn), ERROR_NONE);
        storage_close(file);
        reopen(&fixture, 5, 8);
        assert_int_equal(log_damage(fixture.log).offset, -1);
        assert_int_equal(log_end_offset(fixture.log), 7);
        assert_int_equal(log_epoch_at(fixture.log, 4), 3);
        assert_int_equal(log_epoch_at(fixture.log, 5), 8);
        fixture_append(fixture.log, 2, 8);
        fixture_done(&fixture);
    }
}

/* The same batch, when its owner never heard of such an epoch: rot. */
static void an_epoch_that_nobody_knows_is_damage(void **state)
{
    (void)state;
    struct fixture fixture;
    open_synced(&fixture, 126);
    fixture_append(fixture.log, 2, 8);
    epoch_file_put_back(&fixture, "0\n1\n3 0\n");
    reopen(&fixture, 5, 7);
    assert_int_equal(log_damage(fixture.log).offset, 5);
    assert_int_equal(log_end_offset(fixture.log), 7);
    fixture_done(&fixture);
}

/* The disk kept an epoch whose batches were truncated away, and not the file written then: where
 * other batches came in their place it is forgotten. */
static void an_epoch_that_was_truncated_away_does_not_come_back(void **state)
{
    (void)state;
    for (int32_t epoch = 3; epoch <= 9; epoch++) {
        if (epoch == 8)
            continue; /* One leader wrote it. */
        struct fixture fixture;
        open_synced(&fixture, 127);
        fixture_append(fixture.log, 2, 3);
        fixture_append(fixture.log, 3, 8);
        assert_int_equal(log_truncate(fixture.log, 5), ERROR_NONE);
        fixture_append(fixture.log, 6, epoch);
        fixture_append(fixture.log, 2, epoch);
        epoch_file_put_back(&fixture, "0\n2\n3 0\n8 7\n");
        reopen(&fixture, 5, 9);
        assert_int_equal(log_damage(fixture.log).offset, -1);
        assert_int_equal(log_end_offset(fixture.log), 13);
        assert_int_equal(log_epoch_latest(fixture.log), epoch);
        assert_int_equal(log_epoch_at(fixture.log, 4), 3);
        assert_int_equal(log_epoch_at(fixture.log, 5), epoch);
        assert_int_equal(log_epoch_at(fixture.log, 12), epoch);
        int64_t end;
        int32_t found;
        log_epoch_end(fixture.log, 3, &found, &end);
        assert_int_equal(found, 3);
        assert_int_equal(end, epoch == 3 ? 13 : 5);
        fixture_done(&fixture);
    }
}

/* A new log, its directory, whose it is and its first epoch are on stable storage with the first
 * records, by the one sync. */
static void a_new_log_is_synced_with_its_first_records(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 123);
    struct simulated_fault fault = {.operations = SIMULATED_SYNC | SIMULATED_SYNC_DIRECTORY,
                                    .error = ERROR_STORAGE,
                                    .persistent = true};
    simulated_storage_fail(fixture.disk, &fault);
    fixture_open(&fixture, false, -1);
    fixture_append(fixture.log, 5, 3); /* Nothing of this syncs. */
    simulated_storage_fail_end(fixture.disk);
    assert_int_equal(fixture_sync(fixture.log), ERROR_NONE);
    lose_unsynced(&fixture, "0\n1\n3 0\n");
    assert_non_null(simulated_storage_contents(
        fixture.disk, FIXTURE_DIRECTORY "/partition.metadata", &(uint64_t){0}));
    fixture_open(&fixture, false, 0);
    assert_int_equal(log_end_offset(fixture.log), 5);
    assert_int_equal(log_epoch_latest(fixture.log), 3);
    fixture_done(&fixture);
}

/* The making of a log that failed half way, at any call, leaves nothing that a later one takes for
 * synced: not after a clean stop either, which knew nothing of a log that it could not open. */
static void a_log_that_was_half_made_keeps_what_it_syncs(void **state)
{
    (void)state;
    bool failed = true;
    for (long countdown = 0; failed; countdown++) {
        struct fixture fixture;
        fixture_init(&fixture, 124);
        struct simulated_fault fault = {.operations =
                                            SIMULATED_OPEN | SIMULATED_WRITE | SIMULATED_RENAME,
                                        .countdown = countdown,
                                        .error = ERROR_STORAGE};
        simulated_storage_fail(fixture.disk, &fault);
        failed = fixture_try_open(&fixture, false, -1) != ERROR_NONE;
        simulated_storage_fail_end(fixture.disk);
        assert_true(failed || countdown > 3);
        if (!failed)
            log_close(fixture.log, true);
        fixture_open(&fixture, true, -1);
        fixture_append(fixture.log, 5, 3);
        assert_int_equal(fixture_sync(fixture.log), ERROR_NONE);
        log_discard(fixture.log);
        simulated_storage_crash_losing_all(fixture.disk);
        fixture_open(&fixture, false, 5);
        assert_int_equal(log_end_offset(fixture.log), 5);
        assert_int_equal(log_epoch_latest(fixture.log), 3);
        fixture_done(&fixture);
    }
}

/* An epoch that cannot be stored is not assigned, and its batch not written. */
static void an_epoch_that_cannot_be_stored_writes_nothing(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 122);
    fixture_open(&fixture, false, -1);
    fixture_append(fixture.log, 5, 3);
    struct simulated_fault fault = {
        .operations = SIMULATED_RENAME, .path_part = "epoch", .error = ERROR_STORAGE};
    simulated_storage_fail(fixture.disk, &fault);
    assert_int_equal(fixture_try_append(fixture.log, 5, 4), ERROR_STORAGE);
    assert_int_equal(log_epoch_latest(fixture.log), 3);
    fixture_append(fixture.log, 5, 4);
    assert_int_equal(log_epoch_at(fixture.log, 5), 4);
    fixture_done(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_epoch_is_synced_with_its_first_batch),
        cmocka_unit_test(an_epoch_without_a_batch_can_be_synced),
        cmocka_unit_test(an_unsynced_batch_tells_its_epoch),
        cmocka_unit_test(an_epoch_that_nobody_knows_is_damage),
        cmocka_unit_test(an_epoch_that_was_truncated_away_does_not_come_back),
        cmocka_unit_test(a_new_log_is_synced_with_its_first_records),
        cmocka_unit_test(a_log_that_was_half_made_keeps_what_it_syncs),
        cmocka_unit_test(an_epoch_that_cannot_be_stored_writes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
