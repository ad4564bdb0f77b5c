/* SPDX-License-Identifier: Apache-2.0 */
/* Between libraft and its io: what the engine must know of their talk, and what libraft 0.22.1 gets
 * wrong and can be kept from. Each of the latter was found by tests/sim/quorum.c, and comes back
 * there when it is taken out here.
 *
 *   libraft --load, start, set_term, set_vote, send, snapshot_put, snapshot_get--> guard --> io
 *           <------------------ ticked, received, snapshot_got ------------------- guard <-- */
#include "base/memory.h"
#include "replicate/engine/state.h"

static struct engine *engine_of(struct raft_io *io)
{
    return container_of((struct raft *)io->data, struct engine, raft);
}

/* ---- votes ---- */

/* libraft goes on with the term and vote in its memory when they could not be stored, and would
 * vote a second time after a restart. It must not even be told: it frees what it received twice. */
static int set_term(struct raft_io *io, raft_term term)
{
    struct engine *engine = engine_of(io);
    int status = engine->guard.io.set_term(io, term);
    if (status != 0)
        engine->host->fail(engine->host, "the term could not be stored");
    return 0;
}

static int set_vote(struct raft_io *io, raft_id id)
{
    struct engine *engine = engine_of(io);
    int status = engine->guard.io.set_vote(io, id);
    if (status != 0)
        engine->host->fail(engine->host, "the vote could not be stored");
    return 0;
}

/* ---- the only voter ---- */

static bool votes_alone(const struct raft *raft, const struct raft_configuration *members)
{
    bool votes = false;
    for (unsigned i = 0; i < members->n; i++) {
        if (members->servers[i].role != RAFT_VOTER)
            continue;
        if (members->servers[i].id != raft->id)
            return false;
        votes = true;
    }
    return votes;
}

/* The same of what was loaded. */
static int starts_alone(const struct raft *raft, const struct raft_snapshot *snapshot,
                        const struct raft_entry *entries, size_t count, bool *ret_alone)
{
    *ret_alone = snapshot != NULL && votes_alone(raft, &snapshot->configuration);
    while (count > 0 && entries[count - 1].type != RAFT_CHANGE)
        count--;
    if (count == 0)
        return 0;
    struct raft_configuration members;
    raft_configuration_init(&members);
    int status = raft_configuration_decode(&entries[count - 1].buf, &members);
    if (status == 0)
        *ret_alone = votes_alone(raft, &members);
    raft_configuration_close(&members);
    return status;
}

/* libraft makes the only voter the leader without a new term, at its start and at a timeout. What
 * it sent to standbys before it was stored, or what another sent who led that term before it was
 * removed, would then differ under one index and term: a new term it is. */
static int new_term_alone(struct raft_io *io, raft_term *term, raft_id *voted_for)
{
    int status = set_term(io, *term + 1);
    *term += 1;
    *voted_for = 0;
    return status;
}

static void elect_alone(struct engine *engine, struct raft_io *io)
{
    struct raft *raft = &engine->raft;
    if (raft_state(raft) == RAFT_FOLLOWER && votes_alone(raft, &raft->configuration) &&
        io->time(io) >= raft_timeout(raft))
        (void)new_term_alone(io, &raft->current_term, &raft->voted_for);
}

/* ---- snapshots ---- */

static void snapshot_remember(struct engine *engine, const struct raft_snapshot *snapshot)
{
    struct guard *guard = &engine->guard;
    unsigned at = guard->snapshot_count++ % GUARD_SNAPSHOTS;
    guard->snapshots[at].index = snapshot->index;
    guard->snapshots[at].term = snapshot->term;
}

static int load(struct raft_io *io, raft_term *term, raft_id *voted_for,
                struct raft_snapshot **snapshot, raft_index *start_index,
                struct raft_entry *entries[], size_t *n_entries)
{
    struct engine *engine = engine_of(io);
    int status =
        engine->guard.io.load(io, term, voted_for, snapshot, start_index, entries, n_entries);
    if (status != 0)
        return status;
    if (*snapshot != NULL)
        snapshot_remember(engine, *snapshot);
    bool alone;
    status = starts_alone(&engine->raft, *snapshot, *entries, *n_entries, &alone);
    if (status == 0 && alone)
        status = new_term_alone(io, term, voted_for);
    return status;
}

