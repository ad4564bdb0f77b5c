/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes, dynamic configuration, features, ids and remembered outcomes of the image. */
#include "catalog/image.h"

#include "base/assertion.h"
#include "catalog/pointers.h"

enum error image_new(struct image **ret_image)
{
    struct image *image = memory_allocate(sizeof *image);
    if (image == NULL)
        return ERROR_OUT_OF_MEMORY;
    image->outcomes = memory_allocate_array(CATALOG_OUTCOMES_KEPT, sizeof *image->outcomes);
    if (image->outcomes == NULL) {
        memory_free(image);
        return ERROR_OUT_OF_MEMORY;
    }
    *ret_image = image;
    return ERROR_NONE;
}

static void resource_entry_free(struct resource_entry *entry)
{
    config_set_free(entry->config);
    memory_free(entry);
}

void image_free(struct image *image)
{
    if (image == NULL)
        return;
    HASH_CLEAR(by_name, image->by_name);
    HASH_CLEAR(by_id, image->by_id);
    for (uint32_t i = 0; i < image->topics.count; i++)
        topic_entry_free(image_topic_at(image, i));
    for (uint32_t i = 0; i < image->nodes.count; i++)
        memory_free(image->nodes.items[i]);
    for (uint32_t i = 0; i < image->configs.count; i++)
        resource_entry_free(image_config_at(image, i));
    for (uint32_t i = 0; i < image->features.count; i++)
        memory_free(image->features.items[i]);
    pointers_done(&image->topics);
    pointers_done(&image->nodes);
    pointers_done(&image->configs);
    pointers_done(&image->features);
    memory_free(image->outcomes);
    memory_free(image);
}

/* ---- nodes ---- */

struct catalog_node *image_node_at(const struct image *image, uint32_t index)
{
    ASSERT(index < image->nodes.count);
    return image->nodes.items[index];
}

/* The position of the first node whose id is not below `id`. */
static uint32_t node_position(const struct image *image, int32_t id)
{
    uint32_t at = 0;
    while (at < image->nodes.count && image_node_at(image, at)->id < id)
        at++;
    return at;
}

struct catalog_node *image_node_find(const struct image *image, int32_t id)
{
    uint32_t at = node_position(image, id);
    bool found = at < image->nodes.count && image_node_at(image, at)->id == id;
    return found ? image_node_at(image, at) : NULL;
}

enum error image_node_set(struct image *image, const struct catalog_node *node)
{
    struct catalog_node *known = image_node_find(image, node->id);
    if (known == NULL) {
        known = memory_allocate(sizeof *known);
        if (known == NULL)
            return ERROR_OUT_OF_MEMORY;
        if (!pointers_insert(&image->nodes, node_position(image, node->id), known)) {
            memory_free(known);
            return ERROR_OUT_OF_MEMORY;
        }
    } else {
        image->hash -= hash_node(known);
    }
    *known = *node;
    image->hash += hash_node(known);
    return ERROR_NONE;
}

void image_node_remove(struct image *image, int32_t id)
{
    uint32_t at = node_position(image, id);
    struct catalog_node *node = image_node_at(image, at);
    ASSERT(node->id == id);
    image->hash -= hash_node(node);
    pointers_remove(&image->nodes, at);
    memory_free(node);
}

/* ---- dynamic configuration ---- */

struct resource_entry *image_config_at(const struct image *image, uint32_t index)
{
    ASSERT(index < image->configs.count);
    return image->configs.items[index];
}

static int resource_compare(const struct resource_entry *entry, enum catalog_resource resource,
                            struct slice name)
{
    if (entry->resource != resource)
        return entry->resource < resource ? -1 : 1;
    return slice_compare(slice_from(entry->name, entry->name_size), name);
}

