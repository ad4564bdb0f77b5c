/* SPDX-License-Identifier: Apache-2.0 */
/* PeerHello and PeerProof from the asking side. */
#include "replicate/peer/hello.h"

#include "base/assertion.h"
#include "base/report.h"
#include "wire/api_peer_hello.h"
#include "wire/api_peer_proof.h"
#include "wire/frame.h"

#include <stdio.h>
#include <string.h>

/* Correlation ids: an answer to anything else is none. */
enum { HELLO_ID = 1, PROOF_ID = 2, ANSWER_ARENA_BYTES = 16 * 1024 };

void hello_init(struct hello *hello, const struct peer_token *token,
                const struct peer_identity *identity, int32_t target_node_id,
                enum peer_purpose purpose, const char *address)
{
    *hello = (struct hello){.token = token};
    (void)snprintf(hello->address, sizeof hello->address, "%s", address);
    hello->said = (struct peer_transcript){
        .version = PEER_PROTOCOL_VERSION,
        .purpose = (int8_t)purpose,
        .target_node_id = target_node_id,
        .address = slice_of(hello->address),
        .asking = *identity,
    };
}

void hello_done(struct hello *hello)
{
    memset(hello, 0, sizeof *hello);
}

/* ---- asking ---- */

static enum error request_bytes(enum api_key key, int32_t correlation_id, const void *body,
                                uint8_t ret_bytes[HELLO_FRAME_BYTES_MAX], size_t *ret_size)
{
    struct outgoing outgoing;
    enum error error = frame_request_encode(api_find((int16_t)key), 0, correlation_id,
                                            slice_of("topicfs"), body, &outgoing);
    if (error != ERROR_NONE)
        return error;
    ASSERT(outgoing.size_bytes <= HELLO_FRAME_BYTES_MAX);
    size_t size = 0;
    for (const struct chunk *chunk = outgoing.first; chunk != NULL; chunk = chunk->next) {
        memcpy(ret_bytes + size, chunk->data, chunk->size);
        size += chunk->size;
    }
    outgoing_done(&outgoing);
    *ret_size = size;
    return ERROR_NONE;
}

enum error hello_ask(struct hello *hello, uint8_t ret_bytes[HELLO_FRAME_BYTES_MAX],
                     size_t *ret_size)
{
    if (hello->token == NULL)
        return ERROR_CLUSTER_AUTHORIZATION_FAILED;
    struct peer_transcript *said = &hello->said;
    enum error error = peer_nonce_make(said->asking_nonce);
    if (error != ERROR_NONE)
        return error;
    struct peer_hello_request body;
    peer_hello_request_init(&body);
    body.protocol_version_min = PEER_PROTOCOL_VERSION;
    body.protocol_version_max = PEER_PROTOCOL_VERSION;
    body.purpose = said->purpose;
    body.cluster_id = said->asking.cluster_id;
    body.node_id = said->asking.node_id;
    body.node_uuid = said->asking.node_uuid;
    body.target_node_id = said->target_node_id;
    body.address = said->address;
    body.nonce = slice_from(said->asking_nonce, PEER_NONCE_BYTES);
    return request_bytes(API_PEER_HELLO, HELLO_ID, &body, ret_bytes, ret_size);
}

enum error hello_proof(const struct hello *hello, uint8_t ret_bytes[HELLO_FRAME_BYTES_MAX],
                       size_t *ret_size)
{
    uint8_t proof[PEER_PROOF_BYTES];
    enum error error = peer_proof_make(hello->token, PEER_ASKING, &hello->said, proof);
    if (error != ERROR_NONE)
        return error;
    struct peer_proof_request body;
    peer_proof_request_init(&body);
    body.proof = slice_from(proof, sizeof proof);
    return request_bytes(API_PEER_PROOF, PROOF_ID, &body, ret_bytes, ret_size);
}

/* ---- answers ---- */

static enum error why(char *ret_why, size_t why_size, enum error error, const char *text)
{
    (void)snprintf(ret_why, why_size, "%s", text);
    return error;
}

/* The other side's own words, which may be anybody's. */
static enum error refused(char *ret_why, size_t why_size, int16_t code, struct slice message)
{
    char text[PEER_ADDRESS_BYTES_MAX];
    if (slice_is_null(message) || message.size == 0)
        message = slice_of(error_text(error_from_kafka(code)));
    (void)report_escape(message.data, message.size, text, sizeof text);
    (void)snprintf(ret_why, why_size, "it refuses this node: %s", text);
    return ERROR_CLUSTER_AUTHORIZATION_FAILED;
}

