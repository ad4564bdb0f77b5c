/* SPDX-License-Identifier: Apache-2.0 */
/* Reports: formatting, the once-a-second limit per event and subject, the kept lines.
 *
 * Its state is the one exception to "no mutable globals": whoever has something to tell the
 * operator must be able to, from any thread and before anything else is set up. */
#include "base/report.h"

#include "base/assertion.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    LIMIT_MS = 1000,
    LIMIT_ROWS = 1024, /* Events and subjects remembered; a power of two. */
    LIMIT_PROBES = 8,  /* A row is found within so many of its first place. */
};

/* When an event with a subject was last told, and how many were left out since. */
struct limit {
    uint64_t hash;   /* 0: the row is free. */
    int64_t told_ms; /* CLOCK_MONOTONIC. */
    unsigned long suppressed;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct limit limits[LIMIT_ROWS];
static unsigned long suppressed_forgotten; /* Counts of rows that had to make room. */
static char kept[REPORT_KEPT][REPORT_LINE_BYTES];
static uint64_t kept_count; /* Ever; the line n is kept[n % REPORT_KEPT]. */

const char *report_escape(const void *bytes, size_t size, char *out, size_t out_size)
{
    static const char digits[] = "0123456789abcdef";
    ASSERT(out_size > 0);
    const uint8_t *from = bytes;
    size_t used = 0;
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = from[i];
        bool plain = byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\';
        if (used + (plain ? 1 : 4) >= out_size)
            break;
        if (plain) {
            out[used++] = (char)byte;
            continue;
        }
        out[used++] = '\\';
        out[used++] = 'x';
        out[used++] = digits[byte >> 4];
        out[used++] = digits[byte & 0x0f];
    }
    out[used] = '\0';
    return out;
}

static uint64_t hash_text(uint64_t hash, const char *text)
{
    for (; *text != '\0'; text++)
        hash = (hash ^ (uint8_t)*text) * 0x100000001b3; /* FNV-1a. */
    return (hash ^ 0xff) * 0x100000001b3;
}

static int64_t clock_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The row of `hash`, taking over the one told longest ago when there is none. */
static struct limit *limit_of(uint64_t hash)
{
    struct limit *oldest = NULL;
    for (size_t i = 0; i < LIMIT_PROBES; i++) {
        struct limit *limit = &limits[(hash + i) & (LIMIT_ROWS - 1)];
        if (limit->hash == hash)
            return limit;
        if (oldest == NULL || (oldest->hash != 0 && limit->hash == 0) ||
            (oldest->hash != 0 && limit->told_ms < oldest->told_ms))
            oldest = limit;
    }
    suppressed_forgotten += oldest->suppressed;
    *oldest = (struct limit){.hash = hash, .told_ms = INT64_MIN};
    return oldest;
}

/* False when the same was told less than a second ago. */
static bool limit_allows(const char *event, const char *subject, unsigned long *ret_suppressed)
{
    uint64_t hash = hash_text(hash_text(0xcbf29ce484222325, event), subject);
    struct limit *limit = limit_of(hash == 0 ? 1 : hash);
    int64_t now_ms = clock_ms();
    if (limit->told_ms != INT64_MIN && now_ms - limit->told_ms < LIMIT_MS) {
        limit->suppressed++;
        return false;
    }
    *ret_suppressed = limit->suppressed;
    limit->suppressed = 0;
    limit->told_ms = now_ms;
    return true;
}

/* systemd: stderr is the journal when JOURNAL_STREAM names its device and inode (systemd.exec(5));
 * a child that redirected it must not print prefixes. */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    if (stream == NULL)
        return false;
    struct stat status;
    if (fstat(STDERR_FILENO, &status) != 0)
        return false;
    char *end;
    unsigned long long device = strtoull(stream, &end, 10);
    if (end == stream || *end != ':')
        return false;
    const char *inode_text = end + 1;
    unsigned long long inode = strtoull(inode_text, &end, 10);
    return end != inode_text && *end == '\0' && device == status.st_dev && inode == status.st_ino;
}

