/* SPDX-License-Identifier: Apache-2.0 */
/* The limit of the mount: a low-level FUSE loop with a topic `t` and a partition file `t/0`,
 * answered from memory by N threads: what is written goes over what was written before, and reads
 * see a file of the size wanted. `bare_mount DIR THREADS SIZE_MIB`, until it is unmounted. */
#define FUSE_USE_VERSION 314
#include "measure.h"

#include <errno.h>
#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { MEMORY_BYTES = 64 << 20, BLOCK_BYTES = 1 << 20, THREADS_MAX = 64 };
enum { TOPIC = 2, FILE_0 = 3 };

struct memory_file {
    uint8_t *bytes; /* MEMORY_BYTES, and a block behind them that repeats the first. */
    off_t size;
    atomic_ullong written;
};

static struct memory_file *file_of(fuse_req_t request)
{
    return fuse_req_userdata(request);
}

static void stat_of(fuse_req_t request, fuse_ino_t number, struct stat *ret_stat)
{
    *ret_stat = (struct stat){.st_ino = number, .st_nlink = 1, .st_blksize = BLOCK_BYTES};
    ret_stat->st_mode = number == FILE_0 ? S_IFREG | 0644 : S_IFDIR | 0755;
    if (number == FILE_0)
        ret_stat->st_size = file_of(request)->size;
}

static void bare_lookup(fuse_req_t request, fuse_ino_t parent, const char *name)
{
    struct fuse_entry_param entry = {0};
    if (parent == FUSE_ROOT_ID && strcmp(name, "t") == 0)
        entry.ino = TOPIC;
    else if (parent == TOPIC && strcmp(name, "0") == 0)
        entry.ino = FILE_0;
    if (entry.ino == 0) {
        (void)fuse_reply_err(request, ENOENT);
        return;
    }
    entry.entry_timeout = 1;
    stat_of(request, entry.ino, &entry.attr);
    (void)fuse_reply_entry(request, &entry);
}

static void bare_getattr(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info)
{
    (void)info;
    struct stat stat;
    stat_of(request, number, &stat);
    (void)fuse_reply_attr(request, &stat, 0);
}

static void bare_open(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info)
{
    if (number != FILE_0) {
        (void)fuse_reply_err(request, EISDIR);
        return;
    }
    info->direct_io = 1;
    (void)fuse_reply_open(request, info);
}

static void bare_read(fuse_req_t request, fuse_ino_t number, size_t size, off_t offset,
                      struct fuse_file_info *info)
{
    (void)number;
    (void)info;
    struct memory_file *file = file_of(request);
    off_t left = offset < file->size ? file->size - offset : 0;
    if (size > (size_t)left)
        size = (size_t)left;
    if (size > BLOCK_BYTES)
        size = BLOCK_BYTES;
    (void)fuse_reply_buf(request, (const char *)file->bytes + offset % MEMORY_BYTES, size);
}

static void bare_write(fuse_req_t request, fuse_ino_t number, const char *bytes, size_t size,
                       off_t offset, struct fuse_file_info *info)
{
    (void)number;
    (void)offset;
    (void)info;
    struct memory_file *file = file_of(request);
    if (size > BLOCK_BYTES)
        size = BLOCK_BYTES;
    unsigned long long at = atomic_fetch_add(&file->written, size);
    memcpy(file->bytes + at % MEMORY_BYTES, bytes, size);
    (void)fuse_reply_write(request, size);
}

static void bare_close(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info)
{
    (void)number;
    (void)info;
    (void)fuse_reply_err(request, 0);
}

static void *serve(void *context)
{
    struct fuse_session *session = context;
    struct fuse_buf buffer = {.mem = NULL};
    while (!fuse_session_exited(session)) {
        int received = fuse_session_receive_buf(session, &buffer);
        if (received == -EINTR)
            continue;
        if (received <= 0)
            break;
        fuse_session_process_buf(session, &buffer);
    }
    free(buffer.mem);
    fuse_session_exit(session);
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc != 4)
        fail("usage: bare_mount DIR THREADS SIZE_MIB");
    const struct fuse_lowlevel_ops ops = {
        .lookup = bare_lookup,
        .getattr = bare_getattr,
        .open = bare_open,
        .read = bare_read,
        .write = bare_write,
        .flush = bare_close,
        .release = bare_close,
    };
    struct memory_file file = {.size = (off_t)strtoul(argv[3], NULL, 10) << 20};
    unsigned long threads = strtoul(argv[2], NULL, 10);
    pthread_t workers[THREADS_MAX];
    if (threads < 1 || threads > THREADS_MAX)
        fail("1 to %d threads", THREADS_MAX);
    file.bytes = malloc(MEMORY_BYTES + BLOCK_BYTES);
    if (file.bytes == NULL)
        fail("allocate");
    memset(file.bytes, 'x', MEMORY_BYTES + BLOCK_BYTES);
    struct fuse_args args = FUSE_ARGS_INIT(1, argv);
    struct fuse_session *session = fuse_session_new(&args, &ops, sizeof ops, &file);
    if (session == NULL || fuse_session_mount(session, argv[1]) != 0)
        fail("mount %s", argv[1]);
    for (unsigned long i = 0; i < threads; i++)
        if ((errno = pthread_create(&workers[i], NULL, serve, session)) != 0)
            fail("start a thread");
    for (unsigned long i = 0; i < threads; i++)
        (void)pthread_join(workers[i], NULL);
    fuse_session_unmount(session);
    fuse_session_destroy(session);
    free(file.bytes);
    return 0;
}
