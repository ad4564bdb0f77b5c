/* SPDX-License-Identifier: Apache-2.0 */
/* DeleteTopics by name and by id. */
#include "handle/broker_fixture.h"
#include "wire/api_delete_topics.h"

#include <cmocka.h>

static struct delete_topics_request *by_names(struct broker_fixture *f, struct exchange *exchange,
                                              int16_t version, const char *const *names,
                                              uint32_t count)
{
    struct delete_topics_request *body = exchange_begin(f, exchange, API_DELETE_TOPICS, version);
    body->timeout_ms = 1000;
    body->topic_names = arena_allocate_array(&exchange->arena, count, sizeof *body->topic_names);
    body->topics = arena_allocate_array(&exchange->arena, count, sizeof *body->topics);
    for (uint32_t i = 0; i < count; i++) {
        body->topic_names[i] = slice_of(names[i]);
        body->topics[i].name = slice_of(names[i]);
    }
    body->topic_names_count = body->topics_count = count;
    return body;
}

/* In every version, by name: gone from the catalog and from the node. */
static void topics_are_deleted_by_name(void **state)
{
    struct broker_fixture *f = *state;
    for (int16_t version = 1; version <= 6; version++) {
        static const char *const names[] = {"orders", "missing"};
        struct exchange exchange;
        fixture_topic(f, "orders", 2);
        by_names(f, &exchange, version, names, 2);
        const struct delete_topics_response *answer = exchange_run(f, &exchange);
        assert_int_equal(answer->responses_count, 2);
        assert_kafka_error(answer->responses[0].error_code, ERROR_NONE);
        assert_slice(answer->responses[0].name, "orders");
        assert_kafka_error(answer->responses[1].error_code, ERROR_UNKNOWN_TOPIC_OR_PARTITION);
        assert_null(catalog_topic_find(f->broker.catalog, slice_of("orders")));
        assert_null(partition_table_find(f->broker.partitions, slice_of("orders"), 0));
        exchange_done(&exchange);
    }
}

/* By id the answer names the topic; an unknown id is told as one. */
static void topics_are_deleted_by_id(void **state)
{
    struct broker_fixture *f = *state;
    struct exchange exchange;
    struct uuid id = fixture_topic(f, "orders", 1)->id;
    struct uuid unknown = uuid_random(f->broker.executor);
    static const char *const none[] = {NULL, NULL};
    struct delete_topics_request *body = by_names(f, &exchange, 6, none, 2);
    body->topics[0].topic_id = id;
    body->topics[1].topic_id = unknown;
    const struct delete_topics_response *answer = exchange_run(f, &exchange);
    assert_kafka_error(answer->responses[0].error_code, ERROR_NONE);
    assert_slice(answer->responses[0].name, "orders");
    assert_kafka_error(answer->responses[1].error_code, ERROR_UNKNOWN_TOPIC_ID);
    assert_true(uuid_equals(&answer->responses[1].topic_id, &unknown));
    exchange_done(&exchange);
}

/* A topic named twice, in whatever way, or in no way or both ways, is not deleted. */
static void ambiguous_requests_are_refused(void **state)
{
    struct broker_fixture *f = *state;
    struct exchange exchange;
    struct uuid id = fixture_topic(f, "orders", 1)->id;
    static const char *const names[] = {"orders", NULL, NULL};
    struct delete_topics_request *body = by_names(f, &exchange, 6, names, 3);
    body->topics[1].topic_id = id;
    const struct delete_topics_response *answer = exchange_run(f, &exchange);
    for (uint32_t i = 0; i < 3; i++)
        assert_kafka_error(answer->responses[i].error_code, ERROR_INVALID_REQUEST);
    exchange_done(&exchange);

    body = by_names(f, &exchange, 6, names, 1);
    body->topics[0].topic_id = id;
    answer = exchange_run(f, &exchange);
    assert_kafka_error(answer->responses[0].error_code, ERROR_INVALID_REQUEST);
    exchange_done(&exchange);
    assert_int_equal(catalog_topic_count(f->broker.catalog), 1);
}

/* delete.topic.enable=false, as old and new clients hear of it. */
static void deletion_may_be_disabled(void **state)
{
    struct broker_fixture *f = *state;
    static const char *const names[] = {"orders"};
    fixture_topic(f, "orders", 1);
    fixture_set(f, "delete.topic.enable", "false");
    for (int16_t version = 2; version <= 3; version++) {
        struct exchange exchange;
        by_names(f, &exchange, version, names, 1);
        const struct delete_topics_response *answer = exchange_run(f, &exchange);
        assert_kafka_error(answer->responses[0].error_code,
                           version < 3 ? ERROR_INVALID_REQUEST : ERROR_TOPIC_DELETION_DISABLED);
        exchange_done(&exchange);
    }
    assert_int_equal(f->proposal_count, 3); /* The fixture's own. */
}

/* Somebody else deletes it between check and quorum: told as unknown by the name it was asked. */
static void a_lost_race_is_told_by_name(void **state)
{
    struct broker_fixture *f = *state;
    static const char *const names[] = {"orders"};
    struct exchange exchange;
    fixture_topic(f, "orders", 1);
    f->proposer_error = ERROR_UNKNOWN_TOPIC_ID;
    by_names(f, &exchange, 5, names, 1);
    const struct delete_topics_response *answer = exchange_run(f, &exchange);
    assert_kafka_error(answer->responses[0].error_code, ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    exchange_done(&exchange);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BROKER(topics_are_deleted_by_name),     WITH_BROKER(topics_are_deleted_by_id),
        WITH_BROKER(ambiguous_requests_are_refused), WITH_BROKER(deletion_may_be_disabled),
        WITH_BROKER(a_lost_race_is_told_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
