/* SPDX-License-Identifier: Apache-2.0 */
/* A node's beats, and its way out. */
#include "replicate/core/heartbeat.h"

#include "base/memory.h"
#include "handle/cluster_view.h"
#include "replicate/heartbeat_fixture.h"

#include <cmocka.h>
#include <string.h>

static void shutdown_done(void *context, enum error error)
{
    struct fixture *f = context;
    f->shutdown_count++;
    f->shutdown_error = error;
    f->shutdown_ms = now_ms(f);
}

/* Beats say everything the controller asks for, every interval. */
static void beats_come_every_interval(void **state)
{
    struct fixture *f = *state;
    struct cluster_node *controller = &f->cluster.nodes[1];
    cluster_elect(&f->cluster, 1);
    heartbeat_start(f->heartbeat, EPOCH);
    cluster_run_for(&f->cluster, 20);
    assert_int_equal(controller->heard_count, 1);
    assert_int_equal(controller->heard.node_id, 0);
    assert_int_equal(controller->heard.node_epoch, EPOCH);
    assert_int_equal(controller->heard.applied_index,
                     catalog_applied_index(f->cluster.nodes[0].catalog));
    assert_int_equal(controller->heard.image_hash,
                     (int64_t)catalog_hash(f->cluster.nodes[0].catalog));
    assert_int_equal(controller->heard.disk_total_bytes, 1000);
    assert_int_equal(controller->heard.disk_free_bytes, 400);
    assert_false(controller->heard.wants_shutdown);
    assert_true(controller->heard.wants_nodes);
    cluster_run_for(&f->cluster, 5000);
    assert_in_range(controller->heard_count, 10, 11);
}

/* The controller's own beats need no connection. */
static void the_controller_beats_itself(void **state)
{
    struct fixture *f = *state;
    cluster_elect(&f->cluster, 0);
    f->cluster.nodes[0].reach = CLUSTER_REFUSED;
    heartbeat_start(f->heartbeat, EPOCH);
    cluster_run_for(&f->cluster, 1);
    assert_true(f->lease);
    assert_true(heartbeat_lease_held(f->heartbeat));
    assert_int_equal(f->cluster.nodes[0].heard_count, 1);
}

/* Another registration of this id is in force: told once, no beats until it starts again. */
static void a_stale_epoch_stops_the_beats(void **state)
{
    struct fixture *f = *state;
    struct cluster_node *controller = &f->cluster.nodes[1];
    cluster_elect(&f->cluster, 1);
    heartbeat_start(f->heartbeat, EPOCH);
    cluster_run_for(&f->cluster, 100);
    controller->answer.error = ERROR_STALE_BROKER_EPOCH;
    cluster_run_for(&f->cluster, 5000);
    assert_int_equal(f->stale_count, 1);
    assert_int_equal(controller->heard_count, 2);
    assert_false(f->lease);
    assert_true(f->fenced);
    controller->answer.error = ERROR_NONE;
    heartbeat_start(f->heartbeat, EPOCH + 3);
    cluster_run_for(&f->cluster, 100);
    assert_int_equal(controller->heard.node_epoch, EPOCH + 3);
    assert_true(f->lease);
}

static void an_unregistered_node_is_told(void **state)
{
    struct fixture *f = *state;
    cluster_elect(&f->cluster, 1);
    f->cluster.nodes[1].answer.error = ERROR_BROKER_ID_NOT_REGISTERED;
    heartbeat_start(f->heartbeat, EPOCH);
    cluster_run_for(&f->cluster, 5000);
    assert_int_equal(f->unregistered_count, 1);
    assert_int_equal(f->cluster.nodes[1].heard_count, 1);
}

/* An answer about the registration before is no news of this one. */
static void an_answer_about_an_older_registration_is_passed_over(void **state)
{
    struct fixture *f = *state;
    cluster_elect(&f->cluster, 1);
    f->cluster.nodes[1].answer.error = ERROR_STALE_BROKER_EPOCH;
    heartbeat_start(f->heartbeat, EPOCH);
    cluster_run_for(&f->cluster, 1);
    heartbeat_start(f->heartbeat, EPOCH + 1);
    cluster_run_for(&f->cluster, 2);
    assert_int_equal(f->stale_count, 0);
    f->cluster.nodes[1].answer.error = ERROR_NONE;
    cluster_run_for(&f->cluster, 10);
    assert_int_equal(f->cluster.nodes[1].heard.node_epoch, EPOCH + 1);
    assert_true(f->lease);
}

