/* SPDX-License-Identifier: Apache-2.0 */
/* Consumer groups as directories: .groups/GROUP/{.state,.members,.lag}; their offsets are the files
 * of fs/group_offsets.c. What is read is asked of the coordinator; what is changed goes through the
 * handlers. */
#include "base/memory.h"
#include "fs/group_files.h"
#include "fs/name.h"
#include "wire/api_delete_groups.h"

enum { DELETE_GROUPS_VERSION = 2, RETRY_MS = 50 };

/* A group that mkdir made: Kafka's coordinator keeps none without an offset or a member. */
struct made_group {
    struct list link;
    size_t size;
    char id[];
};

static struct made_group *made_find(struct tree *tree, struct slice id)
{
    list_for_each(link, &tree->groups)
    {
        struct made_group *group = container_of(link, struct made_group, link);
        if (slice_equals(slice_from(group->id, group->size), id))
            return group;
    }
    return NULL;
}

static void made_free(struct made_group *group)
{
    if (group == NULL)
        return;
    list_remove(&group->link);
    memory_free(group);
}

void groups_forget(struct tree *tree)
{
    while (!list_empty(&tree->groups))
        made_free(container_of(tree->groups.next, struct made_group, link));
}

enum error group_look(struct tree *tree, struct slice id, struct group_view *ret_view)
{
    /* Asking the coordinator would make the offsets topic; without it there is no group. */
    enum error error = ERROR_GROUP_ID_NOT_FOUND;
    if (catalog_topic_find(tree->broker->catalog, slice_of(GROUP_OFFSETS_TOPIC)) != NULL)
        error = group_describe(tree->broker->groups, id, ret_view);
    if (error == ERROR_INVALID_GROUP_ID)
        error = ERROR_GROUP_ID_NOT_FOUND;
    if (error != ERROR_GROUP_ID_NOT_FOUND || made_find(tree, id) == NULL)
        return error;
    *ret_view = (struct group_view){.group_id = id, .state = "Empty"};
    return ERROR_NONE;
}

bool group_retry(struct node_op *op, enum error error, void (*again)(struct node_op *op))
{
    if (error != ERROR_COORDINATOR_LOAD_IN_PROGRESS && error != ERROR_COORDINATOR_NOT_AVAILABLE &&
        error != ERROR_NOT_COORDINATOR)
        return false;
    struct executor *executor = tree_executor(op->op.tree);
    int64_t now_ms = executor_monotonic_ms(executor);
    if (op->retry_until_ms == 0)
        op->retry_until_ms = now_ms + op->op.tree->options.write_timeout_ms;
    if (now_ms >= op->retry_until_ms)
        return false;
    node_op_again(op, RETRY_MS, again);
    return true;
}

/* ---- .groups/GROUP/.state, .members, .lag ---- */

static struct slice group_id_of(const struct inode *inode)
{
    while (inode->class != &group_class)
        inode = inode->parent;
    return inode_name(inode);
}

/* False when the op was completed or will try again. */
static bool group_view_of(struct node_op *op, struct group_view *ret_view,
                          void (*again)(struct node_op *op))
{
    enum error error = group_look(op->op.tree, group_id_of(op->op.inode), ret_view);
    if (error == ERROR_NONE)
        return true;
    if (!group_retry(op, error, again))
        node_op_done(op, error);
    return false;
}

static void state_render(struct node_op *op)
{
    struct group_view view;
    if (!group_view_of(op, &view, state_render))
        return;
    text_add(&op->text, "state\tprotocol-type\tprotocol\tgeneration\tmembers\n");
    text_add(&op->text, "%s\t%.*s\t%.*s\t%d\t%u\n", view.state, SLICE_PRINT(view.protocol_type),
             SLICE_PRINT(view.protocol_name), view.generation_id, view.member_count);
    node_op_done(op, ERROR_NONE);
}

static void add_escaped(struct text *text, struct slice value)
{
    char shown[256];
    text_add(text, "%s", report_escape(value.data, value.size, shown, sizeof shown));
}

static void add_member(void *context, const struct group_member_view *member)
{
    struct text *text = context;
    add_escaped(text, member->member_id);
    text_add(text, "\t");
    add_escaped(text, member->instance_id);
    text_add(text, "\t");
    add_escaped(text, member->client_id);
    text_add(text, "\t");
    add_escaped(text, member->client_host);
    text_add(text, "\n");
}

static void members_render(struct node_op *op)
{
    struct group_view view;
    if (!group_view_of(op, &view, members_render))
        return;
    text_add(&op->text, "member\tinstance\tclient\thost\n");
    group_member_each(op->op.tree->broker->groups, view.group_id, add_member, &op->text);
    node_op_done(op, ERROR_NONE);
}

