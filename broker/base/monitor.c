/* SPDX-License-Identifier: Apache-2.0 */
/* The real executor: one mutex, and what is done with it held.
 *
 *   io loop, FUSE thread, control loop          pool thread
 *        | monitor_enter                            | run()   outside
 *        v                                          v
 *   [ core calls ... post, timer, work ]       [ done() ]     inside
 *        |                                          |
 *        '--> monitor_leave: runs posted tasks, one by one, then unlocks
 */
#include "base/monitor.h"

#include "base/assertion.h"
#include "base/memory.h"
#include "base/timer_heap.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/random.h>
#include <time.h>

struct monitor {
    struct executor base;
    void (*wake)(void *context, int64_t delay_ms); /* May be NULL. */
    void *wake_context;

    pthread_mutex_t inside;
    atomic_uintptr_t owner; /* Marks the thread that is inside, 0 when none is. */
    struct list tasks;      /* Guarded by inside, like the next three. */
    int wakes_owed;         /* Work submitted during this stay: threads to wake after it. */
    struct timer_heap timers;
    int64_t told_ms; /* When the control loop was told to come next; INT64_MAX: not at all. */

    pthread_mutex_t pool; /* Taken after inside, never the other way round. Guards the rest. */
    pthread_cond_t work_added;
    pthread_cond_t work_finished;
    struct list pending;
    long unfinished; /* Submitted, and done() with its tasks not yet over. */
    int threads_started;
    int threads_max;
    bool stopping;

    atomic_uint_fast64_t random_counter;
    uint64_t random_keys[2];
    pthread_t threads[];
};

static struct monitor *monitor_of(struct executor *executor)
{
    return container_of(executor, struct monitor, base);
}

/* The address of a thread-local variable differs between live threads. */
static uintptr_t this_thread(void)
{
    static _Thread_local char mark;
    return (uintptr_t)&mark;
}

static bool is_inside(struct monitor *monitor)
{
    return atomic_load_explicit(&monitor->owner, memory_order_relaxed) == this_thread();
}

static void lock(pthread_mutex_t *mutex)
{
    int refused = pthread_mutex_lock(mutex);
    ASSERT(refused == 0);
}

static void unlock(pthread_mutex_t *mutex)
{
    int refused = pthread_mutex_unlock(mutex);
    ASSERT(refused == 0);
}

void monitor_enter(struct monitor *monitor)
{
    ASSERT(!is_inside(monitor));
    lock(&monitor->inside);
    atomic_store_explicit(&monitor->owner, this_thread(), memory_order_relaxed);
}

static void run_tasks(struct monitor *monitor)
{
    for (struct list *link; (link = list_take(&monitor->tasks)) != NULL;) {
        struct task *task = container_of(link, struct task, link);
        task->run(task);
    }
}

/* Pool threads are woken with no lock held: they would only wait for it. `takers` threads are about
 * to look for work anyway. */
static void leave(struct monitor *monitor, int takers)
{
    ASSERT(is_inside(monitor));
    run_tasks(monitor);
    int wakes = monitor->wakes_owed - takers;
    monitor->wakes_owed = 0;
    atomic_store_explicit(&monitor->owner, 0, memory_order_relaxed);
    unlock(&monitor->inside);
    for (; wakes > 0; wakes--)
        (void)pthread_cond_signal(&monitor->work_added);
}

void monitor_leave(struct monitor *monitor)
{
    leave(monitor, 0);
}

static void monitor_post(struct executor *executor, struct task *task)
{
    struct monitor *monitor = monitor_of(executor);
    ASSERT(is_inside(monitor));
    ASSERT(task->run != NULL);
    list_push(&monitor->tasks, &task->link);
}

