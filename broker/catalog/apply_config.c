/* SPDX-License-Identifier: Apache-2.0 */
/* The command that sets and removes configuration values. What a key may hold is checked before it
 * is proposed; here it is only kept, so that nodes of different releases agree. */
#include "catalog/state.h"

#include <stdio.h>

/* The set as it is, changed by the command's pairs. */
static enum error config_changed_copy(const struct config_set *present, enum config_scope scope,
                                      const struct catalog_command *command,
                                      struct config_set **ret_set)
{
    struct config_set *set;
    enum error error = config_set_new(&set);
    if (error != ERROR_NONE)
        return error;
    error = config_set_merge(set, present);
    for (uint32_t i = 0; i < command->pair_count && error == ERROR_NONE; i++) {
        const struct catalog_pair *pair = &command->pairs[i];
        const char *key = (const char *)pair->key.data;
        if (pair->key.size == 0)
            error = ERROR_INVALID_CONFIG;
        else if (slice_is_null(pair->value))
            (void)config_set_remove(set, key); /* Not set: nothing to remove. */
        else
            error = config_set_put_agreed(set, scope, key, (const char *)pair->value.data);
    }
    if (error != ERROR_NONE) {
        config_set_free(set);
        return error;
    }
    *ret_set = set;
    return ERROR_NONE;
}

static enum error set_topic(struct apply *apply)
{
    const struct catalog_command *command = apply->command;
    struct topic_entry *entry = image_topic_find(apply->image, command->resource_name);
    if (entry == NULL)
        return ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    struct config_set *set;
    enum error error = config_changed_copy(entry->config, CONFIG_TOPIC, command, &set);
    if (error == ERROR_NONE)
        image_topic_configure(apply->image, entry, set);
    return error;
}

static enum error set_resource(struct apply *apply, enum config_scope scope)
{
    const struct catalog_command *command = apply->command;
    const struct config_set *present =
        image_config_find(apply->image, command->resource, command->resource_name);
    struct config_set *set;
    enum error error = config_changed_copy(present, scope, command, &set);
    if (error != ERROR_NONE)
        return error;
    error = image_config_set(apply->image, command->resource, command->resource_name, set);
    if (error != ERROR_NONE)
        config_set_free(set);
    return error;
}

/* "" is every node, otherwise the decimal id of a registered one. */
static bool is_node_name(const struct image *image, struct slice name)
{
    if (name.size == 0)
        return true;
    for (uint32_t i = 0; i < image->nodes.count; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", image_node_at(image, i)->id);
        if (slice_equals_text(name, text))
            return true;
    }
    return false;
}

enum error apply_config_set(struct apply *apply)
{
    struct slice name = apply->command->resource_name;
    enum error error = ERROR_INVALID_REQUEST;
    switch (apply->command->resource) {
    case CATALOG_RESOURCE_TOPIC:
        error = set_topic(apply);
        break;
    case CATALOG_RESOURCE_NODE:
        error = is_node_name(apply->image, name) ? set_resource(apply, CONFIG_NODE)
                                                 : ERROR_BROKER_ID_NOT_REGISTERED;
        break;
    case CATALOG_RESOURCE_GROUP:
        error = name.size == 0 ? ERROR_INVALID_REQUEST : set_resource(apply, CONFIG_GROUP);
        break;
    }
    if (error == ERROR_NONE)
        notify_config_changed(apply->catalog, apply->command->resource, name);
    return error;
}
