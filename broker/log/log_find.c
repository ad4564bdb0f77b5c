/* SPDX-License-Identifier: Apache-2.0 */
/* Records by timestamp: the time index leads near, a walk finds the record. */
#include "log/log_state.h"

#include "base/memory.h"
#include "record/walk.h"

/* The first record of one batch, at or above `offset_min`, whose timestamp is >= `timestamp`. */
static enum error find_in_batch(struct segment *segment, uint64_t position,
                                const struct batch_header *header, int64_t timestamp,
                                int64_t offset_min, struct log_found *ret_found)
{
    uint8_t *bytes;
    struct batch_header whole;
    enum error error = segment_read_batch(segment, position, header->size, &bytes, &whole);
    if (error != ERROR_NONE)
        return error;
    struct codec_context context;
    codec_context_init(&context);
    struct record_walk walk;
    struct record record;
    error = record_walk_init(&walk, &whole, &context, CODEC_DECOMPRESSED_BYTES_MAX);
    if (error == ERROR_NONE) {
        while (record_walk_next(&walk, &record)) {
            if (record.timestamp < timestamp || record.offset < offset_min)
                continue;
            *ret_found = (struct log_found){record.offset, record.timestamp, whole.leader_epoch};
            break;
        }
        error = walk.error;
    }
    record_walk_done(&walk);
    codec_context_done(&context);
    memory_free(bytes);
    return error;
}

/* Where to begin: every batch before the entry's has smaller timestamps. */
static enum error position_before(struct segment *segment, int64_t timestamp, uint64_t limit,
                                  uint64_t *ret_position)
{
    *ret_position = 0;
    uint8_t entry[TIME_ENTRY_BYTES];
    bool found;
    enum error error = sparse_index_floor(&segment->times, &segment->place, TIME_KEY_TIMESTAMP,
                                          timestamp - 1, entry, &found);
    if (error != ERROR_NONE || !found)
        return error;
    struct batch_header header;
    error = segment_find_offset(segment,
                                segment->place.base_offset + time_entry_read(entry).last_offset,
                                limit, &header, ret_position);
    return error == ERROR_NOT_FOUND ? ERROR_NONE : error;
}

static enum error find_in_segment(struct log *log, struct segment *segment, int64_t timestamp,
                                  struct log_found *ret_found)
{
    uint64_t limit = log_read_end(log, segment, LOG_READ_VISIBLE);
    uint64_t position;
    enum error error = position_before(segment, timestamp, limit, &position);
    struct segment_scan scan;
    segment_scan_init(&scan, segment, position, limit, segment->place.base_offset);
    while (error == ERROR_NONE && ret_found->offset < 0) {
        struct batch_header header;
        error = segment_scan_next(&scan, &header, &position);
        if (error == ERROR_NONE && header.max_timestamp >= timestamp &&
            batch_last_offset(&header) >= log->start_offset && !batch_is_control(&header))
            error =
                find_in_batch(segment, position, &header, timestamp, log->start_offset, ret_found);
    }
    return error == ERROR_NOT_FOUND ? ERROR_NONE : error;
}

enum error log_find_timestamp(struct log *log, int64_t timestamp, struct log_found *ret_found)
{
    struct log_found found = {.offset = -1, .timestamp = -1, .leader_epoch = -1};
    for (uint32_t i = 0; i < log->segment_count && found.offset < 0; i++) {
        struct segment *segment = log->segments[i];
        int64_t largest;
        int64_t offset;
        enum error error = segment_largest_timestamp(segment, &largest, &offset);
        if (error == ERROR_NONE && largest >= timestamp)
            error = find_in_segment(log, segment, timestamp, &found);
        if (error != ERROR_NONE)
            return error;
        if (segment == log->visible.segment)
            break;
    }
    *ret_found = found;
    return ERROR_NONE;
}

/* The largest timestamp below the visible end of its segment: headers of all batches if the
 * segment's own largest may lie above. */
static enum error largest_visible(struct log *log, struct segment *segment, int64_t *ret_largest)
{
    int64_t largest;
    int64_t offset;
    enum error error = segment_largest_timestamp(segment, &largest, &offset);
    *ret_largest = largest;
    if (error != ERROR_NONE || largest < 0 ||
        (offset < log->visible.offset && offset >= log->start_offset))
        return error;
    struct segment_scan scan;
    segment_scan_init(&scan, segment, 0, log_read_end(log, segment, LOG_READ_VISIBLE),
                      segment->place.base_offset);
    *ret_largest = TIMESTAMP_NONE;
    while (error == ERROR_NONE) {
        struct batch_header header;
        uint64_t position;
        error = segment_scan_next(&scan, &header, &position);
        if (error == ERROR_NONE && header.max_timestamp > *ret_largest &&
            batch_last_offset(&header) >= log->start_offset)
            *ret_largest = header.max_timestamp;
    }
    return error == ERROR_NOT_FOUND ? ERROR_NONE : error;
}

enum error log_find_max_timestamp(struct log *log, struct log_found *ret_found)
{
    struct log_found found = {.offset = -1, .timestamp = -1, .leader_epoch = -1};
    int64_t best = TIMESTAMP_NONE;
    struct segment *best_segment = NULL;
    for (uint32_t i = 0; i < log->segment_count; i++) {
        int64_t largest;
        enum error error = largest_visible(log, log->segments[i], &largest);
        if (error != ERROR_NONE)
            return error;
        if (largest > best) {
            best = largest;
            best_segment = log->segments[i];
        }
        if (log->segments[i] == log->visible.segment)
            break;
    }
    if (best_segment != NULL) {
        enum error error = find_in_segment(log, best_segment, best, &found);
        if (error != ERROR_NONE)
            return error;
    }
    *ret_found = found;
    return ERROR_NONE;
}
