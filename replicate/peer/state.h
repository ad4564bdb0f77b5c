/* SPDX-License-Identifier: Apache-2.0 */
/* What peers are made of; private to this folder. Everything belongs to the peers' thread but what
 * the mutex guards.
 *
 *   peers -- peer_node (a node id, or a host and port) -- link (one a channel) -- stream (a socket)
 *              '-- where it is, what was reported           '-- outbound (one a call)
 *   dial: a socket being made and proved, for a link or for Raft
 */
#ifndef REPLICATE_PEER_STATE_H
#define REPLICATE_PEER_STATE_H

#include "base/table.h"
#include "base/timer_heap.h"
#include "replicate/peer/lookup.h"
#include "replicate/peer/peer.h"

#include <pthread.h>
#include <uv.h>

enum {
    PEER_SCRATCH_BYTES = 64 * 1024,
    PEER_REASON_BYTES = 320,
    PEER_RETRY_MS_MIN = 20,
    PEER_RETRY_MS_MAX = 1000,
    PEER_SPARE_OUTBOUNDS = 64,
    PEER_GUEST_IDLE_MS = 60000, /* Then a connection to no node in particular is closed. */
};

struct peers {
    struct monitor *monitor;
    struct executor *executor;
    struct peers_options options;
    struct caller caller;
    uv_loop_t uv;
    uv_async_t wake;
    uv_timer_t timer; /* The earliest of `timers`. */
    pthread_t thread;
    struct lookup_desk *desk;
    struct timer_heap timers;

    pthread_mutex_t mutex;  /* Guards the rest of this paragraph. */
    struct list calls;      /* struct call.link: started. */
    struct list cancelled;  /* struct call.link: call_cancel was called. */
    struct list connects;   /* struct peer_connect.link: started. */
    bool connect_cancelled; /* Of one that has been taken. */
    bool signalled;         /* Something came: the wake is under way, or settle looks again. */
    bool settling;
    bool closing_asked;
    bool refusing; /* Nothing new is taken. */
    struct peer_identity identity;

    struct list nodes;    /* struct peer_node.link */
    struct list dialing;  /* struct peer_connect.link: with a dial. */
    struct list ended;    /* struct call.link: result set, to be completed. */
    struct list lost;     /* struct link.lost_link: `lost` is to be called. */
    uint32_t dials;       /* With handles that are not closed yet. */
    uint32_t streams;     /* The same. */
    struct list spares;   /* struct outbound.link */
    uint32_t spare_count; /* Of them. */
    uint8_t *scratch;     /* What reads of small answers go to. */
    bool closing;
    bool handles_closed; /* Written with the mutex. */
    void (*closed)(void *context);
    void *closed_context;
};

/* Somebody to talk to: a node, or with id -1 whoever listens at host and port. */
struct peer_node {
    struct list link;
    struct peers *peers;
    int32_t node_id;
    char host[PEER_HOST_BYTES]; /* Of id -1. */
    uint16_t port;
    struct link *links[CALL_CHANNELS]; /* Each made by its first call. */
    int64_t used_ms;                   /* Last call. */
    char reason[PEER_REASON_BYTES];    /* Why it is not reached, as reported last; "": it is. */
};

/* One call. */
struct outbound {
    struct list link; /* In the link's waiting or sending, or alone. */
    UT_hash_handle hh;
    int32_t correlation_id;
    struct link *owner;
    struct call *call; /* NULL: cancelled; its answer is thrown away. */
    const struct api *api;
    struct timer deadline;
    struct outgoing outgoing; /* What is left to send. */
    int64_t timeout_ms;
    int64_t sent_ms; /* All of it is with the system since (or since it was missed last);
                                 0: not yet. */
};

enum link_state { LINK_IDLE, LINK_DIALING, LINK_READY };

