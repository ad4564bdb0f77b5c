/* SPDX-License-Identifier: Apache-2.0 */
/* Seeds of the simulated quorum: clients, faults, changes of the members, checks.
 *
 *   simulate_quorum --seed N [--count K] [--steps M] [--figure8] [--twice] [--verbose]
 *                   [--plant BUG] */
#include "sim/quorum.h"

#include "base/assertion.h"
#include "sim/process_memory.h"
#include "sim/simulated_file.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    STEPS_DEFAULT = 3000,
    FINISH_MS = 120000, /* Without faults all is answered within this. */
    REASKED = 300       /* Answers asked for again at the end; the catalog remembers more. */
};

enum change_kind { CHANGE_ADD, CHANGE_STANDBY, CHANGE_VOTER, CHANGE_REMOVE, CHANGE_TRANSFER };

void quorum_fail(const struct quorum_world *world, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printf("\nBROKEN seed=%" PRIu64 " step=%" PRId64 " ms=%" PRId64 ": ", world->seed, world->step,
           quorum_now_ms(world));
    (void)vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
    (void)fflush(stdout);
    _exit(1);
}

void quorum_say(const struct quorum_world *world, const char *format, ...)
{
    if (!world->verbose)
        return;
    va_list arguments;
    va_start(arguments, format);
    printf("%6" PRId64 " %8" PRId64 " ", world->step, quorum_now_ms(world));
    (void)vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
    (void)fflush(stdout);
}

/* ---- checks ---- */

/* One image at one index, whichever node and whichever life of it. */
void quorum_applied(struct quorum_node *node, int64_t index)
{
    struct quorum_world *world = node->world;
    uint64_t hash = catalog_hash(node->catalog);
    if (index >= QUORUM_INDEXES)
        quorum_fail(world, "the log is longer than this was made for");
    if (world->hashes[index] != 0 && world->hashes[index] != hash)
        quorum_fail(world, "node %u has another image after command %" PRId64, node->number, index);
    world->hashes[index] = hash;
    if (index > world->applied_last)
        world->applied_last = index;
    uint64_t facts[] = {node->number, (uint64_t)index, hash};
    world->trace = simulated_hash(world->trace, facts, sizeof facts);
}

void quorum_check(struct quorum_node *node)
{
    struct quorum_world *world = node->world;
    struct engine_state state = engine_state(node->engine);
    if (state.commit_index < node->commit_index)
        quorum_fail(world, "node %u takes back what was committed", node->number);
    node->commit_index = state.commit_index;
    if (state.role != ENGINE_LEADER)
        return;
    if (state.term >= QUORUM_TERMS)
        quorum_fail(world, "terms without end");
    int32_t *leader = &world->leaders[state.term];
    if (*leader == 0) {
        *leader = (int32_t)node->number + 1;
        world->elections++;
        quorum_say(world, "node %u leads term %" PRIu64, node->number, state.term);
    }
    if (*leader != (int32_t)node->number + 1)
        quorum_fail(world, "nodes %u and %d lead term %" PRIu64, node->number, *leader - 1,
                    state.term);
}

/* ---- clients ---- */

static void answered(struct quorum_client *client, const struct catalog_outcome *outcome)
{
    struct quorum_world *world = client->world;
    for (size_t i = 0; i < world->answer_count; i++) {
        bool same = uuid_equals(&world->answers[i].id, &client->id);
        if (same != (world->answers[i].producer_id_first == outcome->producer_id_first))
            quorum_fail(world, "ids from %" PRId64 " were given %s", outcome->producer_id_first,
                        same ? "for a command that had others" : "twice");
        if (same)
            return;
    }
    if (world->answer_count == world->answer_capacity) {
        world->answer_capacity = world->answer_capacity * 2 + 64;
        world->answers =
            simulation_resize(world->answers, world->answer_capacity * sizeof *world->answers);
    }
    world->answers[world->answer_count++] =
        (struct quorum_answer){client->id, outcome->producer_id_first};
}

