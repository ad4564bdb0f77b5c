/* SPDX-License-Identifier: Apache-2.0 */
/* Another replication factor for a whole topic. */
#include "handle/reassignment.h"

#include "base/memory.h"
#include "handle/broker_fixture.h"

#include <cmocka.h>

struct waited {
    struct factor_change change;
    int done;
};

static void changed(struct factor_change *change)
{
    container_of(change, struct waited, change)->done++;
}

static enum error change(struct broker_fixture *f, const char *topic, uint32_t factor)
{
    struct waited waited = {.change = {.done = changed}};
    replication_factor_change(&f->broker, slice_of(topic), factor, &waited.change);
    assert_int_equal(waited.done, 0); /* Never from inside. */
    simulated_executor_run_until_idle(f->executor);
    assert_int_equal(waited.done, 1);
    return waited.change.error;
}

/* More replicas are added behind those there are, evenly; fewer keep the leader. */
static void every_partition_gets_the_new_factor(void **state)
{
    struct broker_fixture *f = *state;
    for (int32_t id = 2; id <= 4; id++)
        fixture_add_node(f, id);
    (void)fixture_topic(f, "orders", 6);
    assert_int_equal(change(f, "orders", 3), ERROR_NONE);
    uint32_t given[5] = {0};
    for (int32_t i = 0; i < 6; i++) {
        struct catalog_partition partition = fixture_partition(f, "orders", i);
        assert_int_equal(partition.replica_count, 3);
        assert_int_equal(partition.replicas[0], 1);
        assert_int_equal(partition.adding_count, 2);
        for (uint32_t r = 1; r < 3; r++)
            given[partition.replicas[r]]++;
    }
    for (int32_t id = 2; id <= 4; id++)
        assert_in_range(given[id], 2, 6);
    uint32_t before = f->proposal_count;
    assert_int_equal(change(f, "orders", 3), ERROR_NONE); /* It is on its way already. */
    assert_int_equal(f->proposal_count, before);
    assert_int_equal(change(f, "orders", 1), ERROR_NONE);
    for (int32_t i = 0; i < 6; i++) {
        struct catalog_partition partition = fixture_partition(f, "orders", i);
        assert_int_equal(partition.replica_count, 1);
        assert_int_equal(partition.replicas[0], 1);
        assert_int_equal(partition.adding_count, 0);
        assert_int_equal(partition.leader, 1);
    }
}

/* What cannot be done changes nothing. */
static void what_cannot_be_done_changes_nothing(void **state)
{
    struct broker_fixture *f = *state;
    (void)fixture_replicated_topic(f, "orders");
    uint64_t hash = catalog_hash(f->broker.catalog);
    assert_int_equal(change(f, "nothing", 1), ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(change(f, "orders", 4), ERROR_INVALID_REPLICATION_FACTOR);
    assert_int_equal(change(f, "orders", 0), ERROR_INVALID_REPLICATION_FACTOR);
    memory_fault_arm(0);
    enum error error = change(f, "orders", 2);
    memory_fault_arm(-1);
    assert_int_equal(error, ERROR_OUT_OF_MEMORY);
    f->proposer_error = ERROR_NOT_CONTROLLER;
    assert_int_equal(change(f, "orders", 2), ERROR_NOT_CONTROLLER);
    assert_int_equal(catalog_hash(f->broker.catalog), hash);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BROKER(every_partition_gets_the_new_factor),
        WITH_BROKER(what_cannot_be_done_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
