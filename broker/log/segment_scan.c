/* SPDX-License-Identifier: Apache-2.0 */
/* Going through a segment's batches: headers in order, one batch whole, offset and text lookups. */
#include "base/assertion.h"
#include "base/memory.h"
#include "log/segment.h"
#include "record/walk.h"

void segment_scan_init(struct segment_scan *scan, struct segment *segment, uint64_t position,
                       uint64_t limit, int64_t offset_min)
{
    scan->segment = segment;
    scan->position = position;
    scan->limit = limit;
    scan->offset_min = offset_min;
    scan->window_at = 0;
    scan->window_size = 0;
}

/* Sees to it that a header's bytes at scan->position are in the window. */
static enum error window_fill(struct segment_scan *scan)
{
    if (scan->position >= scan->window_at &&
        scan->position + BATCH_HEADER_BYTES <= scan->window_at + scan->window_size)
        return ERROR_NONE;
    uint64_t left = scan->limit - scan->position;
    size_t wanted = left < sizeof scan->window ? (size_t)left : sizeof scan->window;
    enum error error = segment_wake(scan->segment);
    if (error != ERROR_NONE)
        return error;
    size_t size;
    error = storage_read(scan->segment->file, scan->position, scan->window, wanted, &size);
    if (error != ERROR_NONE)
        return error;
    scan->window_at = scan->position;
    scan->window_size = size;
    return size < BATCH_HEADER_BYTES ? ERROR_CORRUPT_MESSAGE : ERROR_NONE;
}

enum error segment_scan_next(struct segment_scan *scan, struct batch_header *ret_header,
                             uint64_t *ret_position)
{
    if (scan->position >= scan->limit)
        return ERROR_NOT_FOUND;
    if (scan->limit - scan->position < BATCH_HEADER_BYTES)
        return ERROR_CORRUPT_MESSAGE;
    enum error error = window_fill(scan);
    if (error != ERROR_NONE)
        return error;
    struct batch_header header;
    error = batch_header_peek(scan->window + (scan->position - scan->window_at), BATCH_HEADER_BYTES,
                              &header);
    if (error != ERROR_NONE) /* Old messages were refused when the log was opened. */
        return ERROR_CORRUPT_MESSAGE;
    int64_t last_offset;
    if (header.size > scan->limit - scan->position || header.last_offset_delta < 0 ||
        header.base_offset < scan->offset_min ||
        __builtin_add_overflow(header.base_offset, header.last_offset_delta, &last_offset) ||
        last_offset - scan->segment->place.base_offset > INT32_MAX)
        return ERROR_CORRUPT_MESSAGE;
    header.bytes = NULL;
    *ret_header = header;
    *ret_position = scan->position;
    scan->position += header.size;
    scan->offset_min = last_offset + 1;
    return ERROR_NONE;
}

enum error segment_read_batch(struct segment *segment, uint64_t position, size_t size,
                              uint8_t **ret_bytes, struct batch_header *ret_header)
{
    enum error error = segment_wake(segment);
    if (error != ERROR_NONE)
        return error;
    uint8_t *bytes = memory_allocate_raw(size);
    if (bytes == NULL)
        return ERROR_OUT_OF_MEMORY;
    size_t read;
    error = storage_read(segment->file, position, bytes, size, &read);
    if (error == ERROR_NONE && read != size)
        error = ERROR_CORRUPT_MESSAGE;
    if (error == ERROR_NONE)
        error = batch_header_read(bytes, size, ret_header);
    if (error != ERROR_NONE) {
        memory_free(bytes);
        return error;
    }
    *ret_bytes = bytes;
    return ERROR_NONE;
}

/* The batch an index entry leads to must be the one it was made for; if not, the index is damaged
 * and the way leads from the segment's start. */
static bool entry_holds(struct segment *segment, struct offset_entry entry, uint64_t limit)
{
    if (entry.position < 0 || (uint64_t)entry.position >= limit)
        return false;
    struct segment_scan scan;
    struct batch_header header;
    uint64_t position;
    segment_scan_init(&scan, segment, (uint64_t)entry.position, limit, segment->place.base_offset);
    return segment_scan_next(&scan, &header, &position) == ERROR_NONE &&
           batch_last_offset(&header) - segment->place.base_offset == entry.last_offset;
}

enum error segment_find_offset(struct segment *segment, int64_t offset, uint64_t limit,
                               struct batch_header *ret_header, uint64_t *ret_position)
{
    uint64_t position = 0;
    int64_t relative = offset - segment->place.base_offset;
    if (relative > 0) {
        uint8_t bytes[OFFSET_ENTRY_BYTES];
        bool found;
        enum error error = sparse_index_floor(&segment->offsets, &segment->place, OFFSET_KEY_OFFSET,
                                              relative, bytes, &found);
        if (error != ERROR_NONE && error != ERROR_MALFORMED && error != ERROR_NOT_FOUND)
            return error;
        if (error == ERROR_NONE && found && entry_holds(segment, offset_entry_read(bytes), limit))
            position = (uint64_t)offset_entry_read(bytes).position;
    }
    struct segment_scan scan;
    segment_scan_init(&scan, segment, position, limit, segment->place.base_offset);
    for (;;) {
        enum error error = segment_scan_next(&scan, ret_header, ret_position);
        if (error == ERROR_NOT_FOUND)
            *ret_position = limit;
        if (error != ERROR_NONE || batch_last_offset(ret_header) >= offset)
            return error;
    }
}

