/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a writer was killed: its flags in /proc/PID/stat. */
#include "fs/writer.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    STAT_BYTES_MAX = 1024,
    FLAGS_FIELD = 7,     /* Counted from the one behind the name, which may hold anything. */
    PF_SIGNALED = 0x400, /* The kernel's include/linux/sched.h: killed by a signal. */
};

bool writer_stat_killed(const char *stat)
{
    const char *at = strrchr(stat, ')');
    for (int field = 0; at != NULL && field < FLAGS_FIELD; field++)
        at = strchr(at + 1, ' ');
    return at != NULL && (strtoul(at + 1, NULL, 10) & PF_SIGNALED) != 0;
}

bool writer_is_well(pid_t thread)
{
    char path[32], stat[STAT_BYTES_MAX];
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)thread);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return false;
    ssize_t size = read(file, stat, sizeof stat - 1);
    (void)close(file);
    if (size <= 0)
        return false;
    stat[size] = '\0';
    return !writer_stat_killed(stat);
}
