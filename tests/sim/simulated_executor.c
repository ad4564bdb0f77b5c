/* SPDX-License-Identifier: Apache-2.0 */
/* Events in virtual time. */
#include "sim/simulated_executor.h"

#include "base/assertion.h"
#include "sim/simulated_file.h"

#include <stdlib.h>

/* So many events without the clock moving can only be a loop. */
enum { EVENTS_AT_ONE_TIME_MAX = 10 * 1000 * 1000 };

enum { NANOSECONDS_PER_MS = 1000000 };

enum event { EVENT_TASK = 1, EVENT_TIMER, EVENT_RUN, EVENT_DONE };

/* A work under way. */
struct pending_work {
    struct list link;
    struct work *work;
    int64_t due_ns; /* Of run(), then of done(). */
    uint64_t order;
    bool has_run;
};

struct simulated_executor {
    struct executor base;
    struct simulated_clock *clock;
    struct simulated_clock own_clock;
    int64_t skew_ms;
    int64_t work_takes_ms;
    struct random choices; /* When works run; apart from `random`, which the node draws from. */
    struct random random;
    struct list tasks;
    struct list works; /* Of struct pending_work. */
    size_t work_count;
    uint64_t work_order;
    struct timer_heap timers;
    bool dropped;
    uint64_t trace;
};

static struct simulated_executor *simulated_of(struct executor *executor)
{
    return container_of(executor, struct simulated_executor, base);
}

static void simulated_post(struct executor *executor, struct task *task)
{
    struct simulated_executor *simulated = simulated_of(executor);
    ASSERT(task->run != NULL);
    if (simulated->dropped)
        return;
    list_push(&simulated->tasks, &task->link);
}

static int64_t simulated_monotonic_ns(struct executor *executor)
{
    return simulated_of(executor)->clock->now_ns;
}

static int64_t simulated_monotonic_ms(struct executor *executor)
{
    return simulated_of(executor)->clock->now_ns / NANOSECONDS_PER_MS;
}

static int64_t simulated_wall_clock_ms(struct executor *executor)
{
    struct simulated_executor *simulated = simulated_of(executor);
    return simulated->clock->wall_at_zero_ms + simulated->skew_ms +
           simulated->clock->now_ns / NANOSECONDS_PER_MS;
}

static void simulated_timer_start(struct executor *executor, struct timer *timer, int64_t delay_ms)
{
    struct simulated_executor *simulated = simulated_of(executor);
    if (simulated->dropped)
        return;
    int64_t now_ms = simulated_monotonic_ms(executor);
    int64_t due_ms = now_ms;
    if (delay_ms > 0)
        due_ms = delay_ms > INT64_MAX - now_ms ? INT64_MAX : now_ms + delay_ms;
    timer_heap_start(&simulated->timers, timer, due_ms);
}

static void simulated_timer_stop(struct executor *executor, struct timer *timer)
{
    timer_heap_stop(&simulated_of(executor)->timers, timer);
}

static int64_t work_delay_ns(struct simulated_executor *simulated)
{
    return random_between(&simulated->choices, 0, simulated->work_takes_ms * NANOSECONDS_PER_MS);
}

static void simulated_work_submit(struct executor *executor, struct work *work)
{
    struct simulated_executor *simulated = simulated_of(executor);
    ASSERT(work->run != NULL);
    ASSERT(work->done != NULL);
    if (simulated->dropped)
        return;
    struct pending_work *pending = simulation_allocate(sizeof *pending);
    pending->work = work;
    pending->due_ns = simulated->clock->now_ns + work_delay_ns(simulated);
    pending->order = simulated->work_order++;
    list_push(&simulated->works, &pending->link);
    simulated->work_count++;
}

static uint64_t simulated_random(struct executor *executor)
{
    return random_next(&simulated_of(executor)->random);
}

static const struct executor_ops simulated_ops = {
    .post = simulated_post,
    .timer_start = simulated_timer_start,
    .timer_stop = simulated_timer_stop,
    .work_submit = simulated_work_submit,
    .monotonic_ms = simulated_monotonic_ms,
    .monotonic_ns = simulated_monotonic_ns,
    .wall_clock_ms = simulated_wall_clock_ms,
    .random = simulated_random,
};

