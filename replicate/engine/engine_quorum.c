/* SPDX-License-Identifier: Apache-2.0 */
/* Node ids to Raft ids and back, one change at a time. */
#include "replicate/engine/engine_quorum.h"

#include "base/assertion.h"
#include "base/memory.h"

#include <stdio.h>

static struct engine_quorum *of(struct quorum *quorum)
{
    return container_of(quorum, struct engine_quorum, quorum);
}

static int32_t leader_id(struct quorum *quorum)
{
    return engine_id_to_node(of(quorum)->state.leader_id);
}

static bool leads(struct quorum *quorum)
{
    return of(quorum)->state.settled;
}

static int64_t term(struct quorum *quorum)
{
    return (int64_t)of(quorum)->state.term;
}

static enum quorum_role role_of(enum engine_member_role role)
{
    switch (role) {
    case ENGINE_VOTER:
        return QUORUM_VOTER;
    case ENGINE_STANDBY:
        return QUORUM_STANDBY;
    case ENGINE_SPARE:
        break;
    }
    return QUORUM_SPARE;
}

static uint32_t members(struct quorum *quorum, struct quorum_member *ret_members, uint32_t capacity)
{
    struct engine *engine = of(quorum)->engine;
    struct engine_member *found = memory_allocate_array(ENGINE_MEMBERS_MAX, sizeof *found);
    if (engine == NULL || found == NULL) {
        memory_free(found);
        return 0;
    }
    uint32_t count = engine_members(engine, found, ENGINE_MEMBERS_MAX);
    for (uint32_t i = 0; i < count && i < capacity; i++) {
        struct quorum_member member = {.node_id = engine_id_to_node(found[i].id),
                                       .role = role_of(found[i].role)};
        uint32_t at = i;
        while (at > 0 && ret_members[at - 1].node_id > member.node_id) {
            ret_members[at] = ret_members[at - 1];
            at--;
        }
        ret_members[at] = member;
    }
    memory_free(found);
    return count;
}

/* ---- changes ---- */

struct change {
    struct engine_change change;
    struct quorum_change *asked;
    struct engine_quorum *quorum;
    char address[ENGINE_ADDRESS_BYTES];
};

static void change_ended(struct task *task)
{
    struct quorum_change *asked = container_of(task, struct quorum_change, task);
    asked->done(asked);
}

static void change_end(struct engine_quorum *quorum, struct quorum_change *asked, enum error error)
{
    asked->error = error;
    asked->task.run = change_ended;
    executor_post(quorum->executor, &asked->task);
}

static void engine_changed(struct engine_change *engine_change)
{
    struct change *change = container_of(engine_change, struct change, change);
    change_end(change->quorum, change->asked, engine_change->error);
    memory_free(change);
}

static void change_begin(struct quorum *seam, struct quorum_change *asked)
{
    struct engine_quorum *quorum = of(seam);
    list_init(&asked->task.link);
    struct change *change = memory_allocate(sizeof *change);
    if (change == NULL || quorum->engine == NULL) {
        enum error error = change == NULL ? ERROR_OUT_OF_MEMORY : ERROR_CLOSING;
        memory_free(change);
        change_end(quorum, asked, error);
        return;
    }
    uint64_t id = asked->node_id < 0 ? 0 : engine_id_of_node(asked->node_id);
    change->asked = asked;
    change->quorum = quorum;
    change->change.done = engine_changed;
    (void)snprintf(change->address, sizeof change->address, "%s:%d", asked->host, (int)asked->port);
    switch (asked->kind) {
    case QUORUM_ADD_SPARE:
        engine_add(quorum->engine, &change->change, id, change->address);
        break;
    case QUORUM_ASSIGN_STANDBY:
        engine_assign(quorum->engine, &change->change, id, ENGINE_STANDBY);
        break;
    case QUORUM_ASSIGN_VOTER:
        engine_assign(quorum->engine, &change->change, id, ENGINE_VOTER);
        break;
    case QUORUM_REMOVE:
        engine_remove(quorum->engine, &change->change, id);
        break;
    case QUORUM_TRANSFER:
        engine_transfer(quorum->engine, &change->change, id);
        break;
    }
}

/* ---- watching ---- */

static void watch(struct quorum *quorum, struct quorum_watcher *watcher)
{
    list_push(&of(quorum)->watchers, &watcher->link);
}

void engine_quorum_changed(void *context, const struct engine_state *state)
{
    struct engine_quorum *quorum = context;
    quorum->state = *state;
    struct list told; /* A watcher may end its watch, or another's, while it is told. */
    list_move(&quorum->watchers, &told);
    for (struct list *link; (link = list_take(&told)) != NULL;) {
        struct quorum_watcher *watcher = container_of(link, struct quorum_watcher, link);
        list_push(&quorum->watchers, &watcher->link);
        watcher->changed(watcher);
    }
}

static const struct quorum_ops ops = {leader_id, leads, term, members, change_begin, watch};

void engine_quorum_init(struct engine_quorum *quorum, struct executor *executor)
{
    *quorum = (struct engine_quorum){.quorum = {&ops}, .executor = executor};
    list_init(&quorum->watchers);
}