static void add_lag(void *context, const struct group_offset *committed)
{
    struct node_op *op = context;
    struct partition_offsets offsets;
    struct partition *partition = partition_table_find(op->op.tree->broker->partitions,
                                                       committed->topic, committed->partition);
    text_add(&op->text, "%.*s\t%d\t%lld", SLICE_PRINT(committed->topic), committed->partition,
             (long long)committed->offset);
    if (partition == NULL || partition_offsets(partition, &offsets) != ERROR_NONE) {
        text_add(&op->text, "\t-\t-\n");
        return;
    }
    /* A client may commit what is no offset: then all of it is to come. */
    int64_t lag = offsets.high_watermark - (committed->offset < 0 ? 0 : committed->offset);
    text_add(&op->text, "\t%lld\t%lld\n", (long long)offsets.high_watermark,
             (long long)(lag > 0 ? lag : 0));
}

static void lag_render(struct node_op *op)
{
    struct group_view view;
    if (!group_view_of(op, &view, lag_render))
        return;
    text_add(&op->text, "topic\tpartition\tcommitted\tend\tlag\n");
    enum error error = group_committed_each(op->op.tree, view.group_id, add_lag, op);
    node_op_done(op, error);
}

enum error group_committed_each(struct tree *tree, struct slice id,
                                void (*each)(void *context, const struct group_offset *offset),
                                void *context)
{
    if (catalog_topic_find(tree->broker->catalog, slice_of(GROUP_OFFSETS_TOPIC)) == NULL)
        return ERROR_NONE;
    return group_offset_each(tree->broker->groups, id, each, context);
}

static const struct inode_class state_class = {
    .name = "group-state",
    .mode = S_IFREG | 0444,
    .render = state_render,
};
static const struct inode_class members_class = {
    .name = "group-members",
    .mode = S_IFREG | 0444,
    .render = members_render,
};
static const struct inode_class lag_class = {
    .name = "group-lag",
    .mode = S_IFREG | 0444,
    .render = lag_render,
};

/* ---- .groups/GROUP/ ---- */

static const struct fixed_entry group_entries[] = {
    {".lag", &lag_class, false},
    {".members", &members_class, false},
    {".state", &state_class, false},
    {NULL, NULL, false},
};

/* Any topic may be entered: that is how an offset for it is written. */
static void group_lookup(struct node_op *op)
{
    char name[FILE_NAME_BYTES_MAX + 1];
    struct tree *tree = op->op.tree;
    if (fixed_lookup(op, group_entries))
        return;
    const struct catalog_topic *topic = NULL;
    if (name_to_topic(op->name, name))
        topic = catalog_topic_find(tree->broker->catalog, slice_of(name));
    if (topic == NULL) {
        node_op_done(op, ERROR_NOT_FOUND);
        return;
    }
    struct inode_key key = {&group_topic_class,    op->op.inode, &topic->id, -1,
                            slice_of(topic->name), op->name};
    node_op_found(op, inode_get(&tree->inodes, &key));
}

/* Offsets come sorted by topic. */
static void list_topic(void *context, const struct group_offset *offset)
{
    struct node_op *op = context;
    struct listing *listing = &op->listing;
    char topic[FILE_NAME_BYTES_MAX + 1], name[FILE_NAME_BYTES_MAX + 1];
    if (offset->topic.size > FILE_NAME_BYTES_MAX - 3)
        return;
    memcpy(topic, offset->topic.data, offset->topic.size);
    topic[offset->topic.size] = '\0';
    name_of_topic(topic, name);
    if (listing->count > 0 && strcmp(listing_name(listing, listing->count - 1), name) == 0)
        return;
    if (catalog_topic_find(op->op.tree->broker->catalog, offset->topic) != NULL)
        listing_add(listing, true, name);
}

static void group_list(struct node_op *op)
{
    enum error error = group_committed_each(op->op.tree, inode_name(op->op.inode), list_topic, op);
    if (group_retry(op, error, group_list))
        return;
    fixed_list(op, group_entries);
    node_op_done(op, error);
}

const struct inode_class group_class = {
    .name = "group",
    .mode = S_IFDIR | 0777,
    .lookup = group_lookup,
    .list = group_list,
};

/* ---- .groups/ ---- */

/* False when the op was completed: no group can have that file name. */
static bool group_id_parse(struct node_op *op, enum error error,
                           char ret_id[FILE_NAME_BYTES_MAX + 1], size_t *ret_size)
{
    if (name_to_group(op->name, ret_id, ret_size))
        return true;
    node_op_fail(op, error, "group ids are escaped: bytes outside A-Za-z0-9._+:@=- as %%XX");
    return false;
}

static void group_found(struct node_op *op, struct slice id)
{
    struct inode_key key = {&group_class, op->op.inode, NULL, -1, id, op->name};
    node_op_found(op, inode_get(&op->op.tree->inodes, &key));
}

