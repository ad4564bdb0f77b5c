/* SPDX-License-Identifier: Apache-2.0 */
/* .groups/GROUP/TOPIC/PARTITION: the committed offset, read and written; `none` forgets it. A
 * file is there when the group has committed an offset; writing to a new one commits the first.
 *
 *   write: what the text means --> committed so far (+N, -N) --> the partition's leader: start,
 * end, time --> commit, the same number until it is answered */
#include "fs/group_files.h"
#include "fs/name.h"
#include "fs/partition_file.h"
#include "fs/selector.h"
#include "handle/topic_creation.h"
#include "wire/api_offset_commit.h"
#include "wire/api_offset_delete.h"
#include "wire/api_text_stat.h"

#include <stdio.h>

enum { OFFSET_COMMIT_VERSION = 9, OFFSET_DELETE_VERSION = 0, PARTITION_NAME_BYTES = 16 };

/* ---- what is committed ---- */

/* The committed offset, -1 when there is none. */
static enum error committed_of(const struct node_op *op, int64_t *ret_offset)
{
    const group_offsets *offsets;
    enum error error = group_fetched(&op->ask, &offsets);
    if (error != ERROR_NONE)
        return error;
    if (offsets->topics_count == 0) {
        *ret_offset = -1;
        return ERROR_NONE;
    }
    if (offsets->topics_count != 1 || offsets->topics[0].partitions_count != 1)
        return ERROR_NETWORK;
    *ret_offset = offsets->topics[0].partitions[0].committed_offset;
    return error_from_kafka(offsets->topics[0].partitions[0].error_code);
}

static void offset_render(struct node_op *op);

static void offset_render_fetched(struct node_op *op)
{
    int64_t offset = -1;
    enum error error = committed_of(op, &offset);
    if (group_retry(op, error, offset_render))
        return;
    if (error == ERROR_NONE && offset >= 0)
        text_add(&op->text, "%lld\n", (long long)offset);
    node_op_done(op, error);
}

static void offset_render(struct node_op *op)
{
    const struct inode *topic = op->op.inode->parent;
    group_fetch(op, inode_name(topic->parent), topic->name, op->op.inode->index, offset_render,
                offset_render_fetched);
}

/* ---- committing: op->value is the offset ---- */

static void offset_commit(struct node_op *op);

static void offset_committed(struct node_op *op)
{
    const struct offset_commit_response *response = op->ask.request.response;
    bool answered = response->topics_count == 1 && response->topics[0].partitions_count == 1;
    int16_t code = answered ? response->topics[0].partitions[0].error_code : -1;
    enum error error = code == 0 ? ERROR_NONE : node_op_error(code);
    if (group_retry(op, error, offset_commit))
        return;
    if (error == ERROR_UNKNOWN_MEMBER_ID || error == ERROR_ILLEGAL_GENERATION ||
        error == ERROR_REBALANCE_IN_PROGRESS)
        node_op_fail(op, ERROR_NON_EMPTY_GROUP,
                     "the group has members: they commit its offsets, see .members");
    else
        node_op_done(op, error);
}

static void offset_commit(struct node_op *op)
{
    const struct inode *topic = op->op.inode->parent;
    if (offsets_topic_partitions(op->op.tree->broker, true) == 0) {
        (void)group_retry(op, ERROR_COORDINATOR_NOT_AVAILABLE, offset_commit);
        return;
    }
    if (!node_op_request(op, API_OFFSET_COMMIT, OFFSET_COMMIT_VERSION))
        return;
    struct arena *arena = &op->ask.request.arena;
    struct offset_commit_request *body = op->ask.request.body;
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
    partition->committed_offset = op->value;
    partition->committed_metadata = SLICE_EMPTY;
    body->member_id = SLICE_EMPTY;
    body->topics[0].name = name;
    body->topics[0].partitions = partition;
    body->topics[0].partitions_count = 1;
    body->topics_count = 1;
    group_ask(op, inode_name(topic->parent), offset_commit, offset_committed);
}

/* ---- what the text means ---- */

/* Within what the partition holds: relative places stop at its edges, a number beyond them is
 * refused. op->value is what was committed. */
