/* SPDX-License-Identifier: Apache-2.0 */
/* CreatePartitions: every topic asked about is answered. */
#include "handle/broker_fixture.h"
#include "wire/api_create_partitions.h"

#include <cmocka.h>

static struct create_partitions_request *begin(struct broker_fixture *f, struct exchange *exchange,
                                               const char *name, int32_t count)
{
    struct create_partitions_request *body = exchange_begin(f, exchange, API_CREATE_PARTITIONS, 3);
    body->timeout_ms = 1000;
    body->topics = arena_allocate_array(&exchange->arena, 1, sizeof *body->topics);
    create_partitions_request_create_partitions_topic_init(&body->topics[0]);
    body->topics[0].name = slice_of(name);
    body->topics[0].count = count;
    body->topics[0].assignments = NULL;
    body->topics_count = 1;
    return body;
}

static void assign(struct exchange *exchange, struct create_partitions_request *body,
                   const int32_t *nodes, uint32_t count)
{
    body->topics[0].assignments =
        arena_allocate_array(&exchange->arena, count, sizeof *body->topics[0].assignments);
    body->topics[0].assignments_count = count;
    for (uint32_t i = 0; i < count; i++) {
        body->topics[0].assignments[i].broker_ids = (int32_t *)(uintptr_t)&nodes[i];
        body->topics[0].assignments[i].broker_ids_count = 1;
    }
}

static void finish(struct broker_fixture *f, struct exchange *exchange, const char *name,
                   enum error expected)
{
    const struct create_partitions_response *answer = exchange_run(f, exchange);
    assert_int_equal(answer->results_count, 1);
    assert_slice(answer->results[0].name, name);
    assert_kafka_error(answer->results[0].error_code, expected);
    assert_true(slice_is_null(answer->results[0].error_message) == (expected == ERROR_NONE));
    exchange_done(exchange);
}

static uint32_t partitions_of(const struct broker_fixture *f)
{
    return catalog_topic_find(f->broker.catalog, slice_of("orders"))->partition_count;
}

/* The new partitions are there and led at once. */
static void partitions_are_added(void **state)
{
    struct broker_fixture *f = *state;
    struct exchange exchange;
    fixture_topic(f, "orders", 1);
    begin(f, &exchange, "orders", 3);
    finish(f, &exchange, "orders", ERROR_NONE);
    assert_int_equal(partitions_of(f), 3);
    struct partition *partition = partition_table_find(f->broker.partitions, slice_of("orders"), 2);
    assert_non_null(partition);
    assert_int_equal(partition_leader_epoch(partition), 0);
}

/* Not fewer, not as many, not of nothing, not too many. */
static void counts_that_do_not_grow_are_refused(void **state)
{
    struct broker_fixture *f = *state;
    struct exchange exchange;
    fixture_topic(f, "orders", 2);
    static const int32_t bad[] = {2, 1, 0, -1, 20000, INT32_MAX};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        begin(f, &exchange, "orders", bad[i]);
        finish(f, &exchange, "orders", ERROR_INVALID_PARTITIONS);
    }
    begin(f, &exchange, "missing", 2);
    finish(f, &exchange, "missing", ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(partitions_of(f), 2);
}

/* Replicas by hand: one list a new partition, as many replicas as the others have. */
static void assignments_are_taken_or_refused(void **state)
{
    struct broker_fixture *f = *state;
    struct exchange exchange;
    static const int32_t nodes[] = {2, 1, 9};
    fixture_add_node(f, 2);
    fixture_topic(f, "orders", 1);
    assign(&exchange, begin(f, &exchange, "orders", 3), nodes, 1);
    finish(f, &exchange, "orders", ERROR_INVALID_REPLICA_ASSIGNMENT);
    assign(&exchange, begin(f, &exchange, "orders", 4), nodes, 3);
    finish(f, &exchange, "orders", ERROR_INVALID_REPLICA_ASSIGNMENT);
    struct create_partitions_request *body = begin(f, &exchange, "orders", 2);
    assign(&exchange, body, nodes, 1);
    body->topics[0].assignments[0].broker_ids_count = 2;
    finish(f, &exchange, "orders", ERROR_INVALID_REPLICA_ASSIGNMENT);
    assign(&exchange, begin(f, &exchange, "orders", 3), nodes, 2);
    finish(f, &exchange, "orders", ERROR_NONE);
    struct catalog_partition partition;
    assert_true(catalog_partition_find(f->broker.catalog,
                                       catalog_topic_find(f->broker.catalog, slice_of("orders")), 1,
                                       &partition));
    assert_int_equal(partition.leader, 2);
}

/* Up to topicfs.partitions.max and not beyond; what was refused is not counted. */
static void the_quota_of_partitions_holds(void **state)
{
    struct broker_fixture *f = *state;
    struct exchange exchange;
    fixture_set(f, "topicfs.partitions.max", "4");
    fixture_topic(f, "others", 1);
    fixture_topic(f, "orders", 1);
    begin(f, &exchange, "orders", 4);
    finish(f, &exchange, "orders", ERROR_POLICY_VIOLATION);
    f->proposer_error = ERROR_NOT_CONTROLLER;
    begin(f, &exchange, "orders", 3);
    finish(f, &exchange, "orders", ERROR_NOT_CONTROLLER);
    f->proposer_error = ERROR_NONE;
    assert_int_equal(f->broker.partitions_pending, 0);
    begin(f, &exchange, "orders", 3);
    finish(f, &exchange, "orders", ERROR_NONE);
    assert_int_equal(partitions_of(f), 3);
}

/* Validation alone adds nothing; a topic named twice is refused. */
static void nothing_is_added_without_being_asked(void **state)
{
    struct broker_fixture *f = *state;
    struct exchange exchange;
    fixture_topic(f, "orders", 1);
    begin(f, &exchange, "orders", 3)->validate_only = true;
    finish(f, &exchange, "orders", ERROR_NONE);
    struct create_partitions_request *body = begin(f, &exchange, "orders", 3);
    struct create_partitions_request_create_partitions_topic twice[] = {body->topics[0],
                                                                        body->topics[0]};
    body->topics = twice;
    body->topics_count = 2;
    const struct create_partitions_response *answer = exchange_run(f, &exchange);
    assert_int_equal(answer->results_count, 2);
    assert_kafka_error(answer->results[0].error_code, ERROR_INVALID_REQUEST);
    assert_kafka_error(answer->results[1].error_code, ERROR_INVALID_REQUEST);
    exchange_done(&exchange);
    assert_int_equal(partitions_of(f), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BROKER(partitions_are_added),
        WITH_BROKER(counts_that_do_not_grow_are_refused),
        WITH_BROKER(assignments_are_taken_or_refused),
        WITH_BROKER(the_quota_of_partitions_holds),
        WITH_BROKER(nothing_is_added_without_being_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
