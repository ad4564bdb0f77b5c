/* SPDX-License-Identifier: Apache-2.0 */
/* What the controller sees to by and by, in small steps: the quorum's members, defaults for the
 * cluster's size, nodes that are gone for good, where replicas and leaders are. */
#include "base/assertion.h"
#include "base/report.h"
#include "replicate/core/balance.h"
#include "replicate/core/controller_state.h"
#include "replicate/core/founding.h"
#include "replicate/core/voters.h"

#include <stdio.h>

enum {
    UPKEEP_SOON_MS = 5,
    RETURNED_SETTLES_MS = 5000, /* After a node came back, before leaders go back to it. */
    LEADERS_AT_ONCE = 1000,     /* In one command. */
    DEFAULT_NODES = 3           /* From so many on topics are replicated by default. */
};

static const struct config_set *config_of(const struct controller *controller)
{
    return *controller->options.config;
}

void upkeep_soon(struct controller *controller)
{
    if (controller->active)
        executor_timer_start(controller->options.executor, &controller->upkeep_timer,
                             UPKEEP_SOON_MS);
}

/* ---- members of the quorum ---- */

static void change_done(struct quorum_change *change)
{
    static const char *const words[] = {"spare", "standby", "voter", "removed", "leader"};
    struct controller *controller = container_of(change, struct controller, change);
    controller->changing = false;
    controller->under_way--;
    char subject[32];
    snprintf(subject, sizeof subject, "node=%d", change->node_id);
    if (change->error != ERROR_NONE) {
        report(REPORT_INFO, "membership_unchanged", subject, "wanted=%s error=%s",
               words[change->kind], error_name(change->error));
        return; /* Looked at again with the next upkeep. */
    }
    report(REPORT_NOTICE, "membership_changed", subject, "role=%s", words[change->kind]);
    if (controller->options.view != NULL)
        cluster_view_note(controller->options.view, "quorum: node %d is %s", change->node_id,
                          words[change->kind]);
    upkeep_soon(controller);
}

bool controller_has_member(const struct controller *controller, int32_t node_id)
{
    struct quorum_member members[QUORUM_MEMBERS_MAX];
    uint32_t count = quorum_members(controller->options.quorum, members, QUORUM_MEMBERS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        if (members[i].node_id == node_id)
            return true;
    }
    return false;
}

/* A founder that has not registered yet is not gone: keep_founders sees to it. */
static int64_t member_away_ms(void *context, int32_t node_id)
{
    const struct controller *controller = context;
    const struct founding *founding = controller->options.founding;
    int64_t away_ms = session_away_ms(context, node_id);
    bool awaited = founding != NULL && founding_member_find(founding, node_id) != NULL &&
                   catalog_node_find(controller->options.catalog, node_id) == NULL;
    return awaited && away_ms != INT64_MAX ? 0 : away_ms;
}

static void keep_members(struct controller *controller)
{
    struct quorum_member members[QUORUM_MEMBERS_MAX];
    struct voters_options options = {
        .catalog = controller->options.catalog,
        .self = controller->options.node_id,
        .away_ms = member_away_ms,
        .context = controller,
        .replace_ms = config_node_number(config_of(controller), "topicfs.voter.replace.ms"),
    };
    if (controller->changing)
        return;
    uint32_t count = quorum_members(controller->options.quorum, members, QUORUM_MEMBERS_MAX);
    ASSERT(count <= QUORUM_MEMBERS_MAX);
    for (uint32_t i = 0; i < count; i++)
        sessions_see_member(controller, members[i].node_id);
    controller->change = (struct quorum_change){.done = change_done};
    list_init(&controller->change.link);
    list_init(&controller->change.task.link);
    if (!voters_plan(&options, members, count, &controller->change))
        return;
    controller->changing = true;
    controller->under_way++;
    quorum_change_start(controller->options.quorum, &controller->change);
}

/* ---- founders ---- */

static void founder_decided(struct controller *controller, int32_t node_id,
                            const struct catalog_outcome *outcome)
{
    struct session *session = session_find(controller, node_id);
    (void)outcome; /* A refusal is looked at again with the next upkeep. */
    if (session != NULL)
        session->deciding = false;
}

/* A founder that does not come for now is registered as one that joins is: so it keeps its id and a
 * place in the quorum, and finds its way back when it comes. */
static void keep_founder(struct controller *controller, const struct founding_member *founder)
{
    struct session *session = session_find(controller, founder->node_id);
    int64_t away_ms = session_away_ms(controller, founder->node_id);
    if (catalog_node_find(controller->options.catalog, founder->node_id) != NULL ||
        !controller_has_member(controller, founder->node_id) || session == NULL ||
        session->deciding || away_ms < controller->options.session_timeout_ms ||
        away_ms == INT64_MAX)
        return;
    struct catalog_command command = {
        .kind = CATALOG_NODE_REGISTER,
        .node = {.id = founder->node_id,
                 .port = founder->port,
                 .fenced = true,
                 .incarnation_id = uuid_random(controller->options.executor),
                 .directory_id = founder->uuid,
                 .registered_ms = executor_wall_clock_ms(controller->options.executor)},
        .node_id = founder->node_id,
    };
    snprintf(command.node.host, sizeof command.node.host, "%s", founder->host);
    session->deciding =
        controller_decide(controller, &command, founder->node_id, founder_decided) == ERROR_NONE;
}

