/* SPDX-License-Identifier: Apache-2.0 */
/* Telling a writer that was killed from one that ended. */
#include "fs/writer.h"

#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* The ninth field is the flags, whatever the program is called. */
static void the_flags_are_found_behind_any_name(void **state)
{
    (void)state;
    assert_true(writer_stat_killed("12 (cat) Z 1 12 12 0 -1 1024 5 0"));
    assert_true(writer_stat_killed("12 (a) b) (c) Z 1 12 12 0 -1 4195332 5 0"));
    assert_false(writer_stat_killed("12 (cat) R 1 12 12 0 -1 4194304 5 0"));
    assert_false(writer_stat_killed("12 (cat) R 1"));
    assert_false(writer_stat_killed(""));
}

static pid_t start_child(bool waits)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (waits)
            (void)pause();
        _exit(0);
    }
    return child;
}

/* Waits until the child has ended and is not reaped yet. */
static void await_end(pid_t child)
{
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
}

static void a_killed_process_is_told_from_one_that_ended(void **state)
{
    (void)state;
    pid_t killed = start_child(true);
    assert_true(writer_is_well(killed));
    assert_int_equal(kill(killed, SIGKILL), 0);
    await_end(killed);
    assert_false(writer_is_well(killed));
    (void)waitpid(killed, NULL, 0);
    assert_false(writer_is_well(killed));

    pid_t ended = start_child(false);
    await_end(ended);
    assert_true(writer_is_well(ended));
    (void)waitpid(ended, NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_flags_are_found_behind_any_name),
        cmocka_unit_test(a_killed_process_is_told_from_one_that_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
