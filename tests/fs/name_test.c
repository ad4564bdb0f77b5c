/* SPDX-License-Identifier: Apache-2.0 */
/* File names: one thing, one name, in both directions. */
#include "fs/name.h"

#include <cmocka.h>
#include <stdio.h>

static void assert_topic(const char *topic, const char *file_name)
{
    char name[FILE_NAME_BYTES_MAX + 1], back[FILE_NAME_BYTES_MAX + 1];
    name_of_topic(topic, name);
    assert_string_equal(name, file_name);
    assert_true(name_to_topic(name, back));
    assert_string_equal(back, topic);
}

/* Only a leading dot is written otherwise. */
static void a_topic_whose_name_begins_with_a_dot_is_escaped(void **state)
{
    (void)state;
    char back[FILE_NAME_BYTES_MAX + 1];
    assert_topic("orders", "orders");
    assert_topic(".groups", "%2Egroups");
    assert_topic("..a", "%2E.a");
    assert_false(name_to_topic(".groups", back));
    assert_false(name_to_topic("a%2Eb", back));
    assert_false(name_to_topic("%2E%2E", back));
}

/* All 256 bytes come back, each from one spelling only. */
static void any_group_id_has_one_name(void **state)
{
    (void)state;
    for (int first = 0; first < 256; first++) {
        for (int second = 0; second < 256; second += 5) {
            uint8_t id[2] = {(uint8_t)first, (uint8_t)second};
            char name[FILE_NAME_BYTES_MAX + 1], back[FILE_NAME_BYTES_MAX + 1];
            size_t size;
            assert_true(name_of_group(slice_from(id, 2), name));
            assert_null(strchr(name, '/'));
            assert_int_not_equal(name[0], '.');
            assert_true(name_to_group(name, back, &size));
            assert_int_equal(size, 2);
            assert_memory_equal(back, id, 2);
        }
    }
}

static void other_spellings_are_no_group(void **state)
{
    (void)state;
    static const char *const refused[] = {"",    ".a",  "%61", "%2",      "%",
                                          "%zz", "%2f", "a b", "%2E%2Eb/"};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        char back[FILE_NAME_BYTES_MAX + 1];
        size_t size;
        if (name_to_group(refused[i], back, &size))
            fail_msg("%s", refused[i]);
    }
}

/* The empty id has a name, too long ones have none. */
static void the_longest_and_the_shortest_group_id(void **state)
{
    (void)state;
    uint8_t id[NAME_ESCAPED_MAX + 1];
    char name[FILE_NAME_BYTES_MAX + 1], back[FILE_NAME_BYTES_MAX + 1];
    size_t size;
    memset(id, 'g', sizeof id);
    assert_true(name_of_group(slice_from(id, NAME_ESCAPED_MAX), name));
    assert_true(name_to_group(name, back, &size));
    assert_int_equal(size, NAME_ESCAPED_MAX);
    assert_false(name_of_group(slice_from(id, NAME_ESCAPED_MAX + 1), name));
    assert_true(name_of_group(SLICE_EMPTY, name));
    assert_string_equal(name, "%~empty");
    assert_true(name_to_group(name, back, &size));
    assert_int_equal(size, 0);
}

/* 00 is not 0. */
static void partitions_are_plain_decimal_numbers(void **state)
{
    (void)state;
    int32_t index = -1;
    assert_true(name_to_partition("0", &index));
    assert_int_equal(index, 0);
    assert_true(name_to_partition("2147483647", &index));
    assert_int_equal(index, INT32_MAX);
    static const char *const refused[] = {"",   "00",         "01",          "-1", "+1",
                                          "1 ", "2147483648", "99999999999", "1a"};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        if (name_to_partition(refused[i], &index))
            fail_msg("%s", refused[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_topic_whose_name_begins_with_a_dot_is_escaped),
        cmocka_unit_test(any_group_id_has_one_name),
        cmocka_unit_test(other_spellings_are_no_group),
        cmocka_unit_test(the_longest_and_the_shortest_group_id),
        cmocka_unit_test(partitions_are_plain_decimal_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
