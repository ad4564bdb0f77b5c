/* SPDX-License-Identifier: Apache-2.0 */
/* A connection's life: events, backpressure, deadlines, closing. */
#include "net/connection.h"

#include "base/assertion.h"
#include "base/memory.h"
#include "base/report.h"
#include "net/accept.h"
#include "net/frames.h"
#include "net/outbox.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static bool door_open(const struct connection *connection)
{
    return connection->door != NULL && connection->door->state == PEER_DOOR_OPEN;
}

/* What comes next is not ours to read. */
static bool becomes_raft(const struct connection *connection)
{
    return door_open(connection) && connection->door->purpose == PEER_RAFT;
}

bool connection_may_read(const struct connection *connection)
{
    const struct net_limits *limits = &connection->loop->net->limits;
    return connection->state == CONNECTION_OPEN && !connection->peer_finished &&
           connection->open_requests < connection->requests_max &&
           connection->open_bytes < limits->connection_bytes_max &&
           connection->unsent_bytes < limits->connection_bytes_max &&
           connection->exchange_count < connection->requests_max + NET_UNSENT_ANSWERS_MAX &&
           !becomes_raft(connection);
}

static void connection_event(uv_poll_t *poll, int status, int events);

/* Asks for the events that matter now; a system call only when they change. */
static void connection_poll(struct connection *connection)
{
    if (connection->state == CONNECTION_CLOSED)
        return;
    int wanted = 0;
    if (connection_may_read(connection))
        wanted = UV_READABLE;
    else if (!connection->peer_finished && !connection->peer_hung_up)
        wanted = UV_DISCONNECT;
    if (connection->send_blocked)
        wanted |= UV_WRITABLE;
    if (wanted == connection->polled)
        return;
    connection->polled = wanted;
    int refused = wanted == 0 ? uv_poll_stop(&connection->poll)
                              : uv_poll_start(&connection->poll, wanted, connection_event);
    if (refused != 0)
        connection_close(connection);
}

/* ---- ending ---- */

static void connection_free(struct connection *connection)
{
    ASSERT(connection->state == CONNECTION_CLOSED);
    ASSERT(list_empty(&connection->exchanges));
    struct io_loop *loop = connection->loop;
    memory_free(connection->door);
    memory_free(connection);
    loop_connection_gone(loop);
}

void connection_release(struct connection *connection)
{
    ASSERT(connection->holds > 0);
    if (--connection->holds == 0)
        connection_free(connection); /* Last line: it may have been the loop's last. */
}

static void connection_poll_closed(uv_handle_t *handle)
{
    connection_release(handle->data);
}

void connection_cancel(struct connection *connection, bool all)
{
    struct monitor *monitor = connection->loop->net->monitor;
    bool inside = false;
    list_for_each(link, &connection->exchanges)
    {
        struct exchange *exchange = container_of(link, struct exchange, link);
        if (exchange->state != EXCHANGE_STARTED || (!all && exchange_outlives_sender(exchange)))
            continue;
        if (!inside)
            monitor_enter(monitor);
        inside = true;
        request_cancel(&exchange->request);
    }
    if (inside)
        monitor_leave(monitor);
}

/* Drops every answer not sent, and requests not started. */
static void exchanges_drop(struct connection *connection)
{
    list_for_each_safe(link, &connection->exchanges)
    {
        struct exchange *exchange = container_of(link, struct exchange, link);
        if (exchange->state == EXCHANGE_STARTED)
            continue;
        list_remove(&exchange->step);
        connection_drop(connection, exchange);
    }
}

static void trial_end(struct connection *connection)
{
    if (list_empty(&connection->trial))
        return;
    list_remove(&connection->trial);
    connection->loop->trial_count--;
}

static void client_end(struct connection *connection)
{
    if (!connection->is_client)
        return;
    connection->is_client = false;
    accept_client_gone(connection->loop->net, connection->peer_key, connection->counted_by_ip);
    connection->counted_by_ip = false;
}

/* CLOSED, but for the socket. */
static void connection_end(struct connection *connection)
{
    connection->state = CONNECTION_CLOSED;
    trial_end(connection);
    list_remove(&connection->link);
    list_remove(&connection->flush);
    buffer_unref(connection->partial);
    connection->partial = NULL;
    client_end(connection);
    uv_close((uv_handle_t *)&connection->poll, connection_poll_closed);
    connection->descriptor = -1;
    exchanges_drop(connection);
    connection_cancel(connection, true);
}

void connection_close(struct connection *connection)
{
    if (connection->state == CONNECTION_CLOSED)
        return;
    int descriptor = connection->descriptor;
    connection_end(connection);
    (void)close(descriptor);
}

/* ---- on trial ---- */

