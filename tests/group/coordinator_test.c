/* SPDX-License-Identifier: Apache-2.0 */
/* What this node coordinates, and when it does not. */
#include "group/group_fixture.h"

/* Without the offsets topic the first use asks for it; nobody coordinates until it is there. */
static void the_first_use_makes_the_offsets_topic(void **state)
{
    struct node *node = *state;
    node_stop(node, true);
    node_start(node);
    node->partition_count = 0;
    assert_error(group_coordinator_check(node->coordinator, group_name()),
                 ERROR_COORDINATOR_NOT_AVAILABLE);
    assert_int_equal(node->creations, 1);
    node->partition_count = OFFSETS_PARTITIONS;
    assert_error(group_coordinator_check(node->coordinator, group_name()), ERROR_NOT_COORDINATOR);
    node_lead(node);
    node_load(node);
    assert_error(group_coordinator_check(node->coordinator, group_name()), ERROR_NONE);
}

/* Leadership goes while a member waits: it is told, nothing is answered here, until it is back. */
static void a_resigned_coordinator_sends_its_clients_away(void **state)
{
    struct node *node = *state;
    struct joiner joiner;
    int32_t partition = group_partition_of(group_name(), OFFSETS_PARTITIONS);
    assert_error(commit(node, NULL, 7, ""), ERROR_NONE);
    joiner_init(&joiner, "", "range=");
    joiner_send(node, &joiner);
    group_coordinator_resigned(node->coordinator, partition);
    node_run(node, 0);
    assert_int_equal(joiner.answers, 1);
    assert_error(joiner.join.error, ERROR_NOT_COORDINATOR);
    assert_error(group_coordinator_check(node->coordinator, group_name()), ERROR_NOT_COORDINATOR);
    group_coordinator_elected(node->coordinator, partition);
    node_load(node);
    assert_int_equal(committed(node, "orders"), 7);
    joiner_done(&joiner);
}

/* Kafka: Utils.abs("...".hashCode()) % partitions; the hashes are Java's. */
static void a_group_is_where_java_hashes_it(void **state)
{
    static const struct {
        const char *id;
        uint32_t hash;
    } samples[] = {
        {"", 0},
        {"a", 97},
        {"hello", 99162322},
        {"console-consumer-1", 35782224},
        {"gr\xc3\xbc\xc3\x9f"
         "e",
         98768023},
        {"\xe6\x97\xa5\xe6\x9c\xac", 835047},
        {"\xf0\x9f\x98\x80", 1772899},
        {"polygenelubricants", 0}, /* Integer.MIN_VALUE, whose abs is 0. */
    };
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        assert_int_equal(group_partition_of(slice_of(samples[i].id), 50), samples[i].hash % 50);
        assert_int_equal(group_partition_of(slice_of(samples[i].id), 2147483647),
                         samples[i].hash % 2147483647);
    }
}

/* Invariant 16: whoever lost its lease may have been replaced, by one that knows of newer commits.
 */
static void without_the_lease_this_node_coordinates_nothing(void **state)
{
    struct node *node = *state;
    struct group_offset found;
    assert_error(commit(node, NULL, 42, "note"), ERROR_NONE);
    partition_table_lease(node->table, false);
    assert_error(group_coordinator_check(node->coordinator, group_name()), ERROR_NOT_COORDINATOR);
    assert_error(group_offset_find(node->coordinator, group_name(), slice_of("orders"), 0, &found),
                 ERROR_NOT_COORDINATOR);
    partition_table_lease(node->table, true);
    assert_int_equal(committed(node, "orders"), 42);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_NODE(the_first_use_makes_the_offsets_topic),
        WITH_NODE(a_resigned_coordinator_sends_its_clients_away),
        cmocka_unit_test(a_group_is_where_java_hashes_it),
        WITH_NODE(without_the_lease_this_node_coordinates_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
