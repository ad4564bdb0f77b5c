/* SPDX-License-Identifier: Apache-2.0 */
/* The command that sets and removes configuration values. What a key may hold is checked before it
 * is proposed; here it is only kept, so that nodes of different releases agree. Partitions follow
 * the few keys that elections go by (KIP-966: another minimum, other eligible replicas). */
#include "catalog/partition_changes.h"

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

/* Whether leaders and in-sync replicas go by what the command sets. */
static bool concerns_elections(const struct catalog_command *command)
{
    for (uint32_t i = 0; i < command->pair_count; i++)
        if (slice_equals_text(command->pairs[i].key, "min.insync.replicas") ||
            slice_equals_text(command->pairs[i].key, "unclean.leader.election.enable"))
            return true;
    return false;
}

static enum error settle_topic(struct partition_changes *changes, const struct election *election,
                               struct topic_entry *entry)
{
    enum error error = ERROR_NONE;
    for (uint32_t i = 0; i < entry->topic.partition_count && error == ERROR_NONE; i++)
        error = changes_settle(changes, election, entry, (int32_t)i);
    return error;
}

static enum error set_topic(struct apply *apply, struct partition_changes *changes)
{
    const struct catalog_command *command = apply->command;
    struct topic_entry *entry = image_topic_find(apply->image, command->resource_name);
    if (entry == NULL)
        return ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    struct config_set *set;
    enum error error = config_changed_copy(entry->config, CONFIG_TOPIC, command, &set);
    if (error != ERROR_NONE)
        return error;
    if (concerns_elections(command)) {
        struct election election = election_in(apply->image);
        election.topic = set;
        error = settle_topic(changes, &election, entry);
    }
    if (error == ERROR_NONE)
        image_topic_configure(apply->image, entry, set);
    else
        config_set_free(set);
    return error;
}

/* The cluster-wide default counts for every topic without a value of its own. */
static enum error settle_all(struct apply *apply, const struct config_set *cluster,
                             struct partition_changes *changes)
{
    enum error error = ERROR_NONE;
    struct election election = election_in(apply->image);
    election.cluster = cluster;
    for (uint32_t i = 0; i < apply->image->topics.count && error == ERROR_NONE; i++) {
        struct topic_entry *entry = image_topic_at(apply->image, i);
        election.topic = entry->config;
        error = settle_topic(changes, &election, entry);
    }
    return error;
}

static enum error set_resource(struct apply *apply, enum config_scope scope,
                               struct partition_changes *changes)
{
    const struct catalog_command *command = apply->command;
    struct slice name = command->resource_name;
    const struct config_set *present = image_config_find(apply->image, command->resource, name);
    struct config_set *set;
    enum error error = config_changed_copy(present, scope, command, &set);
    if (error != ERROR_NONE)
        return error;
    if (scope == CONFIG_NODE && name.size == 0 && concerns_elections(command))
        error = settle_all(apply, set, changes);
    if (error == ERROR_NONE)
        error = image_config_set(apply->image, command->resource, name, set);
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

static enum error set_any(struct apply *apply, struct partition_changes *changes)
{
    struct slice name = apply->command->resource_name;
    switch (apply->command->resource) {
    case CATALOG_RESOURCE_TOPIC:
        return set_topic(apply, changes);
    case CATALOG_RESOURCE_NODE:
        return is_node_name(apply->image, name) ? set_resource(apply, CONFIG_NODE, changes)
                                                : ERROR_BROKER_ID_NOT_REGISTERED;
    case CATALOG_RESOURCE_GROUP:
        return name.size == 0 ? ERROR_INVALID_REQUEST : set_resource(apply, CONFIG_GROUP, changes);
    }
    return ERROR_INVALID_REQUEST;
}

enum error apply_config_set(struct apply *apply)
{
    struct partition_changes changes = {.items = NULL};
    enum error error = set_any(apply, &changes);
    if (error != ERROR_NONE) {
        changes_discard(&changes);
        return error;
    }
    changes_commit(&changes, apply->image);
    notify_config_changed(apply->catalog, apply->command->resource, apply->command->resource_name);
    changes_notify(&changes, apply->catalog);
    return ERROR_NONE;
}
