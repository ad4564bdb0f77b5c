/* SPDX-License-Identifier: Apache-2.0 */
/* ElectLeaders (KIP-460): the preferred or any leader, for the partitions named or for all. What
 * came of it is read from the catalog once the command has been applied. Kafka's
 * ReplicationControlManager.electLeaders. */
#include "base/assertion.h"
#include "handle/handlers.h"
#include "handle/proposal.h"
#include "wire/api_elect_leaders.h"

enum { ELECTION_TYPE_PREFERRED = 0, ELECTION_TYPE_UNCLEAN = 1 };

/* One command; a request for more partitions than one holds makes several. */
struct elect_some {
    struct proposal proposal;
    struct request *request;
    bool unclean;
    struct catalog_partition_name *names;
    struct elect_leaders_response_partition_result **answers;
    uint32_t count;
};

static bool is_unclean(const struct request *request)
{
    const struct elect_leaders_request *body = request->body;
    return request->version >= 1 && body->election_type == ELECTION_TYPE_UNCLEAN;
}

static bool is_needed(const struct catalog_partition *partition, bool unclean)
{
    return unclean ? partition->leader < 0 : partition->leader != partition->replicas[0];
}

static void conclude(struct elect_leaders_response_partition_result *result, enum error error)
{
    result->error_code = error_to_kafka(error);
    result->error_message = error == ERROR_NONE ? SLICE_NULL : slice_of(error_text(error));
}

static enum error result_of(const struct elect_some *some, uint32_t at)
{
    const struct catalog *catalog = some->request->broker->catalog;
    const struct catalog_topic *topic = catalog_topic_find_id(catalog, &some->names[at].topic_id);
    struct catalog_partition partition;
    if (topic == NULL || !catalog_partition_find(catalog, topic, some->names[at].index, &partition))
        return ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    if (!is_needed(&partition, some->unclean))
        return ERROR_NONE;
    return some->unclean ? ERROR_ELIGIBLE_LEADERS_NOT_AVAILABLE
                         : ERROR_PREFERRED_LEADER_NOT_AVAILABLE;
}

static void some_done(struct proposal *proposal)
{
    struct elect_some *some = container_of(proposal, struct elect_some, proposal);
    struct elect_leaders_response *response = some->request->response;
    enum error error = proposal->outcome.error;
    if (error != ERROR_NONE)
        response->error_code = error_to_kafka(error);
    for (uint32_t i = 0; i < some->count; i++)
        conclude(some->answers[i], error == ERROR_NONE ? result_of(some, i) : error);
    request_release(some->request);
}

/* What one request gathers before it proposes. */
struct gathering {
    struct request *request;
    struct catalog_partition_name *names;
    struct elect_leaders_response_partition_result **answers;
    uint32_t count;
    bool unclean;
};

static bool gathering_begin(struct gathering *gathering, uint32_t capacity)
{
    struct arena *arena = &gathering->request->arena;
    gathering->names = arena_allocate_array(arena, capacity, sizeof *gathering->names);
    gathering->answers = arena_allocate_array(
        arena, capacity, sizeof(struct elect_leaders_response_partition_result *));
    return gathering->names != NULL && gathering->answers != NULL;
}

static void gather(struct gathering *gathering, const struct uuid *topic_id,
                   struct elect_leaders_response_partition_result *to)
{
    gathering->names[gathering->count] =
        (struct catalog_partition_name){*topic_id, to->partition_id};
    gathering->answers[gathering->count++] = to;
}

/* Proposes what was gathered, so many partitions at a time. */
static bool propose_gathered(struct gathering *gathering, int32_t timeout_ms)
{
    struct request *request = gathering->request;
    for (uint32_t from = 0; from < gathering->count; from += CATALOG_COMMAND_PARTITIONS_MAX) {
        uint32_t left = gathering->count - from;
        struct elect_some *some = arena_allocate(&request->arena, sizeof *some);
        if (some == NULL)
            return false;
        *some = (struct elect_some){
            .request = request,
            .unclean = gathering->unclean,
            .names = &gathering->names[from],
            .answers = &gathering->answers[from],
            .count = left < CATALOG_COMMAND_PARTITIONS_MAX ? left : CATALOG_COMMAND_PARTITIONS_MAX};
        struct catalog_command command = {.kind = CATALOG_ELECT_LEADERS,
                                          .unclean = some->unclean,
                                          .partitions = some->names,
                                          .partition_count = some->count};
        some->proposal.done = some_done;
        request_hold(request);
        proposal_start(request->broker, &command, timeout_ms, &some->proposal);
    }
    return true;
}

/* ---- the partitions named ---- */