/* The last offset entry, or the segment's start; false when it leads to no batch. */
static bool last_entry_position(struct segment *segment, uint64_t *ret_position)
{
    *ret_position = 0;
    const uint8_t *last = sparse_index_last(&segment->offsets);
    if (last == NULL)
        return true;
    *ret_position = (uint64_t)offset_entry_read(last).position;
    return entry_holds(segment, offset_entry_read(last), segment->size_bytes);
}

enum error segment_learn_tail(struct segment *segment)
{
    enum error error = sparse_index_load(&segment->offsets, &segment->place);
    if (error == ERROR_NONE)
        error = sparse_index_load(&segment->times, &segment->place);
    if (error == ERROR_NONE)
        error = sparse_index_load(&segment->lines, &segment->place);
    if (error != ERROR_NONE)
        return error;
    uint64_t position;
    if (!last_entry_position(segment, &position))
        return ERROR_CORRUPT_MESSAGE;
    segment->largest_timestamp = TIMESTAMP_NONE;
    segment->first_timestamp = TIMESTAMP_NONE;
    segment->largest_timestamp_known = false;
    int64_t timestamp;
    int64_t offset;
    error = segment_largest_timestamp(segment, &timestamp, &offset);
    segment->next_offset = segment->place.base_offset;
    segment->bytes_since_entry = segment->size_bytes - position;
    struct segment_scan scan;
    segment_scan_init(&scan, segment, 0, segment->size_bytes, segment->place.base_offset);
    bool first = true;
    while (error == ERROR_NONE) {
        struct batch_header header;
        uint64_t at;
        error = segment_scan_next(&scan, &header, &at);
        if (error != ERROR_NONE)
            break;
        if (header.max_timestamp > segment->largest_timestamp) {
            segment->largest_timestamp = header.max_timestamp;
            segment->largest_timestamp_offset = batch_last_offset(&header);
        }
        segment->next_offset = batch_last_offset(&header) + 1;
        if (first) {
            segment->first_timestamp = header.max_timestamp;
            scan.position = position > scan.position ? position : scan.position;
        }
        first = false;
    }
    return error == ERROR_NOT_FOUND ? ERROR_NONE : error;
}

enum error segment_batch_text(struct segment *segment, uint64_t position,
                              const struct batch_header *header, int64_t offset_end,
                              int64_t *ret_text)
{
    if (header->base_offset >= offset_end || batch_is_control(header)) {
        *ret_text = 0;
        return ERROR_NONE;
    }
    uint8_t *bytes;
    struct batch_header whole;
    enum error error = segment_read_batch(segment, position, header->size, &bytes, &whole);
    if (error != ERROR_NONE)
        return error;
    struct codec_context context;
    codec_context_init(&context);
    struct record_walk walk;
    struct record record;
    int64_t text = 0;
    error = record_walk_init(&walk, &whole, &context, CODEC_DECOMPRESSED_BYTES_MAX);
    if (error == ERROR_NONE) {
        while (record_walk_next(&walk, &record) && record.offset < offset_end)
            text += (int64_t)record.value.size + 1;
        error = walk.error;
    }
    record_walk_done(&walk);
    codec_context_done(&context);
    memory_free(bytes);
    if (error == ERROR_NONE)
        *ret_text = text;
    return error;
}

enum error segment_text_at(struct segment *segment, uint64_t position, int64_t *ret_text)
{
    ASSERT(position <= segment->size_bytes);
    if (position == segment->size_bytes) {
        *ret_text = segment->text_bytes;
        return ERROR_NONE;
    }
    struct line_entry entry = {0};
    uint8_t bytes[LINE_ENTRY_BYTES];
    bool found;
    enum error error = sparse_index_floor(&segment->lines, &segment->place, LINE_KEY_POSITION,
                                          (int64_t)position, bytes, &found);
    if (error != ERROR_NONE)
        return error;
    if (found)
        entry = line_entry_read(bytes);
    if (entry.position < 0)
        return ERROR_CORRUPT_MESSAGE;
    int64_t text = entry.text_position;
    struct segment_scan scan;
    segment_scan_init(&scan, segment, (uint64_t)entry.position, position,
                      segment->place.base_offset);
    while (scan.position < position) {
        struct batch_header header;
        uint64_t at;
        int64_t batch_text;
        error = segment_scan_next(&scan, &header, &at);
        if (error == ERROR_NONE)
            error = segment_batch_text(segment, at, &header, INT64_MAX, &batch_text);
        if (error != ERROR_NONE)
            return error;
        text += batch_text;
    }
    *ret_text = text;
    return ERROR_NONE;
}
