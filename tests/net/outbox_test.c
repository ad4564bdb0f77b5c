/* SPDX-License-Identifier: Apache-2.0 */
/* File ranges and memory leave together, whole, and are let go of exactly once. */
#include "node.h"

#include <cmocka.h>
#include <unistd.h>

/* Ranges of all sizes arrive byte for byte between other answers. */
static void file_ranges_arrive_intact(void **state)
{
    (void)state;
    static const int32_t sizes[] = {1, 100, 4096, 65536, 1000000, 3 << 20};
    struct node node;
    struct net_limits limits = node_limits();
    node_start(&node, &limits);
    node_file_make(&node, 4 << 20);
    int client = client_connect(&node);
    int32_t id = 0;
    uint8_t frame[128];
    for (int32_t i = 0; i < 6; i++) {
        client_send(client, frame, frame_fetch(id++, sizes[i], i * 1000, frame, sizeof frame));
        client_heartbeat(client, id++, 3);
    }
    id = 0;
    for (int32_t i = 0; i < 6; i++) {
        client_expect_fetch(client, id++, (size_t)sizes[i], (size_t)i * 1000);
        client_expect_heartbeat(client, id++, 3);
    }
    assert_int_equal(atomic_load(&node.holders_released), 1 + 5 * 3);
    (void)close(client);
    node_stop(&node);
}

static int holders_given(struct node *node)
{
    return atomic_load(&node->holders_given);
}

static int holders(struct node *node)
{
    return atomic_load(&node->holders_released);
}

/* A client that goes away in the middle of its answers: what they hold is let go of once. */
static void closing_in_the_middle_releases_every_holder(void **state)
{
    (void)state;
    struct node node;
    struct net_limits limits = node_limits();
    limits.connection_bytes_max = (size_t)1 << 30;
    node_start(&node, &limits);
    node_file_make(&node, 16 << 20);
    int client = client_connect(&node);
    uint8_t frame[128];
    for (int32_t i = 0; i < 8; i++)
        client_send(client, frame, frame_fetch(i, 16 << 20, 0, frame, sizeof frame));
    uint8_t some[1000];
    assert_true(client_read(client, some, sizeof some));
    node_wait(&node, holders_given, 24);
    (void)close(client);
    node_wait(&node, node_connections, 0);
    node_wait(&node, holders, 24);
    node_stop(&node);
    assert_int_equal(atomic_load(&node.holders_released), 24);
}

/* A range beyond the end of the file cannot be sent: the connection closes, others go on. */
static void a_range_that_is_not_there_closes_the_connection(void **state)
{
    (void)state;
    struct node node;
    struct net_limits limits = node_limits();
    node_start(&node, &limits);
    node_file_make(&node, 1000);
    int client = client_connect(&node);
    int other = client_connect(&node);
    uint8_t frame[128];
    client_send(client, frame, frame_fetch(1, 5000, 0, frame, sizeof frame));
    uint8_t byte;
    while (client_read(client, &byte, 1))
        ;
    client_heartbeat(other, 1, 4);
    client_expect_heartbeat(other, 1, 4);
    node_wait(&node, node_connections, 1);
    assert_int_equal(atomic_load(&node.holders_released), 3);
    (void)close(client);
    (void)close(other);
    node_stop(&node);
}

/* acks=0 is not answered; the next request is. When it failed the connection closes. */
static void unanswered_requests_leave_no_gap(void **state)
{
    (void)state;
    struct node node;
    struct net_limits limits = node_limits();
    node_start(&node, &limits);
    int client = client_connect(&node);
    uint8_t frame[256];
    client_heartbeat(client, 1, 1);
    client_send(client, frame, frame_produce(2, 0, 1, 10, frame, sizeof frame));
    client_heartbeat(client, 3, 3);
    client_expect_heartbeat(client, 1, 1);
    client_expect_heartbeat(client, 3, 3);
    client_send(client, frame, frame_produce(4, 0, -1, 10, frame, sizeof frame));
    assert_true(client_is_closed(client));
    (void)close(client);
    node_stop(&node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(file_ranges_arrive_intact),
        cmocka_unit_test(closing_in_the_middle_releases_every_holder),
        cmocka_unit_test(a_range_that_is_not_there_closes_the_connection),
        cmocka_unit_test(unanswered_requests_leave_no_gap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
