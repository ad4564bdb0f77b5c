/* SPDX-License-Identifier: Apache-2.0 */
/* What an operator sees of the cluster, as data: each node's state and the last events, for the
 * mount's .brokers and .cluster and for requests that describe nodes.
 *
 *   catalog (registered, fenced, replicas) ---.
 *   controller's sessions or its answers -----+--> cluster_view_node, cluster_view_event
 *   quorum (leader) --------------------------'
 *
 * Events are made on every node from what its catalog applies, so each node tells the same story
 * (since it started). Inside the monitor. */
#ifndef BROKER_HANDLE_CLUSTER_VIEW_H
#define BROKER_HANDLE_CLUSTER_VIEW_H

#include "catalog/catalog.h"

enum {
    CLUSTER_EVENTS_KEPT = 1000,
    CLUSTER_EVENT_BYTES = 480, /* With the NUL: a topic's name fits in. */
    CLUSTER_VERSION_BYTES = 32
};

enum cluster_node_state {
    CLUSTER_NODE_ALIVE,
    CLUSTER_NODE_FENCED,
    CLUSTER_NODE_DRAINING, /* Alive, and asked to give its replicas away. */
    CLUSTER_NODE_SHUTTING_DOWN
};

/* What a heartbeat says beside the catalog. Numbers are -1 while they are not known. */
struct cluster_node_report {
    char version[CLUSTER_VERSION_BYTES]; /* "": not known. */
    int64_t disk_total_bytes;
    int64_t disk_free_bytes;
    int64_t applied_index;
    int64_t heard_ms; /* Wall clock of the controller. */
};

struct cluster_node_view {
    int32_t node_id;
    enum cluster_node_state state;
    bool draining;     /* Also while it is fenced. */
    int64_t uptime_ms; /* Since it registered; -1 while it is fenced. */
    uint32_t leaders;
    uint32_t replicas; /* Those it is being given included. A draining node with none is drained. */
    struct cluster_node_report report; /* Host, port and rack are the catalog's. */
};

struct cluster_event {
    int64_t wall_clock_ms;
    const char *text; /* "node 2 is fenced: 12 leaders moved, 0 partitions without a leader" */
};

enum cluster_event_kind {
    CLUSTER_NODE_JOINED, /* Also one that registers again. */
    CLUSTER_NODE_LEFT,   /* Unregistered. */
    CLUSTER_NODE_WAS_FENCED,
    CLUSTER_NODE_WAS_UNFENCED,
    CLUSTER_NODE_STOPS,    /* Controlled shutdown. */
    CLUSTER_NODE_DRAINS,   /* Begins to, or is asked not to any more. */
    CLUSTER_LEADERS_MOVED, /* For no reason above. */
    CLUSTER_UNCLEAN_ELECTION,
    CLUSTER_REASSIGNMENT_STARTED,
    CLUSTER_REASSIGNMENT_DONE, /* Or cancelled. */
    CLUSTER_NOTE               /* Anything else: cluster_view_note. */
};

/* The event while it happens; everything is borrowed for the call. */
struct cluster_happening {
    enum cluster_event_kind kind;
    int32_t node_id;   /* -1: none. */
    const char *topic; /* NULL: none. */
    int32_t partition;
    uint32_t leaders_moved;
    uint32_t leaders_lost; /* Partitions that have no leader any more. */
    const char *text;
};

struct cluster_observer {
    struct list link;
    /* Inside catalog_apply: must not propose. */
    void (*happened)(struct cluster_observer *observer, const struct cluster_happening *happening);
};

struct cluster_view;

/* Watches the catalog until it is freed. */
enum error cluster_view_new(struct executor *executor, struct catalog *catalog,
                            struct cluster_view **ret_view);
/* Accepts NULL. */
void cluster_view_free(struct cluster_view *view);

/* "alive", "fenced", "draining", "shutting down". */
const char *cluster_node_state_text(enum cluster_node_state state);

/* False when there is no such node. O(1) but after a change of the catalog: then O(partitions). */
bool cluster_view_node(struct cluster_view *view, int32_t node_id,
                       struct cluster_node_view *ret_node);

/* Partitions of the whole cluster with no leader, and with fewer in-sync replicas than replicas
 * (those being added do not count). O(1) as above. */
void cluster_view_partitions(struct cluster_view *view, uint32_t *ret_offline,
                             uint32_t *ret_under_replicated);

/* Fewer of its replicas are in sync than there are; those being added do not count (KIP-455). */
bool cluster_partition_under_replicated(const struct catalog_partition *partition);

/* Since when (this node's wall clock) the partition has had no leader, or has been
 * under-replicated, whichever it is now; at the earliest since the view was made. -1: neither, or
 * not known. */
int64_t cluster_view_unwell_since(const struct cluster_view *view, const struct uuid *topic_id,
                                  int32_t index);

/* Oldest first. */
void cluster_view_event_each(const struct cluster_view *view,
                             void (*each)(void *context, const struct cluster_event *event),
                             void *context);
/* How many there have been: to wait for more. */
uint64_t cluster_view_event_count(const struct cluster_view *view);

/* ---- for those who know ---- */

/* What a heartbeat of the node said. Left out when the node is not registered. */
void cluster_view_report(struct cluster_view *view, int32_t node_id,
                         const struct cluster_node_report *report);
/* False when nothing is known of it. */
bool cluster_view_reported(const struct cluster_view *view, int32_t node_id,
                           struct cluster_node_report *ret_report);

/* An event that the catalog does not show. */
void cluster_view_note(struct cluster_view *view, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The observer is the caller's; cluster_view_unobserve before it goes. */
void cluster_view_observe(struct cluster_view *view, struct cluster_observer *observer);
void cluster_view_unobserve(struct cluster_observer *observer);

#endif
