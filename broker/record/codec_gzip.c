/* SPDX-License-Identifier: Apache-2.0 */
/* gzip by zlib. */
#include "record/codec_output.h"

#include "base/memory.h"

#include <zlib.h>

/* zlib: 16 more than the window bits means a gzip header and trailer. */
enum { GZIP_WINDOW_BITS = 15 + 16, GZIP_MEMORY_LEVEL = 8 };

static voidpf gzip_allocate(voidpf opaque, uInt count, uInt size)
{
    (void)opaque;
    return memory_allocate_array(count, size);
}

static void gzip_free(voidpf opaque, voidpf block)
{
    (void)opaque;
    memory_free(block);
}

void gzip_context_done(struct codec_context *context)
{
    if (context->gzip_decoder == NULL)
        return;
    (void)inflateEnd(context->gzip_decoder);
    memory_free(context->gzip_decoder);
    context->gzip_decoder = NULL;
}

static enum error gzip_error(int result)
{
    return result == Z_MEM_ERROR ? ERROR_OUT_OF_MEMORY : ERROR_MALFORMED;
}

/* A decoder at the start of a stream. */
static enum error gzip_decoder_ready(struct codec_context *context)
{
    if (context->gzip_decoder != NULL)
        return inflateReset(context->gzip_decoder) == Z_OK ? ERROR_NONE : ERROR_MALFORMED;
    z_stream *stream = memory_allocate(sizeof *stream);
    if (stream == NULL)
        return ERROR_OUT_OF_MEMORY;
    stream->zalloc = gzip_allocate;
    stream->zfree = gzip_free;
    int result = inflateInit2(stream, GZIP_WINDOW_BITS);
    if (result != Z_OK) {
        memory_free(stream);
        return gzip_error(result);
    }
    context->gzip_decoder = stream;
    return ERROR_NONE;
}

enum error gzip_decompress(struct codec_context *context, struct slice in,
                           struct codec_output *output)
{
    enum error error = gzip_decoder_ready(context);
    if (error != ERROR_NONE)
        return error;
    z_stream *stream = context->gzip_decoder;
    stream->next_in = (z_const Bytef *)in.data;
    stream->avail_in = (uInt)in.size;
    for (;;) {
        size_t room;
        error = codec_output_room(output, &room);
        if (error != ERROR_NONE)
            return error;
        struct buffer *buffer = output->buffer;
        stream->next_out = buffer->data + buffer->size;
        stream->avail_out = (uInt)(room > INT32_MAX ? INT32_MAX : room);
        uInt before = stream->avail_out;
        int result = inflate(stream, Z_NO_FLUSH);
        buffer->size += before - stream->avail_out;
        if (result == Z_STREAM_END && stream->avail_in == 0)
            return ERROR_NONE;
        if (result == Z_STREAM_END)
            result = inflateReset(stream); /* Another member follows. */
        else if (result == Z_OK && stream->avail_in == 0 && stream->avail_out > 0)
            return ERROR_MALFORMED; /* Cut off. */
        if (result != Z_OK)
            return gzip_error(result);
    }
}

enum error gzip_compress(int level, struct slice in, size_t reserve, struct buffer **ret_out)
{
    if (level != Z_DEFAULT_COMPRESSION)
        level = level < 1 ? 1 : level > 9 ? 9 : level;
    z_stream stream = {.zalloc = gzip_allocate, .zfree = gzip_free};
    int result = deflateInit2(&stream, level, Z_DEFLATED, GZIP_WINDOW_BITS, GZIP_MEMORY_LEVEL,
                              Z_DEFAULT_STRATEGY);
    if (result != Z_OK)
        return gzip_error(result);
    size_t bound = deflateBound(&stream, (uLong)in.size);
    struct buffer *out = buffer_new(reserve + bound);
    if (out == NULL) {
        (void)deflateEnd(&stream);
        return ERROR_OUT_OF_MEMORY;
    }
    stream.next_in = (z_const Bytef *)in.data;
    stream.avail_in = (uInt)in.size;
    stream.next_out = out->data + reserve;
    stream.avail_out = (uInt)bound;
    result = deflate(&stream, Z_FINISH);
    out->size = reserve + bound - stream.avail_out;
    (void)deflateEnd(&stream);
    if (result != Z_STREAM_END) {
        buffer_unref(out);
        return ERROR_MALFORMED;
    }
    *ret_out = out;
    return ERROR_NONE;
}
