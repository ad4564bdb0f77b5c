/* SPDX-License-Identifier: Apache-2.0 */
/* From listening sockets to connections. */
#include "net/accept.h"

#include "base/assertion.h"
#include "base/memory.h"
#include "base/report.h"
#include "net/connection.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { ACCEPTS_AT_ONCE = 64, ACCEPT_RETRY_MS = 100 };

enum error listener_open(struct net *net, struct net_listener *listener,
                         const struct net_listener_options *options, struct failure *failure)
{
    listener->net = net;
    struct address address;
    enum error error = address_resolve(options->host, options->port, &address, failure);
    if (error != ERROR_NONE)
        return error;
    const char *advertised = options->advertised_host;
    listener->name = memory_copy_text(options->name, strlen(options->name));
    listener->advertised_host = memory_copy_text(advertised, strlen(advertised));
    if (listener->name == NULL || listener->advertised_host == NULL)
        return ERROR_OUT_OF_MEMORY;
    struct address_listen_options listen_options = {
        .backlog = net->limits.backlog,
        .send_buffer_bytes = net->limits.send_buffer_bytes,
        .receive_buffer_bytes = net->limits.receive_buffer_bytes,
    };
    error = address_listen(&address, &listen_options, &listener->descriptor, failure);
    if (error != ERROR_NONE)
        return error;
    listener->address.size = sizeof listener->address.storage;
    int refused = getsockname(listener->descriptor, (struct sockaddr *)&listener->address.storage,
                              &listener->address.size);
    ASSERT(refused == 0);
    listener->nodes_only = options->nodes_only;
    listener->advertised_port = options->advertised_port;
    if (listener->advertised_port == 0)
        listener->advertised_port = address_port(&listener->address);
    return ERROR_NONE;
}

void listener_close(struct net_listener *listener)
{
    if (listener->descriptor >= 0)
        (void)close(listener->descriptor);
    listener->descriptor = -1;
    memory_free(listener->name);
    memory_free(listener->advertised_host);
}

static void accepted_drop(struct accepted *accepted)
{
    (void)close(accepted->descriptor);
    memory_free(accepted);
}

void accepted_refuse(struct accepted *accepted)
{
    struct net *net = accepted->listener->net;
    uint8_t key[16];
    address_key(&accepted->peer, key);
    (void)atomic_fetch_sub(&net->connection_count, 1);
    accept_client_gone(net, key, accepted->counted_by_ip);
    accepted_drop(accepted);
}

/* Other nodes connect here, too. */
static bool has_trials(const struct net *net)
{
    return net->raft_accepted != NULL;
}

static void report_full(const struct net *net)
{
    report(REPORT_WARNING, "connections_full", "",
           "connections=%u lost=nothing do=\"raise max.connections\"", net->limits.connections_max);
}

bool accept_as_client(struct net *net, const uint8_t key[16], bool *counted_by_ip)
{
    if (atomic_load(&net->client_count) > net->limits.connections_max) {
        report_full(net);
        return false;
    }
    if (!*counted_by_ip &&
        peers_add(&net->peers, key, net->limits.connections_per_ip_max) != ERROR_NONE)
        return false;
    *counted_by_ip = true;
    return true;
}

void accept_client_gone(struct net *net, const uint8_t key[16], bool counted_by_ip)
{
    if (counted_by_ip)
        peers_remove(&net->peers, key);
    (void)atomic_fetch_sub(&net->client_count, 1);
    if (atomic_load(&net->accept_paused))
        loop_post_accept(&net->loops[0]);
}

static void report_refused(const struct accepted *accepted, enum error error)
{
    char text[ADDRESS_TEXT_BYTES];
    char subject[ADDRESS_TEXT_BYTES + 8];
    address_text(&accepted->peer, text);
    (void)snprintf(subject, sizeof subject, "peer=%s", text);
    if (error == ERROR_POLICY_VIOLATION)
        report(REPORT_WARNING, "connection_refused", subject,
               "reason=\"%u connections from this address\" do=\"close some, or raise "
               "max.connections.per.ip\"",
               accepted->listener->net->limits.connections_per_ip_max);
    else
        report(REPORT_WARNING, "connection_refused", subject, "reason=\"%s\"", error_text(error));
}

