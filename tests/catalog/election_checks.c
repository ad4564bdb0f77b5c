/* SPDX-License-Identifier: Apache-2.0 */
/* The invariants of elections, checked. */
#include "election_checks.h"

#include <cmocka.h>
#include <stdlib.h>

/* What is being checked, for the message. */
struct check {
    struct model *model;
    struct model_history *history;
    const struct catalog_command *command;
    const struct catalog_outcome *outcome;
    const struct model_state *before;
    const struct model_state *after;
    uint32_t partition;
    const struct catalog_partition *was;
    const struct catalog_partition *is;
};

static uint64_t seed_in_hand;

void model_seed_in_hand(uint64_t seed)
{
    seed_in_hand = seed;
}

static void require(const struct check *check, bool holds, const char *what)
{
    char was[400], is[400];
    if (holds)
        return;
    print_error("seed %lu: command %d, node %d, t%u: %s\n  was %s\n  is  %s\n",
                (unsigned long)seed_in_hand, (int)check->command->kind, check->command->node_id,
                check->partition, what, partition_line(check->was, was),
                partition_line(check->is, is));
    fail();
}

static bool in(const int32_t *ids, uint32_t count, int32_t id)
{
    for (uint32_t i = 0; i < count; i++)
        if (ids[i] == id)
            return true;
    return false;
}

static bool in_isr(const struct catalog_partition *p, int32_t id)
{
    return in(p->isr, p->isr_count, id);
}

static bool in_elr(const struct catalog_partition *p, int32_t id)
{
    return in(p->elr, p->elr_count, id);
}

static bool in_replicas(const struct catalog_partition *p, int32_t id)
{
    return in(p->replicas, p->replica_count, id);
}

static bool in_sync_or_eligible(const struct catalog_partition *p, int32_t id)
{
    return in_isr(p, id) || in_elr(p, id);
}

static bool active(const struct model_state *state, int32_t id)
{
    return state->registered[id] && !state->nodes[id].fenced && !state->nodes[id].shutting_down;
}

/* ---- states ---- */

void model_state_take(const struct model *model, struct model_state *ret_state)
{
    memset(ret_state, 0, sizeof *ret_state);
    const struct config_set *cluster = catalog_node_config(model->catalog, -1);
    for (uint32_t i = 0; i < MODEL_PARTITIONS; i++) {
        const struct catalog_topic *topic = model_topic(model, i);
        ret_state->partitions[i] = model_partition_now(model, i);
        const char *least = config_set_get(topic->config, "min.insync.replicas");
        if (least == NULL)
            least = config_set_get(cluster, "min.insync.replicas");
        ret_state->min_insync[i] = least == NULL ? 1 : (uint32_t)strtoul(least, NULL, 10);
        const char *unclean = config_set_get(topic->config, "unclean.leader.election.enable");
        if (unclean == NULL)
            unclean = config_set_get(cluster, "unclean.leader.election.enable");
        ret_state->unclean[i] = unclean != NULL && strcmp(unclean, "true") == 0;
    }
    for (int32_t id = 1; id <= MODEL_NODES; id++) {
        const struct catalog_node *node = catalog_node_find(model->catalog, id);
        ret_state->registered[id] = node != NULL;
        if (node != NULL)
            ret_state->nodes[id] = *node;
    }
}

/* ---- one partition ---- */

/* Invariant 1. */
static void check_epochs(const struct check *c)
{
    bool changed = memcmp(c->was, c->is, sizeof *c->is) != 0;
    require(c, c->is->partition_epoch == c->was->partition_epoch + changed, "partition epoch");
    require(c,
            c->is->leader_epoch == c->was->leader_epoch ||
                c->is->leader_epoch == c->was->leader_epoch + 1,
            "leader epoch");
    if (c->is->leader != c->was->leader)
        require(c, c->is->leader_epoch > c->was->leader_epoch, "a new leader needs a new epoch");
    require(c, c->is->leader_epoch < MODEL_EPOCHS_MAX, "epochs");
    int32_t *leader = &c->history->leaders[c->partition][c->is->leader_epoch];
    require(c, *leader == 0 || *leader == c->is->leader + 2, "two leaders of one epoch");
    *leader = c->is->leader + 2;
}

