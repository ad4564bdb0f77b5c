/* SPDX-License-Identifier: Apache-2.0 */
/* Cutting what is written to an open file into lines.
 *
 *   write 1        write 2           write 3
 *   | aaa\nbb      | bbbb            | bb\ncc   |      lines: "aaa", "bbbbbbbb"; kept: "cc"
 *
 * A request's edge is no line's edge: the bytes behind the last '\n' are kept until their line ends
 * (fuse.md: the kernel cuts a write at 1 MiB and at page edges). A line larger than the limit is
 * refused whole, nothing of it is ever given out. One thread at a time. */
#ifndef FS_LINES_H
#define FS_LINES_H

#include "base/error.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>

/* A zero-filled one is empty. */
struct lines {
    uint8_t *kept; /* The line begun and not ended. */
    size_t kept_size;
    size_t kept_capacity;
    bool refusing; /* A line whose beginning was accepted grew too large: its rest is refused too,
                      up to and with its '\n'. */
};

/* Frees what is kept; empty afterwards. */
void lines_done(struct lines *lines);

/* One request's bytes, being cut. */
struct lines_cut {
    struct lines *lines;
    struct slice rest;     /* Not given out yet. */
    size_t line_bytes_max; /* Without the '\n'. */
    size_t taken;          /* Bytes of this request in lines given out. */
    bool joins;            /* The next line begins with the kept bytes. */
    bool joined;           /* A line that began with the kept bytes was given out. */
};

/* `bytes` are borrowed until the cut is over. */
void lines_cut_start(struct lines_cut *cut, struct lines *lines, struct slice bytes,
                     size_t line_bytes_max);

/* The next whole line, without its '\n'; it lies in the request or in lines->kept and is valid
 * until lines_cut_finish or the next change of `lines`. NOT_FOUND: no whole line is left.
 * MESSAGE_TOO_LARGE: the next line is too large already; OUT_OF_MEMORY. On error nothing changed.
 */
enum error lines_cut_next(struct lines_cut *cut, struct slice *ret_line);

/* The cut is over: with `keep_rest` (after NOT_FOUND) the unended rest is kept, else the request
 * counts only as far as lines were given out. The state before the request goes to *ret_previous,
 * for lines_restore when the lines could not be stored, else for lines_done. On error nothing
 * changed. */
enum error lines_cut_finish(struct lines_cut *cut, bool keep_rest, struct lines *ret_previous);

/* The request failed: as if it had not come. */
void lines_restore(struct lines *lines, struct lines *previous);

/* The request's first line is too large: drops what was kept of it, and remembers to refuse what
 * follows of it when bytes of it were accepted before. */
void lines_cut_refuse(struct lines_cut *cut);

/* The line begun; empty when none. */
static inline struct slice lines_kept(const struct lines *lines)
{
    return slice_from(lines->kept, lines->kept_size);
}

/* Forgets the line begun. */
void lines_drop_kept(struct lines *lines);

#endif
