/* SPDX-License-Identifier: Apache-2.0 */
/* ReplicaFetch as the leader answers it: sessions, votes, waiting, superseding, hostile input. */
#include "base/memory.h"
#include "handle/replica_fetch_fixture.h"
#include "record/build.h"

#include <cmocka.h>
#include <string.h>

enum { NEWCOMER = 4 };

/* The id of a new session comes at once, records with it when there are some. */
static void a_new_session_is_answered_at_once(void **state)
{
    struct broker_fixture *f = *state;
    fixture_replicated_topic(f, "orders");
    struct fetching fetching;
    follower_begin(f, &fetching, 0, 0);
    follower_name(f, &fetching, 0, -1);
    exchange_start(f, &fetching.exchange);
    simulated_executor_run_for(f->executor, 0);
    const struct replica_fetch_response *answer = exchange_answer(&fetching.exchange);
    assert_int_equal(answer->topics_count, 0);
    follower_end(&fetching);
    orders_append(f);

    follower_begin(f, &fetching, 0, 0);
    follower_name(f, &fetching, 0, -1);
    answer = follower_run(f, &fetching);

    assert_int_equal(answer->topics_count, 1);
    assert_true(answer->topics[0].partitions[0].records.data.size > 0);
    assert_int_equal(answer->topics[0].partitions[0].high_watermark, 0);
    follower_end(&fetching);
}

/* `orders` 0 as the empty log of node 4 would ask for it; its answer's error. */
static enum error newcomer_asks(struct broker_fixture *f)
{
    struct fetching fetching;
    follower_begin(f, &fetching, 0, 0);
    follower_name(f, &fetching, 0, -1);
    fetching.exchange.request.requester.peer_node_id = NEWCOMER;
    fetching.body->node_id = NEWCOMER;
    fetching.body->node_epoch = follower_epoch_of(f, NEWCOMER);
    fetching.body->max_wait_ms = 0;
    const struct replica_fetch_response *answer = follower_run(f, &fetching);
    int16_t code = answer->topics_count == 0 ? 0 : answer->topics[0].partitions[0].error_code;
    follower_end(&fetching);
    return code == 0 ? ERROR_NONE : error_from_kafka(code);
}

/* A node that heard of its replica before its leader did is told to ask again: it would say where
 * it is only once, and an idle partition would never take it into its ISR. */
static void a_node_not_yet_known_as_a_replica_is_told_to_ask_again(void **state)
{
    struct broker_fixture *f = *state;
    const struct catalog_assignment target = {.replicas = {1, 2, 3, 4}, .replica_count = 4};
    struct catalog_command command = {.kind = CATALOG_REASSIGN,
                                      .topic_id = fixture_replicated_topic(f, "orders")->id,
                                      .assignments = &target,
                                      .assignment_count = 1};
    fixture_add_node(f, NEWCOMER);
    assert_int_equal(newcomer_asks(f), ERROR_UNKNOWN_LEADER_EPOCH);

    assert_int_equal(fixture_propose(f, &command).error, ERROR_NONE);

    assert_int_equal(newcomer_asks(f), ERROR_NONE);
}

/* A request without news waits for a record and carries it; without one it ends at its wait. */
static void a_request_waits_for_records(void **state)
{
    struct broker_fixture *f = *state;
    fixture_replicated_topic(f, "orders");
    int32_t id = follower_session_begin(f, 0, -1);
    struct fetching fetching;
    follower_begin(f, &fetching, id, 1);
    exchange_start(f, &fetching.exchange);
    simulated_executor_run_for(f->executor, WAIT_MS - 10);
    assert_int_equal(fetching.exchange.done, 0);
    orders_append(f);
    simulated_executor_run_for(f->executor, 1);
    const struct replica_fetch_response *answer = exchange_answer(&fetching.exchange);
    assert_int_equal(answer->topics_count, 1);
    assert_true(answer->topics[0].partitions[0].records.data.size > 0);
    follower_end(&fetching);

    follower_begin(f, &fetching, id, 2);
    exchange_start(f, &fetching.exchange);
    simulated_executor_run_for(f->executor, WAIT_MS + 1);

    answer = exchange_answer(&fetching.exchange);
    assert_int_equal(answer->topics_count, 0); /* The record is on its way: not sent twice. */
    follower_end(&fetching);
}

