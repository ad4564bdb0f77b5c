/* SPDX-License-Identifier: Apache-2.0 */
/* The sweeps, on the atomic replacement of a small file (base/storage.c). */
#include "sim/sweep.h"

#include "base/memory.h"

#include <cmocka.h>
#include <string.h>

static void prepare_old(struct storage *storage, void *context)
{
    (void)context;
    assert_int_equal(storage_write_whole(storage, "file", "old", 3), ERROR_NONE);
}

static enum error replace(struct storage *storage, void *context)
{
    (void)context;
    return storage_write_whole(storage, "file", "new!", 4);
}

/* Old or new, whole; new when success was reported. */
static void check_whole(struct storage *storage, void *context, enum error got)
{
    int *seen_old = context;
    char *text;
    size_t size;
    assert_int_equal(storage_read_whole(storage, "file", 100, &text, &size), ERROR_NONE);
    if (got == ERROR_NONE)
        assert_string_equal(text, "new!");
    else if (strcmp(text, "old") == 0)
        (*seen_old)++;
    else
        assert_string_equal(text, "new!");
    memory_free(text);
}

/* Open, write, sync, rename and the directory's sync each fail once, then one clean run. */
static void each_storage_call_of_a_replacement_is_refused_once(void **state)
{
    (void)state;
    int seen_old = 0;
    struct sweep sweep = {prepare_old, replace, check_whole, &seen_old, .seed = 1};
    assert_int_equal(sweep_faults(&sweep), 6);
    assert_int_equal(seen_old, 4);
}

/* The memory of both paths and the file's. */
static void each_allocation_of_a_replacement_is_refused_once(void **state)
{
    (void)state;
    int seen_old = 0;
    struct sweep sweep = {prepare_old, replace, check_whole, &seen_old, .seed = 1};
    assert_int_equal(sweep_memory(&sweep), 4);
    assert_int_equal(seen_old, 3);
}

/* Wherever the power is cut, the file is whole. */
static void a_power_cut_during_a_replacement_leaves_a_whole_file(void **state)
{
    (void)state;
    int seen_old = 0;
    struct sweep sweep = {prepare_old, replace, check_whole, &seen_old, .seed = 1};
    assert_true(sweep_crashes(&sweep, 50) >= 6);
    assert_true(seen_old > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_storage_call_of_a_replacement_is_refused_once),
        cmocka_unit_test(each_allocation_of_a_replacement_is_refused_once),
        cmocka_unit_test(a_power_cut_during_a_replacement_leaves_a_whole_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
