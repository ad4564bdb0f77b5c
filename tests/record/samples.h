/* SPDX-License-Identifier: Apache-2.0 */
/* Batches for the tests: one written by hand, others made by the builder. */
#ifndef TESTS_RECORD_SAMPLES_H
#define TESTS_RECORD_SAMPLES_H

#include "record/build.h"
#include "record/validate.h"

#include <stdlib.h>

/* Two records at offset 0x102: ("k", "hello") at 1000 ms, and at 1005 ms (null, null) with the
 * header h=v. The CRC was computed by another implementation. */
static const uint8_t golden_batch[] = {
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x02, /* base offset */
    0x00, 0x00, 0x00, 0x49,                         /* length 73 */
    0x00, 0x00, 0x00, 0x07,                         /* leader epoch */
    0x02,                                           /* magic */
    0xa6, 0xff, 0xac, 0xb9,                         /* CRC-32C */
    0x00, 0x00,                                     /* attributes */
    0x00, 0x00, 0x00, 0x01,                         /* last offset delta */
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03, 0xe8, /* base timestamp */
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03, 0xed, /* max timestamp */
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, /* producer id */
    0xff, 0xff,                                     /* producer epoch */
    0xff, 0xff, 0xff, 0xff,                         /* base sequence */
    0x00, 0x00, 0x00, 0x02,                         /* records */
    0x18, 0x00, 0x00, 0x00, 0x02, 'k',  0x0a, 'h',  'e',  'l', 'l',  'o',
    0x00, 0x14, 0x00, 0x0a, 0x02, 0x01, 0x01, 0x02, 0x02, 'h', 0x02, 'v',
};

/* A heap block of exactly `size` bytes, so that a sanitizer sees a read behind it. */
uint8_t *sample_copy(const void *bytes, size_t size);

/* Limits that refuse nothing a sane client sends; now is 1,000,000 ms. */
struct batch_limits sample_limits(void);

/* A batch of `count` records: keys "key-N", values of about `value_size` compressible bytes that
 * differ by N, one header on every third, timestamps 1000, 1003, 1006, ... Aborts on failure. */
struct buffer *sample_batch(enum codec codec, int count, size_t value_size);

/* Byte `at` of the value of record `index`. */
uint8_t sample_value_byte(int index, size_t at);

#endif
