/* SPDX-License-Identifier: Apache-2.0 */
/* Cutting writes into lines, a line over several writes included. */
#include "fs/lines.h"

#include "base/assertion.h"
#include "base/memory.h"

enum { KEPT_BYTES_MIN = 256, KEPT_IDLE_BYTES_MAX = 64 << 10 };

void lines_done(struct lines *lines)
{
    memory_free(lines->kept);
    *lines = (struct lines){0};
}

void lines_drop_kept(struct lines *lines)
{
    lines->kept_size = 0;
    if (lines->kept_capacity > KEPT_IDLE_BYTES_MAX) {
        memory_free(lines->kept);
        lines->kept = NULL;
        lines->kept_capacity = 0;
    }
}

/* Puts bytes behind the kept ones without counting them. */
static enum error lines_put_behind(struct lines *lines, struct slice bytes)
{
    size_t wanted = lines->kept_size + bytes.size;
    if (wanted > lines->kept_capacity) {
        size_t capacity = lines->kept_capacity == 0 ? KEPT_BYTES_MIN : lines->kept_capacity;
        while (capacity < wanted)
            capacity *= 2;
        uint8_t *kept = memory_resize(lines->kept, capacity);
        if (kept == NULL)
            return ERROR_OUT_OF_MEMORY;
        lines->kept = kept;
        lines->kept_capacity = capacity;
    }
    if (bytes.size > 0)
        memcpy(lines->kept + lines->kept_size, bytes.data, bytes.size);
    return ERROR_NONE;
}

void lines_cut_start(struct lines_cut *cut, struct lines *lines, struct slice bytes,
                     size_t line_bytes_max)
{
    *cut = (struct lines_cut){
        .lines = lines,
        .rest = bytes,
        .line_bytes_max = line_bytes_max,
        .joins = lines->kept_size > 0,
    };
}

enum error lines_cut_next(struct lines_cut *cut, struct slice *ret_line)
{
    struct lines *lines = cut->lines;
    if (lines->refusing)
        return ERROR_MESSAGE_TOO_LARGE;
    const uint8_t *end = cut->rest.size == 0 ? NULL : memchr(cut->rest.data, '\n', cut->rest.size);
    size_t size = end == NULL ? cut->rest.size : (size_t)(end - cut->rest.data);
    if ((cut->joins ? lines->kept_size : 0) + size > cut->line_bytes_max)
        return ERROR_MESSAGE_TOO_LARGE;
    if (end == NULL)
        return ERROR_NOT_FOUND;

    struct slice line = {cut->rest.data, size};
    if (cut->joins) {
        enum error error = lines_put_behind(lines, line);
        if (error != ERROR_NONE)
            return error;
        line = slice_from(lines->kept, lines->kept_size + size);
        cut->joins = false;
        cut->joined = true;
    }
    cut->rest.data += size + 1;
    cut->rest.size -= size + 1;
    cut->taken += size + 1;
    *ret_line = line;
    return ERROR_NONE;
}

enum error lines_cut_finish(struct lines_cut *cut, bool keep_rest, struct lines *ret_previous)
{
    ASSERT(!cut->lines->refusing);
    ASSERT(keep_rest || cut->taken > 0);
    struct lines *lines = cut->lines;
    struct slice rest = keep_rest ? cut->rest : SLICE_EMPTY;
    if (cut->joined) {
        struct lines next = {0};
        enum error error = ERROR_NONE;
        if (rest.size > 0)
            error = lines_put_behind(&next, rest);
        if (error != ERROR_NONE)
            return error;
        next.kept_size = rest.size;
        *ret_previous = *lines;
        *lines = next;
        return ERROR_NONE;
    }
    if (rest.size > 0) {
        enum error error = lines_put_behind(lines, rest);
        if (error != ERROR_NONE)
            return error;
        lines->kept_size += rest.size;
    }
    *ret_previous = (struct lines){0};
    return ERROR_NONE;
}

void lines_restore(struct lines *lines, struct lines *previous)
{
    lines_done(lines);
    *lines = *previous;
    *previous = (struct lines){0};
}

void lines_cut_refuse(struct lines_cut *cut)
{
    struct lines *lines = cut->lines;
    ASSERT(cut->taken == 0);
    bool begun_before = cut->joins || lines->refusing;
    lines_drop_kept(lines);
    /* A writer whose line was refused in the middle may see a short count for the bytes accepted
     * before and try the rest again: that rest is no line of its own. Where nothing had been
     * accepted the writer has the error in hand, and what it writes next is another line. */
    bool ends_here = cut->rest.size > 0 && memchr(cut->rest.data, '\n', cut->rest.size) != NULL;
    lines->refusing = begun_before && !(lines->refusing && ends_here);
}
