/* SPDX-License-Identifier: Apache-2.0 */
/* Looking into the nodes of a simulated cluster, as no client can. Checked:
 *
 *   one leader of each epoch of a partition (invariant 1)
 *   its high watermark never goes back (4)
 *   below their high watermarks all replicas hold the same bytes (3, 6, 7)
 *   who is in sync or eligible has every committed record (4, 5, 6, 13)
 *   who is fenced has no lease any more, and who was replaced loses it in time (16)
 *
 * And what the cluster is like, for whoever looks for the cause of a broken promise. */
#include "sim/cluster.h"

#include "base/assertion.h"
#include "record/batch.h"
#include "replicate/core/heartbeat.h"
#include "sim/process_memory.h"
#include "sim/simulated_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_BYTES = 128, EPOCHS_MAX = 1 << 12, READ_BYTES = 1 << 16 };

static const char topic_name[] = "t";

/* Of one partition, of all replicas there ever were. */
struct partition_facts {
    int32_t leaders[EPOCHS_MAX]; /* Node id + 1; 0: nobody was seen to lead it. */
    uint64_t *batches;           /* Their hashes, by base offset; 0: none seen. */
    int64_t capacity;
    int64_t committed; /* The highest high watermark seen. */
    int32_t epoch;     /* The latest that any node has applied, and when that was first seen. */
    int64_t epoch_ms;
};

/* Of one replica in one life of its node. */
struct replica_facts {
    int64_t checked; /* Its bytes were compared up to there. */
    int32_t epoch;   /* That it led last. */
    int64_t high_watermark;
};

struct cluster_facts {
    struct partition_facts partitions[CLUSTER_PARTITIONS];
    struct replica_facts replicas[CLUSTER_NODES][CLUSTER_PARTITIONS];
    int64_t index; /* Of the newest command that any node has applied; what it made of them: */
    bool known[CLUSTER_PARTITIONS];
    struct catalog_partition newest[CLUSTER_PARTITIONS];
};

/* ---- checking ---- */

static void batch_check(struct cluster_node *node, int32_t index, const struct batch_header *header,
                        const uint8_t *bytes)
{
    struct partition_facts *facts = &node->cluster->facts->partitions[index];
    if (header->base_offset >= facts->capacity) {
        int64_t capacity = header->base_offset * 2 + 256;
        facts->batches =
            simulation_resize(facts->batches, (size_t)capacity * sizeof *facts->batches);
        memset(facts->batches + facts->capacity, 0,
               (size_t)(capacity - facts->capacity) * sizeof *facts->batches);
        facts->capacity = capacity;
    }
    uint64_t hash = simulated_hash(1, bytes, header->size) | 1;
    uint64_t *known = &facts->batches[header->base_offset];
    if (*known != 0 && *known != hash)
        cluster_fail(node->cluster,
                     "t-%d: node %d holds another batch at offset %" PRId64
                     " than others, below its high watermark",
                     index, node->founding.node_id, header->base_offset);
    *known = hash;
}

/* False at the end, or where it cannot be read. */
static bool bytes_check(struct cluster_node *node, struct partition *partition,
                        struct replica_facts *replica)
{
    struct log_slice slice = {0};
    struct partition_offsets offsets;
    if (partition_read_local(partition, replica->checked, READ_BYTES, true, &slice, &offsets) !=
            ERROR_NONE ||
        slice.size == 0)
        return false;
    uint8_t *bytes = simulation_allocate(slice.size);
    size_t size = 0;
    size_t at = 0;
    struct batch_header header;
    int64_t before = replica->checked;
    if (storage_read(slice.file, slice.position, bytes, slice.size, &size) != ERROR_NONE)
        size = 0;
    while (batch_header_read(bytes + at, size - at, &header) == ERROR_NONE &&
           batch_last_offset(&header) < offsets.high_watermark) {
        batch_check(node, partition_index(partition), &header, bytes + at);
        replica->checked = batch_last_offset(&header) + 1;
        at += header.size;
    }
    free(bytes);
    log_slice_release(&slice);
    return replica->checked > before;
}

