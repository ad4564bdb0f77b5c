/* SPDX-License-Identifier: Apache-2.0 */
/* When this node is the controller, and who is told what. */
#include "replicate/core/controller.h"

#include "base/assertion.h"
#include "base/report.h"
#include "replicate/core/controller_state.h"

#include <stdio.h>

int64_t controller_now_ms(const struct controller *controller)
{
    return executor_monotonic_ms(controller->options.executor);
}

/* ---- proposing ---- */

static void decided(struct catalog_proposal *proposal)
{
    struct decision *decision = container_of(proposal, struct decision, proposal);
    struct controller *controller = decision->controller;
    controller->under_way--;
    if (decision->done != NULL)
        decision->done(controller, decision->node_id, &proposal->outcome);
    memory_free(decision);
}

enum error controller_decide(struct controller *controller, const struct catalog_command *command,
                             int32_t node_id,
                             void (*done)(struct controller *controller, int32_t node_id,
                                          const struct catalog_outcome *outcome))
{
    ASSERT(!controller->stopped);
    struct decision *decision = memory_allocate(sizeof *decision);
    if (decision == NULL)
        return ERROR_OUT_OF_MEMORY;
    decision->controller = controller;
    decision->node_id = node_id;
    decision->done = done;
    decision->proposal.done = decided;
    controller->under_way++;
    catalog_propose_through(controller->options.catalog, controller->options.local, command,
                            &decision->proposal);
    return ERROR_NONE;
}

/* ---- leadership ---- */

static void activate(struct controller *controller)
{
    controller->active = true;
    report(REPORT_NOTICE, "controller_elected", "", "node=%d term=%lld",
           controller->options.node_id, (long long)quorum_term(controller->options.quorum));
    sessions_begin(controller);
    upkeep_begin(controller);
}

static void deactivate(struct controller *controller)
{
    controller->active = false;
    sessions_end(controller);
    upkeep_end(controller);
    joins_end(controller, controller->stopped ? ERROR_CLOSING : ERROR_NOT_CONTROLLER);
}

static void quorum_changed(struct quorum_watcher *watcher)
{
    struct controller *controller = container_of(watcher, struct controller, quorum_watcher);
    bool leads = quorum_leads(controller->options.quorum);
    int32_t leader_id = quorum_leader_id(controller->options.quorum);
    if (controller->stopped)
        return;
    if (leads && !controller->active)
        activate(controller);
    else if (!leads && controller->active)
        deactivate(controller);
    if (leader_id >= 0 && leader_id != controller->options.node_id)
        controller->last_leader_id = leader_id;
    if (leader_id >= 0 && leader_id != controller->told_leader_id &&
        (leads || leader_id != controller->options.node_id)) {
        controller->told_leader_id = leader_id;
        if (controller->options.view != NULL)
            cluster_view_note(controller->options.view, "node %d is the controller", leader_id);
    }
}

/* ---- what the catalog says ---- */

static void nodes_changed(struct catalog_watcher *watcher)
{
    container_of(watcher, struct controller, catalog_watcher)->nodes_changed = true;
}

static void topic_changed(struct catalog_watcher *watcher, const struct catalog_topic *topic)
{
    (void)topic;
    container_of(watcher, struct controller, catalog_watcher)->placements_changed = true;
}

static void applied(struct catalog_watcher *watcher, int64_t index)
{
    struct controller *controller = container_of(watcher, struct controller, catalog_watcher);
    controller->hashes[index % KNOWN_HASHES] =
        (struct known_hash){index, catalog_hash(controller->options.catalog)};
    if (controller->nodes_changed) {
        controller->nodes_changed = false;
        controller->placements_changed = true;
        sessions_follow(controller);
        upkeep_soon(controller);
    }
}

/* ---- the operator's lines: from the controller only, so that each comes once ---- */

static void report_node(struct controller *controller, enum report_level level, const char *event,
                        const struct cluster_happening *happening)
{
    const struct session *session = session_find(controller, happening->node_id);
    int64_t silent_ms = session == NULL ? 0 : controller_now_ms(controller) - session->heard_ms;
    char subject[32];
    snprintf(subject, sizeof subject, "node=%d", happening->node_id);
    report(level, event, subject, "leaders_moved=%u leaders_lost=%u heard_ms_ago=%lld",
           happening->leaders_moved, happening->leaders_lost, (long long)silent_ms);
}

static void report_partition(enum report_level level, const char *event,
                             const struct cluster_happening *happening)
{
    char subject[REPORT_LINE_BYTES];
    snprintf(subject, sizeof subject, "topic=%s partition=%d", happening->topic,
             happening->partition);
    report(level, event, subject, "leader=%d", happening->node_id);
}

