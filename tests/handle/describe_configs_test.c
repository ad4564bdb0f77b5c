/* SPDX-License-Identifier: Apache-2.0 */
/* DescribeConfigs: values, sources, synonyms. */
#include "base/memory.h"
#include "handle/broker_fixture.h"
#include "handle/config_edit.h"
#include "wire/api_describe_configs.h"

#include <cmocka.h>

static struct describe_configs_request *begin(struct broker_fixture *f, struct exchange *exchange,
                                              int8_t type, const char *name)
{
    struct describe_configs_request *body = exchange_begin(f, exchange, API_DESCRIBE_CONFIGS, 4);
    body->resources = arena_allocate_array(&exchange->arena, 1, sizeof *body->resources);
    body->resources_count = 1;
    body->resources[0].resource_type = type;
    body->resources[0].resource_name = slice_of(name);
    body->resources[0].configuration_keys = NULL;
    return body;
}

static const struct describe_configs_response_describe_configs_resource_result *
config_of(const struct describe_configs_response *answer, const char *key)
{
    const struct describe_configs_response_describe_configs_result *result = &answer->results[0];
    for (uint32_t i = 0; i < result->configs_count; i++) {
        if (slice_equals_text(result->configs[i].name, key))
            return &result->configs[i];
    }
    return NULL;
}

static void set(struct broker_fixture *f, enum catalog_resource resource, const char *name,
                const char *key, const char *value)
{
    struct catalog_pair pair = {slice_of(key), slice_of(value)};
    struct catalog_command command = {.kind = CATALOG_CONFIG_SET,
                                      .id = uuid_random(f->broker.executor),
                                      .resource = resource,
                                      .resource_name = slice_of(name),
                                      .pairs = &pair,
                                      .pair_count = 1};
    uint8_t *bytes = NULL;
    size_t size = 0;
    assert_int_equal(catalog_command_encode(&command, &bytes, &size), ERROR_NONE);
    assert_int_equal(catalog_apply(f->broker.catalog, ++f->index, 1, bytes, size).error,
                     ERROR_NONE);
    memory_free(bytes);
}

/* Every topic key, at its default, with its type and nothing read-only. */
static void a_topic_shows_every_key(void **state)
{
    struct broker_fixture *f = *state;
    struct exchange exchange;
    fixture_topic(f, "orders", 1);
    begin(f, &exchange, RESOURCE_TOPIC, "orders");
    const struct describe_configs_response *answer = exchange_run(f, &exchange);
    assert_kafka_error(answer->results[0].error_code, ERROR_NONE);
    assert_int_equal(answer->results[0].configs_count, config_scope_count(CONFIG_TOPIC) - 1);
    const struct describe_configs_response_describe_configs_resource_result *config =
        config_of(answer, "retention.ms");
    assert_slice(config->value, "-1");
    assert_int_equal(config->config_source, CONFIG_SOURCE_DEFAULT);
    assert_int_equal(config->config_type, CONFIG_LONG);
    assert_false(config->read_only);
    assert_false(config->is_sensitive);
    assert_true(slice_is_null(config->documentation));
    assert_int_equal(config->synonyms_count, 0);
    assert_null(config_of(answer, "internal.segment.bytes"));
    exchange_done(&exchange);
}

/* Values from every place, nearest first, down to the default. */
static void synonyms_tell_every_place(void **state)
{
    struct broker_fixture *f = *state;
    struct exchange exchange;
    fixture_topic(f, "orders", 1);
    fixture_set(f, "log.retention.hours", "2");
    set(f, CATALOG_RESOURCE_TOPIC, "orders", "retention.ms", "1");
    set(f, CATALOG_RESOURCE_NODE, "1", "log.retention.ms", "3");
    set(f, CATALOG_RESOURCE_NODE, "", "log.retention.ms", "4");
    struct describe_configs_request *body = begin(f, &exchange, RESOURCE_TOPIC, "orders");
    struct slice key = slice_of("retention.ms");
    body->resources[0].configuration_keys = &key;
    body->resources[0].configuration_keys_count = 1;
    body->include_synonyms = true;
    body->include_documentation = true;
    const struct describe_configs_response *answer = exchange_run(f, &exchange);
    assert_int_equal(answer->results[0].configs_count, 1);
    const struct describe_configs_response_describe_configs_resource_result *config =
        &answer->results[0].configs[0];
    assert_slice(config->value, "1");
    assert_int_equal(config->config_source, CONFIG_SOURCE_TOPIC);
    assert_true(config->documentation.size > 10);
    static const struct {
        const char *name, *value;
        int8_t source;
    } expected[] = {
        {"retention.ms", "1", CONFIG_SOURCE_TOPIC},
        {"log.retention.ms", "3", CONFIG_SOURCE_DYNAMIC_NODE},
        {"log.retention.ms", "4", CONFIG_SOURCE_DYNAMIC_DEFAULT_NODE},
        {"log.retention.hours", "2", CONFIG_SOURCE_STATIC_NODE},
        {"log.retention.ms", "-1", CONFIG_SOURCE_DEFAULT},
    };
    assert_int_equal(config->synonyms_count, 5);
    for (int i = 0; i < 5; i++) {
        assert_slice(config->synonyms[i].name, expected[i].name);
        assert_slice(config->synonyms[i].value, expected[i].value);
        assert_int_equal(config->synonyms[i].source, expected[i].source);
    }
    exchange_done(&exchange);
}

