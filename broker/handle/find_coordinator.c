/* SPDX-License-Identifier: Apache-2.0 */
/* FindCoordinator: the leader of the group's partition of __consumer_offsets. */
#include "group/group.h"
#include "handle/handlers.h"
#include "handle/topic_creation.h"
#include "wire/api_find_coordinator.h"

enum { COORDINATOR_OF_GROUP = 0, COORDINATOR_OF_TRANSACTION = 1 };

static const char no_transactions[] = "this node does not coordinate transactions";

static void look_up(struct request *request, int8_t key_type, struct slice key,
                    struct find_coordinator_response_coordinator *answer)
{
    struct broker *broker = request->broker;
    find_coordinator_response_coordinator_init(answer);
    answer->key = key;
    answer->node_id = -1;
    answer->port = -1;
    answer->host = SLICE_EMPTY;
    if (key_type == COORDINATOR_OF_TRANSACTION) {
        /* The one answer that every client takes as final. */
        answer->error_code = error_to_kafka(ERROR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
        answer->error_message = slice_of(no_transactions);
        return;
    }
    if (key_type != COORDINATOR_OF_GROUP) {
        answer->error_code = error_to_kafka(ERROR_INVALID_REQUEST);
        answer->error_message = slice_of("unknown coordinator type");
        return;
    }
    struct catalog_partition known = {.leader = -1};
    const struct catalog_topic *topic = NULL;
    uint32_t count = offsets_topic_partitions(broker, true);
    if (count > 0)
        topic = catalog_topic_find(broker->catalog, slice_of("__consumer_offsets"));
    if (topic != NULL)
        (void)catalog_partition_find(broker->catalog, topic, group_partition_of(key, count),
                                     &known);
    const struct catalog_node *node =
        known.leader < 0 ? NULL : catalog_node_find(broker->catalog, known.leader);
    if (node == NULL) {
        answer->error_code = error_to_kafka(ERROR_COORDINATOR_NOT_AVAILABLE);
        answer->error_message = slice_of("the offsets topic is being made; try again");
        return;
    }
    bool self = node->id == broker->node_id && request->requester.listener_host != NULL;
    struct slice host =
        arena_copy(&request->arena, slice_of(self ? request->requester.listener_host : node->host));
    if (host.data == NULL) {
        answer->error_code = error_to_kafka(ERROR_COORDINATOR_NOT_AVAILABLE);
        answer->error_message = slice_of(error_text(ERROR_OUT_OF_MEMORY));
        return;
    }
    answer->node_id = node->id;
    answer->host = host;
    answer->port = self ? request->requester.listener_port : node->port;
}

void handle_find_coordinator(struct request *request)
{
    const struct find_coordinator_request *body = request->body;
    struct find_coordinator_response *response = request_response(request);
    bool many = request->version >= 4;
    uint32_t count = many ? body->coordinator_keys_count : 1;
    struct find_coordinator_response_coordinator *answers =
        arena_allocate_array(&request->arena, count, sizeof *answers);
    if (response == NULL || answers == NULL) {
        request_fail(request);
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        look_up(request, body->key_type, many ? body->coordinator_keys[i] : body->key, &answers[i]);
    if (many) {
        response->coordinators = answers;
        response->coordinators_count = count;
    } else {
        response->error_code = answers[0].error_code;
        response->error_message = answers[0].error_message;
        response->node_id = answers[0].node_id;
        response->host = answers[0].host;
        response->port = answers[0].port;
    }
    request_complete(request);
}
