/* SPDX-License-Identifier: Apache-2.0 */
/* Committed offsets: rules of committing and removing, and their end by retention. */
#include "group/state.h"

#include "base/assertion.h"
#include "catalog/catalog.h"
#include "wire/consumer_protocol.h"
#include "wire/reader.h"

/* One commit or deletion in the log: what becomes true when its batch is committed. */
struct group_commit_write {
    struct group_commit *commit;
};

/* An entry's key as it lies in it: looking one up takes no memory, so that memory which runs out is
 * never taken for "no offset". */
struct offset_key {
    int32_t partition;
    char topic[TOPIC_NAME_BYTES_MAX];
};

_Static_assert(offsetof(struct group_offset_entry, topic) ==
                   offsetof(struct group_offset_entry, partition) + sizeof(int32_t),
               "a key is one run of bytes");

static size_t key_size(size_t topic_size)
{
    return offsetof(struct offset_key, topic) + topic_size;
}

static struct group_offset_entry *entry_new(struct slice topic, int32_t partition)
{
    struct group_offset_entry *entry = memory_allocate(sizeof *entry + topic.size + 1);
    if (entry == NULL)
        return NULL;
    entry->partition = partition;
    if (topic.size > 0)
        memcpy(entry->topic, topic.data, topic.size);
    return entry;
}

struct group_offset_entry *offset_find(struct group *group, struct slice topic, int32_t partition)
{
    struct offset_key key = {.partition = partition};
    struct group_offset_entry *found = NULL;
    if (topic.size > sizeof key.topic)
        return NULL; /* No topic has such a name. */
    if (topic.size > 0)
        memcpy(key.topic, topic.data, topic.size);
    HASH_FIND(hh, group->offsets, &key, key_size(topic.size), found);
    return found;
}

void offset_remove(struct group *group, struct group_offset_entry *entry)
{
    HASH_DELETE(hh, group->offsets, entry);
    memory_free(entry->metadata);
    memory_free(entry);
}

enum error offset_put(struct group *group, const struct group_offset *offset)
{
    if (offset->topic.size > TOPIC_NAME_BYTES_MAX)
        return ERROR_INVALID_TOPIC;
    char *metadata = memory_copy_text(offset->metadata.data, offset->metadata.size);
    if (metadata == NULL)
        return ERROR_OUT_OF_MEMORY;
    struct group_offset_entry *entry = offset_find(group, offset->topic, offset->partition);
    if (entry == NULL) {
        entry = entry_new(offset->topic, offset->partition);
        if (entry != NULL)
            HASH_ADD_KEYPTR(hh, group->offsets, &entry->partition, key_size(offset->topic.size),
                            entry);
        if (entry == NULL || entry->hh.tbl == NULL) {
            memory_free(entry);
            memory_free(metadata);
            return ERROR_OUT_OF_MEMORY;
        }
    }
    memory_free(entry->metadata);
    entry->metadata = metadata;
    entry->metadata_size = offset->metadata.size;
    entry->offset = offset->offset;
    entry->leader_epoch = offset->leader_epoch;
    entry->commit_timestamp_ms = offset->commit_timestamp_ms;
    entry->expire_timestamp_ms = -1;
    return ERROR_NONE;
}

/* ---- commit ---- */

static void commit_task(struct task *task)
{
    struct group_commit *commit = container_of(task, struct group_commit, task);
    commit->done(commit);
}

static void commit_answer(struct group_coordinator *coordinator, struct group_commit *commit,
                          enum error error)
{
    commit->error = error;
    for (uint32_t i = 0; i < commit->offset_count; i++) {
        if (error != ERROR_NONE)
            commit->offsets[i].error = error;
    }
    executor_post(coordinator->options.executor, &commit->task);
}

static enum error commit_check(struct group *group, const struct group_commit *commit)
{
    bool anonymous = commit->generation_id < 0 && commit->member_id.size == 0 &&
                     commit->instance_id.data == NULL;
    if (commit->generation_id < 0 && group->member_count == 0)
        return ERROR_NONE; /* A consumer that assigns itself, or an administrator. */
    if (anonymous)
        return ERROR_UNKNOWN_MEMBER_ID;
    struct group_member *member;
    enum error error = member_check(group, commit->member_id, commit->instance_id, &member);
    if (error != ERROR_NONE)
        return error;
    if (commit->generation_id != group->generation_id)
        return ERROR_ILLEGAL_GENERATION;
    if (group->state == GROUP_COMPLETING_REBALANCE)
        return ERROR_REBALANCE_IN_PROGRESS;
    if (group->state == GROUP_EMPTY || group->state == GROUP_DEAD)
        return ERROR_UNKNOWN_MEMBER_ID;
    member_session_restart(member);
    return ERROR_NONE;
}

