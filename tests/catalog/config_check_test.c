/* SPDX-License-Identifier: Apache-2.0 */
/* Rules over several keys. */
#include "catalog/config.h"

#include <cmocka.h>

static void refuses_together(enum config_scope scope, const char *key, const char *value,
                             const char *other_key, const char *other_value)
{
    struct config_set *set = NULL;
    char reason[CONFIG_REASON_BYTES] = "";
    assert_int_equal(config_set_new(&set), ERROR_NONE);
    assert_int_equal(config_set_put(set, scope, key, value, reason), ERROR_NONE);
    if (other_key != NULL)
        assert_int_equal(config_set_put(set, scope, other_key, other_value, reason), ERROR_NONE);

    enum error error = scope == CONFIG_TOPIC ? config_topic_check(NULL, set, reason)
                                             : config_node_check(set, reason);

    assert_int_equal(error, ERROR_INVALID_CONFIG);
    assert_non_null(strstr(reason, key));
    config_set_free(set);
}

/* The defaults agree with each other. */
static void the_defaults_pass(void **state)
{
    (void)state;
    char reason[CONFIG_REASON_BYTES];
    assert_int_equal(config_topic_check(NULL, NULL, reason), ERROR_NONE);
    assert_int_equal(config_node_check(NULL, reason), ERROR_NONE);
}

/* Values that are fine alone and make no sense together. */
static void contradictions_are_refused(void **state)
{
    (void)state;
    refuses_together(CONFIG_TOPIC, "min.compaction.lag.ms", "10", "max.compaction.lag.ms", "9");
    refuses_together(CONFIG_NODE, "group.min.session.timeout.ms", "1800001", NULL, NULL);
    refuses_together(CONFIG_NODE, "replica.fetch.wait.max.ms", "30001", NULL, NULL);
    refuses_together(CONFIG_NODE, "broker.heartbeat.interval.ms", "1001", NULL, NULL);
    refuses_together(CONFIG_NODE, "log.cleaner.min.compaction.lag.ms", "2",
                     "log.cleaner.max.compaction.lag.ms", "1");
}

/* A Kafka quorum of several nodes must not quietly become a cluster of one. */
static void several_controllers_are_refused(void **state)
{
    (void)state;
    refuses_together(CONFIG_NODE, "controller.quorum.voters", "1@a:9093,2@b:9093", NULL, NULL);
    refuses_together(CONFIG_NODE, "controller.quorum.bootstrap.servers", "a:1,b:1", NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_defaults_pass),
        cmocka_unit_test(contradictions_are_refused),
        cmocka_unit_test(several_controllers_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
