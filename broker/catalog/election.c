/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of leaders and in-sync replicas. */
#include "catalog/election.h"

#include "catalog/ids.h"

#include <stdlib.h>

/* ---- configuration ---- */

static const char *value_of(const struct config_set *topic, const struct config_set *cluster,
                            const char *key)
{
    const char *text = config_set_get(topic, key);
    return text != NULL ? text : config_set_get(cluster, key);
}

uint32_t election_min_insync(const struct config_set *topic, const struct config_set *cluster,
                             uint32_t replica_count)
{
    const char *text = value_of(topic, cluster, "min.insync.replicas");
    long long wanted = text == NULL ? 1 : strtoll(text, NULL, 10);
    if (wanted < 1)
        wanted = 1;
    return wanted < (long long)replica_count ? (uint32_t)wanted : replica_count;
}

bool election_unclean_enabled(const struct config_set *topic, const struct config_set *cluster)
{
    const char *text = value_of(topic, cluster, "unclean.leader.election.enable");
    return text != NULL && strcmp(text, "true") == 0;
}

struct election election_in(const struct image *image)
{
    return (struct election){.kind = ELECTION_ANY,
                             .image = image,
                             .gone_id = -1,
                             .lost_id = -1,
                             .cluster =
                                 image_config_find(image, CATALOG_RESOURCE_NODE, SLICE_EMPTY)};
}

/* ---- nodes ---- */

/* NULL: not registered. */
static const struct catalog_node *node_of(const struct election *election, int32_t id)
{
    if (id == election->gone_id)
        return NULL;
    if (election->changed != NULL && election->changed->id == id)
        return election->changed;
    return image_node_find(election->image, id);
}

bool election_node_active(const struct election *election, int32_t id)
{
    const struct catalog_node *node = node_of(election, id);
    return node != NULL && !node->fenced && !node->shutting_down;
}

static bool node_up(const struct election *election, int32_t id)
{
    const struct catalog_node *node = node_of(election, id);
    return node != NULL && !node->fenced;
}

static bool node_draining(const struct election *election, int32_t id)
{
    const struct catalog_node *node = node_of(election, id);
    return node != NULL && node->draining;
}

/* ---- in-sync replicas ---- */

/* Nobody else is in sync or eligible. */
static void keep_replicas(struct catalog_partition *partition)
{
    ids_keep(partition->isr, &partition->isr_count, partition->replicas, partition->replica_count,
             true);
    ids_keep(partition->elr, &partition->elr_count, partition->replicas, partition->replica_count,
             true);
}

/* Invariant 17: the old replicas go once the whole target is in sync; with fewer than
 * min.insync.replicas it cannot be. */
static void finish_reassignment(struct catalog_partition *partition)
{
    if (partition->adding_count == 0 && partition->removing_count == 0)
        return;
    for (uint32_t i = 0; i < partition->replica_count; i++) {
        int32_t id = partition->replicas[i];
        if (!ids_contain(partition->removing, partition->removing_count, id) &&
            !ids_contain(partition->isr, partition->isr_count, id))
            return;
    }
    ids_keep(partition->replicas, &partition->replica_count, partition->removing,
             partition->removing_count, false);
    partition->adding_count = 0;
    partition->removing_count = 0;
}

static bool any_active(const struct election *election, const int32_t *ids, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (ids[i] != election->lost_id && election_node_active(election, ids[i]))
            return true;
    return false;
}

/* Invariant 12: who is fenced, gone or without its records is not in sync; who shuts down is not
 * where another can take over. */
static void drop_from_isr(const struct election *election, struct catalog_partition *partition)
{
    bool others = any_active(election, partition->isr, partition->isr_count) ||
                  any_active(election, partition->elr, partition->elr_count);
    uint32_t left = 0;
    for (uint32_t i = 0; i < partition->isr_count; i++) {
        int32_t id = partition->isr[i];
        bool stays = id != election->lost_id && (election_node_active(election, id) ||
                                                 (node_up(election, id) && !others && left == 0));
        if (stays)
            partition->isr[left++] = id;
    }
    partition->isr_count = left;
}

/* Invariant 13: who was in sync or eligible, has lost nothing, and is not in sync, is eligible
 * while the in-sync replicas are too few to let the high watermark move. */
