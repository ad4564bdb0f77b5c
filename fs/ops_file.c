/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on files: attributes, open, read, write, fsync, release. */
#include "base/memory.h"
#include "base/report.h"
#include "fs/append.h"
#include "fs/ops.h"
#include "fs/partition_file.h"
#include "fs/remote_read.h"

#include <fcntl.h>

enum { SMALL_FILE_BYTES_MAX = 64 << 10, PERMISSION_BITS = 07777 };

/* ---- attributes ---- */

static bool reply_rendered_size(struct op *op)
{
    struct node_op *node = node_op_of(op);
    if (ops_reply_failed(op))
        return true;
    node->found_stat.st_size = (off_t)node->text.size;
    return fuse_reply_attr(op->fuse, &node->found_stat, 0) == 0;
}

/* A small file is as large as what it says now. */
static void render_for_size(struct node_op *op)
{
    inode_stat(op->op.tree, op->op.inode, &op->found_stat);
    op->op.inode->class->render(op);
}

static bool reply_stat(struct op *op)
{
    if (ops_reply_failed(op))
        return true;
    return fuse_reply_attr(op->fuse, &node_op_of(op)->found_stat, 0) == 0;
}

static void looked_for_stat(struct node_op *op)
{
    struct inode *inode = op->op.inode;
    if (inode->class == &view_class)
        view_looked(inode, &op->look);
    inode_stat(op->op.tree, inode, &op->found_stat);
    node_op_done(op, op->look.error == ERROR_UNKNOWN_TOPIC_OR_PARTITION ? ERROR_STALE : ERROR_NONE);
}

/* A file elsewhere is as large as its leader said a moment ago, or when it was heard of last. */
static void look_for_stat(struct node_op *op)
{
    node_op_look(op, op->op.inode, PARTITION_STAT_AGE_MS, PARTITION_STAT_WAIT_MS, looked_for_stat);
}

static void ops_getattr(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info)
{
    (void)info;
    struct tree *tree = tree_of(request);
    struct inode *inode = inode_of(tree, number);
    if (inode->class->render != NULL) {
        struct node_op *op = node_op_new(tree, request, inode, NULL, reply_rendered_size);
        if (op != NULL)
            ops_run(op, render_for_size);
        return;
    }
    struct stat stat;
    monitor_enter(tree->monitor);
    bool alive = inode_alive(tree, inode);
    bool is_elsewhere = alive && inode->class->is_partition && inode_replica(tree, inode) == NULL;
    if (alive && !is_elsewhere)
        inode_stat(tree, inode, &stat);
    monitor_leave(tree->monitor);
    if (is_elsewhere) {
        struct node_op *op = node_op_new(tree, request, inode, NULL, reply_stat);
        if (op != NULL)
            ops_run(op, look_for_stat);
        return;
    }
    if (alive)
        (void)fuse_reply_attr(request, &stat, S_ISDIR(stat.st_mode) ? OPS_ENTRY_SECONDS : 0);
    else
        (void)fuse_reply_err(request, ESTALE);
}

/* What a change of attributes would be refused for; NULL when there is nothing to refuse. Times may
 * be set and are forgotten: touch, cp -p and rsync -a set them. */
static const char *attributes_refused(const struct inode *inode, const struct tree *tree,
                                      const struct stat *wanted, int to_set)
{
    if ((to_set & FUSE_SET_ATTR_SIZE) && inode->class->store == NULL)
        return "append only: records are removed by retention or by deleting the topic";
    if ((to_set & FUSE_SET_ATTR_MODE) &&
        (wanted->st_mode & PERMISSION_BITS) != (inode->class->mode & PERMISSION_BITS))
        return "modes are computed; they cannot be set";
    if (((to_set & FUSE_SET_ATTR_UID) && wanted->st_uid != tree->uid) ||
        ((to_set & FUSE_SET_ATTR_GID) && wanted->st_gid != tree->gid))
        return "owners are computed; they cannot be set";
    return NULL;
}

/* rsync --append and cp end with the size they have written: that takes nothing away. An empty
 * file is excepted, so that emptying is refused whatever was there. */
static bool size_is_kept(struct tree *tree, struct inode *inode, const struct stat *wanted)
{
    struct stat now;
    monitor_enter(tree->monitor);
    inode_stat(tree, inode, &now);
    monitor_leave(tree->monitor);
    return inode->class->is_partition && wanted->st_size > 0 && wanted->st_size == now.st_size;
}

