/* SPDX-License-Identifier: Apache-2.0 */
/* The handshake between real nodes: the right one, and every wrong one. */
#include "peer_fixture.h"

#include "base/report.h"

#include <arpa/inet.h>
#include <cmocka.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct both {
    struct answerer answerer;
    struct asker asker;
};

static void both_init(struct both *both)
{
    answerer_init(&both->answerer);
    answerer_start(&both->answerer);
    asker_init(&both->asker, both->answerer.port);
}

static void both_stop(struct both *both)
{
    asker_stop(&both->asker);
    answerer_stop(&both->answerer);
}

/* One call, and how it ends. */
static enum error outcome(struct both *both)
{
    struct asked asked;
    ask_read(&both->asker, &asked, CALL_CONTROL, 7, 100);
    return asked_wait(&asked);
}

struct search {
    const char *words;
    bool found;
};

static void look_for(void *context, const char *line)
{
    struct search *search = context;
    search->found = search->found || strstr(line, search->words) != NULL;
}

static bool reported(const char *words)
{
    struct search search = {.words = words};
    report_each_kept(look_for, &search);
    return search.found;
}

/* A line a second is told of a peer: asks until it is told of this one. Stops both. */
static void wait_reported(struct both *both, enum error error, const char *words)
{
    for (int i = 0; i < 2000 && !reported(words); i++) {
        asker_start(&both->asker);
        assert_int_equal(outcome(both), error);
        asker_stop(&both->asker);
    }
    if (!reported(words))
        fail_msg("nobody reported: %s", words);
    assert_int_equal(answerer_served(&both->answerer), 0);
    answerer_stop(&both->answerer);
}

static void expect_refused(struct both *both, const char *words)
{
    wait_reported(both, ERROR_CLUSTER_AUTHORIZATION_FAILED, words);
}

/* Both know the token: the request arrives as node 1's. */
static void nodes_of_one_cluster_talk(void **state)
{
    (void)state;
    struct both both;
    both_init(&both);
    asker_start(&both.asker);
    assert_int_equal(outcome(&both), ERROR_NONE);
    assert_int_equal(both.answerer.last_peer, 1);
    both_stop(&both);
}

/* Tokens that differ in their last byte. */
static void another_token_is_refused(void **state)
{
    (void)state;
    struct both both;
    both_init(&both);
    both.asker.token.bytes[both.asker.token.size - 1]++;
    expect_refused(&both, "node 1 has another token: copy the file");
}

/* The same token by mistake, and another cluster. */
static void a_foreign_cluster_is_refused(void **state)
{
    (void)state;
    struct both both;
    both_init(&both);
    both.asker.identity.cluster_id = (struct uuid){{9}};
    wait_reported(&both, ERROR_INCONSISTENT_CLUSTER_ID, "correct topicfs.nodes or its address");
}

/* Two clusters pointed at each other: other token, other id. */
static void two_clusters_leave_each_other_alone(void **state)
{
    (void)state;
    struct both both;
    both_init(&both);
    both.asker.identity.cluster_id = (struct uuid){{9}};
    both.asker.token.bytes[0]++;
    wait_reported(&both, ERROR_INCONSISTENT_CLUSTER_ID, "it is of cluster");
}

/* Another machine with the answering node's id. */
static void a_duplicate_id_is_refused(void **state)
{
    (void)state;
    struct both both;
    both_init(&both);
    both.asker.identity.node_id = 2;
    expect_refused(&both, "another node says it is node 2 too");
}

/* Another id on a copy of the answering node's data directory. */
static void a_copied_data_directory_is_refused(void **state)
{
    (void)state;
    struct both both;
    both_init(&both);
    both.asker.identity.node_uuid = both.answerer.keeper.identity.node_uuid;
    expect_refused(&both, "copy of this node's data directory");
}

/* The id is registered with another data directory. */
static void a_stale_data_directory_is_refused(void **state)
{
    (void)state;
    struct both both;
    both_init(&both);
    both.answerer.standing = PEER_STANDING_STALE;
    expect_refused(&both, "another data directory than the node 1 that is registered");
}

/* This node has no token: it is in no cluster. */
static void without_a_token_nobody_is_let_in(void **state)
{
    (void)state;
    struct both both;
    both_init(&both);
    both.answerer.keeper.token = NULL;
    expect_refused(&both, "to let others in set topicfs.token.file");
}

/* The asking node has none. */
static void without_a_token_nobody_is_asked(void **state)
{
    (void)state;
    struct both both;
    both_init(&both);
    both.asker.token.size = 0;
    asker_start(&both.asker);
    assert_int_equal(outcome(&both), ERROR_CLUSTER_AUTHORIZATION_FAILED);
    assert_int_equal(net_connection_count(both.answerer.net), 0);
    both_stop(&both);
}