/* A new controller is told at once, also while a beat waits for the old one. */
static void a_new_controller_hears_at_once(void **state)
{
    struct fixture *f = *state;
    cluster_elect(&f->cluster, 1);
    heartbeat_start(f->heartbeat, EPOCH);
    cluster_run_for(&f->cluster, 100);
    cluster_elect(&f->cluster, 2);
    cluster_run_for(&f->cluster, 5);
    assert_int_equal(f->cluster.nodes[2].heard_count, 1);
    f->cluster.nodes[2].reach = CLUSTER_SILENT;
    cluster_run_for(&f->cluster, 700);
    cluster_elect(&f->cluster, 1);
    cluster_run_for(&f->cluster, 5);
    assert_int_equal(f->cluster.nodes[1].heard_count, 2);
}

/* With nobody leading it waits, and with a wrong idea of who does it is put right. */
static void a_wrong_leader_names_the_right_one(void **state)
{
    struct fixture *f = *state;
    heartbeat_start(f->heartbeat, EPOCH);
    cluster_run_for(&f->cluster, 3000);
    cluster_elect(&f->cluster, 2);
    f->cluster.nodes[0].knows_leader_id = 1;
    cluster_run_for(&f->cluster, 3000);
    assert_int_equal(f->lease_count, 0);
    f->cluster.nodes[0].knows_leader_id = -1;
    cluster_run_for(&f->cluster, 3000);
    assert_true(f->cluster.nodes[2].heard_count >= 1);
    assert_true(f->lease);
}

/* What the controller knows of the others comes with every tenth beat. */
static void the_view_learns_of_the_others(void **state)
{
    struct fixture *f = *state;
    struct cluster_view *theirs;
    struct cluster_node_report report = {.version = "9.9",
                                         .disk_total_bytes = 5,
                                         .disk_free_bytes = 4,
                                         .applied_index = 3,
                                         .heard_ms = 77};
    struct cluster_node *controller = &f->cluster.nodes[1];
    assert_int_equal(cluster_view_new(f->cluster.executor, controller->catalog, &theirs),
                     ERROR_NONE);
    controller->broker.cluster_view = theirs;
    cluster_view_report(theirs, 2, &report);
    cluster_elect(&f->cluster, 1);
    heartbeat_start(f->heartbeat, EPOCH);
    cluster_run_for(&f->cluster, 100);
    memset(&report, 0, sizeof report);
    assert_true(cluster_view_reported(f->view, 2, &report));
    assert_string_equal(report.version, "9.9");
    assert_int_equal(report.disk_free_bytes, 4);
    assert_int_equal(report.heard_ms, 77);
    assert_false(cluster_view_reported(f->view, 1, &report));
    cluster_view_free(theirs);
}

/* Controlled shutdown: it asks until the controller lets it go. */
static void a_shutdown_ends_when_the_controller_says_so(void **state)
{
    struct fixture *f = *state;
    struct cluster_node *controller = &f->cluster.nodes[1];
    cluster_elect(&f->cluster, 1);
    heartbeat_start(f->heartbeat, EPOCH);
    cluster_run_for(&f->cluster, 100);
    heartbeat_shutdown(f->heartbeat, 10000, shutdown_done, f);
    cluster_run_for(&f->cluster, 100);
    assert_true(controller->heard.wants_shutdown);
    assert_true(controller->heard_count >= 4);
    assert_int_equal(f->shutdown_count, 0);
    controller->answer.should_shutdown = true;
    cluster_run_for(&f->cluster, 50);
    assert_int_equal(f->shutdown_count, 1);
    assert_int_equal(f->shutdown_error, ERROR_NONE);
    assert_string_equal(f->cluster.changes, "");
    cluster_run_for(&f->cluster, 20000);
    assert_int_equal(f->shutdown_count, 1);
}

/* A controller that is to stop hands the quorum on first and asks the next one. */
static void a_controller_hands_on_before_it_stops(void **state)
{
    struct fixture *f = *state;
    cluster_elect(&f->cluster, 0);
    heartbeat_start(f->heartbeat, EPOCH);
    cluster_run_for(&f->cluster, 100);
    f->cluster.nodes[1].answer.should_shutdown = true;
    heartbeat_shutdown(f->heartbeat, 10000, shutdown_done, f);
    cluster_run_for(&f->cluster, 100);
    assert_string_equal(f->cluster.changes, "transfer -1;");
    assert_int_equal(f->cluster.leader_id, 1);
    assert_true(f->cluster.nodes[1].heard.wants_shutdown);
    assert_int_equal(f->shutdown_error, ERROR_NONE);
    assert_int_equal(f->shutdown_count, 1);
}

/* Nobody to hand on to, or nobody who takes it: it asks itself. */
static void a_controller_that_stays_asks_itself(void **state)
{
    struct fixture *f = *state;
    cluster_elect(&f->cluster, 0);
    f->cluster.change_error = ERROR_NETWORK;
    f->cluster.nodes[0].answer.should_shutdown = true;
    heartbeat_start(f->heartbeat, EPOCH);
    cluster_run_for(&f->cluster, 100);
    assert_int_equal(f->shutdown_count, 0);
    heartbeat_shutdown(f->heartbeat, 10000, shutdown_done, f);
    cluster_run_for(&f->cluster, 100);
    assert_string_equal(f->cluster.changes, "transfer -1 refused;");
    assert_true(f->cluster.nodes[0].heard.wants_shutdown);
    assert_int_equal(f->shutdown_count, 1);
}

