/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on names and directories. */
#include "fs/ops.h"

#include "base/assertion.h"
#include "fs/append.h"

#include <stdio.h>

enum { NAME_BYTES_MAX = 255, READDIR_BYTES_MAX = 1 << 20 };

struct inode *inode_of(struct tree *tree, fuse_ino_t number)
{
    if (number == FUSE_ROOT_ID)
        return tree->root;
    return (struct inode *)(uintptr_t)number;
}

void ops_refuse(fuse_req_t request, fuse_ino_t number, const char *verb, const char *name,
                enum error error, const char *reason)
{
    struct tree *tree = tree_of(request);
    char path[1024];
    monitor_enter(tree->monitor);
    size_t size = strlen(inode_path(inode_of(tree, number), path, sizeof path));
    if (name != NULL)
        (void)snprintf(path + size, sizeof path - size, "%s%s", size > 0 ? "/" : "", name);
    errors_add(&tree->errors, executor_wall_clock_ms(tree_executor(tree)), verb, path, error,
               reason);
    monitor_leave(tree->monitor);
    (void)ops_reply_error(request, error);
}

void ops_forget_inode(struct op *op, struct inode *inode)
{
    if (!op->inside)
        monitor_enter(op->tree->monitor);
    inode_unref(&op->tree->inodes, inode, 1);
    if (!op->inside)
        monitor_leave(op->tree->monitor);
}

bool ops_reply_failed(struct op *op)
{
    if (op->error == ERROR_NONE)
        return false;
    (void)ops_reply_error(op->fuse, op->error);
    return true;
}

bool ops_reply_status(struct op *op)
{
    return ops_reply_error(op->fuse, op->error) == 0;
}

void ops_run(struct node_op *op, void (*start)(struct node_op *op))
{
    struct tree *tree = op->op.tree;
    monitor_enter(tree->monitor);
    op_enter(&op->op);
    if (!inode_alive(tree, op->op.inode))
        node_op_done(op, ERROR_STALE);
    else if (start == NULL)
        node_op_done(op, ERROR_NOT_PERMITTED);
    else
        start(op);
    monitor_leave(tree->monitor);
    op_settle(&op->op);
}

/* ---- names ---- */

void ops_entry_of(struct node_op *op, struct fuse_entry_param *ret_entry)
{
    bool is_partition = op->found->class->is_partition;
    bool is_directory = S_ISDIR(op->found->class->mode);
    *ret_entry = (struct fuse_entry_param){
        .ino = (fuse_ino_t)(uintptr_t)op->found,
        .generation = op->found->generation,
        .attr = op->found_stat,
        .attr_timeout = is_directory ? OPS_ENTRY_SECONDS : 0,
        .entry_timeout = is_directory || is_partition ? OPS_ENTRY_SECONDS : 0,
    };
    if (op->found->class == &view_class)
        ret_entry->entry_timeout = 0;
}

static bool reply_entry(struct op *op)
{
    struct node_op *node = node_op_of(op);
    struct inode *found = node->found;
    if (ops_reply_failed(op))
        return true;
    struct fuse_entry_param entry;
    ops_entry_of(node, &entry);
    node->found = NULL;
    bool taken = fuse_reply_entry(op->fuse, &entry) == 0;
    if (!taken)
        ops_forget_inode(op, found);
    return taken;
}

/* An op on `name` in a directory; NULL when it was answered already. `verb` NULL: a failure is no
 * event. */
static struct node_op *name_op(fuse_req_t request, fuse_ino_t parent, const char *name,
                               const char *verb, bool (*reply)(struct op *op))
{
    struct tree *tree = tree_of(request);
    size_t size = strlen(name);
    if (size > NAME_BYTES_MAX) {
        (void)fuse_reply_err(request, ENAMETOOLONG);
        return NULL;
    }
    if (verb != NULL && tree->options.read_only) {
        (void)fuse_reply_err(request, EROFS);
        return NULL;
    }
    struct node_op *op = node_op_new(tree, request, inode_of(tree, parent), verb, reply);
    if (op == NULL)
        return NULL;
    memcpy(op->name, name, size + 1);
    op->op.name = op->name;
    return op;
}

