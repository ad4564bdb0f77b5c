/* SPDX-License-Identifier: Apache-2.0 */
/* Raft's way to the other nodes: authenticated connections over the nodes' own listeners, under
 * libraft.
 *
 *   libraft connects  -> peers_connect (peers' thread: name, TCP, proof) -> socket -> libraft
 *   another node's    -> net: listener, proof -> raft_accepted -> transport_accept -> libraft
 *
 * Belongs to the control loop's thread, except transport_accept. */
#ifndef REPLICATE_ENGINE_TRANSPORT_H
#define REPLICATE_ENGINE_TRANSPORT_H

#include "base/error.h"

#include <stdint.h>
#include <uv.h>

struct engine_transport;
struct peers;

struct engine_transport_options {
    uv_loop_t *loop;     /* The control loop. */
    struct peers *peers; /* Borrowed until transport_free. */
    const char *address; /* "host:port" of this node's listener; copied. */
};

/* Made before the engine that it is given to (engine_options.transport). */
enum error transport_new(const struct engine_transport_options *options,
                         struct engine_transport **ret_transport);

/* A connection of another node, for net_options.raft_accepted: takes over the socket, and closes it
 * when Raft does not listen. `context` is the transport. Any thread. */
void transport_accept(void *context, int descriptor, int32_t node_id, const char *address);

/* After the engine was closed, and once nobody calls transport_accept. Its last handle closes in
 * the next turns of the loop. Accepts NULL. */
void transport_free(struct engine_transport *transport);

#endif
