/* SPDX-License-Identifier: Apache-2.0 */
/* The cluster's last events, oldest overwritten first: cluster_view.h shows them. Inside the
 * monitor. */
#ifndef BROKER_HANDLE_CLUSTER_EVENTS_H
#define BROKER_HANDLE_CLUSTER_EVENTS_H

#include "handle/cluster_view.h"

/* Zero-initialised is empty; slots are made when the first event comes. */
struct cluster_events {
    struct cluster_event *slots; /* CLUSTER_EVENTS_KEPT of them; texts are owned. */
    uint64_t count;              /* Ever. */
};

void cluster_events_done(struct cluster_events *events);

/* Copies the text. Without memory the event is counted and has no line. */
void cluster_events_add(struct cluster_events *events, int64_t wall_clock_ms, const char *text);

/* Oldest first. */
void cluster_events_each(const struct cluster_events *events,
                         void (*each)(void *context, const struct cluster_event *event),
                         void *context);

#endif
