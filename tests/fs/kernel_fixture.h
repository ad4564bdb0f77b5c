/* SPDX-License-Identifier: Apache-2.0 */
/* The mount without a kernel: the room's libfuse operations called as libfuse calls them, their
 * answers caught, on a broker under simulated time and disk. What fs/ wants of libfuse and of the
 * monitor is defined in kernel_fixture.c, so neither is linked. One thread. */
#ifndef TESTS_FS_KERNEL_FIXTURE_H
#define TESTS_FS_KERNEL_FIXTURE_H

#include "fs/ops.h"
#include "handle/broker_fixture.h"

struct kernel {
    struct broker_fixture *broker;
    struct monitor *monitor;
    struct tree tree;
    struct fuse_lowlevel_ops ops;
    struct fuse_ctx caller;
};

/* A request and what it was answered. */
struct fuse_req {
    struct kernel *kernel;
    int answers;   /* How often; 1 in the end. */
    int error;     /* A positive errno. */
    size_t count;  /* Of bytes written, or in `bytes`. */
    char *bytes;   /* What was read or listed. */
    bool unwanted; /* The kernel no longer takes the answer. */
    struct fuse_entry_param entry;
    struct fuse_file_info info;
    struct stat attributes;
    fuse_interrupt_func_t interrupted; /* NULL: the op did not wait. */
    void *context;
};

/* Mounts with options as `-o` takes them ("": defaults, but for internal timing). */
void kernel_mount(struct kernel *kernel, struct broker_fixture *broker, const char *options);

/* What mount_close and mount_free do. */
void kernel_umount(struct kernel *kernel);

/* A request not made yet; freed after its answer. */
struct fuse_req *request_new(struct kernel *kernel);
void request_free(struct fuse_req *request);

/* Runs until it is answered, once; gives the errno. */
int request_finish(struct fuse_req *request);

/* What system calls do, to the end. All give 0 or a positive errno. Nodes are looked up, and to be
 * forgotten with kernel_forget. */
int kernel_lookup(struct kernel *kernel, fuse_ino_t parent, const char *name, fuse_ino_t *ret_node);
int kernel_path(struct kernel *kernel, const char *path, fuse_ino_t *ret_node);
void kernel_forget(struct kernel *kernel, fuse_ino_t node);
int kernel_mkdir(struct kernel *kernel, const char *name);
int kernel_rmdir(struct kernel *kernel, const char *name);
/* The same below a directory. */
int kernel_mkdir_in(struct kernel *kernel, const char *parent, const char *name);
int kernel_rmdir_in(struct kernel *kernel, const char *parent, const char *name);
int kernel_open(struct kernel *kernel, fuse_ino_t node, int flags, struct fuse_file_info *ret_info);
int kernel_write(struct kernel *kernel, fuse_ino_t node, struct fuse_file_info *info,
                 const char *text, size_t *ret_count);
int kernel_fsync(struct kernel *kernel, fuse_ino_t node, struct fuse_file_info *info);
void kernel_release(struct kernel *kernel, fuse_ino_t node, struct fuse_file_info *info);

/* echo -n TEXT >> PATH and cat PATH (into `out`, NUL behind it). */
int kernel_append(struct kernel *kernel, const char *path, const char *text);
/* echo -n TEXT > PARENT/NAME, for a name that is not there yet. */
int kernel_create(struct kernel *kernel, const char *parent, const char *name, const char *text);
int kernel_cat(struct kernel *kernel, const char *path, char *out, size_t size);
/* ls PATH: names with a space behind each. */
int kernel_list(struct kernel *kernel, const char *path, char *out, size_t size);

#endif