static void ops_lookup(fuse_req_t request, fuse_ino_t parent, const char *name)
{
    struct node_op *op = name_op(request, parent, name, NULL, reply_entry);
    if (op != NULL)
        ops_run(op, op->op.inode->class->lookup);
}

static void ops_mkdir(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode)
{
    (void)mode;
    struct node_op *op = name_op(request, parent, name, "mkdir", reply_entry);
    if (op != NULL)
        ops_run(op, op->op.inode->class->make_directory);
}

static void ops_rmdir(fuse_req_t request, fuse_ino_t parent, const char *name)
{
    struct node_op *op = name_op(request, parent, name, "rmdir", ops_reply_status);
    if (op != NULL)
        ops_run(op, op->op.inode->class->remove_directory);
}

static void ops_unlink(fuse_req_t request, fuse_ino_t parent, const char *name)
{
    struct node_op *op = name_op(request, parent, name, "unlink", ops_reply_status);
    if (op != NULL)
        ops_run(op, op->op.inode->class->remove_file);
}

static void ops_mknod(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode,
                      dev_t device)
{
    (void)device;
    if (!S_ISREG(mode)) {
        ops_refuse(request, parent, "mknod", name, ERROR_NOT_PERMITTED,
                   "no devices, pipes or sockets here");
        return;
    }
    struct node_op *op = name_op(request, parent, name, "create", reply_entry);
    if (op != NULL)
        ops_run(op, op->op.inode->class->make_file);
}

static void forget(struct tree *tree, fuse_ino_t number, uint64_t count)
{
    if (number != FUSE_ROOT_ID)
        inode_unref(&tree->inodes, inode_of(tree, number), count);
}

static void ops_forget(fuse_req_t request, fuse_ino_t number, uint64_t count)
{
    struct tree *tree = tree_of(request);
    monitor_enter(tree->monitor);
    forget(tree, number, count);
    monitor_leave(tree->monitor);
    fuse_reply_none(request);
}

static void ops_forget_multi(fuse_req_t request, size_t count, struct fuse_forget_data *forgets)
{
    struct tree *tree = tree_of(request);
    monitor_enter(tree->monitor);
    for (size_t i = 0; i < count; i++)
        forget(tree, forgets[i].ino, forgets[i].nlookup);
    monitor_leave(tree->monitor);
    fuse_reply_none(request);
}

/* ---- directories ---- */

static void ops_opendir(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info)
{
    struct tree *tree = tree_of(request);
    struct inode *inode = inode_of(tree, number);
    monitor_enter(tree->monitor);
    bool alive = inode_alive(tree, inode);
    struct open_file *file = NULL;
    enum error error = ERROR_STALE;
    if (alive)
        error = open_file_new(tree, inode, fuse_req_ctx(request)->uid, &file);
    monitor_leave(tree->monitor);
    if (error == ERROR_TOO_MANY_OPEN_FILES) {
        ops_refuse(request, number, "opendir", NULL, error, OPEN_FILES_REASON);
        return;
    }
    if (error != ERROR_NONE) {
        (void)ops_reply_error(request, error);
        return;
    }
    info->fh = (uint64_t)(uintptr_t)file;
    if (fuse_reply_open(request, info) != 0) {
        monitor_enter(tree->monitor);
        open_file_free(tree, file);
        monitor_leave(tree->monitor);
    }
}

static void ops_releasedir(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info)
{
    (void)number;
    struct tree *tree = tree_of(request);
    monitor_enter(tree->monitor);
    open_file_free(tree, file_of(info));
    monitor_leave(tree->monitor);
    (void)fuse_reply_err(request, 0);
}

/* Entry `at` of the directory as readdir counts them: "." and ".." first. */
static void entry_at(const struct open_file *file, uint64_t at, const char **ret_name,
                     struct stat *ret_stat)
{
    const struct inode *inode = file->inode;
    *ret_stat = (struct stat){.st_mode = S_IFDIR, .st_ino = UINT32_MAX /* Unknown to readers. */};
    if (at == 0) {
        *ret_name = ".";
        ret_stat->st_ino = inode->number;
    } else if (at == 1) {
        *ret_name = "..";
        ret_stat->st_ino = inode->parent != NULL ? inode->parent->number : inode->number;
    } else {
        uint32_t index = (uint32_t)(at - 2);
        *ret_name = listing_name(&file->listing, index);
        ret_stat->st_mode = listing_is_directory(&file->listing, index) ? S_IFDIR : S_IFREG;
    }
}

