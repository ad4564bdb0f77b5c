/* SPDX-License-Identifier: Apache-2.0 */
/* The flat bytes of commands and snapshots: round trips, cut input, counts that lie, no memory. */
#include "catalog/bytes.h"

#include "base/memory.h"

#include <cmocka.h>

static void write_one_of_each(struct bytes_writer *writer)
{
    struct uuid id = {{1, 2, 3}};
    put_u8(writer, 0xfe);
    put_u16(writer, 0xfedc);
    put_u32(writer, 0xfedcba98);
    put_u64(writer, UINT64_C(0xfedcba9876543210));
    put_uuid(writer, &id);
    put_string(writer, slice_of("orders"));
    put_string(writer, SLICE_NULL);
    put_string(writer, SLICE_EMPTY);
}

/* Reads what was written; true when nothing was missing. */
static bool read_one_of_each(const uint8_t *bytes, size_t size)
{
    struct bytes_reader reader = {bytes, bytes + size, false};
    bool equal = take_u8(&reader) == 0xfe;
    equal = take_u16(&reader) == 0xfedc && equal;
    equal = take_u32(&reader) == 0xfedcba98 && equal;
    equal = take_u64(&reader) == UINT64_C(0xfedcba9876543210) && equal;
    equal = take_uuid(&reader).bytes[2] == 3 && equal;
    equal = slice_equals_text(take_string(&reader), "orders") && equal;
    equal = slice_is_null(take_string(&reader)) && equal;
    struct slice empty = take_string(&reader);
    equal = !slice_is_null(empty) && empty.size == 0 && equal;
    assert_true(reader.at <= reader.end);
    assert_true(reader.failed || (equal && reader.at == reader.end));
    return !reader.failed;
}

/* Null and empty strings stay apart; every prefix of the bytes is told as cut, from memory of its
 * own so that a sanitizer sees a read beyond. */
static void what_is_written_is_read_and_every_cut_is_told(void **state)
{
    (void)state;
    struct bytes_writer writer = {.data = NULL};
    write_one_of_each(&writer);
    assert_false(writer.failed);
    assert_true(read_one_of_each(writer.data, writer.size));

    for (size_t size = 0; size < writer.size; size++) {
        uint8_t *prefix = memory_allocate_raw(size);
        if (size > 0)
            memcpy(prefix, writer.data, size);
        assert_false(read_one_of_each(prefix, size));
        memory_free(prefix);
    }
    memory_free(writer.data);
}

/* A count larger than what could follow is a failure, not a request for memory. */
static void a_count_beyond_the_bytes_is_refused(void **state)
{
    (void)state;
    struct bytes_writer writer = {.data = NULL};
    put_u32(&writer, 3);
    put_u64(&writer, 0);
    put_u32(&writer, 0);
    struct bytes_reader reader = {writer.data, writer.data + writer.size, false};
    assert_int_equal(take_count(&reader, 4), 3);
    assert_false(reader.failed);
    reader = (struct bytes_reader){writer.data, writer.data + writer.size, false};
    assert_int_equal(take_count(&reader, 5), 0);
    assert_true(reader.failed);
    memory_free(writer.data);
}

/* 0xffff is null's length, so a string may not have it; the failure sticks. */
static void a_string_that_is_too_long_fails_the_writer(void **state)
{
    (void)state;
    char *text = memory_allocate(BYTES_STRING_MAX + 1);
    struct bytes_writer writer = {.data = NULL};
    put_string(&writer, slice_from(text, BYTES_STRING_MAX));
    assert_false(writer.failed);
    put_string(&writer, slice_from(text, BYTES_STRING_MAX + 1));
    assert_true(writer.failed);
    assert_false(writer.refused);
    put_u8(&writer, 1);
    assert_true(writer.failed);
    memory_free(writer.data);
    memory_free(text);
}

/* Each refused allocation is told apart from what is too long. */
static void a_refused_allocation_fails_the_writer(void **state)
{
    (void)state;
    for (long countdown = 0;; countdown++) {
        struct bytes_writer writer = {.data = NULL};
        memory_fault_arm(countdown);
        for (int i = 0; i < 100; i++)
            write_one_of_each(&writer);
        bool fired = memory_fault_fired() != 0;
        memory_fault_arm(-1);
        assert_int_equal(writer.failed, fired);
        assert_int_equal(writer.refused, fired);
        memory_free(writer.data);
        if (!fired)
            break;
        assert_true(countdown < 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_and_every_cut_is_told),
        cmocka_unit_test(a_count_beyond_the_bytes_is_refused),
        cmocka_unit_test(a_string_that_is_too_long_fails_the_writer),
        cmocka_unit_test(a_refused_allocation_fails_the_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