/* The oldest has had the most time to say that it is a node. */
static void trial_begin(struct connection *connection)
{
    struct io_loop *loop = connection->loop;
    uint32_t most = NET_TRIALS_MAX / loop->net->loop_count;
    list_push(&loop->trials, &connection->trial);
    if (++loop->trial_count > (most > 0 ? most : 1))
        connection_close(container_of(loop->trials.next, struct connection, trial));
}

bool connection_admits_client(struct connection *connection)
{
    if (list_empty(&connection->trial))
        return true;
    if (!accept_as_client(connection->loop->net, connection->peer_key, &connection->counted_by_ip))
        return false;
    trial_end(connection);
    return true;
}

/* ---- ending, after what is owed ---- */

void connection_finish(struct connection *connection)
{
    if (connection->state != CONNECTION_OPEN)
        return;
    connection->state = CONNECTION_FINISHING;
    buffer_unref(connection->partial);
    connection->partial = NULL;
    connection_flush_later(connection);
}

/* ---- answers ---- */

void connection_flush_later(struct connection *connection)
{
    if (connection->state != CONNECTION_CLOSED && list_empty(&connection->flush))
        list_push(&connection->loop->flushing, &connection->flush);
}

void connection_drop(struct connection *connection, struct exchange *exchange)
{
    ASSERT(connection->exchange_count > 0);
    connection->exchange_count--;
    list_remove(&exchange->link);
    exchange_free(exchange);
}

/* Before those that are not answered yet. */
static void answer_first(struct connection *connection, struct exchange *exchange)
{
    struct list *at = connection->exchanges.next;
    while (at != &exchange->link &&
           container_of(at, struct exchange, link)->state == EXCHANGE_ANSWERED)
        at = at->next;
    if (at == &exchange->link)
        return;
    list_remove(&exchange->link);
    list_push(at, &exchange->link); /* The list is a ring: behind the one before `at`. */
}

void connection_answered(struct connection *connection, struct exchange *exchange, enum error error)
{
    ASSERT(connection->open_requests > 0);
    connection->open_requests--;
    connection->open_bytes -= exchange->frame_bytes;
    if (connection->state == CONNECTION_CLOSED) {
        connection_drop(connection, exchange);
        return;
    }
    if (connection->unsent_bytes == 0)
        connection->sent_ms = loop_now_ms(connection->loop);
    connection->unsent_bytes += exchange->outgoing.size_bytes;
    if (door_open(connection) && connection->door->purpose == PEER_UNORDERED)
        answer_first(connection, exchange);
    if (error != ERROR_NONE)
        connection_finish(connection);
    else
        connection_flush_later(connection);
}

static void frames_settle(struct connection *connection, enum frames_result result);

/* ---- other nodes ---- */

struct peer_door *connection_door(struct connection *connection)
{
    if (connection->door == NULL) {
        connection->door = memory_allocate(sizeof *connection->door);
        connection->door_ms = loop_now_ms(connection->loop);
    }
    return connection->door;
}

int32_t connection_peer(const struct connection *connection)
{
    return door_open(connection) ? connection->door->peer_node_id : PEER_CLIENT;
}

static void peer_report(const struct connection *connection, const char *reason)
{
    char subject[ADDRESS_TEXT_BYTES + 8];
    char text[4 * PEER_REFUSAL_BYTES];
    (void)snprintf(subject, sizeof subject, "peer=%s", connection->client_host + 1);
    report(REPORT_WARNING, "node_refused", subject, "reason=\"%s\" lost=nothing",
           report_escape(reason, strlen(reason), text, sizeof text));
}

void connection_door_moved(struct connection *connection)
{
    struct peer_door *door = connection->door;
    if (door->refusal[0] != '\0')
        peer_report(connection, door->refusal);
    if (door->state != PEER_DOOR_OPEN || connection->state == CONNECTION_CLOSED)
        return;
    trial_end(connection);
    client_end(connection);
    connection->requests_max = NET_PEER_REQUESTS_MAX;
    int timeout_ms = NET_PEER_SEND_TIMEOUT_MS;
    (void)setsockopt(connection->descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms,
                     sizeof timeout_ms);
}

/* The answer to the proof is with the system: nothing of the stream is ours any more. */
static void raft_hand_over(struct connection *connection)
{
    struct net *net = connection->loop->net;
    if (connection->partial != NULL || net->raft_accepted == NULL) {
        peer_report(connection, net->raft_accepted == NULL ? "this node takes no Raft connections"
                                                           : "it sent more than its proof");
        connection_close(connection);
        return;
    }
    int descriptor = connection->descriptor;
    connection_end(connection);
    net->raft_accepted(net->raft_context, descriptor, connection->door->peer_node_id,
                       connection->door->address);
}

void connection_flush(struct connection *connection)
{
    if (connection->state == CONNECTION_CLOSED)
        return;
    if (!connection->send_blocked && outbox_send(connection) != ERROR_NONE) {
        connection_close(connection);
        return;
    }
    if (connection->state == CONNECTION_FINISHING && list_empty(&connection->exchanges)) {
        connection_close(connection);
        return;
    }
    if (becomes_raft(connection) && list_empty(&connection->exchanges)) {
        raft_hand_over(connection);
        return;
    }
    if (connection->partial != NULL && connection_may_read(connection))
        frames_settle(connection, frames_resume(connection));
    connection_poll(connection);
}

