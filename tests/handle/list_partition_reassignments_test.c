/* SPDX-License-Identifier: Apache-2.0 */
/* ListPartitionReassignments: what moves, and nothing else. */
#include "handle/broker_fixture.h"
#include "wire/api_list_partition_reassignments.h"

#include <cmocka.h>

static void move(struct broker_fixture *f, const char *topic, int32_t index, int32_t to)
{
    const struct catalog_assignment target = {.replicas = {to}, .replica_count = 1};
    struct catalog_command command = {
        .kind = CATALOG_REASSIGN,
        .topic_id = catalog_topic_find(f->broker.catalog, slice_of(topic))->id,
        .partition = {.index = index},
        .assignments = &target,
        .assignment_count = 1};
    assert_int_equal(fixture_propose(f, &command).error, ERROR_NONE);
}

static void make_moves(struct broker_fixture *f)
{
    fixture_add_node(f, 2);
    (void)fixture_topic(f, "a", 3);
    (void)fixture_topic(f, "b", 1);
    (void)fixture_topic(f, "c", 2);
    move(f, "a", 0, 2);
    move(f, "a", 2, 2);
    move(f, "c", 1, 2);
}

/* All of them, by topic. */
static void every_move_is_listed(void **state)
{
    struct broker_fixture *f = *state;
    struct exchange exchange;
    make_moves(f);
    (void)exchange_begin(f, &exchange, API_LIST_PARTITION_REASSIGNMENTS, 0);
    const struct list_partition_reassignments_response *answer = exchange_run(f, &exchange);
    assert_kafka_error(answer->error_code, ERROR_NONE);
    assert_int_equal(answer->topics_count, 2);
    assert_slice(answer->topics[0].name, "a");
    assert_int_equal(answer->topics[0].partitions_count, 2);
    const struct list_partition_reassignments_response_ongoing_partition_reassignment *second =
        &answer->topics[0].partitions[1];
    assert_int_equal(second->partition_index, 2);
    assert_int_equal(second->replicas_count, 2);
    assert_int_equal(second->replicas[0], 2);
    assert_int_equal(second->replicas[1], 1);
    assert_int_equal(second->adding_replicas_count, 1);
    assert_int_equal(second->adding_replicas[0], 2);
    assert_int_equal(second->removing_replicas_count, 1);
    assert_int_equal(second->removing_replicas[0], 1);
    assert_slice(answer->topics[1].name, "c");
    assert_int_equal(answer->topics[1].partitions_count, 1);
    exchange_done(&exchange);
}

/* Of those named, the ones that move; what is not there is passed over. */
static void named_partitions_are_listed_if_they_move(void **state)
{
    struct broker_fixture *f = *state;
    struct exchange exchange;
    make_moves(f);
    static int32_t indexes[] = {1, 2, 9, -1};
    struct list_partition_reassignments_request *body =
        exchange_begin(f, &exchange, API_LIST_PARTITION_REASSIGNMENTS, 0);
    body->topics = arena_allocate_array(&exchange.arena, 3, sizeof *body->topics);
    body->topics_count = 3;
    static const char *const names[] = {"b", "nothing", "a"};
    for (int i = 0; i < 3; i++) {
        body->topics[i].name = slice_of(names[i]);
        body->topics[i].partition_indexes = indexes;
        body->topics[i].partition_indexes_count = 4;
    }
    const struct list_partition_reassignments_response *answer = exchange_run(f, &exchange);
    assert_int_equal(answer->topics_count, 1);
    assert_slice(answer->topics[0].name, "a");
    assert_int_equal(answer->topics[0].partitions_count, 1);
    assert_int_equal(answer->topics[0].partitions[0].partition_index, 2);
    exchange_done(&exchange);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BROKER(every_move_is_listed),
        WITH_BROKER(named_partitions_are_listed_if_they_move),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
