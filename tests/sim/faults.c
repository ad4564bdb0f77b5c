/* SPDX-License-Identifier: Apache-2.0 */
/* Crashes, restarts, failing calls, a full disk, rot, clocks. */
#include "sim/faults.h"

#include "base/assertion.h"
#include "record/batch.h"
#include "sim/clients.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 400, FILES_MAX = 64, DRAIN_MS = 120000 };

void faults_choose(struct world *world)
{
    struct random *random = &world->random;
    bool calm = random_chance(random, 1, 10);
    world->faults = (struct world_faults){
        .power_cuts = !calm && random_chance(random, 3, 4),
        .kills = !calm && random_chance(random, 1, 2),
        .clean_stops = random_chance(random, 1, 2),
        .failed_writes = !calm && random_chance(random, 1, 3),
        .failed_syncs = !calm && random_chance(random, 1, 3),
        .failed_reads = !calm && random_chance(random, 1, 5),
        .full_disk = !calm && random_chance(random, 1, 3),
        .rot = !calm && random_chance(random, 1, 5),
        .clock_jumps = !calm && random_chance(random, 1, 3),
        .slow_disk = random_chance(random, 1, 3),
    };
}

/* ---- names on the disk ---- */

struct files {
    char paths[FILES_MAX][PATH_BYTES];
    uint32_t count;
    const char *directory;
    const char *suffix;
};

static bool has_suffix(const char *name, const char *suffix)
{
    size_t size = strlen(name);
    size_t suffix_size = strlen(suffix);
    return size >= suffix_size && strcmp(name + size - suffix_size, suffix) == 0;
}

static void file_found(void *context, const struct storage_entry *entry)
{
    struct files *files = context;
    if (files->count < FILES_MAX && !entry->is_directory && has_suffix(entry->name, files->suffix))
        (void)snprintf(files->paths[files->count++], PATH_BYTES, "%s/%s", files->directory,
                       entry->name);
}

/* Files of a partition that end so; without faults. */
static void files_find(struct world *world, const char *directory, const char *suffix,
                       struct files *ret_files)
{
    ret_files->count = 0;
    ret_files->directory = directory;
    ret_files->suffix = suffix;
    (void)storage_list(simulated_storage_seam(world->node.disk), directory, file_found, ret_files);
}

/* A partition's directory, of those there should be. */
static struct model_partition *some_partition(struct world *world, char directory[PATH_BYTES])
{
    struct model *model = world->model;
    if (model->count == 0)
        return NULL;
    struct model_partition *partition =
        model->partitions[random_below(&world->random, model->count)];
    if (partition->gone)
        return NULL;
    (void)snprintf(directory, PATH_BYTES, "%s-%d", partition->topic, partition->index);
    return partition;
}

/* ---- rot ---- */

/* Flips a bit that the batch's checksum covers, in a batch that was synced. */
static void rot(struct world *world)
{
    char directory[PATH_BYTES];
    struct model_partition *partition = some_partition(world, directory);
    struct partition *local =
        partition == NULL ? NULL : node_partition(&world->node, partition->topic, partition->index);
    struct log *log;
    if (local == NULL || partition_log(local, &log) != ERROR_NONE)
        return;
    struct files files;
    files_find(world, directory, ".log", &files);
    if (files.count == 0)
        return;
    const char *path = files.paths[random_below(&world->random, files.count)];
    uint64_t size;
    const uint8_t *bytes = simulated_storage_contents(world->node.disk, path, &size);
    struct batch_header header;
    uint64_t at = 0;
    while (bytes != NULL && at < size &&
           batch_header_read(bytes + at, size - at, &header) == ERROR_NONE &&
           batch_last_offset(&header) < log_synced_offset(log)) {
        if (random_chance(&world->random, 1, 4)) {
            uint64_t position = at + (uint64_t)random_between(&world->random, BATCH_ATTRIBUTES_AT,
                                                              (int64_t)header.size - 1);
            world_say(world, "rot: %s at %" PRIu64 ", offset %" PRId64, path, position,
                      header.base_offset);
            simulated_storage_rot(world->node.disk, path, position,
                                  (unsigned)random_below(&world->random, 8));
            partition->rotten = true;
            return;
        }
        at += header.size;
    }
}

