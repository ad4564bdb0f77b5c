/* SPDX-License-Identifier: Apache-2.0 */
/* The simulator: one node of topicfs, its clients and a disk that fails, from one seed.
 *
 *   simulate --seed N [--steps M] [--count K] [--twice] [--verbose]
 *
 * Runs seeds N to N + K - 1; prints each before it begins and its trace at its end. A broken
 * promise ends it with status 1, after a line that names it. What may break, and why it must be
 * survived, is at the top of simulated_storage.h; what is promised, at the top of model.h. */
#include "sim/clients.h"
#include "sim/faults.h"

#include "base/assertion.h"
#include "sim/simulated_file.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STEPS_DEFAULT = 1500, FINISH_TRIES = 4000 };

static const struct node_setting settings[] = {{"offsets.topic.num.partitions", "2"},
                                               {"num.partitions", "1"},
                                               {"log.flush.offset.checkpoint.interval.ms", "3000"},
                                               {"log.retention.check.interval.ms", "2000"},
                                               {"log.retention.ms", "-1"},
                                               {NULL, NULL}};

void world_fail(const struct world *world, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printf("BROKEN seed=%llu step=%lld: ", (unsigned long long)world->seed, (long long)world->step);
    (void)vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
    (void)fflush(stdout);
    _exit(1);
}

void world_say(const struct world *world, const char *format, ...)
{
    if (!world->verbose)
        return;
    va_list arguments;
    va_start(arguments, format);
    printf("%6lld ", (long long)world->step);
    (void)vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
    (void)fflush(stdout);
}

void world_trace(struct world *world, uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t facts[] = {a, b, c, (uint64_t)simulated_executor_clock(world->node.events)->now_ns};
    world->trace = simulated_hash(world->trace, facts, sizeof facts);
}

static void catalog_applied(struct node *node, int64_t index, uint64_t hash)
{
    model_catalog_applied(node->context, index, hash);
}

static void world_init(struct world *world, uint64_t seed, bool verbose)
{
    *world = (struct world){.seed = seed, .verbose = verbose};
    random_seed(&world->random, seed);
    node_init(&world->node, seed, settings);
    world->node.verbose = verbose;
    world->node.applied = catalog_applied;
    world->node.context = world;
    world->model = model_new();
    world->producers = producers_new(world);
    world->consumers = consumers_new(world);
    world->committers = committers_new(world);
    world->admin = admin_new(world);
    faults_choose(world);
}

static void world_done(struct world *world)
{
    producers_free(world->producers);
    consumers_free(world->consumers);
    committers_free(world->committers);
    admin_free(world->admin);
    model_free(world->model);
    node_done(&world->node);
}

/* Some events of the node, or some time. */
static void run_events(struct world *world)
{
    uint64_t count = random_below(&world->random, 12);
    for (uint64_t i = 0; i < count; i++) {
        (void)simulated_executor_step(world->node.events);
        node_look(&world->node);
    }
}

static void step(struct world *world)
{
    uint64_t choice = random_below(&world->random, 100);
    if (choice < 30)
        producers_act(world);
    else if (choice < 40)
        consumers_act(world);
    else if (choice < 47)
        committers_act(world);
    else if (choice < 52)
        admin_act(world);
    else if (choice < 54)
        faults_act(world);
    else if (choice < 55)
        simulated_executor_run_for(world->node.events, random_between(&world->random, 0, 5000));
    else
        run_events(world);
    faults_watch(world);
}

/* No more faults and nothing new: all that is under way ends, then everything is read. */
static void finish(struct world *world)
{
    faults_end(world);
    bool finished = false;
    for (int i = 0; i < FINISH_TRIES && !finished; i++) {
        simulated_executor_run_for(world->node.events, 100);
        finished = producers_finish(world) && consumers_idle(world) && committers_idle(world) &&
                   admin_idle(world);
    }
    if (!finished)
        world_fail(world, "what is under way does not end");
    simulated_executor_run_for(world->node.events, 10000);
    world_read_all(world);
    committers_verify(world);
    simulated_executor_run_for(world->node.events, 10000);
    /* Once more, as found after a clean stop. */
    faults_restart(world, FAULT_CLEAN_STOP);
    simulated_executor_run_for(world->node.events, 10000);
    world_read_all(world);
    committers_verify(world);
    simulated_executor_run_for(world->node.events, 10000);
    enum error error = node_stop(&world->node);
    if (error != ERROR_NONE)
        world_fail(world, "a clean stop: %s", error_text(error));
}

static uint64_t run_seed(uint64_t seed, int64_t steps, bool verbose)
{
    struct world world;
    world_init(&world, seed, verbose);
    printf("seed %llu", (unsigned long long)seed);
    (void)fflush(stdout);
    enum error error = node_start(&world.node);
    ASSERT(error == ERROR_NONE);
    for (world.step = 0; world.step < steps; world.step++)
        step(&world);
    finish(&world);
    uint64_t end[] = {simulated_executor_trace(world.node.events),
                      simulated_storage_dump(world.node.disk)};
    uint64_t trace = simulated_hash(world.trace, end, sizeof end);
    printf(" trace %016llx acknowledged %llu read %llu crashes %llu\n", (unsigned long long)trace,
           (unsigned long long)world.acknowledged, (unsigned long long)world.observed,
           (unsigned long long)world.crashes);
    world_done(&world);
    return trace;
}

int main(int count, char **words)
{
    static const struct option options[] = {
        {"seed", required_argument, NULL, 's'},  {"steps", required_argument, NULL, 'n'},
        {"count", required_argument, NULL, 'c'}, {"twice", no_argument, NULL, 't'},
        {"verbose", no_argument, NULL, 'v'},     {NULL, 0, NULL, 0}};
    uint64_t seed = 1;
    uint64_t seeds = 1;
    int64_t steps = STEPS_DEFAULT;
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
        else if (option == 't')
            twice = true;
        else if (option == 'v')
            verbose = true;
        else
            return 2;
    }
    for (uint64_t i = 0; i < seeds; i++) {
        uint64_t trace = run_seed(seed + i, steps, verbose);
        if (twice && run_seed(seed + i, steps, verbose) != trace) {
            printf("BROKEN seed=%llu: the second run went another way\n",
                   (unsigned long long)(seed + i));
            return 1;
        }
    }
    return 0;
}