static void client_done(struct catalog_proposal *proposal)
{
    struct quorum_client *client = container_of(proposal, struct quorum_client, proposal);
    struct quorum_world *world = client->world;
    enum error error = proposal->outcome.error;
    client->at = -1;
    if (client->registers) { /* What came of it, the next command tells. */
        client->registers = false;
        client->id = (struct uuid){{0}};
        return;
    }
    if (error == ERROR_BROKER_ID_NOT_REGISTERED) {
        client->registers = true;
        client->id = (struct uuid){{0}};
        return;
    }
    if (error == ERROR_NONE) {
        answered(client, &proposal->outcome);
        client->id = (struct uuid){{0}};
        return;
    }
    if (error != ERROR_NOT_CONTROLLER && error != ERROR_REQUEST_TIMED_OUT &&
        error != ERROR_CLOSING && error != ERROR_DISK_FULL)
        quorum_fail(world, "a proposal: %s", error_text(error));
    client->next_ms = quorum_now_ms(world) + random_between(&world->random, 1, 100);
}

static void propose(struct quorum_client *client, struct quorum_node *node)
{
    client->at = (int32_t)node->number;
    struct catalog_command command = {.kind = CATALOG_PRODUCER_IDS, .id = client->id};
    if (client->registers) {
        command.kind = CATALOG_NODE_REGISTER;
        command.node = (struct catalog_node){.host = "localhost", .port = 9092};
    }
    client->proposal = (struct catalog_proposal){.done = client_done};
    uint32_t before = process_memory_select(node->number + 1);
    catalog_propose(node->catalog, &command, &client->proposal);
    (void)process_memory_select(before);
}

/* Most know who leads; some ask anybody. */
static void client_act(struct quorum_world *world, struct quorum_client *client, bool finish)
{
    if (client->at >= 0 || quorum_now_ms(world) < client->next_ms)
        return;
    if (uuid_is_zero(&client->id)) {
        if (finish)
            return;
        random_fill(&world->random, client->id.bytes, sizeof client->id.bytes);
    }
    struct quorum_node *node = quorum_leader(world);
    if (node == NULL || random_chance(&world->random, 1, 5))
        node = &world->nodes[random_below(&world->random, QUORUM_NODES)];
    if (node->is_up)
        propose(client, node);
}

void quorum_clients_act(struct quorum_world *world)
{
    for (int i = 0; i < QUORUM_CLIENTS; i++)
        client_act(world, &world->clients[i], false);
}

void quorum_forget(struct quorum_world *world, const struct quorum_node *node)
{
    for (int i = 0; i < QUORUM_CLIENTS; i++)
        if (world->clients[i].at == (int32_t)node->number)
            world->clients[i].at = -1;
    if (world->change_at == (int32_t)node->number)
        world->change_at = -1;
}

/* ---- changes of the members ---- */

static void changed(struct engine_change *change)
{
    struct quorum_world *world = container_of(change, struct quorum_world, change);
    quorum_say(world, "change %d of node %d: %s", world->change_kind, world->change_of,
               error_text(change->error));
    world->change_at = -1;
    if (change->error != ERROR_NONE || world->change_kind != CHANGE_REMOVE)
        return;
    struct quorum_node *node = &world->nodes[world->change_of];
    node->exists = false; /* Taken down by the world: not from inside its own event. */
}

static void change_start(struct quorum_world *world, struct quorum_node *leader,
                         enum change_kind kind, uint32_t of)
{
    world->change = (struct engine_change){.done = changed};
    world->change_at = (int32_t)leader->number;
    world->change_of = (int32_t)of;
    world->change_kind = kind;
    uint32_t before = process_memory_select(leader->number + 1);
    if (kind == CHANGE_ADD)
        engine_add(leader->engine, &world->change, of + 1, world->nodes[of].address);
    else if (kind == CHANGE_REMOVE)
        engine_remove(leader->engine, &world->change, of + 1);
    else if (kind == CHANGE_TRANSFER)
        engine_transfer(leader->engine, &world->change, of + 1);
    else
        engine_assign(leader->engine, &world->change, of + 1,
                      kind == CHANGE_VOTER ? ENGINE_VOTER : ENGINE_STANDBY);
    (void)process_memory_select(before);
}

