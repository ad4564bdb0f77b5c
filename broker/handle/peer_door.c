/* SPDX-License-Identifier: Apache-2.0 */
/* PeerHello and PeerProof: whether a connection is another node's. What the peer claims is judged
 * only once it has proved the token, so that strangers cannot make this node accuse its own. */
#include "handle/peer_door.h"

#include "base/assertion.h"
#include "handle/handlers.h"
#include "wire/api_peer_hello.h"
#include "wire/api_peer_proof.h"

#include <stdarg.h>
#include <stdio.h>

/* ---- refusing ---- */

enum { NODE_NAME_BYTES = 24 };

/* "node 3", or what has no id yet. */
static const char *node_name(int32_t node_id, char name[NODE_NAME_BYTES])
{
    if (node_id < 0)
        return "a new node";
    (void)snprintf(name, NODE_NAME_BYTES, "node %d", node_id);
    return name;
}

/* Where a response has its error. Messages go out as the operator reads them here: the one at the
 * other end sees the same line. */
struct peer_answer {
    int16_t *error_code;
    struct slice *error_message;
};

static void refuse(struct request *request, struct peer_answer answer, enum error error,
                   const char *format, ...) __attribute__((format(printf, 4, 5)));

static void refuse(struct request *request, struct peer_answer answer, enum error error,
                   const char *format, ...)
{
    struct peer_door *door = request->door;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(door->refusal, sizeof door->refusal, format, arguments);
    va_end(arguments);
    door->state = PEER_DOOR_SHUT;
    *answer.error_code = error_to_kafka(error);
    *answer.error_message = arena_copy(&request->arena, slice_of(door->refusal));
    request->close_after = true;
    request_complete(request);
}

/* ---- PeerHello ---- */

static bool address_valid(struct slice address)
{
    if (address.size > PEER_ADDRESS_BYTES_MAX)
        return false;
    for (size_t i = 0; i < address.size; i++) {
        if (address.data[i] <= ' ' || address.data[i] > '~')
            return false;
    }
    return true;
}

static bool hello_valid(const struct peer_hello_request *body)
{
    return body->purpose >= PEER_ORDERED && body->purpose <= PEER_RAFT &&
           body->protocol_version_min <= body->protocol_version_max && body->node_id >= -1 &&
           body->target_node_id >= -1 && body->nonce.size == PEER_NONCE_BYTES &&
           !uuid_is_zero(&body->node_uuid) && address_valid(body->address) &&
           (body->purpose != PEER_RAFT || body->address.size > 0);
}

/* Keeps what was said, without the answering nonce. */
static void door_greet(struct peer_door *door, const struct peer_hello_request *body,
                       const struct peer_identity *own)
{
    memcpy(door->address, body->address.data, body->address.size);
    door->address[body->address.size] = '\0';
    door->purpose = (enum peer_purpose)body->purpose;
    door->transcript = (struct peer_transcript){
        .version = PEER_PROTOCOL_VERSION,
        .purpose = body->purpose,
        .target_node_id = body->target_node_id,
        .address = slice_from(door->address, body->address.size),
        .asking = {body->cluster_id, body->node_id, body->node_uuid},
        .answering = *own,
    };
    memcpy(door->transcript.asking_nonce, body->nonce.data, PEER_NONCE_BYTES);
}

void handle_peer_hello(struct request *request)
{
    const struct peer_hello_request *body = request->body;
    struct peer_door *door = request->door;
    const struct peer_doorkeeper *keeper = request->broker->doorkeeper;
    struct peer_hello_response *response = request_response(request);
    if (response == NULL || door == NULL) { /* The mount is no connection. */
        request_fail(request);
        return;
    }
    struct peer_answer answer = {&response->error_code, &response->error_message};
    if (keeper == NULL || keeper->token == NULL) {
        refuse(request, answer, ERROR_CLUSTER_AUTHORIZATION_FAILED,
               "this node is in no cluster: to let others in set topicfs.token.file");
        return;
    }
    if (body->protocol_version_min > PEER_PROTOCOL_VERSION ||
        body->protocol_version_max < PEER_PROTOCOL_VERSION) {
        refuse(request, answer, ERROR_UNSUPPORTED_VERSION,
               "a node of another release speaks protocol %d to %d, this one %d: upgrade the older",
               body->protocol_version_min, body->protocol_version_max, PEER_PROTOCOL_VERSION);
        return;
    }
    if (door->state != PEER_DOOR_SHUT || door->refusal[0] != '\0' || !hello_valid(body)) {
        refuse(request, answer, ERROR_INVALID_REQUEST, "not the hello of a node");
        return;
    }
    door_greet(door, body, &keeper->identity);
    if (peer_nonce_make(door->transcript.answering_nonce) != ERROR_NONE) {
        request_fail(request);
        return;
    }
    door->state = PEER_DOOR_GREETED;
    response->protocol_version = PEER_PROTOCOL_VERSION;
    response->cluster_id = keeper->identity.cluster_id;
    response->node_id = keeper->identity.node_id;
    response->node_uuid = keeper->identity.node_uuid;
    response->nonce = slice_from(door->transcript.answering_nonce, PEER_NONCE_BYTES);
    request_complete(request);
}

/* ---- PeerProof ---- */

static bool both_formed(const struct peer_transcript *said)
{
    return !uuid_is_zero(&said->asking.cluster_id) && !uuid_is_zero(&said->answering.cluster_id);
}

static bool foreign(const struct peer_transcript *said)
{
    return both_formed(said) && !uuid_equals(&said->asking.cluster_id, &said->answering.cluster_id);
}

