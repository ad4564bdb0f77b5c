/* SPDX-License-Identifier: Apache-2.0 */
/* DescribeProducers: the producers a partition remembers. */
#include "handle/produce_fixture.h"
#include "wire/api_describe_producers.h"

#include <cmocka.h>

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

static void send_idempotent(struct broker_fixture *f, int64_t producer_id, int16_t epoch,
                            int32_t sequence)
{
    struct buffer *batch = batch_make_idempotent(2, producer_id, epoch, sequence);
    struct send send = send_of(batch);
    assert_kafka_error(fixture_send(f, &send).error_code, ERROR_NONE);
    buffer_unref(batch);
}

/* The last word of each producer: epoch, sequence, timestamp. */
static void each_producer_is_told_with_its_last_batch(void **state)
{
    struct broker_fixture *f = *state;
    struct exchange exchange;
    bool seen[3] = {false};
    fixture_topic(f, "orders", 1);
    for (int64_t id = 0; id < 3; id++)
        send_idempotent(f, id, 0, 0);
    send_idempotent(f, 1, 4, 0);
    send_idempotent(f, 1, 4, 2);
    struct describe_producers_request *body =
        exchange_begin(f, &exchange, API_DESCRIBE_PRODUCERS, 0);
    int32_t partition = 0;
    struct describe_producers_request_topic_request topic = {slice_of("orders"), &partition, 1};
    body->topics = &topic;
    body->topics_count = 1;
    const struct describe_producers_response *answer = exchange_run(f, &exchange);
    const struct describe_producers_response_partition_response *found =
        answer->topics[0].partitions;
    assert_int_equal(found->active_producers_count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        const struct describe_producers_response_producer_state *producer =
            &found->active_producers[i];
        assert_in_range(producer->producer_id, 0, 2);
        seen[producer->producer_id] = true;
        assert_int_equal(producer->producer_epoch, producer->producer_id == 1 ? 4 : 0);
        assert_int_equal(producer->last_sequence, producer->producer_id == 1 ? 3 : 1);
        assert_int_equal(producer->last_timestamp, SIMULATED_WALL_CLOCK_MS + 1);
        assert_int_equal(producer->coordinator_epoch, -1);
    }
    assert_true(seen[0] && seen[1] && seen[2]);
    exchange_done(&exchange);
}

/* A name that no topic can have is INVALID_TOPIC; others are unknown. */
static void other_topics_are_refused(void **state)
{
    struct broker_fixture *f = *state;
    static const struct {
        const char *topic;
        enum error error;
    } wrong[] = {{"missing", ERROR_UNKNOWN_TOPIC_OR_PARTITION}, {"a/b", ERROR_INVALID_TOPIC}};
    for (size_t i = 0; i < 2; i++) {
        struct exchange exchange;
        struct describe_producers_request *body =
            exchange_begin(f, &exchange, API_DESCRIBE_PRODUCERS, 0);
        int32_t partition = 0;
        struct describe_producers_request_topic_request topic = {slice_of(wrong[i].topic),
                                                                 &partition, 1};
        body->topics = &topic;
        body->topics_count = 1;
        const struct describe_producers_response *answer = exchange_run(f, &exchange);
        assert_kafka_error(answer->topics[0].partitions[0].error_code, wrong[i].error);
        assert_int_equal(answer->topics[0].partitions[0].active_producers_count, 0);
        exchange_done(&exchange);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BROKER(producers_are_described),
        WITH_BROKER(each_producer_is_told_with_its_last_batch),
        WITH_BROKER(other_topics_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
