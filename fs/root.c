/* SPDX-License-Identifier: Apache-2.0 */
/* The root directory: topics, and the filesystem's own entries, which all begin with '.'. */
#include "catalog/catalog.h"
#include "fs/name.h"
#include "fs/tree.h"
#include "handle/broker.h"
#include "wire/api_create_topics.h"
#include "wire/api_delete_topics.h"

enum {
    CREATE_TOPICS_VERSION = 7,
    DELETE_TOPICS_VERSION = 5, /* By name, with a message. */
    ADMIN_TIMEOUT_MS = 30000,
};

static const struct fixed_entry entries[] = {
    {".brokers", &brokers_class, false},    {".cluster", &cluster_class, false},
    {".config", &node_config_class, false}, {".errors", &errors_class, false},
    {".groups", &groups_class, false},      {".health", &health_class, false},
    {".help", &help_class, false},          {NULL, NULL, false},
};

static struct inode *topic_inode(struct node_op *op, const struct catalog_topic *topic)
{
    char file_name[FILE_NAME_BYTES_MAX + 1];
    name_of_topic(topic->name, file_name);
    struct inode_key key = {&topic_class, op->op.inode,          &topic->id,
                            -1,           slice_of(topic->name), file_name};
    return inode_get(&op->op.tree->inodes, &key);
}

static void root_lookup(struct node_op *op)
{
    char name[FILE_NAME_BYTES_MAX + 1];
    if (fixed_lookup(op, entries))
        return;
    const struct catalog_topic *topic = NULL;
    if (name_to_topic(op->name, name))
        topic = catalog_topic_find(op->op.tree->broker->catalog, slice_of(name));
    if (topic == NULL)
        node_op_done(op, ERROR_NOT_FOUND);
    else
        node_op_found(op, topic_inode(op, topic));
}

static void root_list(struct node_op *op)
{
    struct tree *tree = op->op.tree;
    const struct catalog *catalog = tree->broker->catalog;
    const struct catalog_topic *topic = catalog_topic_next(catalog, SLICE_NULL);
    for (; topic != NULL; topic = catalog_topic_next(catalog, slice_of(topic->name))) {
        char file_name[FILE_NAME_BYTES_MAX + 1];
        if (topic->internal && !tree->options.internal_shown)
            continue;
        name_of_topic(topic->name, file_name);
        listing_add(&op->listing, true, file_name);
    }
    fixed_list(op, entries);
    node_op_done(op, ERROR_NONE);
}

/* False when the op was refused: no topic can be made under that name. */
static bool topic_name_allowed(struct node_op *op, char name[FILE_NAME_BYTES_MAX + 1])
{
    if (op->name[0] == '.') {
        node_op_fail(op, ERROR_INVALID_TOPIC,
                     "names that begin with '.' are the filesystem's; use %%2E%s", op->name + 1);
        return false;
    }
    if (name_to_topic(op->name, name) && topic_name_valid(slice_of(name)))
        return true;
    node_op_fail(op, ERROR_INVALID_TOPIC,
                 "a topic name is 1 to 249 of a-z A-Z 0-9 '.' '_' '-', and not \".\" or \"..\"");
    return false;
}

static void topic_created(struct node_op *op)
{
    const struct create_topics_response *response = op->ask.request.response;
    if (response->topics_count != 1) {
        node_op_done(op, ERROR_UNKNOWN_SERVER);
        return;
    }
    if (node_op_creation_refused(op, response->topics[0].error_code,
                                 response->topics[0].error_message))
        return;
    const struct catalog_topic *topic =
        catalog_topic_find(op->op.tree->broker->catalog, response->topics[0].name);
    if (topic == NULL)
        node_op_done(op, ERROR_NOT_FOUND); /* Deleted again already. */
    else
        node_op_found(op, topic_inode(op, topic));
}

/* mkdir: CreateTopics with the node's default partition count and replication factor. */
static void root_make_directory(struct node_op *op)
{
    char name[FILE_NAME_BYTES_MAX + 1];
    if (!topic_name_allowed(op, name))
        return;
    if (!node_op_request(op, API_CREATE_TOPICS, CREATE_TOPICS_VERSION))
        return;
    struct create_topics_request *body = op->ask.request.body;
    body->topics = arena_allocate_array(&op->ask.request.arena, 1, sizeof body->topics[0]);
    struct slice copy = arena_copy(&op->ask.request.arena, slice_of(name));
    if (body->topics == NULL || slice_is_null(copy)) {
        node_op_done(op, ERROR_OUT_OF_MEMORY);
        return;
    }
    create_topics_request_creatable_topic_init(&body->topics[0]);
    body->topics_count = 1;
    body->topics[0].name = copy;
    body->topics[0].num_partitions = -1;
    body->topics[0].replication_factor = -1;
    body->topics[0].assignments = WIRE_EMPTY;
    body->topics[0].configs = WIRE_EMPTY;
    body->timeout_ms = ADMIN_TIMEOUT_MS;
    node_op_start(op, topic_created);
}

static void topic_removed(struct node_op *op)
{
    const struct delete_topics_response *response = op->ask.request.response;
    if (response->responses_count != 1)
        node_op_done(op, ERROR_UNKNOWN_SERVER);
    else if (!node_op_refused(op, response->responses[0].error_code,
                              response->responses[0].error_message))
        node_op_done(op, ERROR_NONE);
}

/* rmdir: DeleteTopics, records and all (filesystem.md 3.3; cgroupfs is the precedent). */
static void root_remove_directory(struct node_op *op)
{
    char name[FILE_NAME_BYTES_MAX + 1];
    if (op->name[0] == '.') {
        node_op_fail(op, ERROR_NOT_PERMITTED, "this directory is the filesystem's own");
        return;
    }
    if (!name_to_topic(op->name, name)) {
        node_op_done(op, ERROR_NOT_FOUND);
        return;
    }
    const struct catalog_topic *topic =
        catalog_topic_find(op->op.tree->broker->catalog, slice_of(name));
    if (topic != NULL && topic->internal) {
        node_op_fail(op, ERROR_NOT_PERMITTED,
                     "internal topics are the node's: without them groups lose their offsets");
        return;
    }
    if (!node_op_request(op, API_DELETE_TOPICS, DELETE_TOPICS_VERSION))
        return;
    struct delete_topics_request *body = op->ask.request.body;
    body->topic_names =
        arena_allocate_array(&op->ask.request.arena, 1, sizeof body->topic_names[0]);
    struct slice copy = arena_copy(&op->ask.request.arena, slice_of(name));
    if (body->topic_names == NULL || slice_is_null(copy)) {
        node_op_done(op, ERROR_OUT_OF_MEMORY);
        return;
    }
    body->topic_names[0] = copy;
    body->topic_names_count = 1;
    body->timeout_ms = ADMIN_TIMEOUT_MS;
    node_op_start(op, topic_removed);
}

const struct inode_class root_class = {
    .name = "root",
    .mode = S_IFDIR | 0777,
    .lookup = root_lookup,
    .list = root_list,
    .make_directory = root_make_directory,
    .remove_directory = root_remove_directory,
};
