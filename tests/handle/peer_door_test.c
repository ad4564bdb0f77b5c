/* SPDX-License-Identifier: Apache-2.0 */
/* The door other nodes come in by: who gets in, as what, and what everybody else is told. */
#include "handle/peer_door.h"

#include "base/monitor.h"
#include "handle/handlers.h"
#include "wire/api_cluster_query.h"
#include "wire/api_node_heartbeat.h"
#include "wire/api_peer_hello.h"
#include "wire/api_peer_proof.h"

#include <cmocka.h>

static const struct peer_token token = {.bytes = "0123456789abcdef", .size = 16};

/* A node and one connection to it. */
struct house {
    struct monitor *monitor;
    struct broker broker;
    struct peer_doorkeeper keeper;
    enum peer_standing standing;
    struct peer_door door;
    struct peer_transcript said; /* As the asking side has it. */
    struct request request;
    int done;
};

static enum peer_standing standing_of(void *context, const struct peer_identity *peer)
{
    (void)peer;
    return ((struct house *)context)->standing;
}

static void house_open(struct house *house)
{
    *house = (struct house){.standing = PEER_STANDING_UNKNOWN};
    assert_int_equal(monitor_new(1, NULL, NULL, &house->monitor), ERROR_NONE);
    house->keeper = (struct peer_doorkeeper){
        .token = &token,
        .identity = {.cluster_id = {{1}}, .node_id = 2, .node_uuid = {{22}}},
        .standing = standing_of,
        .context = house,
    };
    house->broker.executor = monitor_executor(house->monitor);
    house->broker.doorkeeper = &house->keeper;
    house->said = (struct peer_transcript){
        .version = PEER_PROTOCOL_VERSION,
        .purpose = PEER_ORDERED,
        .target_node_id = 2,
        .address = SLICE_EMPTY,
        .asking = {.cluster_id = {{1}}, .node_id = 1, .node_uuid = {{11}}},
        .asking_nonce = {7},
    };
}

static void house_close(struct house *house)
{
    monitor_free(house->monitor);
}

static void request_ended(struct request *request)
{
    container_of(request, struct house, request)->done++;
}

static void *request_begin(struct house *house, enum api_key key)
{
    const struct api *api = api_find((int16_t)key);
    request_init(&house->request, &house->broker, api, api->version_max);
    house->request.done = request_ended;
    house->request.door = &house->door;
    house->request.body = arena_allocate(&house->request.arena, api->request.size);
    assert_non_null(house->request.body);
    api->request.init(house->request.body);
    return house->request.body;
}

static void request_run(struct house *house)
{
    house->done = 0;
    monitor_enter(house->monitor);
    handle_start(&house->request);
    monitor_leave(house->monitor);
    assert_int_equal(house->done, 1);
}

static struct peer_hello_request *hello_begin(struct house *house)
{
    struct peer_hello_request *body = request_begin(house, API_PEER_HELLO);
    body->protocol_version_min = PEER_PROTOCOL_VERSION;
    body->protocol_version_max = PEER_PROTOCOL_VERSION;
    body->purpose = house->said.purpose;
    body->cluster_id = house->said.asking.cluster_id;
    body->node_id = house->said.asking.node_id;
    body->node_uuid = house->said.asking.node_uuid;
    body->target_node_id = house->said.target_node_id;
    body->address = house->said.address;
    body->nonce = slice_from(house->said.asking_nonce, PEER_NONCE_BYTES);
    return body;
}

/* The code of the answer; the refusal is in the door. */
static int16_t hello_end(struct house *house)
{
    request_run(house);
    const struct peer_hello_response *response = house->request.response;
    int16_t code = response->error_code;
    assert_int_equal(house->request.close_after, code != 0);
    assert_int_equal(house->door.refusal[0] != '\0', code != 0);
    if (code == 0) {
        house->said.answering =
            (struct peer_identity){response->cluster_id, response->node_id, response->node_uuid};
        assert_int_equal(response->nonce.size, PEER_NONCE_BYTES);
        memcpy(house->said.answering_nonce, response->nonce.data, PEER_NONCE_BYTES);
    } else {
        assert_true(slice_equals_text(response->error_message, house->door.refusal));
    }
    request_done(&house->request);
    return code;
}

static int16_t hello(struct house *house)
{
    (void)hello_begin(house);
    return hello_end(house);
}

static int16_t proof_of(struct house *house, const struct peer_token *known)
{
    uint8_t bytes[PEER_PROOF_BYTES];
    assert_int_equal(peer_proof_make(known, PEER_ASKING, &house->said, bytes), ERROR_NONE);
    struct peer_proof_request *body = request_begin(house, API_PEER_PROOF);
    body->proof = slice_from(bytes, sizeof bytes);
    request_run(house);
    const struct peer_proof_response *response = house->request.response;
    int16_t code = response->error_code;
    assert_int_equal(house->request.close_after, code != 0);
    assert_int_equal(house->door.state, code == 0 ? PEER_DOOR_OPEN : PEER_DOOR_SHUT);
    if (code == 0)
        assert_int_equal(peer_proof_check(known, PEER_ANSWERING, &house->said, response->proof),
                         ERROR_NONE);
    else
        assert_int_equal(response->proof.size, 0);
    request_done(&house->request);
    return code;
}

