/* SPDX-License-Identifier: Apache-2.0 */
/* The monitor with real threads; meant to be run under the thread sanitizer as well. */
#include "base/memory.h"
#include "base/monitor.h"

#include <cmocka.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

enum { THREADS = 8, ROUNDS = 2000, DEADLINE_MS = 20000 };

static struct monitor *monitor;
static struct executor *executor;
static atomic_int wakes;
static atomic_long woken_in_ms;

static void wake(void *context, int64_t delay_ms)
{
    atomic_store(&woken_in_ms, delay_ms);
    atomic_fetch_add((atomic_int *)context, 1);
}

static int set_up(void **state)
{
    (void)state;
    atomic_store(&wakes, 0);
    assert_int_equal(monitor_new(3, wake, &wakes, &monitor), ERROR_NONE);
    executor = monitor_executor(monitor);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    monitor_free(monitor);
    return 0;
}

/* Waits for a count that threads make, at most DEADLINE_MS. */
static void wait_for(atomic_long *count, long wanted)
{
    int64_t end_ms = executor_monotonic_ms(executor) + DEADLINE_MS;
    while (atomic_load(count) < wanted) {
        assert_true(executor_monotonic_ms(executor) < end_ms);
        (void)poll(NULL, 0, 1);
    }
}

/* A task of the threads below: counts without a lock, which only the monitor makes right. */
struct counted {
    struct task task;
    struct work work;
    struct timer timer;
    long *count; /* Guarded by the monitor. */
    atomic_long ran;
};

static void count_task(struct task *task)
{
    struct counted *counted = container_of(task, struct counted, task);
    (*counted->count)++;
    memory_free(counted);
}

static long shared_count;

static void *post_many(void *argument)
{
    (void)argument;
    for (int i = 0; i < ROUNDS; i++) {
        struct counted *counted = memory_allocate(sizeof *counted);
        assert_non_null(counted);
        counted->task.run = count_task;
        counted->count = &shared_count;
        monitor_enter(monitor);
        shared_count++;
        executor_post(executor, &counted->task);
        monitor_leave(monitor);
    }
    return NULL;
}

/* Many threads in and out: one at a time inside, every task run before its poster has left. */
static void threads_are_inside_one_at_a_time(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    shared_count = 0;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, post_many, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);

    monitor_enter(monitor);
    assert_int_equal(shared_count, 2 * THREADS * ROUNDS);
    monitor_leave(monitor);
}

static char trail[64];

struct lettered {
    struct task task;
    struct timer timer;
    struct lettered *next; /* Posted by this one's task. */
    char letter;
};

static void letter_add(char letter)
{
    size_t used = strlen(trail);
    assert_true(used + 1 < sizeof trail);
    trail[used] = letter;
    trail[used + 1] = '\0';
}

static void letter_task(struct task *task)
{
    struct lettered *lettered = container_of(task, struct lettered, task);
    letter_add(lettered->letter);
    if (lettered->next != NULL)
        executor_post(executor, &lettered->next->task);
}

static void letter_timer(struct timer *timer)
{
    struct lettered *lettered = container_of(timer, struct lettered, timer);
    letter_add(lettered->letter);
    if (lettered->next != NULL)
        executor_post(executor, &lettered->next->task);
}

static struct lettered lettered(char letter, struct lettered *next)
{
    return (struct lettered){.task = {.run = letter_task},
                             .timer = {.fire = letter_timer},
                             .next = next,
                             .letter = letter};
}

/* In the order posted, those posted by tasks behind them, none inside post. */
static void tasks_run_in_order_when_the_poster_leaves(void **state)
{
    (void)state;
    trail[0] = '\0';
    struct lettered c = lettered('c', NULL);
    struct lettered a = lettered('a', &c);
    struct lettered b = lettered('b', NULL);

    monitor_enter(monitor);
    executor_post(executor, &a.task);
    executor_post(executor, &b.task);
    assert_string_equal(trail, "");
    monitor_leave(monitor);

    assert_string_equal(trail, "abc");
}

