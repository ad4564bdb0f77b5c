/* SPDX-License-Identifier: Apache-2.0 */
/* Groups as records of __consumer_offsets, in Kafka's own schemas (OffsetCommitKey/Value 1/3,
 * GroupMetadataKey/Value 2/3), both ways. */
#include "group/state.h"

#include "base/assertion.h"
#include "wire/group_records.h"
#include "wire/reader.h"
#include "wire/writer.h"

enum {
    RECORD_OFFSET_COMMIT_OLD = 0,
    RECORD_OFFSET_COMMIT = 1,
    RECORD_GROUP_METADATA = 2,
    OFFSET_VALUE_VERSION = 3,
    METADATA_VALUE_VERSION = 3,
    STORE_ARENA_BYTES = 64 << 20,
};

static const char offsets_topic[] = "__consumer_offsets";

struct group_write *group_write_new(struct group *group)
{
    struct group_write *write = memory_allocate(sizeof *write);
    if (write == NULL)
        return NULL;
    struct batch_options options = batch_options_default();
    batch_builder_init(&write->builder, &options);
    write->coordinator = group->coordinator;
    write->group = group;
    group->writes++;
    group->coordinator->writes++;
    return write;
}

void group_write_free(struct group_write *write)
{
    struct group *group = write->group;
    ASSERT(group->writes > 0);
    group->writes--;
    write->coordinator->writes--;
    batch_builder_done(&write->builder);
    buffer_unref(write->batch);
    memory_free(write);
    group_drop_if_unused(group);
}

/* Both sides of a record are small messages behind an int16. */
static enum error add_record(struct group_write *write, struct arena *arena, struct writer *key,
                             struct writer *value)
{
    struct slice key_bytes = SLICE_NULL;
    struct slice value_bytes = SLICE_NULL;
    enum error error = writer_finish_slice(key, arena, &key_bytes);
    if (value != NULL) {
        enum error value_error = writer_finish_slice(value, arena, &value_bytes);
        if (error == ERROR_NONE)
            error = value_error;
    }
    if (error != ERROR_NONE)
        return error;
    int64_t now_ms = executor_wall_clock_ms(write->coordinator->options.executor);
    return batch_builder_append_next(&write->builder, now_ms, key_bytes, value_bytes);
}

enum error group_write_offset(struct group_write *write, const struct group_offset *offset,
                              bool tombstone)
{
    struct arena arena;
    arena_init(&arena, STORE_ARENA_BYTES);
    struct writer key;
    writer_init(&key);
    write_int16(&key, RECORD_OFFSET_COMMIT);
    struct offset_commit_key key_body = {.group = slice_of(write->group->id),
                                         .topic = offset->topic,
                                         .partition = offset->partition};
    offset_commit_key_encode(&key, 0, &key_body);
    struct writer value;
    if (!tombstone) {
        writer_init(&value);
        write_int16(&value, OFFSET_VALUE_VERSION);
        struct offset_commit_value body;
        offset_commit_value_init(&body);
        body.offset = offset->offset;
        body.leader_epoch = offset->leader_epoch;
        body.metadata = offset->metadata.data == NULL ? SLICE_EMPTY : offset->metadata;
        body.commit_timestamp = offset->commit_timestamp_ms;
        offset_commit_value_encode(&value, OFFSET_VALUE_VERSION, &body);
    }
    enum error error = add_record(write, &arena, &key, tombstone ? NULL : &value);
    arena_done(&arena);
    return error;
}

static enum error fill_value(const struct group *group, struct arena *arena,
                             struct group_metadata_value *value)
{
    group_metadata_value_init(value);
    value->protocol_type = slice_of(group->protocol_type == NULL ? "" : group->protocol_type);
    value->generation = group->generation_id;
    value->protocol = slice_of(group->protocol_name);
    value->leader = slice_of(group->leader_id);
    value->current_state_timestamp = group->state_timestamp_ms;
    value->members = arena_allocate_array(arena, group->member_count, sizeof *value->members);
    if (value->members == NULL)
        return ERROR_OUT_OF_MEMORY;
    list_for_each(link, &group->members)
    {
        const struct group_member *member = container_of(link, struct group_member, link);
        const struct group_protocol *protocol = member_protocol(member, group->protocol_name);
        struct group_metadata_value_member_metadata *stored =
            &value->members[value->members_count++];
        group_metadata_value_member_metadata_init(stored);
        stored->member_id = slice_of(member->id);
        stored->group_instance_id = slice_of(member->instance_id);
        stored->client_id = slice_of(member->client_id);
        stored->client_host = slice_of(member->client_host);
        stored->rebalance_timeout = member->rebalance_timeout_ms;
        stored->session_timeout = member->session_timeout_ms;
        stored->subscription = protocol != NULL ? protocol->metadata : SLICE_EMPTY;
        stored->assignment = member->assignment == NULL
                                 ? SLICE_EMPTY
                                 : slice_from(member->assignment, member->assignment_size);
    }
    return ERROR_NONE;
}

