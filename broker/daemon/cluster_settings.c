/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the list of nodes, and finding oneself on it. */
#include "daemon/cluster_settings.h"

#include "base/memory.h"
#include "net/address.h"

#include <stdio.h>
#include <string.h>

static enum error node_parse(struct slice text, struct bootstrap_address *ret_node,
                             struct failure *failure)
{
    /* As a listener without a name. */
    char with_name[ENDPOINT_HOST_BYTES + 32];
    struct endpoint endpoint;
    struct failure reason = {0};
    int size = snprintf(with_name, sizeof with_name, "NODE://%.*s", SLICE_PRINT(text));
    if (size < 0 || (size_t)size >= sizeof with_name ||
        endpoint_parse(slice_from(with_name, (size_t)size), &endpoint, &reason) != ERROR_NONE ||
        endpoint.host[0] == '\0' || endpoint.port == 0)
        return failure_because(failure, ERROR_INVALID_CONFIG,
                               "topicfs.nodes: \"%.*s\" is not HOST:PORT", SLICE_PRINT(text));
    *ret_node = (struct bootstrap_address){.port = endpoint.port};
    memcpy(ret_node->host, endpoint.host, strlen(endpoint.host) + 1);
    return ERROR_NONE;
}

enum error cluster_nodes_parse(const char *list, struct bootstrap_address *ret_nodes,
                               uint32_t *ret_count, struct failure *failure)
{
    uint32_t count = 0;
    struct slice element;
    while (config_list_next(&list, &element)) {
        if (count == FOUNDING_MEMBERS_MAX)
            return failure_because(failure, ERROR_INVALID_CONFIG,
                                   "topicfs.nodes: more than %d; further nodes join by any of them",
                                   FOUNDING_MEMBERS_MAX);
        enum error error = node_parse(element, &ret_nodes[count], failure);
        if (error != ERROR_NONE)
            return error;
        for (uint32_t i = 0; i < count; i++) {
            if (strcmp(ret_nodes[i].host, ret_nodes[count].host) == 0 &&
                ret_nodes[i].port == ret_nodes[count].port)
                return failure_because(failure, ERROR_INVALID_CONFIG,
                                       "topicfs.nodes: \"%.*s\" is there twice",
                                       SLICE_PRINT(element));
        }
        count++;
    }
    *ret_count = count;
    return ERROR_NONE;
}

static bool node_is_local(const struct bootstrap_address *node)
{
    struct address address;
    return address_resolve(node->host, node->port, &address, NULL) == ERROR_NONE &&
           address_is_local(&address);
}

enum error cluster_self_by_address(const struct cluster_settings *cluster, int32_t *ret_self,
                                   struct failure *failure)
{
    int32_t self = -1;
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        if (!node_is_local(&cluster->nodes[i]))
            continue;
        if (self >= 0)
            return failure_because(failure, ERROR_INVALID_CONFIG,
                                   "topicfs.nodes: %s:%u and %s:%u are both this machine: set "
                                   "listeners to the one this node is",
                                   cluster->nodes[self].host, cluster->nodes[self].port,
                                   cluster->nodes[i].host, cluster->nodes[i].port);
        self = (int32_t)i;
    }
    if (self < 0)
        return failure_because(failure, ERROR_INVALID_CONFIG,
                               "topicfs.nodes: none of them is an address of this machine: set "
                               "listeners to an address the other nodes reach");
    *ret_self = self;
    return ERROR_NONE;
}

static bool node_is_listener(const struct bootstrap_address *node, const struct endpoint *listener,
                             bool by_name)
{
    if (node->port != listener->port)
        return false;
    return by_name ? strcmp(node->host, listener->host) == 0 : node_is_local(node);
}

static int32_t self_search(const struct cluster_settings *cluster, const struct endpoint *listeners,
                           uint32_t listener_count, bool by_name)
{
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        for (uint32_t j = 0; j < listener_count; j++) {
            if (node_is_listener(&cluster->nodes[i], &listeners[j], by_name))
                return (int32_t)i;
        }
    }
    return -1;
}

int32_t cluster_self_by_port(const struct cluster_settings *cluster,
                             const struct endpoint *listeners, uint32_t listener_count)
{
    int32_t self = self_search(cluster, listeners, listener_count, true);
    return self >= 0 ? self : self_search(cluster, listeners, listener_count, false);
}

static int32_t wanted_node_id(const struct config_set *config)
{
    enum config_source source;
    (void)config_node_value(config, "node.id", &source);
    if (source == CONFIG_SOURCE_DEFAULT)
        (void)config_node_value(config, "broker.id", &source);
    return source == CONFIG_SOURCE_DEFAULT ? -1 : (int32_t)config_node_number(config, "node.id");
}

enum error cluster_settings_load(const struct config_set *config,
                                 struct cluster_settings *ret_cluster, struct failure *failure)
{
    struct cluster_settings cluster = {.self = -1, .wanted_node_id = wanted_node_id(config)};
    const char *token = config_node_value(config, "topicfs.token.file", NULL);
    cluster.nodes = memory_allocate_array(FOUNDING_MEMBERS_MAX, sizeof *cluster.nodes);
    if (token != NULL)
        cluster.token_file = memory_copy_text(token, strlen(token));
    enum error error = ERROR_NONE;
    if (cluster.nodes == NULL || (token != NULL && cluster.token_file == NULL))
        error = failure_at(failure, ERROR_OUT_OF_MEMORY, "read topicfs.nodes");
    if (error == ERROR_NONE)
        error = cluster_nodes_parse(config_node_value(config, "topicfs.nodes", NULL), cluster.nodes,
                                    &cluster.node_count, failure);
    if (error == ERROR_NONE && cluster.node_count > 0 && token == NULL)
        error = failure_because(failure, ERROR_INVALID_CONFIG,
                                "topicfs.nodes needs topicfs.token.file: a file with the secret "
                                "that all nodes of the cluster share");
    if (error != ERROR_NONE) {
        cluster_settings_done(&cluster);
        return error;
    }
    *ret_cluster = cluster;
    return ERROR_NONE;
}

void cluster_settings_done(struct cluster_settings *cluster)
{
    memory_free(cluster->nodes);
    memory_free(cluster->token_file);
    *cluster = (struct cluster_settings){.self = -1, .wanted_node_id = -1};
}
