/* SPDX-License-Identifier: Apache-2.0 */
/* Finding the cluster, and the threads and sockets that reach it. */
#include "daemon/node_cluster.h"

#include "base/assertion.h"
#include "base/report.h"
#include "daemon/node.h"

#include <stdio.h>
#include <string.h>

static struct executor *executor_of(struct node *node)
{
    return monitor_executor(node->control.monitor);
}

/* ---- what others are told ---- */

static struct node *of_formation(struct formation *formation)
{
    return container_of(formation, struct node, cluster.formation);
}

struct member_fill {
    struct arena *arena;
    struct cluster_query_response *response;
    uint32_t capacity;
    bool failed;
};

static void member_add(void *context, const struct catalog_node *node)
{
    struct member_fill *fill = context;
    struct cluster_query_response *response = fill->response;
    if (response->members_count == fill->capacity)
        return;
    struct cluster_query_response_member *member = &response->members[response->members_count++];
    cluster_query_response_member_init(member);
    member->node_id = node->id;
    member->host = arena_copy(fill->arena, slice_of(node->host));
    member->port = node->port;
    member->node_uuid = node->directory_id;
    fill->failed = fill->failed || member->host.data == NULL;
}

/* The registered nodes know more than the founders did. */
static enum error members_from_catalog(struct node *node, struct arena *arena,
                                       struct cluster_query_response *response)
{
    uint32_t count = catalog_node_count(node->catalog);
    if (count == 0)
        return ERROR_NONE;
    struct member_fill fill = {.arena = arena, .response = response, .capacity = count};
    response->members = arena_allocate_array(arena, count, sizeof *response->members);
    if (response->members == NULL)
        return ERROR_OUT_OF_MEMORY;
    response->members_count = 0;
    catalog_node_each(node->catalog, member_add, &fill);
    return fill.failed ? ERROR_OUT_OF_MEMORY : ERROR_NONE;
}

/* The other one goes; who runs it looks there, who made it may look here. */
static void copy_seen(struct node_cluster *cluster, struct slice address)
{
    char text[sizeof cluster->copy_address];
    (void)report_escape(address.data, address.size, text, sizeof text);
    if (strcmp(text, cluster->copy_address) == 0)
        return;
    (void)snprintf(cluster->copy_address, sizeof cluster->copy_address, "%s", text);
    report(REPORT_WARNING, "data_copied", "",
           "at=%s reason=\"a node was started there on a copy of this node's data\" lost=nothing "
           "do=\"to add a node start it with an empty log.dirs\"",
           text);
}

static enum error query_answered(struct formation *formation, struct arena *arena,
                                 int32_t peer_node_id, const struct cluster_query_request *request,
                                 struct cluster_query_response *ret_response)
{
    struct node *node = of_formation(formation);
    struct node_cluster *cluster = &node->cluster;
    enum error error =
        bootstrap_answer(&cluster->founding, cluster->list_hash, arena, ret_response);
    ret_response->incarnation_id = cluster->incarnation_id;
    if (error != ERROR_NONE || !cluster->founding.agreed)
        return error;
    if (uuid_equals(&request->node_uuid, &cluster->founding.node_uuid) &&
        !uuid_equals(&request->incarnation_id, &cluster->incarnation_id))
        copy_seen(cluster, request->address);
    if (peer_node_id >= 0 && cluster->sightings != NULL)
        sightings_note(cluster->sightings, peer_node_id, request->address);
    if (cluster->quorum.quorum.ops != NULL)
        ret_response->leader_id = quorum_leader_id((struct quorum *)&cluster->quorum.quorum);
    /* A founder that was not registered yet must find itself among the founders. */
    if (cluster->founding.founder &&
        founding_member_of(&cluster->founding, &request->node_uuid) != NULL)
        return ERROR_NONE;
    return members_from_catalog(node, arena, ret_response);
}

static const struct formation_ops formation_ops = {query_answered};

static enum peer_standing standing_of(void *context, const struct peer_identity *peer)
{
    struct node *node = context;
    const struct catalog_node *known = catalog_node_find(node->catalog, peer->node_id);
    if (known == NULL)
        return PEER_STANDING_UNKNOWN;
    return uuid_equals(&known->directory_id, &peer->node_uuid) ? PEER_STANDING_GOOD
                                                               : PEER_STANDING_STALE;
}

/* ---- where others are ---- */

