/* SPDX-License-Identifier: Apache-2.0 */
/* 64-bit hashes of the image's entries. An image's hash is their sum, so it depends on what is
 * there and not on the order it came in. Fields are hashed as numbers and counted strings, never as
 * memory, so it is the same on every machine. What the image gained later counts only where it is
 * set: the hash of an older snapshot still holds. */
#include "catalog/image.h"

enum hash_kind { /* Keeps entries of different kinds apart; written nowhere. */
                 HASH_TOPIC = 1,
                 HASH_PARTITION,
                 HASH_NODE,
                 HASH_RESOURCE,
                 HASH_FEATURE,
                 HASH_CLUSTER,
                 HASH_PRODUCER_ID,
                 HASH_NODE_ID
};

/* SplitMix64's finisher (Steele, Lea, Flood 2014): every input bit reaches every output bit. */
static uint64_t mix(uint64_t value)
{
    value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
    return value ^ value >> 31;
}

static void hash_number(uint64_t *hash, int64_t number)
{
    *hash = mix(*hash + UINT64_C(0x9e3779b97f4a7c15) + (uint64_t)number);
}

static void hash_text(uint64_t *hash, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    hash_number(hash, (int64_t)size);
    for (size_t i = 0; i < size; i += 8) {
        uint64_t word = 0;
        for (size_t j = i; j < size && j < i + 8; j++)
            word = word << 8 | at[j];
        hash_number(hash, (int64_t)word);
    }
}

static void hash_id(uint64_t *hash, const struct uuid *id)
{
    hash_text(hash, id->bytes, UUID_BYTES);
}

static void hash_pair(void *context, const char *key, const char *value)
{
    hash_text(context, key, strlen(key));
    hash_text(context, value, strlen(value));
}

uint64_t hash_topic(const struct topic_entry *entry)
{
    uint64_t hash = HASH_TOPIC;
    hash_id(&hash, &entry->topic.id);
    hash_text(&hash, entry->name, strlen(entry->name));
    hash_number(&hash, entry->topic.created_ms);
    hash_number(&hash, entry->topic.partition_count);
    config_set_each(entry->config, hash_pair, &hash);
    return hash;
}

uint64_t hash_partition(const struct uuid *topic_id, int32_t index,
                        const struct partition_entry *entry)
{
    uint64_t hash = HASH_PARTITION;
    hash_id(&hash, topic_id);
    hash_number(&hash, index);
    hash_number(&hash, entry->leader);
    hash_number(&hash, entry->leader_epoch);
    hash_number(&hash, entry->partition_epoch);
    const uint8_t counts[] = {entry->replica_count, entry->isr_count, entry->elr_count,
                              entry->adding_count, entry->removing_count};
    hash_text(&hash, counts, sizeof counts);
    uint32_t total = 0;
    for (size_t i = 0; i < sizeof counts; i++)
        total += counts[i];
    for (uint32_t i = 0; i < total; i++)
        hash_number(&hash, entry->ids[i]);
    if (entry->recovering)
        hash_number(&hash, 1);
    return hash;
}

uint64_t hash_node(const struct catalog_node *node)
{
    uint64_t hash = HASH_NODE;
    hash_number(&hash, node->id);
    hash_number(&hash, node->epoch);
    hash_text(&hash, node->host, strlen(node->host));
    hash_number(&hash, node->port);
    hash_text(&hash, node->rack, strlen(node->rack));
    hash_number(&hash, node->fenced);
    hash_number(&hash, node->draining);
    hash_id(&hash, &node->incarnation_id);
    hash_id(&hash, &node->directory_id);
    hash_number(&hash, node->registered_ms);
    int64_t flags = (int64_t)node->shutting_down << 1 | (int64_t)node->sync_default;
    if (flags != 0)
        hash_number(&hash, flags);
    return hash;
}

uint64_t hash_resource(const struct resource_entry *entry)
{
    uint64_t hash = HASH_RESOURCE;
    hash_number(&hash, entry->resource);
    hash_text(&hash, entry->name, entry->name_size);
    config_set_each(entry->config, hash_pair, &hash);
    return hash;
}

uint64_t hash_feature(const struct feature_entry *entry)
{
    uint64_t hash = HASH_FEATURE;
    hash_number(&hash, entry->level);
    hash_text(&hash, entry->name, entry->name_size);
    return hash;
}

uint64_t hash_cluster(const struct uuid *cluster_id)
{
    uint64_t hash = HASH_CLUSTER;
    hash_id(&hash, cluster_id);
    return uuid_is_zero(cluster_id) ? 0 : hash;
}

uint64_t hash_producer_id(int64_t next)
{
    uint64_t hash = HASH_PRODUCER_ID;
    hash_number(&hash, next);
    return next == 0 ? 0 : hash;
}

uint64_t hash_node_id(int32_t next)
{
    uint64_t hash = HASH_NODE_ID;
    hash_number(&hash, next);
    return next == 0 ? 0 : hash;
}
