/* SPDX-License-Identifier: Apache-2.0 */
/* A `records` field: record batches that came in a frame, or that an answer takes from memory and
 * from segment files without copying them.
 *
 *   on the wire:  | size | data ... | part 0 ... | part 1 ... |
 *
 * Null when `data` is null and there are no parts; set data to SLICE_EMPTY for "no records". */
#ifndef BROKER_WIRE_RECORDS_H
#define BROKER_WIRE_RECORDS_H

#include "base/buffer.h"
#include "base/slice.h"
#include "base/storage.h"

/* A run of bytes of a file that will not change until it is sent. */
struct records_part {
    struct storage_file *file;
    uint64_t position;
    size_t size;
    void *holder; /* Keeps the file open; given back through records.release. */
};

/* Encoding takes over every `holder`: each is released exactly once, when its bytes are sent or the
 * answer is dropped, also when encoding fails. `parts` itself stays the caller's and is not needed
 * after encoding. A struct that is never encoded keeps its holders: its owner releases them. */
struct records {
    struct slice data;    /* Decoded: in the frame. */
    struct buffer *owner; /* Of data, may be NULL. With one, encoding borrows data and holds a
                             reference to it until it is sent; without, it copies data. */
    struct records_part *parts;
    uint32_t parts_count;
    void (*release)(void *holder); /* May be NULL. Called on the thread that sends or drops. */
};

#endif
