/* SPDX-License-Identifier: Apache-2.0 */
/* A command that changes many partitions changes all of them or, without memory, none. */
#include "catalog/partition_changes.h"

#include "base/memory.h"
#include "catalog_fixture.h"

#include <cmocka.h>

/* Fails every allocation in turn; the image stays as it was, and then the command succeeds. */
static void sweep(struct catalog_fixture *f, const struct catalog_command *command)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    assert_int_equal(catalog_command_encode(command, &bytes, &size), ERROR_NONE);
    int refused = 0;
    for (long countdown = 0;; countdown++) {
        uint64_t hash = catalog_hash(f->catalog);
        f->told[0] = '\0';
        memory_fault_arm(countdown);
        enum error error = catalog_apply(f->catalog, f->index + 1, 1, bytes, size).error;
        memory_fault_arm(-1);
        if (error != ERROR_OUT_OF_MEMORY) {
            assert_int_equal(error, ERROR_NONE);
            break;
        }
        refused++;
        assert_int_equal(catalog_hash(f->catalog), hash);
        assert_int_equal(catalog_applied_index(f->catalog), f->index);
        assert_string_equal(f->told, "");
    }
    f->index++;
    assert_true(refused > 0);
    memory_free(bytes);
}

static void every_command_is_whole_or_nothing(void **state)
{
    struct catalog_fixture *f = *state;
    make_topic(f, "a", 1, 8);
    make_topic(f, "b", 2, 8);
    struct catalog_command fence = {.kind = CATALOG_NODE_FENCE, .node_id = 1, .fenced = true};
    sweep(f, &fence);
    assert_string_equal(f->told, "nodes;topic a;topic b;");
    assert_int_equal(partition_of(f, "b", 0).leader, 2);
    fence.fenced = false;
    sweep(f, &fence);
    struct catalog_command elect = {.kind = CATALOG_ELECT_LEADERS, .unclean = true};
    const struct catalog_partition_name names[] = {{id_of(1), 3}, {id_of(2), 3}};
    elect.partitions = names;
    elect.partition_count = 2;
    struct catalog_command wiped = node_command(1);
    wiped.node.directory_id = id_of(9);
    sweep(f, &wiped);
    assert_int_equal(partition_of(f, "a", 3).leader, -1);
    sweep(f, &elect);
    assert_int_equal(partition_of(f, "a", 3).leader, 1);
    const struct catalog_assignment target = {.replicas = {1}, .replica_count = 1};
    struct catalog_command reassign = reassign_command(f, "a", 0, &target);
    sweep(f, &reassign);
    struct catalog_command isr = isr_command(f, "b", 0, (const int32_t[]){2}, 1);
    sweep(f, &isr);
    struct catalog_command unregister = {.kind = CATALOG_NODE_UNREGISTER, .node_id = 2};
    sweep(f, &unregister);
    assert_string_equal(f->told, "nodes;topic a;topic b;");
    const struct catalog_pair pair = pair_of("unclean.leader.election.enable", "true");
    struct catalog_command config = config_command(CATALOG_RESOURCE_NODE, "", &pair, 1);
    sweep(f, &config);
    assert_string_equal(f->told, "resource;topic a;topic b;"); /* Those on 1 and 2. */
}

/* What was gathered and is not wanted after all leaves nothing behind (seen by the sanitizers). */
static void gathered_changes_are_forgotten(void **state)
{
    struct catalog_fixture *f = *state;
    struct partition_changes changes = {.items = NULL};
    make_topic(f, "a", 1, 8);
    struct image *image = f->catalog->image;
    struct catalog_node fenced = *image_node_find(image, 1);
    fenced.fenced = true;
    struct election election = election_in(image);
    election.changed = &fenced;
    struct topic_entry *entry = image_topic_at(image, 0);
    for (int32_t i = 0; i < 8; i++)
        assert_int_equal(changes_settle(&changes, &election, entry, i), ERROR_NONE);
    assert_int_equal(changes.count, 6); /* All but those on 2 and on 3 alone. */
    changes_discard(&changes);
    assert_int_equal(changes.count, 0);
    assert_int_equal(partition_of(f, "a", 0).leader, 1);
}

int main(void)
{
#define WITH_CATALOG(name)                                                                         \
    cmocka_unit_test_setup_teardown(name, catalog_fixture_setup, catalog_fixture_teardown)
    const struct CMUnitTest tests[] = {
        WITH_CATALOG(every_command_is_whole_or_nothing),
        WITH_CATALOG(gathered_changes_are_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
