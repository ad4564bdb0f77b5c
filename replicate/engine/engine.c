/* SPDX-License-Identifier: Apache-2.0 */
/* The engine on libraft: opening, submitting, watching its state, closing.
 *
 *   submit [monitor] -> mailbox -> wake -> raft_apply -> disk -> machine_apply [monitor] -> done
 *                       '------------------- the loop's thread -------------------'
 *
 * Proposals are answered exactly once: by machine_apply when their entry is applied, otherwise by
 * the callback of raft_apply, by the call itself when it refuses, or at close. */
#include "replicate/engine/engine.h"

#include "base/assertion.h"
#include "base/memory.h"
#include "replicate/engine/state.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum {
    ELECTION_TIMEOUT_MS = 1000,
    HEARTBEAT_MS = 100,
    SNAPSHOT_THRESHOLD = 1024, /* Entries between two snapshots. */
    SNAPSHOT_TRAILING = 128,   /* Entries kept behind one, for nodes that lag a little. */
    SEGMENT_BYTES = 8 << 20,   /* Smaller ones are under libraft's capacity threshold of 4 MiB. */
    DISK_RETRY_MS = 500
};

static enum error error_of_raft(int status)
{
    switch (status) {
    case 0:
        return ERROR_NONE;
    case RAFT_NOMEM:
        return ERROR_OUT_OF_MEMORY;
    case RAFT_NOTLEADER:
        return ERROR_NOT_CONTROLLER;
    case RAFT_LEADERSHIPLOST: /* It may become committed yet: the outcome is unknown. */
        return ERROR_REQUEST_TIMED_OUT;
    case RAFT_SHUTDOWN:
    case RAFT_CANCELED:
        return ERROR_CLOSING;
    case RAFT_NOSPACE:
        return ERROR_DISK_FULL;
    case RAFT_TOOBIG:
        return ERROR_TOO_LARGE;
    case RAFT_CORRUPT:
    case RAFT_MALFORMED:
        return ERROR_MALFORMED;
    case RAFT_NOTFOUND:
        return ERROR_NOT_FOUND;
    case RAFT_IOERR:
        return ERROR_STORAGE;
    default:
        return ERROR_UNKNOWN_SERVER;
    }
}

/* ---- proposing ---- */

static void submission_done(struct raft_apply *apply, int status, void *result)
{
    (void)result;
    struct submission *submission = container_of(apply, struct submission, apply);
    struct engine *engine = submission->engine;
    ASSERT(status != 0 || submission->proposal == NULL);
    list_remove(&submission->link);
    if (submission->proposal != NULL) {
        struct catalog_outcome outcome = {.error = error_of_raft(status), .producer_id_first = -1};
        monitor_enter(engine->monitor);
        if (engine->closing)
            outcome.error = ERROR_CLOSING;
        submission_answer(submission, &outcome);
        monitor_leave(engine->monitor);
    }
    memory_free(submission);
}

/* Hands one proposal to libraft. */
static enum error submission_start(struct engine *engine, struct catalog_proposal *proposal)
{
    struct submission *submission = memory_allocate(sizeof *submission);
    if (submission == NULL)
        return ERROR_OUT_OF_MEMORY;
    submission->engine = engine;
    submission->proposal = proposal;
    struct raft_buffer buffer;
    if (!entry_encode(proposal->bytes, proposal->size, raft_current_term(&engine->raft), &buffer)) {
        memory_free(submission);
        return ERROR_OUT_OF_MEMORY;
    }
    int status = raft_apply(&engine->raft, &submission->apply, &buffer, 1, submission_done);
    if (status != 0) {
        raft_free(buffer.base);
        memory_free(submission);
        return error_of_raft(status);
    }
    list_push(&engine->submitted, &submission->link);
    return ERROR_NONE;
}

static void answer(struct engine *engine, struct catalog_proposal *proposal, enum error error)
{
    struct catalog_outcome outcome = {.error = error, .producer_id_first = -1};
    monitor_enter(engine->monitor);
    catalog_proposal_complete(engine->catalog, proposal, &outcome);
    monitor_leave(engine->monitor);
}

