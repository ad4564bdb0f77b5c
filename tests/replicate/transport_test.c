/* SPDX-License-Identifier: Apache-2.0 */
/* Raft between three nodes in one process, over their real listeners and proved connections. */
#include "replicate/engine/transport.h"

#include "base/memory.h"
#include "peer_fixture.h"
#include "replicate/engine/engine.h"

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NODES = 3, WAIT_MS_MAX = 20000, ELECTION_MS = 400 };

struct member {
    struct answerer answerer;
    struct asker asker;
    struct engine_transport *transport;
    struct catalog *catalog;
    struct engine *engine;
    char directory[100];
    char address[64];
    bool up;
};

struct cluster {
    uv_loop_t loop;
    uv_timer_t tick; /* So that every wait of the loop ends. */
    char root[64];
    struct member members[NODES];
};

static void ticked(uv_timer_t *timer)
{
    (void)timer;
}

static void member_up(struct cluster *cluster, int number)
{
    struct member *member = &cluster->members[number];
    asker_init(&member->asker, 0);
    member->asker.identity.node_id = number;
    member->asker.identity.node_uuid = (struct uuid){{(uint8_t)(number + 1)}};
    asker_start(&member->asker);
    struct engine_transport_options transport = {
        .loop = &cluster->loop, .peers = member->asker.peers, .address = member->address};
    assert_int_equal(transport_new(&transport, &member->transport), ERROR_NONE);
    member->answerer.raft_accepted = transport_accept;
    member->answerer.raft_context = member->transport;
    answerer_restart(&member->answerer);

    struct engine_member members[NODES];
    for (int i = 0; i < NODES; i++) {
        members[i] = (struct engine_member){.id = (uint64_t)i + 1, .role = ENGINE_VOTER};
        snprintf(members[i].address, sizeof members[i].address, "%s", cluster->members[i].address);
    }
    assert_int_equal(catalog_new(monitor_executor(member->asker.monitor), &member->catalog),
                     ERROR_NONE);
    struct engine_options options = {
        .loop = &cluster->loop,
        .monitor = member->asker.monitor,
        .catalog = member->catalog,
        .directory = member->directory,
        .node_id = (uint64_t)number + 1,
        .address = member->address,
        .bootstrap = true,
        .members = members,
        .member_count = NODES,
        .election_timeout_ms = ELECTION_MS,
        .transport = transport_raft(member->transport),
    };
    struct failure failure = {0};
    if (engine_open(&options, &member->engine, &failure) != ERROR_NONE)
        fail_msg("%s", failure.where);
    catalog_set_proposer(member->catalog, engine_proposer(member->engine));
    member->up = true;
}

static void set_flag(void *context)
{
    *(bool *)context = true;
}

static void member_down(struct cluster *cluster, int number)
{
    struct member *member = &cluster->members[number];
    bool closed = false;
    engine_close(member->engine, set_flag, &closed);
    while (!closed)
        uv_run(&cluster->loop, UV_RUN_ONCE);
    engine_free(member->engine);
    answerer_stop(&member->answerer);
    transport_free(member->transport);
    catalog_free(member->catalog);
    asker_stop(&member->asker);
    member->up = false;
}

/* A port that is free and will be the member's through all its lives. */
static void member_init(struct cluster *cluster, int number)
{
    struct member *member = &cluster->members[number];
    answerer_init(&member->answerer);
    member->answerer.keeper.identity.node_id = number;
    member->answerer.keeper.identity.node_uuid = (struct uuid){{(uint8_t)(number + 1)}};
    answerer_start(&member->answerer);
    answerer_stop(&member->answerer);
    snprintf(member->address, sizeof member->address, "127.0.0.1:%u", member->answerer.port);
    snprintf(member->directory, sizeof member->directory, "%s/%d", cluster->root, number);
}

static struct cluster *cluster_start(void)
{
    struct cluster *cluster = memory_allocate(sizeof *cluster);
    assert_non_null(cluster);
    snprintf(cluster->root, sizeof cluster->root, "/tmp/transport_test.XXXXXX");
    assert_non_null(mkdtemp(cluster->root));
    assert_int_equal(uv_loop_init(&cluster->loop), 0);
    assert_int_equal(uv_timer_init(&cluster->loop, &cluster->tick), 0);
    assert_int_equal(uv_timer_start(&cluster->tick, ticked, 5, 5), 0);
    for (int i = 0; i < NODES; i++)
        member_init(cluster, i);
    for (int i = 0; i < NODES; i++)
        member_up(cluster, i);
    return cluster;
}

static void directory_remove(const char *path)
{
    DIR *directory = opendir(path);
    if (directory == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        char child[600];
        snprintf(child, sizeof child, "%s/%s", path, entry->d_name);
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            unlink(child) != 0)
            directory_remove(child);
    }
    closedir(directory);
    rmdir(path);
}

static void cluster_stop(struct cluster *cluster)
{
    for (int i = 0; i < NODES; i++) {
        if (cluster->members[i].up)
            member_down(cluster, i);
    }
    uv_close((uv_handle_t *)&cluster->tick, NULL);
    uv_run(&cluster->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&cluster->loop), 0);
    directory_remove(cluster->root);
    memory_free(cluster);
}

