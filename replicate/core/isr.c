/* SPDX-License-Identifier: Apache-2.0 */
/* One proposal for each change, with what makes it compare and set. */
#include "replicate/core/isr.h"

#include "base/assertion.h"
#include "base/memory.h"

struct isr_change {
    struct catalog_proposal proposal;
    struct isr_changes *changes;
    struct partition *partition; /* Counted. */
};

static struct isr_changes *of(struct partition_quorum *quorum)
{
    return container_of(quorum, struct isr_changes, quorum);
}

static bool may_join_isr(struct partition_quorum *quorum, int32_t node_id)
{
    const struct catalog_node *node = catalog_node_find(of(quorum)->catalog, node_id);
    return node != NULL && !node->fenced && !node->shutting_down;
}

static int64_t node_epoch(struct partition_quorum *quorum, int32_t node_id)
{
    const struct catalog_node *node = catalog_node_find(of(quorum)->catalog, node_id);
    return node == NULL ? -1 : node->epoch;
}

static void isr_change_ended(struct catalog_proposal *proposal)
{
    struct isr_change *change = container_of(proposal, struct isr_change, proposal);
    change->changes->under_way--;
    partition_isr_change_ended(change->partition, proposal->outcome.error);
    partition_unref(change->partition);
    memory_free(change);
}

static enum error change_isr(struct partition_quorum *quorum, struct partition *partition,
                             const int32_t *isr, uint32_t isr_count)
{
    struct isr_changes *changes = of(quorum);
    ASSERT(isr_count > 0 && isr_count <= CATALOG_REPLICAS_MAX);
    struct isr_change *change = memory_allocate(sizeof *change);
    if (change == NULL)
        return ERROR_OUT_OF_MEMORY;
    change->changes = changes;
    change->partition = partition_ref(partition);
    change->proposal.done = isr_change_ended;
    changes->under_way++;
    struct catalog_command command = {
        .kind = CATALOG_ISR_CHANGE,
        .topic_id = partition_topic_id(partition),
        .node_id = changes->node_id,
        .partition = {.index = partition_index(partition),
                      .leader = changes->node_id,
                      .leader_epoch = partition_leader_epoch(partition),
                      .partition_epoch = partition_epoch(partition),
                      .isr_count = isr_count},
    };
    for (uint32_t i = 0; i < isr_count; i++) {
        command.partition.isr[i] = isr[i];
        command.isr_epochs[i] = node_epoch(quorum, isr[i]);
    }
    catalog_propose(changes->catalog, &command, &change->proposal);
    return ERROR_NONE;
}

void isr_changes_init(struct isr_changes *changes, struct catalog *catalog, int32_t node_id)
{
    *changes = (struct isr_changes){
        .quorum = {.change_isr = change_isr,
                   .may_join_isr = may_join_isr,
                   .node_epoch = node_epoch},
        .catalog = catalog,
        .node_id = node_id,
    };
}

bool isr_changes_idle(const struct isr_changes *changes)
{
    return changes->under_way == 0;
}
