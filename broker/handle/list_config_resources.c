/* SPDX-License-Identifier: Apache-2.0 */
/* ListConfigResources (KIP-1142): what DescribeConfigs can be asked about. Version 0 lists client
 * metrics only, of which there are none here. */
#include "handle/config_edit.h"
#include "handle/handlers.h"
#include "wire/api_list_config_resources.h"

#include <stdio.h>

struct resources {
    struct request *request;
    struct list_config_resources_response_config_resource *answers;
    uint32_t count;
    uint32_t capacity;
    bool refused;
    int8_t type; /* Being added. */
};

static void add(struct resources *resources, struct slice name)
{
    if (resources->count == resources->capacity) {
        uint32_t capacity = resources->capacity * 2 + 16;
        struct list_config_resources_response_config_resource *answers =
            arena_allocate_array(&resources->request->arena, capacity, sizeof *answers);
        if (answers == NULL) {
            resources->refused = true;
            return;
        }
        if (resources->count > 0)
            memcpy(answers, resources->answers, resources->count * sizeof *answers);
        resources->answers = answers;
        resources->capacity = capacity;
    }
    struct slice copy = arena_copy(&resources->request->arena, name);
    resources->refused = resources->refused || copy.data == NULL;
    resources->answers[resources->count++] =
        (struct list_config_resources_response_config_resource){.resource_name = copy,
                                                                .resource_type = resources->type};
}

static bool add_topic(void *context, const struct catalog_topic *topic)
{
    struct resources *resources = context;
    add(resources, slice_of(topic->name));
    return !resources->refused;
}

static void add_node(void *context, const struct catalog_node *node)
{
    char name[16];
    (void)snprintf(name, sizeof name, "%d", node->id);
    add(context, slice_of(name));
}

static void add_group(void *context, struct slice group)
{
    add(context, group);
}

static enum error add_type(struct resources *resources, int8_t type)
{
    const struct catalog *catalog = resources->request->broker->catalog;
    resources->type = type;
    switch (type) {
    case RESOURCE_TOPIC:
        catalog_topic_each(catalog, add_topic, resources);
        return ERROR_NONE;
    case RESOURCE_NODE:
    case RESOURCE_LOGGER:
        catalog_node_each(catalog, add_node, resources);
        return ERROR_NONE;
    case RESOURCE_GROUP:
        catalog_group_config_each(catalog, add_group, resources);
        return ERROR_NONE;
    case RESOURCE_CLIENT_METRICS:
        return ERROR_NONE;
    default:
        return ERROR_UNSUPPORTED_VERSION;
    }
}

static enum error add_asked(struct resources *resources, const int8_t *types, uint32_t count)
{
    uint64_t seen = 0;
    enum error error = ERROR_NONE;
    for (uint32_t i = 0; i < count && error == ERROR_NONE; i++) {
        if (types[i] < 0 || types[i] > 63)
            return ERROR_UNSUPPORTED_VERSION;
        if ((seen >> types[i] & 1) == 0)
            error = add_type(resources, types[i]);
        seen |= UINT64_C(1) << types[i];
    }
    return error;
}

void handle_list_config_resources(struct request *request)
{
    static const int8_t all[] = {RESOURCE_TOPIC, RESOURCE_NODE, RESOURCE_LOGGER,
                                 RESOURCE_CLIENT_METRICS, RESOURCE_GROUP};
    const struct list_config_resources_request *body = request->body;
    struct list_config_resources_response *response = request_response(request);
    struct resources resources = {.request = request};
    enum error error = ERROR_NONE;
    if (request->version == 0)
        error = add_type(&resources, RESOURCE_CLIENT_METRICS);
    else if (body->resource_types_count == 0)
        error = add_asked(&resources, all, sizeof all);
    else
        error = add_asked(&resources, body->resource_types, body->resource_types_count);
    if (response == NULL || resources.refused) {
        request_fail(request);
        return;
    }
    response->error_code = error_to_kafka(error);
    response->config_resources = WIRE_EMPTY;
    if (error == ERROR_NONE && resources.count > 0) {
        response->config_resources = resources.answers;
        response->config_resources_count = resources.count;
    }
    request_complete(request);
}
