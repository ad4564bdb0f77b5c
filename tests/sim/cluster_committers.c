/* SPDX-License-Identifier: Apache-2.0 */
/* Consumers that commit offsets to their groups without membership, wherever the coordinator is:
 *
 *   FindCoordinator -> OffsetCommit n, again until acknowledged -> OffsetCommit n + 1 ...
 *                   -> OffsetFetch
 *
 * Checked: what a coordinator says is committed lies between the last offset that was acknowledged
 * when it was asked, and the last that was sent. So no acknowledged commit is lost or goes back,
 * also not in the eyes of who asks a coordinator that is none any more. */
#include "sim/cluster_call.h"

#include "sim/simulated_file.h"
#include "wire/api_find_coordinator.h"
#include "wire/api_offset_commit.h"
#include "wire/api_offset_fetch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIND_VERSION = 3, COMMIT_VERSION = 8, FETCH_VERSION = 7, CALL_TIMEOUT_MS = 6000 };

static const char topic_name[] = "t";

struct client_committer {
    struct client_call call;
    char group[16];
    int32_t coordinator; /* -1: to be found. */
    int32_t partition;   /* Of the commit under way. */
    int64_t next_ms;
    int64_t tried[CLUSTER_PARTITIONS];
    int64_t acknowledged[CLUSTER_PARTITIONS];
    int64_t floor[CLUSTER_PARTITIONS]; /* What was acknowledged when the offsets were asked for. */
    bool verified;                     /* Since the end began. */
};

/* ---- finding ---- */

static void find_ended(struct client_call *call)
{
    struct client_committer *committer = container_of(call, struct client_committer, call);
    const struct find_coordinator_response *response = call->call.response;
    committer->next_ms = client_soon(call->cluster);
    if (call->call.error == ERROR_NONE && response->error_code == 0)
        committer->coordinator = response->node_id;
}

static void find(struct client_committer *committer)
{
    struct cluster *cluster = committer->call.cluster;
    int32_t node = cluster_any_node(cluster);
    if (node < 0)
        return;
    struct find_coordinator_request *body = client_call_open(
        &committer->call, API_FIND_COORDINATOR, FIND_VERSION, node, CALL_CONTROL, CALL_TIMEOUT_MS);
    body->key = slice_of(committer->group);
    client_call_start(&committer->call, find_ended);
}

/* ---- committing ---- */

static void commit_ended(struct client_call *call)
{
    struct client_committer *committer = container_of(call, struct client_committer, call);
    struct cluster *cluster = call->cluster;
    const struct offset_commit_response *response = call->call.response;
    committer->next_ms = client_soon(cluster);
    int32_t partition = committer->partition;
    if (call->call.error != ERROR_NONE || response->topics[0].partitions[0].error_code != 0) {
        committer->coordinator = -1;
        cluster_say(cluster, "%s: commit %" PRId64 " of t-%d: %s, error %d", committer->group,
                    committer->tried[partition], partition, error_text(call->call.error),
                    call->call.error != ERROR_NONE ? 0
                                                   : response->topics[0].partitions[0].error_code);
        return;
    }
    committer->acknowledged[partition] = committer->tried[partition];
    cluster->committed++;
    uint64_t facts[] = {(uint64_t)partition, (uint64_t)committer->tried[partition]};
    cluster->trace = simulated_hash(cluster->trace, facts, sizeof facts);
    cluster_say(cluster, "%s: t-%d is at %" PRId64, committer->group, partition,
                committer->acknowledged[partition]);
}

static void commit(struct client_committer *committer)
{
    struct client_call *call = &committer->call;
    struct offset_commit_request *body =
        client_call_open(call, API_OFFSET_COMMIT, COMMIT_VERSION, committer->coordinator,
                         CALL_CONTROL, CALL_TIMEOUT_MS);
    body->group_id = slice_of(committer->group);
    body->member_id = SLICE_EMPTY;
    body->group_instance_id = SLICE_NULL;
    body->topics = client_call_take(call, sizeof *body->topics);
    body->topics_count = 1;
    body->topics->name = slice_of(topic_name);
    body->topics->partitions = client_call_take(call, sizeof *body->topics->partitions);
    body->topics->partitions_count = 1;
    offset_commit_request_partition_init(body->topics->partitions);
    body->topics->partitions->partition_index = committer->partition;
    body->topics->partitions->committed_offset = committer->tried[committer->partition];
    body->topics->partitions->committed_metadata = SLICE_EMPTY;
    client_call_start(call, commit_ended);
}

