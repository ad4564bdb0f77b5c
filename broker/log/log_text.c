/* SPDX-License-Identifier: Apache-2.0 */
/* The text view: text positions to batches and offsets to text positions, by the line index. */
#include "log/log_state.h"

#include "base/assertion.h"
#include "base/memory.h"
#include "record/walk.h"

uint64_t log_text_start(const struct log *log)
{
    return (uint64_t)log->start_text;
}

uint64_t log_text_end(const struct log *log)
{
    return (uint64_t)(log->visible.text > log->start_text ? log->visible.text : log->start_text);
}

enum error log_point_text(struct log_point *point)
{
    int64_t text;
    enum error error = segment_text_at(point->segment, point->position, &text);
    if (error == ERROR_NONE)
        point->text = point->segment->text_position + text;
    return error;
}

/* The last segment whose text begins at or before `text`. */
static struct segment *segment_of_text(const struct log *log, int64_t text)
{
    uint32_t low = 0;
    uint32_t high = log->segment_count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (log->segments[middle]->text_position <= text)
            low = middle;
        else
            high = middle;
    }
    return log->segments[low];
}

/* The batch of `segment` that holds `text` (relative to the segment); NOT_FOUND behind the last. */
static enum error batch_of_text(struct segment *segment, int64_t text, uint64_t *ret_position,
                                int64_t *ret_text, int64_t *ret_base_offset)
{
    struct line_entry entry = {0};
    uint8_t bytes[LINE_ENTRY_BYTES];
    bool found;
    enum error error =
        sparse_index_floor(&segment->lines, &segment->place, LINE_KEY_TEXT, text, bytes, &found);
    if (error != ERROR_NONE)
        return error;
    if (found)
        entry = line_entry_read(bytes);
    if (entry.position < 0 || (uint64_t)entry.position > segment->size_bytes)
        return ERROR_CORRUPT_MESSAGE;
    int64_t at = entry.text_position;
    struct segment_scan scan;
    segment_scan_init(&scan, segment, (uint64_t)entry.position, segment->size_bytes,
                      segment->place.base_offset);
    for (;;) {
        struct batch_header header;
        uint64_t position;
        int64_t batch_text;
        error = segment_scan_next(&scan, &header, &position);
        if (error == ERROR_NONE)
            error = segment_batch_text(segment, position, &header, INT64_MAX, &batch_text);
        if (error != ERROR_NONE)
            return error;
        if (at + batch_text > text) {
            *ret_position = position;
            *ret_text = at;
            *ret_base_offset = header.base_offset;
            return ERROR_NONE;
        }
        at += batch_text;
    }
}

enum error log_text_locate(struct log *log, uint64_t text_position,
                           struct log_text_location *ret_location)
{
    int64_t text = log->start_text;
    if (text_position > log_text_start(log))
        text = (int64_t)text_position;
    *ret_location = (struct log_text_location){.text_position = log_text_end(log)};
    if (text_position >= log_text_end(log))
        return ERROR_NONE;
    struct segment *segment = segment_of_text(log, text);
    uint64_t position;
    int64_t batch_text;
    int64_t base_offset;
    enum error error =
        batch_of_text(segment, text - segment->text_position, &position, &batch_text, &base_offset);
    if (error == ERROR_NOT_FOUND) /* The sizes said it was there. */
        return ERROR_CORRUPT_MESSAGE;
    if (error == ERROR_NONE)
        error = segment_wake(segment);
    if (error != ERROR_NONE)
        return error;
    uint64_t end = log_read_end(log, segment, LOG_READ_VISIBLE);
    if (position >= end)
        return ERROR_CORRUPT_MESSAGE;
    ret_location->text_position = (uint64_t)(segment->text_position + batch_text);
    ret_location->slice = (struct log_slice){.segment = segment_ref(segment),
                                             .file = segment->file,
                                             .position = position,
                                             .size = (size_t)(end - position),
                                             .base_offset = base_offset};
    return ERROR_NONE;
}

enum error log_text_of_offset(struct log *log, int64_t offset, uint64_t *ret_text_position)
{
    if (offset < log->start_offset || offset > log->end_offset)
        return ERROR_OFFSET_OUT_OF_RANGE;
    struct log_point point;
    struct batch_header header;
    enum error error = log_locate(log, offset, &point, &header);
    if (error == ERROR_NOT_FOUND) {
        const struct segment *active = log_active(log);
        *ret_text_position = (uint64_t)(active->text_position + active->text_bytes);
        return ERROR_NONE;
    }
    int64_t before;
    if (error == ERROR_NONE)
        error = log_point_text(&point);
    if (error == ERROR_NONE)
        error = segment_batch_text(point.segment, point.position, &header, offset, &before);
    if (error == ERROR_NONE)
        *ret_text_position = (uint64_t)(point.text + before);
    return error;
}
