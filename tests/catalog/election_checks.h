/* SPDX-License-Identifier: Apache-2.0 */
/* The invariants of elections as checks of what one command did, written without the rules' own
 * code. */
#ifndef TESTS_CATALOG_ELECTION_CHECKS_H
#define TESTS_CATALOG_ELECTION_CHECKS_H

#include "election_model.h"

enum { MODEL_EPOCHS_MAX = 1024 };

/* What a command could have touched. */
struct model_state {
    struct catalog_partition partitions[MODEL_PARTITIONS];
    uint32_t min_insync[MODEL_PARTITIONS];
    bool unclean[MODEL_PARTITIONS];
    bool registered[MODEL_NODES + 1];
    struct catalog_node nodes[MODEL_NODES + 1];
};

struct model_history {
    int32_t leaders[MODEL_PARTITIONS][MODEL_EPOCHS_MAX]; /* By epoch, plus 2; 0: not seen. */
    uint32_t unclean_elections, last_kept, eligible_elections, reassignments_finished, committed;
};

void model_state_take(const struct model *model, struct model_state *ret_state);

/* Fails the test unless the command was applied as it must be; gives up records where it may. */
void model_check(struct model *model, struct model_history *history,
                 const struct catalog_command *command, const struct catalog_outcome *outcome,
                 const struct model_state *before, const struct model_state *after);

/* Invariants 4, 6 and 13: who is in sync or eligible, and not away, holds all that was committed.
 */
void model_check_holders(const struct model *model);

/* For the message of a check that fails. */
void model_seed_in_hand(uint64_t seed);

#endif
