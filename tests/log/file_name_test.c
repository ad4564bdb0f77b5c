/* SPDX-License-Identifier: Apache-2.0 */
/* File names of a partition directory. */
#include "log/file_name.h"

#include <cmocka.h>
#include <string.h>

/* What is made is taken apart again. */
static void a_name_is_taken_apart_as_it_was_made(void **state)
{
    (void)state;
    struct file_place place = {NULL, "orders-3", INT64_C(4096)};
    char path[FILE_PATH_BYTES];
    file_path(&place, ".index", path);
    assert_string_equal(path, "orders-3/00000000000000004096.index");

    int64_t offset;
    const char *suffix;
    assert_true(file_name_parse(path + strlen("orders-3/"), &offset, &suffix));
    assert_int_equal(offset, 4096);
    assert_string_equal(suffix, ".index");
}

/* Names that are no offset and suffix are not taken for one. */
static void other_names_are_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"",
                                        "leader-epoch-checkpoint",
                                        "0000000000000000409.log",
                                        "00000000000000004096",
                                        "99999999999999999999.log",
                                        "0000000000000000409x.log",
                                        "-0000000000000004096.log"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        int64_t offset;
        const char *suffix;
        assert_false(file_name_parse(names[i], &offset, &suffix));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_taken_apart_as_it_was_made),
        cmocka_unit_test(other_names_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
