/* SPDX-License-Identifier: Apache-2.0 */
/* Batches that came from another node, as a file in memory: what fs/text_reader.h reads. */
#ifndef FS_TEXT_PIECE_H
#define FS_TEXT_PIECE_H

#include "base/buffer.h"
#include "base/slice.h"
#include "base/storage.h"

struct text_piece {
    struct storage storage;
    struct storage_file file; /* Read only. */
    struct buffer *frame;     /* Counted; what bytes lie in. */
    struct slice bytes;       /* Whole batches. */
};

/* Of the whole batches at the front of `bytes`; one cut short at the end is left out. With none
 * whole *ret_needed says how many bytes the first one is, and there is no piece (NULL); 0 of both:
 * nothing is there. CORRUPT_MESSAGE, OUT_OF_MEMORY. */
enum error text_piece_new(struct buffer *frame, struct slice bytes, struct text_piece **ret_piece,
                          size_t *ret_needed);

/* Accepts NULL. Any thread. */
void text_piece_free(struct text_piece *piece);

#endif
