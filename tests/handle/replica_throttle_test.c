/* SPDX-License-Identifier: Apache-2.0 */
/* ReplicaFetch under leader.replication.throttled.rate. */
#include "base/memory.h"
#include "handle/replica_fetch_fixture.h"
#include "record/build.h"

#include <cmocka.h>

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
        follower_begin(f, &fetching, id, ++epoch);
        follower_name(f, &fetching, *offset,
                      *offset == 0 ? -1 : partition_leader_epoch(follower_orders(f)));
        fetching.partition.max_bytes = 1;
        fetching.body->max_wait_ms = 10;
        exchange_start(f, &fetching.exchange);
        while (fetching.exchange.done == 0)
            simulated_executor_run_for(f->executor, 1);
        const struct replica_fetch_response *answer = exchange_answer(&fetching.exchange);
        if (answer->topics_count > 0 && answer->topics[0].partitions[0].records.data.size > 0)
            (*offset)++;
        follower_end(&fetching);
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
        orders_append(f);
    set_config(f, false, "leader.replication.throttled.rate", "1000");
    set_config(f, true, "leader.replication.throttled.replicas", "1:1,0:2");
    int32_t id = follower_session_begin(f, 400, partition_leader_epoch(follower_orders(f)));
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
