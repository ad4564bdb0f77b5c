/* SPDX-License-Identifier: Apache-2.0 */
/* The steward of a simulated cluster, who changes who belongs to it while everything else goes on:
 *
 *   a new node at a new address ----> joins under a new id
 *   a disk lost, the machine back --> joins under a new id; the old one is given up by the cluster
 *   drain -> empty -> unregister ---> down; later its disk is wiped, and it joins as a new one
 *   replicas moved, also to fewer or more of them, and that cancelled
 *
 * A disk is lost only where the promise covers it: every partition has another replica in sync or
 * eligible on a disk that is not lost, the quorum keeps a majority of its voters, and the cluster
 * knows of every disk lost before. */
#include "sim/cluster_call.h"

#include "base/assertion.h"
#include "base/memory.h"
#include "sim/process_memory.h"
#include "sim/simulated_file.h"
#include "wire/api_alter_partition_reassignments.h"
#include "wire/api_unregister_broker.h"

#include <stdlib.h>

enum {
    REASSIGN_VERSION = 1,
    CALL_TIMEOUT_MS = 8000,
    SERVING_MIN = 3, /* Nodes that drains and unregistrations leave. */
    PAUSE_MS_MAX = 5000
};

static const char topic_name[] = "t";

struct client_steward {
    struct client_call call;
    int64_t next_ms;
    uint64_t disks; /* Seeds of new ones. */
    bool lost[CLUSTER_NODE_IDS];
    /* Registrations whose process ended; its records count again with a newer one. */
    int64_t ended_epochs[CLUSTER_NODE_IDS];
};

/* ---- what is known ---- */

/* The node that leads the quorum, if the one of the newest term does. */
static struct cluster_node *authority_of(struct cluster *cluster)
{
    struct cluster_node *found = NULL;
    int64_t newest = -1;
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        struct cluster_node *node = &cluster->nodes[i];
        if (node->state < NODE_STARTING)
            continue;
        int64_t term = quorum_term(&node->quorum.quorum);
        if (term < newest)
            continue;
        if (term > newest)
            found = NULL;
        newest = term;
        if (quorum_leads(&node->quorum.quorum))
            found = node;
    }
    return found;
}

int32_t cluster_controller(struct cluster *cluster)
{
    const struct cluster_node *authority = authority_of(cluster);
    return authority == NULL ? -1 : (int32_t)authority->number;
}

struct node_list {
    const struct client_steward *steward;
    int32_t ids[CLUSTER_NODE_IDS];
    uint32_t count;
    bool with_draining;
};

static void list_node(void *context, const struct catalog_node *node)
{
    struct node_list *list = context;
    if (!list->steward->lost[node->id] && (list->with_draining || !node->draining))
        list->ids[list->count++] = node->id;
}

static struct node_list nodes_of(const struct client_steward *steward,
                                 const struct cluster_node *authority, bool with_draining)
{
    struct node_list list = {.steward = steward, .with_draining = with_draining};
    catalog_node_each(authority->catalog, list_node, &list);
    return list;
}

static bool holds(const int32_t *ids, uint32_t count, int32_t id)
{
    for (uint32_t i = 0; i < count; i++)
        if (ids[i] == id)
            return true;
    return false;
}

/* ---- what may be lost ---- */

struct survival {
    const struct client_steward *steward;
    const struct catalog *catalog;
    int32_t victim;
    bool survives, is_replica;
};

/* With its disk, and what it has not synced where votes are for that. */
static bool has_its_records(const struct survival *survival, int32_t id)
{
    const struct catalog_node *node = catalog_node_find(survival->catalog, id);
    return !survival->steward->lost[id] &&
           (node == NULL || node->epoch > survival->steward->ended_epochs[id]);
}

static uint32_t safe_ones(const struct survival *survival, const int32_t *ids, uint32_t count)
{
    uint32_t safe = 0;
    for (uint32_t i = 0; i < count; i++)
        safe += ids[i] != survival->victim && has_its_records(survival, ids[i]);
    return safe;
}

static bool look_at_topic(void *context, const struct catalog_topic *topic)
{
    struct survival *survival = context;
    struct catalog_partition p;
    for (int32_t i = 0; catalog_partition_find(survival->catalog, topic, i, &p); i++) {
        if (safe_ones(survival, p.isr, p.isr_count) + safe_ones(survival, p.elr, p.elr_count) == 0)
            survival->survives = false;
        if (holds(p.replicas, p.replica_count, survival->victim))
            survival->is_replica = true;
    }
    return true;
}

