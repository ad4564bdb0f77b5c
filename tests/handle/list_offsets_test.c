/* SPDX-License-Identifier: Apache-2.0 */
/* ListOffsets: the markers, times, isolation, and what each partition is refused for. */
#include "handle/produce_fixture.h"
#include "wire/api_list_offsets.h"

#include <cmocka.h>

enum { LATEST = -1, EARLIEST = -2, MAX_TIMESTAMP = -3, LOCAL = -4, TIERED = -5, PENDING = -6 };

struct listed {
    int16_t error_code;
    int64_t offset;
    int64_t timestamp;
    int32_t leader_epoch;
};

static struct listed list_one(struct broker_fixture *f, int16_t version,
                              struct list_offsets_request_list_offsets_partition asked,
                              const char *topic)
{
    struct exchange exchange;
    struct list_offsets_request *body = exchange_begin(f, &exchange, API_LIST_OFFSETS, version);
    struct list_offsets_request_list_offsets_topic asked_topic = {slice_of(topic), &asked, 1};
    body->replica_id = -1;
    body->topics = &asked_topic;
    body->topics_count = 1;
    const struct list_offsets_response *answer = exchange_run(f, &exchange);
    assert_int_equal(answer->topics_count, 1);
    assert_slice(answer->topics[0].name, topic);
    const struct list_offsets_response_list_offsets_partition_response *got =
        answer->topics[0].partitions;
    assert_int_equal(got->partition_index, asked.partition_index);
    struct listed listed = {got->error_code, got->offset, got->timestamp, got->leader_epoch};
    exchange_done(&exchange);
    return listed;
}

static struct listed list_orders(struct broker_fixture *f, int16_t version, int64_t timestamp)
{
    return list_one(f, version,
                    (struct list_offsets_request_list_offsets_partition){0, -1, timestamp},
                    "orders");
}

static void append_at(struct broker_fixture *f, int count, int64_t timestamp)
{
    struct buffer *batch = batch_make(count, timestamp);
    struct send send = send_of(batch);
    assert_kafka_error(fixture_send(f, &send).error_code, ERROR_NONE);
    buffer_unref(batch);
}

static void delete_before(struct broker_fixture *f, int64_t offset)
{
    int64_t low_watermark;
    struct partition *partition = partition_table_find(f->broker.partitions, slice_of("orders"), 0);
    assert_int_equal(partition_delete_records(partition, offset, &low_watermark), ERROR_NONE);
}

static void answers(struct listed got, int64_t offset, int64_t timestamp)
{
    assert_kafka_error(got.error_code, ERROR_NONE);
    assert_int_equal(got.offset, offset);
    assert_int_equal(got.timestamp, timestamp);
}

/* Earliest and latest, in every version; the timestamp is none of them. */
static void earliest_and_latest_are_the_ends_of_the_log(void **state)
{
    struct broker_fixture *f = *state;
    fixture_topic(f, "orders", 1);
    append_at(f, 10, 1000);
    delete_before(f, 3);
    for (int16_t version = 1; version <= 11; version++) {
        struct listed latest = list_orders(f, version, LATEST);
        answers(latest, 10, -1);
        answers(list_orders(f, version, EARLIEST), 3, -1);
        assert_int_equal(latest.leader_epoch >= 0, version >= 4);
    }
}

/* A log nobody wrote to begins and ends at 0. */
static void an_empty_log_is_listed(void **state)
{
    struct broker_fixture *f = *state;
    fixture_topic(f, "orders", 1);
    answers(list_orders(f, 7, LATEST), 0, -1);
    answers(list_orders(f, 7, EARLIEST), 0, -1);
    answers(list_orders(f, 7, MAX_TIMESTAMP), -1, -1);
    answers(list_orders(f, 7, 0), -1, -1);
}

/* The record with the largest timestamp, the first of them, wherever it lies. */
static void the_largest_timestamp_is_found(void **state)
{
    struct broker_fixture *f = *state;
    fixture_topic(f, "orders", 1);
    append_at(f, 3, 1000);
    append_at(f, 3, 5000);
    append_at(f, 1, 5002);
    append_at(f, 3, 2000);
    answers(list_orders(f, 7, MAX_TIMESTAMP), 5, 5002);
    delete_before(f, 7);
    answers(list_orders(f, 7, MAX_TIMESTAMP), 9, 2002);
    delete_before(f, -1);
    answers(list_orders(f, 7, MAX_TIMESTAMP), -1, -1);
}

/* The first record at or after a time, inside its batch; -1 behind the last. */
static void a_time_gives_the_first_record_not_before_it(void **state)
{
    struct broker_fixture *f = *state;
    fixture_topic(f, "orders", 1);
    append_at(f, 5, 1000);
    append_at(f, 5, 2000);
    answers(list_orders(f, 7, 0), 0, 1000);
    answers(list_orders(f, 7, 1000), 0, 1000);
    answers(list_orders(f, 7, 1003), 3, 1003);
    answers(list_orders(f, 7, 1005), 5, 2000);
    answers(list_orders(f, 7, 2004), 9, 2004);
    answers(list_orders(f, 7, 2005), -1, -1);
    answers(list_orders(f, 7, INT64_MAX), -1, -1);
    delete_before(f, 2);
    answers(list_orders(f, 7, 0), 2, 1002);
}

