/* SPDX-License-Identifier: Apache-2.0 */
/* DescribeQuorum (KIP-595, KIP-853): who votes, who follows, how far they are. The leader knows;
 * every other node asks it. Kafka's ControllerApis.handleDescribeQuorum and KafkaRaftClient. */
#include "base/memory.h"
#include "handle/handlers.h"
#include "handle/quorum_describe.h"
#include "wire/api_describe_quorum.h"
#include "wire/call.h"

enum { ASK_TIMEOUT_MS = 10000 };

static const char metadata_topic[] = "__cluster_metadata";

/* What is said of the one partition there is. */
struct described {
    struct request *request;
    struct describe_quorum_response_partition_data answer;
    bool filling;     /* Else only counting. */
    struct call call; /* To the leader, with this body. */
    struct describe_quorum_request body;
    struct describe_quorum_request_topic_data topic;
    struct describe_quorum_request_partition_data partition;
};

/* Offsets are Kafka's: the one behind the last entry. */
static int64_t end_of(int64_t index)
{
    return index < 0 ? -1 : index + 1;
}

static void add_member(void *context, const struct quorum_describe_member *member)
{
    struct described *described = context;
    struct describe_quorum_response_partition_data *answer = &described->answer;
    uint32_t at = member->voter ? answer->current_voters_count++ : answer->observers_count++;
    if (!described->filling)
        return;
    const struct catalog_node *node =
        catalog_node_find(described->request->broker->catalog, member->node_id);
    struct describe_quorum_response_replica_state *state =
        member->voter ? &answer->current_voters[at] : &answer->observers[at];
    describe_quorum_response_replica_state_init(state);
    state->replica_id = member->node_id;
    state->replica_directory_id = node == NULL ? UUID_ZERO : node->directory_id;
    state->log_end_offset = end_of(member->log_end_index);
    state->last_fetch_timestamp = member->last_fetch_ms;
    state->last_caught_up_timestamp = member->last_caught_up_ms;
}

/* A node alone is the quorum. */
static void describe_alone(const struct broker *broker, struct quorum_state *ret_state,
                           struct described *described)
{
    int64_t now_ms = executor_wall_clock_ms(broker->executor);
    int64_t applied = catalog_applied_index(broker->catalog);
    *ret_state = (struct quorum_state){.leader_id = broker->node_id,
                                       .leader_epoch = catalog_applied_term(broker->catalog),
                                       .commit_index = applied};
    add_member(described, &(struct quorum_describe_member){.node_id = broker->node_id,
                                                           .voter = true,
                                                           .log_end_index = applied,
                                                           .last_fetch_ms = now_ms,
                                                           .last_caught_up_ms = now_ms});
}

static enum error describe(const struct broker *broker, struct quorum_state *ret_state,
                           struct described *described)
{
    struct quorum_describe *quorum = broker->quorum_describe;
    if (quorum != NULL)
        return quorum->ops->describe(quorum, ret_state, add_member, described);
    describe_alone(broker, ret_state, described);
    return ERROR_NONE;
}

static enum error describe_here(struct described *described)
{
    struct request *request = described->request;
    struct describe_quorum_response_partition_data *answer = &described->answer;
    struct quorum_state state;
    enum error error = describe(request->broker, &state, described);
    if (error != ERROR_NONE)
        return error;
    answer->current_voters = arena_allocate_array(&request->arena, answer->current_voters_count,
                                                  sizeof *answer->current_voters);
    answer->observers =
        arena_allocate_array(&request->arena, answer->observers_count, sizeof *answer->observers);
    if (answer->current_voters == NULL || answer->observers == NULL)
        return ERROR_OUT_OF_MEMORY;
    answer->current_voters_count = 0;
    answer->observers_count = 0;
    described->filling = true;
    error = describe(request->broker, &state, described);
    answer->leader_id = state.leader_id;
    answer->leader_epoch = state.leader_epoch;
    answer->high_watermark = end_of(state.commit_index);
    return error;
}

/* ---- the answer ---- */

/* KIP-853: where the voters listen. */
static bool fill_nodes(struct request *request,
                       const struct describe_quorum_response_partition_data *answer)
{
    struct describe_quorum_response *response = request->response;
    struct arena *arena = &request->arena;
    uint32_t count = answer->current_voters_count;
    struct describe_quorum_response_listener *listeners =
        arena_allocate_array(arena, count, sizeof *listeners);
    response->nodes = arena_allocate_array(arena, count, sizeof *response->nodes);
    if (listeners == NULL || response->nodes == NULL)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        int32_t id = answer->current_voters[i].replica_id;
        const struct catalog_node *node = catalog_node_find(request->broker->catalog, id);
        if (node == NULL)
            continue;
        struct describe_quorum_response_listener *listener = &listeners[response->nodes_count];
        listener->name = slice_of("PLAINTEXT");
        listener->host = arena_copy(arena, slice_of(node->host));
        listener->port = (uint16_t)node->port;
        if (listener->host.data == NULL)
            return false;
        response->nodes[response->nodes_count++] =
            (struct describe_quorum_response_node){id, listener, 1};
    }
    return true;
}

