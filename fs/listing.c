/* SPDX-License-Identifier: Apache-2.0 */
/* Directory listings, packed: a million names cost their bytes and four more each. */
#include "fs/listing.h"

#include "base/memory.h"

#include <string.h>

void listing_add(struct listing *listing, bool is_directory, const char *name)
{
    if (listing->count == listing->capacity) {
        uint32_t capacity = listing->capacity == 0 ? 64 : listing->capacity * 2;
        uint32_t *starts = memory_resize(listing->starts, capacity * sizeof starts[0]);
        if (starts == NULL) {
            listing->failed = true;
            return;
        }
        listing->starts = starts;
        listing->capacity = capacity;
    }
    size_t start = listing->bytes.size;
    text_add_bytes(&listing->bytes, is_directory ? "d" : "f", 1);
    text_add_bytes(&listing->bytes, name, strlen(name) + 1);
    if (listing->bytes.failed || start > UINT32_MAX) {
        listing->failed = true;
        return;
    }
    listing->starts[listing->count++] = (uint32_t)start;
}

void listing_done(struct listing *listing)
{
    text_done(&listing->bytes);
    memory_free(listing->starts);
    *listing = (struct listing){0};
}
