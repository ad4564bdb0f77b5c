/* SPDX-License-Identifier: Apache-2.0 */
/* Commands about topics and partitions, checked against the image they meet. */
#include "catalog_fixture.h"

#include <cmocka.h>

static void assert_error(struct catalog_fixture *f, const struct catalog_command *command,
                         enum error expected)
{
    uint64_t hash = catalog_hash(f->catalog);
    assert_string_equal(error_name(apply(f, command).error), error_name(expected));
    assert_int_equal(catalog_hash(f->catalog), hash);
    assert_int_equal(catalog_applied_index(f->catalog), f->index);
}

/* A topic appears whole: name, id, partitions led by their first replica, and the watcher knows. */
static void a_topic_is_made(void **state)
{
    struct catalog_fixture *f = *state;
    make_topic(f, "orders", 1, 2);

    const struct catalog_topic *topic = catalog_topic_find(f->catalog, slice_of("orders"));
    struct uuid id = id_of(1);
    assert_ptr_equal(catalog_topic_find_id(f->catalog, &id), topic);
    assert_int_equal(topic->partition_count, 2);
    assert_int_equal(topic->created_ms, 5);
    assert_false(topic->internal);
    assert_null(topic->config);
    struct catalog_partition partition = partition_of(f, "orders", 1);
    assert_int_equal(partition.leader, 2);
    assert_int_equal(partition.leader_epoch, 0);
    assert_int_equal(partition.isr_count, 3);
    assert_int_equal(partition.replicas[2], 1);
    assert_false(catalog_partition_find(f->catalog, topic, 2, &partition));
    assert_false(catalog_partition_find(f->catalog, topic, -1, &partition));
    assert_int_equal(catalog_partition_count(f->catalog), 2);
    assert_string_equal(f->told, "topic orders;");
}

/* Its configuration comes with it. */
static void a_topic_is_made_with_configuration(void **state)
{
    struct catalog_fixture *f = *state;
    struct catalog_command command = topic_command("orders", 1, 1);
    const struct catalog_pair pairs[] = {pair_of("retention.ms", "5"),
                                         pair_of("cleanup.policy", "compact")};
    command.pairs = pairs;
    command.pair_count = 2;
    assert_int_equal(apply(f, &command).error, ERROR_NONE);

    const struct catalog_topic *topic = catalog_topic_find(f->catalog, slice_of("orders"));
    assert_string_equal(config_set_get(topic->config, "retention.ms"), "5");
    assert_int_equal(config_set_count(topic->config), 2);
}

/* Every way a topic cannot be made leaves the image as it was. */
static void a_topic_that_cannot_be_is_refused(void **state)
{
    struct catalog_fixture *f = *state;
    make_topic(f, "a.b", 1, 1);
    static const struct catalog_assignment unknown = {.replicas = {9}, .replica_count = 1};
    static const struct catalog_assignment twice = {.replicas = {1, 1}, .replica_count = 2};
    static const struct catalog_assignment nobody = {.replica_count = 0};
    const struct catalog_pair removed = pair_of("retention.ms", NULL);

    struct catalog_command command = topic_command("a.b", 2, 1);
    assert_error(f, &command, ERROR_TOPIC_ALREADY_EXISTS);
    command = topic_command("a_b", 2, 1);
    assert_error(f, &command, ERROR_INVALID_TOPIC);
    command = topic_command("a/b", 2, 1);
    assert_error(f, &command, ERROR_INVALID_TOPIC);
    command = topic_command("new", 1, 1);
    assert_error(f, &command, ERROR_INVALID_REQUEST);
    command = topic_command("new", 2, 1);
    command.topic_id = UUID_ZERO;
    assert_error(f, &command, ERROR_INVALID_REQUEST);
    command = topic_command("new", 2, 0);
    assert_error(f, &command, ERROR_INVALID_PARTITIONS);
    command = topic_command("new", 2, 1);
    command.assignments = &unknown;
    assert_error(f, &command, ERROR_INVALID_REPLICA_ASSIGNMENT);
    command.assignments = &twice;
    assert_error(f, &command, ERROR_INVALID_REPLICA_ASSIGNMENT);
    command.assignments = &nobody;
    assert_error(f, &command, ERROR_INVALID_REPLICA_ASSIGNMENT);
    command = topic_command("new", 2, 1);
    command.pairs = &removed;
    command.pair_count = 1;
    assert_error(f, &command, ERROR_INVALID_CONFIG);
    assert_string_equal(f->told, "topic a.b;");
}

