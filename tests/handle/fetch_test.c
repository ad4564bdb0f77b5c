/* SPDX-License-Identifier: Apache-2.0 */
/* Fetch: limits, waiting, and what is said of each partition. Sessions: fetch_session_test.c. */
#include "handle/fetch_fixture.h"

#include <cmocka.h>

/* Topic "orders" with `partitions`; each holds `batches` batches of 10 records. */
static void fill(struct broker_fixture *f, uint32_t partitions, int batches)
{
    fixture_topic(f, "orders", partitions);
    for (int32_t i = 0; i < (int32_t)partitions; i++) {
        for (int j = 0; j < batches; j++)
            fixture_append(f, "orders", i, 10, -1);
    }
}

static size_t batch_bytes(void)
{
    struct buffer *batch = batch_make(10, SIMULATED_WALL_CLOCK_MS);
    size_t size = batch->size;
    buffer_unref(batch);
    return size;
}

/* What was produced comes back, and where the log begins and ends, in every version. */
static void every_version_gets_the_records(void **state)
{
    struct broker_fixture *f = *state;
    fill(f, 1, 3);
    for (int16_t version = 4; version <= 18; version++) {
        struct fetching fetching;
        fetching_begin(f, &fetching, version);
        fetching_add(&fetching, "orders", 0, 0);
        fetching_run(&fetching);
        assert_kafka_error(fetching.answer->error_code, ERROR_NONE);
        assert_int_equal(fetching.answer->session_id, 0);
        const struct fetch_response_partition_data *data = fetching_find(&fetching, "orders", 0);
        assert_kafka_error(data->error_code, ERROR_NONE);
        assert_int_equal(data->high_watermark, 30);
        assert_int_equal(data->last_stable_offset, 30);
        assert_int_equal(data->log_start_offset, version >= 5 ? 0 : -1);
        assert_int_equal(record_count(data), 30);
        assert_int_equal(data->preferred_read_replica, -1);
        fetching_done(&fetching);
    }
}

/* From the batch that holds the offset: its head is the client's to drop. */
static void an_offset_inside_a_batch_gives_the_whole_batch(void **state)
{
    struct broker_fixture *f = *state;
    fill(f, 1, 3);
    struct fetching fetching;
    fetching_begin(f, &fetching, 12);
    fetching_add(&fetching, "orders", 0, 15);
    fetching_run(&fetching);
    assert_int_equal(record_count(fetching_find(&fetching, "orders", 0)), 20);
    fetching_done(&fetching);
}

/* max_bytes and partition_max_bytes below a batch: the first batch of the answer comes whole
 * (KIP-74), so that a consumer always gets on. */
static void the_first_batch_comes_whole_whatever_the_limits(void **state)
{
    struct broker_fixture *f = *state;
    fill(f, 1, 3);
    static const int32_t limits[] = {0, 1, 60, -5};
    for (size_t i = 0; i < 2 * (sizeof limits / sizeof limits[0]); i++) {
        struct fetching fetching;
        fetching_begin(f, &fetching, 12);
        struct fetch_request_fetch_partition *asked = fetching_add(&fetching, "orders", 0, 0);
        if (i % 2 == 0)
            fetching.body->max_bytes = limits[i / 2];
        else
            asked->partition_max_bytes = limits[i / 2];
        fetching_run(&fetching);
        assert_int_equal(record_count(fetching_find(&fetching, "orders", 0)), 10);
        fetching_done(&fetching);
    }
}

/* Only the first partition gets more than its limit; the whole answer stays within max_bytes. */
static void later_partitions_stay_within_what_is_left(void **state)
{
    struct broker_fixture *f = *state;
    fill(f, 3, 2);
    struct fetching fetching;
    fetching_begin(f, &fetching, 12);
    for (int32_t i = 0; i < 3; i++)
        fetching_add(&fetching, "orders", i, 0);
    fetching.body->max_bytes = (int32_t)(3 * batch_bytes() + batch_bytes() / 2);
    fetching_run(&fetching);
    assert_int_equal(record_count(fetching_find(&fetching, "orders", 0)), 20);
    assert_int_equal(record_count(fetching_find(&fetching, "orders", 1)), 10);
    assert_int_equal(record_count(fetching_find(&fetching, "orders", 2)), 0);
    size_t bytes = 0;
    for (int32_t i = 0; i < 3; i++)
        bytes += fetching_find(&fetching, "orders", i)->records.data.size;
    assert_true(bytes <= (size_t)fetching.body->max_bytes);
    fetching_done(&fetching);
}

