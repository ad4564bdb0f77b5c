/* SPDX-License-Identifier: Apache-2.0 */
/* One count of everything, then passes over the topics until the steps allowed are used up:
 *
 *   count -> drain -> internal topics -> spread replicas -> spread preferred leaders
 *
 * A pass counts each move it plans as done, so that the moves of one plan fit together. */
#include "replicate/core/balance.h"

#include "base/assertion.h"
#include "base/memory.h"

#include <string.h>

enum { UNEVEN_PERCENT = 5 /* Of the mean: a smaller difference is not worth moving bytes for. */ };

/* A registered node and its share. */
struct place {
    int32_t id;
    const char *rack; /* "": none. Borrowed from the catalog. */
    bool leaves;      /* Draining. */
    bool away;        /* Fenced. */
    bool takes;       /* May be given replicas and leaders. */
    uint32_t replicas;
    uint32_t preferred; /* Partitions it is the first replica of. */
    uint32_t in_topic;  /* Replicas of the topic looked at. */
};

struct plan {
    const struct catalog *catalog;
    const struct balance_options *options;
    struct place *places; /* In order of id. */
    uint32_t place_count;
    uint32_t taking_count;
    bool calm; /* Nobody is away who may be back soon. */
    uint32_t under_way;
    uint32_t leaving_replicas; /* On nodes that drain or are registered no more. */
    struct balance_move *moves;
    uint32_t count;
    uint32_t capacity;
    int32_t stuck_node_id;
    /* One pass's. */
    void (*partition)(struct plan *plan, const struct catalog_topic *topic,
                      const struct catalog_partition *partition);
};

/* ---- counting ---- */

static void count_node(void *context, const struct catalog_node *node)
{
    struct plan *plan = context;
    (void)node;
    plan->place_count++;
}

static void take_node(void *context, const struct catalog_node *node)
{
    struct plan *plan = context;
    struct place *place = &plan->places[plan->place_count++];
    place->id = node->id;
    place->rack = node->rack;
    place->leaves = node->draining;
    place->away = node->fenced;
    place->takes = !node->fenced && !node->draining && !node->shutting_down;
    plan->taking_count += place->takes;
    plan->calm = plan->calm && (place->takes || place->leaves);
}

