/* SPDX-License-Identifier: Apache-2.0 */
/* This node's sign of life to the controller, every interval, and what follows from the answers:
 * whether it holds its lease, whether it is fenced, whether it may stop.
 *
 *   sent ........ answered ------ lease ------> sent + 0.8 * session timeout
 *   the controller fences this node no sooner than heard + session timeout, and heard >= sent
 *
 * A beat counts once this node has applied what its answer says the controller had (lease.h).
 *
 * The lease bounds how long a leader cut off from the controller goes on acknowledging (invariant
 * 16); nothing is correct because of it alone. Inside the monitor. */
#ifndef REPLICATE_CORE_HEARTBEAT_H
#define REPLICATE_CORE_HEARTBEAT_H

#include "catalog/catalog.h"
#include "replicate/core/quorum.h"
#include "wire/call.h"

struct cluster_view;
struct heartbeat;
struct membership;

/* What the answers come to. Each may be NULL; called as tasks or timers, never from inside a
 * heartbeat_ function. */
struct heartbeat_events {
    void (*lease)(struct heartbeat_events *, bool held);
    void (*fenced)(struct heartbeat_events *, bool fenced); /* As the controller sees it. */
    void (*unregistered)(struct heartbeat_events *);        /* The cluster does not know this id. */
    void (*stale_epoch)(struct heartbeat_events *);         /* Register again. */
};

struct heartbeat_options {
    struct executor *executor;
    struct caller *caller; /* NULL: a cluster of one. */
    struct quorum *quorum;
    struct catalog *catalog;
    struct membership *membership; /* This node's controller: asked directly while it leads. */
    struct cluster_view *view;     /* Told what the controller knows of the nodes; may be NULL. */
    struct heartbeat_events *events;
    int32_t node_id;
    int64_t interval_ms;        /* broker.heartbeat.interval.ms */
    int64_t session_timeout_ms; /* broker.session.timeout.ms */
    const char *version;        /* Of the program; borrowed. */
    /* Of the data directory's disk; may be NULL. Must not block. */
    void (*disk)(void *context, int64_t *ret_total_bytes, int64_t *ret_free_bytes);
    void *context;
};

/* Without a lease, and fenced, until the first answer. */
enum error heartbeat_new(const struct heartbeat_options *options, struct heartbeat **ret_heartbeat);

/* This node is registered under `epoch` (the outcome's index): begins, or goes on with the new
 * epoch. At once one heartbeat. */
void heartbeat_start(struct heartbeat *heartbeat, int64_t epoch);

/* By the clock, also when a timer is late: a stopped process finds that its lease has lapsed. */
bool heartbeat_lease_held(const struct heartbeat *heartbeat);
bool heartbeat_fenced(const struct heartbeat *heartbeat);

/* Controlled shutdown: leadership of the quorum is handed on, then the controller is asked to move
 * this node's partitions; `done` comes once, as a task: NONE when it may stop, REQUEST_TIMED_OUT
 * after `timeout_ms`, or when no controller has answered for a session timeout, CLOSING by
 * heartbeat_stop. Once. */
void heartbeat_shutdown(struct heartbeat *heartbeat, int64_t timeout_ms,
                        void (*done)(void *context, enum error error), void *context);

/* No callback comes any more, but for `done` of a shutdown under way. */
void heartbeat_stop(struct heartbeat *heartbeat);

/* After heartbeat_stop: no call is under way any more. */
bool heartbeat_idle(const struct heartbeat *heartbeat);

/* Stopped and idle, or the executor has forgotten everything. Accepts NULL. */
void heartbeat_free(struct heartbeat *heartbeat);

#endif
