/* SPDX-License-Identifier: Apache-2.0 */
/* .lag of a group elsewhere. */
#include "elsewhere_fixture.h"

#include <cmocka.h>

enum { TEXT_BYTES = 1 << 16 };

static char text[TEXT_BYTES];

static void begin(struct elsewhere *e, void *broker)
{
    fixture_topic(broker, "__consumer_offsets", 3);
    fixture_topic(broker, "orders", 2);
    fixture_topic(broker, "visits", 1);
    fixture_append(broker, "orders", 0, 10, -1);
    fixture_append(broker, "visits", 0, 3, -1);
    elsewhere_start(e, broker, "timeo=5");
    assert_int_equal(kernel_mkdir_in(&e->kernel, ".groups", "billing"), 0);
    assert_int_equal(kernel_create(&e->kernel, ".groups/billing/orders", "0", "2\n"), 0);
    assert_int_equal(kernel_create(&e->kernel, ".groups/billing/orders", "1", "end\n"), 0);
    assert_int_equal(kernel_create(&e->kernel, ".groups/billing/visits", "0", "3\n"), 0);
}

/* A line a partition, with the leader's end. */
static void ends_are_the_leaders(void **state)
{
    struct elsewhere e;
    begin(&e, *state);
    assert_int_equal(kernel_cat(&e.kernel, ".groups/billing/.lag", text, sizeof text), 0);
    assert_string_equal(text, "topic\tpartition\tcommitted\tend\tlag\tmember\n"
                              "orders\t0\t2\t10\t8\t-\n"
                              "orders\t1\t0\t0\t0\t-\n"
                              "visits\t0\t3\t3\t0\t-\n");
    elsewhere_end(&e);
}

/* A group that nobody knows has none. */
static void no_group_no_lag(void **state)
{
    struct elsewhere e;
    begin(&e, *state);
    fuse_ino_t node;
    assert_int_equal(kernel_path(&e.kernel, ".groups/billing/.lag", &node), 0);
    assert_int_equal(kernel_rmdir_in(&e.kernel, ".groups", "billing"), 0);
    assert_int_equal(kernel_cat(&e.kernel, ".groups/billing/.lag", text, sizeof text), ENOENT);
    kernel_forget(&e.kernel, node);
    elsewhere_end(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BROKER(ends_are_the_leaders),
        WITH_BROKER(no_group_no_lag),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
