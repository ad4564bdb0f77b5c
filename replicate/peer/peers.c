/* SPDX-License-Identifier: Apache-2.0 */
/* The peers' thread: its mailbox, its timers, and the one stay in the monitor for many results. */
#include "base/assertion.h"
#include "base/memory.h"
#include "base/report.h"
#include "replicate/peer/state.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

int64_t peers_now_ms(const struct peers *peers)
{
    return (int64_t)uv_now(&peers->uv);
}

struct peer_identity peers_identity(struct peers *peers)
{
    (void)pthread_mutex_lock(&peers->mutex);
    struct peer_identity identity = peers->identity;
    (void)pthread_mutex_unlock(&peers->mutex);
    return identity;
}

void peers_identify(struct peers *peers, const struct peer_identity *identity)
{
    (void)pthread_mutex_lock(&peers->mutex);
    peers->identity = *identity;
    (void)pthread_mutex_unlock(&peers->mutex);
}

/* ---- timers ---- */

static void timer_fired(uv_timer_t *timer)
{
    struct peers *peers = timer->data;
    for (struct timer *first;
         (first = peers->timers.root) != NULL && first->due_ms <= peers_now_ms(peers);) {
        timer_heap_stop(&peers->timers, first);
        first->fire(first);
    }
    peers_settle(peers);
}

/* The loop sleeps until the earliest. */
static void timer_arm(struct peers *peers)
{
    const struct timer *first = peers->timers.root;
    if (first == NULL || peers->handles_closed) {
        if (!peers->handles_closed)
            (void)uv_timer_stop(&peers->timer);
        return;
    }
    int64_t delay_ms = first->due_ms - peers_now_ms(peers);
    (void)uv_timer_start(&peers->timer, timer_fired, delay_ms < 0 ? 0 : (uint64_t)delay_ms, 0);
}

void peers_timer_start(struct peers *peers, struct timer *timer, int64_t delay_ms)
{
    timer_heap_start(&peers->timers, timer, peers_now_ms(peers) + (delay_ms < 0 ? 0 : delay_ms));
}

void peers_timer_stop(struct peers *peers, struct timer *timer)
{
    timer_heap_stop(&peers->timers, timer);
}

/* ---- the mailbox ---- */

/* With the mutex held. A settle under way looks again by itself. */
static void mailbox_signal(struct peers *peers)
{
    if (peers->signalled || peers->handles_closed)
        return;
    peers->signalled = true;
    if (!peers->settling)
        (void)uv_async_send(&peers->wake);
}

static struct peers *peers_of(struct caller *caller)
{
    return container_of(caller, struct peers, caller);
}

/* Inside the monitor. */
static void call_begin(struct caller *caller, struct call *call)
{
    struct peers *peers = peers_of(caller);
    (void)pthread_mutex_lock(&peers->mutex);
    bool refusing = peers->refusing;
    if (!refusing) {
        call->implementation = peers; /* In the mailbox. */
        list_push(&peers->calls, &call->link);
        mailbox_signal(peers);
    }
    (void)pthread_mutex_unlock(&peers->mutex);
    if (refusing)
        call_complete(peers->executor, call, ERROR_CLOSING);
}

/* Inside the monitor. */
static void call_end_early(struct caller *caller, struct call *call)
{
    struct peers *peers = peers_of(caller);
    bool here = false;
    (void)pthread_mutex_lock(&peers->mutex);
    if (call->implementation == peers) {
        list_remove(&call->link);
        call->implementation = NULL;
        here = true;
    } else if (call->implementation != NULL && list_empty(&call->link)) {
        list_push(&peers->cancelled, &call->link);
        mailbox_signal(peers);
    }
    (void)pthread_mutex_unlock(&peers->mutex);
    if (here)
        call_complete(peers->executor, call, ERROR_INTERRUPTED);
}

static const struct caller_ops caller_ops = {.start = call_begin, .cancel = call_end_early};

struct caller *peers_caller(struct peers *peers)
{
    return &peers->caller;
}

