/* SPDX-License-Identifier: Apache-2.0 */
/* .cluster/: who leads the metadata quorum, who is in it, what has happened. */
#include "fs/tree.h"
#include "handle/broker.h"
#include "handle/cluster_view.h"
#include "handle/feature_table.h"
#include "wire/api_describe_quorum.h"

enum { DESCRIBE_QUORUM_VERSION = 2, QUORUM_WAIT_MS = 2000 };

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
    text_add(&op->text, "%d\n", broker_controller_id(op->op.tree->broker));
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

static void add_event(void *context, const struct cluster_event *event)
{
    text_add(context, "%lld\t%s\n", (long long)event->wall_clock_ms, event->text);
}

static void cluster_events_render(struct node_op *op)
{
    const struct cluster_view *view = op->op.tree->broker->cluster_view;
    text_add(&op->text, "time\tevent\n");
    if (view != NULL)
        cluster_view_event_each(view, add_event, &op->text);
    node_op_done(op, ERROR_NONE);
}

static void cluster_version_render(struct node_op *op)
{
    text_add(&op->text, "%s\n", TOPICFS_VERSION);
    node_op_done(op, ERROR_NONE);
}

/* ---- quorum ---- */

/* How far behind the leader's last entry, "-": nobody knows. */
static void add_quorum_member(struct text *text,
                              const struct describe_quorum_response_partition_data *quorum,
                              const struct describe_quorum_response_replica_state *member,
                              const char *role, int64_t end)
{
    char fetched[TIME_TEXT_BYTES] = "-", caught_up[TIME_TEXT_BYTES] = "-";
    if (member->replica_id == quorum->leader_id)
        role = "leader";
    if (member->last_fetch_timestamp >= 0)
        (void)text_time(member->last_fetch_timestamp, fetched);
    if (member->last_caught_up_timestamp >= 0)
        (void)text_time(member->last_caught_up_timestamp, caught_up);
    text_add(text, "%d\t%s", member->replica_id, role);
    if (member->log_end_offset >= 0)
        text_add(text, "\t%lld\t%lld", (long long)member->log_end_offset,
                 (long long)(end > member->log_end_offset ? end - member->log_end_offset : 0));
    else
        text_add(text, "\t-\t-");
    text_add(text, "\t%s\t%s\n", fetched, caught_up);
}

static void quorum_described(struct node_op *op)
{
    const struct describe_quorum_response *response = op->ask.request.response;
    if (op->ask.error == ERROR_NONE && response->error_code == 0 && response->topics_count == 1 &&
        response->topics[0].partitions_count == 1 &&
        response->topics[0].partitions[0].error_code == 0) {
        const struct describe_quorum_response_partition_data *quorum =
            &response->topics[0].partitions[0];
        int64_t end = quorum->high_watermark;
        for (uint32_t i = 0; i < quorum->current_voters_count; i++) {
            if (quorum->current_voters[i].replica_id == quorum->leader_id)
                end = quorum->current_voters[i].log_end_offset;
        }
        for (uint32_t i = 0; i < quorum->current_voters_count; i++)
            add_quorum_member(&op->text, quorum, &quorum->current_voters[i], "voter", end);
        for (uint32_t i = 0; i < quorum->observers_count; i++)
            add_quorum_member(&op->text, quorum, &quorum->observers[i], "observer", end);
    }
    node_op_done(op, ERROR_NONE);
}

/* The controller knows; while none is known, or it does not answer, there are only the names of the
 * columns. */
static void cluster_quorum_render(struct node_op *op)
{
    int32_t controller = broker_controller_id(op->op.tree->broker);
    text_add(&op->text, "node\trole\tend\tlag\tlast-fetch\tlast-caught-up\n");
    if (controller < 0) {
        node_op_done(op, ERROR_NONE);
        return;
    }
    if (!node_op_request(op, API_DESCRIBE_QUORUM, DESCRIBE_QUORUM_VERSION))
        return;
    struct arena *arena = &op->ask.request.arena;
    struct describe_quorum_request *body = op->ask.request.body;
    struct describe_quorum_request_partition_data *partition =
        arena_allocate(arena, sizeof *partition);
    body->topics = arena_allocate(arena, sizeof *body->topics);
    if (partition == NULL || body->topics == NULL) {
        node_op_done(op, ERROR_OUT_OF_MEMORY);
        return;
    }
    describe_quorum_request_partition_data_init(partition);
    describe_quorum_request_topic_data_init(body->topics);
    body->topics[0].topic_name = slice_of("__cluster_metadata");
    body->topics[0].partitions = partition;
    body->topics[0].partitions_count = 1;
    body->topics_count = 1;
    node_op_ask(op, controller, QUORUM_WAIT_MS, quorum_described);
}

/* ---- features ---- */

static void cluster_features_render(struct node_op *op)
{
    text_add(&op->text, "feature\tlevel\tmin\tmax\n");
    for (uint32_t i = 0; i < feature_count; i++)
        text_add(&op->text, "%s\t%d\t%d\t%d\n", features[i].name, features[i].level_max,
                 features[i].level_min, features[i].level_max);
    node_op_done(op, ERROR_NONE);
}

/* ---- the directory ---- */

#define SMALL_FILE(variable, label, function)                                                      \
    static const struct inode_class variable = {                                                   \
        .name = label, .mode = S_IFREG | 0444, .render = function}

SMALL_FILE(cluster_features_class, "cluster-features", cluster_features_render);
SMALL_FILE(cluster_quorum_class, "cluster-quorum", cluster_quorum_render);
SMALL_FILE(cluster_version_class, "cluster-version", cluster_version_render);
SMALL_FILE(cluster_events_class, "cluster-events", cluster_events_render);
SMALL_FILE(cluster_id_class, "cluster-id", cluster_id_render);
SMALL_FILE(cluster_controller_class, "cluster-controller", cluster_controller_render);
SMALL_FILE(cluster_topics_class, "cluster-topics", cluster_topics_render);
SMALL_FILE(cluster_partitions_class, "cluster-partitions", cluster_partitions_render);

static const struct fixed_entry cluster_entries[] = {
    {"controller", &cluster_controller_class, false},
    {"events", &cluster_events_class, false},
    {"features", &cluster_features_class, false},
    {"id", &cluster_id_class, false},
    {"partitions", &cluster_partitions_class, false},
    {"quorum", &cluster_quorum_class, false},
    {"topics", &cluster_topics_class, false},
    {"version", &cluster_version_class, false},
    {NULL, NULL, false},
};

static void cluster_lookup(struct node_op *op)
{
    if (!fixed_lookup(op, cluster_entries))
        node_op_done(op, ERROR_NOT_FOUND);
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
