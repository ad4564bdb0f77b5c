/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the text view: any sizes, any places, moving starts, damage, refused memory. */
#include "fs/text_reader.h"

#include "base/memory.h"
#include "record/build.h"

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { BATCHES = 40, TEXT_BYTES_MAX = 1 << 20, POOL_BYTES = 8192 };

/* A segment file of batches, the text it holds, and a source that gives slices of it. */
struct fixture {
    struct text_source source;
    struct block_pool pool;
    struct codec_context codecs;
    struct storage *storage;
    struct storage_file *file;
    char directory[64];
    uint64_t batch_position[BATCHES + 1]; /* In the file. */
    uint64_t batch_text[BATCHES + 1];
    char *text;
    uint64_t text_size;
    uint64_t start;    /* The log start, as a text position. */
    int slice_batches; /* How many batches a slice holds at most. */
    int look_ups;
};

/* From the batch at or before the position, so that readers have something to drop. */
static enum error locate(struct text_source *source, uint64_t text_position,
                         struct log_text_location *ret_location, uint64_t *ret_text_position)
{
    struct fixture *f = container_of(source, struct fixture, source);
    f->look_ups++;
    if (text_position < f->start)
        text_position = f->start;
    *ret_text_position = text_position;
    *ret_location = (struct log_text_location){0};
    int first = 0;
    while (first < BATCHES && f->batch_text[first + 1] <= text_position)
        first++;
    if (first == BATCHES)
        return ERROR_NONE;
    if (first > 0)
        first--; /* A sparse index lands before it. */
    int end = first + f->slice_batches < BATCHES ? first + f->slice_batches : BATCHES;
    ret_location->slice.file = f->file;
    ret_location->slice.position = f->batch_position[first];
    ret_location->slice.size = (size_t)(f->batch_position[end] - f->batch_position[first]);
    ret_location->text_position = f->batch_text[first];
    return ERROR_NONE;
}

/* Values of many lengths: empty, null, longer than the pool's blocks. */
static size_t value_length(int batch, int record)
{
    static const size_t lengths[] = {0, 1, 7, 100, 1000, 3, 20000, 64};
    return lengths[(size_t)(batch * 5 + record) % 8] / (batch % 3 == 0 ? 1 : 2);
}

static void write_batch(struct fixture *f, int batch)
{
    struct batch_options options = batch_options_default();
    static const enum codec codecs[] = {CODEC_NONE, CODEC_NONE, CODEC_LZ4, CODEC_ZSTD};
    options.codec = codecs[batch % 4];
    options.level = codec_level_default(options.codec);
    struct batch_builder builder;
    batch_builder_init(&builder, &options);
    static uint8_t value[20000];
    for (int i = 0; i < 1 + batch % 6; i++) {
        size_t size = value_length(batch, i);
        memset(value, 'a' + (batch + i) % 26, size);
        bool is_null = size == 0 && batch % 2 == 0;
        assert_int_equal(batch_builder_append_next(&builder, 1000, SLICE_NULL,
                                                   is_null ? SLICE_NULL : slice_from(value, size)),
                         ERROR_NONE);
        memcpy(f->text + f->text_size, value, size);
        f->text[f->text_size + size] = '\n';
        f->text_size += size + 1;
    }
    struct buffer *buffer;
    assert_int_equal(batch_builder_finish(&builder, &f->codecs, &buffer), ERROR_NONE);
    assert_int_equal(storage_write(f->file, f->batch_position[batch], buffer->data, buffer->size),
                     ERROR_NONE);
    f->batch_position[batch + 1] = f->batch_position[batch] + buffer->size;
    f->batch_text[batch + 1] = f->text_size;
    buffer_unref(buffer);
    batch_builder_done(&builder);
}