static struct place *place_find(struct plan *plan, int32_t id)
{
    uint32_t low = 0;
    uint32_t high = plan->place_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (plan->places[middle].id == id)
            return &plan->places[middle];
        if (plan->places[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static bool contains(const int32_t *ids, uint32_t count, int32_t id)
{
    for (uint32_t i = 0; i < count; i++) {
        if (ids[i] == id)
            return true;
    }
    return false;
}

static bool reassigning(const struct catalog_partition *partition)
{
    return partition->adding_count > 0 || partition->removing_count > 0;
}

/* A node that no replica may stay on. */
static bool must_leave(struct plan *plan, int32_t id)
{
    const struct place *place = place_find(plan, id);
    return place == NULL || place->leaves;
}

/* One that waits for a node that is away does not keep others from being made. */
static bool moves_on(struct plan *plan, const struct catalog_partition *partition)
{
    for (uint32_t i = 0; i < partition->adding_count; i++) {
        const struct place *place = place_find(plan, partition->adding[i]);
        if (place == NULL || !(place->takes || place->leaves))
            return false;
    }
    return partition->leader >= 0;
}

static void count_partition(struct plan *plan, const struct catalog_topic *topic,
                            const struct catalog_partition *partition)
{
    (void)topic;
    bool first = true;
    plan->under_way += reassigning(partition) && moves_on(plan, partition);
    for (uint32_t i = 0; i < partition->replica_count; i++) {
        int32_t id = partition->replicas[i];
        if (contains(partition->removing, partition->removing_count, id))
            continue;
        struct place *place = place_find(plan, id);
        plan->leaving_replicas += place == NULL || place->leaves;
        if (place != NULL) {
            place->replicas++;
            place->preferred += first;
        }
        first = false;
    }
}

static bool pass_topic(void *context, const struct catalog_topic *topic)
{
    struct plan *plan = context;
    struct catalog_partition partition;
    for (uint32_t i = 0; i < plan->place_count; i++)
        plan->places[i].in_topic = 0;
    for (uint32_t i = 0; i < topic->partition_count; i++) {
        bool found = catalog_partition_find(plan->catalog, topic, (int32_t)i, &partition);
        ASSERT(found);
        for (uint32_t j = 0; j < partition.replica_count; j++) {
            struct place *place = place_find(plan, partition.replicas[j]);
            if (place != NULL)
                place->in_topic++;
        }
    }
    for (uint32_t i = 0; i < topic->partition_count && plan->count < plan->capacity; i++) {
        bool found = catalog_partition_find(plan->catalog, topic, (int32_t)i, &partition);
        ASSERT(found);
        plan->partition(plan, topic, &partition);
    }
    return plan->count < plan->capacity;
}

static void pass(struct plan *plan,
                 void (*partition)(struct plan *plan, const struct catalog_topic *topic,
                                   const struct catalog_partition *partition))
{
    plan->partition = partition;
    if (plan->count < plan->capacity)
        catalog_topic_each(plan->catalog, pass_topic, plan);
}

/* ---- moves ---- */

static struct catalog_assignment present(const struct catalog_partition *partition)
{
    struct catalog_assignment target = {.replica_count = partition->replica_count};
    memcpy(target.replicas, partition->replicas,
           partition->replica_count * sizeof target.replicas[0]);
    return target;
}

static void add_move(struct plan *plan, const struct catalog_topic *topic,
                     const struct catalog_partition *partition,
                     const struct catalog_assignment *target)
{
    ASSERT(plan->count < plan->capacity);
    struct balance_move *move = &plan->moves[plan->count++];
    move->partition = (struct catalog_partition_name){topic->id, partition->index};
    move->target = *target;
}

/* Replicas of the target in the same rack, the one at `except` left out. */
static uint32_t rack_mates(struct plan *plan, const struct catalog_assignment *target,
                           uint32_t except, const char *rack)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < target->replica_count; i++) {
        const struct place *place = place_find(plan, target->replicas[i]);
        count += i != except && place != NULL && rack[0] != '\0' && strcmp(place->rack, rack) == 0;
    }
    return count;
}

/* The node to put at `at`: in a rack of its own if there is one, with the fewest replicas; for the
 * first place also with few preferred leaders. NULL: none may take it. */
static struct place *best_for(struct plan *plan, const struct catalog_assignment *target,
                              uint32_t at)
{
    struct place *best = NULL;
    uint32_t best_mates = 0;
    uint32_t best_load = 0;
    for (uint32_t i = 0; i < plan->place_count; i++) {
        struct place *place = &plan->places[i];
        if (!place->takes || contains(target->replicas, target->replica_count, place->id))
            continue;
        uint32_t mates = rack_mates(plan, target, at, place->rack);
        uint32_t load = place->replicas + (at == 0 ? place->preferred : 0);
        if (best == NULL || mates < best_mates || (mates == best_mates && load < best_load)) {
            best = place;
            best_mates = mates;
            best_load = load;
        }
    }
    return best;
}

static void put(struct plan *plan, struct catalog_assignment *target, uint32_t at,
                struct place *taker)
{
    if (at == target->replica_count)
        target->replica_count++;
    struct place *giver = place_find(plan, target->replicas[at]);
    if (giver != NULL) {
        giver->replicas--;
        giver->in_topic--;
        giver->preferred -= at == 0;
    }
    target->replicas[at] = taker->id;
    taker->replicas++;
    taker->in_topic++;
    taker->preferred += at == 0;
}

/* What the partition is to have, also when a reassignment is under way. */
static struct catalog_assignment intended(const struct catalog_partition *partition)
{
    struct catalog_assignment target = {.replica_count = 0};
    for (uint32_t i = 0; i < partition->replica_count; i++) {
        if (!contains(partition->removing, partition->removing_count, partition->replicas[i]))
            target.replicas[target.replica_count++] = partition->replicas[i];
    }
    return target;
}

/* A reassignment ends when all it leaves are in sync: never, when one of them is on a node that is
 * to be empty and is not there, and it should not, when it brings one onto such a node. */
static bool waits_for_leaving(struct plan *plan, const struct catalog_partition *partition)
{
    struct catalog_assignment target = intended(partition);
    for (uint32_t i = 0; i < target.replica_count; i++) {
        int32_t id = target.replicas[i];
        const struct place *place = place_find(plan, id);
        if (must_leave(plan, id) && (place == NULL || place->away ||
                                     contains(partition->adding, partition->adding_count, id)))
            return true;
    }
    return false;
}

static void leave_out(struct catalog_assignment *target, uint32_t at)
{
    memmove(target->replicas + at, target->replicas + at + 1,
            (target->replica_count - at - 1) * sizeof target->replicas[0]);
    target->replica_count--;
}

static void drain(struct plan *plan, const struct catalog_topic *topic,
                  const struct catalog_partition *partition)
{
    struct catalog_assignment target = intended(partition);
    bool changed = false;
    if (reassigning(partition) && !waits_for_leaving(plan, partition))
        return;
    for (uint32_t i = 0; i < target.replica_count; i++) {
        int32_t id = target.replicas[i];
        if (!must_leave(plan, id))
            continue;
        struct place *taker = partition->leader < 0 ? NULL : best_for(plan, &target, i);
        if (taker != NULL) {
            put(plan, &target, i, taker);
            changed = true;
        } else if (contains(partition->adding, partition->adding_count, id) &&
                   partition->removing_count == 0 && target.replica_count > 1) {
            leave_out(&target, i--); /* One more was wanted, and nobody can be it. */
            changed = true;
        } else {
            plan->stuck_node_id = id;
        }
    }
    if (changed)
        add_move(plan, topic, partition, &target);
}

static void grow_internal(struct plan *plan, const struct catalog_topic *topic,
                          const struct catalog_partition *partition)
{
    uint32_t wanted = (uint32_t)plan->options->internal_replication_factor;
    if (wanted > plan->taking_count)
        wanted = plan->taking_count;
    if (!topic->internal || reassigning(partition) || partition->leader < 0 ||
        partition->replica_count >= wanted)
        return;
    struct catalog_assignment target = present(partition);
    while (target.replica_count < wanted) {
        target.replicas[target.replica_count] = -1;
        struct place *taker = best_for(plan, &target, target.replica_count);
        if (taker == NULL)
            break;
        put(plan, &target, target.replica_count, taker);
    }
    if (target.replica_count > partition->replica_count)
        add_move(plan, topic, partition, &target);
}

/* ---- spreading ---- */

static bool worth_it(uint32_t from, uint32_t to, uint64_t total, uint32_t places)
{
    return from >= to + 2 && (uint64_t)(from - to) * 100 * places > total * UNEVEN_PERCENT;
}

static uint64_t total_replicas(const struct plan *plan)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < plan->place_count; i++)
        total += plan->places[i].replicas;
    return total;
}

