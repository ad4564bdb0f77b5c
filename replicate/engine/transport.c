/* SPDX-License-Identifier: Apache-2.0 */
/* struct raft_uv_transport over the peers' sockets. Whatever other threads bring waits in lists
 * under the mutex until the loop's own thread gives it to libraft. */
#include "replicate/engine/transport.h"

#include "base/assertion.h"
#include "base/list.h"
#include "base/memory.h"
#include "replicate/peer/peer.h"

#include <raft.h>
#include <raft/uv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ARRIVED_MAX = 256 }; /* Sockets that wait for Raft to listen: more than nodes have voters. */

struct engine_transport {
    struct raft_uv_transport raft;
    uv_loop_t *loop;
    struct peers *peers;
    uv_async_t wake;
    raft_uv_accept_cb accepted; /* NULL: Raft does not listen. */
    raft_uv_transport_close_cb closed;
    bool closing;
    struct list connecting; /* struct connecting.link */

    pthread_mutex_t mutex;  /* Guards the rest. */
    struct list finished;   /* struct connecting.finished_link */
    struct list arrived;    /* struct arrival.link */
    uint32_t arrived_count; /* Of them. */
    char address[];
};

/* A connection being made for libraft. */
struct connecting {
    struct peer_connect connect;
    struct list link;
    struct list finished_link;
    struct engine_transport *transport;
    struct raft_uv_connect *request;
    enum error error;
    int descriptor;
};

/* A connection another node has made. */
struct arrival {
    struct list link;
    int descriptor;
    int32_t node_id;
    char address[PEER_ADDRESS_BYTES_MAX + 1];
};

/* ---- sockets as libraft wants them ---- */

static void stream_free(uv_handle_t *handle)
{
    raft_free(handle);
}

/* Takes over the socket: closes it when there is no memory (NULL). */
static struct uv_stream_s *stream_of(struct engine_transport *transport, int descriptor)
{
    uv_tcp_t *tcp = raft_malloc(sizeof *tcp); /* libraft frees it. */
    if (tcp == NULL || uv_tcp_init(transport->loop, tcp) != 0) {
        raft_free(tcp);
        (void)close(descriptor);
        return NULL;
    }
    if (uv_tcp_open(tcp, descriptor) != 0) {
        (void)close(descriptor);
        uv_close((uv_handle_t *)tcp, stream_free);
        return NULL;
    }
    return (struct uv_stream_s *)tcp;
}

/* ---- connecting ---- */

static void close_if_idle(struct engine_transport *transport)
{
    if (transport->closing && list_empty(&transport->connecting) && transport->closed != NULL) {
        raft_uv_transport_close_cb closed = transport->closed;
        transport->closed = NULL;
        closed(&transport->raft);
    }
}

/* On the peers' thread. */
static void connect_done(struct peer_connect *connect, enum error error, int descriptor)
{
    struct connecting *connecting = container_of(connect, struct connecting, connect);
    struct engine_transport *transport = connecting->transport;
    connecting->error = error;
    connecting->descriptor = descriptor;
    (void)pthread_mutex_lock(&transport->mutex);
    list_push(&transport->finished, &connecting->finished_link);
    (void)uv_async_send(&transport->wake);
    (void)pthread_mutex_unlock(&transport->mutex);
}

static void connecting_finish(struct connecting *connecting)
{
    struct engine_transport *transport = connecting->transport;
    struct raft_uv_connect *request = connecting->request;
    struct uv_stream_s *stream = NULL;
    int status = transport->closing ? RAFT_CANCELED : RAFT_NOCONNECTION;
    if (connecting->error == ERROR_NONE && transport->closing) {
        (void)close(connecting->descriptor);
    } else if (connecting->error == ERROR_NONE) {
        stream = stream_of(transport, connecting->descriptor);
        status = stream == NULL ? RAFT_NOMEM : 0;
    }
    list_remove(&connecting->link);
    memory_free(connecting);
    request->cb(request, stream, status);
}

/* "host:port", "[address]:port"; false when it is neither. */
static bool address_split(const char *address, char ret_host[PEER_HOST_BYTES], uint16_t *ret_port)
{
    const char *colon = strrchr(address, ':');
    if (colon == NULL || colon == address)
        return false;
    char *end;
    unsigned long port = strtoul(colon + 1, &end, 10);
    if (end == colon + 1 || *end != '\0' || port == 0 || port > UINT16_MAX)
        return false;
    size_t size = (size_t)(colon - address);
    bool bracketed = address[0] == '[' && colon[-1] == ']' && size > 2;
    if (bracketed) {
        address++;
        size -= 2;
    }
    if (size >= PEER_HOST_BYTES)
        return false;
    memcpy(ret_host, address, size);
    ret_host[size] = '\0';
    *ret_port = (uint16_t)port;
    return true;
}

static int transport_connect(struct raft_uv_transport *raft, struct raft_uv_connect *request,
                             raft_id id, const char *address, raft_uv_connect_cb connected)
{
    struct engine_transport *transport = raft->impl;
    ASSERT(!transport->closing);
    ASSERT(id > 0);
    struct connecting *connecting = memory_allocate(sizeof *connecting);
    if (connecting == NULL) {
        (void)snprintf(raft->errmsg, sizeof raft->errmsg, "out of memory");
        return RAFT_NOMEM;
    }
    struct peer_connect *connect = &connecting->connect;
    if (!address_split(address, connect->host, &connect->port)) {
        (void)snprintf(raft->errmsg, sizeof raft->errmsg, "not host:port");
        memory_free(connecting);
        return RAFT_NOCONNECTION;
    }
    connect->node_id = (int32_t)(id - 1);
    connect->address = transport->address;
    connect->done = connect_done;
    connecting->transport = transport;
    connecting->request = request;
    list_init(&connecting->finished_link);
    request->cb = connected;
    list_push(&transport->connecting, &connecting->link);
    peers_connect(transport->peers, connect);
    return 0;
}

