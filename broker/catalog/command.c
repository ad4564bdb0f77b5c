/* SPDX-License-Identifier: Apache-2.0 */
/* Commands as flat bytes.
 *
 *   version 1 | kind 1 | idempotence id 16 | proposer's wall clock 8 | fields of the kind
 *
 * A decoder takes every version up to its own; fields are only ever added behind the others. */
#include "base/arena.h"
#include "base/memory.h"
#include "catalog/fields.h"

/* Version 1 was the single node's: nodes, fencing and partitions had fewer fields. */
enum {
    COMMAND_VERSION = 2,
    ASSIGNMENT_BYTES_LEAST = 1,
    PAIR_BYTES_LEAST = 4,
    PARTITION_NAME_BYTES = UUID_BYTES + 4
};

static void write_assignments(struct bytes_writer *writer, const struct catalog_command *command)
{
    put_u32(writer, command->assignment_count);
    for (uint32_t i = 0; i < command->assignment_count; i++)
        write_ids(writer, command->assignments[i].replicas, command->assignments[i].replica_count);
}

static void write_partition_names(struct bytes_writer *writer,
                                  const struct catalog_command *command)
{
    put_u32(writer, command->partition_count);
    for (uint32_t i = 0; i < command->partition_count; i++) {
        put_uuid(writer, &command->partitions[i].topic_id);
        put_u32(writer, (uint32_t)command->partitions[i].index);
    }
}

/* The wanted in-sync replicas, each with its registration. */
static void write_isr(struct bytes_writer *writer, const struct catalog_command *command)
{
    const struct catalog_partition *partition = &command->partition;
    put_u32(writer, (uint32_t)partition->leader_epoch);
    put_u32(writer, (uint32_t)partition->partition_epoch);
    put_u8(writer, partition->recovering);
    write_ids(writer, partition->isr, partition->isr_count);
    for (uint32_t i = 0; i < partition->isr_count && i < CATALOG_REPLICAS_MAX; i++)
        put_u64(writer, (uint64_t)command->isr_epochs[i]);
}

static void read_isr(struct bytes_reader *reader, struct catalog_command *command)
{
    struct catalog_partition *partition = &command->partition;
    partition->leader_epoch = (int32_t)take_u32(reader);
    partition->partition_epoch = (int32_t)take_u32(reader);
    partition->recovering = take_flag(reader);
    read_ids(reader, partition->isr, &partition->isr_count);
    for (uint32_t i = 0; i < partition->isr_count; i++)
        command->isr_epochs[i] = (int64_t)take_u64(reader);
}

/* What a decode works with. */
struct decode {
    struct bytes_reader reader;
    struct arena *arena;
    uint8_t version;
    bool refused; /* The arena. */
};

static void *decode_allocate(struct decode *decode, uint32_t count, size_t size)
{
    void *granted = arena_allocate_array(decode->arena, count, size);
    decode->refused = decode->refused || granted == NULL;
    return granted;
}

static void read_assignments(struct decode *decode, struct catalog_command *command)
{
    struct bytes_reader *reader = &decode->reader;
    uint32_t count = take_count(reader, ASSIGNMENT_BYTES_LEAST);
    if (count > CATALOG_COMMAND_PARTITIONS_MAX)
        reader->failed = true;
    if (reader->failed || count == 0)
        return;
    struct catalog_assignment *assignments = decode_allocate(decode, count, sizeof *assignments);
    if (assignments == NULL)
        return;
    for (uint32_t i = 0; i < count; i++)
        read_ids(reader, assignments[i].replicas, &assignments[i].replica_count);
    command->assignments = assignments;
    command->assignment_count = count;
}

static void read_partition_names(struct decode *decode, struct catalog_command *command)
{
    struct bytes_reader *reader = &decode->reader;
    uint32_t count = take_count(reader, PARTITION_NAME_BYTES);
    if (count > CATALOG_COMMAND_PARTITIONS_MAX)
        reader->failed = true;
    if (reader->failed || count == 0)
        return;
    struct catalog_partition_name *names = decode_allocate(decode, count, sizeof *names);
    if (names == NULL)
        return;
    for (uint32_t i = 0; i < count; i++) {
        names[i].topic_id = take_uuid(reader);
        names[i].index = (int32_t)take_u32(reader);
    }
    command->partitions = names;
    command->partition_count = count;
}

static void write_pairs(struct bytes_writer *writer, const struct catalog_command *command)
{
    put_u32(writer, command->pair_count);
    for (uint32_t i = 0; i < command->pair_count; i++) {
        put_string(writer, command->pairs[i].key);
        put_string(writer, command->pairs[i].value);
    }
}

