/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: the four decoders, and the buffer they write to, which grows up to a cap. */
#ifndef BROKER_RECORD_CODEC_OUTPUT_H
#define BROKER_RECORD_CODEC_OUTPUT_H

#include "record/codec.h"

/* Where a decoder writes: at buffer->data + buffer->size, which it advances. */
struct codec_output {
    struct buffer *buffer;
    size_t size_max;
};

/* Makes room for `size` more bytes. TOO_LARGE when that exceeds the cap. */
enum error codec_output_reserve(struct codec_output *output, size_t size);

/* Makes room for at least one more byte, for decoders that cannot tell how much comes: one byte
 * beyond the cap is granted, so that a stream that ends at the cap can still say so. TOO_LARGE when
 * that byte was used. */
enum error codec_output_room(struct codec_output *output, size_t *ret_room);

/* Each decodes all of `in`; errors as codec_decompress. */
enum error gzip_decompress(struct codec_context *context, struct slice in,
                           struct codec_output *output);
enum error snappy_decompress(struct slice in, struct codec_output *output);
enum error lz4_decompress(struct codec_context *context, struct slice in,
                          struct codec_output *output);
enum error zstd_decompress(struct codec_context *context, struct slice in,
                           struct codec_output *output);

/* Each writes behind `reserve` bytes of a new buffer; errors as codec_compress. */
enum error gzip_compress(int level, struct slice in, size_t reserve, struct buffer **ret_out);
enum error snappy_frame_compress(struct slice in, size_t reserve, struct buffer **ret_out);
enum error lz4_compress(int level, struct slice in, size_t reserve, struct buffer **ret_out);
enum error zstd_compress(struct codec_context *context, int level, struct slice in, size_t reserve,
                         struct buffer **ret_out);

/* Accept what was never made. */
void gzip_context_done(struct codec_context *context);
void lz4_context_done(struct codec_context *context);
void zstd_context_done(struct codec_context *context);

#endif
