/* SPDX-License-Identifier: Apache-2.0 */
/* Places in a partition, as people write them: in `P@SEL` names and in group offset files.
 *
 *   1500  start  end  +N  -N  @1763900000000  @2026-08-23T10:00:00Z  @-1h
 *
 * In a file name the '@' of times is left out where it cannot be mistaken: 0@-1h,
 * 0@2026-08-23T10:00:00Z; 0@-100 is a hundred records before the end. Pure; any thread. */
#ifndef FS_SELECTOR_H
#define FS_SELECTOR_H

#include <stdbool.h>
#include <stdint.h>

enum selector_kind {
    SELECTOR_OFFSET,   /* value: an offset. */
    SELECTOR_START,    /* The log start. */
    SELECTOR_END,      /* The high watermark. */
    SELECTOR_FORWARD,  /* value records after the place it is relative to. */
    SELECTOR_BACKWARD, /* value records before it. */
    SELECTOR_TIME      /* value: ms since 1970; the first record not older. */
};

struct selector {
    enum selector_kind kind;
    int64_t value;
};

/* What a group offset file is told. Times begin with '@'. */
bool selector_parse(const char *text, int64_t now_ms, struct selector *ret_selector);

/* The part of a file name behind "P@": SEL or SEL:SEL. ret_has_end tells which. Forward is not
 * allowed there. */
bool selector_parse_range(const char *text, int64_t now_ms, struct selector *ret_from,
                          struct selector *ret_to, bool *ret_has_end);

#endif
