/* SPDX-License-Identifier: Apache-2.0 */
/* Asking leaders how far their partitions reach. */
#include "fs/leader_stats.h"

#include "base/assertion.h"
#include "base/memory.h"
#include "fs/tree.h"
#include "handle/broker.h"
#include "wire/api_text_stat.h"

enum { ASK_PARTITIONS_MAX = 512, RETRY_MS = 50 };

/* What one ask is about: its partitions' places in stats->each. */
struct asked_stats {
    uint32_t count;
    uint32_t at[];
};

bool leader_stats_make(struct node_op *op, uint32_t count)
{
    ASSERT(op->stats.each == NULL);
    op->stats.each = memory_allocate_array(count, sizeof *op->stats.each);
    op->stats.count = count;
    if (op->stats.each == NULL && count > 0) {
        node_op_done(op, ERROR_OUT_OF_MEMORY);
        return false;
    }
    return true;
}

/* ---- asking ---- */

static int32_t leader_find(struct tree *tree, const struct leader_stat *stat)
{
    struct catalog_partition partition;
    const struct catalog *catalog = tree->broker->catalog;
    const struct catalog_topic *topic = catalog_topic_find_id(catalog, &stat->topic_id);
    if (topic == NULL || !catalog_partition_find(catalog, topic, stat->index, &partition))
        return -1;
    return partition.leader;
}

/* Lays out those from `first` on that the same node leads. False: out of memory. */
static bool ask_fill(struct leader_stats *stats, struct ask *ask, uint32_t first, uint32_t room)
{
    struct arena *arena = &ask->request.arena;
    struct text_stat_request *body = ask->request.body;
    struct text_stat_request_partition *partitions =
        arena_allocate_array(arena, room, sizeof *partitions);
    struct asked_stats *asked = arena_allocate(arena, sizeof *asked + room * sizeof asked->at[0]);
    body->topics = arena_allocate_array(arena, room, sizeof *body->topics);
    if (partitions == NULL || asked == NULL || body->topics == NULL)
        return false;
    body->with_replicas = stats->with_replicas;
    body->topics_count = 0;
    struct text_stat_request_topic *topic = NULL;
    for (uint32_t i = first; i < stats->count && asked->count < room; i++) {
        struct leader_stat *stat = &stats->each[i];
        if (stat->asked || stat->answer != NULL || stat->leader != ask->node_id)
            continue;
        struct text_stat_request_partition *partition = &partitions[asked->count];
        text_stat_request_partition_init(partition);
        partition->partition_index = stat->index;
        if (topic == NULL || !uuid_equals(&topic->topic_id, &stat->topic_id)) {
            topic = &body->topics[body->topics_count++];
            text_stat_request_topic_init(topic);
            topic->topic_id = stat->topic_id;
            topic->partitions = partition;
            topic->partitions_count = 0;
        }
        topic->partitions_count++;
        asked->at[asked->count++] = i;
        stat->asked = true;
    }
    ask->notes = asked;
    return true;
}

static void stats_gathered(struct node_op *op);

static void stats_ask(struct node_op *op)
{
    struct leader_stats *stats = &op->stats;
    struct tree *tree = op->op.tree;
    for (uint32_t i = 0; i < stats->count; i++) {
        stats->each[i].leader = leader_find(tree, &stats->each[i]);
        stats->each[i].asked = false;
        if (stats->each[i].answer == NULL)
            stats->each[i].error = ERROR_LEADER_NOT_AVAILABLE;
    }
    for (uint32_t i = 0; i < stats->count; i++) {
        struct leader_stat *stat = &stats->each[i];
        if (stat->asked || stat->answer != NULL || stat->leader < 0)
            continue;
        uint32_t left = stats->count - i;
        struct ask *ask = node_op_gather_add(op, API_TEXT_STAT, 0, stat->leader);
        if (ask == NULL)
            return;
        if (!ask_fill(stats, ask, i, left < ASK_PARTITIONS_MAX ? left : ASK_PARTITIONS_MAX)) {
            node_op_done(op, ERROR_OUT_OF_MEMORY);
            return;
        }
    }
    int64_t left_ms = stats->until_ms - executor_monotonic_ms(tree_executor(tree));
    node_op_gather(op, left_ms > RETRY_MS ? left_ms : RETRY_MS, stats_gathered);
}

/* ---- answers ---- */

static void answer_take(struct leader_stats *stats, const struct ask *ask)
{
    const struct asked_stats *asked = ask->notes;
    const struct text_stat_request *body = ask->request.body;
    const struct text_stat_response *response = ask->request.response;
    uint32_t at = 0;
    for (uint32_t i = 0; i < body->topics_count; i++) {
        uint32_t count = body->topics[i].partitions_count;
        bool has_topic = ask->error == ERROR_NONE && response->error_code == 0 &&
                         response->topics_count == body->topics_count &&
                         response->topics[i].partitions_count == count;
        for (uint32_t k = 0; k < count; k++) {
            struct leader_stat *stat = &stats->each[asked->at[at++]];
            const struct text_stat_response_partition_answer *answer =
                has_topic ? &response->topics[i].partitions[k] : NULL;
            if (answer == NULL)
                stat->error = ask->error == ERROR_NONE ? ERROR_NETWORK : ask->error;
            else
                stat->error = error_from_kafka(answer->error_code);
            if (stat->error == ERROR_NONE && answer->partition_index == stat->index)
                stat->answer = answer;
        }
    }
}

static void stats_gathered(struct node_op *op)
{
    struct leader_stats *stats = &op->stats;
    struct tree *tree = op->op.tree;
    bool again = false;
    list_for_each(link, &op->asks)
    {
        struct ask *ask = container_of(link, struct ask, link);
        if (ask->notes != NULL)
            answer_take(stats, ask);
        ask->notes = NULL;
    }
    for (uint32_t i = 0; i < stats->count; i++) {
        struct leader_stat *stat = &stats->each[i];
        again = again || (stat->answer == NULL && stat->leader >= 0 &&
                          remote_error_passes(tree, &stat->topic_id, stat->error));
    }
    if (again && executor_monotonic_ms(tree_executor(tree)) < stats->until_ms)
        node_op_again(op, RETRY_MS, stats_ask);
    else
        stats->done(op);
}

void leader_stats_gather(struct node_op *op, int64_t timeout_ms, void (*done)(struct node_op *op))
{
    op->stats.done = done;
    op->stats.until_ms = executor_monotonic_ms(tree_executor(op->op.tree)) + timeout_ms;
    stats_ask(op);
}
