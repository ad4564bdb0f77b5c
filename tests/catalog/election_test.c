/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of leaders and in-sync replicas, one at a time. */
#include "catalog/election.h"

#include "catalog_fixture.h"

#include <cmocka.h>

/* The topic's own value, else the cluster's, else one; never more than there are replicas. */
static void min_insync_is_the_nearest_value(void **state)
{
    (void)state;
    struct config_set *topic, *cluster;
    assert_int_equal(config_set_new(&topic), ERROR_NONE);
    assert_int_equal(config_set_new(&cluster), ERROR_NONE);
    assert_int_equal(election_min_insync(NULL, NULL, 3), 1);
    assert_int_equal(config_set_put_agreed(cluster, CONFIG_NODE, "min.insync.replicas", "2"),
                     ERROR_NONE);
    assert_int_equal(election_min_insync(topic, cluster, 3), 2);
    assert_int_equal(election_min_insync(topic, cluster, 1), 1);
    assert_int_equal(config_set_put_agreed(topic, CONFIG_TOPIC, "min.insync.replicas", "3"),
                     ERROR_NONE);
    assert_int_equal(election_min_insync(topic, cluster, 3), 3);
    assert_int_equal(election_min_insync(topic, cluster, 2), 2);
    config_set_free(topic);
    config_set_free(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(min_insync_is_the_nearest_value)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
