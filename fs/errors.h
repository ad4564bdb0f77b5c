/* SPDX-License-Identifier: Apache-2.0 */
/* The last failed operations on the mount, with their reasons: what `.errors` shows. Inside the
 * monitor. */
#ifndef FS_ERRORS_H
#define FS_ERRORS_H

#include "base/error.h"
#include "fs/text.h"

#include <stdint.h>

enum { ERRORS_KEPT = 1000 };

struct error_list {
    char *lines[ERRORS_KEPT]; /* A ring; NULL where there is none yet. */
    uint32_t next;
};

/* Remembers one: when (wall clock, ms), "write", "orders/0", the error and why (NULL: its text).
 * Lost without a word when memory is refused. */
void errors_add(struct error_list *list, int64_t now_ms, const char *verb, const char *path,
                enum error error, const char *reason);

/* The lines, oldest first. */
void errors_render(const struct error_list *list, struct text *text);

void errors_done(struct error_list *list);

#endif