static void ops_setattr(fuse_req_t request, fuse_ino_t number, struct stat *wanted, int to_set,
                        struct fuse_file_info *info)
{
    struct tree *tree = tree_of(request);
    struct inode *inode = inode_of(tree, number);
    if ((to_set & FUSE_SET_ATTR_SIZE) && size_is_kept(tree, inode, wanted))
        to_set &= ~FUSE_SET_ATTR_SIZE;
    const char *refused = attributes_refused(inode, tree, wanted, to_set);
    if (refused != NULL)
        ops_refuse(request, number, to_set & FUSE_SET_ATTR_SIZE ? "truncate" : "setattr", NULL,
                   ERROR_NOT_PERMITTED, refused);
    else
        ops_getattr(request, number, info);
}

/* ---- opening ---- */

/* Frees op->file, inside the monitor or outside. */
static void drop_file(struct op *op, struct open_file *file)
{
    if (!op->inside)
        monitor_enter(op->tree->monitor);
    open_file_free(op->tree, file);
    if (!op->inside)
        monitor_leave(op->tree->monitor);
}

static void open_info(struct node_op *op, struct fuse_file_info *ret_info)
{
    *ret_info = (struct fuse_file_info){
        .flags = op->flags,
        .direct_io = 1,
        .fh = (uint64_t)(uintptr_t)op->file,
    };
    op->file->text = op->text;
    op->text = (struct text){0};
}

static bool reply_open(struct op *op)
{
    struct node_op *node = node_op_of(op);
    struct open_file *file = node->file;
    bool taken = false;
    if (!ops_reply_failed(op)) {
        struct fuse_file_info info;
        open_info(node, &info);
        taken = fuse_reply_open(op->fuse, &info) == 0;
    }
    if (!taken && file != NULL)
        drop_file(op, file);
    return taken;
}

/* Why the file cannot be opened this way; ERROR_NONE when it can. */
static enum error open_check(struct node_op *op, const struct inode *inode)
{
    const struct inode_class *class = inode->class;
    const struct tree *tree = op->op.tree;
    bool writes = (op->flags & O_ACCMODE) != O_RDONLY;
    if (S_ISDIR(class->mode))
        return ERROR_INVALID_REQUEST;
    if (class->is_partition && (op->flags & O_TRUNC)) {
        (void)snprintf(op->reason, sizeof op->reason,
                       "append only: write with >>, not with > (O_TRUNC)");
        return ERROR_NOT_PERMITTED;
    }
    if (!writes)
        return ERROR_NONE;
    if (tree->options.read_only)
        return ERROR_READ_ONLY;
    if (class == &partition_class) {
        const struct catalog_topic *topic = inode_topic(op->op.tree, inode);
        if (topic == NULL || !topic->internal)
            return topic == NULL ? ERROR_STALE : ERROR_NONE;
        (void)snprintf(op->reason, sizeof op->reason, "internal topics are written by the node");
        return ERROR_NOT_PERMITTED;
    }
    if (class->store != NULL)
        return ERROR_NONE;
    (void)snprintf(op->reason, sizeof op->reason, "this file can only be read");
    return ERROR_NOT_PERMITTED;
}

/* Whoever opens a file to read it sees what was stored anywhere before. To write it nothing need be
 * known: a writer waits in write(2). */
static void partition_looked(struct node_op *op)
{
    struct tree *tree = op->op.tree;
    struct inode *inode = op->file->inode;
    enum error error = op->look.error;
    bool only_writes = (op->flags & O_ACCMODE) == O_WRONLY;
    if (error == ERROR_UNKNOWN_TOPIC_OR_PARTITION)
        error = ERROR_STALE;
    if (inode->class == &view_class)
        view_looked(inode, &op->look);
    if (error == ERROR_NONE && !(only_writes && inode_replica(tree, inode) == NULL))
        error = partition_file_open(tree, op->file);
    node_op_done(op, error);
}

