/* SPDX-License-Identifier: Apache-2.0 */
/* The pairing heap of running timers. */
#include "base/timer_heap.h"

#include "base/assertion.h"

#include <stddef.h>

static bool earlier(const struct timer *a, const struct timer *b)
{
    if (a->due_ms != b->due_ms)
        return a->due_ms < b->due_ms;
    return a->order < b->order;
}

/* The later of two roots becomes the first child of the other. Either may be NULL. */
static struct timer *merge(struct timer *a, struct timer *b)
{
    if (a == NULL)
        return b;
    if (b == NULL)
        return a;
    struct timer *top = earlier(a, b) ? a : b;
    struct timer *under = top == a ? b : a;
    under->previous = top;
    under->next = top->child;
    if (under->next != NULL)
        under->next->previous = under;
    top->child = under;
    top->next = NULL;
    top->previous = NULL;
    return top;
}

/* One heap of a list of siblings: merged in pairs from the left, the pairs from the right. */
static struct timer *merge_siblings(struct timer *first)
{
    struct timer *pairs = NULL; /* Chained by next, the last pair first. */
    while (first != NULL) {
        struct timer *second = first->next;
        struct timer *rest = second == NULL ? NULL : second->next;
        first->next = NULL;
        first->previous = NULL;
        if (second != NULL) {
            second->next = NULL;
            second->previous = NULL;
        }
        struct timer *pair = merge(first, second);
        pair->next = pairs;
        pairs = pair;
        first = rest;
    }

    struct timer *result = NULL;
    while (pairs != NULL) {
        struct timer *pair = pairs;
        pairs = pair->next;
        pair->next = NULL;
        result = merge(result, pair);
    }
    return result;
}

void timer_heap_stop(struct timer_heap *heap, struct timer *timer)
{
    if (timer->slot == NULL)
        return;
    ASSERT(timer->slot == heap);

    struct timer *orphans = merge_siblings(timer->child);
    if (timer == heap->root) {
        heap->root = orphans;
    } else {
        if (timer->previous->child == timer)
            timer->previous->child = timer->next;
        else
            timer->previous->next = timer->next;
        if (timer->next != NULL)
            timer->next->previous = timer->previous;
        heap->root = merge(heap->root, orphans);
    }
    timer->slot = NULL;
    timer->child = NULL;
    timer->next = NULL;
    timer->previous = NULL;
}

void timer_heap_start(struct timer_heap *heap, struct timer *timer, int64_t due_ms)
{
    ASSERT(timer->fire != NULL);
    timer_heap_stop(heap, timer);
    timer->due_ms = due_ms;
    timer->order = heap->order++;
    timer->slot = heap;
    heap->root = merge(heap->root, timer);
}
