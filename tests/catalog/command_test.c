/* SPDX-License-Identifier: Apache-2.0 */
/* Commands as bytes: there and back, damaged anywhere, too large, and without memory. */
#include "base/arena.h"
#include "base/memory.h"
#include "catalog_fixture.h"

#include <cmocka.h>

enum { ARENA_BYTES = 64 << 20, KIND_COUNT = CATALOG_NODE_ID_TAKE, KIND_GONE = 8 };

static const struct catalog_pair pairs[] = {
    {{(const uint8_t *)"retention.ms", 12}, {(const uint8_t *)"5", 1}},
    {{(const uint8_t *)"segment.ms", 10}, {NULL, 0}},
    {{(const uint8_t *)"cleanup.policy", 14}, {(const uint8_t *)"", 0}},
};

static const struct catalog_partition_name names[] = {
    {{{1, 2, 3}}, 0},
    {{{4}}, 70000},
};

/* A command of the kind with every field that the kind carries. */
static struct catalog_command sample(enum catalog_command_kind kind)
{
    struct catalog_command command = topic_command("orders", 7, 5);
    command.kind = kind;
    command.id = id_of(3);
    command.cluster_id = id_of(4);
    command.node = node_command(2).node;
    command.node.fenced = true;
    command.node.epoch = 77;
    command.node.sync_default = true;
    memcpy(command.node.rack, "east", 5);
    command.node_id = 6;
    command.node_epoch = 1234567890123;
    command.fenced = true;
    command.clean = true;
    command.draining = true;
    command.unclean = true;
    command.expected_count = 9;
    command.partition = (struct catalog_partition){.index = 3,
                                                   .leader = 2,
                                                   .leader_epoch = 4,
                                                   .partition_epoch = 8,
                                                   .replica_count = 2,
                                                   .replicas = {1, 2},
                                                   .isr_count = 1,
                                                   .isr = {2},
                                                   .removing_count = 1,
                                                   .removing = {1},
                                                   .recovering = true};
    command.isr_epochs[0] = 4000000000;
    command.partitions = names;
    command.partition_count = 2;
    command.resource = CATALOG_RESOURCE_TOPIC;
    command.resource_name = slice_of("orders");
    command.pairs = pairs;
    command.pair_count = 3;
    command.feature = slice_of("metadata.version");
    command.feature_level = 25;
    return command;
}

/* Encoding what was decoded gives the same bytes, so nothing was lost. */
static void every_kind_survives_the_way_there_and_back(void **state)
{
    (void)state;
    for (int kind = 1; kind <= KIND_COUNT; kind++) {
        if (kind == KIND_GONE)
            continue;
        struct catalog_command command = sample((enum catalog_command_kind)kind);
        struct catalog_command decoded;
        uint8_t *bytes = NULL, *again = NULL;
        size_t size = 0, again_size = 0;
        struct arena arena;
        arena_init(&arena, ARENA_BYTES);
        assert_int_equal(catalog_command_encode(&command, &bytes, &size), ERROR_NONE);
        assert_int_equal(catalog_command_decode(bytes, size, &arena, &decoded), ERROR_NONE);
        assert_int_equal(catalog_command_encode(&decoded, &again, &again_size), ERROR_NONE);
        assert_int_equal(again_size, size);
        assert_memory_equal(again, bytes, size);
        assert_int_equal(decoded.kind, kind);
        assert_true(uuid_equals(&decoded.id, &command.id));
        assert_int_equal(decoded.wall_clock_ms, 5);
        memory_free(bytes);
        memory_free(again);
        arena_done(&arena);
    }
}