static enum error offset_resolve(const struct node_op *op, const struct selector *selector,
                                 const struct text_stat_response_partition_answer *stat,
                                 int64_t *ret_offset)
{
    int64_t start = stat->log_start_offset, end = stat->high_watermark, offset = end;
    int64_t committed = op->value < 0 ? start : op->value;
    switch (selector->kind) {
    case SELECTOR_OFFSET:
        offset = selector->value;
        if (offset < start || offset > end)
            return ERROR_OFFSET_OUT_OF_RANGE;
        break;
    case SELECTOR_START:
        offset = start;
        break;
    case SELECTOR_END:
        break;
    case SELECTOR_FORWARD:
        if (__builtin_add_overflow(committed, selector->value, &offset))
            offset = INT64_MAX;
        break;
    case SELECTOR_BACKWARD:
        offset = committed - selector->value;
        break;
    case SELECTOR_TIME:
        offset = stat->places[0].offset;
        break;
    }
    if (offset < start)
        offset = start;
    *ret_offset = offset > end ? end : offset;
    return ERROR_NONE;
}

/* The text was found to be one when the write began. */
static void selector_of(const struct node_op *op, struct selector *ret_selector)
{
    const char *text = op->input_text.bytes == NULL ? "" : op->input_text.bytes;
    (void)selector_parse(text, executor_wall_clock_ms(tree_executor(op->op.tree)), ret_selector);
}

static void offset_measure(struct node_op *op);

static void offset_measured(struct node_op *op)
{
    struct selector selector = {.kind = SELECTOR_END};
    const struct inode *inode = op->op.inode;
    const struct text_stat_response *response = op->ask.request.response;
    enum error error = op->ask.error;
    selector_of(op, &selector);
    if (error == ERROR_NONE &&
        (response->topics_count != 1 || response->topics[0].partitions_count != 1 ||
         response->topics[0].partitions[0].places_count != 1))
        error = ERROR_NETWORK;
    if (error == ERROR_NONE)
        error = error_from_kafka(response->topics[0].partitions[0].error_code);
    if (error != ERROR_NONE && remote_error_passes(op->op.tree, &inode->topic_id, error)) {
        (void)group_retry(op, ERROR_LEADER_NOT_AVAILABLE, offset_measure);
        return;
    }
    if (error == ERROR_NONE)
        error = offset_resolve(op, &selector, &response->topics[0].partitions[0], &op->value);
    if (error == ERROR_NONE)
        offset_commit(op);
    else
        node_op_done(op, error);
}

/* Asks the partition's leader from where to where it reaches, and for the place. */
static void offset_measure(struct node_op *op)
{
    struct selector selector = {.kind = SELECTOR_END};
    const struct inode *inode = op->op.inode;
    struct catalog_partition partition;
    const struct catalog_topic *topic = inode_topic(op->op.tree, inode);
    selector_of(op, &selector);
    if (topic == NULL ||
        !catalog_partition_find(op->op.tree->broker->catalog, topic, inode->index, &partition)) {
        node_op_done(op, ERROR_STALE);
        return;
    }
    if (partition.leader < 0) {
        (void)group_retry(op, ERROR_LEADER_NOT_AVAILABLE, offset_measure);
        return;
    }
    if (!node_op_request(op, API_TEXT_STAT, 0))
        return;
    struct arena *arena = &op->ask.request.arena;
    struct text_stat_request *body = op->ask.request.body;
    struct text_stat_request_partition *asked = arena_allocate(arena, sizeof *asked);
    struct text_stat_request_place *place = arena_allocate(arena, sizeof *place);
    body->topics = arena_allocate(arena, sizeof *body->topics);
    if (asked == NULL || place == NULL || body->topics == NULL) {
        node_op_done(op, ERROR_OUT_OF_MEMORY);
        return;
    }
    struct remote_place wanted = place_elsewhere(&selector);
    text_stat_request_place_init(place);
    text_stat_request_partition_init(asked);
    text_stat_request_topic_init(body->topics);
    place->kind = (int8_t)wanted.kind;
    place->value = wanted.value;
    asked->partition_index = inode->index;
    asked->places = place;
    asked->places_count = 1;
    body->topics[0].topic_id = topic->id;
    body->topics[0].partitions = asked;
    body->topics[0].partitions_count = 1;
    body->topics_count = 1;
    node_op_ask(op, partition.leader, GROUP_ATTEMPT_MS, offset_measured);
}