/* partition_max_bytes bounds a partition that is not the first to give records. */
static void a_partitions_own_limit_holds(void **state)
{
    struct broker_fixture *f = *state;
    fill(f, 2, 3);
    struct fetching fetching;
    fetching_begin(f, &fetching, 12);
    fetching_add(&fetching, "orders", 0, 0)->partition_max_bytes = (int32_t)batch_bytes() + 1;
    fetching_add(&fetching, "orders", 1, 0)->partition_max_bytes = 10;
    fetching_run(&fetching);
    assert_int_equal(record_count(fetching_find(&fetching, "orders", 0)), 10);
    assert_int_equal(record_count(fetching_find(&fetching, "orders", 1)), 0);
    fetching_done(&fetching);
}

/* The node's fetch.max.bytes bounds what a client may ask for. */
static void the_nodes_own_limit_holds(void **state)
{
    struct broker_fixture *f = *state;
    fixture_set(f, "fetch.max.bytes", "1024");
    fill(f, 2, 20);
    struct fetching fetching;
    fetching_begin(f, &fetching, 12);
    fetching_add(&fetching, "orders", 0, 0);
    fetching_add(&fetching, "orders", 1, 0);
    fetching_run(&fetching);
    assert_true(fetching_find(&fetching, "orders", 0)->records.data.size <= 1024);
    assert_true(record_count(fetching_find(&fetching, "orders", 0)) > 0);
    fetching_done(&fetching);
}

static void park(struct fetching *fetching, int32_t max_wait_ms, int32_t min_bytes)
{
    fetching->body->max_wait_ms = max_wait_ms;
    fetching->body->min_bytes = min_bytes;
    exchange_start(fetching->f, &fetching->exchange);
    while (simulated_executor_pending_tasks(fetching->f->executor) > 0)
        simulated_executor_step(fetching->f->executor);
}

static void collect(struct fetching *fetching)
{
    fetching->answer = exchange_answer(&fetching->exchange);
}

/* At the end of the log a Fetch waits, and an append wakes it. */
static void an_append_wakes_a_waiting_fetch(void **state)
{
    struct broker_fixture *f = *state;
    fill(f, 2, 1);
    struct fetching fetching;
    fetching_begin(f, &fetching, 12);
    fetching_add(&fetching, "orders", 0, 10);
    fetching_add(&fetching, "orders", 1, 10);
    park(&fetching, 60000, 1);
    assert_int_equal(fetching.exchange.done, 0);
    fixture_append(f, "orders", 1, 5, -1);
    assert_int_equal(fetching.exchange.done, 1);
    collect(&fetching);
    assert_int_equal(record_count(fetching_find(&fetching, "orders", 0)), 0);
    assert_int_equal(record_count(fetching_find(&fetching, "orders", 1)), 5);
    fetching_done(&fetching);
}

/* min_bytes: woken, but it goes on waiting until there is enough over all partitions. */
static void a_fetch_waits_for_min_bytes_over_all_partitions(void **state)
{
    struct broker_fixture *f = *state;
    fill(f, 2, 0);
    struct fetching fetching;
    fetching_begin(f, &fetching, 12);
    fetching_add(&fetching, "orders", 0, 0);
    fetching_add(&fetching, "orders", 1, 0);
    park(&fetching, 60000, (int32_t)(2 * batch_bytes()));
    fixture_append(f, "orders", 0, 10, -1);
    assert_int_equal(fetching.exchange.done, 0);
    fixture_append(f, "orders", 1, 10, -1);
    assert_int_equal(fetching.exchange.done, 1);
    collect(&fetching);
    assert_int_equal(record_count(fetching_find(&fetching, "orders", 0)), 10);
    assert_int_equal(record_count(fetching_find(&fetching, "orders", 1)), 10);
    fetching_done(&fetching);
}

