/* SPDX-License-Identifier: Apache-2.0 */
/* The engine on libraft: opening, submitting, watching its state, closing. No disk, network, clock
 * or loop of its own: those are the io's and the host's (host.h).
 *
 *   submit [monitor] -> mailbox -> wake -> turn: raft_apply -> disk -> machine_apply [monitor] ->
 * done
 *                       '------------------- the engine's thread -------------------'
 *
 * Proposals are answered exactly once: by machine_apply when their entry is applied, otherwise by
 * the callback of raft_apply, by the call itself when it refuses, or at close. */
#include "base/assertion.h"
#include "base/memory.h"
#include "replicate/engine/state.h"

#include <string.h>

enum {
    ELECTION_TIMEOUT_MS = 1000,
    HEARTBEATS_PER_ELECTION_TIMEOUT = 5,
    SNAPSHOT_THRESHOLD = 1024, /* Entries between two snapshots. */
    SNAPSHOT_TRAILING = 128,   /* Entries kept behind one, for nodes that lag a little. */
    CAPACITY_KIB = 4096        /* Of disk that most voters must have for a proposal. */
};

enum error error_of_raft(int status)
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
    case RAFT_DUPLICATEID:
    case RAFT_DUPLICATEADDRESS:
        return ERROR_DUPLICATE_RESOURCE;
    case RAFT_BADID:
        return ERROR_NOT_FOUND;
    case RAFT_BADROLE:
        return ERROR_INVALID_REQUEST;
    case RAFT_CANTCHANGE:
        return ERROR_OPERATION_NOT_ATTEMPTED;
    case RAFT_NOCONNECTION:
        return ERROR_NETWORK;
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
    list_remove(&submission->link);
    if (submission->proposal != NULL) {
        /* Done, and not by machine_apply: the entry there was not its own. */
        enum error error = status == 0 ? ERROR_REQUEST_TIMED_OUT : error_of_raft(status);
        struct catalog_outcome outcome = {
            .error = error, .producer_id_first = -1, .node_id_taken = -1};
        engine_monitor_enter(engine);
        if (engine->closing)
            outcome.error = ERROR_CLOSING;
        submission_answer(submission, &outcome);
        engine_monitor_leave(engine);
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
    submission->term = raft_current_term(&engine->raft);
    struct raft_buffer buffer;
    if (!entry_encode(proposal->bytes, proposal->size, submission->term, &buffer)) {
        memory_free(submission);
        return ERROR_OUT_OF_MEMORY;
    }
    raft_set_capacity_threshold(&engine->raft, CAPACITY_KIB);
    int status = raft_apply(&engine->raft, &submission->apply, &buffer, 1, submission_done);
    raft_set_capacity_threshold(&engine->raft, 0);
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
    engine_monitor_enter(engine);
    catalog_proposal_complete(engine->catalog, proposal, &outcome);
    engine_monitor_leave(engine);
}

static void mailbox_take(struct engine *engine)
{
    struct list arrived;
    engine_monitor_enter(engine);
    list_move(&engine->mailbox, &arrived);
    engine_monitor_leave(engine);
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
    engine->host->wake(engine->host);
}

struct catalog_proposer *engine_proposer(struct engine *engine)
{
    return &engine->proposer;
}

/* ---- state ---- */

static void lock(struct engine *engine)
{
    int refused = pthread_mutex_lock(&engine->state_lock);
    ASSERT(refused == 0);
}

static void unlock(struct engine *engine)
{
    int refused = pthread_mutex_unlock(&engine->state_lock);
    ASSERT(refused == 0);
}

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

/* Copies the state for other threads, and tells who wants to know when it changed. */
static void state_publish(struct engine *engine)
{
    raft_id leader = 0;
    const char *address = NULL;
    raft_leader(&engine->raft, &leader, &address);
    struct engine_state state = {
        .role = role_of(raft_state(&engine->raft)),
        .leader_id = leader,
        .term = raft_current_term(&engine->raft),
        .settled = raft_state(&engine->raft) == RAFT_LEADER &&
                   engine->settled_term == raft_current_term(&engine->raft),
        .commit_index = raft_commit_index(&engine->raft),
        .applied_index = raft_last_applied(&engine->raft),
        .snapshot_index = engine->snapshot_index,
    };
    members_publish(engine);
    const struct engine_state before = engine->state;
    lock(engine);
    engine->state = state;
    unlock(engine);
    if (engine->changed == NULL ||
        (before.role == state.role && before.leader_id == state.leader_id &&
         before.term == state.term && before.settled == state.settled))
        return;
    engine_monitor_enter(engine);
    engine->changed(engine->context, &state);
    engine_monitor_leave(engine);
}

