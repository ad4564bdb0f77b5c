/* SPDX-License-Identifier: Apache-2.0 */
/* A command finds the leader, whatever happens on the way, and is answered once. */
#include "replicate/core/route.h"

#include "base/memory.h"
#include "replicate/cluster_fixture.h"

#include <cmocka.h>
#include <string.h>

struct proposed {
    struct catalog_proposal proposal;
    struct cluster_fixture *cluster;
    int done;
    int64_t done_ms;
    int64_t applied_here; /* The index its node had applied when it was answered. */
    struct catalog *catalog;
};

struct fixture {
    struct cluster_fixture cluster;
    struct route *routes[3];
    int64_t began_ms;
};

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof *f);
    cluster_setup(&f->cluster, 3);
    for (int32_t i = 0; i < 3; i++)
        (void)cluster_register(&f->cluster, i, false);
    for (int32_t i = 0; i < 3; i++) {
        struct cluster_node *node = &f->cluster.nodes[i];
        struct route_options options = {.executor = f->cluster.executor,
                                        .caller = &node->caller,
                                        .quorum = &node->quorum,
                                        .catalog = node->catalog,
                                        .local = &node->local,
                                        .node_id = i};
        assert_int_equal(route_new(&options, &f->routes[i]), ERROR_NONE);
        catalog_set_proposer(node->catalog, route_proposer(f->routes[i]));
    }
    f->began_ms = executor_monotonic_ms(f->cluster.executor);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 3; i++)
        route_stop(f->routes[i]);
    for (int i = 0; i < 3; i++)
        route_free(f->routes[i]);
    cluster_teardown(&f->cluster);
    test_free(f);
    return 0;
}

static void proposal_done(struct catalog_proposal *proposal)
{
    struct proposed *proposed = container_of(proposal, struct proposed, proposal);
    proposed->done++;
    proposed->done_ms = executor_monotonic_ms(proposed->cluster->executor);
    proposed->applied_here = catalog_applied_index(proposed->catalog);
}

static struct catalog_command topic_config(const struct catalog_pair *pair)
{
    return (struct catalog_command){.kind = CATALOG_CONFIG_SET,
                                    .resource = CATALOG_RESOURCE_NODE,
                                    .resource_name = slice_of(""),
                                    .pairs = pair,
                                    .pair_count = 1};
}

/* A command that gives another answer each time it is applied. */
static void propose_ids(struct fixture *f, int32_t node_id, struct proposed *proposed)
{
    struct catalog_command command = {.kind = CATALOG_PRODUCER_IDS, .node_id = node_id};
    *proposed = (struct proposed){.proposal = {.done = proposal_done},
                                  .cluster = &f->cluster,
                                  .catalog = f->cluster.nodes[node_id].catalog};
    catalog_propose(proposed->catalog, &command, &proposed->proposal);
    assert_int_equal(proposed->done, 0);
}

static int64_t took_ms(const struct fixture *f, const struct proposed *proposed)
{
    return proposed->done_ms - f->began_ms;
}

/* The node that leads asks its own log, nobody else. */
static void the_leader_proposes_locally(void **state)
{
    struct fixture *f = *state;
    struct proposed proposed;
    cluster_elect(&f->cluster, 1);
    f->cluster.nodes[0].reach = CLUSTER_REFUSED;
    f->cluster.nodes[2].reach = CLUSTER_REFUSED;
    propose_ids(f, 1, &proposed);
    cluster_run_for(&f->cluster, 100);
    assert_int_equal(proposed.done, 1);
    assert_int_equal(proposed.proposal.outcome.error, ERROR_NONE);
    assert_int_equal(proposed.proposal.outcome.producer_id_first, 0);
    assert_true(route_idle(f->routes[1]));
}

