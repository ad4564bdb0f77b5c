/* SPDX-License-Identifier: Apache-2.0 */
/* Incremental fetch sessions (KIP-227): what is remembered between requests, and for how long. */
#include "handle/fetch_fixture.h"
#include "handle/fetch_session.h"

#include <cmocka.h>

/* Topic "orders" with `partitions` of one batch of 10 records each. */
static void fill(struct broker_fixture *f, uint32_t partitions)
{
    fixture_topic(f, "orders", partitions);
    for (int32_t i = 0; i < (int32_t)partitions; i++)
        fixture_append(f, "orders", i, 10, -1);
}

static void session_begin(struct broker_fixture *f, struct fetching *fetching, int32_t id,
                          int32_t epoch)
{
    fetching_begin(f, fetching, 12);
    fetching->body->session_id = id;
    fetching->body->session_epoch = epoch;
}

/* Opens a session over partitions 0.. of orders, from offset 0; gives its id. */
static int32_t session_open(struct broker_fixture *f, int32_t partitions)
{
    struct fetching fetching;
    session_begin(f, &fetching, 0, 0);
    for (int32_t i = 0; i < partitions; i++)
        fetching_add(&fetching, "orders", i, 0);
    fetching_run(&fetching);
    assert_kafka_error(fetching.answer->error_code, ERROR_NONE);
    assert_int_equal(fetching_answer_count(&fetching), partitions);
    int32_t id = fetching.answer->session_id;
    fetching_done(&fetching);
    return id;
}

/* Nothing but the session is named: the top-level outcome. */
static void session_answers(struct broker_fixture *f, int32_t id, int32_t epoch,
                            enum error expected)
{
    struct fetching fetching;
    session_begin(f, &fetching, id, epoch);
    fetching_run(&fetching);
    assert_kafka_error(fetching.answer->error_code, expected);
    if (expected != ERROR_NONE)
        assert_int_equal(fetching.answer->responses_count, 0);
    fetching_done(&fetching);
}

/* The first request makes it, with an id that is not 0; the next names nothing and gets records. */
static void a_session_remembers_its_partitions(void **state)
{
    struct broker_fixture *f = *state;
    fill(f, 2);
    int32_t id = session_open(f, 2);
    assert_true(id > 0);
    struct fetching fetching;
    session_begin(f, &fetching, id, 1);
    fetching_run(&fetching);
    assert_int_equal(fetching.answer->session_id, id);
    assert_int_equal(record_count(fetching_find(&fetching, "orders", 0)), 10);
    assert_int_equal(record_count(fetching_find(&fetching, "orders", 1)), 10);
    fetching_done(&fetching);
}

/* Only what moved is named; only what is new is answered. */
static void an_incremental_answer_leaves_out_what_is_known(void **state)
{
    struct broker_fixture *f = *state;
    fill(f, 3);
    int32_t id = session_open(f, 3);
    struct fetching fetching;
    session_begin(f, &fetching, id, 1);
    for (int32_t i = 0; i < 3; i++)
        fetching_add(&fetching, "orders", i, 10);
    fetching_run(&fetching);
    assert_kafka_error(fetching.answer->error_code, ERROR_NONE);
    assert_int_equal(fetching_answer_count(&fetching), 0);
    fetching_done(&fetching);
    fixture_append(f, "orders", 1, 4, -1);
    session_begin(f, &fetching, id, 2);
    fetching_run(&fetching);
    assert_int_equal(fetching_answer_count(&fetching), 1);
    assert_int_equal(record_count(fetching_find(&fetching, "orders", 1)), 4);
    fetching_done(&fetching);
}

/* A log start that moved is news without records. */
static void a_moved_log_start_is_news(void **state)
{
    struct broker_fixture *f = *state;
    int64_t low_watermark;
    fill(f, 2);
    int32_t id = session_open(f, 2);
    struct fetching fetching;
    session_begin(f, &fetching, id, 1);
    fetching_add(&fetching, "orders", 0, 10);
    fetching_add(&fetching, "orders", 1, 10);
    fetching_run(&fetching);
    fetching_done(&fetching);
    struct partition *partition = partition_table_find(f->broker.partitions, slice_of("orders"), 1);
    assert_int_equal(partition_delete_records(partition, 4, &low_watermark), ERROR_NONE);
    session_begin(f, &fetching, id, 2);
    fetching_run(&fetching);
    assert_int_equal(fetching_answer_count(&fetching), 1);
    assert_int_equal(fetching_find(&fetching, "orders", 1)->log_start_offset, 4);
    fetching_done(&fetching);
}

