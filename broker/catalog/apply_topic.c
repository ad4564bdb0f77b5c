/* SPDX-License-Identifier: Apache-2.0 */
/* Commands about topics and partitions, checked against the image at their log position
 * (Kafka's ReplicationControlManager; replication.md invariants 1, 11, 20). */
#include "base/assertion.h"
#include "base/memory.h"
#include "catalog/election.h"
#include "catalog/state.h"

static enum error partition_begin(const struct image *image,
                                  const struct catalog_assignment *assignment,
                                  struct partition_entry **ret_entry)
{
    struct election election = election_in(image);
    struct catalog_partition partition;
    enum error error = election_begin(&election, assignment, &partition);
    return error == ERROR_NONE ? partition_entry_new(&partition, ret_entry) : error;
}

/* The command's assignments as new partitions at the end of the topic. */
static enum error partitions_begin(struct apply *apply, struct image *in, struct topic_entry *entry)
{
    const struct catalog_command *command = apply->command;
    uint32_t count = command->assignment_count;
    if (count == 0 || count > CATALOG_TOPIC_PARTITIONS_MAX - entry->topic.partition_count)
        return ERROR_INVALID_PARTITIONS;
    struct partition_entry **partitions =
        memory_allocate_array(count, sizeof(struct partition_entry *));
    if (partitions == NULL)
        return ERROR_OUT_OF_MEMORY;
    enum error error = ERROR_NONE;
    for (uint32_t i = 0; i < count && error == ERROR_NONE; i++)
        error = partition_begin(apply->image, &command->assignments[i], &partitions[i]);
    if (error == ERROR_NONE)
        error = image_partitions_add(in, entry, partitions, count);
    for (uint32_t i = 0; i < count && error != ERROR_NONE; i++)
        memory_free(partitions[i]);
    memory_free(partitions);
    return error;
}

static enum error topic_begin(struct apply *apply, struct topic_entry *entry)
{
    const struct catalog_command *command = apply->command;
    enum error error = partitions_begin(apply, NULL, entry);
    if (error != ERROR_NONE || command->pair_count == 0)
        return error;
    struct config_set *config;
    error = config_set_new(&config);
    if (error != ERROR_NONE)
        return error;
    for (uint32_t i = 0; i < command->pair_count && error == ERROR_NONE; i++) {
        const struct catalog_pair *pair = &command->pairs[i];
        error = slice_is_null(pair->value) || pair->key.size == 0
                    ? ERROR_INVALID_CONFIG
                    : config_set_put_agreed(config, CONFIG_TOPIC, (const char *)pair->key.data,
                                            (const char *)pair->value.data);
    }
    if (error != ERROR_NONE) {
        config_set_free(config);
        return error;
    }
    image_topic_configure(NULL, entry, config);
    return ERROR_NONE;
}

enum error apply_topic_create(struct apply *apply)
{
    const struct catalog_command *command = apply->command;
    if (!topic_name_valid(command->topic_name))
        return ERROR_INVALID_TOPIC;
    if (image_topic_find(apply->image, command->topic_name) != NULL)
        return ERROR_TOPIC_ALREADY_EXISTS;
    if (catalog_topic_colliding(apply->catalog, command->topic_name) != NULL)
        return ERROR_INVALID_TOPIC;
    if (uuid_is_zero(&command->topic_id) ||
        image_topic_find_id(apply->image, &command->topic_id) != NULL)
        return ERROR_INVALID_REQUEST;

    struct topic_entry *entry;
    enum error error =
        topic_entry_new(command->topic_name, &command->topic_id, command->wall_clock_ms, &entry);
    if (error != ERROR_NONE)
        return error;
    error = topic_begin(apply, entry);
    if (error == ERROR_NONE)
        error = image_topic_insert(apply->image, entry);
    if (error != ERROR_NONE) {
        topic_entry_free(entry);
        return error;
    }
    notify_topic_changed(apply->catalog, entry);
    return ERROR_NONE;
}

enum error apply_topic_delete(struct apply *apply)
{
    struct topic_entry *entry = image_topic_find_id(apply->image, &apply->command->topic_id);
    if (entry == NULL)
        return ERROR_UNKNOWN_TOPIC_ID;
    image_topic_remove(apply->image, entry);
    notify_topic_deleted(apply->catalog, entry);
    topic_entry_free(entry);
    return ERROR_NONE;
}

enum error apply_partitions_add(struct apply *apply)
{
    struct topic_entry *entry = image_topic_find_id(apply->image, &apply->command->topic_id);
    if (entry == NULL)
        return ERROR_UNKNOWN_TOPIC_ID;
    if (entry->topic.partition_count != apply->command->expected_count)
        return ERROR_INVALID_PARTITIONS;
    enum error error = partitions_begin(apply, apply->image, entry);
    if (error == ERROR_NONE)
        notify_topic_changed(apply->catalog, entry);
    return error;
}
