/* SPDX-License-Identifier: Apache-2.0 */
/* Order of answers, backpressure, half-closed and silent peers. */
#include "node.h"

#include "base/memory.h"

#include <cmocka.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

/* Requests sent in one write are answered one by one, in their order. */
static void pipelined_requests_are_answered_in_order(void **state)
{
    (void)state;
    struct node node;
    struct net_limits limits = node_limits();
    node_start(&node, &limits);
    int client = client_connect(&node);
    uint8_t frames[64 * 1024];
    size_t size = 0;
    for (int32_t i = 0; i < 1000; i++)
        size += frame_heartbeat(i, i, frames + size, sizeof frames - size);
    client_send(client, frames, size);
    for (int32_t i = 0; i < 1000; i++)
        client_expect_heartbeat(client, i, (int16_t)i);
    (void)close(client);
    node_stop(&node);
}

/* The first request waits, the second is done at once: nothing is sent before the first. Answers
 * that come from another thread, in reverse, are still sent in order. */
static void a_waiting_request_holds_back_later_answers(void **state)
{
    (void)state;
    struct node node;
    struct net_limits limits = node_limits();
    node_start(&node, &limits);
    int client = client_connect(&node);
    client_heartbeat(client, 1, -11);
    client_heartbeat(client, 2, 22);
    client_heartbeat(client, 3, -33);
    node_wait(&node, node_parked, 2);
    struct pollfd readable = {.fd = client, .events = POLLIN};
    assert_int_equal(poll(&readable, 1, 0), 0);
    node_answer_parked(&node);
    client_expect_heartbeat(client, 1, 11);
    client_expect_heartbeat(client, 2, 22);
    client_expect_heartbeat(client, 3, 33);
    (void)close(client);
    node_stop(&node);
}

/* A client that goes away while its request waits: the request is cancelled. */
static void closing_cancels_waiting_requests(void **state)
{
    (void)state;
    struct node node;
    struct net_limits limits = node_limits();
    node_start(&node, &limits);
    int client = client_connect(&node);
    client_heartbeat(client, 1, -1);
    client_heartbeat(client, 2, -1);
    node_wait(&node, node_parked, 2);
    (void)close(client);
    node_wait(&node, node_cancelled, 2);
    node_wait(&node, node_connections, 0);
    node_stop(&node);
}

/* A client that sends, shuts its sending side down and then reads (nc -N) gets every answer. */
static void a_half_closed_client_still_gets_its_answers(void **state)
{
    (void)state;
    struct node node;
    struct net_limits limits = node_limits();
    node_start(&node, &limits);
    int client = client_connect(&node);
    uint8_t frames[64 * 100];
    size_t size = 0;
    for (int32_t i = 0; i < 100; i++)
        size += frame_heartbeat(i, i, frames + size, sizeof frames - size);
    client_send(client, frames, size);
    assert_int_equal(shutdown(client, SHUT_WR), 0);
    for (int32_t i = 0; i < 100; i++)
        client_expect_heartbeat(client, i, (int16_t)i);
    assert_true(client_is_closed(client));
    (void)close(client);
    node_stop(&node);
}

/* Only so many requests are taken at a time; the others wait in the socket and are not lost. */
static void reading_stops_at_the_limit_of_requests(void **state)
{
    (void)state;
    struct node node;
    struct net_limits limits = node_limits();
    limits.connection_requests_max = 5;
    node_start(&node, &limits);
    int client = client_connect(&node);
    uint8_t frames[64 * 100];
    size_t size = 0;
    for (int32_t i = 0; i < 100; i++)
        size += frame_heartbeat(i, -1 - i, frames + size, sizeof frames - size);
    client_send(client, frames, size);
    for (int32_t i = 0; i < 100; i += 5) {
        node_wait(&node, node_parked, 5);
        node_answer_parked(&node);
        for (int32_t j = i; j < i + 5; j++)
            client_expect_heartbeat(client, j, (int16_t)(j + 1));
    }
    (void)close(client);
    node_stop(&node);
}

