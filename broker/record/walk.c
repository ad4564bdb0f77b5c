/* SPDX-License-Identifier: Apache-2.0 */
/* The walk over a batch's records. */
#include "record/walk.h"

#include "base/assertion.h"

enum error record_walk_init(struct record_walk *walk, const struct batch_header *header,
                            struct codec_context *context, size_t decompressed_bytes_max)
{
    *walk = (struct record_walk){
        .base_offset = header->base_offset,
        .base_timestamp = header->base_timestamp,
        .append_timestamp = header->max_timestamp,
        .has_append_timestamp = batch_timestamp_type(header) == TIMESTAMP_APPEND,
        .error = ERROR_NONE,
    };
    struct slice records = batch_records(header);
    bool is_emptied = header->record_count == 0 && records.size == 0; /* By compaction. */
    if (batch_codec(header) != CODEC_NONE && !is_emptied) {
        ASSERT(context != NULL);
        walk->error = codec_decompress(context, batch_codec(header), records,
                                       decompressed_bytes_max, &records);
        if (walk->error != ERROR_NONE)
            return walk->error;
        walk->held = buffer_ref(context->scratch);
    }
    walk->next = records.data;
    walk->end = records.data + records.size;
    walk->left = header->record_count;
    return ERROR_NONE;
}

bool record_walk_next(struct record_walk *walk, struct record *ret_record)
{
    if (walk->error != ERROR_NONE)
        return false;
    if (walk->left <= 0) {
        if (walk->left < 0 || walk->next != walk->end)
            walk->error = ERROR_CORRUPT_MESSAGE;
        return false;
    }
    size_t used = record_read(walk->next, (size_t)(walk->end - walk->next), ret_record);
    if (used == 0) {
        walk->error = ERROR_CORRUPT_MESSAGE;
        return false;
    }
    walk->next += used;
    walk->left--;
    /* Sums wrap as Java's do: hostile deltas must not be undefined behaviour. */
    ret_record->offset = (int64_t)((uint64_t)walk->base_offset + (uint64_t)ret_record->offset);
    if (walk->has_append_timestamp)
        ret_record->timestamp = walk->append_timestamp;
    else
        ret_record->timestamp =
            (int64_t)((uint64_t)walk->base_timestamp + (uint64_t)ret_record->timestamp);
    return true;
}

void record_walk_done(struct record_walk *walk)
{
    buffer_unref(walk->held);
    walk->held = NULL;
    walk->next = walk->end = NULL;
    walk->left = 0;
}

enum { CONTROL_KEY_BYTES = 4, CONTROL_VALUE_BYTES = 6 };
enum { CONTROL_ABORT = 0, CONTROL_COMMIT = 1 };

enum error control_record_read(const struct record *record, struct control_record *ret_control)
{
    struct slice key = record->key, value = record->value;
    if (key.size < CONTROL_KEY_BYTES || (int16_t)load_be16(key.data) < 0)
        return ERROR_CORRUPT_MESSAGE;
    uint16_t type = load_be16(key.data + 2);
    if (type != CONTROL_ABORT && type != CONTROL_COMMIT) {
        *ret_control = (struct control_record){.is_transaction_end = false};
        return ERROR_NONE;
    }
    if (value.size < CONTROL_VALUE_BYTES || (int16_t)load_be16(value.data) < 0)
        return ERROR_CORRUPT_MESSAGE;
    *ret_control = (struct control_record){
        .is_transaction_end = true,
        .is_commit = type == CONTROL_COMMIT,
        .coordinator_epoch = (int32_t)load_be32(value.data + 2),
    };
    return ERROR_NONE;
}
