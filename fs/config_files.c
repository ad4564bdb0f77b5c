/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration as files: topic/.config/KEY (read, write; `default` puts the default back) and the
 * node's .config. */
#include "base/memory.h"
#include "catalog/config.h"
#include "fs/partition_file.h"
#include "handle/broker.h"
#include "handle/reassignment.h"
#include "wire/api_create_partitions.h"
#include "wire/api_incremental_alter_configs.h"

#include <stdlib.h>

enum {
    ALTER_CONFIGS_VERSION = 1,
    OPERATION_SET = 0, /* AlterConfigOp.OpType */
    OPERATION_DELETE = 1,
    PARTITIONS_MAX = 1000000,
};

/* ---- topic/.config/KEY ---- */

static void key_render(struct node_op *op)
{
    struct tree *tree = op->op.tree;
    enum config_source source;
    const struct catalog_topic *topic = inode_topic(tree, op->op.inode);
    if (topic == NULL) {
        node_op_done(op, ERROR_STALE);
        return;
    }
    const char *value =
        config_topic_value(tree->broker->config, topic->config, op->op.inode->name, &source);
    text_add(&op->text, "%s\n", value == NULL ? "" : value);
    node_op_done(op, ERROR_NONE);
}

static void key_altered(struct node_op *op)
{
    const struct incremental_alter_configs_response *response = op->ask.request.response;
    if (response->responses_count != 1)
        node_op_done(op, ERROR_UNKNOWN_SERVER);
    else if (!node_op_refused(op, response->responses[0].error_code,
                              response->responses[0].error_message))
        node_op_done(op, ERROR_NONE);
}

/* IncrementalAlterConfigs of one key; the op completes with its answer. */
static void key_alter(struct node_op *op, const char *key, int8_t operation, struct slice value)
{
    const struct catalog_topic *topic = inode_topic(op->op.tree, op->op.inode);
    if (topic == NULL) {
        node_op_done(op, ERROR_STALE);
        return;
    }
    if (!node_op_request(op, API_INCREMENTAL_ALTER_CONFIGS, ALTER_CONFIGS_VERSION))
        return;
    struct arena *arena = &op->ask.request.arena;
    struct incremental_alter_configs_request *body = op->ask.request.body;
    body->resources = arena_allocate_array(arena, 1, sizeof body->resources[0]);
    struct incremental_alter_configs_request_alterable_config *config =
        arena_allocate(arena, sizeof *config);
    struct slice name = arena_copy(arena, slice_of(topic->name));
    struct slice key_copy = arena_copy(arena, slice_of(key));
    if (body->resources == NULL || config == NULL || slice_is_null(name) ||
        slice_is_null(key_copy)) {
        node_op_done(op, ERROR_OUT_OF_MEMORY);
        return;
    }
    incremental_alter_configs_request_alter_configs_resource_init(&body->resources[0]);
    incremental_alter_configs_request_alterable_config_init(config);
    config->name = key_copy;
    config->config_operation = operation;
    config->value = value;
    body->resources[0].resource_type = CATALOG_RESOURCE_TOPIC;
    body->resources[0].resource_name = name;
    body->resources[0].configs = config;
    body->resources[0].configs_count = 1;
    body->resources_count = 1;
    node_op_start(op, key_altered);
}

/* The word for the default; no key takes it as a value. Removing the file does not put it back:
 * rm -r on a topic, which is refused, would have reset its configuration on the way. What a key
 * without a value shows, an empty line, is no value when written back. */
static bool means_default(const struct config_row *row, struct slice input)
{
    return slice_equals_text(input, "default") || (input.size == 0 && row->default_text == NULL);
}

static void key_store(struct node_op *op)
{
    const char *key = op->op.inode->name;
    if (means_default(config_find(CONFIG_TOPIC, key), op->input))
        key_alter(op, key, OPERATION_DELETE, SLICE_NULL);
    else
        key_alter(op, key, OPERATION_SET, op->input);
}

static const struct inode_class key_class = {
    .name = "topic-config",
    .mode = S_IFREG | 0666,
    .render = key_render,
    .store = key_store,
};

/* ---- topic/.config/partitions, replication.factor ---- */

static void partitions_render(struct node_op *op)
{
    const struct catalog_topic *topic = inode_topic(op->op.tree, op->op.inode);
    if (topic != NULL)
        text_add(&op->text, "%u\n", topic->partition_count);
    node_op_done(op, topic != NULL ? ERROR_NONE : ERROR_STALE);
}

/* A whole positive number, or -1. */
static int32_t input_count(const struct node_op *op)
{
    const char *text = op->input_text.bytes;
    char *end;
    if (text == NULL || *text < '0' || *text > '9')
        return -1;
    long count = strtol(text, &end, 10);
    return *end != '\0' || count < 1 || count > PARTITIONS_MAX ? -1 : (int32_t)count;
}

static void partitions_grown(struct node_op *op)
{
    const struct create_partitions_response *response = op->ask.request.response;
    if (response->results_count != 1)
        node_op_done(op, ERROR_UNKNOWN_SERVER);
    else if (!node_op_creation_refused(op, response->results[0].error_code,
                                       response->results[0].error_message))
        node_op_done(op, ERROR_NONE);
}

static void partitions_store(struct node_op *op)
{
    const struct catalog_topic *topic = inode_topic(op->op.tree, op->op.inode);
    int32_t count = input_count(op);
    if (topic == NULL)
        node_op_done(op, ERROR_STALE);
    else if (count < 0)
        node_op_fail(op, ERROR_INVALID_PARTITIONS, "not a number of partitions");
    else if ((uint32_t)count == topic->partition_count)
        node_op_done(op, ERROR_NONE);
    else
        (void)topic_grow(op, topic->name, count, partitions_grown);
}

