/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of the clients of a simulated cluster: one at a time for each client, with the memory of
 * its body. */
#ifndef TESTS_SIM_CLUSTER_CALL_H
#define TESTS_SIM_CLUSTER_CALL_H

#include "sim/cluster.h"

struct client_call {
    struct cluster *cluster;
    struct call call;
    struct arena body;
    bool in_flight;
    void (*ended)(struct client_call *call); /* The answer is valid until it returns. */
};

/* An initialised body of the api, to be filled in; what it points to comes from client_call_take.
 */
void *client_call_open(struct client_call *call, int16_t key, int16_t version, int32_t node_id,
                       enum call_channel channel, int64_t timeout_ms);
void *client_call_take(struct client_call *call, size_t size);
void client_call_start(struct client_call *call, void (*ended)(struct client_call *call));

/* When a client acts again. */
int64_t client_soon(struct cluster *cluster);

#endif
