/* SPDX-License-Identifier: Apache-2.0 */
/* Small files read and replaced whole: limits, faults at every call, power cuts. */
#include "base/memory.h"
#include "base/storage.h"
#include "sim/sweep.h"

#include <cmocka.h>
#include <string.h>

/* The text comes back with a NUL behind it; an empty file is an empty text. */
static void what_is_written_whole_is_read_whole(void **state)
{
    (void)state;
    struct simulated_storage *disk = simulated_storage_new(1);
    struct storage *storage = simulated_storage_seam(disk);
    assert_int_equal(storage_make_directory(storage, "d"), ERROR_NONE);
    const char *texts[] = {"some text", "", "other"};
    for (int i = 0; i < 3; i++) {
        size_t size;
        char *text;
        assert_int_equal(storage_write_whole(storage, "d/f", texts[i], strlen(texts[i])),
                         ERROR_NONE);
        assert_int_equal(storage_read_whole(storage, "d/f", 9, &text, &size), ERROR_NONE);
        assert_string_equal(text, texts[i]);
        assert_int_equal(size, strlen(texts[i]));
        memory_free(text);
    }
    uint64_t size;
    assert_null(simulated_storage_contents(disk, "d/f.tmp", &size));
    simulated_storage_free(disk);
}

/* A file larger than the limit is refused before memory is taken for it. */
static void a_file_beyond_the_limit_is_refused(void **state)
{
    (void)state;
    struct simulated_storage *disk = simulated_storage_new(1);
    struct storage *storage = simulated_storage_seam(disk);
    char *text;
    size_t size;
    assert_int_equal(storage_read_whole(storage, "f", 3, &text, &size), ERROR_NOT_FOUND);
    assert_int_equal(storage_write_whole(storage, "f", "1234", 4), ERROR_NONE);
    assert_int_equal(storage_read_whole(storage, "f", 3, &text, &size), ERROR_TOO_LARGE);
    simulated_storage_free(disk);
}

/* On a full disk the old contents stay and what was begun is taken away. */
static void on_a_full_disk_the_old_contents_stay(void **state)
{
    (void)state;
    struct simulated_storage *disk = simulated_storage_new(1);
    struct storage *storage = simulated_storage_seam(disk);
    assert_int_equal(storage_write_whole(storage, "f", "old", 3), ERROR_NONE);
    simulated_storage_limit(disk, 5);

    assert_int_equal(storage_write_whole(storage, "f", "newer", 5), ERROR_DISK_FULL);

    uint64_t size;
    assert_memory_equal(simulated_storage_contents(disk, "f", &size), "old", 3);
    assert_null(simulated_storage_contents(disk, "f.tmp", &size));
    simulated_storage_free(disk);
}

static void prepare_file(struct storage *storage, void *context)
{
    (void)context;
    assert_int_equal(storage_write_whole(storage, "f", "old", 3), ERROR_NONE);
}

static enum error read_it(struct storage *storage, void *context)
{
    (void)context;
    char *text;
    size_t size;
    enum error error = storage_read_whole(storage, "f", 10, &text, &size);
    if (error == ERROR_NONE) {
        assert_string_equal(text, "old");
        memory_free(text);
    }
    return error;
}

/* Open, size and read each fail once, and each allocation. */
static void a_refused_read_is_reported(void **state)
{
    (void)state;
    struct sweep sweep = {.prepare = prepare_file, .scenario = read_it};
    assert_int_equal(sweep_faults(&sweep), 4);
    assert_int_equal(sweep_memory(&sweep), 3);
}

static enum error replace_it(struct storage *storage, void *context)
{
    (void)context;
    return storage_write_whole(storage, "f", "new", 3);
}

static void check_it(struct storage *storage, void *context, enum error got)
{
    (void)context;
    char *text;
    size_t size;
    assert_int_equal(storage_read_whole(storage, "f", 10, &text, &size), ERROR_NONE);
    assert_true(strcmp(text, "new") == 0 || (got != ERROR_NONE && strcmp(text, "old") == 0));
    memory_free(text);
}

/* Whatever fails and wherever the power goes, the file is the old or the new one, whole; and when
 * success was said, the new one. */
static void a_replacement_is_all_or_nothing(void **state)
{
    (void)state;
    struct sweep sweep = {.prepare = prepare_file, .scenario = replace_it, .check = check_it};
    assert_int_equal(sweep_faults(&sweep), 6);
    assert_int_equal(sweep_memory(&sweep), 4);
    assert_int_equal(sweep_crashes(&sweep, 200), 6);
    sweep.persistent = true;
    assert_int_equal(sweep_faults(&sweep), 6);
}

static enum error replace_it_unsynced(struct storage *storage, void *context)
{
    (void)context;
    return storage_replace_whole(storage, "f", "new", 3);
}

/* Without a sync, too, whoever looks finds the old or the new one, and no call is a sync. */
static void a_replacement_without_a_sync_is_all_or_nothing_for_readers(void **state)
{
    (void)state;
    struct sweep sweep = {
        .prepare = prepare_file, .scenario = replace_it_unsynced, .check = check_it};
    assert_int_equal(sweep_faults(&sweep), 4);
    assert_int_equal(sweep_memory(&sweep), 3);
    sweep.persistent = true;
    assert_int_equal(sweep_faults(&sweep), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_whole_is_read_whole),
        cmocka_unit_test(a_file_beyond_the_limit_is_refused),
        cmocka_unit_test(on_a_full_disk_the_old_contents_stay),
        cmocka_unit_test(a_refused_read_is_reported),
        cmocka_unit_test(a_replacement_is_all_or_nothing),
        cmocka_unit_test(a_replacement_without_a_sync_is_all_or_nothing_for_readers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
