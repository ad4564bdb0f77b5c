/* SPDX-License-Identifier: Apache-2.0 */
/* AlterPartitionReassignments as Kafka's ReplicationControlManager answers it. */
#include "handle/broker_fixture.h"
#include "wire/api_alter_partition_reassignments.h"

#include <cmocka.h>

/* Moves one partition; with 0 replicas it is cancelled. */
static struct alter_partition_reassignments_request *begin(struct broker_fixture *f,
                                                           struct exchange *exchange,
                                                           const char *topic, int32_t index,
                                                           const int32_t *replicas, uint32_t count)
{
    struct alter_partition_reassignments_request *body =
        exchange_begin(f, exchange, API_ALTER_PARTITION_REASSIGNMENTS, 1);
    body->topics = arena_allocate_array(&exchange->arena, 1, sizeof *body->topics);
    body->topics_count = 1;
    body->topics[0].name = slice_of(topic);
    body->topics[0].partitions_count = 1;
    body->topics[0].partitions =
        arena_allocate_array(&exchange->arena, 1, sizeof *body->topics[0].partitions);
    struct alter_partition_reassignments_request_reassignable_partition *partition =
        &body->topics[0].partitions[0];
    alter_partition_reassignments_request_reassignable_partition_init(partition);
    partition->partition_index = index;
    if (replicas == NULL)
        return body;
    partition->replicas =
        arena_allocate_array(&exchange->arena, count, sizeof *partition->replicas);
    memcpy(partition->replicas, replicas, count * sizeof *replicas);
    partition->replicas_count = count;
    return body;
}

static void finish(struct broker_fixture *f, struct exchange *exchange, enum error expected)
{
    const struct alter_partition_reassignments_response *answer = exchange_run(f, exchange);
    assert_kafka_error(answer->error_code, ERROR_NONE);
    assert_int_equal(answer->responses_count, 1);
    assert_int_equal(answer->responses[0].partitions_count, 1);
    assert_kafka_error(answer->responses[0].partitions[0].error_code, expected);
    assert_true(slice_is_null(answer->responses[0].partitions[0].error_message) ==
                (expected == ERROR_NONE));
    exchange_done(exchange);
}

static void ask(struct broker_fixture *f, const char *topic, int32_t index, const int32_t *replicas,
                uint32_t count, enum error expected)
{
    struct exchange exchange;
    begin(f, &exchange, topic, index, replicas, count);
    finish(f, &exchange, expected);
}

#define IDS(...)                                                                                   \
    (const int32_t[])                                                                              \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

/* A move begins, and is cancelled. */
static void a_move_begins_and_is_cancelled(void **state)
{
    struct broker_fixture *f = *state;
    (void)fixture_replicated_topic(f, "orders");
    fixture_add_node(f, 4);
    ask(f, "orders", 0, IDS(4, 2, 3), 3, ERROR_NONE);
    struct catalog_partition partition = fixture_partition(f, "orders", 0);
    assert_int_equal(partition.replica_count, 4);
    assert_int_equal(partition.adding[0], 4);
    assert_int_equal(partition.removing[0], 1);
    ask(f, "orders", 0, NULL, 0, ERROR_NONE);
    assert_int_equal(fixture_partition(f, "orders", 0).replica_count, 3);
    ask(f, "orders", 0, NULL, 0, ERROR_NO_REASSIGNMENT_IN_PROGRESS);
}

/* Each mistake has Kafka's answer. */
static void mistakes_are_refused(void **state)
{
    struct broker_fixture *f = *state;
    (void)fixture_replicated_topic(f, "orders");
    ask(f, "nothing", 0, IDS(1), 1, ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    ask(f, "orders", 3, IDS(1), 1, ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    ask(f, "orders", -1, IDS(1), 1, ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    ask(f, "orders", 0, IDS(0), 0, ERROR_INVALID_REPLICA_ASSIGNMENT);
    ask(f, "orders", 0, IDS(1, 9), 2, ERROR_INVALID_REPLICA_ASSIGNMENT);
    ask(f, "orders", 0, IDS(1, 2, 1), 3, ERROR_INVALID_REPLICA_ASSIGNMENT);
    int32_t many[CATALOG_REPLICAS_MAX + 1] = {0};
    ask(f, "orders", 0, many, CATALOG_REPLICAS_MAX + 1, ERROR_INVALID_REPLICA_ASSIGNMENT);
    struct exchange exchange;
    begin(f, &exchange, "orders", 0, IDS(1, 2), 2)->allow_replication_factor_change = false;
    finish(f, &exchange, ERROR_INVALID_REPLICATION_FACTOR);
    begin(f, &exchange, "orders", 0, IDS(3, 2, 1), 3)->allow_replication_factor_change = false;
    finish(f, &exchange, ERROR_NONE);
    ask(f, "orders", 0, IDS(1, 2), 2, ERROR_NONE);
    f->proposer_error = ERROR_UNKNOWN_TOPIC_ID;
    ask(f, "orders", 0, IDS(1), 1, ERROR_UNKNOWN_TOPIC_OR_PARTITION);
}

/* No time is no time. */
static void a_request_without_time_is_not_tried(void **state)
{
    struct broker_fixture *f = *state;
    struct exchange exchange;
    (void)fixture_replicated_topic(f, "orders");
    uint32_t before = f->proposal_count;
    begin(f, &exchange, "orders", 0, IDS(1, 2), 2)->timeout_ms = 0;
    const struct alter_partition_reassignments_response *answer = exchange_run(f, &exchange);
    assert_kafka_error(answer->error_code, ERROR_REQUEST_TIMED_OUT);
    assert_int_equal(f->proposal_count, before);
    exchange_done(&exchange);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BROKER(a_move_begins_and_is_cancelled),
        WITH_BROKER(mistakes_are_refused),
        WITH_BROKER(a_request_without_time_is_not_tried),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
