/* SPDX-License-Identifier: Apache-2.0 */
/* Beats: one at a time, to whoever leads, each with what follows from its answer.
 *
 *   beat -> (call) -> answered -> its news applied -> lease until sent + 0.8 * session timeout
 *     ^                  |
 *     '---- interval ----'   sooner: a new leader, nobody answered, a shutdown waits
 */
#include "replicate/core/heartbeat.h"

#include "base/assertion.h"
#include "base/memory.h"
#include "handle/cluster_view.h"
#include "handle/membership.h"
#include "replicate/core/lease.h"
#include "wire/api_node_heartbeat.h"

#include <stdio.h>

enum {
    SHUTDOWN_INTERVAL_MS = 20,
    RETRY_MS_MIN = 20,
    NODES_INTERVAL_MS = 5000 /* How often to ask what the controller knows of the others. */
};

enum shutdown_phase { SHUTDOWN_NONE, SHUTDOWN_TRANSFERRING, SHUTDOWN_ASKING, SHUTDOWN_ENDED };

struct heartbeat {
    struct heartbeat_options options;
    struct quorum_watcher quorum_watcher;
    int64_t epoch; /* -1: not registered, no beats. */
    struct timer beat_timer;
    struct timer lease_timer;
    struct lease lease;
    bool lease_told; /* What the owner was told last. */
    bool fenced;
    int64_t nodes_asked_ms;
    int32_t hinted_leader_id;
    bool calling;
    int64_t sent_ms;
    int64_t sent_epoch;
    int32_t clock_node_id; /* Whose clock the last answer told, for the next beat. */
    int64_t clock_term;
    int64_t clock_ms;
    struct call call;
    struct node_heartbeat_request request;
    bool stopped;
    enum shutdown_phase shutdown;
    struct timer shutdown_timer;
    struct task shutdown_task;
    bool shutdown_answering;
    int64_t shutdown_heard_ms; /* A controller last answered, or it began. */
    int64_t answered_index;    /* What the controller had applied when it answered. */
    enum error shutdown_error;
    void (*shutdown_done)(void *context, enum error error);
    void *shutdown_context;
    bool transferring;
    struct quorum_change transfer;
};

static int64_t now_ms(const struct heartbeat *heartbeat)
{
    return executor_monotonic_ms(heartbeat->options.executor);
}

static void beat_in(struct heartbeat *heartbeat, int64_t delay_ms)
{
    if (!heartbeat->stopped && heartbeat->epoch >= 0)
        executor_timer_start(heartbeat->options.executor, &heartbeat->beat_timer, delay_ms);
}

/* ---- what the answers come to ---- */

static int64_t lease_until_ms(const struct heartbeat *heartbeat)
{
    int64_t from_ms =
        lease_from_ms(&heartbeat->lease, catalog_applied_index(heartbeat->options.catalog));
    return from_ms == LEASE_NONE
               ? 0
               : from_ms + heartbeat->options.session_timeout_ms * LEASE_PERCENT / 100;
}

static void tell_lease(struct heartbeat *heartbeat)
{
    bool held = heartbeat_lease_held(heartbeat);
    struct heartbeat_events *events = heartbeat->options.events;
    if (heartbeat->stopped)
        return;
    if (held)
        executor_timer_start(heartbeat->options.executor, &heartbeat->lease_timer,
                             lease_until_ms(heartbeat) - now_ms(heartbeat));
    if (held == heartbeat->lease_told)
        return;
    heartbeat->lease_told = held;
    if (events->lease != NULL)
        events->lease(events, held);
}

static void lease_timer_fired(struct timer *timer)
{
    tell_lease(container_of(timer, struct heartbeat, lease_timer));
}

static void tell_fenced(struct heartbeat *heartbeat, bool fenced)
{
    struct heartbeat_events *events = heartbeat->options.events;
    if (fenced == heartbeat->fenced || heartbeat->stopped)
        return;
    heartbeat->fenced = fenced;
    if (events->fenced != NULL)
        events->fenced(events, fenced);
}

