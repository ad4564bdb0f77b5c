/* SPDX-License-Identifier: Apache-2.0 */
/* The controller: what the leader of the metadata quorum does for the others. It decides nothing by
 * itself that must be agreed: it proposes, and apply checks each command at its log position
 * (invariant 20). What it knows of the nodes' life (sessions) is its own and begins anew with each
 * leadership.
 *
 *              leads the quorum                            heard in time, caught up
 *   PASSIVE ---------------------> ACTIVE     node: FENCED -------------------------> ALIVE
 *      ^------- leads no more --------'              ^-- silent, refused, stopping ----'
 *
 * While active: fences silent nodes, takes in new ones, keeps the quorum's members in step with the
 * registered nodes, spreads leaders and replicas. Inside the monitor. */
#ifndef REPLICATE_CORE_CONTROLLER_H
#define REPLICATE_CORE_CONTROLLER_H

#include "catalog/catalog.h"
#include "handle/membership.h"
#include "replicate/core/quorum.h"

enum {
    CONTROLLER_UNREACHABLE_MS = 300, /* To be heard of again after a refused connection. */
    CONTROLLER_CLOCKS_APART_MS = 10000
};

struct cluster_view;
struct founding;

struct controller_options {
    struct executor *executor;
    struct quorum *quorum;
    struct catalog *catalog;
    struct catalog_proposer *local; /* The engine's: a command of a controller that is none any
                                       more must not find its way to the next. */
    struct cluster_view *view;      /* May be NULL. */
    /* The node's configuration in force and its static one, which may move: read each time. */
    const struct config_set *const *config;
    const struct config_set *static_config;
    const struct founding *founding; /* Of a founder, else NULL: who else is one. */
    int32_t node_id;
    int64_t session_timeout_ms;  /* broker.session.timeout.ms */
    int64_t election_timeout_ms; /* controller.quorum.election.timeout.ms */
};

struct controller;

enum error controller_new(const struct controller_options *options,
                          struct controller **ret_controller);

/* What the handlers and this node's heartbeat ask it. */
struct membership *controller_membership(struct controller *controller);

/* Nobody listens at the node's address: it is fenced unless it is heard of again soon. Harmless
 * while another node is the controller. */
void controller_node_unreachable(struct controller *controller, int32_t node_id);

/* Proposes nothing any more; joins under way end with CLOSING. */
void controller_stop(struct controller *controller);

/* After controller_stop: no proposal or change is under way any more. */
bool controller_idle(const struct controller *controller);

/* Stopped and idle, or the executor has forgotten everything. Accepts NULL. */
void controller_free(struct controller *controller);

#endif