/* A fenced replica is assigned but neither in sync nor leader. */
static void a_fenced_node_does_not_lead_a_new_partition(void **state)
{
    struct catalog_fixture *f = *state;
    struct catalog_command fence = {.kind = CATALOG_NODE_FENCE, .node_id = 1, .fenced = true};
    assert_int_equal(apply(f, &fence).error, ERROR_NONE);
    make_topic(f, "orders", 1, 1);

    struct catalog_partition partition = partition_of(f, "orders", 0);
    assert_int_equal(partition.leader, 2);
    assert_int_equal(partition.replica_count, 3);
    assert_int_equal(partition.isr_count, 2);

    struct catalog_command command = topic_command("other", 2, 4); /* The fourth is on 1 alone. */
    assert_error(f, &command, ERROR_INVALID_REPLICA_ASSIGNMENT);
}

/* A deleted topic is gone by name and id; making it again gives another. */
static void a_topic_is_deleted(void **state)
{
    struct catalog_fixture *f = *state;
    uint64_t empty = catalog_hash(f->catalog);
    make_topic(f, "orders", 1, 3);
    struct catalog_command delete = {.kind = CATALOG_TOPIC_DELETE, .topic_id = id_of(1)};
    assert_int_equal(apply(f, &delete).error, ERROR_NONE);

    assert_null(catalog_topic_find(f->catalog, slice_of("orders")));
    assert_null(catalog_topic_find_id(f->catalog, &delete.topic_id));
    assert_int_equal(catalog_topic_count(f->catalog), 0);
    assert_int_equal(catalog_partition_count(f->catalog), 0);
    assert_int_equal(catalog_hash(f->catalog), empty);
    assert_error(f, &delete, ERROR_UNKNOWN_TOPIC_ID);
    make_topic(f, "orders", 2, 1);
    assert_string_equal(f->told, "topic orders;deleted orders;topic orders;");
}

/* Partitions are added behind the others, and only to the count the proposer saw. */
static void partitions_are_added(void **state)
{
    struct catalog_fixture *f = *state;
    make_topic(f, "orders", 1, 1);
    struct catalog_command add = topic_command("", 1, 2);
    add.kind = CATALOG_PARTITIONS_ADD;
    add.expected_count = 1;
    assert_int_equal(apply(f, &add).error, ERROR_NONE);

    assert_int_equal(catalog_topic_find(f->catalog, slice_of("orders"))->partition_count, 3);
    assert_int_equal(partition_of(f, "orders", 2).leader, 2);
    assert_int_equal(catalog_partition_count(f->catalog), 3);
    assert_error(f, &add, ERROR_INVALID_PARTITIONS);
    add.expected_count = 3;
    add.assignment_count = 0;
    assert_error(f, &add, ERROR_INVALID_PARTITIONS);
    add.topic_id = id_of(9);
    assert_error(f, &add, ERROR_UNKNOWN_TOPIC_ID);
}

int main(void)
{
#define WITH_CATALOG(name)                                                                         \
    cmocka_unit_test_setup_teardown(name, catalog_fixture_setup, catalog_fixture_teardown)
    const struct CMUnitTest tests[] = {
        WITH_CATALOG(a_topic_is_made),
        WITH_CATALOG(a_topic_is_made_with_configuration),
        WITH_CATALOG(a_topic_that_cannot_be_is_refused),
        WITH_CATALOG(a_fenced_node_does_not_lead_a_new_partition),
        WITH_CATALOG(a_topic_is_deleted),
        WITH_CATALOG(partitions_are_added),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
