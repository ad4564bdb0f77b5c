/* SPDX-License-Identifier: Apache-2.0 */
/* Parcels in flight. */
#include "sim/simulated_network.h"

#include "base/assertion.h"
#include "sim/simulated_file.h"

#include <stdlib.h>

enum { US_PER_MS = 1000, LATE_FACTOR = 100, PAUSED_LOOK_MS = 20 };

struct link_state {
    bool cut;
    int64_t last_due_ms; /* Of what was sent last. */
};

struct simulated_network {
    struct simulated_executor *events;
    struct random random;
    struct network_settings settings;
    struct list in_flight;
    struct link_state links[NETWORK_NODES_MAX][NETWORK_NODES_MAX];
    uint64_t incarnations[NETWORK_NODES_MAX]; /* Odd while up. */
    bool paused[NETWORK_NODES_MAX];
};

struct simulated_network *simulated_network_new(uint64_t seed, struct simulated_clock *clock)
{
    struct simulated_network *network = simulation_allocate(sizeof *network);
    network->events = simulated_executor_new(seed, clock);
    random_seed(&network->random, seed ^ 0x6e657477);
    network->settings = (struct network_settings){.delay_min_us = 100, .delay_max_us = 2000};
    list_init(&network->in_flight);
    return network;
}

static struct executor *executor_of(struct simulated_network *network)
{
    return simulated_executor_seam(network->events);
}

static void parcel_take(struct parcel *parcel)
{
    list_remove(&parcel->link);
    executor_timer_stop(executor_of(parcel->network), &parcel->timer);
}

void simulated_network_free(struct simulated_network *network)
{
    if (network == NULL)
        return;
    while (!list_empty(&network->in_flight)) {
        struct parcel *parcel = container_of(network->in_flight.next, struct parcel, link);
        parcel_take(parcel);
        parcel->drop(parcel);
    }
    simulated_executor_free(network->events);
    free(network);
}

struct simulated_executor *simulated_network_events(struct simulated_network *network)
{
    return network->events;
}

struct network_settings *simulated_network_settings(struct simulated_network *network)
{
    return &network->settings;
}

static void arrived(struct timer *timer)
{
    struct parcel *parcel = container_of(timer, struct parcel, timer);
    struct simulated_network *network = parcel->network;
    bool is_up = network->incarnations[parcel->to] == parcel->incarnation;
    if (is_up && !network->links[parcel->from][parcel->to].cut && network->paused[parcel->to]) {
        executor_timer_start(executor_of(network), timer, PAUSED_LOOK_MS);
        return;
    }
    parcel_take(parcel);
    if (is_up && !network->links[parcel->from][parcel->to].cut)
        parcel->deliver(parcel);
    else
        parcel->drop(parcel);
}

static void launch(struct simulated_network *network, struct parcel *parcel)
{
    const struct network_settings *settings = &network->settings;
    struct link_state *link = &network->links[parcel->from][parcel->to];
    int64_t delay_us =
        random_between(&network->random, settings->delay_min_us, settings->delay_max_us);
    if (random_chance(&network->random, settings->late_per_1000, 1000))
        delay_us *= random_between(&network->random, 1, LATE_FACTOR);
    int64_t now_ms = executor_monotonic_ms(executor_of(network));
    int64_t due_ms = now_ms + delay_us / US_PER_MS;
    if (!settings->reorders && due_ms < link->last_due_ms)
        due_ms = link->last_due_ms;
    link->last_due_ms = due_ms;
    parcel->network = network;
    parcel->incarnation = network->incarnations[parcel->to];
    parcel->timer = (struct timer){.fire = arrived};
    list_push(&network->in_flight, &parcel->link);
    executor_timer_start(executor_of(network), &parcel->timer, due_ms - now_ms);
}

void simulated_network_send(struct simulated_network *network, struct parcel *parcel)
{
    const struct network_settings *settings = &network->settings;
    ASSERT(parcel->from < NETWORK_NODES_MAX);
    ASSERT(parcel->to < NETWORK_NODES_MAX);
    bool lost = random_chance(&network->random, settings->lost_per_1000, 1000);
    bool repeated = random_chance(&network->random, settings->repeated_per_1000, 1000);
    if (lost || network->incarnations[parcel->to] % 2 == 0) {
        parcel->drop(parcel);
        return;
    }
    struct parcel *copy = repeated && parcel->copy != NULL ? parcel->copy(parcel) : NULL;
    launch(network, parcel);
    if (copy != NULL)
        launch(network, copy);
}

void simulated_network_up(struct simulated_network *network, uint32_t node, bool up)
{
    ASSERT(node < NETWORK_NODES_MAX);
    if ((network->incarnations[node] % 2 == 1) != up)
        network->incarnations[node]++;
    network->paused[node] = false;
}

void simulated_network_pause(struct simulated_network *network, uint32_t node, bool paused)
{
    network->paused[node] = paused;
}

bool simulated_network_is_paused(const struct simulated_network *network, uint32_t node)
{
    return network->paused[node];
}

void simulated_network_cut(struct simulated_network *network, uint32_t from, uint32_t to, bool cut)
{
    network->links[from][to].cut = cut;
}

bool simulated_network_is_cut(const struct simulated_network *network, uint32_t from, uint32_t to)
{
    return network->links[from][to].cut;
}

void simulated_network_heal(struct simulated_network *network)
{
    for (uint32_t from = 0; from < NETWORK_NODES_MAX; from++) {
        network->paused[from] = false;
        for (uint32_t to = 0; to < NETWORK_NODES_MAX; to++)
            network->links[from][to].cut = false;
    }
}
