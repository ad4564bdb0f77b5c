/* SPDX-License-Identifier: Apache-2.0 */
/* Planned moves of replicas. */
#include "handle/reassignment.h"

#include "base/assertion.h"
#include "base/memory.h"
#include "catalog/placement.h"
#include "handle/proposal.h"

uint32_t reassignment_target_count(const struct catalog_partition *partition)
{
    ASSERT(partition->removing_count < partition->replica_count);
    return partition->replica_count - partition->removing_count;
}

struct factor_move {
    struct proposal proposal;
    struct factor_change *change;
    struct catalog_assignment target;
    bool needed;
};

static void change_end(struct task *task)
{
    struct factor_change *change = container_of(task, struct factor_change, task);
    memory_free(change->moves);
    change->moves = NULL;
    change->done(change);
}

static void release(struct factor_change *change)
{
    ASSERT(change->pending > 0);
    if (--change->pending == 0)
        executor_post(change->broker->executor, &change->task);
}

static void move_done(struct proposal *proposal)
{
    struct factor_move *move = container_of(proposal, struct factor_move, proposal);
    struct factor_change *change = move->change;
    if (change->error == ERROR_NONE)
        change->error = proposal->outcome.error;
    release(change);
}

/* Whether the target differs from where the partition is, or is going. */
static bool differs(const struct catalog_partition *present,
                    const struct catalog_assignment *target)
{
    uint32_t count = reassignment_target_count(present);
    return count != target->replica_count ||
           memcmp(present->replicas, target->replicas, count * sizeof target->replicas[0]) != 0;
}

/* All targets before anything is proposed. */
static enum error plan(struct factor_change *change, const struct catalog_topic *topic,
                       uint32_t factor)
{
    const struct catalog *catalog = change->broker->catalog;
    uint32_t start = (uint32_t)executor_random(change->broker->executor);
    change->topic_id = topic->id;
    change->count = topic->partition_count;
    change->moves = memory_allocate_array(change->count, sizeof *change->moves);
    if (change->moves == NULL)
        return ERROR_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < change->count; i++) {
        struct catalog_partition present;
        bool found = catalog_partition_find(catalog, topic, (int32_t)i, &present);
        ASSERT(found);
        struct factor_move *move = &change->moves[i];
        enum error error = catalog_replace(catalog, &present, factor, start + i, &move->target);
        if (error != ERROR_NONE)
            return error;
        move->change = change;
        move->needed = differs(&present, &move->target);
    }
    return ERROR_NONE;
}

static void start_moves(struct factor_change *change)
{
    for (uint32_t i = 0; i < change->count; i++) {
        struct factor_move *move = &change->moves[i];
        if (!move->needed)
            continue;
        struct catalog_command command = {.kind = CATALOG_REASSIGN,
                                          .topic_id = change->topic_id,
                                          .partition = {.index = (int32_t)i},
                                          .assignments = &move->target,
                                          .assignment_count = 1};
        move->proposal.done = move_done;
        change->pending++;
        proposal_start(change->broker, &command, PROPOSAL_WITHOUT_DEADLINE, &move->proposal);
    }
}

void replication_factor_change(struct broker *broker, struct slice topic, uint32_t factor,
                               struct factor_change *change)
{
    ASSERT(change->done != NULL);
    const struct catalog_topic *known = catalog_topic_find(broker->catalog, topic);
    change->broker = broker;
    change->task.run = change_end;
    list_init(&change->task.link);
    change->pending = 1;
    change->error = known == NULL ? ERROR_UNKNOWN_TOPIC_OR_PARTITION : plan(change, known, factor);
    if (change->error == ERROR_NONE)
        start_moves(change);
    release(change);
}