/* The lists themselves; invariants 12 and 15. */
static void check_members(const struct check *c)
{
    for (uint32_t i = 0; i < c->is->isr_count; i++) {
        int32_t id = c->is->isr[i];
        bool alone = c->is->isr_count == 1;
        require(c, in_replicas(c->is, id) && !in_elr(c->is, id), "in sync beside the replicas");
        require(c, c->after->registered[id] && !c->after->nodes[id].fenced, "fenced in sync");
        require(c, !c->after->nodes[id].shutting_down || alone, "stopping in sync");
    }
    for (uint32_t i = 0; i < c->is->elr_count; i++)
        require(c, in_replicas(c->is, c->is->elr[i]), "eligible beside the replicas");
    require(c, (c->is->leader < 0) == (c->is->isr_count == 0), "a leader exactly when in sync");
    require(c, c->is->leader < 0 || in_isr(c->is, c->is->leader), "leads but is not in sync");
    for (uint32_t i = 0; i < c->is->replica_count; i++) {
        int32_t id = c->is->replicas[i];
        bool better = active(c->after, id) && !c->after->nodes[id].draining;
        if (c->is->leader < 0)
            require(c,
                    !active(c->after, id) ||
                        (!in_elr(c->is, id) && !c->after->unclean[c->partition]),
                    "somebody could lead");
        else if (c->after->nodes[c->is->leader].draining && in_isr(c->is, id))
            require(c, !better, "a draining node leads while another could");
    }
}

/* A registration took away what the node may have lost; the last one stays if its disk is there. */
static bool lost(const struct check *c, int32_t id)
{
    const struct catalog_command *command = c->command;
    if (command->kind != CATALOG_NODE_REGISTER || command->node.id != id)
        return false;
    if (!c->before->registered[id] ||
        !uuid_equals(&c->before->nodes[id].directory_id, &command->node.directory_id))
        return true;
    return !command->clean && !c->model->partitions[c->partition].synced_durability;
}

static bool stays_last(const struct check *c, int32_t id)
{
    bool anybody_else = false;
    for (uint32_t i = 0; i < c->was->replica_count; i++)
        anybody_else = anybody_else || (c->was->replicas[i] != id &&
                                        in_sync_or_eligible(c->was, c->was->replicas[i]));
    return lost(c, id) && !anybody_else && in_sync_or_eligible(c->was, id) &&
           c->before->registered[id] &&
           uuid_equals(&c->before->nodes[id].directory_id, &c->command->node.directory_id);
}

/* Nobody who was in sync or eligible leads, with the records that made it so, but somebody does. */
static bool unclean(const struct check *c)
{
    int32_t leader = c->is->leader;
    if (leader < 0 || c->command->kind == CATALOG_ISR_CHANGE)
        return false;
    return !in_sync_or_eligible(c->was, leader) || (lost(c, leader) && !stays_last(c, leader));
}

/* Invariants 13 and 14. */
static void check_eligible(const struct check *c)
{
    uint32_t least = c->after->min_insync[c->partition];
    least = least < c->is->replica_count ? least : c->is->replica_count;
    for (int32_t id = 1; id <= MODEL_NODES; id++) {
        bool expected = in_sync_or_eligible(c->was, id) && in_replicas(c->is, id) &&
                        !in_isr(c->is, id) && (!lost(c, id) || stays_last(c, id)) &&
                        c->is->isr_count < least && !unclean(c);
        require(c, in_elr(c->is, id) == expected, "eligible or not");
        if (lost(c, id) && !stays_last(c, id))
            require(c, !in_sync_or_eligible(c->is, id) || (unclean(c) && id == c->is->leader),
                    "it has lost its records");
    }
}

/* Invariants 6 and 15: who leads was in sync, or eligible when nobody was; or it was asked for. */
static void check_leader(const struct check *c)
{
    const struct catalog_command *command = c->command;
    if (unclean(c)) {
        bool asked = (command->kind == CATALOG_ELECT_LEADERS && command->unclean) ||
                     c->after->unclean[c->partition];
        require(c, asked, "nobody asked for an unclean election");
        require(c, c->is->recovering, "an unclean leader says so");
        require(c, c->is->isr_count == 1 && c->is->elr_count == 0, "an unclean leader is alone");
        c->history->unclean_elections++;
        model_give_up(c->model, c->is->leader, c->partition, c->is->leader_epoch);
        return;
    }
    for (uint32_t i = 0; i < c->is->replica_count; i++) {
        int32_t id = c->is->replicas[i];
        if (!stays_last(c, id))
            continue;
        require(c, c->is->recovering, "the last one says that it may miss something");
        c->history->last_kept++;
        model_give_up(c->model, id, c->partition, c->is->leader_epoch);
        return;
    }
    if (c->command->kind != CATALOG_ISR_CHANGE)
        require(c, c->is->recovering == c->was->recovering, "recovering for no reason");
    c->history->eligible_elections += c->is->leader >= 0 && c->was->isr_count == 0;
}

