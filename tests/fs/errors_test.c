/* SPDX-License-Identifier: Apache-2.0 */
/* What .errors shows. */
#include "fs/errors.h"

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

/* Time, operation, path, errno and reason; bytes that could reach a terminal are escaped. */
static void a_line_says_what_failed_and_why(void **state)
{
    (void)state;
    static struct error_list list;
    struct text text = {0};
    errors_add(&list, 1795435200000, "write", "orders/0", ERROR_DISK_FULL, NULL);
    errors_add(&list, 1795435201000, "mkdir", "a\033b", ERROR_INVALID_TOPIC, "no \"such\" name");
    errors_render(&list, &text);
    char *end = strchr(text.bytes, '\n');
    assert_non_null(end);
    *end = '\0';
    assert_string_equal(text.bytes, "2026-11-23T12:00:00Z\twrite\torders/0\tENOSPC\t"
                                    "no space left on the disk");
    assert_null(strchr(end + 1, '\033'));
    assert_non_null(strstr(end + 1, "EINVAL"));
    text_done(&text);
    errors_done(&list);
}

static void only_the_last_thousand_are_kept(void **state)
{
    (void)state;
    static struct error_list list;
    struct text text = {0};
    for (int i = 0; i < ERRORS_KEPT + 5; i++) {
        char path[16];
        (void)snprintf(path, sizeof path, "t/%d", i);
        errors_add(&list, 0, "write", path, ERROR_STORAGE, NULL);
    }
    errors_render(&list, &text);
    assert_null(strstr(text.bytes, "\tt/4\t"));
    assert_non_null(strstr(text.bytes, "\tt/5\t"));
    assert_non_null(strstr(text.bytes, "\tt/1004\t"));
    text_done(&text);
    errors_done(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_says_what_failed_and_why),
        cmocka_unit_test(only_the_last_thousand_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
