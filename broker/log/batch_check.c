/* SPDX-License-Identifier: Apache-2.0 */
/* Finding sound batches, and traces of writes that were lost, in bytes nobody vouches for. */
#include "log/batch_check.h"

#include "base/assertion.h"
#include "base/crc32c.h"
#include "base/memory.h"

#include <string.h>

enum {
    CHECK_WINDOW_BYTES = 64 << 10,
    CHECK_STREAM_BYTES = 1 << 20, /* Batches above this are summed before memory is taken. */
    SEARCH_COST_FACTOR = 16,      /* Bytes summed per byte searched, at most. */
    HOLE_SECTOR_BYTES = 512,
    HOLE_START_BYTES = 8,
};

void batch_check_init(struct batch_check *check)
{
    codec_context_init(&check->codec);
    check->bytes = NULL;
}

void batch_check_done(struct batch_check *check)
{
    memory_free(check->bytes);
    check->bytes = NULL;
    codec_context_done(&check->codec);
}

static enum error bytes_read(struct segment *segment, uint64_t position, uint8_t *bytes,
                             size_t wanted, size_t *ret_size)
{
    return storage_read(segment->file, position, bytes, wanted, ret_size);
}

/* Sums a batch a window at a time. */
static enum error crc_matches(struct segment *segment, uint64_t position, uint64_t size,
                              uint32_t expected, uint8_t *window, bool *ret_matches)
{
    uint32_t crc = 0;
    uint64_t at = BATCH_ATTRIBUTES_AT;
    while (at < size) {
        size_t wanted = size - at < CHECK_WINDOW_BYTES ? (size_t)(size - at) : CHECK_WINDOW_BYTES;
        size_t got;
        enum error error = bytes_read(segment, position + at, window, wanted, &got);
        if (error != ERROR_NONE)
            return error;
        if (got != wanted) {
            *ret_matches = false;
            return ERROR_NONE;
        }
        crc = crc32c(crc, window, wanted);
        at += wanted;
    }
    *ret_matches = crc == expected;
    return ERROR_NONE;
}

static enum error stream_check(struct segment *segment, uint64_t position, uint64_t size,
                               uint32_t expected, bool *ret_matches)
{
    uint8_t *window = memory_allocate_raw(CHECK_WINDOW_BYTES);
    if (window == NULL)
        return ERROR_OUT_OF_MEMORY;
    enum error error = crc_matches(segment, position, size, expected, window, ret_matches);
    memory_free(window);
    return error;
}

/* A message of magic 0 or 1 whose lengths add up: written by a Kafka before 0.11. */
static bool is_old_message(const uint8_t *at, size_t size)
{
    enum { OLD_SIZE_AT = 8, OLD_MAGIC_AT = 16, OLD_KEY_AT_V0 = 18, OLD_KEY_AT_V1 = 26 };
    if (size < BATCH_HEADER_BYTES && size < OLD_KEY_AT_V1 + 8)
        return false;
    int8_t magic = (int8_t)at[OLD_MAGIC_AT];
    int32_t message = (int32_t)load_be32(at + OLD_SIZE_AT);
    size_t key_at = magic == 0 ? OLD_KEY_AT_V0 : OLD_KEY_AT_V1;
    int64_t key = (int32_t)load_be32(at + key_at);
    if (key < -1)
        return false;
    int64_t value_at = (int64_t)key_at + 4 + (key < 0 ? 0 : key);
    if (value_at + 4 > (int64_t)size)
        return message > value_at; /* A long key: its end is not here to look at. */
    int64_t value = (int32_t)load_be32(at + value_at);
    return value >= -1 && value_at + 4 + (value < 0 ? 0 : value) == (int64_t)message + 12;
}

