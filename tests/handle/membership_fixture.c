/* SPDX-License-Identifier: Apache-2.0 */
/* The controller of the tests. */
#include "handle/membership_fixture.h"

#include "base/memory.h"

#include <cmocka.h>
#include <stdio.h>

static struct membership_fixture *fixture_of(struct membership *membership)
{
    return container_of(membership, struct membership_fixture, membership);
}

static int32_t fake_leader_id(struct membership *membership)
{
    return fixture_of(membership)->leader_id;
}

static void fake_propose(struct membership *membership, const struct catalog_command *command,
                         struct catalog_proposal *proposal)
{
    struct membership_fixture *fixture = fixture_of(membership);
    struct catalog_outcome outcome = {
        .error = fixture->propose_error, .producer_id_first = -1, .node_id_taken = -1};
    fixture->proposed++;
    fixture->proposed_kind = command->kind;
    if (outcome.error != ERROR_NONE)
        catalog_proposal_complete(fixture->f->broker.catalog, proposal, &outcome);
    else
        fixture->f->proposer.submit(&fixture->f->proposer, proposal);
}

static void fake_heartbeat(struct membership *membership,
                           const struct node_heartbeat_request *request,
                           struct membership_answer *ret_answer)
{
    struct membership_fixture *fixture = fixture_of(membership);
    fixture->heard = *request;
    fixture->heard_count++;
    *ret_answer = fixture->answer;
}

static void run_done(struct task *task)
{
    struct membership_join *join = container_of(task, struct membership_join, task);
    join->done(join);
}

void membership_fixture_answer(struct membership_fixture *fixture, enum error error,
                               const char *reason, int32_t node_id)
{
    struct membership_join *join = fixture->join;
    fixture->join = NULL;
    assert_non_null(join);
    join->error = error;
    join->node_id = node_id;
    snprintf(join->reason, sizeof join->reason, "%s", reason);
    join->task.run = run_done;
    executor_post(fixture->f->broker.executor, &join->task);
}

static void fake_join(struct membership *membership, struct membership_join *join)
{
    struct membership_fixture *fixture = fixture_of(membership);
    fixture->join = join;
    fixture->asked = *join;
    if (fixture->join_at_once)
        membership_fixture_answer(fixture, ERROR_NONE, "", 7);
}

static const struct membership_ops fake_ops = {
    .leader_id = fake_leader_id,
    .propose = fake_propose,
    .heartbeat = fake_heartbeat,
    .join = fake_join,
};

void membership_fixture_init(struct membership_fixture *fixture, struct broker_fixture *f)
{
    *fixture =
        (struct membership_fixture){.membership = {.ops = &fake_ops}, .f = f, .leader_id = 1};
    f->broker.membership = &fixture->membership;
}

void *exchange_begin_as_node(struct broker_fixture *f, struct exchange *exchange, int16_t api_key)
{
    void *body = exchange_begin(f, exchange, api_key, 0);
    exchange->request.requester.peer_node_id = 2;
    return body;
}

bool exchange_run_refusing(struct broker_fixture *f, struct exchange *exchange, long countdown)
{
    exchange_encode(exchange);
    memory_fault_arm(countdown);
    handle_start(&exchange->request);
    simulated_executor_run_until_idle(f->executor);
    bool fired = memory_fault_fired();
    memory_fault_arm(-1);
    assert_int_equal(exchange->done, 1);
    if (exchange->request.close_connection)
        assert_null(exchange->request.response);
    return fired;
}