static void keep_founders(struct controller *controller)
{
    const struct founding *founding = controller->options.founding;
    for (uint32_t i = 0; founding != NULL && i < founding->member_count; i++)
        keep_founder(controller, &founding->members[i]);
}

/* ---- defaults ---- */

static void count_serving(void *context, const struct catalog_node *node)
{
    *(uint32_t *)context += !node->fenced;
}

static void defaulted(struct controller *controller, int32_t node_id,
                      const struct catalog_outcome *outcome)
{
    (void)node_id;
    (void)outcome; /* A refusal is proposed again with the next upkeep. */
    controller->defaulting = false;
}

static bool anyone_set(const struct controller *controller, const char *key)
{
    const struct config_set *dynamic = catalog_node_config(controller->options.catalog, -1);
    return config_set_get(controller->options.static_config, key) != NULL ||
           config_set_get(dynamic, key) != NULL;
}

/* The eligible leader replicas go by the cluster-wide min.insync.replicas (KIP-966), so it has to
 * be agreed rather than each node's own default. */
static void keep_defaults(struct controller *controller)
{
    static const char factor_key[] = "default.replication.factor";
    static const char insync_key[] = "min.insync.replicas";
    uint32_t serving = 0;
    catalog_node_each(controller->options.catalog, count_serving, &serving);
    if (controller->defaulting || serving < DEFAULT_NODES || anyone_set(controller, factor_key) ||
        anyone_set(controller, insync_key))
        return;
    struct catalog_pair pairs[] = {
        {.key = slice_of(factor_key), .value = slice_of("3")},
        {.key = slice_of(insync_key), .value = slice_of("2")},
    };
    struct catalog_command command = {.kind = CATALOG_CONFIG_SET,
                                      .resource = CATALOG_RESOURCE_NODE,
                                      .resource_name = SLICE_EMPTY,
                                      .pairs = pairs,
                                      .pair_count = 2};
    controller->defaulting = controller_decide(controller, &command, -1, defaulted) == ERROR_NONE;
}

/* ---- nodes that are gone for good, or are to go ---- */

static void gone_decided(struct controller *controller, int32_t node_id,
                         const struct catalog_outcome *outcome)
{
    struct session *session = session_find(controller, node_id);
    (void)outcome;
    if (session != NULL)
        session->deciding = false;
}

static void decide_about(struct controller *controller, struct session *session,
                         const struct catalog_command *command)
{
    if (!session->deciding)
        session->deciding =
            controller_decide(controller, command, session->node_id, gone_decided) == ERROR_NONE;
}

static void tell_drained(struct controller *controller, struct session *session)
{
    if (session->drained)
        return;
    session->drained = true;
    char subject[32];
    snprintf(subject, sizeof subject, "node=%d", session->node_id);
    report(REPORT_NOTICE, "node_drained", subject, "replicas=0");
    if (controller->options.view != NULL)
        cluster_view_note(controller->options.view, "node %d is drained: it has no replica left",
                          session->node_id);
}

static void keep_node(struct controller *controller, struct session *session,
                      const struct catalog_node *node)
{
    if (!node->draining)
        return;
    struct balance_share share;
    balance_share(controller->options.catalog, node->id, &share);
    if (share.replicas > 0)
        return;
    tell_drained(controller, session);
    if (voters_superseded_by(controller->options.catalog, node->id) >= 0) {
        struct catalog_command leave = {.kind = CATALOG_NODE_UNREGISTER, .node_id = node->id};
        decide_about(controller, session, &leave);
    }
}

static void keep_nodes(struct controller *controller)
{
    struct session *session;
    struct session *next;
    HASH_ITER(hh, controller->sessions, session, next)
    {
        const struct catalog_node *node =
            catalog_node_find(controller->options.catalog, session->node_id);
        if (node != NULL)
            keep_node(controller, session, node);
    }
}

/* ---- replicas ---- */

static void moved(struct controller *controller, int32_t node_id,
                  const struct catalog_outcome *outcome)
{
    (void)node_id;
    ASSERT(controller->moving > 0);
    controller->moving--;
    if (outcome->error != ERROR_NONE)
        controller->plan_again = true; /* The plan was made of an older image. */
}

