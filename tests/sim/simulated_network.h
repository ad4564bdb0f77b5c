/* SPDX-License-Identifier: Apache-2.0 */
/* The network of simulated nodes: carries parcels from one to another in virtual time, and loses,
 * repeats, delays and reorders them as its settings and its seed say.
 *
 *   simulated_network_send -> in flight (a timer) -> parcel->deliver | parcel->drop
 *
 * A parcel is copied into and out of a node's memory by whoever makes it: what is in flight is no
 * node's. One way of a link may be cut and not the other. A paused node's parcels wait for it. */
#ifndef TESTS_SIM_SIMULATED_NETWORK_H
#define TESTS_SIM_SIMULATED_NETWORK_H

#include "sim/simulated_executor.h"

enum { NETWORK_NODES_MAX = 16 };

struct simulated_network;

struct parcel {
    struct timer timer; /* The network's own until deliver or drop. */
    struct list link;
    struct simulated_network *network;
    uint64_t incarnation; /* Of the receiver when it was sent. */
    uint32_t from, to;    /* Node numbers, below NETWORK_NODES_MAX. */
    /* It arrived; frees it. */
    void (*deliver)(struct parcel *parcel);
    /* It never will; frees it. */
    void (*drop)(struct parcel *parcel);
    /* Another of it, for a network that repeats; NULL: this kind is never repeated. */
    struct parcel *(*copy)(const struct parcel *parcel);
};

struct network_settings {
    int64_t delay_min_us, delay_max_us;
    uint32_t lost_per_1000;
    uint32_t repeated_per_1000;
    uint32_t late_per_1000; /* Delayed up to 100 times longer. */
    bool reorders;          /* Otherwise what goes one way arrives in its order. */
};

/* Shares `clock`, which must outlive it. */
struct simulated_network *simulated_network_new(uint64_t seed, struct simulated_clock *clock);

/* Drops what is in flight. Accepts NULL. */
void simulated_network_free(struct simulated_network *network);

/* Its events are stepped with the nodes'. */
struct simulated_executor *simulated_network_events(struct simulated_network *network);

struct network_settings *simulated_network_settings(struct simulated_network *network);

void simulated_network_send(struct simulated_network *network, struct parcel *parcel);

/* A node that comes up receives only what was sent to it since. */
void simulated_network_up(struct simulated_network *network, uint32_t node, bool up);

void simulated_network_pause(struct simulated_network *network, uint32_t node, bool paused);
bool simulated_network_is_paused(const struct simulated_network *network, uint32_t node);

/* Nothing sent from one to the other arrives, also of what is in flight. */
void simulated_network_cut(struct simulated_network *network, uint32_t from, uint32_t to, bool cut);
bool simulated_network_is_cut(const struct simulated_network *network, uint32_t from, uint32_t to);

/* All links whole, all nodes unpaused; the settings are the caller's to calm. */
void simulated_network_heal(struct simulated_network *network);

#endif
