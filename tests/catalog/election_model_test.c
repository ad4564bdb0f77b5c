/* SPDX-License-Identifier: Apache-2.0 */
/* Random commands over three to seven nodes, judged after each by the invariants of the cluster
 * written once more and independently: 1, 6, 11-15, 17, 20 and 21; in-sync and eligible replicas
 * hold everything that was committed. ELECTION_MODEL_SEEDS runs more than the usual number,
 * ELECTION_MODEL_SEED one of them. */
#include "base/memory.h"
#include "election_checks.h"

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

enum { SEEDS = 1500, STEPS = 1000 };

struct run {
    struct model model;
    struct simulated_executor *executor;
    struct catalog *twin;     /* The same commands from the start. */
    struct catalog *restored; /* The same commands from a snapshot on; NULL before. */
    int64_t index;
    struct model_history history;
    uint32_t counts[CATALOG_NODE_ID_TAKE + 1]; /* Commands that succeeded. */
};

/* ---- applying ---- */

static enum error apply_everywhere(struct run *run, const struct catalog_command *command)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    struct model_state before, after;
    assert_int_equal(catalog_command_encode(command, &bytes, &size), ERROR_NONE);
    model_state_take(&run->model, &before);
    run->index++;
    struct catalog_outcome outcome = catalog_apply(run->model.catalog, run->index, 1, bytes, size);
    assert_int_equal(catalog_apply(run->twin, run->index, 1, bytes, size).error, outcome.error);
    assert_int_equal(catalog_hash(run->twin), catalog_hash(run->model.catalog));
    if (run->restored != NULL) {
        assert_int_equal(catalog_apply(run->restored, run->index, 1, bytes, size).error,
                         outcome.error);
        assert_int_equal(catalog_hash(run->restored), catalog_hash(run->model.catalog));
    }
    memory_free(bytes);
    model_state_take(&run->model, &after);
    model_check(&run->model, &run->history, command, &outcome, &before, &after);
    if (outcome.error == ERROR_NONE)
        run->counts[command->kind]++;
    return outcome.error;
}

static void restore_midway(struct run *run)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    assert_int_equal(catalog_snapshot(run->model.catalog, &bytes, &size), ERROR_NONE);
    assert_int_equal(catalog_new(simulated_executor_seam(run->executor), &run->restored),
                     ERROR_NONE);
    assert_int_equal(catalog_restore(run->restored, bytes, size), ERROR_NONE);
    memory_free(bytes);
}

/* ---- nodes ---- */

static void start_node(struct run *run, int32_t id)
{
    struct model_node *node = &run->model.nodes[id];
    node->incarnation++;
    struct catalog_command command = node_command(id);
    command.node.incarnation_id = id_of(node->incarnation);
    command.node.directory_id = id_of(node->directory);
    command.node.incarnation_id.bytes[1] = (uint8_t)id;
    command.node.directory_id.bytes[1] = (uint8_t)id;
    /* In a cluster of one it is not. */
    command.node.fenced = !random_chance(&run->model.random, 1, 10);
    command.clean = node->clean && !node->wiped;
    assert_int_equal(apply_everywhere(run, &command), ERROR_NONE);
    node->epoch = run->index;
    node->up = true;
    node->clean = false;
    node->wiped = false;
    model_catch_up(&run->model, id);
}

static void stop_node(struct run *run, int32_t id)
{
    struct model_node *node = &run->model.nodes[id];
    if (!node->up)
        return;
    struct random *random = &run->model.random;
    enum model_stop how = (enum model_stop)random_below(random, 3);
    if (how == MODEL_STOP_CLEAN) {
        struct catalog_command shutdown = {
            .kind = CATALOG_NODE_SHUTDOWN, .node_id = id, .node_epoch = node->epoch};
        (void)apply_everywhere(run, &shutdown);
    }
    model_stop(&run->model, id, how);
    if (random_chance(random, 1, 6))
        model_wipe(&run->model, id);
}