/* Another node's command is carried to the leader, and its results come back. */
static void a_follower_proposes_at_the_leader(void **state)
{
    struct fixture *f = *state;
    struct proposed first;
    struct proposed second;
    cluster_elect(&f->cluster, 1);
    propose_ids(f, 0, &first);
    cluster_run_for(&f->cluster, 100);
    propose_ids(f, 2, &second);
    cluster_run_for(&f->cluster, 100);
    assert_int_equal(first.proposal.outcome.producer_id_first, 0);
    assert_int_equal(second.proposal.outcome.producer_id_first, CATALOG_PRODUCER_ID_BLOCK);
    assert_int_equal(second.proposal.outcome.index, 6);
    assert_int_equal(second.proposal.outcome.node_id_taken, -1);
    assert_true(took_ms(f, &first) < 20);
}

/* What apply refuses is the answer, also when it is the code of a node that does not lead. */
static void an_applied_refusal_is_not_retried(void **state)
{
    struct fixture *f = *state;
    struct proposed proposed = {.proposal = {.done = proposal_done},
                                .cluster = &f->cluster,
                                .catalog = f->cluster.nodes[0].catalog};
    cluster_elect(&f->cluster, 1);
    struct catalog_command command = {.kind = CATALOG_NODE_FENCE, .node_id = 9, .fenced = true};
    catalog_propose(proposed.catalog, &command, &proposed.proposal);
    cluster_run_for(&f->cluster, 1000);
    assert_int_equal(proposed.done, 1);
    assert_int_equal(proposed.proposal.outcome.error, ERROR_BROKER_ID_NOT_REGISTERED);
    assert_int_equal(f->cluster.proposals_taken, 1);
}

/* The answer waits until the own catalog shows what was done. */
static void the_answer_waits_for_the_own_catalog(void **state)
{
    struct fixture *f = *state;
    struct proposed proposed;
    cluster_elect(&f->cluster, 1);
    f->cluster.nodes[0].follows = false;
    propose_ids(f, 0, &proposed);
    cluster_run_for(&f->cluster, 2000);
    assert_int_equal(proposed.done, 0);
    f->cluster.nodes[0].follows = true;
    cluster_run_for(&f->cluster, 1);
    assert_int_equal(proposed.done, 1);
    assert_int_equal(proposed.proposal.outcome.error, ERROR_NONE);
    assert_true(proposed.applied_here >= proposed.proposal.outcome.index);
}

/* A catalog that never follows does not keep the proposer waiting for ever. */
static void a_catalog_that_stays_behind_times_out(void **state)
{
    struct fixture *f = *state;
    struct proposed proposed;
    cluster_elect(&f->cluster, 1);
    f->cluster.nodes[0].follows = false;
    propose_ids(f, 0, &proposed);
    cluster_run_for(&f->cluster, ROUTE_DEADLINE_MS + 10);
    assert_int_equal(proposed.proposal.outcome.error, ERROR_REQUEST_TIMED_OUT);
    assert_int_equal(took_ms(f, &proposed), ROUTE_DEADLINE_MS);
    assert_true(route_idle(f->routes[0]));
}

/* With no leader it waits; the news of one wakes it without a delay. */
static void a_new_leader_is_asked_at_once(void **state)
{
    struct fixture *f = *state;
    struct proposed proposed;
    propose_ids(f, 0, &proposed);
    cluster_run_for(&f->cluster, 10000);
    assert_int_equal(proposed.done, 0);
    cluster_elect(&f->cluster, 2);
    cluster_run_for(&f->cluster, 6);
    assert_int_equal(proposed.done, 1);
    assert_int_equal(proposed.proposal.outcome.error, ERROR_NONE);
}

/* A leader that has not applied its barrier yet is not asked: it may not know what is committed. */
static void a_leader_without_its_barrier_waits(void **state)
{
    struct fixture *f = *state;
    struct proposed proposed;
    cluster_elect(&f->cluster, 0);
    f->cluster.barrier = false;
    propose_ids(f, 0, &proposed);
    cluster_run_for(&f->cluster, 2000);
    assert_int_equal(proposed.done, 0);
    f->cluster.barrier = true;
    cluster_run_for(&f->cluster, 1000);
    assert_int_equal(proposed.done, 1);
}

