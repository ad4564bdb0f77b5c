/* SPDX-License-Identifier: Apache-2.0 */
/* The writer: chunks, borrowed bytes, file ranges, and every holder released exactly once. */
#include "base/arena.h"
#include "base/memory.h"
#include "wire/message.h"
#include "wire/writer.h"

#include <cmocka.h>
#include <setjmp.h>
#include <stdarg.h>

enum { PARTS = 3, PART_BYTES = 1000 };

/* Counts what is released; the holder of part i is &releases[i]. */
struct releases {
    int count[PARTS];
};

static void count_release(void *holder)
{
    (*(int *)holder)++;
}

static struct records records_of(struct records_part *parts, struct releases *releases,
                                 struct storage_file *file)
{
    for (uint32_t i = 0; i < PARTS; i++) {
        releases->count[i] = 0;
        parts[i] = (struct records_part){
            .file = file,
            .position = 4096 * i,
            .size = PART_BYTES + i,
            .holder = &releases->count[i],
        };
    }
    return (struct records){.parts = parts, .parts_count = PARTS, .release = count_release};
}

static void assert_released_once(const struct releases *releases)
{
    for (int i = 0; i < PARTS; i++)
        assert_int_equal(releases->count[i], 1);
}

/* Memory, then the ranges in order, then memory; the prefix counts every byte. */
static void file_ranges_keep_their_place(void **state)
{
    (void)state;
    struct storage_file file;
    struct records_part parts[PARTS];
    struct releases releases;
    struct records records = records_of(parts, &releases, &file);
    struct writer writer;
    writer_init_frame(&writer);
    write_int32(&writer, 7);
    write_records(&writer, &records, true, true);
    write_int32(&writer, 8);

    struct outgoing outgoing;
    assert_int_equal(writer_finish(&writer, &outgoing), ERROR_NONE);
    uint64_t records_bytes = 3 * PART_BYTES + 3;
    assert_int_equal(outgoing.size_bytes, 4 + 4 + 2 + records_bytes + 4);

    struct chunk *chunk = outgoing.first;
    assert_int_equal(chunk->size, 10);
    assert_int_equal(load_be32(chunk->data), outgoing.size_bytes - 4);
    assert_int_equal(load_be32(chunk->data + 4), 7);
    for (uint32_t i = 0; i < PARTS; i++) {
        chunk = chunk->next;
        assert_null(chunk->data);
        assert_ptr_equal(chunk->file, &file);
        assert_int_equal(chunk->position, 4096 * i);
        assert_int_equal(chunk->size, PART_BYTES + i);
    }
    chunk = chunk->next;
    assert_int_equal(chunk->size, 4);
    assert_int_equal(load_be32(chunk->data), 8);
    assert_null(chunk->next);

    chunk_release(outgoing.first->next); /* Sent early. */
    assert_int_equal(releases.count[0], 1);
    outgoing_done(&outgoing);
    assert_released_once(&releases);
}

/* Bytes with an owner are not copied, and the owner is held until they are sent. */
static void owned_bytes_are_borrowed(void **state)
{
    (void)state;
    struct buffer *buffer = buffer_new(100);
    memset(buffer->data, 'r', 100);
    struct records records = {.data = slice_from(buffer->data, 100), .owner = buffer};
    struct writer writer;
    writer_init(&writer);
    write_records(&writer, &records, false, true);
    struct outgoing outgoing;
    assert_int_equal(writer_finish(&writer, &outgoing), ERROR_NONE);
    assert_int_equal(atomic_load(&buffer->references), 2);
    assert_ptr_equal(outgoing.first->next->data, buffer->data);
    assert_int_equal(outgoing.size_bytes, 104);
    outgoing_done(&outgoing);
    assert_int_equal(atomic_load(&buffer->references), 1);
    buffer_unref(buffer);
}