/* Another node listens at the address of node 2: its address has changed. */
static void another_node_at_the_address_is_not_asked(void **state)
{
    (void)state;
    struct both both;
    both_init(&both);
    both.answerer.keeper.identity.node_id = 5;
    wait_reported(&both, ERROR_LEADER_NOT_AVAILABLE, "node 5 listens there");
}

/* A node that has not joined is a guest at one that has, and the other way round. */
static void a_node_without_a_cluster_is_a_guest(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct both both;
        both_init(&both);
        struct peer_identity *identity =
            i == 0 ? &both.asker.identity : &both.answerer.keeper.identity;
        identity->cluster_id = UUID_ZERO;
        asker_start(&both.asker);
        assert_int_equal(outcome(&both), ERROR_NONE);
        assert_int_equal(both.answerer.last_peer, PEER_GUEST);
        both_stop(&both);
    }
}

/* Identities told later are those of later connections. */
static void a_guest_that_was_given_an_id_comes_back_as_a_node(void **state)
{
    (void)state;
    struct both both;
    both_init(&both);
    struct peer_identity given = both.asker.identity;
    both.asker.identity.node_id = -1;
    both.asker.identity.cluster_id = UUID_ZERO;
    asker_start(&both.asker);
    assert_int_equal(outcome(&both), ERROR_NONE);
    assert_int_equal(both.answerer.last_peer, PEER_GUEST);
    peers_identify(both.asker.peers, &given);
    struct asked asked;
    ask_read(&both.asker, &asked, CALL_READ, 0, 1); /* A connection of its own. */
    assert_int_equal(asked_wait(&asked), ERROR_NONE);
    assert_int_equal(both.answerer.last_peer, 1);
    both_stop(&both);
}

/* Asked by host and port, before any id is known. */
static void a_host_and_port_can_be_asked(void **state)
{
    (void)state;
    struct both both;
    both_init(&both);
    asker_start(&both.asker);
    struct asked asked = {0};
    call_init(&asked.call, peers_caller(both.asker.peers), api_find(API_TEXT_READ), -1,
              CALL_CONTROL, 10000);
    struct addrinfo *known = NULL; /* A name has to be looked up, where the system has one. */
    asked.call.host = getaddrinfo("localhost", NULL, NULL, &known) == 0 ? "localhost" : "127.0.0.1";
    if (known != NULL)
        freeaddrinfo(known);
    asked.call.port = both.answerer.port;
    asked.call.body = &asked.body.text_read;
    asked_begin(&both.asker, &asked);
    assert_int_equal(asked_wait(&asked), ERROR_NONE);
    struct asked other = {0};
    call_init(&other.call, peers_caller(both.asker.peers), api_find(API_TEXT_READ), -1,
              CALL_CONTROL, 10000);
    other.call.host = "name.invalid";
    other.call.port = 1;
    other.call.body = &other.body.text_read;
    asked_begin(&both.asker, &other);
    assert_int_equal(asked_wait(&other), ERROR_LEADER_NOT_AVAILABLE);
    both_stop(&both);
}

/* What accepts connections and never answers is given up after the attempt's time, and whoever
 * listens there is not told the token. */
static void a_silent_listener_is_given_up(void **state)
{
    (void)state;
    struct both both;
    both_init(&both);
    struct wire wire;
    wire_start(&wire, both.answerer.port);
    atomic_store(&wire.mode, WIRE_STALL);
    both.asker.attempt_timeout_ms = 100;
    for (int at = 0; at <= 60; at += 60) { /* Before the hello's answer, and before the proof's. */
        atomic_store(&wire.at, at);
        asker_init(&both.asker, wire.port);
        both.asker.attempt_timeout_ms = 100;
        asker_start(&both.asker);
        assert_int_equal(outcome(&both), ERROR_LEADER_NOT_AVAILABLE);
        asker_stop(&both.asker);
    }
    wire_stop(&wire);
    answerer_stop(&both.answerer);
}

/* The answer to the handshake is cut at every byte, and every byte of it is changed: the call ends,
 * and no request is sent to what is not proved. */
