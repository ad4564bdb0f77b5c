/* SPDX-License-Identifier: Apache-2.0 */
/* From the catalog to a better address. */
#include "handle/leader_hint.h"

bool leader_hint(const struct broker *broker, const struct catalog_topic *topic, int32_t index,
                 int32_t *ret_leader, int32_t *ret_leader_epoch)
{
    struct catalog_partition known;
    if (topic == NULL || !catalog_partition_find(broker->catalog, topic, index, &known))
        return false;
    *ret_leader = known.leader;
    *ret_leader_epoch = known.leader_epoch;
    return true;
}

enum error leader_hint_absent(const struct broker *broker, const struct catalog_topic *topic,
                              int32_t index)
{
    int32_t leader;
    int32_t epoch;
    return leader_hint(broker, topic, index, &leader, &epoch) ? ERROR_NOT_LEADER_OR_FOLLOWER
                                                              : ERROR_UNKNOWN_TOPIC_OR_PARTITION;
}

bool leader_hint_endpoint(struct request *request, int32_t node_id, struct slice *ret_host,
                          int32_t *ret_port, struct slice *ret_rack)
{
    const struct catalog_node *node = catalog_node_find(request->broker->catalog, node_id);
    if (node == NULL)
        return false;
    bool self = node_id == request->broker->node_id && request->requester.listener_host != NULL;
    struct slice host =
        arena_copy(&request->arena, slice_of(self ? request->requester.listener_host : node->host));
    struct slice rack = SLICE_NULL;
    if (node->rack[0] != '\0')
        rack = arena_copy(&request->arena, slice_of(node->rack));
    if (host.data == NULL || (node->rack[0] != '\0' && rack.data == NULL))
        return false;
    *ret_host = host;
    *ret_port = self ? request->requester.listener_port : node->port;
    *ret_rack = rack;
    return true;
}
