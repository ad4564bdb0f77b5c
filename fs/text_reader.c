/* SPDX-License-Identifier: Apache-2.0 */
/* The read path of partition files: bulk reads of the segment, values copied out, no call per
 * record and no look-up while the reading is sequential. */
#include "fs/text_reader.h"

#include "base/assertion.h"
#include "base/memory.h"

enum {
    /* What one read of the segment asks for: small enough to stay in the second-level cache until
     * its values are copied, large enough that the call does not count. */
    READER_PIECE_BYTES = 256 << 10,
};

static void window_free(struct text_reader *reader, struct block_pool *pool)
{
    if (reader->window_capacity == pool->block_size)
        block_pool_give(pool, reader->window);
    else
        memory_free(reader->window);
    reader->window = NULL;
    reader->window_capacity = 0;
    reader->window_begin = 0;
    reader->window_end = 0;
}

static void slice_release(struct text_reader *reader)
{
    log_slice_release(&reader->slice);
    text_piece_free(reader->piece);
    reader->piece = NULL;
    reader->located = false;
}

/* Forgets the place in the segment; the position stays. */
static void text_reader_unlocate(struct text_reader *reader, struct block_pool *pool)
{
    if (reader->walking)
        record_walk_done(&reader->walk);
    if (reader->located)
        slice_release(reader);
    window_free(reader, pool);
    reader->walking = false;
    reader->newline_due = false;
    reader->value = SLICE_EMPTY;
    reader->skip_bytes = 0;
}

void text_reader_done(struct text_reader *reader, struct block_pool *pool)
{
    text_reader_unlocate(reader, pool);
    *reader = (struct text_reader){0};
}

/* A window with room for `size` bytes, what was not parsed yet moved to its front. */
static enum error window_reserve(struct text_reader *reader, struct block_pool *pool, size_t size)
{
    size_t held = reader->window_end - reader->window_begin;
    if (reader->window_capacity >= size) {
        if (held > 0 && reader->window_begin > 0)
            memmove(reader->window, reader->window + reader->window_begin, held);
    } else {
        bool pooled = size <= pool->block_size;
        uint8_t *window = pooled ? block_pool_take(pool) : memory_allocate_raw(size);
        if (window == NULL)
            return ERROR_OUT_OF_MEMORY;
        if (held > 0)
            memcpy(window, reader->window + reader->window_begin, held);
        window_free(reader, pool);
        reader->window = window;
        reader->window_capacity = pooled ? pool->block_size : size;
    }
    reader->window_begin = 0;
    reader->window_end = held;
    return ERROR_NONE;
}

/* Makes the next `size` bytes of the segment lie in the window. */
static enum error window_need(struct text_reader *reader, struct block_pool *pool, size_t size)
{
    size_t held = reader->window_end - reader->window_begin;
    if (held >= size)
        return ERROR_NONE;
    if (size - held > reader->slice.size)
        return ERROR_CORRUPT_MESSAGE;
    enum error error = window_reserve(reader, pool, size);
    if (error != ERROR_NONE)
        return error;
    size_t wanted = size - held > READER_PIECE_BYTES ? size - held : READER_PIECE_BYTES;
    if (wanted > reader->slice.size)
        wanted = reader->slice.size;
    if (wanted > reader->window_capacity - reader->window_end)
        wanted = reader->window_capacity - reader->window_end;
    size_t got = 0;
    error = storage_read(reader->slice.file, reader->slice.position,
                         reader->window + reader->window_end, wanted, &got);
    if (error != ERROR_NONE)
        return error;
    reader->window_end += got;
    reader->slice.position += got;
    reader->slice.size -= got;
    return reader->window_end >= size ? ERROR_NONE : ERROR_CORRUPT_MESSAGE;
}

/* Starts the next batch of the slice. NOT_FOUND: the slice is used up. */
static enum error batch_start(struct text_reader *reader, struct text_source *source)
{
    struct block_pool *pool = source->pool;
    if (reader->window_end == reader->window_begin && reader->slice.size == 0)
        return ERROR_NOT_FOUND;
    enum error error = window_need(reader, pool, BATCH_HEADER_BYTES);
    struct batch_header header;
    if (error == ERROR_NONE)
        error =
            batch_header_peek(reader->window + reader->window_begin, BATCH_HEADER_BYTES, &header);
    if (error == ERROR_NONE)
        error = window_need(reader, pool, header.size);
    if (error != ERROR_NONE)
        return error;
    const uint8_t *bytes = reader->window + reader->window_begin;
    error = batch_header_read(bytes, header.size, &header);
    if (error == ERROR_NONE && !batch_crc_valid(bytes, header.size))
        error = ERROR_CORRUPT_MESSAGE;
    if (error != ERROR_NONE)
        return error;
    reader->window_begin += header.size;
    if (batch_is_control(&header))
        return ERROR_NONE; /* No line; the next round takes the next batch. */
    error = record_walk_init(&reader->walk, &header, source->codecs, CODEC_DECOMPRESSED_BYTES_MAX);
    if (error == ERROR_NONE)
        reader->walking = true;
    else
        record_walk_done(&reader->walk);
    return error;
}

