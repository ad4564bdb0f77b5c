/* SPDX-License-Identifier: Apache-2.0 */
/* Topics and their partitions in the image. */
#include "base/assertion.h"
#include "catalog/image.h"
#include "catalog/pointers.h"

/* ---- partitions ---- */

static uint32_t ids_total(const struct partition_entry *entry)
{
    return (uint32_t)entry->replica_count + entry->isr_count + entry->elr_count +
           entry->adding_count + entry->removing_count;
}

static int32_t *append_ids(int32_t *at, const int32_t *ids, uint32_t count)
{
    ASSERT(count <= CATALOG_REPLICAS_MAX);
    memcpy(at, ids, count * sizeof *ids);
    return at + count;
}

enum error partition_entry_new(const struct catalog_partition *partition,
                               struct partition_entry **ret_entry)
{
    struct partition_entry counts = {
        .leader = partition->leader,
        .leader_epoch = partition->leader_epoch,
        .partition_epoch = partition->partition_epoch,
        .replica_count = (uint8_t)partition->replica_count,
        .isr_count = (uint8_t)partition->isr_count,
        .elr_count = (uint8_t)partition->elr_count,
        .adding_count = (uint8_t)partition->adding_count,
        .removing_count = (uint8_t)partition->removing_count,
        .recovering = partition->recovering,
    };
    struct partition_entry *entry =
        memory_allocate(sizeof *entry + ids_total(&counts) * sizeof entry->ids[0]);
    if (entry == NULL)
        return ERROR_OUT_OF_MEMORY;
    *entry = counts;
    int32_t *at = append_ids(entry->ids, partition->replicas, partition->replica_count);
    at = append_ids(at, partition->isr, partition->isr_count);
    at = append_ids(at, partition->elr, partition->elr_count);
    at = append_ids(at, partition->adding, partition->adding_count);
    append_ids(at, partition->removing, partition->removing_count);
    *ret_entry = entry;
    return ERROR_NONE;
}

static const int32_t *take_ids(const int32_t *at, int32_t *ret_ids, uint32_t count)
{
    memcpy(ret_ids, at, count * sizeof *ret_ids);
    return at + count;
}

void partition_entry_read(const struct partition_entry *entry, int32_t index,
                          struct catalog_partition *ret_partition)
{
    ret_partition->index = index;
    ret_partition->leader = entry->leader;
    ret_partition->leader_epoch = entry->leader_epoch;
    ret_partition->partition_epoch = entry->partition_epoch;
    ret_partition->replica_count = entry->replica_count;
    ret_partition->isr_count = entry->isr_count;
    ret_partition->elr_count = entry->elr_count;
    ret_partition->adding_count = entry->adding_count;
    ret_partition->removing_count = entry->removing_count;
    ret_partition->recovering = entry->recovering;
    const int32_t *at = take_ids(entry->ids, ret_partition->replicas, entry->replica_count);
    at = take_ids(at, ret_partition->isr, entry->isr_count);
    at = take_ids(at, ret_partition->elr, entry->elr_count);
    at = take_ids(at, ret_partition->adding, entry->adding_count);
    take_ids(at, ret_partition->removing, entry->removing_count);
}

static uint64_t hash_all_partitions(const struct topic_entry *entry)
{
    uint64_t hash = 0;
    for (uint32_t i = 0; i < entry->topic.partition_count; i++)
        hash += hash_partition(&entry->topic.id, (int32_t)i, entry->partitions[i]);
    return hash;
}

enum error image_partitions_add(struct image *image, struct topic_entry *entry,
                                struct partition_entry **partitions, uint32_t count)
{
    uint32_t before = entry->topic.partition_count;
    ASSERT(count <= CATALOG_TOPIC_PARTITIONS_MAX - before);
    struct partition_entry **all =
        memory_resize(entry->partitions, (before + count) * sizeof(struct partition_entry *));
    if (all == NULL)
        return ERROR_OUT_OF_MEMORY;
    memcpy(&all[before], partitions, count * sizeof(struct partition_entry *));
    entry->partitions = all;
    if (image == NULL) {
        entry->topic.partition_count = before + count;
        return ERROR_NONE;
    }
    image->hash -= hash_topic(entry);
    entry->topic.partition_count = before + count;
    image->hash += hash_topic(entry);
    for (uint32_t i = before; i < before + count; i++)
        image->hash += hash_partition(&entry->topic.id, (int32_t)i, all[i]);
    image->partition_count += count;
    return ERROR_NONE;
}

