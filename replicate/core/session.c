/* SPDX-License-Identifier: Apache-2.0 */
/* Who is alive, as far as the controller hears:
 *
 *   heartbeat: caught up --NODE_FENCE off--> serves --silent, refused, its log stands still-->
 *                                                                                NODE_FENCE on
 *              wants to stop --NODE_SHUTDOWN--> all others know --NODE_FENCE on, may go
 *
 * Each proposal carries the registration's epoch, so that it cannot meet a later incarnation. */
#include "base/assertion.h"
#include "base/report.h"
#include "replicate/core/controller_state.h"
#include "replicate/core/lease.h"
#include "wire/api_node_heartbeat.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct session *session_find(const struct controller *controller, int32_t node_id)
{
    struct session *session;
    HASH_FIND_INT(controller->sessions, &node_id, session);
    return session;
}

static struct session *session_make(struct controller *controller, int32_t node_id)
{
    struct session *session = memory_allocate(sizeof *session);
    if (session == NULL)
        return NULL;
    session->node_id = node_id;
    session->epoch = session->echoed_ms = -1;
    HASH_ADD_INT(controller->sessions, node_id, session);
    if (session->hh.tbl == NULL) {
        memory_free(session);
        return NULL;
    }
    return session;
}

void sessions_free(struct controller *controller)
{
    struct session *session;
    struct session *next;
    HASH_ITER(hh, controller->sessions, session, next)
    {
        HASH_DEL(controller->sessions, session);
        memory_free(session);
    }
}

/* ---- the timer: when the next one will have been silent for too long ---- */

static int64_t silent_due_ms(const struct controller *controller, const struct session *session)
{
    int64_t due_ms = session->heard_ms + controller->options.session_timeout_ms;
    if (session->unreachable_due_ms > 0 && session->unreachable_due_ms < due_ms)
        due_ms = session->unreachable_due_ms;
    return due_ms;
}

/* A node that is heard and does not get on with the log has no lease (lease.h): others are to lead.
 * One that is slow is waited for, since it gets on. */
static bool is_behind(const struct session *session)
{
    return session->applied_index < session->owed_index;
}

static int64_t fence_due_ms(const struct controller *controller, const struct session *session)
{
    int64_t due_ms = silent_due_ms(controller, session);
    int64_t owed_due_ms = session->owed_since_ms + controller->options.session_timeout_ms;
    return is_behind(session) && owed_due_ms < due_ms ? owed_due_ms : due_ms;
}

/* Later than needed never; sooner does no harm. */
static void timer_at(struct controller *controller, int64_t due_ms)
{
    bool running = timer_running(&controller->session_timer);
    if (!controller->active || (running && controller->session_due_ms <= due_ms))
        return;
    controller->session_due_ms = due_ms;
    executor_timer_start(controller->options.executor, &controller->session_timer,
                         due_ms - controller_now_ms(controller));
}

/* ---- deciding ---- */

static void fence_decided(struct controller *controller, int32_t node_id,
                          const struct catalog_outcome *outcome)
{
    struct session *session = session_find(controller, node_id);
    (void)outcome; /* A refusal is looked at again by the timer and the next heartbeat. */
    if (session == NULL)
        return;
    session->deciding = session->fencing = false;
    timer_at(controller, controller_now_ms(controller) + CONTROLLER_UNREACHABLE_MS / 3);
}

static void propose_fence(struct controller *controller, struct session *session, bool fenced)
{
    struct catalog_command command = {.kind = CATALOG_NODE_FENCE,
                                      .node_id = session->node_id,
                                      .node_epoch = session->epoch,
                                      .fenced = fenced};
    if (session->deciding)
        return;
    session->deciding =
        controller_decide(controller, &command, session->node_id, fence_decided) == ERROR_NONE;
    session->fencing = session->deciding && fenced;
}

static void shutdown_decided(struct controller *controller, int32_t node_id,
                             const struct catalog_outcome *outcome)
{
    struct session *session = session_find(controller, node_id);
    if (session == NULL)
        return;
    session->deciding = false;
    if (outcome->error == ERROR_NONE)
        session->shutdown_index = outcome->index;
}

