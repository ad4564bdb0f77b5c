/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes with controllers. */
#include "replicate/controller_fixture.h"

#include "base/memory.h"
#include "base/report.h"

#include <cmocka.h>
#include <string.h>

static void controller_setup(struct control *control, int32_t id)
{
    struct cluster_node *node = &control->cluster.nodes[id];
    assert_int_equal(
        cluster_view_new(control->cluster.executor, node->catalog, &control->views[id]),
        ERROR_NONE);
    struct controller_options options = {.executor = control->cluster.executor,
                                         .quorum = &node->quorum,
                                         .catalog = node->catalog,
                                         .local = &node->local,
                                         .view = control->views[id],
                                         .config = &control->config,
                                         .static_config = control->static_config,
                                         .founding = &control->founding,
                                         .node_id = id,
                                         .session_timeout_ms = SESSION_MS,
                                         .election_timeout_ms = ELECTION_MS};
    assert_int_equal(controller_new(&options, &control->controllers[id]), ERROR_NONE);
    node->broker.membership = controller_membership(control->controllers[id]);
    node->broker.cluster_view = control->views[id];
}

void control_setup(struct control *control, uint32_t count)
{
    memset(control, 0, sizeof *control);
    cluster_setup(&control->cluster, count);
    assert_int_equal(config_set_new(&control->static_config), ERROR_NONE);
    control->config = control->static_config;
    for (uint32_t i = 0; i < count; i++) {
        control->epochs[i] = cluster_register(&control->cluster, (int32_t)i, false);
        control->cluster.members[i] =
            (struct quorum_member){.node_id = (int32_t)i, .role = QUORUM_VOTER};
    }
    control->cluster.member_count = count;
    for (uint32_t i = 0; i < count; i++)
        controller_setup(control, (int32_t)i);
    cluster_elect(&control->cluster, 0);
}

static bool all_idle(void *context)
{
    struct control *control = context;
    bool idle = true;
    for (uint32_t i = 0; i < control->cluster.node_count; i++)
        idle = idle && controller_idle(control->controllers[i]);
    return idle;
}

void control_teardown(struct control *control)
{
    memory_fault_arm(-1);
    control->cluster.quorum_stuck = false;
    for (uint32_t i = 0; i < control->cluster.node_count; i++)
        controller_stop(control->controllers[i]);
    simulated_executor_run_for(control->cluster.simulated, 50);
    assert_true(all_idle(control));
    for (uint32_t i = 0; i < control->cluster.node_count; i++) {
        controller_free(control->controllers[i]);
        cluster_view_free(control->views[i]);
    }
    config_set_free(control->static_config);
    cluster_teardown(&control->cluster);
}

void control_set(struct control *control, const char *key, const char *value)
{
    char reason[CONFIG_REASON_BYTES];
    assert_int_equal(config_set_put(control->static_config, CONFIG_NODE, key, value, reason),
                     ERROR_NONE);
}

struct node_heartbeat_request control_beat(struct control *control, int32_t id)
{
    const struct catalog *catalog = control->cluster.nodes[id].catalog;
    struct node_heartbeat_request request;
    node_heartbeat_request_init(&request);
    request.node_id = id;
    request.node_epoch = control->epochs[id];
    request.applied_index = catalog_applied_index(catalog);
    request.image_hash = (int64_t)catalog_hash(catalog);
    request.wall_clock_ms = executor_wall_clock_ms(control->cluster.executor);
    request.software_version = slice_of("1.0");
    request.disk_total_bytes = 100;
    request.disk_free_bytes = 50;
    return request;
}

struct membership_answer control_send(struct control *control, int32_t at,
                                      const struct node_heartbeat_request *request)
{
    struct membership *membership = controller_membership(control->controllers[at]);
    struct membership_answer answer = {.error = ERROR_UNKNOWN_SERVER};
    membership->ops->heartbeat(membership, request, &answer);
    return answer;
}

void control_live(struct control *control, int64_t ms)
{
    for (int64_t passed = 0; passed < ms; passed += 100) {
        for (uint32_t i = 0; i < control->cluster.node_count; i++) {
            if (control->silent[i] || control->cluster.leader_id < 0)
                continue;
            struct node_heartbeat_request beat = control_beat(control, (int32_t)i);
            (void)control_send(control, control->cluster.leader_id, &beat);
        }
        cluster_run_for(&control->cluster, ms - passed < 100 ? ms - passed : 100);
    }
}

bool control_fenced(struct control *control, int32_t id)
{
    return cluster_node_known(&control->cluster, id)->fenced;
}

struct search {
    const char *text;
    uint32_t count;
};

static void search_event(void *context, const struct cluster_event *event)
{
    struct search *search = context;
    search->count += strstr(event->text, search->text) != NULL;
}

uint32_t control_events(struct control *control, int32_t id, const char *text)
{
    struct search search = {.text = text};
    cluster_view_event_each(control->views[id], search_event, &search);
    return search.count;
}

static void search_line(void *context, const char *line)
{
    struct search *search = context;
    search->count += strstr(line, search->text) != NULL;
}

uint32_t control_reports(const char *text)
{
    struct search search = {.text = text};
    report_each_kept(search_line, &search);
    return search.count;
}
