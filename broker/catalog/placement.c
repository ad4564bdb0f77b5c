/* SPDX-License-Identifier: Apache-2.0 */
/* Rack-aware placement.
 *
 *   racks a: 1 4   b: 2 5   c: 3        circle: 1 2 3 4 5, racks taking turns
 *   partition p: leader circle[start + p], followers chosen from the rest of the circle by
 *   (may serve, replicas in that rack so far, replicas given in this call, distance on the circle)
 */
#include "catalog/placement.h"

#include "base/assertion.h"
#include "base/memory.h"
#include "catalog/ids.h"
#include "catalog/state.h"

#include <stdlib.h>

/* Loads that differ by less count as even: the circle's turning alone keeps them there, and spreads
 * a leader's followers over the others. */
enum { EVEN_WITHIN = 1 };

struct place {
    int32_t id;
    const char *rack;
    uint32_t turn;  /* Its position among its rack's nodes of the same class. */
    uint32_t given; /* Replicas in this call. */
    bool serves;
};

struct placement {
    struct place *places; /* The circle: those that serve come first. */
    uint32_t count;
    uint32_t serving;
};

static int by_rack(const void *a, const void *b)
{
    const struct place *left = a;
    const struct place *right = b;
    if (left->serves != right->serves)
        return left->serves ? -1 : 1;
    int order = strcmp(left->rack, right->rack);
    if (order != 0)
        return order;
    return left->id < right->id ? -1 : left->id > right->id;
}

static int by_turn(const void *a, const void *b)
{
    const struct place *left = a;
    const struct place *right = b;
    if (left->serves != right->serves)
        return left->serves ? -1 : 1;
    if (left->turn != right->turn)
        return left->turn < right->turn ? -1 : 1;
    return by_rack(a, b);
}

static enum error placement_begin(const struct catalog *catalog, struct placement *placement)
{
    const struct image *image = catalog->image;
    *placement = (struct placement){.count = 0};
    placement->places = memory_allocate_array(image->nodes.count + 1, sizeof *placement->places);
    if (placement->places == NULL)
        return ERROR_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < image->nodes.count; i++) {
        const struct catalog_node *node = image_node_at(image, i);
        if (node->draining)
            continue;
        bool serves = !node->fenced && !node->shutting_down;
        placement->places[placement->count++] =
            (struct place){.id = node->id, .rack = node->rack, .serves = serves};
        placement->serving += serves;
    }
    qsort(placement->places, placement->count, sizeof *placement->places, by_rack);
    for (uint32_t i = 1; i < placement->count; i++) {
        struct place *place = &placement->places[i];
        if (place->serves == place[-1].serves && strcmp(place->rack, place[-1].rack) == 0)
            place->turn = place[-1].turn + 1;
    }
    qsort(placement->places, placement->count, sizeof *placement->places, by_turn);
    return ERROR_NONE;
}

static bool assigned(const struct catalog_assignment *assignment, int32_t id)
{
    for (uint32_t i = 0; i < assignment->replica_count; i++)
        if (assignment->replicas[i] == id)
            return true;
    return false;
}

static void give(struct placement *placement, struct catalog_assignment *assignment, uint32_t at)
{
    placement->places[at].given++;
    assignment->replicas[assignment->replica_count++] = placement->places[at].id;
}

/* A node without a rack is one of its own. */
static uint32_t used_in_rack(const struct placement *placement,
                             const struct catalog_assignment *assignment, const struct place *place)
{
    uint32_t used = 0;
    if (place->rack[0] == '\0')
        return 0;
    for (uint32_t i = 0; i < placement->count; i++)
        used += strcmp(placement->places[i].rack, place->rack) == 0 &&
                assigned(assignment, placement->places[i].id);
    return used;
}