static void propose_shutdown(struct controller *controller, struct session *session)
{
    struct catalog_command command = {
        .kind = CATALOG_NODE_SHUTDOWN, .node_id = session->node_id, .node_epoch = session->epoch};
    if (session->deciding)
        return;
    session->deciding =
        controller_decide(controller, &command, session->node_id, shutdown_decided) == ERROR_NONE;
}

/* ---- keeping step with the catalog ---- */

static void follow_node(void *context, const struct catalog_node *node)
{
    struct controller *controller = context;
    int64_t now_ms = controller_now_ms(controller);
    struct session *session = session_find(controller, node->id);
    if (session == NULL)
        session = session_make(controller, node->id);
    if (session == NULL)
        return; /* Without memory: the next change or heartbeat makes it. */
    if (session->epoch != node->epoch) {
        bool deciding = session->deciding;
        bool fencing = session->fencing;
        int64_t away_since_ms = session->away_since_ms;
        int64_t away_index = session->away_index;
        *session = (struct session){.node_id = node->id,
                                    .hh = session->hh,
                                    .epoch = node->epoch,
                                    .heard_ms = now_ms,
                                    .applied_index = -1,
                                    .owed_index = -1,
                                    .echoed_ms = session->echoed_ms,
                                    .deciding = deciding,
                                    .fencing = fencing,
                                    .away_since_ms = away_since_ms,
                                    .away_index = away_index};
    }
    session->was_registered = true;
    session->left_ms = 0;
    if (node->fenced && session->away_since_ms == 0) {
        session->away_since_ms = now_ms;
        session->away_index = catalog_applied_index(controller->options.catalog);
    } else if (!node->fenced && session->away_since_ms != 0) {
        session->away_since_ms = 0;
        session->returned = true;
        session->returned_ms = now_ms;
    }
    if (!node->draining)
        session->drained = false;
    timer_at(controller, fence_due_ms(controller, session));
}

void sessions_follow(struct controller *controller)
{
    struct session *session;
    struct session *next;
    catalog_node_each(controller->options.catalog, follow_node, controller);
    HASH_ITER(hh, controller->sessions, session, next)
    {
        bool registered = catalog_node_find(controller->options.catalog, session->node_id) != NULL;
        if (!registered && session->left_ms == 0) {
            session->epoch = -1;
            session->left_ms = controller_now_ms(controller);
        }
    }
}

/* A founder is a member before it has registered; one that never does loses its place at last. */
void sessions_see_member(struct controller *controller, int32_t node_id)
{
    if (session_find(controller, node_id) != NULL ||
        catalog_node_find(controller->options.catalog, node_id) != NULL)
        return;
    struct session *session = session_make(controller, node_id);
    if (session != NULL)
        session->left_ms = controller_now_ms(controller);
}

/* A leader that was lost has been silent for a while: it gets half a session, but no less than its
 * lease may last, which counts from a majority's echo. Voters elect another no sooner than an
 * election timeout after they heard of it, and they hear of it every fifth of that. */
static int64_t lost_leader_ms(const struct controller *controller)
{
    int64_t session_ms = controller->options.session_timeout_ms;
    int64_t lease_ms =
        session_ms * LEASE_PERCENT / 100 - controller->options.election_timeout_ms * 4 / 5;
    return lease_ms > session_ms / 2 ? lease_ms : session_ms / 2;
}

void sessions_begin(struct controller *controller)
{
    struct session *session;
    struct session *next;
    int64_t now_ms = controller_now_ms(controller);
    HASH_ITER(hh, controller->sessions, session, next)
    {
        bool lost_leader = session->node_id == controller->last_leader_id;
        session->heard_ms = now_ms;
        if (lost_leader)
            session->heard_ms -=
                controller->options.session_timeout_ms - lost_leader_ms(controller);
        session->unreachable_due_ms = 0;
        session->applied_index = session->owed_index = session->echoed_ms = -1;
        session->shutdown_index = 0;
    }
    sessions_follow(controller);
}

void sessions_end(struct controller *controller)
{
    executor_timer_stop(controller->options.executor, &controller->session_timer);
}

