/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded into a node: how long its mutexes are held. The monitor is one of them, so the longest
 * hold of all bounds how long nothing else ran in the core.
 *
 *   LD_PRELOAD=hold_watch.so HOLD_WATCH=FILE topicfs ...
 *
 * FILE is a table of `struct row`, one a mutex, mapped so that it outlives a kill -9; a reader may
 * set longest_ns to 0 to begin anew. With HOLD_WATCH_TRACE_MS=N whoever holds one for longer than N
 * ms while another waits writes its stack to standard error. */
#include <dlfcn.h>
#include <execinfo.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { ROWS = 4096, FRAMES = 48 };

struct row {
    _Atomic uint64_t mutex; /* Its address; 0: free. */
    _Atomic uint64_t longest_ns;
    _Atomic uint64_t holds;
    _Atomic uint64_t held_since_ns; /* 0: not held. */
    _Atomic uint64_t held_by;       /* Thread id. */
};

static int (*real_lock)(pthread_mutex_t *);
static int (*real_unlock)(pthread_mutex_t *);
static int (*real_wait)(pthread_cond_t *, pthread_mutex_t *);
static struct row *rows;
static _Thread_local pid_t own_id;

static uint64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void on_trace(int number)
{
    (void)number;
    static const char line[] = "held long by:\n";
    void *frames[FRAMES];
    (void)!write(STDERR_FILENO, line, sizeof line - 1);
    backtrace_symbols_fd(frames, backtrace(frames, FRAMES), STDERR_FILENO);
}

static void *trace_thread(void *argument)
{
    uint64_t limit_ns = (uint64_t)(uintptr_t)argument * 1000000u;
    for (;;) {
        (void)poll(NULL, 0, 2);
        for (int i = 0; i < ROWS; i++) {
            uint64_t since = rows[i].held_since_ns;
            if (since == 0 || now_ns() - since < limit_ns)
                continue;
            (void)syscall(SYS_tgkill, getpid(), (pid_t)rows[i].held_by, SIGURG);
            (void)poll(NULL, 0, 20);
        }
    }
    return NULL;
}

__attribute__((constructor)) static void begin(void)
{
    /* dlsym gives an object pointer; POSIX promises that it holds a function's. */
    *(void **)&real_lock = dlsym(RTLD_NEXT, "pthread_mutex_lock");
    *(void **)&real_unlock = dlsym(RTLD_NEXT, "pthread_mutex_unlock");
    *(void **)&real_wait = dlsym(RTLD_NEXT, "pthread_cond_wait");
    const char *path = getenv("HOLD_WATCH");
    const char *trace_ms = getenv("HOLD_WATCH_TRACE_MS");
    int file = path == NULL ? -1 : open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    size_t size = ROWS * sizeof(struct row);
    if (file < 0 || ftruncate(file, (off_t)size) != 0)
        return;
    void *mapped = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    (void)close(file);
    if (mapped == MAP_FAILED)
        return;
    rows = mapped;
    if (trace_ms == NULL)
        return;
    void *frames[1];
    (void)backtrace(frames, 1); /* Loads what it needs, which a signal handler must not. */
    (void)signal(SIGURG, on_trace);
    pthread_t thread;
    (void)pthread_create(&thread, NULL, trace_thread, (void *)strtoul(trace_ms, NULL, 10));
}

static struct row *row_of(pthread_mutex_t *mutex)
{
    uint64_t key = (uint64_t)(uintptr_t)mutex;
    for (uint64_t at = key >> 3, tries = 0; rows != NULL && tries < ROWS; at++, tries++) {
        struct row *row = &rows[at % ROWS];
        uint64_t found = row->mutex;
        if (found == 0 && atomic_compare_exchange_strong(&row->mutex, &found, key))
            return row;
        if (found == key)
            return row;
    }
    return NULL;
}

static void held(pthread_mutex_t *mutex)
{
    struct row *row = row_of(mutex);
    if (row == NULL)
        return;
    if (own_id == 0)
        own_id = (pid_t)syscall(SYS_gettid);
    atomic_store_explicit(&row->held_by, (uint64_t)own_id, memory_order_relaxed);
    atomic_store_explicit(&row->held_since_ns, now_ns(), memory_order_relaxed);
}

static void let_go(pthread_mutex_t *mutex)
{
    struct row *row = row_of(mutex);
    uint64_t since =
        row == NULL ? 0 : atomic_load_explicit(&row->held_since_ns, memory_order_relaxed);
    if (since == 0)
        return;
    uint64_t took = now_ns() - since;
    atomic_store_explicit(&row->held_since_ns, 0, memory_order_relaxed);
    atomic_fetch_add_explicit(&row->holds, 1, memory_order_relaxed);
    if (took > atomic_load_explicit(&row->longest_ns, memory_order_relaxed))
        atomic_store_explicit(&row->longest_ns, took, memory_order_relaxed);
}

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
    int refused = real_lock(mutex);
    if (refused == 0)
        held(mutex);
    return refused;
}

int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    let_go(mutex);
    return real_unlock(mutex);
}

int pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex)
{
    let_go(mutex);
    int refused = real_wait(condition, mutex);
    held(mutex);
    return refused;
}