/* Somebody removed index files while the node was down: they are made anew. */
static void lose_index(struct world *world)
{
    static const char *const suffixes[] = {".index", ".timeindex", ".lineindex"};
    char directory[PATH_BYTES];
    struct model_partition *partition = some_partition(world, directory);
    if (partition == NULL || !random_chance(&world->random, 1, 2))
        return;
    struct files files;
    files_find(world, directory, suffixes[random_below(&world->random, 3)], &files);
    for (uint32_t i = 0; i < files.count; i++) {
        world_say(world, "remove %s", files.paths[i]);
        (void)storage_remove(simulated_storage_seam(world->node.disk), files.paths[i]);
    }
}

/* ---- restarts ---- */

static bool drained(void *context)
{
    struct world *world = context;
    return producers_idle(world) && consumers_idle(world) && committers_idle(world) &&
           admin_idle(world);
}

/* Ends a fetch that waits, as a closed connection does. */
static void drain(struct world *world)
{
    world->node.core.broker.stopping = true;
    consumers_cancel(world);
    bool done = simulated_executor_run_until(world->node.events, drained, world, DRAIN_MS);
    /* The quorum's log waits for room on a full disk, and those who propose with it. */
    if (!done && world->disk_is_full) {
        simulated_storage_limit(world->node.disk, UINT64_MAX);
        world->disk_is_full = false;
        done = simulated_executor_run_until(world->node.events, drained, world, DRAIN_MS);
    }
    if (!done)
        world_fail(world, "a request has no answer");
    simulated_executor_run_until_idle(world->node.events);
}

static void crash(struct world *world, enum node_crash_kind kind)
{
    node_crash(&world->node, kind, &world->random);
    world->crashes++;
    producers_crashed(world);
    consumers_crashed(world);
    committers_crashed(world);
}

/* What a power cut took from partitions that do not promise to keep it. */
static void learn_what_was_lost(struct world *world)
{
    /* A log that found no room at the start is opened here. */
    simulated_storage_limit(world->node.disk, UINT64_MAX);
    world->disk_is_full = false;
    for (uint32_t i = 0; i < world->model->count; i++) {
        struct model_partition *partition = world->model->partitions[i];
        struct partition *local = node_partition(&world->node, partition->topic, partition->index);
        struct log *log;
        if (partition->gone || partition->durable || local == NULL ||
            partition_log(local, &log) != ERROR_NONE)
            continue;
        model_cut(partition, log_end_offset(log));
    }
}

static void start(struct world *world)
{
    enum error error = node_start(&world->node);
    for (int tries = 0; error != ERROR_NONE && tries < 3; tries++) {
        world_say(world, "start: %s", error_text(error));
        simulated_storage_fail_end(world->node.disk);
        simulated_storage_limit(world->node.disk, UINT64_MAX);
        error = node_start(&world->node);
    }
    if (error != ERROR_NONE)
        world_fail(world, "the node does not start: %s", error_text(error));
    int64_t index = catalog_applied_index(world->node.catalog);
    if (index < world->model->catalog_last)
        world_fail(world, "the catalog has forgotten commands behind %" PRId64, index);
}

