/* SPDX-License-Identifier: Apache-2.0 */
/* The cluster as its operator sees it, while commands change it. */
#include "handle/cluster_view.h"

#include "base/memory.h"
#include "sim/simulated_executor.h"

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

struct fixture {
    struct simulated_executor *simulated;
    struct executor *executor;
    struct catalog *catalog;
    struct cluster_view *view;
    struct cluster_observer observer;
    struct cluster_happening last;
    int happened;
    int64_t index;
    char text[4000]; /* Every event since the last look, "a;b;". */
};

static void happened(struct cluster_observer *observer, const struct cluster_happening *happening)
{
    struct fixture *f = container_of(observer, struct fixture, observer);
    f->last = *happening;
    f->happened++;
    size_t size = strlen(f->text);
    snprintf(f->text + size, sizeof f->text - size, "%s;", happening->text);
}

static struct catalog_outcome apply(struct fixture *f, const struct catalog_command *command)
{
    uint8_t *bytes;
    size_t size;
    assert_int_equal(catalog_command_encode(command, &bytes, &size), ERROR_NONE);
    struct catalog_outcome outcome = catalog_apply(f->catalog, ++f->index, 1, bytes, size);
    memory_free(bytes);
    return outcome;
}

static int64_t add_node(struct fixture *f, int32_t id)
{
    struct catalog_command command = {.kind = CATALOG_NODE_REGISTER,
                                      .clean = true,
                                      .wall_clock_ms = executor_wall_clock_ms(f->executor),
                                      .node = {.id = id,
                                               .port = 9092,
                                               .registered_ms = executor_wall_clock_ms(f->executor),
                                               .directory_id = {{(uint8_t)id}}}};
    snprintf(command.node.host, sizeof command.node.host, "node%d", id);
    struct catalog_outcome outcome = apply(f, &command);
    assert_int_equal(outcome.error, ERROR_NONE);
    return outcome.index;
}

static void add_topic(struct fixture *f, const char *name, uint8_t id, uint32_t partitions)
{
    struct catalog_assignment assignments[20] = {0};
    for (uint32_t i = 0; i < partitions; i++)
        assignments[i] = (struct catalog_assignment){
            .replicas = {1 + (int32_t)i % 3, 1 + (int32_t)(i + 1) % 3}, .replica_count = 2};
    struct catalog_command command = {.kind = CATALOG_TOPIC_CREATE,
                                      .topic_name = slice_of(name),
                                      .topic_id = {{id}},
                                      .assignments = assignments,
                                      .assignment_count = partitions};
    assert_int_equal(apply(f, &command).error, ERROR_NONE);
}

static void fence(struct fixture *f, int32_t id, bool fenced)
{
    struct catalog_command command = {.kind = CATALOG_NODE_FENCE, .node_id = id, .fenced = fenced};
    assert_int_equal(apply(f, &command).error, ERROR_NONE);
}

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof *f);
    f->simulated = simulated_executor_new(3, NULL);
    f->executor = simulated_executor_seam(f->simulated);
    assert_int_equal(catalog_new(f->executor, &f->catalog), ERROR_NONE);
    struct catalog_command init = {.kind = CATALOG_CLUSTER_INIT, .cluster_id = {{1}}};
    assert_int_equal(apply(f, &init).error, ERROR_NONE);
    for (int32_t id = 1; id <= 3; id++)
        (void)add_node(f, id);
    assert_int_equal(cluster_view_new(f->executor, f->catalog, &f->view), ERROR_NONE);
    f->observer.happened = happened;
    cluster_view_observe(f->view, &f->observer);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    cluster_view_unobserve(&f->observer);
    cluster_view_free(f->view);
    catalog_free(f->catalog);
    simulated_executor_free(f->simulated);
    test_free(f);
    return 0;
}

/* What is there when the view is made is no news. */
static void the_present_is_no_event(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(cluster_view_event_count(f->view), 0);
    add_topic(f, "orders", 1, 3);
    assert_int_equal(cluster_view_event_count(f->view), 0);
}