void peers_call_end(struct peers *peers, struct call *call, enum error error)
{
    (void)pthread_mutex_lock(&peers->mutex);
    list_remove(&call->link); /* From cancelled, perhaps. */
    call->implementation = NULL;
    (void)pthread_mutex_unlock(&peers->mutex);
    call->error = error;
    list_push(&peers->ended, &call->link);
}

/* ---- nodes ---- */

/* `host` and `port` count for id -1 only. NULL: out of memory. */
static struct peer_node *node_find(struct peers *peers, int32_t node_id, const char *host,
                                   uint16_t port)
{
    list_for_each(link, &peers->nodes)
    {
        struct peer_node *node = container_of(link, struct peer_node, link);
        if (node->node_id != node_id)
            continue;
        if (node_id >= 0 || (node->port == port && strcmp(node->host, host) == 0))
            return node;
    }
    struct peer_node *node = memory_allocate(sizeof *node);
    if (node == NULL)
        return NULL;
    node->peers = peers;
    node->node_id = node_id;
    if (node_id < 0) {
        (void)snprintf(node->host, sizeof node->host, "%s", host);
        node->port = port;
    }
    list_push(&peers->nodes, &node->link);
    return node;
}

void peer_node_tell(struct peer_node *node, const char *reason)
{
    if (strcmp(node->reason, reason) == 0)
        return;
    char subject[PEER_HOST_BYTES + 24];
    if (node->node_id >= 0)
        (void)snprintf(subject, sizeof subject, "node=%d", node->node_id);
    else
        (void)snprintf(subject, sizeof subject, "address=%s:%u", node->host, node->port);
    if (reason[0] == '\0')
        report(REPORT_NOTICE, "node_reached", subject, "after=\"%s\"", node->reason);
    else
        report(REPORT_WARNING, "node_not_reached", subject, "reason=\"%s\" lost=nothing", reason);
    (void)snprintf(node->reason, sizeof node->reason, "%s", reason);
}

static void node_free(struct peer_node *node)
{
    for (size_t i = 0; i < CALL_CHANNELS; i++) {
        if (node->links[i] != NULL)
            link_free(node->links[i]);
    }
    list_remove(&node->link);
    memory_free(node);
}

/* Of hosts that nobody asks any more nothing is kept. */
static void guests_prune(struct peers *peers)
{
    int64_t since_ms = peers_now_ms(peers) - PEER_GUEST_IDLE_MS;
    list_for_each_safe(link, &peers->nodes)
    {
        struct peer_node *node = container_of(link, struct peer_node, link);
        bool used = node->node_id >= 0 || node->used_ms > since_ms;
        for (size_t i = 0; i < CALL_CHANNELS; i++)
            used = used || (node->links[i] != NULL && !link_is_unused(node->links[i]));
        if (!used)
            node_free(node);
    }
}

/* ---- taking ---- */

static void call_take(struct peers *peers, struct call *call)
{
    if (peers->closing || peers->options.token == NULL) {
        peers_call_end(peers, call,
                       peers->closing ? ERROR_CLOSING : ERROR_CLUSTER_AUTHORIZATION_FAILED);
        return;
    }
    struct peer_node *node = node_find(peers, call->node_id, call->host, call->port);
    if (node != NULL)
        node->used_ms = peers_now_ms(peers);
    struct link *link = node == NULL ? NULL : node->links[call->channel];
    if (node != NULL && link == NULL)
        link = node->links[call->channel] = link_new(node, call->channel);
    struct outbound *outbound = link == NULL ? NULL : outbound_new(peers, call);
    if (outbound == NULL) {
        peers_call_end(peers, call, ERROR_OUT_OF_MEMORY);
        return;
    }
    (void)pthread_mutex_lock(&peers->mutex);
    call->implementation = outbound;
    (void)pthread_mutex_unlock(&peers->mutex);
    link_add(link, outbound);
}

static void connect_done(void *context, enum error error, int descriptor, const char *reason,
                         bool refused)
{
    struct peer_connect *connect = context;
    struct peers *peers = connect->peers;
    (void)refused;
    struct peer_node *node = node_find(peers, connect->node_id, connect->host, connect->port);
    if (node != NULL)
        peer_node_tell(node, reason);
    list_remove(&connect->link);
    connect->dial = NULL;
    connect->done(connect, error, descriptor);
}