void faults_restart(struct world *world, enum fault_stop stop)
{
    if (world->sync_failed)
        stop = FAULT_POWER_CUT;
    world_say(world, "stop %d", stop);
    if (stop == FAULT_CLEAN_STOP) {
        drain(world);
        enum error error = node_stop(&world->node);
        world_say(world, "stopped: %s", error_text(error));
        bool sync_failed = simulated_storage_faults_met(world->node.disk) > 0 && world->armed_sync;
        bool power_cut = world->faults.power_cuts && random_chance(&world->random, 1, 3);
        if (sync_failed || power_cut)
            simulated_storage_crash(world->node.disk, &world->random);
        if (error != ERROR_NONE && (sync_failed || power_cut))
            stop = FAULT_POWER_CUT;
        consumers_crashed(world);
    } else {
        crash(world, stop == FAULT_KILL ? NODE_KILLED : NODE_POWER_CUT);
    }
    simulated_storage_fail_end(world->node.disk);
    world->sync_failed = false;
    world->armed_sync = false;
    lose_index(world);
    model_restarted(world->model);
    start(world);
    admin_crashed(world);
    if (stop == FAULT_POWER_CUT)
        learn_what_was_lost(world);
}

/* ---- faults ---- */

static void fail_calls(struct world *world, unsigned operations, enum error error)
{
    struct simulated_fault fault = {.operations = operations,
                                    .countdown = (long)random_below(&world->random, 12),
                                    .error = error};
    simulated_storage_fail(world->node.disk, &fault);
    world->armed_sync = (operations & (SIMULATED_SYNC | SIMULATED_SYNC_DIRECTORY)) != 0;
}

static void fill_or_free_disk(struct world *world)
{
    world->disk_is_full = !world->disk_is_full;
    struct storage_space space = {0};
    simulated_storage_limit(world->node.disk, UINT64_MAX);
    if (world->disk_is_full &&
        storage_space(simulated_storage_seam(world->node.disk), &space) == ERROR_NONE)
        simulated_storage_limit(world->node.disk, space.total_bytes - space.free_bytes +
                                                      random_below(&world->random, 20000));
    world_say(world, "disk %s", world->disk_is_full ? "full" : "free");
}

void faults_act(struct world *world)
{
    const struct world_faults *faults = &world->faults;
    struct random *random = &world->random;
    uint64_t kind = random_below(random, 10);
    world_say(world, "fault %d", (int)kind);
    if (kind == 0 && faults->power_cuts)
        faults_restart(world, FAULT_POWER_CUT);
    else if (kind == 1 && faults->kills)
        faults_restart(world, FAULT_KILL);
    else if (kind == 2 && faults->clean_stops)
        faults_restart(world, FAULT_CLEAN_STOP);
    else if (kind == 3 && faults->failed_writes)
        fail_calls(world, SIMULATED_WRITE | SIMULATED_OPEN | SIMULATED_RENAME | SIMULATED_TRUNCATE,
                   ERROR_STORAGE);
    else if (kind == 4 && faults->failed_syncs)
        fail_calls(world, SIMULATED_SYNC | SIMULATED_SYNC_DIRECTORY, ERROR_STORAGE);
    else if (kind == 5 && faults->failed_reads)
        fail_calls(world, SIMULATED_READ, ERROR_STORAGE);
    else if (kind == 6 && faults->full_disk)
        fill_or_free_disk(world);
    else if (kind == 7 && faults->rot && random_chance(random, 1, 3))
        rot(world);
    else if (kind == 8 && faults->clock_jumps)
        simulated_executor_skew(world->node.events, random_between(random, -3600000, 3600000));
    else if (kind == 9 && faults->slow_disk)
        simulated_executor_work_takes(world->node.events, random_between(random, 0, 300));
}

void faults_watch(struct world *world)
{
    if (world->armed_sync && simulated_storage_faults_met(world->node.disk) > 0)
        world->sync_failed = true;
    if (world->node.dead)
        faults_restart(world, FAULT_KILL);
}

void faults_end(struct world *world)
{
    faults_watch(world);
    if (world->disk_is_full)
        fill_or_free_disk(world);
    simulated_executor_work_takes(world->node.events, 2);
    simulated_storage_fail_end(world->node.disk);
    faults_restart(world, random_chance(&world->random, 1, 2) ? FAULT_KILL : FAULT_CLEAN_STOP);
}
