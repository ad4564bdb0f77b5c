/* SPDX-License-Identifier: Apache-2.0 */
/* ListPartitionReassignments (KIP-455): the moves under way, of the partitions named or of all;
 * what is not there or not moving is left out. */
#include "base/assertion.h"
#include "handle/handlers.h"
#include "wire/api_list_partition_reassignments.h"

struct moves {
    struct request *request;
    struct list_partition_reassignments_response *response; /* NULL: only counted. */
    struct list_partition_reassignments_response_ongoing_partition_reassignment *next;
    uint32_t topics, partitions;
    bool in_topic;
    bool refused;
};

static int32_t *copy_ids(struct moves *moves, const int32_t *ids, uint32_t count)
{
    int32_t *copy = arena_allocate_array(&moves->request->arena, count, sizeof *copy);
    moves->refused = moves->refused || copy == NULL;
    if (copy != NULL)
        memcpy(copy, ids, count * sizeof *copy);
    return copy;
}

static void fill(struct moves *moves, const struct catalog_topic *topic,
                 const struct catalog_partition *partition)
{
    struct list_partition_reassignments_response *response = moves->response;
    struct list_partition_reassignments_response_ongoing_partition_reassignment *answer =
        moves->next++;
    if (!moves->in_topic) {
        struct list_partition_reassignments_response_ongoing_topic_reassignment *made =
            &response->topics[response->topics_count++];
        list_partition_reassignments_response_ongoing_topic_reassignment_init(made);
        made->name = arena_copy(&moves->request->arena, slice_of(topic->name));
        made->partitions = answer;
        moves->refused = moves->refused || made->name.data == NULL;
    }
    response->topics[response->topics_count - 1].partitions_count++;
    list_partition_reassignments_response_ongoing_partition_reassignment_init(answer);
    answer->partition_index = partition->index;
    answer->replicas = copy_ids(moves, partition->replicas, partition->replica_count);
    answer->replicas_count = partition->replica_count;
    answer->adding_replicas = copy_ids(moves, partition->adding, partition->adding_count);
    answer->adding_replicas_count = partition->adding_count;
    answer->removing_replicas = copy_ids(moves, partition->removing, partition->removing_count);
    answer->removing_replicas_count = partition->removing_count;
}

static void add_partition(struct moves *moves, const struct catalog_topic *topic, int32_t index)
{
    struct catalog_partition partition;
    if (!catalog_partition_find(moves->request->broker->catalog, topic, index, &partition) ||
        (partition.adding_count == 0 && partition.removing_count == 0))
        return;
    moves->topics += !moves->in_topic;
    moves->partitions++;
    if (moves->response != NULL)
        fill(moves, topic, &partition);
    moves->in_topic = true;
}

static bool add_topic(void *context, const struct catalog_topic *topic)
{
    struct moves *moves = context;
    moves->in_topic = false;
    for (uint32_t i = 0; i < topic->partition_count; i++)
        add_partition(moves, topic, (int32_t)i);
    return true;
}

static void add_asked(struct moves *moves)
{
    const struct list_partition_reassignments_request *body = moves->request->body;
    const struct catalog *catalog = moves->request->broker->catalog;
    if (body->topics == NULL) {
        catalog_topic_each(catalog, add_topic, moves);
        return;
    }
    for (uint32_t i = 0; i < body->topics_count; i++) {
        const struct catalog_topic *topic = catalog_topic_find(catalog, body->topics[i].name);
        moves->in_topic = false;
        for (uint32_t p = 0; topic != NULL && p < body->topics[i].partition_indexes_count; p++)
            add_partition(moves, topic, body->topics[i].partition_indexes[p]);
    }
}

void handle_list_partition_reassignments(struct request *request)
{
    struct arena *arena = &request->arena;
    struct list_partition_reassignments_response *response = request_response(request);
    struct moves moves = {.request = request};
    add_asked(&moves);
    struct moves filled = {.request = request, .response = response};
    filled.next = arena_allocate_array(arena, moves.partitions, sizeof *filled.next);
    if (response != NULL)
        response->topics = arena_allocate_array(arena, moves.topics, sizeof *response->topics);
    if (response == NULL || response->topics == NULL || filled.next == NULL) {
        request_fail(request);
        return;
    }
    response->error_message = SLICE_NULL;
    add_asked(&filled);
    ASSERT(filled.partitions == moves.partitions);
    if (filled.refused)
        request_fail(request);
    else
        request_complete(request);
}
