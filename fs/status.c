/* SPDX-License-Identifier: Apache-2.0 */
/* What the node says of itself: .health, .errors and .brokers/. */
#include "base/memory.h"
#include "base/report.h"
#include "fs/name.h"
#include "fs/tree.h"
#include "handle/broker.h"
#include "handle/cluster_view.h"
#include "handle/proposal.h"

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

/* More than a person reads; the sums are in the line before them. */
enum { HEALTH_PARTITIONS_MAX = 1000 };

struct health {
    struct text *text;
    const struct broker *broker;
    uint32_t left;
    uint32_t offline, under_replicated; /* The others: a partition is told of once. */
};

static bool count_topic_health(void *context, const struct catalog_topic *topic)
{
    struct health *health = context;
    for (uint32_t i = 0; i < topic->partition_count; i++) {
        struct catalog_partition partition;
        if (!catalog_partition_find(health->broker->catalog, topic, (int32_t)i, &partition))
            continue;
        health->offline += partition.leader < 0;
        health->under_replicated +=
            partition.leader >= 0 && cluster_partition_under_replicated(&partition);
    }
    return true;
}

static void add_since(const struct health *health, const struct catalog_topic *topic, int32_t index)
{
    char when[TIME_TEXT_BYTES];
    int64_t since_ms =
        health->broker->cluster_view == NULL
            ? -1
            : cluster_view_unwell_since(health->broker->cluster_view, &topic->id, index);
    if (since_ms >= 0)
        text_add(health->text, " since %s", text_time(since_ms, when));
    text_add(health->text, "\n");
}

/* "offline: orders/0 since 2026-08-23T10:00:00Z", "under-replicated: orders/0 2 of 3 in sync: 1,3
 * since ...". */
static bool add_partition_health(const struct health *health, const struct catalog_topic *topic,
                                 const struct catalog_partition *partition)
{
    struct text *text = health->text;
    uint32_t wanted = partition->replica_count - partition->adding_count;
    bool under_replicated = cluster_partition_under_replicated(partition);
    if (partition->leader < 0) {
        text_add(text, "offline: %s/%d has no leader", topic->name, partition->index);
    } else if (under_replicated) {
        text_add(text, "under-replicated: %s/%d has %u of %u replicas in sync: ", topic->name,
                 partition->index, partition->isr_count, wanted);
        for (uint32_t i = 0; i < partition->isr_count; i++)
            text_add(text, "%s%d", i > 0 ? "," : "", partition->isr[i]);
    } else {
        return false;
    }
    add_since(health, topic, partition->index);
    return true;
}

static bool add_topic_health(void *context, const struct catalog_topic *topic)
{
    struct health *health = context;
    for (uint32_t i = 0; i < topic->partition_count && health->left > 0; i++) {
        struct catalog_partition partition;
        if (catalog_partition_find(health->broker->catalog, topic, (int32_t)i, &partition))
            health->left -= add_partition_health(health, topic, &partition);
    }
    return health->left > 0;
}

/* What is wrong with the cluster: the sum first, then each partition. */
static void add_cluster_health(struct text *text, struct broker *broker)
{
    uint32_t offline = 0, under_replicated = 0;
    const struct catalog_node *self = catalog_node_find(broker->catalog, broker->node_id);
    if (self != NULL && self->fenced)
        text_add(text, "fenced: the controller does not hear this node: it leads nothing\n");
    if (broker_controller_id(broker) < 0)
        text_add(text, "degraded: cut off from the controller: reads of committed local records "
                       "go on, writes wait\n");
    if (broker->cluster_view != NULL)
        cluster_view_partitions(broker->cluster_view, &offline, &under_replicated);
    if (offline == 0 && under_replicated == 0)
        return;
    struct health health = {text, broker, HEALTH_PARTITIONS_MAX, 0, 0};
    catalog_topic_each(broker->catalog, count_topic_health, &health);
    text_add(text, "degraded: %u partition%s without a leader, %u under-replicated\n",
             health.offline, health.offline == 1 ? "" : "s", health.under_replicated);
    catalog_topic_each(broker->catalog, add_topic_health, &health);
}

/* "ok", or what is wrong, a line each: grep -q ^ok tells. */
static void health_render(struct node_op *op)
{
    struct broker *broker = op->op.tree->broker;
    struct storage_space space;
    uint32_t offline = 0;
    partition_table_each(broker->partitions, count_unwell, &offline);
    if (broker->stopping)
        text_add(&op->text, "stopping\n");
    if (offline > 0)
        text_add(&op->text, "degraded: %u partition%s offline on this node, see .errors\n", offline,
                 offline == 1 ? "" : "s");
    if (storage_space(broker->storage, &space) == ERROR_NONE &&
        space.free_bytes < space.total_bytes / 100)
        text_add(&op->text, "degraded: less than 1 %% of the data disk is free\n");
    add_cluster_health(&op->text, broker);
    if (op->text.size == 0)
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
    const char *state = node == NULL          ? "gone"
                        : node->fenced        ? "fenced"
                        : node->shutting_down ? "shutting down"
                        : node->draining      ? "draining"
                                              : "online";
    text_add(&op->text, "%s\n", state);
    node_op_done(op, ERROR_NONE);
}

/* What heartbeats say of the node; false: there is no such view, or no such node. */
static bool view_of(const struct node_op *op, struct cluster_node_view *ret_view)
{
    struct cluster_view *view = op->op.tree->broker->cluster_view;
    return view != NULL && cluster_view_node(view, op->op.inode->index, ret_view);
}