/* By due time, then by start; a timer's tasks before the next timer; the stopped one never. */
static void timers_fire_in_order_once_due(void **state)
{
    (void)state;
    trail[0] = '\0';
    struct lettered t = lettered('t', NULL);
    struct lettered a = lettered('a', &t);
    struct lettered b = lettered('b', NULL);
    struct lettered c = lettered('c', NULL);
    struct lettered d = lettered('d', NULL);
    assert_int_equal(monitor_timeout_ms(monitor), -1);

    monitor_enter(monitor);
    executor_timer_start(executor, &c.timer, INT64_MAX);
    executor_timer_start(executor, &a.timer, -5);
    executor_timer_start(executor, &b.timer, 0);
    executor_timer_start(executor, &d.timer, 0);
    executor_timer_stop(executor, &d.timer);
    executor_timer_stop(executor, &d.timer);
    monitor_leave(monitor);
    assert_int_equal(monitor_timeout_ms(monitor), 0);
    monitor_run_timers(monitor);

    assert_string_equal(trail, "atb");
    assert_true(monitor_timeout_ms(monitor) > 1000000);
    monitor_enter(monitor);
    assert_true(timer_running(&c.timer));
    assert_false(timer_running(&a.timer));
    executor_timer_stop(executor, &c.timer);
    monitor_leave(monitor);
    assert_int_equal(monitor_timeout_ms(monitor), -1);
}

static void restart_timer(struct timer *timer)
{
    letter_add('r');
    executor_timer_start(executor, timer, 0);
}

/* A timer that restarts itself with no delay does not keep its thread for ever. */
static void a_timer_that_restarts_at_once_waits_for_the_next_run(void **state)
{
    (void)state;
    trail[0] = '\0';
    struct timer timer = {.fire = restart_timer};
    monitor_enter(monitor);
    executor_timer_start(executor, &timer, 0);
    monitor_leave(monitor);
    monitor_run_timers(monitor);
    assert_string_equal(trail, "r");
    monitor_run_timers(monitor);
    assert_string_equal(trail, "rr");
}

/* Whoever serves the timers is told at once when to come next. */
static void serving_fires_what_is_due_and_asks_for_the_next(void **state)
{
    (void)state;
    struct lettered a = lettered('a', NULL);
    struct lettered b = lettered('b', NULL);
    monitor_enter(monitor);
    executor_timer_start(executor, &a.timer, 0);
    executor_timer_start(executor, &b.timer, 60000);
    monitor_leave(monitor);
    assert_int_equal(atomic_load(&wakes), 1);
    monitor_serve_timers(monitor);
    assert_false(timer_running(&a.timer));
    assert_int_equal(atomic_load(&wakes), 2);
    assert_true(atomic_load(&woken_in_ms) > 50000 && atomic_load(&woken_in_ms) <= 60000);
    monitor_enter(monitor);
    executor_timer_stop(executor, &b.timer);
    monitor_leave(monitor);
    monitor_serve_timers(monitor);
    assert_int_equal(atomic_load(&wakes), 2);
}

/* The control loop is woken exactly when its timeout got shorter. */
static void wake_comes_when_the_earliest_timer_moves_forward(void **state)
{
    (void)state;
    struct lettered a = lettered('a', NULL);
    struct lettered b = lettered('b', NULL);
    monitor_enter(monitor);
    executor_timer_start(executor, &a.timer, 60000);
    assert_int_equal(atomic_load(&wakes), 1);
    executor_timer_start(executor, &b.timer, 90000);
    assert_int_equal(atomic_load(&wakes), 1);
    executor_timer_start(executor, &b.timer, 30000);
    assert_int_equal(atomic_load(&wakes), 2);
    assert_int_equal(atomic_load(&woken_in_ms), 30000);
    executor_timer_start(executor, &b.timer, 120000);
    assert_int_equal(atomic_load(&wakes), 2);
    monitor_leave(monitor);
    int64_t timeout_ms = monitor_timeout_ms(monitor);
    assert_true(timeout_ms > 50000 && timeout_ms <= 60000);
}

static atomic_long works_done;

static void work_run(struct work *work)
{
    atomic_fetch_add(&container_of(work, struct counted, work)->ran, 1);
}

static void work_done(struct work *work)
{
    struct counted *counted = container_of(work, struct counted, work);
    assert_int_equal(atomic_load(&counted->ran), 1);
    (*counted->count)++;
    memory_free(counted);
    atomic_fetch_add(&works_done, 1);
}

static void submit_work(void)
{
    struct counted *counted = memory_allocate(sizeof *counted);
    assert_non_null(counted);
    counted->work.run = work_run;
    counted->work.done = work_done;
    counted->count = &shared_count;
    executor_work(executor, &counted->work);
}

static void *submit_many(void *argument)
{
    (void)argument;
    for (int i = 0; i < ROUNDS / 10; i++) {
        monitor_enter(monitor);
        submit_work();
        monitor_leave(monitor);
    }
    return NULL;
}

