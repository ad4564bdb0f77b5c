/* SPDX-License-Identifier: Apache-2.0 */
/* The rules in the order they are looked at; the first that finds something makes the change. */
#include "replicate/core/voters.h"

#include <stdio.h>
#include <string.h>

struct voters {
    const struct voters_options *options;
    const struct quorum_member *members;
    uint32_t count;
    struct quorum_change *change;
};

/* ---- what is known ---- */

struct succession {
    const struct catalog_node *old;
    int32_t node_id;
};

static void compare_address(void *context, const struct catalog_node *node)
{
    struct succession *succession = context;
    if (node->epoch > succession->old->epoch && node->port == succession->old->port &&
        strcmp(node->host, succession->old->host) == 0)
        succession->node_id = node->id;
}

int32_t voters_superseded_by(const struct catalog *catalog, int32_t node_id)
{
    struct succession succession = {.old = catalog_node_find(catalog, node_id), .node_id = -1};
    if (succession.old != NULL && succession.old->fenced && succession.old->draining)
        catalog_node_each(catalog, compare_address, &succession);
    return succession.node_id;
}

static const struct catalog_node *known(const struct voters *voters, int32_t node_id)
{
    return catalog_node_find(voters->options->catalog, node_id);
}

static bool superseded(const struct voters *voters, int32_t node_id)
{
    return voters_superseded_by(voters->options->catalog, node_id) >= 0;
}

static bool serves(const struct voters *voters, int32_t node_id)
{
    const struct catalog_node *node = known(voters, node_id);
    return node != NULL && !node->fenced && !node->shutting_down && !node->draining;
}

static const struct quorum_member *member(const struct voters *voters, int32_t node_id)
{
    for (uint32_t i = 0; i < voters->count; i++) {
        if (voters->members[i].node_id == node_id)
            return &voters->members[i];
    }
    return NULL;
}

static int64_t away_ms(const struct voters *voters, int32_t node_id)
{
    return voters->options->away_ms(voters->options->context, node_id);
}

static uint32_t voter_count(const struct voters *voters)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < voters->count; i++)
        count += voters->members[i].role == QUORUM_VOTER;
    return count;
}

struct node_count {
    const struct voters *voters;
    uint32_t count;
};

static void count_node(void *context, const struct catalog_node *node)
{
    struct node_count *nodes = context;
    nodes->count += !superseded(nodes->voters, node->id);
}

static uint32_t wanted_voters(const struct voters *voters)
{
    struct node_count nodes = {.voters = voters};
    catalog_node_each(voters->options->catalog, count_node, &nodes);
    for (uint32_t i = 0; i < voters->count; i++) {
        int32_t id = voters->members[i].node_id;
        nodes.count += known(voters, id) == NULL &&
                       away_ms(voters, id) < voters->options->replace_ms; /* A founder. */
    }
    return nodes.count >= 5 ? 5 : nodes.count >= 3 ? 3 : 1;
}

static bool make(struct voters *voters, enum quorum_change_kind kind, int32_t node_id)
{
    voters->change->kind = kind;
    voters->change->node_id = node_id;
    return true;
}

static bool lives(const struct voters *voters, int32_t node_id)
{
    const struct catalog_node *node = known(voters, node_id);
    return node_id == voters->options->self || (node != NULL && !node->fenced);
}

/* Whether a majority of the voters is there when this one votes no more: a change that takes a
 * living voter away while another is gone might never be committed, and nothing after it. Of two
 * living voters both stay: if only the one that goes has stored that it does, it neither stands for
 * election nor votes for the other, whose log is shorter. */
static bool majority_left(const struct voters *voters, int32_t node_id)
{
    uint32_t left = 0;
    uint32_t alive = 0;
    for (uint32_t i = 0; i < voters->count; i++) {
        int32_t id = voters->members[i].node_id;
        if (voters->members[i].role != QUORUM_VOTER || id == node_id)
            continue;
        left++;
        alive += lives(voters, id);
    }
    return 2 * alive > left && (left > 1 || !lives(voters, node_id));
}

/* ---- the rules ---- */

/* Another voter that could lead; -1: none. */
static int32_t heir(const struct voters *voters)
{
    for (uint32_t i = 0; i < voters->count; i++) {
        const struct quorum_member *other = &voters->members[i];
        if (other->role == QUORUM_VOTER && other->node_id != voters->options->self &&
            serves(voters, other->node_id))
            return other->node_id;
    }
    return -1;
}

/* The leader itself is removed by the next one. */
static bool remove_gone(struct voters *voters)
{
    for (uint32_t i = 0; i < voters->count; i++) {
        int32_t id = voters->members[i].node_id;
        bool gone = known(voters, id) == NULL ? away_ms(voters, id) >= voters->options->replace_ms
                                              : superseded(voters, id);
        if (!gone)
            continue;
        if (id != voters->options->self)
            return make(voters, QUORUM_REMOVE, id);
        if (heir(voters) >= 0)
            return make(voters, QUORUM_TRANSFER, heir(voters));
    }
    return false;
}