static bool config_search(const struct image *image, enum catalog_resource resource,
                          struct slice name, uint32_t *ret_at)
{
    uint32_t low = 0;
    uint32_t high = image->configs.count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = resource_compare(image_config_at(image, middle), resource, name);
        if (order == 0) {
            *ret_at = middle;
            return true;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_at = low;
    return false;
}

const struct config_set *image_config_find(const struct image *image,
                                           enum catalog_resource resource, struct slice name)
{
    uint32_t at;
    return config_search(image, resource, name, &at) ? image_config_at(image, at)->config : NULL;
}

static void config_remove(struct image *image, uint32_t at)
{
    struct resource_entry *entry = image_config_at(image, at);
    image->hash -= hash_resource(entry);
    pointers_remove(&image->configs, at);
    resource_entry_free(entry);
}

enum error image_config_set(struct image *image, enum catalog_resource resource, struct slice name,
                            struct config_set *config)
{
    uint32_t at;
    bool known = config_search(image, resource, name, &at);
    if (config_set_count(config) == 0) {
        if (known)
            config_remove(image, at);
        config_set_free(config);
        return ERROR_NONE;
    }
    if (known) {
        struct resource_entry *entry = image_config_at(image, at);
        image->hash -= hash_resource(entry);
        config_set_free(entry->config);
        entry->config = config;
        image->hash += hash_resource(entry);
        return ERROR_NONE;
    }
    struct resource_entry *entry = memory_allocate(sizeof *entry + name.size);
    if (entry == NULL || !pointers_insert(&image->configs, at, entry)) {
        memory_free(entry);
        return ERROR_OUT_OF_MEMORY;
    }
    entry->resource = resource;
    entry->config = config;
    entry->name_size = (uint32_t)name.size;
    memcpy(entry->name, name.data, name.size);
    image->hash += hash_resource(entry);
    return ERROR_NONE;
}

/* ---- features ---- */

struct feature_entry *image_feature_at(const struct image *image, uint32_t index)
{
    ASSERT(index < image->features.count);
    return image->features.items[index];
}

enum error image_feature_set(struct image *image, struct slice name, int16_t level)
{
    uint32_t at = 0;
    int order = 1;
    for (; at < image->features.count; at++) {
        struct feature_entry *entry = image_feature_at(image, at);
        order = slice_compare(slice_from(entry->name, entry->name_size), name);
        if (order >= 0)
            break;
    }
    bool known = at < image->features.count && order == 0;
    if (!known && level == 0)
        return ERROR_NONE;
    struct feature_entry *entry;
    if (known) {
        entry = image_feature_at(image, at);
        image->hash -= hash_feature(entry);
    } else {
        entry = memory_allocate(sizeof *entry + name.size);
        if (entry == NULL || !pointers_insert(&image->features, at, entry)) {
            memory_free(entry);
            return ERROR_OUT_OF_MEMORY;
        }
        entry->name_size = (uint32_t)name.size;
        memcpy(entry->name, name.data, name.size);
    }
    entry->level = level;
    if (level == 0) {
        pointers_remove(&image->features, at);
        memory_free(entry);
    } else {
        image->hash += hash_feature(entry);
    }
    return ERROR_NONE;
}

/* ---- ids ---- */

void image_cluster_set(struct image *image, const struct uuid *cluster_id)
{
    image->hash -= hash_cluster(&image->cluster_id);
    image->cluster_id = *cluster_id;
    image->hash += hash_cluster(&image->cluster_id);
}

void image_producer_id_set(struct image *image, int64_t next)
{
    ASSERT(next >= image->producer_id_next);
    image->hash -= hash_producer_id(image->producer_id_next);
    image->producer_id_next = next;
    image->hash += hash_producer_id(next);
}

void image_node_id_set(struct image *image, int32_t next)
{
    ASSERT(next >= image->node_id_next);
    image->hash -= hash_node_id(image->node_id_next);
    image->node_id_next = next;
    image->hash += hash_node_id(next);
}

/* ---- remembered outcomes ---- */

const struct remembered_outcome *image_outcome_find(const struct image *image,
                                                    const struct uuid *id)
{
    for (uint32_t i = 0; i < image->outcome_count; i++)
        if (uuid_equals(&image->outcomes[i].id, id))
            return &image->outcomes[i];
    return NULL;
}

void image_outcome_remember(struct image *image, const struct uuid *id,
                            const struct catalog_outcome *outcome)
{
    struct remembered_outcome *slot = &image->outcomes[image->outcome_next];
    slot->id = *id;
    slot->index = outcome->index;
    slot->producer_id_first = outcome->producer_id_first;
    slot->node_id_taken = outcome->node_id_taken;
    slot->error = outcome->error;
    image->outcome_next = (image->outcome_next + 1) % CATALOG_OUTCOMES_KEPT;
    if (image->outcome_count < CATALOG_OUTCOMES_KEPT)
        image->outcome_count++;
}
