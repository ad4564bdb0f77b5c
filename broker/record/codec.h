/* SPDX-License-Identifier: Apache-2.0 */
/* The four compressions of a batch's records section: gzip (RFC 1952, members may follow one
 * another), snappy (snappy-java's framing, and one raw block as librdkafka writes it), LZ4 frame
 * with independent blocks, Zstandard.
 *
 * Output is bounded while it is made, whatever the input claims: a bomb fails at its cap. A context
 * serves one thread at a time; each thread that decodes owns one. */
#ifndef BROKER_RECORD_CODEC_H
#define BROKER_RECORD_CODEC_H

#include "base/buffer.h"
#include "base/error.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The ids in a batch's attributes (Kafka: CompressionType). 5 to 7 mean nothing. */
enum codec { CODEC_NONE, CODEC_GZIP, CODEC_SNAPPY, CODEC_LZ4, CODEC_ZSTD, CODEC_COUNT };

enum {
    /* A scratch buffer beyond this is given back to the heap after use. */
    CODEC_KEEP_BYTES = 4 << 20,
    /* The cap that callers with no better one use. */
    CODEC_DECOMPRESSED_BYTES_MAX = 128 << 20,
};

struct ZSTD_DCtx_s;
struct ZSTD_CCtx_s;
struct LZ4F_dctx_s;
struct z_stream_s;

/* Library states and the decompression buffer, made when first needed and used again. */
struct codec_context {
    struct ZSTD_DCtx_s *zstd_decoder;
    struct ZSTD_CCtx_s *zstd_encoder;
    struct LZ4F_dctx_s *lz4_decoder;
    struct z_stream_s *gzip_decoder;
    struct buffer *scratch; /* Holds what was last decompressed; not reused while others hold it. */
};

/* Allocates nothing. */
void codec_context_init(struct codec_context *context);
void codec_context_done(struct codec_context *context);

/* Decompresses all of `in` into context->scratch, at most `size_max` bytes. The slice is valid
 * until the context is used again; whoever needs it longer takes a reference on the scratch.
 * TOO_LARGE beyond size_max; CORRUPT_MESSAGE when snappy framing lies about a length (reliability:
 * CVE-2023-34455); MALFORMED when the stream is damaged, cut off or followed by other bytes;
 * UNSUPPORTED_COMPRESSION_TYPE for CODEC_NONE and ids from CODEC_COUNT on. */
enum error codec_decompress(struct codec_context *context, unsigned codec, struct slice in,
                            size_t size_max, struct slice *ret_out);

/* The level of a topic that sets none (Kafka: compression.{gzip,lz4,zstd}.level). */
int codec_level_default(enum codec codec);

/* Compresses `in` into a new buffer, leaving `reserve` unwritten bytes before it (for a batch
 * header); the buffer's size counts them. The caller owns the buffer. Levels out of a codec's range
 * are clamped. */
enum error codec_compress(struct codec_context *context, enum codec codec, int level,
                          struct slice in, size_t reserve, struct buffer **ret_out);

/* "none", "gzip", ... as configuration spells it; NULL for an id without a name. */
const char *codec_name(unsigned codec);

/* False when no codec has the name. */
bool codec_from_name(const char *name, enum codec *ret_codec);

/* Drops a scratch buffer that grew beyond CODEC_KEEP_BYTES; for after unusually large batches. */
void codec_context_trim(struct codec_context *context);

#endif
