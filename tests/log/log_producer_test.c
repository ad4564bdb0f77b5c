/* SPDX-License-Identifier: Apache-2.0 */
/* Producer state across closing, crashing and rolling; aborted transactions in their index. */
#include "log/fixture.h"
#include "log/transaction_index.h"

#include "base/memory.h"

static void last_sequence_take(void *context, const struct log_producer *producer)
{
    ((int32_t *)context)[producer->producer_id] = producer->last_sequence;
}

static void filled(struct fixture *fixture)
{
    fixture_init(fixture, 101);
    fixture->config.segment_bytes = 1200;
    fixture_open(fixture, false, -1);
    for (int i = 0; i < 60; i++)
        (void)fixture_append_producer(fixture->log, i % 3, 0, i / 3 * 2, 2);
}

static void state_check(struct log *log)
{
    int32_t last[3] = {-1, -1, -1};
    log_producer_each(log, last_sequence_take, last);
    for (int i = 0; i < 3; i++)
        assert_int_equal(last[i], 39);
}

/* The state is the same after a clean stop, a kill, and with every snapshot lost. */
static void the_state_survives(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        struct fixture fixture;
        filled(&fixture);
        state_check(fixture.log);
        assert_int_equal(fixture_sync(fixture.log), ERROR_NONE);
        fixture_close(&fixture, how != 1);
        if (how == 2) {
            for (int64_t offset = 0; offset <= 120; offset++) {
                struct file_place place = {fixture.storage, FIXTURE_DIRECTORY, offset};
                assert_int_equal(file_remove(&place, ".snapshot"), ERROR_NONE);
            }
        }
        fixture_open(&fixture, how != 1, 120);
        state_check(fixture.log);
        struct batch_header header = {.producer_id = 1,
                                      .producer_epoch = 0,
                                      .base_sequence = 38,
                                      .record_count = 2,
                                      .last_offset_delta = 1};
        struct log_duplicate duplicate;
        enum error error;
        assert_int_equal(log_producer_check(fixture.log, &header, &duplicate, &error),
                         LOG_PRODUCER_DUPLICATE);
        assert_int_equal(duplicate.base_offset, 116);
        fixture_done(&fixture);
    }
}

/* Snapshots: one a segment and the newest, no more. */
static void old_snapshots_go(void **state)
{
    (void)state;
    struct fixture fixture;
    filled(&fixture);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(fixture_sync(fixture.log), ERROR_NONE);
        int64_t end = log_end_offset(fixture.log);
        fixture_close(&fixture, true);
        fixture_open(&fixture, true, end);
        for (int j = 0; j < 10; j++)
            (void)fixture_append_producer(fixture.log, 50 + i, 0, 2 * j, 2);
    }
    uint32_t snapshots = 0;
    for (int64_t offset = 0; offset <= log_end_offset(fixture.log); offset++) {
        struct file_place place = {fixture.storage, FIXTURE_DIRECTORY, offset};
        char path[FILE_PATH_BYTES];
        file_path(&place, ".snapshot", path);
        uint64_t size;
        snapshots += simulated_storage_contents(fixture.disk, path, &size) != NULL;
    }
    assert_in_range(snapshots, 2, log_segment_count(fixture.log) + 1);
    fixture_done(&fixture);
}

static enum error batch_append(struct log *log, struct buffer *batch)
{
    batch_set_base_offset(batch->data, log_end_offset(log));
    batch_set_leader_epoch(batch->data, 0);
    struct codec_context context;
    codec_context_init(&context);
    struct batch_facts facts;
    assert_int_equal(batch_validate_log(batch->data, batch->size, CODEC_DECOMPRESSED_BYTES_MAX,
                                        &context, &facts),
                     ERROR_NONE);
    codec_context_done(&context);
    return log_append_replica(log, &facts, 1);
}

static void transaction_append(struct log *log, int64_t producer_id, int32_t sequence, bool commit)
{
    struct batch_options options = batch_options_default();
    options.producer_id = producer_id;
    options.producer_epoch = 0;
    options.base_sequence = sequence;
    options.is_transactional = true;
    struct batch_builder builder;
    batch_builder_init(&builder, &options);
    assert_int_equal(batch_builder_append_next(&builder, 1000, SLICE_NULL, slice_of("in doubt")),
                     ERROR_NONE);
    struct buffer *batch;
    assert_int_equal(batch_builder_finish(&builder, NULL, &batch), ERROR_NONE);
    batch_builder_done(&builder);
    assert_int_equal(batch_append(log, batch), ERROR_NONE);
    buffer_unref(batch);
    struct transaction_marker marker = {producer_id, 0, 1, commit, 1001};
    assert_int_equal(batch_build_marker(&marker, &batch), ERROR_NONE);
    assert_int_equal(batch_append(log, batch), ERROR_NONE);
    buffer_unref(batch);
}

/* Aborted transactions are in the index, made anew by recovery, cut by truncation. */
static void aborted_transactions_are_noted(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 102);
    fixture_open(&fixture, false, -1);
    for (int i = 0; i < 6; i++)
        transaction_append(fixture.log, 40 + i % 2, i / 2, i % 3 == 0); /* Aborts: 1 2 4 5. */
    struct file_place place = {fixture.storage, FIXTURE_DIRECTORY, 0};
    for (int round = 0; round < 2; round++) {
        struct transaction_entry *entries;
        uint32_t count;
        assert_int_equal(transaction_index_read(&place, &entries, &count), ERROR_NONE);
        assert_int_equal(count, 4);
        assert_int_equal(entries[0].producer_id, 41);
        assert_int_equal(entries[0].first_offset, 2);
        assert_int_equal(entries[0].last_offset, 3);
        assert_int_equal(entries[0].last_stable_offset, 4);
        memory_free(entries);
        fixture_close(&fixture, false);
        assert_int_equal(file_remove(&place, ".txnindex"), ERROR_NONE);
        fixture_open(&fixture, false, 0);
    }
    log_visible_advance(fixture.log, 12);
    assert_int_equal(log_text_end(fixture.log), 6 * 9); /* Markers have no text. */
    fixture_close(&fixture, false);
    fixture_open(&fixture, false, 0);
    assert_int_equal(log_truncate(fixture.log, 5), ERROR_NONE);
    struct transaction_entry *entries;
    uint32_t count;
    assert_int_equal(transaction_index_read(&place, &entries, &count), ERROR_NONE);
    assert_int_equal(count, 1);
    memory_free(entries);
    fixture_done(&fixture);
}

/* Producers not heard of for long are forgotten. */
static void silent_producers_are_forgotten(void **state)
{
    (void)state;
    struct fixture fixture;
    filled(&fixture);
    log_producer_expire(fixture.log, fixture_timestamp(120) + 86400000);
    int32_t last[3] = {-1, -1, -1};
    log_producer_each(fixture.log, last_sequence_take, last);
    assert_int_equal(last[0], -1);
    fixture_done(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_state_survives),
        cmocka_unit_test(old_snapshots_go),
        cmocka_unit_test(aborted_transactions_are_noted),
        cmocka_unit_test(silent_producers_are_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
