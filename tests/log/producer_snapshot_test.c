/* SPDX-License-Identifier: Apache-2.0 */
/* Producer snapshots: Kafka's bytes, and every damage noticed. */
#include "log/fixture.h"
#include "log/producer_state.h"

#define SNAPSHOT "t-0/00000000000000000050.snapshot"

static void saved(struct simulated_storage **ret_disk)
{
    *ret_disk = simulated_storage_new(1);
    struct storage *storage = simulated_storage_seam(*ret_disk);
    assert_int_equal(storage_make_directory(storage, "t-0"), ERROR_NONE);
    struct producer_state state;
    producer_state_init(&state);
    for (int64_t id = 1; id <= 3; id++) {
        struct batch_header header = {.base_offset = 10 * id,
                                      .last_offset_delta = 4,
                                      .record_count = 5,
                                      .max_timestamp = 1000 * id,
                                      .producer_id = id,
                                      .producer_epoch = 2,
                                      .base_sequence = 7};
        struct producer_abort abort;
        assert_int_equal(producer_state_reserve(&state, &header), ERROR_NONE);
        producer_state_update(&state, &header, &abort);
    }
    assert_int_equal(producer_state_save(&state, storage, "t-0", 50), ERROR_NONE);
    producer_state_done(&state);
}

/* What was saved comes back, in Kafka's size and version. */
static void a_snapshot_comes_back(void **state)
{
    (void)state;
    struct simulated_storage *disk;
    saved(&disk);
    uint64_t size;
    const uint8_t *bytes = simulated_storage_contents(disk, SNAPSHOT, &size);
    assert_int_equal(size, SNAPSHOT_HEADER_BYTES + 3 * SNAPSHOT_ENTRY_BYTES);
    assert_int_equal(bytes[1], 1);
    assert_int_equal(bytes[9], 3);
    struct producer_state loaded;
    producer_state_init(&loaded);
    assert_int_equal(producer_state_load(&loaded, simulated_storage_seam(disk), "t-0", 50),
                     ERROR_NONE);
    assert_int_equal(loaded.count, 3);
    for (int64_t id = 1; id <= 3; id++) {
        const struct producer *producer = producer_state_find(&loaded, id);
        assert_non_null(producer);
        assert_int_equal(producer->epoch, 2);
        assert_int_equal(producer_last_sequence(producer), 11);
        assert_int_equal(producer->last_timestamp, 1000 * id);
        assert_int_equal(producer->transaction_start_offset, -1);
    }
    producer_state_done(&loaded);
    simulated_storage_free(disk);
}

/* Any flipped bit but in the version's meaning, and any cut, is noticed. */
static void any_damage_is_noticed(void **state)
{
    (void)state;
    enum { SIZE = SNAPSHOT_HEADER_BYTES + 3 * SNAPSHOT_ENTRY_BYTES };
    for (unsigned bit = 0; bit < SIZE * 8; bit++) {
        struct simulated_storage *disk;
        saved(&disk);
        simulated_storage_rot(disk, SNAPSHOT, bit / 8, bit % 8);
        struct producer_state loaded;
        producer_state_init(&loaded);
        assert_int_equal(producer_state_load(&loaded, simulated_storage_seam(disk), "t-0", 50),
                         ERROR_MALFORMED);
        assert_int_equal(loaded.count, 0);
        simulated_storage_free(disk);
    }
    for (unsigned size = 0; size < SIZE; size++) {
        struct simulated_storage *disk;
        saved(&disk);
        struct storage_file *file;
        assert_int_equal(storage_open(simulated_storage_seam(disk), SNAPSHOT, STORAGE_WRITE, &file),
                         ERROR_NONE);
        assert_int_equal(storage_truncate(file, size), ERROR_NONE);
        storage_close(file);
        struct producer_state loaded;
        producer_state_init(&loaded);
        assert_int_equal(producer_state_load(&loaded, simulated_storage_seam(disk), "t-0", 50),
                         ERROR_MALFORMED);
        simulated_storage_free(disk);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_snapshot_comes_back),
        cmocka_unit_test(any_damage_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
