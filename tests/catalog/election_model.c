/* SPDX-License-Identifier: Apache-2.0 */
/* Replicas of a few partitions, modelled simply. */
#include "election_model.h"

#include <cmocka.h>
#include <stdio.h>

struct catalog_partition model_partition_now(const struct model *model, uint32_t partition)
{
    struct catalog_partition now;
    memset(&now, 0, sizeof now);
    assert_true(catalog_partition_find(model->catalog, model_topic(model, partition), 0, &now));
    return now;
}

const struct catalog_topic *model_topic(const struct model *model, uint32_t partition)
{
    char name[8];
    snprintf(name, sizeof name, "t%u", partition);
    const struct catalog_topic *topic = catalog_topic_find(model->catalog, slice_of(name));
    assert_non_null(topic);
    return topic;
}

static bool contains(const int32_t *ids, uint32_t count, int32_t id)
{
    for (uint32_t i = 0; i < count; i++)
        if (ids[i] == id)
            return true;
    return false;
}

static struct model_replica *replica_of(struct model *model, int32_t node, uint32_t partition)
{
    assert_in_range(node, 1, MODEL_NODES);
    return &model->nodes[node].replicas[partition];
}

/* ---- committed records ---- */

static bool holds(const struct model_partition *partition, const struct model_replica *replica,
                  uint32_t end)
{
    return end >= partition->committed_count &&
           memcmp(replica->records, partition->committed,
                  partition->committed_count * sizeof(int32_t)) == 0;
}

bool model_holds_committed(const struct model *model, int32_t node, uint32_t partition,
                           bool on_disk)
{
    const struct model_replica *replica = &model->nodes[node].replicas[partition];
    return holds(&model->partitions[partition], replica, on_disk ? replica->synced : replica->end);
}

static void commit(struct model *model, uint32_t partition, const struct model_replica *leader)
{
    struct model_partition *p = &model->partitions[partition];
    if (leader->view.leader_epoch < p->valid_since_epoch)
        return;
    uint32_t both =
        leader->high_watermark < p->committed_count ? leader->high_watermark : p->committed_count;
    assert_memory_equal(leader->records, p->committed, both * sizeof(int32_t));
    if (leader->high_watermark <= p->committed_count)
        return;
    memcpy(p->committed, leader->records, leader->high_watermark * sizeof(int32_t));
    p->committed_count = leader->high_watermark;
}

/* What the replica's own record count is worth in a vote. */
static uint32_t own_vote(const struct model *model, const struct model_replica *replica,
                         uint32_t partition)
{
    return model->partitions[partition].synced_durability ? replica->synced : replica->end;
}

void model_give_up(struct model *model, int32_t node, uint32_t partition, int32_t leader_epoch)
{
    struct model_partition *p = &model->partitions[partition];
    const struct model_replica *replica = replica_of(model, node, partition);
    uint32_t counts = own_vote(model, replica, partition);
    uint32_t same = 0;
    while (same < p->committed_count && same < counts &&
           p->committed[same] == replica->records[same])
        same++;
    p->committed_count = same;
    p->valid_since_epoch = leader_epoch;
}

static int64_t vote_of(const struct model *model, int32_t leader, uint32_t partition, int32_t node)
{
    const struct model_replica *replica = &model->nodes[leader].replicas[partition];
    return node == leader ? (int64_t)own_vote(model, replica, partition) : replica->votes[node];
}

/* Invariants 4 and 5: over the in-sync replicas it knows of and those it has asked for. */
static void advance(struct model *model, int32_t node, uint32_t partition)
{
    struct model_replica *leader = replica_of(model, node, partition);
    if (!leader->leads || leader->view.isr_count < leader->view_min_insync)
        return;
    int64_t least = vote_of(model, node, partition, node);
    for (uint32_t i = 0; i < leader->view.isr_count; i++) {
        int64_t vote = vote_of(model, node, partition, leader->view.isr[i]);
        least = vote < least ? vote : least;
    }
    const struct catalog_partition *asked = &leader->proposal.partition;
    for (uint32_t i = 0; leader->proposing && i < asked->isr_count; i++) {
        int64_t vote = vote_of(model, node, partition, asked->isr[i]);
        least = vote < least ? vote : least;
    }
    if (least <= (int64_t)leader->high_watermark)
        return;
    leader->high_watermark = (uint32_t)least;
    commit(model, partition, leader);
}

