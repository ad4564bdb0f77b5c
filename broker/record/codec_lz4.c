/* SPDX-License-Identifier: Apache-2.0 */
/* LZ4 frames as Kafka's Java readers take them: one frame, independent blocks, no dictionary
 * (Lz4BlockInputStream.readHeader; LZ4 frame format 1.6.1). */
#include "record/codec_output.h"

#include "base/byteorder.h"

#include <lz4frame.h>

static const uint8_t frame_magic[4] = {0x04, 0x22, 0x4d, 0x18};

enum {
    FRAME_FLAGS_AT = 4,
    FRAME_BLOCK_AT = 5,
    FRAME_BYTES_MIN = 11, /* Magic, flags, block size, header checksum, end mark. */
    FLAGS_VERSION_MASK = 0xc0,
    FLAGS_VERSION = 0x40,
    FLAGS_INDEPENDENT = 0x20,
    FLAGS_RESERVED = 0x03, /* The lower one says that a dictionary is needed. */
    BLOCK_SIZE_256K = 5 << 4,
    LEVEL_FAST = 9, /* Kafka's default level means the fast compressor (Lz4BlockOutputStream). */
};

void lz4_context_done(struct codec_context *context)
{
    (void)LZ4F_freeDecompressionContext(context->lz4_decoder);
    context->lz4_decoder = NULL;
}

static bool frame_acceptable(struct slice in)
{
    if (in.size < FRAME_BYTES_MIN || memcmp(in.data, frame_magic, sizeof frame_magic) != 0)
        return false;
    uint8_t flags = in.data[FRAME_FLAGS_AT];
    return (flags & FLAGS_VERSION_MASK) == FLAGS_VERSION && (flags & FLAGS_INDEPENDENT) != 0 &&
           (flags & FLAGS_RESERVED) == 0;
}

static enum error frame_decompress(LZ4F_dctx *decoder, struct slice in, struct codec_output *output)
{
    const uint8_t *at = in.data;
    const uint8_t *end = at + in.size;
    for (;;) {
        size_t room;
        enum error error = codec_output_room(output, &room);
        if (error != ERROR_NONE)
            return error;
        struct buffer *buffer = output->buffer;
        size_t made = room;
        size_t used = (size_t)(end - at);
        size_t wanted =
            LZ4F_decompress(decoder, buffer->data + buffer->size, &made, at, &used, NULL);
        if (LZ4F_isError(wanted))
            return ERROR_MALFORMED;
        buffer->size += made;
        at += used;
        if (wanted == 0)
            return at == end ? ERROR_NONE : ERROR_MALFORMED;
        if (made < room && at == end)
            return ERROR_MALFORMED; /* Cut off. */
    }
}

enum error lz4_decompress(struct codec_context *context, struct slice in,
                          struct codec_output *output)
{
    if (!frame_acceptable(in))
        return ERROR_MALFORMED;
    if (context->lz4_decoder == NULL &&
        LZ4F_isError(LZ4F_createDecompressionContext(&context->lz4_decoder, LZ4F_VERSION))) {
        context->lz4_decoder = NULL;
        return ERROR_OUT_OF_MEMORY;
    }
    LZ4F_resetDecompressionContext(context->lz4_decoder);
    enum error error = frame_decompress(context->lz4_decoder, in, output);
    if (in.data[FRAME_BLOCK_AT] > BLOCK_SIZE_256K)
        lz4_context_done(context); /* It holds blocks of megabytes. */
    return error;
}

enum error lz4_compress(int level, struct slice in, size_t reserve, struct buffer **ret_out)
{
    LZ4F_preferences_t preferences = {
        .frameInfo = {.blockSizeID = LZ4F_max64KB, .blockMode = LZ4F_blockIndependent},
        .compressionLevel = level == LEVEL_FAST ? 0 : level,
    };
    size_t bound = LZ4F_compressFrameBound(in.size, &preferences);
    struct buffer *out = buffer_new(reserve + bound);
    if (out == NULL)
        return ERROR_OUT_OF_MEMORY;
    size_t made = LZ4F_compressFrame(out->data + reserve, bound, in.data, in.size, &preferences);
    if (LZ4F_isError(made)) {
        buffer_unref(out);
        return ERROR_OUT_OF_MEMORY; /* The room suffices: only its own allocation can fail. */
    }
    out->size = reserve + made;
    *ret_out = out;
    return ERROR_NONE;
}