/* Each state of a node, its share of the partitions, how long it is up. */
static void nodes_are_shown(void **state)
{
    struct fixture *f = *state;
    struct cluster_node_view node;
    add_topic(f, "orders", 1, 6);
    simulated_executor_run_for(f->simulated, 5000);
    assert_true(cluster_view_node(f->view, 1, &node));
    assert_int_equal(node.state, CLUSTER_NODE_ALIVE);
    assert_int_equal(node.leaders, 2);
    assert_int_equal(node.replicas, 4);
    assert_int_equal(node.uptime_ms, 5000);
    assert_int_equal(node.report.heard_ms, -1);
    assert_string_equal(node.report.version, "");
    assert_false(cluster_view_node(f->view, 9, &node));
    struct catalog_command drain = {.kind = CATALOG_NODE_DRAIN, .node_id = 1, .draining = true};
    assert_int_equal(apply(f, &drain).error, ERROR_NONE);
    assert_true(cluster_view_node(f->view, 1, &node));
    assert_int_equal(node.state, CLUSTER_NODE_DRAINING);
    assert_true(node.draining);
    struct catalog_command stop = {.kind = CATALOG_NODE_SHUTDOWN, .node_id = 1};
    assert_int_equal(apply(f, &stop).error, ERROR_NONE);
    assert_true(cluster_view_node(f->view, 1, &node));
    assert_int_equal(node.state, CLUSTER_NODE_SHUTTING_DOWN);
    assert_int_equal(node.leaders, 0);
    fence(f, 1, true);
    assert_true(cluster_view_node(f->view, 1, &node));
    assert_int_equal(node.state, CLUSTER_NODE_FENCED);
    assert_int_equal(node.uptime_ms, -1);
    assert_string_equal(cluster_node_state_text(CLUSTER_NODE_SHUTTING_DOWN), "shutting down");
    assert_string_equal(cluster_node_state_text(CLUSTER_NODE_DRAINING), "draining");
}

/* Partitions without a leader, and with replicas missing from the ISR. */
static void missing_leaders_and_replicas_are_counted(void **state)
{
    struct fixture *f = *state;
    uint32_t offline;
    uint32_t under;
    add_topic(f, "orders", 1, 3);
    cluster_view_partitions(f->view, &offline, &under);
    assert_int_equal(offline, 0);
    assert_int_equal(under, 0);
    fence(f, 1, true);
    cluster_view_partitions(f->view, &offline, &under);
    assert_int_equal(offline, 0);
    assert_int_equal(under, 2);
    fence(f, 2, true);
    cluster_view_partitions(f->view, &offline, &under);
    assert_int_equal(offline, 1);
    assert_int_equal(under, 3);
}

/* A fenced node's event says what became of its leaderships. */
static void a_fence_says_what_moved(void **state)
{
    struct fixture *f = *state;
    add_topic(f, "orders", 1, 6);
    fence(f, 1, true);
    assert_string_equal(f->text,
                        "node 1 is fenced: 2 leaders moved, 0 partitions without a leader;");
    assert_int_equal(f->last.kind, CLUSTER_NODE_WAS_FENCED);
    assert_int_equal(f->last.node_id, 1);
    assert_int_equal(f->last.leaders_moved, 2);
    f->text[0] = '\0';
    fence(f, 2, true);
    assert_int_equal(f->last.leaders_lost, 2);
    fence(f, 1, true);
    assert_int_equal(f->happened, 2);
    f->text[0] = '\0';
    fence(f, 2, false);
    assert_int_equal(f->last.kind, CLUSTER_NODE_WAS_UNFENCED);
    assert_string_equal(f->text, "node 2 serves: 2 leaders moved to it;");
}

