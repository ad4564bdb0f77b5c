/* SPDX-License-Identifier: Apache-2.0 */
/* DeleteRecords, and what DescribeLogDirs and DescribeProducers say about a log. */
#include "handle/broker_fixture.h"
#include "wire/api_delete_records.h"
#include "wire/api_describe_log_dirs.h"
#include "wire/api_describe_producers.h"

#include <cmocka.h>

static void delete_before(struct broker_fixture *f, const char *topic, int32_t partition,
                          int64_t offset, enum error expected, int64_t low_watermark)
{
    struct exchange exchange;
    struct delete_records_request *body = exchange_begin(f, &exchange, API_DELETE_RECORDS, 2);
    struct delete_records_request_delete_records_partition asked = {partition, offset};
    struct delete_records_request_delete_records_topic asked_topic = {slice_of(topic), &asked, 1};
    body->topics = &asked_topic;
    body->topics_count = 1;
    const struct delete_records_response *answer = exchange_run(f, &exchange);
    assert_slice(answer->topics[0].name, topic);
    assert_kafka_error(answer->topics[0].partitions[0].error_code, expected);
    assert_int_equal(answer->topics[0].partitions[0].low_watermark, low_watermark);
    exchange_done(&exchange);
}

/* Up to an offset, up to the high watermark, never back, never beyond. */
static void the_start_of_a_log_moves(void **state)
{
    struct broker_fixture *f = *state;
    fixture_topic(f, "orders", 1);
    fixture_append(f, "orders", 0, 10, -1);
    delete_before(f, "orders", 0, 4, ERROR_NONE, 4);
    delete_before(f, "orders", 0, 2, ERROR_NONE, 4);
    delete_before(f, "orders", 0, 11, ERROR_OFFSET_OUT_OF_RANGE, -1);
    delete_before(f, "orders", 0, -2, ERROR_OFFSET_OUT_OF_RANGE, -1);
    delete_before(f, "orders", 0, INT64_MAX, ERROR_OFFSET_OUT_OF_RANGE, -1);
    delete_before(f, "orders", 0, -1, ERROR_NONE, 10);
}

/* What is not there, and what only compacts. */
static void other_partitions_are_refused(void **state)
{
    struct broker_fixture *f = *state;
    fixture_topic(f, "orders", 1);
    delete_before(f, "orders", 1, 0, ERROR_UNKNOWN_TOPIC_OR_PARTITION, -1);
    delete_before(f, "orders", -1, 0, ERROR_UNKNOWN_TOPIC_OR_PARTITION, -1);
    delete_before(f, "missing", 0, 0, ERROR_UNKNOWN_TOPIC_OR_PARTITION, -1);
    fixture_set(f, "log.cleanup.policy", "compact");
    fixture_topic(f, "table", 1);
    delete_before(f, "table", 0, 0, ERROR_POLICY_VIOLATION, -1);
}

/* The directory, its space, and every partition's bytes. */
static void log_directories_are_described(void **state)
{
    struct broker_fixture *f = *state;
    fixture_topic(f, "a", 2);
    fixture_topic(f, "b", 1);
    fixture_append(f, "a", 1, 5, -1);
    for (int16_t version = 1; version <= 5; version++) {
        struct exchange exchange;
        struct describe_log_dirs_request *body =
            exchange_begin(f, &exchange, API_DESCRIBE_LOG_DIRS, version);
        body->topics = NULL;
        const struct describe_log_dirs_response *answer = exchange_run(f, &exchange);
        assert_int_equal(answer->results_count, 1);
        assert_slice(answer->results[0].log_dir, "/data");
        assert_int_equal(answer->results[0].topics_count, 2);
        assert_slice(answer->results[0].topics[0].name, "a");
        assert_int_equal(answer->results[0].topics[0].partitions_count, 2);
        assert_int_equal(answer->results[0].topics[0].partitions[0].partition_size, 0);
        assert_true(answer->results[0].topics[0].partitions[1].partition_size > 61);
        assert_true((answer->results[0].total_bytes > 0) == (version >= 4));
        exchange_done(&exchange);
    }
}

/* Only what is asked for, and of that what is here. */
static void asked_partitions_are_described(void **state)
{
    struct broker_fixture *f = *state;
    struct exchange exchange;
    fixture_topic(f, "a", 2);
    struct describe_log_dirs_request *body = exchange_begin(f, &exchange, API_DESCRIBE_LOG_DIRS, 4);
    int32_t partitions[] = {1, 7};
    struct describe_log_dirs_request_describable_log_dir_topic topics[] = {
        {slice_of("a"), partitions, 2}, {slice_of("missing"), partitions, 1}};
    body->topics = topics;
    body->topics_count = 2;
    const struct describe_log_dirs_response *answer = exchange_run(f, &exchange);
    assert_int_equal(answer->results[0].topics_count, 1);
    assert_int_equal(answer->results[0].topics[0].partitions_count, 1);
    assert_int_equal(answer->results[0].topics[0].partitions[0].partition_index, 1);
    exchange_done(&exchange);
}

/* Who produced idempotently, and nobody else. */
static void producers_are_described(void **state)
{
    struct broker_fixture *f = *state;
    struct exchange exchange;
    fixture_topic(f, "orders", 1);
    fixture_append(f, "orders", 0, 3, -1);
    fixture_append(f, "orders", 0, 4, 17);
    struct describe_producers_request *body =
        exchange_begin(f, &exchange, API_DESCRIBE_PRODUCERS, 0);
    int32_t partitions[] = {0, 5};
    struct describe_producers_request_topic_request topic = {slice_of("orders"), partitions, 2};
    body->topics = &topic;
    body->topics_count = 1;
    const struct describe_producers_response *answer = exchange_run(f, &exchange);
    const struct describe_producers_response_partition_response *found =
        answer->topics[0].partitions;
    assert_kafka_error(found[0].error_code, ERROR_NONE);
    assert_int_equal(found[0].active_producers_count, 1);
    assert_int_equal(found[0].active_producers[0].producer_id, 17);
    assert_int_equal(found[0].active_producers[0].last_sequence, 3);
    assert_int_equal(found[0].active_producers[0].current_txn_start_offset, -1);
    assert_kafka_error(found[1].error_code, ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    exchange_done(&exchange);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BROKER(the_start_of_a_log_moves),      WITH_BROKER(other_partitions_are_refused),
        WITH_BROKER(log_directories_are_described), WITH_BROKER(asked_partitions_are_described),
        WITH_BROKER(producers_are_described),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
