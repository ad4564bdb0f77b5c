/* SPDX-License-Identifier: Apache-2.0 */
/* Produce: who is answered, when, and with what; by the direct way and by way of admit and prepare.
 * What a batch is refused for is in produce_checks_test.c. */
#include "handle/produce_fixture.h"

#include "record/walk.h"

#include <cmocka.h>

/* Offsets count up over batches; both ways to the log give the same. */
static void batches_get_the_next_offsets_by_either_way(void **state)
{
    struct broker_fixture *f = *state;
    fixture_topic(f, "orders", 1);
    struct buffer *batch = batch_make(3, SIMULATED_WALL_CLOCK_MS);
    struct send send = send_of(batch);
    for (int64_t i = 0; i < 4; i++) {
        send.by_both_steps = i % 2 == 1;
        struct sent sent = fixture_send(f, &send);
        assert_true(sent.answered);
        assert_kafka_error(sent.error_code, ERROR_NONE);
        assert_int_equal(sent.base_offset, 3 * i);
        assert_int_equal(sent.log_append_time_ms, -1);
        assert_int_equal(sent.log_start_offset, 0);
        assert_false(sent.has_message);
    }
    assert_int_equal(fixture_end_offset(f, "orders", 0), 12);
    buffer_unref(batch);
}

/* Every version says the same of what it can say. */
static void every_version_is_answered(void **state)
{
    struct broker_fixture *f = *state;
    fixture_topic(f, "orders", 1);
    struct buffer *batch = batch_make(1, SIMULATED_WALL_CLOCK_MS);
    struct send send = send_of(batch);
    for (send.version = 3; send.version <= 13; send.version++) {
        struct sent sent = fixture_send(f, &send);
        assert_kafka_error(sent.error_code, ERROR_NONE);
        assert_int_equal(sent.base_offset, send.version - 3);
        assert_int_equal(sent.log_start_offset, send.version < 5 ? -1 : 0);
    }
    buffer_unref(batch);
}

/* acks=0: nothing is said, and the records are there. */
static void without_acks_nothing_is_answered(void **state)
{
    struct broker_fixture *f = *state;
    fixture_topic(f, "orders", 1);
    struct buffer *batch = batch_make(2, SIMULATED_WALL_CLOCK_MS);
    struct send send = send_of(batch);
    send.acks = 0;
    struct sent sent = fixture_send(f, &send);
    assert_false(sent.answered);
    assert_false(sent.closed);
    assert_int_equal(fixture_end_offset(f, "orders", 0), 2);
    buffer_unref(batch);
}

/* acks=0 and an error: all that can be said is the end of the connection. */
static void without_acks_an_error_closes_the_connection(void **state)
{
    struct broker_fixture *f = *state;
    struct buffer *batch = batch_make(2, SIMULATED_WALL_CLOCK_MS);
    struct send send = send_of(batch);
    send.acks = 0;
    for (int way = 0; way < 2; way++) {
        send.by_both_steps = way == 1;
        struct sent sent = fixture_send(f, &send);
        assert_false(sent.answered);
        assert_true(sent.closed);
    }
    buffer_unref(batch);
}

static void run_work(struct broker_fixture *f, bool until_synced)
{
    if (until_synced)
        simulated_executor_run_until_idle(f->executor);
    while (!until_synced && simulated_executor_pending_tasks(f->executor) > 0)
        simulated_executor_step(f->executor);
}

/* With topicfs.durability=fsync acks=1 and acks=all wait for the disk; acks=0 never. */
static void acks_wait_for_stable_storage(void **state)
{
    struct broker_fixture *f = *state;
    fixture_topic(f, "orders", 1);
    struct buffer *batch = batch_make(1, SIMULATED_WALL_CLOCK_MS);
    for (int16_t acks = -1; acks <= 1; acks++) {
        struct exchange exchange;
        struct produce_request *body = exchange_begin(f, &exchange, API_PRODUCE, 9);
        struct produce_request_partition_produce_data data = {
            .records.data = slice_from(batch->data, batch->size)};
        struct produce_request_topic_produce_data topic = {slice_of("orders"), {{0}}, &data, 1};
        body->acks = acks;
        body->timeout_ms = 60000;
        body->topic_data = &topic;
        body->topic_data_count = 1;
        exchange_start(f, &exchange);
        run_work(f, false);
        assert_int_equal(exchange.done, acks == 0 ? 1 : 0);
        run_work(f, true);
        assert_int_equal(exchange.done, 1);
        exchange_answer(&exchange);
        exchange_done(&exchange);
    }
    buffer_unref(batch);
}

