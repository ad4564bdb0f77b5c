/* SPDX-License-Identifier: Apache-2.0 */
/* Operations that these files never allow. Each is answered, because a missing operation says
 * "Function not implemented" (fuse.md 1). */
#include "fs/ops.h"

static void ops_rename(fuse_req_t request, fuse_ino_t parent, const char *name,
                       fuse_ino_t new_parent, const char *new_name, unsigned flags)
{
    (void)new_parent;
    (void)new_name;
    (void)flags;
    ops_refuse(request, parent, "rename", name, ERROR_NOT_PERMITTED,
               "topics, partitions and groups keep their names");
}

static void ops_link(fuse_req_t request, fuse_ino_t number, fuse_ino_t new_parent,
                     const char *new_name)
{
    (void)new_name;
    (void)new_parent;
    ops_refuse(request, number, "link", NULL, ERROR_NOT_PERMITTED, "no links here");
}

static void ops_symlink(fuse_req_t request, const char *target, fuse_ino_t parent, const char *name)
{
    (void)target;
    ops_refuse(request, parent, "symlink", name, ERROR_NOT_PERMITTED, "no links here");
}

/* EPERM, not EOPNOTSUPP: on the latter the C library's posix_fallocate writes a zero byte into
 * every block, and each would be stored. */
static void ops_fallocate(fuse_req_t request, fuse_ino_t number, int mode, off_t offset,
                          off_t length, struct fuse_file_info *info)
{
    (void)mode;
    (void)offset;
    (void)length;
    (void)info;
    ops_refuse(request, number, "fallocate", NULL, ERROR_NOT_PERMITTED, "append only");
}

void ops_fill_refused(struct fuse_lowlevel_ops *ops)
{
    ops->rename = ops_rename;
    ops->link = ops_link;
    ops->symlink = ops_symlink;
    ops->fallocate = ops_fallocate;
}
