/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots, and that the image is a function of the commands: random histories are replayed,
 * snapshotted anywhere, damaged, and refused memory at every allocation. */
#include "base/byteorder.h"
#include "base/crc32c.h"
#include "base/memory.h"
#include "catalog/image.h"
#include "catalog_fixture.h"
#include "sim/random.h"

#include <cmocka.h>
#include <stdio.h>

enum { HISTORY = 600, NAMES = 12 };

/* The leader of the topic's first partition asks for some of its replicas. */
static void random_isr(struct random *random, struct catalog *catalog,
                       struct catalog_command *command, uint8_t number)
{
    *command = (struct catalog_command){.kind = CATALOG_ISR_CHANGE, .topic_id = id_of(number)};
    const struct catalog_topic *topic = catalog_topic_find_id(catalog, &command->topic_id);
    struct catalog_partition *partition = &command->partition;
    if (topic == NULL || !catalog_partition_find(catalog, topic, 0, partition))
        return;
    command->node_id = partition->leader;
    partition->isr_count = 0;
    for (uint32_t i = 0; i < partition->replica_count; i++) {
        const struct catalog_node *node = catalog_node_find(catalog, partition->replicas[i]);
        if (partition->replicas[i] != partition->leader && random_below(random, 3) == 0)
            continue;
        command->isr_epochs[partition->isr_count] = node == NULL ? 0 : node->epoch;
        partition->isr[partition->isr_count++] = partition->replicas[i];
    }
}

static const struct catalog_assignment targets[4] = {
    {.replicas = {1, 2}, .replica_count = 2},
    {.replicas = {3}, .replica_count = 1},
    {.replicas = {5, 4, 1}, .replica_count = 3},
    {.replicas = {2, 3, 1}, .replica_count = 3},
};

/* One random command; many of them fail, which is a part of it. */
static void random_command(struct random *random, struct catalog *catalog,
                           struct catalog_command *command, char name[32],
                           struct catalog_pair pairs[2])
{
    static const char *const keys[] = {"retention.ms", "min.insync.replicas", "no.such.key"};
    uint8_t number = (uint8_t)(1 + random_below(random, NAMES));
    snprintf(name, 32, number % 3 == 0 ? "t.%d" : "t_%d", number / 2);
    switch (random_below(random, 13)) {
    case 0:
    case 1:
    case 2:
        *command = topic_command(name, number, 1 + (uint32_t)random_below(random, 7));
        break;
    case 3:
        *command =
            (struct catalog_command){.kind = CATALOG_TOPIC_DELETE, .topic_id = id_of(number)};
        break;
    case 4:
        *command = topic_command("", number, 1 + (uint32_t)random_below(random, 3));
        command->kind = CATALOG_PARTITIONS_ADD;
        command->expected_count = (uint32_t)random_below(random, 8);
        break;
    case 5:
        for (int i = 0; i < 2; i++)
            pairs[i] = pair_of(keys[random_below(random, 3)], random_below(random, 3) ? "2" : NULL);
        *command = config_command(
            random_below(random, 2) ? CATALOG_RESOURCE_TOPIC : CATALOG_RESOURCE_NODE,
            random_below(random, 2) ? name : (random_below(random, 2) ? "2" : ""), pairs, 2);
        break;
    case 6:
        *command = node_command((int32_t)random_below(random, 6));
        break;
    case 7:
        *command = (struct catalog_command){.kind = CATALOG_NODE_FENCE,
                                            .node_id = (int32_t)random_below(random, 6),
                                            .fenced = random_below(random, 2) != 0};
        break;
    case 8:
        *command = (struct catalog_command){.kind = random_below(random, 2) ? CATALOG_PRODUCER_IDS
                                                                            : CATALOG_CLUSTER_INIT,
                                            .cluster_id = id_of(77),
                                            .node_id = 1};
        break;
    case 9:
        *command = (struct catalog_command){.kind = random_below(random, 2) ? CATALOG_NODE_SHUTDOWN
                                                                            : CATALOG_NODE_DRAIN,
                                            .node_id = (int32_t)random_below(random, 6),
                                            .draining = random_below(random, 2) != 0};
        break;
    case 10:
        *command = (struct catalog_command){.kind = CATALOG_REASSIGN,
                                            .topic_id = id_of(number),
                                            .assignments = targets + random_below(random, 4),
                                            .assignment_count = (uint32_t)random_below(random, 2)};
        break;
    case 11:
        random_isr(random, catalog, command, number);
        break;
    default:
        *command = (struct catalog_command){.kind = random_below(random, 2) ? CATALOG_NODE_ID_TAKE
                                                                            : CATALOG_ELECT_LEADERS,
                                            .unclean = random_below(random, 2) != 0};
        break;
    }
    if (random_below(random, 4) == 0) /* Some ids come again. */
        command->id = id_of((uint8_t)random_below(random, 200));
}