struct simulated_executor *simulated_executor_new(uint64_t seed, struct simulated_clock *clock)
{
    struct simulated_executor *simulated = simulation_allocate(sizeof *simulated);
    simulated->base.ops = &simulated_ops;
    /* Not zero: code that takes 0 for "never" is found out later, not here. */
    simulated->own_clock.now_ns = INT64_C(1000) * NANOSECONDS_PER_MS;
    simulated->own_clock.wall_at_zero_ms = SIMULATED_WALL_CLOCK_MS;
    simulated->clock = clock == NULL ? &simulated->own_clock : clock;
    simulated->work_takes_ms = 2;
    random_seed(&simulated->random, seed);
    random_seed(&simulated->choices, ~seed);
    list_init(&simulated->tasks);
    list_init(&simulated->works);
    return simulated;
}

static void pending_work_free(struct simulated_executor *simulated, struct pending_work *pending)
{
    list_remove(&pending->link);
    free(pending);
    simulated->work_count--;
}

static void works_forget(struct simulated_executor *simulated)
{
    list_for_each_safe(link, &simulated->works)
        pending_work_free(simulated, container_of(link, struct pending_work, link));
}

void simulated_executor_free(struct simulated_executor *simulated)
{
    if (simulated == NULL)
        return;
    works_forget(simulated);
    free(simulated);
}

struct executor *simulated_executor_seam(struct simulated_executor *simulated)
{
    return &simulated->base;
}

struct simulated_clock *simulated_executor_clock(struct simulated_executor *simulated)
{
    return simulated->clock;
}

void simulated_executor_work_takes(struct simulated_executor *simulated, int64_t ms)
{
    ASSERT(ms >= 0);
    simulated->work_takes_ms = ms;
}

void simulated_executor_skew(struct simulated_executor *simulated, int64_t ms)
{
    simulated->skew_ms = ms;
}

static struct pending_work *earliest_work(const struct simulated_executor *simulated)
{
    struct pending_work *earliest = NULL;
    list_for_each(link, &simulated->works)
    {
        struct pending_work *pending = container_of(link, struct pending_work, link);
        if (earliest == NULL || pending->due_ns < earliest->due_ns ||
            (pending->due_ns == earliest->due_ns && pending->order < earliest->order))
            earliest = pending;
    }
    return earliest;
}

static int64_t timer_due_ns(const struct timer *timer)
{
    int64_t limit_ms = INT64_MAX / NANOSECONDS_PER_MS;
    return timer->due_ms > limit_ms ? INT64_MAX : timer->due_ms * NANOSECONDS_PER_MS;
}

int64_t simulated_executor_next_ns(const struct simulated_executor *simulated)
{
    int64_t now_ns = simulated->clock->now_ns;
    if (!list_empty(&simulated->tasks))
        return now_ns;
    const struct timer *timer = simulated->timers.root;
    const struct pending_work *pending = earliest_work(simulated);
    if (timer == NULL && pending == NULL)
        return -1;
    int64_t next_ns = timer == NULL ? INT64_MAX : timer_due_ns(timer);
    if (pending != NULL && pending->due_ns < next_ns)
        next_ns = pending->due_ns;
    return next_ns > now_ns ? next_ns : now_ns;
}

/* Counts an event at `due_ns`, moving the clock there when that is later. */
static void begin_event(struct simulated_executor *simulated, enum event event, int64_t due_ns,
                        uint64_t order)
{
    struct simulated_clock *clock = simulated->clock;
    if (due_ns > clock->now_ns) {
        clock->now_ns = due_ns;
        clock->events_at_now = 0;
    }
    ASSERT(clock->events_at_now++ < EVENTS_AT_ONE_TIME_MAX);
    uint64_t facts[] = {(uint64_t)event, (uint64_t)clock->now_ns, order};
    simulated->trace = simulated_hash(simulated->trace, facts, sizeof facts);
}

static void step_task(struct simulated_executor *simulated)
{
    struct task *task = container_of(list_take(&simulated->tasks), struct task, link);
    begin_event(simulated, EVENT_TASK, simulated->clock->now_ns, 0);
    task->run(task);
}

