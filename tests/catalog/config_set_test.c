/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of values, and which of several keys is in force. */
#include "base/memory.h"
#include "catalog/config.h"

#include <cmocka.h>
#include <stdio.h>

static struct config_set *set_new(void)
{
    struct config_set *set = NULL;
    assert_int_equal(config_set_new(&set), ERROR_NONE);
    return set;
}

static void put(struct config_set *set, enum config_scope scope, const char *key, const char *value)
{
    char reason[CONFIG_REASON_BYTES];
    assert_int_equal(config_set_put(set, scope, key, value, reason), ERROR_NONE);
}

static void append_pair(void *context, const char *key, const char *value)
{
    char *text = context;
    snprintf(text + strlen(text), 1000 - strlen(text), "%s=%s;", key, value);
}

static void assert_holds(const struct config_set *set, const char *expected)
{
    char text[1000] = "";
    config_set_each(set, append_pair, text);
    assert_string_equal(text, expected);
}

/* Values come back in key order, the last one put, without blanks around them. */
static void a_set_keeps_the_last_value_in_key_order(void **state)
{
    (void)state;
    struct config_set *set = set_new();

    put(set, CONFIG_TOPIC, "segment.ms", "5");
    put(set, CONFIG_TOPIC, "cleanup.policy", "compact");
    put(set, CONFIG_TOPIC, "retention.ms", "1");
    put(set, CONFIG_TOPIC, "retention.ms", "  2\n");
    assert_holds(set, "cleanup.policy=compact;retention.ms=2;segment.ms=5;");

    assert_true(config_set_remove(set, "cleanup.policy"));
    assert_false(config_set_remove(set, "cleanup.policy"));
    assert_holds(set, "retention.ms=2;segment.ms=5;");
    assert_int_equal(config_set_count(set), 2);
    config_set_free(set);
}

/* A refused value leaves the set as it was and says why. */
static void a_refused_value_changes_nothing(void **state)
{
    (void)state;
    struct config_set *set = set_new();
    char reason[CONFIG_REASON_BYTES];

    put(set, CONFIG_TOPIC, "retention.ms", "7");
    assert_int_equal(config_set_put(set, CONFIG_TOPIC, "retention.ms", "-7", reason),
                     ERROR_INVALID_CONFIG);
    assert_string_equal(reason, "must be at least -1");
    assert_int_equal(config_set_put(set, CONFIG_TOPIC, "retention.mss", "7", reason),
                     ERROR_INVALID_CONFIG);
    assert_string_equal(reason, "is not a known key; the nearest is retention.ms");
    assert_holds(set, "retention.ms=7;");
    config_set_free(set);
}

/* Nothing set anywhere: the default, and every reader takes NULL for an empty set. */
static void an_empty_set_gives_defaults(void **state)
{
    (void)state;
    enum config_source source;
    assert_string_equal(config_topic_value(NULL, NULL, "retention.ms", &source), "-1");
    assert_int_equal(source, CONFIG_SOURCE_DEFAULT);
    assert_null(config_node_value(NULL, "broker.rack", &source));
    assert_null(config_topic_value(NULL, NULL, "internal.segment.bytes", NULL));
    assert_int_equal(config_topic_number(NULL, NULL, "max.message.bytes"), 1048588);
    assert_int_equal(config_node_number(NULL, "log.roll.ms"), 604800000);
    assert_true(config_node_boolean(NULL, "delete.topic.enable"));
    assert_false(config_topic_boolean(NULL, NULL, "preallocate"));
    assert_int_equal(config_set_count(NULL), 0);
    config_set_free(NULL);
}

/* The topic's own value beats the node's, which beats the default. */
static void a_topic_value_comes_from_the_nearest_place(void **state)
{
    (void)state;
    struct config_set *node = set_new();
    struct config_set *topic = set_new();
    enum config_source source;

    put(node, CONFIG_NODE, "log.retention.bytes", "100");
    assert_string_equal(config_topic_value(node, topic, "retention.bytes", &source), "100");
    assert_int_equal(source, CONFIG_SOURCE_STATIC_NODE);
    put(topic, CONFIG_TOPIC, "retention.bytes", "50");
    assert_string_equal(config_topic_value(node, topic, "retention.bytes", &source), "50");
    assert_int_equal(source, CONFIG_SOURCE_TOPIC);
    assert_int_equal(config_topic_number(node, topic, "retention.bytes"), 50);

    config_set_free(node);
    config_set_free(topic);
}

