/* SPDX-License-Identifier: Apache-2.0 */
/* The request arena: alignment, zeroing, its limit, and every allocation refused in turn. */
#include "base/arena.h"
#include "base/memory.h"

#include <cmocka.h>
#include <setjmp.h>
#include <stdarg.h>

/* What it grants is aligned and zero-filled even after a reset has recycled the block. */
static void grants_are_aligned_and_zeroed(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1 << 20);

    for (int round = 0; round < 3; round++) {
        for (size_t size = 1; size < 300; size += 7) {
            uint8_t *granted = arena_allocate(&arena, size);
            assert_non_null(granted);
            assert_int_equal((uintptr_t)granted % 16, 0);
            for (size_t i = 0; i < size; i++)
                assert_int_equal(granted[i], 0);
            memset(granted, 0xff, size);
        }
        arena_reset(&arena);
    }

    arena_done(&arena);
}

/* Hostile counts are refused by the limit and by the overflow check, not by the heap. */
static void refuses_beyond_its_limit(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1000);

    assert_null(arena_allocate(&arena, 1001));
    assert_non_null(arena_allocate(&arena, 900));
    assert_null(arena_allocate(&arena, 200));
    assert_null(arena_allocate_array(&arena, SIZE_MAX / 2, 3));

    arena_done(&arena);
}

/* With the Nth heap request refused, the arena says NULL and stays usable. */
static void a_refused_heap_is_reported(void **state)
{
    (void)state;
    for (long countdown = 0; countdown < 4; countdown++) {
        struct arena arena;
        arena_init(&arena, 1 << 20);
        memory_fault_arm(countdown);
        for (int i = 0; i < 3; i++)
            (void)arena_allocate(&arena, 8000);
        memory_fault_arm(-1);
        assert_non_null(arena_allocate(&arena, 8000));
        arena_done(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grants_are_aligned_and_zeroed),
        cmocka_unit_test(refuses_beyond_its_limit),
        cmocka_unit_test(a_refused_heap_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