/* The leader carried it out and its answer was lost: sent again, nothing happens twice. */
static void a_lost_answer_does_not_apply_twice(void **state)
{
    struct fixture *f = *state;
    struct proposed proposed;
    struct proposed later;
    cluster_elect(&f->cluster, 1);
    f->cluster.nodes[1].reach = CLUSTER_ANSWER_LOST;
    propose_ids(f, 0, &proposed);
    cluster_run_for(&f->cluster, 2000);
    assert_int_equal(proposed.done, 0);
    assert_true(f->cluster.proposals_taken > 2);
    f->cluster.nodes[1].reach = CLUSTER_REACHED;
    cluster_run_for(&f->cluster, 1000);
    assert_int_equal(proposed.done, 1);
    assert_int_equal(proposed.proposal.outcome.producer_id_first, 0);
    propose_ids(f, 0, &later);
    cluster_run_for(&f->cluster, 1000);
    assert_int_equal(later.proposal.outcome.producer_id_first, CATALOG_PRODUCER_ID_BLOCK);
}

/* A leader that takes a command and never says what came of it is asked again, too. */
static void an_unknown_outcome_at_the_leader_is_retried(void **state)
{
    struct fixture *f = *state;
    struct proposed here;
    struct proposed there;
    cluster_elect(&f->cluster, 1);
    f->cluster.proposal_error = ERROR_REQUEST_TIMED_OUT;
    f->cluster.apply_before_error = true;
    propose_ids(f, 1, &here);
    propose_ids(f, 0, &there);
    cluster_run_for(&f->cluster, 500);
    assert_int_equal(here.done + there.done, 0);
    f->cluster.proposal_error = ERROR_NONE;
    cluster_run_for(&f->cluster, 1000);
    assert_int_equal(here.proposal.outcome.error, ERROR_NONE);
    assert_int_equal(there.proposal.outcome.error, ERROR_NONE);
    assert_int_equal(here.proposal.outcome.producer_id_first +
                         there.proposal.outcome.producer_id_first,
                     CATALOG_PRODUCER_ID_BLOCK);
}

/* The leader was replaced while it was asked: the call to the old one is not waited for. */
static void a_silent_old_leader_is_left_for_the_new(void **state)
{
    struct fixture *f = *state;
    struct proposed proposed;
    cluster_elect(&f->cluster, 1);
    f->cluster.nodes[1].reach = CLUSTER_SILENT;
    propose_ids(f, 0, &proposed);
    cluster_run_for(&f->cluster, 1000);
    cluster_elect(&f->cluster, 2);
    cluster_run_for(&f->cluster, 10);
    assert_int_equal(proposed.done, 1);
    assert_int_equal(proposed.proposal.outcome.error, ERROR_NONE);
}

/* The leader asked is none any more, and says who is. */
static void a_node_that_does_not_lead_names_the_leader(void **state)
{
    struct fixture *f = *state;
    struct proposed proposed;
    cluster_elect(&f->cluster, 2);
    f->cluster.nodes[0].knows_leader_id = 1;
    propose_ids(f, 0, &proposed);
    cluster_run_for(&f->cluster, 20);
    assert_int_equal(proposed.done, 0);
    f->cluster.nodes[0].knows_leader_id = -1;
    cluster_run_for(&f->cluster, 2000);
    assert_int_equal(proposed.done, 1);
    assert_int_equal(proposed.proposal.outcome.error, ERROR_NONE);
}

