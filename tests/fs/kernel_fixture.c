/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's, libfuse's and the monitor's part of the mount, for tests. */
#include "fs/kernel_fixture.h"

#include "base/monitor.h"

#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>

enum { ANSWER_WITHIN_MS = 200000, READ_BYTES = 1 << 16 };

/* ---- the monitor: one thread; leaving it runs what was posted ---- */

struct monitor {
    struct simulated_executor *executor;
    bool inside;
};

struct executor *monitor_executor(struct monitor *monitor)
{
    return simulated_executor_seam(monitor->executor);
}

void monitor_enter(struct monitor *monitor)
{
    assert_false(monitor->inside);
    monitor->inside = true;
}

void monitor_leave(struct monitor *monitor)
{
    assert_true(monitor->inside);
    while (simulated_executor_pending_tasks(monitor->executor) > 0)
        (void)simulated_executor_step(monitor->executor);
    monitor->inside = false;
}

/* ---- libfuse: answers are kept ---- */

static int answered(struct fuse_req *request)
{
    request->answers++;
    return request->unwanted ? -ENOENT : 0;
}

int fuse_reply_err(fuse_req_t request, int error)
{
    request->error = error;
    return answered(request);
}

void fuse_reply_none(fuse_req_t request)
{
    (void)answered(request);
}

int fuse_reply_entry(fuse_req_t request, const struct fuse_entry_param *entry)
{
    request->entry = *entry;
    return answered(request);
}

int fuse_reply_create(fuse_req_t request, const struct fuse_entry_param *entry,
                      const struct fuse_file_info *info)
{
    request->entry = *entry;
    request->info = *info;
    return answered(request);
}

int fuse_reply_attr(fuse_req_t request, const struct stat *attributes, double timeout)
{
    (void)timeout;
    request->attributes = *attributes;
    return answered(request);
}

int fuse_reply_open(fuse_req_t request, const struct fuse_file_info *info)
{
    request->info = *info;
    return answered(request);
}

int fuse_reply_write(fuse_req_t request, size_t count)
{
    request->count = count;
    return answered(request);
}

int fuse_reply_xattr(fuse_req_t request, size_t count)
{
    request->count = count;
    return answered(request);
}

int fuse_reply_buf(fuse_req_t request, const char *bytes, size_t size)
{
    request->bytes = malloc(size + 1);
    assert_non_null(request->bytes);
    if (size > 0)
        memcpy(request->bytes, bytes, size);
    request->bytes[size] = '\0';
    request->count = size;
    return answered(request);
}

int fuse_reply_statfs(fuse_req_t request, const struct statvfs *answer)
{
    (void)answer;
    return answered(request);
}

/* Names with a space behind each, instead of the kernel's entries. */
size_t fuse_add_direntry(fuse_req_t request, char *out, size_t size, const char *name,
                         const struct stat *attributes, off_t offset)
{
    (void)request;
    (void)attributes;
    (void)offset;
    size_t needed = strlen(name) + 1;
    if (needed <= size) {
        memcpy(out, name, needed - 1);
        out[needed - 1] = ' ';
    }
    return needed;
}

void *fuse_req_userdata(fuse_req_t request)
{
    return &request->kernel->tree;
}

const struct fuse_ctx *fuse_req_ctx(fuse_req_t request)
{
    return &request->kernel->caller;
}

void fuse_req_interrupt_func(fuse_req_t request, fuse_interrupt_func_t interrupted, void *context)
{
    request->interrupted = interrupted;
    request->context = context;
}

/* ---- requests ---- */

struct fuse_req *request_new(struct kernel *kernel)
{
    struct fuse_req *request = calloc(1, sizeof *request);
    assert_non_null(request);
    request->kernel = kernel;
    return request;
}

void request_free(struct fuse_req *request)
{
    free(request->bytes);
    free(request);
}

static bool is_answered(void *context)
{
    return ((struct fuse_req *)context)->answers > 0;
}

int request_finish(struct fuse_req *request)
{
    if (request->answers == 0)
        assert_true(simulated_executor_run_until(request->kernel->broker->executor, is_answered,
                                                 request, ANSWER_WITHIN_MS));
    assert_int_equal(request->answers, 1);
    return request->error;
}

/* ---- the mount ---- */