/* Strings of every size land whole in whatever blocks there are. */
static void long_contents_span_blocks(void **state)
{
    (void)state;
    enum { TIMES = 400, LONGEST = 700 };
    uint8_t pattern[LONGEST];
    for (size_t i = 0; i < LONGEST; i++)
        pattern[i] = (uint8_t)(i * 7);
    struct writer writer;
    writer_init(&writer);
    uint64_t expected = 0;
    for (size_t i = 0; i < TIMES; i++) {
        size_t size = i * 37 % LONGEST;
        write_string(&writer, slice_from(pattern, size), false, false);
        write_int64(&writer, (int64_t)i);
        expected += 2 + size + 8;
        assert_int_equal(writer_measured(&writer), expected);
    }
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct slice bytes;
    assert_int_equal(writer_finish_slice(&writer, &arena, &bytes), ERROR_NONE);
    assert_int_equal(bytes.size, expected);
    const uint8_t *at = bytes.data;
    for (size_t i = 0; i < TIMES; i++) {
        size_t size = i * 37 % LONGEST;
        assert_int_equal(load_be16(at), size);
        assert_memory_equal(at + 2, pattern, size);
        assert_int_equal(load_be64(at + 2 + size), i);
        at += 2 + size + 8;
    }
    arena_done(&arena);
}

/* A measuring writer counts what a real one would write. */
static void measuring_counts_without_keeping(void **state)
{
    (void)state;
    struct writer writer;
    writer_init_measuring(&writer);
    assert_int_equal(writer_measured(&writer), 0);
    for (int i = 0; i < 100; i++)
        write_int64(&writer, i);
    write_uvarint(&writer, 300);
    write_string(&writer, slice_of("hello"), true, false);
    write_bytes(&writer, SLICE_NULL, false, true);
    assert_int_equal(writer_measured(&writer), 800 + 2 + 6 + 4);
}

static struct slice finish(struct writer *writer, struct arena *arena)
{
    struct slice bytes = SLICE_NULL;
    assert_int_equal(writer_finish_slice(writer, arena, &bytes), ERROR_NONE);
    return bytes;
}

/* Null where it is allowed, empty where it is not. */
static void a_null_that_is_not_allowed_is_written_as_empty(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct writer writer;
    writer_init(&writer);
    struct records none = {0};
    write_string(&writer, SLICE_NULL, false, true);
    write_string(&writer, SLICE_NULL, false, false);
    write_string(&writer, SLICE_NULL, true, true);
    write_string(&writer, SLICE_NULL, true, false);
    write_bytes(&writer, SLICE_NULL, false, true);
    write_bytes(&writer, SLICE_NULL, true, false);
    write_count(&writer, NULL, 0, false, true);
    write_count(&writer, NULL, 0, true, false);
    write_count(&writer, WIRE_EMPTY, 0, true, true);
    write_records(&writer, &none, true, true);
    write_records(&writer, &none, true, false);
    const uint8_t expected[] = {0xff, 0xff, 0,    0,    0,    1, 0xff, 0xff, 0xff, 0xff,
                                1,    0xff, 0xff, 0xff, 0xff, 1, 1,    0,    1};
    struct slice bytes = finish(&writer, &arena);
    assert_int_equal(bytes.size, sizeof expected);
    assert_memory_equal(bytes.data, expected, sizeof expected);
    arena_done(&arena);
}

/* A string or a frame that its length cannot hold fails the whole answer, releasing holders. */
static void what_a_length_cannot_hold_is_refused(void **state)
{
    (void)state;
    static const uint8_t long_text[40000];
    struct writer writer;
    struct outgoing outgoing;
    writer_init(&writer);
    write_string(&writer, slice_from(long_text, sizeof long_text), true, false);
    assert_int_equal(writer_finish(&writer, &outgoing), ERROR_TOO_LARGE);

    struct storage_file file;
    struct records_part parts[PARTS];
    struct releases releases;
    struct records records = records_of(parts, &releases, &file);
    parts[1].size = (size_t)INT32_MAX;
    writer_init_frame(&writer);
    write_records(&writer, &records, true, true);
    assert_int_equal(writer_finish(&writer, &outgoing), ERROR_TOO_LARGE);
    assert_released_once(&releases);

    /* Each field fits, the frame does not. */
    records = records_of(parts, &releases, &file);
    parts[0].size = (size_t)INT32_MAX - 5000;
    writer_init_frame(&writer);
    write_records(&writer, &records, true, true);
    write_raw(&writer, slice_from(long_text, 10000));
    assert_int_equal(writer_finish(&writer, &outgoing), ERROR_TOO_LARGE);
    assert_released_once(&releases);
}

