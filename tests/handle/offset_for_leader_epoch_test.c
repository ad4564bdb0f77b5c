/* SPDX-License-Identifier: Apache-2.0 */
/* OffsetForLeaderEpoch: where an epoch ended, and what is refused. */
#include "handle/broker_fixture.h"
#include "wire/api_offset_for_leader_epoch.h"

#include <cmocka.h>

static struct offset_for_leader_epoch_response_epoch_end_offset
ask(struct broker_fixture *f, int16_t version, const char *topic, int32_t partition,
    int32_t current_epoch, int32_t epoch)
{
    struct exchange exchange;
    struct offset_for_leader_epoch_request *body =
        exchange_begin(f, &exchange, API_OFFSET_FOR_LEADER_EPOCH, version);
    struct offset_for_leader_epoch_request_offset_for_leader_partition asked = {
        partition, current_epoch, epoch};
    struct offset_for_leader_epoch_request_offset_for_leader_topic asked_topic = {slice_of(topic),
                                                                                  &asked, 1};
    body->topics = &asked_topic;
    body->topics_count = 1;
    const struct offset_for_leader_epoch_response *answer = exchange_run(f, &exchange);
    assert_slice(answer->topics[0].topic, topic);
    struct offset_for_leader_epoch_response_epoch_end_offset got = answer->topics[0].partitions[0];
    assert_int_equal(got.partition, partition);
    exchange_done(&exchange);
    return got;
}

static struct partition *orders(struct broker_fixture *f)
{
    return partition_table_find(f->broker.partitions, slice_of("orders"), 0);
}

/* This node leads `orders` again, in a later epoch. */
static void lead_again(struct broker_fixture *f, int32_t epoch)
{
    const struct catalog_topic *topic = catalog_topic_find(f->broker.catalog, slice_of("orders"));
    struct partition_config config = *partition_config(orders(f));
    struct partition_assignment led = partition_assigned_alone(f->broker.node_id, epoch);
    assert_int_equal(partition_table_assign(f->broker.partitions, "orders", &topic->id, 0, &config,
                                            &led, NULL, NULL),
                     ERROR_NONE);
}

static void ends(struct broker_fixture *f, int32_t epoch, int32_t expected_epoch,
                 int64_t expected_end)
{
    for (int16_t version = 2; version <= 4; version++) {
        struct offset_for_leader_epoch_response_epoch_end_offset got =
            ask(f, version, "orders", 0, -1, epoch);
        assert_kafka_error(got.error_code, ERROR_NONE);
        assert_int_equal(got.leader_epoch, expected_epoch);
        assert_int_equal(got.end_offset, expected_end);
    }
}

/* An epoch ends where the next began; one that never was gives the one before it; the present one
 * ends with the log; a later one is not known. */
static void an_epoch_ends_where_the_next_begins(void **state)
{
    struct broker_fixture *f = *state;
    fixture_topic(f, "orders", 1);
    int32_t first = partition_leader_epoch(orders(f));
    fixture_append(f, "orders", 0, 10, -1);
    lead_again(f, first + 4);
    fixture_append(f, "orders", 0, 5, -1);
    ends(f, first, first, 10);
    ends(f, first + 2, first, 10);
    ends(f, first + 4, first + 4, 15);
    ends(f, first + 5, -1, -1);
    ends(f, -1, -1, -1);
}

/* Before its first record the present epoch ends at the log's end already. */
static void the_present_epoch_needs_no_record(void **state)
{
    struct broker_fixture *f = *state;
    fixture_topic(f, "orders", 1);
    int32_t first = partition_leader_epoch(orders(f));
    ends(f, first, first, 0);
    fixture_append(f, "orders", 0, 3, -1);
    lead_again(f, first + 1);
    ends(f, first + 1, first + 1, 3);
}

/* The asker's idea of who leads is held against the leader's. */
static void a_wrong_current_epoch_is_refused(void **state)
{
    struct broker_fixture *f = *state;
    fixture_topic(f, "orders", 1);
    lead_again(f, 5);
    assert_kafka_error(ask(f, 4, "orders", 0, 4, 0).error_code, ERROR_FENCED_LEADER_EPOCH);
    assert_kafka_error(ask(f, 4, "orders", 0, 5, 5).error_code, ERROR_NONE);
    struct offset_for_leader_epoch_response_epoch_end_offset got = ask(f, 4, "orders", 0, 6, 5);
    assert_kafka_error(got.error_code, ERROR_UNKNOWN_LEADER_EPOCH);
    assert_int_equal(got.leader_epoch, -1);
    assert_int_equal(got.end_offset, -1);
}

/* Partitions that are not here. */
static void other_partitions_are_unknown(void **state)
{
    struct broker_fixture *f = *state;
    fixture_topic(f, "orders", 1);
    assert_kafka_error(ask(f, 4, "orders", 1, -1, 0).error_code, ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_kafka_error(ask(f, 4, "orders", -1, -1, 0).error_code, ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_kafka_error(ask(f, 4, "missing", 0, -1, 0).error_code, ERROR_UNKNOWN_TOPIC_OR_PARTITION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BROKER(an_epoch_ends_where_the_next_begins),
        WITH_BROKER(the_present_epoch_needs_no_record),
        WITH_BROKER(a_wrong_current_epoch_is_refused),
        WITH_BROKER(other_partitions_are_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
