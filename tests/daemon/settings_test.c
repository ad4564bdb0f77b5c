/* SPDX-License-Identifier: Apache-2.0 */
/* What options and properties together mean. Refusals one by one: tests/node/command_line.sh. */
#include "daemon/settings.h"

#include "base/memory.h"

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum error load(struct settings *ret_settings, const char *file, char **overrides,
                       size_t count)
{
    struct options options = {
        .no_mount = true, .config_file = file, .overrides = overrides, .override_count = count};
    return settings_load(&options, ret_settings, NULL);
}

/* With nothing set: Kafka's defaults and ours, sockets as the system has them. */
static void nothing_set_gives_the_defaults(void **state)
{
    (void)state;
    struct settings settings;
    assert_int_equal(load(&settings, NULL, NULL, 0), ERROR_NONE);
    assert_int_equal(settings.node_id, 1);
    assert_int_equal(settings.listener_count, 1);
    assert_string_equal(settings.listeners[0].host, "127.0.0.1");
    assert_int_equal(settings.listeners[0].port, 9092);
    assert_string_equal(settings.advertised[0].host, "127.0.0.1");
    assert_int_equal(settings.limits.send_buffer_bytes, -1);
    assert_int_equal(settings.limits.request_bytes_max, 100 << 20);
    assert_true(settings.limits.io_threads >= 1);
    assert_int_equal(settings.limits.idle_ms, 600000);
    assert_false(settings.insecure);
    assert_null(settings.mount_point);
    settings_done(&settings);
}

/* Half the cores are left to the mount, to syncs and to the system's part of the network, but what
 * was asked for is given. */
static void io_threads_are_half_the_cores(void **state)
{
    (void)state;
    assert_int_equal(settings_io_threads(0, -1), 1);
    assert_int_equal(settings_io_threads(0, 1), 1);
    assert_int_equal(settings_io_threads(0, 2), 1);
    assert_int_equal(settings_io_threads(0, 8), 4);
    assert_int_equal(settings_io_threads(0, 1024), 64);
    assert_int_equal(settings_io_threads(3, 2), 3);
    assert_int_equal(settings_io_threads(1024, 2), 64);
}

/* An override wins over the file, the file over the default; a set socket buffer counts even when
 * it is Kafka's default. */
static void overrides_win_over_the_file(void **state)
{
    (void)state;
    char path[] = "/tmp/topicfs-settings-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    static const char text[] = "# a comment\nnode.id=7\nsocket.send.buffer.bytes=102400\n"
                               "listeners=PLAINTEXT://localhost:1234\nmax.connections=10\n";
    assert_int_equal(write(file, text, sizeof text - 1), sizeof text - 1);
    char one[] = "max.connections=20";
    char two[] = "advertised.listeners=PLAINTEXT://example.org:99";
    char *overrides[] = {one, two};
    struct settings settings;
    assert_int_equal(load(&settings, path, overrides, 2), ERROR_NONE);
    assert_int_equal(settings.node_id, 7);
    assert_int_equal(settings.limits.connections_max, 20);
    assert_int_equal(settings.limits.send_buffer_bytes, 102400);
    assert_string_equal(settings.listeners[0].host, "localhost");
    assert_string_equal(settings.advertised[0].host, "example.org");
    assert_int_equal(settings.advertised[0].port, 99);
    settings_done(&settings);
    (void)close(file);
    (void)unlink(path);
}

/* What the operator set in vain is named, once, in the order of keys; a default is not. */
static void keys_without_effect_are_named(void **state)
{
    (void)state;
    char threads[] = "num.io.threads=16";
    char same[] = "num.network.threads=3";
    char transactions[] = "transaction.max.timeout.ms=5000";
    char real[] = "num.partitions=4";
    char *overrides[] = {threads, same, transactions, real};
    char named[100];
    struct settings settings;
    assert_int_equal(load(&settings, NULL, overrides, 4), ERROR_NONE);
    settings_without_effect(&settings, named, sizeof named);
    assert_string_equal(named, "num.io.threads, transaction.max.timeout.ms");
    settings_without_effect(&settings, named, 42);
    assert_string_equal(named, "num.io.threads and 1 more");
    settings_done(&settings);
    assert_int_equal(load(&settings, NULL, overrides + 3, 1), ERROR_NONE);
    settings_without_effect(&settings, named, sizeof named);
    assert_string_equal(named, "");
    settings_done(&settings);
}

