/* SPDX-License-Identifier: Apache-2.0 */
/* The bounded reader: sticky failure, limits, and hostile lengths, counts, varints and tags. */
#include "base/memory.h"
#include "wire/message.h"
#include "wire/reader.h"

#include <cmocka.h>
#include <setjmp.h>
#include <stdarg.h>

#define READER_OF(...)                                                                             \
    reader_of((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static struct reader reader_of(const uint8_t *bytes, size_t size)
{
    struct reader reader;
    reader_init(&reader, slice_from(bytes, size));
    return reader;
}

/* After the first failure everything reads as zero, null, empty or false, and the cause stays. */
static void the_first_failure_sticks(void **state)
{
    (void)state;
    struct reader reader = READER_OF(0, 1, 2);
    assert_int_equal(read_int32(&reader), 0);
    assert_int_equal(reader.failure, ERROR_MALFORMED);
    assert_int_equal(read_int8(&reader), 0);
    assert_false(read_bool(&reader));
    assert_int_equal(read_int64(&reader), 0);
    assert_int_equal(read_uvarint(&reader), 0);
    assert_true(slice_is_null(read_string(&reader, true, true)));
    assert_int_equal(read_bytes(&reader, false, false).size, 0);
    reader_fail(&reader, ERROR_TOO_LARGE);
    assert_int_equal(reader.failure, ERROR_MALFORMED);
    assert_int_equal(reader_left(&reader), 0);
}

/* Integers are big-endian; a double is its IEEE bits. */
static void numbers_are_big_endian(void **state)
{
    (void)state;
    struct reader reader = READER_OF(0xff, 0xfe, 1, 2, 3, 4, 0x80, 0, 0x40, 4, 0, 0, 0, 0, 0, 0, 2);
    assert_int_equal(read_int16(&reader), -2);
    assert_int_equal(read_int32(&reader), 0x01020304);
    assert_int_equal(read_uint16(&reader), 0x8000);
    assert_true(read_float64(&reader) == 2.5);
    assert_true(read_bool(&reader));
    assert_true(reader_good(&reader));
    assert_int_equal(reader_left(&reader), 0);
}

/* Five bytes and 32 bits are the most; ten bytes, a cut one and a 33rd bit are refused. */
static void an_overlong_varint_is_refused(void **state)
{
    (void)state;
    struct reader most = READER_OF(0xff, 0xff, 0xff, 0xff, 0x0f);
    assert_int_equal(read_uvarint(&most), UINT32_MAX);
    assert_true(reader_good(&most));

    struct reader cut = READER_OF(0x80, 0x80);
    struct reader bit = READER_OF(0xff, 0xff, 0xff, 0xff, 0x1f);
    struct reader ten = READER_OF(0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01);
    struct reader *refused[] = {&cut, &bit, &ten};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        assert_int_equal(read_uvarint(refused[i]), 0);
        assert_int_equal(refused[i]->failure, ERROR_MALFORMED);
    }
}

/* Null is -1, or 0 when compact, and only where it is allowed. */
static void null_is_refused_where_it_is_not_allowed(void **state)
{
    (void)state;
    struct reader string = READER_OF(0xff, 0xff);
    assert_true(slice_is_null(read_string(&string, false, true)));
    assert_true(reader_good(&string));
    struct reader compact = READER_OF(0);
    assert_true(slice_is_null(read_string(&compact, true, true)));
    assert_true(reader_good(&compact));

    struct reader string_refused = READER_OF(0xff, 0xff);
    (void)read_string(&string_refused, false, false);
    assert_int_equal(string_refused.failure, ERROR_MALFORMED);
    struct reader compact_refused = READER_OF(0);
    (void)read_string(&compact_refused, true, false);
    assert_int_equal(compact_refused.failure, ERROR_MALFORMED);
    struct reader bytes_refused = READER_OF(0xff, 0xff, 0xff, 0xff);
    (void)read_bytes(&bytes_refused, false, false);
    assert_int_equal(bytes_refused.failure, ERROR_MALFORMED);
    struct reader array_refused = READER_OF(0xff, 0xff, 0xff, 0xff);
    struct arena arena;
    arena_init(&arena, 1000);
    uint32_t count = 7;
    assert_null(read_array(&array_refused, &arena, false, false, 1, 8, &count));
    assert_int_equal(array_refused.failure, ERROR_MALFORMED);
    assert_int_equal(count, 0);
    arena_done(&arena);
}

/* -2, more than is left, and a string beyond 32767 bytes (which int16 shows as negative). */
static void lengths_that_lie_are_refused(void **state)
{
    (void)state;
    struct reader negative = READER_OF(0xff, 0xfe, 'a');
    (void)read_string(&negative, false, true);
    assert_int_equal(negative.failure, ERROR_MALFORMED);

    struct reader beyond = READER_OF(0x7f, 0xff, 'a', 'b', 'c');
    (void)read_string(&beyond, false, true);
    assert_int_equal(beyond.failure, ERROR_MALFORMED);

    uint8_t long_string[3 + 32768] = {0x81, 0x80, 0x02}; /* 32768 + 1 */
    struct reader too_long = reader_of(long_string, sizeof long_string);
    (void)read_string(&too_long, true, true);
    assert_int_equal(too_long.failure, ERROR_MALFORMED);

    struct reader blob = READER_OF(0x7f, 0xff, 0xff, 0xff, 'a');
    (void)read_bytes(&blob, false, true);
    assert_int_equal(blob.failure, ERROR_MALFORMED);
}

/* Slices point into the frame; an empty one is not null. */
static void strings_are_slices_of_the_frame(void **state)
{
    (void)state;
    const uint8_t bytes[] = {0, 2, 'h', 'i', 0, 0};
    struct reader reader = reader_of(bytes, sizeof bytes);
    struct slice hi = read_string(&reader, false, false);
    assert_ptr_equal(hi.data, bytes + 2);
    assert_true(slice_equals_text(hi, "hi"));
    struct slice empty = read_string(&reader, false, true);
    assert_false(slice_is_null(empty));
    assert_int_equal(empty.size, 0);
}

/* Counts are compared with the bytes left before anything is allocated. */
static void a_hostile_count_allocates_nothing(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    uint32_t count;

    struct reader classic = READER_OF(0x7f, 0xff, 0xff, 0xff, 1, 2, 3, 4);
    assert_null(read_array(&classic, &arena, false, false, 1, 100, &count));
    assert_int_equal(classic.failure, ERROR_MALFORMED);

    struct reader compact = READER_OF(0xff, 0xff, 0xff, 0xff, 0x0f, 1, 2, 3, 4);
    assert_null(read_array(&compact, &arena, true, false, 1, 100, &count));
    assert_int_equal(compact.failure, ERROR_MALFORMED);

    struct reader wide = READER_OF(0, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7); /* 2 * 4 bytes, 7 there. */
    assert_null(read_array(&wide, &arena, false, false, 4, 100, &count));
    assert_int_equal(wide.failure, ERROR_MALFORMED);

    assert_null(arena.blocks);
    arena_done(&arena);
}

/* All arrays of a request share one budget of elements. */
static void the_element_budget_spans_arrays(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct reader reader = READER_OF(0, 0, 0, 3, 0, 0, 0, 3, 0, 0, 0, 0);
    reader.elements_left = 5;
    uint32_t count;
    assert_non_null(read_array(&reader, &arena, false, false, 1, 8, &count));
    assert_int_equal(count, 3);
    assert_int_equal(reader.elements_left, 2);
    assert_null(read_array(&reader, &arena, false, false, 1, 8, &count));
    assert_int_equal(reader.failure, ERROR_TOO_LARGE);
    assert_int_equal(count, 0);
    arena_done(&arena);
}

/* Null, empty and full arrays are told apart. */
static void null_and_empty_arrays_differ(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct reader reader = READER_OF(0, 1, 2, 9);
    uint32_t count;
    assert_null(read_array(&reader, &arena, true, true, 1, 8, &count));
    assert_ptr_equal(read_array(&reader, &arena, true, true, 1, 8, &count), WIRE_EMPTY);
    assert_int_equal(count, 0);
    assert_non_null(read_array(&reader, &arena, true, true, 1, 8, &count));
    assert_int_equal(count, 1);
    assert_true(reader_good(&reader));
    arena_done(&arena);
}

/* The arena's limit is the client's fault, a refused heap is ours. */
static void the_arena_limit_and_the_heap_are_told_apart(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 100);
    uint32_t count;
    struct reader limited = READER_OF(0, 0, 0, 2, 1, 2);
    assert_null(read_array(&limited, &arena, false, false, 1, 64, &count));
    assert_int_equal(limited.failure, ERROR_TOO_LARGE);

    memory_fault_arm(0);
    struct reader refused = READER_OF(0, 0, 0, 1, 1);
    assert_null(read_array(&refused, &arena, false, false, 1, 64, &count));
    memory_fault_arm(-1);
    assert_int_equal(refused.failure, ERROR_OUT_OF_MEMORY);
    arena_done(&arena);
}