static uint64_t total_preferred(const struct plan *plan)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < plan->place_count; i++)
        total += plan->places[i].preferred;
    return total;
}

/* A taker with fewer replicas, of the topic too, that does not bring two into one rack. */
static struct place *emptier(struct plan *plan, const struct catalog_assignment *target,
                             uint32_t at)
{
    const struct place *giver = place_find(plan, target->replicas[at]);
    struct place *best = NULL;
    uint64_t total = total_replicas(plan);
    uint32_t mates = giver == NULL ? 0 : rack_mates(plan, target, at, giver->rack);
    for (uint32_t i = 0; giver != NULL && i < plan->place_count; i++) {
        struct place *place = &plan->places[i];
        if (!place->takes || contains(target->replicas, target->replica_count, place->id) ||
            place->in_topic >= giver->in_topic ||
            !worth_it(giver->replicas, place->replicas, total, plan->place_count) ||
            rack_mates(plan, target, at, place->rack) > mates)
            continue;
        if (best == NULL || place->replicas < best->replicas)
            best = place;
    }
    return best;
}

/* Of a partition one replica at a time; the first only where that evens out leaders too. */
static void spread_replicas(struct plan *plan, const struct catalog_topic *topic,
                            const struct catalog_partition *partition)
{
    if (reassigning(partition) || partition->leader < 0)
        return;
    struct catalog_assignment target = present(partition);
    for (uint32_t n = 0; n < target.replica_count; n++) {
        uint32_t at = target.replica_count - 1 - n;
        struct place *taker = emptier(plan, &target, at);
        if (taker == NULL)
            continue;
        if (at == 0 && target.replica_count > 1 &&
            place_find(plan, target.replicas[0])->preferred <= taker->preferred)
            continue;
        put(plan, &target, at, taker);
        add_move(plan, topic, partition, &target);
        return;
    }
}

/* Changes places with a replica that leads less. */
static void spread_preferred(struct plan *plan, const struct catalog_topic *topic,
                             const struct catalog_partition *partition)
{
    if (reassigning(partition) || partition->leader < 0)
        return;
    struct catalog_assignment target = present(partition);
    struct place *first = place_find(plan, target.replicas[0]);
    uint64_t total = total_preferred(plan);
    uint32_t best_at = 0;
    for (uint32_t i = 1; first != NULL && i < target.replica_count; i++) {
        const struct place *place = place_find(plan, target.replicas[i]);
        if (place == NULL || !place->takes ||
            !contains(partition->isr, partition->isr_count, place->id) ||
            !worth_it(first->preferred, place->preferred, total, plan->place_count))
            continue;
        if (best_at == 0 ||
            place->preferred < place_find(plan, target.replicas[best_at])->preferred)
            best_at = i;
    }
    if (best_at == 0)
        return;
    struct place *taker = place_find(plan, target.replicas[best_at]);
    target.replicas[0] = taker->id;
    target.replicas[best_at] = first->id;
    first->preferred--;
    taker->preferred++;
    add_move(plan, topic, partition, &target);
}