static enum error answer_decode(enum api_key key, int32_t correlation_id, struct slice frame,
                                struct arena *arena, void *ret_response)
{
    const struct api *api = api_find((int16_t)key);
    struct reader reader;
    reader_init(&reader, frame);
    int32_t answered_id = 0;
    enum error error = frame_response_decode(&reader, api, 0, &answered_id);
    if (error == ERROR_NONE && answered_id != correlation_id)
        error = ERROR_MALFORMED;
    if (error == ERROR_NONE)
        error = api->response.decode(&reader, 0, arena, ret_response);
    return error;
}

static enum error no_node(char *ret_why, size_t why_size, enum error error)
{
    if (error == ERROR_OUT_OF_MEMORY)
        return why(ret_why, why_size, error, error_text(error));
    return why(ret_why, why_size, ERROR_LEADER_NOT_AVAILABLE, "what listens there is no node");
}

/* Whether it is the node that was meant; said->answering is what it says. */
static enum error hello_fits(const struct peer_transcript *said, char *ret_why, size_t why_size)
{
    const struct peer_identity *own = &said->asking;
    const struct peer_identity *other = &said->answering;
    if (!uuid_is_zero(&own->cluster_id) && !uuid_is_zero(&other->cluster_id) &&
        !uuid_equals(&own->cluster_id, &other->cluster_id)) {
        char theirs[UUID_TEXT_BYTES];
        char ours[UUID_TEXT_BYTES];
        uuid_to_text(&other->cluster_id, theirs);
        uuid_to_text(&own->cluster_id, ours);
        (void)snprintf(ret_why, why_size,
                       "it is of cluster %s, this is %s: correct topicfs.nodes or its address",
                       theirs, ours);
        return ERROR_INCONSISTENT_CLUSTER_ID;
    }
    if (said->target_node_id >= 0 && other->node_id != said->target_node_id) {
        if (other->node_id < 0)
            return why(ret_why, why_size, ERROR_LEADER_NOT_AVAILABLE,
                       "what listens there is a node that has not joined yet");
        (void)snprintf(ret_why, why_size, "node %d listens there", other->node_id);
        return ERROR_LEADER_NOT_AVAILABLE;
    }
    return ERROR_NONE;
}

enum error hello_answer(struct hello *hello, struct slice frame, char *ret_why, size_t why_size)
{
    struct arena arena;
    arena_init(&arena, ANSWER_ARENA_BYTES);
    struct peer_hello_response response;
    enum error error = answer_decode(API_PEER_HELLO, HELLO_ID, frame, &arena, &response);
    struct peer_transcript *said = &hello->said;
    if (error != ERROR_NONE) {
        error = no_node(ret_why, why_size, error);
    } else if (response.error_code != 0) {
        error = refused(ret_why, why_size, response.error_code, response.error_message);
    } else if (response.nonce.size != PEER_NONCE_BYTES ||
               response.protocol_version != PEER_PROTOCOL_VERSION) {
        error = no_node(ret_why, why_size, ERROR_MALFORMED);
    } else {
        said->answering =
            (struct peer_identity){response.cluster_id, response.node_id, response.node_uuid};
        memcpy(said->answering_nonce, response.nonce.data, PEER_NONCE_BYTES);
        error = hello_fits(said, ret_why, why_size);
    }
    arena_done(&arena);
    return error;
}

enum error hello_proof_answer(const struct hello *hello, struct slice frame, char *ret_why,
                              size_t why_size)
{
    struct arena arena;
    arena_init(&arena, ANSWER_ARENA_BYTES);
    struct peer_proof_response response;
    enum error error = answer_decode(API_PEER_PROOF, PROOF_ID, frame, &arena, &response);
    if (error != ERROR_NONE) {
        error = no_node(ret_why, why_size, error);
    } else if (response.error_code != 0) {
        error = refused(ret_why, why_size, response.error_code, response.error_message);
    } else {
        error = peer_proof_check(hello->token, PEER_ANSWERING, &hello->said, response.proof);
        if (error == ERROR_CLUSTER_AUTHORIZATION_FAILED)
            error = why(ret_why, why_size, error,
                        "it does not know this cluster's token and asked for ours: check what "
                        "listens there");
        else if (error != ERROR_NONE)
            error = why(ret_why, why_size, error, error_text(error));
    }
    arena_done(&arena);
    return error;
}