static const struct inode_class partitions_class = {
    .name = "topic-partitions",
    .mode = S_IFREG | 0666,
    .render = partitions_render,
    .store = partitions_store,
};

/* The smallest of its partitions', as it will be once replicas that are moved have come and gone: a
 * partition that was reassigned by hand may have its own. 0: the topic is gone. */
static uint32_t replica_count(struct node_op *op)
{
    const struct catalog *catalog = op->op.tree->broker->catalog;
    const struct catalog_topic *topic = inode_topic(op->op.tree, op->op.inode);
    uint32_t least = 0;
    for (uint32_t i = 0; topic != NULL && i < topic->partition_count; i++) {
        struct catalog_partition partition;
        if (!catalog_partition_find(catalog, topic, (int32_t)i, &partition))
            continue;
        uint32_t count = reassignment_target_count(&partition);
        if (least == 0 || count < least)
            least = count;
    }
    return least;
}

/* A change that an interrupted writer leaves behind goes on. */
struct factor_op {
    struct factor_change change;
    struct node_op *op; /* One reference. */
};

static void factor_changed(struct factor_change *change)
{
    struct factor_op *factor = container_of(change, struct factor_op, change);
    struct node_op *op = factor->op;
    enum error error = change->error;
    memory_free(factor);
    if (!op->op.complete && error == ERROR_INVALID_REPLICATION_FACTOR)
        node_op_fail(op, error, "there are not that many nodes to put replicas on");
    else if (!op->op.complete)
        node_op_done(op, error == ERROR_UNKNOWN_TOPIC_OR_PARTITION ? ERROR_STALE : error);
    op_unref(&op->op);
}

static void replicas_render(struct node_op *op)
{
    text_add(&op->text, "%u\n", replica_count(op));
    node_op_done(op, ERROR_NONE);
}

static void replicas_store(struct node_op *op)
{
    const struct catalog_topic *topic = inode_topic(op->op.tree, op->op.inode);
    int32_t count = input_count(op);
    if (topic == NULL) {
        node_op_done(op, ERROR_STALE);
        return;
    }
    if (count < 0) {
        node_op_fail(op, ERROR_INVALID_REPLICATION_FACTOR, "not a number of replicas");
        return;
    }
    struct factor_op *factor = memory_allocate(sizeof *factor);
    if (factor == NULL) {
        node_op_done(op, ERROR_OUT_OF_MEMORY);
        return;
    }
    factor->op = op;
    factor->change.done = factor_changed;
    atomic_fetch_add_explicit(&op->op.references, 1, memory_order_relaxed);
    replication_factor_change(op->op.tree->broker, slice_of(topic->name), (uint32_t)count,
                              &factor->change);
}

static const struct inode_class replicas_class = {
    .name = "topic-replicas",
    .mode = S_IFREG | 0666,
    .render = replicas_render,
    .store = replicas_store,
};

/* ---- topic/.config/ ---- */

static const struct fixed_entry counts[] = {
    {"partitions", &partitions_class, false},
    {"replication.factor", &replicas_class, false},
    {NULL, NULL, false},
};

static void topic_config_lookup(struct node_op *op)
{
    if (fixed_lookup(op, counts))
        return;
    if (config_find(CONFIG_TOPIC, op->name) == NULL)
        node_op_done(op, ERROR_NOT_FOUND);
    else
        node_op_found(op, inode_fixed(op->op.tree, op->op.inode, &key_class, op->name));
}

static void topic_config_list(struct node_op *op)
{
    for (uint32_t i = 0; i < config_row_count; i++)
        if (config_rows[i].scope & CONFIG_TOPIC)
            listing_add(&op->listing, false, config_rows[i].key);
    fixed_list(op, counts);
    node_op_done(op, ERROR_NONE);
}

static void topic_config_make_file(struct node_op *op)
{
    node_op_fail(op, ERROR_INVALID_CONFIG, "no such topic configuration; the nearest is %s",
                 config_nearest(CONFIG_TOPIC, op->name));
}

static void topic_config_remove_file(struct node_op *op)
{
    if (config_find(CONFIG_TOPIC, op->name) == NULL)
        node_op_fail(op, ERROR_NOT_PERMITTED, "stays with its topic: rmdir deletes the topic");
    else
        node_op_fail(op, ERROR_NOT_PERMITTED,
                     "rm resets nothing: echo default > %s puts the default back", op->name);
}

const struct inode_class topic_config_class = {
    .name = "topic-configs",
    .mode = S_IFDIR | 0777,
    .lookup = topic_config_lookup,
    .list = topic_config_list,
    .make_file = topic_config_make_file,
    .remove_file = topic_config_remove_file,
};

/* ---- .config ---- */

static void node_config_render(struct node_op *op)
{
    const struct config_set *node = op->op.tree->broker->config;
    for (uint32_t i = 0; i < config_row_count; i++) {
        const struct config_row *row = &config_rows[i];
        enum config_source source;
        if (!(row->scope & CONFIG_NODE))
            continue;
        const char *value = config_node_value(node, row->key, &source);
        if (row->sensitive)
            text_add(&op->text, "%s=%s\n", row->key, value == NULL ? "" : "[hidden]");
        else
            text_add(&op->text, "%s=%s\n", row->key, value == NULL ? "" : value);
    }
    node_op_done(op, ERROR_NONE);
}

const struct inode_class node_config_class = {
    .name = "node-config",
    .mode = S_IFREG | 0400,
    .render = node_config_render,
};
