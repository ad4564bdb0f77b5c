/* SPDX-License-Identifier: Apache-2.0 */
/* Sound batches told from other bytes, and holes told from damage. */
#include "log/batch_check.h"

#include "log/fixture.h"

/* A segment file with these bytes. */
static struct segment *segment_of(struct simulated_storage *disk, const void *bytes, size_t size)
{
    struct file_place place = {simulated_storage_seam(disk), "t-0", 0};
    assert_int_equal(storage_make_directory(place.storage, "t-0"), ERROR_NONE);
    struct segment *segment;
    assert_int_equal(segment_create(&place, 0, &segment), ERROR_NONE);
    assert_int_equal(storage_write(segment->file, 0, bytes, size), ERROR_NONE);
    return segment;
}

/* A batch behind bytes of any length is found where it begins. */
static void a_batch_is_found_behind_garbage(void **state)
{
    (void)state;
    struct buffer *batch = fixture_batch(40, 3, CODEC_NONE);
    batch_set_base_offset(batch->data, 40);
    static const size_t lengths[] = {0, 1, 61, 511, 65530, 65536, 65600, 140000};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        size_t size = lengths[i] + batch->size;
        uint8_t *bytes = malloc(size);
        memset(bytes, 2, lengths[i]); /* Every byte a plausible magic. */
        memcpy(bytes + lengths[i], batch->data, batch->size);
        struct simulated_storage *disk = simulated_storage_new(1);
        struct segment *segment = segment_of(disk, bytes, size);
        bool found;
        uint64_t at;
        assert_int_equal(batch_search(segment, 0, size, 40, &found, &at), ERROR_NONE);
        assert_true(found);
        assert_int_equal(at, lengths[i]);
        assert_int_equal(batch_search(segment, lengths[i] + 1, size, 0, &found, &at), ERROR_NONE);
        assert_false(found);
        assert_int_equal(batch_search(segment, 0, size, 41, &found, &at), ERROR_NONE);
        assert_false(found); /* Its offsets are too low. */
        segment_unref(segment);
        simulated_storage_free(disk);
        free(bytes);
    }
    buffer_unref(batch);
}

/* Zeros where a sector's piece of a write would be are a hole; others are not. */
static void holes_are_told_by_sectors(void **state)
{
    (void)state;
    static const struct {
        size_t position;
        size_t end;
        size_t zero_from;
        size_t zero_to;
        bool hole;
    } cases[] = {
        {100, 1000, 0, 0, false},         {100, 1000, 100, 512, true},  /* Its first piece. */
        {100, 1000, 100, 161, true},                                    /* Its header. */
        {100, 1000, 512, 1000, true},                                   /* Its last piece. */
        {100, 1030, 1024, 1030, true},    {100, 2000, 512, 1024, true}, /* A piece between. */
        {100, 2000, 520, 1030, false},    {100, 2000, 200, 500, false}, /* Zeros of a value. */
        {100, 70000, 65536, 66048, true}, {65000, 140000, 131072, 131584, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t *bytes = malloc(140000);
        memset(bytes, 0x5a, 140000);
        memset(bytes + cases[i].zero_from, 0, cases[i].zero_to - cases[i].zero_from);
        struct simulated_storage *disk = simulated_storage_new(1);
        struct segment *segment = segment_of(disk, bytes, 140000);
        bool hole;
        assert_int_equal(batch_hole_at(segment, cases[i].position, cases[i].end, &hole),
                         ERROR_NONE);
        assert_int_equal(hole, cases[i].hole);
        segment_unref(segment);
        simulated_storage_free(disk);
        free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_is_found_behind_garbage),
        cmocka_unit_test(holes_are_told_by_sectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
