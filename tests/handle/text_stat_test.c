/* SPDX-License-Identifier: Apache-2.0 */
/* TextStat: how far a partition reaches, where places are, and waiting for stable storage. */
#include "handle/broker_fixture.h"
#include "wire/api_text_stat.h"

#include <cmocka.h>

enum { PLACES = 5 };

struct asking {
    struct exchange exchange;
    struct text_stat_request_topic topic;
    struct text_stat_request_partition partition;
    struct text_stat_request_place places[PLACES];
};

/* orders 0 without places; more may be filled in before it is run. */
static struct text_stat_request *begin(struct broker_fixture *f, struct asking *asking)
{
    *asking = (struct asking){0};
    struct text_stat_request *body = exchange_begin(f, &asking->exchange, API_TEXT_STAT, 0);
    asking->exchange.request.requester.peer_node_id = 2;
    asking->topic.topic_id = catalog_topic_find(f->broker.catalog, slice_of("orders"))->id;
    asking->partition.places = asking->places;
    asking->topic.partitions = &asking->partition;
    asking->topic.partitions_count = 1;
    body->topics = &asking->topic;
    body->topics_count = 1;
    return body;
}

static const struct text_stat_response_partition_answer *run(struct broker_fixture *f,
                                                             struct asking *asking)
{
    const struct text_stat_response *answer = exchange_run(f, &asking->exchange);
    assert_non_null(answer);
    assert_kafka_error(answer->error_code, ERROR_NONE);
    return &answer->topics[0].partitions[0];
}

/* Offsets, text and size; nothing of a partition that nothing was stored in. */
static void a_partition_is_measured(void **state)
{
    struct asking asking;
    fixture_topic(*state, "orders", 1);
    begin(*state, &asking);
    const struct text_stat_response_partition_answer *answer = run(*state, &asking);
    assert_kafka_error(answer->error_code, ERROR_NONE);
    assert_int_equal(answer->text_end, 0);
    assert_int_equal(answer->max_timestamp, -1);
    exchange_done(&asking.exchange);
    fixture_append(*state, "orders", 0, 3, -1);
    begin(*state, &asking);
    answer = run(*state, &asking);
    assert_int_equal(answer->high_watermark, 3);
    assert_int_equal(answer->log_end_offset, 3);
    assert_true(answer->text_end > 0);
    assert_true(answer->log_size_bytes > 61);
    assert_true(answer->max_timestamp > 0);
    exchange_done(&asking.exchange);
}

/* Places outside are the nearest inside; a kind there is not is refused. */
static void places_are_found(void **state)
{
    struct asking asking;
    static const struct text_stat_request_place places[PLACES] = {
        {0, 1}, {0, 99}, {1, 2}, {2, INT64_MAX}, {3, 0}};
    static const int64_t offsets[PLACES] = {1, 3, 1, 3, 0};
    fixture_topic(*state, "orders", 1);
    fixture_append(*state, "orders", 0, 3, -1);
    begin(*state, &asking);
    memcpy(asking.places, places, sizeof places);
    asking.partition.places_count = PLACES;
    const struct text_stat_response_partition_answer *answer = run(*state, &asking);
    assert_kafka_error(answer->error_code, ERROR_NONE);
    for (size_t i = 0; i < PLACES; i++)
        assert_int_equal(answer->places[i].offset, offsets[i]);
    assert_int_equal(answer->places[1].position, answer->text_end);
    assert_true(answer->places[0].position > 0 && answer->places[0].position < answer->text_end);
    exchange_done(&asking.exchange);
    begin(*state, &asking);
    asking.places[0].kind = 9;
    asking.partition.places_count = 1;
    assert_kafka_error(run(*state, &asking)->error_code, ERROR_INVALID_REQUEST);
    exchange_done(&asking.exchange);
}

/* With Sync the answer comes once everything is on stable storage. */
static void a_sync_is_waited_for(void **state)
{
    struct asking asking;
    fixture_topic(*state, "orders", 1);
    fixture_append(*state, "orders", 0, 3, -1);
    struct text_stat_request *body = begin(*state, &asking);
    body->sync = true;
    body->max_wait_ms = 1000;
    (void)run(*state, &asking);
    exchange_done(&asking.exchange);
    begin(*state, &asking)->sync = true; /* Of two partitions, or none, it is refused. */
    struct text_stat_request *none = asking.exchange.body;
    none->topics_count = 0;
    const struct text_stat_response *answer = exchange_run(*state, &asking.exchange);
    assert_kafka_error(answer->error_code, ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    exchange_done(&asking.exchange);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BROKER(a_partition_is_measured),
        WITH_BROKER(places_are_found),
        WITH_BROKER(a_sync_is_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