static void deal_out(struct net *net, struct accepted *accepted)
{
    uint8_t key[16];
    address_key(&accepted->peer, key);
    enum error error = peers_add(&net->peers, key, net->limits.connections_per_ip_max);
    accepted->counted_by_ip = error == ERROR_NONE;
    accepted->on_trial = error == ERROR_POLICY_VIOLATION && has_trials(net);
    if (error != ERROR_NONE)
        report_refused(accepted, error);
    if (error != ERROR_NONE && !accepted->on_trial) {
        accepted_drop(accepted);
        return;
    }
    (void)atomic_fetch_add(&net->connection_count, 1);
    if (atomic_fetch_add(&net->client_count, 1) >= net->limits.connections_max)
        accepted->on_trial = true;
    struct io_loop *loop = &net->loops[net->next_loop];
    net->next_loop = (net->next_loop + 1) % net->loop_count;
    if (loop->index == 0)
        connection_open(loop, accepted);
    else
        loop_post_accepted(loop, accepted);
}

static void accept_pause(struct net *net)
{
    for (uint32_t i = 0; i < net->listener_count; i++) {
        if (net->listeners[i].polling)
            (void)uv_poll_stop(&net->listeners[i].poll);
        net->listeners[i].polling = false;
    }
}

/* A descriptor or memory is missing: leave the clients in the backlog and try again soon. */
static void accept_retry_fired(uv_timer_t *timer)
{
    accept_resume(((struct io_loop *)timer->data)->net);
}

static void accept_failed(struct net *net, int errno_value)
{
    if (errno_value == EAGAIN || errno_value == EWOULDBLOCK || errno_value == EINTR ||
        errno_value == ECONNABORTED)
        return;
    report(REPORT_WARNING, "accept_failed", "",
           "reason=\"%s\" lost=nothing do=\"raise the limit of open files\"",
           strerror(errno_value));
    accept_pause(net);
    (void)uv_timer_start(&net->loops[0].accept_retry, accept_retry_fired, ACCEPT_RETRY_MS, 0);
}

static bool connections_full(struct net *net)
{
    if (has_trials(net) || atomic_load(&net->client_count) < net->limits.connections_max)
        return false;
    atomic_store(&net->accept_paused, true);
    /* One may have gone before the flag was seen. */
    if (atomic_load(&net->client_count) < net->limits.connections_max) {
        atomic_store(&net->accept_paused, false);
        return false;
    }
    report_full(net);
    accept_pause(net);
    return true;
}

static void listener_readable(uv_poll_t *poll, int status, int events)
{
    (void)events;
    struct net_listener *listener = poll->data;
    struct net *net = listener->net;
    if (status < 0) {
        accept_failed(net, -status);
        return;
    }
    for (int i = 0; i < ACCEPTS_AT_ONCE && !connections_full(net); i++) {
        struct accepted *accepted = memory_allocate(sizeof *accepted);
        if (accepted == NULL) {
            accept_failed(net, ENOMEM);
            break;
        }
        accepted->listener = listener;
        accepted->peer.size = sizeof accepted->peer.storage;
        accepted->descriptor =
            accept4(listener->descriptor, (struct sockaddr *)&accepted->peer.storage,
                    &accepted->peer.size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (accepted->descriptor < 0) {
            accept_failed(net, errno);
            memory_free(accepted);
            break;
        }
        deal_out(net, accepted);
    }
    loop_settle(&net->loops[0]);
}

enum error accept_start(struct net *net)
{
    for (uint32_t i = 0; i < net->listener_count; i++) {
        struct net_listener *listener = &net->listeners[i];
        listener->poll.data = listener;
        if (uv_poll_init(&net->loops[0].uv, &listener->poll, listener->descriptor) != 0)
            return ERROR_OUT_OF_MEMORY;
        listener->poll_open = true;
    }
    accept_resume(net);
    return ERROR_NONE;
}

void accept_resume(struct net *net)
{
    atomic_store(&net->accept_paused, false);
    for (uint32_t i = 0; i < net->listener_count; i++) {
        struct net_listener *listener = &net->listeners[i];
        if (listener->poll_open && !listener->polling)
            listener->polling = uv_poll_start(&listener->poll, UV_READABLE, listener_readable) == 0;
    }
}

void accept_stop(struct net *net)
{
    (void)uv_timer_stop(&net->loops[0].accept_retry);
    for (uint32_t i = 0; i < net->listener_count; i++) {
        struct net_listener *listener = &net->listeners[i];
        if (!listener->poll_open)
            continue;
        listener->poll_open = false;
        listener->polling = false;
        uv_close((uv_handle_t *)&listener->poll, NULL);
        (void)close(listener->descriptor);
        listener->descriptor = -1;
    }
}
