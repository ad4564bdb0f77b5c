/* SPDX-License-Identifier: Apache-2.0 */
/* Where else to go, for a client that asked the wrong node (KIP-951). Inside the monitor. */
#ifndef BROKER_HANDLE_LEADER_HINT_H
#define BROKER_HANDLE_LEADER_HINT_H

#include "handle/request.h"

/* Why this node has no such partition: NOT_LEADER_OR_FOLLOWER when other nodes have it, so that the
 * client asks for metadata; else UNKNOWN_TOPIC_OR_PARTITION (Kafka:
 * ReplicaManager.getPartitionOrError). `topic` may be NULL. */
enum error leader_hint_absent(const struct broker *broker, const struct catalog_topic *topic,
                              int32_t index);

/* Leader and epoch as the catalog knows them; false when it does not know the partition. */
bool leader_hint(const struct broker *broker, const struct catalog_topic *topic, int32_t index,
                 int32_t *ret_leader, int32_t *ret_leader_epoch);

/* Where clients reach a node; false when it is unknown, or out of memory. Slices are in the
 * request's arena; *ret_rack may be null. */
bool leader_hint_endpoint(struct request *request, int32_t node_id, struct slice *ret_host,
                          int32_t *ret_port, struct slice *ret_rack);

#endif
