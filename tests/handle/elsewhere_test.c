/* SPDX-License-Identifier: Apache-2.0 */
/* Every API that names partitions, asked of a node that does not hold or does not lead one: what
 * Kafka's ReplicaManager answers, and in its order of checks. */
#include "handle/broker_fixture.h"
#include "wire/api_delete_records.h"
#include "wire/api_describe_log_dirs.h"
#include "wire/api_describe_producers.h"
#include "wire/api_fetch.h"
#include "wire/api_list_offsets.h"
#include "wire/api_offset_for_leader_epoch.h"
#include "wire/api_produce.h"

#include <cmocka.h>
#include <string.h>

static const struct catalog_topic *make_away(struct broker_fixture *f, const char *name)
{
    struct catalog_assignment assignment = {.replicas = {2, 3}, .replica_count = 2};
    struct catalog_command command = {.kind = CATALOG_TOPIC_CREATE,
                                      .topic_name = slice_of(name),
                                      .topic_id = uuid_random(f->broker.executor),
                                      .assignments = &assignment,
                                      .assignment_count = 1};
    assert_int_equal(fixture_propose(f, &command).error, ERROR_NONE);
    return catalog_topic_find(f->broker.catalog, slice_of(name));
}

/* Node 1 leads partition 0 of `orders` and follows in 1 and 2; `away` and the topic of offsets are
 * on nodes 2 and 3 alone. */
static void topics_make(struct broker_fixture *f)
{
    (void)fixture_replicated_topic(f, "orders");
    (void)make_away(f, "away");
    (void)make_away(f, "__consumer_offsets");
}

/* One partition asked for, and what is owed; with the record of a topic that only compacts, too. */
struct place {
    const char *topic;
    int32_t index;
    enum error expected;
};

static const struct place places[] = {{"away", 0, ERROR_NOT_LEADER_OR_FOLLOWER},
                                      {"orders", 1, ERROR_NOT_LEADER_OR_FOLLOWER},
                                      {"orders", 2, ERROR_NOT_LEADER_OR_FOLLOWER},
                                      {"away", 1, ERROR_UNKNOWN_TOPIC_OR_PARTITION},
                                      {"orders", 3, ERROR_UNKNOWN_TOPIC_OR_PARTITION},
                                      {"orders", -1, ERROR_UNKNOWN_TOPIC_OR_PARTITION},
                                      {"missing", 0, ERROR_UNKNOWN_TOPIC_OR_PARTITION},
                                      {"", 0, ERROR_UNKNOWN_TOPIC_OR_PARTITION},
                                      {"no/name", 0, ERROR_UNKNOWN_TOPIC_OR_PARTITION}};

enum { PLACES = sizeof places / sizeof places[0] };

static enum error produces(struct broker_fixture *f, const char *topic, int32_t index, int16_t acks)
{
    struct exchange exchange;
    uint8_t garbage[100] = {0};
    struct produce_request *body = exchange_begin(f, &exchange, API_PRODUCE, 9);
    struct produce_request_partition_produce_data data = {.index = index};
    struct produce_request_topic_produce_data asked = {
        .name = slice_of(topic), .partition_data = &data, .partition_data_count = 1};
    data.records.data = slice_from(garbage, sizeof garbage);
    body->acks = acks;
    body->timeout_ms = 1000;
    body->topic_data = &asked;
    body->topic_data_count = 1;
    const struct produce_response *answer = exchange_run(f, &exchange);
    assert_int_equal(answer->responses[0].partition_responses[0].base_offset, -1);
    enum error error = error_from_kafka(answer->responses[0].partition_responses[0].error_code);
    exchange_done(&exchange);
    return error;
}

/* What another node leads is refused before its records are looked at; senseless acks, and topics
 * that no client writes to, come before that, and unknown partitions first of all. */
static void produce_is_refused_in_kafkas_order(void **state)
{
    struct broker_fixture *f = *state;
    topics_make(f);
    for (size_t i = 0; i < PLACES; i++) {
        bool known = places[i].expected == ERROR_NOT_LEADER_OR_FOLLOWER;
        assert_int_equal(produces(f, places[i].topic, places[i].index, 1), places[i].expected);
        assert_int_equal(produces(f, places[i].topic, places[i].index, 7),
                         known ? ERROR_INVALID_REQUIRED_ACKS : places[i].expected);
    }
    assert_int_equal(produces(f, "__consumer_offsets", 0, 1), ERROR_INVALID_TOPIC);
    assert_int_equal(produces(f, "orders", 0, 1), ERROR_INVALID_RECORD);
}