/* A negative marker is null, any other means present. */
static void a_nullable_struct_has_a_marker(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1000);
    struct reader reader = READER_OF(0xff, 1);
    assert_null(read_present(&reader, &arena, 8));
    assert_non_null(read_present(&reader, &arena, 8));
    assert_true(reader_good(&reader));
    assert_null(read_present(&reader, &arena, 8));
    assert_int_equal(reader.failure, ERROR_MALFORMED);
    arena_done(&arena);
}

static enum error skip_tags(const uint8_t *bytes, size_t size, size_t *ret_left)
{
    struct reader reader = reader_of(bytes, size);
    read_tags_skip(&reader);
    *ret_left = reader_left(&reader);
    return reader.failure;
}

/* Unknown tags are skipped up to their sizes; what follows is still there. */
static void unknown_tags_are_skipped(void **state)
{
    (void)state;
    const uint8_t bytes[] = {2, 0, 1, 0xaa, 9, 2, 0xbb, 0xcc, 0x55};
    size_t left;
    assert_int_equal(skip_tags(bytes, sizeof bytes, &left), ERROR_NONE);
    assert_int_equal(left, 1);
}

/* Too many, duplicate, descending, oversized and cut tags. */
static void hostile_tags_are_refused(void **state)
{
    (void)state;
    size_t left;
    const uint8_t millions[] = {0x80, 0xda, 0xc4, 0x09, 0, 0}; /* 20,000,000 tags. */
    assert_int_equal(skip_tags(millions, sizeof millions, &left), ERROR_MALFORMED);
    const uint8_t duplicate[] = {2, 3, 0, 3, 0};
    assert_int_equal(skip_tags(duplicate, sizeof duplicate, &left), ERROR_MALFORMED);
    const uint8_t descending[] = {2, 3, 0, 2, 0};
    assert_int_equal(skip_tags(descending, sizeof descending, &left), ERROR_MALFORMED);
    const uint8_t oversized[] = {1, 0, 5, 1, 2, 3};
    assert_int_equal(skip_tags(oversized, sizeof oversized, &left), ERROR_MALFORMED);
    const uint8_t cut[] = {2, 0, 0};
    assert_int_equal(skip_tags(cut, sizeof cut, &left), ERROR_MALFORMED);

    uint8_t many[1 + 2 * (READER_TAGS_MAX + 1)] = {0};
    for (uint8_t i = 0; i <= READER_TAGS_MAX; i++)
        many[1 + 2 * i] = i;
    many[0] = READER_TAGS_MAX;
    assert_int_equal(skip_tags(many, sizeof many - 2, &left), ERROR_NONE);
    many[0] = READER_TAGS_MAX + 1;
    assert_int_equal(skip_tags(many, sizeof many, &left), ERROR_MALFORMED);
}

