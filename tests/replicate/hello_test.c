/* SPDX-License-Identifier: Apache-2.0 */
/* The asking side's words against a door: what each answer means, and what damage does. */
#include "replicate/peer/hello.h"

#include "wire/api_peer_hello.h"
#include "wire/api_peer_proof.h"
#include "wire/frame.h"

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

enum { ANSWER_BYTES_MAX = 2048 };

static const struct peer_token token = {.bytes = "0123456789abcdef", .size = 16};
static const struct peer_identity asking = {{{1}}, 1, {{11}}};
static const struct peer_identity answering = {{{1}}, 2, {{22}}};

struct answer {
    uint8_t bytes[ANSWER_BYTES_MAX];
    size_t size;
};

static struct slice frame_of(const struct answer *answer)
{
    return slice_from(answer->bytes + 4, answer->size - 4); /* Without its size. */
}

static void answer_make(enum api_key key, int32_t correlation_id, const void *response,
                        struct answer *ret_answer)
{
    struct outgoing outgoing;
    assert_int_equal(
        frame_response_encode(api_find((int16_t)key), 0, correlation_id, response, &outgoing),
        ERROR_NONE);
    ret_answer->size = 0;
    for (const struct chunk *chunk = outgoing.first; chunk != NULL; chunk = chunk->next) {
        memcpy(ret_answer->bytes + ret_answer->size, chunk->data, chunk->size);
        ret_answer->size += chunk->size;
    }
    outgoing_done(&outgoing);
}

/* A hello that has been sent, and a good answer to it. */
static struct peer_hello_response begin(struct hello *hello, uint8_t nonce[PEER_NONCE_BYTES])
{
    uint8_t bytes[HELLO_FRAME_BYTES_MAX];
    size_t size;
    hello_init(hello, &token, &asking, 2, PEER_ORDERED, "a:1");
    assert_int_equal(hello_ask(hello, bytes, &size), ERROR_NONE);
    memset(nonce, 7, PEER_NONCE_BYTES);
    struct peer_hello_response response;
    peer_hello_response_init(&response);
    response.protocol_version = PEER_PROTOCOL_VERSION;
    response.cluster_id = answering.cluster_id;
    response.node_id = answering.node_id;
    response.node_uuid = answering.node_uuid;
    response.nonce = slice_from(nonce, PEER_NONCE_BYTES);
    return response;
}

