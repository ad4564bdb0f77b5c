/* SPDX-License-Identifier: Apache-2.0 */
/* Commands about single partitions: who is in sync, who leads, who has replicas. Checked against
 * the image at their log position, whatever the proposer saw (invariants 11, 17, 20; Kafka's
 * ReplicationControlManager.alterPartition, electLeaders, alterPartitionReassignments). */
#include "base/assertion.h"
#include "base/memory.h"
#include "catalog/ids.h"
#include "catalog/partition_changes.h"

#include <stdlib.h>

static struct election election_for(const struct image *image, const struct topic_entry *entry,
                                    enum election_kind kind)
{
    struct election election = election_in(image);
    election.kind = kind;
    election.topic = entry->config;
    return election;
}

/* The partition that the command names. */
static enum error find_partition(const struct apply *apply, struct topic_entry **ret_entry,
                                 struct catalog_partition *ret_partition)
{
    int32_t index = apply->command->partition.index;
    struct topic_entry *entry = image_topic_find_id(apply->image, &apply->command->topic_id);
    if (entry == NULL)
        return ERROR_UNKNOWN_TOPIC_ID;
    if (index < 0 || (uint32_t)index >= entry->topic.partition_count)
        return ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    partition_entry_read(entry->partitions[index], index, ret_partition);
    *ret_entry = entry;
    return ERROR_NONE;
}

static enum error change_one(struct apply *apply, const struct election *election,
                             struct topic_entry *entry, const struct catalog_partition *present,
                             const struct catalog_partition *wanted)
{
    struct partition_changes changes = {.items = NULL};
    enum error error = changes_add(&changes, election, entry, present, wanted);
    if (error != ERROR_NONE) {
        changes_discard(&changes);
        return error;
    }
    changes_commit(&changes, apply->image);
    changes_notify(&changes, apply->catalog);
    return ERROR_NONE;
}

/* ---- ISR_CHANGE ---- */

static enum error check_epochs(const struct catalog_command *command,
                               const struct catalog_partition *present)
{
    const struct catalog_partition *asked = &command->partition;
    /* Whoever knows more than the image has been told by another controller. */
    if (asked->leader_epoch > present->leader_epoch ||
        asked->partition_epoch > present->partition_epoch)
        return ERROR_NOT_CONTROLLER;
    if (asked->leader_epoch < present->leader_epoch)
        return ERROR_FENCED_LEADER_EPOCH;
    if (command->node_id != present->leader || present->leader < 0)
        return ERROR_INVALID_REQUEST;
    return asked->partition_epoch < present->partition_epoch ? ERROR_INVALID_UPDATE_VERSION
                                                             : ERROR_NONE;
}

/* KIP-841, KIP-903: who comes in must be up and the very registration that caught up. A leader that
 * is about to stop may still take others in, which then follow it. */
static bool member_eligible(const struct apply *apply, const struct election *election,
                            const struct catalog_partition *present, uint32_t at)
{
    int32_t id = apply->command->partition.isr[at];
    const struct catalog_node *node = image_node_find(apply->image, id);
    if (node == NULL || node->epoch != apply->command->isr_epochs[at])
        return false;
    return election_node_active(election, id) || ids_contain(present->isr, present->isr_count, id);
}

/* A leader whose disk fails gives its place to one that is in sync already. */
static bool leader_stays_or_hands_on(const struct catalog_partition *asked,
                                     const struct catalog_partition *present)
{
    if (ids_contain(asked->isr, asked->isr_count, present->leader))
        return true;
    return asked->isr_count > 0 && !asked->recovering &&
           ids_within(asked->isr, asked->isr_count, present->isr, present->isr_count);
}

static enum error check_isr(const struct apply *apply, const struct election *election,
                            const struct catalog_partition *present)
{
    const struct catalog_partition *asked = &apply->command->partition;
    if (ids_repeat(asked->isr, asked->isr_count) ||
        !ids_within(asked->isr, asked->isr_count, present->replicas, present->replica_count) ||
        !leader_stays_or_hands_on(asked, present))
        return ERROR_INVALID_REQUEST;
    if (asked->recovering && (asked->isr_count > 1 || !present->recovering))
        return ERROR_INVALID_REQUEST;
    for (uint32_t i = 0; i < asked->isr_count; i++)
        if (!member_eligible(apply, election, present, i))
            return ERROR_INELIGIBLE_REPLICA;
    return ERROR_NONE;
}

