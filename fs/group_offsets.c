/* SPDX-License-Identifier: Apache-2.0 */
/* .groups/GROUP/TOPIC/PARTITION: the committed offset, read and written; `none` forgets it. A
 * file is there when the group has committed an offset; writing to a new one commits the first. */
#include "fs/group_files.h"
#include "fs/name.h"
#include "fs/partition_file.h"
#include "fs/selector.h"
#include "wire/api_offset_commit.h"
#include "wire/api_offset_delete.h"

#include <stdio.h>

enum { OFFSET_COMMIT_VERSION = 9, OFFSET_DELETE_VERSION = 0, PARTITION_NAME_BYTES = 16 };

/* The committed offset, -1 when there is none. */
static enum error committed_of(struct tree *tree, struct slice group, const char *topic,
                               int32_t partition, int64_t *ret_offset)
{
    struct group_offset offset = {.offset = -1};
    enum error error = ERROR_NONE;
    if (catalog_topic_find(tree->broker->catalog, slice_of(GROUP_OFFSETS_TOPIC)) != NULL)
        error = group_offset_find(tree->broker->groups, group, slice_of(topic), partition, &offset);
    if (error == ERROR_NONE)
        *ret_offset = offset.offset;
    return error;
}

/* ---- the file ---- */

static void offset_render(struct node_op *op)
{
    const struct inode *topic = op->op.inode->parent;
    int64_t offset;
    enum error error = committed_of(op->op.tree, inode_name(topic->parent), topic->name,
                                    op->op.inode->index, &offset);
    if (group_retry(op, error, offset_render))
        return;
    if (error == ERROR_NONE && offset >= 0)
        text_add(&op->text, "%lld\n", (long long)offset);
    node_op_done(op, error);
}

static void offset_committed(struct node_op *op)
{
    const struct offset_commit_response *response = op->request.response;
    bool answered = response->topics_count == 1 && response->topics[0].partitions_count == 1;
    int16_t code = answered ? response->topics[0].partitions[0].error_code : -1;
    enum error error = code == 0 ? ERROR_NONE : node_op_error(code);
    if (group_retry(op, error, op->op.inode->class->store))
        return;
    if (error == ERROR_UNKNOWN_MEMBER_ID || error == ERROR_ILLEGAL_GENERATION ||
        error == ERROR_REBALANCE_IN_PROGRESS)
        node_op_fail(op, ERROR_NON_EMPTY_GROUP,
                     "the group has members: they commit its offsets, see .members");
    else
        node_op_done(op, error);
}

static void offset_commit(struct node_op *op, int64_t offset)
{
    const struct inode *topic = op->op.inode->parent;
    if (!node_op_request(op, API_OFFSET_COMMIT, OFFSET_COMMIT_VERSION))
        return;
    struct arena *arena = &op->request.arena;
    struct offset_commit_request *body = op->request.body;
    body->topics = arena_allocate_array(arena, 1, sizeof body->topics[0]);
    struct offset_commit_request_partition *partition = arena_allocate(arena, sizeof *partition);
    body->group_id = arena_copy(arena, inode_name(topic->parent));
    struct slice name = arena_copy(arena, inode_name(topic));
    if (body->topics == NULL || partition == NULL || slice_is_null(body->group_id) ||
        slice_is_null(name)) {
        node_op_done(op, ERROR_OUT_OF_MEMORY);
        return;
    }
    offset_commit_request_topic_init(&body->topics[0]);
    offset_commit_request_partition_init(partition);
    partition->partition_index = op->op.inode->index;
    partition->committed_offset = offset;
    partition->committed_metadata = SLICE_EMPTY;
    body->member_id = SLICE_EMPTY;
    body->topics[0].name = name;
    body->topics[0].partitions = partition;
    body->topics[0].partitions_count = 1;
    body->topics_count = 1;
    node_op_start(op, offset_committed);
}

/* What the text means, within what the partition holds: relative places stop at its edges, a number
 * beyond them is refused. */
static enum error offset_resolve(struct node_op *op, const struct selector *selector,
                                 int64_t committed, int64_t *ret_offset)
{
    const struct inode *inode = op->op.inode;
    struct partition_offsets offsets;
    struct partition *partition =
        partition_table_find_id(op->op.tree->broker->partitions, &inode->topic_id, inode->index);
    if (partition == NULL)
        return ERROR_LEADER_NOT_AVAILABLE;
    enum error error = partition_offsets(partition, &offsets);
    if (error != ERROR_NONE)
        return error;
    if (committed < 0)
        committed = offsets.log_start_offset;
    int64_t offset;
    error = partition_place(op->op.tree, partition, selector, committed, &offset);
    if (error != ERROR_NONE)
        return error;
    bool is_inside = offset >= offsets.log_start_offset && offset <= offsets.high_watermark;
    if (selector->kind == SELECTOR_OFFSET && !is_inside)
        return ERROR_OFFSET_OUT_OF_RANGE;
    if (offset < offsets.log_start_offset)
        offset = offsets.log_start_offset;
    *ret_offset = offset > offsets.high_watermark ? offsets.high_watermark : offset;
    return ERROR_NONE;
}

static void offset_removed(struct node_op *op)
{
    const struct offset_delete_response *response = op->request.response;
    int16_t code = response->error_code;
    if (code == 0)
        code = response->topics_count == 1 && response->topics[0].partitions_count == 1
                   ? response->topics[0].partitions[0].error_code
                   : -1;
    if (code != 0 && group_retry(op, node_op_error(code), op->op.inode->class->store))
        return;
    if (!node_op_refused(op, code, SLICE_NULL))
        node_op_done(op, ERROR_NONE);
}

