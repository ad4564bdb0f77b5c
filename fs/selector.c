/* SPDX-License-Identifier: Apache-2.0 */
/* Parsing places in a partition: decimal numbers, words, durations and RFC 3339 times in UTC. */
#include "fs/selector.h"

#include <stdio.h>
#include <string.h>

enum { SELECTOR_BYTES_MAX = 64 };

static const char *read_digits(const char *at, int64_t *ret_value)
{
    int64_t value = 0;
    const char *begin = at;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, *at - '0', &value))
            return NULL;
    }
    *ret_value = value;
    return at == begin ? NULL : at;
}

/* "90s", "15m", "1h", "2d", "1w": ret in ms. */
static bool duration_parse(const char *text, int64_t *ret_ms)
{
    static const struct {
        char unit;
        int64_t ms;
    } units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}, {'w', 604800000}};
    int64_t count;
    const char *at = read_digits(text, &count);
    if (at == NULL || at[0] == '\0' || at[1] != '\0')
        return false;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (units[i].unit == at[0])
            return !__builtin_mul_overflow(count, units[i].ms, ret_ms);
    return false;
}

/* Days from 1970-01-01 in the proleptic Gregorian calendar. */
static int64_t days_of_date(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

/* Exactly `count` digits, then `end` (any when '\0'). */
static bool fixed_digits(const char **at, int count, int64_t *ret_value)
{
    int64_t value = 0;
    for (int i = 0; i < count; i++, (*at)++) {
        if (**at < '0' || **at > '9')
            return false;
        value = value * 10 + (**at - '0');
    }
    *ret_value = value;
    return true;
}

static bool skip_character(const char **at, char wanted)
{
    if (**at != wanted)
        return false;
    (*at)++;
    return true;
}

/* 2026-08-23, 2026-08-23T10:00:00Z, 2026-08-23T10:00:00.123Z: UTC. */
static bool date_parse(const char *at, int64_t *ret_ms)
{
    int64_t year, month, day, hour = 0, minute = 0, second = 0, milliseconds = 0;
    if (!fixed_digits(&at, 4, &year) || !skip_character(&at, '-') ||
        !fixed_digits(&at, 2, &month) || !skip_character(&at, '-') || !fixed_digits(&at, 2, &day))
        return false;
    if (month < 1 || month > 12 || day < 1 || day > 31)
        return false;
    if (*at != '\0') {
        if (!skip_character(&at, 'T') || !fixed_digits(&at, 2, &hour) ||
            !skip_character(&at, ':') || !fixed_digits(&at, 2, &minute) ||
            !skip_character(&at, ':') || !fixed_digits(&at, 2, &second))
            return false;
        if (*at == '.' && (!skip_character(&at, '.') || !fixed_digits(&at, 3, &milliseconds)))
            return false;
        if (!skip_character(&at, 'Z') || *at != '\0' || hour > 23 || minute > 59 || second > 60)
            return false;
    }
    *ret_ms = ((days_of_date(year, month, day) * 24 + hour) * 60 + minute) * 60000 + second * 1000 +
              milliseconds;
    return true;
}

/* What follows '@' in an offset file: ms since 1970, a date, or -DURATION. */
static bool time_parse(const char *text, int64_t now_ms, int64_t *ret_ms)
{
    int64_t duration_ms;
    if (text[0] == '-' && duration_parse(text + 1, &duration_ms)) {
        *ret_ms = duration_ms > now_ms ? 0 : now_ms - duration_ms;
        return true;
    }
    if (date_parse(text, ret_ms))
        return true;
    const char *end = read_digits(text, ret_ms);
    return end != NULL && *end == '\0';
}

static bool number_parse(const char *text, enum selector_kind kind, struct selector *ret_selector)
{
    int64_t value;
    const char *end = read_digits(text, &value);
    if (end == NULL || *end != '\0')
        return false;
    *ret_selector = (struct selector){kind, value};
    return true;
}

bool selector_parse(const char *text, int64_t now_ms, struct selector *ret_selector)
{
    int64_t ms;
    if (strcmp(text, "start") == 0 || strcmp(text, "earliest") == 0) {
        *ret_selector = (struct selector){SELECTOR_START, 0};
        return true;
    }
    if (strcmp(text, "end") == 0 || strcmp(text, "latest") == 0) {
        *ret_selector = (struct selector){SELECTOR_END, 0};
        return true;
    }
    if (text[0] == '@') {
        if (!time_parse(text + 1, now_ms, &ms))
            return false;
        *ret_selector = (struct selector){SELECTOR_TIME, ms};
        return true;
    }
    if (text[0] == '+')
        return number_parse(text + 1, SELECTOR_FORWARD, ret_selector);
    if (text[0] == '-')
        return number_parse(text + 1, SELECTOR_BACKWARD, ret_selector);
    return number_parse(text, SELECTOR_OFFSET, ret_selector);
}

/* One side of a name's range, where times need no '@'. */
static bool place_parse(const char *text, int64_t now_ms, struct selector *ret_selector)
{
    int64_t ms;
    if (selector_parse(text, now_ms, ret_selector))
        return ret_selector->kind != SELECTOR_FORWARD;
    if (text[0] != '-' && !date_parse(text, &ms))
        return false;
    if (!time_parse(text, now_ms, &ms))
        return false;
    *ret_selector = (struct selector){SELECTOR_TIME, ms};
    return true;
}

bool selector_parse_range(const char *text, int64_t now_ms, struct selector *ret_from,
                          struct selector *ret_to, bool *ret_has_end)
{
    if (place_parse(text, now_ms, ret_from)) {
        *ret_has_end = false;
        return true;
    }
    /* Times hold colons too: the range's is the one that leaves two places. */
    for (const char *colon = strchr(text, ':'); colon != NULL; colon = strchr(colon + 1, ':')) {
        char from[SELECTOR_BYTES_MAX];
        size_t size = (size_t)(colon - text);
        if (size >= sizeof from)
            return false;
        memcpy(from, text, size);
        from[size] = '\0';
        if (place_parse(from, now_ms, ret_from) && place_parse(colon + 1, now_ms, ret_to)) {
            *ret_has_end = true;
            return true;
        }
    }
    return false;
}
