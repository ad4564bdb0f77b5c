/* SPDX-License-Identifier: Apache-2.0 */
/* ls .groups: ListGroups of every node that coordinates groups, merged. What a node does not say in
 * time is left out, and .errors says so. */
#include "base/memory.h"
#include "fs/group_files.h"
#include "fs/name.h"
#include "wire/api_list_groups.h"

#include <stdlib.h>

enum { LIST_GROUPS_VERSION = 5, LIST_WAIT_MS = 2000, ROUND_WAIT_MS = 200, ROUND_MS_MIN = 100 };

static bool is_asked(const struct node_op *op, int32_t node_id)
{
    list_for_each(link, &op->asks)
    {
        if (container_of(link, struct ask, link)->node_id == node_id)
            return true;
    }
    return false;
}

/* Lost without a word when memory is refused. */
static void note_missing(struct node_op *op, uint32_t leaderless)
{
    struct tree *tree = op->op.tree;
    char reason[160];
    int64_t now_ms = executor_wall_clock_ms(tree_executor(tree));
    list_for_each(link, &op->asks)
    {
        const struct ask *ask = container_of(link, struct ask, link);
        const struct list_groups_response *response = ask->request.response;
        enum error error =
            ask->error != ERROR_NONE ? ask->error : error_from_kafka(response->error_code);
        if (error == ERROR_NONE)
            continue;
        (void)snprintf(reason, sizeof reason,
                       "the groups that node %d coordinates are left out: %s", ask->node_id,
                       error_text(error));
        errors_add(&tree->errors, now_ms, "readdir", ".groups", error, reason);
    }
    if (leaderless == 0)
        return;
    (void)snprintf(reason, sizeof reason, "groups are left out: %u partitions of %s have no leader",
                   leaderless, GROUP_OFFSETS_TOPIC);
    errors_add(&tree->errors, now_ms, "readdir", ".groups", ERROR_COORDINATOR_NOT_AVAILABLE,
               reason);
}

static int compare_names(const void *left, const void *right)
{
    const struct slice *a = left, *b = right;
    size_t size = a->size < b->size ? a->size : b->size;
    int order = size == 0 ? 0 : memcmp(a->data, b->data, size);
    return order != 0 ? order : (a->size > b->size) - (a->size < b->size);
}

/* A group whose coordinator moved meanwhile may have been told of twice. */
static void names_add(struct node_op *op, struct slice *names, uint32_t count)
{
    char name[FILE_NAME_BYTES_MAX + 1];
    if (count > 0)
        qsort(names, count, sizeof *names, compare_names);
    for (uint32_t i = 0; i < count; i++) {
        if ((i == 0 || !slice_equals(names[i], names[i - 1])) && name_of_group(names[i], name))
            listing_add(&op->listing, true, name);
    }
}

static void answers_merge(struct node_op *op)
{
    uint32_t count = 0, used = 0;
    list_for_each(link, &op->asks)
    {
        const struct list_groups_response *response =
            container_of(link, struct ask, link)->request.response;
        count += response == NULL ? 0 : response->groups_count;
    }
    struct slice *names = memory_allocate_array(count, sizeof *names);
    if (names == NULL && count > 0) {
        op->listing.failed = true;
        return;
    }
    list_for_each(link, &op->asks)
    {
        const struct list_groups_response *response =
            container_of(link, struct ask, link)->request.response;
        for (uint32_t i = 0; response != NULL && i < response->groups_count; i++)
            names[used++] = response->groups[i].group_id;
    }
    names_add(op, names, used);
    memory_free(names);
}

static bool all_answered(const struct node_op *op)
{
    list_for_each(link, &op->asks)
    {
        const struct ask *ask = container_of(link, struct ask, link);
        const struct list_groups_response *response = ask->request.response;
        if (ask->error != ERROR_NONE || response->error_code != 0)
            return false;
    }
    return true;
}

static void groups_gathered(struct node_op *op)
{
    uint32_t leaderless = (uint32_t)op->value;
    struct executor *executor = tree_executor(op->op.tree);
    if (!all_answered(op) && executor_monotonic_ms(executor) < op->retry_until_ms) {
        node_op_again(op, ROUND_WAIT_MS, groups_list);
        return;
    }
    note_missing(op, leaderless);
    answers_merge(op);
    node_op_done(op, ERROR_NONE);
}

void groups_list(struct node_op *op)
{
    struct tree *tree = op->op.tree;
    const struct catalog *catalog = tree->broker->catalog;
    const struct catalog_topic *topic = catalog_topic_find(catalog, slice_of(GROUP_OFFSETS_TOPIC));
    int64_t now_ms = executor_monotonic_ms(tree_executor(tree));
    if (op->retry_until_ms == 0)
        op->retry_until_ms = now_ms + LIST_WAIT_MS;
    int64_t left_ms = op->retry_until_ms - now_ms;
    node_op_gather_clear(op);
    op->value = 0;
    for (uint32_t i = 0; topic != NULL && i < topic->partition_count; i++) {
        struct catalog_partition partition;
        if (!catalog_partition_find(catalog, topic, (int32_t)i, &partition))
            continue;
        op->value += partition.leader < 0;
        if (partition.leader >= 0 && !is_asked(op, partition.leader) &&
            node_op_gather_add(op, API_LIST_GROUPS, LIST_GROUPS_VERSION, partition.leader) == NULL)
            return;
    }
    node_op_gather(op, left_ms > ROUND_MS_MIN ? left_ms : ROUND_MS_MIN, groups_gathered);
}