/* OffsetDelete. */
static void offset_forget(struct node_op *op)
{
    const struct inode *topic = op->op.inode->parent;
    if (!node_op_request(op, API_OFFSET_DELETE, OFFSET_DELETE_VERSION))
        return;
    struct arena *arena = &op->request.arena;
    struct offset_delete_request *body = op->request.body;
    body->topics = arena_allocate_array(arena, 1, sizeof body->topics[0]);
    struct offset_delete_request_partition *partition = arena_allocate(arena, sizeof *partition);
    body->group_id = arena_copy(arena, inode_name(topic->parent));
    struct slice name = arena_copy(arena, inode_name(topic));
    if (body->topics == NULL || partition == NULL || slice_is_null(body->group_id) ||
        slice_is_null(name)) {
        node_op_done(op, ERROR_OUT_OF_MEMORY);
        return;
    }
    offset_delete_request_topic_init(&body->topics[0]);
    partition->partition_index = op->op.inode->index;
    body->topics[0].name = name;
    body->topics[0].partitions = partition;
    body->topics[0].partitions_count = 1;
    body->topics_count = 1;
    node_op_start(op, offset_removed);
}

static void offset_store(struct node_op *op)
{
    const struct inode *topic = op->op.inode->parent;
    struct selector selector;
    int64_t committed, offset;
    const char *text = op->input_text.bytes == NULL ? "" : op->input_text.bytes;
    if (slice_equals_text(op->input, "none")) {
        offset_forget(op);
        return;
    }
    if (!selector_parse(text, executor_wall_clock_ms(tree_executor(op->op.tree)), &selector)) {
        node_op_fail(
            op, ERROR_INVALID_REQUEST,
            "an offset is N, start, end, +N, -N, @-1h, @2026-08-23T10:00:00Z, @MS or none");
        return;
    }
    enum error error = committed_of(op->op.tree, inode_name(topic->parent), topic->name,
                                    op->op.inode->index, &committed);
    if (group_retry(op, error, offset_store))
        return;
    if (error == ERROR_NONE)
        error = offset_resolve(op, &selector, committed, &offset);
    if (error == ERROR_NONE)
        offset_commit(op, offset);
    else
        node_op_done(op, error);
}

static const struct inode_class group_offset_class = {
    .name = "group-offset",
    .mode = S_IFREG | 0666,
    .render = offset_render,
    .store = offset_store,
};

/* ---- .groups/GROUP/TOPIC/ ---- */

static bool group_topic_alive(struct tree *tree, const struct inode *inode)
{
    return inode_topic(tree, inode) != NULL;
}

/* False when the op was completed: the topic has no such partition. */
static bool partition_of(struct node_op *op, int32_t *ret_index)
{
    const struct catalog_topic *topic = inode_topic(op->op.tree, op->op.inode);
    if (topic != NULL && name_to_partition(op->name, ret_index) &&
        (uint32_t)*ret_index < topic->partition_count)
        return true;
    node_op_done(op, ERROR_NOT_FOUND);
    return false;
}

static void offset_found(struct node_op *op, int32_t index)
{
    struct inode_key key = {&group_offset_class, op->op.inode, NULL, index,
                            slice_of(op->name),  NULL};
    node_op_found(op, inode_get(&op->op.tree->inodes, &key));
}

static void group_topic_lookup(struct node_op *op)
{
    int32_t index;
    int64_t offset;
    const struct inode *topic = op->op.inode;
    if (!partition_of(op, &index))
        return;
    enum error error =
        committed_of(op->op.tree, inode_name(topic->parent), topic->name, index, &offset);
    if (group_retry(op, error, group_topic_lookup))
        return;
    if (error == ERROR_NONE && offset >= 0)
        offset_found(op, index);
    else
        node_op_done(op, error == ERROR_NONE ? ERROR_NOT_FOUND : error);
}

static void group_topic_make_file(struct node_op *op)
{
    int32_t index;
    if (partition_of(op, &index))
        offset_found(op, index);
}

static void list_partition(void *context, const struct group_offset *offset)
{
    struct node_op *op = context;
    char name[PARTITION_NAME_BYTES];
    if (!slice_equals(offset->topic, inode_name(op->op.inode)))
        return;
    (void)snprintf(name, sizeof name, "%d", offset->partition);
    listing_add(&op->listing, false, name);
}

static void group_topic_list(struct node_op *op)
{
    enum error error =
        group_committed_each(op->op.tree, inode_name(op->op.inode->parent), list_partition, op);
    if (!group_retry(op, error, group_topic_list))
        node_op_done(op, error);
}

/* rm -r on a group, which is refused, would have taken its offsets on the way. */
static void group_topic_remove_file(struct node_op *op)
{
    node_op_fail(op, ERROR_NOT_PERMITTED,
                 "rm forgets no offset: echo none > FILE does, and rmdir deletes the group");
}

const struct inode_class group_topic_class = {
    .name = "group-topic",
    .mode = S_IFDIR | 0777,
    .alive = group_topic_alive,
    .lookup = group_topic_lookup,
    .list = group_topic_list,
    .make_file = group_topic_make_file,
    .remove_file = group_topic_remove_file,
};
