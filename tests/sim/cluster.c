/* SPDX-License-Identifier: Apache-2.0 */
/* Seeds of simulated clusters.
 *
 *   simulate_cluster --seed N [--nodes 3..7] [--count K] [--steps M] [--twice] [--verbose] */
#include "sim/cluster.h"

#include "base/assertion.h"
#include "sim/process_memory.h"
#include "sim/simulated_file.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    STEPS_DEFAULT = 1500,
    NS_PER_MS = 1000000,
    FINISH_MS = 180000 /* Without faults all is answered within this. */
};

int64_t cluster_now_ms(const struct cluster *cluster)
{
    return cluster->clock.now_ns / NS_PER_MS;
}

void cluster_fail(const struct cluster *cluster, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printf("\nBROKEN seed=%" PRIu64 " step=%" PRId64 " ms=%" PRId64 ": ", cluster->seed,
           cluster->step, cluster_now_ms(cluster));
    (void)vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
    (void)fflush(stdout);
    _exit(1);
}

void cluster_say(const struct cluster *cluster, const char *format, ...)
{
    if (!cluster->verbose)
        return;
    va_list arguments;
    va_start(arguments, format);
    printf("%6" PRId64 " %8" PRId64 " ", cluster->step, cluster_now_ms(cluster));
    (void)vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
    (void)fflush(stdout);
}

/* ---- what the callers ask ---- */

static struct cluster *cluster_of(struct caller_world *world)
{
    return container_of(world, struct cluster, world);
}

static struct broker *broker_of(struct caller_world *world, uint32_t number)
{
    struct cluster *cluster = cluster_of(world);
    if (number >= cluster->node_count || !cluster_node_is_up(&cluster->nodes[number]))
        return NULL;
    return &cluster->nodes[number].core.broker;
}

static struct simulated_served *served_of(struct caller_world *world, uint32_t number)
{
    struct cluster *cluster = cluster_of(world);
    if (number >= cluster->node_count || !cluster_node_is_up(&cluster->nodes[number]))
        return NULL;
    return &cluster->nodes[number].served;
}

static struct simulated_caller *caller_of(struct caller_world *world, uint32_t number)
{
    struct cluster *cluster = cluster_of(world);
    if (number == CLUSTER_CLIENT)
        return &cluster->client;
    if (number >= cluster->node_count || !cluster_node_is_up(&cluster->nodes[number]))
        return NULL;
    return &cluster->nodes[number].caller;
}

static int32_t place_of(struct caller_world *world, uint32_t from, const struct call *call)
{
    struct cluster *cluster = cluster_of(world);
    if (call->node_id < 0)
        return cluster_slot_at(cluster, call->host);
    if (from != CLUSTER_CLIENT)
        return cluster_slot_of_id(&cluster->nodes[from], call->node_id);
    return call->node_id < CLUSTER_NODE_IDS ? cluster->slots[call->node_id] : -1;
}

static int32_t id_of(struct caller_world *world, uint32_t number)
{
    const struct founding *founding = &cluster_of(world)->nodes[number].founding;
    return founding->agreed ? founding->node_id : -1;
}

static bool admits(struct caller_world *world, uint32_t number, int16_t key)
{
    return cluster_node_admits(&cluster_of(world)->nodes[number], key);
}

static void refused(struct caller_world *world, uint32_t from, int32_t node_id)
{
    if (from != CLUSTER_CLIENT && node_id >= 0)
        core_node_unreachable(&cluster_of(world)->nodes[from].core, node_id);
}

/* ---- events ---- */

static void deaths_look(struct cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->node_count; i++)
        if (cluster_node_is_up(&cluster->nodes[i]) && cluster->nodes[i].dead)
            cluster_node_crash(&cluster->nodes[i], false);
}

