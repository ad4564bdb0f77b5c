/* SPDX-License-Identifier: Apache-2.0 */
/* The table itself: no row contradicts another or its own default. */
#include "catalog/config.h"

#include <cmocka.h>
#include <stdlib.h>

/* A key appears once in a scope. */
static void no_key_appears_twice(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < config_row_count; i++)
        assert_ptr_equal(config_find(config_rows[i].scope, config_rows[i].key), &config_rows[i]);
}

/* What a row says when nothing is set would itself be accepted. */
static void every_default_passes_its_own_check(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < config_row_count; i++) {
        char reason[CONFIG_REASON_BYTES] = "";
        const struct config_row *row = &config_rows[i];
        if (row->default_text != NULL && config_check(row, row->default_text, reason) != ERROR_NONE)
            fail_msg("%s = %s %s", row->key, row->default_text, reason);
    }
}

/* A topic key and the node key it falls back to agree in type, bounds, choices and default. */
static void a_synonym_is_a_node_key_of_the_same_kind(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < config_row_count; i++) {
        const struct config_row *row = &config_rows[i];
        if (row->synonym == NULL)
            continue;
        const struct config_row *node = config_find(CONFIG_NODE, row->synonym);
        assert_non_null(node);
        assert_int_equal(row->scope, CONFIG_TOPIC);
        assert_int_equal(node->type, row->type);
        assert_int_equal(node->minimum, row->minimum);
        assert_int_equal(node->maximum, row->maximum);
        assert_string_equal(node->default_text, row->default_text);
        assert_true(slice_equals(slice_of(node->choices), slice_of(row->choices)));
        assert_false(node->read_only);
        assert_int_equal(node->no_effect, row->no_effect);
    }
}

/* Help is a sentence, so --help=config reads like one. */
static void every_row_says_what_it_is_for(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < config_row_count; i++) {
        size_t size = strlen(config_rows[i].help);
        assert_true(size > 10);
        assert_int_equal(config_rows[i].help[size - 1], '.');
    }
}

/* The keys of Kafka 4.3's own config/server.properties are all known. */
static void knows_the_keys_of_kafkas_shipped_file(void **state)
{
    (void)state;
    static const char *const keys[] = {
        "process.roles",
        "node.id",
        "controller.quorum.bootstrap.servers",
        "listeners",
        "inter.broker.listener.name",
        "advertised.listeners",
        "controller.listener.names",
        "listener.security.protocol.map",
        "num.network.threads",
        "num.io.threads",
        "socket.send.buffer.bytes",
        "socket.receive.buffer.bytes",
        "socket.request.max.bytes",
        "log.dirs",
        "num.partitions",
        "num.recovery.threads.per.data.dir",
        "offsets.topic.replication.factor",
        "share.coordinator.state.topic.replication.factor",
        "share.coordinator.state.topic.min.isr",
        "transaction.state.log.replication.factor",
        "transaction.state.log.min.isr",
        "log.flush.interval.messages",
        "log.flush.interval.ms",
        "log.retention.hours",
        "log.retention.bytes",
        "log.segment.bytes",
        "log.retention.check.interval.ms",
    };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (config_find(CONFIG_NODE, keys[i]) == NULL)
            fail_msg("%s is missing", keys[i]);
}

/* Keys of features that are not here must be refused, not ignored. */
static void does_not_know_keys_of_missing_features(void **state)
{
    (void)state;
    assert_null(config_find(CONFIG_NODE, "ssl.keystore.location"));
    assert_null(config_find(CONFIG_NODE, "sasl.enabled.mechanisms"));
    assert_null(config_find(CONFIG_NODE, "authorizer.class.name"));
    assert_null(config_find(CONFIG_TOPIC, "remote.storage.enable"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_key_appears_twice),
        cmocka_unit_test(every_default_passes_its_own_check),
        cmocka_unit_test(a_synonym_is_a_node_key_of_the_same_kind),
        cmocka_unit_test(every_row_says_what_it_is_for),
        cmocka_unit_test(knows_the_keys_of_kafkas_shipped_file),
        cmocka_unit_test(does_not_know_keys_of_missing_features),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
