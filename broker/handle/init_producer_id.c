/* SPDX-License-Identifier: Apache-2.0 */
/* InitProducerId for idempotent producers (KIP-98). Transactions come later: a transactional id is
 * answered with the one error that every client takes as final at once. */
#include "handle/handlers.h"
#include "handle/producer_ids.h"
#include "wire/api_init_producer_id.h"

struct init_producer_id {
    struct producer_id_wait wait;
    struct request *request;
};

/* What clients try again after: the block could not be had just now. */
static enum error answer_of(enum error error)
{
    switch (error) {
    case ERROR_NONE:
    case ERROR_OUT_OF_MEMORY:
        return error;
    default:
        return ERROR_COORDINATOR_LOAD_IN_PROGRESS;
    }
}

static void taken(struct producer_id_wait *wait)
{
    struct init_producer_id *init = container_of(wait, struct init_producer_id, wait);
    struct init_producer_id_response *response = init->request->response;
    response->error_code = error_to_kafka(answer_of(wait->error));
    if (wait->error == ERROR_NONE) {
        response->producer_id = wait->producer_id;
        response->producer_epoch = 0;
    }
    request_complete(init->request);
}

void handle_init_producer_id(struct request *request)
{
    const struct init_producer_id_request *body = request->body;
    struct init_producer_id_response *response = request_response(request);
    struct init_producer_id *init = arena_allocate(&request->arena, sizeof *init);
    if (response == NULL || init == NULL) {
        request_fail(request);
        return;
    }
    response->producer_epoch = -1;
    if (!slice_is_null(body->transactional_id)) {
        response->error_code = error_to_kafka(body->transactional_id.size == 0
                                                  ? ERROR_INVALID_REQUEST
                                                  : ERROR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
        request_complete(request);
        return;
    }
    init->request = request;
    init->wait.done = taken;
    producer_ids_take(request->broker->producer_ids, &init->wait);
}