/* The next request ends the wait of the one before, whose answer comes first. */
static void a_newer_request_ends_the_wait_of_the_older(void **state)
{
    struct broker_fixture *f = *state;
    fixture_replicated_topic(f, "orders");
    int32_t id = follower_session_begin(f, 0, -1);
    struct fetching older, newer;
    follower_begin(f, &older, id, 1);
    exchange_start(f, &older.exchange);
    follower_begin(f, &newer, id, 2);
    exchange_start(f, &newer.exchange);

    simulated_executor_run_for(f->executor, 0);

    assert_int_equal(older.exchange.done, 1);
    assert_int_equal(newer.exchange.done, 0);
    simulated_executor_run_for(f->executor, WAIT_MS + 1);
    assert_int_equal(newer.exchange.done, 1);
    follower_end(&older);
    follower_end(&newer);
}

/* Votes of both followers commit; the moved high watermark is told soon, without records. */
static void votes_commit_and_the_high_watermark_is_told(void **state)
{
    struct broker_fixture *f = *state;
    fixture_replicated_topic(f, "orders");
    int32_t id = follower_session_begin(f, 0, -1);
    struct appending appending;
    appending_start(f, &appending, -1);
    simulated_executor_run_until_idle(f->executor);
    struct fetching fetching;
    follower_begin(f, &fetching, id, 1);
    follower_name(f, &fetching, 1, partition_leader_epoch(follower_orders(f)));
    exchange_start(f, &fetching.exchange);
    simulated_executor_run_for(f->executor, 1);
    assert_int_equal(appending.done, 0);

    partition_replica_progress(follower_orders(f), 3, follower_epoch_of(f, 3), 1, 1, 0);
    simulated_executor_run_for(f->executor, 3);

    assert_int_equal(appending.append.error, ERROR_NONE);
    const struct replica_fetch_response *answer = exchange_answer(&fetching.exchange);
    assert_int_equal(answer->topics_count, 1);
    assert_int_equal(answer->topics[0].partitions[0].high_watermark, 1);
    assert_int_equal(answer->topics[0].partitions[0].records.data.size, 0);
    follower_end(&fetching);
    buffer_unref(appending.batch);
}

/* Named again at the same place while records are on their way there, it only votes; forgotten
 * first, it gets them again. */
static void records_are_sent_again_only_to_one_that_forgot(void **state)
{
    struct broker_fixture *f = *state;
    fixture_replicated_topic(f, "orders");
    orders_append(f);
    int32_t id = follower_session_begin(f, 0, -1); /* Which carried the record. */
    struct fetching fetching;
    follower_begin(f, &fetching, id, 1);
    follower_name(f, &fetching, 0, -1);
    fetching.body->max_wait_ms = 0;
    assert_int_equal(follower_run(f, &fetching)->topics_count, 0);
    follower_end(&fetching);

    int32_t index = 0;
    follower_begin(f, &fetching, id, 2);
    follower_name(f, &fetching, 0, -1);
    fetching.forgotten = (struct replica_fetch_request_forgotten_topic){
        .topic_id = fetching.topic.topic_id, .partitions = &index, .partitions_count = 1};
    fetching.body->forgotten = &fetching.forgotten;
    fetching.body->forgotten_count = 1;
    const struct replica_fetch_response *answer = follower_run(f, &fetching);

    assert_int_equal(answer->topics_count, 1);
    assert_true(answer->topics[0].partitions[0].records.data.size > 0);
    follower_end(&fetching);
}

/* How far node 2's vote goes, by the high watermark once everybody else has voted for all. */
static int64_t vote_of_node_2(struct broker_fixture *f)
{
    struct partition_offsets offsets;
    partition_replica_progress(follower_orders(f), 3, follower_epoch_of(f, 3), 3, 3, 0);
    assert_int_equal(partition_offsets(follower_orders(f), &offsets), ERROR_NONE);
    return offsets.high_watermark;
}

