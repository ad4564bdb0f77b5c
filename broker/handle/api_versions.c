/* SPDX-License-Identifier: Apache-2.0 */
/* ApiVersions (KIP-35, KIP-511): exactly the APIs that have a handler, and what features are
 * finalized. */
#include "base/assertion.h"
#include "handle/feature_table.h"
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

/* KIP-584. A client of version 3 may choke on a feature that begins at level 0 (KAFKA-17011): none
 * of ours does. Finalized is the one level that there is. */
static bool add_features(struct request *request, struct api_versions_response *response)
{
    struct arena *arena = &request->arena;
    response->supported_features =
        arena_allocate_array(arena, feature_count, sizeof *response->supported_features);
    response->finalized_features =
        arena_allocate_array(arena, feature_count, sizeof *response->finalized_features);
    if (response->supported_features == NULL || response->finalized_features == NULL)
        return false;
    for (uint32_t i = 0; i < feature_count; i++) {
        const struct feature *feature = &features[i];
        ASSERT(feature->level_min > 0);
        ASSERT(feature->level_min == feature->level_max);
        response->supported_features[i] = (struct api_versions_response_supported_feature_key){
            slice_of(feature->name), feature->level_min, feature->level_max};
        response->finalized_features[i] = (struct api_versions_response_finalized_feature_key){
            slice_of(feature->name), feature->level_max, feature->level_max};
    }
    response->supported_features_count = feature_count;
    response->finalized_features_count = feature_count;
    return true;
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
    if (!add_features(request, response)) {
        request_fail(request);
        return;
    }
    handle_each_supported(add_one, response);
    ASSERT(response->api_keys_count == count);
    response->finalized_features_epoch = catalog_applied_index(request->broker->catalog);
    request_complete(request);
}
