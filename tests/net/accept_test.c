/* SPDX-License-Identifier: Apache-2.0 */
/* Opening the port, and the limits on connections. */
#include "node.h"

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void expect_served(int client)
{
    client_heartbeat(client, 1, 1);
    client_expect_heartbeat(client, 1, 1);
}

/* One more than an address may have is closed at once; when one goes, the next may come. */
static void connections_per_address_are_limited(void **state)
{
    (void)state;
    struct node node;
    struct net_limits limits = node_limits();
    limits.connections_per_ip_max = 2;
    node_start(&node, &limits);
    int first = client_connect(&node);
    int second = client_connect(&node);
    expect_served(first);
    expect_served(second);
    int third = client_connect(&node);
    assert_true(client_is_closed(third));
    (void)close(third);
    (void)close(first);
    node_wait(&node, node_connections, 1);
    int fourth = client_connect(&node);
    expect_served(fourth);
    (void)close(second);
    (void)close(fourth);
    node_stop(&node);
}

/* At max.connections new clients wait until another one goes, then they are served. */
static void connections_beyond_the_limit_wait(void **state)
{
    (void)state;
    struct node node;
    struct net_limits limits = node_limits();
    limits.connections_max = 2;
    node_start(&node, &limits);
    int first = client_connect(&node);
    int second = client_connect(&node);
    expect_served(first);
    expect_served(second);
    int third = client_connect(&node);
    client_heartbeat(third, 1, 1);
    assert_int_equal(net_connection_count(node.net), 2);
    (void)close(first);
    client_expect_heartbeat(third, 1, 1);
    (void)close(second);
    (void)close(third);
    node_stop(&node);
}

/* Every loop gets its share, and all of them serve. */
static void many_connections_are_all_served(void **state)
{
    (void)state;
    enum { CLIENTS = 200 };
    struct node node;
    struct net_limits limits = node_limits();
    node_start(&node, &limits);
    int clients[CLIENTS];
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = client_connect(&node);
    for (int i = 0; i < CLIENTS; i++)
        client_heartbeat(clients[i], i, i);
    for (int i = 0; i < CLIENTS; i++) {
        client_expect_heartbeat(clients[i], i, (int16_t)i);
        (void)close(clients[i]);
    }
    node_wait(&node, node_connections, 0);
    node_stop(&node);
}

static enum error open_at(const char *host, uint16_t port, struct net **ret_net,
                          struct failure *failure)
{
    struct net_listener_options listener = {
        .name = "PLAINTEXT", .host = host, .port = port, .advertised_host = host};
    struct net_options options = {
        .listeners = &listener, .listener_count = 1, .limits = node_limits()};
    return net_open(&options, ret_net, failure);
}

/* A port somebody listens on is refused in one line that names it. */
static void a_port_in_use_is_refused(void **state)
{
    (void)state;
    struct net *first;
    assert_int_equal(open_at("127.0.0.1", 0, &first, NULL), ERROR_NONE);
    struct net *second = NULL;
    struct failure failure = {0};
    uint16_t port = net_port(first, 0);
    assert_int_equal(open_at("127.0.0.1", port, &second, &failure), ERROR_EXISTS);
    assert_null(second);
    assert_non_null(strstr(failure.where, "Address already in use"));
    assert_true(net_is_loopback(first, 0));
    net_free(first);
}

/* Names that do not resolve and addresses of other machines are refused. */
static void foreign_addresses_are_refused(void **state)
{
    (void)state;
    struct net *net = NULL;
    struct failure failure = {0};
    assert_int_equal(open_at("192.0.2.1", 0, &net, &failure), ERROR_NOT_FOUND);
    assert_int_equal(open_at("no such host", 0, &net, NULL), ERROR_NOT_FOUND);
    assert_int_equal(open_at("", 0, &net, NULL), ERROR_NONE);
    assert_false(net_is_loopback(net, 0));
    net_free(net);
}

/* Clients may connect before the node is ready; they are served when it starts. */
static void clients_that_come_before_the_start_are_served(void **state)
{
    (void)state;
    struct net *net;
    assert_int_equal(open_at("127.0.0.1", 0, &net, NULL), ERROR_NONE);
    int client = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(net_port(net, 0)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof address), 0);
    net_free(net);
    assert_true(client_is_closed(client));
    (void)close(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connections_per_address_are_limited),
        cmocka_unit_test(connections_beyond_the_limit_wait),
        cmocka_unit_test(many_connections_are_all_served),
        cmocka_unit_test(a_port_in_use_is_refused),
        cmocka_unit_test(foreign_addresses_are_refused),
        cmocka_unit_test(clients_that_come_before_the_start_are_served),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