/* An error is said in every answer until it ends, and its end is news. */
static void an_error_is_said_every_time(void **state)
{
    struct broker_fixture *f = *state;
    fill(f, 1);
    struct fetching fetching;
    session_begin(f, &fetching, 0, 0);
    fetching_add(&fetching, "orders", 0, 10);
    fetching_add(&fetching, "later", 0, 0);
    fetching_run(&fetching);
    int32_t id = fetching.answer->session_id;
    fetching_done(&fetching);
    for (int32_t epoch = 1; epoch < 3; epoch++) {
        session_begin(f, &fetching, id, epoch);
        fetching_run(&fetching);
        assert_int_equal(fetching_answer_count(&fetching), 1);
        assert_kafka_error(fetching_find(&fetching, "later", 0)->error_code,
                           ERROR_UNKNOWN_TOPIC_OR_PARTITION);
        fetching_done(&fetching);
    }
    fixture_topic(f, "later", 1);
    session_begin(f, &fetching, id, 3);
    fetching_run(&fetching);
    assert_int_equal(fetching_answer_count(&fetching), 1);
    assert_kafka_error(fetching_find(&fetching, "later", 0)->error_code, ERROR_NONE);
    fetching_done(&fetching);
}

/* Forgotten topics are not fetched any more; forgetting what is not there is no error. */
static void forgotten_partitions_are_not_answered(void **state)
{
    struct broker_fixture *f = *state;
    fill(f, 3);
    int32_t id = session_open(f, 3);
    struct fetching fetching;
    session_begin(f, &fetching, id, 1);
    fetching_forget(&fetching, "orders", 0);
    fetching_forget(&fetching, "orders", 2);
    fetching_forget(&fetching, "orders", 77);
    fetching_forget(&fetching, "missing", 0);
    fetching_run(&fetching);
    assert_kafka_error(fetching.answer->error_code, ERROR_NONE);
    assert_int_equal(fetching_answer_count(&fetching), 1);
    assert_int_equal(record_count(fetching_find(&fetching, "orders", 1)), 10);
    fetching_done(&fetching);
    /* And taken up again. */
    session_begin(f, &fetching, id, 2);
    fetching_add(&fetching, "orders", 0, 5);
    fetching_run(&fetching);
    assert_int_equal(record_count(fetching_find(&fetching, "orders", 0)), 10);
    assert_null(fetching_find(&fetching, "orders", 2));
    fetching_done(&fetching);
}

/* Epochs count up by one; any other is INVALID_FETCH_SESSION_EPOCH and changes nothing. */
static void epochs_count_up_by_one(void **state)
{
    struct broker_fixture *f = *state;
    fill(f, 1);
    int32_t id = session_open(f, 1);
    session_answers(f, id, 2, ERROR_INVALID_FETCH_SESSION_EPOCH);
    session_answers(f, id, 1, ERROR_NONE);
    session_answers(f, id, 1, ERROR_INVALID_FETCH_SESSION_EPOCH);
    session_answers(f, id, 3, ERROR_INVALID_FETCH_SESSION_EPOCH);
    session_answers(f, id, 2, ERROR_NONE);
    session_answers(f, id, INT32_MAX, ERROR_INVALID_FETCH_SESSION_EPOCH);
    session_answers(f, id, -2, ERROR_INVALID_FETCH_SESSION_EPOCH);
    session_answers(f, id, 3, ERROR_NONE);
}

/* Ids nobody gave out. */
static void an_unknown_session_is_not_found(void **state)
{
    struct broker_fixture *f = *state;
    fill(f, 1);
    int32_t id = session_open(f, 1);
    session_answers(f, id ^ 1, 1, ERROR_FETCH_SESSION_ID_NOT_FOUND);
    session_answers(f, 0, 1, ERROR_FETCH_SESSION_ID_NOT_FOUND);
    session_answers(f, -1, 1, ERROR_FETCH_SESSION_ID_NOT_FOUND);
}

