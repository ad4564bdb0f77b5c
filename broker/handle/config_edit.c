/* SPDX-License-Identifier: Apache-2.0 */
/* What may be configured, with what, and what is in force. Kafka's ConfigAdminManager and
 * ConfigurationControlManager. */
#include "handle/config_edit.h"

#include "base/assertion.h"

#include <stdio.h>
#include <stdlib.h>

enum config_scope config_edit_scope(const struct config_edit *edit)
{
    switch (edit->resource_type) {
    case RESOURCE_TOPIC:
        return CONFIG_TOPIC;
    case RESOURCE_NODE:
        return CONFIG_NODE;
    default:
        return CONFIG_GROUP;
    }
}

/* False when it is no decimal number of a node. */
static bool parse_node_id(struct slice name, int32_t *ret_id)
{
    char text[16];
    if (name.size == 0 || name.size >= sizeof text || name.data[0] < '0' || name.data[0] > '9')
        return false;
    memcpy(text, name.data, name.size);
    text[name.size] = '\0';
    char *end;
    long id = strtol(text, &end, 10);
    if (*end != '\0' || id > INT32_MAX)
        return false;
    *ret_id = (int32_t)id;
    return true;
}

enum error config_edit_check_resource(struct broker *broker, struct arena *arena,
                                      const struct config_edit *edit, struct slice *ret_reason)
{
    struct slice name = edit->resource_name;
    int32_t node_id;
    switch (edit->resource_type) {
    case RESOURCE_TOPIC:
        if (name.size == 0) {
            *ret_reason = slice_of("Default topic resources are not allowed.");
            return ERROR_INVALID_REQUEST;
        }
        if (catalog_topic_find(broker->catalog, name) != NULL)
            return ERROR_NONE;
        *ret_reason = arena_format(arena, "The topic '%.*s' does not exist.", SLICE_PRINT(name));
        return ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    case RESOURCE_NODE:
        if (name.size == 0)
            return ERROR_NONE;
        if (!parse_node_id(name, &node_id)) {
            *ret_reason = slice_of("Node id must be an integer.");
            return ERROR_INVALID_REQUEST;
        }
        if (catalog_node_find(broker->catalog, node_id) != NULL)
            return ERROR_NONE;
        *ret_reason = arena_format(arena, "No node with id %d found.", node_id);
        return ERROR_BROKER_ID_NOT_REGISTERED;
    case RESOURCE_GROUP:
        if (name.size > 0)
            return ERROR_NONE;
        *ret_reason = slice_of("Default group resources are not allowed.");
        return ERROR_INVALID_REQUEST;
    default:
        *ret_reason = arena_format(arena, "Resources of type %d have no configuration here.",
                                   edit->resource_type);
        return ERROR_INVALID_REQUEST;
    }
}

const struct config_set *config_edit_present(const struct broker *broker,
                                             const struct config_edit *edit)
{
    const struct catalog_topic *topic;
    int32_t node_id = -1;
    switch (edit->resource_type) {
    case RESOURCE_TOPIC:
        topic = catalog_topic_find(broker->catalog, edit->resource_name);
        return topic == NULL ? NULL : topic->config;
    case RESOURCE_NODE:
        (void)parse_node_id(edit->resource_name, &node_id); /* "" is every node: -1. */
        return catalog_node_config(broker->catalog, node_id);
    default:
        return catalog_group_config(broker->catalog, edit->resource_name);
    }
}

/* The key's row, if it may be changed while the node runs. */
static enum error check_key(struct arena *arena, enum config_scope scope, struct slice key,
                            const struct config_row **ret_row, struct slice *ret_reason)
{
    struct slice text = arena_copy(arena, key);
    if (text.data == NULL)
        return ERROR_OUT_OF_MEMORY;
    const char *name = (const char *)text.data;
    const struct config_row *row = strlen(name) == text.size ? config_find(scope, name) : NULL;
    if (row == NULL) {
        const char *nearest = config_nearest(scope, name);
        *ret_reason = arena_format(arena, "Unknown configuration key %.200s%s%s", name,
                                   nearest == NULL ? "" : "; the nearest is ",
                                   nearest == NULL ? "" : nearest);
        return ERROR_INVALID_CONFIG;
    }
    if (row->read_only) {
        *ret_reason =
            arena_format(arena, "Cannot update %s dynamically: it needs a restart", row->key);
        return ERROR_INVALID_REQUEST;
    }
    *ret_row = row;
    return ERROR_NONE;
}

/* Puts one pair into the set that will be, or takes it out. */
static enum error put_pair(struct arena *arena, enum config_scope scope,
                           const struct catalog_pair *pair, struct config_set *set,
                           struct slice *ret_reason)
{
    const struct config_row *row;
    enum error error = check_key(arena, scope, pair->key, &row, ret_reason);
    if (error != ERROR_NONE)
        return error;
    if (slice_is_null(pair->value)) {
        (void)config_set_remove(set, row->key); /* Removing what is not set is no error. */
        return ERROR_NONE;
    }
    struct slice value = arena_copy(arena, pair->value);
    if (value.data == NULL)
        return ERROR_OUT_OF_MEMORY;
    char reason[CONFIG_REASON_BYTES] = "holds a NUL byte";
    if (value.size > 32767 || strlen((const char *)value.data) != value.size)
        error = ERROR_INVALID_CONFIG;
    else
        error = config_set_put(set, scope, row->key, (const char *)value.data, reason);
    if (error == ERROR_INVALID_CONFIG)
        *ret_reason = arena_format(arena, "Invalid value %.200s for configuration %s: %s",
                                   (const char *)value.data, row->key, reason);
    return error;
}

