/* SPDX-License-Identifier: Apache-2.0 */
/* One record: read, written, its headers, and every prefix and mutation of it. */
#include "record/record.h"

#include "tests/record/samples.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* With a null and an empty header value, and an empty key. */
static size_t write_sample(uint8_t *at, size_t size)
{
    uint8_t headers[64];
    size_t headers_size = record_header_write(headers, slice_of("a"), SLICE_NULL);
    headers_size += record_header_write(headers + headers_size, SLICE_EMPTY, SLICE_EMPTY);
    headers_size += record_header_write(headers + headers_size, slice_of("b"), slice_of("two"));
    struct record record = {
        .key = SLICE_EMPTY,
        .value = slice_of("some value"),
        .headers = slice_from(headers, headers_size),
        .header_count = 3,
    };
    size_t wanted = record_size(&record, -70000, 300);
    assert_true(wanted <= size);
    assert_int_equal(record_write(at, &record, -70000, 300), wanted);
    return wanted;
}

/* What is written is read back, null and empty kept apart. */
static void a_written_record_is_read_back(void **state)
{
    (void)state;
    uint8_t bytes[100];
    size_t size = write_sample(bytes, sizeof bytes);
    struct record record;

    assert_int_equal(record_read(bytes, sizeof bytes, &record), size);

    assert_int_equal(record.timestamp, -70000);
    assert_int_equal(record.offset, 300);
    assert_non_null(record.key.data);
    assert_int_equal(record.key.size, 0);
    assert_true(slice_equals_text(record.value, "some value"));
    assert_int_equal(record.header_count, 3);
    struct slice key, value;
    assert_true(record_header_next(&record.headers, &key, &value));
    assert_true(slice_equals_text(key, "a"));
    assert_null(value.data);
    assert_true(record_header_next(&record.headers, &key, &value));
    assert_int_equal(key.size, 0);
    assert_non_null(value.data);
    assert_true(record_header_next(&record.headers, &key, &value));
    assert_true(slice_equals_text(value, "two"));
    assert_false(record_header_next(&record.headers, &key, &value));
}

/* A record that ends anywhere too early does not decode, and nothing behind it is read. */
static void every_prefix_of_a_record_is_refused(void **state)
{
    (void)state;
    uint8_t bytes[100];
    size_t size = write_sample(bytes, sizeof bytes);
    for (size_t cut = 0; cut < size; cut++) {
        uint8_t *copy = sample_copy(bytes, cut);
        struct record record;
        assert_int_equal(record_read(copy, cut, &record), 0);
        free(copy);
    }
}

/* Every value of every byte: it decodes to fields inside the record, or not at all. */
static void every_byte_value_decodes_inside_the_record_or_not(void **state)
{
    (void)state;
    uint8_t bytes[100];
    size_t size = write_sample(bytes, sizeof bytes);
    uint8_t *copy = sample_copy(bytes, size);
    for (size_t at = 0; at < size; at++) {
        for (unsigned value = 0; value < 256; value++) {
            struct record record;
            copy[at] = (uint8_t)value;
            size_t used = record_read(copy, size, &record);
            assert_true(used <= size);
            if (used == 0)
                continue;
            const uint8_t *end = copy + used;
            assert_true(record.key.size <= size && record.value.size <= size);
            assert_true(record.headers.data + record.headers.size == end);
            struct slice header_key, header_value;
            int32_t count = 0;
            while (record_header_next(&record.headers, &header_key, &header_value))
                count++;
            assert_int_equal(count, record.header_count);
        }
        copy[at] = bytes[at];
    }
    free(copy);
}

/* Java reads no varint beyond 5 bytes and no varlong beyond 10, padded or not. */
static void padded_varints_are_read_up_to_their_length(void **state)
{
    (void)state;
    for (size_t padding = 0; padding <= 10; padding++) {
        for (int is_timestamp = 0; is_timestamp <= 1; is_timestamp++) {
            uint8_t bytes[32] = {0};
            size_t size = 2; /* Length and attributes. */
            for (int field = 0; field < 2; field++) {
                bool is_padded = (field == 0) == (is_timestamp == 1);
                for (size_t i = 0; is_padded && i < padding; i++)
                    bytes[size++] = 0x80;
                bytes[size++] = 0; /* Timestamp delta, offset delta. */
            }
            bytes[size++] = 1; /* No key, no value, no headers. */
            bytes[size++] = 1;
            bytes[size++] = 0;
            bytes[0] = (uint8_t)((size - 1) * 2);
            struct record record;
            bool is_read = padding < (is_timestamp ? 10 : 5);
            assert_int_equal(record_read(bytes, size, &record), is_read ? size : 0);
        }
    }
}

/* A value longer than a record can say is refused before anything is written. */
static void a_record_beyond_two_gib_has_no_size(void **state)
{
    (void)state;
    struct record record = {.value = slice_from("", (size_t)INT32_MAX)};
    assert_true(record_size(&record, 0, 0) == SIZE_MAX);
    record.value.size = (size_t)INT32_MAX + 1;
    assert_true(record_size(&record, 0, 0) == SIZE_MAX);
    record.value.size = SIZE_MAX;
    assert_true(record_size(&record, 0, 0) == SIZE_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_written_record_is_read_back),
        cmocka_unit_test(every_prefix_of_a_record_is_refused),
        cmocka_unit_test(every_byte_value_decodes_inside_the_record_or_not),
        cmocka_unit_test(padded_varints_are_read_up_to_their_length),
        cmocka_unit_test(a_record_beyond_two_gib_has_no_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