static void no_damaged_handshake_is_taken(void **state)
{
    (void)state;
    struct both both;
    both_init(&both);
    struct wire wire;
    wire_start(&wire, both.answerer.port);
    both.asker.attempt_timeout_ms = 200;
    static const uint8_t evil[300] = {0xff};
    wire.evil = evil;
    int size = 0; /* Of both answers; learnt by a handshake that is let through. */
    asker_init(&both.asker, wire.port);
    asker_start(&both.asker);
    assert_int_equal(outcome(&both), ERROR_NONE);
    size = atomic_load(&wire.answered) - (4 + 4 + 1 + 2 + 8 + 8 + 1 + 100 + 1);
    asker_stop(&both.asker);
    assert_true(size > 100);
    int served = answerer_served(&both.answerer);
    static const int modes[] = {WIRE_CUT, WIRE_RESET, WIRE_REPLACE};
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        atomic_store(&wire.mode, modes[i]);
        for (int at = 0; at < size; at += i == 2 ? 5 : 3) {
            atomic_store(&wire.at, at);
            asker_init(&both.asker, wire.port);
            both.asker.attempt_timeout_ms = 200;
            asker_start(&both.asker);
            enum error error = outcome(&both);
            assert_true(error == ERROR_LEADER_NOT_AVAILABLE ||
                        error == ERROR_CLUSTER_AUTHORIZATION_FAILED);
            asker_stop(&both.asker);
        }
    }
    assert_int_equal(answerer_served(&both.answerer), served);
    wire_stop(&wire);
    answerer_stop(&both.answerer);
}

/* ---- Raft's sockets ---- */

static void socket_send(int descriptor, const char *text)
{
    assert_int_equal(send(descriptor, text, strlen(text), 0), strlen(text));
}

static void socket_expect(int descriptor, const char *text)
{
    char bytes[16] = "";
    size_t size = 0;
    while (size < strlen(text)) {
        struct pollfd readable = {.fd = descriptor, .events = POLLIN};
        assert_true(poll(&readable, 1, 10000) == 1);
        ssize_t got = recv(descriptor, bytes + size, sizeof bytes - size, 0);
        assert_true(got > 0);
        size += (size_t)got;
    }
    assert_int_equal(size, strlen(text));
    assert_memory_equal(bytes, text, size);
}

struct connecting {
    struct peer_connect connect;
    enum error error;
    int descriptor;
    atomic_bool done;
};

static void connecting_done(struct peer_connect *connect, enum error error, int descriptor)
{
    struct connecting *connecting = container_of(connect, struct connecting, connect);
    connecting->error = error;
    connecting->descriptor = descriptor;
    atomic_store(&connecting->done, true);
}

static void connecting_start(struct both *both, struct connecting *connecting, uint16_t port)
{
    *connecting = (struct connecting){.descriptor = -1,
                                      .connect = {.node_id = 2,
                                                  .host = "127.0.0.1",
                                                  .port = port,
                                                  .address = "a:1",
                                                  .done = connecting_done}};
    peers_connect(both->asker.peers, &connecting->connect);
}

/* As connecting_start, while nobody knows better where the node is. */
static void connecting_start_there(struct both *both, struct connecting *connecting, uint16_t port)
{
    atomic_store(&both->asker.port, 0);
    connecting_start(both, connecting, port);
}

static void connecting_wait(struct connecting *connecting)
{
    wait_flag(&connecting->done);
}

/* The socket leaves both sides whole: the first byte behind the proof is Raft's, in both
 * directions. */
static void a_raft_socket_is_handed_over_whole(void **state)
{
    (void)state;
    struct both both;
    both_init(&both);
    asker_start(&both.asker);
    struct connecting connecting;
    connecting_start(&both, &connecting, both.answerer.port);
    connecting_wait(&connecting);
    assert_int_equal(connecting.error, ERROR_NONE);
    socket_send(connecting.descriptor, "raft");
    wait_at_least(&both.answerer.raft_descriptor, 0);
    int other = atomic_load(&both.answerer.raft_descriptor);
    socket_expect(other, "raft");
    socket_send(other, "back");
    socket_expect(connecting.descriptor, "back");
    assert_int_equal(both.answerer.raft_node_id, 1);
    assert_string_equal(both.answerer.raft_address, "a:1");
    assert_int_equal(net_connection_count(both.answerer.net), 0);
    (void)close(connecting.descriptor);
    (void)close(other);
    both_stop(&both);
}

/* Cancelled while nothing answers; ended by closing; ended because nobody listens. */
static void raft_connects_end_once_in_every_way(void **state)
{
    (void)state;
    struct both both;
    both_init(&both);
    struct wire wire;
    wire_start(&wire, both.answerer.port);
    atomic_store(&wire.mode, WIRE_STALL);
    asker_start(&both.asker);
    struct connecting connecting;
    connecting_start_there(&both, &connecting, wire.port);
    wait_at_least(&wire.connections, 1);
    peers_connect_cancel(both.asker.peers, &connecting.connect);
    connecting_wait(&connecting);
    assert_int_equal(connecting.error, ERROR_INTERRUPTED);
    connecting_start_there(&both, &connecting, 1);
    connecting_wait(&connecting);
    assert_int_equal(connecting.error, ERROR_LEADER_NOT_AVAILABLE);
    connecting_start_there(&both, &connecting, wire.port);
    both_stop(&both);
    assert_true(atomic_load(&connecting.done));
    assert_int_equal(connecting.error, ERROR_CLOSING);
    wire_stop(&wire);
}