/* Opens `inode` on behalf of the op, which completes. Inside the monitor. */
static void open_inode(struct node_op *op, struct inode *inode)
{
    struct tree *tree = op->op.tree;
    enum error error = open_check(op, inode);
    struct open_file *file = NULL;
    if (error == ERROR_NONE)
        error = open_file_new(tree, inode, op->uid, &file);
    if (error == ERROR_TOO_MANY_OPEN_FILES)
        (void)snprintf(op->reason, sizeof op->reason, OPEN_FILES_REASON);
    op->file = file;
    if (error == ERROR_NONE) {
        file->is_writable = (op->flags & O_ACCMODE) != O_RDONLY;
        if (inode->class->is_partition) {
            file->settings = append_settings_of(tree, inode);
            op->look.error = ERROR_NONE;
            if ((op->flags & O_ACCMODE) == O_WRONLY)
                partition_looked(op);
            else
                node_op_look(op, inode, 0, tree->options.write_timeout_ms, partition_looked);
            return;
        } else if ((op->flags & O_ACCMODE) != O_WRONLY && !(op->flags & O_TRUNC) &&
                   inode->class->render != NULL) {
            inode->class->render(op);
            return;
        }
    }
    node_op_done(op, error);
}

static void open_start(struct node_op *op)
{
    open_inode(op, op->op.inode);
}

static void ops_open(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info)
{
    struct tree *tree = tree_of(request);
    struct inode *inode = inode_of(tree, number);
    const struct fuse_ctx *caller = fuse_req_ctx(request);
    if (!(inode->class->mode & 0077) && caller->uid != tree->uid && caller->uid != 0) {
        ops_refuse(request, number, "open", NULL, ERROR_CLUSTER_AUTHORIZATION_FAILED,
                   "only the node's own user may read this");
        return;
    }
    struct node_op *op = node_op_new(tree, request, inode, "open", reply_open);
    if (op == NULL)
        return;
    op->flags = info->flags;
    op->uid = caller->uid;
    ops_run(op, open_start);
}

/* ---- creating: make, then open, one answer ---- */

static bool reply_create(struct op *op)
{
    struct node_op *node = node_op_of(op);
    struct inode *found = node->found;
    struct open_file *file = node->file;
    bool taken = false;
    if (!ops_reply_failed(op)) {
        struct fuse_entry_param entry;
        struct fuse_file_info info;
        ops_entry_of(node, &entry);
        open_info(node, &info);
        taken = fuse_reply_create(op->fuse, &entry, &info) == 0;
    }
    node->found = NULL;
    if (!taken && file != NULL)
        drop_file(op, file);
    if (!taken && found != NULL)
        ops_forget_inode(op, found);
    return taken;
}

static void ops_create(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode,
                       struct fuse_file_info *info)
{
    (void)mode;
    struct tree *tree = tree_of(request);
    struct inode *directory = inode_of(tree, parent);
    if (strlen(name) >= sizeof((struct node_op *)NULL)->name) {
        (void)fuse_reply_err(request, ENAMETOOLONG);
        return;
    }
    if (tree->options.read_only) {
        (void)fuse_reply_err(request, EROFS);
        return;
    }
    struct node_op *op = node_op_new(tree, request, directory, "create", reply_create);
    if (op == NULL)
        return;
    memcpy(op->name, name, strlen(name) + 1);
    op->op.name = op->name;
    op->flags = info->flags & ~O_TRUNC; /* It is new. */
    op->uid = fuse_req_ctx(request)->uid;
    op->opens = open_inode;
    ops_run(op, directory->class->make_file);
}

/* ---- reading and writing ---- */

/* From a copy: once the answer is taken the file may be closed and gone. */
static void read_small(fuse_req_t request, struct open_file *file, size_t size, off_t position)
{
    struct tree *tree = tree_of(request);
    uint8_t *block = block_pool_take(&tree->blocks);
    if (block == NULL) {
        (void)fuse_reply_err(request, ENOMEM);
        return;
    }
    if (size > tree->blocks.block_size)
        size = tree->blocks.block_size;
    (void)pthread_mutex_lock(&file->reading);
    size_t begin = (uint64_t)position < file->text.size ? (size_t)position : file->text.size;
    size_t count = file->text.size - begin < size ? file->text.size - begin : size;
    if (count > 0)
        memcpy(block, file->text.bytes + begin, count);
    (void)pthread_mutex_unlock(&file->reading);
    (void)fuse_reply_buf(request, (const char *)block, count);
    block_pool_give(&tree->blocks, block);
}

static void report_damage(const struct inode *inode, uint64_t position)
{
    char subject[TOPIC_NAME_BYTES_MAX + 40];
    (void)snprintf(subject, sizeof subject, "topic=%s partition=%d", inode->parent->name,
                   inode->index);
    report(REPORT_ERROR, "batch_damaged", subject,
           "text_position=%llu lost=\"a batch behind this position is not served\" "
           "do=\"restore the partition from a copy\"",
           (unsigned long long)position);
}

