/* SPDX-License-Identifier: Apache-2.0 */
/* The port as a whole: opening, starting, closing. */
#include "net/listener.h"

#include "base/assertion.h"
#include "base/memory.h"
#include "net/accept.h"
#include "net/loop.h"

struct net_limits net_limits_default(void)
{
    return (struct net_limits){
        .io_threads = 1,
        .backlog = 50,
        .send_buffer_bytes = -1,
        .receive_buffer_bytes = -1,
        .request_bytes_max = 100 << 20,
        .connections_max = INT32_MAX,
        .connections_per_ip_max = INT32_MAX,
        .connection_requests_max = 64,
        .connection_bytes_max = 16 << 20,
        .idle_ms = 600000,
        .receive_timeout_ms = 30000,
        .send_timeout_ms = 300000,
    };
}

static void limits_check(const struct net_limits *limits)
{
    ASSERT(limits->io_threads > 0);
    ASSERT(limits->request_bytes_max > 0);
    ASSERT(limits->connection_requests_max > 0);
    ASSERT(limits->receive_timeout_ms > 0);
    ASSERT(limits->send_timeout_ms > 0);
}

static enum error net_fill(struct net *net, const struct net_options *options,
                           struct failure *failure)
{
    enum error error = peers_init(&net->peers);
    if (error != ERROR_NONE)
        return error;
    net->listeners = memory_allocate_array(options->listener_count, sizeof net->listeners[0]);
    net->loops = memory_allocate_array((size_t)options->limits.io_threads, sizeof net->loops[0]);
    if (net->listeners == NULL || net->loops == NULL)
        return ERROR_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < options->listener_count; i++)
        net->listeners[i].descriptor = -1;
    net->listener_count = options->listener_count;
    net->loop_count = (uint32_t)options->limits.io_threads;
    for (uint32_t i = 0; i < net->listener_count; i++) {
        const struct net_listener_options *wanted = &options->listeners[i];
        error = listener_open(net, &net->listeners[i], wanted, failure);
        if (error != ERROR_NONE)
            return failure_at(failure, error, "listen on %s://%s:%u", wanted->name, wanted->host,
                              wanted->port);
    }
    for (uint32_t i = 0; i < net->loop_count; i++) {
        error = loop_init(&net->loops[i], net, i);
        if (error != ERROR_NONE)
            return failure_at(failure, error, "make an io loop");
    }
    return ERROR_NONE;
}

enum error net_open(const struct net_options *options, struct net **ret_net,
                    struct failure *failure)
{
    limits_check(&options->limits);
    ASSERT(options->listener_count > 0);
    struct net *net = memory_allocate(sizeof *net);
    if (net == NULL)
        return failure_at(failure, ERROR_OUT_OF_MEMORY, "open the port");
    net->monitor = options->monitor;
    net->broker = options->broker;
    net->handler = options->handler;
    net->limits = options->limits;
    net->raft_accepted = options->raft_accepted;
    net->raft_context = options->raft_context;
    enum error error = net_fill(net, options, failure);
    if (error != ERROR_NONE) {
        net_free(net);
        return failure_at(failure, error, "open the port");
    }
    *ret_net = net;
    return ERROR_NONE;
}

uint16_t net_port(const struct net *net, uint32_t listener)
{
    ASSERT(listener < net->listener_count);
    return address_port(&net->listeners[listener].address);
}

bool net_is_loopback(const struct net *net, uint32_t listener)
{
    ASSERT(listener < net->listener_count);
    return address_is_loopback(&net->listeners[listener].address);
}

static void closed_ignored(void *context)
{
    (void)context;
}

enum error net_start(struct net *net, struct failure *failure)
{
    enum error error = accept_start(net);
    if (error != ERROR_NONE)
        return failure_at(failure, error, "start the port");
    atomic_store(&net->loops_running, net->loop_count);
    for (uint32_t i = 0; i < net->loop_count; i++) {
        error = loop_start(&net->loops[i], failure);
        if (error != ERROR_NONE) {
            net_close(net, 0, closed_ignored, NULL);
            return error;
        }
    }
    return ERROR_NONE;
}

uint32_t net_connection_count(const struct net *net)
{
    return atomic_load(&net->connection_count);
}

void net_close(struct net *net, int64_t grace_ms, void (*closed)(void *context), void *context)
{
    net->grace_ms = grace_ms;
    net->closed = closed;
    net->closed_context = context;
    loop_post_closing(&net->loops[0]);
}

void net_free(struct net *net)
{
    if (net == NULL)
        return;
    if (net->loops != NULL) {
        for (uint32_t i = 0; i < net->loop_count; i++)
            loop_done(&net->loops[i]);
    }
    if (net->listeners != NULL) {
        for (uint32_t i = 0; i < net->listener_count; i++)
            listener_close(&net->listeners[i]);
    }
    memory_free(net->loops);
    memory_free(net->listeners);
    peers_done(&net->peers);
    memory_free(net);
}
