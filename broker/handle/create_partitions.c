/* SPDX-License-Identifier: Apache-2.0 */
/* CreatePartitions: more partitions for topics that are there; every topic asked about is in the
 * answer. Kafka's ReplicationControlManager.createPartitions. */
#include "base/assertion.h"
#include "handle/duplicates.h"
#include "handle/handlers.h"
#include "handle/proposal.h"
#include "handle/topic_creation.h"
#include "wire/api_create_partitions.h"

struct grow_one {
    struct proposal proposal;
    struct request *request;
    struct create_partitions_response_create_partitions_topic_result *answer;
    const struct catalog_assignment *assignments;
    uint32_t count; /* Of new partitions. */
    bool duplicate;
};

static void refuse(struct grow_one *one, enum error error, struct slice reason)
{
    one->answer->error_code = error_to_kafka(error);
    one->answer->error_message = slice_is_null(reason) ? slice_of(error_text(error)) : reason;
}

static void one_done(struct proposal *proposal)
{
    struct grow_one *one = container_of(proposal, struct grow_one, proposal);
    struct broker *broker = one->request->broker;
    ASSERT(broker->partitions_pending >= one->count);
    broker->partitions_pending -= one->count;
    if (proposal->outcome.error != ERROR_NONE)
        refuse(one, proposal->outcome.error, SLICE_NULL);
    request_release(one->request);
}

static enum error check_count(struct request *request,
                              const struct create_partitions_request_create_partitions_topic *asked,
                              const struct catalog_topic *topic, struct slice *ret_reason)
{
    struct arena *arena = &request->arena;
    int64_t present = topic->partition_count;
    if (asked->count == present) {
        *ret_reason = arena_format(arena, "Topic already has %d partition(s).", asked->count);
        return ERROR_INVALID_PARTITIONS;
    }
    if (asked->count < present) {
        *ret_reason = arena_format(
            arena, "The topic %.*s currently has %lld partition(s); %d would not be an increase.",
            SLICE_PRINT(asked->name), (long long)present, asked->count);
        return ERROR_INVALID_PARTITIONS;
    }
    if (asked->count > CATALOG_TOPIC_PARTITIONS_MAX ||
        asked->count - present > CATALOG_COMMAND_PARTITIONS_MAX) {
        *ret_reason = arena_format(
            arena, "A topic has at most %d partitions, and at most %d are added at once.",
            CATALOG_TOPIC_PARTITIONS_MAX, CATALOG_COMMAND_PARTITIONS_MAX);
        return ERROR_INVALID_PARTITIONS;
    }
    return ERROR_NONE;
}

static enum error
take_assignments(struct request *request,
                 const struct create_partitions_request_create_partitions_topic *asked,
                 uint32_t factor, struct grow_one *one, struct slice *ret_reason)
{
    struct arena *arena = &request->arena;
    if (asked->assignments_count != one->count) {
        *ret_reason =
            arena_format(arena,
                         "Attempted to add %u additional partition(s), but only %u assignment(s) "
                         "were specified.",
                         one->count, asked->assignments_count);
        return ERROR_INVALID_REPLICA_ASSIGNMENT;
    }
    struct catalog_assignment *assignments =
        arena_allocate_array(arena, one->count, sizeof *assignments);
    if (assignments == NULL)
        return ERROR_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < one->count; i++) {
        if (asked->assignments[i].broker_ids_count != factor) {
            *ret_reason = arena_format(arena,
                                       "The manual partition assignment includes a partition with "
                                       "%u replica(s), but this is not consistent with previous "
                                       "partitions, which have %u replica(s).",
                                       asked->assignments[i].broker_ids_count, factor);
            return ERROR_INVALID_REPLICA_ASSIGNMENT;
        }
        memcpy(assignments[i].replicas, asked->assignments[i].broker_ids,
               factor * sizeof assignments[i].replicas[0]);
        assignments[i].replica_count = factor;
    }
    one->assignments = assignments;
    return ERROR_NONE; /* Unknown and repeated nodes are refused when it is applied. */
}

static enum error plan(struct request *request, uint32_t index, const struct catalog_topic *topic,
                       struct grow_one *one, struct slice *ret_reason)
{
    const struct create_partitions_request *body = request->body;
    const struct create_partitions_request_create_partitions_topic *asked = &body->topics[index];
    if (one->duplicate) {
        *ret_reason = slice_of("Duplicate topic name.");
        return ERROR_INVALID_REQUEST;
    }
    if (body->timeout_ms <= 0)
        return ERROR_REQUEST_TIMED_OUT;
    if (topic == NULL)
        return ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    enum error error = check_count(request, asked, topic, ret_reason);
    if (error != ERROR_NONE)
        return error;
    struct catalog_partition first;
    bool found = catalog_partition_find(request->broker->catalog, topic, 0, &first);
    ASSERT(found);
    one->count = (uint32_t)asked->count - topic->partition_count;
    error = topic_quota_check(request->broker, &request->arena, one->count, ret_reason);
    if (error != ERROR_NONE)
        return error;
    uint32_t factor = first.replica_count - first.removing_count;
    if (asked->assignments != NULL)
        return take_assignments(request, asked, factor, one, ret_reason);
    return topic_place_partitions(request->broker, &request->arena, one->count, factor,
                                  &one->assignments, ret_reason);
}

static void grow_start(struct request *request, uint32_t index, struct grow_one *one)
{
    const struct create_partitions_request *body = request->body;
    struct slice name = body->topics[index].name;
    const struct catalog_topic *topic = catalog_topic_find(request->broker->catalog, name);
    struct slice reason = SLICE_NULL;
    create_partitions_response_create_partitions_topic_result_init(one->answer);
    one->answer->name = name;
    enum error error = plan(request, index, topic, one, &reason);
    if (error != ERROR_NONE) {
        refuse(one, error, reason);
        return;
    }
    if (body->validate_only)
        return;
    struct catalog_command command = {.kind = CATALOG_PARTITIONS_ADD,
                                      .topic_id = topic->id,
                                      .expected_count = topic->partition_count,
                                      .assignments = one->assignments,
                                      .assignment_count = one->count};
    one->proposal.done = one_done;
    request_hold(request);
    request->broker->partitions_pending += one->count;
    proposal_start(request->broker, &command, body->timeout_ms, &one->proposal);
}

void handle_create_partitions(struct request *request)
{
    const struct create_partitions_request *body = request->body;
    struct arena *arena = &request->arena;
    struct create_partitions_response *response = request_response(request);
    struct grow_one *each = arena_allocate_array(arena, body->topics_count, sizeof *each);
    const bool *duplicates =
        duplicates_mark(arena, body->topics, body->topics_count, sizeof *body->topics,
                        offsetof(struct create_partitions_request_create_partitions_topic, name));
    if (response != NULL)
        response->results =
            arena_allocate_array(arena, body->topics_count, sizeof *response->results);
    if (response == NULL || response->results == NULL || each == NULL || duplicates == NULL) {
        request_fail(request);
        return;
    }
    request_hold(request);
    response->results_count = body->topics_count;
    for (uint32_t i = 0; i < body->topics_count; i++) {
        each[i].request = request;
        each[i].duplicate = duplicates[i];
        each[i].answer = &response->results[i];
        grow_start(request, i, &each[i]);
    }
    request_release(request);
}