static int set_up(void **state)
{
    struct fixture *f = memory_allocate(sizeof *f);
    assert_non_null(f);
    (void)snprintf(f->directory, sizeof f->directory, "/tmp/topicfs-reader-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    assert_int_equal(storage_directory_open(f->directory, &f->storage), ERROR_NONE);
    assert_int_equal(storage_open(f->storage, "segment", STORAGE_WRITE | STORAGE_CREATE, &f->file),
                     ERROR_NONE);
    codec_context_init(&f->codecs);
    block_pool_init(&f->pool, POOL_BYTES);
    f->text = memory_allocate(TEXT_BYTES_MAX);
    assert_non_null(f->text);
    for (int i = 0; i < BATCHES; i++)
        write_batch(f, i);
    f->slice_batches = 7;
    f->source = (struct text_source){
        .pool = &f->pool, .codecs = &f->codecs, .limit = UINT64_MAX, .locate = locate};
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    storage_close(f->file);
    (void)storage_remove(f->storage, "segment");
    storage_directory_close(f->storage);
    (void)rmdir(f->directory);
    codec_context_done(&f->codecs);
    block_pool_done(&f->pool);
    memory_free(f->text);
    memory_free(f);
    return 0;
}

/* Reads from `position` in pieces of `size` until the end. Returns the bytes read into `out`. */
static uint64_t read_all(struct fixture *f, struct text_reader *reader, uint64_t position,
                         size_t size, char *out)
{
    uint64_t total = 0;
    size_t got;
    do {
        assert_int_equal(text_reader_read(reader, &f->source, position + total,
                                          (uint8_t *)out + total, size, &got),
                         ERROR_NONE);
        total += got;
    } while (got > 0);
    return total;
}

/* One byte at a time or all at once: the same bytes. */
static void the_text_is_the_same_in_pieces_of_any_size(void **state)
{
    struct fixture *f = *state;
    static const size_t sizes[] = {1, 7, 100, 4096, 16384, 131072, TEXT_BYTES_MAX};
    char *out = memory_allocate(TEXT_BYTES_MAX * 2);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct text_reader reader = {0};
        assert_int_equal(read_all(f, &reader, 0, sizes[i], out), f->text_size);
        assert_memory_equal(out, f->text, f->text_size);
        assert_null(reader.window); /* An idle reader holds no block. */
        text_reader_done(&reader, &f->pool);
    }
    memory_free(out);
}

/* Sequential reading looks a place up once a slice, not once a read. */
static void sequential_reads_look_nothing_up(void **state)
{
    struct fixture *f = *state;
    struct text_reader reader = {0};
    char *out = memory_allocate(TEXT_BYTES_MAX * 2);
    f->slice_batches = BATCHES;
    (void)read_all(f, &reader, 0, 100, out);
    assert_in_range(f->look_ups, 1, 3);
    text_reader_done(&reader, &f->pool);
    memory_free(out);
}

/* pread(2) anywhere. */
static void any_place_can_be_read(void **state)
{
    struct fixture *f = *state;
    struct text_reader reader = {0};
    uint8_t out[500];
    uint64_t position = 12345;
    for (int i = 0; i < 2000; i++) {
        position = (position * 6364136223846793005ULL + 1442695040888963407ULL) >> 1;
        uint64_t at = position % (f->text_size + 10);
        size_t size = position % sizeof out + 1, got;
        size_t left = at < f->text_size ? (size_t)(f->text_size - at) : 0;
        assert_int_equal(text_reader_read(&reader, &f->source, at, out, size, &got), ERROR_NONE);
        assert_int_equal(got, size < left ? size : left);
        assert_memory_equal(out, f->text + (at < f->text_size ? at : 0), got);
    }
    text_reader_done(&reader, &f->pool);
}

/* Past any end, also the end of numbers. */
static void positions_beyond_the_end_read_nothing(void **state)
{
    struct fixture *f = *state;
    struct text_reader reader = {0};
    uint8_t out[10];
    size_t got = 99;
    assert_int_equal(text_reader_read(&reader, &f->source, INT64_MAX, out, 10, &got), ERROR_NONE);
    assert_int_equal(got, 0);
    assert_int_equal(text_reader_read(&reader, &f->source, UINT64_MAX, out, 10, &got), ERROR_NONE);
    assert_int_equal(got, 0);
    text_reader_done(&reader, &f->pool);
}

