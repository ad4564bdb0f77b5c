/* SPDX-License-Identifier: Apache-2.0 */
/* ElectLeaders as Kafka's ReplicationControlManager answers it. */
#include "handle/broker_fixture.h"
#include "wire/api_elect_leaders.h"

#include <cmocka.h>

/* Asks for some partitions of one topic; NULL: for every partition there is. */
static struct elect_leaders_request *begin(struct broker_fixture *f, struct exchange *exchange,
                                           int16_t version, const char *topic,
                                           const int32_t *partitions, uint32_t count)
{
    struct elect_leaders_request *body = exchange_begin(f, exchange, API_ELECT_LEADERS, version);
    body->topic_partitions = NULL;
    if (topic == NULL)
        return body;
    body->topic_partitions =
        arena_allocate_array(&exchange->arena, 1, sizeof *body->topic_partitions);
    body->topic_partitions_count = 1;
    body->topic_partitions[0].topic = slice_of(topic);
    body->topic_partitions[0].partitions_count = count;
    body->topic_partitions[0].partitions =
        arena_allocate_array(&exchange->arena, count, sizeof *partitions);
    memcpy(body->topic_partitions[0].partitions, partitions, count * sizeof *partitions);
    return body;
}

/* Node 1 was away and is in sync again in partitions 0 and 1; it leads nothing. */
static void make_orders(struct broker_fixture *f)
{
    const struct uuid id = fixture_replicated_topic(f, "orders")->id;
    fixture_fence(f, 1, true);
    fixture_fence(f, 1, false);
    for (int32_t index = 0; index < 2; index++) {
        struct catalog_partition now = fixture_partition(f, "orders", index);
        struct catalog_command join = {.kind = CATALOG_ISR_CHANGE,
                                       .topic_id = id,
                                       .node_id = now.leader,
                                       .partition = {.index = index,
                                                     .leader_epoch = now.leader_epoch,
                                                     .partition_epoch = now.partition_epoch,
                                                     .isr = {1, 2, 3},
                                                     .isr_count = 3}};
        for (int32_t node = 1; node <= 3; node++)
            join.isr_epochs[node - 1] = catalog_node_find(f->broker.catalog, node)->epoch;
        assert_int_equal(fixture_propose(f, &join).error, ERROR_NONE);
    }
}

/* Each partition named is in the answer with what came of it. */
static void preferred_leaders_are_elected_where_they_are_in_sync(void **state)
{
    struct broker_fixture *f = *state;
    make_orders(f);
    for (int16_t version = 0; version <= 2; version++) {
        struct exchange exchange;
        begin(f, &exchange, version, "orders", (const int32_t[]){0, 1, 7}, 3);
        const struct elect_leaders_response *answer = exchange_run(f, &exchange);
        assert_kafka_error(answer->error_code, ERROR_NONE);
        assert_int_equal(answer->replica_election_results_count, 1);
        assert_slice(answer->replica_election_results[0].topic, "orders");
        const struct elect_leaders_response_partition_result *results =
            answer->replica_election_results[0].partition_result;
        assert_int_equal(answer->replica_election_results[0].partition_result_count, 3);
        assert_int_equal(results[0].partition_id, 0);
        assert_kafka_error(results[0].error_code,
                           version == 0 ? ERROR_NONE : ERROR_ELECTION_NOT_NEEDED);
        assert_true(slice_is_null(results[0].error_message) == (version == 0));
        assert_kafka_error(results[1].error_code, ERROR_ELECTION_NOT_NEEDED);
        assert_kafka_error(results[2].error_code, ERROR_UNKNOWN_TOPIC_OR_PARTITION);
        assert_non_null(results[2].error_message.data);
        exchange_done(&exchange);
        assert_int_equal(fixture_partition(f, "orders", 0).leader, 1);
    }
}

/* Nobody is made leader who is not in sync. */
static void a_preferred_leader_that_lags_is_not_available(void **state)
{
    struct broker_fixture *f = *state;
    struct exchange exchange;
    (void)fixture_replicated_topic(f, "orders");
    fixture_fence(f, 1, true);
    fixture_fence(f, 1, false);
    begin(f, &exchange, 2, "orders", (const int32_t[]){0}, 1);
    const struct elect_leaders_response *answer = exchange_run(f, &exchange);
    assert_kafka_error(answer->replica_election_results[0].partition_result[0].error_code,
                       ERROR_PREFERRED_LEADER_NOT_AVAILABLE);
    exchange_done(&exchange);
    assert_int_equal(fixture_partition(f, "orders", 0).leader, 2);
}