/* Behind records it still works on it may ask for more; its vote is what its log holds. */
static void one_that_asks_ahead_votes_for_what_it_has(void **state)
{
    struct broker_fixture *f = *state;
    fixture_replicated_topic(f, "orders");
    orders_append(f);
    orders_append(f);
    int32_t id = follower_session_begin(f, 0, -1); /* Which carried both records. */
    orders_append(f);
    struct fetching fetching;
    follower_begin(f, &fetching, id, 1);
    follower_name(f, &fetching, 2, partition_leader_epoch(follower_orders(f)));
    fetching.partition.end_offset = 1;
    const struct replica_fetch_response *answer = follower_run(f, &fetching);

    assert_int_equal(answer->topics_count, 1);
    assert_true(answer->topics[0].partitions[0].records.data.size > 0);
    assert_int_equal(vote_of_node_2(f), 1);
    follower_end(&fetching);

    /* The rest is on its way to it: now it only votes. */
    follower_begin(f, &fetching, id, 2);
    follower_name(f, &fetching, 2, partition_leader_epoch(follower_orders(f)));
    fetching.body->max_wait_ms = 0;
    answer = follower_run(f, &fetching);
    assert_true(answer->topics_count == 0 ||
                answer->topics[0].partitions[0].records.data.size == 0);
    assert_int_equal(vote_of_node_2(f), 2);
    follower_end(&fetching);
}

/* Nothing was sent to it in this session: what lies between its end and its place is unknown, and
 * nothing it says is believed. */
static void one_that_asks_ahead_of_nothing_is_refused(void **state)
{
    struct broker_fixture *f = *state;
    fixture_replicated_topic(f, "orders");
    orders_append(f);
    orders_append(f);
    orders_append(f);
    struct fetching fetching;
    follower_begin(f, &fetching, 0, 0);
    follower_name(f, &fetching, 2, partition_leader_epoch(follower_orders(f)));
    fetching.partition.end_offset = 1;
    const struct replica_fetch_response *answer = follower_run(f, &fetching);
    assert_kafka_error(answer->topics[0].partitions[0].error_code, ERROR_UNKNOWN_LEADER_EPOCH);
    assert_int_equal(vote_of_node_2(f), 0);
    follower_end(&fetching);

    follower_begin(f, &fetching, 0, 0);
    follower_name(f, &fetching, 1, partition_leader_epoch(follower_orders(f)));
    fetching.partition.end_offset = 2;
    assert_kafka_error(follower_run(f, &fetching)->error_code, ERROR_INVALID_REQUEST);
    follower_end(&fetching);
}

/* A follower whose log parts from ours is told where, and gets nothing. */
static void a_log_that_parts_is_told_where(void **state)
{
    struct broker_fixture *f = *state;
    fixture_replicated_topic(f, "orders");
    orders_append(f);
    struct fetching fetching;
    follower_begin(f, &fetching, 0, 0);
    follower_name(f, &fetching, 7, partition_leader_epoch(follower_orders(f)));

    const struct replica_fetch_response *answer = follower_run(f, &fetching);

    const struct replica_fetch_response_replica_partition *got = &answer->topics[0].partitions[0];
    assert_int_equal(got->diverging_epoch, partition_leader_epoch(follower_orders(f)));
    assert_int_equal(got->diverging_end_offset, 1);
    assert_int_equal(got->records.data.size, 0);
    follower_end(&fetching);
}

/* What a leader is asked in another epoch, or of another topic, it refuses, partition by partition.
 */
