/* SPDX-License-Identifier: Apache-2.0 */
/* Every message in every version: round trips, prefixes, damaged bytes, refused memory. */
#include "sample.h"

#include "base/memory.h"

#include <cmocka.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    SEEDS = 12,
    SWEEP_MAX = 200,
    ARENA_BYTES = 1 << 20,
    DAMAGED_BYTES_MAX = 400, /* Longer samples are left to the fuzz target. */
};

static struct slice encode_to_arena(const struct sample_message *kind, int16_t version,
                                    const void *message, struct arena *arena)
{
    struct writer writer;
    writer_init(&writer);
    kind->encode(&writer, version, message);
    struct slice bytes = SLICE_NULL;
    assert_int_equal(writer_finish_slice(&writer, arena, &bytes), ERROR_NONE);
    return bytes;
}

static struct slice make_sample(const struct sample_message *kind, int16_t version, uint64_t seed,
                                struct arena *arena)
{
    struct sample sample = {.state = seed * 1000003 + (uint64_t)version, .arena = arena};
    void *message = arena_allocate(arena, kind->size);
    assert_non_null(message);
    kind->fill(&sample, version, message);
    return encode_to_arena(kind, version, message, arena);
}

/* Decodes from a heap copy of exactly `size` bytes, so that the sanitizer sees any overrun. */
static enum error decode_copy(const struct sample_message *kind, int16_t version,
                              const uint8_t *bytes, size_t size, size_t *ret_left)
{
    uint8_t *copy = malloc(size == 0 ? 1 : size);
    assert_non_null(copy);
    if (size > 0)
        memcpy(copy, bytes, size);
    struct arena arena;
    arena_init(&arena, ARENA_BYTES);
    struct reader reader;
    reader_init(&reader, slice_from(copy, size));
    void *message = malloc(kind->size);
    assert_non_null(message);
    enum error error = kind->decode(&reader, version, &arena, message);
    *ret_left = reader_left(&reader);
    if (error == ERROR_NONE) { /* What was accepted must be encodable again. */
        struct writer writer;
        writer_init(&writer);
        kind->encode(&writer, version, message);
        struct outgoing outgoing = {0};
        assert_int_equal(writer_finish(&writer, &outgoing), ERROR_NONE);
        outgoing_done(&outgoing);
    }
    free(message);
    arena_done(&arena);
    free(copy);
    return error;
}

typedef void each_sample(const struct sample_message *kind, int16_t version, struct slice bytes);

static void for_each_sample(uint64_t seeds, each_sample *each)
{
    for (size_t i = 0; i < sample_messages_count; i++) {
        const struct sample_message *kind = &sample_messages[i];
        for (int16_t version = kind->version_min; version <= kind->version_max; version++) {
            for (uint64_t seed = 0; seed < seeds; seed++) {
                struct arena arena;
                arena_init(&arena, ARENA_BYTES);
                each(kind, version, make_sample(kind, version, seed, &arena));
                arena_done(&arena);
            }
        }
    }
}

static void round_trip(const struct sample_message *kind, int16_t version, struct slice bytes)
{
    struct arena arena;
    arena_init(&arena, ARENA_BYTES);
    void *message = arena_allocate(&arena, kind->size);
    struct reader reader;
    reader_init(&reader, bytes);
    enum error error = kind->decode(&reader, version, &arena, message);
    if (error != ERROR_NONE || reader_left(&reader) != 0)
        print_error("%s version %d: %s, %zu left\n", kind->name, version, error_text(error),
                    reader_left(&reader));
    assert_int_equal(error, ERROR_NONE);
    assert_int_equal(reader_left(&reader), 0);
    struct slice again = encode_to_arena(kind, version, message, &arena);
    if (!slice_equals(bytes, again))
        print_error("%s version %d\n", kind->name, version);
    assert_int_equal(bytes.size, again.size);
    assert_memory_equal(bytes.data, again.data, bytes.size);
    arena_done(&arena);
}

