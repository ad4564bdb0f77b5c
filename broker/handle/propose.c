/* SPDX-License-Identifier: Apache-2.0 */
/* Propose: another node's catalog command, taken when this node leads the metadata quorum. The
 * answer's Index is above 0 exactly when the command was applied; otherwise the sender may send the
 * same bytes again, here or elsewhere (replicate/core/route). */
#include "base/memory.h"
#include "handle/handlers.h"
#include "handle/membership.h"
#include "wire/api_propose.h"

struct propose {
    struct request *request;
    struct catalog_proposal proposal;
};

static void propose_answer(struct request *request, const struct catalog_outcome *outcome)
{
    struct membership *membership = request->broker->membership;
    struct propose_response *response = request_response(request);
    if (response == NULL) {
        request_fail(request);
        return;
    }
    /* A node that stops no longer leads: another does soon. */
    enum error error = outcome->error == ERROR_CLOSING ? ERROR_NOT_CONTROLLER : outcome->error;
    response->error_code = error_to_kafka(error);
    response->leader_id = membership != NULL ? membership->ops->leader_id(membership) : -1;
    response->index = outcome->index;
    response->producer_id_first = outcome->producer_id_first;
    response->node_id_taken = outcome->node_id_taken;
    request_complete(request);
}

static void refuse(struct request *request, enum error error)
{
    struct catalog_outcome outcome = {.error = error, .producer_id_first = -1, .node_id_taken = -1};
    propose_answer(request, &outcome);
}

static void proposal_done(struct catalog_proposal *proposal)
{
    struct propose *propose = container_of(proposal, struct propose, proposal);
    propose_answer(propose->request, &proposal->outcome);
}

/* What cannot be read must not get into the log, where every node would have to pass over it. */
static enum error check(struct request *request, struct slice bytes,
                        struct catalog_command *ret_command)
{
    if (bytes.size == 0 || bytes.size > CATALOG_COMMAND_BYTES_MAX)
        return ERROR_INVALID_REQUEST;
    return catalog_command_decode(bytes.data, bytes.size, &request->arena, ret_command);
}

void handle_propose(struct request *request)
{
    const struct propose_request *body = request->body;
    struct membership *membership = request->broker->membership;
    if (membership == NULL) {
        refuse(request, ERROR_NOT_CONTROLLER);
        return;
    }
    struct catalog_command command;
    enum error error = check(request, body->command, &command);
    if (error != ERROR_NONE) {
        refuse(request, error);
        return;
    }
    struct propose *propose = arena_allocate(&request->arena, sizeof *propose);
    uint8_t *bytes = memory_allocate_raw(body->command.size);
    if (propose == NULL || bytes == NULL) {
        memory_free(bytes);
        request_fail(request); /* NETWORK over there: it comes again. */
        return;
    }
    memcpy(bytes, body->command.data, body->command.size);
    propose->request = request;
    propose->proposal = (struct catalog_proposal){
        .bytes = bytes, .size = body->command.size, .done = proposal_done};
    list_init(&propose->proposal.link);
    list_init(&propose->proposal.task.link);
    membership->ops->propose(membership, &command, &propose->proposal);
}
