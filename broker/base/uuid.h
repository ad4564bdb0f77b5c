/* SPDX-License-Identifier: Apache-2.0 */
/* Kafka's 16-byte ids: topic id, directory id, cluster id. Text is 22 characters of unpadded
 * base64url. */
#ifndef BROKER_BASE_UUID_H
#define BROKER_BASE_UUID_H

#include "base/executor.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { UUID_BYTES = 16, UUID_TEXT_BYTES = 23 /* With the NUL. */ };

struct uuid {
    uint8_t bytes[UUID_BYTES];
};

#define UUID_ZERO ((struct uuid){{0}})

static inline bool uuid_equals(const struct uuid *a, const struct uuid *b)
{
    return memcmp(a->bytes, b->bytes, UUID_BYTES) == 0;
}

static inline bool uuid_is_zero(const struct uuid *uuid)
{
    return uuid_equals(uuid, &UUID_ZERO);
}

/* RFC 4122 version 4; never one whose text begins with '-' (Kafka's Uuid.randomUuid). */
struct uuid uuid_random(struct executor *executor);

void uuid_to_text(const struct uuid *uuid, char ret_text[UUID_TEXT_BYTES]);

/* False when it is not 22 characters of base64url. */
bool uuid_from_text(const char *text, struct uuid *ret_uuid);

#endif