static bool connect_is_cancelled(struct peers *peers, const struct peer_connect *connect)
{
    (void)pthread_mutex_lock(&peers->mutex);
    bool cancelled = connect->cancelled;
    (void)pthread_mutex_unlock(&peers->mutex);
    return cancelled;
}

/* Raft remembers where a node listened when it became a member. */
static void connect_locate(struct peers *peers, struct peer_connect *connect)
{
    char host[PEER_HOST_BYTES];
    uint16_t port;
    monitor_enter(peers->monitor);
    bool known = peers->options.address(peers->options.context, connect->node_id, host, &port);
    monitor_leave(peers->monitor);
    if (!known)
        return;
    memcpy(connect->host, host, sizeof connect->host);
    connect->port = port;
}

static void connect_take(struct peers *peers, struct peer_connect *connect)
{
    enum error error = ERROR_NONE;
    if (peers->closing)
        error = ERROR_CLOSING;
    else if (connect_is_cancelled(peers, connect))
        error = ERROR_INTERRUPTED;
    if (error == ERROR_NONE) {
        connect_locate(peers, connect);
        struct dial_options options = {
            .host = connect->host,
            .port = connect->port,
            .node_id = connect->node_id,
            .purpose = PEER_RAFT,
            .address = connect->address,
            .done = connect_done,
            .context = connect,
        };
        connect->dial = dial_start(peers, &options);
        error = connect->dial == NULL ? ERROR_OUT_OF_MEMORY : ERROR_NONE;
    }
    if (error == ERROR_NONE)
        list_push(&peers->dialing, &connect->link);
    else
        connect->done(connect, error, -1);
}

/* Those that were cancelled while they were dialled; all of them when closing. */
static void connects_end(struct peers *peers, enum error error)
{
    list_for_each_safe(link, &peers->dialing)
    {
        struct peer_connect *connect = container_of(link, struct peer_connect, link);
        if (error == ERROR_INTERRUPTED && !connect_is_cancelled(peers, connect))
            continue;
        dial_cancel(connect->dial);
        list_remove(&connect->link);
        connect->dial = NULL;
        connect->done(connect, error, -1);
    }
}

static void cancelled_take(struct peers *peers)
{
    for (;;) {
        (void)pthread_mutex_lock(&peers->mutex);
        struct list *link = list_take(&peers->cancelled);
        struct outbound *outbound = NULL;
        if (link != NULL)
            outbound = container_of(link, struct call, link)->implementation;
        (void)pthread_mutex_unlock(&peers->mutex);
        if (link == NULL)
            return;
        link_cancel(outbound->owner, outbound);
    }
}

/* The oldest call in the mailbox; NULL: none. Whoever cancels it from here on finds it gone. */
static struct call *call_next(struct peers *peers)
{
    struct call *call = NULL;
    (void)pthread_mutex_lock(&peers->mutex);
    struct list *link = list_take(&peers->calls);
    if (link != NULL) {
        call = container_of(link, struct call, link);
        call->implementation = &peers->nodes;
    }
    (void)pthread_mutex_unlock(&peers->mutex);
    return call;
}

/* Takes what came in the mailbox. */
static void mailbox_take(struct peers *peers)
{
    struct list connects;
    uv_update_time(&peers->uv); /* The stay in the monitor may have been long. */
    (void)pthread_mutex_lock(&peers->mutex);
    bool any = peers->signalled;
    peers->signalled = false;
    list_move(&peers->connects, &connects);
    bool connect_cancelled = peers->connect_cancelled;
    peers->connect_cancelled = false;
    bool closing = peers->closing_asked;
    (void)pthread_mutex_unlock(&peers->mutex);
    if (!any)
        return;
    for (struct call *call; (call = call_next(peers)) != NULL;)
        call_take(peers, call);
    for (struct list *link; (link = list_take(&connects)) != NULL;)
        connect_take(peers, container_of(link, struct peer_connect, link));
    if (connect_cancelled)
        connects_end(peers, ERROR_INTERRUPTED);
    cancelled_take(peers);
    if (closing && !peers->closing) {
        peers->closing = true;
        connects_end(peers, ERROR_CLOSING);
        while (!list_empty(&peers->nodes))
            node_free(container_of(peers->nodes.next, struct peer_node, link));
    }
}

