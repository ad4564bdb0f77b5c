/* SPDX-License-Identifier: Apache-2.0 */
/* DescribeTopicPartitions (KIP-966): topics in name order, a bounded number of partitions a time,
 * and a cursor that says where the next request goes on. Kafka's
 * DescribeTopicPartitionsRequestHandler. */
#include "base/assertion.h"
#include "handle/handlers.h"
#include "wire/api_describe_topic_partitions.h"

#include <stdlib.h>

/* With no authorizer everything is allowed that AclEntry.supportedOperations(TOPIC) names: read 3,
 * write 4, create 5, delete 6, alter 7, describe 8, describe configs 10, alter configs 11. */
enum { TOPIC_OPERATIONS = 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 11 };

struct listing {
    struct request *request;
    struct describe_topic_partitions_response *response;
    uint32_t capacity; /* Of response->topics. */
    uint32_t left;     /* Partitions that may still be listed. */
    bool ended;        /* The cursor is set. */
};

static bool fill_partition(struct request *request, const struct catalog_topic *topic,
                           int32_t index,
                           struct describe_topic_partitions_response_partition *answer)
{
    struct catalog_partition known;
    struct partition_nodes nodes;
    bool found = catalog_partition_find(request->broker->catalog, topic, index, &known);
    ASSERT(found);
    describe_topic_partitions_response_partition_init(answer);
    int32_t *eligible = arena_allocate_array(&request->arena, known.elr_count, sizeof *eligible);
    if (eligible == NULL || !partition_nodes_copy(request, &known, &nodes))
        return false;
    memcpy(eligible, known.elr, known.elr_count * sizeof *eligible);
    answer->error_code = error_to_kafka(known.leader < 0 ? ERROR_LEADER_NOT_AVAILABLE : ERROR_NONE);
    answer->partition_index = index;
    answer->leader_id = known.leader;
    answer->leader_epoch = known.leader_epoch;
    answer->replica_nodes = nodes.replicas;
    answer->replica_nodes_count = known.replica_count;
    answer->isr_nodes = nodes.isr;
    answer->isr_nodes_count = known.isr_count;
    answer->eligible_leader_replicas = eligible;
    answer->eligible_leader_replicas_count = known.elr_count;
    answer->last_known_elr = WIRE_EMPTY;
    answer->offline_replicas = nodes.offline;
    answer->offline_replicas_count = nodes.offline_count;
    return true;
}

static bool set_cursor(struct listing *listing, struct slice topic, int32_t index)
{
    struct describe_topic_partitions_response_cursor *cursor =
        arena_allocate(&listing->request->arena, sizeof *cursor);
    if (cursor == NULL)
        return false;
    cursor->topic_name = topic;
    cursor->partition_index = index;
    listing->response->next_cursor = cursor;
    listing->ended = true;
    return true;
}

static struct describe_topic_partitions_response_topic *add_topic(struct listing *listing)
{
    ASSERT(listing->response->topics_count < listing->capacity);
    struct describe_topic_partitions_response_topic *answer =
        &listing->response->topics[listing->response->topics_count++];
    describe_topic_partitions_response_topic_init(answer);
    answer->partitions = WIRE_EMPTY;
    return answer;
}

/* One topic from partition `first` on; false without memory. */
static bool list_topic(struct listing *listing, const struct catalog_topic *topic, uint32_t first)
{
    struct arena *arena = &listing->request->arena;
    struct slice name = arena_copy(arena, slice_of(topic->name));
    if (name.data == NULL)
        return false;
    uint32_t count = first < topic->partition_count ? topic->partition_count - first : 0;
    if (listing->left == 0)
        return set_cursor(listing, name, (int32_t)first);
    uint32_t listed = count < listing->left ? count : listing->left;
    struct describe_topic_partitions_response_topic *answer = add_topic(listing);
    answer->name = name;
    answer->topic_id = topic->id;
    answer->is_internal = topic->internal;
    answer->topic_authorized_operations = TOPIC_OPERATIONS;
    answer->partitions = arena_allocate_array(arena, listed, sizeof *answer->partitions);
    if (answer->partitions == NULL)
        return false;
    answer->partitions_count = listed;
    for (uint32_t i = 0; i < listed; i++) {
        if (!fill_partition(listing->request, topic, (int32_t)(first + i), &answer->partitions[i]))
            return false;
    }
    listing->left -= listed;
    return listed == count || set_cursor(listing, name, (int32_t)(first + listed));
}

