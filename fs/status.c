/* SPDX-License-Identifier: Apache-2.0 */
/* What the node says of itself: .health, .errors, .brokers/ and .cluster/. */
#include "base/report.h"
#include "fs/name.h"
#include "fs/tree.h"
#include "handle/broker.h"

#include <stdio.h>
#include <unistd.h>

/* ---- .errors ---- */

static void add_kept(void *context, const char *line)
{
    text_add(context, "%s\n", line);
}

static void errors_file_render(struct node_op *op)
{
    errors_render(&op->op.tree->errors, &op->text);
    report_each_kept(add_kept, &op->text);
    node_op_done(op, ERROR_NONE);
}

const struct inode_class errors_class = {
    .name = "errors",
    .mode = S_IFREG | 0444,
    .render = errors_file_render,
};

/* ---- .health ---- */

static void count_unwell(void *context, struct partition *partition)
{
    uint32_t *unwell = context;
    if (partition_role(partition) == PARTITION_OFFLINE)
        unwell[0]++;
}

/* "ok", or what is wrong: grep -q ^ok tells. */
static void health_render(struct node_op *op)
{
    struct broker *broker = op->op.tree->broker;
    struct storage_space space;
    uint32_t offline = 0;
    partition_table_each(broker->partitions, count_unwell, &offline);
    if (broker->stopping)
        text_add(&op->text, "stopping\n");
    else if (offline > 0)
        text_add(&op->text, "degraded: %u partition%s offline, see .errors\n", offline,
                 offline == 1 ? "" : "s");
    else if (storage_space(broker->storage, &space) == ERROR_NONE &&
             space.free_bytes < space.total_bytes / 100)
        text_add(&op->text, "degraded: less than 1 %% of the data disk is free\n");
    else
        text_add(&op->text, "ok\n");
    node_op_done(op, ERROR_NONE);
}

const struct inode_class health_class = {
    .name = "health",
    .mode = S_IFREG | 0444,
    .render = health_render,
};

/* ---- .brokers/N/ ---- */

enum { NODE_NAME_BYTES = 16 };

static const struct catalog_node *node_of(const struct node_op *op)
{
    return catalog_node_find(op->op.tree->broker->catalog, op->op.inode->index);
}

static void node_host_render(struct node_op *op)
{
    const struct catalog_node *node = node_of(op);
    text_add(&op->text, "%s\n", node != NULL ? node->host : "");
    node_op_done(op, ERROR_NONE);
}

static void node_port_render(struct node_op *op)
{
    const struct catalog_node *node = node_of(op);
    text_add(&op->text, "%d\n", node != NULL ? node->port : 0);
    node_op_done(op, ERROR_NONE);
}

static void node_rack_render(struct node_op *op)
{
    const struct catalog_node *node = node_of(op);
    text_add(&op->text, "%s\n", node != NULL ? node->rack : "");
    node_op_done(op, ERROR_NONE);
}

static void node_state_render(struct node_op *op)
{
    const struct catalog_node *node = node_of(op);
    const char *state = node == NULL     ? "gone"
                        : node->fenced   ? "fenced"
                        : node->draining ? "draining"
                                         : "online";
    text_add(&op->text, "%s\n", state);
    node_op_done(op, ERROR_NONE);
}

static void node_version_render(struct node_op *op)
{
    text_add(&op->text, "%s\n", TOPICFS_VERSION);
    node_op_done(op, ERROR_NONE);
}

#define STATUS_FILE(variable, label, function)                                                     \
    static const struct inode_class variable = {                                                   \
        .name = label, .mode = S_IFREG | 0444, .render = function}

STATUS_FILE(node_host_class, "broker-host", node_host_render);
STATUS_FILE(node_port_class, "broker-port", node_port_render);
STATUS_FILE(node_rack_class, "broker-rack", node_rack_render);
STATUS_FILE(node_state_class, "broker-state", node_state_render);
STATUS_FILE(node_version_class, "broker-version", node_version_render);