static void leader_check(struct cluster_node *node, struct partition *partition,
                         struct replica_facts *replica)
{
    int32_t index = partition_index(partition);
    int32_t epoch = partition_leader_epoch(partition);
    struct partition_offsets offsets;
    ASSERT(epoch >= 0);
    ASSERT(epoch < EPOCHS_MAX);
    int32_t *leader = &node->cluster->facts->partitions[index].leaders[epoch];
    if (*leader != 0 && *leader != node->founding.node_id + 1)
        cluster_fail(node->cluster, "t-%d: nodes %d and %d lead epoch %d", index, *leader - 1,
                     node->founding.node_id, epoch);
    *leader = node->founding.node_id + 1;
    if (partition_offsets(partition, &offsets) != ERROR_NONE)
        return;
    if (replica->epoch == epoch && offsets.high_watermark < replica->high_watermark)
        cluster_fail(
            node->cluster,
            "t-%d: the high watermark of node %d went from %" PRId64 " to %" PRId64 " in epoch %d",
            index, node->founding.node_id, replica->high_watermark, offsets.high_watermark, epoch);
    replica->epoch = epoch;
    replica->high_watermark = offsets.high_watermark;
}

static void committed_note(struct cluster_node *node, struct partition *partition)
{
    struct partition_offsets offsets;
    if (partition_offsets(partition, &offsets) == ERROR_NONE)
        cluster_check_committed(node->cluster, partition_index(partition), offsets.high_watermark);
}

/* ---- leases: all nodes share one monotonic clock here ---- */

static bool has_lease(const struct cluster_node *node)
{
    return node->catalog != NULL && core_is_open(&node->core) && !node->dead &&
           node->core.heartbeat != NULL && heartbeat_lease_held(node->core.heartbeat);
}

static void fenced_check(void *context, const struct catalog_node *node)
{
    struct cluster *cluster = context;
    int32_t slot = cluster->slots[node->id];
    if (!node->fenced || node->shutting_down || slot < 0)
        return;
    const struct cluster_node *fenced = &cluster->nodes[slot];
    if (has_lease(fenced) && fenced->founding.node_id == node->id &&
        fenced->core.node_epoch == node->epoch)
        cluster_fail(cluster, "node %d is fenced and holds a lease", node->id);
}

static void replaced_check(struct cluster_node *node, const struct partition *partition)
{
    const struct cluster *cluster = node->cluster;
    const struct partition_facts *facts = &cluster->facts->partitions[partition_index(partition)];
    int64_t session_ms = config_node_number(node->core.broker.config, "broker.session.timeout.ms");
    if (has_lease(node) && partition_leader_epoch(partition) < facts->epoch &&
        cluster_now_ms(cluster) - facts->epoch_ms > session_ms)
        cluster_fail(cluster, "t-%d: node %d was replaced %" PRId64 " ms ago and holds a lease",
                     partition_index(partition), node->founding.node_id,
                     cluster_now_ms(cluster) - facts->epoch_ms);
}

static void leases_check(struct cluster *cluster)
{
    const struct cluster_node *authority = NULL;
    struct catalog_partition partition;
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        const struct cluster_node *node = &cluster->nodes[i];
        if (node->catalog != NULL && !node->dead &&
            (authority == NULL ||
             catalog_applied_index(node->catalog) > catalog_applied_index(authority->catalog)))
            authority = node;
    }
    if (authority == NULL)
        return;
    catalog_node_each(authority->catalog, fenced_check, cluster);
    const struct catalog_topic *topic =
        catalog_topic_find(authority->catalog, slice_of(topic_name));
    for (int32_t i = 0; topic != NULL && i < CLUSTER_PARTITIONS; i++) {
        struct partition_facts *facts = &cluster->facts->partitions[i];
        if (!catalog_partition_find(authority->catalog, topic, i, &partition) ||
            partition.leader_epoch <= facts->epoch)
            continue;
        facts->epoch = partition.leader_epoch;
        facts->epoch_ms = cluster_now_ms(cluster);
    }
}

static void node_check(struct cluster_node *node)
{
    struct broker *broker = &node->core.broker;
    for (int32_t i = 0; i < CLUSTER_PARTITIONS; i++) {
        struct partition *partition =
            partition_table_find(broker->partitions, slice_of(topic_name), i);
        struct replica_facts *replica = &node->cluster->facts->replicas[node->number][i];
        if (partition == NULL || !partition_has_log(partition) || !partition_is_open(partition)) {
            *replica = (struct replica_facts){.epoch = -1};
            continue;
        }
        if (partition_role(partition) == PARTITION_LEADER) {
            leader_check(node, partition, replica);
            replaced_check(node, partition);
        }
        committed_note(node, partition);
        while (bytes_check(node, partition, replica))
            ;
    }
}

