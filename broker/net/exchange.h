/* SPDX-License-Identifier: Apache-2.0 */
/* One request of a connection and its answer, from the decoded header to the last byte sent.
 *
 *   WAITING --start--> STARTED --done--> ANSWERED (encoded; perhaps nothing) --sent--> freed
 *
 * A connection keeps its exchanges in one queue, oldest first; only the answered ones at its head
 * are sent. Belongs to its connection's loop, except while STARTED: then the handler has it. */
#ifndef BROKER_NET_EXCHANGE_H
#define BROKER_NET_EXCHANGE_H

#include "base/list.h"
#include "handle/request.h"
#include "wire/frame.h"

struct connection;
struct io_loop;

enum exchange_state { EXCHANGE_WAITING, EXCHANGE_STARTED, EXCHANGE_ANSWERED };

struct exchange {
    struct list link; /* In the connection's queue. */
    struct list step; /* In one list of the loop: to start, or done. */
    struct io_loop *loop;
    struct connection *connection;
    enum exchange_state state;
    bool prepares;
    bool closes;  /* ANSWERED: the connection ends with it. */
    bool knocked; /* ANSWERED: it was a PeerHello or a PeerProof. */
    int32_t correlation_id;
    size_t frame_bytes;       /* Counted against the connection's limit until answered. */
    struct outgoing outgoing; /* ANSWERED: what is left to send. */
    struct request request;
};

/* Decodes the frame (the bytes behind the size, inside `buffer`) into a new exchange: WAITING, or
 * ANSWERED for an ApiVersions of a version we do not speak. Takes its own reference to the buffer.
 * INVALID_REQUEST, UNSUPPORTED_VERSION, MALFORMED, TOO_LARGE, OUT_OF_MEMORY and POLICY_VIOLATION
 * (a client there is no room for): close. */
enum error exchange_decode(struct connection *connection, struct buffer *buffer, struct slice frame,
                           struct exchange **ret_exchange);

/* Whether it has checks that need no monitor; inside it. */
void exchange_admit(struct exchange *exchange);

/* Those checks, outside the monitor. */
void exchange_prepare(struct exchange *exchange);

/* Inside the monitor. */
void exchange_start(struct exchange *exchange);

/* STARTED -> ANSWERED: encodes the answer and lets go of the request. An error means that the
 * connection must be closed after the answers before this one. On the loop, outside the monitor. */
enum error exchange_answer(struct exchange *exchange);

/* Drops what was not sent and gives the struct back to its loop. Never while STARTED. */
void exchange_free(struct exchange *exchange);

/* Whether the peer may still want the answer after it has stopped sending: what was appended counts
 * for it whether it listens or not, but a wait for news does not. */
bool exchange_outlives_sender(const struct exchange *exchange);

#endif