/* Empty ranges are released at once and leave no chunk. */
static void an_empty_range_leaves_no_chunk(void **state)
{
    (void)state;
    struct storage_file file;
    struct records_part parts[PARTS];
    struct releases releases;
    struct records records = records_of(parts, &releases, &file);
    for (int i = 0; i < PARTS; i++)
        parts[i].size = 0;
    struct writer writer;
    writer_init(&writer);
    write_records(&writer, &records, false, true);
    assert_released_once(&releases);
    struct outgoing outgoing;
    assert_int_equal(writer_finish(&writer, &outgoing), ERROR_NONE);
    assert_int_equal(outgoing.size_bytes, 4);
    assert_null(outgoing.first->next);
    outgoing_done(&outgoing);
    assert_released_once(&releases);
}

/* With the Nth allocation refused nothing leaks and every holder is still released once. */
static void a_refused_allocation_releases_every_holder(void **state)
{
    (void)state;
    for (long countdown = 0;; countdown++) {
        assert_true(countdown < 50);
        struct storage_file file;
        struct records_part parts[PARTS];
        struct releases releases;
        struct buffer *buffer = buffer_new(10);
        struct writer writer;
        struct records records = records_of(parts, &releases, &file);
        records.data = slice_from(buffer->data, 10);
        records.owner = buffer;
        memory_fault_arm(countdown);
        writer_init_frame(&writer);
        for (int i = 0; i < 100; i++)
            write_uuid(&writer, UUID_ZERO);
        write_records(&writer, &records, true, true);
        for (int i = 0; i < 1000; i++)
            write_uuid(&writer, UUID_ZERO);
        struct outgoing outgoing = {0};
        enum error error = writer_finish(&writer, &outgoing);
        outgoing_done(&outgoing);
        bool fired = memory_fault_fired();
        memory_fault_arm(-1);
        assert_int_equal(error, fired ? ERROR_OUT_OF_MEMORY : ERROR_NONE);
        assert_released_once(&releases);
        assert_int_equal(atomic_load(&buffer->references), 1);
        buffer_unref(buffer);
        if (!fired)
            break;
    }
}

/* Many answers of many partitions: chunk headers run out of block after block. */
static void hundreds_of_ranges_fit_one_answer(void **state)
{
    (void)state;
    enum { TIMES = 500 };
    struct storage_file file;
    int released = 0;
    struct writer writer;
    writer_init_frame(&writer);
    for (uint64_t i = 0; i < TIMES; i++) {
        struct records_part part = {&file, i, 10, &released};
        struct records records = {.parts = &part, .parts_count = 1, .release = count_release};
        write_int16(&writer, (int16_t)i);
        write_records(&writer, &records, false, false);
    }
    struct outgoing outgoing;
    assert_int_equal(writer_finish(&writer, &outgoing), ERROR_NONE);
    assert_int_equal(outgoing.size_bytes, 4 + TIMES * (2 + 4 + 10));
    uint64_t ranges = 0, bytes = 0;
    for (struct chunk *chunk = outgoing.first; chunk != NULL; chunk = chunk->next) {
        assert_true(chunk->size > 0);
        if (chunk->data == NULL)
            assert_int_equal(chunk->position, ranges++);
        bytes += chunk->size;
    }
    assert_int_equal(ranges, TIMES);
    assert_int_equal(bytes, outgoing.size_bytes);
    outgoing_done(&outgoing);
    assert_int_equal(released, TIMES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(file_ranges_keep_their_place),
        cmocka_unit_test(owned_bytes_are_borrowed),
        cmocka_unit_test(long_contents_span_blocks),
        cmocka_unit_test(measuring_counts_without_keeping),
        cmocka_unit_test(a_null_that_is_not_allowed_is_written_as_empty),
        cmocka_unit_test(what_a_length_cannot_hold_is_refused),
        cmocka_unit_test(an_empty_range_leaves_no_chunk),
        cmocka_unit_test(a_refused_allocation_releases_every_holder),
        cmocka_unit_test(hundreds_of_ranges_fit_one_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
