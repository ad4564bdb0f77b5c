/* SPDX-License-Identifier: Apache-2.0 */
/* Early refusals, while there is a terminal to tell. */
#include "daemon/mount_point.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool is_inside(const char *path, const char *directory)
{
    size_t size = strlen(directory);
    while (size > 1 && directory[size - 1] == '/')
        size--;
    return strncmp(path, directory, size) == 0 && (path[size] == '/' || path[size] == '\0');
}

/* The path without links as far as it exists: the data directory may be yet to be made. */
static void resolve(const char *path, char ret_resolved[PATH_MAX])
{
    char begin[PATH_MAX];
    (void)strncpy(begin, path, sizeof begin - 1);
    begin[sizeof begin - 1] = '\0';
    for (char *slash; realpath(begin, ret_resolved) == NULL; *slash = '\0') {
        slash = strrchr(begin, '/');
        if (slash == NULL || slash == begin) {
            (void)strncpy(ret_resolved, path, PATH_MAX - 1);
            ret_resolved[PATH_MAX - 1] = '\0';
            return;
        }
    }
    size_t used = strlen(ret_resolved);
    (void)strncat(ret_resolved, path + strlen(begin), PATH_MAX - 1 - used);
}

static bool is_empty(const char *path, int *ret_errno)
{
    DIR *directory = opendir(path);
    *ret_errno = directory == NULL ? errno : 0;
    if (directory == NULL)
        return false;
    int entries = 0;
    while (entries <= 2 && readdir(directory) != NULL)
        entries++;
    (void)closedir(directory);
    return entries <= 2;
}

enum error mount_point_check(const struct settings *settings, struct failure *failure)
{
    const char *path = settings->mount_point;
    if (path == NULL)
        return ERROR_NONE;
    struct stat status;
    if (stat(path, &status) != 0) {
        if (errno == ENOTCONN)
            return ERROR_NONE;
        return failure_because(failure, ERROR_INVALID_CONFIG, "mount point %s: %s", path,
                               strerror(errno));
    }
    if (!S_ISDIR(status.st_mode))
        return failure_because(failure, ERROR_INVALID_CONFIG, "mount point %s: not a directory",
                               path);
    char mount[PATH_MAX];
    char data[PATH_MAX];
    resolve(path, mount);
    resolve(settings->data_directory, data);
    if (is_inside(data, mount))
        return failure_because(failure, ERROR_INVALID_CONFIG,
                               "the data directory %s is inside the mount point %s", data, mount);
    int refused;
    /* A dead mount, of which the kernel still remembered the attributes. */
    if (!is_empty(path, &refused) && refused != ENOTCONN)
        return failure_because(failure, ERROR_INVALID_CONFIG, "mount point %s: %s", path,
                               refused == 0 ? "not empty" : strerror(refused));
    return ERROR_NONE;
}
