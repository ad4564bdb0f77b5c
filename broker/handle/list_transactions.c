/* SPDX-License-Identifier: Apache-2.0 */
/* ListTransactions (KIP-664): the transactions this node coordinates. It gives no transactional id
 * to anybody yet (InitProducerId), so there are none; what filters by no state of Kafka's is told
 * so (Kafka: TransactionStateManager.listTransactionStates). */
#include "handle/handlers.h"
#include "wire/api_list_transactions.h"

static bool is_state(struct slice name)
{
    static const char *const states[] = {
        "Empty",          "Ongoing",       "PrepareCommit",     "PrepareAbort",
        "CompleteCommit", "CompleteAbort", "PrepareEpochFence", "Dead"};
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        if (slice_equals_text(name, states[i]))
            return true;
    }
    return false;
}

void handle_list_transactions(struct request *request)
{
    const struct list_transactions_request *body = request->body;
    struct list_transactions_response *response = request_response(request);
    if (response != NULL)
        response->unknown_state_filters = arena_allocate_array(
            &request->arena, body->state_filters_count, sizeof *response->unknown_state_filters);
    bool answered = response != NULL && response->unknown_state_filters != NULL;
    for (uint32_t i = 0; answered && i < body->state_filters_count; i++) {
        if (!is_state(body->state_filters[i]))
            response->unknown_state_filters[response->unknown_state_filters_count++] =
                body->state_filters[i];
    }
    if (answered)
        response->transaction_states = WIRE_EMPTY;
    request_end(request, answered);
}
