/* SPDX-License-Identifier: Apache-2.0 */
/* A growing text: what a small generated file says. One thread at a time. */
#ifndef FS_TEXT_H
#define FS_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
    char *bytes; /* NUL behind them; NULL while empty. */
    size_t size;
    size_t capacity;
    bool failed; /* Memory was refused: the text is not whole. */
};

/* Adds a printf-formatted piece. */
void text_add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_add_bytes(struct text *text, const void *bytes, size_t size);

enum { TIME_TEXT_BYTES = 32 };

/* "2026-08-23T10:00:00Z" of wall clock milliseconds; "-" when there is no such year. Returns `out`.
 */
const char *text_time(int64_t wall_clock_ms, char out[TIME_TEXT_BYTES]);

/* Frees; the text is empty again. */
void text_done(struct text *text);

#endif