static const char *level_name(enum report_level level)
{
    switch (level) {
    case REPORT_ERROR:
        return "error";
    case REPORT_WARNING:
        return "warning";
    case REPORT_NOTICE:
        return "notice";
    case REPORT_INFO:
        return "info";
    }
    return "error";
}

/* A line being put together; it stays terminated and drops what does not fit. */
struct line {
    char text[REPORT_LINE_BYTES];
    size_t used;
};

__attribute__((format(printf, 2, 0))) static void
line_add_arguments(struct line *line, const char *format, va_list arguments)
{
    size_t room = sizeof line->text - line->used;
    int size = vsnprintf(line->text + line->used, room, format, arguments);
    if (size < 0)
        line->text[line->used] = '\0';
    else
        line->used += (size_t)size < room ? (size_t)size : room - 1;
}

__attribute__((format(printf, 2, 3))) static void line_add(struct line *line, const char *format,
                                                           ...)
{
    va_list arguments;
    va_start(arguments, format);
    line_add_arguments(line, format, arguments);
    va_end(arguments);
}

/* The last defence: a value somebody forgot to escape cannot move the cursor or start a line. */
static void line_tame(struct line *line)
{
    for (size_t i = 0; i < line->used; i++) {
        uint8_t byte = (uint8_t)line->text[i];
        if (byte < 0x20 || byte >= 0x7f)
            line->text[i] = '?';
    }
}

/* One write, so that lines of two processes do not mix. A stderr that refuses is nobody's to tell.
 */
static void line_print(const struct line *line, enum report_level level)
{
    char out[REPORT_LINE_BYTES + 8];
    int size = snprintf(out, sizeof out, "%s%.*s\n",
                        !stderr_is_journal()      ? ""
                        : level == REPORT_ERROR   ? "<3>"
                        : level == REPORT_WARNING ? "<4>"
                        : level == REPORT_NOTICE  ? "<5>"
                                                  : "<6>",
                        (int)line->used, line->text);
    for (size_t used = 0; used < (size_t)size;) {
        ssize_t put = write(STDERR_FILENO, out + used, (size_t)size - used);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return;
        used += (size_t)put;
    }
}

void report(enum report_level level, const char *event, const char *subject, const char *format,
            ...)
{
    (void)pthread_mutex_lock(&lock);
    unsigned long suppressed;
    if (!limit_allows(event, subject, &suppressed)) {
        (void)pthread_mutex_unlock(&lock);
        return;
    }

    struct line line = {.used = 0};
    line_add(&line, "level=%s event=%s", level_name(level), event);
    if (suppressed > 0)
        line_add(&line, " suppressed=%lu", suppressed);
    if (suppressed_forgotten > 0) {
        line_add(&line, " suppressed_others=%lu", suppressed_forgotten);
        suppressed_forgotten = 0;
    }
    if (subject[0] != '\0')
        line_add(&line, " %s", subject);
    if (format[0] != '\0') {
        line_add(&line, " ");
        va_list arguments;
        va_start(arguments, format);
        line_add_arguments(&line, format, arguments);
        va_end(arguments);
    }
    line_tame(&line);

    if (level <= REPORT_WARNING)
        memcpy(kept[kept_count++ % REPORT_KEPT], line.text, line.used + 1);
    line_print(&line, level);
    (void)pthread_mutex_unlock(&lock);
}

void report_each_kept(void (*each)(void *context, const char *line), void *context)
{
    (void)pthread_mutex_lock(&lock);
    uint64_t end = kept_count;
    uint64_t next = end > REPORT_KEPT ? end - REPORT_KEPT : 0;
    (void)pthread_mutex_unlock(&lock);

    /* A line at a time, without the lock during `each`: it may report or be slow. */
    for (; next < end; next++) {
        char line[REPORT_LINE_BYTES];
        (void)pthread_mutex_lock(&lock);
        bool there = kept_count - next <= REPORT_KEPT;
        if (there)
            memcpy(line, kept[next % REPORT_KEPT], sizeof line);
        (void)pthread_mutex_unlock(&lock);
        if (there)
            each(context, line);
    }
}
