/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes, partitions and lists of node ids as bytes. */
#include "catalog/fields.h"

void write_ids(struct bytes_writer *writer, const int32_t *ids, uint32_t count)
{
    if (count > CATALOG_REPLICAS_MAX) {
        writer->failed = true;
        return;
    }
    put_u8(writer, (uint8_t)count);
    for (uint32_t i = 0; i < count; i++)
        put_u32(writer, (uint32_t)ids[i]);
}

void read_ids(struct bytes_reader *reader, int32_t ret_ids[CATALOG_REPLICAS_MAX],
              uint32_t *ret_count)
{
    uint32_t count = take_u8(reader);
    if (count > CATALOG_REPLICAS_MAX)
        reader->failed = true;
    if (reader->failed)
        count = 0;
    for (uint32_t i = 0; i < count; i++)
        ret_ids[i] = (int32_t)take_u32(reader);
    *ret_count = count;
}

struct slice read_text(struct bytes_reader *reader)
{
    struct slice text = take_string(reader);
    if (slice_is_null(text) || memchr(text.data, '\0', text.size) != NULL) {
        reader->failed = true;
        return SLICE_EMPTY;
    }
    return text;
}

static void read_text_into(struct bytes_reader *reader, char *ret_text, size_t room)
{
    struct slice text = read_text(reader);
    if (text.size >= room) {
        reader->failed = true;
        return;
    }
    memcpy(ret_text, text.data, text.size);
    ret_text[text.size] = '\0';
}

void write_node(struct bytes_writer *writer, const struct catalog_node *node)
{
    put_u32(writer, (uint32_t)node->id);
    put_u64(writer, (uint64_t)node->epoch);
    put_string(writer, slice_of(node->host));
    put_u32(writer, (uint32_t)node->port);
    put_string(writer, slice_of(node->rack));
    put_u8(writer, node->fenced);
    put_u8(writer, node->draining);
    put_uuid(writer, &node->incarnation_id);
    put_uuid(writer, &node->directory_id);
    put_u64(writer, (uint64_t)node->registered_ms);
    put_u8(writer, node->shutting_down);
    put_u8(writer, node->sync_default);
}

void read_node(struct bytes_reader *reader, uint8_t version, struct catalog_node *ret_node)
{
    ret_node->id = (int32_t)take_u32(reader);
    ret_node->epoch = (int64_t)take_u64(reader);
    read_text_into(reader, ret_node->host, sizeof ret_node->host);
    ret_node->port = (int32_t)take_u32(reader);
    read_text_into(reader, ret_node->rack, sizeof ret_node->rack);
    ret_node->fenced = take_flag(reader);
    ret_node->draining = take_flag(reader);
    ret_node->incarnation_id = take_uuid(reader);
    ret_node->directory_id = take_uuid(reader);
    ret_node->registered_ms = (int64_t)take_u64(reader);
    if (version < 2)
        return;
    ret_node->shutting_down = take_flag(reader);
    ret_node->sync_default = take_flag(reader);
}

void write_partition(struct bytes_writer *writer, const struct catalog_partition *partition)
{
    put_u32(writer, (uint32_t)partition->leader);
    put_u32(writer, (uint32_t)partition->leader_epoch);
    put_u32(writer, (uint32_t)partition->partition_epoch);
    write_ids(writer, partition->replicas, partition->replica_count);
    write_ids(writer, partition->isr, partition->isr_count);
    write_ids(writer, partition->elr, partition->elr_count);
    write_ids(writer, partition->adding, partition->adding_count);
    write_ids(writer, partition->removing, partition->removing_count);
    put_u8(writer, partition->recovering);
}

void read_partition(struct bytes_reader *reader, uint8_t version,
                    struct catalog_partition *ret_partition)
{
    ret_partition->leader = (int32_t)take_u32(reader);
    ret_partition->leader_epoch = (int32_t)take_u32(reader);
    ret_partition->partition_epoch = (int32_t)take_u32(reader);
    read_ids(reader, ret_partition->replicas, &ret_partition->replica_count);
    read_ids(reader, ret_partition->isr, &ret_partition->isr_count);
    read_ids(reader, ret_partition->elr, &ret_partition->elr_count);
    read_ids(reader, ret_partition->adding, &ret_partition->adding_count);
    read_ids(reader, ret_partition->removing, &ret_partition->removing_count);
    ret_partition->recovering = version >= 2 && take_flag(reader);
}
