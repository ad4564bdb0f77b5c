/* SPDX-License-Identifier: Apache-2.0 */
/* One record inside a batch: its fields as slices, read and written without a copy of their own.
 *
 *   varint length | int8 attributes | varlong timestampDelta | varint offsetDelta |
 *   varint keyLength key | varint valueLength value | varint headerCount headers
 *
 * Lengths are zigzag varints, -1 is null (Kafka: DefaultRecord). Any thread. */
#ifndef BROKER_RECORD_RECORD_H
#define BROKER_RECORD_RECORD_H

#include "base/error.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The fewest bytes a record takes: seven fields of one byte. */
enum { RECORD_BYTES_MIN = 7 };

struct record {
    int64_t offset;
    int64_t timestamp;    /* ms since 1970; TIMESTAMP_NONE when the client gave none. */
    struct slice key;     /* Null: no key. */
    struct slice value;   /* Null: a tombstone. */
    struct slice headers; /* Encoded, behind the count: see record_header_next. */
    int32_t header_count;
};

/* Reads the record at `at`; offset and timestamp are still the deltas. Every length and every
 * header is checked against the record's own length. Returns the bytes it takes, 0 when it does not
 * decode or ends beyond `size`. */
size_t record_read(const uint8_t *at, size_t size, struct record *ret_record);

/* Takes the first header off `headers` (of a record that was read, or of encoded headers that
 * were made by record_header_write). False when none is left or it does not decode. */
bool record_header_next(struct slice *headers, struct slice *ret_key, struct slice *ret_value);

/* Encoded size of one header, and its encoding at `at`; the key is not null. */
size_t record_header_size(struct slice key, struct slice value);
size_t record_header_write(uint8_t *at, struct slice key, struct slice value);

/* Encoded size of a record with these deltas, its length field included; SIZE_MAX when it is more
 * than a record can say (2^31 - 1 bytes). */
size_t record_size(const struct record *record, int64_t timestamp_delta, int32_t offset_delta);

/* Writes record_size bytes at `at`; returns them. */
size_t record_write(uint8_t *at, const struct record *record, int64_t timestamp_delta,
                    int32_t offset_delta);

#endif
