/* SPDX-License-Identifier: Apache-2.0 */
/* Finding names that come more than once. */
#include "handle/duplicates.h"

#include <cmocka.h>
#include <stdio.h>

/* Each of equal names is marked, wherever they stand; null is equal to empty here. */
static void equal_names_are_marked(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    const struct slice names[] = {slice_of("b"), slice_of("a"),  slice_of("c"),
                                  slice_of("a"), slice_of("ab"), slice_of("a")};
    const bool *marks = duplicates_mark(&arena, names, 6, sizeof names[0], 0);
    const bool expected[] = {false, true, false, true, false, true};
    assert_memory_equal(marks, expected, sizeof expected);
    assert_non_null(duplicates_mark(&arena, names, 0, sizeof names[0], 0));
    arena_done(&arena);
}

/* As many as a request can hold, in well under a second. */
static void a_million_names_take_no_quadratic_time(void **state)
{
    (void)state;
    enum { MANY = 1 << 20 };
    struct arena arena;
    arena_init(&arena, (size_t)256 << 20);
    struct slice *names = arena_allocate_array(&arena, MANY, sizeof *names);
    for (uint32_t i = 0; i < MANY; i++)
        names[i] = arena_format(&arena, "%u", i ^ 0x5555);
    names[5] = names[MANY - 1];
    const bool *marks = duplicates_mark(&arena, names, MANY, sizeof names[0], 0);
    uint32_t count = 0;
    for (uint32_t i = 0; i < MANY; i++)
        count += marks[i];
    assert_int_equal(count, 2);
    assert_true(marks[5]);
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_names_are_marked),
        cmocka_unit_test(a_million_names_take_no_quadratic_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
