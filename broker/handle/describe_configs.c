/* SPDX-License-Identifier: Apache-2.0 */
/* DescribeConfigs: the table of keys with the value in force, where it comes from, and every other
 * place that speaks for the key. Kafka's ConfigHelper. */
#include "handle/config_edit.h"
#include "handle/handlers.h"
#include "wire/api_describe_configs.h"

#include <stdio.h>

static bool is_asked(const struct describe_configs_request_describe_configs_resource *asked,
                     const char *key)
{
    if (asked->configuration_keys == NULL)
        return true;
    for (uint32_t i = 0; i < asked->configuration_keys_count; i++) {
        if (slice_equals_text(asked->configuration_keys[i], key))
            return true;
    }
    return false;
}

static bool copy_value(struct request *request, const struct config_row *row, const char *value,
                       struct slice *ret_value)
{
    *ret_value = SLICE_NULL;
    if (value == NULL || row->sensitive)
        return true;
    *ret_value = slice_of(value);
    if (value != row->default_text) /* What was set may change before the answer is sent. */
        *ret_value = arena_copy(&request->arena, *ret_value);
    return ret_value->data != NULL;
}

static bool fill_synonyms(struct request *request, const struct config_row *row,
                          const struct config_place *places, uint32_t count,
                          struct describe_configs_response_describe_configs_resource_result *config)
{
    /* Kafka leaves out a default that is null. */
    if (places[count - 1].value == NULL)
        count--;
    config->synonyms = arena_allocate_array(&request->arena, count, sizeof *config->synonyms);
    if (config->synonyms == NULL)
        return false;
    config->synonyms_count = count;
    for (uint32_t i = 0; i < count; i++) {
        config->synonyms[i].name = slice_of(places[i].key); /* A row's. */
        config->synonyms[i].source = (int8_t)places[i].source;
        if (!copy_value(request, row, places[i].value, &config->synonyms[i].value))
            return false;
    }
    return true;
}

static bool fill_config(struct request *request, const struct config_row *row,
                        const struct config_set *topic,
                        struct describe_configs_response_describe_configs_resource_result *config)
{
    const struct describe_configs_request *body = request->body;
    struct config_place places[CONFIG_PLACES_MAX];
    uint32_t count = config_places(request->broker, row, topic, places);
    config->name = slice_of(row->key);
    config->read_only = row->read_only;
    config->is_sensitive = row->sensitive;
    config->config_source = (int8_t)places[0].source;
    config->config_type = (int8_t)row->type;
    config->synonyms = WIRE_EMPTY;
    if (body->include_documentation)
        config->documentation = slice_of(row->help);
    if (!copy_value(request, row, config_in_force(request->broker, row, topic), &config->value))
        return false;
    return !body->include_synonyms || fill_synonyms(request, row, places, count, config);
}

/* Kafka's internal keys are shown only where they are set. */
static bool is_hidden(const struct config_row *row, const struct config_set *topic)
{
    return strncmp(row->key, "internal.", 9) == 0 && config_set_get(topic, row->key) == NULL;
}

static enum error fill_scope(struct request *request,
                             const struct describe_configs_request_describe_configs_resource *asked,
                             enum config_scope scope, const struct config_set *topic,
                             struct describe_configs_response_describe_configs_result *answer)
{
    answer->configs =
        arena_allocate_array(&request->arena, config_scope_count(scope), sizeof *answer->configs);
    if (answer->configs == NULL)
        return ERROR_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < config_row_count; i++) {
        const struct config_row *row = &config_rows[i];
        if (row->scope != scope || is_hidden(row, topic) || !is_asked(asked, row->key))
            continue;
        if (!fill_config(request, row, topic, &answer->configs[answer->configs_count++]))
            return ERROR_OUT_OF_MEMORY;
    }
    return ERROR_NONE;
}

