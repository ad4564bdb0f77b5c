/* SPDX-License-Identifier: Apache-2.0 */
/* Reading, waiting, leader epochs, deleting records. */
#include "partition_fixture.h"

#include <cmocka.h>

struct waiter {
    struct partition_wait wait;
    int woken;
};

static void woken(struct task *task)
{
    struct waiter *waiter =
        container_of(container_of(task, struct partition_wait, task), struct waiter, wait);
    waiter->wait.posted = false;
    waiter->woken++;
}

static void waiter_init(struct waiter *waiter)
{
    *waiter = (struct waiter){.wait.task.run = woken};
    list_init(&waiter->wait.link);
    list_init(&waiter->wait.task.link);
}

/* A waiter wakes once when the high watermark passes, not before. */
static void a_wait_wakes_when_the_high_watermark_moves(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *partition = fixture_assign(f, "orders", 1, 0);
    struct waiter waiter;
    waiter_init(&waiter);
    partition_wait_add(partition, &waiter.wait);
    fixture_run(f);
    assert_int_equal(waiter.woken, 0);

    (void)fixture_append_one(f, partition);
    (void)fixture_append_one(f, partition);

    assert_int_equal(waiter.woken, 1);
    partition_wait_remove(&waiter.wait);
}

/* A wait that is removed does not wake, also when its task was posted. */
static void a_removed_wait_does_not_wake(void **state)
{
    struct partition_fixture *f = *state;
    f->config.durability = PARTITION_REPLICATED;
    struct partition *partition = fixture_assign(f, "orders", 1, 0);
    struct waiter early, late;
    waiter_init(&early);
    waiter_init(&late);
    partition_wait_add(partition, &early.wait);
    partition_wait_add(partition, &late.wait);
    partition_wait_remove(&early.wait);
    struct fixture_append append;
    fixture_append_start(partition, &append, 1, 0, 0); /* Posts. */

    partition_wait_remove(&late.wait);
    fixture_run(f);

    assert_int_equal(early.woken + late.woken, 0);
    fixture_append_done(&append);
}

/* With durability `replicated` a record is committed before it is on stable storage: fsync(2) goes
 * on waiting until a sync of its own has ended. */
static void committed_records_are_durable_after_their_sync(void **state)
{
    struct partition_fixture *f = *state;
    f->config.durability = PARTITION_REPLICATED;
    struct partition *partition = fixture_assign(f, "orders", 1, 0);
    struct fixture_append append;
    fixture_append_start(partition, &append, 1, -1, 0);
    fixture_run_tasks(f);
    assert_int_equal(fixture_high_watermark(partition), 1);
    bool durable = true;
    assert_int_equal(partition_is_durable(partition, 1, &durable), ERROR_NONE);
    assert_false(durable);

    assert_int_equal(partition_sync(partition), ERROR_NONE);
    fixture_run(f);

    assert_int_equal(partition_is_durable(partition, 1, &durable), ERROR_NONE);
    assert_true(durable);
    assert_int_equal(partition_is_durable(partition, 2, &durable), ERROR_NONE);
    assert_false(durable);
    fixture_append_done(&append);
}

