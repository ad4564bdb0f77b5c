/* SPDX-License-Identifier: Apache-2.0 */
/* A ring of lines: time, operation, path, errno, reason, separated by tabs. */
#include "fs/errors.h"

#include "base/memory.h"
#include "base/report.h"

#include <stdio.h>
#include <string.h>

enum { PATH_SHOWN_BYTES = 512, REASON_SHOWN_BYTES = 512 };

void errors_add(struct error_list *list, int64_t now_ms, const char *verb, const char *path,
                enum error error, const char *reason)
{
    char stamp[TIME_TEXT_BYTES], shown_path[PATH_SHOWN_BYTES], shown_reason[REASON_SHOWN_BYTES];
    if (reason == NULL)
        reason = error_text(error);
    struct text line = {0};
    text_add(&line, "%s\t%s\t%s\t%s\t%s", text_time(now_ms, stamp), verb,
             report_escape(path, strlen(path), shown_path, sizeof shown_path),
             strerrorname_np(error_to_errno(error)),
             report_escape(reason, strlen(reason), shown_reason, sizeof shown_reason));
    if (line.failed) {
        text_done(&line);
        return;
    }
    memory_free(list->lines[list->next]);
    list->lines[list->next] = line.bytes;
    list->next = (list->next + 1) % ERRORS_KEPT;
}

void errors_render(const struct error_list *list, struct text *text)
{
    for (uint32_t i = 0; i < ERRORS_KEPT; i++) {
        const char *line = list->lines[(list->next + i) % ERRORS_KEPT];
        if (line != NULL)
            text_add(text, "%s\n", line);
    }
}

void errors_done(struct error_list *list)
{
    for (uint32_t i = 0; i < ERRORS_KEPT; i++)
        memory_free(list->lines[i]);
    *list = (struct error_list){0};
}
