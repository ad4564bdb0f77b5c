/* SPDX-License-Identifier: Apache-2.0 */
/* Mount points: looked at without touching a mount that could be dead or our own. */
#include "fs/mount_point.h"

#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { MOUNTINFO_BYTES_MAX = 64 << 20 };

/* The next blank-separated field; false at the end of the line. */
static bool next_field(const char **at, const char *end, const char **ret_field, size_t *ret_size)
{
    while (*at < end && **at == ' ')
        (*at)++;
    if (*at == end)
        return false;
    *ret_field = *at;
    while (*at < end && **at != ' ')
        (*at)++;
    *ret_size = (size_t)(*at - *ret_field);
    return true;
}

/* Compares with a field in which blank, tab, newline and backslash are written \ooo. */
static bool field_is_path(const char *field, size_t size, const char *path)
{
    const char *end = field + size;
    for (; field < end && *path != '\0'; path++) {
        int byte = (unsigned char)*field++;
        if (byte == '\\' && end - field >= 3) {
            byte = (field[0] - '0') * 64 + (field[1] - '0') * 8 + (field[2] - '0');
            field += 3;
        }
        if (byte != (unsigned char)*path)
            return false;
    }
    return field == end && *path == '\0';
}

struct mount_point mount_point_parse(const char *mountinfo, const char *path)
{
    static const char type[] = "fuse.topicfs";
    struct mount_point found = {false, false};
    while (*mountinfo != '\0') {
        const char *end = strchrnul(mountinfo, '\n');
        const char *at = mountinfo, *field;
        size_t size;
        bool here = false;
        /* id parent device root MOUNTPOINT options [tags] - TYPE source options */
        for (int i = 0; i < 5 && next_field(&at, end, &field, &size); i++)
            here = i == 4 && field_is_path(field, size, path);
        while (here && next_field(&at, end, &field, &size) && !(size == 1 && *field == '-'))
            continue;
        if (here && next_field(&at, end, &field, &size)) {
            found.is_mounted = true;
            found.is_ours = size == sizeof type - 1 && memcmp(field, type, size) == 0;
        }
        mountinfo = *end == '\n' ? end + 1 : end;
    }
    return found;
}

static enum error read_mountinfo(char **ret_text)
{
    int descriptor = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return error_from_errno(errno);
    size_t capacity = 64 << 10, size = 0;
    char *text = memory_allocate_raw(capacity);
    ssize_t got = text == NULL ? -1 : 1;
    while (got > 0) {
        if (capacity - size < 2) {
            char *larger =
                capacity < MOUNTINFO_BYTES_MAX ? memory_resize(text, capacity * 2) : NULL;
            if (larger == NULL)
                break;
            text = larger;
            capacity *= 2;
        }
        got = read(descriptor, text + size, capacity - size - 1);
        if (got > 0)
            size += (size_t)got;
    }
    (void)close(descriptor);
    if (got != 0) {
        memory_free(text);
        return text == NULL ? ERROR_OUT_OF_MEMORY : ERROR_STORAGE;
    }
    text[size] = '\0';
    *ret_text = text;
    return ERROR_NONE;
}

/* realpath(3) of everything but the last component, which may be a dead mount. */
static enum error resolve(const char *path, char *ret_path, size_t size)
{
    char copy[PATH_MAX], parent[PATH_MAX];
    size_t length = strlen(path);
    if (length >= sizeof copy || length == 0)
        return ERROR_NOT_FOUND;
    if (realpath(path, copy) != NULL) {
        if (strlen(copy) >= size)
            return ERROR_TOO_LARGE;
        memcpy(ret_path, copy, strlen(copy) + 1);
        return ERROR_NONE;
    }
    if (errno != ENOTCONN)
        return error_from_errno(errno);
    memcpy(copy, path, length + 1);
    while (length > 1 && copy[length - 1] == '/')
        copy[--length] = '\0';
    char *slash = strrchr(copy, '/');
    const char *name = slash == NULL ? copy : slash + 1;
    const char *directory = slash == NULL ? "." : slash == copy ? "/" : copy;
    if (slash != NULL && slash != copy)
        *slash = '\0';
    if (realpath(directory, parent) == NULL)
        return error_from_errno(errno);
    const char *separator = strcmp(parent, "/") == 0 ? "" : "/";
    if ((size_t)snprintf(ret_path, size, "%s%s%s", parent, separator, name) >= size)
        return ERROR_TOO_LARGE;
    return ERROR_NONE;
}

enum error mount_point_detach(const char *path)
{
    if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
        return ERROR_NONE;
    if (errno != EPERM)
        return error_from_errno(errno);
    /* Without the privilege, fusermount3 (setuid) does it for the user who mounted. */
    const char *const arguments[] = {"fusermount3", "-u", "-q", "-z", "--", path, NULL};
    pid_t child;
    int status;
    if (posix_spawnp(&child, arguments[0], NULL, NULL, (char *const *)(uintptr_t)arguments,
                     environ) != 0)
        return ERROR_NOT_PERMITTED;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return ERROR_NOT_PERMITTED;
    return status == 0 ? ERROR_NONE : ERROR_NOT_PERMITTED;
}

static enum error check_empty(const char *path, struct failure *failure)
{
    DIR *directory = opendir(path);
    if (directory == NULL)
        return failure_at(failure, errno == ENOTDIR ? ERROR_NOT_FOUND : error_from_errno(errno),
                          "%s: %s", path, strerrordesc_np(errno));
    bool empty = true;
    struct dirent *entry;
    while ((entry = readdir(directory)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            empty = false;
    (void)closedir(directory);
    if (!empty)
        return failure_at(failure, ERROR_EXISTS, "%s is not empty", path);
    return ERROR_NONE;
}

enum error mount_point_prepare(const char *path, char *ret_path, size_t size,
                               struct failure *failure)
{
    char *mountinfo = NULL;
    struct statx answer;
    enum error error = resolve(path, ret_path, size);
    if (error != ERROR_NONE)
        return failure_at(failure, error, "%s", path);
    error = read_mountinfo(&mountinfo);
    if (error != ERROR_NONE)
        return failure_at(failure, error, "read /proc/self/mountinfo");
    struct mount_point found = mount_point_parse(mountinfo, ret_path);
    memory_free(mountinfo);
    if (!found.is_mounted)
        return check_empty(ret_path, failure);
    if (!found.is_ours)
        return failure_at(failure, ERROR_EXISTS, "something else is mounted on %s", ret_path);
    /* Not stat: the kernel may still remember a dead mount's attributes. */
    if (statx(AT_FDCWD, ret_path, AT_STATX_FORCE_SYNC, STATX_TYPE, &answer) == 0 ||
        errno != ENOTCONN)
        return failure_at(failure, ERROR_EXISTS, "a running topicfs is mounted on %s", ret_path);
    error = mount_point_detach(ret_path);
    if (error != ERROR_NONE)
        return failure_at(failure, error, "%s: detach the mount of a topicfs that was killed",
                          ret_path);
    return check_empty(ret_path, failure);
}
