/* SPDX-License-Identifier: Apache-2.0 */
/* Reading everything: as log, by batches, and as text, the way a partition file is read; the two
 * must be one. */
#include "sim/clients.h"

#include "base/assertion.h"
#include "record/walk.h"
#include "sim/simulated_file.h"

#include <inttypes.h>
#include <stdlib.h>

static void read_error(struct world *world, const struct model_partition *partition,
                       const char *what, enum error error)
{
    if (!partition->rotten)
        world_fail(world, "%s-%d: %s: %s", partition->topic, partition->index, what,
                   error_text(error));
}

/* False when the partition cannot be read (rot). */
static bool read_log(struct world *world, struct model_partition *partition,
                     struct partition *local, const struct partition_offsets *offsets)
{
    int64_t offset = offsets->log_start_offset;
    while (offset < offsets->high_watermark) {
        struct log_slice slice = {0};
        struct partition_offsets now;
        size_t limit = (size_t)random_between(&world->random, 1, 5000);
        enum error error = partition_read(local, -1, offset, limit, true,
                                          PARTITION_READ_UNCOMMITTED, &slice, &now);
        if (error != ERROR_NONE) {
            read_error(world, partition, "reading", error);
            return false;
        }
        uint8_t *bytes = simulation_allocate(slice.size);
        size_t size = 0;
        error = storage_read(slice.file, slice.position, bytes, slice.size, &size);
        if (error != ERROR_NONE)
            world_fail(world, "%s-%d: reading: %s", partition->topic, partition->index,
                       error_text(error));
        int64_t next = batches_read(world, partition, offset, bytes, size);
        free(bytes);
        log_slice_release(&slice);
        if (next == offset) {
            read_error(world, partition, "a read gives nothing", ERROR_NONE);
            return false;
        }
        offset = next;
    }
    if (offset != offsets->high_watermark)
        read_error(world, partition, "the log ends beyond the high watermark", ERROR_NONE);
    return true;
}

/* ---- text ---- */

struct text_reader {
    struct world *world;
    struct model_partition *partition;
    struct log *log;
    uint64_t position; /* Of the next line. */
    int64_t offset;    /* Of its record. */
};

static void text_fail(const struct text_reader *reader, const char *what)
{
    world_fail(reader->world, "%s-%d: text at position %" PRIu64 ", offset %" PRId64 ": %s",
               reader->partition->topic, reader->partition->index, reader->position, reader->offset,
               what);
}

/* A line of the text is the value of the record that the log view has there. */
static void text_line(struct text_reader *reader, const struct record *record)
{
    if (record->offset != reader->offset)
        text_fail(reader, "another record");
    int64_t number = reader->partition->by_offset[record->offset];
    uint8_t expected[MODEL_VALUE_BYTES_MAX];
    if (number < 0)
        text_fail(reader, "a record the log view does not have");
    size_t size = model_value(reader->partition, (uint32_t)number, expected);
    if (size != record->value.size || memcmp(expected, record->value.data, size) != 0)
        text_fail(reader, "another value than the log view's");
    uint64_t position;
    enum error error = log_text_of_offset(reader->log, record->offset, &position);
    if (error != ERROR_NONE || position != reader->position)
        text_fail(reader, "log_text_of_offset says otherwise");
    reader->position += size + 1;
    reader->offset++;
}

/* Walks one slice whose first record is at `text_position`. */
static void text_slice(struct text_reader *reader, const uint8_t *bytes, size_t size,
                       uint64_t text_position)
{
    struct codec_context context;
    codec_context_init(&context);
    struct batch_header header;
    size_t at = 0;
    while (batch_header_read(bytes + at, size - at, &header) == ERROR_NONE) {
        struct record_walk walk;
        struct record record;
        (void)record_walk_init(&walk, &header, &context, CODEC_DECOMPRESSED_BYTES_MAX);
        while (record_walk_next(&walk, &record)) {
            if (record.offset < reader->offset) {
                text_position += record.value.size + 1;
                continue;
            }
            if (record.offset == reader->offset && text_position != reader->position)
                text_fail(reader, "not where the lines before it end");
            text_line(reader, &record);
            text_position = reader->position;
        }
        record_walk_done(&walk);
        at += header.size;
    }
    codec_context_done(&context);
    if (at != size)
        text_fail(reader, "a slice that does not end with a batch");
}