/* Coming, coming again, draining, stopping, leaving. */
static void a_nodes_way_is_told(void **state)
{
    struct fixture *f = *state;
    (void)add_node(f, 4);
    (void)add_node(f, 4);
    struct catalog_command drain = {.kind = CATALOG_NODE_DRAIN, .node_id = 4, .draining = true};
    assert_int_equal(apply(f, &drain).error, ERROR_NONE);
    drain.draining = false;
    assert_int_equal(apply(f, &drain).error, ERROR_NONE);
    struct catalog_command stop = {.kind = CATALOG_NODE_SHUTDOWN, .node_id = 4};
    assert_int_equal(apply(f, &stop).error, ERROR_NONE);
    fence(f, 4, true);
    struct catalog_command leave = {.kind = CATALOG_NODE_UNREGISTER, .node_id = 4};
    assert_int_equal(apply(f, &leave).error, ERROR_NONE);
    assert_string_equal(f->text,
                        "node 4 joined at node4:9092;node 4 registered again at node4:9092;"
                        "node 4 is asked to give its replicas away;"
                        "node 4 may take replicas again;"
                        "node 4 is about to stop: 0 leaders moved;"
                        "node 4 is fenced: 0 leaders moved, 0 partitions without a leader;"
                        "node 4 is no longer registered;");
}

static void reassign(struct fixture *f, uint8_t topic, int32_t index, int32_t a, int32_t b)
{
    struct catalog_assignment target = {.replicas = {a, b}, .replica_count = 2};
    struct catalog_command command = {.kind = CATALOG_REASSIGN,
                                      .topic_id = {{topic}},
                                      .partition = {.index = index},
                                      .assignments = &target,
                                      .assignment_count = 1};
    assert_int_equal(apply(f, &command).error, ERROR_NONE);
}

/* A reassignment begins and ends; a replica being added is none that is missing. */
static void reassignments_are_told(void **state)
{
    struct fixture *f = *state;
    uint32_t offline;
    uint32_t under;
    add_topic(f, "orders", 1, 1);
    reassign(f, 1, 0, 1, 3);
    assert_string_equal(f->text, "orders/0: reassignment started, leader 1, replicas 1,3,2;");
    assert_string_equal(f->last.topic, "orders");
    cluster_view_partitions(f->view, &offline, &under);
    assert_int_equal(under, 0);
    f->text[0] = '\0';
    struct catalog_command cancel = {.kind = CATALOG_REASSIGN, .topic_id = {{1}}};
    assert_int_equal(apply(f, &cancel).error, ERROR_NONE);
    assert_string_equal(f->text, "orders/0: reassignment ended, leader 1, replicas 1,2;");
}

/* An unclean election is told for each partition, up to a bound that keeps the rest readable. */
static void unclean_elections_are_told(void **state)
{
    struct fixture *f = *state;
    add_topic(f, "orders", 1, 20);
    /* Every partition of nodes 1 and 2 goes offline with 1 in no ISR; then 1 comes back alone. */
    fence(f, 1, true);
    fence(f, 2, true);
    fence(f, 1, false);
    f->text[0] = '\0';
    struct catalog_command unclean = {.kind = CATALOG_ELECT_LEADERS, .unclean = true};
    assert_int_equal(apply(f, &unclean).error, ERROR_NONE);
    assert_non_null(strstr(f->text, "orders/0: unclean election, committed records may be lost, "
                                    "leader 1, replicas 1,2;"));
    assert_non_null(strstr(f->text, "7 leaders moved, 0 partitions without a leader;"));
    fence(f, 3, true);
    assert_int_equal(cluster_view_event_count(f->view), f->happened);
}

/* A topic that is deleted takes its memory with it; one made again under its name is another. */
static void deleted_topics_are_forgotten(void **state)
{
    struct fixture *f = *state;
    struct cluster_node_view node;
    add_topic(f, "orders", 1, 3);
    struct catalog_command delete = {.kind = CATALOG_TOPIC_DELETE, .topic_id = {{1}}};
    assert_int_equal(apply(f, &delete).error, ERROR_NONE);
    add_topic(f, "orders", 2, 6);
    struct catalog_assignment more = {.replicas = {1}, .replica_count = 1};
    struct catalog_command grow = {.kind = CATALOG_PARTITIONS_ADD,
                                   .topic_id = {{2}},
                                   .expected_count = 6,
                                   .assignments = &more,
                                   .assignment_count = 1};
    assert_int_equal(apply(f, &grow).error, ERROR_NONE);
    assert_int_equal(f->happened, 0);
    assert_true(cluster_view_node(f->view, 1, &node));
    assert_int_equal(node.replicas, 5);
    fence(f, 1, true);
    assert_int_equal(f->last.leaders_moved, 2);
    assert_int_equal(f->last.leaders_lost, 1);
}

