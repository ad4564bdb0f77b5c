/* SPDX-License-Identifier: Apache-2.0 */
/* Reports: format, escaping, the limit of one a second, the kept lines, the journal's prefix. */
#include "base/report.h"

#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* What report wrote to stderr, caught in an unnamed file. */
static char caught[1 << 20];
static int catcher = -1;
static int real_stderr = -1;

static void catch_begin(void)
{
    catcher = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    assert_true(catcher >= 0);
    real_stderr = dup(STDERR_FILENO);
    assert_int_equal(dup2(catcher, STDERR_FILENO), STDERR_FILENO);
}

static const char *catch_end(void)
{
    assert_int_equal(dup2(real_stderr, STDERR_FILENO), STDERR_FILENO);
    (void)close(real_stderr);
    ssize_t size = pread(catcher, caught, sizeof caught - 1, 0);
    assert_true(size >= 0);
    caught[size] = '\0';
    (void)close(catcher);
    return caught;
}

/* One line of key=value text, level and event first. */
static void a_report_is_one_line(void **state)
{
    (void)state;
    catch_begin();
    report(REPORT_WARNING, "batch_damaged", "topic=orders partition=3", "offset=%d lost=nothing",
           4711);
    report(REPORT_INFO, "started", "", "%s", "");
    assert_string_equal(catch_end(),
                        "level=warning event=batch_damaged topic=orders partition=3 offset=4711 "
                        "lost=nothing\nlevel=info event=started \n");
}

/* The rate limit is per event and subject; a wait brings the count of what was left out. */
static void the_same_report_comes_once_a_second_and_counts(void **state)
{
    (void)state;
    catch_begin();
    for (int i = 0; i < 5; i++) {
        report(REPORT_NOTICE, "same", "topic=a", "try=%d", i);
        report(REPORT_NOTICE, "same", "topic=b", "try=%d", i);
        report(REPORT_NOTICE, "other", "topic=a", "try=%d", i);
    }
    assert_string_equal(catch_end(), "level=notice event=same topic=a try=0\n"
                                     "level=notice event=same topic=b try=0\n"
                                     "level=notice event=other topic=a try=0\n");
}

/* Repeats a report until it is told again; returns how often it was not. */
static int wait_for_the_next_report(void)
{
    for (int left_out = 0; left_out < 100; left_out++) {
        catch_begin();
        report(REPORT_NOTICE, "waited", "", "x=1");
        if (catch_end()[0] != '\0')
            return left_out;
        (void)poll(NULL, 0, 100);
    }
    fail_msg("not told again within ten seconds");
    return 0;
}

/* Each time the count is of what was left out since the last line, not since ever. */
static void the_next_report_says_how_many_were_left_out(void **state)
{
    (void)state;
    assert_int_equal(wait_for_the_next_report(), 0);
    for (int round = 0; round < 2; round++) {
        int left_out = wait_for_the_next_report();
        assert_in_range(left_out, 5, 20);
        char expected[100];
        (void)snprintf(expected, sizeof expected, "level=notice event=waited suppressed=%d x=1\n",
                       left_out);
        assert_string_equal(caught, expected);
    }
}

/* Hostile bytes neither start a line nor move the cursor; a long report is cut. */
static void hostile_bytes_do_not_reach_the_terminal(void **state)
{
    (void)state;
    char out[40];
    assert_string_equal(report_escape("a\"b\\c\n\x1b\xff z", 10, out, sizeof out),
                        "a\\x22b\\x5cc\\x0a\\x1b\\xff z");
    assert_string_equal(report_escape("abcdef", 6, out, 4), "abc");
    assert_string_equal(report_escape("ab\n", 3, out, 6), "ab");
    assert_string_equal(report_escape("", 0, out, 1), "");

    char value[2000];
    memset(value, 'v', sizeof value);
    value[sizeof value - 1] = '\0';
    catch_begin();
    report(REPORT_NOTICE, "raw", "", "value=\x1b[2J\nlevel=error\xc3");
    report(REPORT_NOTICE, "long", "", "value=%s", value);
    char *second = strchr(catch_end(), '\n') + 1;
    assert_int_equal(strncmp(caught, "level=notice event=raw value=?[2J?level=error?\n", 47), 0);
    assert_int_equal(strlen(second), REPORT_LINE_BYTES);
    assert_ptr_equal(strchr(second, '\n'), second + REPORT_LINE_BYTES - 1);
}

