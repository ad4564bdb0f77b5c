/* SPDX-License-Identifier: Apache-2.0 */
/* NodeJoin: a node that has the cluster's token wants to be taken in. Asked of a node that is not
 * the controller, the answer names the controller and where every node listens. */
#include "handle/handlers.h"
#include "handle/membership.h"
#include "wire/api_node_join.h"

struct node_join {
    struct request *request;
    struct membership_join join;
};

struct told_members {
    struct request *request;
    struct node_join_response *response;
    bool refused;
};

static void tell_member(void *context, const struct catalog_node *node)
{
    struct told_members *members = context;
    struct node_join_response *response = members->response;
    struct node_join_response_member *told = &response->members[response->members_count++];
    node_join_response_member_init(told);
    told->node_id = node->id;
    told->host = arena_copy(&members->request->arena, slice_of(node->host));
    told->port = node->port;
    members->refused = members->refused || told->host.data == NULL;
}

static bool tell_members(struct request *request, struct node_join_response *response)
{
    const struct catalog *catalog = request->broker->catalog;
    struct told_members members = {.request = request, .response = response};
    response->members = arena_allocate_array(&request->arena, catalog_node_count(catalog),
                                             sizeof *response->members);
    if (response->members == NULL)
        return false;
    catalog_node_each(catalog, tell_member, &members);
    return !members.refused;
}

static void join_answer(struct request *request, enum error error, const char *reason,
                        int32_t node_id)
{
    struct membership *membership = request->broker->membership;
    struct node_join_response *response = request_response(request);
    if (response == NULL || !tell_members(request, response)) {
        request_fail(request);
        return;
    }
    response->error_code = error_to_kafka(error);
    response->error_message = SLICE_NULL;
    if (error != ERROR_NONE)
        response->error_message =
            arena_copy(&request->arena, slice_of(reason[0] != '\0' ? reason : error_text(error)));
    response->node_id = node_id;
    response->cluster_id = catalog_cluster_id(request->broker->catalog);
    response->leader_id = membership != NULL ? membership->ops->leader_id(membership) : -1;
    request_complete(request);
}

static void join_done(struct membership_join *join)
{
    struct node_join *node_join = container_of(join, struct node_join, join);
    join_answer(node_join->request, join->error, join->reason, join->node_id);
}

/* Everything a registration keeps has a bound; what does not fit is not cut. */
static const char *take_request(const struct node_join_request *body, struct membership_join *join)
{
    struct slice rack = slice_is_null(body->rack) ? SLICE_EMPTY : body->rack;
    if (uuid_is_zero(&body->node_uuid))
        return "the node has no uuid";
    if (body->wanted_node_id < -1)
        return "the wanted node id is negative";
    if (body->host.size == 0 || body->host.size >= sizeof join->host)
        return "the host name is empty or too long";
    if (body->port < 1 || body->port > UINT16_MAX)
        return "not a port";
    if (rack.size >= sizeof join->rack)
        return "the rack's name is too long";
    if (memchr(body->host.data, '\0', body->host.size) != NULL ||
        (rack.size > 0 && memchr(rack.data, '\0', rack.size) != NULL))
        return "a name holds a NUL";
    join->node_uuid = body->node_uuid;
    join->wanted_node_id = body->wanted_node_id;
    join->port = body->port;
    memcpy(join->host, body->host.data, body->host.size);
    if (rack.size > 0)
        memcpy(join->rack, rack.data, rack.size);
    return NULL;
}

void handle_node_join(struct request *request)
{
    const struct node_join_request *body = request->body;
    struct membership *membership = request->broker->membership;
    if (membership == NULL) {
        join_answer(request, ERROR_NOT_CONTROLLER, "this node is not in a cluster", -1);
        return;
    }
    struct node_join *join = arena_allocate(&request->arena, sizeof *join);
    if (join == NULL) {
        request_fail(request);
        return;
    }
    const char *refusal = take_request(body, &join->join);
    if (refusal != NULL) {
        join_answer(request, ERROR_INVALID_REQUEST, refusal, -1);
        return;
    }
    join->request = request;
    join->join.node_id = -1;
    join->join.done = join_done;
    list_init(&join->join.link);
    list_init(&join->join.task.link);
    membership->ops->join(membership, &join->join);
}