/* Kafka's order: milliseconds, else minutes, else hours, else the default. */
static void retention_is_the_finest_unit_that_is_set(void **state)
{
    (void)state;
    struct config_set *node = set_new();

    put(node, CONFIG_NODE, "log.retention.hours", "168");
    assert_int_equal(config_node_number(node, "log.retention.ms"), 604800000);
    assert_int_equal(config_topic_number(node, NULL, "retention.ms"), 604800000);
    put(node, CONFIG_NODE, "log.retention.minutes", "2");
    assert_int_equal(config_topic_number(node, NULL, "retention.ms"), 120000);
    put(node, CONFIG_NODE, "log.retention.ms", "3");
    assert_int_equal(config_topic_number(node, NULL, "retention.ms"), 3);
    config_set_remove(node, "log.retention.ms");
    put(node, CONFIG_NODE, "log.retention.minutes", "-1");
    assert_int_equal(config_topic_number(node, NULL, "retention.ms"), -1);

    put(node, CONFIG_NODE, "log.roll.hours", "1");
    assert_int_equal(config_topic_number(node, NULL, "segment.ms"), 3600000);
    put(node, CONFIG_NODE, "log.roll.jitter.hours", "2147483647");
    assert_int_equal(config_topic_number(node, NULL, "segment.jitter.ms"), 7730941129200000);
    put(node, CONFIG_NODE, "log.flush.scheduler.interval.ms", "9");
    assert_int_equal(config_topic_number(node, NULL, "flush.ms"), 9);
    config_set_free(node);
}

/* Text keys fall back as they are, and the fallbacks are named for DescribeConfigs. */
static void text_keys_fall_back_too(void **state)
{
    (void)state;
    struct config_set *node = set_new();
    put(node, CONFIG_NODE, "log.dir", "/data");
    put(node, CONFIG_NODE, "broker.id", "7");
    assert_string_equal(config_node_value(node, "log.dirs", NULL), "/data");
    assert_int_equal(config_node_number(node, "node.id"), 7);
    assert_string_equal(config_node_fallback("log.retention.ms", 0), "log.retention.minutes");
    assert_string_equal(config_node_fallback("log.retention.ms", 1), "log.retention.hours");
    assert_null(config_node_fallback("log.retention.ms", 2));
    assert_null(config_node_fallback("listeners", 0));
    config_set_free(node);
}

/* Layers put over each other give the effective set. */
static void a_merge_lets_the_later_win(void **state)
{
    (void)state;
    struct config_set *to = set_new();
    struct config_set *from = set_new();
    put(to, CONFIG_NODE, "log.retention.ms", "1");
    put(to, CONFIG_NODE, "log.roll.hours", "2");
    put(from, CONFIG_NODE, "log.retention.ms", "3");

    assert_int_equal(config_set_merge(to, from), ERROR_NONE);
    assert_int_equal(config_set_merge(to, NULL), ERROR_NONE);

    assert_holds(to, "log.retention.ms=3;log.roll.hours=2;");
    assert_int_equal(config_node_number(to, "log.roll.ms"), 7200000);
    config_set_free(to);
    config_set_free(from);
}

/* With every allocation refused in turn, the set keeps what it held and says so. */
static void a_refused_heap_changes_nothing(void **state)
{
    (void)state;
    for (long countdown = 0;; countdown++) {
        struct config_set *set = set_new();
        char reason[CONFIG_REASON_BYTES];
        put(set, CONFIG_TOPIC, "retention.ms", "1");
        put(set, CONFIG_TOPIC, "segment.ms", "1");

        memory_fault_arm(countdown);
        enum error error = config_set_put(set, CONFIG_TOPIC, "flush.ms", "1", reason);
        if (error == ERROR_NONE)
            error = config_set_put(set, CONFIG_TOPIC, "retention.ms", "2", reason);
        bool fired = memory_fault_fired();
        memory_fault_arm(-1);

        if (!fired) {
            assert_int_equal(error, ERROR_NONE);
            assert_holds(set, "flush.ms=1;retention.ms=2;segment.ms=1;");
            config_set_free(set);
            return;
        }
        assert_int_equal(error, ERROR_OUT_OF_MEMORY);
        assert_string_equal(config_set_get(set, "retention.ms"), "1");
        config_set_free(set);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_set_keeps_the_last_value_in_key_order),
        cmocka_unit_test(a_refused_value_changes_nothing),
        cmocka_unit_test(an_empty_set_gives_defaults),
        cmocka_unit_test(a_topic_value_comes_from_the_nearest_place),
        cmocka_unit_test(retention_is_the_finest_unit_that_is_set),
        cmocka_unit_test(text_keys_fall_back_too),
        cmocka_unit_test(a_merge_lets_the_later_win),
        cmocka_unit_test(a_refused_heap_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