/* Leadership goes while the own log has the command. */
static void a_deposed_leader_goes_to_the_next(void **state)
{
    struct fixture *f = *state;
    struct proposed proposed;
    cluster_elect(&f->cluster, 0);
    f->cluster.quorum_stuck = true;
    propose_ids(f, 0, &proposed);
    cluster_run_for(&f->cluster, 100);
    cluster_elect(&f->cluster, 1);
    f->cluster.quorum_stuck = false;
    cluster_run_for(&f->cluster, 1000);
    assert_int_equal(proposed.done, 1);
    assert_int_equal(proposed.proposal.outcome.error, ERROR_NONE);
    assert_int_equal(f->cluster.proposals_taken, 1);
}

/* Nobody leads until the deadline. */
static void without_a_leader_the_deadline_ends_it(void **state)
{
    struct fixture *f = *state;
    struct proposed proposed;
    propose_ids(f, 0, &proposed);
    cluster_run_for(&f->cluster, ROUTE_DEADLINE_MS - 1);
    assert_int_equal(proposed.done, 0);
    cluster_run_for(&f->cluster, 2);
    assert_int_equal(proposed.done, 1);
    assert_int_equal(proposed.proposal.outcome.error, ERROR_REQUEST_TIMED_OUT);
    assert_int_equal(proposed.proposal.outcome.producer_id_first, -1);
}

/* The same with a leader that cannot be reached, in each way; and with a log that hangs. */
static void every_way_of_no_answer_ends_at_the_deadline(void **state)
{
    struct fixture *f = *state;
    static const enum cluster_reach ways[] = {CLUSTER_REFUSED, CLUSTER_SILENT, CLUSTER_ANSWER_LOST};
    cluster_elect(&f->cluster, 1);
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        struct proposed proposed;
        f->cluster.nodes[1].reach = ways[i];
        propose_ids(f, 0, &proposed);
        cluster_run_for(&f->cluster, ROUTE_DEADLINE_MS + 10);
        assert_int_equal(proposed.done, 1);
        assert_int_equal(proposed.proposal.outcome.error, ERROR_REQUEST_TIMED_OUT);
    }
    struct proposed stuck;
    f->cluster.quorum_stuck = true;
    propose_ids(f, 1, &stuck);
    cluster_run_for(&f->cluster, ROUTE_DEADLINE_MS + 10);
    assert_int_equal(stuck.proposal.outcome.error, ERROR_REQUEST_TIMED_OUT);
    assert_false(route_idle(f->routes[1]));
    f->cluster.quorum_stuck = false;
    cluster_run_for(&f->cluster, 10);
    assert_true(route_idle(f->routes[1]));
    assert_int_equal(stuck.done, 1);
}

/* A leader whose disk is full says so; that is no reason to go on asking. */
static void a_full_disk_of_the_leader_is_the_answer(void **state)
{
    struct fixture *f = *state;
    struct proposed here;
    struct proposed there;
    cluster_elect(&f->cluster, 1);
    f->cluster.proposal_error = ERROR_DISK_FULL;
    propose_ids(f, 1, &here);
    propose_ids(f, 0, &there);
    cluster_run_for(&f->cluster, 100);
    assert_int_equal(here.proposal.outcome.error, ERROR_DISK_FULL);
    assert_int_equal(there.proposal.outcome.error, ERROR_STORAGE);
}

/* Stopping answers everybody, wherever their command is, and those who come later. */
static void stopping_answers_everybody(void **state)
{
    struct fixture *f = *state;
    struct proposed proposed[4];
    cluster_elect(&f->cluster, 1);
    f->cluster.quorum_stuck = true;
    propose_ids(f, 1, &proposed[0]);
    f->cluster.nodes[1].reach = CLUSTER_SILENT;
    propose_ids(f, 0, &proposed[1]);
    cluster_run_for(&f->cluster, 50);
    f->cluster.nodes[2].knows_leader_id = -1;
    propose_ids(f, 2, &proposed[2]);
    for (int i = 0; i < 3; i++)
        route_stop(f->routes[i]);
    propose_ids(f, 2, &proposed[3]);
    cluster_run_for(&f->cluster, 50);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(proposed[i].done, 1);
        assert_int_equal(proposed[i].proposal.outcome.error, ERROR_CLOSING);
    }
    assert_false(route_idle(f->routes[1]));
    f->cluster.quorum_stuck = false;
    cluster_run_for(&f->cluster, 50);
    for (int i = 0; i < 3; i++)
        assert_true(route_idle(f->routes[i]));
}