void kernel_mount(struct kernel *kernel, struct broker_fixture *broker, const char *options)
{
    struct mount_options parsed = mount_options_default(false);
    assert_int_equal(mount_options_parse(options, &parsed, NULL), ERROR_NONE);
    *kernel = (struct kernel){.broker = broker, .caller = {.pid = 1}};
    kernel->monitor = calloc(1, sizeof *kernel->monitor);
    assert_non_null(kernel->monitor);
    kernel->monitor->executor = broker->executor;
    assert_int_equal(tree_init(&kernel->tree, kernel->monitor, &broker->broker, &parsed),
                     ERROR_NONE);
    kernel->caller.uid = kernel->tree.uid;
    ops_fill(&kernel->ops);
}

void kernel_umount(struct kernel *kernel)
{
    struct tree *tree = &kernel->tree;
    monitor_enter(kernel->monitor);
    op_cancel_all(tree);
    monitor_leave(kernel->monitor);
    monitor_enter(kernel->monitor);
    assert_true(list_empty(&tree->parked));
    while (!list_empty(&tree->open_files))
        open_file_free(tree, container_of(tree->open_files.next, struct open_file, link));
    inode_table_release_partitions(&tree->inodes);
    monitor_leave(kernel->monitor);
    simulated_executor_run_until_idle(kernel->broker->executor);
    assert_int_equal(atomic_load(&tree->operations), 0);
    tree_done(tree);
    free(kernel->monitor);
}

/* ---- system calls ---- */

/* Frees the request; its errno. */
static int end(struct fuse_req *request)
{
    int error = request_finish(request);
    request_free(request);
    return error;
}

int kernel_lookup(struct kernel *kernel, fuse_ino_t parent, const char *name, fuse_ino_t *ret_node)
{
    struct fuse_req *request = request_new(kernel);
    kernel->ops.lookup(request, parent, name);
    if (request_finish(request) == 0)
        *ret_node = request->entry.ino;
    return end(request);
}

int kernel_path(struct kernel *kernel, const char *path, fuse_ino_t *ret_node)
{
    fuse_ino_t node = FUSE_ROOT_ID;
    char name[256];
    while (*path != '\0') {
        size_t size = strcspn(path, "/");
        fuse_ino_t child;
        memcpy(name, path, size);
        name[size] = '\0';
        int error = kernel_lookup(kernel, node, name, &child);
        kernel_forget(kernel, node);
        if (error != 0)
            return error;
        node = child;
        path += size + (path[size] == '/');
    }
    *ret_node = node;
    return 0;
}

void kernel_forget(struct kernel *kernel, fuse_ino_t node)
{
    struct fuse_req *request = request_new(kernel);
    kernel->ops.forget(request, node, 1);
    (void)end(request);
}

static int mkdir_at(struct kernel *kernel, fuse_ino_t parent, const char *name)
{
    struct fuse_req *request = request_new(kernel);
    kernel->ops.mkdir(request, parent, name, 0777);
    if (request_finish(request) == 0)
        kernel_forget(kernel, request->entry.ino);
    return end(request);
}

int kernel_mkdir(struct kernel *kernel, const char *name)
{
    return mkdir_at(kernel, FUSE_ROOT_ID, name);
}

int kernel_mkdir_in(struct kernel *kernel, const char *parent, const char *name)
{
    fuse_ino_t node;
    int error = kernel_path(kernel, parent, &node);
    if (error != 0)
        return error;
    error = mkdir_at(kernel, node, name);
    kernel_forget(kernel, node);
    return error;
}

static int rmdir_at(struct kernel *kernel, fuse_ino_t parent, const char *name)
{
    struct fuse_req *request = request_new(kernel);
    kernel->ops.rmdir(request, parent, name);
    return end(request);
}

int kernel_rmdir(struct kernel *kernel, const char *name)
{
    return rmdir_at(kernel, FUSE_ROOT_ID, name);
}

int kernel_rmdir_in(struct kernel *kernel, const char *parent, const char *name)
{
    fuse_ino_t node;
    int error = kernel_path(kernel, parent, &node);
    if (error != 0)
        return error;
    error = rmdir_at(kernel, node, name);
    kernel_forget(kernel, node);
    return error;
}