/* Copied, so that a NUL is behind it. */
static struct slice read_terminated(struct decode *decode, bool nullable)
{
    struct bytes_reader ahead = decode->reader;
    if (nullable && slice_is_null(take_string(&ahead))) {
        decode->reader = ahead;
        return SLICE_NULL;
    }
    struct slice copy = arena_copy(decode->arena, read_text(&decode->reader));
    decode->refused = decode->refused || slice_is_null(copy);
    return copy;
}

static void read_pairs(struct decode *decode, struct catalog_command *command)
{
    uint32_t count = take_count(&decode->reader, PAIR_BYTES_LEAST);
    if (count == 0)
        return;
    struct catalog_pair *pairs = decode_allocate(decode, count, sizeof *pairs);
    if (pairs == NULL)
        return;
    for (uint32_t i = 0; i < count; i++) {
        pairs[i].key = read_terminated(decode, false);
        pairs[i].value = read_terminated(decode, true);
    }
    command->pairs = pairs;
    command->pair_count = count;
}

static void write_fields(struct bytes_writer *writer, const struct catalog_command *command)
{
    switch (command->kind) {
    case CATALOG_CLUSTER_INIT:
        put_uuid(writer, &command->cluster_id);
        break;
    case CATALOG_NODE_REGISTER:
        write_node(writer, &command->node);
        put_u8(writer, command->clean);
        break;
    case CATALOG_NODE_FENCE:
        put_u32(writer, (uint32_t)command->node_id);
        put_u8(writer, command->fenced);
        put_u64(writer, (uint64_t)command->node_epoch);
        break;
    case CATALOG_NODE_SHUTDOWN:
        put_u32(writer, (uint32_t)command->node_id);
        put_u64(writer, (uint64_t)command->node_epoch);
        break;
    case CATALOG_NODE_DRAIN:
        put_u32(writer, (uint32_t)command->node_id);
        put_u8(writer, command->draining);
        break;
    case CATALOG_NODE_UNREGISTER:
    case CATALOG_PRODUCER_IDS:
        put_u32(writer, (uint32_t)command->node_id);
        break;
    case CATALOG_TOPIC_CREATE:
        put_string(writer, command->topic_name);
        put_uuid(writer, &command->topic_id);
        write_assignments(writer, command);
        write_pairs(writer, command);
        break;
    case CATALOG_TOPIC_DELETE:
        put_uuid(writer, &command->topic_id);
        break;
    case CATALOG_PARTITIONS_ADD:
        put_uuid(writer, &command->topic_id);
        put_u32(writer, command->expected_count);
        write_assignments(writer, command);
        break;
    case CATALOG_CONFIG_SET:
        put_u8(writer, (uint8_t)command->resource);
        put_string(writer, command->resource_name);
        write_pairs(writer, command);
        break;
    case CATALOG_FEATURE_SET:
        put_string(writer, command->feature);
        put_u16(writer, (uint16_t)command->feature_level);
        break;
    case CATALOG_ISR_CHANGE:
        put_uuid(writer, &command->topic_id);
        put_u32(writer, (uint32_t)command->partition.index);
        put_u32(writer, (uint32_t)command->node_id);
        write_isr(writer, command);
        break;
    case CATALOG_ELECT_LEADERS:
        put_u8(writer, command->unclean);
        write_partition_names(writer, command);
        break;
    case CATALOG_REASSIGN:
        put_uuid(writer, &command->topic_id);
        put_u32(writer, (uint32_t)command->partition.index);
        write_assignments(writer, command);
        break;
    case CATALOG_NODE_ID_TAKE:
        break;
    }
}

enum error catalog_command_encode(const struct catalog_command *command, uint8_t **ret_bytes,
                                  size_t *ret_size)
{
    struct bytes_writer writer = {.data = NULL};
    put_u8(&writer, COMMAND_VERSION);
    put_u8(&writer, (uint8_t)command->kind);
    put_uuid(&writer, &command->id);
    put_u64(&writer, (uint64_t)command->wall_clock_ms);
    if (command->assignment_count > CATALOG_COMMAND_PARTITIONS_MAX ||
        command->partition_count > CATALOG_COMMAND_PARTITIONS_MAX)
        writer.failed = true;
    else
        write_fields(&writer, command);
    if (writer.failed || writer.size > CATALOG_COMMAND_BYTES_MAX) {
        memory_free(writer.data);
        return writer.refused ? ERROR_OUT_OF_MEMORY : ERROR_TOO_LARGE;
    }
    *ret_bytes = writer.data;
    *ret_size = writer.size;
    return ERROR_NONE;
}