static void expect_misfit(struct house *house, enum error error, const char *words)
{
    assert_int_equal(hello(house), 0);
    assert_int_equal(proof_of(house, &token), error_to_kafka(error));
    if (strstr(house->door.refusal, words) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", words, house->door.refusal);
    house_close(house);
}

/* Both prove the token: the connection is node 1's. */
static void a_node_with_the_token_gets_in(void **state)
{
    (void)state;
    struct house house;
    house_open(&house);
    assert_int_equal(hello(&house), 0);
    assert_int_equal(house.door.state, PEER_DOOR_GREETED);
    assert_int_equal(proof_of(&house, &token), 0);
    assert_int_equal(house.door.peer_node_id, 1);
    house_close(&house);
}

/* The hello tells nothing that depends on the token: a stranger has nothing to try guesses on. */
static void a_stranger_learns_nothing_of_the_token(void **state)
{
    (void)state;
    struct house house;
    house_open(&house);
    assert_int_equal(hello(&house), 0);
    uint8_t first[PEER_NONCE_BYTES];
    memcpy(first, house.said.answering_nonce, sizeof first);
    house.door = (struct peer_door){0};
    assert_int_equal(hello(&house), 0);
    assert_memory_not_equal(first, house.said.answering_nonce, sizeof first);
    struct peer_token other = token;
    other.bytes[0]++;
    assert_int_equal(proof_of(&house, &other), 31);
    assert_non_null(strstr(house.door.refusal, "another token"));
    house_close(&house);
}

/* A proof heard before, over a connection with other nonces. */
static void a_proof_cannot_be_used_again(void **state)
{
    (void)state;
    struct house house;
    house_open(&house);
    assert_int_equal(hello(&house), 0);
    struct peer_transcript heard = house.said;
    house.door = (struct peer_door){0};
    assert_int_equal(hello(&house), 0);
    house.said = heard;
    assert_int_equal(proof_of(&house, &token), 31);
    house_close(&house);
}

/* Damaged hellos, and steps out of order. */
static void what_is_no_hello_is_refused(void **state)
{
    (void)state;
    static uint8_t long_address[PEER_ADDRESS_BYTES_MAX + 1];
    memset(long_address, 'a', sizeof long_address);
    for (int i = 0; i < 10; i++) {
        struct house house;
        house_open(&house);
        struct peer_hello_request *body = hello_begin(&house);
        if (i == 0)
            body->nonce.size--;
        else if (i == 1)
            body->nonce = SLICE_NULL;
        else if (i == 2)
            body->purpose = 3;
        else if (i == 3)
            body->purpose = -1;
        else if (i == 4)
            body->node_id = -2;
        else if (i == 5)
            body->node_uuid = UUID_ZERO;
        else if (i == 6)
            body->address = slice_from(long_address, sizeof long_address);
        else if (i == 7)
            body->address = slice_of("a\x1b[2J:1");
        else if (i == 8)
            body->purpose = PEER_RAFT; /* Without an address. */
        else
            body->target_node_id = -2;
        assert_int_equal(hello_end(&house), 42);
        assert_int_equal(proof_of(&house, &token), 42); /* Without a hello. */
        assert_int_equal(hello(&house), 42);            /* Only one try. */
        house_close(&house);
    }
}

/* Once open, a door is shut by another hello: what a connection is does not change. */
static void an_open_door_is_not_opened_again(void **state)
{
    (void)state;
    struct house house;
    house_open(&house);
    assert_int_equal(hello(&house), 0);
    assert_int_equal(proof_of(&house, &token), 0);
    assert_int_equal(hello(&house), 42);
    assert_int_equal(house.door.state, PEER_DOOR_SHUT);
    house_close(&house);
}

/* Releases that have no protocol in common. */
static void another_release_is_told_to_upgrade(void **state)
{
    (void)state;
    struct house house;
    house_open(&house);
    struct peer_hello_request *body = hello_begin(&house);
    body->protocol_version_min = 2;
    body->protocol_version_max = 3;
    assert_int_equal(hello_end(&house), 35);
    assert_non_null(strstr(house.door.refusal, "upgrade"));
    house.door = (struct peer_door){0};
    body = hello_begin(&house);
    body->protocol_version_min = 0;
    body->protocol_version_max = 9; /* This one's is among them. */
    assert_int_equal(hello_end(&house), 0);
    house_close(&house);
}

/* Whoever knows the token and does not fit in is told why. */
static void misfits_are_told_why(void **state)
{
    (void)state;
    struct house house;
    house_open(&house);
    house.said.asking.cluster_id = (struct uuid){{9}};
    expect_misfit(&house, ERROR_INCONSISTENT_CLUSTER_ID, "correct topicfs.nodes");
    house_open(&house);
    house.said.asking.node_id = 2;
    expect_misfit(&house, ERROR_DUPLICATE_BROKER_REGISTRATION, "says it is node 2 too");
    house_open(&house);
    house.said.asking.node_uuid = house.keeper.identity.node_uuid;
    expect_misfit(&house, ERROR_DUPLICATE_BROKER_REGISTRATION, "copy of this node's data");
    house_open(&house);
    house.said.target_node_id = 3;
    expect_misfit(&house, ERROR_BROKER_ID_NOT_REGISTERED, "looks for node 3");
    house_open(&house);
    house.standing = PEER_STANDING_STALE;
    expect_misfit(&house, ERROR_BROKER_ID_NOT_REGISTERED, "another data directory");
    house_open(&house);
    house.said.purpose = PEER_RAFT;
    house.said.address = slice_of("a:1");
    house.said.asking.cluster_id = UUID_ZERO;
    expect_misfit(&house, ERROR_INCONSISTENT_CLUSTER_ID, "no place in the cluster yet");
}

/* No token, or no doorkeeper at all: a cluster of one. */
static void a_node_without_a_token_lets_nobody_in(void **state)
{
    (void)state;
    struct house house;
    house_open(&house);
    house.keeper.token = NULL;
    assert_int_equal(hello(&house), 31);
    house.door = (struct peer_door){0};
    house.broker.doorkeeper = NULL;
    assert_int_equal(hello(&house), 31);
    assert_non_null(strstr(house.door.refusal, "set topicfs.token.file"));
    house_close(&house);
}

/* Nodes that are not members yet, and this node itself, are guests. */
static void newcomers_are_guests(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct house house;
        house_open(&house);
        house.standing = PEER_STANDING_STALE; /* Which does not count for a guest. */
        if (i == 0)
            house.said.asking.cluster_id = UUID_ZERO;
        else if (i == 1)
            house.said.asking.node_id = -1;
        else if (i == 2)
            house.keeper.identity.cluster_id = UUID_ZERO;
        else
            house.said.asking = house.keeper.identity;
        assert_int_equal(hello(&house), 0);
        assert_int_equal(proof_of(&house, &token), 0);
        assert_int_equal(house.door.peer_node_id, PEER_GUEST);
        house_close(&house);
    }
}