/* Answers with entries from `offset` on, as many as fit. */
static void reply_entries(fuse_req_t request, struct tree *tree, struct open_file *file,
                          size_t size, uint64_t offset)
{
    if (size > READDIR_BYTES_MAX)
        size = READDIR_BYTES_MAX;
    char *block = (char *)block_pool_take(&tree->blocks);
    if (block == NULL) {
        (void)fuse_reply_err(request, ENOMEM);
        return;
    }
    size_t used = 0;
    for (uint64_t at = offset; at < (uint64_t)file->listing.count + 2; at++) {
        const char *name;
        struct stat stat;
        entry_at(file, at, &name, &stat);
        size_t needed =
            fuse_add_direntry(request, block + used, size - used, name, &stat, (off_t)(at + 1));
        if (needed > size - used)
            break;
        used += needed;
    }
    (void)fuse_reply_buf(request, block, used);
    block_pool_give(&tree->blocks, (uint8_t *)block);
}

static bool reply_listed(struct op *op)
{
    struct node_op *node = node_op_of(op);
    if (ops_reply_failed(op))
        return true;
    struct open_file *file = node->file;
    listing_done(&file->listing);
    file->listing = node->listing;
    node->listing = (struct listing){0};
    reply_entries(op->fuse, op->tree, file, node->number, 0);
    return true;
}

/* Beginning (or beginning again) takes the names as they are now; the rest is read from those. */
static void ops_readdir(fuse_req_t request, fuse_ino_t number, size_t size, off_t offset,
                        struct fuse_file_info *info)
{
    struct tree *tree = tree_of(request);
    struct open_file *file = file_of(info);
    if (offset > 0) {
        reply_entries(request, tree, file, size, (uint64_t)offset);
        return;
    }
    struct node_op *op =
        node_op_new(tree, request, inode_of(tree, number), "readdir", reply_listed);
    if (op == NULL)
        return;
    op->file = file;
    op->number = size;
    ops_run(op, op->op.inode->class->list);
}

/* ---- the file system ---- */

static void ops_init(void *context, struct fuse_conn_info *connection)
{
    (void)context;
    connection->max_write = 1 << 20;
    /* Never: the kernel would turn appends into page writes at stale offsets (filesystem.md 0.10).
     */
    connection->want &= ~(unsigned)FUSE_CAP_WRITEBACK_CACHE;
    /* O_TRUNC is refused at open(2) rather than after it. */
    connection->want |= connection->capable & FUSE_CAP_ATOMIC_O_TRUNC;
}

static void ops_statfs(fuse_req_t request, fuse_ino_t number)
{
    (void)number;
    struct tree *tree = tree_of(request);
    struct storage_space space;
    enum error error = storage_space(tree->broker->storage, &space);
    if (error != ERROR_NONE) {
        (void)ops_reply_error(request, error);
        return;
    }
    monitor_enter(tree->monitor);
    uint32_t files = catalog_partition_count(tree->broker->catalog);
    monitor_leave(tree->monitor);
    struct statvfs answer = {
        .f_bsize = 4096,
        .f_frsize = 4096,
        .f_blocks = space.total_bytes / 4096,
        .f_bfree = space.free_bytes / 4096,
        .f_bavail = space.free_bytes / 4096,
        .f_files = files,
        .f_namemax = NAME_BYTES_MAX,
    };
    (void)fuse_reply_statfs(request, &answer);
}

void ops_fill(struct fuse_lowlevel_ops *ops)
{
    *ops = (struct fuse_lowlevel_ops){
        .init = ops_init,
        .lookup = ops_lookup,
        .forget = ops_forget,
        .forget_multi = ops_forget_multi,
        .mkdir = ops_mkdir,
        .rmdir = ops_rmdir,
        .unlink = ops_unlink,
        .mknod = ops_mknod,
        .opendir = ops_opendir,
        .readdir = ops_readdir,
        .releasedir = ops_releasedir,
        .statfs = ops_statfs,
    };
    ops_fill_file(ops);
    ops_fill_refused(ops);
    ops_fill_xattr(ops);
}
