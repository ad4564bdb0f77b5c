/* SPDX-License-Identifier: Apache-2.0 */
/* Putting a node together, stopping it and crashing it. */
#include "sim/node.h"

#include "base/assertion.h"
#include "base/memory.h"
#include "sim/process_memory.h"
#include "sim/simulated_file.h"
#include "sim/simulated_raft_io.h"

#include <stdio.h>
#include <string.h>

enum { START_MS = 600000, STOP_MS = 600000 };

static struct executor *executor_of(struct node *node)
{
    return simulated_executor_seam(node->events);
}

void node_init(struct node *node, uint64_t seed, const struct node_setting *settings)
{
    *node = (struct node){.settings = settings};
    node->disk = simulated_storage_new(seed);
    /* Every other node's disk can be synced as a whole. */
    simulated_storage_syncs_all(node->disk, (random_mix(seed) & 1) != 0);
    node->events = simulated_executor_new(seed ^ 0x5eed, NULL);
}

void node_done(struct node *node)
{
    ASSERT(!node->is_up);
    simulated_executor_free(node->events);
    simulated_storage_free(node->disk);
}

static void partition_reported(struct partition_reporter *reporter, int level, const char *event,
                               const char *topic, int32_t partition, const char *detail)
{
    struct node *node = container_of(reporter, struct node, reporter);
    if (node->verbose)
        printf("report level=%d %s %s-%d %s\n", level, event, topic, (int)partition, detail);
    if (node->reported != NULL)
        node->reported(node, event, topic, partition, detail);
}

/* ---- starting ---- */

static void config_make(struct node *node)
{
    enum error error = config_set_new(&node->config);
    ASSERT(error == ERROR_NONE);
    for (const struct node_setting *setting = node->settings;
         setting != NULL && setting->key != NULL; setting++) {
        char reason[CONFIG_REASON_BYTES];
        error = config_set_put(node->config, CONFIG_NODE, setting->key, setting->value, reason);
        ASSERT(error == ERROR_NONE);
    }
}

static enum error directory_open(struct node *node)
{
    struct executor *executor = executor_of(node);
    enum error error =
        log_directory_open(simulated_storage_seam(node->disk), executor, &node->directory, NULL);
    if (error != ERROR_NONE)
        return error;
    node->fresh = uuid_is_zero(&log_directory_identity(node->directory)->cluster_id);
    if (!node->fresh)
        return ERROR_NONE;
    struct log_identity identity = {.cluster_id = uuid_random(executor),
                                    .node_id = NODE_ID,
                                    .directory_id = uuid_random(executor)};
    return log_directory_identify(node->directory, &identity);
}

/* ---- the engine ---- */

static void engine_became_ready(void *context, enum error error)
{
    struct node *node = context;
    node->engine_ready = error == ERROR_NONE;
}

static bool engine_settled(void *context)
{
    const struct node *node = context;
    return node->engine_ready || node->dead;
}

static enum error engine_start(struct node *node)
{
    process_memory_take_raft();
    struct simulated_raft_options raft = {
        .storage = simulated_storage_seam(node->disk),
        .executor = executor_of(node),
        .node = NODE_ID,
        .dead = &node->dead,
    };
    struct engine_options engine = {
        .executor = executor_of(node),
        .catalog = node->catalog,
        .node_id = NODE_ID + 1,
        .address = "localhost:9092",
        .bootstrap = true,
        .snapshot_threshold = 64, /* So that there are some. */
        .ready = engine_became_ready,
        .context = node,
    };
    enum error error = simulated_raft_open(&raft, &engine, &node->engine, &node->raft);
    if (error != ERROR_NONE)
        return error;
    bool settled = simulated_executor_run_until(node->events, engine_settled, node, START_MS);
    return settled && !node->dead ? ERROR_NONE : ERROR_STORAGE;
}

void node_look(struct node *node)
{
    int64_t index = catalog_applied_index(node->catalog);
    if (node->applied == NULL || index == node->applied_index)
        return;
    node->applied_index = index;
    node->applied(node, index, catalog_hash(node->catalog));
}

/* ---- the core ---- */

static void core_started(void *context, enum error error, const char *step)
{
    struct node *node = context;
    if (error != ERROR_NONE && node->verbose)
        printf("start: %s: %s\n", step, error_text(error));
    node->start_error = error;
    node->core_answered = true;
}

static bool core_settled(void *context)
{
    const struct node *node = context;
    return node->core_answered || node->dead;
}

