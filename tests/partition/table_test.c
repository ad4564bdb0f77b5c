/* SPDX-License-Identifier: Apache-2.0 */
/* Replicas by name and id, deletion and re-creation, clean and unclean stops, what 10,000 cost. */
#include "partition_fixture.h"

#include "base/memory.h"

#include <cmocka.h>
#include <malloc.h>
#include <stdio.h>

/* Both ways lead to the same replica; assigning again changes nothing. */
static void a_replica_is_found_by_name_and_by_id(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *partition = fixture_assign(f, "orders", 1, 3);
    struct uuid id = fixture_id(1);
    struct uuid other = fixture_id(2);

    assert_ptr_equal(fixture_assign(f, "orders", 1, 3), partition);
    assert_ptr_equal(partition_table_find(f->table, slice_of("orders"), 3), partition);
    assert_ptr_equal(partition_table_find_id(f->table, &id, 3), partition);
    assert_null(partition_table_find(f->table, slice_of("orders"), 0));
    assert_null(partition_table_find(f->table, slice_of("orders"), 4));
    assert_null(partition_table_find(f->table, slice_of("orders"), -1));
    assert_null(partition_table_find(f->table, slice_of("order"), 3));
    assert_null(partition_table_find_id(f->table, &other, 3));
}

/* Invariant 18: a topic made again under a deleted one's name shares nothing with it, also while
 * the old one is held, and after restarts of both kinds. */
static void a_topic_made_again_is_empty(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *old = partition_ref(fixture_assign(f, "orders", 1, 0));
    for (int i = 0; i < 4; i++)
        (void)fixture_append_one(f, old);
    partition_table_remove(f->table, "orders", 0);

    struct partition *partition = fixture_assign(f, "orders", 2, 0);
    assert_ptr_not_equal(partition, old);
    assert_int_equal(fixture_append_one(f, partition), 0);
    partition_unref(old);
    fixture_run(f);

    for (int clean = 0; clean < 2; clean++) {
        fixture_close(f, clean != 0);
        simulated_storage_crash_losing_all(f->disk);
        fixture_open(f);
        partition = fixture_assign(f, "orders", 2, 0);
        partition_table_recover(f->table);
        assert_int_equal(fixture_end(partition), 1);
        fixture_run(f);
    }
}

/* The checkpoints of a deleted topic are not believed of a later one. */
static void a_deletion_takes_its_checkpoints_along(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *partition = fixture_assign(f, "orders", 1, 0);
    for (int i = 0; i < 4; i++)
        (void)fixture_append_one(f, partition);
    simulated_executor_run_for(f->events, 70000); /* A checkpoint. */
    partition_table_remove(f->table, "orders", 0);
    fixture_run(f);

    fixture_close(f, false);
    simulated_storage_crash_losing_all(f->disk);
    fixture_open(f);

    assert_int_equal(log_directory_recovery_point(f->directory, "orders", 0), -1);
    partition = fixture_assign(f, "orders", 2, 0);
    assert_int_equal(partition_role(partition), PARTITION_LEADER);
    assert_int_equal(fixture_append_one(f, partition), 0);
}

/* A clean stop keeps everything, also of durability replicated, and a power cut after it nothing
 * less. */
static void a_clean_stop_keeps_what_was_not_synced(void **state)
{
    struct partition_fixture *f = *state;
    f->config.durability = PARTITION_REPLICATED;
    struct partition *partition = fixture_assign(f, "orders", 1, 0);
    for (int i = 0; i < 4; i++)
        (void)fixture_append_one(f, partition);

    fixture_close(f, true);
    simulated_storage_crash_losing_all(f->disk);
    fixture_open(f);

    assert_true(log_directory_was_clean(f->directory));
    partition = fixture_assign(f, "orders", 1, 0);
    assert_int_equal(fixture_end(partition), 4);
    assert_int_equal(fixture_high_watermark(partition), 4);
}

/* Who waits at a stop hears of it; a stopped table takes nothing. */
static void a_stop_ends_those_that_wait(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *partition = fixture_assign(f, "orders", 1, 0);
    struct fixture_append waits, late;
    fixture_append_start(partition, &waits, 1, -1, FIXTURE_WAIT_MS);
    partition_table_stop(f->table);
    fixture_append_start(partition, &late, 1, -1, FIXTURE_WAIT_MS);

    fixture_run(f);

    assert_int_equal(waits.append.error, ERROR_CLOSING);
    assert_int_equal(late.append.error, ERROR_CLOSING);
    fixture_append_done(&waits);
    fixture_append_done(&late);
}

/* A stop waits for the files of deleted topics. */
static void a_stop_waits_for_removals(void **state)
{
    struct partition_fixture *f = *state;
    (void)fixture_append_one(f, fixture_assign(f, "orders", 1, 0));
    partition_table_remove(f->table, "orders", 0);
    assert_false(partition_table_idle(f->table));
    fixture_run(f);
    assert_true(partition_table_idle(f->table));
}

/* One idle partition stays under 8 KiB: a log is opened on first use. */
static void ten_thousand_idle_partitions_are_cheap(void **state)
{
    struct partition_fixture *f = *state;
    struct partition_assignment alone = partition_assigned_alone(0, 0);
    size_t before = mallinfo2().uordblks;
    for (int i = 0; i < 10000; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "t%d", i / 10);
        struct uuid id = fixture_id(1);
        id.bytes[1] = (uint8_t)(i / 10);
        id.bytes[2] = (uint8_t)(i / 10 / 256);
        assert_int_equal(
            partition_table_assign(f->table, name, &id, i % 10, &f->config, &alone, NULL, NULL),
            ERROR_NONE);
    }
    size_t used = mallinfo2().uordblks - before;
    assert_true(used < (size_t)10000 * 8192);
    assert_int_equal(simulated_storage_counters(f->disk).writes, 0);
}

/* Refused memory leaves no half-made replica. */
static void assigning_without_memory_changes_nothing(void **state)
{
    struct partition_fixture *f = *state;
    struct uuid id = fixture_id(1);
    struct partition_assignment alone = partition_assigned_alone(0, 0);
    enum error error = ERROR_OUT_OF_MEMORY;
    for (long countdown = 0; error != ERROR_NONE; countdown++) {
        memory_fault_arm(countdown);
        error = partition_table_assign(f->table, "orders", &id, 0, &f->config, &alone, NULL, NULL);
        memory_fault_arm(-1);
        if (error != ERROR_NONE) {
            assert_int_equal(error, ERROR_OUT_OF_MEMORY);
            assert_null(partition_table_find(f->table, slice_of("orders"), 0));
        }
    }
    assert_non_null(partition_table_find(f->table, slice_of("orders"), 0));
}

int main(void)
{
#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(name, partition_fixture_setup, partition_fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_replica_is_found_by_name_and_by_id),
        TEST(a_topic_made_again_is_empty),
        TEST(a_deletion_takes_its_checkpoints_along),
        TEST(a_clean_stop_keeps_what_was_not_synced),
        TEST(a_stop_ends_those_that_wait),
        TEST(a_stop_waits_for_removals),
        TEST(ten_thousand_idle_partitions_are_cheap),
        TEST(assigning_without_memory_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