/* Nothing came: after max_wait_ms the answer is empty, not before, not an error. */
static void a_waiting_fetch_ends_after_max_wait(void **state)
{
    struct broker_fixture *f = *state;
    fill(f, 1, 1);
    struct fetching fetching;
    fetching_begin(f, &fetching, 12);
    fetching_add(&fetching, "orders", 0, 10);
    park(&fetching, 500, 1);
    simulated_executor_run_for(f->executor, 499);
    assert_int_equal(fetching.exchange.done, 0);
    simulated_executor_run_for(f->executor, 1);
    collect(&fetching);
    const struct fetch_response_partition_data *data = fetching_find(&fetching, "orders", 0);
    assert_kafka_error(data->error_code, ERROR_NONE);
    assert_int_equal(record_count(data), 0);
    assert_int_equal(data->high_watermark, 10);
    fetching_done(&fetching);
}

/* Too little is given after max_wait_ms rather than kept back. */
static void after_max_wait_what_there_is_is_given(void **state)
{
    struct broker_fixture *f = *state;
    fill(f, 1, 1);
    struct fetching fetching;
    fetching_begin(f, &fetching, 12);
    fetching_add(&fetching, "orders", 0, 0);
    park(&fetching, 500, 1 << 20);
    assert_int_equal(fetching.exchange.done, 0);
    simulated_executor_run_for(f->executor, 500);
    collect(&fetching);
    assert_int_equal(record_count(fetching_find(&fetching, "orders", 0)), 10);
    fetching_done(&fetching);
}

/* A client that went away, or a node that stops, does not wait. */
static void a_cancelled_fetch_is_answered_at_once(void **state)
{
    struct broker_fixture *f = *state;
    fill(f, 1, 1);
    struct fetching fetching;
    fetching_begin(f, &fetching, 12);
    fetching_add(&fetching, "orders", 0, 10);
    park(&fetching, 60000, 1);
    request_cancel(&fetching.exchange.request);
    simulated_executor_run_until_idle(f->executor);
    assert_int_equal(fetching.exchange.done, 1);
    collect(&fetching);
    fetching_done(&fetching);
    f->broker.stopping = true;
    fetching_begin(f, &fetching, 12);
    fetching_add(&fetching, "orders", 0, 10);
    park(&fetching, 60000, 1);
    assert_int_equal(fetching.exchange.done, 1);
    collect(&fetching);
    fetching_done(&fetching);
    f->broker.stopping = false;
}