/* ---- the plans ---- */

static enum error plan_begin(struct plan *plan)
{
    plan->calm = true;
    catalog_node_each(plan->catalog, count_node, plan);
    plan->places = memory_allocate_array(plan->place_count, sizeof *plan->places);
    if (plan->places == NULL)
        return ERROR_OUT_OF_MEMORY;
    plan->place_count = 0;
    catalog_node_each(plan->catalog, take_node, plan);
    plan->capacity = 1; /* Counting plans nothing. */
    pass(plan, count_partition);
    uint32_t most = plan->options->in_flight_max < BALANCE_MOVES_MAX ? plan->options->in_flight_max
                                                                     : BALANCE_MOVES_MAX;
    plan->capacity = plan->under_way < most ? most - plan->under_way : 0;
    return ERROR_NONE;
}

enum error balance_plan_moves(const struct catalog *catalog, const struct balance_options *options,
                              struct balance_move *ret_moves, uint32_t *ret_count,
                              int32_t *ret_stuck_node_id)
{
    struct plan plan = {
        .catalog = catalog, .options = options, .moves = ret_moves, .stuck_node_id = -1};
    enum error error = plan_begin(&plan);
    if (error != ERROR_NONE)
        return error;
    if (plan.leaving_replicas > 0)
        pass(&plan, drain);
    pass(&plan, grow_internal);
    if (options->spread && plan.calm && plan.leaving_replicas == 0) {
        pass(&plan, spread_replicas);
        if (plan.count == 0 && plan.under_way == 0)
            pass(&plan, spread_preferred);
    }
    memory_free(plan.places);
    *ret_count = plan.count;
    *ret_stuck_node_id = plan.stuck_node_id;
    return ERROR_NONE;
}

struct leaders {
    const struct catalog *catalog;
    struct catalog_partition_name *partitions;
    uint32_t count;
    uint32_t capacity;
};

static bool may_lead(const struct catalog *catalog, const struct catalog_partition *partition)
{
    const struct catalog_node *node = catalog_node_find(catalog, partition->replicas[0]);
    return node != NULL && !node->fenced && !node->shutting_down && !node->draining &&
           contains(partition->isr, partition->isr_count, node->id);
}

static bool find_unpreferred(void *context, const struct catalog_topic *topic)
{
    struct leaders *leaders = context;
    for (uint32_t i = 0; i < topic->partition_count && leaders->count < leaders->capacity; i++) {
        struct catalog_partition partition;
        bool found = catalog_partition_find(leaders->catalog, topic, (int32_t)i, &partition);
        ASSERT(found);
        if (partition.leader != partition.replicas[0] && may_lead(leaders->catalog, &partition))
            leaders->partitions[leaders->count++] =
                (struct catalog_partition_name){topic->id, (int32_t)i};
    }
    return leaders->count < leaders->capacity;
}

uint32_t balance_plan_leaders(const struct catalog *catalog,
                              struct catalog_partition_name *ret_partitions, uint32_t capacity)
{
    struct leaders leaders = {
        .catalog = catalog, .partitions = ret_partitions, .capacity = capacity};
    catalog_topic_each(catalog, find_unpreferred, &leaders);
    return leaders.count;
}

struct sharing {
    const struct catalog *catalog;
    int32_t node_id;
    struct balance_share share;
};

static bool share_topic(void *context, const struct catalog_topic *topic)
{
    struct sharing *sharing = context;
    int32_t id = sharing->node_id;
    for (uint32_t i = 0; i < topic->partition_count; i++) {
        struct catalog_partition partition;
        bool found = catalog_partition_find(sharing->catalog, topic, (int32_t)i, &partition);
        ASSERT(found);
        sharing->share.leaders += partition.leader == id;
        sharing->share.replicas += contains(partition.replicas, partition.replica_count, id);
        sharing->share.in_sync += contains(partition.isr, partition.isr_count, id);
    }
    return true;
}

void balance_share(const struct catalog *catalog, int32_t node_id, struct balance_share *ret_share)
{
    struct sharing sharing = {.catalog = catalog, .node_id = node_id};
    catalog_topic_each(catalog, share_topic, &sharing);
    *ret_share = sharing.share;
}