/* ---- reading ---- */

static void frames_settle(struct connection *connection, enum frames_result result)
{
    if (connection->state == CONNECTION_CLOSED)
        return;
    switch (result) {
    case FRAMES_MORE:
        break;
    case FRAMES_DAMAGED:
        connection_cancel(connection, false);
        connection_finish(connection);
        break;
    case FRAMES_FINISHED:
        connection->peer_finished = true;
        connection_cancel(connection, false);
        connection_finish(connection);
        break;
    case FRAMES_FAILED:
        connection_close(connection);
        break;
    }
}

static void connection_event(uv_poll_t *poll, int status, int events)
{
    struct connection *connection = poll->data;
    struct io_loop *loop = connection->loop;
    if (status < 0) {
        connection_close(connection);
        loop_settle(loop);
        return;
    }
    if ((events & UV_WRITABLE) != 0) {
        connection->send_blocked = false;
        connection_flush_later(connection);
        loop_settle(loop);
    }
    if ((events & UV_READABLE) != 0 && connection_may_read(connection)) {
        enum frames_result result = frames_read(connection);
        loop_settle(loop); /* What came before the end is still asked for. */
        frames_settle(connection, result);
    } else if ((events & UV_DISCONNECT) != 0 && connection->state != CONNECTION_CLOSED) {
        /* It sends no more; what it sent before is read when there is room again. */
        connection->peer_hung_up = true;
        connection_cancel(connection, false);
    }
    loop_settle(loop);
    connection_poll(connection);
}

void connection_open(struct io_loop *loop, struct accepted *accepted)
{
    struct connection *connection = memory_allocate(sizeof *connection);
    if (connection == NULL ||
        uv_poll_init(&loop->uv, &connection->poll, accepted->descriptor) != 0) {
        memory_free(connection);
        accepted_refuse(accepted);
        return;
    }
    connection->loop = loop;
    connection->listener = accepted->listener;
    connection->poll.data = connection;
    connection->descriptor = accepted->descriptor;
    connection->holds = 1;
    connection->id = atomic_fetch_add(&loop->net->connection_ids, 1) + 1;
    address_key(&accepted->peer, connection->peer_key);
    connection->client_host[0] = '/';
    address_text(&accepted->peer, connection->client_host + 1);
    list_init(&connection->link);
    list_init(&connection->flush);
    list_init(&connection->trial);
    list_init(&connection->exchanges);
    connection->active_ms = loop_now_ms(loop);
    connection->requests_max = loop->net->limits.connection_requests_max;
    connection->is_client = true;
    connection->counted_by_ip = accepted->counted_by_ip;
    bool on_trial = accepted->on_trial;
    memory_free(accepted);
    loop_connection_added(loop, connection);
    connection_poll(connection);
    if (on_trial && connection->state == CONNECTION_OPEN)
        trial_begin(connection);
}

/* ---- deadlines ---- */

static bool deadline_passed(const struct connection *connection, int64_t now_ms,
                            const char **ret_reason)
{
    const struct net_limits *limits = &connection->loop->net->limits;
    if (connection->unsent_bytes > 0 && now_ms - connection->sent_ms >= limits->send_timeout_ms) {
        *ret_reason = "it does not read its answers";
        return true;
    }
    if (connection->partial != NULL && connection_may_read(connection) &&
        now_ms - connection->progress_ms >= limits->receive_timeout_ms) {
        *ret_reason = "its request does not come to an end";
        return true;
    }
    if (connection->door != NULL && !door_open(connection) &&
        now_ms - connection->door_ms >= limits->receive_timeout_ms) {
        *ret_reason = "it does not prove to be a node";
        return true;
    }
    *ret_reason = NULL;
    if (door_open(connection))
        return false; /* The system's own probes find out when a node is gone. */
    return connection->open_requests == 0 && connection->unsent_bytes == 0 &&
           limits->idle_ms >= 0 && now_ms - connection->active_ms >= limits->idle_ms;
}

void connection_check_deadlines(struct connection *connection, int64_t now_ms)
{
    const char *reason;
    if (connection->progress_bytes >= NET_PROGRESS_BYTES) {
        connection->progress_bytes = 0;
        connection->progress_ms = now_ms;
    }
    if (!deadline_passed(connection, now_ms, &reason))
        return;
    if (reason != NULL) {
        char subject[ADDRESS_TEXT_BYTES + 8];
        (void)snprintf(subject, sizeof subject, "peer=%s", connection->client_host + 1);
        report(REPORT_WARNING, "connection_closed", subject, "reason=\"%s\" lost=nothing", reason);
    }
    connection_close(connection);
}
