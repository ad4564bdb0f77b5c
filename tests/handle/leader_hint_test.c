/* SPDX-License-Identifier: Apache-2.0 */
/* Clients that ask the wrong node: NOT_LEADER_OR_FOLLOWER, and where to go instead (KIP-951). */
#include "handle/broker_fixture.h"
#include "handle/leader_hint.h"
#include "wire/api_fetch.h"
#include "wire/api_list_offsets.h"
#include "wire/api_produce.h"

#include <cmocka.h>

/* Partitions 1 and 2 of `orders` are led by nodes 2 and 3; partition 1 of `away` is not here. */
static void two_topics(struct broker_fixture *f)
{
    (void)fixture_replicated_topic(f, "orders");
    struct catalog_assignment assignment = {.replicas = {2, 3}, .replica_count = 2};
    struct catalog_command command = {.kind = CATALOG_TOPIC_CREATE,
                                      .topic_name = slice_of("away"),
                                      .topic_id = uuid_random(f->broker.executor),
                                      .assignments = &assignment,
                                      .assignment_count = 1};
    assert_int_equal(fixture_propose(f, &command).error, ERROR_NONE);
}

static void lead(struct broker_fixture *f, int32_t leader_epoch)
{
    const struct catalog_topic *topic = catalog_topic_find(f->broker.catalog, slice_of("orders"));
    struct partition *partition = partition_table_find(f->broker.partitions, slice_of("orders"), 0);
    struct partition_config config = *partition_config(partition);
    struct partition_assignment led = {.leader = 1,
                                       .leader_epoch = leader_epoch,
                                       .partition_epoch = leader_epoch,
                                       .replica_count = 2,
                                       .isr_count = 2,
                                       .replicas = {1, 2},
                                       .isr = {1, 2}};
    assert_int_equal(partition_table_assign(f->broker.partitions, "orders", &topic->id, 0, &config,
                                            &led, NULL, NULL),
                     ERROR_NONE);
}

static void produces(struct broker_fixture *f, int16_t version, const char *topic, int32_t index,
                     enum error expected, int32_t leader)
{
    struct exchange exchange;
    struct produce_request *body = exchange_begin(f, &exchange, API_PRODUCE, version);
    struct produce_request_partition_produce_data data = {.index = index};
    struct produce_request_topic_produce_data asked = {
        .name = slice_of(topic), .partition_data = &data, .partition_data_count = 1};
    uint8_t none = 0;
    data.records.data = slice_from(&none, 1);
    body->acks = 1;
    body->topic_data = &asked;
    body->topic_data_count = 1;
    const struct produce_response *answer = exchange_run(f, &exchange);
    const struct produce_response_partition_produce_response *got =
        &answer->responses[0].partition_responses[0];
    assert_kafka_error(got->error_code, expected);
    if (version >= 10) {
        assert_int_equal(got->current_leader.leader_id, leader);
        assert_int_equal(answer->node_endpoints_count, leader >= 0);
    }
    if (version >= 10 && leader >= 0) {
        char host[20];
        (void)snprintf(host, sizeof host, "node%d", (int)leader);
        assert_int_equal(answer->node_endpoints[0].node_id, leader);
        assert_slice(answer->node_endpoints[0].host, host);
        assert_int_equal(answer->node_endpoints[0].port, 9092);
    }
    exchange_done(&exchange);
}

/* A partition whose replicas are elsewhere is not an unknown one. */
static void a_produce_for_another_node_hears_which(void **state)
{
    struct broker_fixture *f = *state;
    two_topics(f);
    for (int16_t version = 9; version <= 12; version++) {
        produces(f, version, "away", 0, ERROR_NOT_LEADER_OR_FOLLOWER, 2);
        produces(f, version, "away", 1, ERROR_UNKNOWN_TOPIC_OR_PARTITION, -1);
        produces(f, version, "missing", 0, ERROR_UNKNOWN_TOPIC_OR_PARTITION, -1);
    }
}