/* Encoded commands of one random run, with the outcomes they had. */
struct history {
    uint8_t *bytes[HISTORY];
    size_t sizes[HISTORY];
    enum error errors[HISTORY];
};

static void history_make(struct history *history, struct catalog_fixture *f, uint64_t seed)
{
    struct random random;
    random_seed(&random, seed);
    for (int i = 0; i < HISTORY; i++) {
        struct catalog_command command;
        struct catalog_pair pairs[2];
        char name[32];
        random_command(&random, f->catalog, &command, name, pairs);
        assert_int_equal(catalog_command_encode(&command, &history->bytes[i], &history->sizes[i]),
                         ERROR_NONE);
        history->errors[i] =
            catalog_apply(f->catalog, ++f->index, 1, history->bytes[i], history->sizes[i]).error;
    }
}

static void history_done(struct history *history)
{
    for (int i = 0; i < HISTORY; i++)
        memory_free(history->bytes[i]);
}

static void replay(const struct history *history, int from, struct catalog *catalog, int64_t base)
{
    for (int i = from; i < HISTORY; i++)
        assert_int_equal(
            catalog_apply(catalog, base + i + 1, 1, history->bytes[i], history->sizes[i]).error,
            history->errors[i]);
}

static struct catalog *copy_of(const struct catalog *catalog, struct catalog_fixture *f)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    struct catalog *copy = NULL;
    assert_int_equal(catalog_snapshot(catalog, &bytes, &size), ERROR_NONE);
    assert_int_equal(catalog_new(simulated_executor_seam(f->executor), &copy), ERROR_NONE);
    assert_int_equal(catalog_restore(copy, bytes, size), ERROR_NONE);
    memory_free(bytes);
    return copy;
}

/* Restoring a snapshot taken anywhere and applying the rest gives the same image and outcomes as
 * applying everything: also idempotence survives the snapshot. */
static void a_replay_from_any_snapshot_gives_the_same_image(void **state)
{
    struct catalog_fixture *f = *state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct catalog *start = copy_of(f->catalog, f);
        int64_t base = f->index;
        struct history history;
        history_make(&history, f, seed);
        struct catalog *follower = start;
        for (int i = 0; i < HISTORY; i += 97) {
            struct catalog *snapshot = copy_of(follower, f);
            replay(&history, i, snapshot, base);
            assert_same_image(snapshot, f->catalog);
            catalog_free(snapshot);
            for (int j = i; j < i + 97 && j < HISTORY; j++)
                assert_int_equal(
                    catalog_apply(follower, base + j + 1, 1, history.bytes[j], history.sizes[j])
                        .error,
                    history.errors[j]);
        }
        assert_same_image(follower, f->catalog);
        catalog_free(follower);
        history_done(&history);
    }
    assert_true(catalog_topic_count(f->catalog) > 0);
}