struct engine_state engine_state(struct engine *engine)
{
    lock(engine);
    struct engine_state state = engine->state;
    unlock(engine);
    return state;
}

uint32_t engine_members(struct engine *engine, struct engine_member *ret_members, uint32_t max)
{
    lock(engine);
    uint32_t count = engine->member_count;
    if (count > 0 && max > 0)
        memcpy(ret_members, engine->members, (count < max ? count : max) * sizeof *ret_members);
    unlock(engine);
    return count;
}

/* ---- becoming ready ---- */

static void become_ready(struct engine *engine, enum error error)
{
    void (*ready)(void *, enum error) = engine->ready;
    engine->ready = NULL;
    if (ready != NULL)
        ready(engine->context, error);
}

static void barrier_done(struct raft_barrier *barrier, int status)
{
    struct engine *engine = container_of(barrier, struct engine, barrier);
    engine->barrier_sent = false; /* When leadership went away: again with the next. */
    if (status == 0)
        engine->settled_term = engine->barrier_term;
    state_publish(engine);
    if (status == 0)
        become_ready(engine, ERROR_NONE);
    else if (engine->closed != NULL)
        become_ready(engine, ERROR_CLOSING);
}

/* A new leader applies what it has before it speaks for the quorum; the first leader that was heard
 * and caught up with is noticed. */
static void ready_look(struct engine *engine)
{
    uint64_t term = raft_current_term(&engine->raft);
    if (raft_state(&engine->raft) == RAFT_LEADER) {
        if (engine->barrier_sent || engine->settled_term == term)
            return;
        engine->barrier_term = term;
        engine->barrier_sent = raft_barrier(&engine->raft, &engine->barrier, barrier_done) == 0;
        return;
    }
    if (engine->ready != NULL && raft_state(&engine->raft) == RAFT_FOLLOWER &&
        engine->state.leader_id != 0 && engine->guard.leader_commit != 0 &&
        raft_last_applied(&engine->raft) >= engine->guard.leader_commit)
        become_ready(engine, ERROR_NONE);
}

/* ---- turning ---- */

void engine_turn(struct engine *engine)
{
    if (engine->closed != NULL)
        return;
    mailbox_take(engine);
    commit_tell(engine);
    changes_turn(engine);
    state_publish(engine);
    ready_look(engine);
}

/* ---- closing ---- */

void engine_released(struct engine *engine)
{
    ASSERT(!engine->released);
    engine->released = true;
    engine->closed(engine->closed_context);
}

static void raft_closed(struct raft *raft)
{
    struct engine *engine = container_of(raft, struct engine, raft);
    ASSERT(list_empty(&engine->submitted));
    become_ready(engine, ERROR_CLOSING);
    engine->host->release(engine->host);
}

void engine_close(struct engine *engine, void (*closed)(void *context), void *context)
{
    ASSERT(engine->closed == NULL);
    engine->closed = closed;
    engine->closed_context = context;
    struct list left;
    engine_monitor_enter(engine);
    engine->closing = true;
    list_move(&engine->mailbox, &left);
    engine_monitor_leave(engine);
    for (struct list *link; (link = list_take(&left)) != NULL;)
        answer(engine, container_of(link, struct catalog_proposal, link), ERROR_CLOSING);
    changes_close(engine);
    if (engine->io != NULL)
        raft_close(&engine->raft, raft_closed);
    else
        engine->host->release(engine->host);
}

void engine_free(struct engine *engine)
{
    if (engine == NULL)
        return;
    ASSERT(engine->closed == NULL || engine->released);
    struct engine_host *host = engine->host;
    guard_done(engine);
    int refused = pthread_mutex_destroy(&engine->state_lock);
    ASSERT(refused == 0);
    memory_free(engine->members);
    memory_free(engine->raft_transfer);
    memory_free(engine);
    host->free(host);
}

