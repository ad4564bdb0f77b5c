/* SPDX-License-Identifier: Apache-2.0 */
/* What an engine runs on: somebody who turns it, and a struct raft_io for disk, network, clock and
 * chance. engine_uv.c is the daemon's (a uv loop and raft_uv), tests/sim/simulated_raft_io.c the
 * simulator's.
 *
 *   engine_new -> engine_begin(io) -> engine_turn, engine_turn, ... -> engine_close ->
 * host->release
 *   -> engine_released -> closed(context) -> engine_free -> host->free */
#ifndef REPLICATE_ENGINE_HOST_H
#define REPLICATE_ENGINE_HOST_H

#include "replicate/engine/engine.h"

struct raft_io;

struct engine_host {
    /* The mailbox has something: engine_turn is to come soon, not from inside this call. Any
     * thread, inside the monitor. */
    void (*wake)(struct engine_host *host);
    /* A term or vote could not be stored. libraft would go on with what is in memory, and vote
     * twice after a restart: the process must end, and nothing it says from here on may leave it.
     * May not return. */
    void (*fail)(struct engine_host *host, const char *what);
    /* libraft is closed: give up what the engine ran on, then call engine_released, now or
     * later. */
    void (*release)(struct engine_host *host);
    /* The engine is freed. */
    void (*free)(struct engine_host *host);
};

/* `options` is read during this call and engine_begin only. */
enum error engine_new(const struct engine_options *options, struct engine_host *host,
                      struct engine **ret_engine);

/* Recovers from `io` and starts. On error `failure` says what libraft said, and engine_close is
 * still to be called. `io` must live until engine_released. */
enum error engine_begin(struct engine *engine, const struct engine_options *options,
                        struct raft_io *io, struct failure *failure);

/* After every event of the io and after a wake: takes the mailbox, publishes the state. Outside the
 * monitor. */
void engine_turn(struct engine *engine);

void engine_released(struct engine *engine);

#endif
