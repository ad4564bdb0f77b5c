/* SPDX-License-Identifier: Apache-2.0 */
/* Every codec: round trips, bombs, damage, both snappy framings, and reuse after a failure. */
#include "record/codec.h"

#include "base/byteorder.h"
#include "base/memory.h"
#include "tests/record/samples.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { FIRST = CODEC_GZIP };

static int context_begin(void **state)
{
    struct codec_context *context = malloc(sizeof *context);
    codec_context_init(context);
    *state = context;
    return 0;
}

static int context_end(void **state)
{
    codec_context_done(*state);
    free(*state);
    return 0;
}

/* Half of it noise, half text: a fixed generator, so that a failure comes again. */
static uint8_t *mixed_bytes(size_t size)
{
    uint8_t *bytes = sample_copy("", 0);
    bytes = realloc(bytes, size + 1);
    uint32_t random = 12345;
    for (size_t i = 0; i < size; i++) {
        random = random * 1664525 + 1013904223;
        bytes[i] = i / 1000 % 2 == 0 ? (uint8_t)(random >> 24) : sample_value_byte(3, i);
    }
    return bytes;
}

static struct buffer *compress(struct codec_context *context, unsigned codec, int level,
                               struct slice in)
{
    struct buffer *out = NULL;
    assert_int_equal(codec_compress(context, (enum codec)codec, level, in, 0, &out), ERROR_NONE);
    return out;
}

static struct slice slice_of_buffer(const struct buffer *buffer)
{
    return slice_from(buffer->data, buffer->size);
}

/* Sizes around each codec's block sizes, at the default, the lowest and the highest level. */
static void every_size_and_level_comes_back(void **state)
{
    struct codec_context *context = *state;
    const size_t sizes[] = {0,     1,     2,      100,    32767,  32768,  32769,
                            65535, 65536, 131072, 131073, 300000, 1000000};
    uint8_t *bytes = mixed_bytes(1000000);
    for (unsigned codec = FIRST; codec < CODEC_COUNT; codec++) {
        const int levels[] = {codec_level_default((enum codec)codec), -1000, 1, 12, 1000};
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            for (size_t j = 0; j < sizeof levels / sizeof levels[0]; j++) {
                if (j > 0 && sizes[i] > 131073)
                    continue; /* The highest levels are slow. */
                struct slice in = slice_from(bytes, sizes[i]);
                struct buffer *packed = compress(context, codec, levels[j], in);
                struct slice out;
                assert_int_equal(
                    codec_decompress(context, codec, slice_of_buffer(packed), sizes[i], &out),
                    ERROR_NONE);
                assert_int_equal(out.size, sizes[i]);
                assert_memory_equal(out.data, bytes, out.size);
                buffer_unref(packed);
            }
        }
    }
    free(bytes);
}

/* The cap is exact: one byte less refuses. */
static void the_cap_is_exact(void **state)
{
    struct codec_context *context = *state;
    const size_t sizes[] = {1, 100, 16384, 16385, 65536, 200000};
    uint8_t *bytes = mixed_bytes(200000);
    for (unsigned codec = FIRST; codec < CODEC_COUNT; codec++) {
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            struct buffer *packed = compress(context, codec, 1, slice_from(bytes, sizes[i]));
            struct slice in = slice_of_buffer(packed), out;
            assert_int_equal(codec_decompress(context, codec, in, sizes[i], &out), ERROR_NONE);
            assert_int_equal(codec_decompress(context, codec, in, sizes[i] - 1, &out),
                             ERROR_TOO_LARGE);
            assert_int_equal(codec_decompress(context, codec, in, 0, &out), ERROR_TOO_LARGE);
            buffer_unref(packed);
        }
    }
    free(bytes);
}

/* One member or frame of zeros, repeated: a mebibyte that would become ten gibibytes or what the
 * format can reach (LZ4 takes one frame, snappy's best is 1 to 21). */
static struct buffer *make_bomb(struct codec_context *context, unsigned codec)
{
    size_t zeros_size = 64 << 20;
    uint8_t *zeros = calloc(1, zeros_size);
    struct buffer *one = compress(context, codec, 1, slice_from(zeros, zeros_size));
    free(zeros);
    size_t times = codec == CODEC_LZ4 ? 1 : (1 << 20) / one->size + 1;
    struct buffer *bomb = buffer_new(one->size * times);
    for (size_t i = 0; i < times; i++) {
        memcpy(bomb->data + bomb->size, one->data, one->size);
        bomb->size += one->size;
    }
    buffer_unref(one);
    return bomb;
}

