/* SPDX-License-Identifier: Apache-2.0 */
/* AlterConfigs and IncrementalAlterConfigs. */
#include "handle/broker_fixture.h"
#include "handle/config_alteration.h"
#include "handle/config_edit.h"
#include "wire/api_alter_configs.h"
#include "wire/api_incremental_alter_configs.h"

#include <cmocka.h>

static struct incremental_alter_configs_request *
begin(struct broker_fixture *f, struct exchange *exchange, int8_t type, const char *name)
{
    struct incremental_alter_configs_request *body =
        exchange_begin(f, exchange, API_INCREMENTAL_ALTER_CONFIGS, 1);
    body->resources = arena_allocate_array(&exchange->arena, 1, sizeof *body->resources);
    body->resources_count = 1;
    body->resources[0].resource_type = type;
    body->resources[0].resource_name = slice_of(name);
    return body;
}

static void add(struct exchange *exchange, struct incremental_alter_configs_request *body,
                int8_t operation, const char *key, const char *value)
{
    struct incremental_alter_configs_request_alter_configs_resource *resource = &body->resources[0];
    struct incremental_alter_configs_request_alterable_config *configs =
        arena_allocate_array(&exchange->arena, resource->configs_count + 1, sizeof *configs);
    if (resource->configs_count > 0)
        memcpy(configs, resource->configs, resource->configs_count * sizeof *configs);
    configs[resource->configs_count++] =
        (struct incremental_alter_configs_request_alterable_config){
            .name = slice_of(key), .config_operation = operation, .value = slice_of(value)};
    resource->configs = configs;
}

static void finish(struct broker_fixture *f, struct exchange *exchange, enum error expected)
{
    const struct incremental_alter_configs_response *answer = exchange_run(f, exchange);
    assert_int_equal(answer->responses_count, 1);
    assert_kafka_error(answer->responses[0].error_code, expected);
    assert_true(slice_is_null(answer->responses[0].error_message) == (expected == ERROR_NONE));
    exchange_done(exchange);
}

/* One change of one topic. */
static void alter(struct broker_fixture *f, int8_t operation, const char *key, const char *value,
                  enum error expected)
{
    struct exchange exchange;
    add(&exchange, begin(f, &exchange, RESOURCE_TOPIC, "orders"), operation, key, value);
    finish(f, &exchange, expected);
}

static const char *value_of(const struct broker_fixture *f, const char *key)
{
    const struct catalog_topic *topic = catalog_topic_find(f->broker.catalog, slice_of("orders"));
    return config_set_get(topic->config, key);
}

/* Set and delete, and the partitions obey at once. */
static void a_value_is_set_and_deleted(void **state)
{
    struct broker_fixture *f = *state;
    fixture_topic(f, "orders", 1);
    struct partition *partition = partition_table_find(f->broker.partitions, slice_of("orders"), 0);
    alter(f, CONFIG_SET_KEY, "retention.ms", "5", ERROR_NONE);
    assert_string_equal(value_of(f, "retention.ms"), "5");
    assert_int_equal(partition_config(partition)->log.retention_ms, 5);
    alter(f, CONFIG_DELETE_KEY, "retention.ms", NULL, ERROR_NONE);
    assert_null(value_of(f, "retention.ms"));
    assert_int_equal(partition_config(partition)->log.retention_ms, -1);
    alter(f, CONFIG_DELETE_KEY, "retention.ms", NULL, ERROR_NONE);
}

/* Append and subtract work on the value in force, and on lists only. */
static void lists_grow_and_shrink(void **state)
{
    struct broker_fixture *f = *state;
    fixture_topic(f, "orders", 1);
    alter(f, CONFIG_APPEND_ELEMENTS, "cleanup.policy", "compact", ERROR_NONE);
    assert_string_equal(value_of(f, "cleanup.policy"), "delete,compact");
    alter(f, CONFIG_APPEND_ELEMENTS, "cleanup.policy", "delete", ERROR_NONE);
    assert_string_equal(value_of(f, "cleanup.policy"), "delete,compact");
    alter(f, CONFIG_SUBTRACT_ELEMENTS, "cleanup.policy", "delete", ERROR_NONE);
    assert_string_equal(value_of(f, "cleanup.policy"), "compact");
    alter(f, CONFIG_APPEND_ELEMENTS, "retention.ms", "5", ERROR_INVALID_CONFIG);
    alter(f, CONFIG_APPEND_ELEMENTS, "cleanup.policy", "drop", ERROR_INVALID_CONFIG);
}

