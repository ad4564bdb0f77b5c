/* SPDX-License-Identifier: Apache-2.0 */
/* Group commit, and the end of it: a sync that fails. */
#include "partition_fixture.h"

#include <cmocka.h>

enum { PRODUCERS = 64 };

/* Whoever arrives while a sync runs shares the next one: 64 producers, two flushes at most. */
static void appends_that_arrive_together_share_a_sync(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *partition = fixture_assign(f, "orders", 1, 0);
    (void)fixture_append_one(f, partition);
    uint64_t before = simulated_storage_counters(f->disk).syncs;
    struct fixture_append appends[PRODUCERS];
    for (int i = 0; i < PRODUCERS; i++)
        fixture_append_start(partition, &appends[i], 1, -1, FIXTURE_WAIT_MS);

    fixture_run(f);

    for (int i = 0; i < PRODUCERS; i++) {
        assert_int_equal(appends[i].done, 1);
        assert_int_equal(appends[i].append.error, ERROR_NONE);
        assert_int_equal(appends[i].append.base_offset, 1 + i);
        fixture_append_done(&appends[i]);
    }
    assert_true(simulated_storage_counters(f->disk).syncs <= before + 2);
}

/* After a failed sync nobody is told yes, no sync is tried again, and reads go on. */
static void a_failed_sync_is_final_and_reads_go_on(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *partition = fixture_assign(f, "orders", 1, 0);
    (void)fixture_append_one(f, partition);
    struct simulated_fault fault = {.operations = SIMULATED_SYNC, .error = ERROR_STORAGE};
    simulated_storage_fail(f->disk, &fault);
    struct fixture_append waits, later;
    fixture_append_start(partition, &waits, 1, -1, FIXTURE_WAIT_MS);
    fixture_run(f);
    assert_int_equal(waits.append.error, ERROR_STORAGE);
    assert_string_equal(f->reported, "sync_failed orders-0;");

    fixture_append_start(partition, &later, 1, -1, FIXTURE_WAIT_MS);
    uint64_t before = simulated_storage_counters(f->disk).syncs;
    fixture_run(f);

    assert_int_equal(later.append.error, ERROR_STORAGE);
    assert_int_equal(partition_sync(partition), ERROR_STORAGE);
    assert_int_equal(simulated_storage_counters(f->disk).syncs, before);
    struct log_slice slice;
    struct partition_offsets offsets;
    assert_int_equal(
        partition_read(partition, -1, 0, 1000, true, PARTITION_READ_UNCOMMITTED, &slice, &offsets),
        ERROR_NONE);
    assert_int_equal(offsets.high_watermark, 1);
    assert_true(slice.size > 0);
    log_slice_release(&slice);
    fixture_append_done(&waits);
    fixture_append_done(&later);
}

/* What was acknowledged before the sync failed is there after a power cut. */
static void a_failed_sync_is_no_clean_stop(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *partition = fixture_assign(f, "orders", 1, 0);
    (void)fixture_append_one(f, partition);
    struct simulated_fault fault = {.operations = SIMULATED_SYNC, .error = ERROR_STORAGE};
    simulated_storage_fail(f->disk, &fault);
    struct fixture_append append;
    fixture_append_start(partition, &append, 1, -1, FIXTURE_WAIT_MS);
    fixture_run(f);
    fixture_append_done(&append);
    simulated_storage_fail_end(f->disk);

    fixture_close(f, true);
    simulated_storage_crash_losing_all(f->disk);
    fixture_open(f);

    assert_false(log_directory_was_clean(f->directory));
    partition = fixture_assign(f, "orders", 1, 0);
    assert_int_equal(fixture_end(partition), 1);
}

/* A laxer durability lets go of those that wait. */
static void a_change_to_replicated_commits_what_waits(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *partition = fixture_assign(f, "orders", 1, 0);
    simulated_executor_work_takes(f->events, 5000);
    struct fixture_append append;
    fixture_append_start(partition, &append, 1, -1, FIXTURE_WAIT_MS);
    f->config.durability = PARTITION_REPLICATED;

    partition_table_configure(f->table, "orders", &f->config);
    fixture_run_tasks(f);

    assert_int_equal(append.done, 1);
    assert_int_equal(append.append.error, ERROR_NONE);
    fixture_append_done(&append);
    fixture_run(f);
}

int main(void)
{
#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(name, partition_fixture_setup, partition_fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(appends_that_arrive_together_share_a_sync),
        TEST(a_failed_sync_is_final_and_reads_go_on),
        TEST(a_failed_sync_is_no_clean_stop),
        TEST(a_change_to_replicated_commits_what_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