static void refuse_unproved(struct request *request, struct peer_answer answer)
{
    const struct peer_transcript *said = &request->door->transcript;
    char name[NODE_NAME_BYTES];
    char asking[UUID_TEXT_BYTES];
    char answering[UUID_TEXT_BYTES];
    uuid_to_text(&said->asking.cluster_id, asking);
    uuid_to_text(&said->answering.cluster_id, answering);
    if (foreign(said))
        refuse(request, answer, ERROR_CLUSTER_AUTHORIZATION_FAILED,
               "%s has another token and is of cluster %s, this is %s: correct "
               "topicfs.nodes there",
               node_name(said->asking.node_id, name), asking, answering);
    else
        refuse(request, answer, ERROR_CLUSTER_AUTHORIZATION_FAILED,
               "%s has another token: copy the file topicfs.token.file names from this node",
               node_name(said->asking.node_id, name));
}

/* A node with the token: whether it is who it says, and wants this node. */
static bool refuse_misfit(struct request *request, struct peer_answer answer)
{
    const struct peer_transcript *said = &request->door->transcript;
    const struct peer_identity *asking = &said->asking;
    const struct peer_identity *answering = &said->answering;
    bool same_uuid = uuid_equals(&asking->node_uuid, &answering->node_uuid);
    char name[NODE_NAME_BYTES];
    if (foreign(said)) {
        char theirs[UUID_TEXT_BYTES];
        char ours[UUID_TEXT_BYTES];
        uuid_to_text(&asking->cluster_id, theirs);
        uuid_to_text(&answering->cluster_id, ours);
        refuse(request, answer, ERROR_INCONSISTENT_CLUSTER_ID,
               "%s is of cluster %s, this is %s: correct topicfs.nodes there",
               node_name(asking->node_id, name), theirs, ours);
        return true;
    }
    if (asking->node_id >= 0 && asking->node_id == answering->node_id && !same_uuid) {
        refuse(request, answer, ERROR_DUPLICATE_BROKER_REGISTRATION,
               "another node says it is node %d too: give it a node.id of its own",
               asking->node_id);
        return true;
    }
    if (same_uuid && asking->node_id != answering->node_id && asking->node_id >= 0 &&
        answering->node_id >= 0) {
        refuse(request, answer, ERROR_DUPLICATE_BROKER_REGISTRATION,
               "node %d runs on a copy of this node's data directory: start it with an empty one",
               asking->node_id);
        return true;
    }
    if (said->target_node_id >= 0 && said->target_node_id != answering->node_id) {
        char own_name[NODE_NAME_BYTES];
        refuse(request, answer, ERROR_BROKER_ID_NOT_REGISTERED,
               "%s looks for node %d here, this is %s: its address has changed",
               node_name(asking->node_id, name), said->target_node_id,
               node_name(answering->node_id, own_name));
        return true;
    }
    return false;
}

static bool refuse_stale(struct request *request, struct peer_answer answer)
{
    const struct peer_doorkeeper *keeper = request->broker->doorkeeper;
    const struct peer_identity *asking = &request->door->transcript.asking;
    if (keeper->standing == NULL ||
        keeper->standing(keeper->context, asking) != PEER_STANDING_STALE)
        return false;
    refuse(request, answer, ERROR_BROKER_ID_NOT_REGISTERED,
           "node %d has another data directory than the node %d that is registered: start it with "
           "that one, or empty to join as a new node",
           asking->node_id, asking->node_id);
    return true;
}

/* Whoever has no id or no cluster yet, or is this node itself, may ask and join, no more. */
static int32_t place_of(const struct peer_transcript *said)
{
    bool itself = uuid_equals(&said->asking.node_uuid, &said->answering.node_uuid);
    if (!both_formed(said) || said->asking.node_id < 0 || said->answering.node_id < 0 || itself)
        return PEER_GUEST;
    return said->asking.node_id;
}

static void door_open(struct request *request, struct peer_proof_response *response)
{
    struct peer_door *door = request->door;
    uint8_t *proof = arena_allocate(&request->arena, PEER_PROOF_BYTES);
    if (proof == NULL || peer_proof_make(request->broker->doorkeeper->token, PEER_ANSWERING,
                                         &door->transcript, proof) != ERROR_NONE) {
        request_fail(request);
        return;
    }
    door->peer_node_id = place_of(&door->transcript);
    door->state = PEER_DOOR_OPEN;
    response->proof = slice_from(proof, PEER_PROOF_BYTES);
    request_complete(request);
}

void handle_peer_proof(struct request *request)
{
    const struct peer_proof_request *body = request->body;
    struct peer_door *door = request->door;
    const struct peer_doorkeeper *keeper = request->broker->doorkeeper;
    struct peer_proof_response *response = request_response(request);
    if (response == NULL || door == NULL) {
        request_fail(request);
        return;
    }
    struct peer_answer answer = {&response->error_code, &response->error_message};
    if (door->state != PEER_DOOR_GREETED) {
        refuse(request, answer, ERROR_INVALID_REQUEST, "a proof without a hello");
        return;
    }
    ASSERT(keeper != NULL);
    enum error error = peer_proof_check(keeper->token, PEER_ASKING, &door->transcript, body->proof);
    if (error == ERROR_OUT_OF_MEMORY) {
        request_fail(request);
        return;
    }
    if (error != ERROR_NONE) {
        refuse_unproved(request, answer);
        return;
    }
    if (refuse_misfit(request, answer))
        return;
    bool member = place_of(&door->transcript) >= 0;
    if (member && refuse_stale(request, answer))
        return;
    if (!member && door->purpose == PEER_RAFT) {
        char name[NODE_NAME_BYTES];
        refuse(request, answer, ERROR_INCONSISTENT_CLUSTER_ID,
               "Raft from %s, which has no place in the cluster yet",
               node_name(door->transcript.asking.node_id, name));
        return;
    }
    door_open(request, response);
}