/* The controller fences whom it pleases, and unfences who is there, or was a moment ago; sometimes
 * it speaks of an older registration. */
static void fence_some(struct run *run, int32_t id)
{
    struct random *random = &run->model.random;
    const struct catalog_node *node = catalog_node_find(run->model.catalog, id);
    struct catalog_command command = {
        .kind = CATALOG_NODE_FENCE, .node_id = id, .fenced = random_chance(random, 1, 3)};
    if (node != NULL && random_chance(random, 3, 4))
        command.node_epoch = node->epoch - (random_chance(random, 1, 8) ? 1 : 0);
    if (!command.fenced && !run->model.nodes[id].up && random_chance(random, 3, 4))
        command.fenced = true;
    (void)apply_everywhere(run, &command);
}

static void command_about_node(struct run *run)
{
    struct random *random = &run->model.random;
    int32_t id = (int32_t)random_below(random, run->model.node_count) + 1;
    uint64_t choice = random_below(random, 24);
    if (choice < 4) {
        stop_node(run, id);
    } else if (choice < 11) {
        if (!run->model.nodes[id].up)
            start_node(run, id);
    } else if (choice < 20) {
        fence_some(run, id);
    } else if (choice < 22) {
        struct catalog_command drain = {
            .kind = CATALOG_NODE_DRAIN, .node_id = id, .draining = random_chance(random, 1, 2)};
        (void)apply_everywhere(run, &drain);
    } else if (choice == 22 && random_chance(random, 1, 4)) {
        struct catalog_command unregister = {.kind = CATALOG_NODE_UNREGISTER, .node_id = id};
        (void)apply_everywhere(run, &unregister);
    } else if (choice == 23 && run->model.nodes[id].up) {
        start_node(run, id); /* The same process again? No: another, the old one unnoticed. */
    }
}

/* ---- partitions ---- */

static struct catalog_assignment random_target(struct run *run)
{
    struct random *random = &run->model.random;
    struct catalog_assignment target = {.replica_count = 0};
    uint32_t wanted = (uint32_t)random_below(random, 4) + 1;
    for (int tries = 0; tries < 20 && target.replica_count < wanted; tries++) {
        int32_t id = (int32_t)random_below(random, run->model.node_count) + 1;
        bool there = false;
        for (uint32_t i = 0; i < target.replica_count; i++)
            there = there || target.replicas[i] == id;
        if (!there)
            target.replicas[target.replica_count++] = id;
    }
    return target;
}

static void reassign_some(struct run *run, uint32_t partition)
{
    struct catalog_assignment target = random_target(run);
    struct catalog_command command = {.kind = CATALOG_REASSIGN,
                                      .topic_id = id_of((uint8_t)(partition + 1)),
                                      .assignments = &target,
                                      .assignment_count = random_chance(&run->model.random, 3, 4)};
    (void)apply_everywhere(run, &command);
}

static void elect_some(struct run *run, uint32_t partition)
{
    struct random *random = &run->model.random;
    struct catalog_partition_name names[2] = {{id_of((uint8_t)(partition + 1)), 0},
                                              {id_of((uint8_t)(partition + 1)), 0}};
    struct catalog_command command = {.kind = CATALOG_ELECT_LEADERS,
                                      .unclean = random_chance(random, 1, 6),
                                      .partitions = names,
                                      .partition_count = (uint32_t)random_below(random, 3)};
    (void)apply_everywhere(run, &command);
}