/* Copies from the value at hand, then its '\n', dropping what is to be skipped. */
static size_t value_copy(struct text_reader *reader, uint8_t *out, size_t size)
{
    if (reader->skip_bytes > 0) {
        size_t drop = reader->value.size;
        if (drop > reader->skip_bytes)
            drop = (size_t)reader->skip_bytes;
        reader->value.data += drop;
        reader->value.size -= drop;
        reader->skip_bytes -= drop;
        if (reader->skip_bytes > 0) {
            reader->newline_due = false;
            reader->skip_bytes--;
            return 0;
        }
    }
    size_t copied = reader->value.size < size ? reader->value.size : size;
    if (copied > 0) {
        memcpy(out, reader->value.data, copied);
        reader->value.data += copied;
        reader->value.size -= copied;
    }
    if (reader->value.size == 0 && copied < size) {
        out[copied++] = '\n';
        reader->newline_due = false;
    }
    return copied;
}

/* Copies the values of the batch under way until it or the room ends. */
static enum error batch_copy(struct text_reader *reader, uint8_t *out, size_t size,
                             size_t *ret_size)
{
    size_t used = 0;
    while (used < size) {
        if (!reader->newline_due) {
            struct record record;
            if (!record_walk_next(&reader->walk, &record)) {
                enum error error = reader->walk.error;
                record_walk_done(&reader->walk);
                reader->walking = false;
                *ret_size = used;
                return error;
            }
            reader->value = slice_is_null(record.value) ? SLICE_EMPTY : record.value;
            reader->newline_due = true;
        }
        used += value_copy(reader, out + used, size - used);
    }
    *ret_size = used;
    return ERROR_NONE;
}

/* Finds text_position anew. NOT_FOUND at the end. */
static enum error text_reader_locate(struct text_reader *reader, struct text_source *source)
{
    struct log_text_location location = {0};
    uint64_t text_position;
    enum error error = source->locate(source, reader->text_position, &location, &text_position);
    if (error != ERROR_NONE)
        return error;
    if (location.slice.size == 0) {
        log_slice_release(&location.slice);
        return ERROR_NOT_FOUND;
    }
    ASSERT(location.text_position <= text_position);
    reader->text_position = text_position;
    reader->skip_bytes = text_position - location.text_position;
    reader->slice = location.slice;
    reader->piece = source->piece;
    source->piece = NULL;
    reader->located = true;
    return ERROR_NONE;
}

/* One step: more text, or the next batch, or the next slice. NOT_FOUND at the end. */
static enum error text_reader_step(struct text_reader *reader, struct text_source *source,
                                   uint8_t *out, size_t size, size_t *ret_size)
{
    *ret_size = 0;
    if (!reader->located)
        return text_reader_locate(reader, source);
    if (reader->walking)
        return batch_copy(reader, out, size, ret_size);
    enum error error = batch_start(reader, source);
    if (error == ERROR_NOT_FOUND) {
        slice_release(reader);
        /* A look-up that lands behind what there is would never end. */
        return reader->skip_bytes > 0 ? ERROR_CORRUPT_MESSAGE : ERROR_NONE;
    }
    return error;
}

enum error text_reader_read(struct text_reader *reader, struct text_source *source,
                            uint64_t position, uint8_t *out, size_t size, size_t *ret_size)
{
    if (!reader->sequential || position != reader->next_position) {
        text_reader_unlocate(reader, source->pool);
        if (position > UINT64_MAX / 2 - source->base) {
            *ret_size = 0;
            return ERROR_NONE;
        }
        reader->sequential = true;
        reader->text_position = source->base + position;
        reader->next_position = position;
    }
    size_t used = 0;
    enum error error = ERROR_NONE;
    while (used < size && error == ERROR_NONE && reader->text_position < source->limit) {
        size_t room = size - used;
        if (room > source->limit - reader->text_position)
            room = (size_t)(source->limit - reader->text_position);
        size_t added;
        error = text_reader_step(reader, source, out + used, room, &added);
        used += added;
        reader->text_position += added;
    }
    reader->next_position = position + used;
    if (error != ERROR_NONE)
        text_reader_unlocate(reader,
                             source->pool); /* The end too: an idle reader holds no block. */
    if (error == ERROR_NOT_FOUND || used > 0)
        error = ERROR_NONE;
    if (error == ERROR_NONE)
        *ret_size = used;
    return error;
}