enum error apply_isr_change(struct apply *apply)
{
    struct topic_entry *entry;
    struct catalog_partition present;
    enum error error = find_partition(apply, &entry, &present);
    if (error != ERROR_NONE)
        return error;
    struct election election = election_for(apply->image, entry, ELECTION_ANY);
    error = check_epochs(apply->command, &present);
    if (error == ERROR_NONE)
        error = check_isr(apply, &election, &present);
    if (error != ERROR_NONE)
        return error;
    const struct catalog_partition *asked = &apply->command->partition;
    struct catalog_partition wanted = present;
    memcpy(wanted.isr, asked->isr, asked->isr_count * sizeof asked->isr[0]);
    wanted.isr_count = asked->isr_count;
    wanted.recovering = asked->recovering;
    return change_one(apply, &election, entry, &present, &wanted);
}

/* ---- ELECT_LEADERS ---- */

static int by_name(const void *a, const void *b)
{
    const struct catalog_partition_name *left = a;
    const struct catalog_partition_name *right = b;
    int order = memcmp(left->topic_id.bytes, right->topic_id.bytes, UUID_BYTES);
    if (order != 0)
        return order;
    return left->index < right->index ? -1 : left->index > right->index;
}

static enum error elect_named(const struct apply *apply, enum election_kind kind,
                              const struct catalog_partition_name *names,
                              struct partition_changes *changes)
{
    for (uint32_t i = 0; i < apply->command->partition_count; i++) {
        if (i > 0 && by_name(&names[i - 1], &names[i]) == 0)
            continue;
        struct topic_entry *entry = image_topic_find_id(apply->image, &names[i].topic_id);
        if (entry == NULL || names[i].index < 0 ||
            (uint32_t)names[i].index >= entry->topic.partition_count)
            continue;
        struct election election = election_for(apply->image, entry, kind);
        enum error error = changes_settle(changes, &election, entry, names[i].index);
        if (error != ERROR_NONE)
            return error;
    }
    return ERROR_NONE;
}

static enum error elect_all(const struct apply *apply, enum election_kind kind,
                            struct partition_changes *changes)
{
    for (uint32_t t = 0; t < apply->image->topics.count; t++) {
        struct topic_entry *entry = image_topic_at(apply->image, t);
        struct election election = election_for(apply->image, entry, kind);
        for (uint32_t i = 0; i < entry->topic.partition_count; i++) {
            enum error error = changes_settle(changes, &election, entry, (int32_t)i);
            if (error != ERROR_NONE)
                return error;
        }
    }
    return ERROR_NONE;
}

enum error apply_elect_leaders(struct apply *apply)
{
    const struct catalog_command *command = apply->command;
    enum election_kind kind = command->unclean ? ELECTION_UNCLEAN : ELECTION_PREFERRED;
    struct partition_changes changes = {.items = NULL};
    enum error error;
    if (command->partition_count == 0) {
        error = elect_all(apply, kind, &changes);
    } else {
        size_t size = command->partition_count * sizeof *command->partitions;
        struct catalog_partition_name *names = memory_allocate(size);
        if (names == NULL)
            return ERROR_OUT_OF_MEMORY;
        memcpy(names, command->partitions, size);
        qsort(names, command->partition_count, sizeof *names, by_name);
        error = elect_named(apply, kind, names, &changes);
        memory_free(names);
    }
    if (error != ERROR_NONE) {
        changes_discard(&changes);
        return error;
    }
    changes_commit(&changes, apply->image);
    changes_notify(&changes, apply->catalog);
    return ERROR_NONE;
}

/* ---- REASSIGN ---- */

/* Back to the replicas of before. Where only new ones are in sync the first old one would lead with
 * what it has: that is an unclean election, and allowed only as one. */
