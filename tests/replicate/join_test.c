/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes that want in: which id they get, who is refused, and who is given up for them. */
#include "base/memory.h"
#include "replicate/controller_fixture.h"

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

struct joining {
    struct membership_join join;
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

static void join_done(struct membership_join *join)
{
    container_of(join, struct joining, join)->done++;
}

static void start(struct control *control, struct joining *joining, uint8_t uuid, int32_t wanted,
                  const char *host)
{
    struct membership *membership =
        controller_membership(control->controllers[control->cluster.leader_id]);
    *joining = (struct joining){.join = {.node_uuid = {{uuid, uuid}},
                                         .wanted_node_id = wanted,
                                         .port = 9092,
                                         .node_id = -1,
                                         .done = join_done}};
    list_init(&joining->join.link);
    list_init(&joining->join.task.link);
    snprintf(joining->join.host, sizeof joining->join.host, "%s", host);
    membership->ops->join(membership, &joining->join);
    assert_int_equal(joining->done, 0);
}

static enum error join(struct control *control, struct joining *joining, uint8_t uuid,
                       int32_t wanted, const char *host)
{
    start(control, joining, uuid, wanted, host);
    control_live(control, 100);
    assert_int_equal(joining->done, 1);
    return joining->join.error;
}

/* The next id, and registered at its address, fenced, with its uuid: so that everybody finds it. */
static void a_newcomer_gets_the_next_id(void **state)
{
    struct control *control = *state;
    struct joining joining;
    assert_int_equal(join(control, &joining, 50, -1, "new"), ERROR_NONE);
    assert_int_equal(joining.join.node_id, 3);
    const struct catalog_node *node = cluster_node_known(&control->cluster, 3);
    assert_string_equal(node->host, "new");
    assert_int_equal(node->port, 9092);
    assert_true(node->fenced);
    assert_true(uuid_equals(&node->directory_id, &joining.join.node_uuid));
    assert_int_equal(join(control, &joining, 51, -1, "newer"), ERROR_NONE);
    assert_int_equal(joining.join.node_id, 4);
}

/* Founders are in the quorum before they register: their ids are nobody else's. */
static void the_id_of_a_founder_is_not_given(void **state)
{
    struct control *control = *state;
    struct joining joining;
    control->cluster.members[control->cluster.member_count++] =
        (struct quorum_member){3, QUORUM_VOTER};
    assert_int_equal(join(control, &joining, 50, -1, "new"), ERROR_NONE);
    assert_int_equal(joining.join.node_id, 4);
    assert_int_equal(join(control, &joining, 51, 3, "newer"), ERROR_DUPLICATE_BROKER_REGISTRATION);
    assert_string_equal(joining.join.reason,
                        "node id 3 is that of another node, which is in the quorum already");
}

/* Asked again (the answer was lost, or it starts again), the id is the same. */
static void a_known_node_keeps_its_id(void **state)
{
    struct control *control = *state;
    struct joining joining;
    assert_int_equal(join(control, &joining, 50, -1, "new"), ERROR_NONE);
    int64_t epoch = cluster_node_known(&control->cluster, 3)->epoch;
    assert_int_equal(join(control, &joining, 50, -1, "new"), ERROR_NONE);
    assert_int_equal(joining.join.node_id, 3);
    assert_int_equal(join(control, &joining, 50, 3, "new"), ERROR_NONE);
    assert_int_equal(cluster_node_known(&control->cluster, 3)->epoch, epoch);
    assert_int_equal(join(control, &joining, 50, -1, "moved"), ERROR_NONE);
    assert_int_equal(joining.join.node_id, 3);
    assert_string_equal(cluster_node_known(&control->cluster, 3)->host, "moved");
    assert_int_equal(join(control, &joining, 50, 7, "moved"), ERROR_DUPLICATE_BROKER_REGISTRATION);
    assert_string_equal(joining.join.reason, "this node is registered as node 3, not 7");
}

/* A wanted id that is free is given; one that is another's is not, whether that one lives or not.
 */
static void a_wanted_id_is_given_when_free(void **state)
{
    struct control *control = *state;
    struct joining joining;
    assert_int_equal(join(control, &joining, 50, 41, "new"), ERROR_NONE);
    assert_int_equal(joining.join.node_id, 41);
    assert_int_equal(join(control, &joining, 51, 41, "other"), ERROR_DUPLICATE_BROKER_REGISTRATION);
    assert_string_equal(joining.join.reason, "node id 41 is taken by another node, at new:9092");
    assert_int_equal(join(control, &joining, 51, 1, "other"), ERROR_DUPLICATE_BROKER_REGISTRATION);
    assert_true(control_reports("event=join_refused") > 0);
    assert_int_equal(join(control, &joining, 51, -1, "other"), ERROR_NONE);
    assert_int_equal(joining.join.node_id, 42);
}

/* Many at a time, each with an id of its own. */
static void joins_at_once_get_different_ids(void **state)
{
    struct control *control = *state;
    struct joining joining[6];
    for (uint8_t i = 0; i < 6; i++) {
        char host[8];
        snprintf(host, sizeof host, "n%u", i);
        start(control, &joining[i], (uint8_t)(50 + i / 2), i == 5 ? 5 : -1, host);
    }
    control_live(control, 200);
    for (int i = 0; i < 6; i++)
        assert_int_equal(joining[i].done, 1);
    assert_int_equal(joining[0].join.node_id, 3);
    assert_int_equal(joining[1].join.node_id, 3); /* The same uuid. */
    assert_int_equal(joining[2].join.node_id, 4);
    assert_int_equal(joining[4].join.node_id, 5);
    assert_int_equal(joining[5].join.node_id, 5);
}

/* A node that lost its disk comes back at its address before its old self was fenced: it waits for
 * that, and the old one is given up. */
static void a_wiped_node_replaces_its_old_self(void **state)
{
    struct control *control = *state;
    struct joining joining;
    static const char *const replicas[] = {"2,0"};
    cluster_topic(&control->cluster, "orders", replicas, 1);
    control_live(control, 1000);
    control->silent[2] = true;
    start(control, &joining, 50, -1, "node2");
    control_live(control, 200);
    assert_int_equal(joining.done, 0);
    control_live(control, 300);
    assert_int_equal(joining.done, 1);
    assert_int_equal(joining.join.error, ERROR_NONE);
    assert_int_equal(joining.join.node_id, 3);
    assert_true(control_fenced(control, 2));
    assert_true(cluster_node_known(&control->cluster, 2)->draining);
}

/* Its old self does live: the address is refused. */
static void the_address_of_a_living_node_is_refused(void **state)
{
    struct control *control = *state;
    struct joining joining;
    struct joining behind;
    start(control, &joining, 50, -1, "node2");
    start(control, &behind, 51, -1, "new");
    control_live(control, SESSION_MS);
    assert_int_equal(joining.done, 0);
    control_live(control, 1000);
    assert_int_equal(joining.done, 1);
    assert_int_equal(joining.join.error, ERROR_DUPLICATE_BROKER_REGISTRATION);
    assert_string_equal(joining.join.reason, "node2:9092 is the address of node 2, which is alive");
    assert_int_equal(behind.join.error, ERROR_NONE);
    assert_false(control_fenced(control, 2));
    assert_false(cluster_node_known(&control->cluster, 2)->draining);
}

/* Only the controller takes nodes in, and only while it is. */
static void others_refuse(void **state)
{
    struct control *control = *state;
    struct joining joining;
    struct joining second;
    struct membership *membership = controller_membership(control->controllers[1]);
    start(control, &joining, 50, -1, "new");
    control->cluster.quorum_stuck = true;
    start(control, &second, 51, -1, "newer");
    cluster_elect(&control->cluster, 1);
    control->cluster.quorum_stuck = false;
    cluster_run_for(&control->cluster, 50);
    assert_int_equal(joining.done, 1);
    assert_int_equal(joining.join.error, ERROR_REQUEST_TIMED_OUT);
    assert_int_equal(second.join.error, ERROR_NOT_CONTROLLER);
    control->cluster.leader_id = 0;
    start(control, &joining, 50, -1, "new");
    cluster_run_for(&control->cluster, 50);
    assert_int_equal(joining.join.error, ERROR_NOT_CONTROLLER);
    cluster_elect(&control->cluster, 1);
    (void)membership;
    assert_int_equal(join(control, &joining, 50, -1, "new"), ERROR_NONE);
}

/* Stopping answers those who wait with CLOSING; those whose command is on its way with its end. */
static void stopping_answers_everybody(void **state)
{
    struct control *control = *state;
    struct joining joining[3];
    control->cluster.quorum_stuck = true;
    start(control, &joining[0], 50, -1, "a");
    start(control, &joining[1], 51, -1, "b");
    controller_stop(control->controllers[0]);
    assert_false(controller_idle(control->controllers[0]));
    start(control, &joining[2], 52, -1, "c");
    control->cluster.quorum_stuck = false;
    cluster_run_for(&control->cluster, 50);
    assert_true(controller_idle(control->controllers[0]));
    for (int i = 0; i < 3; i++)
        assert_int_equal(joining[i].done, 1);
    assert_int_equal(joining[0].join.error, ERROR_NOT_CONTROLLER);
    assert_int_equal(joining[1].join.error, ERROR_CLOSING);
    assert_int_equal(joining[2].join.error, ERROR_CLOSING);
}

/* The log refuses: so is the join, with the reason. */
static void a_refused_command_refuses_the_join(void **state)
{
    struct control *control = *state;
    struct joining joining;
    control->cluster.proposal_error = ERROR_DISK_FULL;
    assert_int_equal(join(control, &joining, 50, -1, "new"), ERROR_DISK_FULL);
    assert_int_equal(join(control, &joining, 50, 9, "new"), ERROR_DISK_FULL);
    assert_string_equal(joining.join.reason, "registering node 9: no space left on the disk");
}

/* A refused allocation refuses a join or is survived; it is answered once in any case. */
static void every_refused_allocation_is_survived(void **state)
{
    struct control *control = *state;
    bool fired = true;
    for (uint8_t countdown = 0; fired && countdown < 200; countdown++) {
        struct joining joining;
        memory_fault_arm(countdown);
        start(control, &joining, (uint8_t)(10 + countdown), -1, "new");
        control_live(control, 300);
        fired = memory_fault_fired();
        memory_fault_arm(-1);
        assert_int_equal(joining.done, 1);
        if (joining.join.error != ERROR_NONE)
            assert_int_equal(joining.join.error, ERROR_OUT_OF_MEMORY);
    }
    assert_false(fired);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_newcomer_gets_the_next_id),
        TEST(the_id_of_a_founder_is_not_given),
        TEST(a_known_node_keeps_its_id),
        TEST(a_wanted_id_is_given_when_free),
        TEST(joins_at_once_get_different_ids),
        TEST(a_wiped_node_replaces_its_old_self),
        TEST(the_address_of_a_living_node_is_refused),
        TEST(others_refuse),
        TEST(stopping_answers_everybody),
        TEST(a_refused_command_refuses_the_join),
        TEST(every_refused_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
