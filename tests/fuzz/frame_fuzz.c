/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer target: any bytes as a request frame, or as a response to any API.
 *
 * Input: one byte (even: request, odd: response), then a frame; for a response the first four bytes
 * are the key and version it answers. What decodes must encode, and decode and encode to the same
 * bytes again. */
#include "base/assertion.h"
#include "wire/frame.h"

#include <stddef.h>
#include <stdint.h>

enum { ARENA_BYTES = 4 << 20, ENCODED_BYTES = 64 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct slice encode(const struct api_message *kind, int16_t version, const void *message,
                           struct arena *arena)
{
    struct writer writer;
    writer_init(&writer);
    kind->encode(&writer, version, message);
    struct slice bytes = SLICE_NULL;
    enum error error = writer_finish_slice(&writer, arena, &bytes);
    ASSERT(error == ERROR_NONE);
    return bytes;
}

static void body(const struct api_message *kind, int16_t version, struct reader *reader)
{
    struct arena arena, encoded;
    arena_init(&arena, ARENA_BYTES);
    arena_init(&encoded, ENCODED_BYTES);
    void *message = arena_allocate(&arena, kind->size);
    ASSERT(message != NULL);
    if (kind->decode(reader, version, &arena, message) == ERROR_NONE) {
        struct slice once = encode(kind, version, message, &encoded);
        struct reader again;
        reader_init(&again, once);
        enum error error = kind->decode(&again, version, &arena, message);
        if (error != ERROR_TOO_LARGE) { /* The arena now holds two of them. */
            ASSERT(error == ERROR_NONE);
            ASSERT(reader_left(&again) == 0);
            ASSERT(slice_equals(once, encode(kind, version, message, &encoded)));
        }
    }
    arena_done(&encoded);
    arena_done(&arena);
}

static void request(struct slice frame)
{
    struct reader reader;
    reader_init(&reader, frame);
    struct frame_request request;
    if (frame_request_decode(&reader, &request) == ERROR_NONE && request.supported)
        body(&request.api->request, request.version, &reader);
}

static void response(struct slice bytes)
{
    struct reader reader;
    reader_init(&reader, bytes);
    const struct api *api = api_find(read_int16(&reader));
    int16_t version = read_int16(&reader);
    int32_t correlation_id;
    if (!reader_good(&reader) || api == NULL || !api_supports(api, version))
        return;
    if (frame_response_decode(&reader, api, version, &correlation_id) == ERROR_NONE)
        body(&api->response, version, &reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct slice rest = slice_from(data + 1, size - 1);
    if (data[0] % 2 == 0)
        request(rest);
    else
        response(rest);
    return 0;
}
