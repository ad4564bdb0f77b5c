/* SPDX-License-Identifier: Apache-2.0 */
/* Choosing a codec, and the capped output of all four. */
#include "record/codec.h"

#include "base/assertion.h"
#include "record/codec_output.h"

#include <string.h>

enum { OUTPUT_BYTES_FIRST = 16 << 10, OUTPUT_FACTOR_GUESS = 4 };

void codec_context_init(struct codec_context *context)
{
    *context = (struct codec_context){.scratch = NULL};
}

void codec_context_done(struct codec_context *context)
{
    gzip_context_done(context);
    lz4_context_done(context);
    zstd_context_done(context);
    buffer_unref(context->scratch);
    context->scratch = NULL;
}

void codec_context_trim(struct codec_context *context)
{
    if (context->scratch != NULL && context->scratch->capacity > CODEC_KEEP_BYTES) {
        buffer_unref(context->scratch);
        context->scratch = NULL;
    }
}

/* Replaces the buffer by one of `capacity`, contents kept. */
static enum error output_grow(struct codec_output *output, size_t capacity)
{
    struct buffer *grown = buffer_new(capacity);
    if (grown == NULL)
        return ERROR_OUT_OF_MEMORY;
    memcpy(grown->data, output->buffer->data, output->buffer->size);
    grown->size = output->buffer->size;
    buffer_unref(output->buffer);
    output->buffer = grown;
    return ERROR_NONE;
}

enum error codec_output_reserve(struct codec_output *output, size_t size)
{
    struct buffer *buffer = output->buffer;
    if (buffer->size > output->size_max || size > output->size_max - buffer->size)
        return ERROR_TOO_LARGE;
    if (size <= buffer->capacity - buffer->size)
        return ERROR_NONE;
    size_t capacity = buffer->size + size;
    if (capacity < output->size_max / 2 && capacity < buffer->capacity * 2)
        capacity = buffer->capacity * 2;
    return output_grow(output, capacity);
}

enum error codec_output_room(struct codec_output *output, size_t *ret_room)
{
    struct buffer *buffer = output->buffer;
    if (buffer->size > output->size_max)
        return ERROR_TOO_LARGE;
    size_t limit = output->size_max + 1;
    if (buffer->size == buffer->capacity) {
        size_t capacity = buffer->capacity < limit / 2 ? buffer->capacity * 2 : limit;
        enum error error = output_grow(output, capacity);
        if (error != ERROR_NONE)
            return error;
        buffer = output->buffer;
    }
    size_t end = buffer->capacity < limit ? buffer->capacity : limit;
    ASSERT(end > buffer->size);
    *ret_room = end - buffer->size;
    return ERROR_NONE;
}

/* The context's scratch when nobody else holds it, else a new buffer; empty. */
static struct buffer *scratch_take(struct codec_context *context, size_t in_size, size_t size_max)
{
    struct buffer *scratch = context->scratch;
    context->scratch = NULL;
    if (scratch != NULL && atomic_load_explicit(&scratch->references, memory_order_acquire) == 1) {
        scratch->size = 0;
        return scratch;
    }
    buffer_unref(scratch);
    size_t guess = in_size * OUTPUT_FACTOR_GUESS;
    if (guess > CODEC_KEEP_BYTES)
        guess = in_size < CODEC_KEEP_BYTES ? CODEC_KEEP_BYTES : in_size;
    if (guess < OUTPUT_BYTES_FIRST)
        guess = OUTPUT_BYTES_FIRST;
    if (guess > size_max)
        guess = size_max + 1;
    return buffer_new(guess);
}

enum error codec_decompress(struct codec_context *context, unsigned codec, struct slice in,
                            size_t size_max, struct slice *ret_out)
{
    if (codec == CODEC_NONE || codec >= CODEC_COUNT)
        return ERROR_UNSUPPORTED_COMPRESSION_TYPE;
    if (in.size > INT32_MAX)
        return ERROR_TOO_LARGE;
    ASSERT(size_max < SIZE_MAX);
    struct codec_output output = {.size_max = size_max};
    output.buffer = scratch_take(context, in.size, size_max);
    if (output.buffer == NULL)
        return ERROR_OUT_OF_MEMORY;

    enum error error;
    if (codec == CODEC_GZIP)
        error = gzip_decompress(context, in, &output);
    else if (codec == CODEC_SNAPPY)
        error = snappy_decompress(in, &output);
    else if (codec == CODEC_LZ4)
        error = lz4_decompress(context, in, &output);
    else
        error = zstd_decompress(context, in, &output);
    if (error == ERROR_NONE && output.buffer->size > size_max)
        error = ERROR_TOO_LARGE;
    context->scratch = output.buffer;
    if (error != ERROR_NONE) {
        codec_context_trim(context);
        return error;
    }
    *ret_out = slice_from(output.buffer->data, output.buffer->size);
    return ERROR_NONE;
}

/* Kafka: GzipCompression, Lz4Compression and ZstdCompression, DEFAULT_LEVEL. */
int codec_level_default(enum codec codec)
{
    switch (codec) {
    case CODEC_GZIP:
        return -1;
    case CODEC_LZ4:
        return 9;
    case CODEC_ZSTD:
        return 3;
    default:
        return 0;
    }
}

enum error codec_compress(struct codec_context *context, enum codec codec, int level,
                          struct slice in, size_t reserve, struct buffer **ret_out)
{
    ASSERT(codec > CODEC_NONE);
    ASSERT(codec < CODEC_COUNT);
    if (in.size > INT32_MAX / 2 || reserve > INT32_MAX / 2)
        return ERROR_TOO_LARGE;
    if (codec == CODEC_GZIP)
        return gzip_compress(level, in, reserve, ret_out);
    if (codec == CODEC_SNAPPY)
        return snappy_frame_compress(in, reserve, ret_out);
    if (codec == CODEC_LZ4)
        return lz4_compress(level, in, reserve, ret_out);
    return zstd_compress(context, level, in, reserve, ret_out);
}

static const char *const codec_names[CODEC_COUNT] = {
    [CODEC_NONE] = "none", [CODEC_GZIP] = "gzip", [CODEC_SNAPPY] = "snappy",
    [CODEC_LZ4] = "lz4",   [CODEC_ZSTD] = "zstd",
};

const char *codec_name(unsigned codec)
{
    return codec < CODEC_COUNT ? codec_names[codec] : NULL;
}

bool codec_from_name(const char *name, enum codec *ret_codec)
{
    for (unsigned codec = 0; codec < CODEC_COUNT; codec++) {
        if (strcmp(codec_names[codec], name) == 0) {
            *ret_codec = (enum codec)codec;
            return true;
        }
    }
    return false;
}
