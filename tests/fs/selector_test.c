/* SPDX-License-Identifier: Apache-2.0 */
/* Places in a partition as people write them. */
#include "fs/selector.h"

#include <cmocka.h>

static const int64_t now_ms = 1795435200000; /* 2026-11-23T12:00:00Z */

static void assert_place(const char *text, enum selector_kind kind, int64_t value)
{
    struct selector selector = {SELECTOR_END, -99};
    assert_true(selector_parse(text, now_ms, &selector));
    assert_int_equal(selector.kind, kind);
    assert_int_equal(selector.value, value);
}

/* Every form an offset file takes. */
static void an_offset_file_takes_numbers_words_and_times(void **state)
{
    (void)state;
    assert_place("0", SELECTOR_OFFSET, 0);
    assert_place("9223372036854775807", SELECTOR_OFFSET, INT64_MAX);
    assert_place("start", SELECTOR_START, 0);
    assert_place("earliest", SELECTOR_START, 0);
    assert_place("end", SELECTOR_END, 0);
    assert_place("latest", SELECTOR_END, 0);
    assert_place("+7", SELECTOR_FORWARD, 7);
    assert_place("-7", SELECTOR_BACKWARD, 7);
    assert_place("@1763900000000", SELECTOR_TIME, 1763900000000);
    assert_place("@-1h", SELECTOR_TIME, now_ms - 3600000);
    assert_place("@-2w", SELECTOR_TIME, now_ms - 2 * 604800000LL);
    assert_place("@2026-11-23T12:00:00Z", SELECTOR_TIME, now_ms);
    assert_place("@2026-11-23T12:00:00.250Z", SELECTOR_TIME, now_ms + 250);
    assert_place("@2026-11-23", SELECTOR_TIME, now_ms - 12 * 3600000);
    assert_place("@1970-01-01", SELECTOR_TIME, 0);
    assert_place("@2024-02-29T00:00:00Z", SELECTOR_TIME, 1709164800000);
    assert_place("@-99999999w", SELECTOR_TIME, 0);
}

/* What is not a place is no place: nothing is guessed. */
static void anything_else_is_refused(void **state)
{
    (void)state;
    static const char *const refused[] = {
        "",
        " 1",
        "1 ",
        "1x",
        "+",
        "-",
        "@",
        "@-",
        "@-1",
        "@-1y",
        "@-h",
        "@2026-13-01",
        "@2026",
        "--1",
        "+-1",
        "@2026-1-1",
        "@2026-11-23T12:00Z",
        "start ",
        "START",
        "9223372036854775808",
        "@2026-11-23T24:00:00Z",
        "@2026-11-23T12:00:00.1Z",
        "0x10",
        "@2026-11-23T12:00:00Zx",
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct selector selector;
        /* "@2026" is a number of milliseconds, which is the one short form that means something. */
        bool expected = refused[i][0] == '@' && refused[i][1] == '2' && refused[i][5] == '\0';
        if (selector_parse(refused[i], now_ms, &selector) != expected)
            fail_msg("%s", refused[i]);
    }
}

static void assert_range(const char *text, enum selector_kind from, int64_t from_value,
                         enum selector_kind to, int64_t to_value)
{
    struct selector begin, end;
    bool has_end;
    assert_true(selector_parse_range(text, now_ms, &begin, &end, &has_end));
    assert_true(has_end);
    assert_int_equal(begin.kind, from);
    assert_int_equal(begin.value, from_value);
    assert_int_equal(end.kind, to);
    assert_int_equal(end.value, to_value);
}

/* The part of a file name behind '@', in which times need no '@' of their own. */
static void a_name_holds_a_place_or_a_range(void **state)
{
    (void)state;
    struct selector from, to;
    bool has_end;
    assert_true(selector_parse_range("-100", now_ms, &from, &to, &has_end));
    assert_false(has_end);
    assert_int_equal(from.kind, SELECTOR_BACKWARD);
    assert_true(selector_parse_range("-1h", now_ms, &from, &to, &has_end));
    assert_int_equal(from.kind, SELECTOR_TIME);
    assert_true(selector_parse_range("2026-11-23T12:00:00Z", now_ms, &from, &to, &has_end));
    assert_false(has_end);
    assert_int_equal(from.value, now_ms);

    assert_range("1500:1600", SELECTOR_OFFSET, 1500, SELECTOR_OFFSET, 1600);
    assert_range("-2h:-1h", SELECTOR_TIME, now_ms - 7200000, SELECTOR_TIME, now_ms - 3600000);
    assert_range("start:end", SELECTOR_START, 0, SELECTOR_END, 0);
    assert_range("2026-11-23T11:00:00Z:2026-11-23T12:00:00Z", SELECTOR_TIME, now_ms - 3600000,
                 SELECTOR_TIME, now_ms);

    assert_false(selector_parse_range("", now_ms, &from, &to, &has_end));
    assert_false(selector_parse_range("1:", now_ms, &from, &to, &has_end));
    assert_false(selector_parse_range(":1", now_ms, &from, &to, &has_end));
    assert_false(selector_parse_range("1:2:3", now_ms, &from, &to, &has_end));
    assert_false(selector_parse_range("+1", now_ms, &from, &to, &has_end));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_offset_file_takes_numbers_words_and_times),
        cmocka_unit_test(anything_else_is_refused),
        cmocka_unit_test(a_name_holds_a_place_or_a_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
