/* SPDX-License-Identifier: Apache-2.0 */
/* Retention and checkpoints, when their time comes. */
#include "partition_fixture.h"

#include <cmocka.h>

enum { CHECKPOINT_MS = 60000, RETENTION_MS = 300000 };

/* Appends `count` records without waiting for a commit. */
static void append_many(struct partition_fixture *f, struct partition *partition, int count)
{
    for (int i = 0; i < count; i++) {
        struct fixture_append append;
        fixture_append_start(partition, &append, 1, 1, FIXTURE_WAIT_MS);
        fixture_run_tasks(f);
        fixture_run(f);
        assert_int_equal(append.append.error, ERROR_NONE);
        fixture_append_done(&append);
    }
}

/* A node that is killed after a checkpoint has its offsets, also where nothing else syncs. */
static void a_checkpoint_keeps_offsets(void **state)
{
    struct partition_fixture *f = *state;
    f->config.durability = PARTITION_REPLICATED;
    append_many(f, fixture_assign(f, "orders", 1, 0), 3);
    assert_int_equal(log_directory_recovery_point(f->directory, "orders", 0), -1);
    /* The first one begins the sync, the second notes how far it came. */
    simulated_executor_run_for(f->events, 2 * CHECKPOINT_MS + 1000);
    assert_int_equal(log_directory_recovery_point(f->directory, "orders", 0), 3);
    assert_int_equal(log_directory_high_watermark(f->directory, "orders", 0), 3);
    struct log_directory *found;
    assert_int_equal(log_directory_open(simulated_storage_seam(f->disk),
                                        simulated_executor_seam(f->events), &found, NULL),
                     ERROR_NONE);
    assert_int_equal(log_directory_recovery_point(found, "orders", 0), 3);
    assert_int_equal(log_directory_high_watermark(found, "orders", 0), 3);
    log_directory_close(found);
}

/* A checkpoint that cannot be written is written the next time. */
static void a_failed_checkpoint_is_tried_again(void **state)
{
    struct partition_fixture *f = *state;
    append_many(f, fixture_assign(f, "orders", 1, 0), 2);
    struct simulated_fault fault = {.operations = SIMULATED_RENAME,
                                    .path_part = "checkpoint",
                                    .error = ERROR_STORAGE,
                                    .persistent = true};
    simulated_storage_fail(f->disk, &fault);
    simulated_executor_run_for(f->events, CHECKPOINT_MS + 1000);
    uint64_t size;
    assert_null(simulated_storage_contents(f->disk, "recovery-point-offset-checkpoint", &size));
    simulated_storage_fail_end(f->disk);
    simulated_executor_run_for(f->events, CHECKPOINT_MS);
    assert_non_null(simulated_storage_contents(f->disk, "recovery-point-offset-checkpoint", &size));
}

/* Segments beyond retention.bytes go when retention looks, their files after the delay. */
static void retention_deletes_when_its_time_comes(void **state)
{
    struct partition_fixture *f = *state;
    f->config.log.segment_bytes = 400;
    f->config.log.retention_bytes = 1000;
    struct partition *partition = fixture_assign(f, "orders", 1, 0);
    append_many(f, partition, 60);
    struct log *log;
    assert_int_equal(partition_log(partition, &log), ERROR_NONE);
    uint32_t segments = log_segment_count(log);
    assert_true(segments > 5);
    assert_int_equal(log_start_offset(log), 0);
    simulated_executor_run_for(f->events, RETENTION_MS + 1000);
    assert_true(log_segment_count(log) < segments);
    assert_true(log_start_offset(log) > 0);
    assert_int_equal(log_end_offset(log), 60);
    assert_true(log_size_bytes(log) <= 1400);
    simulated_executor_run_for(f->events, RETENTION_MS);
    uint64_t size;
    assert_null(
        simulated_storage_contents(f->disk, "orders-0/00000000000000000000.log.deleted", &size));
    assert_string_equal(f->reported, "");
}

/* A partition nobody uses and that keeps everything is not even opened. */
static void retention_leaves_idle_partitions_closed(void **state)
{
    struct partition_fixture *f = *state;
    append_many(f, fixture_assign(f, "orders", 1, 0), 3);
    fixture_close(f, true);
    fixture_open(f);
    (void)fixture_assign(f, "orders", 1, 0);
    uint64_t opens = simulated_storage_counters(f->disk).opens;
    simulated_executor_run_for(f->events, RETENTION_MS + 1000);
    assert_int_equal(simulated_storage_counters(f->disk).opens, opens);
    f->config.log.retention_ms = 1000;
    partition_table_configure(f->table, "orders", &f->config);
    simulated_executor_run_for(f->events, RETENTION_MS);
    assert_true(simulated_storage_counters(f->disk).opens > opens);
}

/* A failed deletion is told, costs nothing, and is tried again. */
static void a_failed_deletion_is_reported_and_tried_again(void **state)
{
    struct partition_fixture *f = *state;
    f->config.log.segment_bytes = 400;
    f->config.log.retention_bytes = 1000;
    struct partition *partition = fixture_assign(f, "orders", 1, 0);
    append_many(f, partition, 60);
    struct simulated_fault fault = {.operations = SIMULATED_RENAME,
                                    .path_part = ".deleted",
                                    .error = ERROR_STORAGE,
                                    .persistent = true};
    simulated_storage_fail(f->disk, &fault);
    simulated_executor_run_for(f->events, RETENTION_MS + 1000);
    assert_string_equal(f->reported, "retention_failed orders-0;");
    simulated_storage_fail_end(f->disk);
    simulated_executor_run_for(f->events, RETENTION_MS);
    struct log *log;
    assert_int_equal(partition_log(partition, &log), ERROR_NONE);
    assert_true(log_start_offset(log) > 0);
    assert_int_equal(log_end_offset(log), 60);
}

/* After a stop nothing comes any more, however long one waits. */
static void upkeep_ends_with_the_table(void **state)
{
    struct partition_fixture *f = *state;
    append_many(f, fixture_assign(f, "orders", 1, 0), 2);
    partition_table_stop(f->table);
    fixture_run(f);
    uint64_t calls = simulated_storage_counters(f->disk).calls;
    simulated_executor_run_for(f->events, 10 * RETENTION_MS);
    assert_int_equal(simulated_storage_counters(f->disk).calls, calls);
}

int main(void)
{
#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(name, partition_fixture_setup, partition_fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_checkpoint_keeps_offsets),
        TEST(a_failed_checkpoint_is_tried_again),
        TEST(retention_deletes_when_its_time_comes),
        TEST(retention_leaves_idle_partitions_closed),
        TEST(a_failed_deletion_is_reported_and_tried_again),
        TEST(upkeep_ends_with_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
