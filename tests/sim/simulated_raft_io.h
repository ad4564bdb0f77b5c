/* SPDX-License-Identifier: Apache-2.0 */
/* libraft's struct raft_io on the simulated disk, clock and network, and the engine's host on it
 * (replicate/engine/host.h): the real consensus code, one event at a time, from a seed.
 *
 *   libraft --append, truncate, snapshot--> queue --work--> raft_files.h --> done --> libraft
 *           --send--> simulated_network.h --> receiving node's libraft
 *           <--tick-- timer
 *   after each event: completed requests are fired, engine_turn
 *
 * What the disk refuses is tried again every half second, as raft_uv does. A vote that cannot be
 * stored ends the process (simulated_raft->dead): the world must crash it. Everything here is the
 * node's memory and goes with it. */
#ifndef TESTS_SIM_SIMULATED_RAFT_IO_H
#define TESTS_SIM_SIMULATED_RAFT_IO_H

#include "replicate/engine/host.h"
#include "sim/raft_files.h"
#include "sim/raft_message.h"

struct simulated_raft_options {
    struct storage *storage;
    struct executor *executor;
    struct simulated_network *network; /* NULL: alone. */
    uint32_t node;                     /* Its number in the network. */
    /* The number of who listens at an address; -1: nobody. NULL: the raft id - 1. */
    int32_t (*place)(void *context, const char *address);
    /* A message for node parcel->parcel.to, which is up: for simulated_raft_receive. */
    void (*arrived)(void *context, const struct raft_parcel *parcel);
    void *context; /* Of both. */
    bool *dead;    /* Set when the process must die; nothing here happens from then on. */
    bool plant_vote_not_synced, plant_append_not_synced; /* Bugs that must be caught. */
};

struct simulated_raft;

/* Opens the files and the engine on them. On error nothing is left but memory to forget. The engine
 * is closed and freed as any. */
enum error simulated_raft_open(const struct simulated_raft_options *options,
                               const struct engine_options *engine_options,
                               struct engine **ret_engine, struct simulated_raft **ret_raft);

void simulated_raft_receive(struct simulated_raft *raft, const struct raft_parcel *parcel);

#endif