/* Hostile input 44: it fails at the cap, and no buffer beyond the cap was made or kept. */
static void bombs_fail_at_the_cap(void **state)
{
    struct codec_context *context = *state;
    for (unsigned codec = FIRST; codec < CODEC_COUNT; codec++) {
        struct buffer *bomb = make_bomb(context, codec);
        struct slice out = SLICE_NULL;
        const size_t caps[] = {0, 1000, 1 << 20, (4 << 20) - 1, 16 << 20};
        for (size_t i = 0; i < sizeof caps / sizeof caps[0]; i++) {
            codec_context_done(context);
            assert_int_equal(codec_decompress(context, codec, slice_of_buffer(bomb), caps[i], &out),
                             ERROR_TOO_LARGE);
            assert_null(out.data);
            if (context->scratch != NULL)
                assert_true(context->scratch->capacity <= caps[i] + 1);
            assert_true(caps[i] < CODEC_KEEP_BYTES || context->scratch == NULL ||
                        context->scratch->capacity <= CODEC_KEEP_BYTES);
        }
        buffer_unref(bomb);
    }
}

/* A stream that is cut anywhere is refused; none is taken for a shorter one. */
static void every_prefix_is_refused(void **state)
{
    struct codec_context *context = *state;
    uint8_t *bytes = mixed_bytes(3000);
    for (unsigned codec = FIRST; codec < CODEC_COUNT; codec++) {
        struct buffer *packed = compress(context, codec, 1, slice_from(bytes, 3000));
        for (size_t size = 0; size < packed->size; size++) {
            uint8_t *copy = sample_copy(packed->data, size);
            struct slice out;
            enum error error =
                codec_decompress(context, codec, slice_from(copy, size), 1 << 20, &out);
            /* snappy's framing has no end mark: its header alone holds nothing. */
            if (codec == CODEC_SNAPPY && size == 16)
                assert_int_equal(error, ERROR_NONE);
            else
                assert_true(error == ERROR_MALFORMED || error == ERROR_CORRUPT_MESSAGE);
            free(copy);
        }
        buffer_unref(packed);
    }
    free(bytes);
}

/* Bytes behind the end of a stream are refused where they are no further stream. */
static void bytes_behind_the_end_are_refused(void **state)
{
    struct codec_context *context = *state;
    uint8_t *bytes = mixed_bytes(3000);
    for (unsigned codec = FIRST; codec < CODEC_COUNT; codec++) {
        struct buffer *packed = compress(context, codec, 1, slice_from(bytes, 3000));
        uint8_t *copy = malloc(packed->size + 1);
        memcpy(copy, packed->data, packed->size);
        copy[packed->size] = 0;
        struct slice out;
        enum error error =
            codec_decompress(context, codec, slice_from(copy, packed->size + 1), 1 << 20, &out);
        assert_true(error == ERROR_MALFORMED || error == ERROR_CORRUPT_MESSAGE);
        free(copy);
        buffer_unref(packed);
    }
    free(bytes);
}

/* Changing any byte never crashes, and the context still decodes what is sound. */
static void every_mutation_leaves_the_context_usable(void **state)
{
    struct codec_context *context = *state;
    uint8_t *bytes = mixed_bytes(1500);
    for (unsigned codec = FIRST; codec < CODEC_COUNT; codec++) {
        struct buffer *packed = compress(context, codec, 1, slice_from(bytes, 1500));
        struct slice in = slice_of_buffer(packed), out;
        uint8_t *copy = sample_copy(packed->data, packed->size);
        for (size_t at = 0; at < packed->size; at++) {
            for (unsigned change = 1; change < 256; change = change * 2 + 1) {
                copy[at] ^= (uint8_t)change;
                (void)codec_decompress(context, codec, slice_from(copy, packed->size), 1 << 16,
                                       &out);
                copy[at] ^= (uint8_t)change;
            }
            assert_int_equal(codec_decompress(context, codec, in, 1 << 16, &out), ERROR_NONE);
            assert_int_equal(out.size, 1500);
        }
        free(copy);
        buffer_unref(packed);
    }
    free(bytes);
}

