/* SPDX-License-Identifier: Apache-2.0 */
/* DescribeLogDirs: the directory, its space, and what each partition takes. */
#include "handle/broker_fixture.h"
#include "wire/api_describe_log_dirs.h"

#include <cmocka.h>

/* The directory, its space, and every partition's bytes. */
static void log_directories_are_described(void **state)
{
    struct broker_fixture *f = *state;
    fixture_topic(f, "a", 2);
    fixture_topic(f, "b", 1);
    fixture_append(f, "a", 1, 5, -1);
    for (int16_t version = 1; version <= 5; version++) {
        struct exchange exchange;
        struct describe_log_dirs_request *body =
            exchange_begin(f, &exchange, API_DESCRIBE_LOG_DIRS, version);
        body->topics = NULL;
        const struct describe_log_dirs_response *answer = exchange_run(f, &exchange);
        assert_int_equal(answer->results_count, 1);
        assert_slice(answer->results[0].log_dir, "/data");
        assert_int_equal(answer->results[0].topics_count, 2);
        assert_slice(answer->results[0].topics[0].name, "a");
        assert_int_equal(answer->results[0].topics[0].partitions_count, 2);
        assert_int_equal(answer->results[0].topics[0].partitions[0].partition_size, 0);
        assert_true(answer->results[0].topics[0].partitions[1].partition_size > 61);
        assert_true((answer->results[0].total_bytes > 0) == (version >= 4));
        exchange_done(&exchange);
    }
}

/* Only what is asked for, and of that what is here. */
static void asked_partitions_are_described(void **state)
{
    struct broker_fixture *f = *state;
    struct exchange exchange;
    fixture_topic(f, "a", 2);
    struct describe_log_dirs_request *body = exchange_begin(f, &exchange, API_DESCRIBE_LOG_DIRS, 4);
    int32_t partitions[] = {1, 7};
    struct describe_log_dirs_request_describable_log_dir_topic topics[] = {
        {slice_of("a"), partitions, 2}, {slice_of("missing"), partitions, 1}};
    body->topics = topics;
    body->topics_count = 2;
    const struct describe_log_dirs_response *answer = exchange_run(f, &exchange);
    assert_int_equal(answer->results[0].topics_count, 1);
    assert_int_equal(answer->results[0].topics[0].partitions_count, 1);
    assert_int_equal(answer->results[0].topics[0].partitions[0].partition_index, 1);
    exchange_done(&exchange);
}

/* A partition nobody wrote to takes nothing, and looking at it makes no files. */
static void looking_at_an_empty_partition_makes_no_log(void **state)
{
    struct broker_fixture *f = *state;
    struct exchange exchange;
    fixture_topic(f, "a", 3);
    uint64_t syncs = simulated_storage_counters(f->storage).syncs;
    struct describe_log_dirs_request *body = exchange_begin(f, &exchange, API_DESCRIBE_LOG_DIRS, 4);
    body->topics = NULL;
    const struct describe_log_dirs_response *answer = exchange_run(f, &exchange);
    assert_int_equal(answer->results[0].topics[0].partitions_count, 3);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(answer->results[0].topics[0].partitions[i].partition_size, 0);
    assert_int_equal(simulated_storage_counters(f->storage).syncs, syncs);
    exchange_done(&exchange);
}

/* A disk that does not say how much room it has: -1, and the rest is told all the same. */
static void unknown_space_is_minus_one(void **state)
{
    struct broker_fixture *f = *state;
    struct exchange exchange;
    fixture_topic(f, "a", 1);
    simulated_storage_fail(f->storage, &(struct simulated_fault){.operations = SIMULATED_SPACE,
                                                                 .error = ERROR_STORAGE,
                                                                 .persistent = true});
    struct describe_log_dirs_request *body = exchange_begin(f, &exchange, API_DESCRIBE_LOG_DIRS, 4);
    body->topics = NULL;
    const struct describe_log_dirs_response *answer = exchange_run(f, &exchange);
    assert_kafka_error(answer->results[0].error_code, ERROR_NONE);
    assert_int_equal(answer->results[0].total_bytes, -1);
    assert_int_equal(answer->results[0].usable_bytes, -1);
    assert_int_equal(answer->results[0].topics_count, 1);
    exchange_done(&exchange);
    simulated_storage_fail_end(f->storage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BROKER(log_directories_are_described),
        WITH_BROKER(asked_partitions_are_described),
        WITH_BROKER(looking_at_an_empty_partition_makes_no_log),
        WITH_BROKER(unknown_space_is_minus_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
