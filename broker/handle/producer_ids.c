/* SPDX-License-Identifier: Apache-2.0 */
/* Giving out ids of the present block, and asking for the next when it is used up. */
#include "handle/producer_ids.h"

#include "base/memory.h"

struct producer_ids {
    struct broker *broker;
    int64_t next;
    int64_t end;
    struct list waiting; /* struct producer_id_wait. */
    bool asking;         /* The proposal is on its way. */
    bool freed;          /* To be freed when it comes back. */
    struct catalog_proposal proposal;
};

enum error producer_ids_new(struct broker *broker, struct producer_ids **ret_ids)
{
    struct producer_ids *ids = memory_allocate(sizeof *ids);
    if (ids == NULL)
        return ERROR_OUT_OF_MEMORY;
    ids->broker = broker;
    list_init(&ids->waiting);
    *ret_ids = ids;
    return ERROR_NONE;
}

static void run_done(struct task *task)
{
    struct producer_id_wait *wait = container_of(task, struct producer_id_wait, task);
    wait->done(wait);
}

static void answer(struct producer_ids *ids, struct producer_id_wait *wait, enum error error)
{
    wait->error = error;
    if (error == ERROR_NONE)
        wait->producer_id = ids->next++;
    wait->task.run = run_done;
    executor_post(ids->broker->executor, &wait->task);
}

static void answer_all(struct producer_ids *ids, enum error error)
{
    struct list waiting;
    list_move(&ids->waiting, &waiting);
    for (struct list *link; (link = list_take(&waiting)) != NULL;)
        answer(ids, container_of(link, struct producer_id_wait, link), error);
}

static void ask(struct producer_ids *ids);

static void asked(struct catalog_proposal *proposal)
{
    struct producer_ids *ids = container_of(proposal, struct producer_ids, proposal);
    ids->asking = false;
    if (ids->freed) {
        memory_free(ids);
        return;
    }
    if (proposal->outcome.error != ERROR_NONE) {
        answer_all(ids, proposal->outcome.error);
        return;
    }
    ids->next = proposal->outcome.producer_id_first;
    ids->end = ids->next + CATALOG_PRODUCER_ID_BLOCK;
    while (ids->next < ids->end && !list_empty(&ids->waiting)) {
        struct list *link = list_take(&ids->waiting);
        answer(ids, container_of(link, struct producer_id_wait, link), ERROR_NONE);
    }
    if (!list_empty(&ids->waiting))
        ask(ids);
}

static void ask(struct producer_ids *ids)
{
    struct catalog_command command = {.kind = CATALOG_PRODUCER_IDS,
                                      .node_id = ids->broker->node_id};
    ids->asking = true;
    ids->proposal.done = asked;
    catalog_propose(ids->broker->catalog, &command, &ids->proposal);
}

void producer_ids_take(struct producer_ids *ids, struct producer_id_wait *wait)
{
    list_init(&wait->link);
    if (ids->next < ids->end) {
        answer(ids, wait, ERROR_NONE);
        return;
    }
    list_push(&ids->waiting, &wait->link);
    if (!ids->asking)
        ask(ids);
}

void producer_ids_free(struct producer_ids *ids)
{
    if (ids == NULL)
        return;
    answer_all(ids, ERROR_CLOSING);
    ids->freed = true;
    if (!ids->asking)
        memory_free(ids);
}