static void other_epochs_and_topics_are_refused(void **state)
{
    struct broker_fixture *f = *state;
    fixture_replicated_topic(f, "orders");
    const struct {
        int32_t epoch, index;
        bool other_topic;
        enum error expected;
    } cases[] = {{-1, 0, false, ERROR_FENCED_LEADER_EPOCH},
                 {1, 0, false, ERROR_UNKNOWN_LEADER_EPOCH},
                 {0, 0, true, ERROR_UNKNOWN_TOPIC_ID},
                 {0, 9, false, ERROR_UNKNOWN_TOPIC_ID},
                 {0, 1, false, ERROR_NOT_LEADER_OR_FOLLOWER}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fetching fetching;
        follower_begin(f, &fetching, 0, 0);
        follower_name(f, &fetching, 0, -1);
        fetching.partition.leader_epoch += cases[i].epoch;
        fetching.partition.partition_index = cases[i].index;
        fetching.topic.topic_id.bytes[3] ^= cases[i].other_topic;
        const struct replica_fetch_response *answer = follower_run(f, &fetching);
        assert_int_equal(answer->topics_count, 1);
        assert_kafka_error(answer->topics[0].partitions[0].error_code, cases[i].expected);
        follower_end(&fetching);
    }
}

/* Who speaks for another node, or from an earlier life, is refused as a whole. */
static void only_the_node_itself_speaks_for_it(void **state)
{
    struct broker_fixture *f = *state;
    fixture_replicated_topic(f, "orders");
    struct fetching fetching;
    follower_begin(f, &fetching, 0, 0);
    fetching.body->node_id = 3;
    assert_kafka_error(follower_run(f, &fetching)->error_code, ERROR_CLUSTER_AUTHORIZATION_FAILED);
    assert_true(fetching.exchange.request.close_after);
    follower_end(&fetching);

    follower_begin(f, &fetching, 0, 0);
    fetching.exchange.request.requester.peer_node_id = PEER_CLIENT;
    assert_kafka_error(follower_run(f, &fetching)->error_code, ERROR_CLUSTER_AUTHORIZATION_FAILED);
    follower_end(&fetching);

    follower_begin(f, &fetching, 0, 0);
    fetching.body->node_epoch--;
    assert_kafka_error(follower_run(f, &fetching)->error_code, ERROR_STALE_BROKER_EPOCH);
    follower_end(&fetching);
}

/* A session is known by its id and goes on in order. */
static void a_session_goes_on_in_order(void **state)
{
    struct broker_fixture *f = *state;
    fixture_replicated_topic(f, "orders");
    int32_t id = follower_session_begin(f, 0, -1);
    struct fetching fetching;
    follower_begin(f, &fetching, id + 1, 1);
    assert_kafka_error(follower_run(f, &fetching)->error_code, ERROR_FETCH_SESSION_ID_NOT_FOUND);
    follower_end(&fetching);
    follower_begin(f, &fetching, id, 2);
    assert_kafka_error(follower_run(f, &fetching)->error_code, ERROR_INVALID_FETCH_SESSION_EPOCH);
    follower_end(&fetching);
    follower_begin(f, &fetching, id, 1);
    fetching.body->max_wait_ms = 0;
    assert_kafka_error(follower_run(f, &fetching)->error_code, ERROR_NONE);
    follower_end(&fetching);

    (void)follower_session_begin(f, 0, -1);
    follower_begin(f, &fetching, id, 2);
    assert_kafka_error(follower_run(f, &fetching)->error_code, ERROR_FETCH_SESSION_ID_NOT_FOUND);
    follower_end(&fetching);
}

/* Numbers no follower would send do no harm. */
static void senseless_numbers_do_no_harm(void **state)
{
    struct broker_fixture *f = *state;
    fixture_replicated_topic(f, "orders");
    orders_append(f);
    const int64_t numbers[] = {INT64_MIN, -1, 0, 1, 2, INT64_MAX};
    enum { NUMBERS = sizeof numbers / sizeof numbers[0] };
    for (size_t i = 0; i < NUMBERS * NUMBERS * NUMBERS; i++) {
        struct fetching fetching;
        follower_begin(f, &fetching, 0, 0);
        follower_name(f, &fetching, numbers[i % NUMBERS], (int32_t)numbers[i / NUMBERS % NUMBERS]);
        fetching.partition.synced_offset = numbers[i / NUMBERS / NUMBERS];
        fetching.partition.log_start_offset = numbers[i / NUMBERS / NUMBERS];
        fetching.partition.high_watermark = numbers[i / NUMBERS % NUMBERS];
        fetching.partition.max_bytes = (int32_t)numbers[i % NUMBERS];
        fetching.body->max_bytes = (int32_t)numbers[i / NUMBERS % NUMBERS];
        fetching.body->max_wait_ms = (int32_t)numbers[i % NUMBERS];
        (void)follower_run(f, &fetching);
        follower_end(&fetching);
    }
    assert_int_equal(partition_role(follower_orders(f)), PARTITION_LEADER);
}