/* ---- opening ---- */

enum error engine_new(const struct engine_options *options, struct engine_host *host,
                      struct engine **ret_engine)
{
    ASSERT(options->node_id > 0);
    struct engine *engine = memory_allocate(sizeof *engine);
    if (engine == NULL)
        return ERROR_OUT_OF_MEMORY;
    engine->raft_transfer = memory_allocate(sizeof *engine->raft_transfer);
    if (engine->raft_transfer == NULL || pthread_mutex_init(&engine->state_lock, NULL) != 0) {
        memory_free(engine->raft_transfer);
        memory_free(engine);
        return ERROR_OUT_OF_MEMORY;
    }
    engine->host = host;
    engine->monitor = options->monitor;
    engine->executor =
        options->executor != NULL ? options->executor : monitor_executor(options->monitor);
    engine->catalog = options->catalog;
    engine->changed = options->changed;
    engine->context = options->context;
    engine->proposer.submit = engine_submit;
    list_init(&engine->submitted);
    list_init(&engine->mailbox);
    list_init(&engine->changes);
    list_init(&engine->guard.reads);
    machine_init(engine);
    *ret_engine = engine;
    return ERROR_NONE;
}

/* libraft's own words, which name the file. */
static enum error raft_failure(int status, const char *said, struct failure *failure)
{
    return failure_at(failure, error_of_raft(status), "%s",
                      said[0] != '\0' ? said : raft_strerror(status));
}

static unsigned or_default(uint32_t value, unsigned usual)
{
    return value != 0 ? value : usual;
}

static enum error raft_make(struct engine *engine, const struct engine_options *options,
                            struct raft_io *io, struct failure *failure)
{
    struct raft *raft = &engine->raft;
    int status = raft_init(raft, io, &engine->machine, options->node_id, options->address);
    if (status != 0)
        return raft_failure(status, raft->errmsg, failure);
    engine->io = io;
    guard_install(engine, io);
    unsigned election_ms = or_default(options->election_timeout_ms, ELECTION_TIMEOUT_MS);
    raft_set_election_timeout(raft, election_ms);
    raft_set_heartbeat_timeout(raft, election_ms / HEARTBEATS_PER_ELECTION_TIMEOUT);
    unsigned threshold = or_default(options->snapshot_threshold, SNAPSHOT_THRESHOLD);
    raft_set_snapshot_threshold(raft, threshold);
    raft_set_snapshot_trailing(raft, threshold < SNAPSHOT_TRAILING ? threshold : SNAPSHOT_TRAILING);
    raft_set_pre_vote(raft, true);
    /* Only proposals are refused for want of space: libraft 0.22.1 that refuses its own barrier at
     * an election is left half a leader (convertToLeader), which answers for other leaders' entries
     * later. */
    raft_set_capacity_threshold(raft, 0);
    return ERROR_NONE;
}

static int raft_found(struct engine *engine, const struct engine_options *options)
{
    struct raft_configuration members;
    int status = members_configure(options, &members);
    if (status == 0)
        status = raft_bootstrap(&engine->raft, &members);
    raft_configuration_close(&members);
    return status == RAFT_CANTBOOTSTRAP ? 0 : status; /* Founded before: go on with that. */
}

enum error engine_begin(struct engine *engine, const struct engine_options *options,
                        struct raft_io *io, struct failure *failure)
{
    enum error error = raft_make(engine, options, io, failure);
    if (error != ERROR_NONE)
        return error;
    int status = options->bootstrap ? raft_found(engine, options) : 0;
    if (status == 0)
        status = raft_start(&engine->raft);
    if (status == 0 && raft_state(&engine->raft) == RAFT_UNAVAILABLE)
        status = RAFT_IOERR;
    if (status != 0)
        return raft_failure(status,
                            engine->restore_failed ? "the newest snapshot is damaged"
                                                   : raft_errmsg(&engine->raft),
                            failure);
    if (raft_last_index(&engine->raft) == 0 && !options->join)
        return failure_at(failure, ERROR_NOT_FOUND, "it is empty, and founding was not asked for");
    engine->ready = options->ready;
    state_publish(engine);
    return ERROR_NONE;
}
