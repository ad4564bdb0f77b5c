/* SPDX-License-Identifier: Apache-2.0 */
/* Metadata: nodes, topics, leaders. Asking for a topic that is not there makes it, when the client
 * and the node allow; the answer waits for that, so that a first produce does not have to ask
 * twice. */
#include "base/assertion.h"
#include "handle/handlers.h"
#include "handle/topic_creation.h"
#include "wire/api_metadata.h"

/* More unknown topics in one request than this are answered as unknown (reliability: no auto-create
 * flood). */
enum {
    METADATA_CREATE_MAX = 100,
    METADATA_CREATE_WAIT_MS = 5000, /* Then it is unknown yet, and the client asks again. */
    METADATA_OPERATIONS_UNKNOWN = INT32_MIN
};

struct metadata_creation {
    struct topic_creation creation;
    struct metadata *metadata;
};

struct metadata {
    struct request *request;
    uint32_t pending;
};

static const struct catalog_topic *find_topic(struct request *request,
                                              const struct metadata_request_topic *asked)
{
    const struct catalog *catalog = request->broker->catalog;
    if (asked->name.data != NULL)
        return catalog_topic_find(catalog, asked->name);
    return catalog_topic_find_id(catalog, &asked->topic_id);
}

bool partition_nodes_copy(struct request *request, const struct catalog_partition *known,
                          struct partition_nodes *ret_nodes)
{
    struct arena *arena = &request->arena;
    uint32_t replicas = known->replica_count;
    struct partition_nodes nodes = {
        .replicas = arena_allocate_array(arena, replicas, sizeof(int32_t)),
        .isr = arena_allocate_array(arena, known->isr_count, sizeof(int32_t)),
        .offline = arena_allocate_array(arena, replicas, sizeof(int32_t)),
    };
    if (nodes.replicas == NULL || nodes.isr == NULL || nodes.offline == NULL)
        return false;
    memcpy(nodes.replicas, known->replicas, replicas * sizeof(int32_t));
    memcpy(nodes.isr, known->isr, known->isr_count * sizeof(int32_t));
    for (uint32_t i = 0; i < replicas; i++) {
        const struct catalog_node *node =
            catalog_node_find(request->broker->catalog, known->replicas[i]);
        if (node == NULL || node->fenced)
            nodes.offline[nodes.offline_count++] = known->replicas[i];
    }
    *ret_nodes = nodes;
    return true;
}

static bool fill_partition(struct request *request, const struct catalog_topic *topic,
                           int32_t index, struct metadata_response_partition *answer)
{
    struct catalog_partition known;
    struct partition_nodes nodes;
    bool found = catalog_partition_find(request->broker->catalog, topic, index, &known);
    ASSERT(found);
    metadata_response_partition_init(answer);
    if (!partition_nodes_copy(request, &known, &nodes))
        return false;
    answer->error_code = error_to_kafka(known.leader < 0 ? ERROR_LEADER_NOT_AVAILABLE : ERROR_NONE);
    answer->partition_index = index;
    answer->leader_id = known.leader;
    answer->leader_epoch = known.leader_epoch;
    answer->replica_nodes = nodes.replicas;
    answer->replica_nodes_count = known.replica_count;
    answer->isr_nodes = nodes.isr;
    answer->isr_nodes_count = known.isr_count;
    answer->offline_replicas = nodes.offline;
    answer->offline_replicas_count = nodes.offline_count;
    return true;
}

static bool fill_topic(struct request *request, const struct catalog_topic *topic,
                       struct metadata_response_topic *answer)
{
    metadata_response_topic_init(answer);
    answer->name = arena_copy(&request->arena, slice_of(topic->name));
    answer->topic_id = topic->id;
    answer->is_internal = topic->internal;
    answer->topic_authorized_operations = METADATA_OPERATIONS_UNKNOWN;
    answer->partitions =
        arena_allocate_array(&request->arena, topic->partition_count, sizeof *answer->partitions);
    if (answer->name.data == NULL || answer->partitions == NULL)
        return false;
    answer->partitions_count = topic->partition_count;
    for (uint32_t i = 0; i < topic->partition_count; i++) {
        if (!fill_partition(request, topic, (int32_t)i, &answer->partitions[i]))
            return false;
    }
    return true;
}

static enum error missing_error(const struct metadata_request_topic *asked)
{
    if (asked->name.data == NULL)
        return ERROR_UNKNOWN_TOPIC_ID;
    return topic_name_valid(asked->name) ? ERROR_UNKNOWN_TOPIC_OR_PARTITION : ERROR_INVALID_TOPIC;
}

static bool fill_asked(struct request *request, struct metadata_response *response)
{
    const struct metadata_request *body = request->body;
    response->topics =
        arena_allocate_array(&request->arena, body->topics_count, sizeof *response->topics);
    if (response->topics == NULL)
        return false;
    response->topics_count = body->topics_count;
    for (uint32_t i = 0; i < body->topics_count; i++) {
        struct metadata_response_topic *answer = &response->topics[i];
        const struct catalog_topic *topic = find_topic(request, &body->topics[i]);
        if (topic != NULL) {
            if (!fill_topic(request, topic, answer))
                return false;
            continue;
        }
        metadata_response_topic_init(answer);
        answer->error_code = error_to_kafka(missing_error(&body->topics[i]));
        answer->name = body->topics[i].name;
        answer->topic_id = body->topics[i].topic_id;
        answer->partitions = WIRE_EMPTY;
    }
    return true;
}