/* Whose event comes next: CLUSTER_NODES for the network's, one more for the clients'; -1: none. */
static int next_of(struct cluster *cluster)
{
    int next = -1;
    int64_t next_ns = 0;
    for (int i = 0; i < CLUSTER_NODES + 2; i++) {
        struct simulated_executor *events = i == CLUSTER_NODES
                                                ? simulated_network_events(cluster->network)
                                                : cluster->client_events;
        if (i < CLUSTER_NODES) {
            if ((uint32_t)i >= cluster->node_count || !cluster_node_is_up(&cluster->nodes[i]) ||
                simulated_network_is_paused(cluster->network, (uint32_t)i))
                continue;
            events = cluster->nodes[i].events;
        }
        int64_t due_ns = simulated_executor_next_ns(events);
        if (due_ns >= 0 && (next < 0 || due_ns < next_ns)) {
            next = i;
            next_ns = due_ns;
        }
    }
    return next;
}

static bool cluster_step(struct cluster *cluster)
{
    int next = next_of(cluster);
    if (next < 0)
        return false;
    if (next == CLUSTER_NODES) {
        (void)simulated_executor_step(simulated_network_events(cluster->network));
    } else {
        uint32_t process = next > CLUSTER_NODES ? CLUSTER_CLIENT + 1 : (uint32_t)next + 1;
        uint32_t before = process_memory_select(process);
        (void)simulated_executor_step(next > CLUSTER_NODES ? cluster->client_events
                                                           : cluster->nodes[next].events);
        (void)process_memory_select(before);
    }
    deaths_look(cluster);
    return true;
}

static void run_for(struct cluster *cluster, int64_t ms)
{
    int64_t end_ns = cluster->clock.now_ns + ms * NS_PER_MS;
    while (cluster->clock.now_ns < end_ns)
        if (!cluster_step(cluster))
            break;
}

/* ---- faults ---- */

static void faults_choose(struct cluster *cluster)
{
    struct random *random = &cluster->random;
    bool calm = random_chance(random, 1, 10);
    cluster->faults = (struct cluster_faults){
        .power_cuts = !calm && random_chance(random, 2, 3),
        .kills = !calm && random_chance(random, 1, 2),
        .pauses = !calm && random_chance(random, 1, 2),
        .cuts = !calm && random_chance(random, 1, 2),
        .failed_writes = !calm && random_chance(random, 1, 4),
        .failed_syncs = !calm && random_chance(random, 1, 4),
        .full_disks = !calm && random_chance(random, 1, 5),
        .slow_disks = random_chance(random, 1, 3),
        .clock_jumps = !calm && random_chance(random, 1, 3),
        .losses = !calm && random_chance(random, 1, 2),
        .reassignments = random_chance(random, 1, 2),
        .joins = random_chance(random, 1, 2),
        .drains = random_chance(random, 1, 3),
        .lost_disks = !calm && random_chance(random, 1, 3),
    };
    cluster->replicated = random_chance(random, 1, 5);
    cluster->faults.moments =
        cluster->faults.power_cuts && (cluster->replicated || random_chance(random, 1, 4));
    if (cluster->replicated) /* Nobody asks whether a node that they take down may go. */
        cluster->faults.failed_writes = cluster->faults.failed_syncs = cluster->faults.full_disks =
            false;
}

static void network_choose(struct cluster *cluster, bool calm)
{
    struct random *random = &cluster->random;
    bool losses = !calm && cluster->faults.losses;
    *simulated_network_settings(cluster->network) = (struct network_settings){
        .delay_min_us = 100,
        .delay_max_us = calm ? 2000 : random_between(random, 200, 20000),
        .lost_per_1000 = losses ? (uint32_t)random_below(random, 50) : 0,
        .late_per_1000 = losses ? (uint32_t)random_below(random, 10) : 0,
    };
}

