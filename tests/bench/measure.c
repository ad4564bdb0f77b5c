/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks, and how a driver gives up. */
#include "measure.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

uint64_t measure_now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static double cpu_seconds_of(int pid)
{
    char path[64], text[1024];
    (void)snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "re");
    size_t size = file == NULL ? 0 : fread(text, 1, sizeof text - 1, file);
    if (file != NULL)
        (void)fclose(file);
    text[size] = '\0';
    /* The program's name is in parentheses and may hold anything: count fields behind it. */
    const char *next = strrchr(text, ')');
    unsigned long user, system;
    if (next == NULL || sscanf(next + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                               &user, &system) != 2)
        fail("read %s", path);
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

double measure_cpu_seconds(const int *pids, size_t count)
{
    double seconds = 0;
    for (size_t i = 0; i < count; i++)
        seconds += cpu_seconds_of(pids[i]);
    return seconds;
}

void fail(const char *format, ...)
{
    int saved = errno;
    va_list arguments;
    (void)fputs("bench: ", stderr);
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    if (saved != 0)
        (void)fprintf(stderr, ": %s", strerror(saved));
    (void)fputc('\n', stderr);
    exit(1);
}