/* The newer markers: earliest local is the log's start, nothing is tiered, none is pending. */
static void markers_of_tiered_storage_are_answered(void **state)
{
    struct broker_fixture *f = *state;
    fixture_topic(f, "orders", 1);
    append_at(f, 10, 1000);
    delete_before(f, 4);
    answers(list_orders(f, 8, LOCAL), 4, -1);
    answers(list_orders(f, 9, TIERED), -1, -1);
    answers(list_orders(f, 11, PENDING), -1, -1);
}

/* A marker that the version does not have yet, or that never was. */
static void an_unknown_marker_is_unsupported(void **state)
{
    struct broker_fixture *f = *state;
    fixture_topic(f, "orders", 1);
    static const struct {
        int64_t timestamp;
        int16_t version;
    } wrong[] = {{MAX_TIMESTAMP, 6}, {LOCAL, 7},      {TIERED, 8},    {PENDING, 10},
                 {-7, 11},           {INT64_MIN, 11}, {INT64_MIN, 1}, {-100, 5}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct listed got = list_orders(f, wrong[i].version, wrong[i].timestamp);
        assert_kafka_error(got.error_code, ERROR_UNSUPPORTED_VERSION);
        assert_int_equal(got.offset, -1);
    }
}

/* Without transactions read_committed ends where read_uncommitted does. */
static void both_isolations_end_at_what_is_committed(void **state)
{
    struct broker_fixture *f = *state;
    fixture_topic(f, "orders", 1);
    append_at(f, 7, 1000);
    for (int8_t isolation = 0; isolation < 2; isolation++) {
        struct exchange exchange;
        struct list_offsets_request *body = exchange_begin(f, &exchange, API_LIST_OFFSETS, 7);
        struct list_offsets_request_list_offsets_partition asked = {0, -1, LATEST};
        struct list_offsets_request_list_offsets_topic topic = {slice_of("orders"), &asked, 1};
        body->isolation_level = isolation;
        body->topics = &topic;
        body->topics_count = 1;
        const struct list_offsets_response *answer = exchange_run(f, &exchange);
        assert_int_equal(answer->topics[0].partitions[0].offset, 7);
        exchange_done(&exchange);
    }
}

/* Unknown topics and partitions, and a leader epoch that is not this one. */
static void other_partitions_and_epochs_are_refused(void **state)
{
    struct broker_fixture *f = *state;
    fixture_topic(f, "orders", 1);
    struct list_offsets_request_list_offsets_partition asked = {0, -1, LATEST};
    assert_kafka_error(list_one(f, 7, asked, "missing").error_code,
                       ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    int32_t epoch =
        partition_leader_epoch(partition_table_find(f->broker.partitions, slice_of("orders"), 0));
    asked.current_leader_epoch = epoch;
    assert_kafka_error(list_one(f, 7, asked, "orders").error_code, ERROR_NONE);
    asked.current_leader_epoch = epoch + 1;
    struct listed got = list_one(f, 7, asked, "orders");
    assert_kafka_error(got.error_code, ERROR_UNKNOWN_LEADER_EPOCH);
    assert_int_equal(got.offset, -1);
    assert_int_equal(got.leader_epoch, -1);
    asked = (struct list_offsets_request_list_offsets_partition){1, -1, LATEST};
    assert_kafka_error(list_one(f, 7, asked, "orders").error_code,
                       ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    asked.partition_index = -1;
    assert_kafka_error(list_one(f, 7, asked, "orders").error_code,
                       ERROR_UNKNOWN_TOPIC_OR_PARTITION);
}

/* Several in one request, each with its own answer; one asked for twice is invalid both times. */
static void partitions_of_one_request_are_answered_apart(void **state)
{
    struct broker_fixture *f = *state;
    fixture_topic(f, "orders", 3);
    append_at(f, 4, 1000);
    struct exchange exchange;
    struct list_offsets_request *body = exchange_begin(f, &exchange, API_LIST_OFFSETS, 7);
    struct list_offsets_request_list_offsets_partition asked[] = {
        {0, -1, LATEST}, {1, -1, LATEST}, {2, -1, EARLIEST}, {1, -1, EARLIEST}, {9, -1, LATEST}};
    struct list_offsets_request_list_offsets_topic topic = {slice_of("orders"), asked, 5};
    body->topics = &topic;
    body->topics_count = 1;
    const struct list_offsets_response *answer = exchange_run(f, &exchange);
    const struct list_offsets_response_list_offsets_partition_response *got =
        answer->topics[0].partitions;
    assert_int_equal(got[0].offset, 4);
    assert_kafka_error(got[1].error_code, ERROR_INVALID_REQUEST);
    assert_int_equal(got[2].offset, 0);
    assert_kafka_error(got[3].error_code, ERROR_INVALID_REQUEST);
    assert_kafka_error(got[4].error_code, ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    exchange_done(&exchange);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BROKER(earliest_and_latest_are_the_ends_of_the_log),
        WITH_BROKER(an_empty_log_is_listed),
        WITH_BROKER(the_largest_timestamp_is_found),
        WITH_BROKER(a_time_gives_the_first_record_not_before_it),
        WITH_BROKER(markers_of_tiered_storage_are_answered),
        WITH_BROKER(an_unknown_marker_is_unsupported),
        WITH_BROKER(both_isolations_end_at_what_is_committed),
        WITH_BROKER(other_partitions_and_epochs_are_refused),
        WITH_BROKER(partitions_of_one_request_are_answered_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