/* A replica here that follows says who leads; several partitions of one leader name it once. */
static void a_fetch_for_another_node_hears_which(void **state)
{
    struct broker_fixture *f = *state;
    two_topics(f);
    for (int16_t version = 12; version <= 16; version++) {
        struct exchange exchange;
        struct fetch_request *body = exchange_begin(f, &exchange, API_FETCH, version);
        struct fetch_request_fetch_partition asked[2] = {{.partition = 1}, {.partition = 2}};
        const struct catalog_topic *topic =
            catalog_topic_find(f->broker.catalog, slice_of("orders"));
        struct fetch_request_fetch_topic asked_topic = {.topic = slice_of("orders"),
                                                        .topic_id = topic->id,
                                                        .partitions = asked,
                                                        .partitions_count = 2};
        for (int i = 0; i < 2; i++) {
            asked[i].current_leader_epoch = -1;
            asked[i].last_fetched_epoch = -1;
            asked[i].partition_max_bytes = 1000;
        }
        body->max_bytes = 10000;
        body->topics = &asked_topic;
        body->topics_count = 1;
        const struct fetch_response *answer = exchange_run(f, &exchange);
        for (int i = 0; i < 2; i++) {
            const struct fetch_response_partition_data *got = &answer->responses[0].partitions[i];
            assert_kafka_error(got->error_code, ERROR_NOT_LEADER_OR_FOLLOWER);
            assert_int_equal(got->current_leader.leader_id, 2 + i);
        }
        assert_int_equal(answer->node_endpoints_count, version >= 16 ? 2 : 0);
        exchange_done(&exchange);
    }
}

static enum error lists(struct broker_fixture *f, int16_t version, const char *topic,
                        int64_t *ret_offset)
{
    struct exchange exchange;
    struct list_offsets_request *body = exchange_begin(f, &exchange, API_LIST_OFFSETS, version);
    struct list_offsets_request_list_offsets_partition asked = {.current_leader_epoch = -1,
                                                                .timestamp = -1};
    struct list_offsets_request_list_offsets_topic asked_topic = {
        .name = slice_of(topic), .partitions = &asked, .partitions_count = 1};
    body->replica_id = -1;
    body->topics = &asked_topic;
    body->topics_count = 1;
    const struct list_offsets_response *answer = exchange_run(f, &exchange);
    enum error error = error_from_kafka(answer->topics[0].partitions[0].error_code);
    *ret_offset = answer->topics[0].partitions[0].offset;
    exchange_done(&exchange);
    return error;
}

/* KIP-207: a new leader does not know the end of what is committed until its followers have voted.
 */
static void a_new_leader_does_not_guess_the_latest_offset(void **state)
{
    struct broker_fixture *f = *state;
    fixture_topic(f, "orders", 1);
    fixture_append(f, "orders", 0, 10, -1);
    lead(f, 7);
    int64_t offset;
    assert_int_equal(lists(f, 7, "orders", &offset), ERROR_NONE);
    assert_int_equal(offset, 10); /* The high watermark is where the epoch begins. */
    assert_int_equal(lists(f, 7, "missing", &offset), ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    fixture_produce_one(f, "orders", 0, 1);

    lead(f, 8); /* With a record that the other replica has not voted for. */

    assert_int_equal(lists(f, 7, "orders", &offset), ERROR_OFFSET_NOT_AVAILABLE);
    assert_int_equal(lists(f, 4, "orders", &offset), ERROR_LEADER_NOT_AVAILABLE);
    struct partition *partition = partition_table_find(f->broker.partitions, slice_of("orders"), 0);
    partition_replica_progress(partition, 2, 0, 11, 11, 0);
    assert_int_equal(lists(f, 7, "orders", &offset), ERROR_NONE);
    assert_int_equal(offset, 11);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BROKER(a_produce_for_another_node_hears_which),
        WITH_BROKER(a_fetch_for_another_node_hears_which),
        WITH_BROKER(a_new_leader_does_not_guess_the_latest_offset),
    };
    return cmocka_run_group_tests_name("leader_hint", tests, NULL, NULL);
}
