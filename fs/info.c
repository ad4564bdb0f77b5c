/* SPDX-License-Identifier: Apache-2.0 */
/* topic/.info: one line a partition, tab-separated, under a line of column names. Offsets are the
 * leader's; where it does not answer, what this node's replica knows, or what was heard last. */
#include "fs/tree.h"
#include "handle/broker.h"
#include "wire/api_text_stat.h"

enum { LEADERS_WAIT_MS = 2000 };

static void add_nodes(struct text *text, const int32_t *nodes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        text_add(text, "%s%d", i > 0 ? "," : "", nodes[i]);
}

struct info_columns {
    struct partition_offsets offsets;
    int64_t size_bytes;
    int64_t max_timestamp;
};

/* What this node can say without the leader. */
static bool columns_here(struct tree *tree, const struct catalog_topic *topic, int32_t index,
                         struct info_columns *ret_columns)
{
    struct log *log;
    struct log_found newest = {.timestamp = -1};
    struct partition *partition =
        partition_table_find_id(tree->broker->partitions, &topic->id, index);
    const struct remote_partition *known = remote_find(tree, &topic->id, index);
    *ret_columns = (struct info_columns){.max_timestamp = -1};
    if (partition != NULL && !partition_has_log(partition))
        return true;
    if (partition != NULL && partition_offsets(partition, &ret_columns->offsets) == ERROR_NONE &&
        partition_log(partition, &log) == ERROR_NONE) {
        ret_columns->size_bytes = (int64_t)log_size_bytes(log);
        if (log_find_max_timestamp(log, &newest) == ERROR_NONE)
            ret_columns->max_timestamp = newest.timestamp;
        return true;
    }
    if (partition != NULL || known == NULL)
        return false;
    *ret_columns =
        (struct info_columns){.offsets = {.log_start_offset = known->log_start_offset,
                                          .high_watermark = known->high_watermark,
                                          .last_stable_offset = known->last_stable_offset,
                                          .log_end_offset = known->log_end_offset},
                              .size_bytes = known->log_size_bytes,
                              .max_timestamp = known->max_timestamp};
    return true;
}

static struct info_columns columns_of(const struct text_stat_response_partition_answer *answer)
{
    return (struct info_columns){.offsets = {.log_start_offset = answer->log_start_offset,
                                             .high_watermark = answer->high_watermark,
                                             .last_stable_offset = answer->last_stable_offset,
                                             .log_end_offset = answer->log_end_offset},
                                 .size_bytes = answer->log_size_bytes,
                                 .max_timestamp = answer->max_timestamp};
}

/* How many records each replica is behind, in the order of the replicas; "-": nobody knows. */
static void add_lags(struct text *text, const struct catalog_partition *partition,
                     const struct text_stat_response_partition_answer *answer)
{
    for (uint32_t i = 0; i < partition->replica_count; i++) {
        int64_t lag = -1;
        for (uint32_t k = 0; answer != NULL && k < answer->replicas_count; k++) {
            if (answer->replicas[k].node_id == partition->replicas[i] &&
                answer->replicas[k].end_offset >= 0)
                lag = answer->log_end_offset - answer->replicas[k].end_offset;
        }
        text_add(text, i > 0 ? "," : "\t");
        if (lag < 0)
            text_add(text, "-");
        else
            text_add(text, "%lld", (long long)lag);
    }
}

static void add_partition(struct node_op *op, const struct catalog_topic *topic,
                          const struct leader_stat *stat)
{
    struct catalog_partition partition;
    struct info_columns columns;
    struct text *text = &op->text;
    if (!catalog_partition_find(op->op.tree->broker->catalog, topic, stat->index, &partition))
        return;
    text_add(text, "%d\t%d\t", stat->index, partition.leader);
    add_nodes(text, partition.replicas, partition.replica_count);
    text_add(text, "\t");
    add_nodes(text, partition.isr, partition.isr_count);
    bool known = stat->answer != NULL || columns_here(op->op.tree, topic, stat->index, &columns);
    if (stat->answer != NULL)
        columns = columns_of(stat->answer);
    if (known)
        text_add(text, "\t%lld\t%lld\t%lld\t%lld\t%lld\t%lld",
                 (long long)columns.offsets.log_start_offset,
                 (long long)columns.offsets.high_watermark,
                 (long long)columns.offsets.last_stable_offset,
                 (long long)columns.offsets.log_end_offset, (long long)columns.size_bytes,
                 (long long)columns.max_timestamp);
    else
        text_add(text, "\t-\t-\t-\t-\t-\t-");
    add_lags(text, &partition, stat->answer);
    text_add(text, "\n");
}

static void info_gathered(struct node_op *op)
{
    const struct catalog_topic *topic = inode_topic(op->op.tree, op->op.inode);
    if (topic == NULL) {
        node_op_done(op, ERROR_STALE);
        return;
    }
    text_add(&op->text,
             "partition\tleader\treplicas\tisr\tstart\thwm\tlso\tend\tsize\tts-last\tlag\n");
    for (uint32_t i = 0; i < op->stats.count; i++)
        add_partition(op, topic, &op->stats.each[i]);
    node_op_done(op, ERROR_NONE);
}

static void info_render(struct node_op *op)
{
    const struct catalog_topic *topic = inode_topic(op->op.tree, op->op.inode);
    if (topic == NULL) {
        node_op_done(op, ERROR_STALE);
        return;
    }
    if (!leader_stats_make(op, topic->partition_count))
        return;
    for (uint32_t i = 0; i < op->stats.count; i++) {
        op->stats.each[i].topic_id = topic->id;
        op->stats.each[i].index = (int32_t)i;
    }
    op->stats.with_replicas = true;
    leader_stats_gather(op, LEADERS_WAIT_MS, info_gathered);
}

const struct inode_class topic_info_class = {
    .name = "info",
    .mode = S_IFREG | 0444,
    .render = info_render,
};
