/* SPDX-License-Identifier: Apache-2.0 */
/* The table of the APIs this build can decode and encode, for dispatch without a switch.
 *
 * Whether an API is advertised is the daemon's decision (it has a handler or it has not), and the
 * advertised minimum of Produce is 0 although versions below 3 are refused (KAFKA-18659). */
#ifndef BROKER_WIRE_API_H
#define BROKER_WIRE_API_H

#include "base/arena.h"
#include "base/error.h"
#include "wire/api_key.h"
#include "wire/reader.h"
#include "wire/writer.h"

#include <stddef.h>
#include <stdint.h>

/* One direction of an API; `message` points to the generated struct, e.g. struct fetch_request. */
struct api_message {
    size_t size; /* Of the struct. */
    void (*init)(void *message);
    enum error (*decode)(struct reader *reader, int16_t version, struct arena *arena,
                         void *ret_message);
    void (*encode)(struct writer *writer, int16_t version, const void *message);
};

struct api {
    const char *name; /* As Kafka writes it: "ListOffsets". */
    enum api_key key;
    int16_t version_min; /* Inclusive, both. */
    int16_t version_max;
    int16_t flexible_version; /* The first flexible one; INT16_MAX when there is none. */
    struct api_message request;
    struct api_message response;
};

/* NULL when the key is unknown or negative. */
const struct api *api_find(int16_t key);

static inline bool api_supports(const struct api *api, int16_t version)
{
    return version >= api->version_min && version <= api->version_max;
}

/* Of the request: 2 in flexible versions, otherwise 1. */
static inline int16_t api_request_header_version(const struct api *api, int16_t version)
{
    return version >= api->flexible_version ? 2 : 1;
}

/* Of the response: 1 in flexible versions, otherwise 0; always 0 for ApiVersions, because a client
 * must read that answer before it knows what we speak (KIP-511). */
static inline int16_t api_response_header_version(const struct api *api, int16_t version)
{
    return version >= api->flexible_version && api->key != API_API_VERSIONS;
}

#endif
