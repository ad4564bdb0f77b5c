/* SPDX-License-Identifier: Apache-2.0 */
/* Commands about the cluster, its nodes, configuration, producer ids and features, and that a
 * command proposed twice counts once. */
#include "catalog_fixture.h"

#include <cmocka.h>

static void assert_error(struct catalog_fixture *f, const struct catalog_command *command,
                         enum error expected)
{
    uint64_t hash = catalog_hash(f->catalog);
    assert_string_equal(error_name(apply(f, command).error), error_name(expected));
    assert_int_equal(catalog_hash(f->catalog), hash);
}

/* A cluster gets its id once. */
static void a_cluster_is_founded_once(void **state)
{
    struct catalog_fixture *f = *state;
    struct catalog_command found = {.kind = CATALOG_CLUSTER_INIT};
    assert_error(f, &found, ERROR_INVALID_REQUEST);
    found.cluster_id = id_of(1);
    assert_int_equal(apply(f, &found).error, ERROR_NONE);
    assert_int_equal(apply(f, &found).error, ERROR_NONE);
    found.cluster_id = id_of(2);
    assert_error(f, &found, ERROR_INCONSISTENT_CLUSTER_ID);
    struct uuid id = catalog_cluster_id(f->catalog), first = id_of(1);
    assert_true(uuid_equals(&id, &first));
}

/* A registration's epoch is its log position, so it grows with every start of the node. */
static void a_registration_gives_a_new_epoch(void **state)
{
    struct catalog_fixture *f = *state;
    struct catalog_command command = node_command(2);
    assert_int_equal(catalog_node_find(f->catalog, 2)->epoch, 2);
    struct catalog_outcome outcome = apply(f, &command);
    assert_int_equal(outcome.error, ERROR_NONE);
    assert_int_equal(catalog_node_find(f->catalog, 2)->epoch, outcome.index);
    assert_int_equal(catalog_node_find(f->catalog, 2)->registered_ms, 1002);
    assert_string_equal(catalog_node_find(f->catalog, 2)->host, "node2");
    assert_null(catalog_node_find(f->catalog, 4));
    assert_string_equal(f->told, "nodes;");

    command.node.id = -1;
    assert_error(f, &command, ERROR_INVALID_REQUEST);
    command = node_command(5);
    command.node.port = 70000;
    assert_error(f, &command, ERROR_INVALID_REQUEST);
    command = node_command(5);
    command.node.host[0] = '\0';
    assert_error(f, &command, ERROR_INVALID_REQUEST);
}

static void append_id(void *context, const struct catalog_node *node)
{
    char *ids = context;
    ids[strlen(ids)] = (char)('0' + node->id);
}

/* Nodes are fenced, come back, and go; listed by id. */
static void nodes_are_fenced_and_unregistered(void **state)
{
    struct catalog_fixture *f = *state;
    struct catalog_command zero = node_command(0);
    assert_int_equal(apply(f, &zero).error, ERROR_NONE);
    struct catalog_command fence = {.kind = CATALOG_NODE_FENCE, .node_id = 2, .fenced = true};
    assert_int_equal(apply(f, &fence).error, ERROR_NONE);
    assert_true(catalog_node_find(f->catalog, 2)->fenced);
    fence.fenced = false;
    assert_int_equal(apply(f, &fence).error, ERROR_NONE);
    assert_false(catalog_node_find(f->catalog, 2)->fenced);
    struct catalog_command unregister = {.kind = CATALOG_NODE_UNREGISTER, .node_id = 2};
    assert_int_equal(apply(f, &unregister).error, ERROR_NONE);
    assert_error(f, &unregister, ERROR_BROKER_ID_NOT_REGISTERED);
    assert_error(f, &fence, ERROR_BROKER_ID_NOT_REGISTERED);
    char ids[8] = "";
    catalog_node_each(f->catalog, append_id, ids);
    assert_string_equal(ids, "013");
}