enum error group_write_metadata(struct group_write *write, bool tombstone)
{
    struct group *group = write->group;
    struct arena arena;
    arena_init(&arena, STORE_ARENA_BYTES);
    struct group_metadata_value body;
    enum error error = tombstone ? ERROR_NONE : fill_value(group, &arena, &body);
    if (error == ERROR_NONE) {
        struct writer key;
        struct writer value;
        writer_init(&key);
        write_int16(&key, RECORD_GROUP_METADATA);
        struct group_metadata_key key_body = {.group = slice_of(group->id)};
        group_metadata_key_encode(&key, 0, &key_body);
        if (!tombstone) {
            writer_init(&value);
            write_int16(&value, METADATA_VALUE_VERSION);
            group_metadata_value_encode(&value, METADATA_VALUE_VERSION, &body);
        }
        error = add_record(write, &arena, &key, tombstone ? NULL : &value);
    }
    arena_done(&arena);
    return error;
}

/* What a client is told when the log refused (Kafka: appendGroupMetadataErrorToResponseError). */
static enum error answer_for(enum error error)
{
    switch (error) {
    case ERROR_NONE:
        return ERROR_NONE;
    case ERROR_UNKNOWN_TOPIC_OR_PARTITION:
    case ERROR_NOT_ENOUGH_REPLICAS:
    case ERROR_NOT_ENOUGH_REPLICAS_AFTER_APPEND:
    case ERROR_REQUEST_TIMED_OUT:
        return ERROR_COORDINATOR_NOT_AVAILABLE;
    case ERROR_NOT_LEADER_OR_FOLLOWER:
    case ERROR_STORAGE:
    case ERROR_CLOSING:
        return ERROR_NOT_COORDINATOR;
    case ERROR_DISK_FULL:
        return ERROR_COORDINATOR_NOT_AVAILABLE;
    case ERROR_MESSAGE_TOO_LARGE:
    case ERROR_RECORD_LIST_TOO_LARGE:
        return ERROR_UNKNOWN_SERVER;
    default:
        return error;
    }
}

static void write_done(struct partition_append *append)
{
    struct group_write *write = container_of(append, struct group_write, append);
    write->done(write, answer_for(append->error));
    group_write_free(write);
}

/* Ends a write that never reached the partition, from a clean stack like the others. */
static void write_refused(struct task *task)
{
    write_done(container_of(task, struct partition_append, task));
}

void group_write_submit(struct group_write *write)
{
    struct group_coordinator *coordinator = write->coordinator;
    struct partition_append *append = &write->append;
    struct partition *partition = partition_table_find(
        coordinator->options.partitions, slice_of(offsets_topic), write->group->shard);
    enum error error = partition == NULL
                           ? ERROR_NOT_LEADER_OR_FOLLOWER
                           : batch_builder_finish(&write->builder, NULL, &write->batch);
    if (error == ERROR_NONE)
        error = batch_validate_log(write->batch->data, write->batch->size,
                                   CODEC_DECOMPRESSED_BYTES_MAX, NULL, &append->facts);
    if (error != ERROR_NONE) {
        append->error = error;
        append->task.run = write_refused;
        executor_post(coordinator->options.executor, &append->task);
        return;
    }
    append->batch = write->batch->data;
    append->size = write->batch->size;
    append->acks = -1;
    append->timeout_ms = (int32_t)coordinator->options.config.commit_timeout_ms;
    append->done = write_done;
    partition_append(partition, append);
}

/* ---- from the log ---- */

