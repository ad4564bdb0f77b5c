/* SPDX-License-Identifier: Apache-2.0 */
/* Consumer groups as directories: .groups/GROUP/{.state,.members,.protocol,.coordinator}; .lag is
 * fs/group_lag.c, their offsets are the files of fs/group_offsets.c. */
#include "fs/group_files.h"
#include "fs/name.h"
#include "handle/topic_creation.h"
#include "wire/api_delete_groups.h"
#include "wire/api_offset_commit.h"

enum { DELETE_GROUPS_VERSION = 2, OFFSET_COMMIT_VERSION = 9 };

/* ---- .groups/GROUP/.state, .members, .coordinator ---- */

/* False when the op was completed or will try again. */
static bool description_of(struct node_op *op, const group_description **ret_group,
                           void (*again)(struct node_op *op))
{
    enum error error = group_looked(&op->ask, ret_group);
    if (error == ERROR_NONE)
        return true;
    if (!group_retry(op, error, again))
        node_op_done(op, error);
    return false;
}

static void add_escaped(struct text *text, struct slice value)
{
    char shown[256];
    text_add(text, "%s", report_escape(value.data, value.size, shown, sizeof shown));
}

static void state_render(struct node_op *op);

static void state_looked(struct node_op *op)
{
    const group_description *group;
    if (!description_of(op, &group, state_render))
        return;
    text_add(&op->text, "state\tprotocol-type\tprotocol\tcoordinator\tmembers\n");
    add_escaped(&op->text, group->group_state);
    text_add(&op->text, "\t");
    add_escaped(&op->text, group->protocol_type);
    text_add(&op->text, "\t");
    add_escaped(&op->text, group->protocol_data);
    text_add(&op->text, "\t%d\t%u\n", op->ask.node_id, group->members_count);
    node_op_done(op, ERROR_NONE);
}

static void state_render(struct node_op *op)
{
    group_look(op, group_id_of(op->op.inode), state_render, state_looked);
}

static void members_render(struct node_op *op);

static void members_looked(struct node_op *op)
{
    const group_description *group;
    if (!description_of(op, &group, members_render))
        return;
    text_add(&op->text, "member\tinstance\tclient\thost\n");
    for (uint32_t i = 0; i < group->members_count; i++) {
        add_escaped(&op->text, group->members[i].member_id);
        text_add(&op->text, "\t");
        add_escaped(&op->text, group->members[i].group_instance_id);
        text_add(&op->text, "\t");
        add_escaped(&op->text, group->members[i].client_id);
        text_add(&op->text, "\t");
        add_escaped(&op->text, group->members[i].client_host);
        text_add(&op->text, "\n");
    }
    node_op_done(op, ERROR_NONE);
}

static void members_render(struct node_op *op)
{
    group_look(op, group_id_of(op->op.inode), members_render, members_looked);
}

static void protocol_render(struct node_op *op);

static void protocol_looked(struct node_op *op)
{
    const group_description *group;
    if (!description_of(op, &group, protocol_render))
        return;
    add_escaped(&op->text, group->protocol_data);
    text_add(&op->text, "\n");
    node_op_done(op, ERROR_NONE);
}

static void protocol_render(struct node_op *op)
{
    group_look(op, group_id_of(op->op.inode), protocol_render, protocol_looked);
}

