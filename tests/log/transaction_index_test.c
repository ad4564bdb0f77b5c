/* SPDX-License-Identifier: Apache-2.0 */
/* The file of aborted transactions: Kafka's 34 bytes, cut, and refused when damaged. */
#include "log/transaction_index.h"

#include "base/memory.h"
#include "log/fixture.h"

struct indexed {
    struct simulated_storage *disk;
    struct file_place place;
};

static struct indexed indexed_new(int count)
{
    struct indexed indexed = {.disk = simulated_storage_new(1)};
    indexed.place = (struct file_place){simulated_storage_seam(indexed.disk), "t-0", 0};
    assert_int_equal(storage_make_directory(indexed.place.storage, "t-0"), ERROR_NONE);
    for (int i = 0; i < count; i++) {
        struct transaction_entry entry = {7 + i, 10 * i, 10 * i + 5, 10 * i + 6};
        assert_int_equal(transaction_index_append(&indexed.place, &entry), ERROR_NONE);
    }
    return indexed;
}

static uint32_t count_of(struct indexed *indexed)
{
    struct transaction_entry *entries;
    uint32_t count;
    assert_int_equal(transaction_index_read(&indexed->place, &entries, &count), ERROR_NONE);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(entries[i].last_stable_offset, 10 * i + 6);
    memory_free(entries);
    return count;
}

/* Entries are 34 bytes and come back in order. */
static void entries_come_back(void **state)
{
    (void)state;
    struct indexed indexed = indexed_new(3);
    uint64_t size;
    const uint8_t *bytes =
        simulated_storage_contents(indexed.disk, "t-0/00000000000000000000.txnindex", &size);
    static const uint8_t second[] = {0,  0, 0, 0, 0, 0, 0, 0, 0,  8, 0, 0, 0, 0, 0, 0, 0,
                                     10, 0, 0, 0, 0, 0, 0, 0, 15, 0, 0, 0, 0, 0, 0, 0, 16};
    assert_int_equal(size, 3 * TRANSACTION_ENTRY_BYTES);
    assert_memory_equal(bytes + TRANSACTION_ENTRY_BYTES, second, sizeof second);
    assert_int_equal(count_of(&indexed), 3);
    simulated_storage_free(indexed.disk);
}

/* Cut by the offset of the marker; the file goes with its last entry. */
static void a_cut_drops_later_markers(void **state)
{
    (void)state;
    for (int64_t offset = 0; offset <= 30; offset++) {
        struct indexed indexed = indexed_new(3);
        assert_int_equal(transaction_index_truncate(&indexed.place, offset), ERROR_NONE);
        assert_int_equal(count_of(&indexed), offset > 25   ? 3
                                             : offset > 15 ? 2
                                             : offset > 5  ? 1
                                                           : 0);
        simulated_storage_free(indexed.disk);
    }
}

/* A damaged file is refused, and a cut removes it. */
static void a_damaged_file_is_refused(void **state)
{
    (void)state;
    struct indexed indexed = indexed_new(2);
    simulated_storage_rot(indexed.disk, "t-0/00000000000000000000.txnindex",
                          TRANSACTION_ENTRY_BYTES + 1, 0);
    struct transaction_entry *entries;
    uint32_t count;
    assert_int_equal(transaction_index_read(&indexed.place, &entries, &count), ERROR_MALFORMED);
    assert_int_equal(transaction_index_truncate(&indexed.place, 100), ERROR_NONE);
    assert_int_equal(count_of(&indexed), 0);
    simulated_storage_free(indexed.disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_come_back),
        cmocka_unit_test(a_cut_drops_later_markers),
        cmocka_unit_test(a_damaged_file_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