static void settle_elr(const struct election *election, const struct catalog_partition *present,
                       struct catalog_partition *partition)
{
    uint32_t least =
        election_min_insync(election->topic, election->cluster, partition->replica_count);
    partition->elr_count = 0;
    if (partition->isr_count >= least)
        return;
    for (uint32_t i = 0; i < present->elr_count; i++)
        ids_add(partition->elr, &partition->elr_count, present->elr[i]);
    for (uint32_t i = 0; i < present->isr_count; i++)
        ids_add(partition->elr, &partition->elr_count, present->isr[i]);
    ids_keep(partition->elr, &partition->elr_count, partition->replicas, partition->replica_count,
             true);
    ids_keep(partition->elr, &partition->elr_count, partition->isr, partition->isr_count, false);
    ids_remove(partition->elr, &partition->elr_count, election->lost_id);
}

/* Nobody is left but the one whose log may miss something: better it than nobody for ever. */
static void keep_last(const struct election *election, const struct catalog_partition *present,
                      struct catalog_partition *partition)
{
    int32_t id = election->lost_id;
    bool was_there = ids_contain(present->isr, present->isr_count, id) ||
                     ids_contain(present->elr, present->elr_count, id);
    if (!election->lost_stays || !was_there || partition->isr_count > 0 ||
        partition->elr_count > 0 || !ids_contain(partition->replicas, partition->replica_count, id))
        return;
    partition->recovering = true;
    if (election_node_active(election, id))
        ids_add(partition->isr, &partition->isr_count, id);
    else
        ids_add(partition->elr, &partition->elr_count, id);
}

/* ---- leaders ---- */

/* Invariant 6: from the in-sync replicas, or, only when there are none, from the eligible ones. */
static bool may_lead(const struct election *election, const struct catalog_partition *partition,
                     int32_t id)
{
    if (partition->isr_count > 0)
        return ids_contain(partition->isr, partition->isr_count, id) && node_up(election, id) &&
               (election_node_active(election, id) || partition->isr_count == 1);
    return ids_contain(partition->elr, partition->elr_count, id) &&
           election_node_active(election, id);
}

/* The first in replica order; -1: none. With `draining` those too. */
static int32_t first_that_may_lead(const struct election *election,
                                   const struct catalog_partition *partition, bool draining)
{
    for (uint32_t i = 0; i < partition->replica_count; i++) {
        int32_t id = partition->replicas[i];
        if (may_lead(election, partition, id) && (draining || !node_draining(election, id)))
            return id;
    }
    return -1;
}

static int32_t elect_clean(const struct election *election,
                           const struct catalog_partition *partition)
{
    int32_t preferred = partition->replicas[0];
    if (election->kind == ELECTION_PREFERRED && may_lead(election, partition, preferred) &&
        !node_draining(election, preferred))
        return preferred;
    bool stays = partition->leader >= 0 && may_lead(election, partition, partition->leader);
    if (stays && !node_draining(election, partition->leader))
        return partition->leader;
    int32_t other = first_that_may_lead(election, partition, false);
    if (other >= 0)
        return other;
    return stays ? partition->leader : first_that_may_lead(election, partition, true);
}

static int32_t elect_unclean(const struct election *election,
                             const struct catalog_partition *partition)
{
    int32_t draining = -1;
    for (uint32_t i = 0; i < partition->replica_count; i++) {
        int32_t id = partition->replicas[i];
        if (!election_node_active(election, id))
            continue;
        if (!node_draining(election, id))
            return id;
        if (draining < 0)
            draining = id;
    }
    return draining;
}

static void elect(const struct election *election, struct catalog_partition *partition)
{
    int32_t leader = elect_clean(election, partition);
    if (leader >= 0 && partition->isr_count == 0) {
        ids_remove(partition->elr, &partition->elr_count, leader);
        ids_add(partition->isr, &partition->isr_count, leader);
        if (partition->isr_count >=
            election_min_insync(election->topic, election->cluster, partition->replica_count))
            partition->elr_count = 0;
    }
    bool unclean = election->kind == ELECTION_UNCLEAN ||
                   (election->kind == ELECTION_ANY &&
                    election_unclean_enabled(election->topic, election->cluster));
    if (leader < 0 && unclean) {
        leader = elect_unclean(election, partition);
        if (leader >= 0) { /* Invariant 15: whatever it misses is lost now, and this says so. */
            ids_add(partition->isr, &partition->isr_count, leader);
            partition->elr_count = 0;
            partition->recovering = true;
        }
    }
    partition->leader = leader;
}