static void read_text(struct world *world, struct model_partition *partition,
                      struct partition *local, const struct partition_offsets *offsets)
{
    struct text_reader reader = {
        .world = world, .partition = partition, .offset = offsets->log_start_offset};
    enum error error = partition_log(local, &reader.log);
    ASSERT(error == ERROR_NONE);
    uint64_t end = log_text_end(reader.log);
    reader.position = log_text_start(reader.log);
    while (reader.position < end) {
        struct log_text_location location = {0};
        error = log_text_locate(reader.log, reader.position, &location);
        if (error != ERROR_NONE)
            text_fail(&reader, error_text(error));
        uint64_t before = reader.position;
        uint8_t *bytes = simulation_allocate(location.slice.size);
        size_t size = 0;
        if (location.slice.size > 0)
            error = storage_read(location.slice.file, location.slice.position, bytes,
                                 location.slice.size, &size);
        if (error != ERROR_NONE)
            text_fail(&reader, error_text(error));
        text_slice(&reader, bytes, size, location.text_position);
        free(bytes);
        log_slice_release(&location.slice);
        if (reader.position == before)
            text_fail(&reader, "nothing there");
    }
    if (reader.position != end)
        text_fail(&reader, "the text's size is another");
    if (reader.offset != offsets->high_watermark)
        text_fail(&reader, "the text ends before the log");
}

/* ---- all of it ---- */

static void read_partition(struct world *world, struct model_partition *partition)
{
    struct partition *local = node_partition(&world->node, partition->topic, partition->index);
    if (local == NULL)
        world_fail(world, "%s-%d is gone", partition->topic, partition->index);
    struct uuid id = partition_topic_id(local);
    if (!uuid_equals(&id, &partition->topic_id))
        world_fail(world, "%s-%d is of another topic", partition->topic, partition->index);
    struct partition_offsets offsets;
    enum error error = partition_offsets(local, &offsets);
    if (error != ERROR_NONE) {
        read_error(world, partition, "its offsets", error);
        return;
    }
    model_told(world, partition, offsets.high_watermark, offsets.log_start_offset);
    if (offsets.log_start_offset < partition->delete_acknowledged)
        world_fail(world,
                   "%s-%d: records below %" PRId64 " were deleted, the log starts at %" PRId64,
                   partition->topic, partition->index, partition->delete_acknowledged,
                   offsets.log_start_offset);
    world_say(world, "read %s-%d (%u) %" PRId64 " to %" PRId64, partition->topic, partition->index,
              partition->uid, offsets.log_start_offset, offsets.high_watermark);
    bool whole = read_log(world, partition, local, &offsets);
    if (partition->rotten || !whole)
        return;
    if (partition->readable_end > offsets.high_watermark)
        world_fail(world, "%s-%d: offset %" PRId64 " was readable, the high watermark is %" PRId64,
                   partition->topic, partition->index, partition->readable_end - 1,
                   offsets.high_watermark);
    model_check_whole(world, partition, offsets.log_start_offset, offsets.high_watermark);
    read_text(world, partition, local, &offsets);
    struct log *log;
    error = partition_log(local, &log);
    if (error == ERROR_NONE && partition->durable && partition->retention_bytes >= 0 &&
        offsets.log_start_offset > partition->delete_asked &&
        log_size_bytes(log) < partition->retention_bytes)
        world_fail(world, "%s-%d: retention left %" PRId64 " of %" PRId64 " bytes",
                   partition->topic, partition->index, log_size_bytes(log),
                   partition->retention_bytes);
}

void world_read_all(struct world *world)
{
    world->model->pass++;
    for (uint32_t i = 0; i < world->model->count; i++) {
        if (!world->model->partitions[i]->gone)
            read_partition(world, world->model->partitions[i]);
    }
}
