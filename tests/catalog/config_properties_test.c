/* SPDX-License-Identifier: Apache-2.0 */
/* The properties format, as java.util.Properties.load reads it. */
#include "base/memory.h"
#include "catalog/config.h"

#include <cmocka.h>
#include <stdio.h>

static enum error append_pair(void *context, const char *key, const char *value)
{
    char *text = context;
    snprintf(text + strlen(text), 1000 - strlen(text), "[%s][%s]", key, value);
    return strcmp(key, "stop") == 0 ? ERROR_INVALID_CONFIG : ERROR_NONE;
}

static void reads(const char *text, const char *expected)
{
    char got[1000] = "";
    uint32_t line = 0;
    assert_int_equal(config_parse_properties(text, strlen(text), append_pair, got, &line),
                     ERROR_NONE);
    assert_string_equal(got, expected);
}

static void fails(const char *text, size_t size, enum error expected, uint32_t expected_line)
{
    char got[1000] = "";
    uint32_t line = 0;
    assert_int_equal(config_parse_properties(text, size, append_pair, got, &line), expected);
    assert_int_equal(line, expected_line);
}

/* The three separators, with and without blanks, and the first of them ends the key. */
static void every_separator_is_understood(void **state)
{
    (void)state;
    reads("a=1\nb:2\nc 3\nd = 4\ne\t:\f5\nf\n", "[a][1][b][2][c][3][d][4][e][5][f][]");
    reads("a==1\nb = : 2\n=3\n", "[a][=1][b][: 2][][3]");
    reads("a = 1 \n", "[a][1 ]");
}

/* Comments and blank lines mean nothing; a # inside a line is text. */
static void comments_are_skipped(void **state)
{
    (void)state;
    reads("# a=1\n  ! b=2\n\n \t\nc=3 # not a comment\r\n#end\\\nd=4",
          "[c][3 # not a comment][d][4]");
    reads("", "");
    reads("\n\r\n\r", "");
}

/* An odd number of backslashes at the end of a line joins the next. */
static void lines_are_continued(void **state)
{
    (void)state;
    reads("a = x,\\\n    y,\\\r\n\t z\nb=1", "[a][x,y,z][b][1]");
    reads("a=x\\\\\nb=1", "[a][x\\][b][1]");
    reads("a=x\\\\\\\n  y", "[a][x\\y]");
    reads("ke\\\n  y=1", "[key][1]");
    reads("key\\\n = 1", "[key][1]");
    reads("a=x\\\n\nb=1", "[a][x][b][1]");
    reads("a=x\\\n#y", "[a][x#y]");
    reads("a=x\\", "[a][x]");
}

/* Escapes, in keys and values, Unicode ones as UTF-8. */
static void escapes_are_resolved(void **state)
{
    (void)state;
    reads("a\\ b\\=c\\:d=\\t\\n\\r\\f\\\\\\q", "[a b=c:d][\t\n\r\f\\q]");
    reads("\\u006bey=\\u00e9\\u20AC\\ud83d\\ude00", "[key][\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80]");
    reads("k\xc3\xa9=\xe2\x82\xac", "[k\xc3\xa9][\xe2\x82\xac]");
}

/* What cannot be read names the line it began on. */
static void damage_names_its_line(void **state)
{
    (void)state;
    fails("a=1\n\nb=\\u12g4\n", 13, ERROR_MALFORMED, 3);
    fails("b=\\u12", 6, ERROR_MALFORMED, 1);
    fails("b=\\u0000", 8, ERROR_MALFORMED, 1);
    fails("b=\\ud83d x", 10, ERROR_MALFORMED, 1);
    fails("b=\\ude00", 8, ERROR_MALFORMED, 1);
    fails("a=1\r\nb=\0x\n", 10, ERROR_MALFORMED, 2);
    fails("# \\\na=1,\\\n 2\nstop=1\nc=1\n", 25, ERROR_INVALID_CONFIG, 4);
}

/* A refused heap is reported. */
static void a_refused_heap_is_reported(void **state)
{
    (void)state;
    for (long countdown = 0; countdown < 2; countdown++) {
        memory_fault_arm(countdown);
        fails("a=1", 3, ERROR_OUT_OF_MEMORY, 0);
        memory_fault_arm(-1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_separator_is_understood),
        cmocka_unit_test(comments_are_skipped),
        cmocka_unit_test(lines_are_continued),
        cmocka_unit_test(escapes_are_resolved),
        cmocka_unit_test(damage_names_its_line),
        cmocka_unit_test(a_refused_heap_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
