/* SPDX-License-Identifier: Apache-2.0 */
/* The handlers, one a request kind, and what they share. Each fills request->response and calls
 * request_complete (or, out of memory, request_fail) exactly once, at once or later. Inside the
 * monitor. */
#ifndef BROKER_HANDLE_HANDLERS_H
#define BROKER_HANDLE_HANDLERS_H

#include "handle/request.h"

void handle_produce(struct request *request);
void handle_fetch(struct request *request);
void handle_list_offsets(struct request *request);
void handle_metadata(struct request *request);
void handle_api_versions(struct request *request);
void handle_offset_for_leader_epoch(struct request *request);
void handle_find_coordinator(struct request *request);
void handle_join_group(struct request *request);
void handle_sync_group(struct request *request);
void handle_heartbeat(struct request *request);
void handle_leave_group(struct request *request);
void handle_offset_commit(struct request *request);
void handle_offset_fetch(struct request *request);
void handle_offset_delete(struct request *request);
void handle_describe_groups(struct request *request);
void handle_list_groups(struct request *request);
void handle_delete_groups(struct request *request);
void handle_create_topics(struct request *request);
void handle_delete_topics(struct request *request);
void handle_create_partitions(struct request *request);
void handle_delete_records(struct request *request);
void handle_describe_configs(struct request *request);
void handle_alter_configs(struct request *request);
void handle_incremental_alter_configs(struct request *request);
void handle_describe_cluster(struct request *request);
void handle_describe_topic_partitions(struct request *request);
void handle_describe_log_dirs(struct request *request);
void handle_describe_producers(struct request *request);
void handle_list_config_resources(struct request *request);
void handle_elect_leaders(struct request *request);
void handle_alter_partition_reassignments(struct request *request);
void handle_list_partition_reassignments(struct request *request);
void handle_list_transactions(struct request *request);
void handle_unregister_broker(struct request *request);
void handle_update_features(struct request *request);
void handle_describe_quorum(struct request *request);
void handle_init_producer_id(struct request *request);
void handle_propose(struct request *request);
void handle_node_heartbeat(struct request *request);
void handle_node_join(struct request *request);
void handle_cluster_query(struct request *request);
void handle_peer_hello(struct request *request);
void handle_peer_proof(struct request *request);
void handle_replica_fetch(struct request *request);
void handle_text_read(struct request *request);
void handle_text_stat(struct request *request);

/* Produce's two early steps: see handle_admit and handle_prepare. */
bool produce_admit(struct request *request);
void produce_prepare(struct request *request, struct codec_context *context);

/* The node lists of a partition that Metadata and DescribeTopicPartitions give, in the request's
 * arena. */
struct partition_nodes {
    int32_t *replicas;
    int32_t *isr;
    int32_t *offline; /* Replicas on nodes that are fenced, or gone. */
    uint32_t offline_count;
};

/* False without memory. */
bool partition_nodes_copy(struct request *request, const struct catalog_partition *known,
                          struct partition_nodes *ret_nodes);

/* No answer can be made (out of memory): the connection is closed. */
void request_fail(struct request *request);

/* The APIs that clients are told of. */
void handle_each_supported(void (*each)(void *context, const struct api *api), void *context);

/* Topic names a client may not write to or make by itself: Kafka's Topic.isInternal. */
bool topic_is_internal(struct slice name);

#endif
