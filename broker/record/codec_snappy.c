/* SPDX-License-Identifier: Apache-2.0 */
/* snappy in snappy-java's framing, and as one raw block.
 *
 *   82 'SNAPPY' 00 | int32 version | int32 compatible version | int32 size, block | ...
 *
 * Big-endian; the versions are written as 1 and looked at by no reader. librdkafka writes a raw
 * block without any of it; readers tell by the magic. */
#include "record/codec_output.h"

#include "base/byteorder.h"

#include <snappy-c.h>

static const uint8_t frame_magic[8] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};

enum {
    FRAME_HEADER_BYTES = 16,
    FRAME_VERSION = 1,
    FRAME_BLOCK_BYTES = 32 << 10, /* As snappy-java writes. */
    /* An element of 3 bytes makes at most 64 (format description, section 2.2), so no block holds
     * more than this many times its size: a bigger claim is a lie. */
    BLOCK_FACTOR_MAX = 22,
};

static enum error block_decompress(const uint8_t *block, size_t size, struct codec_output *output)
{
    size_t claimed;
    if (snappy_uncompressed_length((const char *)block, size, &claimed) != SNAPPY_OK)
        return ERROR_MALFORMED;
    if (claimed > size * BLOCK_FACTOR_MAX)
        return ERROR_MALFORMED;
    enum error error = codec_output_reserve(output, claimed);
    if (error != ERROR_NONE)
        return error;
    struct buffer *buffer = output->buffer;
    size_t made = claimed;
    if (snappy_uncompress((const char *)block, size, (char *)buffer->data + buffer->size, &made) !=
        SNAPPY_OK)
        return ERROR_MALFORMED;
    buffer->size += made;
    return ERROR_NONE;
}

/* True when a frame header begins here; frames may follow one another. */
static bool frame_begins(const uint8_t *at, const uint8_t *end)
{
    return end - at >= FRAME_HEADER_BYTES && memcmp(at, frame_magic, sizeof frame_magic) == 0;
}

enum error snappy_decompress(struct slice in, struct codec_output *output)
{
    const uint8_t *at = in.data;
    const uint8_t *end = at + in.size;
    if (!frame_begins(at, end))
        return block_decompress(at, in.size, output);
    while (at < end) {
        if (frame_begins(at, end)) {
            at += FRAME_HEADER_BYTES;
            continue;
        }
        if (end - at < 4)
            return ERROR_CORRUPT_MESSAGE;
        uint32_t size = load_be32(at);
        at += 4;
        if (size > (size_t)(end - at))
            return ERROR_CORRUPT_MESSAGE;
        enum error error = block_decompress(at, size, output);
        if (error != ERROR_NONE)
            return error;
        at += size;
    }
    return ERROR_NONE;
}

enum error snappy_frame_compress(struct slice in, size_t reserve, struct buffer **ret_out)
{
    size_t blocks = in.size / FRAME_BLOCK_BYTES + 1;
    size_t bound =
        FRAME_HEADER_BYTES + blocks * (4 + snappy_max_compressed_length(FRAME_BLOCK_BYTES));
    struct buffer *out = buffer_new(reserve + bound);
    if (out == NULL)
        return ERROR_OUT_OF_MEMORY;
    uint8_t *next = out->data + reserve;
    memcpy(next, frame_magic, sizeof frame_magic);
    store_be32(next + 8, FRAME_VERSION);
    store_be32(next + 12, FRAME_VERSION);
    next += FRAME_HEADER_BYTES;
    for (size_t at = 0; at < in.size; at += FRAME_BLOCK_BYTES) {
        size_t size = in.size - at < FRAME_BLOCK_BYTES ? in.size - at : FRAME_BLOCK_BYTES;
        size_t made = snappy_max_compressed_length(size);
        if (snappy_compress((const char *)in.data + at, size, (char *)next + 4, &made) !=
            SNAPPY_OK) {
            buffer_unref(out);
            return ERROR_MALFORMED;
        }
        store_be32(next, (uint32_t)made);
        next += 4 + made;
    }
    out->size = (size_t)(next - out->data);
    *ret_out = out;
    return ERROR_NONE;
}
