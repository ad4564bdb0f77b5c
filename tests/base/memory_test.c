/* SPDX-License-Identifier: Apache-2.0 */
/* The heap: zeroing, overflow, and the refusals that the sweeps use. */
#include "base/memory.h"

#include <cmocka.h>
#include <string.h>

static void what_it_grants_is_zeroed_and_never_null_for_nothing(void **state)
{
    (void)state;
    unsigned char *block = memory_allocate(1000);
    assert_non_null(block);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(block[i], 0);
    memory_free(block);

    void *empty[] = {memory_allocate(0), memory_allocate_raw(0), memory_allocate_array(0, 8)};
    for (int i = 0; i < 3; i++) {
        assert_non_null(empty[i]);
        memory_free(empty[i]);
    }
    memory_free(NULL);
}

/* A product or a size beyond the address space is refused, not wrapped. */
static void impossible_sizes_are_refused(void **state)
{
    (void)state;
    assert_null(memory_allocate_array(SIZE_MAX / 2, 3));
    assert_null(memory_allocate_array(3, SIZE_MAX / 2));
    assert_null(memory_copy_text("", SIZE_MAX));
}

static void copied_text_is_terminated(void **state)
{
    (void)state;
    char *copy = memory_copy_text("abcdef", 3);
    assert_string_equal(copy, "abc");
    copy = memory_resize(copy, 100);
    assert_string_equal(copy, "abc");
    memory_free(copy);
}

/* Exactly the request after the countdown is refused, and it is told. */
static void the_armed_request_is_refused_once(void **state)
{
    (void)state;
    memory_fault_arm(1);
    void *first = memory_allocate(1);
    assert_non_null(first);
    assert_int_equal(memory_fault_fired(), 0);
    assert_null(memory_resize(first, 2));
    assert_int_equal(memory_fault_fired(), 1);
    void *third = memory_allocate_raw(1);
    assert_non_null(third);
    memory_fault_arm(-1);
    assert_int_equal(memory_fault_fired(), 0);
    memory_free(first);
    memory_free(third);
}

/* In a pause nothing is counted, and what was armed comes behind it. */
static void a_pause_is_not_counted(void **state)
{
    (void)state;
    memory_fault_arm(0);
    long countdown = memory_fault_pause();
    void *first = memory_allocate(1);
    assert_non_null(first);
    memory_fault_resume(countdown);
    assert_null(memory_allocate(1));
    assert_int_equal(memory_fault_fired(), 1);
    memory_fault_resume(memory_fault_pause());
    assert_int_equal(memory_fault_fired(), 1);
    memory_fault_arm(-1);
    memory_free(first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_it_grants_is_zeroed_and_never_null_for_nothing),
        cmocka_unit_test(impossible_sizes_are_refused),
        cmocka_unit_test(copied_text_is_terminated),
        cmocka_unit_test(the_armed_request_is_refused_once),
        cmocka_unit_test(a_pause_is_not_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
