/* SPDX-License-Identifier: Apache-2.0 */
/* The node from first to last. */
#include "daemon/node.h"

#include "base/memory.h"
#include "base/report.h"
#include "daemon/notify.h"

#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { WORK_THREADS_MAX = 8, ARENAS_MAX = 2, MMAP_BYTES_MIN = 4 << 20, TRIM_BYTES = 1 << 20 };

/* What every part of the process relies on. */
static void process_prepare(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    (void)signal(SIGPIPE, SIG_IGN);
    /* Few arenas and early trimming keep an idle node small; large frame buffers stay on the heap,
     * where they are warm when used again. */
    (void)mallopt(M_ARENA_MAX, ARENAS_MAX);
    (void)mallopt(M_MMAP_THRESHOLD, MMAP_BYTES_MIN);
    (void)mallopt(M_TRIM_THRESHOLD, TRIM_BYTES);
}

static void stop_by_signal(void *context)
{
    node_stop(context);
}

/* The file of reports was renamed away. */
static void reopen_by_signal(void *context)
{
    struct node *node = context;
    struct failure failure = {0};
    if (background_redirect(node->background, node->settings->report_file, &failure) != ERROR_NONE)
        report(REPORT_WARNING, "reopen_failed", "", "reason=\"%s\" lost=nothing", failure.where);
}

static void refuse(struct node *node)
{
    background_refuse(node->background, node->failure.where);
}

int node_run(const struct settings *settings, struct background *background)
{
    process_prepare();
    struct node *node = memory_allocate(sizeof *node);
    if (node == NULL) {
        background_refuse(background, "out of memory");
        return EXIT_FAILURE;
    }
    node->settings = settings;
    node->background = background;
    node->data.lock = -1;

    const struct control_signals on = {stop_by_signal, reopen_by_signal, node};
    enum error error = data_lock(settings, &node->data, &node->failure);
    /* Early: libraft tries for its next segment later, which takes a small disk's rest for a
     * moment. */
    if (error == ERROR_NONE)
        error = pid_file_write(settings->pid_file, &node->failure);
    node->pid_file_written = error == ERROR_NONE;
    if (error == ERROR_NONE)
        error = background_redirect(background, settings->report_file, &node->failure);
    if (error == ERROR_NONE)
        error = control_open(&node->control, WORK_THREADS_MAX, &on, &node->failure);
    if (error == ERROR_NONE) {
        node->control_opened = true;
        error = node_start(node);
        if (error != ERROR_NONE)
            node_start_failed(node, error, "start");
        control_run(&node->control);
        error = node->failure.code;
    }
    if (error != ERROR_NONE) {
        (void)failure_at(&node->failure, error, "cannot start");
        refuse(node);
    }
    node_done(node);
    memory_free(node);
    return error == ERROR_NONE ? EXIT_SUCCESS : EXIT_FAILURE;
}