enum error batch_check_at(struct batch_check *check, struct segment *segment, uint64_t position,
                          uint64_t end, bool *ret_valid)
{
    memory_free(check->bytes);
    check->bytes = NULL;
    *ret_valid = false;
    enum error error = segment_wake(segment);
    if (error != ERROR_NONE)
        return error;
    uint8_t start[BATCH_HEADER_BYTES];
    size_t got;
    size_t wanted = end - position < sizeof start ? (size_t)(end - position) : sizeof start;
    error = bytes_read(segment, position, start, wanted, &got);
    if (error != ERROR_NONE)
        return error;
    struct batch_header header;
    error = batch_header_peek(start, got, &header);
    if (error == ERROR_UNSUPPORTED_FOR_MESSAGE_FORMAT && position == 0 &&
        is_old_message(start, got))
        return error;
    if (error != ERROR_NONE || header.size > end - position)
        return ERROR_NONE;
    if (header.size > CHECK_STREAM_BYTES) {
        bool matches;
        error = stream_check(segment, position, header.size, header.crc, &matches);
        if (error != ERROR_NONE || !matches)
            return error;
    }
    uint8_t *bytes;
    error = segment_read_batch(segment, position, header.size, &bytes, &header);
    if (error == ERROR_NONE) {
        error = batch_validate_log(bytes, header.size, CODEC_DECOMPRESSED_BYTES_MAX, &check->codec,
                                   &check->facts);
        if (error == ERROR_NONE) {
            check->bytes = bytes;
            *ret_valid = true;
        } else {
            memory_free(bytes);
        }
    }
    codec_context_trim(&check->codec);
    if (error == ERROR_STORAGE || error == ERROR_OUT_OF_MEMORY)
        return error;
    return ERROR_NONE;
}

/* ---- searching ---- */

struct search {
    struct segment *segment;
    uint64_t end;
    int64_t offset_min;
    uint64_t budget;     /* Bytes that may still be summed. */
    uint8_t *window;     /* CHECK_WINDOW_BYTES to search in, */
    uint8_t *sum_window; /* and as many to sum in. */
};

/* Could a batch begin with these 61 bytes at `position`? */
static bool is_plausible(const struct search *search, const uint8_t *at, uint64_t position,
                         struct batch_header *ret_header)
{
    if (at[BATCH_MAGIC_AT] != BATCH_MAGIC)
        return false;
    if (batch_header_peek(at, BATCH_HEADER_BYTES, ret_header) != ERROR_NONE)
        return false;
    return ret_header->size <= search->end - position && ret_header->last_offset_delta >= 0 &&
           ret_header->base_offset >= search->offset_min &&
           ret_header->base_offset - search->offset_min <= INT32_MAX;
}

static enum error window_search(struct search *search, uint64_t position, size_t size,
                                bool *ret_found, uint64_t *ret_position)
{
    for (size_t i = 0; i + BATCH_HEADER_BYTES <= size; i++) {
        struct batch_header header;
        if (!is_plausible(search, search->window + i, position + i, &header))
            continue;
        if (header.size > search->budget) {
            *ret_found = true;
            *ret_position = search->end;
            return ERROR_NONE;
        }
        search->budget -= header.size;
        enum error error = crc_matches(search->segment, position + i, header.size, header.crc,
                                       search->sum_window, ret_found);
        if (error != ERROR_NONE)
            return error;
        if (*ret_found) {
            *ret_position = position + i;
            return ERROR_NONE;
        }
    }
    return ERROR_NONE;
}

enum error batch_search(struct segment *segment, uint64_t position, uint64_t end,
                        int64_t offset_min, bool *ret_found, uint64_t *ret_position)
{
    *ret_found = false;
    if (position >= end)
        return ERROR_NONE;
    struct search search = {.segment = segment,
                            .end = end,
                            .offset_min = offset_min,
                            .budget = (end - position) * SEARCH_COST_FACTOR};
    search.window = memory_allocate_raw((size_t)CHECK_WINDOW_BYTES * 2);
    if (search.window == NULL)
        return ERROR_OUT_OF_MEMORY;
    search.sum_window = search.window + CHECK_WINDOW_BYTES;
    enum error error = ERROR_NONE;
    while (error == ERROR_NONE && !*ret_found && end - position >= BATCH_HEADER_BYTES) {
        size_t wanted =
            end - position < CHECK_WINDOW_BYTES ? (size_t)(end - position) : CHECK_WINDOW_BYTES;
        size_t got;
        error = bytes_read(segment, position, search.window, wanted, &got);
        if (error != ERROR_NONE || got < BATCH_HEADER_BYTES)
            break;
        error = window_search(&search, position, got, ret_found, ret_position);
        position += got - BATCH_HEADER_BYTES + 1;
    }
    memory_free(search.window);
    return error;
}

