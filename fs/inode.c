/* SPDX-License-Identifier: Apache-2.0 */
/* The inode table: chained buckets that double with what they hold. */
#include "fs/inode.h"

#include "base/assertion.h"
#include "base/memory.h"
#include "fs/lane.h"

#include <stdio.h>

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    return hash;
}

/* FNV-1a with a final mix (splitmix64's): equal on every node and in every life. */
static uint64_t hash_identity(const struct inode_key *key, const struct uuid *topic_id)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    uint64_t parent = key->parent == NULL ? 0 : key->parent->number;
    hash = hash_bytes(hash, key->class->name, strlen(key->class->name) + 1);
    hash = hash_bytes(hash, topic_id->bytes, sizeof topic_id->bytes);
    if (uuid_is_zero(topic_id))
        hash = hash_bytes(hash, &parent, sizeof parent);
    hash = hash_bytes(hash, key->name.data, key->name.size);
    hash ^= hash >> 30;
    hash *= UINT64_C(0xbf58476d1ce4e5b9);
    hash ^= hash >> 27;
    hash *= UINT64_C(0x94d049bb133111eb);
    hash ^= hash >> 31;
    return hash <= INODE_ROOT_NUMBER ? hash + 2 : hash;
}

static struct list *buckets_new(size_t count)
{
    struct list *buckets = memory_allocate_array(count, sizeof buckets[0]);
    for (size_t i = 0; buckets != NULL && i < count; i++)
        list_init(&buckets[i]);
    return buckets;
}

enum error inode_table_init(struct inode_table *table)
{
    struct list *buckets = buckets_new(INODE_BUCKETS_MIN);
    if (buckets == NULL)
        return ERROR_OUT_OF_MEMORY;
    *table = (struct inode_table){.buckets = buckets, .bucket_count = INODE_BUCKETS_MIN};
    return ERROR_NONE;
}

static void inode_free(struct inode *inode)
{
    lane_free(inode->lane);
    partition_unref(inode->partition);
    memory_free(inode->error);
    memory_free(inode->file_name);
    memory_free(inode->name);
    memory_free(inode);
}

void inode_table_release_partitions(struct inode_table *table)
{
    for (size_t i = 0; i < table->bucket_count; i++) {
        list_for_each(link, &table->buckets[i])
        {
            struct inode *inode = container_of(link, struct inode, bucket);
            partition_unref(inode->partition);
            inode->partition = NULL;
        }
    }
}

void inode_table_done(struct inode_table *table)
{
    for (size_t i = 0; i < table->bucket_count; i++)
        list_for_each_safe(link, &table->buckets[i])
            inode_free(container_of(link, struct inode, bucket));
    memory_free(table->buckets);
    *table = (struct inode_table){0};
}

/* Keeps chains short; when memory is refused they stay long. */
static void inode_table_grow(struct inode_table *table)
{
    struct list *buckets = buckets_new(table->bucket_count * 2);
    if (buckets == NULL)
        return;
    size_t mask = table->bucket_count * 2 - 1;
    for (size_t i = 0; i < table->bucket_count; i++) {
        struct list *link;
        while ((link = list_take(&table->buckets[i])) != NULL) {
            struct inode *inode = container_of(link, struct inode, bucket);
            list_push(&buckets[inode->number & mask], link);
        }
    }
    memory_free(table->buckets);
    table->buckets = buckets;
    table->bucket_count *= 2;
}

static struct inode *inode_find(struct inode_table *table, const struct inode_key *key,
                                const struct uuid *topic_id, uint64_t number)
{
    list_for_each(link, &table->buckets[number & (table->bucket_count - 1)])
    {
        struct inode *inode = container_of(link, struct inode, bucket);
        if (inode->number == number && inode->class == key->class && inode->parent == key->parent &&
            uuid_equals(&inode->topic_id, topic_id) && inode->name_size == key->name.size &&
            memcmp(inode->name, key->name.data, key->name.size) == 0)
            return inode;
    }
    return NULL;
}

struct inode *inode_get(struct inode_table *table, const struct inode_key *key)
{
    const struct uuid none = UUID_ZERO;
    const struct uuid *topic_id = key->topic_id;
    if (topic_id == NULL)
        topic_id = key->parent == NULL ? &none : &key->parent->topic_id;
    uint64_t number = key->parent == NULL ? INODE_ROOT_NUMBER : hash_identity(key, topic_id);
    struct inode *inode = inode_find(table, key, topic_id, number);
    if (inode != NULL)
        return inode_ref(inode);

    inode = memory_allocate(sizeof *inode);
    if (inode == NULL)
        return NULL;
    const char *file_name = key->file_name;
    inode->name = memory_copy_text(key->name.data, key->name.size);
    if (file_name == NULL)
        file_name = inode->name;
    if (file_name != NULL)
        inode->file_name = memory_copy_text(file_name, strlen(file_name));
    if (inode->name == NULL || inode->file_name == NULL) {
        inode_free(inode);
        return NULL;
    }
    inode->name_size = key->name.size;
    inode->class = key->class;
    inode->number = number;
    if (++table->generation == 0)
        table->generation = 1;
    inode->generation = table->generation;
    inode->topic_id = *topic_id;
    inode->index = key->index;
    inode->references = 1;
    if (key->parent != NULL)
        inode->parent = inode_ref(key->parent);
    if (table->count >= table->bucket_count)
        inode_table_grow(table);
    list_push(&table->buckets[number & (table->bucket_count - 1)], &inode->bucket);
    table->count++;
    return inode;
}

struct inode *inode_ref(struct inode *inode)
{
    ASSERT(inode->references > 0);
    inode->references++;
    return inode;
}

void inode_unref(struct inode_table *table, struct inode *inode, uint64_t count)
{
    while (inode != NULL) {
        ASSERT(inode->references >= count);
        inode->references -= count;
        if (inode->references > 0)
            return;
        struct inode *parent = inode->parent;
        list_remove(&inode->bucket);
        ASSERT(table->count > 0);
        table->count--;
        inode_free(inode);
        inode = parent;
        count = 1;
    }
}

const char *inode_path(const struct inode *inode, char *out, size_t size)
{
    const struct inode *chain[16];
    size_t depth = 0;
    for (; inode != NULL && inode->parent != NULL && depth < 16; inode = inode->parent)
        chain[depth++] = inode;
    size_t used = 0;
    out[0] = '\0';
    while (depth > 0 && used < size) {
        depth--;
        int added = snprintf(out + used, size - used, "%s%s", chain[depth]->file_name,
                             depth > 0 ? "/" : "");
        used += added < 0 ? 0 : (size_t)added;
    }
    return out;
}
