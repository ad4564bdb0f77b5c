/* SPDX-License-Identifier: Apache-2.0 */
/* Taking up a partition of __consumer_offsets: its records are read and applied in steps, so that
 * the rest of the node goes on meanwhile. */
#include "group/state.h"

#include "base/assertion.h"
#include "record/walk.h"

enum { LOAD_STEP_BYTES = 1 << 20, LOAD_RETRY_MS = 10 };

static const char offsets_topic[] = "__consumer_offsets";

/* False when memory was refused: the batch is applied again from its start, which changes nothing
 * of what was. */
static bool apply_batch(struct group_coordinator *coordinator, int32_t shard,
                        const struct batch_header *header, struct codec_context *context)
{
    if (batch_is_control(header))
        return true;
    struct record_walk walk;
    struct record record;
    enum error error = record_walk_init(&walk, header, context, CODEC_DECOMPRESSED_BYTES_MAX);
    while (error != ERROR_OUT_OF_MEMORY && record_walk_next(&walk, &record)) {
        /* Any other error: a record of a newer kind, left for those who know it. */
        if (record.key.data != NULL)
            error = group_store_apply(coordinator, shard, record.key, record.value);
    }
    record_walk_done(&walk);
    return error != ERROR_OUT_OF_MEMORY;
}

/* Reads one slice; false when it could not be read. */
static bool apply_slice(struct group_coordinator *coordinator, int32_t shard,
                        const struct log_slice *slice, bool *ret_damaged)
{
    struct buffer *buffer = buffer_new(slice->size);
    if (buffer == NULL)
        return false;
    bool read = storage_read(slice->file, slice->position, buffer->data, slice->size,
                             &buffer->size) == ERROR_NONE;
    struct codec_context context;
    codec_context_init(&context);
    size_t at = 0;
    struct batch_header header;
    while (read && batch_header_read(buffer->data + at, buffer->size - at, &header) == ERROR_NONE) {
        if (!batch_crc_valid(header.bytes, header.size)) {
            *ret_damaged = true; /* Bits rotted: nothing of it is believed. */
            break;
        }
        if (!apply_batch(coordinator, shard, &header, &context))
            break;
        coordinator->shards[shard].next_offset = batch_last_offset(&header) + 1;
        at += header.size;
    }
    codec_context_done(&context);
    buffer_unref(buffer);
    return at > 0;
}

static void member_sessions_start(struct group_coordinator *coordinator, int32_t shard)
{
    for (struct group *group = coordinator->groups, *next; group != NULL; group = next) {
        next = group->hh.next;
        if (group->shard != shard)
            continue;
        group_become(group, group->member_count > 0 ? GROUP_STABLE : GROUP_EMPTY);
        list_for_each(link, &group->members)
            member_session_restart(container_of(link, struct group_member, link));
        group_drop_if_unused(group);
    }
}

/* One step of one partition. True when the next should follow at once, false to wait a little. */
static bool load_step(struct group_coordinator *coordinator, int32_t index)
{
    struct group_shard *shard = &coordinator->shards[index];
    struct partition *partition =
        partition_table_find(coordinator->options.partitions, slice_of(offsets_topic), index);
    struct partition_offsets offsets = {0};
    enum error error = ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    if (partition != NULL) /* Nothing was ever stored: there is no log to make for that. */
        error = partition_has_log(partition) ? partition_offsets(partition, &offsets) : ERROR_NONE;
    if (error == ERROR_OUT_OF_MEMORY || error == ERROR_DISK_FULL)
        return false;
    if (error != ERROR_NONE) {
        shard->state = SHARD_ABSENT; /* Its clients hear NOT_COORDINATOR. */
        return true;
    }
    if (shard->next_offset < offsets.log_start_offset)
        shard->next_offset = offsets.log_start_offset;
    if (shard->next_offset >= offsets.log_end_offset) {
        shard->state = SHARD_ACTIVE;
        member_sessions_start(coordinator, index);
        return true;
    }
    struct log_slice slice = {0};
    error = partition_read(partition, -1, shard->next_offset, LOAD_STEP_BYTES, true,
                           PARTITION_READ_UNCOMMITTED, &slice, &offsets);
    bool damaged = false;
    bool moved =
        error == ERROR_NONE && slice.size > 0 && apply_slice(coordinator, index, &slice, &damaged);
    log_slice_release(&slice);
    if (damaged)
        error = ERROR_CORRUPT_MESSAGE;
    /* Without its lease a leader reads nothing for now; one that leads no more resigns anyway. */
    bool passes = error == ERROR_OUT_OF_MEMORY || error == ERROR_NOT_LEADER_OR_FOLLOWER;
    if (error != ERROR_NONE && !passes) {
        shard->state = SHARD_ABSENT;
        return true;
    }
    /* Not moved: above the high watermark, until syncs and followers have committed it. */
    return moved;
}

void group_load_due(struct timer *timer)
{
    struct group_coordinator *coordinator =
        container_of(timer, struct group_coordinator, load_timer);
    bool left = false;
    bool at_once = false;
    for (uint32_t i = 0; i < coordinator->shard_count; i++) {
        if (coordinator->shards[i].state != SHARD_LOADING)
            continue;
        at_once = load_step(coordinator, (int32_t)i);
        left = true;
        if (at_once)
            break; /* One step a turn. */
    }
    if (left)
        executor_timer_start(coordinator->options.executor, timer, at_once ? 0 : LOAD_RETRY_MS);
}

bool group_coordinator_loading(const struct group_coordinator *coordinator)
{
    for (uint32_t i = 0; i < coordinator->shard_count; i++) {
        if (coordinator->shards[i].state == SHARD_LOADING)
            return true;
    }
    return false;
}
