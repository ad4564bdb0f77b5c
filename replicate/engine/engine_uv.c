/* SPDX-License-Identifier: Apache-2.0 */
/* The engine in the daemon: libraft's own files and a uv loop.
 *
 *   wake: uv_async --.
 *                    v
 *   uv loop: ... events of raft_uv ... --check--> engine_turn */
#include "base/assertion.h"
#include "base/memory.h"
#include "base/report.h"
#include "replicate/engine/no_transport.h"
#include "replicate/engine/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    SEGMENT_BYTES = 8 << 20, /* Smaller ones are under libraft's capacity threshold of 4 MiB. */
    DISK_RETRY_MS = 500,
    CONNECT_RETRY_MS = 200 /* libraft's own second is an election timeout. */
};

struct engine_uv {
    struct engine_host host;
    struct engine *engine;
    struct raft_io io;
    struct raft_uv_transport no_transport;
    uv_async_t wake; /* The mailbox has something. */
    uv_check_t check;
    int open_handles;
    bool io_made;
};

static struct engine_uv *engine_uv_of(struct engine_host *host)
{
    return container_of(host, struct engine_uv, host);
}

static void host_wake(struct engine_host *host)
{
    int refused = uv_async_send(&engine_uv_of(host)->wake);
    ASSERT(refused == 0);
}

static void woken(uv_async_t *wake)
{
    struct engine_uv *host = wake->data;
    engine_turn(host->engine);
}

_Noreturn static void host_fail(struct engine_host *base, const char *what)
{
    struct engine_uv *host = engine_uv_of(base);
    report(REPORT_ERROR, "metadata_vote_failed", "",
           "reason=\"%s: %s\" lost=nothing do=\"check the disk, start the node again\"", what,
           host->io.errmsg);
    abort();
}

/* After every turn of the loop: whatever libraft did in it is told. */
static void loop_turned(uv_check_t *check)
{
    struct engine_uv *host = check->data;
    engine_turn(host->engine);
}

static void handle_closed(uv_handle_t *handle)
{
    struct engine_uv *host = handle->data;
    ASSERT(host->open_handles > 0);
    if (--host->open_handles == 0)
        engine_released(host->engine);
}

static void host_release(struct engine_host *base)
{
    struct engine_uv *host = engine_uv_of(base);
    if (host->io_made)
        raft_uv_close(&host->io);
    uv_close((uv_handle_t *)&host->wake, handle_closed);
    uv_close((uv_handle_t *)&host->check, handle_closed);
}

static void host_free(struct engine_host *host)
{
    memory_free(engine_uv_of(host));
}

static enum error handles_open(struct engine_uv *host, uv_loop_t *loop)
{
    if (uv_async_init(loop, &host->wake, woken) != 0)
        return ERROR_OUT_OF_MEMORY;
    int refused = uv_check_init(loop, &host->check); /* These two only fill in memory. */
    ASSERT(refused == 0);
    refused = uv_check_start(&host->check, loop_turned);
    ASSERT(refused == 0);
    host->wake.data = host;
    host->check.data = host;
    host->open_handles = 2;
    return ERROR_NONE;
}

static enum error host_new(const struct engine_options *options, struct engine_uv **ret_host)
{
    struct engine_uv *host = memory_allocate(sizeof *host);
    if (host == NULL)
        return ERROR_OUT_OF_MEMORY;
    host->host = (struct engine_host){
        .wake = host_wake, .fail = host_fail, .release = host_release, .free = host_free};
    no_transport_init(&host->no_transport);
    enum error error = engine_new(options, &host->host, &host->engine);
    if (error != ERROR_NONE) {
        memory_free(host);
        return error;
    }
    error = handles_open(host, options->loop);
    if (error != ERROR_NONE) {
        engine_free(host->engine);
        return error;
    }
    *ret_host = host;
    return ERROR_NONE;
}

/* The directory, and libraft's I/O in it. */
static enum error io_make(struct engine_uv *host, const struct engine_options *options,
                          struct failure *failure)
{
    const char *directory = options->directory;
    if (mkdir(directory, 0700) != 0 && errno != EEXIST)
        return failure_at(failure, error_from_errno(errno), "make directory %s", directory);
    enum error error = segments_check(directory, failure);
    if (error != ERROR_NONE)
        return error;
    struct raft_uv_transport *transport =
        options->transport != NULL ? options->transport : &host->no_transport;
    int status = raft_uv_init(&host->io, options->loop, directory, transport);
    if (status != 0)
        return failure_at(failure, error_of_raft(status), "metadata log %s: %s", directory,
                          host->io.errmsg[0] != '\0' ? host->io.errmsg : raft_strerror(status));
    host->io_made = true;
    raft_uv_set_segment_size(&host->io, SEGMENT_BYTES);
    raft_uv_set_disk_retry(&host->io, DISK_RETRY_MS);
    raft_uv_set_connect_retry_delay(&host->io, CONNECT_RETRY_MS);
    /* Renaming a damaged segment away and going on would lose what was acknowledged. */
    raft_uv_set_auto_recovery(&host->io, false);
    return ERROR_NONE;
}

static enum error begin(struct engine_uv *host, const struct engine_options *options,
                        struct failure *failure)
{
    enum error error = io_make(host, options, failure);
    if (error != ERROR_NONE)
        return error;
    struct failure said = {.code = ERROR_NONE};
    error = engine_begin(host->engine, options, &host->io, &said);
    if (error == ERROR_NONE)
        return ERROR_NONE;
    return failure_at(failure, error, "metadata log %s: %s", options->directory, said.where);
}

static void set_closed(void *context)
{
    *(bool *)context = true;
}

/* Takes an engine that did not open down again, which needs turns of the loop. */
static void abandon(struct engine_uv *host, uv_loop_t *loop)
{
    bool closed = false;
    engine_close(host->engine, set_closed, &closed);
    while (!closed)
        uv_run(loop, UV_RUN_ONCE);
    engine_free(host->engine);
}

enum error engine_open(const struct engine_options *options, struct engine **ret_engine,
                       struct failure *failure)
{
    struct engine_uv *host;
    enum error error = host_new(options, &host);
    if (error != ERROR_NONE)
        return failure_at(failure, error, "open the metadata log");
    error = begin(host, options, failure);
    if (error != ERROR_NONE) {
        abandon(host, options->loop);
        return error;
    }
    /* A quorum of one leads already: a turn of the loop now, not with the first tick. */
    (void)uv_async_send(&host->wake);
    *ret_engine = host->engine;
    return ERROR_NONE;
}
