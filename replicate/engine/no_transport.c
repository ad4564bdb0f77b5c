/* SPDX-License-Identifier: Apache-2.0 */
/* libraft's transport of a cluster of one: it has nobody to talk to, and it opens no port. */
#include "replicate/engine/no_transport.h"

static int transport_start(struct raft_uv_transport *transport, raft_id id, const char *address)
{
    (void)transport;
    (void)id;
    (void)address;
    return 0;
}

static int transport_listen(struct raft_uv_transport *transport, raft_uv_accept_cb accepted)
{
    (void)transport;
    (void)accepted;
    return 0;
}

static int transport_connect(struct raft_uv_transport *transport, struct raft_uv_connect *request,
                             raft_id id, const char *address, raft_uv_connect_cb connected)
{
    (void)transport;
    (void)request;
    (void)id;
    (void)address;
    (void)connected;
    return RAFT_NOCONNECTION;
}

static void transport_close(struct raft_uv_transport *transport, raft_uv_transport_close_cb closed)
{
    closed(transport);
}

void no_transport_init(struct raft_uv_transport *transport)
{
    transport->version = 1;
    transport->init = transport_start;
    transport->listen = transport_listen;
    transport->connect = transport_connect;
    transport->close = transport_close;
}
