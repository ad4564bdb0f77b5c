/* SPDX-License-Identifier: Apache-2.0 */
/* UnregisterBroker (KIP-631): a node is forgotten. Its replicas keep naming it: an operator moves
 * them first, as with Kafka. */
#include "handle/handlers.h"
#include "handle/proposal.h"
#include "wire/api_unregister_broker.h"

/* The request names no time; Kafka's clients give up after as long (default.api.timeout.ms). */
enum { UNREGISTER_TIMEOUT_MS = 60000 };

struct unregister {
    struct proposal proposal;
    struct request *request;
};

static void unregister_done(struct proposal *proposal)
{
    struct request *request = container_of(proposal, struct unregister, proposal)->request;
    const struct unregister_broker_request *body = request->body;
    struct unregister_broker_response *response = request->response;
    enum error error = proposal->outcome.error;
    response->error_code = error_to_kafka(error);
    if (error == ERROR_BROKER_ID_NOT_REGISTERED)
        response->error_message = arena_format(
            &request->arena, "Broker ID %d is not currently registered", body->broker_id);
    else if (error != ERROR_NONE)
        response->error_message = slice_of(error_text(error));
    request_complete(request);
}

void handle_unregister_broker(struct request *request)
{
    const struct unregister_broker_request *body = request->body;
    struct unregister_broker_response *response = request_response(request);
    struct unregister *unregister = arena_allocate(&request->arena, sizeof *unregister);
    if (response == NULL || unregister == NULL) {
        request_fail(request);
        return;
    }
    response->error_message = SLICE_NULL;
    *unregister = (struct unregister){.request = request, .proposal = {.done = unregister_done}};
    struct catalog_command command = {.kind = CATALOG_NODE_UNREGISTER, .node_id = body->broker_id};
    proposal_start(request->broker, &command, UNREGISTER_TIMEOUT_MS, &unregister->proposal);
}
