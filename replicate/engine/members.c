/* SPDX-License-Identifier: Apache-2.0 */
/* Changing the members of the quorum, one after the other, and telling other threads who they are.
 *
 *   engine_add, _assign, _remove, _transfer [monitor] -> changes -> turn: libraft -> done [monitor]
 */
#include "base/assertion.h"
#include "base/memory.h"
#include "replicate/engine/state.h"

#include <stdio.h>
#include <string.h>

enum change_kind { CHANGE_ADD, CHANGE_ASSIGN, CHANGE_REMOVE, CHANGE_TRANSFER };

static int raft_role_of(enum engine_member_role role)
{
    switch (role) {
    case ENGINE_VOTER:
        return RAFT_VOTER;
    case ENGINE_STANDBY:
        return RAFT_STANDBY;
    case ENGINE_SPARE:
        break;
    }
    return RAFT_SPARE;
}

static enum engine_member_role role_of_raft(int role)
{
    if (role == RAFT_VOTER)
        return ENGINE_VOTER;
    return role == RAFT_STANDBY ? ENGINE_STANDBY : ENGINE_SPARE;
}

int members_configure(const struct engine_options *options, struct raft_configuration *ret_members)
{
    raft_configuration_init(ret_members);
    if (options->member_count == 0)
        return raft_configuration_add(ret_members, options->node_id, options->address, RAFT_VOTER);
    int status = 0;
    for (uint32_t i = 0; i < options->member_count && status == 0; i++)
        status =
            raft_configuration_add(ret_members, options->members[i].id, options->members[i].address,
                                   raft_role_of(options->members[i].role));
    return status;
}

/* ---- telling ---- */

void members_publish(struct engine *engine)
{
    const struct raft *raft = &engine->raft;
    const struct raft_configuration *now = &raft->configuration;
    uint64_t seen[3] = {raft->configuration_committed_index, raft->configuration_uncommitted_index,
                        raft_current_term(raft)};
    if (now->n == engine->member_count && memcmp(seen, engine->members_seen, sizeof seen) == 0)
        return;
    struct engine_member *members = memory_allocate_array(now->n + 1, sizeof *members);
    if (members == NULL)
        return; /* Tried again at the next turn. */
    for (unsigned i = 0; i < now->n; i++) {
        members[i].id = now->servers[i].id;
        members[i].role = role_of_raft(now->servers[i].role);
        (void)snprintf(members[i].address, sizeof members[i].address, "%s",
                       now->servers[i].address);
    }
    int refused = pthread_mutex_lock(&engine->state_lock);
    ASSERT(refused == 0);
    struct engine_member *before = engine->members;
    engine->members = members;
    engine->member_count = now->n;
    memcpy(engine->members_seen, seen, sizeof seen);
    refused = pthread_mutex_unlock(&engine->state_lock);
    ASSERT(refused == 0);
    memory_free(before);
}

/* ---- changing ---- */

static void change_ended(struct task *task)
{
    struct engine_change *change = container_of(task, struct engine_change, task);
    change->done(change);
}

/* Inside the monitor. */
static void change_answer(struct engine *engine, struct engine_change *change, enum error error)
{
    change->error = engine->closing && error != ERROR_NONE ? ERROR_CLOSING : error;
    change->task.run = change_ended;
    executor_post(engine->executor, &change->task);
}

static void change_end(struct engine *engine, struct engine_change *change, enum error error)
{
    engine_monitor_enter(engine);
    change_answer(engine, change, error);
    engine_monitor_leave(engine);
}

/* Ends the change under way; libraft may speak of one that it refused before (raft_assign). */
static void change_under_way_ended(struct engine *engine, enum error error)
{
    struct engine_change *change = engine->change;
    engine->change = NULL;
    if (change == NULL)
        return;
    change_end(engine, change, error);
    engine_monitor_enter(engine);
    if (!list_empty(&engine->changes))
        engine->host->wake(engine->host);
    engine_monitor_leave(engine);
}

