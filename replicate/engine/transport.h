/* SPDX-License-Identifier: Apache-2.0 */
/* Raft's way to the other nodes: proved connections over the nodes' own listeners, under libraft.
 *
 *   libraft connects  -> peers_connect (peers' thread: name, TCP, proof) -> socket -> libraft
 *   another node's    -> net: listener, proof -> raft_accepted -> transport_accept -> libraft
 *
 * Raft's id of a node is its node id + 1. Belongs to the control loop's thread, except
 * transport_accept. */
#ifndef REPLICATE_ENGINE_TRANSPORT_H
#define REPLICATE_ENGINE_TRANSPORT_H

#include "base/error.h"

#include <stdint.h>
#include <uv.h>

struct engine_transport;
struct peers;
struct raft_uv_transport;

struct engine_transport_options {
    uv_loop_t *loop;     /* The control loop. */
    struct peers *peers; /* Borrowed until transport_free; closed after the engine. */
    const char *address; /* "host:port" of this node's listener, at most PEER_ADDRESS_BYTES_MAX
                            bytes; copied. */
};

/* Made before the engine. */
enum error transport_new(const struct engine_transport_options *options,
                         struct engine_transport **ret_transport);

/* For engine_options.transport. */
struct raft_uv_transport *transport_raft(struct engine_transport *transport);

/* A connection of another node, for net_options.raft_accepted: takes over the socket, keeps it
 * until Raft listens, closes it when it does no more. `context` is the transport. Any thread. */
void transport_accept(void *context, int descriptor, int32_t node_id, const char *address);

/* After the engine was closed (or without one), once nobody calls transport_accept. Its handle
 * closes in the next turns of the loop. Accepts NULL. */
void transport_free(struct engine_transport *transport);

#endif