/* A known tag whose contents do not fill its size, or would run over it. */
static void a_tag_with_a_wrong_size_is_refused(void **state)
{
    (void)state;
    struct reader shorter = READER_OF(1, 0, 5, 0, 0, 0, 1, 0);
    struct tags tags;
    read_tags(&shorter, &tags);
    assert_true(read_tag(&shorter, &tags));
    assert_int_equal(read_int32(&shorter), 1);
    assert_false(read_tag(&shorter, &tags));
    assert_int_equal(shorter.failure, ERROR_MALFORMED);

    struct reader longer = READER_OF(1, 0, 3, 0, 0, 0, 1, 0);
    read_tags(&longer, &tags);
    assert_true(read_tag(&longer, &tags));
    assert_int_equal(read_int32(&longer), 0);
    assert_false(read_tag(&longer, &tags));
    assert_int_equal(longer.failure, ERROR_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_failure_sticks),
        cmocka_unit_test(numbers_are_big_endian),
        cmocka_unit_test(an_overlong_varint_is_refused),
        cmocka_unit_test(null_is_refused_where_it_is_not_allowed),
        cmocka_unit_test(lengths_that_lie_are_refused),
        cmocka_unit_test(strings_are_slices_of_the_frame),
        cmocka_unit_test(a_hostile_count_allocates_nothing),
        cmocka_unit_test(the_element_budget_spans_arrays),
        cmocka_unit_test(null_and_empty_arrays_differ),
        cmocka_unit_test(the_arena_limit_and_the_heap_are_told_apart),
        cmocka_unit_test(a_nullable_struct_has_a_marker),
        cmocka_unit_test(unknown_tags_are_skipped),
        cmocka_unit_test(hostile_tags_are_refused),
        cmocka_unit_test(a_tag_with_a_wrong_size_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