struct seen {
    int count;
    char first[REPORT_LINE_BYTES];
    char last[REPORT_LINE_BYTES];
};

static void see(void *context, const char *line)
{
    struct seen *seen = context;
    if (seen->count++ == 0)
        (void)snprintf(seen->first, sizeof seen->first, "%s", line);
    (void)snprintf(seen->last, sizeof seen->last, "%s", line);
    /* Allowed from here: nothing is locked. */
    report(REPORT_NOTICE, "seen", "", "x=1");
}

/* The last REPORT_KEPT warnings and errors, oldest first; notices are not kept. */
static void the_last_warnings_are_kept_in_order(void **state)
{
    (void)state;
    catch_begin();
    for (int i = 0; i < REPORT_KEPT + 10; i++) {
        char subject[32];
        (void)snprintf(subject, sizeof subject, "n=%d", i);
        report(i % 2 == 0 ? REPORT_WARNING : REPORT_ERROR, "kept", subject, "x=1");
        report(REPORT_NOTICE, "not_kept", subject, "x=1");
    }
    struct seen seen = {.count = 0};
    report_each_kept(see, &seen);
    (void)catch_end();

    assert_int_equal(seen.count, REPORT_KEPT);
    assert_non_null(strstr(seen.first, " n=10 "));
    char last[32];
    (void)snprintf(last, sizeof last, " n=%d ", REPORT_KEPT + 9);
    assert_non_null(strstr(seen.last, last));
}

/* sd-daemon(3) prefixes exactly when stderr is what JOURNAL_STREAM names. */
static void the_journal_gets_level_prefixes(void **state)
{
    (void)state;
    catch_begin();
    struct stat status;
    assert_int_equal(fstat(STDERR_FILENO, &status), 0);
    char stream[64];
    (void)snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)status.st_dev,
                   (unsigned long long)status.st_ino);
    assert_int_equal(setenv("JOURNAL_STREAM", stream, 1), 0);
    report(REPORT_ERROR, "journal", "a=1", "x=1");
    report(REPORT_INFO, "journal", "a=2", "x=1");
    assert_int_equal(setenv("JOURNAL_STREAM", "1:2", 1), 0);
    report(REPORT_ERROR, "journal", "a=3", "x=1");
    assert_int_equal(unsetenv("JOURNAL_STREAM"), 0);

    assert_string_equal(catch_end(), "<3>level=error event=journal a=1 x=1\n"
                                     "<6>level=info event=journal a=2 x=1\n"
                                     "level=error event=journal a=3 x=1\n");
}

static void *report_many(void *argument)
{
    for (int i = 0; i < 500; i++) {
        char subject[64];
        (void)snprintf(subject, sizeof subject, "thread=%d n=%d", *(int *)argument, i);
        report(REPORT_WARNING, "threads", subject, "x=1");
    }
    return NULL;
}

/* Lines of many threads do not mix. */
static void threads_report_whole_lines(void **state)
{
    (void)state;
    pthread_t threads[4];
    int names[4] = {0, 1, 2, 3};
    catch_begin();
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, report_many, &names[i]), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    (void)catch_end();

    int lines = 0;
    for (char *at = caught; *at != '\0'; at = strchr(at, '\n') + 1) {
        assert_int_equal(strncmp(at, "level=warning event=threads ", 28), 0);
        lines++;
    }
    assert_int_equal(lines, 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_report_is_one_line),
        cmocka_unit_test(the_same_report_comes_once_a_second_and_counts),
        cmocka_unit_test(the_next_report_says_how_many_were_left_out),
        cmocka_unit_test(hostile_bytes_do_not_reach_the_terminal),
        cmocka_unit_test(the_last_warnings_are_kept_in_order),
        cmocka_unit_test(the_journal_gets_level_prefixes),
        cmocka_unit_test(threads_report_whole_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