/* The cluster-wide dynamic default: only what is set there. */
static enum error
fill_every_node(struct request *request,
                const struct describe_configs_request_describe_configs_resource *asked,
                struct describe_configs_response_describe_configs_result *answer)
{
    const struct config_set *every = catalog_node_config(request->broker->catalog, -1);
    answer->configs =
        arena_allocate_array(&request->arena, config_set_count(every), sizeof *answer->configs);
    if (answer->configs == NULL)
        return ERROR_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < config_row_count; i++) {
        const struct config_row *row = &config_rows[i];
        const char *value = row->scope == CONFIG_NODE ? config_set_get(every, row->key) : NULL;
        if (value == NULL || !is_asked(asked, row->key))
            continue;
        struct describe_configs_response_describe_configs_resource_result *config =
            &answer->configs[answer->configs_count++];
        if (!fill_config(request, row, NULL, config) ||
            !copy_value(request, row, value, &config->value))
            return ERROR_OUT_OF_MEMORY;
        config->config_source = CONFIG_SOURCE_DYNAMIC_DEFAULT_NODE;
    }
    return ERROR_NONE;
}

/* Only this node knows its own configuration: clients ask each node for its own. */
static enum error
check_own_id(struct request *request,
             const struct describe_configs_request_describe_configs_resource *asked,
             struct slice *ret_reason)
{
    char own[16];
    (void)snprintf(own, sizeof own, "%d", request->broker->node_id);
    if (slice_equals_text(asked->resource_name, own))
        return ERROR_NONE;
    *ret_reason = arena_format(&request->arena,
                               "Unexpected broker id, expected %s but received "
                               "%.*s",
                               own, SLICE_PRINT(asked->resource_name));
    return ERROR_INVALID_REQUEST;
}

static enum error fill_topic(struct request *request,
                             const struct describe_configs_request_describe_configs_resource *asked,
                             struct describe_configs_response_describe_configs_result *answer)
{
    if (!topic_name_valid(asked->resource_name))
        return ERROR_INVALID_TOPIC;
    const struct catalog_topic *topic =
        catalog_topic_find(request->broker->catalog, asked->resource_name);
    if (topic == NULL)
        return ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    return fill_scope(request, asked, CONFIG_TOPIC, topic->config, answer);
}

static enum error fill_resource(
    struct request *request, const struct describe_configs_request_describe_configs_resource *asked,
    struct describe_configs_response_describe_configs_result *answer, struct slice *ret_reason)
{
    enum error error;
    switch (asked->resource_type) {
    case RESOURCE_TOPIC:
        return fill_topic(request, asked, answer);
    case RESOURCE_NODE:
        if (asked->resource_name.size == 0)
            return fill_every_node(request, asked, answer);
        error = check_own_id(request, asked, ret_reason);
        return error != ERROR_NONE ? error : fill_scope(request, asked, CONFIG_NODE, NULL, answer);
    case RESOURCE_LOGGER: /* There are none here whose level could be set. */
        return check_own_id(request, asked, ret_reason);
    case RESOURCE_GROUP:
        if (asked->resource_name.size == 0) {
            *ret_reason = slice_of("Default group resources are not allowed.");
            return ERROR_INVALID_REQUEST;
        }
        return fill_scope(request, asked, CONFIG_GROUP, NULL, answer);
    default:
        *ret_reason =
            arena_format(&request->arena, "Unsupported resource type: %d", asked->resource_type);
        return ERROR_INVALID_REQUEST;
    }
}

void handle_describe_configs(struct request *request)
{
    const struct describe_configs_request *body = request->body;
    struct describe_configs_response *response = request_response(request);
    if (response != NULL)
        response->results =
            arena_allocate_array(&request->arena, body->resources_count, sizeof *response->results);
    if (response == NULL || response->results == NULL) {
        request_fail(request);
        return;
    }
    response->results_count = body->resources_count;
    for (uint32_t i = 0; i < body->resources_count; i++) {
        struct describe_configs_response_describe_configs_result *answer = &response->results[i];
        struct slice reason = SLICE_NULL;
        describe_configs_response_describe_configs_result_init(answer);
        answer->error_message = SLICE_NULL;
        answer->resource_type = body->resources[i].resource_type;
        answer->resource_name = body->resources[i].resource_name;
        answer->configs = WIRE_EMPTY;
        enum error error = fill_resource(request, &body->resources[i], answer, &reason);
        if (error == ERROR_OUT_OF_MEMORY) {
            request_fail(request);
            return;
        }
        answer->error_code = error_to_kafka(error);
        if (error != ERROR_NONE)
            answer->error_message = slice_is_null(reason) ? slice_of(error_text(error)) : reason;
    }
    request_complete(request);
}
