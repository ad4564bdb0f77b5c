/* SPDX-License-Identifier: Apache-2.0 */
/* Connections to other nodes: the daemon's implementation of struct caller (wire/call.h), and the
 * way Raft gets its sockets.
 *
 *   call_start [monitor] -> mailbox -> peers' thread: encode, send, receive, decode
 *                                          |
 *        done(call) <- task <- [monitor, once for a batch of completions]
 *
 * One connection to a node for each channel, made when the first call needs it: TCP, then proof of
 * the shared token both ways (secure/peer_handshake.h), then requests. After a failure the next
 * attempt waits 20 ms, then longer, up to a second, with jitter.
 *
 * Requests are made of memory: the records in them may have no parts in files. */
#ifndef REPLICATE_PEER_PEER_H
#define REPLICATE_PEER_PEER_H

#include "base/monitor.h"
#include "secure/peer_handshake.h"
#include "wire/call.h"

struct peers;

enum { PEER_HOST_BYTES = 256 /* With the NUL. */ };

/* How a node was found to be gone. */
enum peer_loss {
    PEER_REFUSED, /* Nobody listens at its address: the process is not there. */
    PEER_LOST     /* An open connection ended, and nothing more is known. */
};

struct peers_options {
    struct monitor *monitor;
    const struct peer_token *token; /* Borrowed until peers_free; NULL: every call ends with
                                       CLUSTER_AUTHORIZATION_FAILED. */
    struct peer_identity identity;  /* Until peers_identify says more. */
    /* Where a node listens; false when it is not known. Inside the monitor, on the peers' thread.
     */
    bool (*address)(void *context, int32_t node_id, char ret_host[PEER_HOST_BYTES],
                    uint16_t *ret_port);
    /* Once for every connection that ends or is refused; NULL for nobody. Inside the monitor, on
     * the peers' thread, before the calls that it ended are done. */
    void (*lost)(void *context, int32_t node_id, enum peer_loss loss);
    void *context;
    int64_t attempt_timeout_ms; /* For a name, and for the proof; 0: PEER_ATTEMPT_TIMEOUT_MS. */
};

enum { PEER_ATTEMPT_TIMEOUT_MS = 5000 };

/* Starts the thread. */
enum error peers_open(const struct peers_options *options, struct peers **ret_peers,
                      struct failure *failure);

/* To make calls with; node_id -1 goes to call->host and port. */
struct caller *peers_caller(struct peers *peers);

/* Who this node is from now on: connections made later say so. Any thread. */
void peers_identify(struct peers *peers, const struct peer_identity *identity);

/* A connection for Raft, proved both ways and handed over. The requester owns the struct until
 * `done`, which comes exactly once, on the peers' thread outside the monitor, never from inside
 * peers_connect. */
struct peer_connect {
    struct list link; /* These four are the peers' own until done. */
    struct peers *peers;
    struct dial *dial;
    bool cancelled;
    int32_t node_id;
    char host[PEER_HOST_BYTES]; /* Where, as long as `address` of peers_options knows no better. */
    uint16_t port;
    const char *address; /* What this node tells the other of itself: "host:port". Borrowed. */
    /* The error is NONE, with a socket that is the callee's to close, or why there is none. */
    void (*done)(struct peer_connect *connect, enum error error, int descriptor);
};

/* Any thread, not after `closed` of peers_close. */
void peers_connect(struct peers *peers, struct peer_connect *connect);

/* `done` comes soon, with INTERRUPTED unless it was on its way. Any thread, before `done`. */
void peers_connect_cancel(struct peers *peers, struct peer_connect *connect);

/* Every call and connect ends with CLOSING, new ones too; then `closed` comes once, on the peers'
 * thread outside the monitor; it may not call peers_free itself. Any thread, once. */
void peers_close(struct peers *peers, void (*closed)(void *context), void *context);

/* After `closed`. Joins the thread. Calls may not be started any more. Accepts NULL. */
void peers_free(struct peers *peers);

#endif
