/* SPDX-License-Identifier: Apache-2.0 */
/* Placement: leaders in turn, racks apart, even loads, and who is passed over. */
#include "catalog/placement.h"

#include "base/memory.h"
#include "catalog_fixture.h"

#include <cmocka.h>
#include <stdio.h>

enum { IDS_MAX = 32 };

static void add_node(struct catalog_fixture *f, int32_t id, const char *rack)
{
    struct catalog_command command = node_command(id);
    snprintf(command.node.rack, sizeof command.node.rack, "%s", rack);
    command.clean = true;
    assert_int_equal(apply(f, &command).error, ERROR_NONE);
}

static const char *rack_of(const struct catalog_fixture *f, int32_t id)
{
    return catalog_node_find(f->catalog, id)->rack;
}

struct loads {
    uint32_t leaders[IDS_MAX];
    uint32_t replicas[IDS_MAX];
};

/* Counts, and checks that no node is named twice. */
static struct loads loads_of(const struct catalog_assignment *assignments, uint32_t count,
                             uint32_t factor)
{
    struct loads loads = {.leaders = {0}};
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(assignments[i].replica_count, factor);
        loads.leaders[assignments[i].replicas[0]]++;
        for (uint32_t r = 0; r < factor; r++) {
            int32_t id = assignments[i].replicas[r];
            loads.replicas[id]++;
            for (uint32_t other = 0; other < r; other++)
                assert_int_not_equal(assignments[i].replicas[other], id);
        }
    }
    return loads;
}

/* The least and the most of the nodes 1..nodes differ by at most `spread`. */
static void assert_even(const uint32_t *counts, int32_t nodes, uint32_t spread)
{
    uint32_t least = UINT32_MAX, most = 0;
    for (int32_t id = 1; id <= nodes; id++) {
        least = counts[id] < least ? counts[id] : least;
        most = counts[id] > most ? counts[id] : most;
    }
    assert_true(most - least <= spread);
}

/* Without racks, from any start: leaders take turns, replicas are nearly even. */
static void loads_are_even(void **state)
{
    struct catalog_fixture *f = *state;
    struct catalog_assignment assignments[101];
    for (int32_t nodes = 3; nodes <= 7; nodes++) {
        if (nodes > 3)
            add_node(f, nodes, "");
        for (uint32_t start = 0; start < 50; start++)
            for (uint32_t factor = 1; factor <= (uint32_t)nodes; factor++) {
                assert_int_equal(catalog_place(f->catalog, 101, factor, start, assignments),
                                 ERROR_NONE);
                struct loads loads = loads_of(assignments, 101, factor);
                assert_even(loads.leaders, nodes, 1);
                assert_even(loads.replicas, nodes, factor == 1 ? 1 : 3);
            }
    }
}

/* The followers of one leader are spread, so that its failure is shared by the others. */
static void followers_of_a_leader_differ(void **state)
{
    struct catalog_fixture *f = *state;
    struct catalog_assignment assignments[60];
    for (int32_t id = 4; id <= 6; id++)
        add_node(f, id, "");
    assert_int_equal(catalog_place(f->catalog, 60, 2, 7, assignments), ERROR_NONE);
    uint32_t seconds[IDS_MAX] = {0};
    for (uint32_t i = 0; i < 60; i++)
        if (assignments[i].replicas[0] == 1)
            seconds[assignments[i].replicas[1]]++;
    for (int32_t id = 2; id <= 6; id++)
        assert_true(seconds[id] >= 1);
}

/* As many racks as possible, with even loads where the racks are. */
static void racks_are_apart(void **state)
{
    struct catalog_fixture *f = *state;
    struct catalog_assignment assignments[90];
    static const char *const racks[] = {"", "a", "a", "b", "b", "c", "c"};
    for (int32_t id = 1; id <= 6; id++)
        add_node(f, id, racks[id]);
    for (uint32_t start = 0; start < 40; start++) {
        assert_int_equal(catalog_place(f->catalog, 90, 3, start, assignments), ERROR_NONE);
        struct loads loads = loads_of(assignments, 90, 3);
        assert_even(loads.leaders, 6, 0);
        assert_even(loads.replicas, 6, 2);
        for (uint32_t i = 0; i < 90; i++) {
            const int32_t *replicas = assignments[i].replicas;
            assert_string_not_equal(rack_of(f, replicas[0]), rack_of(f, replicas[1]));
            assert_string_not_equal(rack_of(f, replicas[0]), rack_of(f, replicas[2]));
            assert_string_not_equal(rack_of(f, replicas[1]), rack_of(f, replicas[2]));
        }
        /* More replicas than racks: two racks with two of them at most. */
        assert_int_equal(catalog_place(f->catalog, 90, 4, start, assignments), ERROR_NONE);
        for (uint32_t i = 0; i < 90; i++) {
            uint32_t used[3] = {0};
            for (uint32_t r = 0; r < 4; r++)
                used[rack_of(f, assignments[i].replicas[r])[0] - 'a']++;
            for (uint32_t rack = 0; rack < 3; rack++)
                assert_in_range(used[rack], 1, 2);
        }
    }
}