/* The fields themselves, of the richest kind: null values stay null, text ends in a NUL. */
static void a_topic_command_keeps_its_fields(void **state)
{
    (void)state;
    struct catalog_command command = sample(CATALOG_TOPIC_CREATE);
    struct catalog_command decoded;
    uint8_t *bytes = NULL;
    size_t size = 0;
    struct arena arena;
    arena_init(&arena, ARENA_BYTES);
    assert_int_equal(catalog_command_encode(&command, &bytes, &size), ERROR_NONE);
    assert_int_equal(catalog_command_decode(bytes, size, &arena, &decoded), ERROR_NONE);

    assert_true(slice_equals_text(decoded.topic_name, "orders"));
    assert_int_equal(decoded.assignment_count, 5);
    assert_int_equal(decoded.assignments[1].replica_count, 3);
    assert_int_equal(decoded.assignments[1].replicas[0], 2);
    assert_int_equal(decoded.pair_count, 3);
    assert_string_equal((const char *)decoded.pairs[0].key.data, "retention.ms");
    assert_true(slice_is_null(decoded.pairs[1].value));
    assert_string_equal((const char *)decoded.pairs[2].value.data, "");
    memory_free(bytes);
    arena_done(&arena);
}

/* Every prefix and every changed byte decodes or fails; nothing else (run under the sanitizers). */
static void damage_anywhere_fails_cleanly(void **state)
{
    struct catalog_fixture *f = *state;
    for (int kind = 1; kind <= KIND_COUNT; kind++) {
        if (kind == KIND_GONE)
            continue;
        struct catalog_command command = sample((enum catalog_command_kind)kind);
        struct catalog_command decoded;
        uint8_t *bytes = NULL;
        size_t size = 0;
        struct arena arena;
        arena_init(&arena, ARENA_BYTES);
        assert_int_equal(catalog_command_encode(&command, &bytes, &size), ERROR_NONE);
        for (size_t i = 0; i < size; i++) {
            uint8_t *prefix = (uint8_t *)memory_copy_text(bytes, i);
            assert_int_not_equal(catalog_command_decode(prefix, i, &arena, &decoded), ERROR_NONE);
            memory_free(prefix);
            for (int bit = 0; bit < 256; bit += 51) {
                uint8_t was = bytes[i];
                bytes[i] = (uint8_t)(bytes[i] + bit);
                (void)catalog_apply(f->catalog, ++f->index, 1, bytes, size);
                bytes[i] = was;
            }
            arena_reset(&arena);
        }
        memory_free(bytes);
        arena_done(&arena);
    }
}

/* A count that promises more than the bytes hold asks for no memory. */
static void a_hostile_count_is_refused(void **state)
{
    (void)state;
    struct catalog_command command = sample(CATALOG_CONFIG_SET);
    struct catalog_command decoded;
    uint8_t *bytes = NULL;
    size_t size = 0;
    struct arena arena;
    arena_init(&arena, ARENA_BYTES);
    assert_int_equal(catalog_command_encode(&command, &bytes, &size), ERROR_NONE);
    size_t count_at = 26 + 1 + 2 + strlen("orders");
    assert_int_equal(bytes[count_at + 3], 3);
    memset(bytes + count_at, 0xff, 4);

    assert_int_equal(catalog_command_decode(bytes, size, &arena, &decoded), ERROR_MALFORMED);
    assert_int_equal(arena.used_bytes, 0);
    memory_free(bytes);
}

/* What a newer release wrote is told apart from damage. */
static void a_newer_version_is_not_damage(void **state)
{
    struct catalog_fixture *f = *state;
    struct catalog_command command = sample(CATALOG_TOPIC_DELETE);
    uint8_t *bytes = NULL;
    size_t size = 0;
    assert_int_equal(catalog_command_encode(&command, &bytes, &size), ERROR_NONE);
    bytes[0] = 3;
    assert_int_equal(catalog_apply(f->catalog, ++f->index, 1, bytes, size).error,
                     ERROR_UNSUPPORTED_VERSION);
    bytes[0] = 1;
    bytes[1] = KIND_GONE;
    assert_int_equal(catalog_apply(f->catalog, ++f->index, 1, bytes, size).error,
                     ERROR_UNSUPPORTED_VERSION);
    bytes[1] = 200;
    assert_int_equal(catalog_apply(f->catalog, ++f->index, 1, bytes, size).error,
                     ERROR_UNSUPPORTED_VERSION);
    memory_free(bytes);
}

/* Commands in the log of the single-node release: a registration loses nothing, a fence means any.
 */