static struct survival survival_without(const struct client_steward *steward,
                                        const struct cluster_node *authority, int32_t victim)
{
    struct survival survival = {
        .steward = steward, .catalog = authority->catalog, .victim = victim, .survives = true};
    catalog_topic_each(authority->catalog, look_at_topic, &survival);
    return survival;
}

/* A change of the voters that is under way is not known to all of them. */
static bool knows_it_votes(struct cluster *cluster, int32_t id)
{
    struct quorum_member members[CLUSTER_NODE_IDS];
    struct cluster_node *node = &cluster->nodes[cluster->slots[id]];
    if (node->state < NODE_JOINING || node->founding.node_id != id)
        return false;
    uint32_t count = quorum_members(&node->quorum.quorum, members, CLUSTER_NODE_IDS);
    for (uint32_t i = 0; i < count; i++)
        if (members[i].node_id == id)
            return members[i].role == QUORUM_VOTER;
    return false;
}

static bool quorum_survives(const struct client_steward *steward, struct cluster_node *authority,
                            int32_t victim)
{
    struct quorum_member members[CLUSTER_NODE_IDS];
    uint32_t count = quorum_members(&authority->quorum.quorum, members, CLUSTER_NODE_IDS);
    struct cluster *cluster = authority->cluster;
    uint32_t voters = 0;
    uint32_t left = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (members[i].role != QUORUM_VOTER)
            continue;
        if (steward->lost[members[i].node_id])
            return false;
        voters++;
        left += members[i].node_id != victim && cluster->slots[members[i].node_id] >= 0 &&
                knows_it_votes(cluster, members[i].node_id);
    }
    /* One who is made a voter counts at once, and votes only once it has stored that it does: of an
     * even number of voters one may be such. */
    bool grows = voters < (cluster->node_count >= 5 ? 5 : 3);
    return voters % 2 == 1 && 2 * left > voters + grows;
}

/* Lost disks that the cluster may still count upon. */
static bool loss_unknown(const struct client_steward *steward, const struct cluster_node *authority)
{
    for (int32_t id = 0; id < CLUSTER_NODE_IDS; id++) {
        const struct catalog_node *node = catalog_node_find(authority->catalog, id);
        if (steward->lost[id] && node != NULL && !node->fenced)
            return true;
    }
    return false;
}

static bool may_lose(const struct client_steward *steward, struct cluster_node *authority,
                     int32_t victim)
{
    return catalog_node_find(authority->catalog, victim) != NULL &&
           !loss_unknown(steward, authority) && quorum_survives(steward, authority, victim) &&
           survival_without(steward, authority, victim).survives;
}

static void look_for_ended(void *context, const struct catalog_node *node)
{
    struct survival *survival = context;
    if (!has_its_records(survival, node->id))
        survival->survives = false;
}

/* One at a time: a reassignment may leave two replicas that both count as in sync. */
bool cluster_can_crash(const struct cluster_node *node)
{
    struct cluster *cluster = node->cluster;
    if (!cluster->replicated || !node->founding.agreed)
        return true;
    const struct cluster_node *authority = authority_of(cluster);
    if (authority == NULL)
        return false;
    struct survival survival =
        survival_without(cluster->steward, authority, node->founding.node_id);
    catalog_node_each(authority->catalog, look_for_ended, &survival);
    return survival.survives;
}

void cluster_steward_crashed(const struct cluster_node *node)
{
    const struct cluster *cluster = node->cluster;
    int32_t id = node->founding.node_id;
    const struct catalog_node *known =
        node->catalog == NULL || id < 0 ? NULL : catalog_node_find(node->catalog, id);
    if (cluster->replicated && known != NULL)
        cluster->steward->ended_epochs[id] = known->epoch;
}

/* A leader that is in sync alone leads on, whatever its disk does. */
static bool look_at_spare(void *context, const struct catalog_topic *topic)
{
    struct survival *survival = context;
    struct catalog_partition p;
    for (int32_t i = 0; catalog_partition_find(survival->catalog, topic, i, &p); i++) {
        if (holds(p.replicas, p.replica_count, survival->victim) &&
            (safe_ones(survival, p.replicas, p.replica_count) < 2 ||
             safe_ones(survival, p.isr, p.isr_count) == 0 || p.adding_count > 0 ||
             p.removing_count > 0))
            survival->survives = false;
    }
    return true;
}

