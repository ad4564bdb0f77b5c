/* SPDX-License-Identifier: Apache-2.0 */
/* ApiVersions (KIP-35, KIP-511): exactly the APIs that have a handler, and what features are
 * finalized. */
#include "base/assertion.h"
#include "handle/handlers.h"
#include "wire/api_api_versions.h"

/* librdkafka asks whether Produce 0 is in range before it compresses (KAFKA-18659); lower versions
 * are refused all the same. */
static int16_t advertised_min(const struct api *api)
{
    return api->key == API_PRODUCE ? 0 : api->version_min;
}

static void count_one(void *context, const struct api *api)
{
    uint32_t *count = context;
    (void)api;
    (*count)++;
}

static void add_one(void *context, const struct api *api)
{
    struct api_versions_response *response = context;
    uint32_t at = response->api_keys_count++;
    while (at > 0 && response->api_keys[at - 1].api_key > (int16_t)api->key) {
        response->api_keys[at] = response->api_keys[at - 1];
        at--;
    }
    response->api_keys[at] =
        (struct api_versions_response_api_version){.api_key = (int16_t)api->key,
                                                   .min_version = advertised_min(api),
                                                   .max_version = api->version_max};
}

/* KIP-511: [a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])? */
static bool software_name_valid(struct slice name)
{
    for (size_t i = 0; i < name.size; i++) {
        uint8_t byte = name.data[i];
        bool inner = byte == '-' || byte == '.';
        bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                      (byte >= '0' && byte <= '9');
        if (!letter && !(inner && i > 0 && i + 1 < name.size))
            return false;
    }
    return name.size > 0;
}

void handle_api_versions(struct request *request)
{
    const struct api_versions_request *body = request->body;
    struct api_versions_response *response = request_response(request);
    uint32_t count = 0;
    handle_each_supported(count_one, &count);
    if (response != NULL)
        response->api_keys =
            arena_allocate_array(&request->arena, count, sizeof *response->api_keys);
    if (response == NULL || response->api_keys == NULL) {
        request_fail(request);
        return;
    }
    if (request->version >= 3 && (!software_name_valid(body->client_software_name) ||
                                  !software_name_valid(body->client_software_version))) {
        response->error_code = error_to_kafka(ERROR_INVALID_REQUEST);
        request_complete(request);
        return;
    }
    handle_each_supported(add_one, response);
    ASSERT(response->api_keys_count == count);
    response->finalized_features_epoch = catalog_applied_index(request->broker->catalog);
    request_complete(request);
}
