/* SPDX-License-Identifier: Apache-2.0 */
/* Figure 8 of the Raft paper as a schedule (Ongaro and Ousterhout 2014, 5.4.2): five members, each
 * leader cut off with one follower while it proposes, then crashed, the next one likewise, and old
 * leaders brought back with entries of old terms that a majority comes to hold. A leader that
 * counts replicas of those as committed (libraft 0.15) loses what it answered.
 *
 *   leader -- proposes --> one follower        X others
 *   crash; the others elect; that leader likewise; the first comes back, leads, replicates; ... */
#include "sim/quorum.h"

static void isolate(struct quorum_world *world, const struct quorum_node *leader, uint32_t friend)
{
    for (uint32_t i = 0; i < world->founders; i++) {
        bool cut = i != friend && i != leader->number;
        simulated_network_cut(world->network, leader->number, i, cut);
        simulated_network_cut(world->network, i, leader->number, cut);
    }
}

static uint32_t up_count(const struct quorum_world *world)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < world->founders; i++)
        count += world->nodes[i].is_up;
    return count;
}

static void bring_one_back(struct quorum_world *world)
{
    uint32_t first = (uint32_t)random_below(&world->random, world->founders);
    for (uint32_t i = 0; i < world->founders; i++) {
        struct quorum_node *node = &world->nodes[(first + i) % world->founders];
        if (node->is_up)
            continue;
        for (uint32_t k = 0; k < world->founders; k++) {
            simulated_network_cut(world->network, node->number, k, false);
            simulated_network_cut(world->network, k, node->number, false);
        }
        quorum_node_start(node);
        return;
    }
}

void quorum_figure8_step(struct quorum_world *world)
{
    struct random *random = &world->random;
    quorum_run_for(world, random_between(random, 0, 1500));
    struct quorum_node *leader = quorum_leader(world);
    if (leader != NULL) {
        isolate(world, leader, (uint32_t)random_below(random, world->founders));
        quorum_clients_act(world);
        quorum_run_for(world, random_between(random, 0, 40));
        if (random_chance(random, 2, 3))
            quorum_node_crash(leader, random_chance(random, 1, 2));
    }
    if (up_count(world) < 3 || random_chance(random, 1, 4))
        bring_one_back(world);
    if (random_chance(random, 1, 8))
        simulated_network_heal(world->network);
}
