/* SPDX-License-Identifier: Apache-2.0 */
/* A command that a request proposes and waits for only so long (timeout_ms of CreateTopics,
 * DeleteTopics and CreatePartitions). The proposal itself goes on: it may still be agreed on after
 * the client was told REQUEST_TIMED_OUT, as in Kafka. Inside the monitor.
 *
 *   proposal_start --> flight (its own memory) --> quorum --> done
 *        '-----------> deadline: the request is told, the flight goes on alone */
#ifndef BROKER_HANDLE_PROPOSAL_H
#define BROKER_HANDLE_PROPOSAL_H

#include "handle/broker.h"

/* Owned by the caller until done. */
struct proposal {
    struct catalog_outcome outcome; /* Result; its error may be REQUEST_TIMED_OUT, OUT_OF_MEMORY. */
    void (*done)(struct proposal *proposal);
    struct task task;
};

enum { PROPOSAL_WITHOUT_DEADLINE = -1 };

/* Encodes the command and proposes it; `done` (set first) comes exactly once, never from inside. */
void proposal_start(struct broker *broker, const struct catalog_command *command,
                    int64_t timeout_ms, struct proposal *proposal);

/* Frees those whose done never comes (the node crashed in a simulation). */
void proposals_drop(struct broker *broker);

#endif
