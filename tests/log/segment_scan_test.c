/* SPDX-License-Identifier: Apache-2.0 */
/* Going through headers: windows, limits, offsets that go back, lookups by a damaged index. */
#include "log/fixture.h"
#include "log/segment.h"

static struct segment *segment_of(struct simulated_storage *disk, int batches)
{
    struct file_place place = {simulated_storage_seam(disk), "t-0", 0};
    assert_int_equal(storage_make_directory(place.storage, "t-0"), ERROR_NONE);
    struct segment *segment;
    assert_int_equal(segment_create(&place, 0, &segment), ERROR_NONE);
    for (int i = 0; i < batches; i++) {
        struct buffer *batch = fixture_batch(segment->next_offset, 1 + i % 40, CODEC_NONE);
        batch_set_base_offset(batch->data, segment->next_offset);
        struct batch_header header;
        assert_int_equal(batch_header_read(batch->data, batch->size, &header), ERROR_NONE);
        assert_int_equal(segment_append(segment, batch->data, header.size, &header, 0, 700),
                         ERROR_NONE);
        buffer_unref(batch);
    }
    return segment;
}

/* Every batch comes once, whatever the windows' edges; the limit ends it. */
static void every_header_comes_once(void **state)
{
    (void)state;
    struct simulated_storage *disk = simulated_storage_new(1);
    struct segment *segment = segment_of(disk, 200);
    struct segment_scan scan;
    segment_scan_init(&scan, segment, 0, segment->size_bytes, 0);
    int64_t expected = 0;
    uint64_t end = 0;
    struct batch_header header;
    uint64_t position;
    enum error error;
    while ((error = segment_scan_next(&scan, &header, &position)) == ERROR_NONE) {
        assert_int_equal(header.base_offset, expected);
        assert_int_equal(position, end);
        expected = batch_last_offset(&header) + 1;
        end += header.size;
    }
    assert_int_equal(error, ERROR_NOT_FOUND);
    assert_int_equal(end, segment->size_bytes);
    segment_scan_init(&scan, segment, 0, segment->size_bytes - 1, 0);
    while ((error = segment_scan_next(&scan, &header, &position)) == ERROR_NONE)
        continue;
    assert_int_equal(error, ERROR_CORRUPT_MESSAGE); /* The last one does not fit. */
    segment_scan_init(&scan, segment, 0, segment->size_bytes, 1);
    assert_int_equal(segment_scan_next(&scan, &header, &position), ERROR_CORRUPT_MESSAGE);
    segment_unref(segment);
    simulated_storage_free(disk);
}

/* Each bit of the offset index flipped in turn: lookups find the batch all the same. */
static void a_damaged_index_leads_nobody_astray(void **state)
{
    (void)state;
    struct simulated_storage *disk = simulated_storage_new(1);
    struct segment *segment = segment_of(disk, 60);
    assert_int_equal(segment_seal(segment), ERROR_NONE);
    uint64_t size;
    static const char path[] = "t-0/00000000000000000000.index";
    assert_non_null(simulated_storage_contents(disk, path, &size));
    for (uint64_t bit = 0; bit < size * 8; bit++) {
        simulated_storage_rot(disk, path, bit / 8, (unsigned)(bit % 8));
        for (int64_t offset = 0; offset < segment->next_offset; offset += 97) {
            struct batch_header header;
            uint64_t position;
            assert_int_equal(
                segment_find_offset(segment, offset, segment->size_bytes, &header, &position),
                ERROR_NONE);
            assert_true(header.base_offset <= offset && batch_last_offset(&header) >= offset);
        }
        simulated_storage_rot(disk, path, bit / 8, (unsigned)(bit % 8));
    }
    segment_unref(segment);
    simulated_storage_free(disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_header_comes_once),
        cmocka_unit_test(a_damaged_index_leads_nobody_astray),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