static void fill_named(struct gathering *gathering, struct slice name,
                       struct elect_leaders_response_partition_result *result)
{
    const struct catalog *catalog = gathering->request->broker->catalog;
    const struct catalog_topic *topic = catalog_topic_find(catalog, name);
    struct catalog_partition partition;
    if (topic == NULL || !catalog_partition_find(catalog, topic, result->partition_id, &partition))
        conclude(result, ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    else if (!is_needed(&partition, gathering->unclean))
        conclude(result, ERROR_ELECTION_NOT_NEEDED);
    else
        gather(gathering, &topic->id, result);
}

static bool gather_named(struct gathering *gathering)
{
    struct request *request = gathering->request;
    const struct elect_leaders_request *body = request->body;
    struct elect_leaders_response *response = request->response;
    uint32_t total = 0;
    for (uint32_t i = 0; i < body->topic_partitions_count; i++)
        total += body->topic_partitions[i].partitions_count;
    struct elect_leaders_response_replica_election_result *topics =
        arena_allocate_array(&request->arena, body->topic_partitions_count, sizeof *topics);
    struct elect_leaders_response_partition_result *results =
        arena_allocate_array(&request->arena, total, sizeof *results);
    if (topics == NULL || results == NULL || !gathering_begin(gathering, total))
        return false;
    response->replica_election_results = topics;
    response->replica_election_results_count = body->topic_partitions_count;
    for (uint32_t i = 0; i < body->topic_partitions_count; i++) {
        const struct elect_leaders_request_topic_partitions *asked = &body->topic_partitions[i];
        elect_leaders_response_replica_election_result_init(&topics[i]);
        topics[i].topic = asked->topic;
        topics[i].partition_result = results;
        topics[i].partition_result_count = asked->partitions_count;
        for (uint32_t p = 0; p < asked->partitions_count; p++, results++) {
            elect_leaders_response_partition_result_init(results);
            results->partition_id = asked->partitions[p];
            fill_named(gathering, asked->topic, results);
        }
    }
    return true;
}

/* ---- every partition: only those that need it are in the answer ---- */

struct needs {
    struct gathering *gathering;
    struct elect_leaders_response *response; /* NULL: only counted. */
    struct elect_leaders_response_partition_result *next;
    uint32_t topics, partitions;
    bool refused;
};

static void need_one(struct needs *needs, const struct catalog_topic *topic, int32_t index)
{
    struct elect_leaders_response_replica_election_result *last =
        &needs->response
             ->replica_election_results[needs->response->replica_election_results_count - 1];
    struct elect_leaders_response_partition_result *result = needs->next++;
    elect_leaders_response_partition_result_init(result);
    result->partition_id = index;
    if (last->partition_result_count++ == 0)
        last->partition_result = result;
    gather(needs->gathering, &topic->id, result);
}

static void need_topic(struct needs *needs, const struct catalog_topic *topic)
{
    struct elect_leaders_response *response = needs->response;
    struct elect_leaders_response_replica_election_result *result =
        &response->replica_election_results[response->replica_election_results_count++];
    elect_leaders_response_replica_election_result_init(result);
    result->topic = arena_copy(&needs->gathering->request->arena, slice_of(topic->name));
    needs->refused = needs->refused || result->topic.data == NULL;
}

static bool add_needs(void *context, const struct catalog_topic *topic)
{
    struct needs *needs = context;
    const struct catalog *catalog = needs->gathering->request->broker->catalog;
    bool any = false;
    for (uint32_t i = 0; i < topic->partition_count; i++) {
        struct catalog_partition partition;
        bool found = catalog_partition_find(catalog, topic, (int32_t)i, &partition);
        ASSERT(found);
        if (!is_needed(&partition, needs->gathering->unclean))
            continue;
        needs->topics += !any;
        needs->partitions++;
        if (needs->response != NULL && !any)
            need_topic(needs, topic);
        if (needs->response != NULL)
            need_one(needs, topic, (int32_t)i);
        any = true;
    }
    return true;
}

static bool gather_all(struct gathering *gathering)
{
    struct request *request = gathering->request;
    struct elect_leaders_response *response = request->response;
    struct needs needs = {.gathering = gathering};
    catalog_topic_each(request->broker->catalog, add_needs, &needs);
    response->replica_election_results = arena_allocate_array(
        &request->arena, needs.topics, sizeof *response->replica_election_results);
    needs.next = arena_allocate_array(&request->arena, needs.partitions, sizeof *needs.next);
    if (response->replica_election_results == NULL || needs.next == NULL ||
        !gathering_begin(gathering, needs.partitions))
        return false;
    needs.response = response;
    catalog_topic_each(request->broker->catalog, add_needs, &needs);
    return !needs.refused;
}

static void refuse(struct request *request, enum error error)
{
    struct elect_leaders_response *response = request->response;
    response->error_code = error_to_kafka(error);
    response->replica_election_results = WIRE_EMPTY;
    request_complete(request);
}

void handle_elect_leaders(struct request *request)
{
    const struct elect_leaders_request *body = request->body;
    if (request_response(request) == NULL) {
        request_fail(request);
        return;
    }
    bool type_known = request->version < 1 || body->election_type == ELECTION_TYPE_PREFERRED ||
                      body->election_type == ELECTION_TYPE_UNCLEAN;
    if (!type_known || body->timeout_ms <= 0) {
        refuse(request, type_known ? ERROR_REQUEST_TIMED_OUT : ERROR_INVALID_REQUEST);
        return;
    }
    struct gathering gathering = {.request = request, .unclean = is_unclean(request)};
    bool gathered =
        body->topic_partitions == NULL ? gather_all(&gathering) : gather_named(&gathering);
    if (!gathered) {
        request_fail(request);
        return;
    }
    request_hold(request);
    if (!propose_gathered(&gathering, body->timeout_ms))
        request->close_connection = true; /* What is under way ends first. */
    request_release(request);
}
