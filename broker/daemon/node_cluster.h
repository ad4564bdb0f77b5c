/* SPDX-License-Identifier: Apache-2.0 */
/* What a node of a cluster has beside a node alone: the shared token, the way to the other nodes,
 * and how it came to its cluster.
 *
 *   node_cluster_open -> bootstrap: asks the others ----> node_cluster_agreed -> engine
 *                    '-> in one already: sightings look -'
 *
 * On the control loop's thread, except where said. */
#ifndef BROKER_DAEMON_NODE_CLUSTER_H
#define BROKER_DAEMON_NODE_CLUSTER_H

#include "daemon/quorum_description.h"
#include "handle/membership.h"
#include "handle/peer_door.h"
#include "replicate/core/bootstrap.h"
#include "replicate/core/sightings.h"
#include "replicate/engine/engine.h"
#include "replicate/engine/engine_quorum.h"
#include "replicate/engine/transport.h"
#include "replicate/peer/peer.h"

struct node;
struct request;

/* Zero-initialised: a node alone. */
struct node_cluster {
    struct peer_token token;
    struct peer_doorkeeper doorkeeper; /* Changed inside the monitor. */
    struct founding founding;          /* The same. */
    uint64_t list_hash;
    struct formation formation;
    struct bootstrap *bootstrap;            /* While it looks for its cluster. */
    struct sightings *sightings;            /* Once it is in one; inside the monitor. */
    struct uuid incarnation_id;             /* Of this process. */
    char copy_address[PEER_HOST_BYTES + 8]; /* Where a copy of our data was seen last. */
    struct peers *peers;
    bool peers_closing;
    bool peers_are_closed;
    struct engine_transport *transport;
    struct engine_quorum quorum;
    struct quorum_description description;
    enum error bootstrap_error;
    struct failure bootstrap_failure;
};

/* Reads the token, reads or makes the founding, and starts what talks to other nodes. The port is
 * bound and not served yet. */
enum error node_cluster_open(struct node *node);

/* The port is served: looks for the cluster; or looks around, and goes on with the one that was
 * agreed before. */
enum error node_cluster_find(struct node *node);

/* Raft's beginning as it was agreed: members, bootstrap or join. `ret_members` has
 * FOUNDING_MEMBERS_MAX. */
void node_cluster_engine_options(struct node *node, struct engine_options *options,
                                 struct engine_member *ret_members);

/* The engine is ready: meta.properties says from now on where this directory belongs. */
enum error node_cluster_identify(struct node *node);

/* Ends what is still on its way to a cluster. Inside the monitor. */
void node_cluster_stop_finding(struct node *node);

/* Calls end, then `closed` is posted to the control loop. */
void node_cluster_close_peers(struct node *node);

/* After the loop has no engine any more; frees the transport, then, in node_done, the rest. */
void node_cluster_free_transport(struct node *node);
void node_cluster_done(struct node *node);

/* For net_options: a node's socket for Raft. Any thread. */
void node_cluster_raft_accepted(void *context, int descriptor, int32_t node_id,
                                const char *address);

/* Whether a request may pass to the handlers now: before the core is open only such as help to form
 * a cluster, and on a listener for nodes none from a client. Inside the monitor. */
bool node_admits(const struct request *request);

#endif