/* RFC 1952: members follow one another; zstd frames and snappy-java streams do too. */
static void streams_may_follow_one_another(void **state)
{
    struct codec_context *context = *state;
    const unsigned codecs[] = {CODEC_GZIP, CODEC_SNAPPY, CODEC_ZSTD};
    for (size_t i = 0; i < 3; i++) {
        struct buffer *first = compress(context, codecs[i], 1, slice_of("first,"));
        struct buffer *second = compress(context, codecs[i], 1, slice_of("second"));
        uint8_t *both = malloc(first->size + second->size);
        memcpy(both, first->data, first->size);
        memcpy(both + first->size, second->data, second->size);
        struct slice in = slice_from(both, first->size + second->size), out;
        assert_int_equal(codec_decompress(context, codecs[i], in, 100, &out), ERROR_NONE);
        assert_true(slice_equals_text(out, "first,second"));
        free(both);
        buffer_unref(first);
        buffer_unref(second);
    }
}

/* librdkafka's raw block, an empty one, and one that claims more than it can hold. */
static void raw_snappy_blocks_are_told_by_the_missing_magic(void **state)
{
    struct codec_context *context = *state;
    const uint8_t raw[] = {5, 4 << 2, 'h', 'e', 'l', 'l', 'o'}, empty[] = {0};
    const uint8_t lie[] = {0xff, 0xff, 0xff, 0x3f, 0, 'x'}; /* 128 MiB in six bytes. */
    struct slice out;
    assert_int_equal(
        codec_decompress(context, CODEC_SNAPPY, slice_from(raw, sizeof raw), 100, &out),
        ERROR_NONE);
    assert_true(slice_equals_text(out, "hello"));
    assert_int_equal(
        codec_decompress(context, CODEC_SNAPPY, slice_from(empty, sizeof empty), 100, &out),
        ERROR_NONE);
    assert_int_equal(out.size, 0);
    assert_int_equal(
        codec_decompress(context, CODEC_SNAPPY, slice_from(lie, sizeof lie), 1 << 30, &out),
        ERROR_MALFORMED);
    assert_true(context->scratch->capacity < 1 << 20);
}

/* Hostile input 46 (CVE-2023-34455): a block length beyond the bytes, and negative ones. */
static void snappy_framing_that_lies_about_a_length_is_corrupt(void **state)
{
    struct codec_context *context = *state;
    uint8_t frame[28] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1};
    const uint32_t lengths[] = {0x7fffffff, 0xffffffff, 0x80000000, 9};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct slice out;
        store_be32(frame + 16, lengths[i]);
        assert_int_equal(
            codec_decompress(context, CODEC_SNAPPY, slice_from(frame, sizeof frame), 1 << 20, &out),
            ERROR_CORRUPT_MESSAGE);
    }
}

/* Hostile input 45: a claimed content of 2^60 bytes, a window of 2 TiB. */
static void zstd_claims_are_not_believed(void **state)
{
    struct codec_context *context = *state;
    const uint8_t content[] = {0x28, 0xb5, 0x2f, 0xfd, 0xc0, 0x50, 0, 0, 0,
                               0,    0,    0,    0,    0x10, 0x0b, 0, 0, 7};
    const uint8_t single[] = {0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0,
                              0,    0,    0,    0x10, 0x0b, 0, 0, 7};
    const uint8_t window[] = {0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xf8, 0x0b, 0, 0, 7};
    const struct slice cases[] = {
        slice_from(content, sizeof content),
        slice_from(single, sizeof single),
        slice_from(window, sizeof window),
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct slice out;
        assert_int_equal(codec_decompress(context, CODEC_ZSTD, cases[i], 1 << 20, &out),
                         ERROR_MALFORMED);
        assert_true(context->scratch->capacity < 1 << 20);
    }
}

/* What Kafka's Java readers refuse, so that no consumer gets stuck on what we took. */
static void lz4_frames_that_java_cannot_read_are_refused(void **state)
{
    struct codec_context *context = *state;
    struct buffer *packed = compress(context, CODEC_LZ4, 9, slice_of("some text"));
    const uint8_t flags[] = {
        0x40, /* Dependent blocks. */
        0x61, /* A dictionary. */
        0x62, /* A reserved bit. */
        0x20, /* Version 0. */
        0xa0, /* Version 2. */
    };
    assert_int_equal(packed->data[4] & 0xf3, 0x60);
    for (size_t i = 0; i < sizeof flags; i++) {
        struct slice out;
        packed->data[4] = flags[i];
        assert_int_equal(
            codec_decompress(context, CODEC_LZ4, slice_of_buffer(packed), 1 << 20, &out),
            ERROR_MALFORMED);
    }
    buffer_unref(packed);
}

