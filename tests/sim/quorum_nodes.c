/* SPDX-License-Identifier: Apache-2.0 */
/* The members of a simulated quorum: starting, crashing, stopping, stepping. */
#include "sim/quorum.h"

#include "base/assertion.h"
#include "sim/process_memory.h"

#include <stdio.h>

enum { NS_PER_MS = 1000000, STOP_MS = 600000, SNAPSHOT_THRESHOLD = 24, ELECTION_TIMEOUT_MS = 500 };

int64_t quorum_now_ms(const struct quorum_world *world)
{
    return world->clock.now_ns / NS_PER_MS;
}

void quorum_node_init(struct quorum_world *world, uint32_t number, bool founder)
{
    struct quorum_node *node = &world->nodes[number];
    uint64_t seed = world->seed * 1000 + number;
    *node =
        (struct quorum_node){.world = world, .number = number, .exists = true, .founder = founder};
    (void)snprintf(node->address, sizeof node->address, "node%u:9092", number);
    node->disk = simulated_storage_new(seed);
    node->events = simulated_executor_new(seed ^ 0x5eed, &world->clock);
}

void quorum_node_done(struct quorum_node *node)
{
    ASSERT(!node->is_up);
    simulated_executor_free(node->events);
    simulated_storage_free(node->disk);
    node->events = NULL;
    node->disk = NULL;
    node->exists = false;
}

static void applied(struct catalog_watcher *watcher, int64_t index)
{
    quorum_applied(container_of(watcher, struct quorum_node, watcher), index);
}

static void arrived(void *context, const struct raft_parcel *parcel)
{
    struct quorum_world *world = context;
    struct quorum_node *node = &world->nodes[parcel->parcel.to];
    ASSERT(node->is_up);
    uint32_t before = process_memory_select(node->number + 1);
    simulated_raft_receive(node->raft, parcel);
    (void)process_memory_select(before);
}

static enum error open_engine(struct quorum_node *node)
{
    struct quorum_world *world = node->world;
    struct engine_member members[QUORUM_NODES];
    for (uint32_t i = 0; i < world->founders; i++) {
        members[i] = (struct engine_member){.id = i + 1, .role = ENGINE_VOTER};
        (void)snprintf(members[i].address, sizeof members[i].address, "node%u:9092", i);
    }
    struct simulated_raft_options raft = {
        .storage = simulated_storage_seam(node->disk),
        .executor = simulated_executor_seam(node->events),
        .network = world->network,
        .node = node->number,
        .arrived = arrived,
        .context = world,
        .dead = &node->dead,
        .plant_vote_not_synced = world->plants.vote_not_synced,
        .plant_append_not_synced = world->plants.append_not_synced,
    };
    struct engine_options engine = {
        .executor = simulated_executor_seam(node->events),
        .catalog = node->catalog,
        .node_id = node->number + 1,
        .address = node->address,
        .bootstrap = node->founder,
        .join = !node->founder,
        .members = members,
        .member_count = world->founders,
        .election_timeout_ms = ELECTION_TIMEOUT_MS,
        .snapshot_threshold = SNAPSHOT_THRESHOLD,
    };
    return simulated_raft_open(&raft, &engine, &node->engine, &node->raft);
}

void quorum_node_start(struct quorum_node *node)
{
    ASSERT(!node->is_up);
    uint32_t before = process_memory_select(node->number + 1);
    process_memory_take_raft();
    ASSERT(process_memory_blocks() == 0);
    node->dead = false;
    node->closed = false;
    node->commit_index = 0;
    node->is_up = true;
    simulated_network_up(node->world->network, node->number, true);
    enum error error = catalog_new(simulated_executor_seam(node->events), &node->catalog);
    ASSERT(error == ERROR_NONE);
    node->watcher = (struct catalog_watcher){.applied = applied};
    catalog_watch(node->catalog, &node->watcher);
    error = open_engine(node);
    if (error == ERROR_NONE)
        catalog_set_proposer(node->catalog, engine_proposer(node->engine));
    (void)process_memory_select(before);
    if (error != ERROR_NONE) { /* A disk that fails: as a process that says so and exits. */
        quorum_say(node->world, "node %u does not start: %s", node->number, error_text(error));
        quorum_node_crash(node, false);
    }
}

