/* SPDX-License-Identifier: Apache-2.0 */
/* A command's way to the leader of the quorum, as often as it takes:
 *
 *            attempt                 applied there             applied here
 *   RETRY ------------> LOCAL|SENT -----------------> APPLYING ------------> done
 *     ^                     |
 *     '-- leader unknown, --'   At the deadline, from any state: REQUEST_TIMED_OUT.
 *         changed or lost
 */
#include "replicate/core/route.h"

#include "base/assertion.h"
#include "base/memory.h"
#include "wire/api_propose.h"

#include <string.h>

enum routed_state { ROUTED_RETRY, ROUTED_LOCAL, ROUTED_SENT, ROUTED_APPLYING };

struct routed {
    struct list link;
    struct route *route;
    struct catalog_proposal *proposal; /* NULL: answered, what is under way is let run out. */
    uint8_t *bytes;
    size_t size;
    enum routed_state state;
    struct timer timer;
    int64_t deadline_ms;
    int64_t retry_ms;
    struct catalog_proposal local;
    struct call call;
    struct propose_request request;
    struct catalog_outcome outcome; /* APPLYING. */
};

struct route {
    struct route_options options;
    struct catalog_proposer proposer;
    struct catalog_watcher catalog_watcher;
    struct quorum_watcher quorum_watcher;
    struct list routed;       /* struct routed, in the order submitted. */
    int32_t hinted_leader_id; /* What a node that does not lead said; -1: nothing. */
    bool stopped;
};

static void attempt(struct routed *routed);

static int64_t now_ms(const struct route *route)
{
    return executor_monotonic_ms(route->options.executor);
}

static void routed_free(struct routed *routed)
{
    executor_timer_stop(routed->route->options.executor, &routed->timer);
    list_remove(&routed->link);
    call_done(&routed->call);
    memory_free(routed->bytes);
    memory_free(routed);
}

/* Answers; what is under way keeps its struct until it ends. */
static void answer(struct routed *routed, const struct catalog_outcome *outcome)
{
    catalog_proposal_complete(routed->route->options.catalog, routed->proposal, outcome);
    routed->proposal = NULL;
    if (routed->state == ROUTED_SENT)
        call_cancel(&routed->call);
    else if (routed->state != ROUTED_LOCAL)
        routed_free(routed);
}

static void answer_error(struct routed *routed, enum error error)
{
    struct catalog_outcome outcome = {.error = error, .producer_id_first = -1, .node_id_taken = -1};
    answer(routed, &outcome);
}

static void timer_start(struct routed *routed, int64_t delay_ms)
{
    int64_t left_ms = routed->deadline_ms - now_ms(routed->route);
    executor_timer_start(routed->route->options.executor, &routed->timer,
                         delay_ms < left_ms ? delay_ms : left_ms);
}

static void timer_fired(struct timer *timer)
{
    struct routed *routed = container_of(timer, struct routed, timer);
    if (now_ms(routed->route) >= routed->deadline_ms)
        answer_error(routed, ERROR_REQUEST_TIMED_OUT);
    else if (routed->state == ROUTED_RETRY)
        attempt(routed);
}

/* Later by itself, or as soon as the quorum has another leader. */
static void retry_later(struct routed *routed)
{
    struct route *route = routed->route;
    uint64_t jitter = executor_random(route->options.executor) % (uint64_t)routed->retry_ms;
    routed->state = ROUTED_RETRY;
    timer_start(routed, routed->retry_ms / 2 + (int64_t)jitter);
    routed->retry_ms *= 2;
    if (routed->retry_ms > ROUTE_RETRY_MS_MAX)
        routed->retry_ms = ROUTE_RETRY_MS_MAX;
}

/* What reads its own write finds it in the own catalog. */
static void applied_there(struct routed *routed, const struct catalog_outcome *outcome)
{
    routed->outcome = *outcome;
    routed->state = ROUTED_APPLYING;
    if (catalog_applied_index(routed->route->options.catalog) >= outcome->index)
        answer(routed, outcome);
    else
        timer_start(routed, INT64_MAX);
}

