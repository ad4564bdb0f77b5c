/* SPDX-License-Identifier: Apache-2.0 */
/* The catalog's proposer in a cluster: a command goes to whoever leads the metadata quorum.
 *
 *   catalog_propose -> route --this node leads--> local proposer (engine)
 *                        |  '--another leads----> PROPOSE over caller
 *                        '<-- NOT_CONTROLLER, no leader, lost, timed out: again, the same bytes
 *   done <-- own catalog has applied what the outcome names <-- outcome
 *
 * The same bytes hold the same idempotence id, so sending a command again after an unknown outcome
 * changes nothing and answers the same. Inside the monitor. */
#ifndef REPLICATE_CORE_ROUTE_H
#define REPLICATE_CORE_ROUTE_H

#include "catalog/catalog.h"
#include "replicate/core/quorum.h"
#include "wire/call.h"

enum {
    ROUTE_DEADLINE_MS = 30000,
    ROUTE_ATTEMPT_MS = 5000, /* One PROPOSE, sent and answered. */
    ROUTE_RETRY_MS_MIN = 20,
    ROUTE_RETRY_MS_MAX = 500
};

struct route_options {
    struct executor *executor;
    struct caller *caller; /* NULL: a cluster of one. */
    struct quorum *quorum;
    struct catalog *catalog;
    struct catalog_proposer *local; /* The engine's. */
    int32_t node_id;
    int64_t deadline_ms; /* From submit to done at the latest; 0: ROUTE_DEADLINE_MS. */
};

struct route;

enum error route_new(const struct route_options *options, struct route **ret_route);

/* To be given to catalog_set_proposer. Besides what apply said a proposal ends with
 * REQUEST_TIMED_OUT: the outcome is not known, or not applied here, by the deadline; CLOSING;
 * OUT_OF_MEMORY; STORAGE or DISK_FULL: the leader's disk refuses the log. */
struct catalog_proposer *route_proposer(struct route *route);

/* Whoever waits is answered with CLOSING, and so is who comes later. */
void route_stop(struct route *route);

/* After route_stop: no call or local proposal is under way any more. */
bool route_idle(const struct route *route);

/* Stopped and idle, or the executor has forgotten everything. Accepts NULL. */
void route_free(struct route *route);

#endif