static void configure_some(struct run *run, uint32_t partition)
{
    static const char *const values[] = {"1", "2", "3", NULL};
    struct random *random = &run->model.random;
    bool cluster = random_chance(random, 1, 4);
    struct catalog_pair pair = pair_of("min.insync.replicas", values[random_below(random, 4)]);
    if (random_chance(random, 1, 6))
        pair = pair_of("unclean.leader.election.enable",
                       random_chance(random, 1, 4) ? "true" : "false");
    char name[8] = "";
    if (!cluster)
        snprintf(name, sizeof name, "t%u", partition);
    struct catalog_command command =
        config_command(cluster ? CATALOG_RESOURCE_NODE : CATALOG_RESOURCE_TOPIC, name, &pair, 1);
    assert_int_equal(apply_everywhere(run, &command), ERROR_NONE);
}

/* A proposal on its way arrives; or one is made up by somebody who has no business to. */
static void deliver(struct run *run)
{
    struct random *random = &run->model.random;
    int32_t node;
    uint32_t partition;
    if (!model_proposal(&run->model, &node, &partition))
        return;
    struct model_replica *replica = &run->model.nodes[node].replicas[partition];
    struct catalog_command command = replica->proposal;
    if (random_chance(random, 1, 12)) {
        command.partition.partition_epoch += (int32_t)random_below(random, 3) - 1;
        command.partition.leader_epoch += (int32_t)random_below(random, 3) - 1;
        command.partition.recovering = random_chance(random, 1, 2);
        command.isr_epochs[0] -= (int64_t)random_below(random, 2);
        uint64_t hash = catalog_hash(run->model.catalog);
        if (apply_everywhere(run, &command) == ERROR_NONE &&
            hash != catalog_hash(run->model.catalog))
            replica->proposal_applied = true;
        return;
    }
    if (apply_everywhere(run, &command) == ERROR_NONE)
        replica->proposal_applied = true;
    else
        replica->proposing = false;
}

static void command_about_partition(struct run *run)
{
    struct random *random = &run->model.random;
    uint32_t partition = (uint32_t)random_below(random, MODEL_PARTITIONS);
    uint64_t choice = random_below(random, 8);
    if (choice < 3)
        elect_some(run, partition);
    else if (choice < 6)
        reassign_some(run, partition);
    else
        configure_some(run, partition);
}

/* ---- a run ---- */

static void make_partition(struct run *run, uint32_t partition)
{
    struct random *random = &run->model.random;
    char name[8];
    snprintf(name, sizeof name, "t%u", partition);
    bool synced = random_chance(random, 1, 2);
    struct catalog_pair pairs[] = {
        pair_of("topicfs.durability", synced ? "fsync" : "replicated"),
        pair_of("min.insync.replicas", random_chance(random, 1, 3) ? "1" : "2")};
    struct catalog_assignment target = random_target(run);
    struct catalog_command command = {.kind = CATALOG_TOPIC_CREATE,
                                      .topic_name = slice_of(name),
                                      .topic_id = id_of((uint8_t)(partition + 1)),
                                      .assignments = &target,
                                      .assignment_count = 1,
                                      .pairs = pairs,
                                      .pair_count = 2};
    uint8_t *bytes = NULL;
    size_t size = 0;
    assert_int_equal(catalog_command_encode(&command, &bytes, &size), ERROR_NONE);
    run->index++;
    assert_int_equal(catalog_apply(run->model.catalog, run->index, 1, bytes, size).error,
                     ERROR_NONE);
    assert_int_equal(catalog_apply(run->twin, run->index, 1, bytes, size).error, ERROR_NONE);
    memory_free(bytes);
    run->model.partitions[partition].synced_durability = synced;
}