static bool registered_address(struct node *node, int32_t node_id,
                               struct bootstrap_address *ret_address)
{
    const struct catalog_node *known = catalog_node_find(node->catalog, node_id);
    const struct founding_member *member = founding_member_find(&node->cluster.founding, node_id);
    if (known == NULL && member == NULL)
        return false;
    ret_address->port = (uint16_t)(known != NULL ? known->port : member->port);
    (void)snprintf(ret_address->host, sizeof ret_address->host, "%s",
                   known != NULL ? known->host : member->host);
    return true;
}

static bool address_of(void *context, int32_t node_id, char ret_host[PEER_HOST_BYTES],
                       uint16_t *ret_port)
{
    struct node *node = context;
    struct sightings *sightings = node->cluster.sightings;
    struct bootstrap_address address;
    struct bootstrap_address seen;
    bool known = registered_address(node, node_id, &address);
    if (sightings != NULL && sightings_find(sightings, node_id, known ? &address : NULL, &seen)) {
        address = seen;
        known = true;
    }
    if (!known)
        return false;
    (void)snprintf(ret_host, PEER_HOST_BYTES, "%s", address.host);
    *ret_port = address.port;
    return true;
}

/* A node with a session is where it registered. */
static bool may_have_moved(void *context, int32_t node_id, const struct uuid *node_uuid)
{
    struct node *node = context;
    const struct catalog_node *known = catalog_node_find(node->catalog, node_id);
    if (known == NULL)
        return true;
    if (node_uuid != NULL && !uuid_equals(&known->directory_id, node_uuid))
        return false;
    return known->fenced || quorum_leader_id(&node->cluster.quorum.quorum) < 0;
}

static void node_lost(void *context, int32_t node_id, enum peer_loss loss)
{
    struct node *node = context;
    if (loss == PEER_REFUSED)
        core_node_unreachable(&node->core, node_id);
}

void node_cluster_raft_accepted(void *context, int descriptor, int32_t node_id, const char *address)
{
    struct node *node = context;
    monitor_enter(node->control.monitor);
    if (node->cluster.sightings != NULL)
        sightings_note(node->cluster.sightings, node_id, slice_of(address));
    monitor_leave(node->control.monitor);
    transport_accept(node->cluster.transport, descriptor, node_id, address);
}

/* ---- opening ---- */

/* A node that was alone until now is a cluster of one that others may join. */
static enum error founding_take(struct node *node)
{
    struct founding *founding = &node->cluster.founding;
    enum error error = founding_load(node->data.storage, founding, &node->failure);
    if (error != ERROR_NOT_FOUND)
        return error;
    *founding = (struct founding){.node_id = -1};
    if (data_is_identified(&node->data)) {
        const struct log_identity *known = log_directory_identity(node->data.directory);
        founding->node_uuid = known->directory_id;
        founding->agreed = true;
        founding->node_id = known->node_id;
        founding->cluster_id = known->cluster_id;
    } else {
        founding->node_uuid = uuid_random(executor_of(node));
    }
    error = founding_store(node->data.storage, founding);
    if (error != ERROR_NONE)
        return failure_at(&node->failure, error, "write topicfs.founding");
    return ERROR_NONE;
}

static struct peer_identity identity_of(const struct founding *founding)
{
    return (struct peer_identity){.cluster_id = founding->cluster_id,
                                  .node_id = founding->agreed ? founding->node_id : -1,
                                  .node_uuid = founding->node_uuid};
}

static enum error links_open(struct node *node)
{
    struct node_cluster *cluster = &node->cluster;
    struct peers_options options = {
        .monitor = node->control.monitor,
        .token = &cluster->token,
        .identity = identity_of(&cluster->founding),
        .address = address_of,
        .lost = node_lost,
        .context = node,
    };
    enum error error = peers_open(&options, &cluster->peers, &node->failure);
    if (error != ERROR_NONE)
        return error;
    char address[ENDPOINT_HOST_BYTES + 16];
    (void)snprintf(address, sizeof address, "%s:%d",
                   node->settings->advertised[node->settings->node_listener].host,
                   node_advertised_port(node));
    struct engine_transport_options transport = {
        .loop = &node->control.loop, .peers = cluster->peers, .address = address};
    error = transport_new(&transport, &cluster->transport);
    if (error != ERROR_NONE)
        return failure_at(&node->failure, error, "make Raft's transport");
    return ERROR_NONE;
}