static void cut_some(struct cluster *cluster)
{
    struct random *random = &cluster->random;
    if (random_chance(random, 1, 3)) {
        uint32_t from = (uint32_t)random_below(random, cluster->node_count);
        uint32_t to = (uint32_t)random_below(random, cluster->node_count);
        cluster_say(cluster, "cut %u -> %u", from, to);
        simulated_network_cut(cluster->network, from, to, true);
        return;
    }
    uint64_t side = random_next(random);
    cluster_say(cluster, "partition %x", (unsigned)(side & 127));
    for (uint32_t from = 0; from < cluster->node_count; from++)
        for (uint32_t to = 0; to < cluster->node_count; to++)
            if ((side >> from & 1) != (side >> to & 1))
                simulated_network_cut(cluster->network, from, to, true);
}

static void disk_limit(struct cluster_node *node, bool full)
{
    struct storage_space space = {0};
    simulated_storage_limit(node->disk, UINT64_MAX);
    node->disk_is_full = full;
    if (full && storage_space(simulated_storage_seam(node->disk), &space) == ERROR_NONE)
        simulated_storage_limit(node->disk, space.total_bytes - space.free_bytes +
                                                random_below(&node->cluster->random, 3000));
}

/* A sync that fails ends with a power cut: only that shows what is on the disk. */
static void fail_calls(struct cluster_node *node)
{
    const struct cluster_faults *faults = &node->cluster->faults;
    struct random *random = &node->cluster->random;
    bool sync = faults->failed_syncs && (!faults->failed_writes || random_chance(random, 1, 2));
    if (!faults->failed_syncs && !faults->failed_writes)
        return;
    struct simulated_fault fault = {.operations =
                                        sync ? SIMULATED_SYNC | SIMULATED_SYNC_DIRECTORY
                                             : SIMULATED_WRITE | SIMULATED_OPEN | SIMULATED_RENAME,
                                    .countdown = (long)random_below(random, 12),
                                    .error = ERROR_STORAGE};
    simulated_storage_fail(node->disk, &fault);
    node->sync_armed = sync;
    node->disk_failed = true;
}

/* Nodes whose disk failed a sync: their operator takes them down. */
static void failed_look(struct cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        struct cluster_node *node = &cluster->nodes[i];
        if (!node->sync_armed || simulated_storage_faults_met(node->disk) == 0)
            continue;
        node->sync_armed = false;
        if (cluster_node_is_up(node))
            cluster_node_crash(node, true);
    }
}

static void fault_act(struct cluster *cluster)
{
    struct random *random = &cluster->random;
    const struct cluster_faults *faults = &cluster->faults;
    struct cluster_node *node = &cluster->nodes[random_below(random, cluster->node_count)];
    bool up = cluster_node_is_up(node);
    uint64_t kind = random_below(random, 11);
    if (kind == 10)
        fail_calls(node);
    else if (kind == 0 && faults->power_cuts && up && cluster_can_crash(node))
        cluster_node_crash(node, true);
    else if (kind == 1 && faults->kills && up && cluster_can_crash(node))
        cluster_node_crash(node, false);
    else if (kind == 2 && faults->pauses && up) {
        bool paused = simulated_network_is_paused(cluster->network, node->number);
        cluster_say(cluster, "node %u %s", node->number, paused ? "goes on" : "pauses");
        simulated_network_pause(cluster->network, node->number, !paused);
    } else if (kind == 3 && faults->cuts)
        cut_some(cluster);
    else if (kind == 4 || kind == 5)
        simulated_network_heal(cluster->network);
    else if (kind == 6)
        network_choose(cluster, false);
    else if (kind == 7 && faults->full_disks)
        disk_limit(node, !node->disk_is_full);
    else if (kind == 8 && faults->slow_disks)
        simulated_executor_work_takes(node->events, random_between(random, 0, 200));
    else if (kind == 9 && faults->clock_jumps)
        simulated_executor_skew(node->events, random_between(random, -3600000, 3600000));
    else if (kind == 9 && faults->power_cuts && !cluster->replicated && random_chance(random, 1, 4))
        for (uint32_t i = 0; i < cluster->node_count; i++)
            if (cluster_node_is_up(&cluster->nodes[i]))
                cluster_node_crash(&cluster->nodes[i], true);
}