/* A topic deleted while its replicas wait: they hear of it, and nothing holds it. */
static void a_deleted_topic_is_told(void **state)
{
    struct broker_fixture *f = *state;
    const struct catalog_topic *topic = fixture_replicated_topic(f, "orders");
    int32_t id = follower_session_begin(f, 0, -1);
    struct fetching fetching;
    follower_begin(f, &fetching, id, 1);
    exchange_start(f, &fetching.exchange);
    struct catalog_command command = {.kind = CATALOG_TOPIC_DELETE, .topic_id = topic->id};
    assert_int_equal(fixture_propose(f, &command).error, ERROR_NONE);

    simulated_executor_run_until_idle(f->executor);

    const struct replica_fetch_response *answer = exchange_answer(&fetching.exchange);
    assert_int_equal(answer->topics_count, 1);
    assert_kafka_error(answer->topics[0].partitions[0].error_code, ERROR_UNKNOWN_TOPIC_ID);
    follower_end(&fetching);
}

/* A connection that goes takes its request along; the session's next life begins anew. */
static void a_lost_connection_ends_the_wait(void **state)
{
    struct broker_fixture *f = *state;
    fixture_replicated_topic(f, "orders");
    int32_t id = follower_session_begin(f, 0, -1);
    struct fetching fetching;
    follower_begin(f, &fetching, id, 1);
    exchange_start(f, &fetching.exchange);

    request_cancel(&fetching.exchange.request);
    simulated_executor_run_until_idle(f->executor);

    assert_int_equal(fetching.exchange.done, 1);
    assert_null(exchange_answer(&fetching.exchange));
    follower_end(&fetching);
    orders_append(f);
    (void)follower_session_begin(f, 0, -1);
}

/* Memory refused at any point: an answer or a closed connection, and nothing kept. */
static void refused_memory_closes_the_connection_at_worst(void **state)
{
    struct broker_fixture *f = *state;
    fixture_replicated_topic(f, "orders");
    orders_append(f);
    const void *answer = NULL;
    for (long countdown = 0; answer == NULL; countdown++) {
        struct fetching fetching;
        follower_begin(f, &fetching, 0, 0);
        follower_name(f, &fetching, 0, -1);
        exchange_encode(&fetching.exchange);
        memory_fault_arm(countdown);
        handle_start(&fetching.exchange.request);
        simulated_executor_run_until_idle(f->executor);
        memory_fault_arm(-1);
        answer = exchange_answer(&fetching.exchange);
        follower_end(&fetching);
        assert_true(countdown < 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BROKER(a_new_session_is_answered_at_once),
        WITH_BROKER(a_node_not_yet_known_as_a_replica_is_told_to_ask_again),
        WITH_BROKER(a_request_waits_for_records),
        WITH_BROKER(a_newer_request_ends_the_wait_of_the_older),
        WITH_BROKER(votes_commit_and_the_high_watermark_is_told),
        WITH_BROKER(records_are_sent_again_only_to_one_that_forgot),
        WITH_BROKER(one_that_asks_ahead_votes_for_what_it_has),
        WITH_BROKER(one_that_asks_ahead_of_nothing_is_refused),
        WITH_BROKER(a_log_that_parts_is_told_where),
        WITH_BROKER(other_epochs_and_topics_are_refused),
        WITH_BROKER(only_the_node_itself_speaks_for_it),
        WITH_BROKER(a_session_goes_on_in_order),
        WITH_BROKER(senseless_numbers_do_no_harm),
        WITH_BROKER(a_deleted_topic_is_told),
        WITH_BROKER(a_lost_connection_ends_the_wait),
        WITH_BROKER(refused_memory_closes_the_connection_at_worst),
    };
    return cmocka_run_group_tests_name("replica_fetch", tests, NULL, NULL);
}
