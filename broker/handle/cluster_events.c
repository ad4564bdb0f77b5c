/* SPDX-License-Identifier: Apache-2.0 */
/* A ring of lines. */
#include "handle/cluster_events.h"

#include "base/memory.h"

#include <string.h>

void cluster_events_done(struct cluster_events *events)
{
    for (uint32_t i = 0; events->slots != NULL && i < CLUSTER_EVENTS_KEPT; i++)
        memory_free((char *)events->slots[i].text);
    memory_free(events->slots);
    *events = (struct cluster_events){0};
}

void cluster_events_add(struct cluster_events *events, int64_t wall_clock_ms, const char *text)
{
    if (events->slots == NULL)
        events->slots = memory_allocate_array(CLUSTER_EVENTS_KEPT, sizeof *events->slots);
    uint64_t place = events->count++ % CLUSTER_EVENTS_KEPT;
    if (events->slots == NULL)
        return;
    struct cluster_event *slot = &events->slots[place];
    memory_free((char *)slot->text);
    slot->wall_clock_ms = wall_clock_ms;
    slot->text = memory_copy_text(text, strlen(text));
}

void cluster_events_each(const struct cluster_events *events,
                         void (*each)(void *context, const struct cluster_event *event),
                         void *context)
{
    uint64_t first = events->count > CLUSTER_EVENTS_KEPT ? events->count - CLUSTER_EVENTS_KEPT : 0;
    for (uint64_t i = first; events->slots != NULL && i < events->count; i++) {
        const struct cluster_event *slot = &events->slots[i % CLUSTER_EVENTS_KEPT];
        if (slot->text != NULL)
            each(context, slot);
    }
}
