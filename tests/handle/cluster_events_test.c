/* SPDX-License-Identifier: Apache-2.0 */
/* The last so many events, in order. */
#include "handle/cluster_events.h"

#include "base/memory.h"

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

struct seen {
    uint32_t count;
    int first;
    int last;
    int64_t last_ms;
};

static void see(void *context, const struct cluster_event *event)
{
    struct seen *seen = context;
    seen->last = (int)strtol(event->text, NULL, 10);
    seen->last_ms = event->wall_clock_ms;
    if (seen->count++ == 0)
        seen->first = seen->last;
}

static void add(struct cluster_events *events, int first, int last)
{
    for (int i = first; i <= last; i++) {
        char text[20];
        snprintf(text, sizeof text, "%d", i);
        cluster_events_add(events, i * 10, text);
    }
}

/* The oldest make room for the newest. */
static void the_oldest_are_overwritten(void **state)
{
    struct cluster_events events = {0};
    struct seen seen = {0};
    (void)state;
    cluster_events_each(&events, see, &seen);
    assert_int_equal(seen.count, 0);
    add(&events, 1, 3);
    cluster_events_each(&events, see, &seen);
    assert_int_equal(seen.count, 3);
    assert_int_equal(seen.first, 1);
    assert_int_equal(seen.last, 3);
    assert_int_equal(seen.last_ms, 30);
    add(&events, 4, CLUSTER_EVENTS_KEPT + 5);
    seen = (struct seen){0};
    cluster_events_each(&events, see, &seen);
    assert_int_equal(seen.count, CLUSTER_EVENTS_KEPT);
    assert_int_equal(seen.first, 6);
    assert_int_equal(seen.last, CLUSTER_EVENTS_KEPT + 5);
    assert_int_equal(events.count, CLUSTER_EVENTS_KEPT + 5);
    cluster_events_done(&events);
}

/* Without memory an event has no line, and the others keep theirs. */
static void a_refused_allocation_costs_one_line(void **state)
{
    (void)state;
    for (long countdown = 0; countdown < 4; countdown++) {
        struct cluster_events events = {0};
        struct seen seen = {0};
        memory_fault_arm(countdown);
        add(&events, 1, 3);
        bool fired = memory_fault_fired();
        memory_fault_arm(-1);
        cluster_events_each(&events, see, &seen);
        assert_int_equal(events.count, 3);
        assert_int_equal(seen.count, fired ? 2 : 3);
        cluster_events_done(&events);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_oldest_are_overwritten),
        cmocka_unit_test(a_refused_allocation_costs_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