enum error node_cluster_open(struct node *node)
{
    struct node_cluster *cluster = &node->cluster;
    const struct cluster_settings *settings = &node->settings->cluster;
    enum error error = peer_token_read(settings->token_file, &cluster->token, &node->failure);
    if (error == ERROR_NONE)
        error = founding_take(node);
    if (error != ERROR_NONE)
        return error;
    cluster->incarnation_id = uuid_random(executor_of(node));
    cluster->list_hash = bootstrap_list_hash(settings->nodes, settings->node_count);
    engine_quorum_init(&cluster->quorum, executor_of(node));
    cluster->doorkeeper = (struct peer_doorkeeper){.token = &cluster->token,
                                                   .identity = identity_of(&cluster->founding),
                                                   .standing = standing_of,
                                                   .context = node};
    cluster->formation.ops = &formation_ops;
    node->core.broker.doorkeeper = &cluster->doorkeeper;
    node->core.broker.formation = &cluster->formation;
    quorum_description_init(&cluster->description, &cluster->quorum, &node->core.broker);
    node->core.broker.quorum_describe = &cluster->description.describe;
    return links_open(node);
}

/* ---- finding ---- */

static void found_run(struct control_call *call)
{
    struct node *node = container_of(call, struct node, cluster_found);
    struct node_cluster *cluster = &node->cluster;
    if (node->state != NODE_STARTING)
        return;
    if (cluster->bootstrap_error != ERROR_NONE) {
        node->failure = cluster->bootstrap_failure;
        node_start_failed(node, cluster->bootstrap_error, "find the cluster");
        return;
    }
    struct peer_identity identity = identity_of(&cluster->founding);
    peers_identify(cluster->peers, &identity);
    enum error error = node_cluster_agreed(node);
    if (error != ERROR_NONE) {
        node_start_failed(node, error, "start");
        return;
    }
    monitor_enter(node->control.monitor);
    sightings_attend(cluster->sightings, &cluster->quorum.quorum);
    monitor_leave(node->control.monitor);
}

/* Inside the monitor. */
static void find_ended(struct node *node, enum error error, const struct failure *failure)
{
    struct node_cluster *cluster = &node->cluster;
    cluster->bootstrap_error = error;
    cluster->bootstrap_failure = *failure;
    node->cluster_found.run = found_run;
    control_post(&node->control, &node->cluster_found);
}

static struct bootstrap_address advertised_of(struct node *node)
{
    struct bootstrap_address address = {.port = (uint16_t)node_advertised_port(node)};
    (void)snprintf(address.host, sizeof address.host, "%s",
                   node->settings->advertised[node->settings->node_listener].host);
    return address;
}

/* ---- of a node that is in a cluster ---- */

static void looked_around(void *context, enum error error, const struct failure *failure)
{
    find_ended(context, error, failure);
}

static enum error sightings_make(struct node *node)
{
    struct node_cluster *cluster = &node->cluster;
    const struct cluster_settings *settings = &node->settings->cluster;
    struct sightings_options options = {
        .executor = executor_of(node),
        .caller = peers_caller(cluster->peers),
        .addresses = settings->nodes,
        .address_count = settings->node_count,
        .self = settings->self,
        .advertised = advertised_of(node),
        .node_id = cluster->founding.node_id,
        .cluster_id = cluster->founding.cluster_id,
        .node_uuid = cluster->founding.node_uuid,
        .incarnation_id = cluster->incarnation_id,
        .looked = looked_around,
        .plausible = may_have_moved,
        .context = node,
    };
    return sightings_new(&options, &cluster->sightings);
}

/* ---- of one that is not yet ---- */

static void bootstrap_done(void *context, enum error error, const struct failure *failure)
{
    struct node *node = context;
    struct node_cluster *cluster = &node->cluster;
    cluster->doorkeeper.identity = identity_of(&cluster->founding);
    bootstrap_stop(cluster->bootstrap);
    cluster->bootstrap = NULL;
    if (error == ERROR_NONE)
        error = sightings_make(node);
    find_ended(node, error, failure);
}

static void bootstrap_waits(void *context, const char *text)
{
    struct node *node = context;
    char line[500];
    (void)snprintf(line, sizeof line, "waiting for %s", text);
    background_note(node->background, line);
    report(REPORT_INFO, "cluster_waiting", "", "for=\"%s\" lost=nothing", text);
}