static int16_t refused_code(struct house *house, enum api_key key, int32_t peer_node_id)
{
    (void)request_begin(house, key);
    house->request.requester.peer_node_id = peer_node_id;
    request_run(house);
    assert_true(house->request.close_after);
    const struct node_heartbeat_response *response = house->request.response;
    int16_t code = response->error_code; /* The first field of all of them. */
    request_done(&house->request);
    return code;
}

/* Requests between nodes are answered with CLUSTER_AUTHORIZATION_FAILED to anybody else, and the
 * connection is closed; a guest may not do what a member may. */
static void requests_between_nodes_are_for_nodes(void **state)
{
    (void)state;
    struct house house;
    house_open(&house);
    assert_int_equal(refused_code(&house, API_NODE_HEARTBEAT, PEER_CLIENT), 31);
    assert_int_equal(refused_code(&house, API_NODE_HEARTBEAT, PEER_GUEST), 31);
    assert_int_equal(refused_code(&house, API_CLUSTER_QUERY, PEER_CLIENT), 31);
    house_close(&house);
}

struct advertised {
    int16_t highest;
};

static void note_key(void *context, const struct api *api)
{
    struct advertised *advertised = context;
    if ((int16_t)api->key > advertised->highest)
        advertised->highest = (int16_t)api->key;
}

/* Clients are not told of them. */
static void requests_between_nodes_are_not_advertised(void **state)
{
    (void)state;
    struct advertised advertised = {0};
    handle_each_supported(note_key, &advertised);
    assert_true(advertised.highest < 10000);
    assert_true(handle_supports(API_PEER_HELLO));
    assert_true(handle_supports(API_PEER_PROOF));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_node_with_the_token_gets_in),
        cmocka_unit_test(a_stranger_learns_nothing_of_the_token),
        cmocka_unit_test(a_proof_cannot_be_used_again),
        cmocka_unit_test(what_is_no_hello_is_refused),
        cmocka_unit_test(an_open_door_is_not_opened_again),
        cmocka_unit_test(another_release_is_told_to_upgrade),
        cmocka_unit_test(misfits_are_told_why),
        cmocka_unit_test(a_node_without_a_token_lets_nobody_in),
        cmocka_unit_test(newcomers_are_guests),
        cmocka_unit_test(requests_between_nodes_are_for_nodes),
        cmocka_unit_test(requests_between_nodes_are_not_advertised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
