/* SPDX-License-Identifier: Apache-2.0 */
/* The heap of running timers. */
#include "base/timer_heap.h"
#include "sim/random.h"

#include <cmocka.h>
#include <stdlib.h>

static void fire_never(struct timer *timer)
{
    (void)timer;
    fail_msg("the heap only keeps timers");
}

/* Ten thousand timers started, moved and stopped at random fire in the order of a sorted list. */
static void many_timers_fire_in_order(void **state)
{
    (void)state;
    enum { COUNT = 10000 };
    struct timer_heap heap = {.root = NULL};
    struct timer *timers = calloc(COUNT, sizeof *timers);
    struct random random;
    random_seed(&random, 7);
    for (int i = 0; i < 4 * COUNT; i++) {
        struct timer *timer = &timers[random_below(&random, COUNT)];
        timer->fire = fire_never;
        if (random_chance(&random, 1, 4))
            timer_heap_stop(&heap, timer);
        else
            timer_heap_start(&heap, timer, random_between(&random, 0, 500));
    }
    size_t running = 0;
    for (int i = 0; i < COUNT; i++)
        running += timer_running(&timers[i]);

    int64_t due_ms = -1;
    uint64_t order = 0;
    for (; heap.root != NULL; running--) {
        struct timer *timer = heap.root;
        assert_true(timer->due_ms > due_ms || (timer->due_ms == due_ms && timer->order > order));
        due_ms = timer->due_ms;
        order = timer->order;
        timer_heap_stop(&heap, timer);
    }

    assert_int_equal(running, 0);
    free(timers);
}

/* Stopping in every position: with one of N timers stopped the others come in order. */
static void any_timer_can_be_stopped(void **state)
{
    (void)state;
    enum { COUNT = 20 };
    for (int stopped = 0; stopped < COUNT; stopped++) {
        for (int taken = 0; taken < COUNT; taken++) {
            struct timer_heap heap = {.root = NULL};
            struct timer timers[COUNT] = {{.due_ms = 0}};
            for (int i = 0; i < COUNT; i++) {
                timers[i].fire = fire_never;
                timer_heap_start(&heap, &timers[i], i * 7 % COUNT);
            }
            for (int i = 0; i < taken; i++) /* Gives the heap another shape. */
                timer_heap_stop(&heap, heap.root);
            timer_heap_stop(&heap, &timers[stopped]);
            int64_t due_ms = -1;
            int left = 0;
            for (; heap.root != NULL; left++) {
                assert_true(heap.root->due_ms > due_ms);
                assert_ptr_not_equal(heap.root, &timers[stopped]);
                due_ms = heap.root->due_ms;
                timer_heap_stop(&heap, heap.root);
            }
            bool was_taken = stopped * 7 % COUNT < taken;
            assert_int_equal(left, COUNT - taken - (was_taken ? 0 : 1));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_timers_fire_in_order),
        cmocka_unit_test(any_timer_can_be_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
