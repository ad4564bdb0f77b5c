/* SPDX-License-Identifier: Apache-2.0 */
/* Asking groups' coordinators. */
#include "fs/group_files.h"
#include "group/group.h"

enum { RETRY_MS = 50 };

struct slice group_id_of(const struct inode *inode)
{
    while (inode->class != &group_class)
        inode = inode->parent;
    return inode_name(inode);
}

/* ---- coordinators ---- */

bool group_topic_exists(struct tree *tree)
{
    return catalog_topic_find(tree->broker->catalog, slice_of(GROUP_OFFSETS_TOPIC)) != NULL;
}

int32_t group_coordinator_node(struct tree *tree, struct slice id)
{
    struct catalog_partition partition;
    const struct catalog *catalog = tree->broker->catalog;
    const struct catalog_topic *topic = catalog_topic_find(catalog, slice_of(GROUP_OFFSETS_TOPIC));
    if (topic == NULL ||
        !catalog_partition_find(catalog, topic, group_partition_of(id, topic->partition_count),
                                &partition))
        return -1;
    return partition.leader;
}

static bool is_passing(enum error error)
{
    switch (error) {
    case ERROR_COORDINATOR_LOAD_IN_PROGRESS:
    case ERROR_COORDINATOR_NOT_AVAILABLE:
    case ERROR_NOT_COORDINATOR:
    case ERROR_LEADER_NOT_AVAILABLE:
    case ERROR_NETWORK:
    case ERROR_REQUEST_TIMED_OUT:
    case ERROR_CLUSTER_AUTHORIZATION_FAILED: /* It does not know this node yet. */
        return true;
    default:
        return false;
    }
}

bool group_retry(struct node_op *op, enum error error, void (*again)(struct node_op *op))
{
    if (!is_passing(error))
        return false;
    struct tree *tree = op->op.tree;
    int64_t now_ms = executor_monotonic_ms(tree_executor(tree));
    if (op->retry_until_ms == 0)
        op->retry_until_ms = now_ms + tree->options.write_timeout_ms;
    if (now_ms < op->retry_until_ms)
        node_op_again(op, RETRY_MS, again);
    else
        node_op_fail(op, ERROR_REQUEST_TIMED_OUT, "the group's coordinator does not answer: %s",
                     error_text(error));
    return true;
}

static void group_replied(struct node_op *op)
{
    enum error error = op->ask.error;
    if (error == ERROR_NONE)
        op->replied(op);
    else if (!group_retry(op, error, op->restart))
        node_op_done(op, error);
}

void group_ask(struct node_op *op, struct slice id, void (*restart)(struct node_op *op),
               void (*replied)(struct node_op *op))
{
    int32_t node_id = group_coordinator_node(op->op.tree, id);
    if (node_id < 0) {
        (void)group_retry(op, ERROR_COORDINATOR_NOT_AVAILABLE, restart);
        return;
    }
    op->restart = restart;
    op->replied = replied;
    node_op_ask(op, node_id, GROUP_ATTEMPT_MS, group_replied);
}

/* ---- looking ---- */

bool group_look_fill(struct ask *ask, struct slice id)
{
    struct describe_groups_request *body = ask->request.body;
    body->groups = arena_allocate_array(&ask->request.arena, 1, sizeof body->groups[0]);
    if (body->groups == NULL)
        return false;
    body->groups[0] = arena_copy(&ask->request.arena, id);
    body->groups_count = 1;
    return !slice_is_null(body->groups[0]);
}

void group_look(struct node_op *op, struct slice id, void (*restart)(struct node_op *op),
                void (*replied)(struct node_op *op))
{
    if (!node_op_request(op, API_DESCRIBE_GROUPS, DESCRIBE_GROUPS_VERSION))
        return;
    if (!group_look_fill(&op->ask, id))
        node_op_done(op, ERROR_OUT_OF_MEMORY);
    else if (!group_topic_exists(op->op.tree))
        replied(op);
    else
        group_ask(op, id, restart, replied);
}

enum error group_looked(const struct ask *ask, const group_description **ret_group)
{
    const struct describe_groups_response *response = ask->request.response;
    if (response == NULL)
        return ERROR_GROUP_ID_NOT_FOUND;
    if (response->groups_count != 1)
        return ERROR_NETWORK;
    enum error error = error_from_kafka(response->groups[0].error_code);
    if (error == ERROR_NONE)
        *ret_group = &response->groups[0];
    return error == ERROR_INVALID_GROUP_ID ? ERROR_GROUP_ID_NOT_FOUND : error;
}

/* ---- committed offsets ---- */

bool group_fetch_fill(struct ask *ask, struct slice id, const char *topic, int32_t index)
{
    struct arena *arena = &ask->request.arena;
    struct offset_fetch_request *body = ask->request.body;
    struct offset_fetch_request_group *group = arena_allocate(arena, sizeof *group);
    if (group == NULL)
        return false;
    offset_fetch_request_group_init(group);
    group->group_id = arena_copy(arena, id);
    body->groups = group;
    body->groups_count = 1;
    group->topics = NULL; /* Null: all of them. */
    if (topic == NULL)
        return !slice_is_null(group->group_id);
    struct offset_fetch_request_topics *asked = arena_allocate(arena, sizeof *asked);
    int32_t *indexes = arena_allocate(arena, sizeof *indexes);
    if (asked == NULL || indexes == NULL)
        return false;
    offset_fetch_request_topics_init(asked);
    *indexes = index;
    asked->name = arena_copy(arena, slice_of(topic));
    asked->partition_indexes = indexes;
    asked->partition_indexes_count = 1;
    group->topics = asked;
    group->topics_count = 1;
    return !slice_is_null(group->group_id) && !slice_is_null(asked->name);
}

void group_fetch(struct node_op *op, struct slice id, const char *topic, int32_t index,
                 void (*restart)(struct node_op *op), void (*replied)(struct node_op *op))
{
    if (!node_op_request(op, API_OFFSET_FETCH, OFFSET_FETCH_VERSION))
        return;
    if (!group_fetch_fill(&op->ask, id, topic, index))
        node_op_done(op, ERROR_OUT_OF_MEMORY);
    else if (!group_topic_exists(op->op.tree))
        replied(op);
    else
        group_ask(op, id, restart, replied);
}

enum error group_fetched(const struct ask *ask, const group_offsets **ret_offsets)
{
    static const group_offsets nothing;
    const struct offset_fetch_response *response = ask->request.response;
    if (response == NULL) {
        *ret_offsets = &nothing;
        return ERROR_NONE;
    }
    if (response->groups_count != 1)
        return ERROR_NETWORK;
    enum error error = error_from_kafka(response->groups[0].error_code);
    if (error == ERROR_NONE)
        *ret_offsets = &response->groups[0];
    return error;
}
