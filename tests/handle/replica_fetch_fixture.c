/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of a follower. */
#include "handle/replica_fetch_fixture.h"

#include "base/memory.h"
#include "record/build.h"

#include <cmocka.h>

struct partition *follower_orders(struct broker_fixture *f)
{
    return partition_table_find(f->broker.partitions, slice_of("orders"), 0);
}

int64_t follower_epoch_of(struct broker_fixture *f, int32_t node_id)
{
    return catalog_node_find(f->broker.catalog, node_id)->epoch;
}

void follower_begin(struct broker_fixture *f, struct fetching *fetching, int32_t session_id,
                    int32_t session_epoch)
{
    *fetching = (struct fetching){0};
    fetching->body = exchange_begin(f, &fetching->exchange, API_REPLICA_FETCH, 0);
    fetching->exchange.request.requester.peer_node_id = FOLLOWER;
    fetching->body->node_id = FOLLOWER;
    fetching->body->node_epoch = follower_epoch_of(f, FOLLOWER);
    fetching->body->session_id = session_id;
    fetching->body->session_epoch = session_epoch;
    fetching->body->max_wait_ms = WAIT_MS;
    fetching->body->max_bytes = 1 << 20;
}

void follower_name(struct broker_fixture *f, struct fetching *fetching, int64_t end,
                   int32_t last_epoch)
{
    fetching->partition = (struct replica_fetch_request_replica_partition){
        .leader_epoch = partition_leader_epoch(follower_orders(f)),
        .fetch_offset = end,
        .end_offset = end,
        .synced_offset = end,
        .last_fetched_epoch = last_epoch,
        .max_bytes = 1 << 20,
    };
    fetching->topic = (struct replica_fetch_request_replica_topic){
        .topic_id = partition_topic_id(follower_orders(f)),
        .partitions = &fetching->partition,
        .partitions_count = 1};
    fetching->body->topics = &fetching->topic;
    fetching->body->topics_count = 1;
}

const struct replica_fetch_response *follower_run(struct broker_fixture *f,
                                                  struct fetching *fetching)
{
    const struct replica_fetch_response *answer = exchange_run(f, &fetching->exchange);
    assert_non_null(answer);
    return answer;
}

void follower_end(struct fetching *fetching)
{
    exchange_done(&fetching->exchange);
}

int32_t follower_session_begin(struct broker_fixture *f, int64_t at, int32_t last_epoch)
{
    struct fetching fetching;
    follower_begin(f, &fetching, 0, 0);
    follower_name(f, &fetching, at, last_epoch);
    const struct replica_fetch_response *answer = follower_run(f, &fetching);
    assert_kafka_error(answer->error_code, ERROR_NONE);
    int32_t id = answer->session_id;
    assert_true(id > 0);
    follower_end(&fetching);
    return id;
}

static void append_done(struct partition_append *append)
{
    container_of(append, struct appending, append)->done++;
}

void appending_start(struct broker_fixture *f, struct appending *appending, int8_t acks)
{
    struct batch_options options = batch_options_default();
    struct batch_builder builder;
    batch_builder_init(&builder, &options);
    assert_int_equal(batch_builder_append_next(&builder, 1000, SLICE_NULL, slice_of("a record")),
                     ERROR_NONE);
    *appending = (struct appending){0};
    assert_int_equal(batch_builder_finish(&builder, NULL, &appending->batch), ERROR_NONE);
    batch_builder_done(&builder);
    appending->append = (struct partition_append){.batch = appending->batch->data,
                                                  .size = appending->batch->size,
                                                  .acks = acks,
                                                  .timeout_ms = 100000,
                                                  .done = append_done};
    assert_int_equal(batch_validate_log(appending->batch->data, appending->batch->size,
                                        CODEC_DECOMPRESSED_BYTES_MAX, NULL,
                                        &appending->append.facts),
                     ERROR_NONE);
    partition_append(follower_orders(f), &appending->append);
}

void orders_append(struct broker_fixture *f)
{
    struct appending appending;
    appending_start(f, &appending, 1);
    simulated_executor_run_until_idle(f->executor);
    assert_int_equal(appending.append.error, ERROR_NONE);
    buffer_unref(appending.batch);
}
