/* SPDX-License-Identifier: Apache-2.0 */
/* One io loop: a thread, its connections, and what they share.
 *
 *   readable -> frames -> starting --monitor--> done -> answered -> flushing -> sent
 *                             ^                  ^                      |
 *      other threads          |                  |                      |
 *      post here: [ mailbox ]-'------------------'     may read again <-'
 *
 * Everything here belongs to the loop's thread except the mailbox. loop_settle moves requests along
 * until nothing is left to do; it never runs inside itself. */
#ifndef BROKER_NET_LOOP_H
#define BROKER_NET_LOOP_H

#include "base/buffer.h"
#include "base/list.h"
#include "net/address.h"
#include "net/listener.h"
#include "net/peers.h"
#include "record/codec.h"

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

struct connection;
struct exchange;

enum {
    LOOP_SCRATCH_BYTES = 64 * 1024,
    LOOP_SPARE_BUFFERS = 8,
    LOOP_SPARE_BUFFER_BYTES_MIN = 16 * 1024, /* The allocator is good at smaller ones. */
    LOOP_SPARE_BUFFER_BYTES_MAX = 1 << 20,
    LOOP_SPARE_EXCHANGES = 64,
    LOOP_THREAD_STACK_BYTES = 256 * 1024,
};

/* A bound socket. Accepting is loop 0's. */
struct net_listener {
    struct net *net;
    uv_poll_t poll;
    int descriptor; /* -1 when closed. */
    bool poll_open;
    bool polling;
    struct address address; /* As bound. */
    char *name;
    char *advertised_host;
    int32_t advertised_port;
    bool nodes_only;
};

/* A socket on its way to its loop. */
struct accepted {
    struct list link;
    int descriptor;
    struct net_listener *listener;
    struct address peer;
    bool counted_by_ip; /* In net.peers. */
    bool on_trial;      /* Beyond a limit: it may stay if it is a node, or room is made. */
};

struct io_loop {
    struct net *net;
    uint32_t index;
    bool ready; /* loop_init succeeded. */
    uv_loop_t uv;
    uv_async_t wake;
    uv_timer_t sweep;        /* Deadlines; runs while there are connections. */
    uv_timer_t drain;        /* The end of the grace of net_close. */
    uv_timer_t accept_retry; /* Loop 0: descriptors ran out. */
    pthread_t thread;
    pthread_t self; /* Set by the thread: known to whoever it started a request for. */
    bool started;

    pthread_mutex_t mutex; /* Guards the mailbox, that is the rest of this paragraph. */
    struct list accepted;  /* struct accepted */
    struct list posted;    /* struct exchange.step: ended by another thread. */
    bool closing_asked;
    bool accept_asked; /* Loop 0: room for another connection. */
    bool signalled;    /* The wake is under way. */

    struct list connections; /* struct connection.link */
    struct list trials;      /* struct connection.trial, the oldest first. */
    uint32_t trial_count;
    struct list starting; /* struct exchange.step */
    struct list done;     /* struct exchange.step */
    struct list flushing; /* struct connection.flush */
    size_t starting_bytes;
    uint32_t connection_count; /* Also those whose requests have not all come back. */
    bool settling;
    bool closing;
    bool handles_closed;

    struct codec_context codecs;
    uint8_t *scratch; /* What a read of small frames goes to. */
    struct buffer *spare_buffers[LOOP_SPARE_BUFFERS];
    struct list spare_exchanges;
    uint32_t spare_exchange_count;
    uint32_t idle_sweeps; /* Sweeps since the last large frame. */
};

struct net {
    struct monitor *monitor;
    struct broker *broker;
    struct net_handler handler;
    struct net_limits limits;
    void (*raft_accepted)(void *context, int descriptor, int32_t node_id, const char *address);
    void *raft_context;
    struct peers peers;
    atomic_uint connection_count;
    atomic_uint client_count; /* Of them, those that have not proved to be another node's. */
    atomic_uint_fast64_t connection_ids;
    atomic_bool accept_paused; /* max.connections was reached. */
    atomic_uint loops_running;
    uint32_t next_loop; /* Loop 0's: where the next connection goes. */
    int64_t grace_ms;
    void (*closed)(void *context);
    void *closed_context;
    struct net_listener *listeners;
    uint32_t listener_count;
    struct io_loop *loops;
    uint32_t loop_count;
};

enum error loop_init(struct io_loop *loop, struct net *net, uint32_t index);
enum error loop_start(struct io_loop *loop, struct failure *failure);
/* Joins the thread when it was started. */
void loop_done(struct io_loop *loop);

/* ---- any thread ---- */

/* Hands a socket over; the loop owns `accepted` from here on. */
void loop_post_accepted(struct io_loop *loop, struct accepted *accepted);
void loop_post_closing(struct io_loop *loop);
void loop_post_accept(struct io_loop *loop);

/* A request ended; inside the monitor. On the loop's own thread it is settled after the monitor is
 * left, from others it comes by the mailbox. */
void loop_exchange_done(struct io_loop *loop, struct exchange *exchange);

/* ---- the loop's thread ---- */

/* Starts what is to be started, answers what is done, sends what can be sent. */
void loop_settle(struct io_loop *loop);

/* To be started by the next settle. */
void loop_exchange_add(struct io_loop *loop, struct exchange *exchange);

/* Monotonic milliseconds, as of this turn of the loop. */
int64_t loop_now_ms(const struct io_loop *loop);

/* A connection came or went for good; runs the sweep while there is any. */
void loop_connection_added(struct io_loop *loop, struct connection *connection);
void loop_connection_gone(struct io_loop *loop);

/* A frame buffer of at least `capacity`, from the spare ones when one fits. */
struct buffer *loop_buffer_take(struct io_loop *loop, size_t capacity);

/* Gives one reference back; keeps the buffer for later when it was the last. Accepts NULL. */
void loop_buffer_drop(struct io_loop *loop, struct buffer *buffer);

/* An exchange with its loop set, its arena perhaps holding a block, the rest zero. */
struct exchange *loop_exchange_take(struct io_loop *loop);
void loop_exchange_give(struct io_loop *loop, struct exchange *exchange);

#endif
