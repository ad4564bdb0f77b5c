/* SPDX-License-Identifier: Apache-2.0 */
/* Applying committed commands: which function a kind has, what is remembered, who is told.
 *
 * Everything here is a function of the image and the command: no clock, no chance, no table that
 * differs between releases (invariants 20, 21). */
#include "base/arena.h"
#include "base/assertion.h"
#include "catalog/state.h"

enum { FEATURE_NAME_BYTES_MAX = 255 };

static enum error apply_cluster_init(struct apply *apply)
{
    const struct uuid *wanted = &apply->command->cluster_id;
    if (uuid_is_zero(wanted))
        return ERROR_INVALID_REQUEST;
    if (uuid_equals(&apply->image->cluster_id, wanted))
        return ERROR_NONE;
    if (!uuid_is_zero(&apply->image->cluster_id))
        return ERROR_INCONSISTENT_CLUSTER_ID;
    image_cluster_set(apply->image, wanted);
    return ERROR_NONE;
}

static enum error apply_producer_ids(struct apply *apply)
{
    if (image_node_find(apply->image, apply->command->node_id) == NULL)
        return ERROR_BROKER_ID_NOT_REGISTERED;
    int64_t first = apply->image->producer_id_next;
    if (first > INT64_MAX - CATALOG_PRODUCER_ID_BLOCK)
        return ERROR_UNKNOWN_SERVER;
    image_producer_id_set(apply->image, first + CATALOG_PRODUCER_ID_BLOCK);
    apply->outcome->producer_id_first = first;
    return ERROR_NONE;
}

static enum error apply_feature_set(struct apply *apply)
{
    const struct catalog_command *command = apply->command;
    if (command->feature.size == 0 || command->feature.size > FEATURE_NAME_BYTES_MAX ||
        command->feature_level < 0)
        return ERROR_INVALID_REQUEST;
    return image_feature_set(apply->image, command->feature, command->feature_level);
}

static enum error apply_kind(struct apply *apply)
{
    switch (apply->command->kind) {
    case CATALOG_CLUSTER_INIT:
        return apply_cluster_init(apply);
    case CATALOG_NODE_REGISTER:
        return apply_node_register(apply);
    case CATALOG_NODE_FENCE:
        return apply_node_fence(apply);
    case CATALOG_NODE_UNREGISTER:
        return apply_node_unregister(apply);
    case CATALOG_TOPIC_CREATE:
        return apply_topic_create(apply);
    case CATALOG_TOPIC_DELETE:
        return apply_topic_delete(apply);
    case CATALOG_PARTITIONS_ADD:
        return apply_partitions_add(apply);
    case CATALOG_CONFIG_SET:
        return apply_config_set(apply);
    case CATALOG_PRODUCER_IDS:
        return apply_producer_ids(apply);
    case CATALOG_FEATURE_SET:
        return apply_feature_set(apply);
    case CATALOG_NODE_ID_TAKE:
        return apply_node_id_take(apply);
    case CATALOG_NODE_SHUTDOWN:
        return apply_node_shutdown(apply);
    case CATALOG_NODE_DRAIN:
        return apply_node_drain(apply);
    case CATALOG_ISR_CHANGE:
        return apply_isr_change(apply);
    case CATALOG_ELECT_LEADERS:
        return apply_elect_leaders(apply);
    case CATALOG_REASSIGN:
        return apply_reassign(apply);
    }
    return ERROR_UNSUPPORTED_VERSION;
}

static void apply_once(struct apply *apply)
{
    const struct uuid *id = &apply->command->id;
    const struct remembered_outcome *known =
        uuid_is_zero(id) ? NULL : image_outcome_find(apply->image, id);
    if (known != NULL) {
        apply->outcome->error = known->error;
        apply->outcome->index = known->index;
        apply->outcome->producer_id_first = known->producer_id_first;
        apply->outcome->node_id_taken = known->node_id_taken;
        return;
    }
    apply->outcome->error = apply_kind(apply);
    if (apply->outcome->error != ERROR_OUT_OF_MEMORY && !uuid_is_zero(id))
        image_outcome_remember(apply->image, id, apply->outcome);
}

struct catalog_outcome catalog_apply(struct catalog *catalog, int64_t index, int32_t term,
                                     const uint8_t *bytes, size_t size)
{
    struct image *image = catalog->image;
    ASSERT(index > image->applied_index);
    ASSERT(term >= image->applied_term);
    struct catalog_outcome outcome = {.index = index, .producer_id_first = -1, .node_id_taken = -1};
    struct catalog_command command;
    struct arena arena;
    arena_init(&arena, SIZE_MAX); /* Bounded by the command's own bytes. */
    outcome.error = catalog_command_decode(bytes, size, &arena, &command);
    if (outcome.error == ERROR_NONE) {
        struct apply apply = {
            .catalog = catalog, .image = image, .command = &command, .outcome = &outcome};
        apply_once(&apply);
    }
    arena_done(&arena);
    if (outcome.error == ERROR_OUT_OF_MEMORY)
        return outcome;
    image->applied_index = index;
    image->applied_term = term;
    notify_applied(catalog);
    return outcome;
}
