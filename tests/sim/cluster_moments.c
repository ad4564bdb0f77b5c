/* SPDX-License-Identifier: Apache-2.0 */
/* Faults that meet a moment chance rarely finds: a leader has proposed that a replica joins the
 * in-sync ones, and what it sent does not arrive; the replica loses its power, registers anew and
 * is unfenced; then the proposal comes, of a registration that is gone (KIP-903).
 *
 *   leader --ISR_CHANGE--> | cut |     replica: power cut, start, serves
 *          '------------- again ----------------------------------------> controller */
#include "sim/cluster.h"

#include <string.h>

/* Less than the session of the leader, that is cut off. */
enum { MOMENT_MS = 2400 };

void cluster_moment_reported(struct cluster_node *node, const char *event, int32_t partition)
{
    struct cluster *cluster = node->cluster;
    struct cluster_moment *moment = &cluster->moment;
    if (!cluster->faults.moments || moment->under_way || strcmp(event, "isr_proposed") != 0 ||
        !random_chance(&cluster->random, 1, 3))
        return;
    int32_t controller = cluster_controller(cluster);
    int32_t outsider = cluster_check_outsider(cluster, partition);
    if (controller < 0 || outsider < 0 || controller == outsider ||
        (uint32_t)controller == node->number)
        return;
    *moment = (struct cluster_moment){.under_way = true,
                                      .leader = node->number,
                                      .controller = (uint32_t)controller,
                                      .outsider = (uint32_t)outsider,
                                      .end_ms = cluster_now_ms(cluster) + MOMENT_MS};
    simulated_network_cut(cluster->network, moment->leader, moment->controller, true);
}

void cluster_moment_act(struct cluster *cluster)
{
    struct cluster_moment *moment = &cluster->moment;
    if (!moment->under_way)
        return;
    struct cluster_node *outsider = &cluster->nodes[moment->outsider];
    if (!moment->crashed && cluster_node_is_up(outsider) && cluster_can_crash(outsider)) {
        cluster_say(cluster, "node %u is to join a partition of node %u", outsider->number,
                    moment->leader);
        cluster_node_crash(outsider, true);
        cluster_node_start(outsider);
        moment->crashed = true;
    }
    bool back = outsider->state == NODE_SERVING && moment->crashed;
    if (!back && moment->crashed && cluster_now_ms(cluster) < moment->end_ms)
        return;
    simulated_network_cut(cluster->network, moment->leader, moment->controller, false);
    moment->under_way = false;
}