/* Epoch -1 ends the session (and is a full fetch of what it names); 0 with its id begins anew. */
static void a_session_ends_with_epoch_minus_one(void **state)
{
    struct broker_fixture *f = *state;
    fill(f, 1);
    int32_t id = session_open(f, 1);
    struct fetching fetching;
    session_begin(f, &fetching, id, -1);
    fetching_add(&fetching, "orders", 0, 0);
    fetching_run(&fetching);
    assert_int_equal(fetching.answer->session_id, 0);
    assert_int_equal(record_count(fetching_find(&fetching, "orders", 0)), 10);
    fetching_done(&fetching);
    session_answers(f, id, 1, ERROR_FETCH_SESSION_ID_NOT_FOUND);

    id = session_open(f, 1);
    session_begin(f, &fetching, id, 0);
    fetching_add(&fetching, "orders", 0, 0);
    fetching_run(&fetching);
    assert_int_not_equal(fetching.answer->session_id, 0);
    assert_int_not_equal(fetching.answer->session_id, id);
    fetching_done(&fetching);
    session_answers(f, id, 1, ERROR_FETCH_SESSION_ID_NOT_FOUND);
}

/* A session by names is not gone on with by ids. */
static void names_and_ids_do_not_mix(void **state)
{
    struct broker_fixture *f = *state;
    fill(f, 1);
    int32_t id = session_open(f, 1);
    struct fetching fetching;
    fetching_begin(f, &fetching, 13);
    fetching.body->session_id = id;
    fetching.body->session_epoch = 1;
    fetching_run(&fetching);
    assert_kafka_error(fetching.answer->error_code, ERROR_FETCH_SESSION_TOPIC_ID_ERROR);
    fetching_done(&fetching);
}

/* By ids: the session finds its topic whatever the name field says. */
static void a_session_by_ids_remembers_too(void **state)
{
    struct broker_fixture *f = *state;
    fill(f, 1);
    struct fetching fetching;
    fetching_begin(f, &fetching, 17);
    fetching.body->session_epoch = 0;
    fetching_add(&fetching, "orders", 0, 10);
    fetching_run(&fetching);
    int32_t id = fetching.answer->session_id;
    assert_true(id > 0);
    fetching_done(&fetching);
    fixture_append(f, "orders", 0, 3, -1);
    fetching_begin(f, &fetching, 17);
    fetching.body->session_id = id;
    fetching.body->session_epoch = 1;
    fetching_run(&fetching);
    assert_int_equal(record_count(fetching_find(&fetching, "orders", 0)), 3);
    fetching_done(&fetching);
}

/* Room for `slots` sessions. */
static void cache_of(struct broker_fixture *f, uint32_t slots)
{
    fetch_sessions_free(f->broker.fetch_sessions);
    assert_int_equal(fetch_sessions_new(f->broker.executor, slots, &f->broker.fetch_sessions),
                     ERROR_NONE);
}

/* A full cache of sessions in use gives no more: the client fetches without one. */
static void a_full_cache_serves_without_a_session(void **state)
{
    struct broker_fixture *f = *state;
    fill(f, 1);
    cache_of(f, 2);
    int32_t first = session_open(f, 1);
    int32_t second = session_open(f, 1);
    assert_true(first > 0 && second > 0 && first != second);
    assert_int_equal(session_open(f, 1), 0);
    session_answers(f, first, 1, ERROR_NONE);
    session_answers(f, second, 1, ERROR_NONE);
}

/* The one idle longest goes, after two minutes, and not one in use. */
static void the_longest_idle_session_is_evicted(void **state)
{
    struct broker_fixture *f = *state;
    fill(f, 1);
    cache_of(f, 2);
    int32_t first = session_open(f, 1);
    int32_t second = session_open(f, 1);
    simulated_executor_run_for(f->executor, 60000);
    session_answers(f, first, 1, ERROR_NONE);
    simulated_executor_run_for(f->executor, 59999);
    assert_int_equal(session_open(f, 1), 0);
    simulated_executor_run_for(f->executor, 1);
    int32_t third = session_open(f, 1);
    assert_true(third > 0);
    session_answers(f, second, 1, ERROR_FETCH_SESSION_ID_NOT_FOUND);
    session_answers(f, first, 2, ERROR_NONE);
    session_answers(f, third, 1, ERROR_NONE);
}

