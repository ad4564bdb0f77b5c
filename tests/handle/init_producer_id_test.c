/* SPDX-License-Identifier: Apache-2.0 */
/* InitProducerId: ids that never repeat, from blocks of the quorum. */
#include "handle/broker_fixture.h"
#include "handle/producer_ids.h"
#include "wire/api_init_producer_id.h"

#include <cmocka.h>

static struct init_producer_id_request *begin(struct broker_fixture *f, struct exchange *exchange,
                                              int16_t version, struct slice transactional_id)
{
    struct init_producer_id_request *body =
        exchange_begin(f, exchange, API_INIT_PRODUCER_ID, version);
    body->transactional_id = transactional_id;
    body->transaction_timeout_ms = 60000;
    return body;
}

/* One after the other, through the end of a block, asking the quorum once a block. */
static void ids_never_repeat(void **state)
{
    struct broker_fixture *f = *state;
    uint32_t proposals = f->proposal_count;
    for (int64_t i = 0; i < 2 * CATALOG_PRODUCER_ID_BLOCK + 1; i++) {
        struct exchange exchange;
        begin(f, &exchange, (int16_t)(i % 6), SLICE_NULL);
        const struct init_producer_id_response *answer = exchange_run(f, &exchange);
        assert_kafka_error(answer->error_code, ERROR_NONE);
        assert_int_equal(answer->producer_id, i);
        assert_int_equal(answer->producer_epoch, 0);
        exchange_done(&exchange);
    }
    assert_int_equal(f->proposal_count, proposals + 3);
}

/* Many at once wait for one block. */
static void many_wait_for_one_block(void **state)
{
    struct broker_fixture *f = *state;
    static struct exchange exchanges[50];
    uint32_t proposals = f->proposal_count;
    for (int i = 0; i < 50; i++) {
        begin(f, &exchanges[i], 4, SLICE_NULL);
        exchange_start(f, &exchanges[i]);
    }
    simulated_executor_run_until_idle(f->executor);
    assert_int_equal(f->proposal_count, proposals + 1);
    for (int i = 0; i < 50; i++) {
        const struct init_producer_id_response *answer = exchange_answer(&exchanges[i]);
        assert_int_equal(answer->producer_id, i);
        exchange_done(&exchanges[i]);
    }
}

/* Transactions are not here yet: an answer that every client takes as final. */
static void a_transactional_id_is_refused_for_good(void **state)
{
    struct broker_fixture *f = *state;
    struct exchange exchange;
    begin(f, &exchange, 4, slice_of("payments"));
    const struct init_producer_id_response *answer = exchange_run(f, &exchange);
    assert_kafka_error(answer->error_code, ERROR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    assert_int_equal(answer->producer_id, -1);
    exchange_done(&exchange);
    begin(f, &exchange, 4, SLICE_EMPTY);
    answer = exchange_run(f, &exchange);
    assert_kafka_error(answer->error_code, ERROR_INVALID_REQUEST);
    exchange_done(&exchange);
}

/* No block to be had: the client is told to try again, and later it is. */
static void without_a_quorum_clients_try_again(void **state)
{
    struct broker_fixture *f = *state;
    struct exchange exchange;
    f->proposer_error = ERROR_NOT_CONTROLLER;
    begin(f, &exchange, 4, SLICE_NULL);
    const struct init_producer_id_response *answer = exchange_run(f, &exchange);
    assert_kafka_error(answer->error_code, ERROR_COORDINATOR_LOAD_IN_PROGRESS);
    assert_int_equal(answer->producer_id, -1);
    exchange_done(&exchange);
    f->proposer_error = ERROR_NONE;
    begin(f, &exchange, 4, SLICE_NULL);
    answer = exchange_run(f, &exchange);
    assert_kafka_error(answer->error_code, ERROR_NONE);
    exchange_done(&exchange);
}

/* A node that stops answers who waits, also with the proposal still on its way. */
static void whoever_waits_is_answered_at_the_end(void **state)
{
    struct broker_fixture *f = *state;
    struct exchange exchange;
    struct producer_ids *ids = f->broker.producer_ids;
    begin(f, &exchange, 4, SLICE_NULL);
    exchange_start(f, &exchange);
    f->broker.producer_ids = NULL;
    producer_ids_free(ids);
    simulated_executor_run_until_idle(f->executor);
    const struct init_producer_id_response *answer = exchange_answer(&exchange);
    assert_kafka_error(answer->error_code, ERROR_COORDINATOR_LOAD_IN_PROGRESS);
    exchange_done(&exchange);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BROKER(ids_never_repeat),
        WITH_BROKER(many_wait_for_one_block),
        WITH_BROKER(a_transactional_id_is_refused_for_good),
        WITH_BROKER(without_a_quorum_clients_try_again),
        WITH_BROKER(whoever_waits_is_answered_at_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