static void change_act(struct quorum_world *world)
{
    struct quorum_node *leader = quorum_leader(world);
    if (world->change_at >= 0 || leader == NULL)
        return;
    struct engine_member members[QUORUM_NODES];
    uint32_t count = engine_members(leader->engine, members, QUORUM_NODES);
    uint32_t voters = 0;
    for (uint32_t i = 0; i < count; i++)
        voters += members[i].role == ENGINE_VOTER;
    uint32_t of = (uint32_t)random_below(&world->random, QUORUM_NODES);
    struct quorum_node *node = &world->nodes[of];
    const struct engine_member *member = NULL;
    for (uint32_t i = 0; i < count; i++)
        if (members[i].id == of + 1)
            member = &members[i];
    if (member == NULL) {
        if (!world->changes)
            return;
        if (!node->exists && node->disk == NULL) {
            quorum_node_init(world, of, false);
            quorum_node_start(node);
        }
        if (node->exists)
            change_start(world, leader, CHANGE_ADD, of);
    } else if (world->transfers && member->role == ENGINE_VOTER &&
               random_chance(&world->random, 1, 2)) {
        change_start(world, leader, CHANGE_TRANSFER, of);
    } else if (world->changes && member->role == ENGINE_VOTER) {
        if (voters > 3)
            change_start(world, leader,
                         random_chance(&world->random, 1, 2) ? CHANGE_REMOVE : CHANGE_STANDBY, of);
    } else if (world->changes) {
        change_start(world, leader,
                     member->role == ENGINE_SPARE && random_chance(&world->random, 1, 2)
                         ? CHANGE_STANDBY
                         : CHANGE_VOTER,
                     of);
    }
}

/* A removed node is stopped, as its operator is told to. Its disk is never used again. */
static void removed_look(struct quorum_world *world)
{
    for (uint32_t i = 0; i < QUORUM_NODES; i++)
        if (!world->nodes[i].exists && world->nodes[i].is_up)
            quorum_node_crash(&world->nodes[i], false);
}

/* ---- faults ---- */

static void disk_limit(struct quorum_node *node, bool full)
{
    struct storage_space space = {0};
    simulated_storage_limit(node->disk, UINT64_MAX);
    node->disk_is_full = full;
    if (full && storage_space(simulated_storage_seam(node->disk), &space) == ERROR_NONE)
        simulated_storage_limit(node->disk, space.total_bytes - space.free_bytes +
                                                random_below(&node->world->random, 3000));
}

static void fail_calls(struct quorum_node *node)
{
    struct simulated_fault fault = {.operations = SIMULATED_CHANGE & ~(unsigned)SIMULATED_REMOVE,
                                    .countdown = (long)random_below(&node->world->random, 12),
                                    .error = ERROR_STORAGE};
    simulated_storage_fail(node->disk, &fault);
}

static void network_choose(struct quorum_world *world)
{
    struct network_settings *settings = simulated_network_settings(world->network);
    struct random *random = &world->random;
    *settings = (struct network_settings){
        .delay_min_us = 100,
        .delay_max_us = random_between(random, 200, 30000),
        .lost_per_1000 = random_chance(random, 1, 2) ? (uint32_t)random_below(random, 200) : 0,
        .late_per_1000 = random_chance(random, 1, 2) ? (uint32_t)random_below(random, 20) : 0,
        /* Never repeated nor reordered: libraft speaks over connections and counts on it. */
    };
}