/* A process that was stopped did not hear what was said meanwhile: that time counts for nobody. */
static void forgive_pause(struct controller *controller, int64_t now_ms)
{
    int64_t late_ms = now_ms - controller->session_due_ms;
    struct session *session;
    struct session *next;
    if (late_ms < controller->options.session_timeout_ms / 4)
        return;
    HASH_ITER(hh, controller->sessions, session, next)
    {
        session->heard_ms += late_ms;
        if (session->heard_ms > now_ms)
            session->heard_ms = now_ms;
        session->owed_since_ms += late_ms;
        if (session->owed_since_ms > now_ms)
            session->owed_since_ms = now_ms;
        if (session->unreachable_due_ms > 0)
            session->unreachable_due_ms += late_ms;
    }
}

/* The operator's line: that it is fenced is told like of any other, why only here. */
static void report_standstill(struct controller *controller, struct session *session,
                              int64_t now_ms)
{
    if (session->stands_still || silent_due_ms(controller, session) <= now_ms)
        return;
    session->stands_still = true;
    char subject[32];
    snprintf(subject, sizeof subject, "node=%d", session->node_id);
    report(
        REPORT_WARNING, "node_stands_still", subject,
        "applied=%lld controller_applied=%lld for_ms=%lld do=\"look at its disk: it is heard, but "
        "does not follow the metadata log\"",
        (long long)session->applied_index, (long long)session->owed_index,
        (long long)(now_ms - session->owed_since_ms));
    if (controller->options.view != NULL)
        cluster_view_note(controller->options.view,
                          "node %d: heard, but its metadata log stands still at index %lld",
                          session->node_id, (long long)session->applied_index);
}

void session_timer_fired(struct timer *timer)
{
    struct controller *controller = container_of(timer, struct controller, session_timer);
    int64_t now_ms = controller_now_ms(controller);
    struct session *session;
    struct session *next;
    forgive_pause(controller, now_ms);
    HASH_ITER(hh, controller->sessions, session, next)
    {
        const struct catalog_node *node =
            catalog_node_find(controller->options.catalog, session->node_id);
        if (node == NULL || node->fenced || session->epoch != node->epoch)
            continue;
        if (fence_due_ms(controller, session) <= now_ms) {
            report_standstill(controller, session, now_ms);
            propose_fence(controller, session, true);
        }
        /* Also when it could not be proposed: again soon. */
        int64_t due_ms = fence_due_ms(controller, session);
        timer_at(controller, due_ms > now_ms ? due_ms : now_ms + CONTROLLER_UNREACHABLE_MS / 3);
    }
}

void session_unreachable(struct controller *controller, int32_t node_id)
{
    struct session *session = session_find(controller, node_id);
    if (session == NULL || session->epoch < 0 || session->unreachable_due_ms > 0)
        return;
    session->unreachable_due_ms = controller_now_ms(controller) + CONTROLLER_UNREACHABLE_MS;
    timer_at(controller, session->unreachable_due_ms);
}

/* ---- who follows this controller ---- */

void session_echo(struct controller *controller, const struct node_heartbeat_request *request)
{
    struct session *session = session_find(controller, request->node_id);
    if (session == NULL || request->echoed_term != quorum_term(controller->options.quorum) ||
        request->echoed_clock_ms > controller_now_ms(controller) ||
        request->echoed_clock_ms <= session->echoed_ms)
        return;
    session->echoed_ms = request->echoed_clock_ms;
}

/* Into the `count` latest so far, the latest first. */
static void echo_sort_in(int64_t *echoes, uint32_t count, int64_t echoed_ms)
{
    for (uint32_t i = 0; i < count; i++) {
        if (echoed_ms > echoes[i]) {
            int64_t later_ms = echoed_ms;
            echoed_ms = echoes[i];
            echoes[i] = later_ms;
        }
    }
}

