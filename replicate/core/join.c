/* SPDX-License-Identifier: Apache-2.0 */
/* Taking nodes in: each gets an id and is registered, fenced, so that the quorum's upkeep adds it
 * and everybody knows where it listens. It registers again itself once it follows the log.
 *
 *   known uuid ------------------------------------------> the id it has
 *   wanted id -- free ------------------.
 *   any ------- NODE_ID_TAKE --> id ----+--> NODE_REGISTER --> answered
 *   the address of a node that seems alive: waits until that one is fenced, or is refused
 *   the address of a fenced node ----- NODE_DRAIN --> looked at again */
#include "base/assertion.h"
#include "base/report.h"
#include "replicate/core/controller_state.h"

#include <stdio.h>
#include <string.h>

static void next_join(struct controller *controller);

static struct membership_join *first_join(struct controller *controller)
{
    return list_empty(&controller->joins)
               ? NULL
               : container_of(controller->joins.next, struct membership_join, link);
}

static void join_ended(struct task *task)
{
    struct membership_join *join = container_of(task, struct membership_join, task);
    join->done(join);
}

static void answer(struct controller *controller, struct membership_join *join, enum error error)
{
    list_remove(&join->link);
    join->error = error;
    join->task.run = join_ended;
    executor_post(controller->options.executor, &join->task);
}

static void refuse_taken(struct controller *controller, struct membership_join *join,
                         const char *what)
{
    char host[MEMBERSHIP_HOST_BYTES * 4];
    report_escape(join->host, strlen(join->host), host, sizeof host);
    report(REPORT_WARNING, "join_refused", "", "host=%s port=%d reason=\"%s\"", host, join->port,
           join->reason[0] != '\0' ? join->reason : what);
    answer(controller, join, ERROR_DUPLICATE_BROKER_REGISTRATION);
}

/* ---- what is in the way ---- */

struct look {
    const struct membership_join *join;
    const struct catalog_node *same_uuid;
    const struct catalog_node *same_address; /* Alive. */
    const struct catalog_node *dead_there;   /* Fenced, at the address, not given up yet. */
    uint32_t count;
};

static void look_at(void *context, const struct catalog_node *node)
{
    struct look *look = context;
    look->count++;
    if (uuid_equals(&node->directory_id, &look->join->node_uuid))
        look->same_uuid = node;
    else if (node->port != look->join->port || strcmp(node->host, look->join->host) != 0)
        return;
    else if (!node->fenced)
        look->same_address = node;
    else if (!node->draining)
        look->dead_there = node;
}

/* ---- registering ---- */

static void registered(struct controller *controller, int32_t node_id,
                       const struct catalog_outcome *outcome)
{
    struct membership_join *join = first_join(controller);
    controller->joining = false;
    ASSERT(join != NULL);
    if (outcome->error == ERROR_NONE)
        join->node_id = node_id;
    else
        snprintf(join->reason, sizeof join->reason, "registering node %d: %s", node_id,
                 error_text(outcome->error));
    answer(controller, join, outcome->error);
    next_join(controller);
}

static void register_as(struct controller *controller, struct membership_join *join,
                        int32_t node_id)
{
    struct catalog_command command = {
        .kind = CATALOG_NODE_REGISTER,
        .node = {.id = node_id,
                 .port = join->port,
                 .fenced = true,
                 .incarnation_id = uuid_random(controller->options.executor),
                 .directory_id = join->node_uuid,
                 .registered_ms = executor_wall_clock_ms(controller->options.executor)},
    };
    snprintf(command.node.host, sizeof command.node.host, "%s", join->host);
    snprintf(command.node.rack, sizeof command.node.rack, "%s", join->rack);
    controller->joining = true;
    if (controller_decide(controller, &command, node_id, registered) != ERROR_NONE) {
        controller->joining = false;
        answer(controller, join, ERROR_OUT_OF_MEMORY);
    }
}

static void take_id(struct controller *controller, struct membership_join *join);

static void id_taken(struct controller *controller, int32_t node_id,
                     const struct catalog_outcome *outcome)
{
    struct membership_join *join = first_join(controller);
    (void)node_id;
    controller->joining = false;
    ASSERT(join != NULL);
    if (outcome->error != ERROR_NONE || !controller->active)
        answer(controller, join,
               outcome->error != ERROR_NONE ? outcome->error : ERROR_NOT_CONTROLLER);
    else if (controller_has_member(controller, outcome->node_id_taken))
        take_id(controller, join); /* A founder's, who has not registered yet. */
    else
        register_as(controller, join, outcome->node_id_taken);
    next_join(controller);
}

static void take_id(struct controller *controller, struct membership_join *join)
{
    struct catalog_command command = {.kind = CATALOG_NODE_ID_TAKE};
    controller->joining = true;
    if (controller_decide(controller, &command, -1, id_taken) != ERROR_NONE) {
        controller->joining = false;
        answer(controller, join, ERROR_OUT_OF_MEMORY);
    }
}

/* ---- one after the other ---- */

