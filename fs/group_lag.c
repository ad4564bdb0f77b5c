/* SPDX-License-Identifier: Apache-2.0 */
/* .groups/GROUP/.lag: what the group has committed, beside the ends of the partitions and the
 * members that read them.
 *
 *   coordinator: committed offsets, members --> leaders of the partitions: ends --> lines */
#include "fs/group_files.h"
#include "wire/api_text_stat.h"
#include "wire/consumer_protocol.h"

#include <stdlib.h>

enum { ENDS_WAIT_MS = 2000, ASSIGNMENT_VERSION_MAX = 3, ASSIGNMENT_BYTES_MAX = 16 << 20 };

/* Who reads what, sorted. */
struct assigned {
    struct slice topic;
    int32_t partition;
    struct slice member;
};

struct assignments {
    struct arena arena;
    struct assigned *each;
    uint32_t count;
    uint32_t room;
};

static int compare_assigned(const void *left, const void *right)
{
    const struct assigned *a = left, *b = right;
    size_t size = a->topic.size < b->topic.size ? a->topic.size : b->topic.size;
    int order = size == 0 ? 0 : memcmp(a->topic.data, b->topic.data, size);
    if (order == 0)
        order = (a->topic.size > b->topic.size) - (a->topic.size < b->topic.size);
    return order != 0 ? order : (a->partition > b->partition) - (a->partition < b->partition);
}

/* What cannot be read names nothing: groups need not be of consumers. */
static void assignment_add(struct assignments *all, struct slice member, struct slice bytes)
{
    struct consumer_protocol_assignment assignment;
    struct reader reader;
    if (bytes.size < sizeof(int16_t))
        return;
    reader_init(&reader, bytes);
    int16_t version = read_int16(&reader);
    if (version < 0 ||
        consumer_protocol_assignment_decode(
            &reader, version > ASSIGNMENT_VERSION_MAX ? ASSIGNMENT_VERSION_MAX : version,
            &all->arena, &assignment) != ERROR_NONE)
        return;
    for (uint32_t i = 0; i < assignment.assigned_partitions_count; i++) {
        const struct consumer_protocol_assignment_topic_partition *topic =
            &assignment.assigned_partitions[i];
        for (uint32_t k = 0; k < topic->partitions_count; k++) {
            if (all->count < all->room)
                all->each[all->count] =
                    (struct assigned){topic->topic, topic->partitions[k], member};
            all->count++;
        }
    }
}

/* Once to count, once to fill. False: out of memory. */
static bool assignments_read(struct assignments *all, const group_description *group)
{
    arena_init(&all->arena, ASSIGNMENT_BYTES_MAX);
    for (int round = 0; round < 2; round++) {
        all->room = all->count;
        all->count = 0;
        all->each = arena_allocate_array(&all->arena, all->room, sizeof *all->each);
        if (all->each == NULL)
            return false;
        for (uint32_t i = 0; i < group->members_count; i++)
            assignment_add(all, group->members[i].member_id, group->members[i].member_assignment);
    }
    if (all->count > all->room)
        all->count = all->room;
    if (all->count > 0)
        qsort(all->each, all->count, sizeof *all->each, compare_assigned);
    return true;
}

/* ---- lines ---- */

static void add_line(struct text *text, struct slice topic,
                     const struct offset_fetch_response_partitions *committed,
                     const struct leader_stat *stat, const struct assignments *all)
{
    char member[256] = "-";
    struct assigned wanted = {.topic = topic, .partition = committed->partition_index};
    const struct assigned *found = all->count == 0 ? NULL
                                                   : bsearch(&wanted, all->each, all->count,
                                                             sizeof *all->each, compare_assigned);
    if (found != NULL)
        (void)report_escape(found->member.data, found->member.size, member, sizeof member);
    text_add(text, "%.*s\t%d\t%lld", SLICE_PRINT(topic), committed->partition_index,
             (long long)committed->committed_offset);
    if (stat->answer == NULL) {
        text_add(text, "\t-\t-\t%s\n", member);
        return;
    }
    /* A client may commit what is no offset: then all of it is to come. */
    int64_t end = stat->answer->high_watermark;
    int64_t lag = end - (committed->committed_offset < 0 ? 0 : committed->committed_offset);
    text_add(text, "\t%lld\t%lld\t%s\n", (long long)end, (long long)(lag > 0 ? lag : 0), member);
}