static void cut_some(struct quorum_world *world)
{
    struct random *random = &world->random;
    if (random_chance(random, 1, 3)) {
        uint32_t from = (uint32_t)random_below(random, QUORUM_NODES);
        uint32_t to = (uint32_t)random_below(random, QUORUM_NODES);
        simulated_network_cut(world->network, from, to, true);
        return;
    }
    uint64_t side = random_next(random);
    for (uint32_t from = 0; from < QUORUM_NODES; from++)
        for (uint32_t to = 0; to < QUORUM_NODES; to++)
            if ((side >> from & 1) != (side >> to & 1))
                simulated_network_cut(world->network, from, to, true);
}

static void fault_act(struct quorum_world *world)
{
    struct random *random = &world->random;
    struct quorum_node *node = &world->nodes[random_below(random, QUORUM_NODES)];
    struct quorum_node *leader = quorum_leader(world);
    if (leader != NULL && random_chance(random, 1, 3))
        node = leader;
    uint64_t kind = random_below(random, 12);
    if (kind == 0 && world->power_cuts && node->is_up)
        quorum_node_crash(node, true);
    else if (kind == 1 && world->kills && node->is_up)
        quorum_node_crash(node, false);
    else if (kind == 2 && world->kills && node->is_up &&
             !simulated_network_is_paused(world->network, node->number))
        quorum_node_stop(node);
    else if (kind == 3 && world->pauses && node->is_up)
        simulated_network_pause(world->network, node->number,
                                !simulated_network_is_paused(world->network, node->number));
    else if (kind == 4 && world->cuts)
        cut_some(world);
    else if (kind == 5)
        simulated_network_heal(world->network);
    else if (kind == 6)
        network_choose(world);
    else if (kind == 7 && world->failed_writes && node->disk != NULL)
        fail_calls(node);
    else if (kind == 8 && world->full_disks && node->disk != NULL)
        disk_limit(node, !node->disk_is_full);
    else if (kind == 9 && world->slow_disks && node->disk != NULL)
        simulated_executor_work_takes(node->events, random_between(random, 0, 300));
    else if (kind == 10 && world->power_cuts && random_chance(random, 1, 5))
        for (uint32_t i = 0; i < QUORUM_NODES; i++)
            if (world->nodes[i].is_up)
                quorum_node_crash(&world->nodes[i], true);
}

/* What is down comes back sooner or later. */
static void restart_some(struct quorum_world *world, bool all)
{
    for (uint32_t i = 0; i < QUORUM_NODES; i++) {
        struct quorum_node *node = &world->nodes[i];
        if (node->exists && !node->is_up && (all || random_chance(&world->random, 1, 4))) {
            simulated_storage_fail_end(node->disk);
            quorum_node_start(node);
        }
    }
}

static void faults_choose(struct quorum_world *world)
{
    struct random *random = &world->random;
    bool calm = random_chance(random, 1, 10);
    world->power_cuts = !calm && random_chance(random, 2, 3);
    world->kills = !calm && random_chance(random, 1, 2);
    world->pauses = !calm && random_chance(random, 1, 2);
    world->cuts = !calm && random_chance(random, 2, 3);
    world->failed_writes = !calm && random_chance(random, 1, 3);
    world->full_disks = !calm && random_chance(random, 1, 4);
    world->slow_disks = random_chance(random, 1, 3);
    world->changes = random_chance(random, 1, 2);
    world->transfers = random_chance(random, 1, 3);
}

/* ---- a run ---- */

static void step(struct quorum_world *world)
{
    uint64_t choice = random_below(&world->random, 100);
    if (choice < 40)
        client_act(world, &world->clients[random_below(&world->random, QUORUM_CLIENTS)], false);
    else if (choice < 42)
        fault_act(world);
    else if (choice < 43)
        restart_some(world, false);
    else if (choice < 44)
        change_act(world);
    else if (choice < 47)
        quorum_run_for(world, random_between(&world->random, 0, 700));
    else
        for (uint64_t i = random_below(&world->random, 30); i > 0; i--)
            (void)quorum_step(world);
    removed_look(world);
}