static void fill_partition(const struct describe_quorum_request_topic_data *asked, uint32_t at,
                           const struct described *described, enum error error,
                           struct describe_quorum_response_partition_data *answer)
{
    int32_t index = asked->partitions[at].partition_index;
    if (!slice_equals_text(asked->topic_name, metadata_topic) || index != 0)
        error = ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    describe_quorum_response_partition_data_init(answer);
    answer->error_message = SLICE_NULL;
    if (error == ERROR_NONE)
        *answer = described->answer;
    else
        answer->error_message = slice_of(error_text(error));
    answer->error_code = error_to_kafka(error);
    answer->partition_index = index;
}

static bool fill(struct described *described, enum error error)
{
    struct request *request = described->request;
    const struct describe_quorum_request *body = request->body;
    struct describe_quorum_response *response = request->response;
    response->topics =
        arena_allocate_array(&request->arena, body->topics_count, sizeof *response->topics);
    if (response->topics == NULL)
        return false;
    for (uint32_t i = 0; i < body->topics_count; i++) {
        const struct describe_quorum_request_topic_data *asked = &body->topics[i];
        struct describe_quorum_response_topic_data *answer = &response->topics[i];
        describe_quorum_response_topic_data_init(answer);
        answer->topic_name = asked->topic_name;
        answer->partitions = arena_allocate_array(&request->arena, asked->partitions_count,
                                                  sizeof *answer->partitions);
        if (answer->partitions == NULL)
            return false;
        answer->partitions_count = asked->partitions_count;
        for (uint32_t p = 0; p < asked->partitions_count; p++)
            fill_partition(asked, p, described, error, &answer->partitions[p]);
    }
    response->topics_count = body->topics_count;
    return error != ERROR_NONE || fill_nodes(request, &described->answer);
}

static void conclude(struct described *described, enum error error)
{
    struct request *request = described->request;
    struct describe_quorum_response *response = request_response(request);
    if (response == NULL || error == ERROR_OUT_OF_MEMORY) {
        request_fail(request);
        return;
    }
    response->error_message = SLICE_NULL;
    if (fill(described, error))
        request_complete(request);
    else
        request_fail(request);
}

/* ---- asking the leader ---- */

static bool copy_states(struct arena *arena, struct describe_quorum_response_replica_state **states,
                        uint32_t count)
{
    struct describe_quorum_response_replica_state *copy =
        arena_allocate_array(arena, count, sizeof *copy);
    if (copy == NULL)
        return false;
    if (count > 0)
        memcpy(copy, *states, count * sizeof *copy);
    *states = copy;
    return true;
}

static enum error take_answer(struct described *described)
{
    const struct describe_quorum_response *response = described->call.response;
    if (described->call.error != ERROR_NONE)
        return described->call.error;
    if (response->error_code != 0 || response->topics_count != 1 ||
        response->topics[0].partitions_count != 1 ||
        response->topics[0].partitions[0].error_code != 0)
        return ERROR_NOT_LEADER_OR_FOLLOWER;
    struct arena *arena = &described->request->arena;
    described->answer = response->topics[0].partitions[0];
    struct describe_quorum_response_partition_data *answer = &described->answer;
    answer->error_message = SLICE_NULL;
    return copy_states(arena, &answer->current_voters, answer->current_voters_count) &&
                   copy_states(arena, &answer->observers, answer->observers_count)
               ? ERROR_NONE
               : ERROR_OUT_OF_MEMORY;
}

static void leader_answered(struct call *call)
{
    struct described *described = container_of(call, struct described, call);
    enum error error = take_answer(described);
    call_done(call);
    conclude(described, error);
}

static void ask_leader(struct described *described, int32_t leader)
{
    described->topic = (struct describe_quorum_request_topic_data){slice_of(metadata_topic),
                                                                   &described->partition, 1};
    described->body = (struct describe_quorum_request){&described->topic, 1};
    struct broker *broker = described->request->broker;
    call_init(&described->call, broker->caller, api_find(API_DESCRIBE_QUORUM), leader, CALL_CONTROL,
              ASK_TIMEOUT_MS);
    described->call.body = &described->body;
    described->call.done = leader_answered;
    call_start(broker->executor, &described->call);
}

void handle_describe_quorum(struct request *request)
{
    struct described *described = arena_allocate(&request->arena, sizeof *described);
    if (described == NULL) {
        request_fail(request);
        return;
    }
    memset(described, 0, sizeof *described);
    described->request = request;
    enum error error = describe_here(described);
    if (error == ERROR_NOT_CONTROLLER) {
        int32_t leader = broker_controller_id(request->broker);
        /* Another node asks whom it takes for the leader: passing it on could go round. */
        if (leader >= 0 && leader != request->broker->node_id &&
            request->requester.peer_node_id < 0) {
            ask_leader(described, leader);
            return;
        }
        error = ERROR_NOT_LEADER_OR_FOLLOWER;
    }
    conclude(described, error);
}
