/* SPDX-License-Identifier: Apache-2.0 */
/* The leader tells what is committed at once. libraft tells it with the next entries or the next
 * heartbeat, a fifth of an election timeout later: so long a new leader of a partition would not
 * know that it leads, and whoever asked another node would wait for its answer.
 *
 *   raft --entries--> guard: what each member was sent last --> members
 *   commit index moves --> engine_turn --> no entries, behind what was sent last --> members
 *
 * It is a heartbeat like any other: a member that did not get what came before refuses it, and
 * libraft takes it from there. */
#include "base/memory.h"
#include "replicate/engine/state.h"

static struct told_member *member_find(struct guard *guard, raft_id id)
{
    for (unsigned i = 0; i < guard->told_count; i++)
        if (guard->told[i].id == id)
            return &guard->told[i];
    return NULL;
}

/* Members beyond the room there is hear of commits by heartbeats. */
static struct told_member *member_make(struct guard *guard, raft_id id)
{
    struct told_member *member = member_find(guard, id);
    if (member != NULL || guard->told_count == GUARD_TOLD_MAX)
        return member;
    member = &guard->told[guard->told_count++];
    *member = (struct told_member){.id = id};
    return member;
}

void commit_told(struct engine *engine, const struct raft_message *message)
{
    struct told_member *member = member_make(&engine->guard, message->server_id);
    const struct raft_append_entries *sent = &message->append_entries;
    if (member == NULL)
        return;
    member->version = sent->version;
    member->term = sent->term;
    member->last_index = sent->prev_log_index + sent->n_entries;
    member->last_term =
        sent->n_entries == 0 ? sent->prev_log_term : sent->entries[sent->n_entries - 1].term;
    member->commit = sent->leader_commit;
}

static void told(struct raft_io_send *request, int status)
{
    (void)status; /* The next heartbeat tells it. */
    memory_free(request);
}

static void commit_send(struct engine *engine, struct told_member *member,
                        const struct raft_server *server, uint64_t commit)
{
    struct raft_message message = {
        .type = RAFT_APPEND_ENTRIES,
        .server_id = server->id,
        .server_address = server->address,
        .append_entries = {.version = member->version,
                           .term = member->term,
                           .prev_log_index = member->last_index,
                           .prev_log_term = member->last_term,
                           .leader_commit = commit},
    };
    struct raft_io_send *request = memory_allocate(sizeof *request);
    if (request == NULL)
        return;
    member->commit = commit;
    if (engine->guard.io.send(engine->io, request, &message, told) != 0)
        memory_free(request);
}

void commit_tell(struct engine *engine)
{
    struct raft *raft = &engine->raft;
    uint64_t commit = raft_commit_index(raft);
    if (raft_state(raft) != RAFT_LEADER || commit == engine->guard.commit_told)
        return;
    engine->guard.commit_told = commit;
    for (unsigned i = 0; i < raft->configuration.n; i++) {
        const struct raft_server *server = &raft->configuration.servers[i];
        struct told_member *member = member_find(&engine->guard, server->id);
        /* Its end is where it hears of it with what it is still to be sent. */
        if (server->id == raft->id || member == NULL || member->term != raft_current_term(raft) ||
            member->commit >= commit || member->last_index < commit)
            continue;
        commit_send(engine, member, server, commit);
    }
}
