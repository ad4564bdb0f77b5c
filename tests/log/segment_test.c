/* SPDX-License-Identifier: Apache-2.0 */
/* A segment's files: what an append writes, what Kafka's dump-log tool would check of the indexes.
 */
#include "log/fixture.h"
#include "log/segment.h"

struct cut {
    struct simulated_storage *disk;
    struct file_place place;
    struct segment *segment;
};

static void cut_init(struct cut *cut)
{
    cut->disk = simulated_storage_new(1);
    cut->place = (struct file_place){simulated_storage_seam(cut->disk), "t-0", 1000};
    assert_int_equal(storage_make_directory(cut->place.storage, "t-0"), ERROR_NONE);
    assert_int_equal(segment_create(&cut->place, 0, &cut->segment), ERROR_NONE);
}

static void cut_done(struct cut *cut)
{
    segment_unref(cut->segment);
    simulated_storage_free(cut->disk);
}

static enum error append(struct segment *segment, int count)
{
    struct buffer *batch = fixture_batch(segment->next_offset, count, CODEC_NONE);
    batch_set_base_offset(batch->data, segment->next_offset);
    struct batch_header header;
    assert_int_equal(batch_header_read(batch->data, batch->size, &header), ERROR_NONE);
    int64_t text = fixture_text_between(header.base_offset, header.base_offset + count);
    enum error error = segment_append(segment, batch->data, header.size, &header, text, 500);
    buffer_unref(batch);
    return error;
}

/* As Kafka's DumpLogSegments: entries lead to batches whose last offset they name, timestamps are
 * those of the batch and rise, and nothing is at the first batch. */
static void the_indexes_are_as_dump_log_wants_them(void **state)
{
    (void)state;
    struct cut cut;
    cut_init(&cut);
    for (int i = 0; i < 100; i++)
        assert_int_equal(append(cut.segment, 1 + i % 4), ERROR_NONE);
    assert_int_equal(segment_seal(cut.segment), ERROR_NONE);
    uint64_t log_size;
    uint64_t size;
    const uint8_t *log =
        simulated_storage_contents(cut.disk, "t-0/00000000000000001000.log", &log_size);
    const uint8_t *at =
        simulated_storage_contents(cut.disk, "t-0/00000000000000001000.index", &size);
    assert_true(size > 80 && size % OFFSET_ENTRY_BYTES == 0);
    struct offset_entry before = {0, 0};
    for (uint64_t i = 0; i < size; i += OFFSET_ENTRY_BYTES) {
        struct offset_entry entry = offset_entry_read(at + i);
        assert_true(entry.last_offset > before.last_offset && entry.position > before.position);
        struct batch_header header;
        assert_int_equal(
            batch_header_read(log + entry.position, log_size - (uint64_t)entry.position, &header),
            ERROR_NONE);
        assert_int_equal(batch_last_offset(&header), 1000 + entry.last_offset);
        before = entry;
    }
    at = simulated_storage_contents(cut.disk, "t-0/00000000000000001000.timeindex", &size);
    assert_true(size > 100 && size % TIME_ENTRY_BYTES == 0);
    int64_t timestamp = -1;
    for (uint64_t i = 0; i < size; i += TIME_ENTRY_BYTES) {
        struct time_entry entry = time_entry_read(at + i);
        assert_true(entry.timestamp > timestamp);
        timestamp = entry.timestamp;
        struct batch_header header;
        uint64_t position;
        assert_int_equal(segment_find_offset(cut.segment, 1000 + entry.last_offset, log_size,
                                             &header, &position),
                         ERROR_NONE);
        assert_int_equal(batch_last_offset(&header), 1000 + entry.last_offset);
        assert_int_equal(header.max_timestamp, entry.timestamp);
    }
    at = simulated_storage_contents(cut.disk, "t-0/00000000000000001000.lineindex", &size);
    struct line_entry last = line_entry_read(at + size - LINE_ENTRY_BYTES);
    assert_int_equal(last.position, log_size);
    assert_int_equal(last.text_position, cut.segment->text_bytes);
    assert_int_equal(last.text_position, fixture_text_between(1000, cut.segment->next_offset));
    cut_done(&cut);
}

/* A write that stops half-way is cut off, at once or before the next one. */
static void a_half_written_batch_is_cut_off(void **state)
{
    (void)state;
    for (int also_truncate = 0; also_truncate < 2; also_truncate++) {
        struct cut cut;
        cut_init(&cut);
        assert_int_equal(append(cut.segment, 3), ERROR_NONE);
        uint64_t size = cut.segment->size_bytes;
        struct simulated_fault fault = {.operations = SIMULATED_WRITE |
                                                      (also_truncate ? SIMULATED_TRUNCATE : 0),
                                        .error = ERROR_STORAGE,
                                        .persistent = true};
        simulated_storage_fail(cut.disk, &fault);
        assert_int_equal(append(cut.segment, 20), ERROR_STORAGE);
        simulated_storage_fail_end(cut.disk);
        assert_int_equal(cut.segment->size_bytes, size);
        assert_int_equal(append(cut.segment, 3), ERROR_NONE);
        uint64_t on_disk;
        assert_non_null(
            simulated_storage_contents(cut.disk, "t-0/00000000000000001000.log", &on_disk));
        assert_int_equal(on_disk, cut.segment->size_bytes);
        cut_done(&cut);
    }
}

/* A resting segment has no open file and wakes when read. */
static void a_sealed_segment_rests(void **state)
{
    (void)state;
    struct cut cut;
    cut_init(&cut);
    assert_int_equal(append(cut.segment, 3), ERROR_NONE);
    assert_int_equal(segment_seal(cut.segment), ERROR_NONE);
    segment_rest(cut.segment, true);
    segment_rest(cut.segment, true);
    assert_non_null(cut.segment->file); /* Unsynced: a sync needs it. */
    cut.segment->unsynced = false;
    segment_rest(cut.segment, true);
    assert_null(cut.segment->file);
    struct batch_header header;
    uint64_t position;
    assert_int_equal(
        segment_find_offset(cut.segment, 1001, cut.segment->size_bytes, &header, &position),
        ERROR_NONE);
    assert_non_null(cut.segment->file);
    cut_done(&cut);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_indexes_are_as_dump_log_wants_them),
        cmocka_unit_test(a_half_written_batch_is_cut_off),
        cmocka_unit_test(a_sealed_segment_rests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