/* Raft remembers the address a node had once; where it is now counts. */
static void raft_goes_where_the_node_is_known_to_be(void **state)
{
    (void)state;
    struct both both;
    both_init(&both);
    asker_start(&both.asker);
    struct connecting connecting;
    connecting_start(&both, &connecting, 1);
    connecting_wait(&connecting);
    assert_int_equal(connecting.error, ERROR_NONE);
    (void)close(connecting.descriptor);
    wait_at_least(&both.answerer.raft_descriptor, 0);
    (void)close(atomic_load(&both.answerer.raft_descriptor));
    both_stop(&both);
}

/* Raft is for members: not for a guest. */
static void a_guest_gets_no_raft_socket(void **state)
{
    (void)state;
    struct both both;
    both_init(&both);
    both.asker.identity.cluster_id = UUID_ZERO;
    asker_start(&both.asker);
    struct connecting connecting;
    connecting_start(&both, &connecting, both.answerer.port);
    connecting_wait(&connecting);
    assert_int_equal(connecting.error, ERROR_CLUSTER_AUTHORIZATION_FAILED);
    assert_int_equal(atomic_load(&both.answerer.raft_descriptor), -1);
    both_stop(&both);
}

enum { FLOOD = 200, ROOM = 4 };

static int client_open(const struct answerer *answerer)
{
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(answerer->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(descriptor, (struct sockaddr *)&address, sizeof address), 0);
    return descriptor;
}

/* Whether it is answered: ApiVersions of a version the network itself answers. False: closed. */
static bool client_asks(int descriptor)
{
    static const uint8_t request[] = {0, 0, 0, 11, 0, 18, 0, 99, 0, 0, 0, 1, 0xff, 0xff, 0};
    uint8_t byte;
    (void)send(descriptor, request, sizeof request, MSG_NOSIGNAL);
    return recv(descriptor, &byte, 1, 0) == 1;
}

static void expect_no_flood_keeps_nodes_out(struct both *both)
{
    int clients[FLOOD];
    answerer_start(&both->answerer);
    asker_init(&both->asker, both->answerer.port);
    asker_start(&both->asker);
    for (int i = 0; i < FLOOD; i++)
        clients[i] = client_open(&both->answerer);
    for (int i = 0; i < ROOM; i++)
        assert_true(client_asks(clients[i])); /* They came while there was room. */
    assert_int_equal(outcome(both), ERROR_NONE);
    assert_false(client_asks(clients[FLOOD - 1])); /* Not a node, and there is none. */
    for (int i = 0; i < FLOOD - 1; i++)
        (void)close(clients[i]);
    (void)close(clients[FLOOD - 1]);
    assert_int_equal(outcome(both), ERROR_NONE);
    bool answered = false;
    for (int i = 0; i < 1000 && !answered; i++) { /* Until the node has seen them go. */
        int client = client_open(&both->answerer);
        answered = client_asks(client);
        (void)close(client);
    }
    assert_true(answered);
    both_stop(both);
}

/* A flood of clients, from anywhere or from a node's own machine, does not end replication. */
static void clients_cannot_keep_nodes_out(void **state)
{
    (void)state;
    struct both both;
    answerer_init(&both.answerer);
    both.answerer.connections_max = ROOM;
    expect_no_flood_keeps_nodes_out(&both);
    answerer_init(&both.answerer);
    both.answerer.connections_per_ip_max = ROOM;
    expect_no_flood_keeps_nodes_out(&both);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_of_one_cluster_talk),
        cmocka_unit_test(another_token_is_refused),
        cmocka_unit_test(a_foreign_cluster_is_refused),
        cmocka_unit_test(two_clusters_leave_each_other_alone),
        cmocka_unit_test(a_duplicate_id_is_refused),
        cmocka_unit_test(a_copied_data_directory_is_refused),
        cmocka_unit_test(a_stale_data_directory_is_refused),
        cmocka_unit_test(without_a_token_nobody_is_let_in),
        cmocka_unit_test(without_a_token_nobody_is_asked),
        cmocka_unit_test(another_node_at_the_address_is_not_asked),
        cmocka_unit_test(a_node_without_a_cluster_is_a_guest),
        cmocka_unit_test(a_guest_that_was_given_an_id_comes_back_as_a_node),
        cmocka_unit_test(a_host_and_port_can_be_asked),
        cmocka_unit_test(a_silent_listener_is_given_up),
        cmocka_unit_test(no_damaged_handshake_is_taken),
        cmocka_unit_test(a_raft_socket_is_handed_over_whole),
        cmocka_unit_test(raft_connects_end_once_in_every_way),
        cmocka_unit_test(raft_goes_where_the_node_is_known_to_be),
        cmocka_unit_test(a_guest_gets_no_raft_socket),
        cmocka_unit_test(clients_cannot_keep_nodes_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