static void commands_of_the_first_version_are_read(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, ARENA_BYTES);
    static const struct {
        enum catalog_command_kind kind;
        size_t more; /* Bytes that version 2 has behind. */
    } cases[] = {{CATALOG_NODE_REGISTER, 3}, {CATALOG_NODE_FENCE, 8}, {CATALOG_TOPIC_CREATE, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct catalog_command command = sample(cases[i].kind), decoded;
        uint8_t *bytes = NULL;
        size_t size = 0;
        command.clean = false;
        assert_int_equal(catalog_command_encode(&command, &bytes, &size), ERROR_NONE);
        bytes[0] = 1;
        assert_int_equal(catalog_command_decode(bytes, size - cases[i].more, &arena, &decoded),
                         ERROR_NONE);
        assert_int_equal(decoded.kind, cases[i].kind);
        assert_int_equal(decoded.clean, cases[i].kind == CATALOG_NODE_REGISTER);
        assert_int_equal(decoded.node_epoch, 0);
        memory_free(bytes);
    }
    struct catalog_command later = sample(CATALOG_NODE_DRAIN), decoded;
    uint8_t *bytes = NULL;
    size_t size = 0;
    assert_int_equal(catalog_command_encode(&later, &bytes, &size), ERROR_NONE);
    bytes[0] = 1;
    assert_int_equal(catalog_command_decode(bytes, size, &arena, &decoded),
                     ERROR_UNSUPPORTED_VERSION);
    memory_free(bytes);
    arena_done(&arena);
}

/* Limits are kept on the way in too. */
static void a_command_that_is_too_large_is_not_encoded(void **state)
{
    (void)state;
    uint8_t *bytes = NULL;
    size_t size = 0;
    struct catalog_command command = sample(CATALOG_TOPIC_CREATE);
    command.assignment_count = CATALOG_COMMAND_PARTITIONS_MAX + 1;
    assert_int_equal(catalog_command_encode(&command, &bytes, &size), ERROR_TOO_LARGE);
    command = sample(CATALOG_ISR_CHANGE);
    command.partition.isr_count = CATALOG_REPLICAS_MAX + 1;
    assert_int_equal(catalog_command_encode(&command, &bytes, &size), ERROR_TOO_LARGE);
    static char long_text[70000];
    command = sample(CATALOG_CONFIG_SET);
    command.resource_name = slice_from(long_text, sizeof long_text);
    assert_int_equal(catalog_command_encode(&command, &bytes, &size), ERROR_TOO_LARGE);
}

/* A refused heap is told apart from a command that is too large. */
static void a_refused_heap_is_reported(void **state)
{
    (void)state;
    struct catalog_command command = sample(CATALOG_TOPIC_CREATE);
    struct catalog_command decoded;
    uint8_t *bytes = NULL;
    size_t size = 0;
    memory_fault_arm(0);
    assert_int_equal(catalog_command_encode(&command, &bytes, &size), ERROR_OUT_OF_MEMORY);
    memory_fault_arm(-1);
    assert_int_equal(catalog_command_encode(&command, &bytes, &size), ERROR_NONE);
    struct arena arena;
    arena_init(&arena, ARENA_BYTES);
    memory_fault_arm(0);
    assert_int_equal(catalog_command_decode(bytes, size, &arena, &decoded), ERROR_OUT_OF_MEMORY);
    memory_fault_arm(-1);
    memory_free(bytes);
    arena_done(&arena);
}

int main(void)
{
#define WITH_CATALOG(name)                                                                         \
    cmocka_unit_test_setup_teardown(name, catalog_fixture_setup, catalog_fixture_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_survives_the_way_there_and_back),
        cmocka_unit_test(a_topic_command_keeps_its_fields),
        WITH_CATALOG(damage_anywhere_fails_cleanly),
        cmocka_unit_test(a_hostile_count_is_refused),
        WITH_CATALOG(a_newer_version_is_not_damage),
        cmocka_unit_test(commands_of_the_first_version_are_read),
        cmocka_unit_test(a_command_that_is_too_large_is_not_encoded),
        cmocka_unit_test(a_refused_heap_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
