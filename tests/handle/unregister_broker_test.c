/* SPDX-License-Identifier: Apache-2.0 */
/* UnregisterBroker: a node is forgotten, once. */
#include "handle/broker_fixture.h"
#include "wire/api_unregister_broker.h"

#include <cmocka.h>

static void a_node_is_forgotten_once(void **state)
{
    struct broker_fixture *f = *state;
    struct exchange exchange;
    (void)fixture_replicated_topic(f, "orders");
    for (int round = 0; round < 2; round++) {
        struct unregister_broker_request *body =
            exchange_begin(f, &exchange, API_UNREGISTER_BROKER, 0);
        body->broker_id = 2;
        const struct unregister_broker_response *answer = exchange_run(f, &exchange);
        assert_kafka_error(answer->error_code,
                           round == 0 ? ERROR_NONE : ERROR_BROKER_ID_NOT_REGISTERED);
        assert_slice(answer->error_message,
                     round == 0 ? NULL : "Broker ID 2 is not currently registered");
        exchange_done(&exchange);
    }
    assert_null(catalog_node_find(f->broker.catalog, 2));
    assert_int_equal(fixture_partition(f, "orders", 1).leader, 3);
    f->proposer_error = ERROR_NOT_CONTROLLER;
    struct unregister_broker_request *body = exchange_begin(f, &exchange, API_UNREGISTER_BROKER, 0);
    body->broker_id = 3;
    const struct unregister_broker_response *answer = exchange_run(f, &exchange);
    assert_kafka_error(answer->error_code, ERROR_NOT_CONTROLLER);
    exchange_done(&exchange);
}

int main(void)
{
    const struct CMUnitTest tests[] = {WITH_BROKER(a_node_is_forgotten_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