/* The topic goes while somebody waits: said at once. */
static void deleting_the_topic_wakes_a_waiting_fetch(void **state)
{
    struct broker_fixture *f = *state;
    fill(f, 1, 1);
    struct fetching fetching;
    fetching_begin(f, &fetching, 12);
    fetching_add(&fetching, "orders", 0, 10);
    park(&fetching, 60000, 1);
    partition_table_remove(f->broker.partitions, "orders", 0);
    simulated_executor_run_until_idle(f->executor);
    assert_int_equal(fetching.exchange.done, 1);
    collect(&fetching);
    assert_kafka_error(fetching_find(&fetching, "orders", 0)->error_code,
                       ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    fetching_done(&fetching);
}

static void answered_with(struct broker_fixture *f, int16_t version, const char *topic,
                          int32_t partition, int64_t offset, enum error expected)
{
    struct fetching fetching;
    fetching_begin(f, &fetching, version);
    fetching_add(&fetching, topic, partition, offset);
    fetching_add(&fetching, "orders", 0, 0);
    /* An error is news: no waiting, though the client would. */
    park(&fetching, 60000, 1 << 20);
    collect(&fetching);
    assert_kafka_error(fetching.answer->error_code, ERROR_NONE);
    const struct fetch_response_partition_data *data = &fetching.answer->responses[0].partitions[0];
    assert_int_equal(data->partition_index, partition);
    assert_kafka_error(data->error_code, expected);
    assert_int_equal(data->high_watermark, -1);
    assert_int_equal(record_count(data), 0);
    assert_int_equal(record_count(fetching_find(&fetching, "orders", 0)), 10);
    fetching_done(&fetching);
}

/* One partition's error is its own, ends the waiting, and leaves the others their records. */
static void an_error_of_one_partition_is_said_at_once(void **state)
{
    struct broker_fixture *f = *state;
    fill(f, 2, 1);
    answered_with(f, 12, "missing", 0, 0, ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    answered_with(f, 13, "missing", 0, 0, ERROR_UNKNOWN_TOPIC_ID);
    answered_with(f, 12, "orders", 7, 0, ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    answered_with(f, 13, "orders", -1, 0, ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    answered_with(f, 12, "orders", 1, 11, ERROR_OFFSET_OUT_OF_RANGE);
    answered_with(f, 12, "orders", 1, -1, ERROR_OFFSET_OUT_OF_RANGE);
    answered_with(f, 12, "orders", 1, INT64_MAX, ERROR_OFFSET_OUT_OF_RANGE);
}

/* Records deleted from the start are out of range. */
static void an_offset_below_the_log_start_is_out_of_range(void **state)
{
    struct broker_fixture *f = *state;
    int64_t low_watermark;
    fill(f, 2, 1);
    struct partition *partition = partition_table_find(f->broker.partitions, slice_of("orders"), 1);
    assert_int_equal(partition_delete_records(partition, 4, &low_watermark), ERROR_NONE);
    answered_with(f, 12, "orders", 1, 3, ERROR_OFFSET_OUT_OF_RANGE);
}

/* What a client believes of the leader's epoch is held against it (KIP-320). */
static void a_wrong_leader_epoch_is_refused(void **state)
{
    struct broker_fixture *f = *state;
    fill(f, 1, 1);
    int32_t epoch =
        partition_leader_epoch(partition_table_find(f->broker.partitions, slice_of("orders"), 0));
    for (int32_t delta = -1; delta <= 1; delta++) {
        struct fetching fetching;
        if (epoch + delta < 0)
            continue;
        fetching_begin(f, &fetching, 12);
        fetching_add(&fetching, "orders", 0, 0)->current_leader_epoch = epoch + delta;
        fetching_run(&fetching);
        const struct fetch_response_partition_data *data = fetching_find(&fetching, "orders", 0);
        assert_kafka_error(data->error_code, delta < 0    ? ERROR_FENCED_LEADER_EPOCH
                                             : delta == 0 ? ERROR_NONE
                                                          : ERROR_UNKNOWN_LEADER_EPOCH);
        fetching_done(&fetching);
    }
}

/* Two epochs: 0 up to offset 10, this leader's from there on. */
static int32_t new_epoch(struct broker_fixture *f)
{
    const struct catalog_topic *topic = catalog_topic_find(f->broker.catalog, slice_of("orders"));
    struct partition *partition = partition_table_find(f->broker.partitions, slice_of("orders"), 0);
    struct partition_config config = *partition_config(partition);
    int32_t epoch = partition_leader_epoch(partition) + 5;
    struct partition_assignment led = partition_assigned_alone(f->broker.node_id, epoch);
    assert_int_equal(partition_table_assign(f->broker.partitions, "orders", &topic->id, 0, &config,
                                            &led, NULL, NULL),
                     ERROR_NONE);
    fixture_append(f, "orders", 0, 10, -1);
    return epoch;
}

static void diverges(struct broker_fixture *f, int64_t offset, int32_t last_epoch,
                     int32_t expected_epoch, int64_t expected_end)
{
    struct fetching fetching;
    fetching_begin(f, &fetching, 12);
    fetching_add(&fetching, "orders", 0, offset)->last_fetched_epoch = last_epoch;
    park(&fetching, 60000, 1);
    collect(&fetching);
    const struct fetch_response_partition_data *data = fetching_find(&fetching, "orders", 0);
    assert_kafka_error(data->error_code, ERROR_NONE);
    assert_int_equal(data->diverging_epoch.epoch, expected_epoch);
    assert_int_equal(data->diverging_epoch.end_offset, expected_end);
    assert_int_equal(data->high_watermark, 20);
    assert_int_equal(record_count(data) == 0, expected_epoch >= 0);
    fetching_done(&fetching);
}

/* A last epoch that ended earlier here than the client got to: told where the logs part, also when
 * its offset is beyond this log. */
static void a_diverging_log_is_told_where(void **state)
{
    struct broker_fixture *f = *state;
    fill(f, 1, 1);
    int32_t epoch = new_epoch(f);
    diverges(f, 15, epoch, -1, -1);
    diverges(f, 10, epoch - 5, -1, -1);
    diverges(f, 15, epoch - 5, epoch - 5, 10);
    diverges(f, 15, epoch - 1, epoch - 5, 10);
    diverges(f, 99, epoch - 5, epoch - 5, 10);
    diverges(f, 99, epoch, epoch, 20);
    /* One that never was here: nothing to compare with. */
    struct fetching fetching;
    fetching_begin(f, &fetching, 12);
    fetching_add(&fetching, "orders", 0, 5)->last_fetched_epoch = epoch + 1;
    fetching_run(&fetching);
    assert_kafka_error(fetching_find(&fetching, "orders", 0)->error_code,
                       ERROR_OFFSET_OUT_OF_RANGE);
    fetching_done(&fetching);
}

/* read_committed gets a list of aborted transactions, empty; read_uncommitted gets none. */
static void isolation_decides_about_aborted_transactions(void **state)
{
    struct broker_fixture *f = *state;
    fill(f, 1, 1);
    for (int8_t isolation = 0; isolation < 2; isolation++) {
        struct fetching fetching;
        fetching_begin(f, &fetching, 12);
        fetching.body->isolation_level = isolation;
        fetching_add(&fetching, "orders", 0, 0);
        fetching_run(&fetching);
        const struct fetch_response_partition_data *data = fetching_find(&fetching, "orders", 0);
        assert_int_equal(record_count(data), 10);
        assert_int_equal(data->aborted_transactions_count, 0);
        assert_int_equal(data->aborted_transactions != NULL, isolation == 1);
        fetching_done(&fetching);
    }
}

/* No client may call itself a replica (CVE-2018-1288). */
static void a_client_that_calls_itself_a_replica_is_refused(void **state)
{
    struct broker_fixture *f = *state;
    fill(f, 1, 1);
    for (int16_t version = 12; version <= 15; version += 3) {
        struct fetching fetching;
        fetching_begin(f, &fetching, version);
        fetching.body->replica_id = version < 15 ? 2 : -1;
        fetching.body->replica_state.replica_id = version < 15 ? -1 : 2;
        fetching_add(&fetching, "orders", 0, 0);
        fetching_run(&fetching);
        assert_kafka_error(fetching.answer->error_code, ERROR_CLUSTER_AUTHORIZATION_FAILED);
        assert_int_equal(fetching.answer->responses_count, 0);
        fetching_done(&fetching);
    }
}

/* Nothing asked: an empty answer, at once. */
static void an_empty_fetch_is_answered_at_once(void **state)
{
    struct broker_fixture *f = *state;
    struct fetching fetching;
    fetching_begin(f, &fetching, 12);
    park(&fetching, 60000, 1);
    collect(&fetching);
    assert_int_equal(fetching.answer->responses_count, 0);
    fetching_done(&fetching);
}

/* The answer was never encoded (the client is gone): what it holds of segments is given back, or
 * the teardown would find the log in use. */
static void an_answer_nobody_takes_lets_go_of_its_records(void **state)
{
    struct broker_fixture *f = *state;
    fill(f, 2, 2);
    struct fetching fetching;
    fetching_begin(f, &fetching, 12);
    fetching_add(&fetching, "orders", 0, 0);
    fetching_add(&fetching, "orders", 1, 0);
    exchange_start(f, &fetching.exchange);
    simulated_executor_run_until_idle(f->executor);
    assert_int_equal(fetching.exchange.done, 1);
    fetching_done(&fetching);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BROKER(every_version_gets_the_records),
        WITH_BROKER(an_offset_inside_a_batch_gives_the_whole_batch),
        WITH_BROKER(the_first_batch_comes_whole_whatever_the_limits),
        WITH_BROKER(later_partitions_stay_within_what_is_left),
        WITH_BROKER(a_partitions_own_limit_holds),
        WITH_BROKER(the_nodes_own_limit_holds),
        WITH_BROKER(an_append_wakes_a_waiting_fetch),
        WITH_BROKER(a_fetch_waits_for_min_bytes_over_all_partitions),
        WITH_BROKER(a_waiting_fetch_ends_after_max_wait),
        WITH_BROKER(after_max_wait_what_there_is_is_given),
        WITH_BROKER(a_cancelled_fetch_is_answered_at_once),
        WITH_BROKER(deleting_the_topic_wakes_a_waiting_fetch),
        WITH_BROKER(an_error_of_one_partition_is_said_at_once),
        WITH_BROKER(an_offset_below_the_log_start_is_out_of_range),
        WITH_BROKER(a_wrong_leader_epoch_is_refused),
        WITH_BROKER(a_diverging_log_is_told_where),
        WITH_BROKER(isolation_decides_about_aborted_transactions),
        WITH_BROKER(a_client_that_calls_itself_a_replica_is_refused),
        WITH_BROKER(an_empty_fetch_is_answered_at_once),
        WITH_BROKER(an_answer_nobody_takes_lets_go_of_its_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
