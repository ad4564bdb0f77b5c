/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a replica's log on first use: what is taken up, and what stands in the way. */
#include "base/memory.h"
#include "partition_fixture.h"

#include <cmocka.h>

#define LOG_PATH "orders-0/00000000000000000000.log"

/* A log of `count` records on the disk, closed; the partition is gone. */
static void stored(struct partition_fixture *f, int count, bool clean)
{
    struct partition *partition = fixture_assign(f, "orders", 1, 0);
    for (int i = 0; i < count; i++)
        (void)fixture_append_one(f, partition);
    fixture_close(f, clean);
    fixture_open(f);
}

static uint64_t log_size(struct partition_fixture *f)
{
    uint64_t size;
    assert_non_null(simulated_storage_contents(f->disk, LOG_PATH, &size));
    return size;
}

/* Being assigned and looked at makes nothing on the disk; the first append does. */
static void a_log_is_made_on_first_use(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *partition = fixture_assign(f, "orders", 1, 0);
    assert_false(partition_has_log(partition));
    uint64_t size;
    assert_null(simulated_storage_contents(f->disk, LOG_PATH, &size));
    (void)fixture_append_one(f, partition);
    assert_true(partition_has_log(partition));
    assert_non_null(simulated_storage_contents(f->disk, LOG_PATH, &size));
}

/* What was committed before is readable at once; what a killed node had not synced, after a sync.
 */
static void the_high_watermark_is_taken_up(void **state)
{
    struct partition_fixture *f = *state;
    stored(f, 3, true);
    struct partition *partition = fixture_assign(f, "orders", 1, 0);
    assert_true(partition_has_log(partition));
    struct log *log;
    assert_int_equal(partition_log(partition, &log), ERROR_NONE);
    assert_int_equal(fixture_high_watermark(partition), 3);
    assert_int_equal(log_visible_offset(log), 3);
    assert_string_equal(f->reported, "");
}

/* A torn tail is cut and told; writing goes on behind what is left. */
static void a_torn_tail_is_reported(void **state)
{
    struct partition_fixture *f = *state;
    f->config.durability = PARTITION_REPLICATED;
    stored(f, 1, false);
    f->reported[0] = '\0';
    struct storage_file *file;
    assert_int_equal(storage_open(simulated_storage_seam(f->disk), LOG_PATH, STORAGE_WRITE, &file),
                     ERROR_NONE);
    static const uint8_t torn[70];
    assert_int_equal(storage_write(file, log_size(f), torn, sizeof torn), ERROR_NONE);
    storage_close(file);
    struct partition *partition = fixture_assign(f, "orders", 1, 0);
    struct log *log;
    assert_int_equal(partition_log(partition, &log), ERROR_NONE);
    assert_string_equal(f->reported, "tail_cut orders-0;");
    assert_int_equal(fixture_append_one(f, partition), 1);
}

/* Damage is told, its partition takes no appends, the records before it are read, others go on. */
static void damage_is_reported_and_contained(void **state)
{
    struct partition_fixture *f = *state;
    stored(f, 3, false);
    f->reported[0] = '\0';
    simulated_storage_rot(f->disk, LOG_PATH, log_size(f) - 2, 1);
    struct partition *partition = fixture_assign(f, "orders", 1, 0);
    struct log *log;
    assert_int_equal(partition_log(partition, &log), ERROR_NONE);
    fixture_run(f);
    assert_string_equal(f->reported, "log_damaged orders-0;");
    assert_int_equal(log_damage(log).offset, 2);
    assert_int_equal(fixture_end(partition), 3);
    struct fixture_append append;
    fixture_append_start(partition, &append, 1, -1, FIXTURE_WAIT_MS);
    fixture_run(f);
    assert_int_equal(append.done, 1);
    assert_int_equal(append.append.error, ERROR_CORRUPT_MESSAGE);
    fixture_append_done(&append);
    struct log_slice slice;
    struct partition_offsets offsets;
    assert_int_equal(
        partition_read(partition, -1, 1, 1000, true, PARTITION_READ_UNCOMMITTED, &slice, &offsets),
        ERROR_NONE);
    assert_true(slice.size > 0);
    log_slice_release(&slice);
    assert_int_equal(fixture_append_one(f, fixture_assign(f, "others", 2, 0)), 0);
}

