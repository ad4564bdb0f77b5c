/* SPDX-License-Identifier: Apache-2.0 */
/* Records and what became of them. */
#include "sim/model.h"

#include "base/assertion.h"
#include "sim/simulated_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct model *model_new(void)
{
    return simulation_allocate(sizeof(struct model));
}

void model_free(struct model *model)
{
    for (uint32_t i = 0; i < model->count; i++) {
        free(model->partitions[i]->records);
        free(model->partitions[i]->by_offset);
        free(model->partitions[i]);
    }
    free(model->partitions);
    free(model->catalog_hashes);
    free(model);
}

void model_topic_made(struct model *model, const char *name, const struct uuid *id, int32_t count,
                      bool durable, int64_t retention_bytes)
{
    for (int32_t i = 0; i < count; i++) {
        struct model_partition *partition = simulation_allocate(sizeof *partition);
        model->partitions =
            simulation_resize(model->partitions, (model->count + 1) * sizeof partition);
        partition->uid = model->count;
        (void)snprintf(partition->topic, sizeof partition->topic, "%s", name);
        partition->topic_id = *id;
        partition->index = i;
        partition->durable = durable;
        partition->retention_bytes = retention_bytes;
        model->partitions[model->count++] = partition;
    }
}

void model_topic_gone(struct model *model, const struct uuid *id)
{
    for (uint32_t i = 0; i < model->count; i++) {
        if (uuid_equals(&model->partitions[i]->topic_id, id))
            model->partitions[i]->gone = true;
    }
}

struct model_partition *model_find(struct model *model, const char *topic, int32_t index)
{
    for (uint32_t i = model->count; i-- > 0;) {
        struct model_partition *partition = model->partitions[i];
        if (strcmp(partition->topic, topic) == 0 && partition->index == index)
            return partition->gone ? NULL : partition;
    }
    return NULL;
}

struct model_partition *model_find_id(struct model *model, const struct uuid *id, int32_t index)
{
    for (uint32_t i = model->count; i-- > 0;) {
        struct model_partition *partition = model->partitions[i];
        if (uuid_equals(&partition->topic_id, id) && partition->index == index)
            return partition;
    }
    return NULL;
}

/* ---- records ---- */

uint32_t model_send(struct model_partition *partition, uint32_t producer)
{
    if (partition->records_count == partition->records_capacity) {
        partition->records_capacity = partition->records_capacity * 2 + 16;
        partition->records = simulation_resize(partition->records, partition->records_capacity *
                                                                       sizeof *partition->records);
    }
    partition->records[partition->records_count] =
        (struct model_record){.producer = producer, .offset = -1};
    return partition->records_count++;
}

size_t model_value(const struct model_partition *partition, uint32_t number,
                   uint8_t value[MODEL_VALUE_BYTES_MAX])
{
    uint64_t mixed = random_mix((uint64_t)partition->uid << 32 | number);
    int head = snprintf((char *)value, MODEL_VALUE_BYTES_MAX, "%" PRIu32 "/%" PRIu32 ":",
                        partition->uid, number);
    size_t size = (size_t)head + (mixed % 4 == 0 ? mixed / 16 % 500 : mixed / 16 % 60);
    for (size_t i = (size_t)head; i < size; i++) {
        mixed = random_mix(mixed + i);
        value[i] = (uint8_t)('a' + mixed % 26);
    }
    return size;
}

static void note_offset(struct world *world, struct model_partition *partition, uint32_t number,
                        int64_t offset)
{
    struct model_record *record = &partition->records[number];
    if (record->offset >= 0 && record->offset != offset)
        world_fail(world, "%s-%d: record %u is at offset %" PRId64 " and at %" PRId64,
                   partition->topic, partition->index, number, record->offset, offset);
    while (partition->by_offset_count <= offset) {
        int64_t count = partition->by_offset_count * 2 + 64;
        partition->by_offset =
            simulation_resize(partition->by_offset, (size_t)count * sizeof(int64_t));
        for (int64_t i = partition->by_offset_count; i < count; i++)
            partition->by_offset[i] = -1;
        partition->by_offset_count = count;
    }
    int64_t known = partition->by_offset[offset];
    if (known >= 0 && known != number)
        world_fail(world, "%s-%d: offset %" PRId64 " held record %" PRId64 " and now %u",
                   partition->topic, partition->index, offset, known, number);
    partition->by_offset[offset] = number;
    record->offset = offset;
    if (partition->readable_end < offset + 1)
        partition->readable_end = offset + 1;
}

void model_acknowledged(struct world *world, struct model_partition *partition, uint32_t number,
                        uint32_t count, int64_t base_offset)
{
    if (base_offset < 0)
        world_fail(world, "%s-%d: acknowledged at offset %" PRId64, partition->topic,
                   partition->index, base_offset);
    for (uint32_t i = 0; i < count; i++) {
        note_offset(world, partition, number + i, base_offset + i);
        partition->records[number + i].acknowledged = true;
        world->acknowledged++;
    }
    world_trace(world, partition->uid, number, (uint64_t)base_offset);
}

