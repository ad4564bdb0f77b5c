/* SPDX-License-Identifier: Apache-2.0 */
/* Leftovers of a stop that was not clean. */
#include "partition_fixture.h"

#include <cmocka.h>

/* A deletion whose renamed directory was left behind ends at the next start. */
static void an_interrupted_removal_ends(void **state)
{
    struct partition_fixture *f = *state;
    (void)fixture_append_one(f, fixture_assign(f, "orders", 1, 0));
    fixture_close(f, false);
    struct storage *storage = simulated_storage_seam(f->disk);
    assert_int_equal(storage_rename(storage, "orders-0", "orders-0.abcdefghijklmnopqrstuv-delete"),
                     ERROR_NONE);
    fixture_open(f);

    partition_table_recover(f->table);

    struct storage_file *file;
    assert_int_equal(storage_open(storage,
                                  "orders-0.abcdefghijklmnopqrstuv-delete/partition.metadata",
                                  STORAGE_READ, &file),
                     ERROR_NOT_FOUND);
}

/* A directory of no known topic gives its name free and loses nothing. */
static void a_directory_of_no_topic_is_set_aside(void **state)
{
    struct partition_fixture *f = *state;
    (void)fixture_append_one(f, fixture_assign(f, "orders", 1, 0));
    fixture_close(f, false);
    fixture_open(f);

    partition_table_recover(f->table);

    assert_string_equal(f->reported, "stray_directory orders-0;");
    assert_int_equal(log_directory_recovery_point(f->directory, "orders", 0), -1);
    struct partition *partition = fixture_assign(f, "orders", 2, 0);
    assert_int_equal(fixture_append_one(f, partition), 0);
}

/* After a clean stop such a directory is named and stays as it is; deletions end all the same. */
static void a_clean_start_names_strays_and_ends_deletions(void **state)
{
    struct partition_fixture *f = *state;
    (void)fixture_append_one(f, fixture_assign(f, "orders", 1, 0));
    (void)fixture_append_one(f, fixture_assign(f, "gone", 2, 0));
    (void)fixture_append_one(f, fixture_assign(f, "kept", 3, 0));
    fixture_close(f, true);
    struct storage *storage = simulated_storage_seam(f->disk);
    assert_int_equal(storage_rename(storage, "gone-0", "gone-0.abcdefghijklmnopqrstuv-delete"),
                     ERROR_NONE);
    fixture_open(f);
    (void)fixture_assign(f, "kept", 3, 0);

    assert_int_equal(partition_table_sort(f->table), ERROR_NONE);

    assert_string_equal(f->reported, "stray_directory orders-0;");
    uint64_t size;
    assert_non_null(
        simulated_storage_contents(f->disk, "orders-0/00000000000000000000.log", &size));
    assert_int_equal(storage_rename(storage, "gone-0.abcdefghijklmnopqrstuv-delete", "x"),
                     ERROR_NOT_FOUND);
}

/* Acknowledged records are there after a power cut, and what was torn is not. */
static void a_power_cut_keeps_what_was_acknowledged(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *partition = fixture_assign(f, "orders", 1, 0);
    for (int i = 0; i < 3; i++)
        (void)fixture_append_one(f, partition);
    fixture_close(f, false);
    simulated_storage_crash_losing_all(f->disk);
    fixture_open(f);
    partition = fixture_assign(f, "orders", 1, 0);

    partition_table_recover(f->table);
    fixture_run(f);

    assert_int_equal(fixture_end(partition), 3);
    assert_int_equal(fixture_high_watermark(partition), 3);
    assert_int_equal(fixture_append_one(f, partition), 3);
}