static void look_for_fenced(void *context, const struct catalog_node *node)
{
    struct survival *survival = context;
    if (node->fenced && !survival->steward->lost[node->id])
        survival->survives = false;
}

bool cluster_can_spare(const struct cluster_node *node)
{
    struct cluster *cluster = node->cluster;
    const struct cluster_node *authority = authority_of(cluster);
    if (authority == NULL)
        return false;
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        const struct cluster_node *other = &cluster->nodes[i];
        if (other != node && !other->removed &&
            (other->state != NODE_SERVING || other->disk_failed ||
             simulated_network_is_paused(cluster->network, i)))
            return false;
    }
    struct survival survival = {.steward = cluster->steward,
                                .catalog = authority->catalog,
                                .victim = node->founding.node_id,
                                .survives = true};
    catalog_topic_each(authority->catalog, look_at_spare, &survival);
    catalog_node_each(authority->catalog, look_for_fenced, &survival);
    return survival.survives;
}

/* ---- nodes ---- */

static void disk_replace(struct client_steward *steward, struct cluster_node *node)
{
    struct cluster *cluster = node->cluster;
    if (cluster_node_is_up(node))
        cluster_node_crash(node, true);
    simulated_storage_free(node->disk);
    node->disk = simulated_storage_new(cluster->seed * 1000 + 100 + steward->disks++);
    node->disk_is_full = node->sync_armed = node->disk_failed = node->removed = false;
}

static void lose_disk(struct client_steward *steward, struct cluster_node *authority)
{
    struct cluster *cluster = steward->call.cluster;
    struct cluster_node *node =
        &cluster->nodes[random_below(&cluster->random, cluster->node_count)];
    int32_t id = node->founding.node_id;
    if (node->removed) {
        cluster_say(cluster, "steward: slot %u, removed, is wiped", node->number);
        disk_replace(steward, node);
        return;
    }
    if (!node->founding.agreed || node == authority || !may_lose(steward, authority, id))
        return;
    cluster_say(cluster, "steward: node %d at slot %u loses its disk", id, node->number);
    steward->lost[id] = true;
    disk_replace(steward, node);
}

static void grow(struct client_steward *steward)
{
    struct cluster *cluster = steward->call.cluster;
    if (cluster->node_count == CLUSTER_NODES ||
        cluster->node_count == cluster->founder_count + CLUSTER_JOINERS)
        return;
    cluster_say(cluster, "steward: slot %u is new", cluster->node_count);
    cluster_node_init(cluster, cluster->node_count);
    cluster_node_start(&cluster->nodes[cluster->node_count++]);
}

static void drain_proposed(struct catalog_proposal *proposal)
{
    memory_free(proposal);
}

/* As a write to the node's .ctl does. */
static void drain(struct client_steward *steward, struct cluster_node *authority)
{
    struct cluster *cluster = steward->call.cluster;
    struct node_list nodes = nodes_of(steward, authority, true);
    if (nodes.count == 0)
        return;
    int32_t id = nodes.ids[random_below(&cluster->random, nodes.count)];
    bool draining = !catalog_node_find(authority->catalog, id)->draining;
    if (draining ? nodes_of(steward, authority, false).count <= SERVING_MIN
                 : !random_chance(&cluster->random, 1, 3))
        return;
    cluster_say(cluster, "steward: node %d %s", id, draining ? "drains" : "stays");
    uint32_t before = process_memory_select(authority->number + 1);
    struct catalog_proposal *proposal = memory_allocate(sizeof *proposal);
    ASSERT(proposal != NULL);
    proposal->done = drain_proposed;
    struct catalog_command command = {
        .kind = CATALOG_NODE_DRAIN, .node_id = id, .draining = draining};
    catalog_propose(authority->catalog, &command, proposal);
    (void)process_memory_select(before);
}

/* ---- requests ---- */

static void call_ended(struct client_call *call)
{
    struct client_steward *steward = container_of(call, struct client_steward, call);
    struct cluster *cluster = call->cluster;
    steward->next_ms = cluster_now_ms(cluster) + random_between(&cluster->random, 1, PAUSE_MS_MAX);
}