static void restart_some(struct cluster *cluster, bool all)
{
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        struct cluster_node *node = &cluster->nodes[i];
        if (!cluster_node_is_up(node) && !node->removed &&
            (all || random_chance(&cluster->random, 1, 3)))
            cluster_node_start(node);
    }
}

/* ---- a run ---- */

static void step(struct cluster *cluster)
{
    uint64_t choice = random_below(&cluster->random, 100);
    if (choice < 3)
        fault_act(cluster);
    else if (choice < 5)
        restart_some(cluster, false);
    else if (choice < 10)
        run_for(cluster, random_between(&cluster->random, 0, 800));
    else
        for (uint64_t i = random_below(&cluster->random, 60); i > 0; i--)
            (void)cluster_step(cluster);
    failed_look(cluster);
    cluster_moment_act(cluster);
    cluster_clients_act(cluster, false);
    if (random_chance(&cluster->random, 1, 8))
        cluster_check(cluster);
}

static void calm(struct cluster *cluster)
{
    cluster_say(cluster, "calm");
    failed_look(cluster);
    bool spared = false;
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        struct cluster_node *node = &cluster->nodes[i];
        simulated_storage_fail_end(node->disk);
        /* One node whose disk failed stays as it is, if nobody else comes and goes: others lead
         * what it cannot any more. */
        if (node->disk_failed && cluster_node_is_up(node)) {
            if (!spared && cluster_can_spare(node))
                spared = true;
            else
                cluster_node_crash(node, false);
        }
        node->disk_failed = false;
        disk_limit(node, false);
        simulated_executor_work_takes(node->events, 2);
    }
    cluster->spared += spared;
    cluster->faults.moments = false;
    simulated_network_heal(cluster->network);
    network_choose(cluster, true);
}

static void settle(struct cluster *cluster, bool (*ended)(struct cluster *cluster),
                   const char *otherwise)
{
    int64_t end_ms = cluster_now_ms(cluster) + FINISH_MS;
    while (!ended(cluster)) {
        if (cluster_now_ms(cluster) > end_ms) {
            if (cluster->verbose)
                cluster_tell(cluster);
            cluster_fail(cluster, "%s", otherwise);
        }
        cluster_clients_act(cluster, true);
        run_for(cluster, 20);
        restart_some(cluster, true);
    }
}

static void finish(struct cluster *cluster)
{
    calm(cluster);
    settle(cluster, cluster_clients_idle, "without faults not everything is answered");
    settle(cluster, cluster_clients_quiet, "a reader has no answer");
    cluster_committers_finish(cluster);
    settle(cluster, cluster_committers_finished,
           "a group's offsets are not committed or cannot be asked for");
    cluster_read_all(cluster);
    settle(cluster, cluster_read_all_done, "not all that was acknowledged can be read");
    settle(cluster, cluster_clients_quiet, "a reader has no answer");
    cluster_check(cluster);
}

static void cluster_open(struct cluster *cluster, uint64_t seed, uint32_t nodes, bool verbose)
{
    *cluster = (struct cluster){.world = {.broker_of = broker_of,
                                          .served_of = served_of,
                                          .caller_of = caller_of,
                                          .place_of = place_of,
                                          .id_of = id_of,
                                          .admits = admits,
                                          .refused = refused},
                                .seed = seed,
                                .verbose = verbose};
    cluster->clock = (struct simulated_clock){.now_ns = INT64_C(1000) * NS_PER_MS,
                                              .wall_at_zero_ms = SIMULATED_WALL_CLOCK_MS};
    random_seed(&cluster->random, seed);
    static const uint32_t sizes[] = {3, 3, 3, 4, 5, 7};
    cluster->founder_count = nodes != 0 ? nodes : sizes[random_below(&cluster->random, 6)];
    cluster->node_count = cluster->founder_count;
    for (uint32_t i = 0; i < CLUSTER_NODE_IDS; i++)
        cluster->slots[i] = -1;
    cluster->network = simulated_network_new(seed, &cluster->clock);
    cluster->client_events = simulated_executor_new(seed ^ 0xc11e, &cluster->clock);
    cluster->client =
        (struct simulated_caller){.world = &cluster->world,
                                  .network = cluster->network,
                                  .executor = simulated_executor_seam(cluster->client_events),
                                  .node = CLUSTER_CLIENT,
                                  .is_client = true,
                                  .next_connection = &cluster->connections};
    simulated_caller_init(&cluster->client);
    simulated_network_up(cluster->network, CLUSTER_CLIENT, true);
    faults_choose(cluster);
    network_choose(cluster, false);
    cluster_clients_init(cluster);
    cluster_checks_init(cluster);
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        cluster_node_init(cluster, i);
        cluster_node_start(&cluster->nodes[i]);
    }
}