static enum error core_begin(struct node *node)
{
    node->reporter.report = partition_reported;
    core_init(&node->core, executor_of(node), node->catalog, node->config);
    struct core_options options = {
        .executor = executor_of(node),
        .storage = simulated_storage_seam(node->disk),
        .directory = node->directory,
        .catalog = node->catalog,
        .local = engine_proposer(node->engine),
        .config = node->config,
        .data_directory = "/simulated",
        .node_id = NODE_ID,
        .host = "localhost",
        .port = 9092,
        .version = "simulated",
        .reporter = &node->reporter,
        .fresh = node->fresh,
        .started = core_started,
        .context = node,
    };
    enum error error = core_start(&node->core, &options);
    if (error != ERROR_NONE)
        return error;
    bool settled = simulated_executor_run_until(node->events, core_settled, node, START_MS);
    ASSERT(settled);
    return node->dead ? ERROR_STORAGE : node->start_error;
}

static enum error start_steps(struct node *node)
{
    config_make(node);
    enum error error = directory_open(node);
    if (error != ERROR_NONE)
        return error;
    node->was_clean = log_directory_was_clean(node->directory);
    error = catalog_new(executor_of(node), &node->catalog);
    if (error == ERROR_NONE)
        error = engine_start(node);
    return error == ERROR_NONE ? core_begin(node) : error;
}

enum error node_start(struct node *node)
{
    ASSERT(!node->is_up);
    ASSERT(process_memory_blocks() == 0);
    node->engine = NULL;
    node->engine_ready = false;
    node->engine_closed = false;
    node->dead = false;
    node->applied_index = 0;
    node->catalog = NULL;
    node->directory = NULL;
    node->core_answered = false;
    node->starts++;
    enum error error = start_steps(node);
    node->is_up = true;
    if (error == ERROR_NONE)
        node_look(node);
    if (error != ERROR_NONE)
        node_crash(node, NODE_KILLED, NULL);
    return error;
}

/* ---- stopping ---- */

static bool core_has_ended(void *context)
{
    struct node *node = context;
    return core_idle(&node->core) && node->engine_closed;
}

static void engine_was_closed(void *context)
{
    struct node *node = context;
    node->engine_closed = true;
}

enum error node_stop(struct node *node)
{
    ASSERT(node->is_up);
    core_stop_requests(&node->core);
    core_stop_cluster(&node->core);
    core_stop(&node->core);
    engine_close(node->engine, engine_was_closed, node);
    bool ended = simulated_executor_run_until(node->events, core_has_ended, node, STOP_MS);
    ASSERT(ended);
    enum error error = core_close(&node->core, true);
    log_directory_close(node->directory);
    engine_free(node->engine);
    catalog_free(node->catalog);
    config_set_free(node->config);
    simulated_executor_run_until_idle(node->events); /* Answers, and files being removed. */
    ASSERT(process_memory_blocks() == 0);            /* Nothing leaks. */
    process_memory_forget();
    node->is_up = false;
    node->core = (struct core){0};
    return error;
}

void node_crash(struct node *node, enum node_crash_kind kind, struct random *random)
{
    ASSERT(node->is_up);
    simulated_executor_drop_all(node->events);
    simulated_executor_restart(node->events);
    simulated_storage_forget(node->disk);
    process_memory_forget();
    if (kind == NODE_POWER_CUT)
        simulated_storage_crash(node->disk, random);
    else
        simulated_storage_kill(node->disk);
    node->is_up = false;
    node->core = (struct core){0};
}

/* ---- shorthands ---- */

static void proposal_ended(struct catalog_proposal *proposal)
{
    container_of(proposal, struct node, proposal)->proposal_done = true;
}

static bool proposal_is_done(void *context)
{
    return ((struct node *)context)->proposal_done;
}

struct catalog_outcome node_propose(struct node *node, const struct catalog_command *command)
{
    node->proposal_done = false;
    node->proposal = (struct catalog_proposal){.done = proposal_ended};
    catalog_propose(node->catalog, command, &node->proposal);
    bool done = simulated_executor_run_until(node->events, proposal_is_done, node, START_MS);
    ASSERT(done);
    return node->proposal.outcome;
}

struct catalog_command node_topic_command(const char *name, const struct uuid *id,
                                          uint32_t partitions, const struct catalog_pair *pairs,
                                          uint32_t pair_count)
{
#define HERE                                                                                       \
    {                                                                                              \
        .replicas = {NODE_ID}, .replica_count = 1                                                  \
    }
    static const struct catalog_assignment here[] = {HERE, HERE, HERE, HERE,
                                                     HERE, HERE, HERE, HERE};
    ASSERT(partitions <= sizeof here / sizeof *here);
    return (struct catalog_command){.kind = CATALOG_TOPIC_CREATE,
                                    .topic_name = slice_of(name),
                                    .topic_id = *id,
                                    .assignments = here,
                                    .assignment_count = partitions,
                                    .pairs = pairs,
                                    .pair_count = pair_count};
}

struct partition *node_partition(struct node *node, const char *topic, int32_t index)
{
    return partition_table_find(node->core.broker.partitions, slice_of(topic), index);
}
