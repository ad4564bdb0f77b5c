/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the text view of a partition through one open file: values, each with a '\n' behind it.
 *
 *   segment file   [ batch | batch | batch ....... | batch ]      slice: what is still to be read
 *                          |<- window ->|                         read in large pieces, checked
 *                            value, value, value                  walk: where the last read ended
 *
 * A read that begins where the last one ended goes on without a look-up. Such a reader is anchored
 * to the records, not to positions: when retention removes the head below it, it goes on at the new
 * log start, once, without a gap in what it returns (filesystem.md 0.5, 3.5). Every batch's CRC is
 * checked: damage is an error, never data. One thread at a time, outside the monitor. */
#ifndef FS_TEXT_READER_H
#define FS_TEXT_READER_H

#include "fs/pool.h"
#include "fs/text_piece.h"

#include "log/log.h"
#include "record/walk.h"

struct text_reader {
    bool sequential;          /* next_position and text_position mean something: */
    uint64_t next_position;   /* where in the file the last read ended, and */
    uint64_t text_position;   /* where in the text view that is. */
    bool located;             /* The slice and what follows belong to text_position. */
    struct log_slice slice;   /* Not read into the window yet. */
    struct text_piece *piece; /* Owned: what the slice lies in, when it came from another node. */
    uint64_t skip_bytes;      /* Of text before text_position, still to be dropped. */
    uint8_t *window; /* Bytes of whole batches; window_begin .. window_end not parsed yet. */
    size_t window_capacity;
    size_t window_begin;
    size_t window_end;
    bool walking;
    struct record_walk walk;
    struct slice value; /* Of the record being given out. */
    bool newline_due;   /* Its '\n' was not given out yet. */
};

/* Where a reader gets places from. */
struct text_source {
    struct block_pool *pool;
    struct codec_context *codecs;
    uint64_t base;  /* The text position of position 0. */
    uint64_t limit; /* The text position where it ends; UINT64_MAX: with the partition. */
    /* Set by `locate` when the slice lies in it: the reader takes it over. */
    struct text_piece *piece;
    /* Finds `text_position`, or the log start when that is later: *ret_text_position is which. */
    enum error (*locate)(struct text_source *source, uint64_t text_position,
                         struct log_text_location *ret_location, uint64_t *ret_text_position);
};

/* Fills `out` from `position` of the file; fewer bytes only at the end or before damage. An error
 * comes only when there is nothing before it. */
enum error text_reader_read(struct text_reader *reader, struct text_source *source,
                            uint64_t position, uint8_t *out, size_t size, size_t *ret_size);

/* Gives everything back; a zeroed reader again. */
void text_reader_done(struct text_reader *reader, struct block_pool *pool);

#endif
