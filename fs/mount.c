/* SPDX-License-Identifier: Apache-2.0 */
/* The FUSE session: mounting, worker threads, ending.
 *
 *   mount_open   prepare the point, mount, start workers
 *   worker       receive one request, process it (ops.c), again; never waits for anything else
 *   mount_close  wake the workers out of read(2), join; tails; cancel waits; unmount, destroy */
#include "fs/mount.h"

#include "base/assertion.h"
#include "base/memory.h"
#include "fs/append.h"
#include "fs/mount_point.h"
#include "fs/ops.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

enum {
    /* Interrupts a worker's read(2) of the FUSE device; ignored by everything else. */
    MOUNT_WAKE_SIGNAL_ABOVE = 3,
    WAKE_INTERVAL_MS = 5,
    TAILS_WAIT_MS = 5000,
};

struct mount_worker {
    struct mount *mount;
    pthread_t thread;
    atomic_bool ended;
};

struct mount {
    struct mount_settings settings;
    struct tree tree;
    struct fuse_session *session;
    char path[PATH_MAX];
    struct mount_worker workers[MOUNT_THREADS_MAX];
    uint32_t worker_count;
    atomic_uint running;
    atomic_bool closing;
};

static int wake_signal(void)
{
    return SIGRTMIN + MOUNT_WAKE_SIGNAL_ABOVE;
}

static void on_wake(int number)
{
    (void)number;
}

static void *worker_run(void *context)
{
    struct mount_worker *worker = context;
    struct mount *mount = worker->mount;
    struct fuse_buf buffer = {.mem = NULL};
    sigset_t wake;
    (void)sigemptyset(&wake);
    (void)sigaddset(&wake, wake_signal());
    (void)pthread_sigmask(SIG_UNBLOCK, &wake, NULL);
    while (!fuse_session_exited(mount->session)) {
        int received = fuse_session_receive_buf(mount->session, &buffer);
        if (received == -EINTR || received == -EAGAIN)
            continue;
        if (received <= 0)
            break;
        fuse_session_process_buf(mount->session, &buffer);
    }
    free(buffer.mem); /* libfuse's own. */
    fuse_session_exit(mount->session);
    bool last = atomic_fetch_sub(&mount->running, 1) == 1;
    if (last && !atomic_load(&mount->closing) && mount->settings.ended != NULL)
        mount->settings.ended(mount->settings.context);
    atomic_store(&worker->ended, true);
    return NULL;
}