static void shutdown_end(struct heartbeat *heartbeat, enum error error)
{
    if (heartbeat->shutdown == SHUTDOWN_NONE || heartbeat->shutdown == SHUTDOWN_ENDED)
        return;
    heartbeat->shutdown = SHUTDOWN_ENDED;
    heartbeat->shutdown_error = error;
    heartbeat->shutdown_answering = true;
    executor_timer_stop(heartbeat->options.executor, &heartbeat->shutdown_timer);
    executor_post(heartbeat->options.executor, &heartbeat->shutdown_task);
}

/* The registration this node beats under is not the one in force: no beats until the owner has
 * registered and started again. */
static void registration_lost(struct heartbeat *heartbeat, enum error error)
{
    struct heartbeat_events *events = heartbeat->options.events;
    heartbeat->epoch = -1;
    lease_init(&heartbeat->lease);
    executor_timer_stop(heartbeat->options.executor, &heartbeat->beat_timer);
    tell_lease(heartbeat);
    tell_fenced(heartbeat, true);
    if (heartbeat->stopped)
        return;
    if (error == ERROR_STALE_BROKER_EPOCH && events->stale_epoch != NULL)
        events->stale_epoch(events);
    if (error == ERROR_BROKER_ID_NOT_REGISTERED && events->unregistered != NULL)
        events->unregistered(events);
}

static int64_t retry_ms(const struct heartbeat *heartbeat)
{
    int64_t delay_ms = heartbeat->options.interval_ms / 10;
    return delay_ms < RETRY_MS_MIN ? RETRY_MS_MIN : delay_ms;
}

/* Sooner while something is waited for: to serve, or to be let go. */
static int64_t next_ms(const struct heartbeat *heartbeat)
{
    int64_t interval_ms = heartbeat->options.interval_ms;
    int64_t sooner_ms = interval_ms;
    if (heartbeat->shutdown == SHUTDOWN_ASKING)
        sooner_ms = SHUTDOWN_INTERVAL_MS;
    else if (heartbeat->fenced)
        sooner_ms = retry_ms(heartbeat);
    return sooner_ms < interval_ms ? sooner_ms : interval_ms;
}

/* Whoever was away may have lost what it led: it hears of that before it serves. The word of a
 * controller, also this node's own, counts from when it certainly was one; so that this is not long
 * ago, the next beat soon brings it the proof. */
static void take_opinion(struct heartbeat *heartbeat, const struct membership_answer *answer)
{
    heartbeat->shutdown_heard_ms = now_ms(heartbeat);
    bool proved = answer->proved_ms_ago >= 0 && answer->proved_ms_ago <= heartbeat->sent_ms;
    if (answer->fenced)
        lease_init(&heartbeat->lease);
    else if (proved)
        lease_answered(&heartbeat->lease, heartbeat->sent_ms - answer->proved_ms_ago,
                       heartbeat->answered_index,
                       catalog_applied_index(heartbeat->options.catalog));
    bool settled = answer->fenced || heartbeat_lease_held(heartbeat);
    if (settled)
        tell_fenced(heartbeat, answer->fenced);
    bool fresh = proved && answer->proved_ms_ago <= heartbeat->options.interval_ms / 2;
    beat_in(heartbeat,
            settled && (fresh || answer->fenced) ? next_ms(heartbeat) : retry_ms(heartbeat));
    tell_lease(heartbeat);
    if (answer->should_shutdown)
        shutdown_end(heartbeat, ERROR_NONE);
}

static void take_answer(struct heartbeat *heartbeat, const struct membership_answer *answer)
{
    if (heartbeat->sent_epoch != heartbeat->epoch) {
        beat_in(heartbeat, 0); /* It was about an older registration. */
        return;
    }
    switch (answer->error) {
    case ERROR_NONE:
        take_opinion(heartbeat, answer);
        return;
    case ERROR_STALE_BROKER_EPOCH:
    case ERROR_BROKER_ID_NOT_REGISTERED:
        registration_lost(heartbeat, answer->error);
        return;
    default:
        beat_in(heartbeat, retry_ms(heartbeat));
    }
}

/* ---- asking ---- */

