/* SPDX-License-Identifier: Apache-2.0 */
/* Frames: the headers in front of requests and responses, and a whole message at once.
 *
 *   request   | size | key | version | correlation id | client id | [tags] | body |
 *   response  | size | correlation id | [tags] | body |
 *
 * The 4-byte size is net's to read: what comes here is the frame behind it. Tags are there in
 * header version 2 (request) and 1 (response): see api.h. The client id has a 2-byte length in
 * every version (KIP-482). */
#ifndef BROKER_WIRE_FRAME_H
#define BROKER_WIRE_FRAME_H

#include "wire/api.h"

struct frame_request {
    const struct api *api;
    int16_t version;
    bool supported;         /* The version is one of the api's. */
    int32_t correlation_id; /* To be echoed. */
    struct slice client_id; /* In the frame; may be null; any bytes, escape it in reports. */
};

/* Decodes a request header and leaves the reader at the body.
 * INVALID_REQUEST: the key is unknown. MALFORMED: the header is damaged. Close on both.
 * A version out of range is no error here but `supported` false: Kafka answers it for ApiVersions
 * (a version 0 body with UNSUPPORTED_VERSION) and closes for every other API, in both cases without
 * decoding the body (RequestContext.isUnsupportedApiVersionsRequest). */
enum error frame_request_decode(struct reader *reader, struct frame_request *ret_request);

/* Decodes the body into a new struct in the arena, e.g. a struct fetch_request. Bytes left behind
 * it are ignored as Kafka ignores them: librdkafka (2.16) sends three after a Metadata request for
 * all topics. The request must be supported. */
enum error frame_body_decode(struct reader *reader, const struct frame_request *request,
                             struct arena *arena, void **ret_body);

/* A whole response frame. `version` is the request's, or 0 to answer an unsupported ApiVersions. */
enum error frame_response_encode(const struct api *api, int16_t version, int32_t correlation_id,
                                 const void *response, struct outgoing *ret_outgoing);

/* A whole request frame, for links to other nodes. */
enum error frame_request_encode(const struct api *api, int16_t version, int32_t correlation_id,
                                struct slice client_id, const void *request,
                                struct outgoing *ret_outgoing);

/* Decodes a response header and leaves the reader at the body. */
enum error frame_response_decode(struct reader *reader, const struct api *api, int16_t version,
                                 int32_t *ret_correlation_id);

#endif
