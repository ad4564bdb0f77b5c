/* SPDX-License-Identifier: Apache-2.0 */
/* Making a catalog, reading its image, watching it, proposing to it. */
#include "catalog/catalog.h"

#include "base/assertion.h"
#include "catalog/election.h"
#include "catalog/state.h"

#include <stdio.h>

enum error catalog_new(struct executor *executor, struct catalog **ret_catalog)
{
    struct catalog *catalog = memory_allocate(sizeof *catalog);
    if (catalog == NULL)
        return ERROR_OUT_OF_MEMORY;
    enum error error = image_new(&catalog->image);
    if (error != ERROR_NONE) {
        memory_free(catalog);
        return error;
    }
    catalog->executor = executor;
    list_init(&catalog->watchers);
    *ret_catalog = catalog;
    return ERROR_NONE;
}

void catalog_free(struct catalog *catalog)
{
    if (catalog == NULL)
        return;
    ASSERT(list_empty(&catalog->watchers));
    image_free(catalog->image);
    memory_free(catalog);
}

/* ---- reading ---- */

static const struct catalog_topic *topic_of(const struct topic_entry *entry)
{
    return entry == NULL ? NULL : &entry->topic;
}

const struct catalog_topic *catalog_topic_find(const struct catalog *catalog, struct slice name)
{
    return topic_of(image_topic_find(catalog->image, name));
}

const struct catalog_topic *catalog_topic_find_id(const struct catalog *catalog,
                                                  const struct uuid *id)
{
    return topic_of(image_topic_find_id(catalog->image, id));
}

/* Only a name with '.' or '_' can collide; one of the same length must be compared. */
const struct catalog_topic *catalog_topic_colliding(const struct catalog *catalog,
                                                    struct slice name)
{
    if (memchr(name.data, '.', name.size) == NULL && memchr(name.data, '_', name.size) == NULL)
        return NULL;
    for (uint32_t i = 0; i < catalog->image->topics.count; i++) {
        const struct topic_entry *entry = image_topic_at(catalog->image, i);
        struct slice other = slice_of(entry->name);
        if (topic_name_collides(name, other) && !slice_equals(name, other))
            return &entry->topic;
    }
    return NULL;
}

bool catalog_partition_find(const struct catalog *catalog, const struct catalog_topic *topic,
                            int32_t index, struct catalog_partition *ret_partition)
{
    (void)catalog;
    if (index < 0 || (uint32_t)index >= topic->partition_count)
        return false;
    partition_entry_read(topic_entry_of(topic)->partitions[index], index, ret_partition);
    return true;
}

void catalog_topic_each(const struct catalog *catalog,
                        bool (*each)(void *context, const struct catalog_topic *topic),
                        void *context)
{
    for (uint32_t i = 0; i < catalog->image->topics.count; i++)
        if (!each(context, &image_topic_at(catalog->image, i)->topic))
            return;
}

const struct catalog_topic *catalog_topic_next(const struct catalog *catalog, struct slice name)
{
    uint32_t at = image_topic_after(catalog->image, name);
    return at < catalog->image->topics.count ? topic_of(image_topic_at(catalog->image, at)) : NULL;
}

uint32_t catalog_topic_count(const struct catalog *catalog)
{
    return catalog->image->topics.count;
}

uint32_t catalog_partition_count(const struct catalog *catalog)
{
    return catalog->image->partition_count;
}

uint32_t catalog_node_count(const struct catalog *catalog)
{
    return catalog->image->nodes.count;
}

const struct catalog_node *catalog_node_find(const struct catalog *catalog, int32_t id)
{
    return image_node_find(catalog->image, id);
}

void catalog_node_each(const struct catalog *catalog,
                       void (*each)(void *context, const struct catalog_node *node), void *context)
{
    for (uint32_t i = 0; i < catalog->image->nodes.count; i++)
        each(context, image_node_at(catalog->image, i));
}

const struct config_set *catalog_node_config(const struct catalog *catalog, int32_t node_id)
{
    char name[16] = "";
    if (node_id >= 0)
        snprintf(name, sizeof name, "%d", node_id);
    return image_config_find(catalog->image, CATALOG_RESOURCE_NODE, slice_of(name));
}

const struct config_set *catalog_group_config(const struct catalog *catalog, struct slice group)
{
    return image_config_find(catalog->image, CATALOG_RESOURCE_GROUP, group);
}

void catalog_group_config_each(const struct catalog *catalog,
                               void (*each)(void *context, struct slice group), void *context)
{
    for (uint32_t i = 0; i < catalog->image->configs.count; i++) {
        const struct resource_entry *entry = image_config_at(catalog->image, i);
        if (entry->resource == CATALOG_RESOURCE_GROUP)
            each(context, slice_from(entry->name, entry->name_size));
    }
}