/* Mistakes have Kafka's answers and change nothing. */
static void mistakes_are_refused(void **state)
{
    struct broker_fixture *f = *state;
    fixture_topic(f, "orders", 1);
    uint32_t proposals = f->proposal_count;
    alter(f, CONFIG_SET_KEY, "retention.mss", "5", ERROR_INVALID_CONFIG);
    alter(f, CONFIG_SET_KEY, "retention.ms", "-5", ERROR_INVALID_CONFIG);
    alter(f, CONFIG_SET_KEY, "retention.ms", NULL, ERROR_INVALID_REQUEST);
    alter(f, CONFIG_DELETE_KEY, "no.such.key", NULL, ERROR_INVALID_CONFIG);
    alter(f, 4, "retention.ms", "5", ERROR_INVALID_REQUEST);
    alter(f, -1, "retention.ms", "5", ERROR_INVALID_REQUEST);
    alter(f, CONFIG_SET_KEY, "max.compaction.lag.ms", "0", ERROR_INVALID_CONFIG);

    struct exchange exchange;
    struct incremental_alter_configs_request *body = begin(f, &exchange, RESOURCE_TOPIC, "orders");
    add(&exchange, body, CONFIG_SET_KEY, "retention.ms", "1");
    add(&exchange, body, CONFIG_SET_KEY, "retention.ms", "2");
    finish(f, &exchange, ERROR_INVALID_REQUEST);
    assert_int_equal(f->proposal_count, proposals);
}

/* Resources that are not there, or have nothing to configure. */
static void strange_resources_are_refused(void **state)
{
    struct broker_fixture *f = *state;
    static const struct {
        int8_t type;
        const char *name;
        enum error expected;
    } strange[] = {
        {RESOURCE_TOPIC, "missing", ERROR_UNKNOWN_TOPIC_OR_PARTITION},
        {RESOURCE_TOPIC, "", ERROR_INVALID_REQUEST},
        {RESOURCE_NODE, "9", ERROR_BROKER_ID_NOT_REGISTERED},
        {RESOURCE_NODE, "one", ERROR_INVALID_REQUEST},
        {RESOURCE_NODE, "-1", ERROR_INVALID_REQUEST},
        {RESOURCE_LOGGER, "1", ERROR_INVALID_REQUEST},
        {RESOURCE_CLIENT_METRICS, "m", ERROR_INVALID_REQUEST},
        {RESOURCE_GROUP, "", ERROR_INVALID_REQUEST},
        {RESOURCE_GROUP, "readers", ERROR_INVALID_CONFIG},
        {77, "x", ERROR_INVALID_REQUEST},
    };
    for (size_t i = 0; i < sizeof strange / sizeof strange[0]; i++) {
        struct exchange exchange;
        add(&exchange, begin(f, &exchange, strange[i].type, strange[i].name), CONFIG_SET_KEY,
            "retention.ms", "5");
        finish(f, &exchange, strange[i].expected);
    }
}

