/* SPDX-License-Identifier: Apache-2.0 */
/* DeleteRecords: how far, and of what. */
#include "handle/broker_fixture.h"
#include "wire/api_delete_records.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BROKER(the_start_of_a_log_moves),
        WITH_BROKER(other_partitions_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