static void cluster_close(struct cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        if (cluster_node_is_up(&cluster->nodes[i]))
            cluster_node_crash(&cluster->nodes[i], false);
        cluster_node_done(&cluster->nodes[i]);
    }
    simulated_network_up(cluster->network, CLUSTER_CLIENT, false);
    uint32_t before = process_memory_select(CLUSTER_CLIENT + 1);
    simulated_network_free(cluster->network);
    process_memory_forget();
    (void)process_memory_select(before);
    simulated_executor_free(cluster->client_events);
    cluster_clients_done(cluster);
    cluster_checks_done(cluster);
}

static uint64_t run_seed(uint64_t seed, uint32_t nodes, int64_t steps, bool verbose)
{
    struct cluster *cluster = simulation_allocate(sizeof *cluster);
    printf("seed %" PRIu64, seed);
    (void)fflush(stdout);
    cluster_open(cluster, seed, nodes, verbose);
    for (cluster->step = 0; cluster->step < steps; cluster->step++)
        step(cluster);
    finish(cluster);
    uint64_t trace = cluster->trace;
    cluster_say(cluster, "%u failed disks were left as they were", cluster->spared);
    printf(" nodes %u trace %016" PRIx64 " acknowledged %" PRIu64 " read %" PRIu64
           " committed %" PRIu64 " crashes %" PRIu64 " ms %" PRId64 "\n",
           cluster->node_count, trace, cluster->acknowledged, cluster->read, cluster->committed,
           cluster->crashes, cluster_now_ms(cluster));
    cluster_close(cluster);
    free(cluster);
    return trace;
}

int main(int count, char **words)
{
    static const struct option options[] = {{"seed", required_argument, NULL, 's'},
                                            {"steps", required_argument, NULL, 'n'},
                                            {"count", required_argument, NULL, 'c'},
                                            {"nodes", required_argument, NULL, 'k'},
                                            {"twice", no_argument, NULL, 't'},
                                            {"verbose", no_argument, NULL, 'v'},
                                            {NULL, 0, NULL, 0}};
    uint64_t seed = 1;
    uint64_t seeds = 1;
    int64_t steps = STEPS_DEFAULT;
    uint32_t nodes = 0;
    bool twice = false;
    bool verbose = false;
    int option;
    while ((option = getopt_long(count, words, "", options, NULL)) != -1) {
        if (option == 's')
            seed = strtoull(optarg, NULL, 0);
        else if (option == 'n')
            steps = strtoll(optarg, NULL, 0);
        else if (option == 'c')
            seeds = strtoull(optarg, NULL, 0);
        else if (option == 'k')
            nodes = (uint32_t)strtoul(optarg, NULL, 0);
        else if (option == 't')
            twice = true;
        else if (option == 'v')
            verbose = true;
        else
            return 2;
    }
    if (nodes != 0 && (nodes < 3 || nodes > CLUSTER_FOUNDERS))
        return 2;
    for (uint64_t i = 0; i < seeds; i++) {
        uint64_t trace = run_seed(seed + i, nodes, steps, verbose);
        if (twice && run_seed(seed + i, nodes, steps, verbose) != trace) {
            printf("BROKEN seed=%" PRIu64 ": the second run went another way\n", seed + i);
            return 1;
        }
    }
    return 0;
}