/* The connections of a node that stops end with CLOSING: so do its commands. */
static void closing_connections_end_it(void **state)
{
    struct fixture *f = *state;
    struct proposed proposed;
    cluster_elect(&f->cluster, 1);
    f->cluster.nodes[1].reach = CLUSTER_CLOSING;
    propose_ids(f, 0, &proposed);
    cluster_run_for(&f->cluster, 50);
    assert_int_equal(proposed.done, 1);
    assert_int_equal(proposed.proposal.outcome.error, ERROR_CLOSING);
}

/* Each refused allocation is retried or answered; never lost, never answered twice. */
static void every_refused_allocation_is_survived(void **state)
{
    struct fixture *f = *state;
    cluster_elect(&f->cluster, 1);
    for (int32_t node_id = 0; node_id < 2; node_id++) {
        bool fired = true;
        for (long countdown = 0; fired; countdown++) {
            struct proposed proposed;
            memory_fault_arm(countdown);
            propose_ids(f, node_id, &proposed);
            cluster_run_for(&f->cluster, 3000);
            fired = memory_fault_fired();
            memory_fault_arm(-1);
            assert_int_equal(proposed.done, 1);
            if (proposed.proposal.outcome.error != ERROR_NONE)
                assert_int_equal(proposed.proposal.outcome.error, ERROR_OUT_OF_MEMORY);
            assert_true(route_idle(f->routes[node_id]));
        }
    }
}

/* Commands that carry bytes arrive as they were. */
static void the_bytes_of_a_command_arrive(void **state)
{
    struct fixture *f = *state;
    struct catalog_pair pair = {.key = slice_of("log.retention.ms"), .value = slice_of("77")};
    struct catalog_command command = topic_config(&pair);
    struct proposed proposed = {.proposal = {.done = proposal_done},
                                .cluster = &f->cluster,
                                .catalog = f->cluster.nodes[2].catalog};
    cluster_elect(&f->cluster, 1);
    catalog_propose(proposed.catalog, &command, &proposed.proposal);
    cluster_run_for(&f->cluster, 50);
    assert_int_equal(proposed.proposal.outcome.error, ERROR_NONE);
    const struct config_set *config = catalog_node_config(f->cluster.nodes[2].catalog, -1);
    assert_string_equal(config_set_get(config, "log.retention.ms"), "77");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_leader_proposes_locally),
        TEST(a_follower_proposes_at_the_leader),
        TEST(an_applied_refusal_is_not_retried),
        TEST(the_answer_waits_for_the_own_catalog),
        TEST(a_catalog_that_stays_behind_times_out),
        TEST(a_new_leader_is_asked_at_once),
        TEST(a_leader_without_its_barrier_waits),
        TEST(a_lost_answer_does_not_apply_twice),
        TEST(an_unknown_outcome_at_the_leader_is_retried),
        TEST(a_silent_old_leader_is_left_for_the_new),
        TEST(a_node_that_does_not_lead_names_the_leader),
        TEST(a_deposed_leader_goes_to_the_next),
        TEST(without_a_leader_the_deadline_ends_it),
        TEST(every_way_of_no_answer_ends_at_the_deadline),
        TEST(a_full_disk_of_the_leader_is_the_answer),
        TEST(stopping_answers_everybody),
        TEST(closing_connections_end_it),
        TEST(every_refused_allocation_is_survived),
        TEST(the_bytes_of_a_command_arrive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