int16_t catalog_feature_level(const struct catalog *catalog, struct slice feature)
{
    for (uint32_t i = 0; i < catalog->image->features.count; i++) {
        const struct feature_entry *entry = image_feature_at(catalog->image, i);
        if (slice_equals(slice_from(entry->name, entry->name_size), feature))
            return entry->level;
    }
    return 0;
}

int32_t catalog_node_id_next(const struct catalog *catalog)
{
    return catalog->image->node_id_next;
}

uint32_t catalog_min_insync_replicas(const struct catalog *catalog,
                                     const struct catalog_topic *topic, uint32_t replica_count)
{
    return election_min_insync(topic->config, catalog_node_config(catalog, -1), replica_count);
}

struct uuid catalog_cluster_id(const struct catalog *catalog)
{
    return catalog->image->cluster_id;
}

int64_t catalog_applied_index(const struct catalog *catalog)
{
    return catalog->image->applied_index;
}

int32_t catalog_applied_term(const struct catalog *catalog)
{
    return catalog->image->applied_term;
}

uint64_t catalog_hash(const struct catalog *catalog)
{
    return catalog->image->hash;
}

/* ---- watching ---- */

void catalog_watch(struct catalog *catalog, struct catalog_watcher *watcher)
{
    list_push(&catalog->watchers, &watcher->link);
}

void catalog_unwatch(struct catalog *catalog, struct catalog_watcher *watcher)
{
    (void)catalog;
    list_remove(&watcher->link);
}

static struct catalog_watcher *watcher_of(struct list *link)
{
    return container_of(link, struct catalog_watcher, link);
}

void notify_topic_changed(struct catalog *catalog, const struct topic_entry *entry)
{
    list_for_each_safe(link, &catalog->watchers)
    {
        struct catalog_watcher *watcher = watcher_of(link);
        if (watcher->topic_changed != NULL)
            watcher->topic_changed(watcher, &entry->topic);
    }
}

void notify_topic_deleted(struct catalog *catalog, const struct topic_entry *entry)
{
    list_for_each_safe(link, &catalog->watchers)
    {
        struct catalog_watcher *watcher = watcher_of(link);
        if (watcher->topic_deleted != NULL)
            watcher->topic_deleted(watcher, &entry->topic);
    }
}

void notify_config_changed(struct catalog *catalog, enum catalog_resource resource,
                           struct slice name)
{
    list_for_each_safe(link, &catalog->watchers)
    {
        struct catalog_watcher *watcher = watcher_of(link);
        if (watcher->config_changed != NULL)
            watcher->config_changed(watcher, resource, name);
    }
}

void notify_nodes_changed(struct catalog *catalog)
{
    list_for_each_safe(link, &catalog->watchers)
    {
        struct catalog_watcher *watcher = watcher_of(link);
        if (watcher->nodes_changed != NULL)
            watcher->nodes_changed(watcher);
    }
}

void notify_applied(struct catalog *catalog)
{
    list_for_each_safe(link, &catalog->watchers)
    {
        struct catalog_watcher *watcher = watcher_of(link);
        if (watcher->applied != NULL)
            watcher->applied(watcher, catalog->image->applied_index);
    }
}

/* ---- proposing ---- */

void catalog_set_proposer(struct catalog *catalog, struct catalog_proposer *proposer)
{
    catalog->proposer = proposer;
}

static void proposal_run(struct task *task)
{
    struct catalog_proposal *proposal = container_of(task, struct catalog_proposal, task);
    proposal->done(proposal);
}

void catalog_proposal_complete(struct catalog *catalog, struct catalog_proposal *proposal,
                               const struct catalog_outcome *outcome)
{
    memory_free(proposal->bytes);
    proposal->bytes = NULL;
    proposal->size = 0;
    proposal->outcome = *outcome;
    proposal->task.run = proposal_run;
    executor_post(catalog->executor, &proposal->task);
}

void catalog_propose(struct catalog *catalog, const struct catalog_command *command,
                     struct catalog_proposal *proposal)
{
    catalog_propose_through(catalog, catalog->proposer, command, proposal);
}

void catalog_propose_through(struct catalog *catalog, struct catalog_proposer *proposer,
                             const struct catalog_command *command,
                             struct catalog_proposal *proposal)
{
    ASSERT(proposal->done != NULL);
    struct catalog_command complete = *command;
    if (uuid_is_zero(&complete.id))
        complete.id = uuid_random(catalog->executor);
    if (complete.wall_clock_ms == 0)
        complete.wall_clock_ms = executor_wall_clock_ms(catalog->executor);
    struct catalog_outcome outcome = {
        .error = ERROR_NOT_CONTROLLER, .producer_id_first = -1, .node_id_taken = -1};
    proposal->bytes = NULL;
    list_init(&proposal->link);
    if (proposer != NULL)
        outcome.error = catalog_command_encode(&complete, &proposal->bytes, &proposal->size);
    if (outcome.error != ERROR_NONE) {
        catalog_proposal_complete(catalog, proposal, &outcome);
        return;
    }
    proposer->submit(proposer, proposal);
}
