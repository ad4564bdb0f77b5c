/* SPDX-License-Identifier: Apache-2.0 */
/* From frame to request, from response to chunks. */
#include "net/exchange.h"

#include "base/assertion.h"
#include "base/memory.h"
#include "net/connection.h"
#include "net/loop.h"
#include "wire/api_api_versions.h"

/* On whatever thread ends the request, inside the monitor. */
static void exchange_request_done(struct request *request)
{
    struct exchange *exchange = container_of(request, struct exchange, request);
    ASSERT(exchange->state == EXCHANGE_STARTED);
    loop_exchange_done(exchange->loop, exchange);
}

/* Drops the request but keeps its frame, when nobody else has it, and its arena for the next. */
static void request_drop(struct exchange *exchange)
{
    struct buffer *frame = exchange->request.frame;
    exchange->request.frame = NULL;
    struct arena arena = exchange->request.arena;
    arena_init(&exchange->request.arena, 0);
    request_done(&exchange->request);
    arena_reset(&arena);
    exchange->request.arena = arena;
    loop_buffer_drop(exchange->loop, frame);
}

/* Kafka answers an ApiVersions it cannot read in version 0, with the one row a client needs to try
 * again (RequestContext.isUnsupportedApiVersionsRequest; facts.md a.1 rule 5). */
static enum error answer_unsupported(struct exchange *exchange, const struct frame_request *head)
{
    struct api_versions_response_api_version row = {
        .api_key = API_API_VERSIONS,
        .min_version = head->api->version_min,
        .max_version = head->api->version_max,
    };
    struct api_versions_response response;
    api_versions_response_init(&response);
    response.error_code = error_to_kafka(ERROR_UNSUPPORTED_VERSION);
    response.api_keys = &row;
    response.api_keys_count = 1;
    return frame_response_encode(head->api, 0, head->correlation_id, &response,
                                 &exchange->outgoing);
}

static void requester_fill(struct connection *connection, const struct frame_request *head,
                           struct requester *ret_requester)
{
    *ret_requester = (struct requester){
        .principal = slice_of("User:ANONYMOUS"),
        .client_id = head->client_id,
        .client_host = slice_of(connection->client_host),
        .listener_host = connection->listener->advertised_host,
        .listener_port = connection->listener->advertised_port,
        .connection_id = connection->id,
        .nodes_only = connection->listener->nodes_only,
        .peer_node_id = connection_peer(connection),
    };
}

static bool knocks(const struct api *api)
{
    return api->key == API_PEER_HELLO || api->key == API_PEER_PROOF;
}

static enum error exchange_fill(struct exchange *exchange, struct buffer *buffer,
                                struct reader *reader, const struct frame_request *head)
{
    struct net *net = exchange->loop->net;
    struct request *request = &exchange->request;
    struct arena arena = request->arena; /* Kept from the exchange before. */
    request_init(request, net->broker, head->api, head->version);
    arena.limit_bytes = request->arena.limit_bytes;
    request->arena = arena;
    request->frame = buffer_ref(buffer);
    request->done = exchange_request_done;
    requester_fill(exchange->connection, head, &request->requester);
    if (knocks(head->api)) {
        request->door = connection_door(exchange->connection);
        if (request->door == NULL) {
            request_drop(exchange);
            return ERROR_OUT_OF_MEMORY;
        }
    }
    enum error error = frame_body_decode(reader, head, &request->arena, &request->body);
    if (error != ERROR_NONE)
        request_drop(exchange);
    return error;
}

enum error exchange_decode(struct connection *connection, struct buffer *buffer, struct slice frame,
                           struct exchange **ret_exchange)
{
    struct io_loop *loop = connection->loop;
    struct reader reader;
    struct frame_request head;
    reader_init(&reader, frame);
    enum error error = frame_request_decode(&reader, &head);
    if (error != ERROR_NONE)
        return error;
    if (!knocks(head.api) && !connection_admits_client(connection))
        return ERROR_POLICY_VIOLATION;
    bool versions = head.api->key == API_API_VERSIONS;
    if (!versions && !loop->net->handler.supports((int16_t)head.api->key))
        return ERROR_INVALID_REQUEST;
    if (!versions && !head.supported)
        return ERROR_UNSUPPORTED_VERSION;

    struct exchange *exchange = loop_exchange_take(loop);
    if (exchange == NULL)
        return ERROR_OUT_OF_MEMORY;
    exchange->connection = connection;
    exchange->correlation_id = head.correlation_id;
    exchange->frame_bytes = frame.size;
    if (head.supported) {
        error = exchange_fill(exchange, buffer, &reader, &head);
    } else {
        error = answer_unsupported(exchange, &head);
        exchange->state = EXCHANGE_ANSWERED;
    }
    if (error != ERROR_NONE) {
        loop_exchange_give(loop, exchange);
        return error;
    }
    *ret_exchange = exchange;
    return ERROR_NONE;
}

void exchange_admit(struct exchange *exchange)
{
    ASSERT(exchange->state == EXCHANGE_WAITING);
    exchange->prepares = exchange->loop->net->handler.admit(&exchange->request);
}

void exchange_prepare(struct exchange *exchange)
{
    ASSERT(exchange->state == EXCHANGE_WAITING);
    if (exchange->prepares)
        exchange->loop->net->handler.prepare(&exchange->request, &exchange->loop->codecs);
}

void exchange_start(struct exchange *exchange)
{
    ASSERT(exchange->state == EXCHANGE_WAITING);
    exchange->state = EXCHANGE_STARTED;
    exchange->connection->holds++;
    exchange->loop->net->handler.start(&exchange->request);
}

enum error exchange_answer(struct exchange *exchange)
{
    ASSERT(exchange->state == EXCHANGE_STARTED);
    struct request *request = &exchange->request;
    enum error error = ERROR_NONE;
    exchange->outgoing = (struct outgoing){0};
    exchange->closes = request->close_after;
    exchange->knocked = request->door != NULL;
    if (request->close_connection)
        error = ERROR_INVALID_REQUEST;
    if (error == ERROR_NONE && !request->no_response) {
        if (request->response == NULL) {
            error = ERROR_OUT_OF_MEMORY; /* The handler could not even make an answer. */
        } else {
            request->response_taken = true;
            error = frame_response_encode(request->api, request->version, exchange->correlation_id,
                                          request->response, &exchange->outgoing);
        }
    }
    exchange->state = EXCHANGE_ANSWERED;
    request_drop(exchange);
    return error;
}

void exchange_free(struct exchange *exchange)
{
    ASSERT(exchange->state != EXCHANGE_STARTED);
    outgoing_done(&exchange->outgoing);
    if (exchange->state == EXCHANGE_WAITING)
        request_drop(exchange);
    loop_exchange_give(exchange->loop, exchange);
}

bool exchange_outlives_sender(const struct exchange *exchange)
{
    return exchange->request.api->key == API_PRODUCE;
}