static bool commit_owed(const struct client_committer *committer)
{
    return committer->tried[committer->partition] != committer->acknowledged[committer->partition];
}

/* ---- asking ---- */

static bool offset_check(struct client_committer *committer, int32_t partition, int64_t offset)
{
    struct cluster *cluster = committer->call.cluster;
    if (offset < committer->floor[partition] || offset > committer->tried[partition])
        cluster_fail(cluster,
                     "%s: node %d says t-%d is at %" PRId64 "; acknowledged %" PRId64
                     ", tried %" PRId64,
                     committer->group, committer->coordinator, partition, offset,
                     committer->floor[partition], committer->tried[partition]);
    uint64_t facts[] = {(uint64_t)partition, (uint64_t)offset};
    cluster->trace = simulated_hash(cluster->trace, facts, sizeof facts);
    return true;
}

static void fetch_ended(struct client_call *call)
{
    struct client_committer *committer = container_of(call, struct client_committer, call);
    const struct offset_fetch_response *response = call->call.response;
    committer->next_ms = client_soon(call->cluster);
    bool whole = call->call.error == ERROR_NONE && response->error_code == 0;
    for (uint32_t i = 0; whole && i < response->topics[0].partitions_count; i++) {
        const struct offset_fetch_response_partition *got = &response->topics[0].partitions[i];
        whole = got->error_code == 0 &&
                offset_check(committer, got->partition_index, got->committed_offset);
    }
    if (whole)
        committer->verified = true;
    else
        committer->coordinator = -1;
}

static void fetch(struct client_committer *committer)
{
    struct client_call *call = &committer->call;
    struct offset_fetch_request *body =
        client_call_open(call, API_OFFSET_FETCH, FETCH_VERSION, committer->coordinator,
                         CALL_CONTROL, CALL_TIMEOUT_MS);
    body->group_id = slice_of(committer->group);
    body->topics = client_call_take(call, sizeof *body->topics);
    body->topics_count = 1;
    body->topics->name = slice_of(topic_name);
    body->topics->partition_indexes =
        client_call_take(call, CLUSTER_PARTITIONS * sizeof *body->topics->partition_indexes);
    body->topics->partition_indexes_count = CLUSTER_PARTITIONS;
    for (int32_t i = 0; i < CLUSTER_PARTITIONS; i++) {
        body->topics->partition_indexes[i] = i;
        committer->floor[i] = committer->acknowledged[i];
    }
    client_call_start(call, fetch_ended);
}

/* ---- all of them ---- */

static void act(struct client_committer *committer, bool finish)
{
    struct cluster *cluster = committer->call.cluster;
    if (committer->call.in_flight || cluster_now_ms(cluster) < committer->next_ms)
        return;
    if (committer->coordinator < 0) {
        find(committer);
    } else if (commit_owed(committer)) {
        commit(committer);
    } else if (finish ? !committer->verified : random_chance(&cluster->random, 1, 4)) {
        fetch(committer);
    } else if (!finish) {
        committer->partition = (int32_t)random_below(&cluster->random, CLUSTER_PARTITIONS);
        committer->tried[committer->partition]++;
        commit(committer);
    }
}

void cluster_committers_init(struct cluster *cluster)
{
    cluster->committers = simulation_allocate(CLUSTER_COMMITTERS * sizeof *cluster->committers);
    for (int i = 0; i < CLUSTER_COMMITTERS; i++) {
        struct client_committer *committer = &cluster->committers[i];
        committer->call.cluster = cluster;
        committer->coordinator = -1;
        (void)snprintf(committer->group, sizeof committer->group, "group-%d", i);
        for (int32_t k = 0; k < CLUSTER_PARTITIONS; k++)
            committer->tried[k] = committer->acknowledged[k] = -1;
    }
}

void cluster_committers_done(struct cluster *cluster)
{
    free(cluster->committers);
}

void cluster_committers_act(struct cluster *cluster, bool finish)
{
    for (int i = 0; i < CLUSTER_COMMITTERS; i++)
        act(&cluster->committers[i], finish);
}

void cluster_committers_finish(struct cluster *cluster)
{
    for (int i = 0; i < CLUSTER_COMMITTERS; i++)
        cluster->committers[i].verified = false;
}

bool cluster_committers_finished(struct cluster *cluster)
{
    for (int i = 0; i < CLUSTER_COMMITTERS; i++) {
        const struct client_committer *committer = &cluster->committers[i];
        if (committer->call.in_flight || commit_owed(committer) || !committer->verified)
            return false;
    }
    return true;
}