static struct engine *engine_of_wake(uv_async_t *wake)
{
    return container_of(wake, struct engine, wake);
}

static void mailbox_arrived(uv_async_t *wake)
{
    struct engine *engine = engine_of_wake(wake);
    struct list arrived;
    monitor_enter(engine->monitor);
    list_move(&engine->mailbox, &arrived);
    monitor_leave(engine->monitor);
    for (struct list *link; (link = list_take(&arrived)) != NULL;) {
        struct catalog_proposal *proposal = container_of(link, struct catalog_proposal, link);
        enum error error = submission_start(engine, proposal);
        if (error != ERROR_NONE)
            answer(engine, proposal, error);
    }
}

/* Inside the monitor, any thread. */
static void engine_submit(struct catalog_proposer *proposer, struct catalog_proposal *proposal)
{
    struct engine *engine = container_of(proposer, struct engine, proposer);
    if (engine->closing) {
        struct catalog_outcome outcome = {.error = ERROR_CLOSING, .producer_id_first = -1};
        catalog_proposal_complete(engine->catalog, proposal, &outcome);
        return;
    }
    list_push(&engine->mailbox, &proposal->link);
    int refused = uv_async_send(&engine->wake);
    ASSERT(refused == 0);
}

struct catalog_proposer *engine_proposer(struct engine *engine)
{
    return &engine->proposer;
}

/* ---- state ---- */

static enum engine_role role_of(enum raft_state state)
{
    switch (state) {
    case RAFT_LEADER:
        return ENGINE_LEADER;
    case RAFT_FOLLOWER:
        return ENGINE_FOLLOWER;
    case RAFT_CANDIDATE:
        return ENGINE_CANDIDATE;
    case RAFT_UNAVAILABLE:
        break;
    }
    return ENGINE_UNAVAILABLE;
}

static void state_publish(struct engine *engine)
{
    raft_id leader = 0;
    const char *address = NULL;
    raft_leader(&engine->raft, &leader, &address);
    struct engine_state state = {
        .role = role_of(raft_state(&engine->raft)),
        .leader_id = leader,
        .term = raft_current_term(&engine->raft),
        .commit_index = raft_commit_index(&engine->raft),
        .applied_index = raft_last_applied(&engine->raft),
        .snapshot_index = engine->snapshot_index,
    };
    uv_mutex_lock(&engine->state_lock);
    engine->state = state;
    uv_mutex_unlock(&engine->state_lock);
}

struct engine_state engine_state(struct engine *engine)
{
    uv_mutex_lock(&engine->state_lock);
    struct engine_state state = engine->state;
    uv_mutex_unlock(&engine->state_lock);
    return state;
}

static void become_ready(struct engine *engine, enum error error)
{
    void (*ready)(void *, enum error) = engine->ready;
    engine->ready = NULL;
    if (ready != NULL)
        ready(engine->ready_context, error);
}

static void barrier_done(struct raft_barrier *barrier, int status)
{
    struct engine *engine = container_of(barrier, struct engine, barrier);
    state_publish(engine);
    if (status == 0)
        become_ready(engine, ERROR_NONE);
    else if (engine->closed != NULL)
        become_ready(engine, ERROR_CLOSING);
    else
        engine->barrier_sent = false; /* Leadership went away: again with the next. */
}

/* After every turn of the loop: whatever libraft did in it is told, and the first leadership is
 * noticed. */
static void loop_turned(uv_check_t *check)
{
    struct engine *engine = container_of(check, struct engine, check);
    if (engine->closed != NULL)
        return;
    state_publish(engine);
    if (engine->ready == NULL || engine->barrier_sent || raft_state(&engine->raft) != RAFT_LEADER)
        return;
    engine->barrier_sent = raft_barrier(&engine->raft, &engine->barrier, barrier_done) == 0;
}