/* Values are set, changed and removed; the last one gone leaves no set behind. */
static void configuration_is_set_and_removed(void **state)
{
    struct catalog_fixture *f = *state;
    make_topic(f, "orders", 1, 1);
    uint64_t plain = catalog_hash(f->catalog);
    const struct catalog_pair set[] = {pair_of("retention.ms", "5"), pair_of("segment.ms", "6")};
    const struct catalog_pair unset[] = {pair_of("retention.ms", NULL),
                                         pair_of("segment.ms", NULL)};
    struct catalog_command command = config_command(CATALOG_RESOURCE_TOPIC, "orders", set, 2);
    assert_int_equal(apply(f, &command).error, ERROR_NONE);
    const struct catalog_topic *topic = catalog_topic_find(f->catalog, slice_of("orders"));
    assert_string_equal(config_set_get(topic->config, "segment.ms"), "6");

    command = config_command(CATALOG_RESOURCE_TOPIC, "orders", unset, 1);
    assert_int_equal(apply(f, &command).error, ERROR_NONE);
    assert_null(config_set_get(topic->config, "retention.ms"));
    command.pairs = unset + 1;
    assert_int_equal(apply(f, &command).error, ERROR_NONE);
    assert_null(topic->config);
    assert_int_equal(catalog_hash(f->catalog), plain);
    assert_string_equal(f->told, "topic orders;config orders;config orders;config orders;");
}

/* Node values live under the node's number, "" for all; group values under the group's name. */
static void nodes_and_groups_have_configuration(void **state)
{
    struct catalog_fixture *f = *state;
    uint64_t plain = catalog_hash(f->catalog);
    const struct catalog_pair set = pair_of("log.retention.ms", "5");
    const struct catalog_pair unset = pair_of("log.retention.ms", NULL);
    struct catalog_command node = config_command(CATALOG_RESOURCE_NODE, "2", &set, 1);
    struct catalog_command all = config_command(CATALOG_RESOURCE_NODE, "", &set, 1);
    struct catalog_command group = config_command(CATALOG_RESOURCE_GROUP, "readers", &set, 1);
    assert_int_equal(apply(f, &node).error, ERROR_NONE);
    assert_int_equal(apply(f, &all).error, ERROR_NONE);
    assert_int_equal(apply(f, &group).error, ERROR_NONE);

    assert_string_equal(config_set_get(catalog_node_config(f->catalog, 2), "log.retention.ms"),
                        "5");
    assert_non_null(catalog_node_config(f->catalog, -1));
    assert_null(catalog_node_config(f->catalog, 3));
    assert_non_null(catalog_group_config(f->catalog, slice_of("readers")));
    assert_string_equal(f->told, "resource 2;resource;resource readers;");
    node.pairs = all.pairs = group.pairs = &unset;
    assert_int_equal(apply(f, &node).error, ERROR_NONE);
    assert_int_equal(apply(f, &all).error, ERROR_NONE);
    assert_int_equal(apply(f, &group).error, ERROR_NONE);
    assert_null(catalog_node_config(f->catalog, -1));
    assert_int_equal(catalog_hash(f->catalog), plain);
}