/* ---- what nodes hear ---- */

static void hear(struct model *model, int32_t node, uint32_t partition)
{
    struct model_replica *replica = replica_of(model, node, partition);
    struct catalog_partition now = model_partition_now(model, partition);
    bool new_epoch = now.leader_epoch != replica->view.leader_epoch;
    replica->view = now;
    replica->view_min_insync = catalog_min_insync_replicas(
        model->catalog, model_topic(model, partition), now.replica_count);
    if (replica->proposing && replica->proposal_applied)
        replica->proposing = false;
    if (!contains(now.replicas, now.replica_count, node)) {
        replica->end = replica->synced = replica->high_watermark = 0; /* Deleted. */
        replica->leads = replica->proposing = false;
        return;
    }
    bool leads = now.leader == node;
    if (leads && (new_epoch || !replica->leads)) {
        replica->epoch_start = replica->end;
        replica->proposing = false;
        if (replica->high_watermark > replica->end)
            replica->high_watermark = replica->end;
        for (int32_t id = 0; id <= MODEL_NODES; id++)
            replica->votes[id] = -1;
    }
    if (!leads)
        replica->proposing = false;
    replica->leads = leads;
}

void model_catch_up(struct model *model, int32_t node)
{
    for (uint32_t i = 0; i < MODEL_PARTITIONS; i++) {
        hear(model, node, i);
        advance(model, node, i);
    }
}

/* ---- what replicas do ---- */

static void append(struct model *model, int32_t node, uint32_t partition)
{
    struct model_replica *leader = replica_of(model, node, partition);
    if (!leader->leads || leader->end == MODEL_LOG_MAX)
        return;
    leader->records[leader->end++] = model->partitions[partition].next_record++;
    if (random_chance(&model->random, 1, 2))
        leader->synced = leader->end;
    advance(model, node, partition);
}

/* Truncates to where the logs part (KIP-279) and copies what follows. */
static void copy(struct model *model, struct model_replica *from, struct model_replica *to,
                 int32_t node, uint32_t partition)
{
    uint32_t same = 0;
    while (same < from->end && same < to->end && from->records[same] == to->records[same])
        same++;
    struct catalog_partition now = model_partition_now(model, partition);
    bool counts = contains(now.isr, now.isr_count, node) || contains(now.elr, now.elr_count, node);
    /* Invariant 7. */
    if (counts && from->view.leader_epoch >= model->partitions[partition].valid_since_epoch &&
        holds(&model->partitions[partition], to, to->end))
        assert_true(same >= model->partitions[partition].committed_count);
    uint32_t more = from->end - same;
    if (more > 0 && random_chance(&model->random, 1, 3))
        more = (uint32_t)random_below(&model->random, more + 1);
    memcpy(to->records + same, from->records + same, more * sizeof(int32_t));
    to->end = same + more;
    if (to->synced > same)
        to->synced = same;
    if (to->high_watermark > to->end)
        to->high_watermark = to->end;
    if (model->partitions[partition].synced_durability || random_chance(&model->random, 1, 2))
        to->synced = to->end;
    if (from->high_watermark <= to->end && from->high_watermark > to->high_watermark)
        to->high_watermark = from->high_watermark;
}

static void fetch(struct model *model, int32_t node, uint32_t partition)
{
    struct model_replica *to = replica_of(model, node, partition);
    int32_t leader = to->view.leader;
    if (leader < 1 || leader == node ||
        !contains(to->view.replicas, to->view.replica_count, node) || !model->nodes[leader].up)
        return;
    struct model_replica *from = replica_of(model, leader, partition);
    if (!from->leads || from->view.leader_epoch != to->view.leader_epoch)
        return;
    copy(model, from, to, node, partition);
    from->votes[node] = own_vote(model, to, partition);
    from->vote_epochs[node] = model->nodes[node].epoch;
    advance(model, leader, partition);
}

/* Who may come in (Kafka's Partition.isFollowerInSync): has all below the high watermark, and all
 * the leader had when its epoch began (KAFKA-19996). */