/* Another replica, from `from` on round the circle. */
static void give_best(struct placement *placement, struct catalog_assignment *assignment,
                      uint32_t from)
{
    const struct place *best = NULL;
    uint32_t best_used = 0;
    for (uint32_t i = 0; i < placement->count; i++) {
        const struct place *place = &placement->places[(from + i) % placement->count];
        if (assigned(assignment, place->id))
            continue;
        uint32_t used = used_in_rack(placement, assignment, place);
        bool better = best == NULL;
        if (best != NULL && place->serves != best->serves)
            better = place->serves;
        else if (best != NULL)
            better =
                used < best_used || (used == best_used && place->given + EVEN_WITHIN < best->given);
        if (better) {
            best = place;
            best_used = used;
        }
    }
    ASSERT(best != NULL);
    give(placement, assignment, (uint32_t)(best - placement->places));
}

static bool factor_possible(const struct placement *placement, uint32_t factor)
{
    return factor >= 1 && factor <= CATALOG_REPLICAS_MAX && factor <= placement->count &&
           placement->serving > 0;
}

enum error catalog_place(const struct catalog *catalog, uint32_t partitions,
                         uint32_t replication_factor, uint32_t start,
                         struct catalog_assignment *ret_assignments)
{
    struct placement placement;
    enum error error = placement_begin(catalog, &placement);
    if (error != ERROR_NONE)
        return error;
    if (!factor_possible(&placement, replication_factor)) {
        memory_free(placement.places);
        return ERROR_INVALID_REPLICATION_FACTOR;
    }
    for (uint32_t i = 0; i < partitions; i++) {
        uint32_t turn = start % placement.serving + i;
        uint32_t leader = turn % placement.serving;
        /* Every round of leaders meets its followers at another distance. */
        uint32_t round = start / placement.serving + turn / placement.serving;
        uint32_t distance = placement.count == 1 ? 0 : 1 + round % (placement.count - 1);
        struct catalog_assignment assignment = {.replica_count = 0};
        give(&placement, &assignment, leader);
        while (assignment.replica_count < replication_factor)
            give_best(&placement, &assignment, (leader + distance) % placement.count);
        ret_assignments[i] = assignment;
    }
    memory_free(placement.places);
    return ERROR_NONE;
}

static bool in_placement(const struct placement *placement, int32_t id)
{
    for (uint32_t i = 0; i < placement->count; i++)
        if (placement->places[i].id == id)
            return true;
    return false;
}

/* Takes one replica away: the last that is not in sync, else the last; the leader only if alone. */
static void drop_one(const struct catalog_partition *present, struct catalog_assignment *assignment)
{
    uint32_t dropped = assignment->replica_count - 1;
    bool found = false;
    for (uint32_t i = assignment->replica_count; i > 0 && !found; i--) {
        found = !ids_contain(present->isr, present->isr_count, assignment->replicas[i - 1]);
        dropped = found ? i - 1 : dropped;
    }
    if (!found && assignment->replicas[dropped] == present->leader && dropped > 0)
        dropped--;
    ids_remove(assignment->replicas, &assignment->replica_count, assignment->replicas[dropped]);
}

enum error catalog_replace(const struct catalog *catalog, const struct catalog_partition *present,
                           uint32_t replication_factor, uint32_t start,
                           struct catalog_assignment *ret_assignment)
{
    struct placement placement;
    enum error error = placement_begin(catalog, &placement);
    if (error != ERROR_NONE)
        return error;
    if (!factor_possible(&placement, replication_factor)) {
        memory_free(placement.places);
        return ERROR_INVALID_REPLICATION_FACTOR;
    }
    struct catalog_assignment assignment = {.replica_count = 0};
    for (uint32_t i = 0; i < present->replica_count; i++) {
        int32_t id = present->replicas[i];
        if (in_placement(&placement, id) &&
            !ids_contain(present->removing, present->removing_count, id))
            ids_add(assignment.replicas, &assignment.replica_count, id);
    }
    while (assignment.replica_count > replication_factor)
        drop_one(present, &assignment);
    while (assignment.replica_count < replication_factor)
        give_best(&placement, &assignment, start % placement.count);
    memory_free(placement.places);
    *ret_assignment = assignment;
    return ERROR_NONE;
}

static void count_placeable(void *context, const struct catalog_node *node)
{
    uint32_t *count = context;
    *count += !node->draining;
}

uint32_t catalog_placeable_count(const struct catalog *catalog)
{
    uint32_t count = 0;
    catalog_node_each(catalog, count_placeable, &count);
    return count;
}