static enum error bootstrap_begin(struct node *node)
{
    struct node_cluster *cluster = &node->cluster;
    const struct cluster_settings *settings = &node->settings->cluster;
    struct bootstrap_options options = {
        .executor = executor_of(node),
        .storage = node->data.storage,
        .caller = peers_caller(cluster->peers),
        .addresses = settings->nodes,
        .address_count = settings->node_count,
        .self = settings->self,
        .wanted_node_id = settings->wanted_node_id,
        .advertised = advertised_of(node),
        .rack = config_node_value(node->settings->config, "broker.rack", NULL),
        .waiting = bootstrap_waits,
        .done = bootstrap_done,
        .context = node,
    };
    enum error error = bootstrap_new(&options, &cluster->founding, &cluster->bootstrap);
    if (error == ERROR_NONE)
        bootstrap_start(cluster->bootstrap);
    return error;
}

enum error node_cluster_find(struct node *node)
{
    struct node_cluster *cluster = &node->cluster;
    monitor_enter(node->control.monitor);
    enum error error = cluster->founding.agreed ? sightings_make(node) : bootstrap_begin(node);
    if (error == ERROR_NONE && cluster->sightings != NULL)
        sightings_start(cluster->sightings);
    monitor_leave(node->control.monitor);
    if (error != ERROR_NONE)
        return failure_at(&node->failure, error, "look for the cluster");
    return ERROR_NONE;
}

void node_cluster_stop_finding(struct node *node)
{
    bootstrap_stop(node->cluster.bootstrap);
    node->cluster.bootstrap = NULL;
    sightings_stop(node->cluster.sightings);
    node->cluster.sightings = NULL;
}

/* ---- Raft ---- */

void node_cluster_engine_options(struct node *node, struct engine_options *options,
                                 struct engine_member *ret_members)
{
    struct node_cluster *cluster = &node->cluster;
    const struct founding *founding = &cluster->founding;
    bool first = !data_is_identified(&node->data);
    options->node_id = engine_id_of_node(founding->node_id);
    options->bootstrap = first && founding->founder;
    /* Only a directory that never had a log may wait for one: an empty voter could undo what was
     * agreed. */
    options->join = first && !founding->founder;
    options->election_timeout_ms = (uint32_t)config_node_number(
        node->settings->config, "controller.quorum.election.timeout.ms");
    options->transport = transport_raft(cluster->transport);
    if (!options->bootstrap)
        return;
    options->members = ret_members;
    options->member_count = founding->member_count;
    for (uint32_t i = 0; i < founding->member_count; i++) {
        ret_members[i] = (struct engine_member){
            .id = engine_id_of_node(founding->members[i].node_id), .role = ENGINE_VOTER};
        (void)snprintf(ret_members[i].address, sizeof ret_members[i].address, "%s:%d",
                       founding->members[i].host, founding->members[i].port);
    }
}

enum error node_cluster_identify(struct node *node)
{
    const struct founding *founding = &node->cluster.founding;
    if (data_is_identified(&node->data))
        return ERROR_NONE;
    struct log_identity identity = {.cluster_id = founding->cluster_id,
                                    .node_id = founding->node_id,
                                    .directory_id = founding->node_uuid};
    return data_identify(node->settings, &node->data, &identity, &node->failure);
}

/* ---- ending ---- */

/* On the peers' thread. */
static void peers_closed(void *context)
{
    struct node *node = context;
    control_post(&node->control, &node->peers_closed);
}

void node_cluster_close_peers(struct node *node)
{
    struct node_cluster *cluster = &node->cluster;
    if (cluster->peers_closing)
        return;
    cluster->peers_closing = true;
    if (cluster->peers != NULL)
        peers_close(cluster->peers, peers_closed, node);
    else
        control_post(&node->control, &node->peers_closed);
}

void node_cluster_free_transport(struct node *node)
{
    transport_free(node->cluster.transport);
    node->cluster.transport = NULL;
}

void node_cluster_done(struct node *node)
{
    peers_free(node->cluster.peers);
    node->cluster.peers = NULL;
    peer_token_done(&node->cluster.token);
}

/* ---- the gate ---- */

bool node_admits(const struct request *request)
{
    const struct node *node = container_of(request->broker, struct node, core.broker);
    switch (request->api->key) {
    case API_PEER_HELLO:
    case API_PEER_PROOF:
    case API_CLUSTER_QUERY:
        return true;
    default:
        break;
    }
    if (request->requester.nodes_only && request->requester.peer_node_id == PEER_CLIENT)
        return false;
    return request->api->key == API_API_VERSIONS || core_is_open(&node->core);
}