/* ---- closing ---- */

static void handle_closed(uv_handle_t *handle)
{
    struct engine *engine = handle->data;
    ASSERT(engine->open_handles > 0);
    if (--engine->open_handles == 0)
        engine->closed(engine->closed_context);
}

static void handles_close(struct engine *engine)
{
    uv_close((uv_handle_t *)&engine->wake, handle_closed);
    uv_close((uv_handle_t *)&engine->check, handle_closed);
}

static void raft_closed(struct raft *raft)
{
    struct engine *engine = container_of(raft, struct engine, raft);
    ASSERT(list_empty(&engine->submitted));
    raft_uv_close(&engine->io);
    become_ready(engine, ERROR_CLOSING);
    handles_close(engine);
}

void engine_close(struct engine *engine, void (*closed)(void *context), void *context)
{
    ASSERT(engine->closed == NULL);
    engine->closed = closed;
    engine->closed_context = context;
    struct list left;
    monitor_enter(engine->monitor);
    engine->closing = true;
    list_move(&engine->mailbox, &left);
    monitor_leave(engine->monitor);
    for (struct list *link; (link = list_take(&left)) != NULL;)
        answer(engine, container_of(link, struct catalog_proposal, link), ERROR_CLOSING);
    raft_close(&engine->raft, raft_closed);
}

void engine_free(struct engine *engine)
{
    if (engine == NULL)
        return;
    ASSERT(engine->open_handles == 0);
    uv_mutex_destroy(&engine->state_lock);
    memory_free(engine);
}

/* ---- opening ---- */

static enum error engine_new(const struct engine_options *options, struct engine **ret_engine)
{
    size_t size = strlen(options->directory) + 1;
    struct engine *engine = memory_allocate(sizeof *engine + size);
    if (engine == NULL)
        return ERROR_OUT_OF_MEMORY;
    memcpy(engine->directory, options->directory, size);
    engine->monitor = options->monitor;
    engine->catalog = options->catalog;
    engine->proposer.submit = engine_submit;
    list_init(&engine->submitted);
    list_init(&engine->mailbox);
    if (uv_mutex_init(&engine->state_lock) != 0) {
        memory_free(engine);
        return ERROR_OUT_OF_MEMORY;
    }
    machine_init(engine);
    transport_init(&engine->transport);
    *ret_engine = engine;
    return ERROR_NONE;
}

static enum error handles_open(struct engine *engine, uv_loop_t *loop)
{
    if (uv_async_init(loop, &engine->wake, mailbox_arrived) != 0)
        return ERROR_OUT_OF_MEMORY;
    int refused = uv_check_init(loop, &engine->check); /* These two only fill in memory. */
    ASSERT(refused == 0);
    refused = uv_check_start(&engine->check, loop_turned);
    ASSERT(refused == 0);
    engine->wake.data = engine;
    engine->check.data = engine;
    engine->open_handles = 2;
    return ERROR_NONE;
}

/* libraft's own words, which name the file. */
static enum error raft_failure(struct engine *engine, int status, const char *said,
                               struct failure *failure)
{
    return failure_at(failure, error_of_raft(status), "metadata log %s: %s", engine->directory,
                      said[0] != '\0' ? said : raft_strerror(status));
}