static void happened(struct cluster_observer *observer, const struct cluster_happening *happening)
{
    struct controller *controller = container_of(observer, struct controller, observer);
    if (!controller->active)
        return;
    switch (happening->kind) {
    case CLUSTER_NODE_JOINED:
        report_node(controller, REPORT_NOTICE, "node_registered", happening);
        break;
    case CLUSTER_NODE_LEFT:
        report_node(controller, REPORT_NOTICE, "node_unregistered", happening);
        break;
    case CLUSTER_NODE_WAS_FENCED:
        report_node(controller, REPORT_WARNING, "node_fenced", happening);
        break;
    case CLUSTER_NODE_WAS_UNFENCED:
        report_node(controller, REPORT_NOTICE, "node_unfenced", happening);
        break;
    case CLUSTER_NODE_STOPS:
        report_node(controller, REPORT_NOTICE, "node_stops", happening);
        break;
    case CLUSTER_UNCLEAN_ELECTION:
        report_partition(REPORT_ERROR, "unclean_election", happening);
        break;
    case CLUSTER_REASSIGNMENT_STARTED:
        report_partition(REPORT_INFO, "reassignment_started", happening);
        break;
    case CLUSTER_REASSIGNMENT_DONE:
        report_partition(REPORT_INFO, "reassignment_done", happening);
        break;
    case CLUSTER_NODE_DRAINS:
    case CLUSTER_LEADERS_MOVED:
    case CLUSTER_NOTE:
        break;
    }
}

/* ---- what handlers ask ---- */

static struct controller *controller_of(struct membership *membership)
{
    return container_of(membership, struct controller, membership);
}

static int32_t answer_leader_id(struct membership *membership)
{
    return quorum_leader_id(controller_of(membership)->options.quorum);
}

static void answer_propose(struct membership *membership, const struct catalog_command *command,
                           struct catalog_proposal *proposal)
{
    struct controller *controller = controller_of(membership);
    struct catalog_outcome outcome = {
        .error = ERROR_NOT_CONTROLLER, .producer_id_first = -1, .node_id_taken = -1};
    if (!controller->stopped && quorum_leads(controller->options.quorum))
        outcome.error = command->kind == CATALOG_NODE_REGISTER
                            ? session_registration_check(controller, &command->node)
                            : ERROR_NONE;
    if (outcome.error != ERROR_NONE)
        catalog_proposal_complete(controller->options.catalog, proposal, &outcome);
    else
        controller->options.local->submit(controller->options.local, proposal);
}

static void answer_heartbeat(struct membership *membership,
                             const struct node_heartbeat_request *request,
                             struct membership_answer *ret_answer)
{
    struct controller *controller = controller_of(membership);
    *ret_answer = (struct membership_answer){.error = ERROR_NOT_CONTROLLER,
                                             .fenced = true,
                                             .term = -1,
                                             .clock_ms = -1,
                                             .proved_ms_ago = -1};
    if (!controller->active || !quorum_leads(controller->options.quorum))
        return;
    session_echo(controller, request);
    session_heartbeat(controller, request, ret_answer);
    ret_answer->term = quorum_term(controller->options.quorum);
    ret_answer->clock_ms = controller_now_ms(controller);
    ret_answer->proved_ms_ago = session_proved_ms_ago(controller);
}

static void answer_join(struct membership *membership, struct membership_join *join)
{
    join_start(controller_of(membership), join);
}

static const struct membership_ops membership_ops = {
    .leader_id = answer_leader_id,
    .propose = answer_propose,
    .heartbeat = answer_heartbeat,
    .join = answer_join,
};

struct membership *controller_membership(struct controller *controller)
{
    return &controller->membership;
}

void controller_node_unreachable(struct controller *controller, int32_t node_id)
{
    if (controller->active)
        session_unreachable(controller, node_id);
}

/* ---- life ---- */

enum error controller_new(const struct controller_options *options,
                          struct controller **ret_controller)
{
    struct controller *controller = memory_allocate(sizeof *controller);
    if (controller == NULL)
        return ERROR_OUT_OF_MEMORY;
    controller->options = *options;
    controller->membership.ops = &membership_ops;
    controller->last_leader_id = -1;
    controller->told_leader_id = -1;
    controller->stuck_node_id = -1;
    list_init(&controller->joins);
    controller->session_timer.fire = session_timer_fired;
    controller->join_timer.fire = join_timer_fired;
    controller->upkeep_timer.fire = upkeep_timer_fired;
    controller->catalog_watcher = (struct catalog_watcher){
        .topic_changed = topic_changed, .nodes_changed = nodes_changed, .applied = applied};
    catalog_watch(options->catalog, &controller->catalog_watcher);
    controller->quorum_watcher.changed = quorum_changed;
    quorum_watch(options->quorum, &controller->quorum_watcher);
    controller->observer.happened = happened;
    list_init(&controller->observer.link);
    if (options->view != NULL)
        cluster_view_observe(options->view, &controller->observer);
    sessions_follow(controller);
    quorum_changed(&controller->quorum_watcher);
    *ret_controller = controller;
    return ERROR_NONE;
}

void controller_stop(struct controller *controller)
{
    controller->stopped = true;
    if (controller->active)
        deactivate(controller);
}

bool controller_idle(const struct controller *controller)
{
    return controller->under_way == 0;
}

void controller_free(struct controller *controller)
{
    if (controller == NULL)
        return;
    sessions_end(controller);
    upkeep_end(controller);
    executor_timer_stop(controller->options.executor, &controller->join_timer);
    catalog_unwatch(controller->options.catalog, &controller->catalog_watcher);
    quorum_unwatch(&controller->quorum_watcher);
    cluster_view_unobserve(&controller->observer);
    sessions_free(controller);
    memory_free(controller);
}
