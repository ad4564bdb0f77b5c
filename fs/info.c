/* SPDX-License-Identifier: Apache-2.0 */
/* topic/.info: one line a partition, tab-separated, under a line of column names. */
#include "fs/tree.h"
#include "handle/broker.h"

static void add_nodes(struct text *text, const int32_t *nodes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        text_add(text, "%s%d", i > 0 ? "," : "", nodes[i]);
}

/* The columns that the node's replica knows; "-" where it cannot be opened. */
static void add_replica(struct text *text, struct partition *partition)
{
    struct partition_offsets offsets;
    struct log *log;
    struct log_found newest = {.timestamp = -1};
    if (partition != NULL && !partition_has_log(partition)) {
        text_add(text, "\t0\t0\t0\t0\t0\t-1\n");
        return;
    }
    if (partition == NULL || partition_offsets(partition, &offsets) != ERROR_NONE ||
        partition_log(partition, &log) != ERROR_NONE) {
        text_add(text, "\t-\t-\t-\t-\t-\t-\n");
        return;
    }
    if (log_find_max_timestamp(log, &newest) != ERROR_NONE)
        newest.timestamp = -1;
    text_add(text, "\t%lld\t%lld\t%lld\t%lld\t%lld\t%lld\n", (long long)offsets.log_start_offset,
             (long long)offsets.high_watermark, (long long)offsets.last_stable_offset,
             (long long)offsets.log_end_offset, (long long)log_size_bytes(log),
             (long long)newest.timestamp);
}

static void info_render(struct node_op *op)
{
    struct tree *tree = op->op.tree;
    struct broker *broker = tree->broker;
    const struct catalog_topic *topic = inode_topic(tree, op->op.inode);
    if (topic == NULL) {
        node_op_done(op, ERROR_STALE);
        return;
    }
    text_add(&op->text, "partition\tleader\treplicas\tisr\tstart\thwm\tlso\tend\tsize\tts-last\n");
    for (uint32_t i = 0; i < topic->partition_count; i++) {
        struct catalog_partition partition;
        if (!catalog_partition_find(broker->catalog, topic, (int32_t)i, &partition))
            continue;
        text_add(&op->text, "%u\t%d\t", i, partition.leader);
        add_nodes(&op->text, partition.replicas, partition.replica_count);
        text_add(&op->text, "\t");
        add_nodes(&op->text, partition.isr, partition.isr_count);
        add_replica(&op->text, partition_table_find_id(broker->partitions, &topic->id, (int32_t)i));
    }
    node_op_done(op, ERROR_NONE);
}

const struct inode_class topic_info_class = {
    .name = "info",
    .mode = S_IFREG | 0444,
    .render = info_render,
};