/* One partition that cannot be opened does not stop the others. */
static void one_bad_partition_does_not_stop_the_rest(void **state)
{
    struct partition_fixture *f = *state;
    (void)fixture_append_one(f, fixture_assign(f, "bad", 1, 0));
    (void)fixture_append_one(f, fixture_assign(f, "good", 2, 0));
    fixture_close(f, false);
    fixture_open(f);
    struct partition *bad = fixture_assign(f, "bad", 1, 0);
    struct partition *good = fixture_assign(f, "good", 2, 0);
    struct simulated_fault fault = {.operations = SIMULATED_READ,
                                    .path_part = "bad-0/",
                                    .error = ERROR_STORAGE,
                                    .persistent = true};
    simulated_storage_fail(f->disk, &fault);

    partition_table_recover(f->table);
    simulated_storage_fail_end(f->disk);
    fixture_run(f);

    assert_int_equal(partition_role(bad), PARTITION_OFFLINE);
    assert_int_equal(partition_check_leader(bad, -1), ERROR_STORAGE);
    assert_int_equal(fixture_append_one(f, good), 1);
}

static void files_fail(struct partition_fixture *f, const char *path_part)
{
    struct simulated_fault fault = {.operations = SIMULATED_CHANGE,
                                    .path_part = path_part,
                                    .error = ERROR_STORAGE,
                                    .persistent = true};
    simulated_storage_fail(f->disk, &fault);
}

/* Offsets of a deleted topic that could not be taken out of the checkpoint are not those of the
 * next topic of its name: no log of that name begins before they are gone. */
static void a_new_log_does_not_begin_below_its_predecessors_offsets(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *partition = fixture_assign(f, "orders", 1, 0);
    for (int i = 0; i < 3; i++)
        (void)fixture_append_one(f, partition);
    fixture_close(f, true);
    fixture_open(f);
    files_fail(f, "checkpoint");
    (void)fixture_assign(f, "orders", 1, 0);
    partition_table_remove(f->table, "orders", 0);
    partition = fixture_assign(f, "orders", 2, 0);
    struct log *log;
    assert_int_equal(partition_log(partition, &log), ERROR_STORAGE);
    assert_int_not_equal(partition_role(partition), PARTITION_OFFLINE);
    simulated_storage_fail_end(f->disk);
    assert_int_equal(fixture_append_one(f, partition), 0);
    files_fail(f, "checkpoint"); /* Nor does it get any of its own. */
    fixture_close(f, false);
    simulated_storage_kill(f->disk);
    fixture_open(f);
    partition = fixture_assign(f, "orders", 2, 0);

    partition_table_recover(f->table);
    fixture_run(f);

    assert_int_equal(log_directory_recovery_point(f->directory, "orders", 0), -1);
    assert_int_equal(partition_log(partition, &log), ERROR_NONE);
    assert_int_equal(log_damage(log).offset, -1);
    assert_int_equal(fixture_append_one(f, partition), 1);
}

/* The same when the old directory is still there under the name. */
static void a_foreign_directory_is_set_aside_with_its_offsets(void **state)
{
    struct partition_fixture *f = *state;
    struct partition *partition = fixture_assign(f, "orders", 1, 0);
    for (int i = 0; i < 3; i++)
        (void)fixture_append_one(f, partition);
    fixture_close(f, true);
    fixture_open(f);
    assert_int_equal(log_directory_recovery_point(f->directory, "orders", 0), 3);
    files_fail(f, "checkpoint");
    partition = fixture_assign(f, "orders", 2, 0);
    struct log *log;
    assert_int_equal(partition_log(partition, &log), ERROR_STORAGE);
    fixture_close(f, false);
    simulated_storage_kill(f->disk);
    fixture_open(f);
    partition = fixture_assign(f, "orders", 2, 0);
    assert_int_equal(partition_log(partition, &log), ERROR_NONE);
    assert_int_equal(log_end_offset(log), 0);
    assert_int_equal(log_damage(log).offset, -1);
    assert_int_equal(fixture_append_one(f, partition), 0);
}

int main(void)
{
#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(name, partition_fixture_setup, partition_fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_interrupted_removal_ends),
        TEST(a_directory_of_no_topic_is_set_aside),
        TEST(a_clean_start_names_strays_and_ends_deletions),
        TEST(a_power_cut_keeps_what_was_acknowledged),
        TEST(one_bad_partition_does_not_stop_the_rest),
        TEST(a_new_log_does_not_begin_below_its_predecessors_offsets),
        TEST(a_foreign_directory_is_set_aside_with_its_offsets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