static bool timed_out(struct cluster *cluster, uint64_t since)
{
    uv_run(&cluster->loop, UV_RUN_ONCE);
    return uv_now(&cluster->loop) - since > WAIT_MS_MAX;
}

/* The number of the member that leads. */
static int wait_leader(struct cluster *cluster)
{
    uint64_t since = uv_now(&cluster->loop);
    while (!timed_out(cluster, since)) {
        for (int i = 0; i < NODES; i++) {
            if (cluster->members[i].up &&
                engine_state(cluster->members[i].engine).role == ENGINE_LEADER)
                return i;
        }
    }
    fail_msg("nobody leads after %d ms", WAIT_MS_MAX);
    return -1;
}

struct awaited {
    struct catalog_proposal proposal;
    atomic_int done;
};

static void awaited_done(struct catalog_proposal *proposal)
{
    atomic_store(&container_of(proposal, struct awaited, proposal)->done, 1);
}

/* Proposes on whoever leads until it is committed. */
static void commit_one(struct cluster *cluster)
{
    for (int tries = 0; tries < 100; tries++) {
        struct member *leader = &cluster->members[wait_leader(cluster)];
        struct awaited awaited = {.proposal.done = awaited_done};
        struct catalog_command command = {.kind = CATALOG_NODE_ID_TAKE};
        command.id.bytes[0] = (uint8_t)(tries + 1);
        monitor_enter(leader->asker.monitor);
        catalog_propose(leader->catalog, &command, &awaited.proposal);
        monitor_leave(leader->asker.monitor);
        uint64_t since = uv_now(&cluster->loop);
        while (atomic_load(&awaited.done) == 0) {
            if (timed_out(cluster, since))
                fail_msg("no answer to a proposal in %d ms", WAIT_MS_MAX);
        }
        if (awaited.proposal.outcome.error == ERROR_NONE)
            return;
    }
    fail_msg("nothing is committed");
}

/* Every member that is up applies as much as the first of them, to the same image. */
static void wait_equal(struct cluster *cluster, int64_t index)
{
    uint64_t since = uv_now(&cluster->loop);
    for (int i = 0; i < NODES; i++) {
        struct member *member = &cluster->members[i];
        while (member->up && catalog_applied_index(member->catalog) < index) {
            if (timed_out(cluster, since))
                fail_msg("node %d has applied %d of %d", i,
                         (int)catalog_applied_index(member->catalog), (int)index);
        }
    }
}

static int64_t commit_some(struct cluster *cluster, int count)
{
    for (int i = 0; i < count; i++)
        commit_one(cluster);
    return catalog_applied_index(cluster->members[wait_leader(cluster)].catalog);
}

/* Three nodes find each other by name, elect, and apply the same. */
static void three_nodes_elect_and_replicate(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_start();
    wait_equal(cluster, commit_some(cluster, 50));
    uint64_t hash = catalog_hash(cluster->members[0].catalog);
    assert_int_equal(catalog_hash(cluster->members[1].catalog), hash);
    assert_int_equal(catalog_hash(cluster->members[2].catalog), hash);
    cluster_stop(cluster);
}

/* The leader goes, the others elect another; it comes back and catches up. */
static void a_leader_that_went_is_replaced_and_catches_up(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_start();
    wait_equal(cluster, commit_some(cluster, 3));
    int first = wait_leader(cluster);
    member_down(cluster, first);
    int64_t index = commit_some(cluster, 3);
    assert_int_not_equal(wait_leader(cluster), first);
    member_up(cluster, first);
    wait_equal(cluster, index);
    wait_equal(cluster, commit_some(cluster, 3));
    cluster_stop(cluster);
}

/* A node with another token is left alone: the two others are a quorum. */
static void a_node_without_the_token_takes_no_part(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_start();
    member_down(cluster, 2);
    cluster->members[2].answerer.token.bytes[0]++;
    member_up(cluster, 2);
    int64_t index = commit_some(cluster, 3);
    for (int i = 0; i < 100; i++)
        uv_run(&cluster->loop, UV_RUN_ONCE);
    /* It may hear the others, whose token is not its own: no. It hears nobody. */
    assert_true(catalog_applied_index(cluster->members[2].catalog) < index);
    cluster_stop(cluster);
}

/* Closed while connections are being made to what never answers. */
static void closing_in_the_middle_of_connecting_leaves_nothing(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_start();
    commit_one(cluster);
    member_down(cluster, 1);
    member_down(cluster, 2);
    struct wire wires[2]; /* Somebody listens in their place and says nothing. */
    for (int i = 0; i < 2; i++)
        wire_start_at(&wires[i], cluster->members[0].answerer.port,
                      cluster->members[i + 1].answerer.port);
    atomic_store(&wires[0].mode, WIRE_STALL);
    atomic_store(&wires[1].mode, WIRE_STALL);
    uint64_t since = uv_now(&cluster->loop);
    while (atomic_load(&wires[0].connections) == 0 || atomic_load(&wires[1].connections) == 0)
        assert_false(timed_out(cluster, since));
    cluster_stop(cluster);
    wire_stop(&wires[0]);
    wire_stop(&wires[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_nodes_elect_and_replicate),
        cmocka_unit_test(a_leader_that_went_is_replaced_and_catches_up),
        cmocka_unit_test(a_node_without_the_token_takes_no_part),
        cmocka_unit_test(closing_in_the_middle_of_connecting_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
