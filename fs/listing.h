/* SPDX-License-Identifier: Apache-2.0 */
/* The names of a directory as they were when it was opened (or rewound), for reading in pieces.
 * One thread at a time. */
#ifndef FS_LISTING_H
#define FS_LISTING_H

#include "fs/text.h"

#include <stdint.h>

struct listing {
    struct text bytes; /* Each entry: 'd' or 'f', the name, a NUL. */
    uint32_t *starts;
    uint32_t count;
    uint32_t capacity;
    bool failed; /* Memory was refused. */
};

/* Adds an entry; a refusal is remembered in `failed`. */
void listing_add(struct listing *listing, bool is_directory, const char *name);

/* Frees; empty again. */
void listing_done(struct listing *listing);

static inline const char *listing_name(const struct listing *listing, uint32_t index)
{
    return listing->bytes.bytes + listing->starts[index] + 1;
}

static inline bool listing_is_directory(const struct listing *listing, uint32_t index)
{
    return listing->bytes.bytes[listing->starts[index]] == 'd';
}

#endif
