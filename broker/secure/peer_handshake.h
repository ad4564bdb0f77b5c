/* SPDX-License-Identifier: Apache-2.0 */
/* How two nodes prove to each other that they know the cluster's token, without showing it.
 *
 *   asking node                                              answering node
 *     PEER_HELLO    who I am, whom I want, my nonce  ------>
 *                   <------  who I am, my nonce              (nothing that needs the token)
 *     PEER_PROOF    HMAC(token, "ask" | transcript)  ------>  compared in constant time
 *                   <------  HMAC(token, "answer" | transcript)
 *
 * The transcript is everything both have said: version, purpose, identities, target, address and
 * nonces, each with its length. The asking node proves first, so that whoever merely reaches the
 * port learns nothing that a guess at the token could be tried on. A proof fits one direction of
 * one exchange only. Pure, but for the nonces. */
#ifndef BROKER_SECURE_PEER_HANDSHAKE_H
#define BROKER_SECURE_PEER_HANDSHAKE_H

#include "base/slice.h"
#include "base/uuid.h"
#include "secure/peer_token.h"

enum {
    PEER_PROTOCOL_VERSION = 1, /* The newest this build speaks, and the oldest. */
    PEER_NONCE_BYTES = 32,
    PEER_PROOF_BYTES = 32,
    PEER_ADDRESS_BYTES_MAX = 300
};

/* Values of PeerHello.Purpose. */
enum peer_purpose {
    PEER_ORDERED,   /* Requests, answered in their order. */
    PEER_UNORDERED, /* Requests, each answered when it is done: by correlation id. */
    PEER_RAFT       /* No more requests: the socket becomes Raft's. */
};

/* Who a node is. */
struct peer_identity {
    struct uuid cluster_id; /* Zero: not formed, or not joined yet. */
    int32_t node_id;        /* -1: not given yet. */
    struct uuid node_uuid;  /* Made with the data directory. */
};

/* Everything said in the two hellos. */
struct peer_transcript {
    int16_t version;
    int8_t purpose;
    int32_t target_node_id;
    struct slice address; /* Of the asking node, for Raft; may be empty. Borrowed. */
    struct peer_identity asking;
    struct peer_identity answering;
    uint8_t asking_nonce[PEER_NONCE_BYTES];
    uint8_t answering_nonce[PEER_NONCE_BYTES];
};

enum peer_side { PEER_ASKING, PEER_ANSWERING };

/* Unpredictable bytes; OUT_OF_MEMORY when the system has none to give. */
enum error peer_nonce_make(uint8_t ret_nonce[PEER_NONCE_BYTES]);

/* What `side` sends. OUT_OF_MEMORY. */
enum error peer_proof_make(const struct peer_token *token, enum peer_side side,
                           const struct peer_transcript *transcript,
                           uint8_t ret_proof[PEER_PROOF_BYTES]);

/* Whether `proof` is what `side` has to send, in a time that does not tell how much of it is.
 * CLUSTER_AUTHORIZATION_FAILED when not; OUT_OF_MEMORY. */
enum error peer_proof_check(const struct peer_token *token, enum peer_side side,
                            const struct peer_transcript *transcript, struct slice proof);

#endif
