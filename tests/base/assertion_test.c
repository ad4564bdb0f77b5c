/* SPDX-License-Identifier: Apache-2.0 */
/* ASSERT: silent when it holds, says where and aborts when it does not. */
#include "base/assertion.h"

#include <cmocka.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* The expression is evaluated once, also in release. */
static void a_belief_that_holds_is_evaluated_once(void **state)
{
    (void)state;
    int count = 0;
    ASSERT(++count == 1);
    assert_int_equal(count, 1);
}

/* A broken belief ends the process by SIGABRT, the file and the expression on stderr. */
static void a_broken_belief_says_where_and_aborts(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit no_core = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)signal(SIGABRT, SIG_DFL);
        (void)dup2(ends[1], STDERR_FILENO);
        ASSERT(1 + 1 == 3);
        _exit(0);
    }
    (void)close(ends[1]);
    char said[512];
    ssize_t size = read(ends[0], said, sizeof said - 1);
    assert_true(size > 0);
    said[size] = '\0';
    (void)close(ends[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);

    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_non_null(strstr(said, "assertion_test.c"));
    assert_non_null(strstr(said, "1 + 1 == 3"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_belief_that_holds_is_evaluated_once),
        cmocka_unit_test(a_broken_belief_says_where_and_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
