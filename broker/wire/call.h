/* SPDX-License-Identifier: Apache-2.0 */
/* One request to another node and its answer, as a seam: real sockets below it in the daemon
 * (replicate/peer), a simulated network in the simulator.
 *
 *   call_init -> (fill body) -> call_start [inside the monitor] -> ... -> done(call) -> call_done
 *
 * The contract of base/executor.h holds: the caller owns the struct until `done`, which comes
 * exactly once, as a task inside the monitor, never from inside call_start. Requests on one channel
 * to one node are sent in the order they were started. On CALL_REPLICA they are answered in that
 * order, on the other channels each when it is done: none waits behind another. Every request must
 * be one that is answered (no Produce with acks=0). */
#ifndef BROKER_WIRE_CALL_H
#define BROKER_WIRE_CALL_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/executor.h"
#include "wire/api.h"

/* Requests that may wait long are kept from those that must not wait behind them: a connection
 * each. */
enum call_channel {
    CALL_CONTROL, /* Heartbeats, proposals, coordinators: answered soon. */
    CALL_REPLICA, /* REPLICA_FETCH. */
    CALL_PRODUCE, /* Forwarded appends. */
    CALL_READ,    /* Forwarded reads, also such as wait for news. */
    CALL_CHANNELS
};

enum { CALL_RESPONSE_BYTES_MAX = 256 << 20 };

struct caller;

struct call {
    struct list link; /* These two are the caller's implementation's own until done. */
    struct task task;
    void *implementation;
    struct caller *caller;
    int32_t node_id;  /* -1: not known yet, then host and port say where. */
    const char *host; /* Borrowed until done. */
    uint16_t port;
    enum call_channel channel;
    const struct api *api;
    int16_t version;
    const void *body;   /* struct <api>_request; what it points to is borrowed until done. */
    int64_t timeout_ms; /* From call_start to done. */
    /* Results. LEADER_NOT_AVAILABLE: certainly not sent (no such node, or no connection to it).
     * NETWORK: the connection went before the answer came; REQUEST_TIMED_OUT: no answer in time:
     * both may have been carried out. CLOSING, INTERRUPTED (call_cancel),
     * CLUSTER_AUTHORIZATION_FAILED, INCONSISTENT_CLUSTER_ID (a node of another cluster is there),
     * OUT_OF_MEMORY, MALFORMED (the answer). */
    enum error error;
    void *response;       /* struct <api>_response in the arena; NULL on error. */
    struct buffer *frame; /* What its slices point into. */
    struct arena arena;
    void (*done)(struct call *call);
    /* The answer is here, decoded, and `done` is to come: work on it that needs no monitor, outside
     * of it, on the implementation's thread. May be NULL. */
    void (*arrived)(struct call *call);
};

struct caller_ops {
    void (*start)(struct caller *, struct call *);
    void (*cancel)(struct caller *, struct call *);
};

struct caller {
    const struct caller_ops *ops;
};

/* Zeroes the struct and sets what every call has; version is the api's newest. */
void call_init(struct call *call, struct caller *caller, const struct api *api, int32_t node_id,
               enum call_channel channel, int64_t timeout_ms);

/* Inside the monitor. With caller NULL (a cluster of one) it ends with LEADER_NOT_AVAILABLE. */
void call_start(struct executor *executor, struct call *call);

/* Ends a started call early with INTERRUPTED, unless it has ended; `done` still comes. Inside the
 * monitor. */
void call_cancel(struct call *call);

/* Frees what the answer holds, after `done`. Accepts one that was never started. */
void call_done(struct call *call);

/* For implementations: ends a call; posts its `done`. Inside the monitor. */
void call_complete(struct executor *executor, struct call *call, enum error error);

#endif
