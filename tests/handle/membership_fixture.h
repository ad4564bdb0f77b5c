/* SPDX-License-Identifier: Apache-2.0 */
/* A controller that does as a test says, for the requests between nodes. */
#ifndef TESTS_HANDLE_MEMBERSHIP_FIXTURE_H
#define TESTS_HANDLE_MEMBERSHIP_FIXTURE_H

#include "handle/broker_fixture.h"
#include "handle/membership.h"
#include "wire/api_node_heartbeat.h"

struct membership_fixture {
    struct membership membership;
    struct broker_fixture *f;
    int32_t leader_id;
    enum error propose_error; /* Not NONE: what a proposal comes to, not applied. */
    int proposed;
    enum catalog_command_kind proposed_kind;
    struct membership_answer answer;
    struct node_heartbeat_request heard;
    int heard_count;
    struct membership_join *join; /* The last; answered by membership_fixture_answer. */
    struct membership_join asked; /* As it was asked. */
    bool join_at_once;            /* Answered with node id 7 by itself. */
};

/* Becomes the broker's controller; node 1 leads. */
void membership_fixture_init(struct membership_fixture *fixture, struct broker_fixture *f);

void membership_fixture_answer(struct membership_fixture *fixture, enum error error,
                               const char *reason, int32_t node_id);

/* Begins an exchange that comes over a connection of node 2. */
void *exchange_begin_as_node(struct broker_fixture *f, struct exchange *exchange, int16_t api_key);

/* Sends it with the allocation after `countdown` more refused: answered, or the connection closed.
 * Whether an allocation was refused. */
bool exchange_run_refusing(struct broker_fixture *f, struct exchange *exchange, long countdown);

#endif