static enum error fetches(struct broker_fixture *f, int16_t version, const char *topic,
                          struct uuid id, int32_t index)
{
    struct exchange exchange;
    struct fetch_request *body = exchange_begin(f, &exchange, API_FETCH, version);
    struct fetch_request_fetch_partition asked = {.partition = index,
                                                  .current_leader_epoch = -1,
                                                  .last_fetched_epoch = -1,
                                                  .log_start_offset = -1,
                                                  .partition_max_bytes = 1000};
    struct fetch_request_fetch_topic asked_topic = {
        .topic = slice_of(topic), .topic_id = id, .partitions = &asked, .partitions_count = 1};
    body->max_bytes = 1000;
    body->max_wait_ms = 10000; /* An error does not wait. */
    body->min_bytes = 1;
    body->topics = &asked_topic;
    body->topics_count = 1;
    exchange_start(f, &exchange);
    simulated_executor_run_for(f->executor, 0);
    const struct fetch_response *answer = exchange_answer(&exchange);
    const struct fetch_response_partition_data *got = &answer->responses[0].partitions[0];
    assert_int_equal(got->high_watermark, -1);
    assert_int_equal(got->records.data.size, 0);
    enum error error = error_from_kafka(got->error_code);
    exchange_done(&exchange);
    return error;
}

/* By name and by id; an id nobody knows is UNKNOWN_TOPIC_ID. */
static void fetch_is_refused_at_once(void **state)
{
    struct broker_fixture *f = *state;
    topics_make(f);
    const struct catalog_topic *away = catalog_topic_find(f->broker.catalog, slice_of("away"));
    const struct uuid none = {{0}}, unknown = uuid_random(f->broker.executor);
    for (size_t i = 0; i < PLACES; i++)
        assert_int_equal(fetches(f, 12, places[i].topic, none, places[i].index),
                         places[i].expected);
    for (int16_t version = 13; version <= 16; version++) {
        assert_int_equal(fetches(f, version, "", away->id, 0), ERROR_NOT_LEADER_OR_FOLLOWER);
        assert_int_equal(fetches(f, version, "", away->id, 1), ERROR_UNKNOWN_TOPIC_OR_PARTITION);
        assert_int_equal(fetches(f, version, "", unknown, 0), ERROR_UNKNOWN_TOPIC_ID);
        assert_int_equal(fetches(f, version, "", none, 0), ERROR_UNKNOWN_TOPIC_ID);
    }
}

static enum error lists(struct broker_fixture *f, const char *topic, int32_t index,
                        int64_t timestamp)
{
    struct exchange exchange;
    struct list_offsets_request *body = exchange_begin(f, &exchange, API_LIST_OFFSETS, 7);
    struct list_offsets_request_list_offsets_partition asked = {
        .partition_index = index, .current_leader_epoch = -1, .timestamp = timestamp};
    struct list_offsets_request_list_offsets_topic asked_topic = {
        .name = slice_of(topic), .partitions = &asked, .partitions_count = 1};
    body->replica_id = -1;
    body->topics = &asked_topic;
    body->topics_count = 1;
    const struct list_offsets_response *answer = exchange_run(f, &exchange);
    assert_int_equal(answer->topics[0].partitions[0].offset, -1);
    enum error error = error_from_kafka(answer->topics[0].partitions[0].error_code);
    exchange_done(&exchange);
    return error;
}

/* A follower does not guess; a marker of no version is said to be one wherever it is asked. */
static void offsets_are_listed_by_the_leader_alone(void **state)
{
    struct broker_fixture *f = *state;
    topics_make(f);
    for (size_t i = 0; i < PLACES; i++) {
        for (int64_t timestamp = -3; timestamp <= 0; timestamp++)
            assert_int_equal(lists(f, places[i].topic, places[i].index, timestamp),
                             places[i].expected);
        assert_int_equal(lists(f, places[i].topic, places[i].index, -17),
                         ERROR_UNSUPPORTED_VERSION);
    }
}

/* Where an epoch ended only its leader says. */
static void epochs_are_told_by_the_leader_alone(void **state)
{
    struct broker_fixture *f = *state;
    topics_make(f);
    for (size_t i = 0; i < PLACES; i++) {
        struct exchange exchange;
        struct offset_for_leader_epoch_request *body =
            exchange_begin(f, &exchange, API_OFFSET_FOR_LEADER_EPOCH, 4);
        struct offset_for_leader_epoch_request_offset_for_leader_partition asked = {
            .partition = places[i].index, .current_leader_epoch = -1};
        struct offset_for_leader_epoch_request_offset_for_leader_topic asked_topic = {
            .topic = slice_of(places[i].topic), .partitions = &asked, .partitions_count = 1};
        body->replica_id = -1;
        body->topics = &asked_topic;
        body->topics_count = 1;
        const struct offset_for_leader_epoch_response *answer = exchange_run(f, &exchange);
        assert_kafka_error(answer->topics[0].partitions[0].error_code, places[i].expected);
        assert_int_equal(answer->topics[0].partitions[0].end_offset, -1);
        assert_int_equal(answer->topics[0].partitions[0].leader_epoch, -1);
        exchange_done(&exchange);
    }
}