void image_partition_set(struct image *image, struct topic_entry *entry, int32_t index,
                         struct partition_entry *partition)
{
    ASSERT(index >= 0);
    ASSERT((uint32_t)index < entry->topic.partition_count);
    struct partition_entry *old = entry->partitions[index];
    ASSERT(partition->leader_epoch >= old->leader_epoch);
    ASSERT(partition->partition_epoch > old->partition_epoch);
    image->hash -= hash_partition(&entry->topic.id, index, old);
    entry->partitions[index] = partition;
    image->hash += hash_partition(&entry->topic.id, index, partition);
    memory_free(old);
}

/* ---- topics ---- */

struct topic_entry *topic_entry_of(const struct catalog_topic *topic)
{
    return container_of(topic, struct topic_entry, topic);
}

enum error topic_entry_new(struct slice name, const struct uuid *id, int64_t created_ms,
                           struct topic_entry **ret_entry)
{
    ASSERT(topic_name_valid(name));
    struct topic_entry *entry = memory_allocate(sizeof *entry + name.size + 1);
    if (entry == NULL)
        return ERROR_OUT_OF_MEMORY;
    memcpy(entry->name, name.data, name.size);
    entry->topic.name = entry->name;
    entry->topic.id = *id;
    entry->topic.internal = topic_name_internal(name);
    entry->topic.created_ms = created_ms;
    *ret_entry = entry;
    return ERROR_NONE;
}

void topic_entry_free(struct topic_entry *entry)
{
    if (entry == NULL)
        return;
    for (uint32_t i = 0; i < entry->topic.partition_count; i++)
        memory_free(entry->partitions[i]);
    memory_free(entry->partitions);
    config_set_free(entry->config);
    memory_free(entry);
}

struct topic_entry *image_topic_find(const struct image *image, struct slice name)
{
    struct topic_entry *entry = NULL;
    if (name.size > 0 && name.size <= TOPIC_NAME_BYTES_MAX)
        HASH_FIND(by_name, image->by_name, name.data, (unsigned)name.size, entry);
    return entry;
}

struct topic_entry *image_topic_find_id(const struct image *image, const struct uuid *id)
{
    struct topic_entry *entry = NULL;
    HASH_FIND(by_id, image->by_id, id->bytes, UUID_BYTES, entry);
    return entry;
}

struct topic_entry *image_topic_at(const struct image *image, uint32_t index)
{
    ASSERT(index < image->topics.count);
    return image->topics.items[index];
}

uint32_t image_topic_after(const struct image *image, struct slice name)
{
    if (slice_is_null(name))
        return 0;
    uint32_t low = 0;
    uint32_t high = image->topics.count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (slice_compare(slice_of(image_topic_at(image, middle)->name), name) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

enum error image_topic_insert(struct image *image, struct topic_entry *entry)
{
    struct slice name = slice_of(entry->name);
    uint32_t at = image_topic_after(image, name);
    if (!pointers_insert(&image->topics, at, entry))
        return ERROR_OUT_OF_MEMORY;
    HASH_ADD_KEYPTR(by_name, image->by_name, entry->name, (unsigned)name.size, entry);
    if (entry->by_name.tbl == NULL) {
        pointers_remove(&image->topics, at);
        return ERROR_OUT_OF_MEMORY;
    }
    HASH_ADD_KEYPTR(by_id, image->by_id, entry->topic.id.bytes, UUID_BYTES, entry);
    if (entry->by_id.tbl == NULL) {
        HASH_DELETE(by_name, image->by_name, entry);
        pointers_remove(&image->topics, at);
        return ERROR_OUT_OF_MEMORY;
    }
    image->hash += hash_topic(entry) + hash_all_partitions(entry);
    image->partition_count += entry->topic.partition_count;
    return ERROR_NONE;
}

void image_topic_remove(struct image *image, struct topic_entry *entry)
{
    uint32_t at = image_topic_after(image, slice_of(entry->name)) - 1;
    ASSERT(image_topic_at(image, at) == entry);
    pointers_remove(&image->topics, at);
    HASH_DELETE(by_name, image->by_name, entry);
    HASH_DELETE(by_id, image->by_id, entry);
    image->hash -= hash_topic(entry) + hash_all_partitions(entry);
    image->partition_count -= entry->topic.partition_count;
}

void image_topic_configure(struct image *image, struct topic_entry *entry,
                           struct config_set *config)
{
    if (config_set_count(config) == 0) {
        config_set_free(config);
        config = NULL;
    }
    if (image != NULL)
        image->hash -= hash_topic(entry);
    config_set_free(entry->config);
    entry->config = config;
    entry->topic.config = config;
    if (image != NULL)
        image->hash += hash_topic(entry);
}
