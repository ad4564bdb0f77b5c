/* SPDX-License-Identifier: Apache-2.0 */
/* The asking side's words of the handshake (secure/peer_handshake.h), as bytes: what to send, and
 * what an answer means. Pure, but for its nonce.
 *
 *   hello_ask -> bytes ... answer -> hello_answer -> hello_proof -> bytes ... answer
 *     -> hello_proof_answer: NONE, and both have proved the token */
#ifndef REPLICATE_PEER_HELLO_H
#define REPLICATE_PEER_HELLO_H

#include "base/slice.h"
#include "secure/peer_handshake.h"

enum { HELLO_FRAME_BYTES_MAX = 1024 /* With its size. */ };

struct hello {
    const struct peer_token *token; /* Borrowed; may be NULL: then hello_ask refuses. */
    struct peer_transcript said;
    char address[PEER_ADDRESS_BYTES_MAX + 1];
};

/* `target_node_id` -1: whoever answers. `address` is cut at PEER_ADDRESS_BYTES_MAX. */
void hello_init(struct hello *hello, const struct peer_token *token,
                const struct peer_identity *identity, int32_t target_node_id,
                enum peer_purpose purpose, const char *address);
void hello_done(struct hello *hello);

/* The frames to send. CLUSTER_AUTHORIZATION_FAILED without a token; OUT_OF_MEMORY. */
enum error hello_ask(struct hello *hello, uint8_t ret_bytes[HELLO_FRAME_BYTES_MAX],
                     size_t *ret_size);
enum error hello_proof(const struct hello *hello, uint8_t ret_bytes[HELLO_FRAME_BYTES_MAX],
                       size_t *ret_size);

/* The frames that came, without their sizes. Not NONE: the connection is of no use, and `ret_why`
 * says why in a line for the operator. INCONSISTENT_CLUSTER_ID when it says that it is of another
 * cluster, CLUSTER_AUTHORIZATION_FAILED when it refuses or does not know the token,
 * LEADER_NOT_AVAILABLE when it is not the node that was meant, or no node at all; OUT_OF_MEMORY. */
enum error hello_answer(struct hello *hello, struct slice frame, char *ret_why, size_t why_size);
enum error hello_proof_answer(const struct hello *hello, struct slice frame, char *ret_why,
                              size_t why_size);

#endif
