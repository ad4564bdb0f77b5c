/* SPDX-License-Identifier: Apache-2.0 */
/* ReplicaFetch under leader.replication.throttled.rate. */
#include "base/memory.h"
#include "handle/broker_fixture.h"
#include "handle/replica_session.h"
#include "record/build.h"

#include <cmocka.h>

enum { FOLLOWER = 2, WAIT_MS = 500 };

/* One request of a follower, which names at most one partition. */
struct fetching {
    struct exchange exchange;
    struct replica_fetch_request *body;
    struct replica_fetch_request_replica_topic topic;
    struct replica_fetch_request_replica_partition partition;
};

static struct partition *orders(struct broker_fixture *f)
{
    return partition_table_find(f->broker.partitions, slice_of("orders"), 0);
}

static int64_t epoch_of(struct broker_fixture *f, int32_t node_id)
{
    return catalog_node_find(f->broker.catalog, node_id)->epoch;
}

static void begin(struct broker_fixture *f, struct fetching *fetching, int32_t session_id,
                  int32_t session_epoch)
{
    *fetching = (struct fetching){0};
    fetching->body = exchange_begin(f, &fetching->exchange, API_REPLICA_FETCH, 0);
    fetching->exchange.request.requester.peer_node_id = FOLLOWER;
    fetching->body->node_id = FOLLOWER;
    fetching->body->node_epoch = epoch_of(f, FOLLOWER);
    fetching->body->session_id = session_id;
    fetching->body->session_epoch = session_epoch;
    fetching->body->max_wait_ms = WAIT_MS;
    fetching->body->max_bytes = 1 << 20;
}

/* `orders` 0, whose log ends at `end` with a record of `last_epoch`, all of it synced. */
static void name(struct broker_fixture *f, struct fetching *fetching, int64_t end,
                 int32_t last_epoch)
{
    fetching->partition = (struct replica_fetch_request_replica_partition){
        .leader_epoch = partition_leader_epoch(orders(f)),
        .fetch_offset = end,
        .end_offset = end,
        .synced_offset = end,
        .last_fetched_epoch = last_epoch,
        .max_bytes = 1 << 20,
    };
    fetching->topic =
        (struct replica_fetch_request_replica_topic){.topic_id = partition_topic_id(orders(f)),
                                                     .partitions = &fetching->partition,
                                                     .partitions_count = 1};
    fetching->body->topics = &fetching->topic;
    fetching->body->topics_count = 1;
}

static const struct replica_fetch_response *run(struct broker_fixture *f, struct fetching *fetching)
{
    const struct replica_fetch_response *answer = exchange_run(f, &fetching->exchange);
    assert_non_null(answer);
    return answer;
}

static void end(struct fetching *fetching)
{
    exchange_done(&fetching->exchange);
}

/* A session that named `orders` 0 at its end `at`; its id. */
static int32_t session_begin(struct broker_fixture *f, int64_t at, int32_t last_epoch)
{
    struct fetching fetching;
    begin(f, &fetching, 0, 0);
    name(f, &fetching, at, last_epoch);
    const struct replica_fetch_response *answer = run(f, &fetching);
    assert_kafka_error(answer->error_code, ERROR_NONE);
    int32_t id = answer->session_id;
    assert_true(id > 0);
    end(&fetching);
    return id;
}

struct appending {
    struct partition_append append;
    struct buffer *batch;
    int done;
};

static void append_done(struct partition_append *append)
{
    container_of(append, struct appending, append)->done++;
}

static void append_start(struct broker_fixture *f, struct appending *appending, int8_t acks)
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
    partition_append(orders(f), &appending->append);
}

static void append(struct broker_fixture *f)
{
    struct appending appending;
    append_start(f, &appending, 1);
    simulated_executor_run_until_idle(f->executor);
    assert_int_equal(appending.append.error, ERROR_NONE);
    buffer_unref(appending.batch);
}

/* `key` of topic orders, or with `topic` false of node 1, set to `value`. */
static void set_config(struct broker_fixture *f, bool topic, const char *key, const char *value)
{
    struct catalog_pair pair = {.key = slice_of(key), .value = slice_of(value)};
    struct catalog_command command = {.kind = CATALOG_CONFIG_SET,
                                      .resource =
                                          topic ? CATALOG_RESOURCE_TOPIC : CATALOG_RESOURCE_NODE,
                                      .resource_name = slice_of(topic ? "orders" : "1"),
                                      .pairs = &pair,
                                      .pair_count = 1};
    assert_int_equal(fixture_propose(f, &command).error, ERROR_NONE);
}

/* Fetches for node 2 in session `id` from `*offset` on for so long; moves it past what it got. */
static void follow_for(struct broker_fixture *f, int32_t id, int64_t *offset, int64_t run_ms)
{
    static int32_t epoch;
    epoch = *offset == 0 ? 0 : epoch;
    int64_t until_ms = executor_monotonic_ms(f->broker.executor) + run_ms;
    while (executor_monotonic_ms(f->broker.executor) < until_ms) {
        struct fetching fetching;
        begin(f, &fetching, id, ++epoch);
        name(f, &fetching, *offset, *offset == 0 ? -1 : partition_leader_epoch(orders(f)));
        fetching.partition.max_bytes = 1;
        fetching.body->max_wait_ms = 10;
        exchange_start(f, &fetching.exchange);
        while (fetching.exchange.done == 0)
            simulated_executor_run_for(f->executor, 1);
        const struct replica_fetch_response *answer = exchange_answer(&fetching.exchange);
        if (answer->topics_count > 0 && answer->topics[0].partitions[0].records.data.size > 0)
            (*offset)++;
        end(&fetching);
    }
}

/* KIP-73: leader.replication.throttled.rate slows down followers out of the ISR of listed replicas,
 * and those alone; without the list, or the rate, they are as fast as they can. */
static void a_throttled_leader_keeps_to_its_rate(void **state)
{
    struct broker_fixture *f = *state;
    fixture_replicated_topic(f, "orders");
    set_config(f, true, "min.insync.replicas", "1");
    fixture_fence(f, 2, true);
    fixture_fence(f, 3, true);
    for (int i = 0; i < 400; i++)
        append(f);
    set_config(f, false, "leader.replication.throttled.rate", "1000");
    set_config(f, true, "leader.replication.throttled.replicas", "1:1,0:2");
    int32_t id = session_begin(f, 400, partition_leader_epoch(orders(f)));
    int64_t offset = 0;
    follow_for(f, id, &offset, 50);
    assert_true(offset >= 40); /* Neither of them is ours. */

    set_config(f, true, "leader.replication.throttled.replicas", "1:2,0:1");
    int64_t before = offset;
    follow_for(f, id, &offset, 5000);
    assert_in_range(offset - before, 50, 80); /* Of about 76 bytes each. */

    set_config(f, false, "leader.replication.throttled.rate", "1000000000");
    follow_for(f, id, &offset, 1500); /* Held for a second at most. */
    assert_int_equal(offset, 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {WITH_BROKER(a_throttled_leader_keeps_to_its_rate)};
    return cmocka_run_group_tests_name("replica_throttle", tests, NULL, NULL);
}