/* A scratch that somebody holds is not written again. */
static void a_held_scratch_is_left_alone(void **state)
{
    struct codec_context *context = *state;
    struct buffer *first = compress(context, CODEC_ZSTD, 3, slice_of("first"));
    struct buffer *second = compress(context, CODEC_ZSTD, 3, slice_of("second"));
    struct slice out_first, out_second;
    assert_int_equal(codec_decompress(context, CODEC_ZSTD, slice_of_buffer(first), 100, &out_first),
                     ERROR_NONE);
    struct buffer *held = buffer_ref(context->scratch);
    assert_int_equal(
        codec_decompress(context, CODEC_ZSTD, slice_of_buffer(second), 100, &out_second),
        ERROR_NONE);
    assert_true(slice_equals_text(out_first, "first"));
    assert_true(slice_equals_text(out_second, "second"));
    buffer_unref(held);

    struct buffer *same = context->scratch;
    assert_int_equal(codec_decompress(context, CODEC_ZSTD, slice_of_buffer(first), 100, &out_first),
                     ERROR_NONE);
    assert_ptr_equal(context->scratch, same); /* And used again when nobody does. */
    buffer_unref(first);
    buffer_unref(second);
}

/* Each allocation of ours refused in turn, in both directions. */
static void a_refused_allocation_is_reported(void **state)
{
    (void)state;
    uint8_t *bytes = mixed_bytes(200000);
    for (unsigned codec = FIRST; codec < CODEC_COUNT; codec++) {
        for (long countdown = 0;; countdown++) {
            struct codec_context context;
            struct buffer *packed = NULL;
            struct slice out;
            codec_context_init(&context);
            memory_fault_arm(countdown);
            enum error error = codec_compress(&context, (enum codec)codec, 1,
                                              slice_from(bytes, 200000), 0, &packed);
            if (error == ERROR_NONE)
                error = codec_decompress(&context, codec, slice_of_buffer(packed), 1 << 20, &out);
            int fired = memory_fault_fired();
            memory_fault_arm(-1);
            assert_int_equal(error, fired ? ERROR_OUT_OF_MEMORY : ERROR_NONE);
            buffer_unref(packed);
            codec_context_done(&context);
            if (!fired)
                break;
        }
    }
    free(bytes);
}

/* Names as configuration has them, both ways. */
static void names_and_ids_agree(void **state)
{
    (void)state;
    enum codec codec = CODEC_NONE;
    for (unsigned id = 0; id < CODEC_COUNT; id++) {
        assert_true(codec_from_name(codec_name(id), &codec));
        assert_int_equal(codec, id);
    }
    assert_false(codec_from_name("producer", &codec));
    assert_null(codec_name(5));
    assert_null(codec_name(7));
    struct codec_context *context = *state;
    struct slice out;
    for (unsigned id = CODEC_COUNT; id < 9; id++)
        assert_int_equal(codec_decompress(context, id, SLICE_EMPTY, 1, &out),
                         ERROR_UNSUPPORTED_COMPRESSION_TYPE);
}

#define CONTEXT_TEST(name) cmocka_unit_test_setup_teardown(name, context_begin, context_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CONTEXT_TEST(every_size_and_level_comes_back),
        CONTEXT_TEST(the_cap_is_exact),
        CONTEXT_TEST(bombs_fail_at_the_cap),
        CONTEXT_TEST(every_prefix_is_refused),
        CONTEXT_TEST(bytes_behind_the_end_are_refused),
        CONTEXT_TEST(every_mutation_leaves_the_context_usable),
        CONTEXT_TEST(streams_may_follow_one_another),
        CONTEXT_TEST(raw_snappy_blocks_are_told_by_the_missing_magic),
        CONTEXT_TEST(snappy_framing_that_lies_about_a_length_is_corrupt),
        CONTEXT_TEST(zstd_claims_are_not_believed),
        CONTEXT_TEST(lz4_frames_that_java_cannot_read_are_refused),
        CONTEXT_TEST(a_held_scratch_is_left_alone),
        CONTEXT_TEST(a_refused_allocation_is_reported),
        CONTEXT_TEST(names_and_ids_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