/* Of kinds that version 1 did not have. */
static enum error read_later_fields(struct decode *decode, struct catalog_command *command)
{
    struct bytes_reader *reader = &decode->reader;
    if (decode->version < 2)
        return ERROR_UNSUPPORTED_VERSION;
    switch (command->kind) {
    case CATALOG_NODE_SHUTDOWN:
        command->node_id = (int32_t)take_u32(reader);
        command->node_epoch = (int64_t)take_u64(reader);
        return ERROR_NONE;
    case CATALOG_NODE_DRAIN:
        command->node_id = (int32_t)take_u32(reader);
        command->draining = take_flag(reader);
        return ERROR_NONE;
    case CATALOG_ISR_CHANGE:
        command->topic_id = take_uuid(reader);
        command->partition.index = (int32_t)take_u32(reader);
        command->node_id = (int32_t)take_u32(reader);
        read_isr(reader, command);
        return ERROR_NONE;
    case CATALOG_ELECT_LEADERS:
        command->unclean = take_flag(reader);
        read_partition_names(decode, command);
        return ERROR_NONE;
    case CATALOG_REASSIGN:
        command->topic_id = take_uuid(reader);
        command->partition.index = (int32_t)take_u32(reader);
        read_assignments(decode, command);
        return ERROR_NONE;
    case CATALOG_NODE_ID_TAKE:
        return ERROR_NONE;
    default:
        return ERROR_UNSUPPORTED_VERSION;
    }
}

static enum error read_fields(struct decode *decode, struct catalog_command *command)
{
    struct bytes_reader *reader = &decode->reader;
    switch (command->kind) {
    case CATALOG_CLUSTER_INIT:
        command->cluster_id = take_uuid(reader);
        return ERROR_NONE;
    case CATALOG_NODE_REGISTER:
        read_node(reader, decode->version, &command->node);
        /* A registration of before loses nothing: there was one node, and it stays what it was. */
        command->clean = decode->version < 2 || take_flag(reader);
        return ERROR_NONE;
    case CATALOG_NODE_FENCE:
        command->node_id = (int32_t)take_u32(reader);
        command->fenced = take_flag(reader);
        if (decode->version >= 2)
            command->node_epoch = (int64_t)take_u64(reader);
        return ERROR_NONE;
    case CATALOG_NODE_UNREGISTER:
    case CATALOG_PRODUCER_IDS:
        command->node_id = (int32_t)take_u32(reader);
        return ERROR_NONE;
    case CATALOG_TOPIC_CREATE:
        command->topic_name = read_text(reader);
        command->topic_id = take_uuid(reader);
        read_assignments(decode, command);
        read_pairs(decode, command);
        return ERROR_NONE;
    case CATALOG_TOPIC_DELETE:
        command->topic_id = take_uuid(reader);
        return ERROR_NONE;
    case CATALOG_PARTITIONS_ADD:
        command->topic_id = take_uuid(reader);
        command->expected_count = take_u32(reader);
        read_assignments(decode, command);
        return ERROR_NONE;
    case CATALOG_CONFIG_SET:
        command->resource = (enum catalog_resource)take_u8(reader);
        command->resource_name = read_text(reader);
        read_pairs(decode, command);
        return ERROR_NONE;
    case CATALOG_FEATURE_SET:
        command->feature = read_text(reader);
        command->feature_level = (int16_t)take_u16(reader);
        return ERROR_NONE;
    default:
        return read_later_fields(decode, command);
    }
}

enum error catalog_command_decode(const uint8_t *bytes, size_t size, struct arena *arena,
                                  struct catalog_command *ret_command)
{
    struct decode decode = {.reader = {.at = bytes, .end = bytes + size}, .arena = arena};
    struct bytes_reader *reader = &decode.reader;
    struct catalog_command command = {.kind = 0};
    decode.version = take_u8(reader);
    command.kind = (enum catalog_command_kind)take_u8(reader);
    command.id = take_uuid(reader);
    command.wall_clock_ms = (int64_t)take_u64(reader);
    if (reader->failed || size > CATALOG_COMMAND_BYTES_MAX)
        return ERROR_MALFORMED;
    if (decode.version == 0 || decode.version > COMMAND_VERSION)
        return ERROR_UNSUPPORTED_VERSION;
    enum error error = read_fields(&decode, &command);
    if (error != ERROR_NONE)
        return error;
    if (decode.refused)
        return ERROR_OUT_OF_MEMORY;
    if (reader->failed || reader->at != reader->end)
        return ERROR_MALFORMED;
    *ret_command = command;
    return ERROR_NONE;
}