static void add_known(struct node_op *op, bool known, int64_t value)
{
    if (known)
        text_add(&op->text, "%lld\n", (long long)value);
    else
        text_add(&op->text, "-\n");
    node_op_done(op, ERROR_NONE);
}

/* Of this node its own; of others what they said last. */
static void broker_version_render(struct node_op *op)
{
    struct cluster_node_view view;
    const char *version = "-";
    if (op->op.inode->index == op->op.tree->broker->node_id)
        version = TOPICFS_VERSION;
    else if (view_of(op, &view) && view.report.version[0] != '\0')
        version = view.report.version;
    text_add(&op->text, "%s\n", version);
    node_op_done(op, ERROR_NONE);
}

/* Seconds since it registered. */
static void node_uptime_render(struct node_op *op)
{
    struct cluster_node_view view = {.uptime_ms = -1};
    bool known = view_of(op, &view) && view.uptime_ms >= 0;
    add_known(op, known, view.uptime_ms / 1000);
}

static void node_leaders_render(struct node_op *op)
{
    struct cluster_node_view view = {0};
    bool known = view_of(op, &view);
    add_known(op, known, view.leaders);
}

static void node_replicas_render(struct node_op *op)
{
    struct cluster_node_view view = {0};
    bool known = view_of(op, &view);
    add_known(op, known, view.replicas);
}

/* "total N" and "free N", in bytes. */
static void node_disk_render(struct node_op *op)
{
    struct cluster_node_view view;
    struct storage_space space;
    struct broker *broker = op->op.tree->broker;
    int64_t total = -1, free = -1;
    if (op->op.inode->index == broker->node_id &&
        storage_space(broker->storage, &space) == ERROR_NONE) {
        total = (int64_t)space.total_bytes;
        free = (int64_t)space.free_bytes;
    } else if (view_of(op, &view)) {
        total = view.report.disk_total_bytes;
        free = view.report.disk_free_bytes;
    }
    if (total >= 0)
        text_add(&op->text, "total\tfree\n%lld\t%lld\n", (long long)total, (long long)free);
    else
        text_add(&op->text, "total\tfree\n-\t-\n");
    node_op_done(op, ERROR_NONE);
}

/* ---- .brokers/N/.ctl ---- */

enum { CONTROL_TIMEOUT_MS = 30000 };

/* A command that an interrupted writer leaves behind goes on. */
struct control {
    struct proposal proposal;
    struct node_op *op; /* One reference. */
};

static void control_done(struct proposal *proposal)
{
    struct control *control = container_of(proposal, struct control, proposal);
    struct node_op *op = control->op;
    enum error error = proposal->outcome.error;
    memory_free(control);
    if (!op->op.complete)
        node_op_done(op, error);
    op_unref(&op->op);
}

static void control_store(struct node_op *op)
{
    struct catalog_command command = {.kind = CATALOG_NODE_DRAIN, .node_id = op->op.inode->index};
    if (slice_equals_text(op->input, "drain")) {
        command.draining = true;
    } else if (slice_equals_text(op->input, "remove")) {
        command.kind = CATALOG_NODE_UNREGISTER;
    } else if (!slice_equals_text(op->input, "undrain")) {
        node_op_fail(op, ERROR_INVALID_REQUEST, "a node is told drain, undrain or remove");
        return;
    }
    struct control *control = memory_allocate(sizeof *control);
    if (control == NULL) {
        node_op_done(op, ERROR_OUT_OF_MEMORY);
        return;
    }
    control->op = op;
    control->proposal.done = control_done;
    atomic_fetch_add_explicit(&op->op.references, 1, memory_order_relaxed);
    proposal_start(op->op.tree->broker, &command, CONTROL_TIMEOUT_MS, &control->proposal);
}

static const struct inode_class control_class = {
    .name = "broker-control",
    .mode = S_IFREG | 0200,
    .store = control_store,
};

#define STATUS_FILE(variable, label, function)                                                     \
    static const struct inode_class variable = {                                                   \
        .name = label, .mode = S_IFREG | 0444, .render = function}

STATUS_FILE(node_host_class, "broker-host", node_host_render);
STATUS_FILE(node_port_class, "broker-port", node_port_render);
STATUS_FILE(node_rack_class, "broker-rack", node_rack_render);
STATUS_FILE(node_state_class, "broker-state", node_state_render);
STATUS_FILE(broker_version_class, "node-version", broker_version_render);
STATUS_FILE(node_uptime_class, "broker-uptime", node_uptime_render);
STATUS_FILE(node_leaders_class, "broker-leaders", node_leaders_render);
STATUS_FILE(node_replicas_class, "broker-replicas", node_replicas_render);
STATUS_FILE(node_disk_class, "broker-disk", node_disk_render);

static const struct fixed_entry node_entries[] = {
    {".ctl", &control_class, true},
    {"disk", &node_disk_class, false},
    {"host", &node_host_class, false},
    {"leaders", &node_leaders_class, false},
    {"port", &node_port_class, false},
    {"rack", &node_rack_class, false},
    {"replicas", &node_replicas_class, false},
    {"state", &node_state_class, false},
    {"uptime", &node_uptime_class, false},
    {"version", &broker_version_class, false},
    {NULL, NULL, false},
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