/* A node's defaults change while it runs, for all of its topics; what needs a restart does not. */
static void a_nodes_configuration_is_altered(void **state)
{
    struct broker_fixture *f = *state;
    struct exchange exchange;
    fixture_topic(f, "orders", 1);
    struct partition *partition = partition_table_find(f->broker.partitions, slice_of("orders"), 0);
    add(&exchange, begin(f, &exchange, RESOURCE_NODE, ""), CONFIG_SET_KEY, "log.retention.ms", "7");
    finish(f, &exchange, ERROR_NONE);
    assert_int_equal(partition_config(partition)->log.retention_ms, 7);
    add(&exchange, begin(f, &exchange, RESOURCE_NODE, "1"), CONFIG_SET_KEY, "log.retention.ms",
        "8");
    finish(f, &exchange, ERROR_NONE);
    assert_int_equal(partition_config(partition)->log.retention_ms, 8);
    add(&exchange, begin(f, &exchange, RESOURCE_NODE, "1"), CONFIG_DELETE_KEY, "log.retention.ms",
        NULL);
    finish(f, &exchange, ERROR_NONE);
    assert_int_equal(partition_config(partition)->log.retention_ms, 7);
    add(&exchange, begin(f, &exchange, RESOURCE_NODE, "1"), CONFIG_SET_KEY, "listeners",
        "PLAINTEXT://:1");
    finish(f, &exchange, ERROR_INVALID_REQUEST);
}

/* Validation alone changes nothing. */
static void validation_changes_nothing(void **state)
{
    struct broker_fixture *f = *state;
    struct exchange exchange;
    fixture_topic(f, "orders", 1);
    struct incremental_alter_configs_request *body = begin(f, &exchange, RESOURCE_TOPIC, "orders");
    add(&exchange, body, CONFIG_SET_KEY, "retention.ms", "5");
    body->validate_only = true;
    finish(f, &exchange, ERROR_NONE);
    assert_null(value_of(f, "retention.ms"));
}

/* The same resource twice in one request. */
static void a_resource_twice_is_refused(void **state)
{
    struct broker_fixture *f = *state;
    struct exchange exchange;
    fixture_topic(f, "orders", 1);
    struct incremental_alter_configs_request *body = begin(f, &exchange, RESOURCE_TOPIC, "orders");
    add(&exchange, body, CONFIG_SET_KEY, "retention.ms", "5");
    struct incremental_alter_configs_request_alter_configs_resource twice[] = {body->resources[0],
                                                                               body->resources[0]};
    body->resources = twice;
    body->resources_count = 2;
    const struct incremental_alter_configs_response *answer = exchange_run(f, &exchange);
    assert_int_equal(answer->responses_count, 2);
    assert_kafka_error(answer->responses[0].error_code, ERROR_INVALID_REQUEST);
    assert_kafka_error(answer->responses[1].error_code, ERROR_INVALID_REQUEST);
    exchange_done(&exchange);
    assert_null(value_of(f, "retention.ms"));
}

/* The older API replaces: what is not sent is gone. */
static void the_older_api_replaces_everything(void **state)
{
    struct broker_fixture *f = *state;
    struct exchange exchange;
    fixture_topic(f, "orders", 1);
    alter(f, CONFIG_SET_KEY, "retention.ms", "5", ERROR_NONE);
    alter(f, CONFIG_SET_KEY, "segment.ms", "6", ERROR_NONE);
    for (int16_t version = 0; version <= 2; version++) {
        struct alter_configs_request *body =
            exchange_begin(f, &exchange, API_ALTER_CONFIGS, version);
        struct alter_configs_request_alterable_config config = {slice_of("segment.ms"),
                                                                slice_of("7")};
        struct alter_configs_request_alter_configs_resource resource = {
            .resource_type = RESOURCE_TOPIC,
            .resource_name = slice_of("orders"),
            .configs = &config,
            .configs_count = 1};
        body->resources = &resource;
        body->resources_count = 1;
        const struct alter_configs_response *answer = exchange_run(f, &exchange);
        assert_kafka_error(answer->responses[0].error_code, ERROR_NONE);
        exchange_done(&exchange);
        assert_null(value_of(f, "retention.ms"));
        assert_string_equal(value_of(f, "segment.ms"), "7");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BROKER(a_value_is_set_and_deleted),
        WITH_BROKER(lists_grow_and_shrink),
        WITH_BROKER(mistakes_are_refused),
        WITH_BROKER(strange_resources_are_refused),
        WITH_BROKER(a_nodes_configuration_is_altered),
        WITH_BROKER(validation_changes_nothing),
        WITH_BROKER(a_resource_twice_is_refused),
        WITH_BROKER(the_older_api_replaces_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