/* What another key gives is told in the asked key's unit, with the place it comes from. */
static void a_fallback_is_told_in_the_keys_own_unit(void **state)
{
    struct broker_fixture *f = *state;
    struct exchange exchange;
    fixture_topic(f, "orders", 1);
    fixture_set(f, "log.retention.hours", "2");
    begin(f, &exchange, RESOURCE_TOPIC, "orders");
    const struct describe_configs_response *answer = exchange_run(f, &exchange);
    assert_slice(config_of(answer, "retention.ms")->value, "7200000");
    assert_int_equal(config_of(answer, "retention.ms")->config_source, CONFIG_SOURCE_STATIC_NODE);
    exchange_done(&exchange);
}

/* This node's own configuration: static values, dynamic ones, what needs a restart, nulls. */
static void a_node_shows_its_configuration(void **state)
{
    struct broker_fixture *f = *state;
    struct exchange exchange;
    fixture_set(f, "num.partitions", "3");
    set(f, CATALOG_RESOURCE_NODE, "1", "log.retention.ms", "9");
    begin(f, &exchange, RESOURCE_NODE, "1");
    const struct describe_configs_response *answer = exchange_run(f, &exchange);
    assert_int_equal(answer->results[0].configs_count, config_scope_count(CONFIG_NODE));
    assert_slice(config_of(answer, "num.partitions")->value, "3");
    assert_int_equal(config_of(answer, "num.partitions")->config_source, CONFIG_SOURCE_STATIC_NODE);
    assert_true(config_of(answer, "num.partitions")->read_only);
    assert_slice(config_of(answer, "log.retention.ms")->value, "9");
    assert_int_equal(config_of(answer, "log.retention.ms")->config_source,
                     CONFIG_SOURCE_DYNAMIC_NODE);
    assert_false(config_of(answer, "log.retention.ms")->read_only);
    assert_true(slice_is_null(config_of(answer, "broker.rack")->value));
    exchange_done(&exchange);
}

/* The default of all nodes shows only what is set there. */
static void the_cluster_wide_default_shows_what_is_set(void **state)
{
    struct broker_fixture *f = *state;
    struct exchange exchange;
    set(f, CATALOG_RESOURCE_NODE, "", "log.retention.ms", "4");
    begin(f, &exchange, RESOURCE_NODE, "");
    const struct describe_configs_response *answer = exchange_run(f, &exchange);
    assert_int_equal(answer->results[0].configs_count, 1);
    assert_slice(answer->results[0].configs[0].value, "4");
    assert_int_equal(answer->results[0].configs[0].config_source,
                     CONFIG_SOURCE_DYNAMIC_DEFAULT_NODE);
    exchange_done(&exchange);
}

/* Resources without configuration, of other nodes, or not there. */
static void other_resources_are_answered(void **state)
{
    struct broker_fixture *f = *state;
    static const struct {
        int8_t type;
        const char *name;
        enum error expected;
    } other[] = {
        {RESOURCE_TOPIC, "missing", ERROR_UNKNOWN_TOPIC_OR_PARTITION},
        {RESOURCE_TOPIC, "a/b", ERROR_INVALID_TOPIC},
        {RESOURCE_NODE, "2", ERROR_INVALID_REQUEST},
        {RESOURCE_LOGGER, "1", ERROR_NONE},
        {RESOURCE_LOGGER, "2", ERROR_INVALID_REQUEST},
        {RESOURCE_GROUP, "readers", ERROR_NONE},
        {RESOURCE_GROUP, "", ERROR_INVALID_REQUEST},
        {99, "x", ERROR_INVALID_REQUEST},
    };
    for (size_t i = 0; i < sizeof other / sizeof other[0]; i++) {
        struct exchange exchange;
        begin(f, &exchange, other[i].type, other[i].name);
        const struct describe_configs_response *answer = exchange_run(f, &exchange);
        assert_kafka_error(answer->results[0].error_code, other[i].expected);
        assert_int_equal(answer->results[0].configs_count, 0);
        assert_slice(answer->results[0].resource_name, other[i].name);
        exchange_done(&exchange);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BROKER(a_topic_shows_every_key),
        WITH_BROKER(synonyms_tell_every_place),
        WITH_BROKER(a_fallback_is_told_in_the_keys_own_unit),
        WITH_BROKER(a_node_shows_its_configuration),
        WITH_BROKER(the_cluster_wide_default_shows_what_is_set),
        WITH_BROKER(other_resources_are_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
