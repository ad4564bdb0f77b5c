/* SPDX-License-Identifier: Apache-2.0 */
/* What the catalog says about this node becomes partitions, and ceases to be some. */
#include "handle/broker_fixture.h"

#include <cmocka.h>

struct proposing {
    struct catalog_proposal proposal;
    bool done;
};

static void proposal_done(struct catalog_proposal *proposal)
{
    container_of(proposal, struct proposing, proposal)->done = true;
}

static void propose(struct broker_fixture *f, const struct catalog_command *command)
{
    struct proposing proposing = {.proposal.done = proposal_done};
    catalog_propose(f->broker.catalog, command, &proposing.proposal);
    simulated_executor_run_until_idle(f->executor);
    assert_true(proposing.done);
    assert_int_equal(proposing.proposal.outcome.error, ERROR_NONE);
}

static struct uuid make_topic(struct broker_fixture *f, const char *name,
                              struct catalog_assignment assignment)
{
    struct catalog_command command = {.kind = CATALOG_TOPIC_CREATE,
                                      .topic_name = slice_of(name),
                                      .topic_id = uuid_random(f->broker.executor),
                                      .assignments = &assignment,
                                      .assignment_count = 1};
    propose(f, &command);
    return command.topic_id;
}

static struct partition *local(struct broker_fixture *f, const char *name)
{
    return partition_table_find(f->broker.partitions, slice_of(name), 0);
}

/* A replica of a partition that others lead too is here, as a follower. */
static void a_replica_follows_the_leader_the_catalog_names(void **state)
{
    struct broker_fixture *f = *state;
    fixture_add_node(f, 2);
    make_topic(f, "orders", (struct catalog_assignment){{2, 1}, 2});
    assert_non_null(local(f, "orders"));
    assert_int_equal(partition_role(local(f, "orders")), PARTITION_FOLLOWER);
    make_topic(f, "others", (struct catalog_assignment){{2}, 1});
    assert_null(local(f, "others"));
}

/* Once a reassignment has taken the partition away, its replica and its files are gone. */
static void a_partition_that_was_moved_away_leaves(void **state)
{
    struct broker_fixture *f = *state;
    fixture_add_node(f, 2);
    struct uuid id = make_topic(f, "orders", (struct catalog_assignment){{2, 1}, 2});
    struct partition *held = partition_ref(local(f, "orders"));
    struct catalog_assignment target = {{2}, 1};
    struct catalog_command command = {.kind = CATALOG_REASSIGN,
                                      .topic_id = id,
                                      .partition = {.index = 0},
                                      .assignments = &target,
                                      .assignment_count = 1};
    propose(f, &command);
    assert_null(local(f, "orders"));
    assert_true(partition_deleted(held));
    partition_unref(held);
}

static void set_node_key(struct broker_fixture *f, const char *node, const char *key,
                         const char *value)
{
    struct catalog_pair pair = {.key = slice_of(key), .value = slice_of(value)};
    struct catalog_command command = {.kind = CATALOG_CONFIG_SET,
                                      .resource = CATALOG_RESOURCE_NODE,
                                      .resource_name = slice_of(node),
                                      .pairs = &pair,
                                      .pair_count = 1};
    propose(f, &command);
}

/* What the cluster elects by binds every node: its own value may only ask for more. */
static void a_node_asks_for_no_fewer_replicas_than_the_cluster(void **state)
{
    struct broker_fixture *f = *state;
    set_node_key(f, "", "min.insync.replicas", "2");
    set_node_key(f, "1", "min.insync.replicas", "1");
    assert_int_equal(broker_partition_config(&f->broker, NULL).min_insync_replicas, 2);
    set_node_key(f, "1", "min.insync.replicas", "3");
    assert_int_equal(broker_partition_config(&f->broker, NULL).min_insync_replicas, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_replica_follows_the_leader_the_catalog_names,
                                        broker_fixture_setup, broker_fixture_teardown),
        cmocka_unit_test_setup_teardown(a_partition_that_was_moved_away_leaves,
                                        broker_fixture_setup, broker_fixture_teardown),
        cmocka_unit_test_setup_teardown(a_node_asks_for_no_fewer_replicas_than_the_cluster,
                                        broker_fixture_setup, broker_fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