/* The two answers come first among op->asks. */
static void lag_answers(const struct node_op *op, const struct ask **ret_group,
                        const struct ask **ret_offsets)
{
    const struct list *first = op->asks.next;
    *ret_group = container_of(first, struct ask, link);
    *ret_offsets = container_of(first->next, struct ask, link);
}

static void lag_stats_gathered(struct node_op *op)
{
    const struct ask *group_ask, *offsets_ask;
    const group_description *group;
    const group_offsets *offsets;
    struct assignments all = {.count = 0};
    lag_answers(op, &group_ask, &offsets_ask);
    enum error error = group_looked(group_ask, &group);
    if (error == ERROR_NONE)
        error = group_fetched(offsets_ask, &offsets);
    if (error == ERROR_NONE && !assignments_read(&all, group))
        error = ERROR_OUT_OF_MEMORY;
    const struct leader_stat *stat = op->stats.each;
    text_add(&op->text, "topic\tpartition\tcommitted\tend\tlag\tmember\n");
    for (uint32_t i = 0; error == ERROR_NONE && i < offsets->topics_count; i++) {
        const struct offset_fetch_response_topics *topic = &offsets->topics[i];
        for (uint32_t k = 0; k < topic->partitions_count; k++)
            add_line(&op->text, topic->name, &topic->partitions[k], stat++, &all);
    }
    arena_done(&all.arena);
    node_op_done(op, error);
}

/* ---- asking ---- */

static void lag_render(struct node_op *op);

static void lag_gathered(struct node_op *op)
{
    const struct ask *group_ask, *offsets_ask;
    const group_description *group;
    const group_offsets *offsets = NULL;
    lag_answers(op, &group_ask, &offsets_ask);
    enum error error = group_ask->error != ERROR_NONE ? group_ask->error : offsets_ask->error;
    if (error == ERROR_NONE)
        error = group_looked(group_ask, &group);
    if (error == ERROR_NONE)
        error = group_fetched(offsets_ask, &offsets);
    if (error != ERROR_NONE) {
        if (!group_retry(op, error, lag_render))
            node_op_done(op, error);
        return;
    }
    uint32_t count = 0;
    for (uint32_t i = 0; i < offsets->topics_count; i++)
        count += offsets->topics[i].partitions_count;
    if (!leader_stats_make(op, count))
        return;
    struct leader_stat *stat = op->stats.each;
    for (uint32_t i = 0; i < offsets->topics_count; i++) {
        const struct offset_fetch_response_topics *topic = &offsets->topics[i];
        const struct catalog_topic *known =
            catalog_topic_find(op->op.tree->broker->catalog, topic->name);
        for (uint32_t k = 0; k < topic->partitions_count; k++, stat++) {
            stat->topic_id = known == NULL ? UUID_ZERO : known->id;
            stat->index = topic->partitions[k].partition_index;
        }
    }
    leader_stats_gather(op, ENDS_WAIT_MS, lag_stats_gathered);
}

static void lag_render(struct node_op *op)
{
    struct slice id = group_id_of(op->op.inode);
    int32_t node_id = group_coordinator_node(op->op.tree, id);
    node_op_gather_clear(op);
    if (!group_topic_exists(op->op.tree)) {
        node_op_done(op, ERROR_GROUP_ID_NOT_FOUND);
        return;
    }
    if (node_id < 0) {
        (void)group_retry(op, ERROR_COORDINATOR_NOT_AVAILABLE, lag_render);
        return;
    }
    struct ask *group =
        node_op_gather_add(op, API_DESCRIBE_GROUPS, DESCRIBE_GROUPS_VERSION, node_id);
    struct ask *offsets =
        group == NULL ? NULL
                      : node_op_gather_add(op, API_OFFSET_FETCH, OFFSET_FETCH_VERSION, node_id);
    if (offsets == NULL)
        return;
    if (group_look_fill(group, id) && group_fetch_fill(offsets, id, NULL, -1))
        node_op_gather(op, GROUP_ATTEMPT_MS, lag_gathered);
    else
        node_op_done(op, ERROR_OUT_OF_MEMORY);
}

const struct inode_class group_lag_class = {
    .name = "group-lag",
    .mode = S_IFREG | 0444,
    .render = lag_render,
};