/* Calls of one channel to one node. */
struct link {
    struct list lost_link; /* In peers.lost, or alone. */
    enum peer_loss loss;
    struct peer_node *node;
    struct peers *peers;
    enum call_channel channel;
    enum link_state state;
    struct dial *dial;       /* DIALING, once the time of it has come. */
    struct stream *stream;   /* READY */
    struct timer retry;      /* DIALING: until the time of the dial has come. */
    int64_t retry_delay_ms;  /* Before the next attempt but one; 0: after a success. */
    int64_t retry_at_ms;     /* No attempt before. */
    int64_t ready_ms;        /* READY since. */
    int64_t received_ms;     /* Last byte. */
    struct list waiting;     /* struct outbound.link: not encoded. */
    struct list sending;     /* struct outbound.link: encoded, not all of it with the system. */
    struct outbound *on_way; /* Table: sending and sent, by correlation id. */
    uint64_t unsent_bytes;   /* Of sending. */
    int32_t correlation_id;  /* The last one given. */
};

/* A proved socket; its own block, because libuv lets go of it later. */
struct stream {
    uv_poll_t poll;
    struct peers *peers;
    struct link *owner; /* NULL once closed. */
    int descriptor;
    int polled;             /* Events asked for. */
    bool send_blocked;      /* The socket takes no more at the moment. */
    struct buffer *partial; /* What came of an answer that is not complete, from its size on. */
    size_t expected_bytes;  /* Of late answers with their size, by and by forgotten. */
    struct buffer *spares[2];
};

/* ---- peers.c ---- */

/* Without the thread: for peers_open, and for tests that turn the loop themselves. */
enum error peers_new(const struct peers_options *options, struct peers **ret_peers);

int64_t peers_now_ms(const struct peers *peers);
void peers_timer_start(struct peers *peers, struct timer *timer, int64_t delay_ms);
void peers_timer_stop(struct peers *peers, struct timer *timer);
struct peer_identity peers_identity(struct peers *peers);

/* The call is over; `done` comes with the next settle. Also sets its response. */
void peers_call_end(struct peers *peers, struct call *call, enum error error);

/* Completes what has ended and takes what was started meanwhile, until there is nothing. */
void peers_settle(struct peers *peers);

/* A handle has gone; with the last one of a closing peers, all is closed. */
void peers_check_closed(struct peers *peers);

/* What keeps a node from being reached, told once for as long as it stays the same; "" when it is
 * reached. */
void peer_node_tell(struct peer_node *node, const char *reason);

/* ---- link.c ---- */

/* OUT_OF_MEMORY: NULL. */
struct link *link_new(struct peer_node *node, enum call_channel channel);
/* Ends every call with CLOSING; afterwards the link is nobody's. */
void link_free(struct link *link);

void link_add(struct link *link, struct outbound *outbound);
void link_cancel(struct link *link, struct outbound *outbound);
bool link_is_unused(const struct link *link);

/* The connection ended or cannot be used any more. */
void link_failed(struct link *link, const char *why);

struct outbound *outbound_new(struct peers *peers, struct call *call);

/* Its call ends, unless that was cancelled, and the outbound is gone. */
void outbound_end(struct outbound *outbound, enum error error);

/* ---- stream.c: bytes of a link's socket ---- */

enum error stream_new(struct link *link, int descriptor, struct stream **ret_stream);
/* Closes the socket at once. */
void stream_close(struct stream *stream);

/* Encodes and sends what waits, as far as the socket takes it. */
void stream_pump(struct stream *stream);

/* Takes what the socket has, up to a fair share. The link may fail. */
void stream_receive(struct stream *stream);

/* An answer: decodes it for its call. MALFORMED: to nothing asked, or damaged. */
enum error link_answered(struct link *link, struct buffer *buffer, struct slice frame);

/* ---- dial.c ---- */

struct dial;

struct dial_options {
    const char *host; /* Copied, as the rest. */
    uint16_t port;
    int32_t node_id; /* Who is meant to be there; -1: anybody. */
    enum peer_purpose purpose;
    const char *address; /* For Raft; otherwise "". */
    /* NONE with the socket, which is non-blocking and the callee's; otherwise why not, in words
     * too. `refused`: nobody listens there. Never from inside dial_start. */
    void (*done)(void *context, enum error error, int descriptor, const char *reason, bool refused);
    void *context;
};

/* NULL when out of memory. */
struct dial *dial_start(struct peers *peers, const struct dial_options *options);

/* `done` does not come any more. */
void dial_cancel(struct dial *dial);

#endif