static enum error check_set(struct broker *broker, struct arena *arena, enum config_scope scope,
                            const struct config_set *set, struct slice *ret_reason)
{
    char reason[CONFIG_REASON_BYTES] = "";
    enum error error = ERROR_NONE;
    if (scope == CONFIG_TOPIC)
        error = config_topic_check(broker->config, set, reason);
    else if (scope == CONFIG_NODE)
        error = config_node_check(set, reason);
    if (error != ERROR_NONE)
        *ret_reason = arena_format(arena, "%s", reason);
    return error;
}

static enum error check_pairs(struct broker *broker, struct arena *arena, enum config_scope scope,
                              const struct config_set *base, const struct catalog_pair *pairs,
                              uint32_t count, struct slice *ret_reason)
{
    struct config_set *set = NULL;
    enum error error = config_set_new(&set);
    if (error == ERROR_NONE)
        error = config_set_merge(set, base);
    for (uint32_t i = 0; i < count && error == ERROR_NONE; i++)
        error = put_pair(arena, scope, &pairs[i], set, ret_reason);
    if (error == ERROR_NONE)
        error = check_set(broker, arena, scope, set, ret_reason);
    config_set_free(set);
    return error;
}

enum error config_edit_check_pairs(struct broker *broker, struct arena *arena,
                                   const struct config_edit *edit, bool replace,
                                   struct slice *ret_reason)
{
    return check_pairs(broker, arena, config_edit_scope(edit),
                       replace ? NULL : config_edit_present(broker, edit), edit->pairs,
                       edit->pair_count, ret_reason);
}

enum error config_check_new_topic(struct broker *broker, struct arena *arena,
                                  struct catalog_pair *pairs, uint32_t count,
                                  struct slice *ret_reason)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!slice_is_null(pairs[i].value))
            continue;
        *ret_reason = arena_format(arena, "Null value not supported for topic configs: %.*s",
                                   SLICE_PRINT(pairs[i].key));
        return ERROR_INVALID_CONFIG;
    }
    return check_pairs(broker, arena, CONFIG_TOPIC, NULL, pairs, count, ret_reason);
}

/* ---- changing ---- */

static void change_done(struct catalog_proposal *proposal)
{
    struct config_change *change = container_of(proposal, struct config_change, proposal);
    change->error = proposal->outcome.error;
    change->done(change);
}

void config_change_start(struct broker *broker, const struct config_edit *edit,
                         struct config_change *change)
{
    struct catalog_command command = {
        .kind = CATALOG_CONFIG_SET,
        .resource = (enum catalog_resource)edit->resource_type,
        .resource_name = edit->resource_name,
        .pairs = edit->pairs,
        .pair_count = edit->pair_count,
    };
    change->proposal.done = change_done;
    catalog_propose(broker->catalog, &command, &change->proposal);
}

/* ---- reading ---- */

static uint32_t add_place(struct config_place *places, uint32_t count, const char *key,
                          const char *value, enum config_source source)
{
    if (value == NULL && source != CONFIG_SOURCE_DEFAULT)
        return count;
    ASSERT(count < CONFIG_PLACES_MAX);
    places[count] = (struct config_place){.key = key, .value = value, .source = source};
    return count + 1;
}

/* The dynamic and static values of one node key. */
static uint32_t add_node_places(const struct broker *broker, const char *key,
                                struct config_place *places, uint32_t count)
{
    const struct config_set *own = catalog_node_config(broker->catalog, broker->node_id);
    const struct config_set *every = catalog_node_config(broker->catalog, -1);
    const struct config_set *fixed =
        broker->static_config != NULL ? broker->static_config : broker->config;
    count = add_place(places, count, key, config_set_get(own, key), CONFIG_SOURCE_DYNAMIC_NODE);
    count = add_place(places, count, key, config_set_get(every, key),
                      CONFIG_SOURCE_DYNAMIC_DEFAULT_NODE);
    return add_place(places, count, key, config_set_get(fixed, key), CONFIG_SOURCE_STATIC_NODE);
}

uint32_t config_places(const struct broker *broker, const struct config_row *row,
                       const struct config_set *topic,
                       struct config_place ret_places[CONFIG_PLACES_MAX])
{
    uint32_t count = 0;
    const char *node_key = row->scope == CONFIG_NODE ? row->key : row->synonym;
    if (row->scope == CONFIG_TOPIC)
        count = add_place(ret_places, count, row->key, config_set_get(topic, row->key),
                          CONFIG_SOURCE_TOPIC);
    if (node_key != NULL && row->scope != CONFIG_GROUP) {
        count = add_node_places(broker, node_key, ret_places, count);
        const char *other;
        for (uint32_t i = 0; (other = config_node_fallback(node_key, i)) != NULL; i++)
            count = add_node_places(broker, other, ret_places, count);
    }
    count = add_place(ret_places, count, node_key == NULL ? row->key : node_key, row->default_text,
                      CONFIG_SOURCE_DEFAULT);
    return count;
}

const char *config_in_force(const struct broker *broker, const struct config_row *row,
                            const struct config_set *topic)
{
    if (row->scope == CONFIG_TOPIC)
        return config_topic_value(broker->config, topic, row->key, NULL);
    if (row->scope == CONFIG_NODE)
        return config_node_value(broker->config, row->key, NULL);
    return row->default_text;
}