static void tell_stuck(struct controller *controller, int32_t node_id)
{
    if (controller->stuck_node_id == node_id)
        return;
    controller->stuck_node_id = node_id;
    if (node_id < 0)
        return;
    char subject[32];
    snprintf(subject, sizeof subject, "node=%d", node_id);
    report(REPORT_WARNING, "drain_stuck", subject,
           "do=\"add a node, or lower the replication factor: no other node can take its "
           "replicas\"");
    if (controller->options.view != NULL)
        cluster_view_note(controller->options.view,
                          "node %d cannot be drained: no other node can take its replicas",
                          node_id);
}

static void propose_move(struct controller *controller, const struct balance_move *move)
{
    struct catalog_command command = {
        .kind = CATALOG_REASSIGN,
        .topic_id = move->partition.topic_id,
        .partition = {.index = move->partition.index},
        .assignments = &move->target,
        .assignment_count = 1,
    };
    if (controller_decide(controller, &command, -1, moved) == ERROR_NONE)
        controller->moving++;
    else
        controller->plan_again = true;
}

static void keep_replicas(struct controller *controller)
{
    const struct config_set *config = config_of(controller);
    struct balance_options options = {
        .in_flight_max = (uint32_t)config_node_number(config, "topicfs.balance.moves.max"),
        .spread = config_node_boolean(config, "topicfs.balance.enable"),
        .internal_replication_factor =
            (int16_t)config_node_number(config, "offsets.topic.replication.factor"),
    };
    bool due = controller->placements_changed || controller->plan_again;
    if (!due || controller->moving > 0)
        return;
    struct balance_move *moves = memory_allocate_array(options.in_flight_max, sizeof *moves);
    uint32_t count = 0;
    int32_t stuck_node_id = -1;
    if (moves == NULL || balance_plan_moves(controller->options.catalog, &options, moves, &count,
                                            &stuck_node_id) != ERROR_NONE) {
        memory_free(moves);
        return; /* Planned again with the next upkeep. */
    }
    controller->placements_changed = false;
    controller->plan_again = false;
    tell_stuck(controller, stuck_node_id);
    for (uint32_t i = 0; i < count; i++)
        propose_move(controller, &moves[i]);
    memory_free(moves);
}

/* ---- leaders ---- */

static void elected(struct controller *controller, int32_t node_id,
                    const struct catalog_outcome *outcome)
{
    (void)node_id;
    (void)outcome;
    controller->electing = false;
}

/* A node that came back gets its leaderships when it can take all of them. */
static bool somebody_returned(struct controller *controller)
{
    bool found = false;
    struct session *session;
    struct session *next;
    HASH_ITER(hh, controller->sessions, session, next)
    {
        if (!session->returned ||
            controller_now_ms(controller) - session->returned_ms < RETURNED_SETTLES_MS)
            continue;
        struct balance_share share;
        balance_share(controller->options.catalog, session->node_id, &share);
        if (share.in_sync < share.replicas)
            continue;
        session->returned = false;
        found = true;
    }
    return found;
}

static void keep_leaders(struct controller *controller)
{
    const struct config_set *config = config_of(controller);
    if (controller->electing || !config_node_boolean(config, "auto.leader.rebalance.enable"))
        return;
    bool due = controller_now_ms(controller) >= controller->leaders_due_ms;
    if (!somebody_returned(controller) && !due)
        return;
    struct catalog_partition_name *partitions =
        memory_allocate_array(LEADERS_AT_ONCE, sizeof *partitions);
    if (partitions == NULL)
        return;
    uint32_t count = balance_plan_leaders(controller->options.catalog, partitions, LEADERS_AT_ONCE);
    struct catalog_command command = {
        .kind = CATALOG_ELECT_LEADERS, .partitions = partitions, .partition_count = count};
    if (count > 0)
        controller->electing = controller_decide(controller, &command, -1, elected) == ERROR_NONE;
    memory_free(partitions);
    int64_t interval_s = config_node_number(config, "leader.imbalance.check.interval.seconds");
    if (interval_s > INT32_MAX)
        interval_s = INT32_MAX;
    controller->leaders_due_ms =
        controller_now_ms(controller) + (count == LEADERS_AT_ONCE ? UPKEEP_MS : 1000 * interval_s);
}

/* ---- */

void upkeep_timer_fired(struct timer *timer)
{
    struct controller *controller = container_of(timer, struct controller, upkeep_timer);
    executor_timer_start(controller->options.executor, timer, UPKEEP_MS);
    keep_members(controller);
    keep_founders(controller);
    keep_defaults(controller);
    keep_nodes(controller);
    keep_replicas(controller);
    keep_leaders(controller);
}

void upkeep_begin(struct controller *controller)
{
    controller->placements_changed = true;
    controller->leaders_due_ms = controller_now_ms(controller) + RETURNED_SETTLES_MS;
    upkeep_soon(controller);
}

void upkeep_end(struct controller *controller)
{
    executor_timer_stop(controller->options.executor, &controller->upkeep_timer);
}
