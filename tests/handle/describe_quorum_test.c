/* SPDX-License-Identifier: Apache-2.0 */
/* DescribeQuorum on a node alone, on the leader, and on one that has to ask the leader. */
#include "handle/broker_fixture.h"
#include "handle/quorum_describe.h"
#include "wire/api_describe_quorum.h"
#include "wire/call.h"

#include <cmocka.h>

static void begin(struct broker_fixture *f, struct exchange *exchange, int16_t version,
                  const char *topic)
{
    struct describe_quorum_request *body =
        exchange_begin(f, exchange, API_DESCRIBE_QUORUM, version);
    body->topics = arena_allocate_array(&exchange->arena, 1, sizeof *body->topics);
    body->topics_count = 1;
    body->topics[0].topic_name = slice_of(topic);
    body->topics[0].partitions =
        arena_allocate_array(&exchange->arena, 1, sizeof *body->topics[0].partitions);
    body->topics[0].partitions_count = 1;
}

static const struct describe_quorum_response_partition_data *
ask(struct broker_fixture *f, struct exchange *exchange, int16_t version, const char *topic)
{
    begin(f, exchange, version, topic);
    const struct describe_quorum_response *answer = exchange_run(f, exchange);
    assert_non_null(answer);
    assert_int_equal(answer->topics_count, 1);
    assert_slice(answer->topics[0].topic_name, topic);
    assert_int_equal(answer->topics[0].partitions_count, 1);
    return &answer->topics[0].partitions[0];
}

/* A node alone leads, votes, and has everything. */
static void a_node_alone_is_the_quorum(void **state)
{
    struct broker_fixture *f = *state;
    for (int16_t version = 0; version <= 2; version++) {
        struct exchange exchange;
        const struct describe_quorum_response_partition_data *partition =
            ask(f, &exchange, version, "__cluster_metadata");
        assert_kafka_error(partition->error_code, ERROR_NONE);
        assert_int_equal(partition->leader_id, 1);
        assert_int_equal(partition->high_watermark, catalog_applied_index(f->broker.catalog) + 1);
        assert_int_equal(partition->current_voters_count, 1);
        assert_int_equal(partition->current_voters[0].replica_id, 1);
        assert_int_equal(partition->current_voters[0].log_end_offset, partition->high_watermark);
        assert_int_equal(partition->observers_count, 0);
        const struct describe_quorum_response *answer = exchange.answer;
        assert_int_equal(answer->nodes_count, version == 2 ? 1 : 0);
        if (version == 2)
            assert_slice(answer->nodes[0].listeners[0].host, "node1");
        exchange_done(&exchange);
    }
}