/* For every partition only those are in the answer that need it. */
static void all_partitions_are_meant_when_none_is_named(void **state)
{
    struct broker_fixture *f = *state;
    struct exchange exchange;
    make_orders(f);
    (void)fixture_topic(f, "other", 4);
    begin(f, &exchange, 2, NULL, NULL, 0);
    const struct elect_leaders_response *answer = exchange_run(f, &exchange);
    assert_int_equal(answer->replica_election_results_count, 1);
    assert_int_equal(answer->replica_election_results[0].partition_result_count, 1);
    assert_kafka_error(answer->replica_election_results[0].partition_result[0].error_code,
                       ERROR_NONE);
    exchange_done(&exchange);
    uint32_t before = f->proposal_count;
    begin(f, &exchange, 2, NULL, NULL, 0);
    answer = exchange_run(f, &exchange);
    assert_int_equal(answer->replica_election_results_count, 0);
    assert_int_equal(f->proposal_count, before);
    exchange_done(&exchange);
}

/* An unclean election takes whoever is up, for partitions without a leader only. */
static void an_unclean_election_takes_whoever_is_up(void **state)
{
    struct broker_fixture *f = *state;
    struct exchange exchange;
    (void)fixture_replicated_topic(f, "orders");
    fixture_fence(f, 3, true);
    fixture_fence(f, 2, true);
    fixture_fence(f, 1, true);
    struct elect_leaders_request *body =
        begin(f, &exchange, 1, "orders", (const int32_t[]){0, 1}, 2);
    body->election_type = 1;
    const struct elect_leaders_response *answer = exchange_run(f, &exchange);
    assert_kafka_error(answer->replica_election_results[0].partition_result[0].error_code,
                       ERROR_ELIGIBLE_LEADERS_NOT_AVAILABLE);
    exchange_done(&exchange);
    fixture_fence(f, 3, false);
    body = begin(f, &exchange, 1, "orders", (const int32_t[]){0, 1}, 2);
    body->election_type = 1;
    answer = exchange_run(f, &exchange);
    for (int i = 0; i < 2; i++)
        assert_kafka_error(answer->replica_election_results[0].partition_result[i].error_code,
                           ERROR_NONE);
    exchange_done(&exchange);
    assert_int_equal(fixture_partition(f, "orders", 1).leader, 3);
    assert_true(fixture_partition(f, "orders", 1).recovering);
}

/* What cannot be asked, and what the quorum does not do in time. */
static void mistakes_are_refused(void **state)
{
    struct broker_fixture *f = *state;
    struct exchange exchange;
    make_orders(f);
    struct elect_leaders_request *body = begin(f, &exchange, 1, "orders", (const int32_t[]){0}, 1);
    body->election_type = 2;
    const struct elect_leaders_response *answer = exchange_run(f, &exchange);
    assert_kafka_error(answer->error_code, ERROR_INVALID_REQUEST);
    assert_int_equal(answer->replica_election_results_count, 0);
    exchange_done(&exchange);
    body = begin(f, &exchange, 1, "orders", (const int32_t[]){0}, 1);
    body->timeout_ms = 0;
    answer = exchange_run(f, &exchange);
    assert_kafka_error(answer->error_code, ERROR_REQUEST_TIMED_OUT);
    exchange_done(&exchange);
    f->proposer_error = ERROR_NOT_CONTROLLER;
    begin(f, &exchange, 1, "orders", (const int32_t[]){0}, 1);
    answer = exchange_run(f, &exchange);
    assert_kafka_error(answer->error_code, ERROR_NOT_CONTROLLER);
    assert_kafka_error(answer->replica_election_results[0].partition_result[0].error_code,
                       ERROR_NOT_CONTROLLER);
    exchange_done(&exchange);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BROKER(preferred_leaders_are_elected_where_they_are_in_sync),
        WITH_BROKER(a_preferred_leader_that_lags_is_not_available),
        WITH_BROKER(all_partitions_are_meant_when_none_is_named),
        WITH_BROKER(an_unclean_election_takes_whoever_is_up),
        WITH_BROKER(mistakes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
