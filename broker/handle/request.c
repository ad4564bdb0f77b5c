/* SPDX-License-Identifier: Apache-2.0 */
/* The table that says which handler answers which API. */
#include "handle/request.h"

#include "base/assertion.h"
#include "handle/handlers.h"
#include "wire/api_cluster_query.h"
#include "wire/api_node_heartbeat.h"
#include "wire/api_node_join.h"
#include "wire/api_propose.h"
#include "wire/api_replica_fetch.h"
#include "wire/api_text_read.h"
#include "wire/api_text_stat.h"

/* Who may ask. */
enum audience {
    FOR_CLIENTS, /* Everybody; advertised. Of the others a client learns nothing. */
    FOR_ANYBODY, /* The handshake. */
    FOR_GUESTS,  /* Whoever proved the cluster's token. */
    FOR_NODES    /* Members of the cluster. */
};

struct handler_row {
    enum api_key key;
    void (*start)(struct request *request);
    enum audience audience;
    size_t error_code_at; /* In the response, of rows for guests and nodes. */
};

/* An API of Kafka's is advertised exactly when it has a row. A row for guests or nodes reads
 *     {API_PROPOSE, handle_propose, FOR_NODES, offsetof(struct propose_response, error_code)}, */
static const struct handler_row rows[] = {
    {API_PRODUCE, handle_produce, FOR_CLIENTS, 0},
    {API_FETCH, handle_fetch, FOR_CLIENTS, 0},
    {API_LIST_OFFSETS, handle_list_offsets, FOR_CLIENTS, 0},
    {API_METADATA, handle_metadata, FOR_CLIENTS, 0},
    {API_API_VERSIONS, handle_api_versions, FOR_CLIENTS, 0},
    {API_OFFSET_FOR_LEADER_EPOCH, handle_offset_for_leader_epoch, FOR_CLIENTS, 0},
    {API_FIND_COORDINATOR, handle_find_coordinator, FOR_CLIENTS, 0},
    {API_JOIN_GROUP, handle_join_group, FOR_CLIENTS, 0},
    {API_SYNC_GROUP, handle_sync_group, FOR_CLIENTS, 0},
    {API_HEARTBEAT, handle_heartbeat, FOR_CLIENTS, 0},
    {API_LEAVE_GROUP, handle_leave_group, FOR_CLIENTS, 0},
    {API_OFFSET_COMMIT, handle_offset_commit, FOR_CLIENTS, 0},
    {API_OFFSET_FETCH, handle_offset_fetch, FOR_CLIENTS, 0},
    {API_OFFSET_DELETE, handle_offset_delete, FOR_CLIENTS, 0},
    {API_DESCRIBE_GROUPS, handle_describe_groups, FOR_CLIENTS, 0},
    {API_LIST_GROUPS, handle_list_groups, FOR_CLIENTS, 0},
    {API_DELETE_GROUPS, handle_delete_groups, FOR_CLIENTS, 0},
    {API_CREATE_TOPICS, handle_create_topics, FOR_CLIENTS, 0},
    {API_DELETE_TOPICS, handle_delete_topics, FOR_CLIENTS, 0},
    {API_CREATE_PARTITIONS, handle_create_partitions, FOR_CLIENTS, 0},
    {API_DELETE_RECORDS, handle_delete_records, FOR_CLIENTS, 0},
    {API_DESCRIBE_CONFIGS, handle_describe_configs, FOR_CLIENTS, 0},
    {API_ALTER_CONFIGS, handle_alter_configs, FOR_CLIENTS, 0},
    {API_INCREMENTAL_ALTER_CONFIGS, handle_incremental_alter_configs, FOR_CLIENTS, 0},
    {API_DESCRIBE_CLUSTER, handle_describe_cluster, FOR_CLIENTS, 0},
    {API_DESCRIBE_TOPIC_PARTITIONS, handle_describe_topic_partitions, FOR_CLIENTS, 0},
    {API_DESCRIBE_LOG_DIRS, handle_describe_log_dirs, FOR_CLIENTS, 0},
    {API_DESCRIBE_PRODUCERS, handle_describe_producers, FOR_CLIENTS, 0},
    {API_LIST_CONFIG_RESOURCES, handle_list_config_resources, FOR_CLIENTS, 0},
    {API_ELECT_LEADERS, handle_elect_leaders, FOR_CLIENTS, 0},
    {API_ALTER_PARTITION_REASSIGNMENTS, handle_alter_partition_reassignments, FOR_CLIENTS, 0},
    {API_LIST_PARTITION_REASSIGNMENTS, handle_list_partition_reassignments, FOR_CLIENTS, 0},
    {API_LIST_TRANSACTIONS, handle_list_transactions, FOR_CLIENTS, 0},
    {API_UNREGISTER_BROKER, handle_unregister_broker, FOR_CLIENTS, 0},
    {API_UPDATE_FEATURES, handle_update_features, FOR_CLIENTS, 0},
    {API_DESCRIBE_QUORUM, handle_describe_quorum, FOR_CLIENTS, 0},
    {API_INIT_PRODUCER_ID, handle_init_producer_id, FOR_CLIENTS, 0},
    {API_PEER_HELLO, handle_peer_hello, FOR_ANYBODY, 0},
    {API_PEER_PROOF, handle_peer_proof, FOR_ANYBODY, 0},
    {API_PROPOSE, handle_propose, FOR_NODES, offsetof(struct propose_response, error_code)},
    {API_NODE_HEARTBEAT, handle_node_heartbeat, FOR_NODES,
     offsetof(struct node_heartbeat_response, error_code)},
    {API_CLUSTER_QUERY, handle_cluster_query, FOR_GUESTS,
     offsetof(struct cluster_query_response, error_code)},
    {API_NODE_JOIN, handle_node_join, FOR_GUESTS, offsetof(struct node_join_response, error_code)},
    {API_REPLICA_FETCH, handle_replica_fetch, FOR_NODES,
     offsetof(struct replica_fetch_response, error_code)},
    {API_TEXT_READ, handle_text_read, FOR_NODES, offsetof(struct text_read_response, error_code)},
    {API_TEXT_STAT, handle_text_stat, FOR_NODES, offsetof(struct text_stat_response, error_code)},
};

static const struct handler_row *row_find(int16_t api_key)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if ((int16_t)rows[i].key == api_key)
            return &rows[i];
    }
    return NULL;
}

static bool row_admits(const struct handler_row *row, int32_t peer_node_id)
{
    switch (row->audience) {
    case FOR_GUESTS:
        return peer_node_id != PEER_CLIENT;
    case FOR_NODES:
        return peer_node_id >= 0;
    case FOR_CLIENTS:
    case FOR_ANYBODY:
        break;
    }
    return true;
}

bool handle_supports(int16_t api_key)
{
    return row_find(api_key) != NULL;
}

void handle_each_supported(void (*each)(void *context, const struct api *api), void *context)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].audience == FOR_CLIENTS)
            each(context, api_find((int16_t)rows[i].key));
    }
}

bool handle_admit(struct request *request)
{
    return request->api->key == API_PRODUCE && produce_admit(request);
}

void handle_prepare(struct request *request, struct codec_context *context)
{
    if (request->api->key == API_PRODUCE)
        produce_prepare(request, context);
}

void handle_start(struct request *request)
{
    const struct handler_row *row = row_find((int16_t)request->api->key);
    ASSERT(row != NULL);
    ASSERT(!request->completed);
    if (!row_admits(row, request->requester.peer_node_id))
        request_refuse_stranger(request, row->error_code_at);
    else
        row->start(request);
}
