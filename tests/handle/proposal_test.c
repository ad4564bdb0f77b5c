/* SPDX-License-Identifier: Apache-2.0 */
/* How long a request waits for the quorum: timeout_ms of CreateTopics, DeleteTopics and
 * CreatePartitions, compared with Apache Kafka 4.3.1. */
#include "handle/broker_fixture.h"

#include "base/memory.h"
#include "handle/proposal.h"
#include "wire/api_create_partitions.h"
#include "wire/api_create_topics.h"
#include "wire/api_delete_topics.h"
#include "wire/api_metadata.h"

#include <cmocka.h>

/* One of the three, about one topic. */
struct admin {
    enum api_key key;
    const char *topic;
    int32_t timeout_ms;
    bool validate_only;
};

static void fill_create(const struct admin *admin, struct arena *arena,
                        struct create_topics_request *body)
{
    body->topics = arena_allocate(arena, sizeof *body->topics);
    body->topics_count = 1;
    create_topics_request_creatable_topic_init(body->topics);
    body->topics[0].name = slice_of(admin->topic);
    body->topics[0].num_partitions = 1;
    body->topics[0].replication_factor = 1;
    body->timeout_ms = admin->timeout_ms;
    body->validate_only = admin->validate_only;
}

static void fill_delete(const struct admin *admin, struct arena *arena,
                        struct delete_topics_request *body)
{
    body->topics = arena_allocate(arena, sizeof *body->topics);
    body->topics_count = 1;
    body->topics[0].name = slice_of(admin->topic);
    body->timeout_ms = admin->timeout_ms;
}

static void fill_grow(const struct admin *admin, struct arena *arena,
                      struct create_partitions_request *body)
{
    body->topics = arena_allocate(arena, sizeof *body->topics);
    body->topics_count = 1;
    body->topics[0].name = slice_of(admin->topic);
    body->topics[0].count = 5;
    body->timeout_ms = admin->timeout_ms;
    body->validate_only = admin->validate_only;
}

static void admin_start(struct broker_fixture *f, struct exchange *exchange,
                        const struct admin *admin)
{
    int16_t version = admin->key == API_DELETE_TOPICS ? 6 : admin->key == API_CREATE_TOPICS ? 7 : 3;
    void *body = exchange_begin(f, exchange, (int16_t)admin->key, version);
    if (admin->key == API_CREATE_TOPICS)
        fill_create(admin, &exchange->arena, body);
    else if (admin->key == API_DELETE_TOPICS)
        fill_delete(admin, &exchange->arena, body);
    else
        fill_grow(admin, &exchange->arena, body);
    exchange_start(f, exchange);
    while (simulated_executor_pending_tasks(f->executor) > 0)
        simulated_executor_step(f->executor);
}

static int16_t admin_error(struct exchange *exchange)
{
    const void *answer = exchange_answer(exchange);
    switch (exchange->request.api->key) {
    case API_CREATE_TOPICS:
        return ((const struct create_topics_response *)answer)->topics[0].error_code;
    case API_DELETE_TOPICS:
        return ((const struct delete_topics_response *)answer)->responses[0].error_code;
    default:
        return ((const struct create_partitions_response *)answer)->results[0].error_code;
    }
}

/* The answer comes after `after_ms` of waiting for a quorum that does not answer. */
static void admin_answers(struct broker_fixture *f, struct admin admin, int64_t after_ms,
                          enum error expected)
{
    struct exchange exchange;
    admin_start(f, &exchange, &admin);
    if (after_ms > 0) {
        simulated_executor_run_for(f->executor, after_ms - 1);
        assert_int_equal(exchange.done, 0);
        simulated_executor_run_for(f->executor, 1);
    }
    assert_kafka_error(admin_error(&exchange), expected);
    exchange_done(&exchange);
}

static bool there_is(struct broker_fixture *f, const char *topic)
{
    return catalog_topic_find(f->broker.catalog, slice_of(topic)) != NULL;
}

