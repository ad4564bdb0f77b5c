/* SPDX-License-Identifier: Apache-2.0 */
/* Proposals that outlive the request that made them. */
#include "handle/proposal.h"

#include "base/memory.h"

struct proposal_flight {
    struct list link; /* In broker->proposals. */
    struct broker *broker;
    struct catalog_proposal proposal;
    struct timer deadline;
    struct proposal *owner; /* NULL once it was told that its time is up. */
};

static void flight_end(struct proposal_flight *flight, const struct catalog_outcome *outcome)
{
    struct proposal *owner = flight->owner;
    flight->owner = NULL;
    if (owner == NULL)
        return;
    owner->outcome = *outcome;
    owner->done(owner);
}

static void flight_free(struct proposal_flight *flight)
{
    executor_timer_stop(flight->broker->executor, &flight->deadline);
    list_remove(&flight->link);
    memory_free(flight);
}

static void flight_landed(struct catalog_proposal *proposal)
{
    struct proposal_flight *flight = container_of(proposal, struct proposal_flight, proposal);
    flight_end(flight, &proposal->outcome);
    flight_free(flight);
}

static void deadline_passed(struct timer *timer)
{
    struct proposal_flight *flight = container_of(timer, struct proposal_flight, deadline);
    struct catalog_outcome outcome = {.error = ERROR_REQUEST_TIMED_OUT, .producer_id_first = -1};
    flight_end(flight, &outcome);
}

static void refused(struct task *task)
{
    struct proposal *proposal = container_of(task, struct proposal, task);
    proposal->done(proposal);
}

void proposal_start(struct broker *broker, const struct catalog_command *command,
                    int64_t timeout_ms, struct proposal *proposal)
{
    struct proposal_flight *flight = memory_allocate(sizeof *flight);
    list_init(&proposal->task.link);
    if (flight == NULL) {
        proposal->outcome =
            (struct catalog_outcome){.error = ERROR_OUT_OF_MEMORY, .producer_id_first = -1};
        proposal->task.run = refused;
        executor_post(broker->executor, &proposal->task);
        return;
    }
    if (broker->proposals.next == NULL)
        list_init(&broker->proposals);
    list_push(&broker->proposals, &flight->link);
    flight->broker = broker;
    flight->owner = proposal;
    flight->proposal.done = flight_landed;
    flight->deadline.fire = deadline_passed;
    if (timeout_ms >= 0)
        executor_timer_start(broker->executor, &flight->deadline, timeout_ms);
    catalog_propose(broker->catalog, command, &flight->proposal);
}

void proposals_drop(struct broker *broker)
{
    while (broker->proposals.next != NULL && !list_empty(&broker->proposals))
        flight_free(container_of(broker->proposals.next, struct proposal_flight, link));
}
