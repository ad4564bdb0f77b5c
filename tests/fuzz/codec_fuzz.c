/* SPDX-License-Identifier: Apache-2.0 */
/* One codec (FUZZ_CODEC): hostile bytes are decompressed under a cap, and whatever bytes are
 * compressed come back. */
#include "base/assertion.h"
#include "record/codec.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

enum { OUTPUT_BYTES_MAX = 256 << 10 };

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    struct codec_context context;
    codec_context_init(&context);
    /* A heap block of its own, so that reading behind it is seen. */
    uint8_t *copy = malloc(size + 1);
    memcpy(copy, input, size);
    copy = realloc(copy, size == 0 ? 1 : size);
    struct slice in = slice_from(copy, size);
    struct slice out;

    /* Twice: the context must not be spoilt by what failed in it. */
    enum error first = codec_decompress(&context, FUZZ_CODEC, in, OUTPUT_BYTES_MAX, &out);
    size_t first_size = first == ERROR_NONE ? out.size : 0;
    ASSERT(first_size <= OUTPUT_BYTES_MAX);
    enum error second = codec_decompress(&context, FUZZ_CODEC, in, OUTPUT_BYTES_MAX, &out);
    ASSERT(first == second);
    ASSERT(first != ERROR_NONE || out.size == first_size);

    struct buffer *compressed;
    enum error error =
        codec_compress(&context, FUZZ_CODEC, codec_level_default(FUZZ_CODEC), in, 3, &compressed);
    ASSERT(error == ERROR_NONE);
    error = codec_decompress(&context, FUZZ_CODEC,
                             slice_from(compressed->data + 3, compressed->size - 3), size, &out);
    ASSERT(error == ERROR_NONE);
    ASSERT(out.size == size);
    ASSERT(memcmp(out.data, copy, size) == 0);

    buffer_unref(compressed);
    codec_context_done(&context);
    free(copy);
    return 0;
}