/* An outcome with no index was not applied: it says why not, or that nobody knows. */
static void take_outcome(struct routed *routed, const struct catalog_outcome *outcome)
{
    if (outcome->index > 0) {
        applied_there(routed, outcome);
        return;
    }
    switch (outcome->error) {
    case ERROR_NOT_CONTROLLER:
    case ERROR_LEADER_NOT_AVAILABLE:
    case ERROR_REQUEST_TIMED_OUT:
    case ERROR_NETWORK:
        retry_later(routed);
        return;
    default:
        routed->state = ROUTED_RETRY;
        answer(routed, outcome);
    }
}

/* ---- here ---- */

static void local_done(struct catalog_proposal *proposal)
{
    struct routed *routed = container_of(proposal, struct routed, local);
    if (routed->proposal == NULL)
        routed_free(routed);
    else
        take_outcome(routed, &proposal->outcome);
}

static void attempt_local(struct routed *routed)
{
    struct route *route = routed->route;
    uint8_t *bytes = memory_allocate_raw(routed->size);
    if (bytes == NULL) {
        retry_later(routed);
        return;
    }
    memcpy(bytes, routed->bytes, routed->size);
    routed->local =
        (struct catalog_proposal){.bytes = bytes, .size = routed->size, .done = local_done};
    list_init(&routed->local.link);
    list_init(&routed->local.task.link);
    routed->state = ROUTED_LOCAL;
    timer_start(routed, INT64_MAX);
    route->options.local->submit(route->options.local, &routed->local);
}

/* ---- at another node ---- */

static void take_response(struct routed *routed, const struct propose_response *response)
{
    struct route *route = routed->route;
    struct catalog_outcome outcome = {
        .error = error_from_kafka(response->error_code),
        .index = response->index,
        .producer_id_first = response->producer_id_first,
        .node_id_taken = response->node_id_taken,
    };
    bool elsewhere = outcome.index <= 0 && outcome.error == ERROR_NOT_CONTROLLER &&
                     response->leader_id >= 0 && response->leader_id != routed->call.node_id;
    if (elsewhere)
        route->hinted_leader_id = response->leader_id;
    call_done(&routed->call);
    take_outcome(routed, &outcome);
}

static void call_ended(struct call *call)
{
    struct routed *routed = container_of(call, struct routed, call);
    struct route *route = routed->route;
    if (routed->proposal == NULL) {
        routed_free(routed);
        return;
    }
    if (call->error == ERROR_NONE) {
        take_response(routed, call->response);
        return;
    }
    enum error error = call->error;
    call_done(call);
    if (route->hinted_leader_id == call->node_id)
        route->hinted_leader_id = -1;
    if (error == ERROR_CLOSING) {
        routed->state = ROUTED_RETRY;
        answer_error(routed, ERROR_CLOSING);
    } else if (error == ERROR_INTERRUPTED) {
        routed->state = ROUTED_RETRY; /* There is another leader: see quorum_changed. */
        timer_start(routed, 0);
    } else {
        retry_later(routed);
    }
}

static void attempt_at(struct routed *routed, int32_t leader_id)
{
    struct route *route = routed->route;
    int64_t left_ms = routed->deadline_ms - now_ms(route);
    call_init(&routed->call, route->options.caller, api_find(API_PROPOSE), leader_id, CALL_CONTROL,
              left_ms < ROUTE_ATTEMPT_MS ? left_ms : ROUTE_ATTEMPT_MS);
    propose_request_init(&routed->request);
    routed->request.node_id = route->options.node_id;
    routed->request.command = slice_from(routed->bytes, routed->size);
    routed->call.body = &routed->request;
    routed->call.done = call_ended;
    routed->state = ROUTED_SENT;
    timer_start(routed, INT64_MAX);
    call_start(route->options.executor, &routed->call);
}

static int32_t leader_elsewhere(const struct route *route)
{
    int32_t leader_id = quorum_leader_id(route->options.quorum);
    if (leader_id < 0)
        leader_id = route->hinted_leader_id;
    return leader_id == route->options.node_id ? -1 : leader_id;
}

static void attempt(struct routed *routed)
{
    struct route *route = routed->route;
    ASSERT(!route->stopped);
    if (quorum_leads(route->options.quorum))
        attempt_local(routed);
    else if (leader_elsewhere(route) >= 0)
        attempt_at(routed, leader_elsewhere(route));
    else
        retry_later(routed);
}