static void calm(struct quorum_world *world)
{
    simulated_network_heal(world->network);
    *simulated_network_settings(world->network) =
        (struct network_settings){.delay_min_us = 100, .delay_max_us = 2000};
    for (uint32_t i = 0; i < QUORUM_NODES; i++) {
        struct quorum_node *node = &world->nodes[i];
        if (node->disk == NULL)
            continue;
        simulated_storage_fail_end(node->disk);
        disk_limit(node, false);
        simulated_executor_work_takes(node->events, 2);
    }
    restart_some(world, true);
}

static bool settled(struct quorum_world *world)
{
    for (int i = 0; i < QUORUM_CLIENTS; i++)
        if (!uuid_is_zero(&world->clients[i].id))
            return false;
    struct quorum_node *leader = quorum_leader(world);
    if (leader == NULL || world->change_at >= 0)
        return false;
    struct engine_member members[QUORUM_NODES];
    uint32_t count = engine_members(leader->engine, members, QUORUM_NODES);
    uint64_t commit = engine_state(leader->engine).commit_index;
    for (uint32_t i = 0; i < count; i++) {
        struct quorum_node *node = &world->nodes[members[i].id - 1];
        if (members[i].role != ENGINE_SPARE && node->exists &&
            (!node->is_up || engine_state(node->engine).applied_index != commit))
            return false;
    }
    return true;
}

/* Lets everything end; false when it does not in time. */
static bool settle(struct quorum_world *world)
{
    int64_t end_ms = quorum_now_ms(world) + FINISH_MS;
    while (quorum_now_ms(world) < end_ms) {
        for (int i = 0; i < QUORUM_CLIENTS; i++)
            client_act(world, &world->clients[i], true);
        quorum_run_for(world, 20);
        removed_look(world);
        restart_some(world, true);
        if (settled(world))
            return true;
    }
    return false;
}

/* What was answered lately has the same answer still. */
static void reask(struct quorum_world *world)
{
    size_t first = world->answer_count > REASKED ? world->answer_count - REASKED : 0;
    size_t count = world->answer_count;
    for (size_t i = first; i < count; i++) {
        world->clients[i % QUORUM_CLIENTS].id = world->answers[i].id;
        if (i % QUORUM_CLIENTS == QUORUM_CLIENTS - 1 && !settle(world))
            quorum_fail(world, "what is asked for again is not answered");
    }
    if (!settle(world))
        quorum_fail(world, "what is asked for again is not answered");
    if (world->answer_count != count)
        quorum_fail(world, "an answered command is not remembered");
}

static void tell_state(struct quorum_world *world)
{
    for (int i = 0; i < QUORUM_CLIENTS; i++)
        quorum_say(world, "client %d waits %d at %d", i, !uuid_is_zero(&world->clients[i].id),
                   (int)world->clients[i].at);
    quorum_say(world, "change %d of %d at %d", world->change_kind, (int)world->change_of,
               (int)world->change_at);
    for (uint32_t i = 0; i < QUORUM_NODES; i++) {
        struct quorum_node *node = &world->nodes[i];
        if (!node->is_up)
            continue;
        struct engine_state state = engine_state(node->engine);
        quorum_say(world,
                   "node %u role %d leader %" PRIu64 " term %" PRIu64 " commit %" PRIu64
                   " applied %" PRIu64,
                   i, state.role, state.leader_id, state.term, state.commit_index,
                   state.applied_index);
    }
}

static void finish(struct quorum_world *world)
{
    calm(world);
    bool ended = settle(world);
    if (!ended)
        tell_state(world);
    if (!ended)
        quorum_fail(world, "without faults the quorum does not settle");
    reask(world);
    for (uint32_t i = 0; i < QUORUM_NODES; i++)
        if (world->nodes[i].is_up)
            quorum_node_stop(&world->nodes[i]);
}

