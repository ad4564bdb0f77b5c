/* SPDX-License-Identifier: Apache-2.0 */
/* Where the nodes of the cluster were seen last, other than where they registered.
 *
 *   topicfs.nodes --CLUSTER_QUERY--> node 2 is at b:9092 --.
 *   a node that asks, or connects for Raft, from elsewhere -+--> sightings_find
 *
 * A node of a formed cluster looks once when it starts, before it takes part in anything: a second
 * one with the same data must not vote. It looks again for as long as it knows no leader: the
 * addresses of all nodes may have changed at once, and nobody could tell the catalog. Inside the
 * monitor. */
#ifndef REPLICATE_CORE_SIGHTINGS_H
#define REPLICATE_CORE_SIGHTINGS_H

#include "replicate/core/bootstrap.h"
#include "replicate/core/quorum.h"

struct sightings;

struct sightings_options {
    struct executor *executor;
    struct caller *caller;
    const struct bootstrap_address *addresses; /* Copied. */
    uint32_t address_count;                    /* At most FOUNDING_MEMBERS_MAX. */
    int32_t self;                              /* This node's own place in the list; -1. */
    struct bootstrap_address advertised;       /* Where other nodes reach this one. */
    int32_t node_id;
    struct uuid cluster_id;
    struct uuid node_uuid;
    struct uuid incarnation_id; /* Of this process. */
    /* Once, as a task, when all have answered the first time or are late: NONE, or why this node
     * must not take part: DUPLICATE_BROKER_REGISTRATION, INCONSISTENT_CLUSTER_ID. */
    void (*looked)(void *context, enum error error, const struct failure *failure);
    /* Whether a node of this id and uuid (NULL: proved to be it) may be elsewhere than where it
     * registered. */
    bool (*plausible)(void *context, int32_t node_id, const struct uuid *node_uuid);
    void *context;
};

enum { SIGHTINGS_TIMEOUT_MS = 1000, SIGHTINGS_INTERVAL_MS = 1000 };

enum error sightings_new(const struct sightings_options *options, struct sightings **ret_sightings);

/* Looks for the first time; `looked` comes. */
void sightings_start(struct sightings *sightings);

/* Looks again whenever this quorum knows no leader, until stopped. */
void sightings_attend(struct sightings *sightings, struct quorum *quorum);

/* The node itself has said, on a proved connection, that it is there: "host:port" or
 * "[host]:port". What is neither is not noted. */
void sightings_note(struct sightings *sightings, int32_t node_id, struct slice address);

/* Where it was seen; false: nowhere but at `registered` (NULL: it is not registered). Both may be
 * out of date: the answers take turns. */
bool sightings_find(struct sightings *sightings, int32_t node_id,
                    const struct bootstrap_address *registered,
                    struct bootstrap_address *ret_address);

/* Calls nobody back any more; frees itself when the last call has ended. Accepts NULL. */
void sightings_stop(struct sightings *sightings);

#endif
