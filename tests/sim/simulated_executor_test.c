/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated executor: order, virtual time, work in two steps, a crash, repetition. */
#include "sim/simulated_executor.h"

#include <cmocka.h>
#include <string.h>

static struct simulated_executor *simulated;
static struct executor *executor;
static char trail[256]; /* What happened, a letter each. */

static void trace(char letter)
{
    size_t used = strlen(trail);
    assert_true(used + 1 < sizeof trail);
    trail[used] = letter;
    trail[used + 1] = '\0';
}

static int set_up(void **state)
{
    (void)state;
    simulated = simulated_executor_new(1, NULL);
    executor = simulated_executor_seam(simulated);
    trail[0] = '\0';
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    simulated_executor_free(simulated);
    return 0;
}

struct lettered {
    struct task task;
    struct timer timer;
    struct work work;
    char letter;
    int period_ms;
};

static void task_run(struct task *task)
{
    trace(container_of(task, struct lettered, task)->letter);
}

static void timer_fire(struct timer *timer)
{
    struct lettered *lettered = container_of(timer, struct lettered, timer);
    trace(lettered->letter);
    if (lettered->period_ms > 0)
        executor_timer_start(executor, timer, lettered->period_ms);
}

static void work_run(struct work *work)
{
    trace(container_of(work, struct lettered, work)->letter);
}

static void work_done(struct work *work)
{
    trace((char)(container_of(work, struct lettered, work)->letter + 'a' - 'A'));
}

static struct lettered lettered(char letter)
{
    return (struct lettered){.task = {.run = task_run},
                             .timer = {.fire = timer_fire},
                             .work = {.run = work_run, .done = work_done},
                             .letter = letter};
}

/* Tasks run in the order posted, none inside post, and without time passing. */
static void tasks_run_in_the_order_posted(void **state)
{
    (void)state;
    struct lettered a = lettered('a');
    struct lettered b = lettered('b');
    int64_t before_ns = executor_monotonic_ns(executor);

    executor_post(executor, &a.task);
    executor_post(executor, &b.task);
    assert_string_equal(trail, "");
    simulated_executor_run_until_idle(simulated);

    assert_string_equal(trail, "ab");
    assert_int_equal(executor_monotonic_ns(executor), before_ns);
    assert_false(simulated_executor_step(simulated));
}

/* Timers fire by due time, then by start; a stopped one never, a restarted one at its new time. */
static void timers_fire_by_due_time_and_then_by_start(void **state)
{
    (void)state;
    struct lettered a = lettered('a');
    struct lettered b = lettered('b');
    struct lettered c = lettered('c');
    struct lettered d = lettered('d');
    struct lettered e = lettered('e');
    int64_t before_ms = executor_monotonic_ms(executor);
    executor_timer_start(executor, &a.timer, 30);
    executor_timer_start(executor, &b.timer, 10);
    executor_timer_start(executor, &c.timer, 10);
    executor_timer_start(executor, &d.timer, 5);
    executor_timer_start(executor, &e.timer, 5);
    executor_timer_stop(executor, &d.timer);
    executor_timer_stop(executor, &d.timer);
    executor_timer_start(executor, &e.timer, 20);

    simulated_executor_run_for(simulated, 25);
    assert_string_equal(trail, "bce");
    assert_int_equal(executor_monotonic_ms(executor), before_ms + 25);
    assert_true(timer_running(&a.timer));
    assert_false(timer_running(&b.timer));

    assert_true(simulated_executor_step(simulated));
    assert_string_equal(trail, "bcea");
    assert_int_equal(executor_monotonic_ms(executor), before_ms + 30);
    assert_int_equal(executor_wall_clock_ms(executor),
                     SIMULATED_WALL_CLOCK_MS + executor_monotonic_ms(executor));
}

/* Work is outside first and inside later, exactly once, and not within the call. */
static void work_runs_and_is_done_later(void **state)
{
    (void)state;
    struct lettered a = lettered('A');
    executor_work(executor, &a.work);
    assert_string_equal(trail, "");
    assert_int_equal(simulated_executor_pending_works(simulated), 1);

    simulated_executor_run_until_idle(simulated);

    assert_string_equal(trail, "Aa");
    assert_int_equal(simulated_executor_pending_works(simulated), 0);
}