int64_t session_proved_ms_ago(const struct controller *controller)
{
    struct quorum_member members[QUORUM_MEMBERS_MAX];
    int64_t echoes[QUORUM_MEMBERS_MAX];
    uint32_t voters = 0;
    uint32_t count = quorum_members(controller->options.quorum, members, QUORUM_MEMBERS_MAX);
    for (uint32_t i = 0; i < count && i < QUORUM_MEMBERS_MAX; i++) {
        const struct session *session = session_find(controller, members[i].node_id);
        if (members[i].role != QUORUM_VOTER)
            continue;
        int64_t echoed_ms = session == NULL ? -1 : session->echoed_ms;
        if (members[i].node_id == controller->options.node_id)
            echoed_ms = controller_now_ms(controller);
        echoes[voters] = -1;
        echo_sort_in(echoes, ++voters, echoed_ms);
    }
    int64_t proved_ms = voters == 0 ? -1 : echoes[voters / 2];
    return proved_ms < 0 ? -1 : controller_now_ms(controller) - proved_ms;
}

/* ---- heartbeats ---- */

/* Two images that went apart at the same position: a bug, or a damaged disk. Never passed over. */
static void compare_images(struct controller *controller, struct session *session,
                           const struct node_heartbeat_request *request)
{
    if (request->applied_index < 0)
        return;
    const struct known_hash *known = &controller->hashes[request->applied_index % KNOWN_HASHES];
    if (session->diverged || known->index == 0 || known->index != request->applied_index ||
        known->hash == (uint64_t)request->image_hash)
        return;
    session->diverged = true;
    char subject[32];
    snprintf(subject, sizeof subject, "node=%d", session->node_id);
    report(REPORT_ERROR, "metadata_diverged", subject,
           "index=%lld hash=%016" PRIx64 " controller_hash=%016" PRIx64
           " do=\"stop the node, and start it with an empty data directory\"",
           (long long)request->applied_index, (uint64_t)request->image_hash, known->hash);
    if (controller->options.view != NULL)
        cluster_view_note(controller->options.view,
                          "node %d: its metadata differs from the controller's at index %lld",
                          session->node_id, (long long)request->applied_index);
}

static void compare_clocks(struct controller *controller, struct session *session,
                           const struct node_heartbeat_request *request)
{
    int64_t ahead_ms =
        request->wall_clock_ms - executor_wall_clock_ms(controller->options.executor);
    int64_t apart_ms = ahead_ms < 0 ? -ahead_ms : ahead_ms;
    if (session->skewed) {
        session->skewed = apart_ms > CONTROLLER_CLOCKS_APART_MS / 2;
        return;
    }
    session->skewed = apart_ms > CONTROLLER_CLOCKS_APART_MS;
    if (!session->skewed)
        return;
    char subject[32];
    snprintf(subject, sizeof subject, "node=%d", session->node_id);
    report(REPORT_WARNING, "clock_skew", subject,
           "ahead_ms=%lld do=\"set the clocks: record timestamps and retention go by them\"",
           (long long)ahead_ms);
}

static void tell_view(struct controller *controller, const struct node_heartbeat_request *request)
{
    struct cluster_node_report heard = {
        .disk_total_bytes = request->disk_total_bytes,
        .disk_free_bytes = request->disk_free_bytes,
        .applied_index = request->applied_index,
        .heard_ms = executor_wall_clock_ms(controller->options.executor),
    };
    if (controller->options.view == NULL)
        return;
    report_escape(request->software_version.data, request->software_version.size, heard.version,
                  sizeof heard.version);
    cluster_view_report(controller->options.view, request->node_id, &heard);
}

static void follow_progress(struct controller *controller, struct session *session,
                            int64_t applied_index)
{
    bool moved = applied_index != session->applied_index;
    session->applied_index = applied_index;
    if (applied_index >= session->owed_index) {
        session->owed_index = catalog_applied_index(controller->options.catalog);
        session->stands_still = false;
    } else if (!moved) {
        return;
    }
    session->owed_since_ms = controller_now_ms(controller);
    if (is_behind(session))
        timer_at(controller, fence_due_ms(controller, session));
}

struct knowing {
    const struct controller *controller;
    const struct session *leaving;
    bool all;
};

static void knows_of_shutdown(void *context, const struct catalog_node *node)
{
    struct knowing *knowing = context;
    const struct session *session = session_find(knowing->controller, node->id);
    if (node->id == knowing->leaving->node_id || node->id == knowing->controller->options.node_id ||
        node->fenced)
        return;
    knowing->all = knowing->all && session != NULL &&
                   session->applied_index >= knowing->leaving->shutdown_index;
}