static void take_nodes(struct heartbeat *heartbeat, const struct node_heartbeat_response *response)
{
    if (heartbeat->options.view == NULL)
        return;
    for (uint32_t i = 0; i < response->nodes_count; i++) {
        const struct node_heartbeat_response_node *node = &response->nodes[i];
        struct cluster_node_report report = {
            .disk_total_bytes = node->disk_total_bytes,
            .disk_free_bytes = node->disk_free_bytes,
            .applied_index = node->applied_index,
            .heard_ms = node->heard_ms,
        };
        snprintf(report.version, sizeof report.version, "%.*s",
                 SLICE_PRINT(node->software_version));
        cluster_view_report(heartbeat->options.view, node->node_id, &report);
    }
}

static void call_ended(struct call *call)
{
    struct heartbeat *heartbeat = container_of(call, struct heartbeat, call);
    const struct node_heartbeat_response *response = call->response;
    struct membership_answer answer = {.error = call->error};
    heartbeat->calling = false;
    if (call->error != ERROR_NONE) {
        heartbeat->hinted_leader_id = -1;
    } else {
        answer.error = error_from_kafka(response->error_code);
        answer.fenced = response->fenced;
        heartbeat->answered_index = response->applied_index;
        answer.should_shutdown = response->should_shutdown;
        answer.proved_ms_ago = response->proved_ms_ago;
        heartbeat->clock_node_id = call->node_id;
        heartbeat->clock_term = response->term;
        heartbeat->clock_ms = response->clock_ms;
        if (answer.error == ERROR_NOT_CONTROLLER && response->leader_id != call->node_id)
            heartbeat->hinted_leader_id = response->leader_id;
        if (!heartbeat->stopped)
            take_nodes(heartbeat, response);
    }
    bool redirected = call->error == ERROR_INTERRUPTED;
    call_done(call);
    if (heartbeat->stopped)
        return;
    if (redirected)
        beat_in(heartbeat, 0);
    else
        take_answer(heartbeat, &answer);
}

static void request_fill(struct heartbeat *heartbeat)
{
    struct node_heartbeat_request *request = &heartbeat->request;
    const struct heartbeat_options *options = &heartbeat->options;
    int64_t now = now_ms(heartbeat);
    node_heartbeat_request_init(request);
    request->node_id = options->node_id;
    request->node_epoch = heartbeat->epoch;
    request->applied_index = catalog_applied_index(options->catalog);
    request->image_hash = (int64_t)catalog_hash(options->catalog);
    request->wall_clock_ms = executor_wall_clock_ms(options->executor);
    request->software_version = slice_of(options->version);
    request->disk_total_bytes = -1;
    request->disk_free_bytes = -1;
    if (options->disk != NULL)
        options->disk(options->context, &request->disk_total_bytes, &request->disk_free_bytes);
    request->wants_shutdown = heartbeat->shutdown >= SHUTDOWN_ASKING;
    request->wants_nodes = now - heartbeat->nodes_asked_ms >= NODES_INTERVAL_MS;
    if (request->wants_nodes)
        heartbeat->nodes_asked_ms = now;
    heartbeat->sent_ms = now;
    heartbeat->sent_epoch = heartbeat->epoch;
}

static void ask_here(struct heartbeat *heartbeat)
{
    struct membership *membership = heartbeat->options.membership;
    struct membership_answer answer = {.error = ERROR_NONE};
    heartbeat->answered_index = 0;
    request_fill(heartbeat);
    membership->ops->heartbeat(membership, &heartbeat->request, &answer);
    take_answer(heartbeat, &answer);
}

/* Only while this node follows whoever told its clock: it has not voted for another since. */
static void echo_fill(struct heartbeat *heartbeat, int32_t leader_id)
{
    struct quorum *quorum = heartbeat->options.quorum;
    if (heartbeat->clock_node_id != leader_id || quorum_leader_id(quorum) != leader_id ||
        heartbeat->clock_term != quorum_term(quorum))
        return;
    heartbeat->request.echoed_term = heartbeat->clock_term;
    heartbeat->request.echoed_clock_ms = heartbeat->clock_ms;
}

