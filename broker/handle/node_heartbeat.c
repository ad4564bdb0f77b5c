/* SPDX-License-Identifier: Apache-2.0 */
/* NodeHeartbeat: a node is alive. The controller's opinion of it is the answer, and with WantsNodes
 * what the controller has heard of all. */
#include "handle/cluster_view.h"
#include "handle/handlers.h"
#include "handle/membership.h"
#include "wire/api_node_heartbeat.h"

struct told_nodes {
    struct request *request;
    struct node_heartbeat_response *response;
    bool refused;
};

static void tell_node(void *context, const struct catalog_node *node)
{
    struct told_nodes *nodes = context;
    struct cluster_node_report report;
    if (!cluster_view_reported(nodes->request->broker->cluster_view, node->id, &report))
        return;
    struct node_heartbeat_response_node *told =
        &nodes->response->nodes[nodes->response->nodes_count++];
    node_heartbeat_response_node_init(told);
    told->node_id = node->id;
    told->software_version = arena_copy(&nodes->request->arena, slice_of(report.version));
    told->disk_total_bytes = report.disk_total_bytes;
    told->disk_free_bytes = report.disk_free_bytes;
    told->applied_index = report.applied_index;
    told->heard_ms = report.heard_ms;
    nodes->refused = nodes->refused || told->software_version.data == NULL;
}

static bool tell_nodes(struct request *request, struct node_heartbeat_response *response)
{
    const struct catalog *catalog = request->broker->catalog;
    struct told_nodes nodes = {.request = request, .response = response};
    response->nodes =
        arena_allocate_array(&request->arena, catalog_node_count(catalog), sizeof *response->nodes);
    if (response->nodes == NULL)
        return false;
    catalog_node_each(catalog, tell_node, &nodes);
    return !nodes.refused;
}

void handle_node_heartbeat(struct request *request)
{
    const struct node_heartbeat_request *body = request->body;
    const struct broker *broker = request->broker;
    struct membership *membership = broker->membership;
    struct node_heartbeat_response *response = request_response(request);
    if (response == NULL) {
        request_fail(request);
        return;
    }
    response->nodes = NULL;
    struct membership_answer answer = {.error = ERROR_NOT_CONTROLLER,
                                       .fenced = true,
                                       .term = -1,
                                       .clock_ms = -1,
                                       .proved_ms_ago = -1};
    if (body->node_id != request->requester.peer_node_id)
        answer.error = ERROR_INVALID_REQUEST; /* In the name of another node. */
    else if (membership != NULL)
        membership->ops->heartbeat(membership, body, &answer);
    response->error_code = error_to_kafka(answer.error);
    response->leader_id = membership != NULL ? membership->ops->leader_id(membership) : -1;
    response->fenced = answer.fenced;
    response->should_shutdown = answer.should_shutdown;
    response->applied_index = catalog_applied_index(broker->catalog);
    response->term = answer.term;
    response->clock_ms = answer.clock_ms;
    response->proved_ms_ago = answer.proved_ms_ago;
    response->wall_clock_ms = executor_wall_clock_ms(broker->executor);
    if (answer.error == ERROR_NONE && body->wants_nodes && broker->cluster_view != NULL &&
        !tell_nodes(request, response)) {
        request_fail(request);
        return;
    }
    request_complete(request);
}