static void change_done(struct raft_change *raft_change, int status)
{
    struct engine *engine = container_of(raft_change, struct engine, raft_change);
    change_under_way_ended(engine, error_of_raft(status));
}

static void transfer_done(struct raft_transfer *transfer)
{
    struct engine *engine = transfer->data;
    raft_id leader = 0;
    const char *address = NULL;
    raft_leader(&engine->raft, &leader, &address);
    bool moved = leader != 0 && leader != engine->raft.id;
    change_under_way_ended(engine, moved ? ERROR_NONE : ERROR_NETWORK);
}

static bool is_member(const struct engine *engine, uint64_t id)
{
    const struct raft_configuration *now = &engine->raft.configuration;
    for (unsigned i = 0; i < now->n; i++)
        if (now->servers[i].id == id)
            return true;
    return false;
}

static int change_start(struct engine *engine, struct engine_change *change)
{
    struct raft *raft = &engine->raft;
    if (raft_state(raft) != RAFT_LEADER)
        return RAFT_NOTLEADER;
    /* libraft asks this too late, and leaves memory behind. */
    if (change->kind != CHANGE_TRANSFER &&
        (raft->configuration_uncommitted_index != 0 || raft->leader_state.promotee_id != 0))
        return RAFT_CANTCHANGE;
    if (change->kind != CHANGE_ADD && change->id != 0 && !is_member(engine, change->id))
        return RAFT_NOTFOUND;
    switch ((enum change_kind)change->kind) {
    case CHANGE_ADD:
        return raft_add(raft, &engine->raft_change, change->id, change->address, change_done);
    case CHANGE_ASSIGN:
        return raft_assign(raft, &engine->raft_change, change->id, raft_role_of(change->role),
                           change_done);
    case CHANGE_REMOVE:
        return raft_remove(raft, &engine->raft_change, change->id, change_done);
    case CHANGE_TRANSFER:
        break;
    }
    engine->raft_transfer->data = engine;
    return raft_transfer(raft, engine->raft_transfer, change->id, transfer_done);
}

void changes_turn(struct engine *engine)
{
    while (engine->change == NULL) {
        engine_monitor_enter(engine);
        struct list *link = list_take(&engine->changes);
        engine_monitor_leave(engine);
        if (link == NULL)
            return;
        struct engine_change *change = container_of(link, struct engine_change, link);
        engine->change = change;
        int status = change_start(engine, change);
        if (status != 0 && engine->change == change) {
            engine->change = NULL;
            change_end(engine, change, error_of_raft(status));
        }
    }
}

void changes_close(struct engine *engine)
{
    struct list left;
    engine_monitor_enter(engine);
    list_move(&engine->changes, &left);
    engine_monitor_leave(engine);
    for (struct list *link; (link = list_take(&left)) != NULL;)
        change_end(engine, container_of(link, struct engine_change, link), ERROR_CLOSING);
}

static void change_add(struct engine *engine, struct engine_change *change, enum change_kind kind,
                       uint64_t id)
{
    change->kind = kind;
    change->id = id;
    if (engine->closing) {
        change_answer(engine, change, ERROR_CLOSING);
        return;
    }
    list_push(&engine->changes, &change->link);
    engine->host->wake(engine->host);
}

void engine_add(struct engine *engine, struct engine_change *change, uint64_t id,
                const char *address)
{
    ASSERT(id > 0);
    change->address = address;
    change_add(engine, change, CHANGE_ADD, id);
}

void engine_assign(struct engine *engine, struct engine_change *change, uint64_t id,
                   enum engine_member_role role)
{
    ASSERT(id > 0);
    change->role = role;
    change_add(engine, change, CHANGE_ASSIGN, id);
}

void engine_remove(struct engine *engine, struct engine_change *change, uint64_t id)
{
    ASSERT(id > 0);
    change_add(engine, change, CHANGE_REMOVE, id);
}

void engine_transfer(struct engine *engine, struct engine_change *change, uint64_t id)
{
    change_add(engine, change, CHANGE_TRANSFER, id);
}