static int snapshot_put(struct raft_io *io, unsigned trailing, struct raft_io_snapshot_put *request,
                        const struct raft_snapshot *snapshot, raft_io_snapshot_put_cb stored)
{
    struct engine *engine = engine_of(io);
    snapshot_remember(engine, snapshot);
    return engine->guard.io.snapshot_put(io, trailing, request, snapshot, stored);
}

/* libraft hides its term when it refuses a pre-vote of a lower one: members with longer logs and
 * members with higher terms would then refuse each other for ever. */
static void term_tell(const struct engine *engine, struct raft_request_vote_result *result)
{
    uint64_t term = raft_current_term(&engine->raft);
    if (result->pre_vote && !result->vote_granted && result->term < term)
        result->term = term;
}

/* libraft never sets the index that goes with a refusal of an older term (recv_append_entries.c),
 * and who leads this term by then would go on from there. What it sets in other refusals: */
static void refusal_end(struct engine *engine, struct raft_append_entries_result *result)
{
    uint64_t last = raft_last_index(&engine->raft);
    if (result->rejected > 0)
        result->last_log_index = last < result->rejected ? last : result->rejected - 1;
}

/* A snapshot that was taken while an older one was about to be sent goes out with the older one's
 * term (legacy.c, legacyLoadSnapshotCb); who installs it refuses what comes after, and dies. */
static int send(struct raft_io *io, struct raft_io_send *request,
                const struct raft_message *message, raft_io_send_cb sent)
{
    struct engine *engine = engine_of(io);
    struct raft_message told = *message;
    for (unsigned i = 0; message->type == RAFT_INSTALL_SNAPSHOT && i < GUARD_SNAPSHOTS; i++)
        if (engine->guard.snapshots[i].index == message->install_snapshot.last_index)
            told.install_snapshot.last_term = engine->guard.snapshots[i].term;
    if (message->type == RAFT_REQUEST_VOTE_RESULT)
        term_tell(engine, &told.request_vote_result);
    if (message->type == RAFT_APPEND_ENTRIES_RESULT)
        refusal_end(engine, &told.append_entries_result);
    if (message->type == RAFT_APPEND_ENTRIES)
        commit_told(engine, message);
    return engine->guard.io.send(io, request, &told, sent);
}

/* libraft frees what it never set when a snapshot cannot be read (legacy.c, legacyLoadSnapshotCb):
 * it is not told, and the read is tried again at the next tick. */
struct snapshot_read {
    struct raft_io_snapshot_get own;
    struct list link;
    struct engine *engine;
    struct raft_io_snapshot_get *request;
    raft_io_snapshot_get_cb got;
};

static void snapshot_got(struct raft_io_snapshot_get *own, struct raft_snapshot *snapshot,
                         int status)
{
    struct snapshot_read *read = container_of(own, struct snapshot_read, own);
    if (status != 0) {
        list_push(&read->engine->guard.reads, &read->link);
        return;
    }
    read->got(read->request, snapshot, status);
    memory_free(read);
}

static int snapshot_get(struct raft_io *io, struct raft_io_snapshot_get *request,
                        raft_io_snapshot_get_cb got)
{
    struct engine *engine = engine_of(io);
    struct snapshot_read *read = memory_allocate(sizeof *read);
    if (read == NULL)
        return RAFT_NOMEM;
    read->engine = engine;
    read->request = request;
    read->got = got;
    int status = engine->guard.io.snapshot_get(io, &read->own, snapshot_got);
    if (status != 0)
        memory_free(read);
    return status;
}

static void ticked(struct raft_io *io)
{
    struct engine *engine = engine_of(io);
    struct list again;
    list_move(&engine->guard.reads, &again);
    for (struct list *link; (link = list_take(&again)) != NULL;) {
        struct snapshot_read *read = container_of(link, struct snapshot_read, link);
        if (engine->guard.io.snapshot_get(io, &read->own, snapshot_got) != 0)
            list_push(&engine->guard.reads, &read->link);
    }
    elect_alone(engine, io);
    engine->guard.tick(io);
}