static int64_t nanoseconds_of(clockid_t clock)
{
    struct timespec now;
    int refused = clock_gettime(clock, &now);
    ASSERT(refused == 0);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t monitor_monotonic_ns(struct executor *executor)
{
    (void)executor;
    return nanoseconds_of(CLOCK_MONOTONIC);
}

static int64_t monitor_monotonic_ms(struct executor *executor)
{
    return monitor_monotonic_ns(executor) / 1000000;
}

static int64_t monitor_wall_clock_ms(struct executor *executor)
{
    (void)executor;
    return nanoseconds_of(CLOCK_REALTIME) / 1000000;
}

static void monitor_timer_start(struct executor *executor, struct timer *timer, int64_t delay_ms)
{
    struct monitor *monitor = monitor_of(executor);
    ASSERT(is_inside(monitor));
    int64_t now_ms = monitor_monotonic_ms(executor);
    int64_t due_ms = now_ms;
    if (delay_ms > 0)
        due_ms = delay_ms > INT64_MAX - now_ms ? INT64_MAX : now_ms + delay_ms;
    timer_heap_start(&monitor->timers, timer, due_ms);
    if (due_ms >= monitor->told_ms)
        return; /* It comes early enough, perhaps for timers that were stopped, and asks again. */
    monitor->told_ms = due_ms;
    if (monitor->wake != NULL)
        monitor->wake(monitor->wake_context, due_ms - now_ms);
}

static void monitor_timer_stop(struct executor *executor, struct timer *timer)
{
    struct monitor *monitor = monitor_of(executor);
    ASSERT(is_inside(monitor));
    timer_heap_stop(&monitor->timers, timer);
}

/* Notes that the control loop comes when the earliest is due, and says when that is; -1: never. */
static int64_t timeout_tell(struct monitor *monitor)
{
    run_tasks(monitor); /* They may start or stop timers. */
    const struct timer *earliest = monitor->timers.root;
    monitor->told_ms = earliest == NULL ? INT64_MAX : earliest->due_ms;
    if (earliest == NULL)
        return -1;
    int64_t now_ms = monitor_monotonic_ms(&monitor->base);
    return earliest->due_ms > now_ms ? earliest->due_ms - now_ms : 0;
}

int64_t monitor_timeout_ms(struct monitor *monitor)
{
    monitor_enter(monitor);
    int64_t timeout_ms = timeout_tell(monitor);
    monitor_leave(monitor);
    return timeout_ms;
}

static void fire_due(struct monitor *monitor)
{
    int64_t now_ms = monitor_monotonic_ms(&monitor->base);
    /* A timer that restarts itself with no delay waits for the next call. */
    uint64_t order_end = monitor->timers.order;
    for (;;) {
        struct timer *timer = monitor->timers.root;
        if (timer == NULL || timer->due_ms > now_ms || timer->order >= order_end)
            break;
        timer_heap_stop(&monitor->timers, timer);
        timer->fire(timer);
        run_tasks(monitor);
    }
}

void monitor_run_timers(struct monitor *monitor)
{
    monitor_enter(monitor);
    fire_due(monitor);
    monitor_leave(monitor);
}

void monitor_serve_timers(struct monitor *monitor)
{
    monitor_enter(monitor);
    fire_due(monitor);
    int64_t timeout_ms = timeout_tell(monitor);
    if (timeout_ms >= 0 && monitor->wake != NULL)
        monitor->wake(monitor->wake_context, timeout_ms);
    monitor_leave(monitor);
}

static void *pool_thread(void *argument)
{
    struct monitor *monitor = argument;
    lock(&monitor->pool);
    for (;;) {
        struct list *link = list_take(&monitor->pending);
        if (link == NULL) {
            if (monitor->stopping)
                break;
            int refused = pthread_cond_wait(&monitor->work_added, &monitor->pool);
            ASSERT(refused == 0);
            continue;
        }
        unlock(&monitor->pool);

        struct work *work = container_of(link, struct work, link);
        work->run(work);
        monitor_enter(monitor);
        work->done(work); /* May free itself. */
        leave(monitor, 1);

        lock(&monitor->pool);
        ASSERT(monitor->unfinished > 0);
        if (--monitor->unfinished == 0)
            (void)pthread_cond_broadcast(&monitor->work_finished);
    }
    unlock(&monitor->pool);
    return NULL;
}

/* Signals are for the daemon's own threads: none may interrupt a sync. */
static int start_thread(struct monitor *monitor)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int refused =
        pthread_create(&monitor->threads[monitor->threads_started], NULL, pool_thread, monitor);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (refused == 0)
        monitor->threads_started++;
    return refused;
}

static void monitor_work_submit(struct executor *executor, struct work *work)
{
    struct monitor *monitor = monitor_of(executor);
    ASSERT(is_inside(monitor));
    ASSERT(work->run != NULL);
    ASSERT(work->done != NULL);

    lock(&monitor->pool);
    ASSERT(!monitor->stopping);
    list_push(&monitor->pending, &work->link);
    monitor->unfinished++;
    /* One more thread than before when all are busy. If the system refuses it, those there do. */
    if (monitor->unfinished > monitor->threads_started &&
        monitor->threads_started < monitor->threads_max)
        (void)start_thread(monitor);
    monitor->wakes_owed++;
    unlock(&monitor->pool);
}