/* May a member read the topic? What cannot be read might name it. */
static bool may_subscribe(const struct group_member *member, const char *protocol_name,
                          struct slice topic)
{
    const struct group_protocol *protocol = member_protocol(member, protocol_name);
    if (protocol == NULL || protocol->metadata.size < 2)
        return true;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct reader reader;
    reader_init(&reader, protocol->metadata);
    int16_t version = read_int16(&reader);
    struct consumer_protocol_subscription subscription;
    bool readable =
        version >= 0 && consumer_protocol_subscription_decode(&reader, version > 3 ? 3 : version,
                                                              &arena, &subscription) == ERROR_NONE;
    bool found = !readable;
    for (uint32_t i = 0; readable && i < subscription.topics_count; i++)
        found = found || slice_equals(subscription.topics[i], topic);
    arena_done(&arena);
    return found;
}

bool group_may_subscribe(const struct group *group, struct slice topic)
{
    list_for_each(link, &group->members)
    {
        if (may_subscribe(container_of(link, struct group_member, link), group->protocol_name,
                          topic))
            return true;
    }
    return false;
}

bool group_is_of_consumers(const struct group *group)
{
    return group->protocol_type != NULL && strcmp(group->protocol_type, "consumer") == 0;
}

static enum error remove_check(struct group *group, struct group_commit *commit)
{
    if (group->member_count == 0)
        return ERROR_NONE;
    if (!group_is_of_consumers(group))
        return ERROR_NON_EMPTY_GROUP;
    for (uint32_t i = 0; i < commit->offset_count; i++) {
        if (group_may_subscribe(group, commit->offsets[i].topic))
            commit->offsets[i].error = ERROR_GROUP_SUBSCRIBED_TO_TOPIC;
    }
    return ERROR_NONE;
}

/* The batch is committed: now it is true. In the log's order, since appends complete in order. */
static void commit_apply(struct group *group, struct group_commit *commit)
{
    for (uint32_t i = 0; i < commit->offset_count; i++) {
        struct group_offset *offset = &commit->offsets[i];
        if (offset->error != ERROR_NONE)
            continue;
        if (!commit->remove) {
            offset->error = offset_put(group, offset);
            continue;
        }
        struct group_offset_entry *entry = offset_find(group, offset->topic, offset->partition);
        if (entry != NULL)
            offset_remove(group, entry);
    }
}

static void commit_stored(struct group_write *write, enum error error)
{
    struct group_commit_write *context = write->context;
    struct group_commit *commit = context->commit;
    if (error == ERROR_NONE)
        commit_apply(write->group, commit);
    commit_answer(write->coordinator, commit, error);
    memory_free(context);
}

static enum error commit_write(struct group *group, struct group_commit *commit)
{
    struct group_commit_write *context = memory_allocate(sizeof *context);
    struct group_write *write = context == NULL ? NULL : group_write_new(group);
    if (write == NULL) {
        memory_free(context);
        return ERROR_OUT_OF_MEMORY;
    }
    context->commit = commit;
    write->context = context;
    write->done = commit_stored;
    int64_t now_ms = executor_wall_clock_ms(group->coordinator->options.executor);
    enum error error = ERROR_NONE;
    uint32_t count = 0;
    for (uint32_t i = 0; i < commit->offset_count && error == ERROR_NONE; i++) {
        struct group_offset *offset = &commit->offsets[i];
        if (offset->error != ERROR_NONE)
            continue;
        offset->commit_timestamp_ms = now_ms;
        error = group_write_offset(write, offset, commit->remove);
        count++;
    }
    if (error != ERROR_NONE || count == 0) {
        group_write_free(write);
        memory_free(context);
        if (error == ERROR_NONE)
            commit_answer(group->coordinator, commit, ERROR_NONE);
        return error;
    }
    group_write_submit(write);
    return ERROR_NONE;
}

static enum error commit_now(struct group_coordinator *coordinator, struct group_commit *commit)
{
    enum error error = group_coordinator_check(coordinator, commit->group_id);
    if (error != ERROR_NONE)
        return error;
    struct group *group = group_find(coordinator, commit->group_id);
    if (group == NULL && commit->remove)
        return ERROR_GROUP_ID_NOT_FOUND;
    if (group == NULL && commit->generation_id >= 0)
        return ERROR_ILLEGAL_GENERATION;
    if (group == NULL)
        group = group_make(coordinator, commit->group_id);
    if (group == NULL)
        return ERROR_COORDINATOR_NOT_AVAILABLE;
    error = commit->remove ? remove_check(group, commit) : commit_check(group, commit);
    int32_t metadata_max = coordinator->options.config.offset_metadata_max_bytes;
    for (uint32_t i = 0; i < commit->offset_count; i++) {
        struct group_offset *offset = &commit->offsets[i];
        if (offset->metadata.size > (size_t)metadata_max)
            offset->error = ERROR_OFFSET_METADATA_TOO_LARGE;
    }
    group->writes++; /* Our own hold: a write that ends in here would free a new group below us. */
    if (error == ERROR_NONE && commit->offset_count == 0 && !commit->remove)
        group->made = true;
    if (error == ERROR_NONE)
        error = commit_write(group, commit);
    group->writes--;
    group_drop_if_unused(group);
    return error == ERROR_OUT_OF_MEMORY ? ERROR_COORDINATOR_NOT_AVAILABLE : error;
}

