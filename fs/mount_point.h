/* SPDX-License-Identifier: Apache-2.0 */
/* The place to mount at: what is there, and getting a dead mount of ours off it. */
#ifndef FS_MOUNT_POINT_H
#define FS_MOUNT_POINT_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

/* The topmost mount at the absolute path `path`, as /proc/self/mountinfo text tells it. */
struct mount_point {
    bool is_mounted;
    bool is_ours; /* Type fuse.topicfs. */
};

/* Reads it from the text of /proc/self/mountinfo (proc(5)); `path` has no symbolic links and no
 * slash at its end. Pure. */
struct mount_point mount_point_parse(const char *mountinfo, const char *path);

/* Makes `path` ready: an empty directory with nothing mounted on it. A dead mount of ours is
 * detached. `ret_path` is the absolute path without symbolic links. */
enum error mount_point_prepare(const char *path, char *ret_path, size_t size,
                               struct failure *failure);

/* Takes the mount off the path, also when files in it are open (MNT_DETACH). */
enum error mount_point_detach(const char *path);

#endif
