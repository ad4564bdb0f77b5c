/* SPDX-License-Identifier: Apache-2.0 */
/* The seam of calls between nodes (wire/call.h) on the simulated network, and the door they come in
 * by: whole frames, encoded and decoded by the real wire code. Also what simulated clients call
 * with.
 *
 *   call_start -> encode -> parcel ... -> decode -> handle_start [on the other node]
 *   done <- decode <- parcel <- encode <- request done
 *
 * One connection to each node and channel: calls are answered in the order they were started; one
 * that is lost on the way breaks the connection, and every call on it ends with NETWORK, as the
 * requests do at the other end. */
#ifndef TESTS_SIM_SIMULATED_CALLER_H
#define TESTS_SIM_SIMULATED_CALLER_H

#include "handle/broker.h"
#include "sim/simulated_network.h"
#include "wire/call.h"

struct simulated_caller;
struct simulated_served;

/* What the world knows of its nodes, which are numbers in the network. */
struct caller_world {
    /* NULL: nobody listens there now. */
    struct broker *(*broker_of)(struct caller_world *world, uint32_t node);
    struct simulated_served *(*served_of)(struct caller_world *world, uint32_t node);
    struct simulated_caller *(*caller_of)(struct caller_world *world, uint32_t node);
    /* Where `from` thinks the call's node is; -1: it does not know. */
    int32_t (*place_of)(struct caller_world *world, uint32_t from, const struct call *call);
    /* The node's id: -1 while it has none. */
    int32_t (*id_of)(struct caller_world *world, uint32_t node);
    /* Its port takes such requests now: others close the connection. */
    bool (*admits)(struct caller_world *world, uint32_t node, int16_t key);
    /* Nobody listens where `from` called: its kernel says so at once. */
    void (*refused)(struct caller_world *world, uint32_t from, int32_t node_id);
};

/* Requests of others that a node is busy with; embedded in the node, of its life. */
struct simulated_served {
    struct list requests;
};

struct simulated_caller {
    struct caller base;
    struct caller_world *world;
    struct simulated_network *network;
    struct executor *executor;
    uint32_t node;
    bool is_client; /* Not a node: its requests are a client's. */
    struct list pending;
    uint64_t connections[NETWORK_NODES_MAX][CALL_CHANNELS];
    uint64_t *next_connection; /* The world's: no number is used twice. */
    int32_t next_correlation;
};

void simulated_served_init(struct simulated_served *served);

/* Ends what clients and nodes wait for, as a listener that closes does. */
void simulated_served_cancel(struct simulated_served *served);

/* The fields up to is_client are filled in. */
void simulated_caller_init(struct simulated_caller *caller);

/* A clean stop: what is under way ends with CLOSING. */
void simulated_caller_stop(struct simulated_caller *caller);

#endif