/* With topicfs.durability=replicated memory is enough, as in Kafka. */
static void replicated_durability_waits_for_no_disk(void **state)
{
    struct broker_fixture *f = *state;
    fixture_set(f, "topicfs.durability", "replicated");
    fixture_topic(f, "orders", 1);
    simulated_storage_fail(f->storage, &(struct simulated_fault){.operations = SIMULATED_SYNC,
                                                                 .path_part = ".log",
                                                                 .error = ERROR_STORAGE,
                                                                 .persistent = true});
    struct buffer *batch = batch_make(1, SIMULATED_WALL_CLOCK_MS);
    struct send send = send_of(batch);
    assert_kafka_error(fixture_send(f, &send).error_code, ERROR_NONE);
    simulated_storage_fail_end(f->storage);
    buffer_unref(batch);
}

/* Several topics and partitions: each has its own answer in the order asked, and what fails keeps
 * nothing else back. */
static void one_failing_topic_leaves_the_others_alone(void **state)
{
    struct broker_fixture *f = *state;
    fixture_topic(f, "a", 2);
    fixture_topic(f, "b", 1);
    struct buffer *batches[4];
    struct produce_request_partition_produce_data data[4];
    for (int32_t i = 0; i < 4; i++) {
        batches[i] = batch_make(i + 1, SIMULATED_WALL_CLOCK_MS);
        data[i] = (struct produce_request_partition_produce_data){
            .index = i == 1 ? 1 : 0,
            .records.data = slice_from(batches[i]->data, batches[i]->size)};
    }
    batches[3]->data[BATCH_RECORDS_AT]++; /* Its CRC is wrong now. */
    struct produce_request_topic_produce_data topics[] = {
        {slice_of("a"), {{0}}, &data[0], 2},
        {slice_of("missing"), {{0}}, &data[2], 1},
        {slice_of("b"), {{0}}, &data[3], 1},
        {slice_of("b"), {{0}}, &data[2], 1},
    };
    for (int way = 0; way < 2; way++) {
        struct exchange exchange;
        struct produce_request *body = exchange_begin(f, &exchange, API_PRODUCE, 9);
        *body = (struct produce_request){
            .acks = -1, .timeout_ms = 1000, .topic_data = topics, .topic_data_count = 4};
        if (way == 0)
            exchange_start(f, &exchange);
        else
            exchange_start_prepared(f, &exchange);
        simulated_executor_run_until_idle(f->executor);
        const struct produce_response *answer = exchange_answer(&exchange);
        assert_int_equal(answer->responses_count, 4);
        assert_slice(answer->responses[0].name, "a");
        assert_int_equal(answer->responses[0].partition_responses_count, 2);
        assert_kafka_error(answer->responses[0].partition_responses[0].error_code, ERROR_NONE);
        assert_int_equal(answer->responses[0].partition_responses[0].base_offset, way * 1);
        assert_int_equal(answer->responses[0].partition_responses[1].index, 1);
        assert_int_equal(answer->responses[0].partition_responses[1].base_offset, way * 2);
        assert_kafka_error(answer->responses[1].partition_responses[0].error_code,
                           ERROR_UNKNOWN_TOPIC_OR_PARTITION);
        assert_int_equal(answer->responses[1].partition_responses[0].base_offset, -1);
        assert_kafka_error(answer->responses[2].partition_responses[0].error_code,
                           ERROR_CORRUPT_MESSAGE);
        assert_kafka_error(answer->responses[3].partition_responses[0].error_code, ERROR_NONE);
        exchange_done(&exchange);
    }
    assert_int_equal(fixture_end_offset(f, "b", 0), 6);
    for (int i = 0; i < 4; i++)
        buffer_unref(batches[i]);
}

/* A request without any topic is answered at once. */
static void an_empty_request_is_answered(void **state)
{
    struct broker_fixture *f = *state;
    for (int way = 0; way < 2; way++) {
        struct exchange exchange;
        struct produce_request *body = exchange_begin(f, &exchange, API_PRODUCE, 9);
        *body = (struct produce_request){.acks = -1, .topic_data = WIRE_EMPTY};
        if (way == 0)
            exchange_start(f, &exchange);
        else
            exchange_start_prepared(f, &exchange);
        simulated_executor_run_until_idle(f->executor);
        const struct produce_response *answer = exchange_answer(&exchange);
        assert_int_equal(answer->responses_count, 0);
        exchange_done(&exchange);
    }
}

