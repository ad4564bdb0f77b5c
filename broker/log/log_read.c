/* SPDX-License-Identifier: Apache-2.0 */
/* Reading: from an offset to a run of bytes of one segment file. */
#include "log/log_state.h"

#include "base/assertion.h"

uint64_t log_read_end(const struct log *log, const struct segment *segment,
                      enum log_read_limit limit)
{
    int64_t base = segment->place.base_offset;
    if (log_damaged(log) && base > log->damage.segment_base_offset)
        return 0;
    if (limit == LOG_READ_END)
        return segment->size_bytes;
    int64_t visible_base = log->visible.segment->place.base_offset;
    if (base > visible_base)
        return 0;
    return base == visible_base ? log->visible.position : segment->size_bytes;
}

enum error log_locate(struct log *log, int64_t offset, struct log_point *ret_point,
                      struct batch_header *ret_header)
{
    if (log_damaged(log) && offset >= log->damage.offset)
        return ERROR_CORRUPT_MESSAGE;
    for (uint32_t i = log_segment_index(log, offset); i < log->segment_count; i++) {
        struct segment *segment = log->segments[i];
        uint64_t position;
        enum error error =
            segment_find_offset(segment, offset, segment->size_bytes, ret_header, &position);
        if (error == ERROR_NONE) {
            *ret_point = (struct log_point){
                .offset = ret_header->base_offset, .segment = segment, .position = position};
            return ERROR_NONE;
        }
        if (error != ERROR_NOT_FOUND)
            return error;
        if (log_damaged(log) && segment->place.base_offset == log->damage.segment_base_offset)
            return ERROR_CORRUPT_MESSAGE;
    }
    return ERROR_NOT_FOUND;
}

/* The batch above visible that a follower at `offset` gets, and the one at the place where the last
 * read ended, are what is asked for most. Of the header only base offset and size are set. */
static enum error locate_next(struct log *log, int64_t offset, struct log_point *ret_point,
                              struct batch_header *ret_header)
{
    *ret_header = (struct batch_header){0};
    if (log_ring_find(log, offset, ret_point, &ret_header->size, &ret_header->base_offset))
        return ERROR_NONE;
    if (log->last_read.segment == NULL || log->last_read.offset != offset)
        return log_locate(log, offset, ret_point, ret_header);
    log_point_normalise(log, &log->last_read);
    struct segment *segment = log->last_read.segment;
    struct segment_scan scan;
    uint64_t position;
    segment_scan_init(&scan, segment, log->last_read.position, segment->size_bytes, offset);
    enum error error = segment_scan_next(&scan, ret_header, &position);
    if (error == ERROR_NONE)
        *ret_point = log->last_read;
    return error;
}

/* Where a read that came to the end of what there is goes on. */
static void last_read_note(struct log *log, struct segment *segment, uint64_t end,
                           enum log_read_limit limit)
{
    int64_t offset = segment->next_offset;
    if (limit == LOG_READ_VISIBLE && segment == log->visible.segment)
        offset = log->visible.offset;
    log->last_read = (struct log_point){.offset = offset, .segment = segment, .position = end};
}

enum error log_read(struct log *log, int64_t offset, size_t max_bytes, bool at_least_one,
                    enum log_read_limit limit, struct log_slice *ret_slice)
{
    if (offset < log->start_offset || offset > log->end_offset)
        return ERROR_OFFSET_OUT_OF_RANGE;
    if (log_damaged(log) && offset >= log->damage.offset)
        return ERROR_CORRUPT_MESSAGE;
    *ret_slice = (struct log_slice){0};
    if (offset >= (limit == LOG_READ_VISIBLE ? log->visible.offset : log->end_offset))
        return ERROR_NONE;
    struct log_point point;
    struct batch_header header;
    enum error error = locate_next(log, offset, &point, &header);
    if (error == ERROR_NOT_FOUND)
        return ERROR_NONE;
    if (error != ERROR_NONE)
        return error;
    uint64_t end = log_read_end(log, point.segment, limit);
    if (point.position >= end)
        return ERROR_NONE;
    ASSERT(header.size <= end - point.position);
    uint64_t size = end - point.position;
    if (size > max_bytes)
        size = max_bytes;
    if (at_least_one && size < header.size)
        size = header.size;
    if (size == 0)
        return ERROR_NONE;
    error = segment_wake(point.segment);
    if (error != ERROR_NONE)
        return error;
    if (point.position + size == end)
        last_read_note(log, point.segment, end, limit);
    *ret_slice = (struct log_slice){.segment = segment_ref(point.segment),
                                    .file = point.segment->file,
                                    .position = point.position,
                                    .size = (size_t)size,
                                    .base_offset = header.base_offset};
    return ERROR_NONE;
}

void log_slice_release(struct log_slice *slice)
{
    segment_unref(slice->segment);
    *slice = (struct log_slice){0};
}

int64_t log_visible_bytes_after(struct log *log, int64_t offset)
{
    if (offset >= log->visible.offset)
        return 0;
    if (offset < log->start_offset)
        offset = log->start_offset;
    struct log_point point;
    struct batch_header header;
    if (locate_next(log, offset, &point, &header) != ERROR_NONE)
        return 0; /* The read that follows tells why. */
    int64_t bytes = -(int64_t)point.position;
    for (uint32_t i = log_segment_index(log, point.segment->place.base_offset);
         i < log->segment_count && log->segments[i] != log->visible.segment; i++)
        bytes += (int64_t)log->segments[i]->size_bytes;
    bytes += (int64_t)log->visible.position;
    return bytes < 0 ? 0 : bytes;
}
