/* SPDX-License-Identifier: Apache-2.0 */
/* The log's epochs: on stable storage before their first batch. */
#include "log/fixture.h"

/* After a power cut that loses all unsynced, the epoch file is there with what was assigned. */
static void an_epoch_is_synced_before_its_batch(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 121);
    fixture_open(&fixture, false, -1);
    fixture_append(fixture.log, 5, 3);
    assert_int_equal(fixture_sync(fixture.log), ERROR_NONE);
    assert_int_equal(log_epoch_assign(fixture.log, 8, 5), ERROR_NONE);
    log_discard(fixture.log);
    simulated_storage_crash_losing_all(fixture.disk);
    uint64_t size;
    const uint8_t *text = simulated_storage_contents(
        fixture.disk, FIXTURE_DIRECTORY "/leader-epoch-checkpoint", &size);
    assert_non_null(text);
    assert_memory_equal(text, "0\n2\n3 0\n8 5\n", size);
    fixture_open(&fixture, false, 0);
    assert_int_equal(log_epoch_at(fixture.log, 4), 3);
    int32_t epoch;
    int64_t end;
    log_epoch_end(fixture.log, 3, &epoch, &end);
    assert_int_equal(epoch, 3);
    assert_int_equal(end, 5);
    fixture_done(&fixture);
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
    log_discard(fixture.log);
    simulated_storage_crash_losing_all(fixture.disk);
    uint64_t size;
    const uint8_t *text = simulated_storage_contents(
        fixture.disk, FIXTURE_DIRECTORY "/leader-epoch-checkpoint", &size);
    assert_non_null(text);
    assert_memory_equal(text, "0\n1\n3 0\n", size);
    assert_non_null(
        simulated_storage_contents(fixture.disk, FIXTURE_DIRECTORY "/partition.metadata", &size));
    fixture_open(&fixture, false, 0);
    assert_int_equal(log_end_offset(fixture.log), 5);
    assert_int_equal(log_epoch_latest(fixture.log), 3);
    fixture_done(&fixture);
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
        cmocka_unit_test(an_epoch_is_synced_before_its_batch),
        cmocka_unit_test(a_new_log_is_synced_with_its_first_records),
        cmocka_unit_test(an_epoch_that_cannot_be_stored_writes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