/* Deletion wakes whoever waits, and everybody who holds the partition hears of it. */
static void a_deleted_partition_answers_so(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *partition = partition_ref(fixture_assign(f, "orders", 1, 0));
    (void)fixture_append_one(f, partition);
    struct waiter waiter;
    waiter_init(&waiter);
    partition_wait_add(partition, &waiter.wait);
    struct fixture_append append;
    fixture_append_start(partition, &append, 1, -1, FIXTURE_WAIT_MS);

    partition_table_remove(f->table, "orders", 0);
    fixture_run(f);

    struct partition_offsets offsets;
    struct log_slice slice;
    assert_int_equal(waiter.woken, 1);
    assert_int_equal(append.append.error, ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_true(partition_deleted(partition));
    assert_int_equal(
        partition_read(partition, -1, 0, 1000, true, PARTITION_READ_UNCOMMITTED, &slice, &offsets),
        ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(partition_offsets(partition, &offsets), ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    fixture_append_done(&append);
    partition_unref(partition);
}

/* KIP-320: another epoch than the leader's is told apart as older or newer. */
static void another_leader_epoch_is_refused(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *partition = fixture_assign(f, "orders", 1, 0);
    struct uuid id = fixture_id(1);
    struct partition_assignment led = partition_assigned_alone(0, 4);
    assert_int_equal(
        partition_table_assign(f->table, "orders", &id, 0, &f->config, &led, NULL, NULL),
        ERROR_NONE);

    assert_int_equal(partition_check_leader(partition, -1), ERROR_NONE);
    assert_int_equal(partition_check_leader(partition, 4), ERROR_NONE);
    assert_int_equal(partition_check_leader(partition, 3), ERROR_FENCED_LEADER_EPOCH);
    assert_int_equal(partition_check_leader(partition, 5), ERROR_UNKNOWN_LEADER_EPOCH);
}

/* Reads end at the high watermark; between it and the log end there is nothing, beyond an error. */
static void a_read_ends_at_the_high_watermark(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *partition = fixture_assign(f, "orders", 1, 0);
    (void)fixture_append_one(f, partition);
    struct fixture_append append;
    fixture_append_start(partition, &append, 1, 0, 0); /* Not synced yet. */
    struct log_slice slice;
    struct partition_offsets offsets;

    assert_int_equal(
        partition_read(partition, -1, 1, 1000, true, PARTITION_READ_UNCOMMITTED, &slice, &offsets),
        ERROR_NONE);
    assert_int_equal(slice.size, 0);
    assert_int_equal(offsets.log_end_offset, 2);
    assert_int_equal(
        partition_read(partition, -1, 3, 1000, true, PARTITION_READ_UNCOMMITTED, &slice, &offsets),
        ERROR_OFFSET_OUT_OF_RANGE);
    fixture_run(f);
    fixture_append_done(&append);
}

/* DeleteRecords moves the log start, not beyond the high watermark, and it stays there. */
static void deleted_records_stay_deleted_after_a_power_cut(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *partition = fixture_assign(f, "orders", 1, 0);
    for (int i = 0; i < 5; i++)
        (void)fixture_append_one(f, partition);
    int64_t low = -1;
    assert_int_equal(partition_delete_records(partition, 6, &low), ERROR_OFFSET_OUT_OF_RANGE);
    assert_int_equal(partition_delete_records(partition, 3, &low), ERROR_NONE);
    assert_int_equal(low, 3);
    assert_int_equal(partition_delete_records(partition, 2, &low), ERROR_NONE);
    assert_int_equal(low, 3);

    fixture_close(f, false);
    simulated_storage_crash_losing_all(f->disk);
    fixture_open(f);
    partition = fixture_assign(f, "orders", 1, 0);
    partition_table_recover(f->table);

    struct partition_offsets offsets;
    assert_int_equal(partition_offsets(partition, &offsets), ERROR_NONE);
    assert_int_equal(offsets.log_start_offset, 3);
    fixture_run(f);
    assert_int_equal(partition_delete_records(partition, -1, &low), ERROR_NONE);
    assert_int_equal(low, 5);
}

/* A checkpoint that could not be written is written when the request is repeated. */
static void a_repeated_deletion_is_kept_though_the_first_failed(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *partition = fixture_assign(f, "orders", 1, 0);
    for (int i = 0; i < 3; i++)
        (void)fixture_append_one(f, partition);
    struct simulated_fault fault = {
        .operations = SIMULATED_RENAME, .path_part = "checkpoint", .error = ERROR_STORAGE};
    simulated_storage_fail(f->disk, &fault);
    int64_t low;
    assert_int_equal(partition_delete_records(partition, 2, &low), ERROR_STORAGE);
    simulated_storage_fail_end(f->disk);
    assert_int_equal(partition_delete_records(partition, 2, &low), ERROR_NONE);

    /* As a crash would find it. */
    struct log_directory *found;
    assert_int_equal(log_directory_open(simulated_storage_seam(f->disk),
                                        simulated_executor_seam(f->events), &found, NULL),
                     ERROR_NONE);
    assert_int_equal(log_directory_start_offset(found, "orders", 0), 2);
    log_directory_close(found);
}

int main(void)
{
#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(name, partition_fixture_setup, partition_fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_wait_wakes_when_the_high_watermark_moves),
        TEST(a_removed_wait_does_not_wake),
        TEST(committed_records_are_durable_after_their_sync),
        TEST(a_deleted_partition_answers_so),
        TEST(another_leader_epoch_is_refused),
        TEST(a_read_ends_at_the_high_watermark),
        TEST(deleted_records_stay_deleted_after_a_power_cut),
        TEST(a_repeated_deletion_is_kept_though_the_first_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