/* encode, decode, encode gives the same bytes, and decode consumes them all. */
static void every_message_survives_a_round_trip(void **state)
{
    (void)state;
    assert_true(sample_messages_count > 70);
    for_each_sample(SEEDS, round_trip);
}

static void cut_everywhere(const struct sample_message *kind, int16_t version, struct slice bytes)
{
    for (size_t size = 0; size < bytes.size; size++) {
        size_t left;
        enum error error = decode_copy(kind, version, bytes.data, size, &left);
        if (error != ERROR_MALFORMED)
            print_error("%s version %d cut to %zu of %zu\n", kind->name, version, size, bytes.size);
        assert_int_equal(error, ERROR_MALFORMED);
    }
}

/* A message is never complete before its last byte. */
static void every_prefix_is_refused(void **state)
{
    (void)state;
    for_each_sample(3, cut_everywhere);
}

static void damage_everywhere(const struct sample_message *kind, int16_t version,
                              struct slice bytes)
{
    if (bytes.size > DAMAGED_BYTES_MAX)
        return;
    uint8_t copy[DAMAGED_BYTES_MAX];
    memcpy(copy, bytes.data, bytes.size);
    for (size_t at = 0; at < bytes.size; at++) {
        for (int flip = 1; flip < 256; flip++) {
            copy[at] ^= (uint8_t)flip;
            size_t left;
            enum error error = decode_copy(kind, version, copy, bytes.size, &left);
            assert_true(error == ERROR_NONE || error == ERROR_MALFORMED ||
                        error == ERROR_TOO_LARGE);
            copy[at] = bytes.data[at];
        }
    }
}

/* Any one byte changed to any other: decodes to something encodable, or fails cleanly. */
static void every_damaged_byte_is_survived(void **state)
{
    (void)state;
    for_each_sample(1, damage_everywhere);
}

static void refuse_everywhere(const struct sample_message *kind, int16_t version,
                              struct slice bytes)
{
    struct arena holder;
    arena_init(&holder, ARENA_BYTES);
    void *message = arena_allocate(&holder, kind->size);
    for (long countdown = 0;; countdown++) {
        assert_true(countdown < SWEEP_MAX);
        struct arena arena;
        arena_init(&arena, ARENA_BYTES);
        struct reader reader;
        reader_init(&reader, bytes);
        memory_fault_arm(countdown);
        enum error error = kind->decode(&reader, version, &arena, message);
        if (error == ERROR_NONE) {
            struct writer writer;
            writer_init(&writer);
            kind->encode(&writer, version, message);
            struct outgoing outgoing = {0};
            error = writer_finish(&writer, &outgoing);
            outgoing_done(&outgoing);
        }
        bool fired = memory_fault_fired();
        memory_fault_arm(-1);
        arena_done(&arena);
        assert_int_equal(error, fired ? ERROR_OUT_OF_MEMORY : ERROR_NONE);
        if (!fired)
            break;
    }
    arena_done(&holder);
}

/* With the Nth allocation refused, decoding or encoding says so and leaks nothing. */
static void every_refused_allocation_is_reported(void **state)
{
    (void)state;
    for_each_sample(2, refuse_everywhere);
}

/* A message that is all zero bits can be encoded: nulls that are not allowed become empty. */
static void a_zeroed_message_is_valid_in_every_version(void **state)
{
    (void)state;
    for (size_t i = 0; i < sample_messages_count; i++) {
        const struct sample_message *kind = &sample_messages[i];
        for (int16_t version = kind->version_min; version <= kind->version_max; version++) {
            struct arena arena;
            arena_init(&arena, ARENA_BYTES);
            void *message = arena_allocate(&arena, kind->size);
            round_trip(kind, version, encode_to_arena(kind, version, message, &arena));
            arena_done(&arena);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_survives_a_round_trip),
        cmocka_unit_test(every_prefix_is_refused),
        cmocka_unit_test(every_damaged_byte_is_survived),
        cmocka_unit_test(every_refused_allocation_is_reported),
        cmocka_unit_test(a_zeroed_message_is_valid_in_every_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
