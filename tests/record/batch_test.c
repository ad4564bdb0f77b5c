/* SPDX-License-Identifier: Apache-2.0 */
/* Batch headers: golden bytes, structure checks, rewriting in place, sequence arithmetic. */
#include "record/batch.h"

#include "tests/record/samples.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Every field of a batch written by hand is found at its place. */
static void a_golden_header_is_read_field_by_field(void **state)
{
    (void)state;
    struct batch_header header;

    enum error error = batch_header_read(golden_batch, sizeof golden_batch, &header);

    assert_int_equal(error, ERROR_NONE);
    assert_int_equal(header.size, sizeof golden_batch);
    assert_int_equal(header.base_offset, 0x102);
    assert_int_equal(header.leader_epoch, 7);
    assert_int_equal(header.attributes, 0);
    assert_int_equal(header.last_offset_delta, 1);
    assert_int_equal(header.base_timestamp, 1000);
    assert_int_equal(header.max_timestamp, 1005);
    assert_int_equal(header.producer_id, -1);
    assert_int_equal(header.producer_epoch, -1);
    assert_int_equal(header.base_sequence, -1);
    assert_int_equal(header.record_count, 2);
    assert_int_equal(batch_last_offset(&header), 0x103);
    assert_int_equal(batch_last_sequence(&header), SEQUENCE_NONE);
    assert_true(batch_crc_valid(golden_batch, sizeof golden_batch));
}

/* A header that is cut anywhere is refused, and so is a batch that is cut anywhere. */
static void every_prefix_is_refused(void **state)
{
    (void)state;
    for (size_t size = 0; size < sizeof golden_batch; size++) {
        struct batch_header header;
        uint8_t *copy = sample_copy(golden_batch, size);
        assert_int_equal(batch_header_read(copy, size, &header), ERROR_CORRUPT_MESSAGE);
        enum error peeked = batch_header_peek(copy, size, &header);
        assert_int_equal(peeked, size < 61 ? ERROR_CORRUPT_MESSAGE : ERROR_NONE);
        free(copy);
    }
}

/* Lengths from outside: negative, below an empty batch, beyond the bytes. */
static void impossible_lengths_are_refused(void **state)
{
    (void)state;
    const int32_t lengths[] = {INT32_MIN, -1, 0, 48, sizeof golden_batch - 11, INT32_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        uint8_t bytes[sizeof golden_batch];
        memcpy(bytes, golden_batch, sizeof bytes);
        store_be32(bytes + BATCH_LENGTH_AT, (uint32_t)lengths[i]);
        struct batch_header header;
        assert_int_equal(batch_header_read(bytes, sizeof bytes, &header), ERROR_CORRUPT_MESSAGE);
    }
}

/* Old message sets are told apart from garbage. */
static void magic_0_and_1_are_unsupported_and_others_corrupt(void **state)
{
    (void)state;
    uint8_t bytes[sizeof golden_batch];
    memcpy(bytes, golden_batch, sizeof bytes);
    for (unsigned magic = 0; magic < 256; magic++) {
        struct batch_header header;
        bytes[BATCH_MAGIC_AT] = (uint8_t)magic;
        enum error error = batch_header_read(bytes, sizeof bytes, &header);
        enum error owed = magic < 2    ? ERROR_UNSUPPORTED_FOR_MESSAGE_FORMAT
                          : magic == 2 ? ERROR_NONE
                                       : ERROR_CORRUPT_MESSAGE;
        assert_int_equal(error, owed);
    }
}

/* The CRC covers everything from the attributes on and nothing before them. */
static void each_byte_behind_the_crc_is_covered_by_it(void **state)
{
    (void)state;
    uint8_t bytes[sizeof golden_batch];
    memcpy(bytes, golden_batch, sizeof bytes);
    for (size_t at = 0; at < sizeof bytes; at++) {
        bytes[at] ^= 0x10;
        assert_int_equal(batch_crc_valid(bytes, sizeof bytes), at < BATCH_CRC_AT);
        bytes[at] ^= 0x10;
    }
}

