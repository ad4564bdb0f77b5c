/* SPDX-License-Identifier: Apache-2.0 */
/* libfuse's operations on a tree (its userdata): each looks its inode up, asks the tree, answers.
 */
#ifndef FS_OPS_H
#define FS_OPS_H

#include "fs/fuse.h"
#include "fs/tree.h"

/* How long the kernel may believe a name, and the attributes of a directory, in seconds. A stale
 * one is found out by ESTALE at its next use, on which the kernel looks the name up again. */
#define OPS_ENTRY_SECONDS 1.0

#define OPEN_FILES_REASON                                                                          \
    "topicfs.mount.open.files.max, or one user's half of it, is reached: close files or raise it"

/* Sets every operation this room answers. What is left NULL: flush (libfuse tells the kernel once
 * that it is not wanted, which saves a round trip per close(2)), access, lseek, poll, locks,
 * copy_file_range (the kernel's own answers are right for these files). */
void ops_fill(struct fuse_lowlevel_ops *ops);
/* fs/ops_file.c, fs/ops_refused.c, fs/xattr.c */
void ops_fill_file(struct fuse_lowlevel_ops *ops);
void ops_fill_refused(struct fuse_lowlevel_ops *ops);
void ops_fill_xattr(struct fuse_lowlevel_ops *ops);

static inline struct tree *tree_of(fuse_req_t request)
{
    return fuse_req_userdata(request);
}

struct inode *inode_of(struct tree *tree, fuse_ino_t number);

static inline struct open_file *file_of(const struct fuse_file_info *info)
{
    return (struct open_file *)(uintptr_t)info->fh;
}

static inline int ops_reply_error(fuse_req_t request, enum error error)
{
    return fuse_reply_err(request, error_to_errno(error));
}

/* Refuses at once and keeps the reason for .errors. `name` may be NULL. */
void ops_refuse(fuse_req_t request, fuse_ino_t number, const char *verb, const char *name,
                enum error error, const char *reason);

/* Takes references of an inode back, from inside the monitor or from outside. */
void ops_forget_inode(struct op *op, struct inode *inode);

/* Fills the attributes and timeouts of a reply from op->found; its reference goes to the kernel
 * when the reply is taken. */
void ops_entry_of(struct node_op *op, struct fuse_entry_param *ret_entry);

/* Replies with an error if there is one. */
bool ops_reply_failed(struct op *op);

/* Replies 0 or the error. */
bool ops_reply_status(struct op *op);

/* Runs `start` inside the monitor and settles the op; ESTALE when what the inode stands for is
 * gone, EPERM when `start` is NULL. */
void ops_run(struct node_op *op, void (*start)(struct node_op *op));

#endif