static void ask_at(struct heartbeat *heartbeat, int32_t leader_id)
{
    int64_t timeout_ms = heartbeat->options.session_timeout_ms / 2;
    if (timeout_ms < heartbeat->options.interval_ms)
        timeout_ms = heartbeat->options.interval_ms;
    request_fill(heartbeat);
    echo_fill(heartbeat, leader_id);
    call_init(&heartbeat->call, heartbeat->options.caller, api_find(API_NODE_HEARTBEAT), leader_id,
              CALL_CONTROL, timeout_ms);
    heartbeat->call.body = &heartbeat->request;
    heartbeat->call.done = call_ended;
    heartbeat->calling = true;
    call_start(heartbeat->options.executor, &heartbeat->call);
}

static int32_t leader_elsewhere(const struct heartbeat *heartbeat)
{
    int32_t leader_id = quorum_leader_id(heartbeat->options.quorum);
    if (leader_id < 0)
        leader_id = heartbeat->hinted_leader_id;
    return leader_id == heartbeat->options.node_id ? -1 : leader_id;
}

static void beat(struct timer *timer)
{
    struct heartbeat *heartbeat = container_of(timer, struct heartbeat, beat_timer);
    if (heartbeat->calling || heartbeat->epoch < 0)
        return; /* The answer goes on. */
    /* The last node of a cluster that stops has nobody to ask. */
    if (heartbeat->shutdown != SHUTDOWN_NONE &&
        now_ms(heartbeat) - heartbeat->shutdown_heard_ms > heartbeat->options.session_timeout_ms)
        shutdown_end(heartbeat, ERROR_REQUEST_TIMED_OUT);
    if (quorum_leads(heartbeat->options.quorum))
        ask_here(heartbeat);
    else if (leader_elsewhere(heartbeat) >= 0)
        ask_at(heartbeat, leader_elsewhere(heartbeat));
    else
        beat_in(heartbeat, retry_ms(heartbeat));
}

/* A new controller hears of this node at once. */
static void quorum_changed(struct quorum_watcher *watcher)
{
    struct heartbeat *heartbeat = container_of(watcher, struct heartbeat, quorum_watcher);
    struct quorum *quorum = heartbeat->options.quorum;
    int32_t leader_id = quorum_leader_id(quorum);
    if (leader_id < 0 || (leader_id == heartbeat->options.node_id && !quorum_leads(quorum)))
        return;
    heartbeat->hinted_leader_id = -1;
    if (heartbeat->calling && heartbeat->call.node_id != leader_id)
        call_cancel(&heartbeat->call);
    else if (!heartbeat->calling)
        beat_in(heartbeat, 0);
}

/* ---- controlled shutdown ---- */

static void shutdown_answer(struct task *task)
{
    struct heartbeat *heartbeat = container_of(task, struct heartbeat, shutdown_task);
    heartbeat->shutdown_answering = false;
    heartbeat->shutdown_done(heartbeat->shutdown_context, heartbeat->shutdown_error);
}

static void shutdown_late(struct timer *timer)
{
    shutdown_end(container_of(timer, struct heartbeat, shutdown_timer), ERROR_REQUEST_TIMED_OUT);
}

static void shutdown_ask(struct heartbeat *heartbeat)
{
    if (heartbeat->shutdown != SHUTDOWN_TRANSFERRING)
        return;
    heartbeat->shutdown = SHUTDOWN_ASKING;
    if (!heartbeat->calling)
        beat_in(heartbeat, 0);
}

/* Whether another leads now or not: who leads is asked. */
static void transferred(struct quorum_change *change)
{
    struct heartbeat *heartbeat = container_of(change, struct heartbeat, transfer);
    heartbeat->transferring = false;
    shutdown_ask(heartbeat);
}

static bool another_votes(struct heartbeat *heartbeat)
{
    struct quorum_member members[QUORUM_MEMBERS_MAX];
    uint32_t count = quorum_members(heartbeat->options.quorum, members, QUORUM_MEMBERS_MAX);
    for (uint32_t i = 0; i < count && i < QUORUM_MEMBERS_MAX; i++) {
        if (members[i].role == QUORUM_VOTER && members[i].node_id != heartbeat->options.node_id)
            return true;
    }
    return false;
}