uint32_t model_read(struct world *world, struct model_partition *partition, int64_t offset,
                    struct slice value)
{
    uint32_t uid, number;
    char head[32] = "";
    memcpy(head, value.data, value.size < sizeof head - 1 ? value.size : sizeof head - 1);
    uint8_t expected[MODEL_VALUE_BYTES_MAX];
    if (sscanf(head, "%" SCNu32 "/%" SCNu32 ":", &uid, &number) != 2)
        world_fail(world, "%s-%d: offset %" PRId64 " holds what nobody sent", partition->topic,
                   partition->index, offset);
    if (uid != partition->uid || number >= partition->records_count)
        world_fail(world, "%s-%d (%u): offset %" PRId64 " holds record %u of partition %u",
                   partition->topic, partition->index, partition->uid, offset, number, uid);
    size_t size = model_value(partition, number, expected);
    if (size != value.size || memcmp(value.data, expected, size) != 0)
        world_fail(world, "%s-%d: record %u at offset %" PRId64 " has changed", partition->topic,
                   partition->index, number, offset);
    note_offset(world, partition, number, offset);
    world->observed++;
    world_trace(world, uid, number, (uint64_t)offset);
    return number;
}

void model_told(struct world *world, struct model_partition *partition, int64_t high_watermark,
                int64_t log_start)
{
    if (high_watermark < 0)
        return;
    if (high_watermark < partition->high_watermark)
        world_fail(world, "%s-%d: the high watermark went from %" PRId64 " back to %" PRId64,
                   partition->topic, partition->index, partition->high_watermark, high_watermark);
    partition->high_watermark = high_watermark;
    if (log_start > high_watermark)
        world_fail(world, "%s-%d: the log starts at %" PRId64 ", above its high watermark %" PRId64,
                   partition->topic, partition->index, log_start, high_watermark);
    if (log_start < partition->log_start)
        world_fail(world, "%s-%d: the log start went from %" PRId64 " back to %" PRId64,
                   partition->topic, partition->index, partition->log_start, log_start);
    if (log_start > partition->delete_asked && partition->retention_bytes < 0)
        world_fail(world, "%s-%d: the log starts at %" PRId64 " though nobody asked for it",
                   partition->topic, partition->index, log_start);
    partition->log_start = log_start;
}

/* ---- the node's lives ---- */

void model_restarted(struct model *model)
{
    for (uint32_t i = 0; i < model->count; i++) {
        struct model_partition *partition = model->partitions[i];
        partition->high_watermark = 0;
        /* Seen, but not promised before it is in the checkpoint. */
        partition->log_start = partition->delete_acknowledged;
    }
}

void model_cut(struct model_partition *partition, int64_t end_offset)
{
    for (uint32_t i = 0; i < partition->records_count; i++) {
        struct model_record *record = &partition->records[i];
        if (record->offset < end_offset)
            continue;
        partition->by_offset[record->offset] = -1;
        record->offset = -1;
        record->acknowledged = false;
    }
    if (partition->readable_end > end_offset)
        partition->readable_end = end_offset;
    if (partition->delete_acknowledged > end_offset)
        partition->delete_acknowledged = end_offset;
    if (partition->log_start > end_offset)
        partition->log_start = end_offset;
}

/* One producer's records come in the order it sent them. */
static void check_order(struct world *world, struct model_partition *partition, int64_t start,
                        int64_t end)
{
    int64_t last[WORLD_PRODUCERS];
    for (int i = 0; i < WORLD_PRODUCERS; i++)
        last[i] = -1;
    for (int64_t offset = start; offset < end; offset++) {
        int64_t number = partition->by_offset[offset];
        ASSERT(number >= 0);
        uint32_t producer = partition->records[number].producer;
        if (number <= last[producer])
            world_fail(world, "%s-%d: record %" PRId64 " of producer %u comes behind %" PRId64,
                       partition->topic, partition->index, number, producer, last[producer]);
        last[producer] = number;
    }
}

void model_check_whole(struct world *world, struct model_partition *partition, int64_t start,
                       int64_t end)
{
    check_order(world, partition, start, end);
    for (uint32_t i = 0; i < partition->records_count; i++) {
        const struct model_record *record = &partition->records[i];
        bool was_readable = record->acknowledged || record->offset >= 0;
        if (was_readable && record->offset >= start && record->pass != world->model->pass)
            world_fail(world,
                       "%s-%d: record %u, %s at offset %" PRId64 ", is lost (log %" PRId64
                       " to %" PRId64 ")",
                       partition->topic, partition->index, i,
                       record->acknowledged ? "acknowledged" : "read", record->offset, start, end);
    }
}

void model_catalog_applied(struct world *world, int64_t index, uint64_t hash)
{
    struct model *model = world->model;
    if (index >= model->catalog_count) {
        int64_t count = index * 2 + 64;
        model->catalog_hashes =
            simulation_resize(model->catalog_hashes, (size_t)count * sizeof(uint64_t));
        memset(model->catalog_hashes + model->catalog_count, 0,
               (size_t)(count - model->catalog_count) * sizeof(uint64_t));
        model->catalog_count = count;
    }
    world_trace(world, (uint64_t)index, hash, 0);
    if (model->catalog_hashes[index] != 0 && model->catalog_hashes[index] != hash)
        world_fail(world, "the catalog after command %" PRId64 " is not what it was", index);
    model->catalog_hashes[index] = hash;
    if (index > model->catalog_last)
        model->catalog_last = index;
}
