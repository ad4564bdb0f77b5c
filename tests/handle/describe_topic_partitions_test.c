/* SPDX-License-Identifier: Apache-2.0 */
/* DescribeTopicPartitions: pages through topics in name order. */
#include "handle/broker_fixture.h"
#include "wire/api_describe_topic_partitions.h"

#include <cmocka.h>
#include <stdio.h>

static struct describe_topic_partitions_request *begin(struct broker_fixture *f,
                                                       struct exchange *exchange, int32_t limit)
{
    struct describe_topic_partitions_request *body =
        exchange_begin(f, exchange, API_DESCRIBE_TOPIC_PARTITIONS, 0);
    body->response_partition_limit = limit;
    body->topics = WIRE_EMPTY;
    return body;
}

static void ask(struct exchange *exchange, struct describe_topic_partitions_request *body,
                const char *const *names, uint32_t count)
{
    body->topics = arena_allocate_array(&exchange->arena, count, sizeof *body->topics);
    body->topics_count = count;
    for (uint32_t i = 0; i < count; i++)
        body->topics[i].name = slice_of(names[i]);
}

static void set_cursor(struct exchange *exchange, struct describe_topic_partitions_request *body,
                       struct slice topic, int32_t partition)
{
    body->cursor = arena_allocate(&exchange->arena, sizeof *body->cursor);
    body->cursor->topic_name = arena_copy(&exchange->arena, topic);
    body->cursor->partition_index = partition;
}

/* Whatever the page's size, all pages together are every partition once, in order. */
static void pages_add_up_to_everything(void **state)
{
    struct broker_fixture *f = *state;
    fixture_topic(f, "b", 3);
    fixture_topic(f, "a", 2);
    fixture_topic(f, "c", 4);
    for (int32_t limit = 1; limit <= 10; limit++) {
        char seen[200] = "";
        char topic[32] = "";
        int32_t partition = -1;
        for (int pages = 0; pages < 20; pages++) {
            struct exchange exchange;
            struct describe_topic_partitions_request *body = begin(f, &exchange, limit);
            if (partition >= 0)
                set_cursor(&exchange, body, slice_of(topic), partition);
            const struct describe_topic_partitions_response *answer = exchange_run(f, &exchange);
            int32_t listed = 0;
            for (uint32_t i = 0; i < answer->topics_count; i++) {
                for (uint32_t j = 0; j < answer->topics[i].partitions_count; j++, listed++)
                    snprintf(seen + strlen(seen), sizeof seen - strlen(seen), "%.*s%d ",
                             SLICE_PRINT(answer->topics[i].name),
                             answer->topics[i].partitions[j].partition_index);
            }
            assert_true(listed <= limit);
            partition = answer->next_cursor == NULL ? -1 : answer->next_cursor->partition_index;
            if (answer->next_cursor != NULL)
                snprintf(topic, sizeof topic, "%.*s", SLICE_PRINT(answer->next_cursor->topic_name));
            exchange_done(&exchange);
            if (partition < 0)
                break;
        }
        assert_string_equal(seen, "a0 a1 b0 b1 b2 c0 c1 c2 c3 ");
    }
}

/* Topics that are named come sorted, once, the missing ones with their error. */
static void named_topics_are_described(void **state)
{
    struct broker_fixture *f = *state;
    struct exchange exchange;
    static const char *const names[] = {"missing", "a", "a/b", "a"};
    struct uuid id = fixture_topic(f, "a", 1)->id;
    ask(&exchange, begin(f, &exchange, 100), names, 4);
    const struct describe_topic_partitions_response *answer = exchange_run(f, &exchange);
    assert_int_equal(answer->topics_count, 3);
    assert_slice(answer->topics[0].name, "a");
    assert_kafka_error(answer->topics[0].error_code, ERROR_NONE);
    assert_true(uuid_equals(&answer->topics[0].topic_id, &id));
    assert_int_equal(answer->topics[0].partitions[0].leader_id, 1);
    assert_int_equal(answer->topics[0].partitions[0].isr_nodes_count, 1);
    assert_non_null(answer->topics[0].partitions[0].eligible_leader_replicas);
    assert_kafka_error(answer->topics[1].error_code, ERROR_INVALID_TOPIC);
    assert_kafka_error(answer->topics[2].error_code, ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_null(answer->next_cursor);
    exchange_done(&exchange);
}

/* A cursor at a topic that is gone goes on with the next; one beyond the end ends. */
static void a_stale_cursor_goes_on(void **state)
{
    struct broker_fixture *f = *state;
    struct exchange exchange;
    fixture_topic(f, "a", 1);
    fixture_topic(f, "c", 1);
    set_cursor(&exchange, begin(f, &exchange, 10), slice_of("b"), 7);
    ((struct describe_topic_partitions_request *)exchange.body)->topics_count = 0;
    const struct describe_topic_partitions_response *answer = exchange_run(f, &exchange);
    assert_int_equal(answer->topics_count, 1);
    assert_slice(answer->topics[0].name, "c");
    assert_int_equal(answer->topics[0].partitions_count, 1);
    exchange_done(&exchange);
    set_cursor(&exchange, begin(f, &exchange, 10), slice_of("z"), 0);
    answer = exchange_run(f, &exchange);
    assert_int_equal(answer->topics_count, 0);
    exchange_done(&exchange);
}

/* Limits a client makes up: at least one partition, at most the node's; a negative cursor is no
 * request. */
static void hostile_limits_are_bounded(void **state)
{
    struct broker_fixture *f = *state;
    struct exchange exchange;
    fixture_topic(f, "a", 5);
    fixture_set(f, "max.request.partition.size.limit", "2");
    begin(f, &exchange, INT32_MIN);
    const struct describe_topic_partitions_response *answer = exchange_run(f, &exchange);
    assert_int_equal(answer->topics[0].partitions_count, 1);
    exchange_done(&exchange);
    begin(f, &exchange, INT32_MAX);
    answer = exchange_run(f, &exchange);
    assert_int_equal(answer->topics[0].partitions_count, 2);
    exchange_done(&exchange);
    set_cursor(&exchange, begin(f, &exchange, 10), slice_of("a"), -1);
    assert_null(exchange_run(f, &exchange));
    assert_true(exchange.request.close_connection);
    exchange_done(&exchange);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BROKER(pages_add_up_to_everything),
        WITH_BROKER(named_topics_are_described),
        WITH_BROKER(a_stale_cursor_goes_on),
        WITH_BROKER(hostile_limits_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
