/* SPDX-License-Identifier: Apache-2.0 */
/* How a node of a simulated cluster gets into it, and finds the others: the real bootstrap, over
 * the simulated network; what the daemon's node_cluster.c does with sockets. */
#include "sim/cluster.h"

#include "base/assertion.h"

#include <stdio.h>
#include <string.h>

static struct executor *executor_of(struct cluster_node *node)
{
    return simulated_executor_seam(node->events);
}

/* ---- addresses ---- */

int32_t cluster_slot_at(const struct cluster *cluster, const char *host)
{
    unsigned slot;
    if (sscanf(host, "node%u", &slot) != 1 || slot >= cluster->node_count)
        return -1;
    return (int32_t)slot;
}

static struct bootstrap_address address_of(uint32_t slot)
{
    struct bootstrap_address address = {.port = CLUSTER_PORT};
    (void)snprintf(address.host, sizeof address.host, "node%u", slot);
    return address;
}

int32_t cluster_slot_of_id(const struct cluster_node *node, int32_t node_id)
{
    const struct catalog_node *known = catalog_node_find(node->catalog, node_id);
    if (known != NULL)
        return cluster_slot_at(node->cluster, known->host);
    const struct founding_member *member = founding_member_find(&node->founding, node_id);
    return member == NULL ? -1 : cluster_slot_at(node->cluster, member->host);
}

/* ---- what others are told ---- */

struct member_fill {
    struct arena *arena;
    struct cluster_query_response *response;
};

static void member_add(void *context, const struct catalog_node *node)
{
    struct member_fill *fill = context;
    struct cluster_query_response *response = fill->response;
    struct cluster_query_response_member *member = &response->members[response->members_count++];
    cluster_query_response_member_init(member);
    member->node_id = node->id;
    member->host = arena_copy(fill->arena, slice_of(node->host));
    member->port = node->port;
    member->node_uuid = node->directory_id;
    ASSERT(member->host.data != NULL);
}

/* A founder that was not registered yet finds itself among the founders; others are told of the
 * registered nodes. */
static enum error query_answered(struct formation *formation, struct arena *arena,
                                 int32_t peer_node_id, const struct cluster_query_request *request,
                                 struct cluster_query_response *ret_response)
{
    (void)peer_node_id;
    struct cluster_node *node = container_of(formation, struct cluster_node, formation);
    enum error error = bootstrap_answer(&node->founding, node->list_hash, arena, ret_response);
    if (error != ERROR_NONE || !node->founding.agreed)
        return error;
    ret_response->leader_id = quorum_leader_id(&node->quorum.quorum);
    uint32_t count = catalog_node_count(node->catalog);
    if (count == 0 || (node->founding.founder &&
                       founding_member_of(&node->founding, &request->node_uuid) != NULL))
        return ERROR_NONE;
    struct member_fill fill = {.arena = arena, .response = ret_response};
    ret_response->members = arena_allocate_array(arena, count, sizeof *ret_response->members);
    ASSERT(ret_response->members != NULL);
    ret_response->members_count = 0;
    catalog_node_each(node->catalog, member_add, &fill);
    return ERROR_NONE;
}

/* ---- finding ---- */

static enum error founding_take(struct cluster_node *node)
{
    struct storage *storage = simulated_storage_seam(node->disk);
    struct failure failure = {0};
    enum error error = founding_load(storage, &node->founding, &failure);
    if (error != ERROR_NOT_FOUND)
        return error;
    node->founding = (struct founding){.node_id = -1, .node_uuid = uuid_random(executor_of(node))};
    return founding_store(storage, &node->founding);
}

static enum error agreed(struct cluster_node *node)
{
    ASSERT(node->founding.node_id >= 0 && node->founding.node_id < CLUSTER_NODE_IDS);
    node->cluster->slots[node->founding.node_id] = (int32_t)node->number;
    return cluster_node_agreed(node);
}

static void bootstrap_done(void *context, enum error error, const struct failure *failure)
{
    struct cluster_node *node = context;
    bootstrap_stop(node->bootstrap);
    node->bootstrap = NULL;
    if (error == ERROR_NONE) {
        cluster_say(node->cluster, "slot %u is node %d%s", node->number, node->founding.node_id,
                    node->founding.founder ? ", a founder" : "");
        error = agreed(node);
    } else {
        cluster_say(node->cluster, "slot %u: %s", node->number, failure->where);
    }
    if (error != ERROR_NONE)
        cluster_node_failed(node, error, "find the cluster");
}

static void bootstrap_waits(void *context, const char *text)
{
    struct cluster_node *node = context;
    cluster_say(node->cluster, "slot %u waits for %s", node->number, text);
}

enum error cluster_node_find(struct cluster_node *node)
{
    static const struct formation_ops ops = {query_answered};
    struct bootstrap_address addresses[CLUSTER_FOUNDERS];
    uint32_t count = node->cluster->founder_count;
    for (uint32_t i = 0; i < count; i++)
        addresses[i] = address_of(i);
    node->formation.ops = &ops;
    node->list_hash = bootstrap_list_hash(addresses, count);
    enum error error = founding_take(node);
    if (error != ERROR_NONE)
        return error;
    if (node->founding.agreed)
        return agreed(node);
    struct bootstrap_options options = {
        .executor = executor_of(node),
        .storage = simulated_storage_seam(node->disk),
        .caller = &node->caller.base,
        .addresses = addresses,
        .address_count = count,
        .self = node->number < count ? (int32_t)node->number : -1,
        .wanted_node_id = -1,
        .advertised = address_of(node->number),
        .waiting = bootstrap_waits,
        .done = bootstrap_done,
        .context = node,
    };
    error = bootstrap_new(&options, &node->founding, &node->bootstrap);
    if (error == ERROR_NONE)
        bootstrap_start(node->bootstrap);
    return error;
}
