/* SPDX-License-Identifier: Apache-2.0 */
/* The reserve: one file, allocated or empty. */
#include "daemon/reserve.h"

#include "base/report.h"

#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Of what is free only a small part is taken. */
enum { ROOM_FACTOR = 8 };

static bool path_of(const char *directory, char path[PATH_MAX])
{
    int size = snprintf(path, PATH_MAX, "%s/topicfs.reserve", directory);
    return size > 0 && size < PATH_MAX;
}

/* UINT64_MAX when it cannot be told. */
static uint64_t free_bytes(const char *directory)
{
    struct statvfs status;
    if (statvfs(directory, &status) != 0)
        return UINT64_MAX;
    return (uint64_t)status.f_bavail * status.f_frsize;
}

bool reserve_lend(const char *directory)
{
    char path[PATH_MAX];
    struct stat status;
    if (!path_of(directory, path) || stat(path, &status) != 0 || status.st_size == 0 ||
        free_bytes(directory) >= RESERVE_BYTES || truncate(path, 0) != 0)
        return false;
    report(REPORT_WARNING, "disk_full", "",
           "data=%s lost=nothing do=\"free space: reads go on, writes are refused until then\"",
           directory);
    return true;
}

void reserve_keep(const char *directory)
{
    char path[PATH_MAX];
    struct stat status;
    if (!path_of(directory, path) ||
        (stat(path, &status) == 0 && status.st_size >= RESERVE_BYTES) ||
        free_bytes(directory) / ROOM_FACTOR < RESERVE_BYTES)
        return;
    int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0)
        return;
    /* Half a reserve would be taken for a whole one. */
    if (posix_fallocate(file, 0, RESERVE_BYTES) != 0)
        (void)ftruncate(file, 0);
    (void)close(file);
}