static void drained(struct controller *controller, int32_t node_id,
                    const struct catalog_outcome *outcome)
{
    struct membership_join *join = first_join(controller);
    (void)node_id;
    controller->joining = false;
    ASSERT(join != NULL);
    if (outcome->error != ERROR_NONE)
        answer(controller, join, outcome->error);
    next_join(controller);
}

/* The joining node listens where this one did: it will not come back, and what it held goes to
 * others. upkeep.c unregisters it once it is empty. */
static void give_up(struct controller *controller, struct membership_join *join, int32_t node_id)
{
    struct catalog_command command = {
        .kind = CATALOG_NODE_DRAIN, .node_id = node_id, .draining = true};
    controller->joining = true;
    if (controller_decide(controller, &command, node_id, drained) != ERROR_NONE) {
        controller->joining = false;
        answer(controller, join, ERROR_OUT_OF_MEMORY);
    }
}

/* A node whose disk was lost comes back at its old address sooner than its old self is fenced. */
static void wait_for_address(struct controller *controller, struct membership_join *join,
                             const struct catalog_node *holder)
{
    int64_t now_ms = controller_now_ms(controller);
    if (controller->join_until_ms == 0)
        controller->join_until_ms =
            now_ms + controller->options.session_timeout_ms + 5 * JOIN_RETRY_MS;
    if (now_ms >= controller->join_until_ms) {
        snprintf(join->reason, sizeof join->reason,
                 "%.150s:%d is the address of node %d, which is alive", join->host, join->port,
                 holder->id);
        refuse_taken(controller, join, "address taken");
        return;
    }
    session_unreachable(controller, holder->id);
    executor_timer_start(controller->options.executor, &controller->join_timer, JOIN_RETRY_MS);
}

/* The address a known node joins from may be another than before: those who look for it must find
 * it. Nobody else is using its registration while it is fenced. */
static bool moved(const struct membership_join *join, const struct catalog_node *node)
{
    return node->fenced && (node->port != join->port || strcmp(node->host, join->host) != 0 ||
                            strcmp(node->rack, join->rack) != 0);
}

static void take_in(struct controller *controller, struct membership_join *join)
{
    struct look look = {.join = join};
    catalog_node_each(controller->options.catalog, look_at, &look);
    const struct catalog_node *holder =
        catalog_node_find(controller->options.catalog, join->wanted_node_id);
    if (look.same_uuid != NULL && (join->wanted_node_id < 0 || holder == look.same_uuid)) {
        join->node_id = look.same_uuid->id;
        if (moved(join, look.same_uuid))
            register_as(controller, join, look.same_uuid->id);
        else
            answer(controller, join, ERROR_NONE);
    } else if (look.same_uuid != NULL) {
        snprintf(join->reason, sizeof join->reason, "this node is registered as node %d, not %d",
                 look.same_uuid->id, join->wanted_node_id);
        refuse_taken(controller, join, "another id");
    } else if (holder != NULL) {
        snprintf(join->reason, sizeof join->reason,
                 "node id %d is taken by another node, at %.150s:%d", holder->id, holder->host,
                 holder->port);
        refuse_taken(controller, join, "id taken");
    } else if (join->wanted_node_id >= 0 &&
               controller_has_member(controller, join->wanted_node_id)) {
        snprintf(join->reason, sizeof join->reason,
                 "node id %d is that of another node, which is in the quorum already",
                 join->wanted_node_id);
        refuse_taken(controller, join, "id taken");
    } else if (look.same_address != NULL) {
        wait_for_address(controller, join, look.same_address);
    } else if (look.count >= QUORUM_MEMBERS_MAX) {
        snprintf(join->reason, sizeof join->reason, "the cluster has %d nodes: no more",
                 QUORUM_MEMBERS_MAX);
        answer(controller, join, ERROR_INVALID_REQUEST);
    } else if (look.dead_there != NULL) {
        give_up(controller, join, look.dead_there->id);
    } else if (join->wanted_node_id >= 0) {
        register_as(controller, join, join->wanted_node_id);
    } else {
        take_id(controller, join);
    }
}

static void next_join(struct controller *controller)
{
    struct membership_join *join;
    while (!controller->joining && (join = first_join(controller)) != NULL) {
        if (!controller->active) {
            answer(controller, join, controller->stopped ? ERROR_CLOSING : ERROR_NOT_CONTROLLER);
            continue;
        }
        take_in(controller, join);
        if (join == first_join(controller) && timer_running(&controller->join_timer))
            return; /* It waits. */
        controller->join_until_ms = 0;
    }
}

void join_timer_fired(struct timer *timer)
{
    next_join(container_of(timer, struct controller, join_timer));
}

void join_start(struct controller *controller, struct membership_join *join)
{
    list_init(&join->task.link);
    bool idle = list_empty(&controller->joins);
    list_push(&controller->joins, &join->link);
    if (idle)
        next_join(controller);
}

void joins_end(struct controller *controller, enum error error)
{
    executor_timer_stop(controller->options.executor, &controller->join_timer);
    controller->join_until_ms = 0;
    list_for_each_safe(link, &controller->joins)
    {
        struct membership_join *join = container_of(link, struct membership_join, link);
        if (!controller->joining || join != first_join(controller))
            answer(controller, join, error);
    }
}