/* A fenced node leads nothing and is taken only when the others do not suffice; a draining one is
 * not taken at all. */
static void nodes_that_may_not_serve_are_passed_over(void **state)
{
    struct catalog_fixture *f = *state;
    struct catalog_assignment assignments[20];
    struct catalog_command fence = {.kind = CATALOG_NODE_FENCE, .node_id = 2, .fenced = true};
    assert_int_equal(apply(f, &fence).error, ERROR_NONE);
    assert_int_equal(catalog_place(f->catalog, 20, 2, 5, assignments), ERROR_NONE);
    assert_int_equal(loads_of(assignments, 20, 2).replicas[2], 0);
    assert_int_equal(catalog_place(f->catalog, 20, 3, 5, assignments), ERROR_NONE);
    struct loads loads = loads_of(assignments, 20, 3);
    assert_int_equal(loads.leaders[2], 0);
    assert_int_equal(loads.replicas[2], 20);
    for (uint32_t i = 0; i < 20; i++)
        assert_int_equal(assignments[i].replicas[2], 2);
    assert_int_equal(catalog_placeable_count(f->catalog), 3);
}

/* What cannot be placed is refused: too many replicas, none, or nobody to lead. */
static void a_factor_that_cannot_be_is_refused(void **state)
{
    struct catalog_fixture *f = *state;
    struct catalog_assignment assignments[2];
    const enum error refused = ERROR_INVALID_REPLICATION_FACTOR;
    assert_int_equal(catalog_place(f->catalog, 2, 4, 0, assignments), refused);
    assert_int_equal(catalog_place(f->catalog, 2, 0, 0, assignments), refused);
    for (int32_t id = 4; id <= CATALOG_REPLICAS_MAX + 1; id++)
        add_node(f, id, "");
    assert_int_equal(catalog_place(f->catalog, 1, CATALOG_REPLICAS_MAX, 0, assignments),
                     ERROR_NONE);
    assert_int_equal(catalog_place(f->catalog, 1, CATALOG_REPLICAS_MAX + 1, 0, assignments),
                     refused);
    for (int32_t id = 1; id <= CATALOG_REPLICAS_MAX + 1; id++) {
        struct catalog_command fence = {.kind = CATALOG_NODE_FENCE, .node_id = id, .fenced = true};
        assert_int_equal(apply(f, &fence).error, ERROR_NONE);
    }
    assert_int_equal(catalog_place(f->catalog, 1, 1, 0, assignments), refused);
}

/* Without memory nothing is placed. */
static void a_refused_heap_is_reported(void **state)
{
    struct catalog_fixture *f = *state;
    struct catalog_assignment assignments[1];
    memory_fault_arm(0);
    assert_int_equal(catalog_place(f->catalog, 1, 1, 0, assignments), ERROR_OUT_OF_MEMORY);
    memory_fault_arm(-1);
}

static void assert_replaced(const struct catalog_fixture *f,
                            const struct catalog_partition *present, uint32_t factor,
                            const int32_t *expected)
{
    struct catalog_assignment assignment;
    assert_int_equal(catalog_replace(f->catalog, present, factor, 0, &assignment), ERROR_NONE);
    assert_int_equal(assignment.replica_count, factor);
    for (uint32_t i = 0; i < factor; i++)
        assert_int_equal(assignment.replicas[i], expected[i]);
}

/* A changed count keeps what is there: in its order, and the leader before others. */
static void a_replaced_partition_keeps_what_it_has(void **state)
{
    struct catalog_fixture *f = *state;
    struct catalog_partition present = {
        .replicas = {3, 2, 1}, .replica_count = 3, .leader = 1, .isr = {3, 2, 1}, .isr_count = 3};
    assert_replaced(f, &present, 3, (const int32_t[]){3, 2, 1});
    assert_replaced(f, &present, 2, (const int32_t[]){3, 1});
    assert_replaced(f, &present, 1, (const int32_t[]){1});
    present.replica_count = 1;
    present.leader = 3;
    assert_replaced(f, &present, 2, (const int32_t[]){3, 1});
    struct catalog_assignment assignment;
    assert_int_equal(catalog_replace(f->catalog, &present, 4, 0, &assignment),
                     ERROR_INVALID_REPLICATION_FACTOR);
}

int main(void)
{
#define WITH_CATALOG(name)                                                                         \
    cmocka_unit_test_setup_teardown(name, catalog_fixture_setup, catalog_fixture_teardown)
    const struct CMUnitTest tests[] = {
        WITH_CATALOG(loads_are_even),
        WITH_CATALOG(followers_of_a_leader_differ),
        WITH_CATALOG(racks_are_apart),
        WITH_CATALOG(nodes_that_may_not_serve_are_passed_over),
        WITH_CATALOG(a_factor_that_cannot_be_is_refused),
        WITH_CATALOG(a_refused_heap_is_reported),
        WITH_CATALOG(a_replaced_partition_keeps_what_it_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