/* A producer that repeats a batch gets the first one's offset, and nothing is appended. */
static void a_repeated_batch_gets_its_first_offset(void **state)
{
    struct broker_fixture *f = *state;
    fixture_topic(f, "orders", 1);
    struct buffer *batches[6];
    for (int i = 0; i < 6; i++) {
        batches[i] = batch_make_idempotent(2, 7, 0, 2 * i);
        struct send send = send_of(batches[i]);
        assert_int_equal(fixture_send(f, &send).base_offset, 2 * i);
    }
    for (int i = 1; i < 6; i++) {
        struct send send = send_of(batches[i]);
        send.by_both_steps = i % 2 == 0;
        struct sent sent = fixture_send(f, &send);
        assert_kafka_error(sent.error_code, ERROR_NONE);
        assert_int_equal(sent.base_offset, 2 * i);
    }
    assert_int_equal(fixture_end_offset(f, "orders", 0), 12);
    /* Only the last five are remembered. */
    struct send send = send_of(batches[0]);
    assert_kafka_error(fixture_send(f, &send).error_code, ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    for (int i = 0; i < 6; i++)
        buffer_unref(batches[i]);
}

/* message.timestamp.type=LogAppendTime: the node's clock, also in the answer. */
static void append_time_is_the_nodes_own(void **state)
{
    struct broker_fixture *f = *state;
    fixture_set(f, "log.message.timestamp.type", "LogAppendTime");
    fixture_topic(f, "orders", 1);
    struct buffer *batch = batch_make(1, 17);
    struct send send = send_of(batch);
    int64_t now = executor_wall_clock_ms(f->broker.executor);
    struct sent sent = fixture_send(f, &send);
    assert_kafka_error(sent.error_code, ERROR_NONE);
    assert_int_equal(sent.log_append_time_ms, now);
    buffer_unref(batch);
}

static enum codec stored_codec(struct broker_fixture *f)
{
    struct partition *partition = partition_table_find(f->broker.partitions, slice_of("orders"), 0);
    struct log_slice slice;
    struct partition_offsets offsets;
    uint8_t header_bytes[BATCH_HEADER_BYTES];
    struct batch_header header;
    size_t got = 0;
    assert_int_equal(partition_read(partition, -1, 0, 1 << 20, true, PARTITION_READ_UNCOMMITTED,
                                    &slice, &offsets),
                     ERROR_NONE);
    assert_int_equal(
        storage_read(slice.file, slice.position, header_bytes, sizeof header_bytes, &got),
        ERROR_NONE);
    log_slice_release(&slice);
    assert_int_equal(batch_header_peek(header_bytes, sizeof header_bytes, &header), ERROR_NONE);
    return (enum codec)batch_codec(&header);
}

/* compression.type of a topic: batches are kept in it, whatever the producer chose. */
static void a_topics_own_compression_rewrites_batches(void **state)
{
    struct broker_fixture *f = *state;
    fixture_set(f, "compression.type", "gzip");
    fixture_topic(f, "orders", 1);
    struct buffer *batch = batch_make(100, SIMULATED_WALL_CLOCK_MS);
    struct send send = send_of(batch);
    for (int64_t i = 0; i < 2; i++) {
        send.by_both_steps = i == 1;
        struct sent sent = fixture_send(f, &send);
        assert_kafka_error(sent.error_code, ERROR_NONE);
        assert_int_equal(sent.base_offset, 100 * i);
    }
    assert_int_equal(stored_codec(f), CODEC_GZIP);
    buffer_unref(batch);
}

/* A disk that does not take the record: STORAGE, and the log is as it was. */
static void a_failing_disk_is_reported(void **state)
{
    struct broker_fixture *f = *state;
    fixture_topic(f, "orders", 1);
    struct buffer *batch = batch_make(1, SIMULATED_WALL_CLOCK_MS);
    struct send send = send_of(batch);
    assert_kafka_error(fixture_send(f, &send).error_code, ERROR_NONE);
    simulated_storage_fail(f->storage, &(struct simulated_fault){.operations = SIMULATED_WRITE,
                                                                 .path_part = ".log",
                                                                 .error = ERROR_DISK_FULL,
                                                                 .persistent = true});
    struct sent sent = fixture_send(f, &send);
    assert_int_equal(sent.error_code, error_to_kafka(ERROR_DISK_FULL));
    assert_int_equal(sent.base_offset, -1);
    simulated_storage_fail_end(f->storage);
    assert_int_equal(fixture_send(f, &send).base_offset, 1);
    buffer_unref(batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BROKER(batches_get_the_next_offsets_by_either_way),
        WITH_BROKER(every_version_is_answered),
        WITH_BROKER(without_acks_nothing_is_answered),
        WITH_BROKER(without_acks_an_error_closes_the_connection),
        WITH_BROKER(acks_wait_for_stable_storage),
        WITH_BROKER(replicated_durability_waits_for_no_disk),
        WITH_BROKER(one_failing_topic_leaves_the_others_alone),
        WITH_BROKER(an_empty_request_is_answered),
        WITH_BROKER(a_repeated_batch_gets_its_first_offset),
        WITH_BROKER(append_time_is_the_nodes_own),
        WITH_BROKER(a_topics_own_compression_rewrites_batches),
        WITH_BROKER(a_failing_disk_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
