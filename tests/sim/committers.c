/* SPDX-License-Identifier: Apache-2.0 */
/* Simulated consumers that commit offsets without membership. Each commits rising numbers, so that
 * what is there later must lie between the last acknowledged and the last tried. */
#include "sim/clients.h"

#include "base/assertion.h"
#include "sim/simulated_file.h"
#include "wire/api_offset_commit.h"
#include "wire/api_offset_fetch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { KEPT_PARTITIONS = 2, COMMIT_VERSION = 8, OFFSET_FETCH_VERSION = 7 };

struct committer {
    struct world *world;
    char group[16];
    struct client_call commit;
    struct client_call fetch;
    int32_t partition; /* Of the commit under way. */
    int64_t tried[KEPT_PARTITIONS];
    int64_t acknowledged[KEPT_PARTITIONS];
    /* At the moment the offsets were asked for: a later commit may be in the answer or not. */
    int64_t floor[KEPT_PARTITIONS];
};

struct committer *committers_new(struct world *world)
{
    struct committer *committers = simulation_allocate(WORLD_COMMITTERS * sizeof *committers);
    for (int i = 0; i < WORLD_COMMITTERS; i++) {
        committers[i].world = world;
        (void)snprintf(committers[i].group, sizeof committers[i].group, "group-%d", i);
        for (int k = 0; k < KEPT_PARTITIONS; k++) {
            committers[i].tried[k] = -1;
            committers[i].acknowledged[k] = -1;
        }
    }
    return committers;
}

void committers_free(struct committer *committers)
{
    free(committers);
}

void committers_crashed(struct world *world)
{
    for (int i = 0; i < WORLD_COMMITTERS; i++) {
        if (world->committers[i].commit.in_flight)
            client_call_forget(&world->committers[i].commit);
        if (world->committers[i].fetch.in_flight)
            client_call_forget(&world->committers[i].fetch);
    }
}

bool committers_idle(struct world *world)
{
    for (int i = 0; i < WORLD_COMMITTERS; i++) {
        if (world->committers[i].commit.in_flight || world->committers[i].fetch.in_flight)
            return false;
    }
    return true;
}

static void commit_done(struct client_call *call)
{
    struct committer *committer = container_of(call, struct committer, commit);
    const struct offset_commit_response *response = call->request.response;
    int16_t code = error_to_kafka(ERROR_UNKNOWN_SERVER);
    if (response != NULL) {
        ASSERT(response->topics_count == 1);
        ASSERT(response->topics[0].partitions_count == 1);
        code = response->topics[0].partitions[0].error_code;
    }
    request_done(&call->request);
    world_trace(committer->world, 4, (uint64_t)code, 0);
    if (code == 0)
        committer->acknowledged[committer->partition] = committer->tried[committer->partition];
}

static void commit(struct committer *committer)
{
    struct client_call *call = &committer->commit;
    int32_t partition = (int32_t)random_below(&committer->world->random, KEPT_PARTITIONS);
    committer->partition = partition;
    struct offset_commit_request *body =
        client_call_begin(call, committer->world, API_OFFSET_COMMIT, COMMIT_VERSION);
    body->group_id = client_call_text(call, committer->group);
    body->member_id = SLICE_EMPTY;
    body->group_instance_id = SLICE_NULL;
    body->topics = client_call_allocate(call, 1, sizeof *body->topics);
    body->topics_count = 1;
    body->topics->name = client_call_text(call, "kept");
    body->topics->partitions = client_call_allocate(call, 1, sizeof *body->topics->partitions);
    body->topics->partitions_count = 1;
    offset_commit_request_partition_init(body->topics->partitions);
    body->topics->partitions->partition_index = partition;
    body->topics->partitions->committed_offset = ++committer->tried[partition];
    body->topics->partitions->committed_metadata = client_call_text(call, "note");
    client_call_send(call, commit_done);
}

static void fetch_done(struct client_call *call)
{
    struct committer *committer = container_of(call, struct committer, fetch);
    struct world *world = committer->world;
    const struct offset_fetch_response *response = call->request.response;
    if (response != NULL && response->error_code == 0) {
        ASSERT(response->topics_count == 1);
        for (uint32_t i = 0; i < response->topics[0].partitions_count; i++) {
            const struct offset_fetch_response_partition *got = &response->topics[0].partitions[i];
            int32_t k = got->partition_index;
            if (got->error_code != 0)
                continue;
            world_trace(world, 5, (uint64_t)k, (uint64_t)got->committed_offset);
            if (got->committed_offset < committer->floor[k] ||
                got->committed_offset > committer->tried[k])
                world_fail(world,
                           "%s: the offset of kept-%d is %" PRId64 ", acknowledged %" PRId64
                           ", tried %" PRId64,
                           committer->group, k, got->committed_offset, committer->floor[k],
                           committer->tried[k]);
        }
    }
    request_done(&call->request);
}

static void fetch(struct committer *committer)
{
    struct client_call *call = &committer->fetch;
    struct offset_fetch_request *body =
        client_call_begin(call, committer->world, API_OFFSET_FETCH, OFFSET_FETCH_VERSION);
    body->group_id = client_call_text(call, committer->group);
    body->topics = client_call_allocate(call, 1, sizeof *body->topics);
    body->topics_count = 1;
    body->topics->name = client_call_text(call, "kept");
    body->topics->partition_indexes =
        client_call_allocate(call, KEPT_PARTITIONS, sizeof *body->topics->partition_indexes);
    body->topics->partition_indexes_count = KEPT_PARTITIONS;
    for (int k = 0; k < KEPT_PARTITIONS; k++) {
        body->topics->partition_indexes[k] = k;
        committer->floor[k] = committer->acknowledged[k];
    }
    client_call_send(call, fetch_done);
}

void committers_act(struct world *world)
{
    struct committer *committer =
        &world->committers[random_below(&world->random, WORLD_COMMITTERS)];
    if (random_chance(&world->random, 1, 4)) {
        if (!committer->fetch.in_flight)
            fetch(committer);
    } else if (!committer->commit.in_flight) {
        commit(committer);
    }
}

void committers_verify(struct world *world)
{
    for (int i = 0; i < WORLD_COMMITTERS; i++) {
        if (!world->committers[i].fetch.in_flight)
            fetch(&world->committers[i]);
    }
}
