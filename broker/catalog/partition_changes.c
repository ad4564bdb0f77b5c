/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of partitions on their way into the image. */
#include "catalog/partition_changes.h"

#include "base/memory.h"

static bool make_room(struct partition_changes *changes)
{
    if (changes->count < changes->capacity)
        return true;
    uint32_t capacity = changes->capacity == 0 ? 16 : changes->capacity * 2;
    struct partition_change *items = memory_resize(changes->items, capacity * sizeof *items);
    if (items == NULL)
        return false;
    changes->items = items;
    changes->capacity = capacity;
    return true;
}

enum error changes_add(struct partition_changes *changes, const struct election *election,
                       struct topic_entry *entry, const struct catalog_partition *present,
                       const struct catalog_partition *wanted)
{
    struct catalog_partition settled = *wanted;
    if (!election_settle(election, present, &settled))
        return ERROR_NONE;
    if (!make_room(changes))
        return ERROR_OUT_OF_MEMORY;
    struct partition_entry *next;
    enum error error = partition_entry_new(&settled, &next);
    if (error != ERROR_NONE)
        return error;
    changes->items[changes->count++] =
        (struct partition_change){.entry = entry, .index = present->index, .next = next};
    return ERROR_NONE;
}

enum error changes_settle(struct partition_changes *changes, const struct election *election,
                          struct topic_entry *entry, int32_t index)
{
    struct catalog_partition present;
    partition_entry_read(entry->partitions[index], index, &present);
    return changes_add(changes, election, entry, &present, &present);
}

void changes_commit(const struct partition_changes *changes, struct image *image)
{
    for (uint32_t i = 0; i < changes->count; i++) {
        const struct partition_change *change = &changes->items[i];
        image_partition_set(image, change->entry, change->index, change->next);
    }
}

void changes_notify(struct partition_changes *changes, struct catalog *catalog)
{
    for (uint32_t i = 0; i < changes->count; i++)
        if (i == 0 || changes->items[i].entry != changes->items[i - 1].entry)
            notify_topic_changed(catalog, changes->items[i].entry);
    memory_free(changes->items);
    *changes = (struct partition_changes){.items = NULL};
}

void changes_discard(struct partition_changes *changes)
{
    for (uint32_t i = 0; i < changes->count; i++)
        memory_free(changes->items[i].next);
    memory_free(changes->items);
    *changes = (struct partition_changes){.items = NULL};
}