/* The hash that is kept up to date at every change is the one a fresh image of the same has. */
static void the_hash_does_not_depend_on_history(void **state)
{
    struct catalog_fixture *f = *state;
    struct history history;
    history_make(&history, f, 9);
    struct catalog *copy = copy_of(f->catalog, f);
    assert_int_equal(catalog_hash(copy), catalog_hash(f->catalog));
    assert_int_not_equal(catalog_hash(copy), 0);
    assert_int_equal(catalog_applied_index(copy), catalog_applied_index(f->catalog));
    assert_int_equal(catalog_applied_term(copy), 1);
    catalog_free(copy);
    history_done(&history);
}

/* What is restored over an image is told to its watchers as a difference. */
static void a_restore_tells_the_difference(void **state)
{
    struct catalog_fixture *f = *state;
    const struct catalog_pair pair = pair_of("log.retention.ms", "5");
    make_topic(f, "kept", 1, 1);
    make_topic(f, "gone", 2, 1);
    uint8_t *bytes = NULL;
    size_t size = 0;
    assert_int_equal(catalog_snapshot(f->catalog, &bytes, &size), ERROR_NONE);
    struct catalog_command delete = {.kind = CATALOG_TOPIC_DELETE, .topic_id = id_of(2)};
    assert_int_equal(apply(f, &delete).error, ERROR_NONE);
    make_topic(f, "new", 3, 1);
    struct catalog_command config = config_command(CATALOG_RESOURCE_NODE, "", &pair, 1);
    assert_int_equal(apply(f, &config).error, ERROR_NONE);
    f->told[0] = '\0';

    assert_int_equal(catalog_restore(f->catalog, bytes, size), ERROR_NONE);

    assert_string_equal(f->told, "nodes;resource;deleted new;topic gone;topic kept;");
    memory_free(bytes);
}

static size_t cut(uint8_t *bytes, size_t size, size_t at, size_t count)
{
    memmove(bytes + at, bytes + at + count, size - at - count);
    return size - count;
}

/* What the single-node release wrote: no next node id (it follows the nodes), two flags less in a
 * node, one less in a partition. */
static void a_snapshot_of_the_first_version_is_read(void **state)
{
    struct catalog_fixture *f = *state;
    enum { NODE_ID_NEXT_AT = 41, NODE_BYTES = 67 };
    make_topic(f, "orders", 1, 1);
    uint8_t *bytes = NULL;
    size_t size = 0;
    assert_int_equal(catalog_snapshot(f->catalog, &bytes, &size), ERROR_NONE);
    size_t at = size - 4 - 8 - 4 - 1; /* CRC, hash, no outcomes: the last partition's flag. */
    size = cut(bytes, size, at, 1);
    for (int node = 2; node >= 0; node--)
        size = cut(bytes, size,
                   (size_t)(NODE_ID_NEXT_AT + 8 + node * (NODE_BYTES + 2) + NODE_BYTES), 2);
    size = cut(bytes, size, NODE_ID_NEXT_AT, 4);
    bytes[4] = 1;
    store_be64(bytes + size - 12, catalog_hash(f->catalog) - hash_node_id(4));
    store_be32(bytes + size - 4, crc32c(0, bytes, size - 4));

    struct catalog *copy = NULL;
    assert_int_equal(catalog_new(simulated_executor_seam(f->executor), &copy), ERROR_NONE);
    assert_int_equal(catalog_restore(copy, bytes, size), ERROR_NONE);
    assert_same_image(copy, f->catalog);
    catalog_free(copy);
    memory_free(bytes);
}

