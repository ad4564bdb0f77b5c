/* SPDX-License-Identifier: Apache-2.0 */
/* One client's socket, or another node's: then it has a door (handle/peer_door.h).
 *
 *   OPEN --damaged frame, end of input, node stopping--> FINISHING --all answered and sent--.
 *     |                                                      |                               v
 *     '--socket failed, deadline, peer gone----------------------------------------------> CLOSED
 *
 * FINISHING reads no more, but what was asked before is answered. CLOSED has no socket; the struct
 * goes when its last request has come back. Belongs to its loop's thread. */
#ifndef BROKER_NET_CONNECTION_H
#define BROKER_NET_CONNECTION_H

#include "net/exchange.h"
#include "net/loop.h"

enum connection_state { CONNECTION_OPEN, CONNECTION_FINISHING, CONNECTION_CLOSED };

struct connection {
    struct list link;  /* In the loop's connections, until CLOSED. */
    struct list flush; /* In the loop's flushing list, or alone. */
    struct list trial; /* In the loop's trials, while on trial (NET_TRIALS_MAX). */
    struct io_loop *loop;
    struct net_listener *listener;
    uv_poll_t poll;
    int descriptor;
    int polled; /* Events asked for. */
    enum connection_state state;
    bool peer_hung_up;  /* Seen while not reading: it sends no more. */
    bool peer_finished; /* Everything it sent has been read. */
    uint32_t holds;     /* The poll handle and every exchange that is STARTED. */
    uint64_t id;
    uint8_t peer_key[16];
    bool is_client; /* In net.client_count: has not proved to be a node's. */
    bool counted_by_ip;
    char client_host[ADDRESS_TEXT_BYTES + 1]; /* "/127.0.0.1", as Kafka prints it. */
    struct peer_door *door;                   /* From the first PeerHello on; owned. */
    int64_t door_ms;                          /* When that came. */
    uint32_t requests_max;                    /* Under way at a time. */

    /* Reading: see frames.h. */
    struct buffer *partial; /* What came of a frame that is not complete, or could not be taken. */
    size_t expected_bytes;  /* Of the last frame with its size: the next may be alike. */
    size_t progress_bytes;  /* Read since progress_ms. */
    int64_t progress_ms;

    /* Requests and answers. */
    struct list exchanges;   /* struct exchange.link, oldest first. */
    uint32_t open_requests;  /* Of them not ANSWERED. */
    size_t open_bytes;       /* Their frames. */
    uint64_t unsent_bytes;   /* Of the ANSWERED ones. */
    uint32_t exchange_count; /* All of them: a small answer costs more memory than its bytes. */
    bool send_blocked;       /* The socket takes no more at the moment. */
    int64_t active_ms;       /* Last byte either way. */
    int64_t sent_ms;         /* Last byte taken by the peer, or start of the wait for that. */
};

/* Takes over `accepted` and its socket; closes it when there is no memory. */
void connection_open(struct io_loop *loop, struct accepted *accepted);

/* Whether another request may be taken now. */
bool connection_may_read(const struct connection *connection);

/* Reads no more; closed once everything is answered and sent. */
void connection_finish(struct connection *connection);

/* Closes the socket at once and cancels what waits. Again is harmless. */
void connection_close(struct connection *connection);

/* The door for a PeerHello; NULL when out of memory. */
struct peer_door *connection_door(struct connection *connection);

/* The node whose connection it is, PEER_GUEST or PEER_CLIENT. */
int32_t connection_peer(const struct connection *connection);

/* Whether it may ask what clients ask: not while it is on trial and there is no room. */
bool connection_admits_client(struct connection *connection);

/* A PeerHello or PeerProof was answered: tells a refusal, and makes a node's connection of one
 * whose door has opened. */
void connection_door_moved(struct connection *connection);

/* Takes the exchange, which is not STARTED, out of the queue and frees it. */
void connection_drop(struct connection *connection, struct exchange *exchange);

/* Its exchange was answered: puts it in line for sending, perhaps closing. */
void connection_answered(struct connection *connection, struct exchange *exchange,
                         enum error error);

/* Sends what can be sent, then reads what had to wait. */
void connection_flush(struct connection *connection);

/* Puts it in line for connection_flush. */
void connection_flush_later(struct connection *connection);

/* Its exchange came back from the handler: drops the hold, frees a closed connection with the last.
 */
void connection_release(struct connection *connection);

/* Ends requests that wait for something; with `all` also those exchange_outlives_sender names. */
void connection_cancel(struct connection *connection, bool all);

/* Closes it when one of its deadlines has passed. */
void connection_check_deadlines(struct connection *connection, int64_t now_ms);

#endif