static enum error deletes(struct broker_fixture *f, const char *topic, int32_t index)
{
    struct exchange exchange;
    struct delete_records_request *body = exchange_begin(f, &exchange, API_DELETE_RECORDS, 2);
    struct delete_records_request_delete_records_partition asked = {.partition_index = index};
    struct delete_records_request_delete_records_topic asked_topic = {
        .name = slice_of(topic), .partitions = &asked, .partitions_count = 1};
    body->timeout_ms = 10000;
    body->topics = &asked_topic;
    body->topics_count = 1;
    exchange_start(f, &exchange);
    simulated_executor_run_for(f->executor, 0);
    const struct delete_records_response *answer = exchange_answer(&exchange);
    assert_int_equal(answer->topics[0].partitions[0].low_watermark, -1);
    enum error error = error_from_kafka(answer->topics[0].partitions[0].error_code);
    exchange_done(&exchange);
    return error;
}

/* Nobody deletes from internal topics, wherever they are; a follower does not get as far as the
 * topic's policy. */
static void records_are_deleted_by_the_leader_alone(void **state)
{
    struct broker_fixture *f = *state;
    topics_make(f);
    struct catalog_pair pair = {.key = slice_of("cleanup.policy"), .value = slice_of("compact")};
    struct catalog_command command = {.kind = CATALOG_CONFIG_SET,
                                      .resource = CATALOG_RESOURCE_TOPIC,
                                      .resource_name = slice_of("orders"),
                                      .pairs = &pair,
                                      .pair_count = 1};
    assert_int_equal(fixture_propose(f, &command).error, ERROR_NONE);
    for (size_t i = 0; i < PLACES; i++)
        assert_int_equal(deletes(f, places[i].topic, places[i].index), places[i].expected);
    assert_int_equal(deletes(f, "__consumer_offsets", 0), ERROR_INVALID_TOPIC);
    assert_int_equal(deletes(f, "orders", 0), ERROR_POLICY_VIOLATION);
}

/* KIP-664: any replica tells of its producers; one that is not here is asked elsewhere. */
static void producers_are_told_by_any_replica(void **state)
{
    struct broker_fixture *f = *state;
    topics_make(f);
    for (size_t i = 0; i < PLACES; i++) {
        struct exchange exchange;
        struct describe_producers_request *body =
            exchange_begin(f, &exchange, API_DESCRIBE_PRODUCERS, 0);
        int32_t index = places[i].index;
        struct describe_producers_request_topic_request asked = {.name = slice_of(places[i].topic),
                                                                 .partition_indexes = &index};
        asked.partition_indexes_count = 1;
        body->topics = &asked;
        body->topics_count = 1;
        const struct describe_producers_response *answer = exchange_run(f, &exchange);
        enum error expected = places[i].expected;
        if (partition_table_find(f->broker.partitions, slice_of(places[i].topic), index) != NULL)
            expected = ERROR_NONE;
        else if (places[i].topic[0] == '\0' || strchr(places[i].topic, '/') != NULL)
            expected = ERROR_INVALID_TOPIC;
        assert_kafka_error(answer->topics[0].partitions[0].error_code, expected);
        exchange_done(&exchange);
    }
}

/* A directory holds what it holds: the replicas that follow too, and no others. */
static void log_directories_hold_every_replica_that_is_here(void **state)
{
    struct broker_fixture *f = *state;
    topics_make(f);
    struct exchange exchange;
    struct describe_log_dirs_request *body = exchange_begin(f, &exchange, API_DESCRIBE_LOG_DIRS, 4);
    body->topics = NULL;
    const struct describe_log_dirs_response *answer = exchange_run(f, &exchange);
    assert_int_equal(answer->results_count, 1);
    assert_int_equal(answer->results[0].topics_count, 1);
    assert_slice(answer->results[0].topics[0].name, "orders");
    assert_int_equal(answer->results[0].topics[0].partitions_count, 3);
    exchange_done(&exchange);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BROKER(produce_is_refused_in_kafkas_order),
        WITH_BROKER(fetch_is_refused_at_once),
        WITH_BROKER(offsets_are_listed_by_the_leader_alone),
        WITH_BROKER(epochs_are_told_by_the_leader_alone),
        WITH_BROKER(records_are_deleted_by_the_leader_alone),
        WITH_BROKER(producers_are_told_by_any_replica),
        WITH_BROKER(log_directories_hold_every_replica_that_is_here),
    };
    return cmocka_run_group_tests_name("elsewhere", tests, NULL, NULL);
}