/* filesystem.md 0.5: retention removed the head; the reader goes on at the new start, once. */
static void a_reader_below_the_start_goes_on_at_the_start(void **state)
{
    struct fixture *f = *state;
    struct text_reader reader = {0};
    char *out = memory_allocate(TEXT_BYTES_MAX * 2);
    f->start = f->batch_text[10];
    uint64_t got = read_all(f, &reader, 5, 333, out);
    assert_int_equal(got, f->text_size - f->start);
    assert_memory_equal(out, f->text + f->start, got);
    text_reader_done(&reader, &f->pool);
    memory_free(out);
}

/* A view ends where it was told to; it begins where position 0 is. */
static void a_view_has_a_beginning_and_an_end(void **state)
{
    struct fixture *f = *state;
    struct text_reader reader = {0};
    char *out = memory_allocate(TEXT_BYTES_MAX * 2);
    f->source.base = f->batch_text[3];
    f->source.limit = f->batch_text[5] + 2;
    uint64_t got = read_all(f, &reader, 0, 4096, out);
    assert_int_equal(got, f->source.limit - f->source.base);
    assert_memory_equal(out, f->text + f->source.base, got);
    text_reader_done(&reader, &f->pool);
    memory_free(out);
}

/* What lies before a damaged batch is read, then an error comes: never bytes that were not written.
 */
static void damage_is_an_error_and_never_data(void **state)
{
    struct fixture *f = *state;
    struct text_reader reader = {0};
    char *out = memory_allocate(TEXT_BYTES_MAX * 2);
    uint8_t byte;
    size_t got;
    uint64_t at = f->batch_position[20] + 70;
    assert_int_equal(storage_read(f->file, at, &byte, 1, &got), ERROR_NONE);
    byte ^= 4;
    assert_int_equal(storage_write(f->file, at, &byte, 1), ERROR_NONE);

    uint64_t total = 0;
    enum error error;
    do {
        error = text_reader_read(&reader, &f->source, total, (uint8_t *)out + total, 5000, &got);
        if (error == ERROR_NONE)
            total += got;
    } while (error == ERROR_NONE && got > 0);
    assert_int_equal(error, ERROR_CORRUPT_MESSAGE);
    assert_int_equal(total, f->batch_text[20]);
    assert_memory_equal(out, f->text, total);
    assert_int_equal(text_reader_read(&reader, &f->source, total, (uint8_t *)out, 10, &got),
                     ERROR_CORRUPT_MESSAGE);
    text_reader_done(&reader, &f->pool);
    memory_free(out);
}

/* Each allocation refused in turn: an error, and the next try goes on where it was. */
static void refused_memory_is_an_error_and_nothing_is_lost(void **state)
{
    struct fixture *f = *state;
    char *out = memory_allocate(TEXT_BYTES_MAX * 2);
    for (long countdown = 0, fired = 1; fired; countdown++) {
        struct text_reader reader = {0};
        uint64_t total = 0;
        size_t got = 1;
        block_pool_done(&f->pool);
        block_pool_init(&f->pool, POOL_BYTES);
        memory_fault_arm(countdown);
        while (got > 0) {
            enum error error =
                text_reader_read(&reader, &f->source, total, (uint8_t *)out + total, 50000, &got);
            if (error != ERROR_NONE)
                assert_int_equal(error, ERROR_OUT_OF_MEMORY);
            else
                total += got;
        }
        fired = memory_fault_fired();
        memory_fault_arm(-1);
        assert_int_equal(total, f->text_size);
        assert_memory_equal(out, f->text, f->text_size);
        text_reader_done(&reader, &f->pool);
    }
    memory_free(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_text_is_the_same_in_pieces_of_any_size, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(sequential_reads_look_nothing_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(any_place_can_be_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(positions_beyond_the_end_read_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_reader_below_the_start_goes_on_at_the_start, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_view_has_a_beginning_and_an_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damage_is_an_error_and_never_data, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refused_memory_is_an_error_and_nothing_is_lost, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