static uint64_t run_seed(uint64_t seed, int64_t steps, bool verbose, bool figure8,
                         struct quorum_plants plants)
{
    struct quorum_world *world = simulation_allocate(sizeof *world);
    world->seed = seed;
    world->verbose = verbose;
    world->figure8 = figure8;
    world->plants = plants;
    world->change_at = -1;
    world->clock = (struct simulated_clock){.now_ns = INT64_C(1000) * 1000000,
                                            .wall_at_zero_ms = SIMULATED_WALL_CLOCK_MS};
    random_seed(&world->random, seed);
    world->network = simulated_network_new(seed, &world->clock);
    static const uint32_t sizes[] = {1, 3, 3, 3, 5, 5};
    world->founders = sizes[random_below(&world->random, 6)];
    if (figure8)
        world->founders = 5;
    faults_choose(world);
    network_choose(world);
    for (int i = 0; i < QUORUM_CLIENTS; i++)
        world->clients[i] = (struct quorum_client){.world = world, .at = -1};
    printf("seed %" PRIu64, seed);
    (void)fflush(stdout);
    for (uint32_t i = 0; i < world->founders; i++) {
        quorum_node_init(world, i, true);
        quorum_node_start(&world->nodes[i]);
    }
    for (world->step = 0; world->step < (figure8 ? steps / 10 : steps); world->step++)
        (figure8 ? quorum_figure8_step : step)(world);
    finish(world);
    for (uint32_t i = 0; i < QUORUM_NODES; i++)
        if (world->nodes[i].disk != NULL)
            quorum_node_done(&world->nodes[i]);
    simulated_network_free(world->network);
    uint64_t trace = world->trace;
    printf(" trace %016" PRIx64 " answered %zu applied %" PRId64 " elections %" PRIu64
           " crashes %" PRIu64 "\n",
           trace, world->answer_count, world->applied_last, world->elections, world->crashes);
    free(world->answers);
    free(world);
    return trace;
}

static bool plant(struct quorum_plants *plants, const char *name)
{
    if (strcmp(name, "vote_not_synced") == 0)
        plants->vote_not_synced = true;
    else if (strcmp(name, "append_not_synced") == 0)
        plants->append_not_synced = true;
    else
        return false;
    return true;
}

int main(int count, char **words)
{
    static const struct option options[] = {
        {"seed", required_argument, NULL, 's'},  {"steps", required_argument, NULL, 'n'},
        {"count", required_argument, NULL, 'c'}, {"twice", no_argument, NULL, 't'},
        {"verbose", no_argument, NULL, 'v'},     {"plant", required_argument, NULL, 'p'},
        {"figure8", no_argument, NULL, 'f'},     {NULL, 0, NULL, 0}};
    uint64_t seed = 1;
    uint64_t seeds = 1;
    int64_t steps = STEPS_DEFAULT;
    bool twice = false;
    bool verbose = false;
    bool figure8 = false;
    struct quorum_plants plants = {false, false};
    int option;
    while ((option = getopt_long(count, words, "", options, NULL)) != -1) {
        if (option == 's')
            seed = strtoull(optarg, NULL, 0);
        else if (option == 'n')
            steps = strtoll(optarg, NULL, 0);
        else if (option == 'c')
            seeds = strtoull(optarg, NULL, 0);
        else if (option == 't')
            twice = true;
        else if (option == 'v')
            verbose = true;
        else if (option == 'f')
            figure8 = true;
        else if (option != 'p' || !plant(&plants, optarg))
            return 2;
    }
    for (uint64_t i = 0; i < seeds; i++) {
        uint64_t trace = run_seed(seed + i, steps, verbose, figure8, plants);
        if (twice && run_seed(seed + i, steps, verbose, figure8, plants) != trace) {
            printf("BROKEN seed=%" PRIu64 ": the second run went another way\n", seed + i);
            return 1;
        }
    }
    return 0;
}
