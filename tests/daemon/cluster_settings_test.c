/* SPDX-License-Identifier: Apache-2.0 */
/* The list of nodes, and which of them this one is. */
#include "daemon/settings.h"

#include "base/memory.h"

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static enum error parse(const char *list, uint32_t *ret_count, struct failure *failure)
{
    static struct bootstrap_address nodes[FOUNDING_MEMBERS_MAX];
    return cluster_nodes_parse(list, nodes, ret_count, failure);
}

static void refuses(const char *list, const char *why)
{
    struct failure failure = {0};
    uint32_t count;
    assert_int_equal(parse(list, &count, &failure), ERROR_INVALID_CONFIG);
    assert_non_null(strstr(failure.where, why));
}

/* HOST:PORT and [IPv6]:PORT; anything else is quoted. */
static void a_list_is_hosts_with_ports(void **state)
{
    (void)state;
    uint32_t count = 0;
    assert_int_equal(parse("a:1, b.lan:9092,[::1]:3", &count, NULL), ERROR_NONE);
    assert_int_equal(count, 3);
    assert_int_equal(parse("", &count, NULL), ERROR_NONE);
    assert_int_equal(count, 0);
    refuses("a", "\"a\" is not HOST:PORT");
    refuses("a:0", "\"a:0\" is not HOST:PORT");
    refuses("a:70000", "is not HOST:PORT");
    refuses(":9092", "is not HOST:PORT");
    refuses("a:1,b:2,a:1", "\"a:1\" is there twice");
    char many[FOUNDING_MEMBERS_MAX * 8 + 16] = "";
    size_t used = 0;
    for (int i = 1; i <= FOUNDING_MEMBERS_MAX + 1; i++)
        used += (size_t)snprintf(many + used, sizeof many - used, "a:%d,", i);
    refuses(many, "more than 64");
}

static enum error load(struct settings *ret_settings, struct failure *failure, char **overrides,
                       size_t count)
{
    struct options options = {.no_mount = true, .overrides = overrides, .override_count = count};
    return settings_load(&options, ret_settings, failure);
}

/* On one machine the port of the listener says which of the list a node is. */
static void the_port_tells_nodes_of_one_machine_apart(void **state)
{
    (void)state;
    char nodes[] = "topicfs.nodes=127.0.0.1:9192,127.0.0.1:9193,127.0.0.1:9194";
    char token[] = "topicfs.token.file=/tmp/token";
    char listeners[] = "listeners=PLAINTEXT://127.0.0.1:9193";
    char *overrides[] = {nodes, token, listeners};
    struct settings settings;
    assert_int_equal(load(&settings, NULL, overrides, 3), ERROR_NONE);
    assert_int_equal(settings.cluster.node_count, 3);
    assert_int_equal(settings.cluster.self, 1);
    assert_int_equal(settings.node_id, -1);
    assert_string_equal(settings.cluster.token_file, "/tmp/token");
    settings_done(&settings);
    struct failure failure = {0};
    assert_int_equal(load(&settings, &failure, overrides, 2), ERROR_INVALID_CONFIG);
    assert_non_null(strstr(failure.where, "are both this machine: set listeners"));
}

/* Nodes at several addresses of one machine may have one port: the listener's host says which. */
static void the_host_tells_nodes_of_one_port_apart(void **state)
{
    (void)state;
    char nodes[] = "topicfs.nodes=127.0.0.1:9192,127.0.0.2:9192,127.0.0.3:9192";
    char token[] = "topicfs.token.file=/tmp/token";
    static const char *const listeners[] = {"listeners=PLAINTEXT://127.0.0.1:9192",
                                            "listeners=PLAINTEXT://127.0.0.2:9192",
                                            "listeners=PLAINTEXT://127.0.0.3:9192"};
    for (int32_t i = 0; i < 3; i++) {
        char *overrides[] = {nodes, token, strdup(listeners[i])};
        struct settings settings;
        assert_int_equal(load(&settings, NULL, overrides, 3), ERROR_NONE);
        assert_int_equal(settings.cluster.self, i);
        assert_string_equal(settings.advertised[0].host, settings.cluster.nodes[i].host);
        settings_done(&settings);
        free(overrides[2]);
    }
}

/* The same command on every machine: the address says which of the list a node is, and it listens
 * there. */
static void the_address_tells_machines_apart(void **state)
{
    (void)state;
    char nodes[] = "topicfs.nodes=192.0.2.1:9092,127.0.0.2:9192,192.0.2.3:9092";
    char token[] = "topicfs.token.file=/tmp/token";
    char *overrides[] = {nodes, token};
    struct settings settings;
    assert_int_equal(load(&settings, NULL, overrides, 2), ERROR_NONE);
    assert_int_equal(settings.cluster.self, 1);
    assert_int_equal(settings.listener_count, 1);
    assert_string_equal(settings.listeners[0].host, "127.0.0.2");
    assert_int_equal(settings.listeners[0].port, 9192);
    assert_string_equal(settings.advertised[0].host, "127.0.0.2");
    settings_done(&settings);
    char others[] = "topicfs.nodes=192.0.2.1:9092";
    overrides[0] = others;
    struct failure failure = {0};
    assert_int_equal(load(&settings, &failure, overrides, 2), ERROR_INVALID_CONFIG);
    assert_non_null(strstr(failure.where, "none of them is an address of this machine"));
}

/* A node that is not on the list gives its own listener and joins. */
static void a_node_beside_the_list_joins(void **state)
{
    (void)state;
    char nodes[] = "topicfs.nodes=127.0.0.1:9192";
    char token[] = "topicfs.token.file=/tmp/token";
    char listeners[] = "listeners=PLAINTEXT://127.0.0.1:9199";
    char id[] = "node.id=7";
    char *overrides[] = {nodes, token, listeners, id};
    struct settings settings;
    assert_int_equal(load(&settings, NULL, overrides, 4), ERROR_NONE);
    assert_int_equal(settings.cluster.self, -1);
    assert_int_equal(settings.cluster.wanted_node_id, 7);
    settings_done(&settings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_is_hosts_with_ports),
        cmocka_unit_test(the_port_tells_nodes_of_one_machine_apart),
        cmocka_unit_test(the_host_tells_nodes_of_one_port_apart),
        cmocka_unit_test(the_address_tells_machines_apart),
        cmocka_unit_test(a_node_beside_the_list_joins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
