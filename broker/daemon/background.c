/* SPDX-License-Identifier: Apache-2.0 */
/* The pipe between a daemon and the command that started it. */
#include "daemon/background.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { READY = '\n', LINE_BYTES = 1024 };

static void write_all(int descriptor, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t written = write(descriptor, bytes, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return; /* The parent is gone: nobody is left to tell. */
        bytes += written;
        size -= (size_t)written;
    }
}

/* Says on what the child has to say before it is ready. True at an empty line: it is. What is left
 * at the end, a line without its end, is in `line`. */
static bool lines_pass_on(int descriptor, char line[LINE_BYTES])
{
    size_t size = 0;
    for (;;) {
        char byte;
        ssize_t got = read(descriptor, &byte, 1);
        if (got < 0 && errno == EINTR)
            continue;
        line[size] = '\0';
        if (got <= 0)
            return false;
        if (byte != READY) {
            line[size] = byte;
            size += size < LINE_BYTES - 1;
            continue;
        }
        if (size == 0)
            return true;
        (void)fprintf(stderr, "topicfs: %s\n", line);
        size = 0;
    }
}

static _Noreturn void wait_for_child(pid_t child, int descriptor)
{
    char line[LINE_BYTES];
    if (lines_pass_on(descriptor, line))
        exit(EXIT_SUCCESS);
    int status = 0;
    if (line[0] != '\0')
        (void)fprintf(stderr, "topicfs: %s\n", line);
    else if (waitpid(child, &status, 0) == child && WIFSIGNALED(status))
        (void)fprintf(stderr, "topicfs: the node was ended by signal %d before it was ready\n",
                      WTERMSIG(status));
    else
        (void)fprintf(stderr, "topicfs: the node ended before it was ready\n");
    exit(EXIT_FAILURE);
}

enum error background_begin(struct background *background, bool foreground, struct failure *failure)
{
    *background = (struct background){.descriptor = -1};
    if (foreground)
        return ERROR_NONE;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return failure_because(failure, ERROR_UNKNOWN_SERVER, "pipe: %s", strerror(errno));
    (void)fflush(NULL);
    pid_t child = fork();
    if (child < 0) {
        enum error error =
            failure_because(failure, ERROR_UNKNOWN_SERVER, "fork: %s", strerror(errno));
        (void)close(ends[0]);
        (void)close(ends[1]);
        return error;
    }
    if (child > 0) {
        (void)close(ends[1]);
        wait_for_child(child, ends[0]);
    }
    (void)close(ends[0]);
    background->descriptor = ends[1];
    background->forked = true;
    (void)setsid();
    return ERROR_NONE;
}

enum error background_redirect(const struct background *background, const char *path,
                               struct failure *failure)
{
    if (!background->forked)
        return ERROR_NONE;
    int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
    int reports = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    enum error error = ERROR_NONE;
    if (nowhere < 0 || reports < 0 || dup2(nowhere, STDIN_FILENO) < 0 ||
        dup2(nowhere, STDOUT_FILENO) < 0 || dup2(reports, STDERR_FILENO) < 0)
        error = failure_because(failure, ERROR_STORAGE, "%s: %s", path, strerror(errno));
    if (nowhere >= 0)
        (void)close(nowhere);
    if (reports >= 0)
        (void)close(reports);
    return error;
}

void background_ready(struct background *background)
{
    if (background->descriptor < 0)
        return;
    (void)chdir("/");
    const char ready = READY;
    write_all(background->descriptor, &ready, 1);
    (void)close(background->descriptor);
    background->descriptor = -1;
}

void background_note(const struct background *background, const char *line)
{
    if (background->descriptor < 0) {
        (void)fprintf(stderr, "topicfs: %s\n", line);
        return;
    }
    const char end = READY;
    write_all(background->descriptor, line, strlen(line));
    write_all(background->descriptor, &end, 1);
}

void background_refuse(struct background *background, const char *line)
{
    if (background->descriptor < 0) {
        (void)fprintf(stderr, "topicfs: %s\n", line);
        return;
    }
    write_all(background->descriptor, line, strlen(line));
    (void)close(background->descriptor);
    background->descriptor = -1;
}