static uint64_t mix(uint64_t value)
{
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
    value = (value ^ value >> 27) * 0x94d049bb133111eb;
    return value ^ value >> 31;
}

/* A counter through a keyed mixer twice: no lock, no two threads get the same number. Not for
 * secrets: those come from OpenSSL. */
static uint64_t monitor_random(struct executor *executor)
{
    struct monitor *monitor = monitor_of(executor);
    uint64_t count = atomic_fetch_add_explicit(&monitor->random_counter, 1, memory_order_relaxed);
    uint64_t value = mix(count * 0x9e3779b97f4a7c15 + monitor->random_keys[0]);
    return mix(value ^ monitor->random_keys[1]);
}

static const struct executor_ops monitor_ops = {
    .post = monitor_post,
    .timer_start = monitor_timer_start,
    .timer_stop = monitor_timer_stop,
    .work_submit = monitor_work_submit,
    .monotonic_ms = monitor_monotonic_ms,
    .monotonic_ns = monitor_monotonic_ns,
    .wall_clock_ms = monitor_wall_clock_ms,
    .random = monitor_random,
};

static enum error seed_random(struct monitor *monitor)
{
    uint64_t seed[3];
    ssize_t got;
    do
        got = getrandom(seed, sizeof seed, 0);
    while (got < 0 && errno == EINTR);
    if (got != (ssize_t)sizeof seed)
        return ERROR_UNKNOWN_SERVER;
    monitor->random_keys[0] = seed[0];
    monitor->random_keys[1] = seed[1];
    atomic_init(&monitor->random_counter, seed[2]);
    return ERROR_NONE;
}

enum error monitor_new(int work_threads, void (*wake)(void *context, int64_t delay_ms),
                       void *context, struct monitor **ret_monitor)
{
    ASSERT(work_threads > 0);
    struct monitor *monitor =
        memory_allocate(sizeof *monitor + (size_t)work_threads * sizeof monitor->threads[0]);
    if (monitor == NULL)
        return ERROR_OUT_OF_MEMORY;

    monitor->base.ops = &monitor_ops;
    monitor->wake = wake;
    monitor->wake_context = context;
    monitor->threads_max = work_threads;
    monitor->told_ms = INT64_MAX;
    list_init(&monitor->tasks);
    list_init(&monitor->pending);
    enum error error = seed_random(monitor);
    if (error != ERROR_NONE) {
        memory_free(monitor);
        return error;
    }
    /* On Linux these only fill in memory and cannot fail without attributes. */
    (void)pthread_mutex_init(&monitor->inside, NULL);
    (void)pthread_mutex_init(&monitor->pool, NULL);
    (void)pthread_cond_init(&monitor->work_added, NULL);
    (void)pthread_cond_init(&monitor->work_finished, NULL);

    /* The first thread now, where its failure can be told; the others when they are needed. */
    lock(&monitor->pool);
    int refused = start_thread(monitor);
    unlock(&monitor->pool);
    if (refused != 0) {
        monitor_free(monitor);
        return ERROR_OUT_OF_MEMORY;
    }
    *ret_monitor = monitor;
    return ERROR_NONE;
}

void monitor_free(struct monitor *monitor)
{
    if (monitor == NULL)
        return;
    monitor_enter(monitor);
    monitor_leave(monitor);

    lock(&monitor->pool);
    while (monitor->unfinished > 0) {
        int refused = pthread_cond_wait(&monitor->work_finished, &monitor->pool);
        ASSERT(refused == 0);
    }
    monitor->stopping = true;
    (void)pthread_cond_broadcast(&monitor->work_added);
    unlock(&monitor->pool);
    for (int i = 0; i < monitor->threads_started; i++)
        (void)pthread_join(monitor->threads[i], NULL);

    ASSERT(list_empty(&monitor->tasks));
    (void)pthread_cond_destroy(&monitor->work_finished);
    (void)pthread_cond_destroy(&monitor->work_added);
    (void)pthread_mutex_destroy(&monitor->pool);
    (void)pthread_mutex_destroy(&monitor->inside);
    memory_free(monitor);
}

struct executor *monitor_executor(struct monitor *monitor)
{
    return &monitor->base;
}
