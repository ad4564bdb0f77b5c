/* SPDX-License-Identifier: Apache-2.0 */
/* When a node is the controller, and what it passes on. */
#include "replicate/core/controller.h"

#include "base/memory.h"
#include "replicate/controller_fixture.h"

#include <cmocka.h>
#include <string.h>

struct proposed {
    struct catalog_proposal proposal;
    int done;
};

static int setup(void **state)
{
    struct control *control = test_calloc(1, sizeof *control);
    control_setup(control, 3);
    *state = control;
    return 0;
}

static int teardown(void **state)
{
    control_teardown(*state);
    test_free(*state);
    return 0;
}

static void proposal_done(struct catalog_proposal *proposal)
{
    container_of(proposal, struct proposed, proposal)->done++;
}

static enum error propose_at(struct control *control, int32_t id)
{
    struct membership *membership = controller_membership(control->controllers[id]);
    struct catalog_command command = {.kind = CATALOG_NODE_ID_TAKE};
    struct proposed proposed = {.proposal = {.done = proposal_done}};
    command.id = uuid_random(control->cluster.executor);
    assert_int_equal(
        catalog_command_encode(&command, &proposed.proposal.bytes, &proposed.proposal.size),
        ERROR_NONE);
    list_init(&proposed.proposal.task.link);
    membership->ops->propose(membership, &command, &proposed.proposal);
    assert_int_equal(proposed.done, 0);
    cluster_run_for(&control->cluster, 20);
    assert_int_equal(proposed.done, 1);
    return proposed.proposal.outcome.error;
}

/* Commands of others go into the own log while this node leads, and nowhere otherwise. */
static void only_the_leader_takes_proposals(void **state)
{
    struct control *control = *state;
    assert_int_equal(propose_at(control, 0), ERROR_NONE);
    assert_int_equal(propose_at(control, 1), ERROR_NOT_CONTROLLER);
    control->cluster.barrier = false;
    assert_int_equal(propose_at(control, 0), ERROR_NOT_CONTROLLER);
    control->cluster.barrier = true;
    controller_stop(control->controllers[0]);
    assert_int_equal(propose_at(control, 0), ERROR_NOT_CONTROLLER);
}

/* Every node says who leads as far as it knows. */
static void the_leader_is_named(void **state)
{
    struct control *control = *state;
    struct membership *membership = controller_membership(control->controllers[2]);
    assert_int_equal(membership->ops->leader_id(membership), 0);
    cluster_elect(&control->cluster, -1);
    assert_int_equal(membership->ops->leader_id(membership), -1);
}

/* Each change of the controller is an event on every node, once. */
static void controllers_are_told_of_on_every_node(void **state)
{
    struct control *control = *state;
    cluster_elect(&control->cluster, 0);
    cluster_elect(&control->cluster, -1);
    cluster_elect(&control->cluster, 0);
    for (int32_t id = 0; id < 3; id++)
        assert_int_equal(control_events(control, id, "node 0 is the controller"), 1);
    cluster_elect(&control->cluster, 2);
    for (int32_t id = 0; id < 3; id++)
        assert_int_equal(control_events(control, id, "node 2 is the controller"), 1);
}

/* Leading without the barrier is no leading yet; a later notice makes it the controller. */
static void the_barrier_makes_the_controller(void **state)
{
    struct control *control = *state;
    cluster_elect(&control->cluster, -1);
    control->cluster.leader_id = 1;
    control->cluster.nodes[1].knows_leader_id = 1;
    control->epochs[1] = cluster_register(&control->cluster, 1, false);
    struct node_heartbeat_request beat = control_beat(control, 1);
    assert_int_equal(control_send(control, 1, &beat).error, ERROR_NOT_CONTROLLER);
    cluster_elect(&control->cluster, 1);
    assert_int_equal(control_send(control, 1, &beat).error, ERROR_NONE);
}

/* A controller made on a node that leads already begins at once. */
static void a_late_controller_begins_at_once(void **state)
{
    struct control *control = *state;
    struct cluster_node *node = &control->cluster.nodes[0];
    struct controller *controller;
    struct controller_options options = {.executor = control->cluster.executor,
                                         .quorum = &node->quorum,
                                         .catalog = node->catalog,
                                         .local = &node->local,
                                         .config = &control->config,
                                         .static_config = control->static_config,
                                         .node_id = 0,
                                         .session_timeout_ms = SESSION_MS};
    controller_stop(control->controllers[0]);
    assert_int_equal(controller_new(&options, &controller), ERROR_NONE);
    struct membership *membership = controller_membership(controller);
    struct node_heartbeat_request beat = control_beat(control, 1);
    struct membership_answer answer;
    membership->ops->heartbeat(membership, &beat, &answer);
    assert_int_equal(answer.error, ERROR_NONE);
    cluster_run_for(&control->cluster, SESSION_MS + 100);
    assert_true(control_fenced(control, 2));
    controller_stop(controller);
    cluster_run_for(&control->cluster, 100);
    controller_free(controller);
    memory_fault_arm(0);
    assert_int_equal(controller_new(&options, &controller), ERROR_OUT_OF_MEMORY);
    memory_fault_arm(-1);
    controller_free(NULL);
}

/* What goes on in the cluster is reported by the controller, not by each node. */
static void the_controller_reports(void **state)
{
    struct control *control = *state;
    static const char *const replicas[] = {"1,2"};
    cluster_topic(&control->cluster, "orders", replicas, 1);
    struct catalog_command fence = {.kind = CATALOG_NODE_FENCE, .node_id = 2, .fenced = true};
    (void)cluster_apply(&control->cluster, &fence);
    assert_true(control_reports("event=node_fenced node=2") == 1);
    fence.node_id = 1;
    (void)cluster_apply(&control->cluster, &fence);
    struct catalog_command unclean = {.kind = CATALOG_ELECT_LEADERS, .unclean = true};
    fence.node_id = 2;
    fence.fenced = false;
    (void)cluster_apply(&control->cluster, &fence);
    (void)cluster_apply(&control->cluster, &unclean);
    struct catalog_partition partition;
    cluster_partition(&control->cluster, "orders", 0, &partition);
    if (partition.recovering)
        assert_true(control_reports("event=unclean_election") == 1);
    else
        assert_true(control_reports("event=unclean_election") == 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(only_the_leader_takes_proposals),       TEST(the_leader_is_named),
        TEST(controllers_are_told_of_on_every_node), TEST(the_barrier_makes_the_controller),
        TEST(a_late_controller_begins_at_once),      TEST(the_controller_reports),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