static void unregister(struct client_steward *steward, struct cluster_node *authority)
{
    struct cluster *cluster = steward->call.cluster;
    struct node_list nodes = nodes_of(steward, authority, true);
    int32_t via = cluster_any_node(cluster);
    if (nodes.count <= SERVING_MIN || via < 0)
        return;
    int32_t id = nodes.ids[random_below(&cluster->random, nodes.count)];
    if (!catalog_node_find(authority->catalog, id)->draining ||
        survival_without(steward, authority, id).is_replica ||
        !quorum_survives(steward, authority, id))
        return;
    cluster_say(cluster, "steward: node %d is unregistered", id);
    struct unregister_broker_request *body = client_call_open(
        &steward->call, API_UNREGISTER_BROKER, 0, via, CALL_CONTROL, CALL_TIMEOUT_MS);
    body->broker_id = id;
    client_call_start(&steward->call, call_ended);
}

/* Distinct ones, in a random order, moved to the front. */
static uint32_t choose_replicas(struct cluster *cluster, struct node_list *nodes)
{
    static const uint32_t sizes[] = {3, 3, 3, 3, 2, 4};
    uint32_t wanted = sizes[random_below(&cluster->random, 6)];
    if (wanted > nodes->count)
        wanted = nodes->count;
    for (uint32_t i = 0; i < wanted; i++) {
        uint32_t other = i + (uint32_t)random_below(&cluster->random, nodes->count - i);
        int32_t id = nodes->ids[i];
        nodes->ids[i] = nodes->ids[other];
        nodes->ids[other] = id;
    }
    return wanted;
}

static void reassign(struct client_steward *steward, struct cluster_node *authority)
{
    struct cluster *cluster = steward->call.cluster;
    struct client_call *call = &steward->call;
    struct node_list nodes = nodes_of(steward, authority, false);
    int32_t via = cluster_any_node(cluster);
    uint32_t count = choose_replicas(cluster, &nodes);
    if (via < 0 || count < 2)
        return;
    bool cancel = random_chance(&cluster->random, 1, 4);
    struct alter_partition_reassignments_request *body =
        client_call_open(call, API_ALTER_PARTITION_REASSIGNMENTS, REASSIGN_VERSION, via,
                         CALL_CONTROL, CALL_TIMEOUT_MS);
    body->timeout_ms = 5000;
    body->topics = client_call_take(call, sizeof *body->topics);
    body->topics_count = 1;
    body->topics->name = slice_of(topic_name);
    body->topics->partitions = client_call_take(call, sizeof *body->topics->partitions);
    body->topics->partitions_count = 1;
    body->topics->partitions->partition_index =
        (int32_t)random_below(&cluster->random, CLUSTER_PARTITIONS);
    body->topics->partitions->replicas = NULL;
    body->topics->partitions->replicas_count = 0;
    if (!cancel) {
        int32_t *replicas = client_call_take(call, count * sizeof *replicas);
        memcpy(replicas, nodes.ids, count * sizeof *replicas);
        body->topics->partitions->replicas = replicas;
        body->topics->partitions->replicas_count = count;
    }
    cluster_say(cluster, "steward: t-%d %s %d,%d...", body->topics->partitions->partition_index,
                cancel ? "stays where it was, not" : "goes to", nodes.ids[0], nodes.ids[1]);
    client_call_start(call, call_ended);
}

/* ---- all ---- */

void cluster_steward_act(struct cluster *cluster)
{
    struct client_steward *steward = cluster->steward;
    const struct cluster_faults *faults = &cluster->faults;
    if (steward->call.in_flight || cluster_now_ms(cluster) < steward->next_ms)
        return;
    steward->next_ms = cluster_now_ms(cluster) + random_between(&cluster->random, 1, PAUSE_MS_MAX);
    struct cluster_node *authority = authority_of(cluster);
    if (authority == NULL)
        return;
    uint64_t kind = random_below(&cluster->random, 8);
    if (kind < 3 && faults->reassignments)
        reassign(steward, authority);
    else if (kind == 3 && faults->joins)
        grow(steward);
    else if (kind == 4 && faults->lost_disks)
        lose_disk(steward, authority);
    else if (kind == 5 && faults->drains)
        drain(steward, authority);
    else if (kind > 5 && faults->drains)
        unregister(steward, authority);
}

bool cluster_steward_idle(const struct cluster *cluster)
{
    return !cluster->steward->call.in_flight;
}

void cluster_steward_init(struct cluster *cluster)
{
    cluster->steward = simulation_allocate(sizeof *cluster->steward);
    cluster->steward->call.cluster = cluster;
}

void cluster_steward_done(struct cluster *cluster)
{
    free(cluster->steward);
}
