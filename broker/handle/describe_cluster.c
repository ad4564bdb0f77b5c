/* SPDX-License-Identifier: Apache-2.0 */
/* DescribeCluster (KIP-700): the nodes and who leads the metadata quorum. */
#include "handle/handlers.h"
#include "wire/api_describe_cluster.h"

enum {
    ENDPOINT_BROKERS = 1,
    ENDPOINT_CONTROLLERS = 2,
    /* With no authorizer everything is allowed that AclEntry.supportedOperations(CLUSTER) names:
     * create 5, alter 7, describe 8, cluster action 9, describe configs 10, alter configs 11,
     * idempotent write 12. */
    CLUSTER_OPERATIONS = 1 << 5 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12
};

struct nodes {
    struct request *request;
    struct describe_cluster_response_describe_cluster_broker *answers;
    uint32_t count;
    bool refused;
};

/* This node answers with the address of the listener that the request came in on. */
static void fill_node(void *context, const struct catalog_node *node)
{
    struct nodes *nodes = context;
    const struct request *request = nodes->request;
    const struct describe_cluster_request *body = request->body;
    if (node->fenced && !(request->version >= 2 && body->include_fenced_brokers))
        return;
    struct describe_cluster_response_describe_cluster_broker *answer =
        &nodes->answers[nodes->count++];
    bool self = node->id == request->broker->node_id && request->requester.listener_host != NULL;
    answer->broker_id = node->id;
    answer->host = arena_copy(&nodes->request->arena,
                              slice_of(self ? request->requester.listener_host : node->host));
    answer->port = self ? request->requester.listener_port : node->port;
    bool racked = node->rack[0] != '\0';
    answer->rack = racked ? arena_copy(&nodes->request->arena, slice_of(node->rack)) : SLICE_NULL;
    answer->is_fenced = node->fenced;
    nodes->refused =
        nodes->refused || answer->host.data == NULL || (racked && answer->rack.data == NULL);
}

/* Kafka's AuthHelper.computeDescribeClusterResponse, and its words. */
static void refuse(struct request *request, struct describe_cluster_response *response,
                   int8_t endpoint_type)
{
    bool known = endpoint_type == ENDPOINT_CONTROLLERS;
    response->error_code =
        error_to_kafka(known ? ERROR_MISMATCHED_ENDPOINT_TYPE : ERROR_UNSUPPORTED_ENDPOINT_TYPE);
    response->error_message =
        known ? slice_of("The request was sent to an endpoint of type BROKER, but we wanted an "
                         "endpoint of type CONTROLLER")
              : arena_format(&request->arena, "Unsupported endpoint type %d", endpoint_type);
    request_complete(request);
}

void handle_describe_cluster(struct request *request)
{
    const struct describe_cluster_request *body = request->body;
    struct describe_cluster_response *response = request_response(request);
    if (response == NULL) {
        request_fail(request);
        return;
    }
    response->cluster_id = SLICE_EMPTY;
    if (body->endpoint_type != ENDPOINT_BROKERS) {
        refuse(request, response, body->endpoint_type);
        return;
    }
    char cluster_id[UUID_TEXT_BYTES];
    struct uuid id = catalog_cluster_id(request->broker->catalog);
    uuid_to_text(&id, cluster_id);
    struct nodes nodes = {.request = request};
    uint32_t capacity = catalog_node_count(request->broker->catalog);
    nodes.answers = arena_allocate_array(&request->arena, capacity, sizeof *nodes.answers);
    response->cluster_id = arena_copy(&request->arena, slice_of(cluster_id));
    if (nodes.answers == NULL || response->cluster_id.data == NULL) {
        request_fail(request);
        return;
    }
    catalog_node_each(request->broker->catalog, fill_node, &nodes);
    if (nodes.refused) {
        request_fail(request);
        return;
    }
    response->brokers = nodes.answers;
    response->brokers_count = nodes.count;
    response->controller_id = broker_controller_id(request->broker);
    if (body->include_cluster_authorized_operations)
        response->cluster_authorized_operations = CLUSTER_OPERATIONS;
    request_complete(request);
}