/* Nobody answers: the deadline lets it go. */
static void a_shutdown_has_a_deadline(void **state)
{
    struct fixture *f = *state;
    cluster_elect(&f->cluster, 1);
    heartbeat_start(f->heartbeat, EPOCH);
    f->cluster.nodes[1].reach = CLUSTER_SILENT;
    cluster_run_for(&f->cluster, 100);
    int64_t began_ms = now_ms(f);
    heartbeat_shutdown(f->heartbeat, 1000, shutdown_done, f);
    cluster_run_for(&f->cluster, 10000);
    assert_int_equal(f->shutdown_count, 1);
    assert_int_equal(f->shutdown_error, ERROR_REQUEST_TIMED_OUT);
    assert_int_equal(f->shutdown_ms - began_ms, 1000);
}

/* The last node of a cluster that stops: a session timeout without an answer is long enough. */
static void a_shutdown_that_nobody_hears_of_ends_early(void **state)
{
    struct fixture *f = *state;
    cluster_elect(&f->cluster, 1);
    heartbeat_start(f->heartbeat, EPOCH);
    cluster_run_for(&f->cluster, 100);
    f->cluster.nodes[1].reach = CLUSTER_SILENT;
    int64_t began_ms = now_ms(f);
    heartbeat_shutdown(f->heartbeat, 60000, shutdown_done, f);
    cluster_run_for(&f->cluster, 20000);
    assert_int_equal(f->shutdown_count, 1);
    assert_int_equal(f->shutdown_error, ERROR_REQUEST_TIMED_OUT);
    assert_true(f->shutdown_ms - began_ms >= SESSION_MS);
    assert_true(f->shutdown_ms - began_ms <= 3 * SESSION_MS);
}

/* Stopping ends a shutdown and a call under way, and nothing is told any more. */
static void stopping_ends_everything(void **state)
{
    struct fixture *f = *state;
    cluster_elect(&f->cluster, 1);
    heartbeat_start(f->heartbeat, EPOCH);
    cluster_run_for(&f->cluster, 100);
    assert_true(f->lease);
    int told = f->lease_count + f->fenced_count;
    f->cluster.nodes[1].reach = CLUSTER_SILENT;
    heartbeat_shutdown(f->heartbeat, 3000, shutdown_done, f);
    cluster_run_for(&f->cluster, 10);
    assert_false(heartbeat_idle(f->heartbeat));
    heartbeat_stop(f->heartbeat);
    assert_int_equal(f->shutdown_count, 0);
    cluster_run_for(&f->cluster, 10);
    assert_true(heartbeat_idle(f->heartbeat));
    assert_int_equal(f->shutdown_count, 1);
    assert_int_equal(f->shutdown_error, ERROR_CLOSING);
    cluster_run_for(&f->cluster, 10000);
    assert_int_equal(f->lease_count + f->fenced_count, told);
}

/* A refused allocation costs a beat, never the lease for good. */
static void every_refused_allocation_is_survived(void **state)
{
    struct fixture *f = *state;
    cluster_elect(&f->cluster, 1);
    heartbeat_start(f->heartbeat, EPOCH);
    bool fired = true;
    for (long countdown = 0; fired; countdown++) {
        memory_fault_arm(countdown);
        cluster_run_for(&f->cluster, 6000);
        fired = memory_fault_fired();
        memory_fault_arm(-1);
        assert_true(f->lease);
        if (countdown > 200)
            break;
    }
    struct heartbeat *heartbeat;
    struct heartbeat_options options = {.executor = f->cluster.executor,
                                        .quorum = &f->cluster.nodes[0].quorum};
    memory_fault_arm(0);
    assert_int_equal(heartbeat_new(&options, &heartbeat), ERROR_OUT_OF_MEMORY);
    memory_fault_arm(-1);
}

#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(name, heartbeat_fixture_setup, heartbeat_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(beats_come_every_interval),
        TEST(the_controller_beats_itself),
        TEST(a_stale_epoch_stops_the_beats),
        TEST(an_unregistered_node_is_told),
        TEST(an_answer_about_an_older_registration_is_passed_over),
        TEST(a_new_controller_hears_at_once),
        TEST(a_wrong_leader_names_the_right_one),
        TEST(the_view_learns_of_the_others),
        TEST(a_shutdown_ends_when_the_controller_says_so),
        TEST(a_controller_hands_on_before_it_stops),
        TEST(a_controller_that_stays_asks_itself),
        TEST(a_shutdown_has_a_deadline),
        TEST(a_shutdown_that_nobody_hears_of_ends_early),
        TEST(stopping_ends_everything),
        TEST(every_refused_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