/* Reliability 56: requests without end from a peer that never reads: the node stops taking them,
 * and closes after the send deadline. */
static void a_peer_that_never_reads_is_stopped_and_closed(void **state)
{
    (void)state;
    struct node node;
    struct net_limits limits = node_limits();
    limits.connection_bytes_max = 64 * 1024;
    limits.send_timeout_ms = 300;
    node_start(&node, &limits);
    node_file_make(&node, 1 << 20);
    int client = client_connect(&node);
    struct timeval soon = {.tv_usec = 100000};
    (void)setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof soon);
    uint8_t frame[128];
    size_t size = frame_fetch(1, 1 << 20, 0, frame, sizeof frame);
    int taken = 0;
    while (taken < 1000000 && send(client, frame, size, MSG_NOSIGNAL) == (ssize_t)size)
        taken++;
    assert_true(taken < 1000000);
    node_wait(&node, node_connections, 0);
    (void)close(client);
    node_stop(&node);
}

/* A large answer to a slow reader arrives whole, and other clients are served meanwhile. */
static void a_slow_reader_gets_everything_and_delays_nobody(void **state)
{
    (void)state;
    struct node node;
    struct net_limits limits = node_limits();
    limits.io_threads = 1;
    node_start(&node, &limits);
    node_file_make(&node, 8 << 20);
    int slow = client_connect(&node);
    int quick = client_connect(&node);
    uint8_t frame[128];
    for (int32_t i = 0; i < 4; i++)
        client_send(slow, frame, frame_fetch(i, 8 << 20, 0, frame, sizeof frame));
    for (int32_t i = 0; i < 100; i++) {
        client_heartbeat(quick, i, i);
        client_expect_heartbeat(quick, i, (int16_t)i);
    }
    for (int32_t i = 0; i < 4; i++)
        client_expect_fetch(slow, i, 8 << 20, 0);
    (void)close(slow);
    (void)close(quick);
    node_stop(&node);
}

/* A connection that asks for nothing is closed after the idle time, one with a waiting request is
 * not. */
static void idle_connections_are_closed_waiting_ones_are_not(void **state)
{
    (void)state;
    struct node node;
    struct net_limits limits = node_limits();
    limits.idle_ms = 200;
    node_start(&node, &limits);
    int idle = client_connect(&node);
    int waiting = client_connect(&node);
    client_heartbeat(waiting, 1, -7);
    node_wait(&node, node_parked, 1);
    assert_true(client_is_closed(idle));
    node_wait(&node, node_connections, 1);
    node_answer_parked(&node);
    client_expect_heartbeat(waiting, 1, 7);
    assert_true(client_is_closed(waiting));
    (void)close(idle);
    (void)close(waiting);
    node_stop(&node);
}

/* Stopping the node answers what can be answered and cancels what waits. */
static void stopping_answers_what_waits(void **state)
{
    (void)state;
    struct node node;
    struct net_limits limits = node_limits();
    node_start(&node, &limits);
    int client = client_connect(&node);
    client_heartbeat(client, 1, -1);
    client_heartbeat(client, 2, 2);
    node_wait(&node, node_parked, 1);
    node_stop(&node);
    client_expect_heartbeat(client, 1, NODE_CANCELLED_CODE);
    client_expect_heartbeat(client, 2, 2);
    assert_true(client_is_closed(client));
    (void)close(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pipelined_requests_are_answered_in_order),
        cmocka_unit_test(a_waiting_request_holds_back_later_answers),
        cmocka_unit_test(closing_cancels_waiting_requests),
        cmocka_unit_test(a_half_closed_client_still_gets_its_answers),
        cmocka_unit_test(reading_stops_at_the_limit_of_requests),
        cmocka_unit_test(a_peer_that_never_reads_is_stopped_and_closed),
        cmocka_unit_test(a_slow_reader_gets_everything_and_delays_nobody),
        cmocka_unit_test(idle_connections_are_closed_waiting_ones_are_not),
        cmocka_unit_test(stopping_answers_what_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