/* Any byte changed, any length: refused, and the image stays. */
static void a_damaged_snapshot_is_refused(void **state)
{
    struct catalog_fixture *f = *state;
    make_topic(f, "orders", 1, 3);
    uint8_t *bytes = NULL;
    size_t size = 0;
    assert_int_equal(catalog_snapshot(f->catalog, &bytes, &size), ERROR_NONE);
    uint64_t hash = catalog_hash(f->catalog);

    for (size_t i = 0; i < size; i++) {
        bytes[i] ^= 0x41;
        assert_int_equal(catalog_restore(f->catalog, bytes, size), ERROR_MALFORMED);
        bytes[i] ^= 0x41;
        assert_int_equal(catalog_restore(f->catalog, bytes, i), ERROR_MALFORMED);
    }

    assert_int_equal(catalog_hash(f->catalog), hash);
    assert_int_equal(catalog_restore(f->catalog, bytes, size), ERROR_NONE);
    memory_free(bytes);
}

/* With every allocation refused in turn, a restore changes nothing. */
static void a_refused_heap_leaves_the_image(void **state)
{
    struct catalog_fixture *f = *state;
    const struct catalog_pair pair = pair_of("retention.ms", "5");
    make_topic(f, "orders", 1, 3);
    struct catalog_command config = config_command(CATALOG_RESOURCE_TOPIC, "orders", &pair, 1);
    assert_int_equal(apply(f, &config).error, ERROR_NONE);
    uint8_t *bytes = NULL;
    size_t size = 0;
    assert_int_equal(catalog_snapshot(f->catalog, &bytes, &size), ERROR_NONE);
    make_topic(f, "later", 2, 1);
    uint64_t hash = catalog_hash(f->catalog);

    for (long countdown = 0;; countdown++) {
        memory_fault_arm(countdown);
        enum error error = catalog_restore(f->catalog, bytes, size);
        bool fired = memory_fault_fired();
        memory_fault_arm(-1);
        if (!fired) {
            assert_int_equal(error, ERROR_NONE);
            break;
        }
        if (error == ERROR_NONE) /* A hash table may do without growing. */
            assert_int_equal(catalog_restore(f->catalog, bytes, size), ERROR_NONE);
        else
            assert_int_equal(error, ERROR_OUT_OF_MEMORY);
        if (error != ERROR_NONE)
            assert_int_equal(catalog_hash(f->catalog), hash);
    }
    memory_free(bytes);
}

/* The same for applying: refused memory is no outcome, and the same command then succeeds. */
static void an_apply_without_memory_changes_nothing(void **state)
{
    struct catalog_fixture *f = *state;
    struct history history;
    struct catalog *twin = copy_of(f->catalog, f);
    int64_t base = f->index;
    history_make(&history, f, 3);
    for (int i = 0; i < 200; i++) {
        for (long countdown = 0;; countdown++) {
            uint64_t hash = catalog_hash(twin);
            memory_fault_arm(countdown);
            enum error error =
                catalog_apply(twin, base + i + 1, 1, history.bytes[i], history.sizes[i]).error;
            memory_fault_arm(-1);
            if (error != ERROR_OUT_OF_MEMORY) {
                assert_int_equal(error, history.errors[i]);
                break;
            }
            assert_int_equal(catalog_hash(twin), hash);
            assert_int_equal(catalog_applied_index(twin), base + i);
        }
    }
    replay(&history, 200, twin, base);
    assert_same_image(twin, f->catalog);
    catalog_free(twin);
    history_done(&history);
}

int main(void)
{
#define WITH_CATALOG(name)                                                                         \
    cmocka_unit_test_setup_teardown(name, catalog_fixture_setup, catalog_fixture_teardown)
    const struct CMUnitTest tests[] = {
        WITH_CATALOG(a_replay_from_any_snapshot_gives_the_same_image),
        WITH_CATALOG(the_hash_does_not_depend_on_history),
        WITH_CATALOG(a_restore_tells_the_difference),
        WITH_CATALOG(a_snapshot_of_the_first_version_is_read),
        WITH_CATALOG(a_damaged_snapshot_is_refused),
        WITH_CATALOG(a_refused_heap_leaves_the_image),
        WITH_CATALOG(an_apply_without_memory_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