void group_commit_start(struct group_coordinator *coordinator, struct group_commit *commit)
{
    commit->task.run = commit_task;
    list_init(&commit->task.link);
    enum error error = commit_now(coordinator, commit);
    if (error != ERROR_NONE)
        commit_answer(coordinator, commit, error);
}

/* ---- reading ---- */

static struct group_offset view_of(const struct group_offset_entry *entry)
{
    return (struct group_offset){
        .topic = slice_of(entry->topic),
        .partition = entry->partition,
        .offset = entry->offset,
        .leader_epoch = entry->leader_epoch,
        .metadata = slice_from(entry->metadata, entry->metadata_size),
        .commit_timestamp_ms = entry->commit_timestamp_ms,
    };
}

enum error group_offset_find(struct group_coordinator *coordinator, struct slice group_id,
                             struct slice topic, int32_t partition, struct group_offset *ret_offset)
{
    enum error error = group_coordinator_check(coordinator, group_id);
    if (error != ERROR_NONE)
        return error;
    struct group *group = group_find(coordinator, group_id);
    struct group_offset_entry *entry = group == NULL ? NULL : offset_find(group, topic, partition);
    *ret_offset = (struct group_offset){.topic = topic,
                                        .partition = partition,
                                        .offset = -1,
                                        .leader_epoch = -1,
                                        .metadata = SLICE_EMPTY};
    if (entry != NULL)
        *ret_offset = view_of(entry);
    return ERROR_NONE;
}

static int by_topic_and_partition(struct group_offset_entry *a, struct group_offset_entry *b)
{
    int order = strcmp(a->topic, b->topic);
    return order != 0 ? order : (a->partition > b->partition) - (a->partition < b->partition);
}

enum error group_offset_each(struct group_coordinator *coordinator, struct slice group_id,
                             void (*each)(void *context, const struct group_offset *offset),
                             void *context)
{
    enum error error = group_coordinator_check(coordinator, group_id);
    if (error != ERROR_NONE)
        return error;
    struct group *group = group_find(coordinator, group_id);
    if (group == NULL)
        return ERROR_NONE;
    HASH_SORT(group->offsets, by_topic_and_partition);
    for (struct group_offset_entry *entry = group->offsets; entry != NULL; entry = entry->hh.next) {
        struct group_offset view = view_of(entry);
        each(context, &view);
    }
    return ERROR_NONE;
}

/* ---- deleting a group ---- */

static void delete_task(struct task *task)
{
    struct group_delete *deletion = container_of(task, struct group_delete, task);
    deletion->done(deletion);
}

static void delete_stored(struct group_write *write, enum error error)
{
    struct group_delete *deletion = write->context;
    struct group *group = write->group;
    if (error == ERROR_NONE && group->member_count == 0) {
        while (group->offsets != NULL)
            offset_remove(group, group->offsets);
        group->generation_id = 0;
        group->made = false;
    }
    deletion->error = error;
    executor_post(write->coordinator->options.executor, &deletion->task);
}

static enum error delete_now(struct group_coordinator *coordinator, struct group_delete *deletion)
{
    enum error error = group_coordinator_check(coordinator, deletion->group_id);
    if (error != ERROR_NONE)
        return error;
    struct group *group = group_find(coordinator, deletion->group_id);
    if (group == NULL)
        return ERROR_GROUP_ID_NOT_FOUND;
    if (group->member_count > 0 || group->pending != NULL)
        return ERROR_NON_EMPTY_GROUP;
    struct group_write *write = group_write_new(group);
    if (write == NULL)
        return ERROR_COORDINATOR_NOT_AVAILABLE;
    write->context = deletion;
    write->done = delete_stored;
    for (struct group_offset_entry *entry = group->offsets; entry != NULL && error == ERROR_NONE;
         entry = entry->hh.next) {
        struct group_offset view = view_of(entry);
        error = group_write_offset(write, &view, true);
    }
    if (error == ERROR_NONE)
        error = group_write_metadata(write, true);
    if (error != ERROR_NONE) {
        group_write_free(write);
        return ERROR_COORDINATOR_NOT_AVAILABLE;
    }
    group_write_submit(write);
    return ERROR_NONE;
}

void group_delete_start(struct group_coordinator *coordinator, struct group_delete *deletion)
{
    deletion->task.run = delete_task;
    list_init(&deletion->task.link);
    enum error error = delete_now(coordinator, deletion);
    if (error == ERROR_NONE)
        return;
    deletion->error = error;
    executor_post(coordinator->options.executor, &deletion->task);
}