/* Invariant 17. */
static void check_replicas(const struct check *c)
{
    bool gone = false;
    bool covered = true;
    for (uint32_t i = 0; i < c->was->replica_count; i++)
        gone = gone || !in_replicas(c->is, c->was->replicas[i]);
    for (uint32_t i = 0; i < c->is->replica_count; i++)
        covered = covered && in_isr(c->is, c->is->replicas[i]);
    if (gone)
        require(c, c->is->leader_epoch > c->was->leader_epoch, "a replica went without an epoch");
    bool ends = c->is->removing_count == 0 && c->is->adding_count == 0;
    if (c->command->kind != CATALOG_REASSIGN) {
        require(c, !gone || (ends && covered), "a replica went too early");
        for (uint32_t i = 0; i < c->is->replica_count; i++)
            require(c, in_replicas(c->was, c->is->replicas[i]), "a replica came");
        c->history->reassignments_finished += gone;
        return;
    }
    if (c->command->assignment_count == 0)
        return;
    for (uint32_t i = 0; i < c->was->replica_count; i++) {
        int32_t id = c->was->replicas[i];
        bool needless =
            in(c->was->adding, c->was->adding_count, id) && !in_sync_or_eligible(c->was, id);
        require(c, in_replicas(c->is, id) || needless || (ends && covered),
                "a replica went too early");
    }
}

/* Invariant 11. */
static void check_accepted(const struct check *c)
{
    const struct catalog_command *command = c->command;
    const struct catalog_partition *asked = &command->partition;
    require(c, command->node_id == c->was->leader, "not the leader asked");
    require(c,
            asked->leader_epoch == c->was->leader_epoch &&
                asked->partition_epoch == c->was->partition_epoch,
            "of other epochs");
    require(c, in_isr(asked, c->was->leader), "without its leader");
    require(c, !asked->recovering || asked->isr_count == 1, "recovering with others");
    for (uint32_t i = 0; i < asked->isr_count; i++) {
        int32_t id = asked->isr[i];
        require(c, in_replicas(c->was, id), "not a replica");
        require(c, active(c->before, id) || in_isr(c->was, id), "may not be in sync");
        require(c,
                c->before->registered[id] && c->before->nodes[id].epoch == command->isr_epochs[i],
                "another registration");
    }
}

/* ---- the whole ---- */

static void check_nodes(const struct check *c)
{
    for (int32_t id = 1; id <= MODEL_NODES; id++) {
        if (!c->before->registered[id] || !c->after->registered[id])
            continue;
        int64_t was = c->before->nodes[id].epoch, is = c->after->nodes[id].epoch;
        bool registers = c->command->kind == CATALOG_NODE_REGISTER && c->command->node.id == id;
        require(c, registers ? is == c->outcome->index && is > was : is == was, "a node's epoch");
    }
}

void model_check(struct model *model, struct model_history *history,
                 const struct catalog_command *command, const struct catalog_outcome *outcome,
                 const struct model_state *before, const struct model_state *after)
{
    struct check check = {.model = model,
                          .history = history,
                          .command = command,
                          .outcome = outcome,
                          .before = before,
                          .after = after};
    for (uint32_t i = 0; i < MODEL_PARTITIONS; i++) {
        check.partition = i;
        check.was = &before->partitions[i];
        check.is = &after->partitions[i];
        if (outcome->error != ERROR_NONE) {
            require(&check, memcmp(check.was, check.is, sizeof *check.is) == 0,
                    "a refused command changed something");
            continue;
        }
        if (command->kind == CATALOG_ISR_CHANGE && command->topic_id.bytes[0] == i + 1)
            check_accepted(&check);
        check_nodes(&check);
        check_epochs(&check);
        check_members(&check);
        check_eligible(&check);
        check_leader(&check);
        check_replicas(&check);
        if (model->partitions[i].committed_count > history->committed)
            history->committed = model->partitions[i].committed_count;
    }
}

void model_check_holders(const struct model *model)
{
    for (uint32_t i = 0; i < MODEL_PARTITIONS; i++) {
        struct catalog_partition now = model_partition_now(model, i);
        for (uint32_t r = 0; r < now.replica_count; r++) {
            int32_t id = now.replicas[r];
            const struct model_node *node = &model->nodes[id];
            bool synced = model->partitions[i].synced_durability;
            if (!in_sync_or_eligible(&now, id) || node->wiped || (!node->up && !synced))
                continue;
            if (model_holds_committed(model, id, i, synced))
                continue;
            char line[400];
            print_error("seed %lu: t%u: node %d misses committed records\n  is %s\n",
                        (unsigned long)seed_in_hand, i, id, partition_line(&now, line));
            fail();
        }
    }
}
