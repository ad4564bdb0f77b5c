/* SPDX-License-Identifier: Apache-2.0 */
/* The checks of idempotent producers: protocol facts (d), rows 18 to 23. */
#include "log/fixture.h"
#include "log/producer_state.h"

static struct batch_header batch_of(int64_t id, int16_t epoch, int32_t sequence, int count,
                                    int64_t offset)
{
    return (struct batch_header){.base_offset = offset,
                                 .last_offset_delta = count - 1,
                                 .record_count = count,
                                 .max_timestamp = 1000 + offset,
                                 .producer_id = id,
                                 .producer_epoch = epoch,
                                 .base_sequence = sequence};
}

static void take(struct producer_state *state, struct batch_header header)
{
    struct producer_abort abort;
    assert_int_equal(producer_state_reserve(state, &header), ERROR_NONE);
    producer_state_update(state, &header, &abort);
    assert_false(abort.aborted);
}

static void appends(struct producer_state *state, struct batch_header header)
{
    struct log_duplicate duplicate;
    enum error error;
    assert_int_equal(producer_state_check(state, &header, &duplicate, &error), LOG_PRODUCER_APPEND);
}

static void refused(struct producer_state *state, struct batch_header header, enum error expected)
{
    struct log_duplicate duplicate;
    enum error error = ERROR_NONE;
    assert_int_equal(producer_state_check(state, &header, &duplicate, &error), LOG_PRODUCER_REFUSE);
    assert_int_equal(error, expected);
}

/* Batches without producer, of an unknown one, and in order are taken. */
static void batches_in_order_are_appended(void **state)
{
    (void)state;
    struct producer_state producers;
    producer_state_init(&producers);
    appends(&producers, batch_of(-1, -1, -1, 3, 0));
    appends(&producers, batch_of(7, 0, 55, 3, 0)); /* Unknown: any sequence. */
    take(&producers, batch_of(7, 0, 0, 3, 0));
    appends(&producers, batch_of(7, 0, 3, 1, 3));
    take(&producers, batch_of(7, 0, INT32_MAX - 1, 2, 3));
    appends(&producers, batch_of(7, 0, 0, 1, 5)); /* Sequences wrap. */
    producer_state_done(&producers);
}

/* The last five batches are recognised, the sixth is out of order. */
static void the_last_five_batches_are_recognised(void **state)
{
    (void)state;
    struct producer_state producers;
    producer_state_init(&producers);
    for (int i = 0; i < 8; i++)
        take(&producers, batch_of(7, 2, 2 * i, 2, 100 + 10 * i));
    for (int i = 3; i < 8; i++) {
        struct log_duplicate duplicate;
        enum error error;
        struct batch_header header = batch_of(7, 2, 2 * i, 2, 0);
        assert_int_equal(producer_state_check(&producers, &header, &duplicate, &error),
                         LOG_PRODUCER_DUPLICATE);
        assert_int_equal(duplicate.base_offset, 100 + 10 * i);
        assert_int_equal(duplicate.timestamp, 1100 + 10 * i);
    }
    refused(&producers, batch_of(7, 2, 4, 2, 0), ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    refused(&producers, batch_of(7, 2, 14, 1, 0), ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    producer_state_done(&producers);
}

/* Older epochs are fenced, newer ones begin at 0. */
static void epochs_fence(void **state)
{
    (void)state;
    struct producer_state producers;
    producer_state_init(&producers);
    take(&producers, batch_of(7, 2, 0, 5, 0));
    refused(&producers, batch_of(7, 1, 5, 1, 0), ERROR_INVALID_PRODUCER_EPOCH);
    refused(&producers, batch_of(7, 3, 5, 1, 0), ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    appends(&producers, batch_of(7, 3, 0, 1, 0));
    take(&producers, batch_of(7, 3, 0, 1, 5));
    appends(&producers, batch_of(7, 3, 1, 1, 6));
    producer_state_done(&producers);
}

static struct batch_header marker_of(struct buffer **ret_batch, int16_t epoch, int32_t coordinator,
                                     bool is_commit, int64_t offset)
{
    struct transaction_marker marker = {7, epoch, coordinator, is_commit, 5000};
    assert_int_equal(batch_build_marker(&marker, ret_batch), ERROR_NONE);
    batch_set_base_offset((*ret_batch)->data, offset);
    struct batch_header header;
    assert_int_equal(batch_header_read((*ret_batch)->data, (*ret_batch)->size, &header),
                     ERROR_NONE);
    return header;
}

/* A transaction is open from its first batch to its marker; an abort tells what it aborted. */
static void transactions_open_and_end(void **state)
{
    (void)state;
    struct producer_state producers;
    producer_state_init(&producers);
    struct batch_header header = batch_of(7, 0, 0, 2, 10);
    header.attributes = BATCH_TRANSACTIONAL;
    take(&producers, header);
    assert_int_equal(producer_state_oldest_transaction(&producers), 10);
    refused(&producers, batch_of(7, 0, 2, 1, 12), ERROR_INVALID_TXN_STATE);

    struct buffer *batch;
    struct producer_abort abort;
    header = marker_of(&batch, 0, 3, false, 20);
    producer_state_update(&producers, &header, &abort);
    assert_true(abort.aborted);
    assert_int_equal(abort.first_offset, 10);
    assert_int_equal(abort.last_offset, 20);
    assert_int_equal(abort.last_stable_offset, 21);
    assert_int_equal(producer_state_oldest_transaction(&producers), -1);
    buffer_unref(batch);

    header = marker_of(&batch, 0, 2, true, 21);
    refused(&producers, header, ERROR_TRANSACTION_COORDINATOR_FENCED);
    buffer_unref(batch);
    header = marker_of(&batch, 0, 3, true, 21);
    appends(&producers, header);
    buffer_unref(batch);
    producer_state_done(&producers);
}

/* Many producers: found, and forgotten when not heard of, but for open transactions. */
static void silent_producers_are_forgotten(void **state)
{
    (void)state;
    struct producer_state producers;
    producer_state_init(&producers);
    for (int64_t id = 0; id < 1000; id++) {
        struct batch_header header = batch_of(id, 0, 0, 1, id);
        header.attributes = id == 5 ? BATCH_TRANSACTIONAL : 0;
        take(&producers, header);
    }
    producer_state_expire(&producers, 1500 + 100, 100); /* Heard of at 1000 + id. */
    for (int64_t id = 0; id < 1000; id++)
        assert_true((producer_state_find(&producers, id) != NULL) == (id > 500 || id == 5));
    assert_int_equal(producers.count, 500);
    producer_state_done(&producers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_in_order_are_appended),
        cmocka_unit_test(the_last_five_batches_are_recognised),
        cmocka_unit_test(epochs_fence),
        cmocka_unit_test(transactions_open_and_end),
        cmocka_unit_test(silent_producers_are_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
