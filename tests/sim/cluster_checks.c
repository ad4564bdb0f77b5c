/* SPDX-License-Identifier: Apache-2.0 */
/* What a simulated cluster is like, for whoever looks for the cause of a broken promise. */
#include "sim/cluster.h"

#include "base/assertion.h"

#include <inttypes.h>
#include <stdio.h>

enum { TEXT_BYTES = 128 };

static const char *ids_text(const int32_t *ids, uint32_t count, char text[TEXT_BYTES])
{
    size_t used = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < count && used + 12 < TEXT_BYTES; i++)
        used += (size_t)snprintf(text + used, TEXT_BYTES - used, "%s%d", i == 0 ? "" : ",", ids[i]);
    return text;
}

static void tell_replica(void *context, const struct partition_replica_view *replica)
{
    (void)context;
    printf("      node %d: in_isr %d end %" PRId64 " caught up at %" PRId64 "\n", replica->node_id,
           replica->in_isr, replica->end_offset, replica->caught_up_ms);
}

static void tell_partition(void *context, const struct catalog_topic *topic,
                           const struct catalog_partition *partition)
{
    const struct cluster_node *node = context;
    char replicas[TEXT_BYTES];
    char isr[TEXT_BYTES];
    char elr[TEXT_BYTES];
    char adding[TEXT_BYTES];
    char removing[TEXT_BYTES];
    printf("    %s-%d leader %d epoch %d/%d replicas %s isr %s elr %s adding %s removing %s%s\n",
           topic->name, partition->index, partition->leader, partition->leader_epoch,
           partition->partition_epoch,
           ids_text(partition->replicas, partition->replica_count, replicas),
           ids_text(partition->isr, partition->isr_count, isr),
           ids_text(partition->elr, partition->elr_count, elr),
           ids_text(partition->adding, partition->adding_count, adding),
           ids_text(partition->removing, partition->removing_count, removing),
           partition->recovering ? " recovering" : "");
    struct partition *found = node->core.broker.partitions == NULL
                                  ? NULL
                                  : partition_table_find(node->core.broker.partitions,
                                                         slice_of(topic->name), partition->index);
    if (found != NULL && partition->leader == node->founding.node_id)
        partition_replica_each(found, tell_replica, NULL);
}

static bool tell_topic(void *context, const struct catalog_topic *topic)
{
    const struct cluster_node *node = context;
    struct catalog_partition partition;
    for (int32_t i = 0; catalog_partition_find(node->catalog, topic, i, &partition); i++)
        tell_partition(context, topic, &partition);
    return true;
}

static void tell_member(void *context, const struct catalog_node *node)
{
    (void)context;
    printf("    node %d at %s epoch %" PRId64 "%s%s%s\n", node->id, node->host, node->epoch,
           node->fenced ? " fenced" : "", node->draining ? " draining" : "",
           node->shutting_down ? " shutting down" : "");
}

void cluster_tell(struct cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        struct cluster_node *node = &cluster->nodes[i];
        printf("\n  slot %u: node %d, state %d%s", i, node->founding.node_id, (int)node->state,
               node->removed ? " removed" : "");
        if (node->catalog == NULL)
            continue;
        struct quorum_member members[CLUSTER_NODE_IDS];
        uint32_t count = node->engine == NULL
                             ? 0
                             : quorum_members(&node->quorum.quorum, members, CLUSTER_NODE_IDS);
        printf(" applied %" PRId64 " quorum leader %d members",
               catalog_applied_index(node->catalog), quorum_leader_id(&node->quorum.quorum));
        for (uint32_t k = 0; k < count; k++)
            printf(" %d:%d", members[k].node_id, (int)members[k].role);
        printf("\n");
        catalog_node_each(node->catalog, tell_member, NULL);
        catalog_topic_each(node->catalog, tell_topic, node);
    }
}
