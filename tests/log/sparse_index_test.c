/* SPDX-License-Identifier: Apache-2.0 */
/* Sorted entries in a file and in memory, found, cut and flushed. */
#include "log/fixture.h"
#include "log/index_entry.h"

struct indexed {
    struct simulated_storage *disk;
    struct file_place place;
    struct sparse_index index;
};

static void indexed_init(struct indexed *indexed)
{
    indexed->disk = simulated_storage_new(1);
    indexed->place = (struct file_place){simulated_storage_seam(indexed->disk), "t-0", 0};
    assert_int_equal(storage_make_directory(indexed->place.storage, "t-0"), ERROR_NONE);
    sparse_index_init(&indexed->index, OFFSET_INDEX_SUFFIX, OFFSET_ENTRY_BYTES);
    assert_int_equal(sparse_index_create(&indexed->index, &indexed->place), ERROR_NONE);
}

static void indexed_done(struct indexed *indexed)
{
    sparse_index_done(&indexed->index);
    simulated_storage_free(indexed->disk);
}

/* Entry i is (10 i + 10, 100 i). */
static void fill(struct indexed *indexed, int count)
{
    for (int i = 0; i < count; i++) {
        uint8_t entry[OFFSET_ENTRY_BYTES];
        offset_entry_write(entry, (struct offset_entry){10 * i + 10, 100 * i});
        assert_int_equal(sparse_index_reserve(&indexed->index, &indexed->place), ERROR_NONE);
        sparse_index_append(&indexed->index, entry);
    }
}

static int32_t floor_position(struct indexed *indexed, int32_t offset)
{
    uint8_t entry[OFFSET_ENTRY_BYTES];
    bool found;
    assert_int_equal(sparse_index_floor(&indexed->index, &indexed->place, OFFSET_KEY_OFFSET, offset,
                                        entry, &found),
                     ERROR_NONE);
    return found ? offset_entry_read(entry).position : -1;
}

static void floors_check(struct indexed *indexed, int count)
{
    assert_int_equal(sparse_index_count(&indexed->index), count);
    for (int offset = 0; offset < 10 * count + 25; offset++) {
        int entry = offset / 10 - 1;
        if (entry >= count)
            entry = count - 1;
        assert_int_equal(floor_position(indexed, offset), entry < 0 ? -1 : 100 * entry);
    }
}

/* The same answers whether entries are in memory, in the file, or read again. */
static void every_entry_is_found_wherever_it_is(void **state)
{
    (void)state;
    for (int count = 0; count <= 1500; count = count * 2 + 1) {
        struct indexed indexed;
        indexed_init(&indexed);
        fill(&indexed, count);
        floors_check(&indexed, count);
        assert_int_equal(sparse_index_flush(&indexed.index, &indexed.place), ERROR_NONE);
        floors_check(&indexed, count);
        sparse_index_done(&indexed.index);
        floors_check(&indexed,
                     count == 0 ? 0 : (sparse_index_load(&indexed.index, &indexed.place), count));
        indexed_done(&indexed);
    }
}

/* A cut keeps exactly the entries below, in the file and in memory. */
static void a_cut_keeps_the_entries_below(void **state)
{
    (void)state;
    for (int kept = 0; kept <= 200; kept += 7) {
        struct indexed indexed;
        indexed_init(&indexed);
        fill(&indexed, 200); /* Some of them still pending. */
        assert_int_equal(
            sparse_index_truncate(&indexed.index, &indexed.place, OFFSET_KEY_POSITION, 100 * kept),
            ERROR_NONE);
        floors_check(&indexed, kept);
        assert_int_equal(sparse_index_flush(&indexed.index, &indexed.place), ERROR_NONE);
        sparse_index_done(&indexed.index);
        assert_int_equal(sparse_index_load(&indexed.index, &indexed.place), ERROR_NONE);
        floors_check(&indexed, kept);
        indexed_done(&indexed);
    }
}

/* Appending writes once in SPARSE_INDEX_PENDING_MAX entries. */
static void appending_seldom_writes(void **state)
{
    (void)state;
    struct indexed indexed;
    indexed_init(&indexed);
    uint64_t writes = simulated_storage_counters(indexed.disk).writes;
    fill(&indexed, SPARSE_INDEX_PENDING_MAX * 10);
    assert_int_equal(simulated_storage_counters(indexed.disk).writes - writes, 9);
    indexed_done(&indexed);
}

/* A write that fails half-way leaves no half entry, and the entries are written later. */
static void a_failed_flush_is_tried_again(void **state)
{
    (void)state;
    struct indexed indexed;
    indexed_init(&indexed);
    fill(&indexed, 20);
    struct simulated_fault fault = {.operations = SIMULATED_WRITE, .error = ERROR_DISK_FULL};
    simulated_storage_fail(indexed.disk, &fault);
    assert_int_equal(sparse_index_flush(&indexed.index, &indexed.place), ERROR_DISK_FULL);
    floors_check(&indexed, 20);
    assert_int_equal(sparse_index_flush(&indexed.index, &indexed.place), ERROR_NONE);
    sparse_index_done(&indexed.index);
    assert_int_equal(sparse_index_load(&indexed.index, &indexed.place), ERROR_NONE);
    floors_check(&indexed, 20);
    indexed_done(&indexed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_entry_is_found_wherever_it_is),
        cmocka_unit_test(a_cut_keeps_the_entries_below),
        cmocka_unit_test(appending_seldom_writes),
        cmocka_unit_test(a_failed_flush_is_tried_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