void guard_done(struct engine *engine)
{
    for (struct list *link; (link = list_take(&engine->guard.reads)) != NULL;)
        memory_free(container_of(link, struct snapshot_read, link));
}

/* Two that must not reach libraft; the leader sends such a snapshot again. One that comes while it
 * takes one of its own makes it dereference NULL (legacy.c, takeSnapshotCb). One of an older term
 * is answered with success and an index that was never set (recv_install_snapshot.c): this term's
 * leader would count entries as stored that are not. */
static bool install_is_refused(struct engine *engine, struct raft_install_snapshot *install)
{
    if (engine->raft.legacy.closing ||
        (!engine->raft.legacy.snapshot_taking && install->term >= raft_current_term(&engine->raft)))
        return false;
    raft_configuration_close(&install->conf);
    raft_free(install->data.base);
    return true;
}

/* ---- entries ---- */

/* libraft takes its commit index back when entries older than that come late (replication.c,
 * replicationAppend), and then calls a snapshot of what it has applied one of less. */
static void commit_keep(struct engine *engine, struct raft_append_entries *append)
{
    uint64_t commit = raft_commit_index(&engine->raft);
    if (append->leader_commit > commit && append->prev_log_index + append->n_entries < commit)
        append->leader_commit = commit;
}

/* The same of the very first entries: what is refused is told by its index, and none is success. */
static void refusal_show(struct engine *engine, struct raft_append_entries *append)
{
    if (append->term < raft_current_term(&engine->raft) && append->prev_log_index == 0)
        append->prev_log_index = 1;
}

/* Entries from before the first one kept are taken for new ones (replication.c,
 * checkConflictingEntries). They are part of this node's snapshot, so the leader has them as they
 * are: it is told how far that goes. */
static void old_entries_skip(struct engine *engine, struct raft_append_entries *append)
{
    const struct raft_trail *trail = &engine->raft.trail;
    if (append->n_entries == 0 || append->prev_log_index >= trail->offset ||
        engine->raft.snapshot.installing)
        return;
    raft_free(append->entries[0].batch);
    raft_free(append->entries);
    append->entries = NULL;
    append->n_entries = 0;
    append->prev_log_index = trail->snapshot.index;
    append->prev_log_term = trail->snapshot.term;
}

/* libraft remembers a change of the members under the index of the first entry that came with it
 * (replication.c, replicationAppend), and then never learns that it was committed: the next
 * snapshot brings the members before it back. It comes first, therefore; the leader sends the rest
 * again. */
static void change_put_first(struct raft_append_entries *append)
{
    for (unsigned i = 1; i < append->n_entries; i++)
        if (append->entries[i].type == RAFT_CHANGE)
            append->n_entries = i;
}

static void leader_commit_learn(struct engine *engine, uint64_t term, uint64_t index)
{
    if (term >= raft_current_term(&engine->raft) && index > engine->guard.leader_commit)
        engine->guard.leader_commit = index;
}

static void received(struct raft_io *io, struct raft_message *message)
{
    struct engine *engine = engine_of(io);
    if (message->type == RAFT_INSTALL_SNAPSHOT) {
        struct raft_install_snapshot *install = &message->install_snapshot;
        if (install_is_refused(engine, install))
            return;
        leader_commit_learn(engine, install->term, install->last_index);
    }
    if (message->type == RAFT_APPEND_ENTRIES) {
        struct raft_append_entries *append = &message->append_entries;
        leader_commit_learn(engine, append->term, append->leader_commit);
        old_entries_skip(engine, append);
        change_put_first(append);
        commit_keep(engine, append);
        refusal_show(engine, append);
    }
    engine->guard.receive(io, message);
}

static int start(struct raft_io *io, unsigned ms, raft_io_tick_cb tick, raft_io_recv_cb receive)
{
    struct engine *engine = engine_of(io);
    engine->guard.tick = tick;
    engine->guard.receive = receive;
    return engine->guard.io.start(io, ms, ticked, received);
}

void guard_install(struct engine *engine, struct raft_io *io)
{
    engine->guard.io = *io;
    io->load = load;
    io->start = start;
    io->set_term = set_term;
    io->set_vote = set_vote;
    io->send = send;
    io->snapshot_put = snapshot_put;
    io->snapshot_get = snapshot_get;
}
