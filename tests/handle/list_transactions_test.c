/* SPDX-License-Identifier: Apache-2.0 */
/* ListTransactions: none, and which filters name no state. */
#include "handle/broker_fixture.h"
#include "handle/memory_sweep.h"
#include "wire/api_list_transactions.h"

#include <cmocka.h>

static struct slice filters[3];

static void fill(struct broker_fixture *f, struct arena *arena, void *body)
{
    (void)f;
    (void)arena;
    struct list_transactions_request *request = body;
    filters[0] = slice_of("Ongoing");
    filters[1] = slice_of("ongoing");
    filters[2] = slice_of("Dead");
    request->state_filters = filters;
    request->state_filters_count = 3;
    request->producer_id_filters = WIRE_EMPTY;
    request->transactional_id_pattern = slice_of("a.*");
}

/* Nobody gets a transactional id, so every version lists none; a state is spelled as Kafka does. */
static void none_are_listed(void **state)
{
    struct broker_fixture *f = *state;
    for (int16_t version = 0; version <= 2; version++) {
        struct exchange exchange;
        struct list_transactions_request *body =
            exchange_begin(f, &exchange, API_LIST_TRANSACTIONS, version);
        fill(f, &exchange.arena, body);
        if (version < 2)
            body->transactional_id_pattern = SLICE_NULL;
        const struct list_transactions_response *answer = exchange_run(f, &exchange);
        assert_kafka_error(answer->error_code, ERROR_NONE);
        assert_int_equal(answer->transaction_states_count, 0);
        assert_int_equal(answer->unknown_state_filters_count, 1);
        assert_slice(answer->unknown_state_filters[0], "ongoing");
        exchange_done(&exchange);
    }
}

static void nothing(struct broker_fixture *f)
{
    (void)f;
}

static int16_t error_of(const void *answer)
{
    return ((const struct list_transactions_response *)answer)->error_code;
}

/* Any allocation refused: no answer, or all of it. */
static void refused_memory_leaves_nothing_out(void **state)
{
    (void)state;
    sweep_handler(&(struct swept){.key = API_LIST_TRANSACTIONS,
                                  .version = 2,
                                  .prepare = nothing,
                                  .fill = fill,
                                  .error = error_of});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BROKER(none_are_listed),
        cmocka_unit_test(refused_memory_leaves_nothing_out),
    };
    return cmocka_run_group_tests_name("list_transactions", tests, NULL, NULL);
}
