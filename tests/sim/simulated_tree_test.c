/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated tree as a whole: what one sync of everything keeps, and who is told of its failure.
 */
#include "sim/simulated_storage.h"

#include <cmocka.h>
#include <string.h>

enum { ROUNDS = 300 };

static struct simulated_storage *disk;
static struct storage *storage;

static int set_up(void **state)
{
    (void)state;
    disk = simulated_storage_new(1);
    storage = simulated_storage_seam(disk);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    simulated_storage_free(disk);
    return 0;
}

static struct storage_file *open_file(const char *path)
{
    struct storage_file *file;
    assert_int_equal(storage_open(storage, path, STORAGE_WRITE | STORAGE_CREATE, &file),
                     ERROR_NONE);
    return file;
}

static void write_text(struct storage_file *file, uint64_t at, const char *text)
{
    assert_int_equal(storage_write(file, at, text, strlen(text)), ERROR_NONE);
}

/* A file with `text`, name and contents synced. */
static void make_durable(const char *path, const char *text)
{
    struct storage_file *file = open_file(path);
    write_text(file, 0, text);
    assert_int_equal(storage_sync(file), ERROR_NONE);
    storage_close(file);
    assert_int_equal(storage_sync_directory(storage, ""), ERROR_NONE);
}

/* One sync of all keeps every name and byte, none of them synced otherwise. */
static void a_sync_of_all_keeps_everything(void **state)
{
    (void)state;
    assert_false(storage_can_sync_all(storage, 1000));
    simulated_storage_syncs_all(disk, true);
    assert_true(storage_can_sync_all(storage, 2));
    assert_int_equal(storage_make_directory(storage, "d"), ERROR_NONE);
    struct storage_file *a = open_file("a");
    struct storage_file *b = open_file("d/b");
    write_text(a, 0, "one");
    write_text(b, 0, "two");
    assert_int_equal(storage_write_back(a, true), ERROR_NONE);
    assert_int_equal(storage_sync_all(storage), ERROR_NONE);
    storage_close(a);
    storage_close(b);
    simulated_storage_crash_losing_all(disk);
    uint64_t size;
    assert_memory_equal(simulated_storage_contents(disk, "a", &size), "one", 3);
    assert_memory_equal(simulated_storage_contents(disk, "d/b", &size), "two", 3);
}

/* Writing back alone keeps nothing. */
static void what_is_only_written_back_may_be_lost(void **state)
{
    (void)state;
    make_durable("a", "kept");
    struct storage_file *file = open_file("a");
    write_text(file, 0, "lost");
    assert_int_equal(storage_write_back(file, false), ERROR_NONE);
    assert_int_equal(storage_write_back(file, true), ERROR_NONE);
    storage_close(file);
    simulated_storage_crash_losing_all(disk);
    uint64_t size;
    assert_memory_equal(simulated_storage_contents(disk, "a", &size), "kept", 4);
}

/* What a failed sync of all dropped of a file, that file's next sync tells, once, whoever made it:
 * a file whose syncs both succeed has its bytes. */
static void a_failed_sync_of_all_is_told_by_each_file_that_lost(void **state)
{
    (void)state;
    simulated_storage_syncs_all(disk, true);
    make_durable("a", "kept");
    int told = 0;
    for (int i = 0; i < ROUNDS; i++) {
        struct storage_file *file = open_file("a");
        write_text(file, 0, i % 2 == 0 ? "even" : "odd.");
        struct simulated_fault fault = {.operations = SIMULATED_SYNC, .error = ERROR_STORAGE};
        simulated_storage_fail(disk, &fault);
        assert_int_equal(storage_sync_all(storage), ERROR_STORAGE);
        enum error error = storage_sync(file);
        told += error != ERROR_NONE;
        if (error != ERROR_NONE)
            assert_int_equal(storage_sync(file), ERROR_NONE);
        storage_close(file);
        simulated_storage_crash_losing_all(disk);
        uint64_t size;
        const uint8_t *bytes = simulated_storage_contents(disk, "a", &size);
        if (error == ERROR_NONE)
            assert_memory_equal(bytes, i % 2 == 0 ? "even" : "odd.", 4);
    }
    assert_true(told > 0 && told < ROUNDS);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(a_sync_of_all_keeps_everything),
        CASE(what_is_only_written_back_may_be_lost),
        CASE(a_failed_sync_of_all_is_told_by_each_file_that_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