/* There is no other partition. */
static void another_partition_is_unknown(void **state)
{
    struct broker_fixture *f = *state;
    struct exchange exchange;
    assert_kafka_error(ask(f, &exchange, 2, "orders")->error_code,
                       ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    exchange_done(&exchange);
}

struct quorum {
    struct quorum_describe seam;
    enum error error;
};

static enum error describe(struct quorum_describe *seam, struct quorum_state *ret_state,
                           void (*each)(void *context, const struct quorum_describe_member *member),
                           void *context)
{
    const struct quorum *quorum = container_of(seam, struct quorum, seam);
    if (quorum->error != ERROR_NONE)
        return quorum->error;
    *ret_state = (struct quorum_state){.leader_id = 1, .leader_epoch = 7, .commit_index = 40};
    for (int32_t id = 1; id <= 4; id++)
        each(context, &(struct quorum_describe_member){.node_id = id,
                                                       .voter = id != 3,
                                                       .log_end_index = id == 4 ? -1 : 40 + id,
                                                       .last_fetch_ms = 1000 + id,
                                                       .last_caught_up_ms = 900 + id});
    return ERROR_NONE;
}

static const struct quorum_describe_ops quorum_ops = {describe};

/* The leader says what its engine knows: voters, and those that only follow. */
static void the_leader_tells_of_every_member(void **state)
{
    struct broker_fixture *f = *state;
    struct quorum quorum = {.seam = {&quorum_ops}};
    struct exchange exchange;
    fixture_add_node(f, 2);
    f->broker.quorum_describe = &quorum.seam;
    const struct describe_quorum_response_partition_data *partition =
        ask(f, &exchange, 2, "__cluster_metadata");
    assert_int_equal(partition->leader_epoch, 7);
    assert_int_equal(partition->high_watermark, 41);
    assert_int_equal(partition->current_voters_count, 3);
    assert_int_equal(partition->current_voters[1].replica_id, 2);
    assert_int_equal(partition->current_voters[1].log_end_offset, 43);
    assert_int_equal(partition->current_voters[1].last_fetch_timestamp, 1002);
    assert_int_equal(partition->current_voters[1].last_caught_up_timestamp, 902);
    assert_int_equal(partition->current_voters[2].log_end_offset, -1);
    assert_int_equal(partition->observers_count, 1);
    assert_int_equal(partition->observers[0].replica_id, 3);
    const struct describe_quorum_response *answer = exchange.answer;
    assert_int_equal(answer->nodes_count, 2); /* Of the voters, those that are registered. */
    exchange_done(&exchange);
}

/* The leader, as another node reaches it. */
struct other_node {
    struct caller caller;
    struct broker_fixture *f;
    enum error error;
    int32_t asked_node;
};

static void other_start(struct caller *caller, struct call *call)
{
    struct other_node *other = container_of(caller, struct other_node, caller);
    const struct describe_quorum_request *body = call->body;
    other->asked_node = call->node_id;
    assert_true(slice_equals_text(body->topics[0].topic_name, "__cluster_metadata"));
    if (other->error == ERROR_NONE) {
        struct describe_quorum_response *response = arena_allocate(&call->arena, sizeof *response);
        response->topics = arena_allocate_array(&call->arena, 1, sizeof *response->topics);
        response->topics_count = 1;
        response->topics[0].partitions_count = 1;
        response->topics[0].partitions =
            arena_allocate_array(&call->arena, 1, sizeof *response->topics[0].partitions);
        struct describe_quorum_response_partition_data *partition =
            &response->topics[0].partitions[0];
        describe_quorum_response_partition_data_init(partition);
        partition->leader_id = 2;
        partition->current_voters_count = 1;
        partition->current_voters =
            arena_allocate_array(&call->arena, 1, sizeof *partition->current_voters);
        partition->current_voters[0].replica_id = 2;
        call->response = response;
    }
    call_complete(other->f->broker.executor, call, other->error);
}

static void other_cancel(struct caller *caller, struct call *call)
{
    (void)caller;
    (void)call;
}

static const struct caller_ops other_ops = {.start = other_start, .cancel = other_cancel};

static int32_t leader_is_two(const struct broker *broker)
{
    (void)broker;
    return 2;
}

/* A node that does not lead asks the one that does, but not for another node. */
static void another_node_asks_the_leader(void **state)
{
    struct broker_fixture *f = *state;
    struct quorum quorum = {.seam = {&quorum_ops}, .error = ERROR_NOT_CONTROLLER};
    struct other_node other = {.caller = {&other_ops}, .f = f};
    struct exchange exchange;
    fixture_add_node(f, 2);
    f->broker.quorum_describe = &quorum.seam;
    f->broker.caller = &other.caller;
    f->broker.controller_id = leader_is_two;
    const struct describe_quorum_response_partition_data *partition =
        ask(f, &exchange, 2, "__cluster_metadata");
    assert_int_equal(other.asked_node, 2);
    assert_kafka_error(partition->error_code, ERROR_NONE);
    assert_int_equal(partition->leader_id, 2);
    assert_int_equal(partition->current_voters[0].replica_id, 2);
    exchange_done(&exchange);

    other.error = ERROR_NETWORK;
    assert_kafka_error(ask(f, &exchange, 2, "__cluster_metadata")->error_code, ERROR_NETWORK);
    exchange_done(&exchange);

    other.asked_node = -1;
    begin(f, &exchange, 2, "__cluster_metadata");
    exchange.request.requester.peer_node_id = 3;
    const struct describe_quorum_response *answer = exchange_run(f, &exchange);
    assert_kafka_error(answer->topics[0].partitions[0].error_code, ERROR_NOT_LEADER_OR_FOLLOWER);
    assert_int_equal(other.asked_node, -1);
    exchange_done(&exchange);
    f->broker.caller = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BROKER(a_node_alone_is_the_quorum),
        WITH_BROKER(another_partition_is_unknown),
        WITH_BROKER(the_leader_tells_of_every_member),
        WITH_BROKER(another_node_asks_the_leader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
