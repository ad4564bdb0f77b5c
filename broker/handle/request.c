/* SPDX-License-Identifier: Apache-2.0 */
/* The table that says which handler answers which API. */
#include "handle/request.h"

#include "base/assertion.h"
#include "handle/handlers.h"

struct handler_row {
    enum api_key key;
    void (*start)(struct request *request);
};

/* An API is advertised exactly when it has a row. */
static const struct handler_row rows[] = {
    {API_PRODUCE, handle_produce},
    {API_FETCH, handle_fetch},
    {API_LIST_OFFSETS, handle_list_offsets},
    {API_METADATA, handle_metadata},
    {API_API_VERSIONS, handle_api_versions},
    {API_OFFSET_FOR_LEADER_EPOCH, handle_offset_for_leader_epoch},
    {API_FIND_COORDINATOR, handle_find_coordinator},
    {API_JOIN_GROUP, handle_join_group},
    {API_SYNC_GROUP, handle_sync_group},
    {API_HEARTBEAT, handle_heartbeat},
    {API_LEAVE_GROUP, handle_leave_group},
    {API_OFFSET_COMMIT, handle_offset_commit},
    {API_OFFSET_FETCH, handle_offset_fetch},
    {API_OFFSET_DELETE, handle_offset_delete},
    {API_DESCRIBE_GROUPS, handle_describe_groups},
    {API_LIST_GROUPS, handle_list_groups},
    {API_DELETE_GROUPS, handle_delete_groups},
    {API_CREATE_TOPICS, handle_create_topics},
    {API_DELETE_TOPICS, handle_delete_topics},
    {API_CREATE_PARTITIONS, handle_create_partitions},
    {API_DELETE_RECORDS, handle_delete_records},
    {API_DESCRIBE_CONFIGS, handle_describe_configs},
    {API_ALTER_CONFIGS, handle_alter_configs},
    {API_INCREMENTAL_ALTER_CONFIGS, handle_incremental_alter_configs},
    {API_DESCRIBE_CLUSTER, handle_describe_cluster},
    {API_DESCRIBE_TOPIC_PARTITIONS, handle_describe_topic_partitions},
    {API_DESCRIBE_LOG_DIRS, handle_describe_log_dirs},
    {API_DESCRIBE_PRODUCERS, handle_describe_producers},
    {API_LIST_CONFIG_RESOURCES, handle_list_config_resources},
    {API_INIT_PRODUCER_ID, handle_init_producer_id},
};

static const struct handler_row *row_find(int16_t api_key)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if ((int16_t)rows[i].key == api_key)
            return &rows[i];
    }
    return NULL;
}

bool handle_supports(int16_t api_key)
{
    return row_find(api_key) != NULL;
}

void handle_each_supported(void (*each)(void *context, const struct api *api), void *context)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        each(context, api_find((int16_t)rows[i].key));
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
    row->start(request);
}