/* Its leaderships have moved where they could; it may go once the new leaders know (Kafka's
 * BrokerHeartbeatManager: SHUTDOWN_NOW). Those that do not come back are fenced meanwhile. */
static bool may_go(const struct controller *controller, const struct session *session)
{
    struct knowing knowing = {.controller = controller, .leaving = session, .all = true};
    catalog_node_each(controller->options.catalog, knows_of_shutdown, &knowing);
    return knowing.all;
}

static void heartbeat_shutdown_wanted(struct controller *controller, struct session *session,
                                      const struct catalog_node *node,
                                      struct membership_answer *answer)
{
    if (!node->shutting_down) {
        propose_shutdown(controller, session);
        return;
    }
    if (session->shutdown_index == 0) /* Another controller proposed it. */
        session->shutdown_index = catalog_applied_index(controller->options.catalog);
    answer->should_shutdown = may_go(controller, session);
    if (answer->should_shutdown && !node->fenced)
        propose_fence(controller, session, true);
}

void session_heartbeat(struct controller *controller, const struct node_heartbeat_request *request,
                       struct membership_answer *ret_answer)
{
    const struct catalog_node *node =
        catalog_node_find(controller->options.catalog, request->node_id);
    struct session *session = session_find(controller, request->node_id);
    if (node == NULL) {
        ret_answer->error = ERROR_BROKER_ID_NOT_REGISTERED;
        return;
    }
    if (request->node_epoch != node->epoch) {
        ret_answer->error = ERROR_STALE_BROKER_EPOCH;
        return;
    }
    if (session == NULL || session->epoch != node->epoch) {
        follow_node(controller, node);
        session = session_find(controller, request->node_id);
    }
    if (session == NULL) {
        ret_answer->error = ERROR_OUT_OF_MEMORY;
        return;
    }
    session->heard_ms = controller_now_ms(controller);
    session->unreachable_due_ms = 0;
    follow_progress(controller, session, request->applied_index);
    tell_view(controller, request);
    compare_images(controller, session, request);
    compare_clocks(controller, session, request);
    ret_answer->error = ERROR_NONE;
    ret_answer->fenced = node->fenced || session->fencing;
    if (request->wants_shutdown)
        heartbeat_shutdown_wanted(controller, session, node, ret_answer);
    else if (node->fenced && !node->shutting_down && request->applied_index >= node->epoch &&
             request->applied_index >= session->away_index)
        propose_fence(controller, session, false);
}

enum error session_registration_check(struct controller *controller,
                                      const struct catalog_node *node)
{
    const struct catalog_node *known = catalog_node_find(controller->options.catalog, node->id);
    const struct session *session = session_find(controller, node->id);
    if (known == NULL || known->fenced || session == NULL ||
        silent_due_ms(controller, session) <= controller_now_ms(controller) ||
        uuid_equals(&known->incarnation_id, &node->incarnation_id))
        return ERROR_NONE;
    /* The same disk at the same address: the process was started again. */
    if (uuid_equals(&known->directory_id, &node->directory_id) && known->port == node->port &&
        strcmp(known->host, node->host) == 0)
        return ERROR_NONE;
    char subject[32];
    char host[REPORT_LINE_BYTES];
    snprintf(subject, sizeof subject, "node=%d", node->id);
    report_escape(node->host, strlen(node->host), host, sizeof host);
    report(REPORT_WARNING, "registration_refused", subject,
           "at=%.150s:%d reason=\"a node with this id is alive at %.150s:%d\"", host, node->port,
           known->host, known->port);
    return ERROR_DUPLICATE_BROKER_REGISTRATION;
}

int64_t session_away_ms(void *context, int32_t node_id)
{
    const struct controller *controller = context;
    const struct session *session = session_find(controller, node_id);
    bool registered = catalog_node_find(controller->options.catalog, node_id) != NULL;
    if (session == NULL)
        return 0;
    if (!registered && session->was_registered)
        return INT64_MAX;
    if (!registered)
        return controller_now_ms(controller) - session->left_ms;
    return session->away_since_ms == 0 ? 0 : controller_now_ms(controller) - session->away_since_ms;
}