static void coordinator_render(struct node_op *op)
{
    text_add(&op->text, "%d\n", group_coordinator_node(op->op.tree, group_id_of(op->op.inode)));
    node_op_done(op, ERROR_NONE);
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
static const struct inode_class protocol_class = {
    .name = "group-protocol",
    .mode = S_IFREG | 0444,
    .render = protocol_render,
};
static const struct inode_class coordinator_class = {
    .name = "group-coordinator",
    .mode = S_IFREG | 0444,
    .render = coordinator_render,
};

/* ---- .groups/GROUP/ ---- */

static const struct fixed_entry group_entries[] = {
    {".coordinator", &coordinator_class, false},
    {".lag", &group_lag_class, false},
    {".members", &members_class, false},
    {".protocol", &protocol_class, false},
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

static void list_topic(struct node_op *op, struct slice topic)
{
    char given[FILE_NAME_BYTES_MAX + 1], name[FILE_NAME_BYTES_MAX + 1];
    if (topic.size > FILE_NAME_BYTES_MAX - 3)
        return;
    memcpy(given, topic.data, topic.size);
    given[topic.size] = '\0';
    name_of_topic(given, name);
    if (catalog_topic_find(op->op.tree->broker->catalog, topic) != NULL)
        listing_add(&op->listing, true, name);
}

static void group_list(struct node_op *op);

static void group_list_fetched(struct node_op *op)
{
    const group_offsets *offsets;
    enum error error = group_fetched(&op->ask, &offsets);
    if (group_retry(op, error, group_list))
        return;
    for (uint32_t i = 0; error == ERROR_NONE && i < offsets->topics_count; i++)
        list_topic(op, offsets->topics[i].name);
    fixed_list(op, group_entries);
    node_op_done(op, error);
}

static void group_list(struct node_op *op)
{
    group_fetch(op, inode_name(op->op.inode), NULL, -1, group_list, group_list_fetched);
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
                           char ret_id[FILE_NAME_BYTES_MAX + 1], struct slice *ret_slice)
{
    size_t size;
    if (name_to_group(op->name, ret_id, &size)) {
        *ret_slice = slice_from(ret_id, size);
        return true;
    }
    node_op_fail(op, error, "group ids are escaped: bytes outside A-Za-z0-9._+:@=- as %%XX");
    return false;
}

static void group_found(struct node_op *op)
{
    char id[FILE_NAME_BYTES_MAX + 1];
    struct slice name;
    if (!group_id_parse(op, ERROR_NOT_FOUND, id, &name))
        return;
    struct inode_key key = {&group_class, op->op.inode, NULL, -1, name, op->name};
    node_op_found(op, inode_get(&op->op.tree->inodes, &key));
}

static void groups_lookup(struct node_op *op);

static void groups_looked(struct node_op *op)
{
    const group_description *group;
    enum error error = group_looked(&op->ask, &group);
    if (group_retry(op, error, groups_lookup))
        return;
    if (error == ERROR_NONE)
        group_found(op);
    else
        node_op_done(op, error);
}

static void groups_lookup(struct node_op *op)
{
    char id[FILE_NAME_BYTES_MAX + 1];
    struct slice name;
    if (group_id_parse(op, ERROR_NOT_FOUND, id, &name))
        group_look(op, name, groups_lookup, groups_looked);
}

/* ---- mkdir ---- */

static void groups_make_directory(struct node_op *op);
static void group_make(struct node_op *op);

enum { MAKING = 1 }; /* op->number: a commit was sent. */

static void groups_make_looked(struct node_op *op)
{
    const group_description *group;
    enum error error = group_looked(&op->ask, &group);
    if (error == ERROR_GROUP_ID_NOT_FOUND && op->number == MAKING)
        error = ERROR_NOT_COORDINATOR; /* Another one was sent the commit, or it was refused. */
    if (group_retry(op, error, op->number == MAKING ? group_make : groups_make_directory))
        return;
    if (error == ERROR_GROUP_ID_NOT_FOUND)
        group_make(op);
    else if (error == ERROR_NONE && op->number == MAKING)
        group_found(op);
    else
        node_op_done(op, error == ERROR_NONE ? ERROR_EXISTS : error);
}

static void groups_make_directory(struct node_op *op)
{
    char id[FILE_NAME_BYTES_MAX + 1];
    struct slice name;
    if (!group_id_parse(op, ERROR_INVALID_GROUP_ID, id, &name))
        return;
    if (name.size == 0)
        node_op_fail(op, ERROR_INVALID_GROUP_ID, "the empty group id cannot be used");
    else
        group_look(op, name, groups_make_directory, groups_make_looked);
}

/* A commit of nothing makes the group. Its answer has no place for an error, so the group is looked
 * at again. */
static void group_make(struct node_op *op)
{
    char id[FILE_NAME_BYTES_MAX + 1];
    struct slice name;
    if (!group_id_parse(op, ERROR_INVALID_GROUP_ID, id, &name))
        return;
    if (offsets_topic_partitions(op->op.tree->broker, true) == 0) {
        (void)group_retry(op, ERROR_COORDINATOR_NOT_AVAILABLE, group_make);
        return;
    }
    if (!node_op_request(op, API_OFFSET_COMMIT, OFFSET_COMMIT_VERSION))
        return;
    struct offset_commit_request *body = op->ask.request.body;
    body->group_id = arena_copy(&op->ask.request.arena, name);
    body->member_id = SLICE_EMPTY;
    body->topics = WIRE_EMPTY;
    op->number = MAKING;
    if (slice_is_null(body->group_id))
        node_op_done(op, ERROR_OUT_OF_MEMORY);
    else
        group_ask(op, name, group_make, groups_make_directory);
}

/* ---- rmdir ---- */

static void groups_remove_directory(struct node_op *op);

enum { DELETING = 2 }; /* op->number: a deletion was sent, and its answer did not come. */

static void group_delete_again(struct node_op *op)
{
    op->number = DELETING;
    groups_remove_directory(op);
}

static void group_deleted(struct node_op *op)
{
    const struct delete_groups_response *response = op->ask.request.response;
    int16_t code = response->results_count == 1 ? response->results[0].error_code : -1;
    if (code == error_to_kafka(ERROR_GROUP_ID_NOT_FOUND) && op->number == DELETING)
        code = 0;
    if (code != 0 && group_retry(op, node_op_error(code), group_delete_again))
        return;
    if (!node_op_refused(op, code, SLICE_NULL))
        node_op_done(op, ERROR_NONE);
}

/* DeleteGroups, EBUSY while the group has members. */
static void groups_remove_directory(struct node_op *op)
{
    char id[FILE_NAME_BYTES_MAX + 1];
    struct slice name;
    if (!group_id_parse(op, ERROR_NOT_FOUND, id, &name))
        return;
    if (!group_topic_exists(op->op.tree)) {
        node_op_done(op, ERROR_GROUP_ID_NOT_FOUND);
        return;
    }
    if (!node_op_request(op, API_DELETE_GROUPS, DELETE_GROUPS_VERSION))
        return;
    struct arena *arena = &op->ask.request.arena;
    struct delete_groups_request *body = op->ask.request.body;
    body->groups_names = arena_allocate_array(arena, 1, sizeof body->groups_names[0]);
    struct slice copy = arena_copy(arena, name);
    if (body->groups_names == NULL || slice_is_null(copy)) {
        node_op_done(op, ERROR_OUT_OF_MEMORY);
        return;
    }
    body->groups_names[0] = copy;
    body->groups_names_count = 1;
    group_ask(op, name, group_delete_again, group_deleted);
}

const struct inode_class groups_class = {
    .name = "groups",
    .mode = S_IFDIR | 0777,
    .lookup = groups_lookup,
    .list = groups_list,
    .make_directory = groups_make_directory,
    .remove_directory = groups_remove_directory,
};