static const struct fixed_entry node_entries[] = {
    {"host", &node_host_class, false},       {"port", &node_port_class, false},
    {"rack", &node_rack_class, false},       {"state", &node_state_class, false},
    {"version", &node_version_class, false}, {NULL, NULL, false},
};

static bool node_alive(struct tree *tree, const struct inode *inode)
{
    return catalog_node_find(tree->broker->catalog, inode->index) != NULL;
}

static void fixed_only_lookup(struct node_op *op, const struct fixed_entry *entries)
{
    if (!fixed_lookup(op, entries))
        node_op_done(op, ERROR_NOT_FOUND);
}

static void node_lookup(struct node_op *op)
{
    fixed_only_lookup(op, node_entries);
}

static void node_list(struct node_op *op)
{
    fixed_list(op, node_entries);
    node_op_done(op, ERROR_NONE);
}

static const struct inode_class node_class = {
    .name = "broker",
    .mode = S_IFDIR | 0555,
    .alive = node_alive,
    .lookup = node_lookup,
    .list = node_list,
};

static void brokers_lookup(struct node_op *op)
{
    int32_t id;
    struct tree *tree = op->op.tree;
    if (!name_to_partition(op->name, &id) || catalog_node_find(tree->broker->catalog, id) == NULL) {
        node_op_done(op, ERROR_NOT_FOUND);
        return;
    }
    struct inode_key key = {&node_class, op->op.inode, NULL, id, slice_of(op->name), NULL};
    node_op_found(op, inode_get(&tree->inodes, &key));
}

static void add_node(void *context, const struct catalog_node *node)
{
    char name[NODE_NAME_BYTES];
    (void)snprintf(name, sizeof name, "%d", node->id);
    listing_add(context, true, name);
}

static void brokers_list(struct node_op *op)
{
    catalog_node_each(op->op.tree->broker->catalog, add_node, &op->listing);
    node_op_done(op, ERROR_NONE);
}

const struct inode_class brokers_class = {
    .name = "brokers",
    .mode = S_IFDIR | 0555,
    .lookup = brokers_lookup,
    .list = brokers_list,
};

/* ---- .cluster/ ---- */

static void cluster_id_render(struct node_op *op)
{
    char text[UUID_TEXT_BYTES];
    struct uuid id = catalog_cluster_id(op->op.tree->broker->catalog);
    uuid_to_text(&id, text);
    text_add(&op->text, "%s\n", text);
    node_op_done(op, ERROR_NONE);
}

static void cluster_controller_render(struct node_op *op)
{
    text_add(&op->text, "%d\n", op->op.tree->broker->node_id);
    node_op_done(op, ERROR_NONE);
}

static void cluster_topics_render(struct node_op *op)
{
    text_add(&op->text, "%u\n", catalog_topic_count(op->op.tree->broker->catalog));
    node_op_done(op, ERROR_NONE);
}

static void cluster_partitions_render(struct node_op *op)
{
    text_add(&op->text, "%u\n", catalog_partition_count(op->op.tree->broker->catalog));
    node_op_done(op, ERROR_NONE);
}

STATUS_FILE(cluster_id_class, "cluster-id", cluster_id_render);
STATUS_FILE(cluster_controller_class, "cluster-controller", cluster_controller_render);
STATUS_FILE(cluster_topics_class, "cluster-topics", cluster_topics_render);
STATUS_FILE(cluster_partitions_class, "cluster-partitions", cluster_partitions_render);

static const struct fixed_entry cluster_entries[] = {
    {"controller", &cluster_controller_class, false}, {"id", &cluster_id_class, false},
    {"partitions", &cluster_partitions_class, false}, {"topics", &cluster_topics_class, false},
    {"version", &node_version_class, false},          {NULL, NULL, false},
};

static void cluster_lookup(struct node_op *op)
{
    fixed_only_lookup(op, cluster_entries);
}

static void cluster_list(struct node_op *op)
{
    fixed_list(op, cluster_entries);
    node_op_done(op, ERROR_NONE);
}

const struct inode_class cluster_class = {
    .name = "cluster",
    .mode = S_IFDIR | 0555,
    .lookup = cluster_lookup,
    .list = cluster_list,
};