void heartbeat_shutdown(struct heartbeat *heartbeat, int64_t timeout_ms,
                        void (*done)(void *context, enum error error), void *context)
{
    ASSERT(heartbeat->shutdown == SHUTDOWN_NONE);
    ASSERT(!heartbeat->stopped);
    heartbeat->shutdown = SHUTDOWN_TRANSFERRING;
    heartbeat->shutdown_heard_ms = now_ms(heartbeat);
    heartbeat->shutdown_done = done;
    heartbeat->shutdown_context = context;
    executor_timer_start(heartbeat->options.executor, &heartbeat->shutdown_timer, timeout_ms);
    if (!quorum_leads(heartbeat->options.quorum) || !another_votes(heartbeat)) {
        shutdown_ask(heartbeat);
        return;
    }
    heartbeat->transfer =
        (struct quorum_change){.kind = QUORUM_TRANSFER, .node_id = -1, .done = transferred};
    list_init(&heartbeat->transfer.link);
    list_init(&heartbeat->transfer.task.link);
    heartbeat->transferring = true;
    quorum_change_start(heartbeat->options.quorum, &heartbeat->transfer);
}

/* ---- life ---- */

enum error heartbeat_new(const struct heartbeat_options *options, struct heartbeat **ret_heartbeat)
{
    struct heartbeat *heartbeat = memory_allocate(sizeof *heartbeat);
    if (heartbeat == NULL)
        return ERROR_OUT_OF_MEMORY;
    heartbeat->options = *options;
    heartbeat->epoch = -1;
    heartbeat->fenced = true;
    heartbeat->hinted_leader_id = heartbeat->clock_node_id = -1;
    lease_init(&heartbeat->lease);
    heartbeat->nodes_asked_ms = executor_monotonic_ms(options->executor) - NODES_INTERVAL_MS;
    heartbeat->beat_timer.fire = beat;
    heartbeat->lease_timer.fire = lease_timer_fired;
    heartbeat->shutdown_timer.fire = shutdown_late;
    heartbeat->shutdown_task.run = shutdown_answer;
    list_init(&heartbeat->shutdown_task.link);
    heartbeat->quorum_watcher.changed = quorum_changed;
    quorum_watch(options->quorum, &heartbeat->quorum_watcher);
    *ret_heartbeat = heartbeat;
    return ERROR_NONE;
}

void heartbeat_start(struct heartbeat *heartbeat, int64_t epoch)
{
    ASSERT(epoch >= 0);
    ASSERT(!heartbeat->stopped);
    heartbeat->epoch = epoch;
    if (!heartbeat->calling)
        beat_in(heartbeat, 0);
}

bool heartbeat_lease_held(const struct heartbeat *heartbeat)
{
    return now_ms(heartbeat) < lease_until_ms(heartbeat);
}

bool heartbeat_fenced(const struct heartbeat *heartbeat)
{
    return heartbeat->fenced;
}

void heartbeat_stop(struct heartbeat *heartbeat)
{
    heartbeat->stopped = true;
    executor_timer_stop(heartbeat->options.executor, &heartbeat->beat_timer);
    executor_timer_stop(heartbeat->options.executor, &heartbeat->lease_timer);
    shutdown_end(heartbeat, ERROR_CLOSING);
    if (heartbeat->calling)
        call_cancel(&heartbeat->call);
}

bool heartbeat_idle(const struct heartbeat *heartbeat)
{
    return !heartbeat->calling && !heartbeat->transferring && !heartbeat->shutdown_answering;
}

void heartbeat_free(struct heartbeat *heartbeat)
{
    if (heartbeat == NULL)
        return;
    quorum_unwatch(&heartbeat->quorum_watcher);
    executor_timer_stop(heartbeat->options.executor, &heartbeat->beat_timer);
    executor_timer_stop(heartbeat->options.executor, &heartbeat->lease_timer);
    executor_timer_stop(heartbeat->options.executor, &heartbeat->shutdown_timer);
    if (heartbeat->calling)
        call_done(&heartbeat->call);
    memory_free(heartbeat);
}