static enum error hello_outcome(struct hello *hello, const struct peer_hello_response *response,
                                const char *words)
{
    struct answer answer;
    char why[320] = "";
    answer_make(API_PEER_HELLO, 1, response, &answer);
    enum error error = hello_answer(hello, frame_of(&answer), why, sizeof why);
    if (strstr(why, words) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", words, why);
    return error;
}

/* Whoever proves to know the token is the node that was meant. */
static void a_proof_of_the_token_is_taken(void **state)
{
    (void)state;
    struct hello hello;
    uint8_t nonce[PEER_NONCE_BYTES];
    struct peer_hello_response response = begin(&hello, nonce);
    assert_int_equal(hello_outcome(&hello, &response, ""), ERROR_NONE);
    uint8_t bytes[HELLO_FRAME_BYTES_MAX];
    size_t size;
    assert_int_equal(hello_proof(&hello, bytes, &size), ERROR_NONE);
    uint8_t proof[PEER_PROOF_BYTES];
    assert_int_equal(peer_proof_make(&token, PEER_ANSWERING, &hello.said, proof), ERROR_NONE);
    struct peer_proof_response last;
    peer_proof_response_init(&last);
    last.proof = slice_from(proof, sizeof proof);
    struct answer answer;
    char why[320] = "";
    answer_make(API_PEER_PROOF, 2, &last, &answer);
    assert_int_equal(hello_proof_answer(&hello, frame_of(&answer), why, sizeof why), ERROR_NONE);
    assert_string_equal(why, "");
    hello_done(&hello);
}

/* Another node, another cluster, nobody yet, another release, no nonce: not asked any further. */
static void who_is_not_meant_is_not_asked(void **state)
{
    (void)state;
    struct hello hello;
    uint8_t nonce[PEER_NONCE_BYTES];
    struct peer_hello_response response = begin(&hello, nonce);
    response.node_id = 5;
    assert_int_equal(hello_outcome(&hello, &response, "node 5 listens there"),
                     ERROR_LEADER_NOT_AVAILABLE);
    response = begin(&hello, nonce);
    response.node_id = -1;
    assert_int_equal(hello_outcome(&hello, &response, "not joined yet"),
                     ERROR_LEADER_NOT_AVAILABLE);
    response = begin(&hello, nonce);
    response.cluster_id = (struct uuid){{9}};
    assert_int_equal(hello_outcome(&hello, &response, "correct topicfs.nodes"),
                     ERROR_INCONSISTENT_CLUSTER_ID);
    response = begin(&hello, nonce);
    response.protocol_version++;
    assert_int_equal(hello_outcome(&hello, &response, "no node"), ERROR_LEADER_NOT_AVAILABLE);
    response = begin(&hello, nonce);
    response.nonce.size--;
    assert_int_equal(hello_outcome(&hello, &response, "no node"), ERROR_LEADER_NOT_AVAILABLE);
    response = begin(&hello, nonce);
    response.cluster_id = UUID_ZERO; /* It may be about to join. */
    assert_int_equal(hello_outcome(&hello, &response, ""), ERROR_NONE);
}

/* What the other says is passed on, and can not draw on the operator's terminal. */
static void a_refusal_is_passed_on_escaped(void **state)
{
    (void)state;
    struct hello hello;
    uint8_t nonce[PEER_NONCE_BYTES];
    struct peer_hello_response response = begin(&hello, nonce);
    response.error_code = 31;
    response.error_message = slice_of("no \x1b[2J\" node");
    assert_int_equal(hello_outcome(&hello, &response, "no \\x1b[2J"),
                     ERROR_CLUSTER_AUTHORIZATION_FAILED);
    response = begin(&hello, nonce);
    response.error_code = 104;
    assert_int_equal(hello_outcome(&hello, &response, "it refuses this node: another cluster"),
                     ERROR_CLUSTER_AUTHORIZATION_FAILED);
}

/* Our own proof sent back, a proof of something else, none: the other does not know the token. */
static void a_false_proof_is_not_taken(void **state)
{
    (void)state;
    struct hello hello;
    uint8_t nonce[PEER_NONCE_BYTES];
    struct peer_hello_response response = begin(&hello, nonce);
    assert_int_equal(hello_outcome(&hello, &response, ""), ERROR_NONE);
    uint8_t proof[PEER_PROOF_BYTES];
    assert_int_equal(peer_proof_make(&token, PEER_ASKING, &hello.said, proof), ERROR_NONE);
    for (size_t size = 0; size <= sizeof proof; size += sizeof proof) {
        struct peer_proof_response last;
        peer_proof_response_init(&last);
        last.proof = slice_from(proof, size);
        struct answer answer;
        char why[320] = "";
        answer_make(API_PEER_PROOF, 2, &last, &answer);
        assert_int_equal(hello_proof_answer(&hello, frame_of(&answer), why, sizeof why),
                         ERROR_CLUSTER_AUTHORIZATION_FAILED);
        assert_non_null(strstr(why, "does not know this cluster's token"));
    }
}

/* Every prefix and every changed byte of an answer ends well. */
static void damaged_answers_end_well(void **state)
{
    (void)state;
    struct hello hello;
    uint8_t nonce[PEER_NONCE_BYTES];
    char why[320];
    struct peer_hello_response response = begin(&hello, nonce);
    struct answer answer;
    answer_make(API_PEER_HELLO, 1, &response, &answer);
    struct slice whole = frame_of(&answer);
    for (size_t size = 0; size < whole.size; size++) {
        uint8_t *exact = malloc(size == 0 ? 1 : size); /* Of no byte more. */
        assert_non_null(exact);
        memcpy(exact, whole.data, size);
        assert_int_not_equal(hello_answer(&hello, slice_from(exact, size), why, sizeof why),
                             ERROR_NONE);
        free(exact);
    }
    for (size_t at = 0; at < 8 * whole.size; at++) {
        answer.bytes[4 + at / 8] ^= (uint8_t)(1 << at % 8);
        (void)hello_answer(&hello, whole, why, sizeof why);
        answer.bytes[4 + at / 8] ^= (uint8_t)(1 << at % 8);
    }
    assert_int_equal(hello_answer(&hello, whole, why, sizeof why), ERROR_NONE);
}

/* Without a token there is nothing to say. */
static void without_a_token_nothing_is_sent(void **state)
{
    (void)state;
    struct hello hello;
    uint8_t bytes[HELLO_FRAME_BYTES_MAX];
    size_t size = 7;
    hello_init(&hello, NULL, &asking, 2, PEER_ORDERED, "");
    assert_int_equal(hello_ask(&hello, bytes, &size), ERROR_CLUSTER_AUTHORIZATION_FAILED);
    assert_int_equal(size, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_proof_of_the_token_is_taken),
        cmocka_unit_test(who_is_not_meant_is_not_asked),
        cmocka_unit_test(a_refusal_is_passed_on_escaped),
        cmocka_unit_test(a_false_proof_is_not_taken),
        cmocka_unit_test(damaged_answers_end_well),
        cmocka_unit_test(without_a_token_nothing_is_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