/* ---- forgetting: OffsetDelete ---- */

static void offset_forget(struct node_op *op);

static void offset_removed(struct node_op *op)
{
    const struct offset_delete_response *response = op->ask.request.response;
    int16_t code = response->error_code;
    if (code == 0)
        code = response->topics_count == 1 && response->topics[0].partitions_count == 1
                   ? response->topics[0].partitions[0].error_code
                   : -1;
    if (code != 0 && group_retry(op, node_op_error(code), offset_forget))
        return;
    if (!node_op_refused(op, code, SLICE_NULL))
        node_op_done(op, ERROR_NONE);
}

static void offset_forget(struct node_op *op)
{
    const struct inode *topic = op->op.inode->parent;
    if (!group_topic_exists(op->op.tree)) {
        node_op_done(op, ERROR_GROUP_ID_NOT_FOUND);
        return;
    }
    if (!node_op_request(op, API_OFFSET_DELETE, OFFSET_DELETE_VERSION))
        return;
    struct arena *arena = &op->ask.request.arena;
    struct offset_delete_request *body = op->ask.request.body;
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
    group_ask(op, inode_name(topic->parent), offset_forget, offset_removed);
}

/* ---- the file ---- */

static void offset_store(struct node_op *op);

static void offset_store_fetched(struct node_op *op)
{
    enum error error = committed_of(op, &op->value);
    if (group_retry(op, error, offset_store))
        return;
    if (error == ERROR_NONE)
        offset_measure(op);
    else
        node_op_done(op, error);
}

static void offset_store(struct node_op *op)
{
    const struct inode *topic = op->op.inode->parent;
    struct selector selector;
    const char *text = op->input_text.bytes == NULL ? "" : op->input_text.bytes;
    if (slice_equals_text(op->input, "none"))
        offset_forget(op);
    else if (!selector_parse(text, executor_wall_clock_ms(tree_executor(op->op.tree)), &selector))
        node_op_fail(
            op, ERROR_INVALID_REQUEST,
            "an offset is N, start, end, +N, -N, @-1h, @2026-08-23T10:00:00Z, @MS or none");
    else if (selector.kind == SELECTOR_FORWARD || selector.kind == SELECTOR_BACKWARD)
        group_fetch(op, inode_name(topic->parent), topic->name, op->op.inode->index, offset_store,
                    offset_store_fetched);
    else
        offset_measure(op);
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

static void group_topic_lookup(struct node_op *op);

static void group_topic_fetched(struct node_op *op)
{
    int32_t index;
    int64_t offset = -1;
    enum error error = committed_of(op, &offset);
    if (group_retry(op, error, group_topic_lookup) || !partition_of(op, &index))
        return;
    if (error == ERROR_NONE && offset >= 0)
        offset_found(op, index);
    else
        node_op_done(op, error == ERROR_NONE ? ERROR_NOT_FOUND : error);
}

static void group_topic_lookup(struct node_op *op)
{
    int32_t index;
    const struct inode *topic = op->op.inode;
    if (partition_of(op, &index))
        group_fetch(op, inode_name(topic->parent), topic->name, index, group_topic_lookup,
                    group_topic_fetched);
}

static void group_topic_make_file(struct node_op *op)
{
    int32_t index;
    if (partition_of(op, &index))
        offset_found(op, index);
}

static void group_topic_list(struct node_op *op);

static void group_topic_list_fetched(struct node_op *op)
{
    char name[PARTITION_NAME_BYTES];
    const group_offsets *offsets;
    enum error error = group_fetched(&op->ask, &offsets);
    if (group_retry(op, error, group_topic_list))
        return;
    for (uint32_t i = 0; error == ERROR_NONE && i < offsets->topics_count; i++) {
        const struct offset_fetch_response_topics *topic = &offsets->topics[i];
        if (!slice_equals(topic->name, inode_name(op->op.inode)))
            continue;
        for (uint32_t k = 0; k < topic->partitions_count; k++) {
            (void)snprintf(name, sizeof name, "%d", topic->partitions[k].partition_index);
            listing_add(&op->listing, false, name);
        }
    }
    node_op_done(op, error);
}

static void group_topic_list(struct node_op *op)
{
    group_fetch(op, inode_name(op->op.inode->parent), NULL, -1, group_topic_list,
                group_topic_list_fetched);
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
