/* SPDX-License-Identifier: Apache-2.0 */
/* Proofs: what they cover, and that nothing else is taken for one. */
#include "secure/peer_handshake.h"

#include <cmocka.h>

static const struct peer_token token = {.bytes = "0123456789abcdef", .size = 16};

static struct peer_transcript said(void)
{
    struct peer_transcript transcript = {
        .version = 1,
        .purpose = PEER_ORDERED,
        .target_node_id = 2,
        .address = slice_of("a:9092"),
        .asking = {{{1}}, 1, {{11}}},
        .answering = {{{1}}, 2, {{22}}},
        .asking_nonce = {3},
        .answering_nonce = {4},
    };
    return transcript;
}

static void expect_other(const struct peer_transcript *other)
{
    struct peer_transcript transcript = said();
    uint8_t proof[PEER_PROOF_BYTES];
    assert_int_equal(peer_proof_make(&token, PEER_ASKING, &transcript, proof), ERROR_NONE);
    assert_int_equal(peer_proof_check(&token, PEER_ASKING, other, slice_from(proof, sizeof proof)),
                     ERROR_CLUSTER_AUTHORIZATION_FAILED);
}

/* Who knows the token and heard the same makes the same proof. */
static void a_proof_of_the_same_transcript_is_taken(void **state)
{
    (void)state;
    struct peer_transcript transcript = said();
    uint8_t proof[PEER_PROOF_BYTES];
    for (int side = PEER_ASKING; side <= PEER_ANSWERING; side++) {
        assert_int_equal(peer_proof_make(&token, (enum peer_side)side, &transcript, proof),
                         ERROR_NONE);
        assert_int_equal(peer_proof_check(&token, (enum peer_side)side, &transcript,
                                          slice_from(proof, sizeof proof)),
                         ERROR_NONE);
    }
}

/* Each thing said is covered: a proof of one transcript is none of another. */
static void a_proof_covers_everything_said(void **state)
{
    (void)state;
    struct peer_transcript other = said();
    other.version++;
    expect_other(&other);
    other = said();
    other.purpose = PEER_RAFT;
    expect_other(&other);
    other = said();
    other.target_node_id = -1;
    expect_other(&other);
    other = said();
    other.address = slice_of("b:9092");
    expect_other(&other);
    other.address = SLICE_EMPTY;
    expect_other(&other);
    struct peer_identity *identities[] = {&other.asking, &other.answering};
    for (size_t i = 0; i < 2; i++) {
        other = said();
        identities[i]->cluster_id.bytes[15]++;
        expect_other(&other);
        other = said();
        identities[i]->node_id++;
        expect_other(&other);
        other = said();
        identities[i]->node_uuid.bytes[15]++;
        expect_other(&other);
    }
    other = said();
    other.asking_nonce[PEER_NONCE_BYTES - 1]++;
    expect_other(&other);
    other = said();
    other.answering_nonce[PEER_NONCE_BYTES - 1]++;
    expect_other(&other);
}

/* Sent back to where it came from, a proof is worth nothing. */
static void a_proof_is_of_one_direction(void **state)
{
    (void)state;
    struct peer_transcript transcript = said();
    uint8_t proof[PEER_PROOF_BYTES];
    assert_int_equal(peer_proof_make(&token, PEER_ANSWERING, &transcript, proof), ERROR_NONE);
    assert_int_equal(
        peer_proof_check(&token, PEER_ASKING, &transcript, slice_from(proof, sizeof proof)),
        ERROR_CLUSTER_AUTHORIZATION_FAILED);
}

/* Another token, a longer one that begins alike, every flipped bit, every other length. */
static void nothing_else_is_a_proof(void **state)
{
    (void)state;
    struct peer_transcript transcript = said();
    uint8_t proof[PEER_PROOF_BYTES + 1] = {0};
    struct peer_token other = token;
    other.bytes[other.size++] = 'x';
    assert_int_equal(peer_proof_make(&other, PEER_ASKING, &transcript, proof), ERROR_NONE);
    assert_int_equal(
        peer_proof_check(&token, PEER_ASKING, &transcript, slice_from(proof, PEER_PROOF_BYTES)),
        ERROR_CLUSTER_AUTHORIZATION_FAILED);
    assert_int_equal(peer_proof_make(&token, PEER_ASKING, &transcript, proof), ERROR_NONE);
    for (size_t bit = 0; bit < 8 * PEER_PROOF_BYTES; bit++) {
        proof[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(
            peer_proof_check(&token, PEER_ASKING, &transcript, slice_from(proof, PEER_PROOF_BYTES)),
            ERROR_CLUSTER_AUTHORIZATION_FAILED);
        proof[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t size = 0; size <= sizeof proof; size++) {
        enum error wanted =
            size == PEER_PROOF_BYTES ? ERROR_NONE : ERROR_CLUSTER_AUTHORIZATION_FAILED;
        assert_int_equal(
            peer_proof_check(&token, PEER_ASKING, &transcript, slice_from(proof, size)), wanted);
    }
    assert_int_equal(peer_proof_check(&token, PEER_ASKING, &transcript, SLICE_NULL),
                     ERROR_CLUSTER_AUTHORIZATION_FAILED);
}

/* One proof made by another HMAC (Python's): releases must agree on the bytes. */
static void the_bytes_of_a_proof_are_agreed(void **state)
{
    (void)state;
    static const uint8_t agreed[PEER_PROOF_BYTES] = {
        0x03, 0x8b, 0x1e, 0x3a, 0x41, 0x28, 0xbd, 0xaf, 0x00, 0x39, 0x3e,
        0x6c, 0x57, 0xc6, 0x76, 0xbf, 0xe8, 0x12, 0xe2, 0x62, 0x80, 0x81,
        0x22, 0xb7, 0x1f, 0x62, 0x48, 0xae, 0x44, 0xc9, 0x0c, 0xcd};
    struct peer_transcript transcript = said();
    uint8_t proof[PEER_PROOF_BYTES];
    assert_int_equal(peer_proof_make(&token, PEER_ASKING, &transcript, proof), ERROR_NONE);
    assert_memory_equal(proof, agreed, sizeof agreed);
}

/* Nobody hears the same nonce twice. */
static void nonces_differ(void **state)
{
    (void)state;
    uint8_t first[PEER_NONCE_BYTES];
    uint8_t second[PEER_NONCE_BYTES];
    assert_int_equal(peer_nonce_make(first), ERROR_NONE);
    assert_int_equal(peer_nonce_make(second), ERROR_NONE);
    assert_memory_not_equal(first, second, sizeof first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_proof_of_the_same_transcript_is_taken),
        cmocka_unit_test(a_proof_covers_everything_said),
        cmocka_unit_test(a_proof_is_of_one_direction),
        cmocka_unit_test(nothing_else_is_a_proof),
        cmocka_unit_test(the_bytes_of_a_proof_are_agreed),
        cmocka_unit_test(nonces_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
