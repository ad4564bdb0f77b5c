/* SPDX-License-Identifier: Apache-2.0 */
/* One request in flight, from either door: net decodes a frame into it, fs fills the struct itself.
 * The same handler answers both.
 *
 *   request_init -> (fill body) -> handle_start [inside the monitor] -> ... -> done(request) ->
 * request_done
 *
 * `body` is a struct <api>_request, `response` a struct <api>_response (both from the generated
 * wire headers, living in the request's arena). A handler fills the response and calls
 * request_complete exactly once, at once or later; `done` then runs as a task inside the monitor,
 * never from inside handle_start. */
#ifndef BROKER_HANDLE_REQUEST_H
#define BROKER_HANDLE_REQUEST_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/executor.h"
#include "handle/broker.h"
#include "handle/peer_door.h"
#include "record/codec.h"
#include "wire/api.h"

enum { REQUEST_ARENA_BYTES_MAX = 64 << 20 };

struct requester {
    struct slice principal;    /* "User:alice", "User:ANONYMOUS". */
    struct slice client_id;    /* May be null. */
    struct slice client_host;  /* "/127.0.0.1" as Kafka prints it. */
    const char *listener_host; /* What this listener advertises. */
    int32_t listener_port;
    uint64_t connection_id; /* 0 for the mount. */
    bool nodes_only;        /* The listener is for nodes that have proved themselves. */
    int32_t peer_node_id;   /* Of the node whose connection it is; PEER_CLIENT, PEER_GUEST. */
};

struct request {
    struct broker *broker;
    const struct api *api;
    int16_t version;
    struct requester requester;
    struct peer_door *door; /* The connection's, while it is between PeerHello and PeerProof. */
    struct arena arena;
    struct buffer *frame; /* What body slices point into; one reference, may be NULL. */
    void *body;
    void *response;        /* NULL until the handler allocates it with request_response. */
    bool no_response;      /* Produce with acks=0: nothing is sent. */
    bool close_connection; /* Produce with acks=0 failed, or the client broke the protocol. */
    bool close_after;      /* The connection is closed once the answer is sent. */
    bool completed;
    uint32_t holds; /* Parts of the answer that are still to come: see request_hold. */
    struct task task;
    void (*done)(struct request *request);
    /* Set by a handler that parks, so that a dropped connection or an interrupted file operation
     * can end it early; called inside the monitor, at most once, not after completion. The handler
     * then completes soon. May be NULL. */
    void (*cancel)(struct request *request);
    void *handler_state; /* The parked handler's own. */
    /* The door sets it once it has encoded the response (also when that failed): the writer then
     * owns what its records hold. Otherwise request_done lets go of it through drop_response, set
     * by the handler. */
    bool response_taken;
    void (*drop_response)(struct request *request);
};

void request_init(struct request *request, struct broker *broker, const struct api *api,
                  int16_t version);
/* Drops the response if it was not taken, arena and frame. Any thread. */
void request_done(struct request *request);

/* Zeroed struct of the API's response size from the arena; NULL when out of memory (complete with
 * close_connection then). */
void *request_response(struct request *request);

/* The handler is finished: posts `done`. */
void request_complete(struct request *request);

/* Completes it when all of its answer could be made, otherwise fails it. */
void request_end(struct request *request, bool answered);

/* For answers put together from parts that end on their own: one hold for each, and one of the
 * handler's own while it starts them. The last one let go of completes the request. */
void request_hold(struct request *request);
void request_release(struct request *request);

/* Ends a parked request early; it completes soon. Harmless when completed. */
void request_cancel(struct request *request);

/* Dispatches by api key. Inside the monitor. The API must be one handle_supports. */
void handle_start(struct request *request);
bool handle_supports(int16_t api_key);

/* Answers with CLUSTER_AUTHORIZATION_FAILED and closes a request that only nodes may make, from
 * somebody else. `error_code_at` is where the error code is in the API's response. */
void request_refuse_stranger(struct request *request, size_t error_code_at);

/* Two optional steps that let a Produce's CRC and record checks run outside the monitor:
 *
 *   monitor_enter; bool more = handle_admit(request); monitor_leave
 *   if (more) handle_prepare(request, context)           [any thread, outside]
 *   monitor_enter; handle_start(request); monitor_leave
 *
 * handle_admit looks up what each batch is allowed (inside the monitor); handle_prepare checks
 * every batch against it and keeps the findings in the request's arena. handle_start does what was
 * left out by itself. For other APIs handle_admit answers false. */
bool handle_admit(struct request *request);
void handle_prepare(struct request *request, struct codec_context *context);

#endif
