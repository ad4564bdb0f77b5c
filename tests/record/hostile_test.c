/* SPDX-License-Identifier: Apache-2.0 */
/* Hostile compressed batches through validation: entries 31 and 44 to 48 of the reliability list.
 */
#include "record/validate.h"

#include "record/walk.h"
#include "tests/record/samples.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Validates a batch whose records section is `section`, claiming `count` records. */
static enum error check_section_why(unsigned codec, struct slice section, int32_t count,
                                    const char **ret_why)
{
    struct buffer *model = sample_batch(CODEC_NONE, 1, 0);
    size_t size = BATCH_HEADER_BYTES + section.size;
    uint8_t *bytes = malloc(size);
    memcpy(bytes, model->data, BATCH_HEADER_BYTES);
    memcpy(bytes + BATCH_HEADER_BYTES, section.data, section.size);
    store_be32(bytes + BATCH_LENGTH_AT, (uint32_t)(size - BATCH_LENGTH_ENDS_AT));
    store_be16(bytes + BATCH_ATTRIBUTES_AT, (uint16_t)codec);
    store_be32(bytes + BATCH_RECORD_COUNT_AT, (uint32_t)count);
    store_be32(bytes + BATCH_LAST_OFFSET_DELTA_AT, (uint32_t)count - 1);
    batch_set_crc(bytes, size);

    struct batch_limits limits = sample_limits();
    struct codec_context context;
    struct batch_facts facts;
    struct batch_refusal refusal = {.text = NULL};
    codec_context_init(&context);
    enum error error = batch_validate_produce(bytes, size, &limits, &context, &facts, &refusal);
    enum error as_log =
        batch_validate_log(bytes, size, limits.decompressed_bytes_max, &context, &facts);
    assert_int_equal(as_log, error == ERROR_NONE ? ERROR_NONE : ERROR_CORRUPT_MESSAGE);
    assert_true(context.scratch == NULL || context.scratch->capacity <= CODEC_KEEP_BYTES);
    codec_context_done(&context);
    buffer_unref(model);
    free(bytes);
    *ret_why = refusal.text;
    return error;
}

static enum error check_section(unsigned codec, struct slice section, int32_t count)
{
    const char *why;
    return check_section_why(codec, section, count, &why);
}

/* Zeros beyond the cap, and a record that claims to be as long. */
static void a_bomb_is_an_invalid_record(void **state)
{
    (void)state;
    size_t size = sample_limits().decompressed_bytes_max + 1;
    uint8_t *zeros = calloc(1, size);
    struct codec_context context;
    codec_context_init(&context);
    for (unsigned codec = CODEC_GZIP; codec < CODEC_COUNT; codec++) {
        struct buffer *bomb;
        assert_int_equal(
            codec_compress(&context, (enum codec)codec, 1, slice_from(zeros, size), 0, &bomb),
            ERROR_NONE);
        const char *why;
        assert_int_equal(check_section_why(codec, slice_from(bomb->data, bomb->size), 1, &why),
                         ERROR_INVALID_RECORD);
        assert_non_null(strstr(why, "limit"));
        buffer_unref(bomb);
    }
    codec_context_done(&context);
    free(zeros);
}

/* A count of 2^31 - 1 over a few bytes, compressed or not. */
static void a_huge_count_over_a_tiny_body_is_invalid(void **state)
{
    (void)state;
    struct codec_context context;
    codec_context_init(&context);
    for (unsigned codec = CODEC_NONE; codec < CODEC_COUNT; codec++) {
        struct buffer *batch = sample_batch((enum codec)codec, 3, 10);
        struct slice section =
            slice_from(batch->data + BATCH_HEADER_BYTES, batch->size - BATCH_HEADER_BYTES);
        assert_int_equal(check_section(codec, section, 3), ERROR_NONE);
        assert_int_equal(check_section(codec, section, 4), ERROR_INVALID_RECORD);
        assert_int_equal(check_section(codec, section, 2), ERROR_INVALID_RECORD);
        assert_int_equal(check_section(codec, section, INT32_MAX), ERROR_INVALID_RECORD);
        buffer_unref(batch);
    }
    codec_context_done(&context);
}

/* The chunk of CVE-2023-34455 is answered CORRUPT_MESSAGE, unlike other damage. */
static void lying_snappy_framing_is_corrupt(void **state)
{
    (void)state;
    const uint8_t frame[] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y',  0,    0,    0,
                             0,    1,   0,   0,   0,   1,   0x7f, 0xff, 0xff, 0xff};
    assert_int_equal(check_section(CODEC_SNAPPY, slice_from(frame, sizeof frame), 1),
                     ERROR_CORRUPT_MESSAGE);
    assert_int_equal(check_section(CODEC_SNAPPY, slice_from(frame, 16), 1), ERROR_INVALID_RECORD);
}

/* A batch as the records of another, compressed or not, is no record. */
static void a_batch_inside_a_batch_is_invalid(void **state)
{
    (void)state;
    struct codec_context context;
    codec_context_init(&context);
    struct buffer *inner = sample_batch(CODEC_GZIP, 3, 10);
    struct slice bytes = slice_from(inner->data, inner->size);
    assert_int_equal(check_section(CODEC_NONE, bytes, 1), ERROR_INVALID_RECORD);
    for (unsigned codec = CODEC_GZIP; codec < CODEC_COUNT; codec++) {
        struct buffer *outer;
        assert_int_equal(codec_compress(&context, (enum codec)codec, 1, bytes, 0, &outer),
                         ERROR_NONE);
        assert_int_equal(check_section(codec, slice_from(outer->data, outer->size), 1),
                         ERROR_INVALID_RECORD);
        buffer_unref(outer);
    }
    buffer_unref(inner);
    codec_context_done(&context);
}

/* Empty or foreign sections under each codec's name. */
static void sections_of_another_codec_are_invalid(void **state)
{
    (void)state;
    for (unsigned codec = CODEC_GZIP; codec < CODEC_COUNT; codec++) {
        assert_int_equal(check_section(codec, SLICE_EMPTY, 1), ERROR_INVALID_RECORD);
        for (unsigned other = CODEC_NONE; other < CODEC_COUNT; other++) {
            if (other == codec)
                continue;
            struct buffer *batch = sample_batch((enum codec)other, 3, 10);
            enum error error = check_section(
                codec,
                slice_from(batch->data + BATCH_HEADER_BYTES, batch->size - BATCH_HEADER_BYTES), 3);
            assert_int_equal(error, ERROR_INVALID_RECORD);
            buffer_unref(batch);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bomb_is_an_invalid_record),
        cmocka_unit_test(a_huge_count_over_a_tiny_body_is_invalid),
        cmocka_unit_test(lying_snappy_framing_is_corrupt),
        cmocka_unit_test(a_batch_inside_a_batch_is_invalid),
        cmocka_unit_test(sections_of_another_codec_are_invalid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
