/* SPDX-License-Identifier: Apache-2.0 */
/* How a node without a cluster gets into one (replication.md 3): it asks every address it was
 * given.
 *
 *   ask all --one is in a cluster--> that knows this node as a founder? --yes--> agreed
 *     ^ |                                                '--no--> NODE_JOIN --> agreed
 *     | '--all founders answer, none is in a cluster, all have the same list--> founded: agreed
 *     '---- otherwise: wait, say for whom, ask again
 *
 * Nothing is founded on a timeout, and never while one founder has not answered. What was agreed is
 * on stable storage before it is acted upon. Inside the monitor. */
#ifndef REPLICATE_CORE_BOOTSTRAP_H
#define REPLICATE_CORE_BOOTSTRAP_H

#include "replicate/core/founding.h"
#include "wire/api_cluster_query.h"
#include "wire/call.h"

struct bootstrap_address {
    char host[FOUNDING_HOST_BYTES];
    uint16_t port;
};

struct bootstrap_options {
    struct executor *executor;
    struct storage *storage;
    struct caller *caller;
    const struct bootstrap_address *addresses; /* Copied. */
    uint32_t address_count;                    /* At most FOUNDING_MEMBERS_MAX. */
    int32_t self;           /* This node's own place in the list; -1: not there: it can only
                               join. */
    int32_t wanted_node_id; /* -1: any. */
    struct bootstrap_address advertised; /* Where other nodes reach this one. */
    const char *rack;                    /* May be NULL. */
    /* A line for the operator, from time to time while it waits: "waiting for b:9092 (no answer)".
     */
    void (*waiting)(void *context, const char *text);
    /* Once, as a task: NONE, and the founding says what was agreed; otherwise the failure is the
     * node's last line (DUPLICATE_BROKER_REGISTRATION, STORAGE ...). */
    void (*done)(void *context, enum error error, const struct failure *failure);
    void *context;
};

struct bootstrap;

/* `founding` is the caller's, holds the node's uuid, and outlives the bootstrap. */
enum error bootstrap_new(const struct bootstrap_options *options, struct founding *founding,
                         struct bootstrap **ret_bootstrap);
void bootstrap_start(struct bootstrap *bootstrap);

/* What CLUSTER_QUERY is told by a node with this founding; the leader is not known here. Arrays
 * live in `arena`, strings in the founding. OUT_OF_MEMORY. */
enum error bootstrap_answer(const struct founding *founding, uint64_t list_hash,
                            struct arena *arena, struct cluster_query_response *response);

/* Ends calls under way; `done` does not come any more. It frees itself when the last call has
 * ended. Accepts NULL. */
void bootstrap_stop(struct bootstrap *bootstrap);

/* The same for every order of the same addresses. */
uint64_t bootstrap_list_hash(const struct bootstrap_address *addresses, uint32_t count);

#endif