static enum error want_cancelled(const struct election *election,
                                 const struct catalog_partition *present,
                                 struct catalog_partition *wanted)
{
    if (present->adding_count == 0 && present->removing_count == 0)
        return ERROR_NO_REASSIGNMENT_IN_PROGRESS;
    *wanted = *present;
    ids_keep(wanted->replicas, &wanted->replica_count, present->adding, present->adding_count,
             false);
    ids_keep(wanted->isr, &wanted->isr_count, present->adding, present->adding_count, false);
    ids_keep(wanted->elr, &wanted->elr_count, present->adding, present->adding_count, false);
    wanted->adding_count = 0;
    wanted->removing_count = 0;
    bool leader_left = wanted->isr_count > 0;
    for (uint32_t i = 0; i < wanted->elr_count && !leader_left; i++)
        leader_left = present->leader < 0 || election_node_active(election, wanted->elr[i]);
    bool nobody_before = present->isr_count == 0 && present->elr_count == 0;
    if (!leader_left && !nobody_before &&
        !election_unclean_enabled(election->topic, election->cluster))
        return ERROR_INVALID_REPLICA_ASSIGNMENT;
    return wanted->replica_count == 0 ? ERROR_INVALID_REPLICA_ASSIGNMENT : ERROR_NONE;
}

static enum error check_target(const struct image *image, const struct catalog_assignment *target)
{
    uint32_t count = target->replica_count;
    if (count == 0 || ids_repeat(target->replicas, count))
        return ERROR_INVALID_REPLICA_ASSIGNMENT;
    for (uint32_t i = 0; i < count; i++)
        if (image_node_find(image, target->replicas[i]) == NULL)
            return ERROR_INVALID_REPLICA_ASSIGNMENT;
    return ERROR_NONE;
}

/* The target first, then those that go once it is in sync. What an earlier reassignment was adding
 * and this one does not want goes at once while it counts for nothing (KIP-455). */
static enum error want_target(const struct catalog_assignment *target,
                              const struct catalog_partition *present,
                              struct catalog_partition *wanted)
{
    *wanted = *present;
    memcpy(wanted->replicas, target->replicas, target->replica_count * sizeof target->replicas[0]);
    wanted->replica_count = target->replica_count;
    wanted->adding_count = 0;
    wanted->removing_count = 0;
    for (uint32_t i = 0; i < target->replica_count; i++) {
        int32_t id = target->replicas[i];
        if (!ids_contain(present->replicas, present->replica_count, id) ||
            ids_contain(present->adding, present->adding_count, id))
            ids_add(wanted->adding, &wanted->adding_count, id);
    }
    for (uint32_t i = 0; i < present->replica_count; i++) {
        int32_t id = present->replicas[i];
        bool counts = !ids_contain(present->adding, present->adding_count, id) ||
                      ids_contain(present->isr, present->isr_count, id) ||
                      ids_contain(present->elr, present->elr_count, id);
        if (!counts || ids_contain(target->replicas, target->replica_count, id))
            continue;
        if (wanted->replica_count == CATALOG_REPLICAS_MAX)
            return ERROR_INVALID_REPLICA_ASSIGNMENT;
        ids_add(wanted->removing, &wanted->removing_count, id);
        ids_add(wanted->replicas, &wanted->replica_count, id);
    }
    return ERROR_NONE;
}

enum error apply_reassign(struct apply *apply)
{
    const struct catalog_command *command = apply->command;
    struct topic_entry *entry;
    struct catalog_partition present, wanted;
    enum error error = find_partition(apply, &entry, &present);
    if (error != ERROR_NONE)
        return error;
    if (command->assignment_count > 1)
        return ERROR_INVALID_REQUEST;
    struct election election = election_for(apply->image, entry, ELECTION_ANY);
    if (command->assignment_count == 0) {
        error = want_cancelled(&election, &present, &wanted);
    } else {
        error = check_target(apply->image, &command->assignments[0]);
        if (error == ERROR_NONE)
            error = want_target(&command->assignments[0], &present, &wanted);
    }
    return error == ERROR_NONE ? change_one(apply, &election, entry, &present, &wanted) : error;
}
