/* SPDX-License-Identifier: Apache-2.0 */
/* -o: every option, and refusals that name what they refuse. */
#include "fs/options.h"

#include <cmocka.h>
#include <string.h>

static void every_option_is_read(void **state)
{
    (void)state;
    struct mount_options options = mount_options_default(false);
    assert_int_equal(options.acks, -1);
    assert_false(options.allow_other);
    assert_true(mount_options_default(true).allow_other);

    assert_int_equal(mount_options_parse("acks=1,isolation=read_uncommitted,internal=show,,"
                                         "allow_other,ro,crlf=strip,timeo=5",
                                         &options, NULL),
                     ERROR_NONE);
    assert_int_equal(options.acks, 1);
    assert_true(options.read_uncommitted);
    assert_true(options.internal_shown);
    assert_true(options.allow_other);
    assert_true(options.read_only);
    assert_true(options.carriage_stripped);
    assert_int_equal(options.write_timeout_ms, 5000);

    assert_int_equal(mount_options_parse("acks=all,rw", &options, NULL), ERROR_NONE);
    assert_int_equal(options.acks, -1);
    assert_false(options.read_only);
}

/* A typing error does not mount with something else than was asked for. */
static void an_unknown_option_is_refused_by_name(void **state)
{
    (void)state;
    static const char *const refused[] = {"akcs=1",  "acks=2", "acks",     "ro=1",
                                          "timeo=0", "timeo=", "timeo=1x", "timeo=99999999"};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct mount_options options = mount_options_default(false);
        struct failure failure = {0};
        char text[64] = "ro,";
        strncat(text, refused[i], 40);
        assert_int_equal(mount_options_parse(text, &options, &failure), ERROR_INVALID_CONFIG);
        assert_non_null(strstr(failure.where, refused[i]));
        assert_false(options.read_only);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_option_is_read),
        cmocka_unit_test(an_unknown_option_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
