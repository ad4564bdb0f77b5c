/* SPDX-License-Identifier: Apache-2.0 */
/* The error list: every row has both doors' answers; failures read outermost step first. */
#include "base/error.h"

#include <cmocka.h>
#include <errno.h>
#include <string.h>

/* Kafka's NONE and errno 0 are success only; no row lacks a text. */
static void every_error_answers_at_both_doors(void **state)
{
    (void)state;
    assert_int_equal(error_to_kafka(ERROR_NONE), 0);
    assert_int_equal(error_to_errno(ERROR_NONE), 0);
    for (int i = ERROR_NONE + 1; i < ERROR_COUNT; i++) {
        enum error error = (enum error)i;
        assert_int_not_equal(error_to_kafka(error), 0);
        assert_true(error_to_errno(error) > 0);
        assert_true(strlen(error_text(error)) > 0);
        assert_true(strlen(error_name(error)) > 0);
    }
    assert_int_equal(error_to_kafka(ERROR_NOT_LEADER_OR_FOLLOWER), 6);
    assert_string_equal(error_name(ERROR_NOT_LEADER_OR_FOLLOWER), "NOT_LEADER_OR_FOLLOWER");
    assert_int_equal(error_to_errno(ERROR_DISK_FULL), ENOSPC);
}

/* What another node answers is read back as Kafka's own error, never as one of ours. */
static void codes_of_other_nodes_have_errors(void **state)
{
    (void)state;
    assert_int_equal(error_from_kafka(0), ERROR_NONE);
    assert_int_equal(error_from_kafka(6), ERROR_NOT_LEADER_OR_FOLLOWER);
    assert_int_equal(error_from_kafka(error_to_kafka(ERROR_DISK_FULL)), ERROR_STORAGE);
    assert_int_equal(error_from_kafka(-1), ERROR_UNKNOWN_SERVER);
    assert_int_equal(error_from_kafka(32000), ERROR_UNKNOWN_SERVER);
    for (int i = 0; i < ERROR_COUNT; i++) {
        int16_t code = error_to_kafka((enum error)i);
        assert_int_equal(error_to_kafka(error_from_kafka(code)), code);
    }
}

/* What the disk says, as the storage seam promises it. */
static void errnos_of_the_disk_have_rows(void **state)
{
    (void)state;
    assert_int_equal(error_from_errno(0), ERROR_NONE);
    assert_int_equal(error_from_errno(ENOSPC), ERROR_DISK_FULL);
    assert_int_equal(error_from_errno(EDQUOT), ERROR_DISK_FULL);
    assert_int_equal(error_from_errno(ENOENT), ERROR_NOT_FOUND);
    assert_int_equal(error_from_errno(EEXIST), ERROR_EXISTS);
    assert_int_equal(error_from_errno(ENOMEM), ERROR_OUT_OF_MEMORY);
    assert_int_equal(error_from_errno(EINTR), ERROR_INTERRUPTED);
    assert_int_equal(error_from_errno(EIO), ERROR_STORAGE);
    assert_int_equal(error_from_errno(12345), ERROR_STORAGE);
}

/* Each layer prepends its step; the first code stays. */
static void a_failure_reads_from_the_outermost_step(void **state)
{
    (void)state;
    struct failure failure = {.code = ERROR_NONE};
    assert_int_equal(failure_at(&failure, ERROR_STORAGE, "open segment %d", 4096), ERROR_STORAGE);
    assert_int_equal(failure_at(&failure, ERROR_CLOSING, "recover orders/3"), ERROR_CLOSING);
    assert_string_equal(failure.where,
                        "recover orders/3: open segment 4096: the disk refused a read or write");
    assert_int_equal(failure.code, ERROR_STORAGE);
    assert_int_equal(failure_at(NULL, ERROR_STORAGE, "nobody prints it"), ERROR_STORAGE);
}

/* A step that says it all stands alone; outer steps go before it. */
static void a_failure_that_says_everything_has_no_text_behind_it(void **state)
{
    (void)state;
    struct failure failure = {.code = ERROR_NONE};
    assert_int_equal(failure_because(&failure, ERROR_EXISTS, "port %d is taken", 9092),
                     ERROR_EXISTS);
    assert_int_equal(failure_at(&failure, ERROR_CLOSING, "listen"), ERROR_CLOSING);
    assert_string_equal(failure.where, "listen: port 9092 is taken");
    assert_int_equal(failure.code, ERROR_EXISTS);
    assert_int_equal(failure_because(NULL, ERROR_EXISTS, "nobody prints it"), ERROR_EXISTS);
}

/* Steps longer than the room are cut, and the text stays terminated. */
static void a_long_failure_is_cut(void **state)
{
    (void)state;
    struct failure failure = {.code = ERROR_NONE};
    for (int i = 0; i < 50; i++)
        (void)failure_at(&failure, ERROR_STORAGE, "%0100d", i);
    assert_int_equal(strlen(failure.where), sizeof failure.where - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_error_answers_at_both_doors),
        cmocka_unit_test(codes_of_other_nodes_have_errors),
        cmocka_unit_test(errnos_of_the_disk_have_rows),
        cmocka_unit_test(a_failure_reads_from_the_outermost_step),
        cmocka_unit_test(a_failure_that_says_everything_has_no_text_behind_it),
        cmocka_unit_test(a_long_failure_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