void quorum_node_crash(struct quorum_node *node, bool power_cut)
{
    ASSERT(node->is_up);
    quorum_say(node->world, "node %u %s", node->number, power_cut ? "power cut" : "killed");
    quorum_forget(node->world, node);
    uint32_t before = process_memory_select(node->number + 1);
    simulated_executor_drop_all(node->events);
    simulated_executor_restart(node->events);
    simulated_storage_forget(node->disk);
    process_memory_forget();
    (void)process_memory_select(before);
    if (power_cut)
        simulated_storage_crash(node->disk, &node->world->random);
    else
        simulated_storage_kill(node->disk);
    simulated_network_up(node->world->network, node->number, false);
    node->is_up = false;
    node->world->crashes++;
}

static void closed(void *context)
{
    struct quorum_node *node = context;
    node->closed = true;
}

static bool is_closed(void *context)
{
    return ((struct quorum_node *)context)->closed;
}

void quorum_node_stop(struct quorum_node *node)
{
    quorum_say(node->world, "node %u stops", node->number);
    uint32_t before = process_memory_select(node->number + 1);
    engine_close(node->engine, closed, node);
    bool ended = simulated_executor_run_until(node->events, is_closed, node, STOP_MS);
    ASSERT(ended);
    engine_free(node->engine);
    simulated_executor_run_until_idle(node->events); /* Answers. */
    catalog_unwatch(node->catalog, &node->watcher);
    catalog_free(node->catalog);
    size_t left = process_memory_blocks();
    process_memory_forget();
    (void)process_memory_select(before);
    if (left != 0)
        quorum_fail(node->world, "node %u leaves %zu blocks of memory behind", node->number, left);
    quorum_forget(node->world, node);
    simulated_storage_kill(node->disk);
    simulated_network_up(node->world->network, node->number, false);
    node->is_up = false;
}

bool quorum_step(struct quorum_world *world)
{
    struct simulated_executor *network = simulated_network_events(world->network);
    struct quorum_node *first = NULL;
    int64_t first_ns = simulated_executor_next_ns(network);
    bool any = first_ns >= 0;
    for (uint32_t i = 0; i < QUORUM_NODES; i++) {
        struct quorum_node *node = &world->nodes[i];
        if (!node->is_up || simulated_network_is_paused(world->network, i))
            continue;
        int64_t next_ns = simulated_executor_next_ns(node->events);
        if (next_ns >= 0 && (!any || next_ns < first_ns)) {
            first = node;
            first_ns = next_ns;
            any = true;
        }
    }
    if (!any)
        return false;
    if (first == NULL)
        return simulated_executor_step(network);
    uint32_t before = process_memory_select(first->number + 1);
    (void)simulated_executor_step(first->events);
    (void)process_memory_select(before);
    if (first->dead)
        quorum_node_crash(first, false);
    else
        quorum_check(first);
    return true;
}

void quorum_run_for(struct quorum_world *world, int64_t ms)
{
    int64_t end_ms = quorum_now_ms(world) + ms;
    while (quorum_now_ms(world) < end_ms)
        if (!quorum_step(world))
            break;
}

struct quorum_node *quorum_leader(struct quorum_world *world)
{
    struct quorum_node *leader = NULL;
    uint64_t term = 0;
    for (uint32_t i = 0; i < QUORUM_NODES; i++) {
        struct quorum_node *node = &world->nodes[i];
        if (!node->is_up || simulated_network_is_paused(world->network, i))
            continue;
        struct engine_state state = engine_state(node->engine);
        if (state.role == ENGINE_LEADER && state.term > term) {
            leader = node;
            term = state.term;
        }
    }
    return leader;
}
