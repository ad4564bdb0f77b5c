/* SPDX-License-Identifier: Apache-2.0 */
/* AlterConfigs: what is sent is all that is set afterwards. */
#include "handle/config_alteration.h"
#include "handle/handlers.h"
#include "wire/api_alter_configs.h"

static struct config_key_change *
take_changes(struct request *request,
             const struct alter_configs_request_alter_configs_resource *asked)
{
    struct config_key_change *changes =
        arena_allocate_array(&request->arena, asked->configs_count, sizeof *changes);
    for (uint32_t i = 0; changes != NULL && i < asked->configs_count; i++) {
        changes[i].key = asked->configs[i].name;
        changes[i].operation = CONFIG_SET_KEY;
        changes[i].value = asked->configs[i].value;
    }
    return changes;
}

void handle_alter_configs(struct request *request)
{
    const struct alter_configs_request *body = request->body;
    struct arena *arena = &request->arena;
    uint32_t count = body->resources_count;
    struct alter_configs_response *response = request_response(request);
    struct config_resource_change *resources =
        arena_allocate_array(arena, count, sizeof *resources);
    if (response != NULL)
        response->responses = arena_allocate_array(arena, count, sizeof *response->responses);
    bool refused = response == NULL || response->responses == NULL || resources == NULL;
    for (uint32_t i = 0; !refused && i < count; i++) {
        const struct alter_configs_request_alter_configs_resource *asked = &body->resources[i];
        struct alter_configs_response_alter_configs_resource_response *answer =
            &response->responses[i];
        answer->resource_type = asked->resource_type;
        answer->resource_name = asked->resource_name;
        resources[i] = (struct config_resource_change){
            .resource_type = asked->resource_type,
            .resource_name = asked->resource_name,
            .changes = take_changes(request, asked),
            .change_count = asked->configs_count,
            .ret_error_code = &answer->error_code,
            .ret_error_message = &answer->error_message,
        };
        refused = resources[i].changes == NULL;
    }
    if (refused) {
        request_fail(request);
        return;
    }
    response->responses_count = count;
    config_alteration_start(request, resources, count, true, body->validate_only);
}
