/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated world: one node, the clients that use it, what they know to be true, and the seed
 * everything comes from.
 *
 *   clients --requests--> node (real code) --> simulated disk, events
 *      |                                            ^
 *      '-- what was sent, acknowledged, read --> model    faults: crash, failing and full disk, rot
 */
#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H

#include "handle/request.h"
#include "sim/node.h"

enum {
    WORLD_TOPICS = 4,     /* Names that come and go: t0 ... t3. */
    WORLD_PARTITIONS = 2, /* Of each. */
    WORLD_PRODUCERS = 6,
    WORLD_FETCHERS = 2,
    WORLD_COMMITTERS = 3,
};

struct model;
struct producer;
struct consumer;
struct committer;
struct admin;

/* Which kinds of faults a seed has: not all in each, so that each also meets the others alone. */
struct world_faults {
    bool power_cuts, kills, clean_stops, failed_writes, failed_syncs, failed_reads, full_disk, rot,
        clock_jumps, slow_disk;
};

struct world {
    uint64_t seed;
    int64_t step;
    bool verbose;
    struct random random;
    struct node node;
    struct world_faults faults;
    struct model *model;
    struct producer *producers;
    struct consumer *consumers;
    struct committer *committers;
    struct admin *admin;
    uint64_t trace;   /* Of everything clients saw. */
    bool sync_failed; /* Since the start: the kernel may have dropped pages, so only a power cut
                         brings back what is on the disk. */
    bool armed_sync;  /* A sync is about to fail. */
    bool disk_is_full;
    uint64_t crashes, acknowledged, observed;
};

/* A promise was broken: says which, with seed and step, and ends the program. */
void world_fail(const struct world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));

/* With --verbose. */
void world_say(const struct world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Adds something a client saw to the trace. */
void world_trace(struct world *world, uint64_t a, uint64_t b, uint64_t c);

/* ---- calls: requests of clients, through the same door as the network's ---- */

struct client_call {
    struct request request;
    struct world *world;
    bool in_flight;
    void (*done)(
        struct client_call *call); /* The response is there, or NULL: the connection closed. */
};

/* The request's body, initialised, to be filled before client_call_send. */
void *client_call_begin(struct client_call *call, struct world *world, int16_t api_key,
                        int16_t version);
void *client_call_allocate(struct client_call *call, size_t count, size_t size);
struct slice client_call_text(struct client_call *call, const char *text);
void client_call_send(struct client_call *call, void (*done)(struct client_call *call));

/* The node crashed: no answer comes. */
void client_call_forget(struct client_call *call);

#endif