/* Two works end in either order, as two threads would, depending on the seed. */
static void works_end_in_seeded_order(void **state)
{
    (void)state;
    bool seen_ab = false;
    bool seen_ba = false;
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct simulated_executor *other = simulated_executor_new(seed, NULL);
        struct lettered a = lettered('A');
        struct lettered b = lettered('B');
        trail[0] = '\0';
        executor_work(simulated_executor_seam(other), &a.work);
        executor_work(simulated_executor_seam(other), &b.work);
        simulated_executor_run_until_idle(other);
        bool ab = strchr(trail, 'a') < strchr(trail, 'b');
        seen_ab = seen_ab || ab;
        seen_ba = seen_ba || !ab;
        simulated_executor_free(other);
    }
    assert_true(seen_ab);
    assert_true(seen_ba);
}

static bool trail_is_long(void *context)
{
    return strlen(trail) >= *(size_t *)context;
}

/* The deadline is virtual: it is met or missed exactly. */
static void run_until_stops_at_the_condition_or_the_deadline(void **state)
{
    (void)state;
    struct lettered a = lettered('a');
    a.period_ms = 10;
    executor_timer_start(executor, &a.timer, 10);
    size_t length = 3;

    assert_false(simulated_executor_run_until(simulated, trail_is_long, &length, 29));
    assert_string_equal(trail, "aa");
    assert_true(simulated_executor_run_until(simulated, trail_is_long, &length, 10));
    assert_string_equal(trail, "aaa");
}

/* A crashed node's events never come, and tearing it down may start new ones in vain. */
static void a_crash_drops_everything_pending(void **state)
{
    (void)state;
    struct lettered a = lettered('A');
    struct lettered b = lettered('B');
    executor_post(executor, &a.task);
    executor_timer_start(executor, &a.timer, 1);
    executor_work(executor, &a.work);

    simulated_executor_drop_all(simulated);
    executor_post(executor, &b.task);
    executor_timer_start(executor, &b.timer, 1);
    executor_work(executor, &b.work);
    executor_timer_stop(executor, &b.timer);
    assert_false(timer_running(&a.timer));
    assert_false(simulated_executor_step(simulated));
    assert_string_equal(trail, "");

    simulated_executor_restart(simulated);
    executor_post(executor, &b.task);
    simulated_executor_run_until_idle(simulated);
    assert_string_equal(trail, "B");
}

/* Nodes on one clock take turns by due time. */
static void nodes_on_one_clock_step_by_due_time(void **state)
{
    (void)state;
    struct simulated_clock clock = {.now_ns = 0, .wall_at_zero_ms = 5};
    struct simulated_executor *nodes[] = {simulated_executor_new(1, &clock), NULL,
                                          simulated_executor_new(2, &clock)};
    struct lettered a = lettered('a');
    struct lettered b = lettered('b');
    executor_timer_start(simulated_executor_seam(nodes[0]), &a.timer, 20);
    executor_timer_start(simulated_executor_seam(nodes[2]), &b.timer, 10);
    simulated_executor_skew(nodes[2], -3);

    while (simulated_executors_step(nodes, 3))
        continue;

    assert_string_equal(trail, "ba");
    assert_int_equal(clock.now_ns, 20000000);
    assert_int_equal(executor_wall_clock_ms(simulated_executor_seam(nodes[0])), 25);
    assert_int_equal(executor_wall_clock_ms(simulated_executor_seam(nodes[2])), 22);
    simulated_executor_free(nodes[0]);
    simulated_executor_free(nodes[2]);
}

static uint64_t random_life(uint64_t seed)
{
    struct simulated_executor *other = simulated_executor_new(seed, NULL);
    struct executor *seam = simulated_executor_seam(other);
    struct lettered things[20];
    trail[0] = '\0';
    for (int i = 0; i < 20; i++) {
        things[i] = lettered((char)('A' + i));
        if (executor_random(seam) % 2 == 0)
            executor_work(seam, &things[i].work);
        else
            executor_timer_start(seam, &things[i].timer, (int64_t)(executor_random(seam) % 5));
    }
    simulated_executor_run_for(other, 100);
    uint64_t result = simulated_executor_trace(other);
    simulated_executor_free(other);
    return result;
}

/* The seed is the whole story. */
static void the_same_seed_gives_the_same_events(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        assert_int_equal(random_life(seed), random_life(seed));
        assert_int_not_equal(random_life(seed), random_life(seed + 1000));
    }
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(tasks_run_in_the_order_posted),
        CASE(timers_fire_by_due_time_and_then_by_start),
        CASE(work_runs_and_is_done_later),
        CASE(works_end_in_seeded_order),
        CASE(run_until_stops_at_the_condition_or_the_deadline),
        CASE(a_crash_drops_everything_pending),
        CASE(nodes_on_one_clock_step_by_due_time),
        CASE(the_same_seed_gives_the_same_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