/* Resources that are not there. */
static void configuration_of_nothing_is_refused(void **state)
{
    struct catalog_fixture *f = *state;
    const struct catalog_pair set = pair_of("retention.ms", "5");
    const struct catalog_pair nameless = pair_of("", "5");
    struct catalog_command command = config_command(CATALOG_RESOURCE_TOPIC, "none", &set, 1);
    assert_error(f, &command, ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    command = config_command(CATALOG_RESOURCE_NODE, "7", &set, 1);
    assert_error(f, &command, ERROR_BROKER_ID_NOT_REGISTERED);
    command = config_command(CATALOG_RESOURCE_NODE, "02", &set, 1);
    assert_error(f, &command, ERROR_BROKER_ID_NOT_REGISTERED);
    command = config_command(CATALOG_RESOURCE_GROUP, "", &set, 1);
    assert_error(f, &command, ERROR_INVALID_REQUEST);
    command = config_command((enum catalog_resource)8, "x", &set, 1);
    assert_error(f, &command, ERROR_INVALID_REQUEST);
    command = config_command(CATALOG_RESOURCE_NODE, "1", &nameless, 1);
    assert_error(f, &command, ERROR_INVALID_CONFIG);
}

/* Invariant 19: blocks of producer ids never overlap. */
static void producer_ids_come_in_blocks(void **state)
{
    struct catalog_fixture *f = *state;
    struct catalog_command command = {.kind = CATALOG_PRODUCER_IDS, .node_id = 1};
    assert_int_equal(apply(f, &command).producer_id_first, 0);
    command.node_id = 2;
    assert_int_equal(apply(f, &command).producer_id_first, CATALOG_PRODUCER_ID_BLOCK);
    command.node_id = 9;
    assert_error(f, &command, ERROR_BROKER_ID_NOT_REGISTERED);
}

/* Features have a level; 0 takes them away. */
static void features_have_levels(void **state)
{
    struct catalog_fixture *f = *state;
    uint64_t plain = catalog_hash(f->catalog);
    struct catalog_command command = {
        .kind = CATALOG_FEATURE_SET, .feature = slice_of("b"), .feature_level = 3};
    assert_int_equal(apply(f, &command).error, ERROR_NONE);
    command.feature = slice_of("a");
    assert_int_equal(apply(f, &command).error, ERROR_NONE);
    assert_int_equal(catalog_feature_level(f->catalog, slice_of("b")), 3);
    command.feature_level = 0;
    assert_int_equal(apply(f, &command).error, ERROR_NONE);
    command.feature = slice_of("b");
    assert_int_equal(apply(f, &command).error, ERROR_NONE);
    assert_int_equal(catalog_feature_level(f->catalog, slice_of("b")), 0);
    assert_int_equal(catalog_hash(f->catalog), plain);
    command.feature_level = -1;
    assert_error(f, &command, ERROR_INVALID_REQUEST);
}

/* A proposal whose outcome was unknown is proposed again: same answer, no second effect. */
static void a_command_with_the_same_id_counts_once(void **state)
{
    struct catalog_fixture *f = *state;
    struct catalog_command command = {.kind = CATALOG_PRODUCER_IDS, .node_id = 1, .id = id_of(50)};
    struct catalog_outcome first = apply(f, &command);
    uint64_t hash = catalog_hash(f->catalog);
    struct catalog_outcome again = apply(f, &command);
    assert_int_equal(again.producer_id_first, first.producer_id_first);
    assert_int_equal(again.index, first.index);
    assert_int_equal(catalog_hash(f->catalog), hash);

    struct catalog_command topic = topic_command("orders", 1, 1);
    topic.id = id_of(51);
    assert_int_equal(apply(f, &topic).error, ERROR_NONE);
    assert_int_equal(apply(f, &topic).error, ERROR_NONE);
    struct catalog_command bad = topic_command("orders", 2, 1);
    bad.id = id_of(52);
    assert_int_equal(apply(f, &bad).error, ERROR_TOPIC_ALREADY_EXISTS);
    assert_int_equal(apply(f, &bad).error, ERROR_TOPIC_ALREADY_EXISTS);
}

/* Only so many outcomes are kept. */
static void an_old_outcome_is_forgotten(void **state)
{
    struct catalog_fixture *f = *state;
    struct catalog_command command = {.kind = CATALOG_PRODUCER_IDS, .node_id = 1, .id = id_of(50)};
    int64_t first = apply(f, &command).producer_id_first;
    struct catalog_command other = command;
    for (int i = 0; i < CATALOG_OUTCOMES_KEPT - 1; i++) {
        other.id.bytes[5] = (uint8_t)(1 + i % 255);
        other.id.bytes[6] = (uint8_t)(i / 255);
        (void)apply(f, &other);
    }
    assert_int_equal(apply(f, &command).producer_id_first, first);
    other.id.bytes[7] = 1;
    (void)apply(f, &other);
    assert_int_not_equal(apply(f, &command).producer_id_first, first);
}

int main(void)
{
#define WITH_CATALOG(name)                                                                         \
    cmocka_unit_test_setup_teardown(name, catalog_fixture_setup, catalog_fixture_teardown)
    const struct CMUnitTest tests[] = {
        WITH_CATALOG(a_cluster_is_founded_once),
        WITH_CATALOG(a_registration_gives_a_new_epoch),
        WITH_CATALOG(nodes_are_fenced_and_unregistered),
        WITH_CATALOG(configuration_is_set_and_removed),
        WITH_CATALOG(nodes_and_groups_have_configuration),
        WITH_CATALOG(configuration_of_nothing_is_refused),
        WITH_CATALOG(producer_ids_come_in_blocks),
        WITH_CATALOG(features_have_levels),
        WITH_CATALOG(a_command_with_the_same_id_counts_once),
        WITH_CATALOG(an_old_outcome_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
