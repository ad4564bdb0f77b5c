/* SPDX-License-Identifier: Apache-2.0 */
/* A mounted node: from the mount point's directory to the threads that answer the kernel.
 *
 * Nothing in the program may touch the mount itself: the thread that would have to answer may be
 * the one that waits. Callers make and check paths before mount_open. */
#ifndef FS_MOUNT_H
#define FS_MOUNT_H

#include "fs/options.h"

#include "base/monitor.h"

struct broker;
struct mount;

enum { MOUNT_THREADS_DEFAULT = 2, MOUNT_THREADS_MAX = 64 };

struct mount_settings {
    const char *path; /* Of an existing, empty directory. */
    struct mount_options options;
    uint32_t threads;        /* topicfs.mount.threads. */
    struct monitor *monitor; /* Outlives the mount, as the broker does. */
    struct broker *broker;
    /* The mount ended by itself: umount(8) or fusermount3 -u. Called once, on one of its threads,
     * outside the monitor; must only set the stop of the node going (mount_close waits for that
     * thread). Not called when mount_close began first. */
    void (*ended)(void *context);
    void *context;
};

/* Mounts and starts answering. A mount that a killed node left at `path` (ENOTCONN, of type
 * fuse.topicfs) is detached first; EXISTS for anything else that is mounted there and for a
 * directory that is not empty; NOT_FOUND, NOT_PERMITTED (with what to do about it in `failure`). */
enum error mount_open(const struct mount_settings *settings, struct mount **ret_mount,
                      struct failure *failure);

/* Threads end; open files' unended lines become records; operations under way end (after a moment,
 * as interrupted); the path is unmounted, also when files in it are open. Outside the monitor, on
 * none of the mount's threads, before partitions and catalog go. What was asked of the quorum and
 * is still under way is waited for by mount_free. Accepts NULL. */
void mount_close(struct mount *mount);

/* After mount_close, once the parts that may still complete operations have ended them. */
void mount_free(struct mount *mount);

#endif