/* What a heartbeat said of a node that is registered, until it says something else. */
static void reports_are_kept(void **state)
{
    struct fixture *f = *state;
    struct cluster_node_report report = {.version = "1", .heard_ms = 4};
    struct cluster_node_report got;
    cluster_view_report(f->view, 2, &report);
    cluster_view_report(f->view, 77, &report);
    assert_true(cluster_view_reported(f->view, 2, &got));
    assert_int_equal(got.heard_ms, 4);
    assert_false(cluster_view_reported(f->view, 1, &got));
    assert_false(cluster_view_reported(f->view, 77, &got));
    cluster_view_note(f->view, "something %s", "else");
    assert_string_equal(f->text, "something else;");
}

/* A view of a catalog that is full already, with each allocation refused once: made, or not. */
static void every_refused_allocation_is_survived(void **state)
{
    struct fixture *f = *state;
    add_topic(f, "orders", 1, 6);
    enum error error = ERROR_OUT_OF_MEMORY;
    for (long countdown = 0; error != ERROR_NONE; countdown++) {
        struct cluster_view *view;
        memory_fault_arm(countdown);
        error = cluster_view_new(f->executor, f->catalog, &view);
        memory_fault_arm(-1);
        if (error == ERROR_NONE)
            cluster_view_free(view);
        assert_true(countdown < 100);
    }
    bool fired = true;
    for (long countdown = 0; fired; countdown++) {
        char name[32];
        snprintf(name, sizeof name, "t%ld", countdown);
        struct catalog_assignment assignment = {.replicas = {1}, .replica_count = 1};
        struct catalog_command command = {.kind = CATALOG_TOPIC_CREATE,
                                          .topic_name = slice_of(name),
                                          .topic_id = {{9, (uint8_t)countdown}},
                                          .assignments = &assignment,
                                          .assignment_count = 1};
        uint8_t *bytes;
        size_t size;
        assert_int_equal(catalog_command_encode(&command, &bytes, &size), ERROR_NONE);
        memory_fault_arm(countdown);
        struct catalog_outcome outcome = {.error = ERROR_OUT_OF_MEMORY};
        f->index++;
        while (outcome.error == ERROR_OUT_OF_MEMORY)
            outcome = catalog_apply(f->catalog, f->index, 1, bytes, size);
        fired = memory_fault_fired();
        memory_fault_arm(-1);
        memory_free(bytes);
        fence(f, 1, countdown % 2 == 0);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* A partition's trouble has a beginning, that of what it is now; a well one has none. */
static void trouble_has_a_beginning(void **state)
{
    struct fixture *f = *state;
    struct uuid id = {{7}};
    add_topic(f, "orders", 7, 3); /* On 1 and 2; 2 and 3; 3 and 1. */
    assert_int_equal(cluster_view_unwell_since(f->view, &id, 0), -1);
    simulated_executor_run_for(f->simulated, 1000);
    int64_t first_ms = executor_wall_clock_ms(f->executor);
    fence(f, 1, true);
    simulated_executor_run_for(f->simulated, 1000);
    int64_t second_ms = executor_wall_clock_ms(f->executor);
    fence(f, 2, true);
    simulated_executor_run_for(f->simulated, 1000);
    assert_int_equal(cluster_view_unwell_since(f->view, &id, 0), second_ms);
    assert_int_equal(cluster_view_unwell_since(f->view, &id, 1), second_ms);
    assert_int_equal(cluster_view_unwell_since(f->view, &id, 2), first_ms);
    assert_int_equal(cluster_view_unwell_since(f->view, &id, 3), -1);
    assert_int_equal(cluster_view_unwell_since(f->view, &(struct uuid){{9}}, 0), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(trouble_has_a_beginning, setup, teardown),
        TEST(the_present_is_no_event),
        TEST(nodes_are_shown),
        TEST(missing_leaders_and_replicas_are_counted),
        TEST(a_fence_says_what_moved),
        TEST(a_nodes_way_is_told),
        TEST(reassignments_are_told),
        TEST(unclean_elections_are_told),
        TEST(deleted_topics_are_forgotten),
        TEST(reports_are_kept),
        TEST(every_refused_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