/* Workers take no signal but their own: the daemon's are for its control thread. */
static enum error workers_start(struct mount *mount, struct failure *failure)
{
    sigset_t all, before;
    struct sigaction action = {.sa_handler = on_wake};
    if (sigaction(wake_signal(), &action, NULL) != 0)
        return failure_at(failure, ERROR_UNKNOWN_SERVER, "sigaction");
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int status = 0;
    for (uint32_t i = 0; i < mount->settings.threads && status == 0; i++) {
        struct mount_worker *worker = &mount->workers[i];
        worker->mount = mount;
        atomic_fetch_add(&mount->running, 1);
        status = pthread_create(&worker->thread, NULL, worker_run, worker);
        if (status == 0)
            mount->worker_count++;
        else
            atomic_fetch_sub(&mount->running, 1);
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return status == 0 ? ERROR_NONE
                       : failure_at(failure, ERROR_OUT_OF_MEMORY, "start a mount thread");
}

/* A signal that comes just before a worker begins to wait is missed: it is sent until it helped. */
static void workers_join(struct mount *mount)
{
    fuse_session_exit(mount->session);
    for (uint32_t i = 0; i < mount->worker_count; i++) {
        struct mount_worker *worker = &mount->workers[i];
        while (!atomic_load(&worker->ended)) {
            (void)pthread_kill(worker->thread, wake_signal());
            struct timespec pause = {0, WAKE_INTERVAL_MS * 1000000L};
            (void)nanosleep(&pause, NULL);
        }
        (void)pthread_join(worker->thread, NULL);
    }
    mount->worker_count = 0;
}

static enum error session_mount(struct mount *mount, struct failure *failure)
{
    char options[256];
    struct fuse_lowlevel_ops ops;
    ops_fill(&ops);
    (void)snprintf(options, sizeof options,
                   "fsname=topicfs,subtype=topicfs,nosuid,nodev,noexec%s%s",
                   mount->settings.options.allow_other ? ",allow_other" : "",
                   mount->settings.options.read_only ? ",ro" : "");
    char program[] = "topicfs", flag[] = "-o";
    char *arguments[] = {program, flag, options, NULL};
    struct fuse_args args = FUSE_ARGS_INIT(3, arguments);
    mount->session = fuse_session_new(&args, &ops, sizeof ops, &mount->tree);
    fuse_opt_free_args(&args);
    if (mount->session == NULL)
        return failure_at(failure, ERROR_OUT_OF_MEMORY, "make a FUSE session");
    if (fuse_session_mount(mount->session, mount->path) == 0)
        return ERROR_NONE;
    const char *advice =
        access("/dev/fuse", F_OK) != 0          ? "/dev/fuse is missing: load the fuse module"
        : access("/dev/fuse", R_OK | W_OK) != 0 ? "/dev/fuse cannot be opened by this user"
        : mount->settings.options.allow_other && geteuid() != 0
            ? "allow_other needs user_allow_other in /etc/fuse.conf"
            : "see the message above";
    fuse_session_destroy(mount->session);
    mount->session = NULL;
    return failure_at(failure, ERROR_NOT_PERMITTED, "mount %s (%s)", mount->path, advice);
}

enum error mount_open(const struct mount_settings *settings, struct mount **ret_mount,
                      struct failure *failure)
{
    ASSERT(settings->threads > 0);
    ASSERT(settings->threads <= MOUNT_THREADS_MAX);
    struct mount *mount = memory_allocate(sizeof *mount);
    if (mount == NULL)
        return failure_at(failure, ERROR_OUT_OF_MEMORY, "mount %s", settings->path);
    mount->settings = *settings;
    enum error error =
        mount_point_prepare(settings->path, mount->path, sizeof mount->path, failure);
    if (error == ERROR_NONE) {
        monitor_enter(settings->monitor);
        error = tree_init(&mount->tree, settings->monitor, settings->broker, &settings->options);
        monitor_leave(settings->monitor);
    }
    if (error != ERROR_NONE) {
        memory_free(mount);
        return error;
    }
    error = session_mount(mount, failure);
    if (error == ERROR_NONE)
        error = workers_start(mount, failure);
    if (error == ERROR_NONE) {
        *ret_mount = mount;
        return ERROR_NONE;
    }
    if (mount->session != NULL)
        mount_close(mount);
    mount_free(mount);
    return error;
}

/* Lines without an end become records while the partitions still take them. */
static void store_tails(struct mount *mount)
{
    struct tree *tree = &mount->tree;
    monitor_enter(tree->monitor);
    list_for_each(link, &tree->open_files)
    {
        struct open_file *file = container_of(link, struct open_file, link);
        if (file->inode->class->is_partition)
            (void)append_tail_inside(tree, file, NULL); /* Reported there. */
    }
    monitor_leave(tree->monitor);
}

static bool waits_left(struct tree *tree)
{
    monitor_enter(tree->monitor);
    bool left = !list_empty(&tree->parked);
    monitor_leave(tree->monitor);
    return left;
}

void mount_close(struct mount *mount)
{
    if (mount == NULL || mount->session == NULL)
        return;
    struct tree *tree = &mount->tree;
    atomic_store(&mount->closing, true);
    workers_join(mount);
    store_tails(mount);
    for (int waited = 0; waited < TAILS_WAIT_MS && waits_left(tree); waited += WAKE_INTERVAL_MS) {
        struct timespec pause = {0, WAKE_INTERVAL_MS * 1000000L};
        (void)nanosleep(&pause, NULL);
    }
    monitor_enter(tree->monitor);
    op_cancel_all(tree);
    monitor_leave(tree->monitor); /* What was cancelled ends: it still looks at its open file. */
    monitor_enter(tree->monitor);
    ASSERT(list_empty(&tree->parked));
    while (!list_empty(&tree->open_files))
        open_file_free(tree, container_of(tree->open_files.next, struct open_file, link));
    inode_table_release_partitions(&tree->inodes);
    monitor_leave(tree->monitor);
    fuse_session_unmount(mount->session); /* Also when files in it are open. */
    fuse_session_destroy(mount->session);
    mount->session = NULL;
}

void mount_free(struct mount *mount)
{
    if (mount == NULL)
        return;
    struct tree *tree = &mount->tree;
    ASSERT(mount->session == NULL);
    while (atomic_load_explicit(&tree->operations, memory_order_acquire) > 0) {
        struct timespec pause = {0, WAKE_INTERVAL_MS * 1000000L};
        (void)nanosleep(&pause, NULL);
    }
    monitor_enter(tree->monitor);
    tree_done(tree);
    monitor_leave(tree->monitor);
    memory_free(mount);
}