/* ---- holes ---- */

static bool is_zero(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != 0)
            return false;
    }
    return true;
}

/* The writes of a file lie in sectors, and a sector is written or lost by the pieces that writes
 * have in it: so [position, end) shows a lost write where a sector's piece of it is zeros. In the
 * middle that piece is a whole sector. The piece at the start must be long enough to hold more than
 * the leading zeros of a base offset. */
static bool window_has_hole(const uint8_t *bytes, size_t size, uint64_t position, bool is_first,
                            bool is_last)
{
    for (size_t at = 0; at < size;) {
        size_t piece = HOLE_SECTOR_BYTES - (size_t)((position + at) & (HOLE_SECTOR_BYTES - 1));
        bool ends_inside = piece > size - at;
        if (ends_inside)
            piece = size - at;
        bool starts_inside = at == 0 && piece < HOLE_SECTOR_BYTES && !ends_inside;
        bool counts = piece == HOLE_SECTOR_BYTES || (ends_inside && is_last) ||
                      (starts_inside && is_first && piece >= HOLE_START_BYTES) ||
                      (starts_inside && is_last && piece == size);
        if (counts && is_zero(bytes + at, piece))
            return true;
        at += piece;
    }
    return false;
}

enum error batch_hole_at(struct segment *segment, uint64_t position, uint64_t end, bool *ret_hole)
{
    *ret_hole = false;
    uint8_t *window = memory_allocate_raw(CHECK_WINDOW_BYTES);
    if (window == NULL)
        return ERROR_OUT_OF_MEMORY;
    enum error error = ERROR_NONE;
    bool is_first = true;
    while (position < end && !*ret_hole) {
        /* Windows end where sectors do, so that none is seen in two halves. */
        uint64_t stop = (position + CHECK_WINDOW_BYTES) & ~(uint64_t)(HOLE_SECTOR_BYTES - 1);
        size_t wanted = (size_t)((stop < end ? stop : end) - position);
        size_t got;
        error = bytes_read(segment, position, window, wanted, &got);
        if (error != ERROR_NONE || got == 0)
            break;
        size_t start = got < BATCH_HEADER_BYTES ? got : BATCH_HEADER_BYTES;
        *ret_hole = (is_first && start >= HOLE_START_BYTES && is_zero(window, start)) ||
                    window_has_hole(window, got, position, is_first, position + got == end);
        is_first = false;
        position += got;
    }
    memory_free(window);
    return error;
}

enum error batch_was_whole(struct segment *segment, uint64_t position, uint64_t end, int64_t offset,
                           bool *ret_whole, int64_t *ret_end_offset)
{
    *ret_whole = false;
    uint8_t start[BATCH_HEADER_BYTES];
    if (end - position < sizeof start)
        return ERROR_NONE;
    size_t got;
    enum error error = bytes_read(segment, position, start, sizeof start, &got);
    if (error != ERROR_NONE || got != sizeof start)
        return error;
    /* Only what the checksum does not cover: the rest may be what has changed. */
    int64_t base_offset = (int64_t)load_be64(start + BATCH_BASE_OFFSET_AT);
    int32_t length = (int32_t)load_be32(start + BATCH_LENGTH_AT);
    if (base_offset != offset || length < BATCH_LENGTH_MIN || start[BATCH_MAGIC_AT] != BATCH_MAGIC)
        return ERROR_NONE;
    uint64_t size = (uint64_t)length + BATCH_LENGTH_ENDS_AT;
    if (size > end - position)
        return ERROR_NONE;
    bool hole;
    error = batch_hole_at(segment, position, position + size, &hole);
    if (error != ERROR_NONE || hole)
        return error;
    int32_t delta = (int32_t)load_be32(start + BATCH_LAST_OFFSET_DELTA_AT);
    bool plausible = delta >= 0 && (uint64_t)delta < size;
    *ret_whole = true;
    *ret_end_offset = base_offset + 1 + (plausible ? delta : 0);
    return ERROR_NONE;
}
