/* SPDX-License-Identifier: Apache-2.0 */
/* AlterConfigs: what is sent is all that is set afterwards. */
#include "handle/config_alteration.h"
#include "handle/handlers.h"
#include "wire/api_alter_configs.h"

static bool take_resource(struct config_alteration *all,
                          const struct alter_configs_request_alter_configs_resource *asked,
                          struct alter_configs_response_alter_configs_resource_response *answer)
{
    answer->resource_type = asked->resource_type;
    answer->resource_name = asked->resource_name;
    struct config_key_change *changes =
        config_alteration_add(all, asked->resource_type, asked->resource_name, asked->configs_count,
                              (struct config_answer){&answer->error_code, &answer->error_message});
    for (uint32_t i = 0; changes != NULL && i < asked->configs_count; i++)
        changes[i] = (struct config_key_change){asked->configs[i].name, CONFIG_SET_KEY,
                                                asked->configs[i].value};
    return changes != NULL;
}

void handle_alter_configs(struct request *request)
{
    const struct alter_configs_request *body = request->body;
    uint32_t count = body->resources_count;
    struct alter_configs_response *response = request_response(request);
    struct config_alteration *all =
        config_alteration_new(request, count, true, body->validate_only);
    if (response != NULL)
        response->responses =
            arena_allocate_array(&request->arena, count, sizeof *response->responses);
    bool taken = response != NULL && response->responses != NULL && all != NULL;
    for (uint32_t i = 0; taken && i < count; i++) {
        response->responses_count++;
        taken = take_resource(all, &body->resources[i], &response->responses[i]);
    }
    if (taken)
        config_alteration_start(all);
    else
        request_fail(request);
}
