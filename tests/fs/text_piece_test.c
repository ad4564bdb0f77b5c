/* SPDX-License-Identifier: Apache-2.0 */
/* Batches in memory as a file: whole ones only. */
#include "fs/text_piece.h"
#include "record/build.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { BYTES = 4096 };

/* Two batches of one record each; *ret_first is the size of the first. */
static struct buffer *two_batches(size_t *ret_first)
{
    struct buffer *all = buffer_new(BYTES);
    struct codec_context codecs;
    codec_context_init(&codecs);
    assert_non_null(all);
    for (int i = 0; i < 2; i++) {
        struct batch_builder builder;
        struct buffer *batch;
        struct batch_options options = batch_options_default();
        batch_builder_init(&builder, &options);
        assert_int_equal(
            batch_builder_append_next(&builder, 1, SLICE_NULL, slice_of(i == 0 ? "one" : "two")),
            ERROR_NONE);
        assert_int_equal(batch_builder_finish(&builder, &codecs, &batch), ERROR_NONE);
        memcpy(all->data + all->size, batch->data, batch->size);
        all->size += batch->size;
        if (i == 0)
            *ret_first = batch->size;
        buffer_unref(batch);
        batch_builder_done(&builder);
    }
    codec_context_done(&codecs);
    return all;
}

/* For every length: so many whole batches, or how many bytes the first one needs. */
static void what_is_cut_short_is_left_out(void **state)
{
    (void)state;
    size_t first;
    struct buffer *all = two_batches(&first);
    for (size_t size = 0; size <= all->size; size++) {
        struct text_piece *piece;
        size_t needed;
        assert_int_equal(text_piece_new(all, slice_from(all->data, size), &piece, &needed),
                         ERROR_NONE);
        if (size == 0)
            assert_int_equal(needed, 0);
        else if (size < first)
            assert_int_equal(needed, size < BATCH_HEADER_BYTES ? BATCH_HEADER_BYTES : first);
        if (size < first)
            assert_null(piece);
        else
            assert_int_equal(piece->bytes.size, size < all->size ? first : all->size);
        text_piece_free(piece);
    }
    buffer_unref(all);
}

/* Read as a file, at any place; behind the end there is nothing. It holds its bytes. */
static void it_reads_as_a_file(void **state)
{
    (void)state;
    size_t first, needed, got;
    uint8_t out[BYTES];
    struct text_piece *piece;
    struct buffer *all = two_batches(&first);
    size_t size = all->size;
    assert_int_equal(text_piece_new(all, slice_from(all->data, size), &piece, &needed), ERROR_NONE);
    buffer_unref(all);
    assert_int_equal(storage_read(&piece->file, first, out, sizeof out, &got), ERROR_NONE);
    assert_int_equal(got, size - first);
    assert_memory_equal(out, piece->bytes.data + first, got);
    assert_int_equal(storage_read(&piece->file, size + 1, out, sizeof out, &got), ERROR_NONE);
    assert_int_equal(got, 0);
    text_piece_free(piece);
}

/* What is no batch is damage. */
static void what_is_no_batch_is_refused(void **state)
{
    (void)state;
    struct text_piece *piece;
    size_t needed;
    struct buffer *junk = buffer_new(BYTES);
    assert_non_null(junk);
    memset(junk->data, 0xff, 200);
    assert_int_not_equal(text_piece_new(junk, slice_from(junk->data, 200), &piece, &needed),
                         ERROR_NONE);
    buffer_unref(junk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_cut_short_is_left_out),
        cmocka_unit_test(it_reads_as_a_file),
        cmocka_unit_test(what_is_no_batch_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