/* ---- settling ---- */

static void completions_give(struct peers *peers)
{
    struct list lost;
    list_move(&peers->lost, &lost);
    monitor_enter(peers->monitor);
    for (struct list *link; (link = list_take(&lost)) != NULL;) {
        struct link *owner = container_of(link, struct link, lost_link);
        peers->options.lost(peers->options.context, owner->node->node_id, owner->loss);
    }
    for (struct list *link; (link = list_take(&peers->ended)) != NULL;) {
        struct call *call = container_of(link, struct call, link);
        call_complete(peers->executor, call, call->error);
    }
    monitor_leave(peers->monitor);
}

/* Whether a settle begins, and is the only one. */
static bool settle_begin(struct peers *peers)
{
    (void)pthread_mutex_lock(&peers->mutex);
    bool begins = !peers->settling;
    peers->settling = true;
    (void)pthread_mutex_unlock(&peers->mutex);
    return begins;
}

/* Whether nothing came in the mailbox meanwhile: what comes from here on wakes the loop. */
static bool settle_end(struct peers *peers)
{
    (void)pthread_mutex_lock(&peers->mutex);
    peers->settling = peers->signalled;
    bool ends = !peers->settling;
    (void)pthread_mutex_unlock(&peers->mutex);
    return ends;
}

void peers_settle(struct peers *peers)
{
    if (!settle_begin(peers))
        return;
    do {
        mailbox_take(peers);
        while (!list_empty(&peers->ended) || !list_empty(&peers->lost))
            completions_give(peers);
    } while (!settle_end(peers));
    guests_prune(peers);
    timer_arm(peers);
    peers_check_closed(peers);
}

static void woken(uv_async_t *wake)
{
    struct peers *peers = wake->data;
    lookup_desk_deliver(peers->desk);
    peers_settle(peers);
}

/* Any thread, from the desk. */
static void desk_woke(void *context)
{
    (void)uv_async_send(&((struct peers *)context)->wake);
}

/* ---- connects ---- */

void peers_connect(struct peers *peers, struct peer_connect *connect)
{
    connect->peers = peers;
    connect->dial = NULL;
    connect->cancelled = false;
    (void)pthread_mutex_lock(&peers->mutex);
    ASSERT(!peers->handles_closed);
    list_push(&peers->connects, &connect->link);
    mailbox_signal(peers);
    (void)pthread_mutex_unlock(&peers->mutex);
}

void peers_connect_cancel(struct peers *peers, struct peer_connect *connect)
{
    (void)pthread_mutex_lock(&peers->mutex);
    connect->cancelled = true;
    peers->connect_cancelled = true;
    mailbox_signal(peers);
    (void)pthread_mutex_unlock(&peers->mutex);
}

/* ---- life ---- */

void peers_check_closed(struct peers *peers)
{
    if (!peers->closing || peers->handles_closed || peers->dials > 0 || peers->streams > 0)
        return;
    (void)pthread_mutex_lock(&peers->mutex);
    bool idle = !peers->settling && !peers->signalled && list_empty(&peers->calls) &&
                list_empty(&peers->connects);
    if (idle) {
        peers->refusing = true;
        peers->handles_closed = true;
    }
    (void)pthread_mutex_unlock(&peers->mutex);
    if (!idle)
        return; /* A settle is under way, or to come. */
    ASSERT(list_empty(&peers->ended));
    lookup_desk_free(peers->desk);
    peers->desk = NULL;
    uv_close((uv_handle_t *)&peers->wake, NULL);
    uv_close((uv_handle_t *)&peers->timer, NULL);
}

