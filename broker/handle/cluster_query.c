/* SPDX-License-Identifier: Apache-2.0 */
/* ClusterQuery: what a node knows of its cluster, asked by those that look for one
 * (replication.md 3). Before there is a catalog to ask the daemon answers. */
#include "handle/handlers.h"
#include "handle/membership.h"
#include "wire/api_cluster_query.h"

struct told_members {
    struct request *request;
    struct cluster_query_response *response;
    bool refused;
};

static void tell_member(void *context, const struct catalog_node *node)
{
    struct told_members *members = context;
    struct cluster_query_response *response = members->response;
    struct cluster_query_response_member *told = &response->members[response->members_count++];
    cluster_query_response_member_init(told);
    told->node_id = node->id;
    told->host = arena_copy(&members->request->arena, slice_of(node->host));
    told->port = node->port;
    told->node_uuid = node->directory_id;
    members->refused = members->refused || told->host.data == NULL;
}

/* From the catalog alone. */
static enum error query_catalog(struct request *request, struct cluster_query_response *response)
{
    const struct broker *broker = request->broker;
    const struct catalog_node *self = catalog_node_find(broker->catalog, broker->node_id);
    struct told_members members = {.request = request, .response = response};
    response->members = arena_allocate_array(&request->arena, catalog_node_count(broker->catalog),
                                             sizeof *response->members);
    if (response->members == NULL)
        return ERROR_OUT_OF_MEMORY;
    catalog_node_each(broker->catalog, tell_member, &members);
    response->cluster_id = catalog_cluster_id(broker->catalog);
    response->formed = !uuid_is_zero(&response->cluster_id);
    response->node_id = broker->node_id;
    if (self != NULL)
        response->node_uuid = self->directory_id;
    response->leader_id = broker_controller_id(broker);
    return members.refused ? ERROR_OUT_OF_MEMORY : ERROR_NONE;
}

void handle_cluster_query(struct request *request)
{
    struct formation *formation = request->broker->formation;
    struct cluster_query_response *response = request_response(request);
    enum error error = ERROR_OUT_OF_MEMORY;
    if (response != NULL && formation != NULL)
        error = formation->ops->query(formation, &request->arena, request->requester.peer_node_id,
                                      request->body, response);
    else if (response != NULL)
        error = query_catalog(request, response);
    if (error == ERROR_OUT_OF_MEMORY) {
        request_fail(request);
        return;
    }
    response->error_code = error_to_kafka(error);
    request_complete(request);
}