struct newcomer {
    struct voters *voters;
    bool found;
};

static void find_newcomer(void *context, const struct catalog_node *node)
{
    struct newcomer *newcomer = context;
    struct quorum_change *change = newcomer->voters->change;
    if (newcomer->found || member(newcomer->voters, node->id) != NULL ||
        superseded(newcomer->voters, node->id))
        return;
    newcomer->found = make(newcomer->voters, QUORUM_ADD_SPARE, node->id);
    snprintf(change->host, sizeof change->host, "%s", node->host);
    change->port = node->port;
}

static bool add_newcomer(struct voters *voters)
{
    struct newcomer newcomer = {.voters = voters};
    catalog_node_each(voters->options->catalog, find_newcomer, &newcomer);
    return newcomer.found;
}

/* Also one that is fenced: it must follow the log to be taken in. */
static bool engage_spare(struct voters *voters)
{
    for (uint32_t i = 0; i < voters->count; i++) {
        if (voters->members[i].role == QUORUM_SPARE &&
            known(voters, voters->members[i].node_id) != NULL)
            return make(voters, QUORUM_ASSIGN_STANDBY, voters->members[i].node_id);
    }
    return false;
}

/* Voters in the node's rack. */
static uint32_t rack_mates(const struct voters *voters, int32_t node_id)
{
    const char *rack = known(voters, node_id)->rack;
    uint32_t mates = 0;
    for (uint32_t i = 0; rack[0] != '\0' && i < voters->count; i++) {
        const struct catalog_node *other = known(voters, voters->members[i].node_id);
        mates += voters->members[i].role == QUORUM_VOTER && other != NULL &&
                 strcmp(other->rack, rack) == 0;
    }
    return mates;
}

/* The standby that serves and stands where the fewest voters do; -1: none. */
static int32_t best_standby(const struct voters *voters)
{
    int32_t best = -1;
    for (uint32_t i = 0; i < voters->count; i++) {
        int32_t id = voters->members[i].node_id;
        if (voters->members[i].role != QUORUM_STANDBY || !serves(voters, id))
            continue;
        if (best < 0 || rack_mates(voters, id) < rack_mates(voters, best))
            best = id;
    }
    return best;
}

static bool retires(const struct voters *voters, int32_t node_id)
{
    const struct catalog_node *node = known(voters, node_id);
    return node != NULL &&
           (node->draining || away_ms(voters, node_id) >= voters->options->replace_ms);
}

/* Only for another that takes the vote over: before it, when the voter is alive, so that at no time
 * fewer may fail; after it, when the voter is gone and counts for nothing but the majority. */
static bool replace_voter(struct voters *voters)
{
    int32_t substitute = best_standby(voters);
    for (uint32_t i = 0; i < voters->count; i++) {
        int32_t id = voters->members[i].node_id;
        if (voters->members[i].role != QUORUM_VOTER || !retires(voters, id))
            continue;
        bool surplus = voter_count(voters) > wanted_voters(voters);
        if (substitute < 0 && !surplus)
            continue;
        if (lives(voters, id) && !surplus)
            return make(voters, QUORUM_ASSIGN_VOTER, substitute);
        if (!majority_left(voters, id))
            continue;
        if (id != voters->options->self)
            return make(voters, QUORUM_ASSIGN_STANDBY, id);
        if (heir(voters) >= 0)
            return make(voters, QUORUM_TRANSFER, heir(voters));
    }
    return false;
}

static bool promote(struct voters *voters)
{
    if (voter_count(voters) >= wanted_voters(voters) || best_standby(voters) < 0)
        return false;
    return make(voters, QUORUM_ASSIGN_VOTER, best_standby(voters));
}

/* Of too many, one that is away, else the one with the highest id. Two founders both vote. */
static bool demote(struct voters *voters)
{
    uint32_t wanted = wanted_voters(voters);
    int32_t least = -1;
    if (wanted < 3 || voter_count(voters) <= wanted)
        return false;
    for (uint32_t i = 0; i < voters->count; i++) {
        int32_t id = voters->members[i].node_id;
        if (voters->members[i].role != QUORUM_VOTER || id == voters->options->self)
            continue;
        if (least < 0 || serves(voters, least) || !serves(voters, id))
            least = id;
    }
    return least >= 0 && majority_left(voters, least) && make(voters, QUORUM_ASSIGN_STANDBY, least);
}

bool voters_plan(const struct voters_options *options, const struct quorum_member *members,
                 uint32_t count, struct quorum_change *ret_change)
{
    struct voters voters = {
        .options = options, .members = members, .count = count, .change = ret_change};
    return remove_gone(&voters) || add_newcomer(&voters) || engage_spare(&voters) ||
           replace_voter(&voters) || demote(&voters) || promote(&voters);
}