static uint32_t first_partition(const struct describe_topic_partitions_request *body,
                                struct slice name)
{
    if (body->cursor == NULL || !slice_equals(body->cursor->topic_name, name))
        return 0;
    return (uint32_t)body->cursor->partition_index;
}

static bool list_all(struct listing *listing)
{
    const struct describe_topic_partitions_request *body = listing->request->body;
    const struct catalog *catalog = listing->request->broker->catalog;
    const struct catalog_topic *topic = NULL;
    if (body->cursor != NULL)
        topic = catalog_topic_find(catalog, body->cursor->topic_name);
    if (topic == NULL)
        topic = catalog_topic_next(catalog,
                                   body->cursor == NULL ? SLICE_NULL : body->cursor->topic_name);
    for (; topic != NULL && !listing->ended;
         topic = catalog_topic_next(catalog, slice_of(topic->name))) {
        if (!list_topic(listing, topic, first_partition(body, slice_of(topic->name))))
            return false;
    }
    return true;
}

static int compare_names(const void *a, const void *b)
{
    return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

static bool list_asked(struct listing *listing)
{
    const struct describe_topic_partitions_request *body = listing->request->body;
    uint32_t count = body->topics_count;
    struct slice *names = arena_allocate_array(&listing->request->arena, count, sizeof *names);
    if (names == NULL)
        return false;
    for (uint32_t i = 0; i < count; i++)
        names[i] = body->topics[i].name;
    qsort(names, count, sizeof *names, compare_names);
    for (uint32_t i = 0; i < count && !listing->ended; i++) {
        bool again = i > 0 && slice_equals(names[i], names[i - 1]);
        bool before = body->cursor != NULL && slice_compare(names[i], body->cursor->topic_name) < 0;
        if (again || before)
            continue;
        const struct catalog_topic *topic =
            catalog_topic_find(listing->request->broker->catalog, names[i]);
        if (topic != NULL) {
            if (!list_topic(listing, topic, first_partition(body, names[i])))
                return false;
            continue;
        }
        struct describe_topic_partitions_response_topic *answer = add_topic(listing);
        answer->name = names[i];
        answer->error_code = error_to_kafka(
            topic_name_valid(names[i]) ? ERROR_UNKNOWN_TOPIC_OR_PARTITION : ERROR_INVALID_TOPIC);
    }
    return true;
}

/* Kafka: at least one, at most the node's limit. */
static uint32_t partition_limit(const struct request *request)
{
    const struct describe_topic_partitions_request *body = request->body;
    int64_t limit = config_node_number(request->broker->config, "max.request.partition.size.limit");
    if (body->response_partition_limit < limit)
        limit = body->response_partition_limit;
    return limit < 1 ? 1 : (uint32_t)limit;
}

void handle_describe_topic_partitions(struct request *request)
{
    const struct describe_topic_partitions_request *body = request->body;
    struct listing listing = {.request = request, .left = partition_limit(request)};
    listing.response = request_response(request);
    listing.capacity =
        body->topics_count > 0 ? body->topics_count : catalog_topic_count(request->broker->catalog);
    if (body->cursor != NULL && body->cursor->partition_index < 0) {
        request->close_connection = true; /* The answer has no place for an error of its own. */
        request->response = NULL;
        request_complete(request);
        return;
    }
    if (listing.response != NULL)
        listing.response->topics = arena_allocate_array(&request->arena, listing.capacity,
                                                        sizeof *listing.response->topics);
    if (listing.response == NULL || listing.response->topics == NULL ||
        !(body->topics_count > 0 ? list_asked(&listing) : list_all(&listing))) {
        request_fail(request);
        return;
    }
    request_complete(request);
}