/* max.incremental.fetch.session.cache.slots=0: none at all. */
static void without_slots_there_are_no_sessions(void **state)
{
    struct broker_fixture *f = *state;
    fill(f, 1);
    cache_of(f, 0);
    assert_int_equal(session_open(f, 1), 0);
}

/* A small answer does not starve those behind: what was served goes to the back. */
static void partitions_take_turns_under_a_small_limit(void **state)
{
    struct broker_fixture *f = *state;
    fill(f, 3);
    int32_t id = session_open(f, 3);
    bool served[3] = {false};
    for (int32_t epoch = 1; epoch <= 3; epoch++) {
        struct fetching fetching;
        session_begin(f, &fetching, id, epoch);
        fetching.body->max_bytes = 1;
        fetching_run(&fetching);
        assert_int_equal(fetching_answer_count(&fetching), 1);
        for (int32_t i = 0; i < 3; i++)
            served[i] |= fetching_find(&fetching, "orders", i) != NULL;
        fetching_done(&fetching);
    }
    assert_true(served[0] && served[1] && served[2]);
}

/* Its session ends while a Fetch waits: the wait goes on and is answered. */
static void a_waiting_fetch_outlives_its_session(void **state)
{
    struct broker_fixture *f = *state;
    fill(f, 1);
    int32_t id = session_open(f, 1);
    struct fetching waiting;
    session_begin(f, &waiting, id, 1);
    fetching_add(&waiting, "orders", 0, 10);
    waiting.body->max_wait_ms = 60000;
    exchange_start(f, &waiting.exchange);
    simulated_executor_run_until_idle(f->executor);
    assert_int_equal(waiting.exchange.done, 0);
    session_answers(f, id, -1, ERROR_NONE);
    fixture_append(f, "orders", 0, 2, -1);
    waiting.answer = exchange_answer(&waiting.exchange);
    assert_int_equal(record_count(fetching_find(&waiting, "orders", 0)), 2);
    fetching_done(&waiting);
}

/* No topic has a name that long: what asks for it goes without a session, and is told of it. */
static void names_no_topic_has_are_not_remembered(void **state)
{
    struct broker_fixture *f = *state;
    static char name[301];
    memset(name, 'x', sizeof name - 1);
    fill(f, 1);
    struct fetching fetching;
    session_begin(f, &fetching, 0, 0);
    fetching_add(&fetching, name, 0, 0);
    fetching_add(&fetching, "orders", 0, 0);
    fetching_run(&fetching);
    assert_int_equal(fetching.answer->session_id, 0);
    assert_kafka_error(fetching_find(&fetching, name, 0)->error_code,
                       ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(record_count(fetching_find(&fetching, "orders", 0)), 10);
    fetching_done(&fetching);
    int32_t id = session_open(f, 1);
    session_begin(f, &fetching, id, 1);
    fetching_add(&fetching, name, 0, 0);
    fetching_run(&fetching);
    assert_kafka_error(fetching.answer->error_code, ERROR_FETCH_SESSION_ID_NOT_FOUND);
    fetching_done(&fetching);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BROKER(a_session_remembers_its_partitions),
        WITH_BROKER(an_incremental_answer_leaves_out_what_is_known),
        WITH_BROKER(a_moved_log_start_is_news),
        WITH_BROKER(an_error_is_said_every_time),
        WITH_BROKER(forgotten_partitions_are_not_answered),
        WITH_BROKER(epochs_count_up_by_one),
        WITH_BROKER(an_unknown_session_is_not_found),
        WITH_BROKER(a_session_ends_with_epoch_minus_one),
        WITH_BROKER(names_and_ids_do_not_mix),
        WITH_BROKER(a_session_by_ids_remembers_too),
        WITH_BROKER(a_full_cache_serves_without_a_session),
        WITH_BROKER(the_longest_idle_session_is_evicted),
        WITH_BROKER(without_slots_there_are_no_sessions),
        WITH_BROKER(partitions_take_turns_under_a_small_limit),
        WITH_BROKER(a_waiting_fetch_outlives_its_session),
        WITH_BROKER(names_no_topic_has_are_not_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