/* A directory that held records and is gone is not made anew: that would hide the loss. */
static void a_missing_directory_is_offline(void **state)
{
    struct partition_fixture *f = *state;
    stored(f, 3, true);
    assert_int_equal(storage_remove(simulated_storage_seam(f->disk), "orders-0"), ERROR_NONE);
    struct partition *partition = fixture_assign(f, "orders", 1, 0);
    assert_true(partition_has_log(partition));
    struct log *log;
    assert_int_equal(partition_log(partition, &log), ERROR_STORAGE);
    assert_int_equal(partition_role(partition), PARTITION_OFFLINE);
    assert_int_equal(partition_log(partition, &log), ERROR_STORAGE);
    assert_string_equal(f->reported, "partition_offline orders-0;");
    assert_int_equal(storage_rename(simulated_storage_seam(f->disk), "orders-0", "x"),
                     ERROR_NOT_FOUND);
}

/* A directory of another topic's id is kept under another name, and the log begins at 0. */
static void a_foreign_directory_is_set_aside(void **state)
{
    struct partition_fixture *f = *state;
    stored(f, 3, true);
    struct partition *partition = fixture_assign(f, "orders", 2, 0);
    assert_int_equal(fixture_append_one(f, partition), 0);
    assert_string_equal(f->reported, "stray_directory orders-0;");
}

/* No room and no memory pass: the next use tries again, and nothing is reported as lost. */
static void want_of_space_or_memory_passes(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *partition = fixture_assign(f, "orders", 1, 0);
    struct log *log;
    simulated_storage_limit(f->disk, 0);
    assert_int_equal(partition_log(partition, &log), ERROR_DISK_FULL);
    assert_int_equal(partition_role(partition), PARTITION_LEADER);
    simulated_storage_limit(f->disk, UINT64_MAX);
    enum error error = ERROR_OUT_OF_MEMORY;
    for (long nth = 0; error != ERROR_NONE && nth < 1000; nth++) {
        memory_fault_arm(nth);
        error = partition_log(partition, &log);
        memory_fault_arm(-1);
        assert_true(error == ERROR_NONE || error == ERROR_OUT_OF_MEMORY);
        assert_int_equal(partition_role(partition), PARTITION_LEADER);
    }
    assert_int_equal(error, ERROR_NONE);
    assert_int_equal(fixture_append_one(f, partition), 0);
    assert_string_equal(f->reported, "");
}

/* Any call of the disk that fails while a log is opened leaves a partition that either works or
 * says no, and never one with fewer records. */
static void a_failed_call_never_costs_records(void **state)
{
    struct partition_fixture *f = *state;
    stored(f, 3, false);
    for (long nth = 0;; nth++) {
        struct partition *partition = fixture_assign(f, "orders", 1, 0);
        struct simulated_fault fault = {
            .operations = SIMULATED_ANY, .countdown = nth, .error = ERROR_STORAGE};
        simulated_storage_fail(f->disk, &fault);
        struct log *log;
        enum error error = partition_log(partition, &log);
        bool met = simulated_storage_faults_met(f->disk) > 0;
        simulated_storage_fail_end(f->disk);
        if (error == ERROR_NONE)
            assert_int_equal(log_end_offset(log), 3);
        else
            assert_int_equal(error, ERROR_STORAGE);
        fixture_close(f, false);
        fixture_open(f);
        if (!met)
            break;
        assert_true(nth < 1000);
    }
}

int main(void)
{
#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(name, partition_fixture_setup, partition_fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_log_is_made_on_first_use),     TEST(the_high_watermark_is_taken_up),
        TEST(a_torn_tail_is_reported),        TEST(damage_is_reported_and_contained),
        TEST(a_missing_directory_is_offline), TEST(a_foreign_directory_is_set_aside),
        TEST(want_of_space_or_memory_passes), TEST(a_failed_call_never_costs_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
