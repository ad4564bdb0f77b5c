/* SPDX-License-Identifier: Apache-2.0 */
/* Making batches and sending them. */
#include "handle/produce_fixture.h"

#include <cmocka.h>

static struct buffer *make(const struct batch_options *options, int count, int64_t timestamp)
{
    struct batch_builder builder;
    struct buffer *batch = NULL;
    batch_builder_init(&builder, options);
    for (int i = 0; i < count; i++)
        assert_int_equal(
            batch_builder_append_next(&builder, timestamp + i, slice_of("key"), slice_of("value")),
            ERROR_NONE);
    assert_int_equal(batch_builder_finish(&builder, NULL, &batch), ERROR_NONE);
    return batch;
}

struct buffer *batch_make(int count, int64_t timestamp)
{
    struct batch_options options = batch_options_default();
    return make(&options, count, timestamp);
}

struct buffer *batch_make_idempotent(int count, int64_t producer_id, int16_t producer_epoch,
                                     int32_t base_sequence)
{
    struct batch_options options = batch_options_default();
    options.producer_id = producer_id;
    options.producer_epoch = producer_epoch;
    options.base_sequence = base_sequence;
    return make(&options, count, SIMULATED_WALL_CLOCK_MS);
}

struct send send_of(struct buffer *batch)
{
    return (struct send){.topic = "orders",
                         .acks = -1,
                         .version = 9,
                         .records = slice_from(batch->data, batch->size)};
}

static void take_answer(struct sent *sent, const struct produce_response *answer)
{
    assert_int_equal(answer->responses_count, 1);
    assert_int_equal(answer->responses[0].partition_responses_count, 1);
    const struct produce_response_partition_produce_response *got =
        answer->responses[0].partition_responses;
    sent->answered = true;
    sent->error_code = got->error_code;
    sent->base_offset = got->base_offset;
    sent->log_append_time_ms = got->log_append_time_ms;
    sent->log_start_offset = got->log_start_offset;
    sent->record_errors_count = got->record_errors_count;
    sent->has_message = !slice_is_null(got->error_message);
}

struct sent fixture_send(struct broker_fixture *f, const struct send *send)
{
    struct exchange exchange;
    struct produce_request *body = exchange_begin(f, &exchange, API_PRODUCE, send->version);
    struct produce_request_partition_produce_data data = {.index = send->partition,
                                                          .records.data = send->records};
    struct produce_request_topic_produce_data topic = {
        .name = slice_of(send->topic), .partition_data = &data, .partition_data_count = 1};
    const struct catalog_topic *known =
        catalog_topic_find(f->broker.catalog, slice_of(send->topic));
    topic.topic_id = known != NULL ? known->id : uuid_random(f->broker.executor);
    *body = (struct produce_request){.transactional_id = slice_of(send->transactional_id),
                                     .acks = send->acks,
                                     .timeout_ms = 1000,
                                     .topic_data = &topic,
                                     .topic_data_count = 1};
    exchange.request.requester.client_id = slice_of(send->client_id);
    if (send->by_both_steps)
        exchange_start_prepared(f, &exchange);
    else
        exchange_start(f, &exchange);
    simulated_executor_run_until_idle(f->executor);
    const struct produce_response *answer = exchange_answer(&exchange);
    struct sent sent = {.closed = exchange.request.close_connection};
    if (answer != NULL && !exchange.request.no_response)
        take_answer(&sent, answer);
    exchange_done(&exchange);
    return sent;
}

int64_t fixture_end_offset(struct broker_fixture *f, const char *topic, int32_t partition)
{
    struct partition *found =
        partition_table_find(f->broker.partitions, slice_of(topic), partition);
    struct log *log;
    assert_non_null(found);
    assert_int_equal(partition_log(found, &log), ERROR_NONE);
    return log_end_offset(log);
}
