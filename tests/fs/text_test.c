/* SPDX-License-Identifier: Apache-2.0 */
/* Growing texts. */
#include "fs/text.h"

#include "base/memory.h"

#include <cmocka.h>
#include <string.h>

static void pieces_follow_one_another(void **state)
{
    (void)state;
    struct text text = {0};
    for (int i = 0; i < 1000; i++)
        text_add(&text, "%03d,", i);
    text_add_bytes(&text, "a\0b", 3);
    assert_false(text.failed);
    assert_int_equal(text.size, 4003);
    assert_memory_equal(text.bytes, "000,001,", 8);
    assert_memory_equal(text.bytes + 4000, "a\0b", 4);
    text_done(&text);
    assert_null(text.bytes);
}

/* Once memory was refused the text stays unusable, whatever is added behind. */
static void a_refusal_is_sticky(void **state)
{
    (void)state;
    struct text text = {0};
    memory_fault_arm(0);
    text_add(&text, "lost");
    memory_fault_arm(-1);
    text_add(&text, "kept");
    assert_true(text.failed);
    assert_int_equal(text.size, 0);
    text_done(&text);
}

/* Seconds of UTC, as `.errors` and `.health` have them, of any year. */
static void times_are_utc(void **state)
{
    char out[TIME_TEXT_BYTES];
    (void)state;
    assert_string_equal(text_time(0, out), "1970-01-01T00:00:00Z");
    assert_string_equal(text_time(1787479200999, out), "2026-08-23T10:00:00Z");
    assert_string_equal(text_time(INT64_MAX, out), "292278994-08-17T07:12:55Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_follow_one_another),
        cmocka_unit_test(a_refusal_is_sticky),
        cmocka_unit_test(times_are_utc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