/* Each work runs once outside and is done once inside. */
static void works_run_outside_and_are_done_inside(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    shared_count = 0;
    atomic_store(&works_done, 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, submit_many, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    wait_for(&works_done, THREADS * (ROUNDS / 10));

    monitor_enter(monitor);
    assert_int_equal(shared_count, THREADS * (ROUNDS / 10));
    monitor_leave(monitor);
}

static atomic_long meeting;

static void meet_run(struct work *work)
{
    (void)work;
    atomic_fetch_add(&meeting, 1);
    wait_for(&meeting, 3);
}

static void meet_done(struct work *work)
{
    (void)work;
}

/* As many works at once as there are threads: three that wait for each other all end. */
static void works_run_side_by_side(void **state)
{
    (void)state;
    struct work works[3];
    atomic_store(&meeting, 0);
    monitor_enter(monitor);
    for (int i = 0; i < 3; i++) {
        works[i] = (struct work){.run = meet_run, .done = meet_done};
        executor_work(executor, &works[i]);
    }
    monitor_leave(monitor);
    monitor_free(monitor); /* Waits for them. */
    monitor = NULL;
    assert_int_equal(atomic_load(&meeting), 3);
}

static void chain_done(struct work *work)
{
    struct counted *counted = container_of(work, struct counted, work);
    if (++*counted->count < 100)
        executor_work(executor, work);
}

/* At the end nothing submitted is left undone, not even what a done submits. */
static void free_waits_for_work_and_for_what_its_done_starts(void **state)
{
    (void)state;
    long count = 0;
    struct counted counted = {.work = {.run = work_run, .done = chain_done}, .count = &count};
    monitor_enter(monitor);
    executor_work(executor, &counted.work);
    monitor_leave(monitor);
    monitor_free(monitor);
    monitor = NULL;
    assert_int_equal(count, 100);
    assert_int_equal(atomic_load(&counted.ran), 100);
}

enum { NUMBERS = 4000 };
static uint64_t numbers[THREADS][NUMBERS];

static void *draw_many(void *argument)
{
    uint64_t *mine = argument;
    for (int i = 0; i < NUMBERS; i++)
        mine[i] = executor_random(executor);
    return NULL;
}

static int number_compare(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

/* Threads draw without a lock and never the same number; the bits are even. */
static void random_numbers_differ_between_threads(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, draw_many, numbers[i]), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);

    uint64_t *all = &numbers[0][0];
    size_t count = (size_t)THREADS * NUMBERS;
    qsort(all, count, sizeof *all, number_compare);
    size_t ones[64] = {0};
    for (size_t i = 0; i < count; i++) {
        assert_true(i == 0 || all[i] != all[i - 1]);
        for (int bit = 0; bit < 64; bit++)
            ones[bit] += all[i] >> bit & 1;
    }
    /* 32,000 coins: six standard deviations are 537. */
    for (int bit = 0; bit < 64; bit++)
        assert_in_range(ones[bit], count / 2 - 600, count / 2 + 600);
}

/* The clocks are the system's and go forward. */
static void the_clocks_are_the_systems(void **state)
{
    (void)state;
    int64_t before_ns = executor_monotonic_ns(executor);
    int64_t ms = executor_monotonic_ms(executor);
    assert_true(ms >= before_ns / 1000000);
    assert_true(executor_monotonic_ns(executor) >= before_ns);
    struct timespec now;
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &now), 0);
    int64_t wall_ms = (int64_t)now.tv_sec * 1000;
    assert_in_range(executor_wall_clock_ms(executor), wall_ms - 1, wall_ms + 60000);
}

static void a_refused_allocation_is_reported(void **state)
{
    (void)state;
    struct monitor *other;
    memory_fault_arm(0);
    enum error error = monitor_new(1, NULL, NULL, &other);
    memory_fault_arm(-1);
    assert_int_equal(error, ERROR_OUT_OF_MEMORY);
    monitor_free(NULL);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(threads_are_inside_one_at_a_time),
        CASE(tasks_run_in_order_when_the_poster_leaves),
        CASE(timers_fire_in_order_once_due),
        CASE(a_timer_that_restarts_at_once_waits_for_the_next_run),
        CASE(serving_fires_what_is_due_and_asks_for_the_next),
        CASE(wake_comes_when_the_earliest_timer_moves_forward),
        CASE(works_run_outside_and_are_done_inside),
        CASE(works_run_side_by_side),
        CASE(free_waits_for_work_and_for_what_its_done_starts),
        CASE(random_numbers_differ_between_threads),
        CASE(the_clocks_are_the_systems),
        CASE(a_refused_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