/* A server.properties for Kafka: the port of its controllers is left out, and is not advertised. */
static void listeners_of_controllers_are_left_out(void **state)
{
    (void)state;
    char listeners[] = "listeners=CONTROLLER://localhost:9093,PLAINTEXT://localhost:9092";
    char names[] = "controller.listener.names=CONTROLLER";
    char *overrides[] = {listeners, names};
    struct settings settings;
    assert_int_equal(load(&settings, NULL, overrides, 2), ERROR_NONE);
    assert_int_equal(settings.listener_count, 1);
    assert_string_equal(settings.listeners[0].name, "PLAINTEXT");
    assert_int_equal(settings.advertised[0].port, 9092);
    settings_done(&settings);
    char only[] = "listeners=CONTROLLER://localhost:9093";
    char *nothing_left[] = {only, names};
    assert_int_equal(load(&settings, NULL, nothing_left, 2), ERROR_INVALID_CONFIG);
}

/* Relative paths are the caller's; pid and report files lie in the data directory. */
static void relative_paths_become_absolute(void **state)
{
    (void)state;
    char override[] = "log.dirs=some/data";
    char *overrides[] = {override};
    char here[1000];
    char wanted[1100];
    assert_non_null(getcwd(here, sizeof here));
    struct settings settings;
    assert_int_equal(load(&settings, NULL, overrides, 1), ERROR_NONE);
    (void)snprintf(wanted, sizeof wanted, "%s/some/data", here);
    assert_string_equal(settings.data_directory, wanted);
    (void)snprintf(wanted, sizeof wanted, "%s/some/data/topicfs.pid", here);
    assert_string_equal(settings.pid_file, wanted);
    (void)snprintf(wanted, sizeof wanted, "%s/some/data/topicfs.report", here);
    assert_string_equal(settings.report_file, wanted);
    settings_done(&settings);
}

/* The Nth allocation is refused, for every N: an error, and nothing is lost. */
static void any_allocation_may_fail(void **state)
{
    (void)state;
    char override[] = "node.id=3";
    char *overrides[] = {override};
    for (long refused = 0; refused < 1000; refused++) {
        struct settings settings;
        memory_fault_arm(refused);
        enum error error = load(&settings, NULL, overrides, 1);
        bool fired = memory_fault_fired() != 0;
        memory_fault_arm(-1);
        if (error == ERROR_NONE)
            settings_done(&settings);
        if (!fired) {
            assert_int_equal(error, ERROR_NONE);
            assert_true(refused > 3);
            return;
        }
        assert_int_not_equal(error, ERROR_NONE);
    }
    fail_msg("never ran clean");
}

/* Other nodes reach a node by the listener that is named for them. */
static void the_listener_for_nodes_is_chosen_by_name(void **state)
{
    (void)state;
    char listeners[] = "listeners=OUTSIDE://127.0.0.1:1234,INSIDE://127.0.0.1:1235";
    char map[] = "listener.security.protocol.map=OUTSIDE:PLAINTEXT,INSIDE:PLAINTEXT";
    char name[] = "inter.broker.listener.name=inside";
    char *overrides[] = {listeners, map, name};
    struct settings settings;
    assert_int_equal(load(&settings, NULL, overrides, 2), ERROR_NONE);
    assert_int_equal(settings.node_listener, 0);
    settings_done(&settings);
    assert_int_equal(load(&settings, NULL, overrides, 3), ERROR_NONE);
    assert_int_equal(settings.node_listener, 1);
    settings_done(&settings);
    char other[] = "inter.broker.listener.name=BESIDE";
    overrides[2] = other;
    assert_int_equal(load(&settings, NULL, overrides, 3), ERROR_INVALID_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_set_gives_the_defaults),
        cmocka_unit_test(io_threads_are_half_the_cores),
        cmocka_unit_test(overrides_win_over_the_file),
        cmocka_unit_test(keys_without_effect_are_named),
        cmocka_unit_test(listeners_of_controllers_are_left_out),
        cmocka_unit_test(relative_paths_become_absolute),
        cmocka_unit_test(any_allocation_may_fail),
        cmocka_unit_test(the_listener_for_nodes_is_chosen_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