static void ops_read(fuse_req_t request, fuse_ino_t number, size_t size, off_t position,
                     struct fuse_file_info *info)
{
    struct tree *tree = tree_of(request);
    struct open_file *file = file_of(info);
    if (!file->inode->class->is_partition) {
        read_small(request, file, size, position);
        return;
    }
    uint8_t *block = block_pool_take(&tree->blocks);
    if (block == NULL) {
        (void)fuse_reply_err(request, ENOMEM);
        return;
    }
    if (size > tree->blocks.block_size)
        size = tree->blocks.block_size;
    size_t got;
    struct partition_source from;
    partition_source_init(&from, tree, file);
    enum error error = partition_source_read(&from, file, (uint64_t)position, block, size, &got);
    if (error == ERROR_NONE && from.starved) {
        remote_read(tree, request, file, (uint64_t)position, block, got, size, from.wanted);
        return;
    }
    if (error == ERROR_NONE) {
        (void)fuse_reply_buf(request, (const char *)block, got);
        block_pool_give(&tree->blocks, block);
        return;
    }
    block_pool_give(&tree->blocks, block);
    if (error == ERROR_CORRUPT_MESSAGE) {
        report_damage(file->inode, (uint64_t)position);
        ops_refuse(request, number, "read", NULL, ERROR_STORAGE,
                   "a batch on the disk is damaged; the records before it can be read");
    } else {
        ops_refuse(request, number, "read", NULL, error, NULL);
    }
}

static bool reply_stored(struct op *op)
{
    if (ops_reply_failed(op))
        return true;
    return fuse_reply_write(op->fuse, node_op_of(op)->number) == 0;
}

/* There was no memory for the value: an empty one would mean something else. */
static void store_nothing(struct node_op *op)
{
    node_op_done(op, ERROR_OUT_OF_MEMORY);
}

/* One write(2) is one value; its line end and blanks around it do not count. */
static void write_small(fuse_req_t request, fuse_ino_t number, const char *bytes, size_t size)
{
    struct tree *tree = tree_of(request);
    if (size > SMALL_FILE_BYTES_MAX) {
        (void)fuse_reply_err(request, EMSGSIZE);
        return;
    }
    struct node_op *op = node_op_new(tree, request, inode_of(tree, number), "write", reply_stored);
    if (op == NULL)
        return;
    op->number = size;
    while (size > 0 && (bytes[size - 1] == '\n' || bytes[size - 1] == ' '))
        size--;
    while (size > 0 && *bytes == ' ') {
        bytes++;
        size--;
    }
    text_add_bytes(&op->input_text, bytes, size);
    op->input = slice_from(op->input_text.bytes, op->input_text.size);
    ops_run(op, op->input_text.failed ? store_nothing : op->op.inode->class->store);
}

static void ops_write(fuse_req_t request, fuse_ino_t number, const char *bytes, size_t size,
                      off_t position, struct fuse_file_info *info)
{
    (void)position; /* The kernel's stale idea of the end (fuse.md 2.2); records go to the end. */
    struct open_file *file = file_of(info);
    if (file->inode->class->is_partition)
        append_write(tree_of(request), request, file, slice_from(bytes, size));
    else
        write_small(request, number, bytes, size);
}

static void ops_fsync(fuse_req_t request, fuse_ino_t number, int data_only,
                      struct fuse_file_info *info)
{
    (void)number;
    (void)data_only;
    struct open_file *file = file_of(info);
    if (file->inode->class->is_partition)
        append_sync(tree_of(request), request, file);
    else
        (void)fuse_reply_err(request, 0);
}

static void ops_release(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info)
{
    (void)number;
    struct tree *tree = tree_of(request);
    struct open_file *file = file_of(info);
    append_tail(tree, file);
    monitor_enter(tree->monitor);
    open_file_free(tree, file);
    monitor_leave(tree->monitor);
    (void)fuse_reply_err(request, 0);
}

void ops_fill_file(struct fuse_lowlevel_ops *ops)
{
    ops->getattr = ops_getattr;
    ops->setattr = ops_setattr;
    ops->open = ops_open;
    ops->create = ops_create;
    ops->read = ops_read;
    ops->write = ops_write;
    ops->fsync = ops_fsync;
    ops->release = ops_release;
}