static bool can_be_looked_into(const struct cluster_node *node)
{
    return node->catalog != NULL && core_is_open(&node->core) && !node->dead;
}

/* What the newest image says of the node is behind whatever any leader knew when it moved the high
 * watermark: nobody counts without those who are in sync there. */
static void holder_check(struct cluster *cluster, int32_t index, int32_t id, const char *what)
{
    int32_t slot = cluster->slots[id];
    struct cluster_node *node = slot < 0 ? NULL : &cluster->nodes[slot];
    if (node == NULL || node->founding.node_id != id || !can_be_looked_into(node))
        return;
    struct partition *partition =
        partition_table_find(node->core.broker.partitions, slice_of(topic_name), index);
    struct partition_position position;
    uint32_t before = process_memory_select(node->number + 1);
    bool told = partition != NULL && partition_is_open(partition) &&
                partition_role(partition) != PARTITION_OFFLINE &&
                partition_position(partition, &position) == ERROR_NONE;
    (void)process_memory_select(before);
    const struct partition_facts *facts = &cluster->facts->partitions[index];
    if (told && position.end_offset < facts->committed && cluster->verbose)
        cluster_tell(cluster);
    if (told && position.end_offset < facts->committed)
        cluster_fail(cluster,
                     "t-%d: node %d is %s with records to %" PRId64 ", and %" PRId64
                     " are committed",
                     index, id, what, position.end_offset, facts->committed);
}

static void holders_check(struct cluster *cluster)
{
    const struct cluster_facts *facts = cluster->facts;
    for (int32_t i = 0; i < CLUSTER_PARTITIONS; i++) {
        const struct catalog_partition *newest = &facts->newest[i];
        for (uint32_t k = 0; facts->known[i] && k < newest->isr_count; k++)
            holder_check(cluster, i, newest->isr[k], "in sync");
        for (uint32_t k = 0; facts->known[i] && k < newest->elr_count; k++)
            holder_check(cluster, i, newest->elr[k], "eligible");
    }
}

void cluster_check_committed(struct cluster *cluster, int32_t index, int64_t end)
{
    if (end > cluster->facts->partitions[index].committed)
        cluster->facts->partitions[index].committed = end;
}

int32_t cluster_check_outsider(const struct cluster *cluster, int32_t index)
{
    const struct catalog_partition *newest = &cluster->facts->newest[index];
    for (uint32_t i = 0; cluster->facts->known[index] && i < newest->replica_count; i++) {
        int32_t id = newest->replicas[i];
        bool in_sync = false;
        for (uint32_t k = 0; k < newest->isr_count; k++)
            in_sync = in_sync || newest->isr[k] == id;
        if (!in_sync && cluster->slots[id] >= 0 &&
            cluster->nodes[cluster->slots[id]].founding.node_id == id)
            return cluster->slots[id];
    }
    return -1;
}

void cluster_check_applied(struct cluster_node *node, int64_t index)
{
    struct cluster_facts *facts = node->cluster->facts;
    if (index <= facts->index)
        return;
    facts->index = index;
    const struct catalog_topic *topic = catalog_topic_find(node->catalog, slice_of(topic_name));
    for (int32_t i = 0; i < CLUSTER_PARTITIONS; i++)
        facts->known[i] =
            topic != NULL && catalog_partition_find(node->catalog, topic, i, &facts->newest[i]);
    holders_check(node->cluster);
}

void cluster_check(struct cluster *cluster)
{
    leases_check(cluster);
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        struct cluster_node *node = &cluster->nodes[i];
        if (!can_be_looked_into(node))
            continue;
        uint32_t before = process_memory_select(node->number + 1);
        node_check(node);
        (void)process_memory_select(before);
    }
    holders_check(cluster);
}

/* Its next life begins with what its disk has. */
void cluster_check_forget(struct cluster_node *node)
{
    for (int32_t i = 0; i < CLUSTER_PARTITIONS; i++)
        node->cluster->facts->replicas[node->number][i] = (struct replica_facts){.epoch = -1};
}

void cluster_checks_init(struct cluster *cluster)
{
    cluster->facts = simulation_allocate(sizeof *cluster->facts);
}

void cluster_checks_done(struct cluster *cluster)
{
    for (int32_t i = 0; i < CLUSTER_PARTITIONS; i++)
        free(cluster->facts->partitions[i].batches);
    free(cluster->facts);
}

/* ---- telling ---- */

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