static bool caught_up(const struct model_replica *leader, int32_t node)
{
    return leader->votes[node] >= (int64_t)leader->high_watermark &&
           leader->votes[node] >= (int64_t)leader->epoch_start;
}

static void propose(struct model *model, int32_t node, uint32_t partition)
{
    struct model_replica *leader = replica_of(model, node, partition);
    const struct catalog_partition *view = &leader->view;
    if (!leader->leads || leader->proposing)
        return;
    struct catalog_command command = {.kind = CATALOG_ISR_CHANGE,
                                      .topic_id = id_of((uint8_t)(partition + 1)),
                                      .node_id = node,
                                      .partition = {.leader_epoch = view->leader_epoch,
                                                    .partition_epoch = view->partition_epoch}};
    struct catalog_partition *asked = &command.partition;
    for (uint32_t i = 0; i < view->replica_count; i++) {
        int32_t id = view->replicas[i];
        bool in = id == node ||
                  (contains(view->isr, view->isr_count, id) ? random_chance(&model->random, 3, 4)
                                                            : caught_up(leader, id));
        if (!in)
            continue;
        const struct catalog_node *known = catalog_node_find(model->catalog, id);
        command.isr_epochs[asked->isr_count] = id == node ? model->nodes[node].epoch
                                               : leader->votes[id] >= 0
                                                   ? leader->vote_epochs[id]
                                                   : (known == NULL ? 0 : known->epoch);
        asked->isr[asked->isr_count++] = id;
    }
    leader->proposal = command;
    leader->proposing = true;
    leader->proposal_applied = false;
}

bool model_proposal(struct model *model, int32_t *ret_node, uint32_t *ret_partition)
{
    uint32_t from = (uint32_t)random_next(&model->random);
    for (uint32_t i = 0; i < MODEL_NODES * MODEL_PARTITIONS; i++) {
        uint32_t at = (from + i) % (MODEL_NODES * MODEL_PARTITIONS);
        int32_t node = (int32_t)(at / MODEL_PARTITIONS) + 1;
        const struct model_replica *replica = replica_of(model, node, at % MODEL_PARTITIONS);
        if (!replica->proposing || replica->proposal_applied)
            continue;
        *ret_node = node;
        *ret_partition = at % MODEL_PARTITIONS;
        return true;
    }
    return false;
}

void model_step(struct model *model)
{
    int32_t node = (int32_t)random_below(&model->random, model->node_count) + 1;
    uint32_t partition = (uint32_t)random_below(&model->random, MODEL_PARTITIONS);
    struct model_replica *replica = replica_of(model, node, partition);
    if (!model->nodes[node].up)
        return;
    switch (random_below(&model->random, 12)) {
    case 0:
    case 1:
        append(model,
               replica->view.leader >= 1 && model->nodes[replica->view.leader].up
                   ? replica->view.leader
                   : node,
               partition);
        break;
    case 2:
        replica->synced = replica->end;
        advance(model, node, partition);
        break;
    case 3:
    case 5:
        model_catch_up(model, node);
        break;
    case 4:
    case 6:
        propose(model, node, partition);
        break;
    default:
        fetch(model, node, partition);
        break;
    }
}

/* ---- stops ---- */

void model_stop(struct model *model, int32_t node, enum model_stop how)
{
    struct model_node *stopped = &model->nodes[node];
    stopped->up = false;
    stopped->clean = how == MODEL_STOP_CLEAN;
    for (uint32_t i = 0; i < MODEL_PARTITIONS; i++) {
        struct model_replica *replica = &stopped->replicas[i];
        if (how == MODEL_STOP_CLEAN)
            replica->synced = replica->end;
        if (how == MODEL_STOP_POWER)
            replica->end = replica->synced;
        if (replica->high_watermark > replica->end)
            replica->high_watermark = replica->end;
        replica->leads = replica->proposing = false;
    }
}

void model_wipe(struct model *model, int32_t node)
{
    struct model_node *wiped = &model->nodes[node];
    wiped->wiped = true;
    wiped->directory++;
    for (uint32_t i = 0; i < MODEL_PARTITIONS; i++) {
        struct model_replica *replica = &wiped->replicas[i];
        replica->end = replica->synced = replica->high_watermark = 0;
    }
}
