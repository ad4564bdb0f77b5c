/* SPDX-License-Identifier: Apache-2.0 */
/* What the configuration says about the cluster: topicfs.nodes, which of them this node is, the
 * token.
 */
#ifndef BROKER_DAEMON_CLUSTER_SETTINGS_H
#define BROKER_DAEMON_CLUSTER_SETTINGS_H

#include "catalog/config.h"
#include "daemon/endpoint.h"
#include "replicate/core/bootstrap.h"

/* Zero-initialised: a cluster of one. */
struct cluster_settings {
    struct bootstrap_address *nodes;
    uint32_t node_count;
    int32_t self;           /* Its place in nodes; -1: not there, it joins. */
    int32_t wanted_node_id; /* -1: node.id is not set. */
    char *token_file;       /* Absolute; NULL: none. */
};

/* HOST:PORT, comma-separated; an IPv6 address in brackets. INVALID_CONFIG quotes what is wrong:
 * also an address named twice, and more than FOUNDING_MEMBERS_MAX. */
enum error cluster_nodes_parse(const char *list, struct bootstrap_address *ret_nodes,
                               uint32_t *ret_count, struct failure *failure);

/* The place of the one node of the list that is this machine's: INVALID_CONFIG when none or several
 * are, as then `listeners` must say it. Resolves names. */
enum error cluster_self_by_address(const struct cluster_settings *cluster, int32_t *ret_self,
                                   struct failure *failure);

/* The place of the node that one of the listeners names: by host and port, else by port and being
 * this machine's (127.0.0.2:P may be one of several of them). -1: none. */
int32_t cluster_self_by_port(const struct cluster_settings *cluster,
                             const struct endpoint *listeners, uint32_t listener_count);

/* topicfs.nodes, topicfs.token.file, node.id; `self` is left -1. A list without a token is refused.
 */
enum error cluster_settings_load(const struct config_set *config,
                                 struct cluster_settings *ret_cluster, struct failure *failure);
void cluster_settings_done(struct cluster_settings *cluster);

#endif