/* Offset and epoch are assigned by the leader without touching the CRC. */
static void base_offset_and_epoch_are_outside_the_crc(void **state)
{
    (void)state;
    uint8_t bytes[sizeof golden_batch];
    memcpy(bytes, golden_batch, sizeof bytes);

    batch_set_base_offset(bytes, 0x1122334455667788);
    batch_set_leader_epoch(bytes, 0x01020304);

    struct batch_header header;
    assert_int_equal(batch_header_read(bytes, sizeof bytes, &header), ERROR_NONE);
    assert_int_equal(header.base_offset, 0x1122334455667788);
    assert_int_equal(header.leader_epoch, 0x01020304);
    assert_true(batch_crc_valid(bytes, sizeof bytes));
}

/* LogAppendTime: the bit, the timestamp and the CRC change together; setting the same again or
 * back leaves the original bytes. */
static void append_time_is_set_and_taken_back(void **state)
{
    (void)state;
    uint8_t bytes[sizeof golden_batch];
    memcpy(bytes, golden_batch, sizeof bytes);
    struct batch_header header;

    batch_set_max_timestamp(bytes, sizeof bytes, TIMESTAMP_CREATE, 1005);
    assert_memory_equal(bytes, golden_batch, sizeof bytes);

    batch_set_max_timestamp(bytes, sizeof bytes, TIMESTAMP_APPEND, 99);
    assert_int_equal(batch_header_read(bytes, sizeof bytes, &header), ERROR_NONE);
    assert_int_equal(batch_timestamp_type(&header), TIMESTAMP_APPEND);
    assert_int_equal(header.max_timestamp, 99);
    assert_true(batch_crc_valid(bytes, sizeof bytes));

    batch_set_max_timestamp(bytes, sizeof bytes, TIMESTAMP_CREATE, 1005);
    assert_memory_equal(bytes, golden_batch, sizeof bytes);
}

/* Producer id, epoch and sequence are set with the CRC; set back, the original bytes are there. */
static void the_producer_is_set_and_taken_back(void **state)
{
    (void)state;
    uint8_t bytes[sizeof golden_batch];
    memcpy(bytes, golden_batch, sizeof bytes);
    struct batch_header before, header;
    assert_int_equal(batch_header_read(bytes, sizeof bytes, &before), ERROR_NONE);
    batch_set_producer(bytes, sizeof bytes, INT64_C(0x123456789abcdef0), 32767, INT32_MAX);
    assert_int_equal(batch_header_read(bytes, sizeof bytes, &header), ERROR_NONE);
    assert_true(header.producer_id == INT64_C(0x123456789abcdef0));
    assert_int_equal(header.producer_epoch, 32767);
    assert_int_equal(header.base_sequence, INT32_MAX);
    assert_int_equal(header.record_count, before.record_count);
    assert_int_not_equal(header.crc, before.crc);
    assert_true(batch_crc_valid(bytes, sizeof bytes));
    batch_set_producer(bytes, sizeof bytes, before.producer_id, before.producer_epoch,
                       before.base_sequence);
    assert_memory_equal(bytes, golden_batch, sizeof bytes);
}

/* KIP-98: 2147483647 is followed by 0. */
static void sequences_wrap_to_zero(void **state)
{
    (void)state;
    assert_int_equal(sequence_add(0, 0), 0);
    assert_int_equal(sequence_add(5, 10), 15);
    assert_int_equal(sequence_add(INT32_MAX, 0), INT32_MAX);
    assert_int_equal(sequence_add(INT32_MAX, 1), 0);
    assert_int_equal(sequence_add(INT32_MAX - 2, 5), 2);
    assert_int_equal(sequence_add(INT32_MAX, INT32_MAX), INT32_MAX - 1);
}

/* The last sequence of a batch that wraps in its middle. */
static void the_last_sequence_of_a_batch_wraps(void **state)
{
    (void)state;
    struct batch_header header = {.base_sequence = INT32_MAX - 1, .last_offset_delta = 3};
    assert_int_equal(batch_last_sequence(&header), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_golden_header_is_read_field_by_field),
        cmocka_unit_test(every_prefix_is_refused),
        cmocka_unit_test(impossible_lengths_are_refused),
        cmocka_unit_test(magic_0_and_1_are_unsupported_and_others_corrupt),
        cmocka_unit_test(each_byte_behind_the_crc_is_covered_by_it),
        cmocka_unit_test(base_offset_and_epoch_are_outside_the_crc),
        cmocka_unit_test(append_time_is_set_and_taken_back),
        cmocka_unit_test(the_producer_is_set_and_taken_back),
        cmocka_unit_test(sequences_wrap_to_zero),
        cmocka_unit_test(the_last_sequence_of_a_batch_wraps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