/* ---- accepting ---- */

static void arrival_drop(struct arrival *arrival)
{
    (void)close(arrival->descriptor);
    memory_free(arrival);
}

void transport_accept(void *context, int descriptor, int32_t node_id, const char *address)
{
    struct engine_transport *transport = context;
    struct arrival *arrival = memory_allocate(sizeof *arrival);
    if (arrival == NULL) {
        (void)close(descriptor); /* The other node tries again. */
        return;
    }
    arrival->descriptor = descriptor;
    arrival->node_id = node_id;
    (void)snprintf(arrival->address, sizeof arrival->address, "%s", address);
    struct arrival *oldest = NULL;
    (void)pthread_mutex_lock(&transport->mutex);
    list_push(&transport->arrived, &arrival->link);
    if (++transport->arrived_count > ARRIVED_MAX) {
        oldest = container_of(list_take(&transport->arrived), struct arrival, link);
        transport->arrived_count--;
    }
    (void)uv_async_send(&transport->wake);
    (void)pthread_mutex_unlock(&transport->mutex);
    if (oldest != NULL)
        arrival_drop(oldest);
}

static void arrival_give(struct engine_transport *transport, struct arrival *arrival)
{
    struct uv_stream_s *stream = stream_of(transport, arrival->descriptor);
    if (stream != NULL)
        transport->accepted(&transport->raft, (raft_id)arrival->node_id + 1, arrival->address,
                            stream);
    memory_free(arrival);
}

static int transport_listen(struct raft_uv_transport *raft, raft_uv_accept_cb accepted)
{
    struct engine_transport *transport = raft->impl;
    transport->accepted = accepted;
    (void)uv_async_send(&transport->wake); /* Some may wait already. */
    return 0;
}

/* ---- the mailbox ---- */

static void woken(uv_async_t *wake)
{
    struct engine_transport *transport = wake->data;
    struct list finished;
    struct list arrived;
    list_init(&arrived);
    (void)pthread_mutex_lock(&transport->mutex);
    list_move(&transport->finished, &finished);
    if (transport->accepted != NULL || transport->closing) {
        list_move(&transport->arrived, &arrived);
        transport->arrived_count = 0;
    }
    (void)pthread_mutex_unlock(&transport->mutex);
    for (struct list *link; (link = list_take(&finished)) != NULL;)
        connecting_finish(container_of(link, struct connecting, finished_link));
    for (struct list *link; (link = list_take(&arrived)) != NULL;) {
        struct arrival *arrival = container_of(link, struct arrival, link);
        if (transport->closing)
            arrival_drop(arrival);
        else
            arrival_give(transport, arrival);
    }
    close_if_idle(transport);
}

/* ---- life ---- */

static int transport_init(struct raft_uv_transport *raft, raft_id id, const char *address)
{
    (void)raft;
    (void)id;
    (void)address;
    return 0;
}

/* libraft wants its callbacks later, also when nothing is under way. */
static void transport_close(struct raft_uv_transport *raft, raft_uv_transport_close_cb closed)
{
    struct engine_transport *transport = raft->impl;
    ASSERT(!transport->closing);
    transport->closing = true;
    transport->closed = closed;
    transport->accepted = NULL;
    list_for_each(link, &transport->connecting)
    {
        struct connecting *connecting = container_of(link, struct connecting, link);
        (void)pthread_mutex_lock(&transport->mutex);
        bool finished = !list_empty(&connecting->finished_link);
        (void)pthread_mutex_unlock(&transport->mutex);
        if (!finished)
            peers_connect_cancel(transport->peers, &connecting->connect);
    }
    (void)uv_async_send(&transport->wake);
}

enum error transport_new(const struct engine_transport_options *options,
                         struct engine_transport **ret_transport)
{
    size_t size = strlen(options->address) + 1;
    ASSERT(size <= PEER_ADDRESS_BYTES_MAX + 1);
    struct engine_transport *transport = memory_allocate(sizeof *transport + size);
    if (transport == NULL)
        return ERROR_OUT_OF_MEMORY;
    if (uv_async_init(options->loop, &transport->wake, woken) != 0) {
        memory_free(transport);
        return ERROR_OUT_OF_MEMORY;
    }
    transport->wake.data = transport;
    transport->loop = options->loop;
    transport->peers = options->peers;
    memcpy(transport->address, options->address, size);
    list_init(&transport->connecting);
    list_init(&transport->finished);
    list_init(&transport->arrived);
    (void)pthread_mutex_init(&transport->mutex, NULL);
    transport->raft = (struct raft_uv_transport){
        .version = 1,
        .impl = transport,
        .init = transport_init,
        .listen = transport_listen,
        .connect = transport_connect,
        .close = transport_close,
    };
    *ret_transport = transport;
    return ERROR_NONE;
}

struct raft_uv_transport *transport_raft(struct engine_transport *transport)
{
    return &transport->raft;
}

static void wake_closed(uv_handle_t *handle)
{
    struct engine_transport *transport = handle->data;
    (void)pthread_mutex_destroy(&transport->mutex);
    memory_free(transport);
}

void transport_free(struct engine_transport *transport)
{
    if (transport == NULL)
        return;
    ASSERT(list_empty(&transport->connecting));
    for (struct list *link; (link = list_take(&transport->arrived)) != NULL;)
        arrival_drop(container_of(link, struct arrival, link));
    uv_close((uv_handle_t *)&transport->wake, wake_closed);
}
