/* SPDX-License-Identifier: Apache-2.0 */
/* What a command does to partitions, gathered first and then done at once: memory is refused before
 * anything has changed. */
#ifndef BROKER_CATALOG_PARTITION_CHANGES_H
#define BROKER_CATALOG_PARTITION_CHANGES_H

#include "catalog/election.h"
#include "catalog/state.h"

struct partition_change {
    struct topic_entry *entry;
    int32_t index;
    struct partition_entry *next;
};

/* Zero is empty. Changes of one topic stand together, each partition once. */
struct partition_changes {
    struct partition_change *items;
    uint32_t count;
    uint32_t capacity;
};

/* Settles one partition as it is and notes the difference, if any.
 * OUT_OF_MEMORY. */
enum error changes_settle(struct partition_changes *changes, const struct election *election,
                          struct topic_entry *entry, int32_t index);
/* The same with a state that somebody wants. */
enum error changes_add(struct partition_changes *changes, const struct election *election,
                       struct topic_entry *entry, const struct catalog_partition *present,
                       const struct catalog_partition *wanted);

/* Makes the changes. */
void changes_commit(const struct partition_changes *changes, struct image *image);
/* Then, once the whole image is as it will be: tells the watchers, of each topic once. Then empty.
 */
void changes_notify(struct partition_changes *changes, struct catalog *catalog);
/* Forgets them. */
void changes_discard(struct partition_changes *changes);

#endif