static void step_timer(struct simulated_executor *simulated)
{
    struct timer *timer = simulated->timers.root;
    begin_event(simulated, EVENT_TIMER, timer_due_ns(timer), timer->order);
    timer_heap_stop(&simulated->timers, timer);
    timer->fire(timer);
}

static void step_work(struct simulated_executor *simulated, struct pending_work *pending)
{
    struct work *work = pending->work;
    begin_event(simulated, pending->has_run ? EVENT_DONE : EVENT_RUN, pending->due_ns,
                pending->order);
    if (pending->has_run) {
        pending_work_free(simulated, pending);
        work->done(work);
        return;
    }
    pending->has_run = true;
    pending->due_ns = simulated->clock->now_ns + work_delay_ns(simulated);
    work->run(work);
}

bool simulated_executor_step(struct simulated_executor *simulated)
{
    if (!list_empty(&simulated->tasks)) {
        step_task(simulated);
        return true;
    }
    const struct timer *timer = simulated->timers.root;
    struct pending_work *pending = earliest_work(simulated);
    if (timer == NULL && pending == NULL)
        return false;
    if (pending == NULL || (timer != NULL && timer_due_ns(timer) <= pending->due_ns))
        step_timer(simulated);
    else
        step_work(simulated, pending);
    return true;
}

bool simulated_executors_step(struct simulated_executor **nodes, size_t count)
{
    struct simulated_executor *first = NULL;
    int64_t first_ns = INT64_MAX;
    for (size_t i = 0; i < count; i++) {
        if (nodes[i] == NULL)
            continue;
        ASSERT(first == NULL || first->clock == nodes[i]->clock);
        int64_t next_ns = simulated_executor_next_ns(nodes[i]);
        if (next_ns >= 0 && next_ns < first_ns) {
            first = nodes[i];
            first_ns = next_ns;
        }
    }
    return first != NULL && simulated_executor_step(first);
}

bool simulated_executor_run_until(struct simulated_executor *simulated,
                                  bool (*predicate)(void *context), void *context,
                                  int64_t timeout_ms)
{
    int64_t deadline_ns = simulated->clock->now_ns + timeout_ms * NANOSECONDS_PER_MS;
    while (!predicate(context)) {
        int64_t next_ns = simulated_executor_next_ns(simulated);
        if (next_ns < 0 || next_ns > deadline_ns)
            return false;
        (void)simulated_executor_step(simulated);
    }
    return true;
}

void simulated_executor_run_until_idle(struct simulated_executor *simulated)
{
    while (!list_empty(&simulated->tasks) || simulated->work_count > 0)
        (void)simulated_executor_step(simulated);
}

void simulated_executor_run_for(struct simulated_executor *simulated, int64_t ms)
{
    struct simulated_clock *clock = simulated->clock;
    int64_t end_ns = clock->now_ns + ms * NANOSECONDS_PER_MS;
    for (;;) {
        int64_t next_ns = simulated_executor_next_ns(simulated);
        if (next_ns < 0 || next_ns > end_ns)
            break;
        (void)simulated_executor_step(simulated);
    }
    if (clock->now_ns < end_ns) {
        clock->now_ns = end_ns;
        clock->events_at_now = 0;
    }
}

void simulated_executor_drop_all(struct simulated_executor *simulated)
{
    simulated->dropped = true;
    while (!list_empty(&simulated->tasks))
        (void)list_take(&simulated->tasks);
    while (simulated->timers.root != NULL)
        timer_heap_stop(&simulated->timers, simulated->timers.root);
    works_forget(simulated);
}

void simulated_executor_restart(struct simulated_executor *simulated)
{
    simulated->dropped = false;
}

size_t simulated_executor_pending_tasks(const struct simulated_executor *simulated)
{
    size_t count = 0; /* Not kept: a poster may withdraw its task. */
    list_for_each(link, &simulated->tasks) count++;
    return count;
}

size_t simulated_executor_pending_works(const struct simulated_executor *simulated)
{
    return simulated->work_count;
}

uint64_t simulated_executor_trace(const struct simulated_executor *simulated)
{
    return simulated->trace;
}
