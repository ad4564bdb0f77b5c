/* SPDX-License-Identifier: Apache-2.0 */
/* One-line structured reports to the operator: what happened, to what, what was lost, what to do.
 *
 *   level=warning event=batch_damaged topic=orders partition=3 offset=4711 lost=nothing do="..."
 *
 * Only net/, fs/, replicate/ and daemon/ report; rooms below return errors or call the report hook
 * they are given. Any thread. The same event with the same `subject` comes at most once a second;
 * the next line says how many were left out. Values are escaped: hostile bytes never reach a
 * terminal. Written to stderr (with sd-daemon <N> prefixes when it is the journal) and kept, the
 * last REPORT_KEPT of them, for the mount's .errors file. */
#ifndef BROKER_BASE_REPORT_H
#define BROKER_BASE_REPORT_H

#include <stddef.h>

enum report_level { REPORT_ERROR = 3, REPORT_WARNING = 4, REPORT_NOTICE = 5, REPORT_INFO = 6 };
enum { REPORT_KEPT = 1000, REPORT_LINE_BYTES = 512 };

/* `subject` is "topic=orders partition=3" or "" and takes part in the rate limit; the rest is
 * printf-formatted key=value text. */
void report(enum report_level level, const char *event, const char *subject, const char *format,
            ...) __attribute__((format(printf, 4, 5)));

/* Calls `each` with the kept warning and error lines, oldest first. */
void report_each_kept(void (*each)(void *context, const char *line), void *context);

/* Copies text into `out`, escaping quotes, control and non-ASCII bytes as \xNN; always terminated.
 * Returns `out`. */
const char *report_escape(const void *bytes, size_t size, char *out, size_t out_size);

#endif