int kernel_create(struct kernel *kernel, const char *parent, const char *name, const char *text)
{
    fuse_ino_t directory;
    size_t count;
    int error = kernel_path(kernel, parent, &directory);
    if (error != 0)
        return error;
    struct fuse_req *request = request_new(kernel);
    struct fuse_file_info info = {.flags = O_WRONLY | O_CREAT};
    kernel->ops.create(request, directory, name, 0666, &info);
    error = request_finish(request);
    fuse_ino_t node = request->entry.ino;
    info = request->info;
    request_free(request);
    if (error == 0) {
        error = kernel_write(kernel, node, &info, text, &count);
        kernel_release(kernel, node, &info);
        kernel_forget(kernel, node);
    }
    kernel_forget(kernel, directory);
    return error;
}

int kernel_open(struct kernel *kernel, fuse_ino_t node, int flags, struct fuse_file_info *ret_info)
{
    struct fuse_req *request = request_new(kernel);
    struct fuse_file_info info = {.flags = flags};
    kernel->ops.open(request, node, &info);
    if (request_finish(request) == 0)
        *ret_info = request->info;
    return end(request);
}

int kernel_write(struct kernel *kernel, fuse_ino_t node, struct fuse_file_info *info,
                 const char *text, size_t *ret_count)
{
    struct fuse_req *request = request_new(kernel);
    kernel->ops.write(request, node, text, strlen(text), 0, info);
    if (request_finish(request) == 0)
        *ret_count = request->count;
    return end(request);
}

int kernel_fsync(struct kernel *kernel, fuse_ino_t node, struct fuse_file_info *info)
{
    struct fuse_req *request = request_new(kernel);
    kernel->ops.fsync(request, node, 0, info);
    return end(request);
}

void kernel_release(struct kernel *kernel, fuse_ino_t node, struct fuse_file_info *info)
{
    struct fuse_req *request = request_new(kernel);
    kernel->ops.release(request, node, info);
    assert_int_equal(end(request), 0);
}

int kernel_append(struct kernel *kernel, const char *path, const char *text)
{
    fuse_ino_t node;
    struct fuse_file_info info;
    size_t count = 0;
    int error = kernel_path(kernel, path, &node);
    if (error != 0)
        return error;
    error = kernel_open(kernel, node, O_WRONLY | O_APPEND, &info);
    if (error == 0) {
        error = kernel_write(kernel, node, &info, text, &count);
        assert_int_equal(count, error == 0 ? strlen(text) : 0);
        kernel_release(kernel, node, &info);
    }
    kernel_forget(kernel, node);
    return error;
}

/* Reads to the end, as read(2) would be called. */
static int read_all(struct kernel *kernel, fuse_ino_t node, struct fuse_file_info *info, char *out,
                    size_t size)
{
    size_t used = 0, got;
    int error;
    do {
        struct fuse_req *request = request_new(kernel);
        kernel->ops.read(request, node, READ_BYTES, (off_t)used, info);
        error = request_finish(request);
        got = error == 0 ? request->count : 0;
        assert_true(used + got < size);
        if (got > 0)
            memcpy(out + used, request->bytes, got);
        used += got;
        request_free(request);
    } while (got > 0);
    out[used] = '\0';
    return error;
}

int kernel_cat(struct kernel *kernel, const char *path, char *out, size_t size)
{
    fuse_ino_t node;
    struct fuse_file_info info;
    int error = kernel_path(kernel, path, &node);
    if (error != 0)
        return error;
    error = kernel_open(kernel, node, O_RDONLY, &info);
    if (error == 0) {
        error = read_all(kernel, node, &info, out, size);
        kernel_release(kernel, node, &info);
    }
    kernel_forget(kernel, node);
    return error;
}

int kernel_list(struct kernel *kernel, const char *path, char *out, size_t size)
{
    fuse_ino_t node;
    int error = kernel_path(kernel, path, &node);
    if (error != 0)
        return error;
    struct fuse_file_info info = {.flags = O_RDONLY};
    struct fuse_req *request = request_new(kernel);
    kernel->ops.opendir(request, node, &info);
    if (request_finish(request) == 0)
        info = request->info;
    error = end(request);
    if (error == 0) {
        request = request_new(kernel);
        kernel->ops.readdir(request, node, READ_BYTES, 0, &info);
        error = request_finish(request);
        assert_true(request->count < size);
        if (error == 0)
            memcpy(out, request->bytes, request->count + 1);
        request_free(request);
        request = request_new(kernel);
        kernel->ops.releasedir(request, node, &info);
        assert_int_equal(end(request), 0);
    }
    kernel_forget(kernel, node);
    return error;
}