static void groups_lookup(struct node_op *op)
{
    char id[FILE_NAME_BYTES_MAX + 1];
    size_t size;
    struct group_view view;
    if (!group_id_parse(op, ERROR_NOT_FOUND, id, &size))
        return;
    enum error error = group_look(op->op.tree, slice_from(id, size), &view);
    if (group_retry(op, error, groups_lookup))
        return;
    if (error == ERROR_NONE)
        group_found(op, slice_from(id, size));
    else
        node_op_done(op, error);
}

static void list_group(void *context, const struct group_view *group)
{
    char name[FILE_NAME_BYTES_MAX + 1];
    if (name_of_group(group->group_id, name))
        listing_add(context, true, name);
}

static void groups_list(struct node_op *op)
{
    struct tree *tree = op->op.tree;
    struct group_coordinator *coordinator = tree->broker->groups;
    if (group_coordinator_loading(coordinator) &&
        group_retry(op, ERROR_COORDINATOR_LOAD_IN_PROGRESS, groups_list))
        return;
    group_each(coordinator, list_group, &op->listing);
    list_for_each(link, &tree->groups)
    {
        struct made_group *made = container_of(link, struct made_group, link);
        struct group_view view = {.group_id = slice_from(made->id, made->size)};
        if (catalog_topic_find(tree->broker->catalog, slice_of(GROUP_OFFSETS_TOPIC)) == NULL ||
            group_describe(coordinator, view.group_id, &view) == ERROR_GROUP_ID_NOT_FOUND)
            list_group(&op->listing, &view);
    }
    node_op_done(op, ERROR_NONE);
}

static void groups_make_directory(struct node_op *op)
{
    char id[FILE_NAME_BYTES_MAX + 1];
    size_t size;
    struct group_view view;
    struct tree *tree = op->op.tree;
    if (!group_id_parse(op, ERROR_INVALID_GROUP_ID, id, &size))
        return;
    enum error error = group_look(tree, slice_from(id, size), &view);
    if (group_retry(op, error, groups_make_directory))
        return;
    if (size == 0) {
        node_op_fail(op, ERROR_INVALID_GROUP_ID, "the empty group id cannot be used");
        return;
    }
    if (error != ERROR_GROUP_ID_NOT_FOUND) {
        node_op_done(op, error == ERROR_NONE ? ERROR_EXISTS : error);
        return;
    }
    struct made_group *made = memory_allocate(sizeof *made + size + 1);
    if (made == NULL) {
        node_op_done(op, ERROR_OUT_OF_MEMORY);
        return;
    }
    memcpy(made->id, id, size + 1);
    made->size = size;
    list_push(&tree->groups, &made->link);
    group_found(op, slice_from(id, size));
}

static void group_deleted(struct node_op *op)
{
    char id[FILE_NAME_BYTES_MAX + 1];
    size_t size;
    const struct delete_groups_response *response = op->request.response;
    if (!group_id_parse(op, ERROR_NOT_FOUND, id, &size))
        return;
    struct made_group *made = made_find(op->op.tree, slice_from(id, size));
    int16_t code = response->results_count == 1 ? response->results[0].error_code : -1;
    if (code == error_to_kafka(ERROR_GROUP_ID_NOT_FOUND) && made != NULL)
        code = 0;
    if (code != 0 && group_retry(op, node_op_error(code), groups_remove_directory))
        return;
    if (code == 0)
        made_free(made);
    if (!node_op_refused(op, code, SLICE_NULL))
        node_op_done(op, ERROR_NONE);
}

/* rmdir: DeleteGroups, EBUSY while the group has members. */
void groups_remove_directory(struct node_op *op)
{
    char id[FILE_NAME_BYTES_MAX + 1];
    size_t size;
    struct tree *tree = op->op.tree;
    if (!group_id_parse(op, ERROR_NOT_FOUND, id, &size))
        return;
    if (catalog_topic_find(tree->broker->catalog, slice_of(GROUP_OFFSETS_TOPIC)) == NULL) {
        struct made_group *made = made_find(tree, slice_from(id, size));
        node_op_done(op, made != NULL ? ERROR_NONE : ERROR_GROUP_ID_NOT_FOUND);
        made_free(made);
        return;
    }
    if (!node_op_request(op, API_DELETE_GROUPS, DELETE_GROUPS_VERSION))
        return;
    struct delete_groups_request *body = op->request.body;
    body->groups_names = arena_allocate_array(&op->request.arena, 1, sizeof body->groups_names[0]);
    struct slice copy = arena_copy(&op->request.arena, slice_from(id, size));
    if (body->groups_names == NULL || slice_is_null(copy)) {
        node_op_done(op, ERROR_OUT_OF_MEMORY);
        return;
    }
    body->groups_names[0] = copy;
    body->groups_names_count = 1;
    node_op_start(op, group_deleted);
}

const struct inode_class groups_class = {
    .name = "groups",
    .mode = S_IFDIR | 0777,
    .lookup = groups_lookup,
    .list = groups_list,
    .make_directory = groups_make_directory,
    .remove_directory = groups_remove_directory,
};