/* ---- what happens meanwhile ---- */

static void quorum_changed(struct quorum_watcher *watcher)
{
    struct route *route = container_of(watcher, struct route, quorum_watcher);
    bool leads = quorum_leads(route->options.quorum);
    int32_t leader_id = quorum_leader_id(route->options.quorum);
    if (leader_id >= 0)
        route->hinted_leader_id = -1;
    if (leader_id < 0 || (leader_id == route->options.node_id && !leads))
        return; /* Nobody to go to yet. */
    list_for_each_safe(link, &route->routed)
    {
        struct routed *routed = container_of(link, struct routed, link);
        if (routed->proposal == NULL)
            continue;
        if (routed->state == ROUTED_SENT && routed->call.node_id != leader_id)
            call_cancel(&routed->call);
        if (routed->state == ROUTED_RETRY) {
            routed->retry_ms = ROUTE_RETRY_MS_MIN;
            timer_start(routed, 0);
        }
    }
}

static void applied(struct catalog_watcher *watcher, int64_t index)
{
    struct route *route = container_of(watcher, struct route, catalog_watcher);
    list_for_each_safe(link, &route->routed)
    {
        struct routed *routed = container_of(link, struct routed, link);
        if (routed->state == ROUTED_APPLYING && routed->outcome.index <= index)
            answer(routed, &routed->outcome);
    }
}

static void refuse(struct route *route, struct catalog_proposal *proposal, enum error error)
{
    struct catalog_outcome outcome = {.error = error, .producer_id_first = -1, .node_id_taken = -1};
    catalog_proposal_complete(route->options.catalog, proposal, &outcome);
}

static void submit(struct catalog_proposer *proposer, struct catalog_proposal *proposal)
{
    struct route *route = container_of(proposer, struct route, proposer);
    if (route->stopped) {
        refuse(route, proposal, ERROR_CLOSING);
        return;
    }
    struct routed *routed = memory_allocate(sizeof *routed);
    if (routed == NULL) {
        refuse(route, proposal, ERROR_OUT_OF_MEMORY);
        return;
    }
    routed->route = route;
    routed->proposal = proposal;
    routed->bytes = proposal->bytes;
    routed->size = proposal->size;
    proposal->bytes = NULL;
    routed->timer.fire = timer_fired;
    routed->deadline_ms = now_ms(route) + route->options.deadline_ms;
    routed->retry_ms = ROUTE_RETRY_MS_MIN;
    list_push(&route->routed, &routed->link);
    attempt(routed);
}

/* ---- life ---- */

enum error route_new(const struct route_options *options, struct route **ret_route)
{
    struct route *route = memory_allocate(sizeof *route);
    if (route == NULL)
        return ERROR_OUT_OF_MEMORY;
    route->options = *options;
    if (route->options.deadline_ms == 0)
        route->options.deadline_ms = ROUTE_DEADLINE_MS;
    route->proposer.submit = submit;
    route->hinted_leader_id = -1;
    list_init(&route->routed);
    route->catalog_watcher.applied = applied;
    catalog_watch(options->catalog, &route->catalog_watcher);
    route->quorum_watcher.changed = quorum_changed;
    quorum_watch(options->quorum, &route->quorum_watcher);
    *ret_route = route;
    return ERROR_NONE;
}

struct catalog_proposer *route_proposer(struct route *route)
{
    return &route->proposer;
}

void route_stop(struct route *route)
{
    route->stopped = true;
    list_for_each_safe(link, &route->routed)
    {
        struct routed *routed = container_of(link, struct routed, link);
        executor_timer_stop(route->options.executor, &routed->timer);
        if (routed->proposal != NULL)
            answer_error(routed, ERROR_CLOSING);
    }
}

bool route_idle(const struct route *route)
{
    return list_empty(&route->routed);
}

void route_free(struct route *route)
{
    if (route == NULL)
        return;
    catalog_unwatch(route->options.catalog, &route->catalog_watcher);
    quorum_unwatch(&route->quorum_watcher);
    list_for_each_safe(link, &route->routed)
    {
        struct routed *routed = container_of(link, struct routed, link);
        if (routed->state == ROUTED_LOCAL)
            memory_free(routed->local.bytes);
        routed_free(routed);
    }
    memory_free(route);
}
