/* SPDX-License-Identifier: Apache-2.0 */
/* What readers may see: the visible point, and the ring of batches above it that makes moving it
 * cost no I/O. */
#include "log/log_state.h"

#include "base/assertion.h"
#include "base/memory.h"

/* Beyond this the ring is given up: visible is then found by the index once. */
enum { RING_MAX = 1 << 16, RING_MIN = 4 };

static struct log_ring_point *ring_at(const struct log_ring *ring, uint32_t place)
{
    return &ring->points[(ring->first + place) & (ring->capacity - 1)];
}

void log_ring_clear(struct log *log)
{
    memory_free(log->ring.points);
    log->ring = (struct log_ring){.base_offset = log->end_offset};
}

enum error log_ring_reserve(struct log *log)
{
    struct log_ring *ring = &log->ring;
    if (ring->count < ring->capacity)
        return ERROR_NONE;
    if (ring->capacity == RING_MAX) {
        log_ring_clear(log);
        return log_ring_reserve(log);
    }
    uint32_t capacity = ring->capacity == 0 ? RING_MIN : ring->capacity * 2;
    struct log_ring_point *grown = memory_allocate_array(capacity, sizeof *grown);
    if (grown == NULL)
        return ERROR_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < ring->count; i++)
        grown[i] = *ring_at(ring, i);
    memory_free(ring->points);
    ring->points = grown;
    ring->first = 0;
    ring->capacity = capacity;
    return ERROR_NONE;
}

void log_ring_push(struct log *log, struct log_point end, int64_t base_offset)
{
    ASSERT(log->ring.count < log->ring.capacity);
    log->ring.count++;
    *ring_at(&log->ring, log->ring.count - 1) =
        (struct log_ring_point){.end = end, .base_offset = base_offset};
}

/* The first of the ring's batches that ends above `offset`; count when there is none. */
static uint32_t ring_above(const struct log_ring *ring, int64_t offset)
{
    uint32_t low = 0;
    uint32_t high = ring->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (ring_at(ring, middle)->end.offset > offset)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

bool log_ring_find(const struct log *log, int64_t offset, struct log_point *ret_point,
                   size_t *ret_size, int64_t *ret_base_offset)
{
    const struct log_ring *ring = &log->ring;
    if (log_damaged(log) || log->visible.offset != ring->base_offset)
        return false;
    uint32_t place = ring_above(ring, offset);
    if (place == ring->count)
        return false;
    struct log_point begin = place == 0 ? log->visible : ring_at(ring, place - 1)->end;
    const struct log_ring_point *batch = ring_at(ring, place);
    if (begin.offset != offset)
        return false;
    log_point_normalise(log, &begin);
    ASSERT(batch->end.segment == begin.segment);
    ASSERT(batch->end.position > begin.position);
    ASSERT(batch->base_offset >= offset);
    *ret_point = begin;
    *ret_size = (size_t)(batch->end.position - begin.position);
    *ret_base_offset = batch->base_offset;
    return true;
}

void log_point_normalise(const struct log *log, struct log_point *point)
{
    if (point->segment == log_active(log) || point->position < point->segment->size_bytes)
        return;
    if (log_damaged(log) && point->segment->place.base_offset == log->damage.segment_base_offset)
        return;
    uint32_t next = log_segment_index(log, point->segment->place.base_offset) + 1;
    ASSERT(next < log->segment_count);
    point->segment = log->segments[next];
    point->position = 0;
    point->text = point->segment->text_position;
}

/* The end of all that can be served. */
static struct log_point end_point(const struct log *log)
{
    struct segment *last = log_active(log);
    int64_t offset = log->end_offset;
    if (log_damaged(log)) {
        last = log->segments[log_segment_index(log, log->damage.segment_base_offset)];
        offset = log->damage.offset;
    }
    return (struct log_point){.offset = offset,
                              .segment = last,
                              .position = last->size_bytes,
                              .text = last->text_position + last->text_bytes};
}

/* Without the ring: the boundary at or below `offset`, by the index. */
static enum error point_find(struct log *log, int64_t offset, struct log_point *ret_point)
{
    struct log_point point;
    struct batch_header header;
    enum error error = log_locate(log, offset, &point, &header);
    if (error == ERROR_NOT_FOUND || (error == ERROR_CORRUPT_MESSAGE && log_damaged(log))) {
        *ret_point = end_point(log);
        return ERROR_NONE;
    }
    if (error == ERROR_NONE)
        error = log_point_text(&point);
    if (error != ERROR_NONE)
        return error;
    point.offset = header.base_offset < offset ? header.base_offset : offset;
    *ret_point = point;
    return ERROR_NONE;
}

void log_visible_advance(struct log *log, int64_t offset)
{
    if (offset > log->end_offset)
        offset = log->end_offset;
    if (offset <= log->visible_offset)
        return;
    struct log_ring *ring = &log->ring;
    if (offset == log->end_offset) {
        log->visible = end_point(log);
        log_ring_clear(log);
    } else if (offset < ring->base_offset) {
        /* On a read error nothing moves, and the next call tries again. */
        if (point_find(log, offset, &log->visible) != ERROR_NONE)
            return;
    } else {
        if (log->visible.offset < ring->base_offset && ring->count > 0 &&
            ring_at(ring, 0)->end.offset > offset &&
            point_find(log, offset, &log->visible) != ERROR_NONE)
            return;
        while (ring->count > 0 && ring_at(ring, 0)->end.offset <= offset) {
            log->visible = ring_at(ring, 0)->end;
            ring->first = (ring->first + 1) & (ring->capacity - 1);
            ring->count--;
            ring->base_offset = log->visible.offset;
        }
        log_point_normalise(log, &log->visible);
    }
    log->visible_offset = offset;
    log_check(log);
}

enum error log_visible_restart(struct log *log)
{
    log_ring_clear(log);
    enum error error = point_find(log, log->start_offset, &log->visible);
    if (error != ERROR_NONE)
        return error;
    log->visible_offset = log->start_offset;
    if (log->visible.offset > log->visible_offset) /* Damage below log start. */
        log->visible.offset = log->visible_offset;
    return ERROR_NONE;
}

enum error log_visible_rewind(struct log *log, int64_t offset)
{
    ASSERT(offset < log->visible_offset);
    ASSERT(offset > log->start_offset);
    struct log_point point;
    enum error error = point_find(log, offset, &point);
    if (error != ERROR_NONE)
        return error;
    log_ring_clear(log);
    log->visible = point;
    log->visible_offset = offset;
    log->last_read.segment = NULL;
    log_check(log);
    return ERROR_NONE;
}

enum error log_visible_settle(struct log *log)
{
    log_ring_clear(log);
    log->last_read.segment = NULL;
    if (log->visible_offset < log->end_offset)
        return point_find(log, log->visible_offset, &log->visible);
    log->visible = end_point(log);
    return ERROR_NONE;
}

void log_visible_truncate(struct log *log)
{
    struct log_ring *ring = &log->ring;
    while (ring->count > 0 && ring_at(ring, ring->count - 1)->end.offset > log->end_offset)
        ring->count--;
    if (ring->base_offset > log->end_offset)
        ring->base_offset = log->end_offset;
    if (log->visible.offset >= log->end_offset)
        log->visible = end_point(log);
    if (log->visible_offset > log->end_offset)
        log->visible_offset = log->end_offset;
    log->last_read.segment = NULL;
}
