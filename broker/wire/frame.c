/* SPDX-License-Identifier: Apache-2.0 */
/* Headers of requests and responses. */
#include "wire/frame.h"

#include "base/assertion.h"
#include "wire/header.h"

enum error frame_request_decode(struct reader *reader, struct frame_request *ret_request)
{
    /* The version of the header depends on its first two fields. */
    struct reader ahead = *reader;
    int16_t key = read_int16(&ahead);
    int16_t version = read_int16(&ahead);
    if (!reader_good(&ahead)) {
        reader_fail(reader, ERROR_MALFORMED);
        return ERROR_MALFORMED;
    }
    const struct api *api = api_find(key);
    if (api == NULL)
        return ERROR_INVALID_REQUEST;

    struct request_header header;
    enum error error =
        request_header_decode(reader, api_request_header_version(api, version), NULL, &header);
    if (error != ERROR_NONE)
        return error;
    *ret_request = (struct frame_request){
        .api = api,
        .version = version,
        .supported = api_supports(api, version),
        .correlation_id = header.correlation_id,
        .client_id = header.client_id,
    };
    return ERROR_NONE;
}

enum error frame_body_decode(struct reader *reader, const struct frame_request *request,
                             struct arena *arena, void **ret_body)
{
    ASSERT(request->supported);
    void *body = arena_allocate(arena, request->api->request.size);
    if (body == NULL)
        return ERROR_OUT_OF_MEMORY;
    enum error error = request->api->request.decode(reader, request->version, arena, body);
    if (error != ERROR_NONE)
        return error;
    *ret_body = body;
    return ERROR_NONE;
}

enum error frame_response_encode(const struct api *api, int16_t version, int32_t correlation_id,
                                 const void *response, struct outgoing *ret_outgoing)
{
    struct writer writer;
    writer_init_frame(&writer);
    struct response_header header = {.correlation_id = correlation_id};
    response_header_encode(&writer, api_response_header_version(api, version), &header);
    api->response.encode(&writer, version, response);
    return writer_finish(&writer, ret_outgoing);
}

enum error frame_request_encode(const struct api *api, int16_t version, int32_t correlation_id,
                                struct slice client_id, const void *request,
                                struct outgoing *ret_outgoing)
{
    struct writer writer;
    writer_init_frame(&writer);
    struct request_header header = {
        .request_api_key = (int16_t)api->key,
        .request_api_version = version,
        .correlation_id = correlation_id,
        .client_id = client_id,
    };
    request_header_encode(&writer, api_request_header_version(api, version), &header);
    api->request.encode(&writer, version, request);
    return writer_finish(&writer, ret_outgoing);
}

enum error frame_response_decode(struct reader *reader, const struct api *api, int16_t version,
                                 int32_t *ret_correlation_id)
{
    struct response_header header;
    enum error error =
        response_header_decode(reader, api_response_header_version(api, version), NULL, &header);
    if (error == ERROR_NONE)
        *ret_correlation_id = header.correlation_id;
    return error;
}
