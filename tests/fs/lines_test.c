/* SPDX-License-Identifier: Apache-2.0 */
/* Cutting writes into lines: request edges, the kept rest, refused lines, refused memory. */
#include "fs/lines.h"

#include "base/memory.h"

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

enum { LIMIT = 10 };

/* Cuts one request and writes "line|line|" down; returns how the cut ended. */
static enum error cut_request(struct lines *lines, const char *bytes, char *ret_seen,
                              struct lines_cut *ret_cut)
{
    struct slice line;
    enum error error;
    lines_cut_start(ret_cut, lines, slice_of(bytes), LIMIT);
    ret_seen[0] = '\0';
    while ((error = lines_cut_next(ret_cut, &line)) == ERROR_NONE)
        (void)snprintf(ret_seen + strlen(ret_seen), 100, "%.*s|", SLICE_PRINT(line));
    return error;
}

/* The same, finished as a write that was stored. */
static void write_stored(struct lines *lines, const char *bytes, const char *expected)
{
    char seen[200];
    struct lines_cut cut;
    struct lines previous;
    assert_int_equal(cut_request(lines, bytes, seen, &cut), ERROR_NOT_FOUND);
    assert_string_equal(seen, expected);
    assert_int_equal(lines_cut_finish(&cut, true, &previous), ERROR_NONE);
    lines_done(&previous);
}

static void assert_kept(const struct lines *lines, const char *expected)
{
    assert_true(slice_equals(lines_kept(lines), slice_from(lines->kept, strlen(expected))));
    assert_memory_equal(lines->kept == NULL ? (const uint8_t *)"" : lines->kept, expected,
                        strlen(expected));
}

/* Each line comes once; a request's edge ends none. */
static void lines_come_whole_over_any_request_edges(void **state)
{
    (void)state;
    struct lines lines = {0};
    write_stored(&lines, "aaa\nbb", "aaa|");
    write_stored(&lines, "bbbb", "");
    write_stored(&lines, "bb\ncc", "bbbbbbbb|");
    assert_kept(&lines, "cc");
    write_stored(&lines, "\n\n", "cc||");
    assert_int_equal(lines_kept(&lines).size, 0);
    lines_done(&lines);
}

/* A write that could not be stored leaves what was kept before it, and only that. */
static void a_failed_write_is_as_if_it_had_not_come(void **state)
{
    (void)state;
    struct lines lines = {0};
    char seen[200];
    struct lines_cut cut;
    struct lines previous;
    write_stored(&lines, "ab", "");

    assert_int_equal(cut_request(&lines, "cd\nef\ngh", seen, &cut), ERROR_NOT_FOUND);
    assert_string_equal(seen, "abcd|ef|");
    assert_int_equal(lines_cut_finish(&cut, true, &previous), ERROR_NONE);
    assert_kept(&lines, "gh");
    lines_restore(&lines, &previous);

    assert_kept(&lines, "ab");
    write_stored(&lines, "cd\n", "abcd|");
    lines_done(&lines);
}

/* Where only a prefix fits, the count ends on a line's edge and nothing behind it is kept. */
static void a_cut_without_its_rest_keeps_nothing(void **state)
{
    (void)state;
    struct lines lines = {0};
    char seen[200];
    struct lines_cut cut;
    struct lines previous;

    assert_int_equal(cut_request(&lines, "ok\n12345678901\n", seen, &cut), ERROR_MESSAGE_TOO_LARGE);
    assert_string_equal(seen, "ok|");
    assert_int_equal(cut.taken, 3);
    assert_int_equal(lines_cut_finish(&cut, false, &previous), ERROR_NONE);

    lines_done(&previous);
    assert_int_equal(lines_kept(&lines).size, 0);
    assert_false(lines.refusing);
    lines_done(&lines);
}

/* A line of exactly the limit is whole; one byte more is refused, and the next line is not. */
static void a_line_beyond_the_limit_is_refused_alone(void **state)
{
    (void)state;
    struct lines lines = {0};
    char seen[200];
    struct lines_cut cut;
    write_stored(&lines, "1234567890\n", "1234567890|");

    assert_int_equal(cut_request(&lines, "12345678901\n", seen, &cut), ERROR_MESSAGE_TOO_LARGE);
    lines_cut_refuse(&cut);

    write_stored(&lines, "next\n", "next|");
    lines_done(&lines);
}

/* Once bytes of a line were accepted, a writer retries the rest: none of it becomes a record. */
static void the_rest_of_a_line_begun_and_refused_is_refused_too(void **state)
{
    (void)state;
    struct lines lines = {0};
    char seen[200];
    struct lines_cut cut;
    write_stored(&lines, "1234567", "");

    assert_int_equal(cut_request(&lines, "89012", seen, &cut), ERROR_MESSAGE_TOO_LARGE);
    lines_cut_refuse(&cut);
    assert_int_equal(lines_kept(&lines).size, 0);
    assert_int_equal(cut_request(&lines, "34", seen, &cut), ERROR_MESSAGE_TOO_LARGE);
    lines_cut_refuse(&cut);
    assert_int_equal(cut_request(&lines, "5\nnext\n", seen, &cut), ERROR_MESSAGE_TOO_LARGE);
    lines_cut_refuse(&cut);

    write_stored(&lines, "next\n", "next|");
    lines_done(&lines);
}

/* Whatever allocation is refused, the state is the one before or the one after. */
static void refused_memory_changes_nothing(void **state)
{
    (void)state;
    for (long countdown = 0;; countdown++) {
        struct lines lines = {0};
        struct lines previous = {0};
        struct lines_cut cut;
        char seen[200];
        write_stored(&lines, "ab", "");
        memory_fault_arm(countdown);
        enum error error = cut_request(&lines, "cd\nefg", seen, &cut);
        if (error == ERROR_NOT_FOUND)
            error = lines_cut_finish(&cut, true, &previous);
        int fired = memory_fault_fired();
        memory_fault_arm(-1);
        assert_int_equal(error, fired ? ERROR_OUT_OF_MEMORY : ERROR_NONE);
        assert_kept(&lines, fired ? "ab" : "efg");
        lines_done(&previous);
        lines_done(&lines);
        if (!fired)
            return;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_come_whole_over_any_request_edges),
        cmocka_unit_test(a_failed_write_is_as_if_it_had_not_come),
        cmocka_unit_test(a_cut_without_its_rest_keeps_nothing),
        cmocka_unit_test(a_line_beyond_the_limit_is_refused_alone),
        cmocka_unit_test(the_rest_of_a_line_begun_and_refused_is_refused_too),
        cmocka_unit_test(refused_memory_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