static void *peers_thread(void *argument)
{
    struct peers *peers = argument;
    (void)uv_run(&peers->uv, UV_RUN_DEFAULT);
    ASSERT(peers->handles_closed);
    peers->closed(peers->closed_context);
    return NULL;
}

static enum error thread_start(struct peers *peers, struct failure *failure)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int refused = pthread_create(&peers->thread, NULL, peers_thread, peers);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (refused != 0)
        return failure_at(failure, ERROR_OUT_OF_MEMORY, "start the peers' thread: %s",
                          strerror(refused));
    (void)pthread_setname_np(peers->thread, "peers");
    return ERROR_NONE;
}

static void peers_init(struct peers *peers, const struct peers_options *options)
{
    peers->monitor = options->monitor;
    peers->executor = monitor_executor(options->monitor);
    peers->options = *options;
    peers->identity = options->identity;
    peers->caller.ops = &caller_ops;
    if (peers->options.attempt_timeout_ms == 0)
        peers->options.attempt_timeout_ms = PEER_ATTEMPT_TIMEOUT_MS;
    struct list *lists[] = {&peers->calls,   &peers->cancelled, &peers->connects, &peers->nodes,
                            &peers->dialing, &peers->ended,     &peers->lost,     &peers->spares};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        list_init(lists[i]);
}

enum error peers_new(const struct peers_options *options, struct peers **ret_peers)
{
    struct peers *peers = memory_allocate(sizeof *peers);
    uint8_t *scratch = memory_allocate_raw(PEER_SCRATCH_BYTES);
    if (peers == NULL || scratch == NULL)
        goto failed;
    peers_init(peers, options);
    peers->scratch = scratch;
    if (lookup_desk_new(desk_woke, peers, &peers->desk) != ERROR_NONE)
        goto failed;
    if (uv_loop_init(&peers->uv) != 0)
        goto failed_loop;
    if (uv_async_init(&peers->uv, &peers->wake, woken) != 0)
        goto failed_wake;
    peers->wake.data = peers;
    (void)uv_timer_init(&peers->uv, &peers->timer);
    peers->timer.data = peers;
    (void)pthread_mutex_init(&peers->mutex, NULL);
    *ret_peers = peers;
    return ERROR_NONE;

failed_wake:
    (void)uv_loop_close(&peers->uv);
failed_loop:
    lookup_desk_free(peers->desk);
failed:
    memory_free(scratch);
    memory_free(peers);
    return ERROR_OUT_OF_MEMORY;
}

/* What is left once the loop has ended. */
static void peers_done(struct peers *peers)
{
    int busy = uv_loop_close(&peers->uv);
    ASSERT(busy == 0);
    for (struct list *link; (link = list_take(&peers->spares)) != NULL;)
        memory_free(container_of(link, struct outbound, link));
    (void)pthread_mutex_destroy(&peers->mutex);
    memory_free(peers->scratch);
    memory_free(peers);
}

enum error peers_open(const struct peers_options *options, struct peers **ret_peers,
                      struct failure *failure)
{
    struct peers *peers;
    enum error error = peers_new(options, &peers);
    if (error != ERROR_NONE)
        return failure_at(failure, error, "open the connections to other nodes");
    error = thread_start(peers, failure);
    if (error != ERROR_NONE) {
        peers->closing = true;
        peers_check_closed(peers);
        (void)uv_run(&peers->uv, UV_RUN_DEFAULT);
        peers_done(peers);
        return failure_at(failure, error, "open the connections to other nodes");
    }
    *ret_peers = peers;
    return ERROR_NONE;
}

void peers_close(struct peers *peers, void (*closed)(void *context), void *context)
{
    peers->closed = closed;
    peers->closed_context = context;
    (void)pthread_mutex_lock(&peers->mutex);
    peers->closing_asked = true;
    peers->signalled = true;
    (void)uv_async_send(&peers->wake);
    (void)pthread_mutex_unlock(&peers->mutex);
}

void peers_free(struct peers *peers)
{
    if (peers == NULL)
        return;
    (void)pthread_join(peers->thread, NULL);
    peers_done(peers);
}
