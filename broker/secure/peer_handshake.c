/* SPDX-License-Identifier: Apache-2.0 */
/* The transcript and its HMAC-SHA256 (RFC 2104), by OpenSSL.
 *
 *   context | 0 | side 1 | version 2 | purpose 1 | target 4 | address size 2 | address
 *   | cluster 16 | node 4 | uuid 16  (asking)  | the same (answering) | nonce 32 | nonce 32 */
#include "secure/peer_handshake.h"

#include "base/assertion.h"
#include "base/byteorder.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

static const char context_text[] = "topicfs peer handshake";

enum {
    IDENTITY_BYTES = UUID_BYTES + 4 + UUID_BYTES,
    TRANSCRIPT_BYTES_MAX = sizeof context_text + 1 + 2 + 1 + 4 + 2 + PEER_ADDRESS_BYTES_MAX +
                           2 * IDENTITY_BYTES + 2 * PEER_NONCE_BYTES
};

_Static_assert(PEER_PROOF_BYTES == 32, "an HMAC-SHA256 is 32 bytes");

enum error peer_nonce_make(uint8_t ret_nonce[PEER_NONCE_BYTES])
{
    return RAND_bytes(ret_nonce, PEER_NONCE_BYTES) == 1 ? ERROR_NONE : ERROR_OUT_OF_MEMORY;
}

static uint8_t *put(uint8_t *to, const void *bytes, size_t size)
{
    memcpy(to, bytes, size);
    return to + size;
}

static uint8_t *put_identity(uint8_t *to, const struct peer_identity *identity)
{
    to = put(to, identity->cluster_id.bytes, UUID_BYTES);
    store_be32(to, (uint32_t)identity->node_id);
    return put(to + 4, identity->node_uuid.bytes, UUID_BYTES);
}

static size_t transcript_encode(enum peer_side side, const struct peer_transcript *transcript,
                                uint8_t ret_bytes[TRANSCRIPT_BYTES_MAX])
{
    ASSERT(transcript->address.size <= PEER_ADDRESS_BYTES_MAX);
    uint8_t *to = put(ret_bytes, context_text, sizeof context_text); /* With its NUL. */
    *to++ = (uint8_t)side;
    store_be16(to, (uint16_t)transcript->version);
    to += 2;
    *to++ = (uint8_t)transcript->purpose;
    store_be32(to, (uint32_t)transcript->target_node_id);
    to += 4;
    store_be16(to, (uint16_t)transcript->address.size);
    to += 2;
    if (transcript->address.size > 0)
        to = put(to, transcript->address.data, transcript->address.size);
    to = put_identity(to, &transcript->asking);
    to = put_identity(to, &transcript->answering);
    to = put(to, transcript->asking_nonce, PEER_NONCE_BYTES);
    to = put(to, transcript->answering_nonce, PEER_NONCE_BYTES);
    ASSERT((size_t)(to - ret_bytes) <= TRANSCRIPT_BYTES_MAX);
    return (size_t)(to - ret_bytes);
}

enum error peer_proof_make(const struct peer_token *token, enum peer_side side,
                           const struct peer_transcript *transcript,
                           uint8_t ret_proof[PEER_PROOF_BYTES])
{
    ASSERT(token->size >= PEER_TOKEN_BYTES_MIN);
    uint8_t bytes[TRANSCRIPT_BYTES_MAX];
    size_t size = transcript_encode(side, transcript, bytes);
    unsigned int proof_size = 0;
    const uint8_t *made =
        HMAC(EVP_sha256(), token->bytes, (int)token->size, bytes, size, ret_proof, &proof_size);
    if (made == NULL)
        return ERROR_OUT_OF_MEMORY;
    ASSERT(proof_size == PEER_PROOF_BYTES);
    return ERROR_NONE;
}

enum error peer_proof_check(const struct peer_token *token, enum peer_side side,
                            const struct peer_transcript *transcript, struct slice proof)
{
    uint8_t wanted[PEER_PROOF_BYTES];
    enum error error = peer_proof_make(token, side, transcript, wanted);
    if (error != ERROR_NONE)
        return error;
    if (proof.size != PEER_PROOF_BYTES || CRYPTO_memcmp(proof.data, wanted, sizeof wanted) != 0)
        error = ERROR_CLUSTER_AUTHORIZATION_FAILED;
    OPENSSL_cleanse(wanted, sizeof wanted);
    return error;
}
