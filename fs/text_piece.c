/* SPDX-License-Identifier: Apache-2.0 */
/* A run of batches as a storage file. */
#include "fs/text_piece.h"

#include "base/list.h"
#include "base/memory.h"
#include "record/batch.h"

#include <string.h>

static enum error piece_read(struct storage_file *file, uint64_t at, void *bytes, size_t size,
                             size_t *ret_size)
{
    const struct text_piece *piece = container_of(file, struct text_piece, file);
    size_t left = at < piece->bytes.size ? piece->bytes.size - (size_t)at : 0;
    *ret_size = size < left ? size : left;
    if (*ret_size > 0)
        memcpy(bytes, piece->bytes.data + at, *ret_size);
    return ERROR_NONE;
}

/* Only reading is asked of it. */
static const struct storage_ops piece_ops = {.read = piece_read};

/* How many bytes at the front are whole batches, and what the next one needs. */
static enum error batches_measure(struct slice bytes, size_t *ret_size, size_t *ret_needed)
{
    size_t used = 0;
    *ret_needed = 0;
    while (bytes.size - used >= BATCH_HEADER_BYTES) {
        struct batch_header header;
        enum error error = batch_header_peek(bytes.data + used, bytes.size - used, &header);
        if (error != ERROR_NONE)
            return error;
        if (header.size > bytes.size - used) {
            *ret_needed = header.size;
            break;
        }
        used += header.size;
    }
    if (*ret_needed == 0 && used < bytes.size)
        *ret_needed = BATCH_HEADER_BYTES;
    *ret_size = used;
    return ERROR_NONE;
}

enum error text_piece_new(struct buffer *frame, struct slice bytes, struct text_piece **ret_piece,
                          size_t *ret_needed)
{
    size_t size, needed;
    struct text_piece *piece = NULL;
    enum error error = batches_measure(bytes, &size, &needed);
    if (error != ERROR_NONE)
        return error;
    if (size > 0) {
        piece = memory_allocate(sizeof *piece);
        if (piece == NULL)
            return ERROR_OUT_OF_MEMORY;
        piece->storage.ops = &piece_ops;
        piece->file.storage = &piece->storage;
        piece->frame = buffer_ref(frame);
        piece->bytes = slice_from(bytes.data, size);
    }
    *ret_piece = piece;
    *ret_needed = size > 0 ? 0 : needed;
    return ERROR_NONE;
}

void text_piece_free(struct text_piece *piece)
{
    if (piece == NULL)
        return;
    buffer_unref(piece->frame);
    memory_free(piece);
}