/* The directory, libraft's I/O in it, and libraft: all that needs no loop to be undone. */
static enum error raft_make(struct engine *engine, const struct engine_options *options,
                            struct failure *failure)
{
    if (mkdir(engine->directory, 0700) != 0 && errno != EEXIST)
        return failure_at(failure, error_from_errno(errno), "make directory %s", engine->directory);
    enum error error = segments_check(engine->directory, failure);
    if (error != ERROR_NONE)
        return error;
    int status = raft_uv_init(&engine->io, options->loop, engine->directory, &engine->transport);
    if (status != 0)
        return raft_failure(engine, status, engine->io.errmsg, failure);
    raft_uv_set_segment_size(&engine->io, SEGMENT_BYTES);
    raft_uv_set_disk_retry(&engine->io, DISK_RETRY_MS);
    /* Renaming a damaged segment away and going on would lose what was acknowledged. */
    raft_uv_set_auto_recovery(&engine->io, false);
    status =
        raft_init(&engine->raft, &engine->io, &engine->machine, options->node_id, options->address);
    if (status != 0) {
        error = raft_failure(engine, status, engine->raft.errmsg, failure);
        raft_uv_close(&engine->io);
        return error;
    }
    raft_set_election_timeout(&engine->raft, ELECTION_TIMEOUT_MS);
    raft_set_heartbeat_timeout(&engine->raft, HEARTBEAT_MS);
    raft_set_snapshot_threshold(&engine->raft, SNAPSHOT_THRESHOLD);
    raft_set_snapshot_trailing(&engine->raft, SNAPSHOT_TRAILING);
    raft_set_pre_vote(&engine->raft, true);
    return ERROR_NONE;
}

/* Founds a cluster of one where there is nothing yet. */
static int raft_found(struct engine *engine, const struct engine_options *options)
{
    struct raft_configuration members;
    raft_configuration_init(&members);
    int status = raft_configuration_add(&members, options->node_id, options->address, RAFT_VOTER);
    if (status == 0)
        status = raft_bootstrap(&engine->raft, &members);
    raft_configuration_close(&members);
    return status == RAFT_CANTBOOTSTRAP ? 0 : status; /* Founded before: go on with that. */
}

static void set_closed(void *context)
{
    *(bool *)context = true;
}

/* Takes an engine that did not open down again, which needs turns of the loop. */
static void engine_abandon(struct engine *engine, uv_loop_t *loop, bool raft_made)
{
    bool closed = false;
    engine->ready = NULL;
    if (raft_made) {
        engine_close(engine, set_closed, &closed);
    } else {
        engine->closed = set_closed;
        engine->closed_context = &closed;
        handles_close(engine);
    }
    while (!closed)
        uv_run(loop, UV_RUN_ONCE);
    engine_free(engine);
}

static enum error raft_begin(struct engine *engine, const struct engine_options *options,
                             struct failure *failure)
{
    int status = options->bootstrap ? raft_found(engine, options) : 0;
    if (status == 0)
        status = raft_start(&engine->raft);
    if (status == 0 && raft_state(&engine->raft) == RAFT_UNAVAILABLE)
        status = RAFT_IOERR;
    if (status == 0 && raft_last_index(&engine->raft) == 0)
        return failure_at(failure, ERROR_NOT_FOUND,
                          "metadata log %s is empty, and founding was not asked for",
                          engine->directory);
    if (status == 0)
        return ERROR_NONE;
    return raft_failure(engine, status,
                        engine->restore_failed ? "the newest snapshot is damaged"
                                               : raft_errmsg(&engine->raft),
                        failure);
}

enum error engine_open(const struct engine_options *options,
                       void (*ready)(void *context, enum error error), void *context,
                       struct engine **ret_engine, struct failure *failure)
{
    ASSERT(options->node_id > 0);
    struct engine *engine;
    enum error error = engine_new(options, &engine);
    if (error != ERROR_NONE)
        return failure_at(failure, error, "open the metadata log");
    engine->ready = ready;
    engine->ready_context = context;
    error = handles_open(engine, options->loop);
    if (error != ERROR_NONE) {
        engine_free(engine);
        return failure_at(failure, error, "open the metadata log");
    }
    error = raft_make(engine, options, failure);
    bool raft_made = error == ERROR_NONE;
    if (raft_made)
        error = raft_begin(engine, options, failure);
    if (error != ERROR_NONE) {
        engine_abandon(engine, options->loop, raft_made);
        return error;
    }
    state_publish(engine);
    /* A quorum of one leads already: a turn of the loop now, not with the first tick. */
    (void)uv_async_send(&engine->wake);
    *ret_engine = engine;
    return ERROR_NONE;
}