static void begin(struct run *run, uint64_t seed)
{
    memset(run, 0, sizeof *run);
    run->executor = simulated_executor_new(seed, NULL);
    struct executor *executor = simulated_executor_seam(run->executor);
    assert_int_equal(catalog_new(executor, &run->model.catalog), ERROR_NONE);
    assert_int_equal(catalog_new(executor, &run->twin), ERROR_NONE);
    random_seed(&run->model.random, seed);
    run->model.node_count = 3 + (uint32_t)(seed % 5);
    for (int32_t id = 1; id <= (int32_t)run->model.node_count; id++) {
        struct catalog_command command = node_command(id);
        command.node.incarnation_id = command.node.directory_id = id_of(0);
        command.node.incarnation_id.bytes[1] = command.node.directory_id.bytes[1] = (uint8_t)id;
        assert_int_equal(apply_to(run->model.catalog, ++run->index, &command).error, ERROR_NONE);
        assert_int_equal(apply_to(run->twin, run->index, &command).error, ERROR_NONE);
        run->model.nodes[id].up = true;
        run->model.nodes[id].epoch = run->index;
    }
    for (uint32_t i = 0; i < MODEL_PARTITIONS; i++)
        make_partition(run, i);
    for (int32_t id = 1; id <= (int32_t)run->model.node_count; id++) {
        for (uint32_t i = 0; i < MODEL_PARTITIONS; i++)
            run->model.nodes[id].replicas[i].view.leader_epoch = -1;
        model_catch_up(&run->model, id);
    }
}

static void end(struct run *run)
{
    catalog_free(run->model.catalog);
    catalog_free(run->twin);
    catalog_free(run->restored);
    simulated_executor_free(run->executor);
}

static void run_seed(struct run *run, uint64_t seed)
{
    begin(run, seed);
    for (int step = 0; step < STEPS; step++) {
        if (step == STEPS / 2)
            restore_midway(run);
        uint64_t choice = random_below(&run->model.random, 40);
        if (choice < 31)
            model_step(&run->model);
        else if (choice < 35)
            deliver(run);
        else if (choice < 38)
            command_about_node(run);
        else
            command_about_partition(run);
        model_check_holders(&run->model);
    }
    end(run);
}

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

/* Whatever happens in whatever order, the rules hold; and enough of everything did happen. */
static void the_invariants_hold(void **state)
{
    (void)state;
    struct run *run = memory_allocate(sizeof *run);
    assert_non_null(run);
    uint64_t only = number_from("ELECTION_MODEL_SEED", 0);
    uint64_t seeds = number_from("ELECTION_MODEL_SEEDS", SEEDS);
    uint64_t totals[CATALOG_NODE_ID_TAKE + 1] = {0};
    struct model_history events = {.unclean_elections = 0};
    for (uint64_t seed = only == 0 ? 1 : only; seed <= (only == 0 ? seeds : only); seed++) {
        model_seed_in_hand(seed);
        run_seed(run, seed);
        for (size_t i = 0; i < sizeof totals / sizeof totals[0]; i++)
            totals[i] += run->counts[i];
        events.unclean_elections += run->history.unclean_elections;
        events.last_kept += run->history.last_kept;
        events.eligible_elections += run->history.eligible_elections;
        events.reassignments_finished += run->history.reassignments_finished;
        events.committed += run->history.committed;
    }
    print_message(
        "isr %lu elect %lu reassign %lu (finished %u) register %lu fence %lu shutdown %lu; "
        "unclean %u last %u eligible %u committed %u\n",
        totals[CATALOG_ISR_CHANGE], totals[CATALOG_ELECT_LEADERS], totals[CATALOG_REASSIGN],
        events.reassignments_finished, totals[CATALOG_NODE_REGISTER], totals[CATALOG_NODE_FENCE],
        totals[CATALOG_NODE_SHUTDOWN], events.unclean_elections, events.last_kept,
        events.eligible_elections, events.committed);
    if (only == 0) {
        assert_true(totals[CATALOG_ISR_CHANGE] > seeds);
        assert_true(totals[CATALOG_REASSIGN] > seeds);
        assert_true(events.reassignments_finished > seeds / 4);
        assert_true(events.unclean_elections > seeds / 20);
        assert_true(events.eligible_elections > seeds / 4);
        assert_true(events.last_kept > 0);
        assert_true(events.committed > 3 * seeds);
    }
    memory_free(run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_invariants_hold)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
