/* SPDX-License-Identifier: Apache-2.0 */
/* Zstandard (RFC 8878), streaming: a claimed content size is never believed. */
#include "record/codec_output.h"

#include <zstd.h>
#include <zstd_errors.h>

enum {
    /* 128 MiB: the reference decoder's own bound, and what level 22 of a streaming writer asks. */
    WINDOW_LOG_MAX = 27,
    /* States bigger than this are not kept. */
    STATE_KEEP_BYTES = 2 << 20,
};

void zstd_context_done(struct codec_context *context)
{
    (void)ZSTD_freeDCtx(context->zstd_decoder);
    (void)ZSTD_freeCCtx(context->zstd_encoder);
    context->zstd_decoder = NULL;
    context->zstd_encoder = NULL;
}

static enum error zstd_error(size_t result)
{
    return ZSTD_getErrorCode(result) == ZSTD_error_memory_allocation ? ERROR_OUT_OF_MEMORY
                                                                     : ERROR_MALFORMED;
}

static enum error zstd_decoder_ready(struct codec_context *context)
{
    if (context->zstd_decoder == NULL)
        context->zstd_decoder = ZSTD_createDCtx();
    if (context->zstd_decoder == NULL)
        return ERROR_OUT_OF_MEMORY;
    size_t result = ZSTD_DCtx_reset(context->zstd_decoder, ZSTD_reset_session_only);
    if (!ZSTD_isError(result))
        result = ZSTD_DCtx_setParameter(context->zstd_decoder, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
    return ZSTD_isError(result) ? zstd_error(result) : ERROR_NONE;
}

static enum error frames_decompress(ZSTD_DCtx *decoder, struct slice in,
                                    struct codec_output *output)
{
    ZSTD_inBuffer source = {.src = in.data, .size = in.size};
    for (;;) {
        size_t room;
        enum error error = codec_output_room(output, &room);
        if (error != ERROR_NONE)
            return error;
        struct buffer *buffer = output->buffer;
        ZSTD_outBuffer target = {.dst = buffer->data + buffer->size, .size = room};
        size_t wanted = ZSTD_decompressStream(decoder, &target, &source);
        if (ZSTD_isError(wanted))
            return zstd_error(wanted);
        buffer->size += target.pos;
        if (wanted == 0 && source.pos == source.size)
            return ERROR_NONE;
        if (wanted != 0 && source.pos == source.size && target.pos < target.size)
            return ERROR_MALFORMED; /* Cut off. */
    }
}

enum error zstd_decompress(struct codec_context *context, struct slice in,
                           struct codec_output *output)
{
    if (in.size == 0)
        return ERROR_MALFORMED;
    enum error error = zstd_decoder_ready(context);
    if (error != ERROR_NONE)
        return error;
    error = frames_decompress(context->zstd_decoder, in, output);
    if (ZSTD_sizeof_DCtx(context->zstd_decoder) > STATE_KEEP_BYTES) {
        (void)ZSTD_freeDCtx(context->zstd_decoder);
        context->zstd_decoder = NULL;
    }
    return error;
}

enum error zstd_compress(struct codec_context *context, int level, struct slice in, size_t reserve,
                         struct buffer **ret_out)
{
    if (context->zstd_encoder == NULL)
        context->zstd_encoder = ZSTD_createCCtx();
    if (context->zstd_encoder == NULL)
        return ERROR_OUT_OF_MEMORY;
    if (level < ZSTD_minCLevel())
        level = ZSTD_minCLevel();
    if (level > ZSTD_maxCLevel())
        level = ZSTD_maxCLevel();
    size_t bound = ZSTD_compressBound(in.size);
    struct buffer *out = buffer_new(reserve + bound);
    if (out == NULL)
        return ERROR_OUT_OF_MEMORY;
    size_t made = ZSTD_compressCCtx(context->zstd_encoder, out->data + reserve, bound, in.data,
                                    in.size, level);
    if (ZSTD_sizeof_CCtx(context->zstd_encoder) > STATE_KEEP_BYTES) {
        (void)ZSTD_freeCCtx(context->zstd_encoder);
        context->zstd_encoder = NULL;
    }
    if (ZSTD_isError(made)) {
        buffer_unref(out);
        return zstd_error(made);
    }
    out->size = reserve + made;
    *ret_out = out;
    return ERROR_NONE;
}
