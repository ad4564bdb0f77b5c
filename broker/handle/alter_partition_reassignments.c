/* SPDX-License-Identifier: Apache-2.0 */
/* AlterPartitionReassignments (KIP-455): each partition is proposed on its own, and the answer
 * waits for all of them. Kafka's ReplicationControlManager.alterPartitionReassignments. */
#include "handle/handlers.h"
#include "handle/proposal.h"
#include "handle/reassignment.h"
#include "wire/api_alter_partition_reassignments.h"

struct reassign_one {
    struct proposal proposal;
    struct request *request;
    struct alter_partition_reassignments_response_reassignable_partition_response *answer;
};

static void refuse(struct reassign_one *one, enum error error, struct slice reason)
{
    one->answer->error_code = error_to_kafka(error);
    one->answer->error_message = slice_is_null(reason) ? slice_of(error_text(error)) : reason;
}

static void one_done(struct proposal *proposal)
{
    struct reassign_one *one = container_of(proposal, struct reassign_one, proposal);
    enum error error = proposal->outcome.error;
    if (error == ERROR_UNKNOWN_TOPIC_ID) /* Deleted meanwhile; it was asked for by name. */
        error = ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    if (error != ERROR_NONE)
        refuse(one, error, SLICE_NULL);
    request_release(one->request);
}

/* For the reason only: the command is checked again at its log position. */
static enum error
check_target(struct request *request,
             const struct alter_partition_reassignments_request_reassignable_partition *asked,
             const struct catalog_partition *present, struct slice *ret_reason)
{
    const struct alter_partition_reassignments_request *body = request->body;
    struct arena *arena = &request->arena;
    uint32_t count = asked->replicas_count;
    if (count == 0 || count > CATALOG_REPLICAS_MAX) {
        *ret_reason =
            arena_format(arena, "The manual partition assignment includes %u replicas.", count);
        return ERROR_INVALID_REPLICA_ASSIGNMENT;
    }
    for (uint32_t i = 0; i < count; i++) {
        int32_t id = asked->replicas[i];
        if (catalog_node_find(request->broker->catalog, id) == NULL) {
            *ret_reason = arena_format(arena,
                                       "The manual partition assignment includes broker %d, but "
                                       "no such broker is registered.",
                                       id);
            return ERROR_INVALID_REPLICA_ASSIGNMENT;
        }
        for (uint32_t other = 0; other < i; other++) {
            if (asked->replicas[other] != id)
                continue;
            *ret_reason = arena_format(
                arena, "The manual partition assignment includes the broker %d more than once.",
                id);
            return ERROR_INVALID_REPLICA_ASSIGNMENT;
        }
    }
    uint32_t before = reassignment_target_count(present);
    if (request->version >= 1 && !body->allow_replication_factor_change && before != count) {
        *ret_reason =
            arena_format(arena, "The replication factor is changed from %u to %u", before, count);
        return ERROR_INVALID_REPLICATION_FACTOR;
    }
    return ERROR_NONE;
}

static void
reassign_start(struct request *request, const struct catalog_topic *topic,
               const struct alter_partition_reassignments_request_reassignable_partition *asked,
               struct reassign_one *one)
{
    const struct alter_partition_reassignments_request *body = request->body;
    struct catalog_partition present;
    struct slice reason = SLICE_NULL;
    if (topic == NULL || !catalog_partition_find(request->broker->catalog, topic,
                                                 asked->partition_index, &present)) {
        refuse(one, ERROR_UNKNOWN_TOPIC_OR_PARTITION, reason);
        return;
    }
    enum error error =
        asked->replicas == NULL ? ERROR_NONE : check_target(request, asked, &present, &reason);
    if (error != ERROR_NONE) {
        refuse(one, error, reason);
        return;
    }
    struct catalog_assignment target = {.replica_count = 0};
    if (asked->replicas != NULL) {
        target.replica_count = asked->replicas_count;
        memcpy(target.replicas, asked->replicas, asked->replicas_count * sizeof target.replicas[0]);
    }
    struct catalog_command command = {.kind = CATALOG_REASSIGN,
                                      .topic_id = topic->id,
                                      .partition = {.index = asked->partition_index},
                                      .assignments = &target,
                                      .assignment_count = asked->replicas != NULL};
    one->proposal.done = one_done;
    request_hold(request);
    proposal_start(request->broker, &command, body->timeout_ms, &one->proposal);
}

static void
start_topic(struct request *request,
            const struct alter_partition_reassignments_request_reassignable_topic *asked,
            struct alter_partition_reassignments_response_reassignable_topic_response *answer,
            struct reassign_one *each)
{
    const struct catalog_topic *topic = catalog_topic_find(request->broker->catalog, asked->name);
    for (uint32_t i = 0; i < asked->partitions_count; i++) {
        each[i].request = request;
        each[i].answer = &answer->partitions[i];
        alter_partition_reassignments_response_reassignable_partition_response_init(each[i].answer);
        each[i].answer->partition_index = asked->partitions[i].partition_index;
        each[i].answer->error_message = SLICE_NULL;
        reassign_start(request, topic, &asked->partitions[i], &each[i]);
    }
}

/* The whole answer's memory before anything is proposed. */
static struct reassign_one *make_answers(struct request *request)
{
    const struct alter_partition_reassignments_request *body = request->body;
    struct alter_partition_reassignments_response *response = request->response;
    struct arena *arena = &request->arena;
    uint32_t total = 0;
    response->responses =
        arena_allocate_array(arena, body->topics_count, sizeof *response->responses);
    if (response->responses == NULL)
        return NULL;
    response->responses_count = body->topics_count;
    for (uint32_t i = 0; i < body->topics_count; i++) {
        struct alter_partition_reassignments_response_reassignable_topic_response *answer =
            &response->responses[i];
        alter_partition_reassignments_response_reassignable_topic_response_init(answer);
        answer->name = body->topics[i].name;
        answer->partitions_count = body->topics[i].partitions_count;
        answer->partitions =
            arena_allocate_array(arena, answer->partitions_count, sizeof *answer->partitions);
        if (answer->partitions == NULL)
            return NULL;
        total += answer->partitions_count;
    }
    return arena_allocate_array(arena, total, sizeof(struct reassign_one));
}

void handle_alter_partition_reassignments(struct request *request)
{
    const struct alter_partition_reassignments_request *body = request->body;
    struct alter_partition_reassignments_response *response = request_response(request);
    struct reassign_one *each = response == NULL ? NULL : make_answers(request);
    if (each == NULL) {
        request_fail(request);
        return;
    }
    response->allow_replication_factor_change = body->allow_replication_factor_change;
    response->error_message = SLICE_NULL;
    if (body->timeout_ms <= 0) {
        response->error_code = error_to_kafka(ERROR_REQUEST_TIMED_OUT);
        response->error_message = slice_of(error_text(ERROR_REQUEST_TIMED_OUT));
        response->responses_count = 0;
        request_complete(request);
        return;
    }
    request_hold(request);
    for (uint32_t i = 0; i < body->topics_count; i++) {
        start_topic(request, &body->topics[i], &response->responses[i], each);
        each += body->topics[i].partitions_count;
    }
    request_release(request);
}