static bool fill_all(struct request *request, struct metadata_response *response)
{
    const struct catalog *catalog = request->broker->catalog;
    response->topics = arena_allocate_array(&request->arena, catalog_topic_count(catalog),
                                            sizeof *response->topics);
    if (response->topics == NULL)
        return false;
    const struct catalog_topic *topic = NULL;
    while ((topic = catalog_topic_next(catalog, topic == NULL ? SLICE_NULL
                                                              : slice_of(topic->name))) != NULL) {
        if (!fill_topic(request, topic, &response->topics[response->topics_count++]))
            return false;
    }
    return true;
}

struct node_fill {
    struct request *request;
    struct metadata_response *response;
    bool failed;
};

/* This node answers with the address of the listener that the request came in on. */
static void fill_node(void *context, const struct catalog_node *node)
{
    struct node_fill *fill = context;
    struct request *request = fill->request;
    if (node->fenced)
        return;
    bool self = node->id == request->broker->node_id && request->requester.listener_host != NULL;
    struct metadata_response_broker *answer =
        &fill->response->brokers[fill->response->brokers_count++];
    metadata_response_broker_init(answer);
    answer->node_id = node->id;
    answer->host =
        arena_copy(&request->arena, slice_of(self ? request->requester.listener_host : node->host));
    answer->port = self ? request->requester.listener_port : node->port;
    bool racked = node->rack[0] != '\0';
    if (racked)
        answer->rack = arena_copy(&request->arena, slice_of(node->rack));
    fill->failed =
        fill->failed || answer->host.data == NULL || (racked && answer->rack.data == NULL);
}

static bool fill_nodes(struct request *request, struct metadata_response *response)
{
    uint32_t count = catalog_node_count(request->broker->catalog);
    response->brokers = arena_allocate_array(&request->arena, count, sizeof *response->brokers);
    if (response->brokers == NULL)
        return false;
    struct node_fill fill = {.request = request, .response = response};
    catalog_node_each(request->broker->catalog, fill_node, &fill);
    return !fill.failed;
}

/* v0 says "all" with an empty list, v1+ with null (MetadataRequest.isAllTopics). */
static bool wants_all(const struct request *request)
{
    const struct metadata_request *body = request->body;
    return request->version == 0 ? body->topics_count == 0 : body->topics == NULL;
}

static void metadata_answer(struct request *request)
{
    struct metadata_response *response = request_response(request);
    struct uuid cluster_id = catalog_cluster_id(request->broker->catalog);
    char cluster_text[UUID_TEXT_BYTES];
    uuid_to_text(&cluster_id, cluster_text);
    if (response != NULL)
        response->cluster_id = arena_copy(&request->arena, slice_of(cluster_text));
    if (response == NULL || response->cluster_id.data == NULL || !fill_nodes(request, response) ||
        !(wants_all(request) ? fill_all(request, response) : fill_asked(request, response))) {
        request_fail(request);
        return;
    }
    response->controller_id = broker_controller_id(request->broker);
    response->cluster_authorized_operations = METADATA_OPERATIONS_UNKNOWN;
    request_complete(request);
}

static void metadata_release(struct metadata *metadata)
{
    ASSERT(metadata->pending > 0);
    if (--metadata->pending == 0)
        metadata_answer(metadata->request);
}

static void creation_done(struct topic_creation *creation)
{
    /* Whatever the outcome: the answer says what is there now. */
    metadata_release(container_of(creation, struct metadata_creation, creation)->metadata);
}

static void create_missing(struct metadata *metadata, struct slice name)
{
    struct request *request = metadata->request;
    struct metadata_creation *creation = arena_allocate(&request->arena, sizeof *creation);
    struct slice reason;
    if (creation == NULL)
        return;
    creation->metadata = metadata;
    creation->creation = (struct topic_creation){.name = name,
                                                 .partition_count = -1,
                                                 .replication_factor = -1,
                                                 .timeout_ms = METADATA_CREATE_WAIT_MS,
                                                 .done = creation_done};
    if (topic_creation_plan(request->broker, &request->arena, &creation->creation, &reason) !=
        ERROR_NONE)
        return;
    metadata->pending++;
    topic_creation_start(request->broker, &creation->creation);
}

static bool may_create(const struct request *request)
{
    const struct metadata_request *body = request->body;
    return (request->version < 4 || body->allow_auto_topic_creation) &&
           config_node_boolean(request->broker->config, "auto.create.topics.enable");
}

void handle_metadata(struct request *request)
{
    const struct metadata_request *body = request->body;
    struct metadata *metadata = arena_allocate(&request->arena, sizeof *metadata);
    if (metadata == NULL) {
        request_fail(request);
        return;
    }
    *metadata = (struct metadata){.request = request, .pending = 1};
    uint32_t missing = 0;
    for (uint32_t i = 0; i < body->topics_count && may_create(request); i++) {
        if (body->topics[i].name.data == NULL || find_topic(request, &body->topics[i]) != NULL)
            continue;
        if (slice_equals_text(body->topics[i].name, "__consumer_offsets"))
            (void)offsets_topic_partitions(request->broker, true);
        else if (topic_name_valid(body->topics[i].name) && ++missing <= METADATA_CREATE_MAX)
            create_missing(metadata, body->topics[i].name);
    }
    metadata_release(metadata);
}
