/* SPDX-License-Identifier: Apache-2.0 */
/* Two nodes in one process for the tests of peers: one that answers, with a real listener and the
 * real door, one that asks, with real peers, and a meddler on the wire between them.
 *
 *   asker --peers--> [wire: forwards, cuts, replaces] --> answerer: net, handle_peer_hello, ...
 *
 *   TextRead   answered with MaxBytes bytes: byte i is position + i
 *   TextStat   with MaxWaitMs waits for answerer_release or its cancellation; its answer's
 *              HighWatermark is the request's
 */
#ifndef TESTS_REPLICATE_PEER_FIXTURE_H
#define TESTS_REPLICATE_PEER_FIXTURE_H

#include "base/monitor.h"
#include "net/listener.h"
#include "replicate/peer/peer.h"
#include "wire/api_text_read.h"
#include "wire/api_text_stat.h"

#include <pthread.h>
#include <stdatomic.h>

struct answerer {
    struct monitor *monitor;
    struct net *net;
    struct broker broker;
    struct peer_token token;
    struct peer_doorkeeper keeper;
    enum peer_standing standing;
    uint16_t port;
    uint32_t connections_max; /* Of clients; 0: the default. */
    uint32_t connections_per_ip_max;
    bool dies;          /* It stops without answering what waits, as one that is killed. */
    struct list parked; /* Inside the monitor, as the counts. */
    int parked_count;
    int cancelled_count;
    int served_count;
    int32_t last_peer; /* requester.peer_node_id of the last request served. */
    void (*raft_accepted)(void *context, int descriptor, int32_t node_id, const char *address);
    void *raft_context; /* These two by default fill in the next three. */
    atomic_int raft_descriptor;
    int32_t raft_node_id;
    char raft_address[PEER_ADDRESS_BYTES_MAX + 1];
    atomic_bool closed;
};

/* Node 2 of cluster 1 with the token "the token of the cluster", at a port of its own. */
void answerer_init(struct answerer *answerer);
void answerer_start(struct answerer *answerer);
/* On the port it had before. */
void answerer_restart(struct answerer *answerer);
void answerer_stop(struct answerer *answerer);
/* Answers everything that waits, newest first. */
void answerer_release(struct answerer *answerer);
int answerer_parked(struct answerer *answerer);
int answerer_cancelled(struct answerer *answerer);
int answerer_served(struct answerer *answerer);

struct asker {
    struct monitor *monitor;
    struct peers *peers;
    struct peer_token token;
    struct peer_identity identity;
    atomic_int port; /* Where node 2 is; 0: not known. */
    const char *host;
    int64_t attempt_timeout_ms;
    atomic_int refused_count;
    atomic_int lost_count;
    atomic_bool closed;
};

/* Node 1 of cluster 1 with the same token, which looks for node 2 at `port`. */
void asker_init(struct asker *asker, uint16_t port);
void asker_start(struct asker *asker);
void asker_stop(struct asker *asker);
/* What it waits for; `context` is the asker. */
void asker_closed(void *context);

/* One call and whether it is over. */
struct asked {
    struct call call;
    union {
        struct text_read_request text_read;
        struct text_stat_request text_stat;
    } body;
    struct text_stat_request_topic topic; /* Of a text_stat: its id is the number. */
    struct asker *asker;
    atomic_bool over;
    int order; /* Which of those that are over it was, from 1. */
};

void ask_read(struct asker *asker, struct asked *asked, enum call_channel channel, int64_t position,
              int32_t size);
void ask_stat(struct asker *asker, struct asked *asked, enum call_channel channel, int64_t number,
              int32_t max_wait_ms, int64_t timeout_ms);
/* A call that was filled in by hand. */
void asked_begin(struct asker *asker, struct asked *asked);
void asked_cancel(struct asked *asked);
/* Waits for the end, frees what the call holds, returns how it ended. Checks a TextRead's bytes and
 * a TextStat's number. */
enum error asked_wait(struct asked *asked);

/* Waits until the count is as wanted; fails the test after ten seconds. */
void wait_for(atomic_int *count, int wanted);
void wait_flag(atomic_bool *flag);
void wait_at_least(atomic_int *count, int wanted);
void wait_answerer(struct answerer *answerer, int (*count)(struct answerer *), int wanted);

/* ---- the wire ---- */

enum wire_mode {
    WIRE_FORWARD,
    WIRE_CUT,     /* Closes both ends after `at` bytes of answers. */
    WIRE_RESET,   /* The same, by a reset. */
    WIRE_REPLACE, /* From byte `at` of the answers on, sends `evil` instead. */
    WIRE_STALL    /* From byte `at` on forwards no answers. */
};

struct wire {
    pthread_t thread;
    int listener;
    uint16_t port;
    uint16_t target;
    atomic_int mode;
    atomic_long at;
    const uint8_t *evil;
    size_t evil_size;
    atomic_int connections;
    atomic_int answered; /* Bytes of answers forwarded, in all. */
    atomic_bool stopping;
    int wake[2];
};

void wire_start(struct wire *wire, uint16_t target);
/* At a port of the caller's choice. */
void wire_start_at(struct wire *wire, uint16_t target, uint16_t port);
void wire_stop(struct wire *wire);

#endif
