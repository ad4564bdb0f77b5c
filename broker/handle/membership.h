/* SPDX-License-Identifier: Apache-2.0 */
/* What handlers ask of the cluster this node is in: implemented by replicate/core/controller, and
 * before a cluster is formed by the daemon. Inside the monitor. */
#ifndef BROKER_HANDLE_MEMBERSHIP_H
#define BROKER_HANDLE_MEMBERSHIP_H

#include "catalog/catalog.h"

struct arena;
struct cluster_query_request;
struct cluster_query_response;
struct node_heartbeat_request;
struct membership;

enum { MEMBERSHIP_HOST_BYTES = 256, MEMBERSHIP_RACK_BYTES = 64, MEMBERSHIP_REASON_BYTES = 240 };

/* What the controller thinks of a node. */
struct membership_answer {
    enum error error; /* NOT_CONTROLLER, BROKER_ID_NOT_REGISTERED, STALE_BROKER_EPOCH. */
    bool fenced;
    bool should_shutdown; /* It asked to stop, and nobody needs it any more. */
    /* Of the quorum, and of this controller's monotonic clock: the next beat carries them back. */
    int64_t term;
    int64_t clock_ms;
    /* A majority of the voters has followed this controller since then at least; -1: not known to.
     * No lease counts from before. */
    int64_t proved_ms_ago;
};

/* A node that wants to be taken in. Owned by the caller until `done`, which comes exactly once, as
 * a task. */
struct membership_join {
    struct list link;
    struct task task;
    struct uuid node_uuid;
    int32_t wanted_node_id; /* -1: any. */
    char host[MEMBERSHIP_HOST_BYTES];
    int32_t port;
    char rack[MEMBERSHIP_RACK_BYTES]; /* "": none. */
    /* Results: NOT_CONTROLLER, DUPLICATE_BROKER_REGISTRATION, INVALID_REQUEST, REQUEST_TIMED_OUT,
     * CLOSING, OUT_OF_MEMORY. */
    enum error error;
    char reason[MEMBERSHIP_REASON_BYTES]; /* With an error: one clause for a person, or "". */
    int32_t node_id;
    void (*done)(struct membership_join *join);
};

struct membership_ops {
    int32_t (*leader_id)(struct membership *); /* The controller as far as known; -1: nobody. */
    /* Through this node's own quorum only: NOT_CONTROLLER when it does not lead. `command` is what
     * the proposal's bytes hold, for the call. DUPLICATE_BROKER_REGISTRATION: a node registers
     * under the id of another that is alive. */
    void (*propose)(struct membership *, const struct catalog_command *command,
                    struct catalog_proposal *);
    /* Slices of the request are read during the call. */
    void (*heartbeat)(struct membership *, const struct node_heartbeat_request *request,
                      struct membership_answer *ret_answer);
    void (*join)(struct membership *, struct membership_join *);
};

struct membership {
    const struct membership_ops *ops;
};

/* What a node says of itself to others that look for a cluster; with it CLUSTER_QUERY is answered
 * also before there is one. */
struct formation;

struct formation_ops {
    /* Fills the response but for its error code; arrays and strings live in the arena.
     * `peer_node_id` is the requester's (handle/request.h). OUT_OF_MEMORY. */
    enum error (*query)(struct formation *, struct arena *arena, int32_t peer_node_id,
                        const struct cluster_query_request *request,
                        struct cluster_query_response *ret_response);
};

struct formation {
    const struct formation_ops *ops;
};

#endif
