/* SPDX-License-Identifier: Apache-2.0 */
/* A topic's directory: partitions by number, `.info`, `.config/`, and unlisted P@SEL views. */
#include "catalog/catalog.h"
#include "fs/name.h"
#include "fs/partition_file.h"
#include "fs/tree.h"
#include "handle/broker.h"
#include "wire/api_create_partitions.h"

#include <stdio.h>

enum { CREATE_PARTITIONS_VERSION = 3, ADMIN_TIMEOUT_MS = 30000, PARTITION_NAME_BYTES = 16 };

static const struct fixed_entry entries[] = {
    {".config", &topic_config_class, false},
    {".info", &topic_info_class, false},
    {NULL, NULL, false},
};

static bool topic_alive(struct tree *tree, const struct inode *inode)
{
    return inode_topic(tree, inode) != NULL;
}

/* The inode of partition `index` seen through `class`; completes the op. */
static void partition_found(struct node_op *op, const struct inode_class *class, int32_t index)
{
    struct tree *tree = op->op.tree;
    struct inode *directory = op->op.inode;
    struct inode_key key = {class, directory, NULL, index, slice_of(op->name), NULL};
    node_op_found(op, inode_get(&tree->inodes, &key));
}

static void topic_lookup(struct node_op *op)
{
    int32_t index;
    char digits[PARTITION_NAME_BYTES];
    if (fixed_lookup(op, entries))
        return;
    const struct catalog_topic *topic = inode_topic(op->op.tree, op->op.inode);
    size_t size = strcspn(op->name, "@");
    if (topic == NULL || size >= sizeof digits) {
        node_op_done(op, topic == NULL ? ERROR_STALE : ERROR_NOT_FOUND);
        return;
    }
    memcpy(digits, op->name, size);
    digits[size] = '\0';
    bool is_view = op->name[size] == '@';
    if (!name_to_partition(digits, &index) || (uint32_t)index >= topic->partition_count ||
        (is_view && !view_name_valid(op->op.tree, op->name + size + 1)))
        node_op_done(op, ERROR_NOT_FOUND);
    else
        partition_found(op, is_view ? &view_class : &partition_class, index);
}

static void topic_list(struct node_op *op)
{
    const struct catalog_topic *topic = inode_topic(op->op.tree, op->op.inode);
    if (topic == NULL) {
        node_op_done(op, ERROR_STALE);
        return;
    }
    for (uint32_t i = 0; i < topic->partition_count; i++) {
        char name[PARTITION_NAME_BYTES];
        (void)snprintf(name, sizeof name, "%u", i);
        listing_add(&op->listing, false, name);
    }
    fixed_list(op, entries);
    node_op_done(op, ERROR_NONE);
}

static void partition_added(struct node_op *op)
{
    const struct create_partitions_response *response = op->ask.request.response;
    if (response->results_count != 1)
        node_op_done(op, ERROR_UNKNOWN_SERVER);
    else if (!node_op_creation_refused(op, response->results[0].error_code,
                                       response->results[0].error_message))
        partition_found(op, &partition_class, (int32_t)op->number);
}

bool topic_grow(struct node_op *op, const char *topic, int32_t count,
                void (*answered)(struct node_op *op))
{
    if (!node_op_request(op, API_CREATE_PARTITIONS, CREATE_PARTITIONS_VERSION))
        return false;
    struct create_partitions_request *body = op->ask.request.body;
    body->topics = arena_allocate_array(&op->ask.request.arena, 1, sizeof body->topics[0]);
    struct slice name = arena_copy(&op->ask.request.arena, slice_of(topic));
    if (body->topics == NULL || slice_is_null(name)) {
        node_op_done(op, ERROR_OUT_OF_MEMORY);
        return false;
    }
    create_partitions_request_create_partitions_topic_init(&body->topics[0]);
    body->topics[0].name = name;
    body->topics[0].count = count;
    body->topics[0].assignments = NULL; /* Placed by the node. */
    body->topics_count = 1;
    body->timeout_ms = ADMIN_TIMEOUT_MS;
    node_op_start(op, answered);
    return true;
}

/* touch topic/N: adds partition N, which must be the next. */
static void topic_make_file(struct node_op *op)
{
    int32_t index;
    const struct catalog_topic *topic = inode_topic(op->op.tree, op->op.inode);
    if (topic == NULL) {
        node_op_done(op, ERROR_STALE);
        return;
    }
    if (!name_to_partition(op->name, &index)) {
        node_op_fail(op, ERROR_NOT_PERMITTED,
                     "a topic holds partitions 0, 1, 2, ... and no other files");
        return;
    }
    if ((uint32_t)index < topic->partition_count) {
        partition_found(op, &partition_class, index); /* Made by someone else just now. */
        return;
    }
    if ((uint32_t)index != topic->partition_count) {
        node_op_fail(op, ERROR_INVALID_PARTITIONS, "the next partition is %u",
                     topic->partition_count);
        return;
    }
    op->number = (uint64_t)index;
    (void)topic_grow(op, topic->name, index + 1, partition_added);
}

static void topic_make_directory(struct node_op *op)
{
    node_op_fail(op, ERROR_NOT_PERMITTED,
                 "a topic holds no directories: touch N adds partition N, mkdir in the root makes "
                 "a topic, and in names '.' does for '/': mkdir %s.%s",
                 op->op.inode->file_name, op->name);
}

static void topic_remove_directory(struct node_op *op)
{
    node_op_fail(op, ERROR_NOT_PERMITTED, "stays with its topic: rmdir deletes the topic");
}

static void topic_remove_file(struct node_op *op)
{
    node_op_fail(op, ERROR_NOT_PERMITTED,
                 "partitions stay with their topic: rmdir deletes it, retention its records");
}

const struct inode_class topic_class = {
    .name = "topic",
    .mode = S_IFDIR | 0777,
    .alive = topic_alive,
    .lookup = topic_lookup,
    .list = topic_list,
    .make_directory = topic_make_directory,
    .remove_directory = topic_remove_directory,
    .make_file = topic_make_file,
    .remove_file = topic_remove_file,
};