/* No time to wait: nothing is proposed, and whatever is asked has timed out. */
static void without_time_nothing_is_done(void **state)
{
    struct broker_fixture *f = *state;
    fixture_topic(f, "orders", 1);
    uint32_t proposals = f->proposal_count;
    for (int32_t timeout_ms = -1; timeout_ms <= 0; timeout_ms++) {
        admin_answers(f, (struct admin){API_CREATE_TOPICS, "new", timeout_ms, false}, 0,
                      ERROR_REQUEST_TIMED_OUT);
        admin_answers(f, (struct admin){API_CREATE_TOPICS, "new", timeout_ms, true}, 0,
                      ERROR_REQUEST_TIMED_OUT);
        admin_answers(f, (struct admin){API_DELETE_TOPICS, "orders", timeout_ms, false}, 0,
                      ERROR_REQUEST_TIMED_OUT);
        admin_answers(f, (struct admin){API_DELETE_TOPICS, "missing", timeout_ms, false}, 0,
                      ERROR_REQUEST_TIMED_OUT);
        admin_answers(f, (struct admin){API_CREATE_PARTITIONS, "orders", timeout_ms, false}, 0,
                      ERROR_REQUEST_TIMED_OUT);
    }
    assert_int_equal(f->proposal_count, proposals);
    assert_true(there_is(f, "orders"));
    assert_false(there_is(f, "new"));
}

/* The quorum does not answer in time: the client is told, and it may be done later all the same. */
static void a_late_quorum_does_it_after_the_answer(void **state)
{
    struct broker_fixture *f = *state;
    fixture_topic(f, "orders", 1);
    fixture_topic(f, "payments", 1);
    f->proposals_wait = true;
    admin_answers(f, (struct admin){API_CREATE_TOPICS, "new", 700, false}, 700,
                  ERROR_REQUEST_TIMED_OUT);
    admin_answers(f, (struct admin){API_DELETE_TOPICS, "orders", 1, false}, 1,
                  ERROR_REQUEST_TIMED_OUT);
    admin_answers(f, (struct admin){API_CREATE_PARTITIONS, "payments", 30000, false}, 30000,
                  ERROR_REQUEST_TIMED_OUT);
    assert_false(there_is(f, "new"));
    assert_true(there_is(f, "orders"));
    fixture_propose_waiting(f);
    assert_true(there_is(f, "new"));
    assert_false(there_is(f, "orders"));
    assert_int_equal(catalog_topic_find(f->broker.catalog, slice_of("payments"))->partition_count,
                     5);
    assert_int_equal(f->broker.partitions_pending, 0);
}

/* It answers in time: what it says is told, and the deadline is forgotten. */
static void a_quorum_in_time_is_believed(void **state)
{
    struct broker_fixture *f = *state;
    struct exchange exchange;
    f->proposals_wait = true;
    admin_start(f, &exchange, &(struct admin){API_CREATE_TOPICS, "new", 1000, false});
    simulated_executor_run_for(f->executor, 999);
    assert_int_equal(exchange.done, 0);
    fixture_propose_waiting(f);
    assert_kafka_error(admin_error(&exchange), ERROR_NONE);
    exchange_done(&exchange);
    simulated_executor_run_for(f->executor, 10000);
    assert_true(there_is(f, "new"));
}

/* Metadata that makes a topic does not wait for ever either: the topic is unknown yet. */
static void metadata_waits_five_seconds_for_a_new_topic(void **state)
{
    struct broker_fixture *f = *state;
    struct exchange exchange;
    f->proposals_wait = true;
    struct metadata_request *body = exchange_begin(f, &exchange, API_METADATA, 9);
    struct metadata_request_topic topic = {.name = slice_of("new")};
    body->topics = &topic;
    body->topics_count = 1;
    exchange_start(f, &exchange);
    simulated_executor_run_for(f->executor, 4999);
    assert_int_equal(exchange.done, 0);
    simulated_executor_run_for(f->executor, 1);
    const struct metadata_response *answer = exchange_answer(&exchange);
    assert_kafka_error(answer->topics[0].error_code, ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    exchange_done(&exchange);
    fixture_propose_waiting(f);
    assert_true(there_is(f, "new"));
}

/* The node goes down with proposals on their way that nobody will end. */
static void proposals_of_a_crashed_node_are_let_go_of(void **state)
{
    struct broker_fixture *f = *state;
    f->proposals_wait = true;
    admin_answers(f, (struct admin){API_CREATE_TOPICS, "new", 10, false}, 10,
                  ERROR_REQUEST_TIMED_OUT);
    struct list *link = list_take(&f->waiting);
    memory_free(container_of(link, struct catalog_proposal, link)->bytes);
    proposals_drop(&f->broker);
    proposals_drop(&f->broker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BROKER(without_time_nothing_is_done),
        WITH_BROKER(a_late_quorum_does_it_after_the_answer),
        WITH_BROKER(a_quorum_in_time_is_believed),
        WITH_BROKER(metadata_waits_five_seconds_for_a_new_topic),
        WITH_BROKER(proposals_of_a_crashed_node_are_let_go_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
