/* SPDX-License-Identifier: Apache-2.0 */
/* UpdateFeatures (KIP-584, KIP-778): all updates or none. Every feature has one level so far, so an
 * update asks for what there is, or is refused as Kafka's FeatureControlManager refuses a level it
 * does not have. */
#include "handle/feature_table.h"
#include "handle/handlers.h"
#include "wire/api_update_features.h"

enum upgrade_type { UPGRADE = 1, SAFE_DOWNGRADE = 2, UNSAFE_DOWNGRADE = 3 };

static enum error check(struct request *request,
                        const struct update_features_request_feature_update_key *update,
                        struct slice *ret_reason)
{
    struct arena *arena = &request->arena;
    int8_t type = update->upgrade_type;
    if (request->version == 0)
        type = update->allow_downgrade ? SAFE_DOWNGRADE : UPGRADE;
    if (type < UPGRADE || type > UNSAFE_DOWNGRADE) {
        *ret_reason = slice_of("The controller does not support the given upgrade type.");
        return ERROR_INVALID_REQUEST;
    }
    if (update->max_version_level < 0) {
        *ret_reason = slice_of("A feature version cannot be less than 0.");
        return ERROR_INVALID_UPDATE_VERSION;
    }
    const struct feature *feature = feature_find(update->feature);
    if (feature == NULL) {
        *ret_reason = arena_format(arena,
                                   "Invalid update version %d for feature %.*s. Local controller "
                                   "%d does not support this feature.",
                                   update->max_version_level, SLICE_PRINT(update->feature),
                                   request->broker->node_id);
        return ERROR_INVALID_UPDATE_VERSION;
    }
    if (update->max_version_level < feature->level_min ||
        update->max_version_level > feature->level_max) {
        *ret_reason =
            arena_format(arena,
                         "Invalid update version %d for feature %s. Local controller %d "
                         "only supports versions %d-%d",
                         update->max_version_level, feature->name, request->broker->node_id,
                         feature->level_min, feature->level_max);
        return ERROR_INVALID_UPDATE_VERSION;
    }
    return ERROR_NONE;
}

static void refuse(struct request *request, enum error error, struct slice reason)
{
    struct update_features_response *response = request->response;
    response->error_code = error_to_kafka(error);
    response->error_message = arena_format(&request->arena,
                                           "The update failed for all features since the "
                                           "following feature had an error: %.*s",
                                           SLICE_PRINT(reason));
    if (response->error_message.data == NULL)
        response->error_message = slice_of(error_text(error));
}

void handle_update_features(struct request *request)
{
    const struct update_features_request *body = request->body;
    struct update_features_response *response = request_response(request);
    if (response != NULL)
        response->results = arena_allocate_array(&request->arena, body->feature_updates_count,
                                                 sizeof *response->results);
    if (response == NULL || response->results == NULL) {
        request_fail(request);
        return;
    }
    response->error_message = SLICE_NULL;
    for (uint32_t i = 0; i < body->feature_updates_count; i++) {
        struct update_features_response_updatable_feature_result *result = &response->results[i];
        struct slice reason = SLICE_NULL;
        update_features_response_updatable_feature_result_init(result);
        result->feature = body->feature_updates[i].feature;
        result->error_message = SLICE_NULL;
        enum error error = check(request, &body->feature_updates[i], &reason);
        if (error != ERROR_NONE) {
            refuse(request, error, slice_is_null(reason) ? slice_of(error_text(error)) : reason);
            request_complete(request);
            return;
        }
    }
    response->results_count = request->version <= 1 ? body->feature_updates_count : 0;
    request_complete(request);
}
