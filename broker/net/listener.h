/* SPDX-License-Identifier: Apache-2.0 */
/* The Kafka port: sockets, connections and the threads that serve them.
 *
 *   client -> listener (loop 0) -> connection (on one of N io loops) -> request -> handler
 *                                       ^                                             |
 *                                       '---- answers, in the order of requests <-----'
 *
 * Requests of one connection are started in the order they came and answered in that order
 * (protocol facts a.1 rule 3). Each loop has a thread of its own; handlers run inside the monitor,
 * decoding, request checks, encoding and all socket calls outside it. */
#ifndef BROKER_NET_LISTENER_H
#define BROKER_NET_LISTENER_H

#include "base/error.h"
#include "base/monitor.h"
#include "handle/request.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct net;

/* One address to listen on. Strings are copied. */
struct net_listener_options {
    const char *name;            /* "PLAINTEXT": for reports. */
    const char *host;            /* Name or address; "" is every address of the machine. */
    uint16_t port;               /* 0: the system picks one, see net_port. */
    const char *advertised_host; /* What Metadata tells clients that came in here. */
    int32_t advertised_port;     /* 0: the port listened on. */
    bool nodes_only;             /* Requesters are told so: see requester.nodes_only. */
};

/* All bounds; the names are the configuration keys. */
struct net_limits {
    int io_threads;                   /* topicfs.io.threads */
    int backlog;                      /* socket.listen.backlog.size */
    int send_buffer_bytes;            /* socket.send.buffer.bytes; -1: the system's. */
    int receive_buffer_bytes;         /* socket.receive.buffer.bytes; -1: the system's. */
    int32_t request_bytes_max;        /* socket.request.max.bytes */
    uint32_t connections_max;         /* max.connections of clients: no more are accepted
                                         meanwhile; in a cluster NET_TRIALS_MAX more, see there. */
    uint32_t connections_per_ip_max;  /* max.connections.per.ip: closed at once; in a cluster the
                                         same. */
    uint32_t connection_requests_max; /* topicfs.connection.requests.max: then reading stops. */
    size_t connection_bytes_max;      /* topicfs.connection.bytes.max, of requests under way, and
                                         of answers not sent: then reading stops. */
    int64_t idle_ms;                  /* connections.max.idle.ms; -1: for ever. */
    int64_t receive_timeout_ms;       /* topicfs.connection.receive.timeout.ms: a begun request must
                                         grow by NET_PROGRESS_BYTES in this time. */
    int64_t send_timeout_ms; /* topicfs.connection.send.timeout.ms: a peer must take something. */
};

enum {
    /* Where nodes connect, too, clients must not keep them out: beyond the limits so many
     * connections are on trial. A PeerHello has to be their first request, unless there is room for
     * a client by then; the oldest makes room for the next. */
    NET_TRIALS_MAX = 64,
    NET_PROGRESS_BYTES = 1024,
    NET_PEER_REQUESTS_MAX = 4096,     /* Of a node's connection, instead of
                                         connection_requests_max. */
    NET_PEER_SEND_TIMEOUT_MS = 10000, /* A node that takes nothing so long is gone. */
    NET_UNSENT_ANSWERS_MAX =
        1024, /* Of one connection: then reading stops, however small they are. */
};

/* Finite ones for everything, as the configuration table's defaults. */
struct net_limits net_limits_default(void);

/* What answers requests: the handle_ functions of these names (handle/request.h), or a test's own.
 */
struct net_handler {
    bool (*supports)(int16_t api_key);
    bool (*admit)(struct request *request);
    void (*prepare)(struct request *request, struct codec_context *context);
    void (*start)(struct request *request);
};

struct net_options {
    struct monitor *monitor; /* These two are borrowed until net_free. */
    struct broker *broker;
    struct net_handler handler;
    const struct net_listener_options *listeners;
    uint32_t listener_count;
    struct net_limits limits;
    /* A node's connection for Raft (PEER_RAFT), after its proof was answered: the socket, which is
     * non-blocking, the callee's to close from here on. `address` is what the node says Raft knows
     * it by. On a loop's thread, outside the monitor. NULL: such connections are closed. */
    void (*raft_accepted)(void *context, int descriptor, int32_t node_id, const char *address);
    void *raft_context;
};

/* Binds and listens: clients may connect, but nothing is read before net_start. A port in use or an
 * address that is not ours is an error whose failure names it. */
enum error net_open(const struct net_options *options, struct net **ret_net,
                    struct failure *failure);

/* The port of the nth listener, as bound. */
uint16_t net_port(const struct net *net, uint32_t listener);

/* The nth listener takes connections from this machine only (127.0.0.0/8, ::1). */
bool net_is_loopback(const struct net *net, uint32_t listener);

/* Starts the loops; requests are handled from here on. */
enum error net_start(struct net *net, struct failure *failure);

/* Connections open now, over all loops. Any thread. */
uint32_t net_connection_count(const struct net *net);

/* Stops accepting and reading; requests that wait for something are cancelled, what is answered is
 * still sent for up to `grace_ms`, then every connection is closed. `closed` comes once, on a
 * loop's thread and outside the monitor, when the last request has ended; it may not call net_free
 * itself. After net_start only, once. */
void net_close(struct net *net, int64_t grace_ms, void (*closed)(void *context), void *context);

/* After `closed`, or without net_start. Joins the threads. Accepts NULL. */
void net_free(struct net *net);

#endif