static enum error apply_offset(struct group_coordinator *coordinator, int32_t shard,
                               struct reader *key_reader, struct arena *arena, struct slice value)
{
    struct offset_commit_key key;
    enum error error = offset_commit_key_decode(key_reader, 0, arena, &key);
    if (error != ERROR_NONE)
        return error;
    struct group *group = group_find(coordinator, key.group);
    if (value.data == NULL) {
        struct group_offset_entry *entry =
            group == NULL ? NULL : offset_find(group, key.topic, key.partition);
        if (entry != NULL)
            offset_remove(group, entry);
        return ERROR_NONE;
    }
    struct reader reader;
    reader_init(&reader, value);
    int16_t version = read_int16(&reader);
    struct offset_commit_value body;
    if (version < 0 || version > 4)
        return ERROR_UNSUPPORTED_VERSION;
    error = offset_commit_value_decode(&reader, version, arena, &body);
    if (error != ERROR_NONE)
        return error;
    if (group == NULL)
        group = group_make(coordinator, key.group);
    if (group == NULL)
        return ERROR_OUT_OF_MEMORY;
    group->shard = shard;
    struct group_offset offset = {.topic = key.topic,
                                  .partition = key.partition,
                                  .offset = body.offset,
                                  .leader_epoch = body.leader_epoch,
                                  .metadata = body.metadata,
                                  .commit_timestamp_ms = body.commit_timestamp};
    error = offset_put(group, &offset);
    struct group_offset_entry *entry = offset_find(group, key.topic, key.partition);
    if (entry != NULL && version == 1)
        entry->expire_timestamp_ms = body.expire_timestamp;
    return error;
}

static enum error load_member(struct group *group,
                              const struct group_metadata_value_member_metadata *stored)
{
    struct group_protocol protocol = {.name = slice_of(group->protocol_name),
                                      .metadata = stored->subscription};
    struct group_join join = {
        .instance_id = stored->group_instance_id,
        .client_id = stored->client_id,
        .client_host = stored->client_host,
        .session_timeout_ms = stored->session_timeout,
        .rebalance_timeout_ms =
            stored->rebalance_timeout > 0 ? stored->rebalance_timeout : stored->session_timeout,
        .protocols = &protocol,
        .protocol_count = group->protocol_name != NULL,
    };
    struct group_member *member = member_new(group, stored->member_id, &join);
    if (member == NULL)
        return ERROR_OUT_OF_MEMORY;
    return member_set_assignment(member, stored->assignment);
}

static void forget_members(struct group *group)
{
    while (!list_empty(&group->members))
        member_free(container_of(group->members.next, struct group_member, link));
}

static bool set_text(char **text, struct slice value)
{
    char *copy = value.data == NULL ? NULL : memory_copy_text(value.data, value.size);
    memory_free(*text);
    *text = copy;
    return copy != NULL || value.data == NULL;
}

/* Deleted: as if it had never been joined. Its offsets have tombstones of their own. */
static void group_forget(struct group *group)
{
    forget_members(group);
    group->generation_id = 0;
    (void)set_text(&group->protocol_type, SLICE_NULL);
    (void)set_text(&group->protocol_name, SLICE_NULL);
    (void)set_text(&group->leader_id, SLICE_NULL);
}

static enum error apply_metadata(struct group_coordinator *coordinator, int32_t shard,
                                 struct reader *key_reader, struct arena *arena, struct slice value)
{
    struct group_metadata_key key;
    enum error error = group_metadata_key_decode(key_reader, 0, arena, &key);
    if (error != ERROR_NONE)
        return error;
    struct group *group = group_find(coordinator, key.group);
    if (value.data == NULL) {
        if (group != NULL)
            group_forget(group);
        return ERROR_NONE;
    }
    struct reader reader;
    reader_init(&reader, value);
    int16_t version = read_int16(&reader);
    struct group_metadata_value body;
    if (version < 0 || version > 4)
        return ERROR_UNSUPPORTED_VERSION;
    error = group_metadata_value_decode(&reader, version, arena, &body);
    if (error != ERROR_NONE)
        return error;
    if (group == NULL)
        group = group_make(coordinator, key.group);
    if (group == NULL)
        return ERROR_OUT_OF_MEMORY;
    group->shard = shard;
    forget_members(group);
    group->generation_id = body.generation;
    group->state_timestamp_ms = body.current_state_timestamp;
    if (!set_text(&group->protocol_type, body.protocol_type) ||
        !set_text(&group->protocol_name, body.protocol) ||
        !set_text(&group->leader_id, body.leader))
        return ERROR_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < body.members_count && error == ERROR_NONE; i++)
        error = load_member(group, &body.members[i]);
    return error;
}

enum error group_store_apply(struct group_coordinator *coordinator, int32_t shard, struct slice key,
                             struct slice value)
{
    struct arena arena;
    arena_init(&arena, STORE_ARENA_BYTES);
    struct reader reader;
    reader_init(&reader, key);
    int16_t kind = read_int16(&reader);
    enum error error = ERROR_UNSUPPORTED_VERSION;
    if (kind == RECORD_OFFSET_COMMIT || kind == RECORD_OFFSET_COMMIT_OLD)
        error = apply_offset(coordinator, shard, &reader, &arena, value);
    else if (kind == RECORD_GROUP_METADATA)
        error = apply_metadata(coordinator, shard, &reader, &arena, value);
    arena_done(&arena);
    return error;
}