/* ---- the whole ---- */

static bool same_state(const struct catalog_partition *a, const struct catalog_partition *b)
{
    return a->leader == b->leader && a->leader_epoch == b->leader_epoch &&
           a->recovering == b->recovering &&
           ids_equal(a->replicas, a->replica_count, b->replicas, b->replica_count) &&
           ids_equal(a->isr, a->isr_count, b->isr, b->isr_count) &&
           ids_equal(a->elr, a->elr_count, b->elr, b->elr_count) &&
           ids_equal(a->adding, a->adding_count, b->adding, b->adding_count) &&
           ids_equal(a->removing, a->removing_count, b->removing, b->removing_count);
}

bool election_settle(const struct election *election, const struct catalog_partition *present,
                     struct catalog_partition *partition)
{
    ASSERT(partition->replica_count > 0);
    keep_replicas(partition);
    drop_from_isr(election, partition);
    finish_reassignment(partition);
    keep_replicas(partition);
    settle_elr(election, present, partition);
    keep_last(election, present, partition);
    elect(election, partition);
    bool replica_gone = !ids_within(present->replicas, present->replica_count, partition->replicas,
                                    partition->replica_count);
    bool log_shortened = partition->leader >= 0 && partition->leader == election->lost_id;
    if (partition->leader != present->leader || replica_gone || log_shortened)
        partition->leader_epoch = present->leader_epoch + 1;
    ASSERT(present->partition_epoch < INT32_MAX); /* Restoring refuses what comes near. */
    ASSERT(partition->leader_epoch > 0 || partition->leader_epoch == present->leader_epoch);
    if (same_state(partition, present))
        return false;
    partition->partition_epoch = present->partition_epoch + 1;
    ASSERT(partition_consistent(partition));
    return true;
}

enum error election_begin(const struct election *election,
                          const struct catalog_assignment *assignment,
                          struct catalog_partition *ret_partition)
{
    struct catalog_partition partition = {.leader = -1};
    uint32_t count = assignment->replica_count;
    if (count == 0 || count > CATALOG_REPLICAS_MAX || ids_repeat(assignment->replicas, count))
        return ERROR_INVALID_REPLICA_ASSIGNMENT;
    for (uint32_t i = 0; i < count; i++) {
        int32_t id = assignment->replicas[i];
        if (node_of(election, id) == NULL)
            return ERROR_INVALID_REPLICA_ASSIGNMENT;
        partition.replicas[partition.replica_count++] = id;
        if (election_node_active(election, id))
            partition.isr[partition.isr_count++] = id;
    }
    if (partition.isr_count == 0)
        return ERROR_INVALID_REPLICA_ASSIGNMENT;
    partition.leader = elect_clean(election, &partition);
    ASSERT(partition_consistent(&partition));
    *ret_partition = partition;
    return ERROR_NONE;
}

static bool list_consistent(const int32_t *ids, uint32_t count,
                            const struct catalog_partition *partition)
{
    return count <= CATALOG_REPLICAS_MAX && !ids_repeat(ids, count) &&
           ids_within(ids, count, partition->replicas, partition->replica_count);
}

bool partition_consistent(const struct catalog_partition *partition)
{
    const struct catalog_partition *p = partition;
    if (p->replica_count == 0 || !list_consistent(p->replicas, p->replica_count, p) ||
        !list_consistent(p->isr, p->isr_count, p) || !list_consistent(p->elr, p->elr_count, p) ||
        !list_consistent(p->adding, p->adding_count, p) ||
        !list_consistent(p->removing, p->removing_count, p))
        return false;
    if (!ids_disjoint(p->isr, p->isr_count, p->elr, p->elr_count) ||
        !ids_disjoint(p->adding, p->adding_count, p->removing, p->removing_count) ||
        p->removing_count == p->replica_count)
        return false;
    if (p->leader_epoch < 0 || p->partition_epoch < 0)
        return false;
    return p->isr_count == 0 ? p->leader == -1 : ids_contain(p->isr, p->isr_count, p->leader);
}
