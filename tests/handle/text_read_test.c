/* SPDX-License-Identifier: Apache-2.0 */
/* TextRead: batches from a text position, for nodes alone. */
#include "handle/broker_fixture.h"
#include "wire/api_text_read.h"

#include <cmocka.h>

/* Asks for `position` of orders 0; the answer is the exchange's. */
static const struct text_read_response *ask(struct broker_fixture *f, struct exchange *exchange,
                                            int64_t position, int32_t max_bytes, int32_t epoch,
                                            int32_t peer)
{
    struct text_read_request *body = exchange_begin(f, exchange, API_TEXT_READ, 0);
    body->topic_id = catalog_topic_find(f->broker.catalog, slice_of("orders"))->id;
    body->leader_epoch = epoch;
    body->position = position;
    body->max_bytes = max_bytes;
    exchange->request.requester.peer_node_id = peer;
    return exchange_run(f, exchange);
}

/* From the batch that holds the position, as much as was asked for. */
static void batches_come_from_a_position(void **state)
{
    struct exchange exchange;
    fixture_topic(*state, "orders", 1);
    fixture_append(*state, "orders", 0, 3, -1);
    const struct text_read_response *answer = ask(*state, &exchange, 0, 1 << 20, -1, 2);
    assert_kafka_error(answer->error_code, ERROR_NONE);
    assert_int_equal(answer->batch_position, 0);
    size_t whole = answer->records.data.size;
    assert_true(whole > 61);
    exchange_done(&exchange);
    fixture_append(*state, "orders", 0, 3, -1);
    answer = ask(*state, &exchange, 1, 1 << 20, -1, 2);
    assert_int_equal(answer->batch_position, 0);
    assert_int_equal(answer->records.data.size, 2 * whole);
    exchange_done(&exchange);
    answer = ask(*state, &exchange, 1, 70, -1, 2);
    assert_int_equal(answer->records.data.size, 70);
    exchange_done(&exchange);
    answer = ask(*state, &exchange, 1 << 20, 70, -1, 2);
    assert_kafka_error(answer->error_code, ERROR_NONE);
    assert_int_equal(answer->records.data.size, 0);
    exchange_done(&exchange);
}

/* Positions mean something in one leader epoch only; sizes are sane; nobody but nodes asks. */
static void what_makes_no_sense_is_refused(void **state)
{
    struct exchange exchange;
    static const struct {
        int64_t position;
        int32_t max_bytes, epoch, peer;
        enum error error;
    } rows[] = {{0, 100, 99, 2, ERROR_UNKNOWN_LEADER_EPOCH},
                {-1, 100, -1, 2, ERROR_INVALID_REQUEST},
                {0, 0, -1, 2, ERROR_INVALID_REQUEST},
                {0, 100, -1, PEER_CLIENT, ERROR_CLUSTER_AUTHORIZATION_FAILED},
                {0, 100, -1, PEER_GUEST, ERROR_CLUSTER_AUTHORIZATION_FAILED}};
    fixture_topic(*state, "orders", 1);
    fixture_append(*state, "orders", 0, 3, -1);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct text_read_response *answer = ask(
            *state, &exchange, rows[i].position, rows[i].max_bytes, rows[i].epoch, rows[i].peer);
        assert_kafka_error(answer->error_code, rows[i].error);
        exchange_done(&exchange);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BROKER(batches_come_from_a_position),
        WITH_BROKER(what_makes_no_sense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
