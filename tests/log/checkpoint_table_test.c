/* SPDX-License-Identifier: Apache-2.0 */
/* The table of checkpointed offsets: many rows come and go. */
#include "log/checkpoint_table.h"
#include "log/fixture.h"

#include <stdio.h>

/* Rows set, changed and forgotten in any order are what a plain array says. */
static void rows_come_and_go(void **state)
{
    (void)state;
    enum { TOPICS = 17, PARTITIONS = 23 };
    int64_t model[TOPICS][PARTITIONS];
    memset(model, 0xff, sizeof model);
    struct checkpoint_table table;
    checkpoint_table_init(&table);
    struct random random;
    random_seed(&random, 5);
    for (int i = 0; i < 5000; i++) {
        int topic = (int)(random_next(&random) % TOPICS);
        int32_t partition = (int32_t)(random_next(&random) % PARTITIONS);
        char name[16];
        (void)snprintf(name, sizeof name, "topic.%d", topic);
        if (random_next(&random) % 3 == 0) {
            checkpoint_table_forget(&table, name, partition);
            model[topic][partition] = -1;
        } else {
            int64_t offsets[CHECKPOINT_KINDS] = {-1, i, -1};
            assert_int_equal(checkpoint_table_set(&table, name, partition, offsets), ERROR_NONE);
            model[topic][partition] = i;
        }
        topic = (int)(random_next(&random) % TOPICS);
        (void)snprintf(name, sizeof name, "topic.%d", topic);
        assert_int_equal(checkpoint_table_get(&table, name, partition, CHECKPOINT_START_OFFSET),
                         model[topic][partition]);
        assert_int_equal(checkpoint_table_get(&table, name, partition, CHECKPOINT_HIGH_WATERMARK),
                         -1);
    }
    checkpoint_table_done(&table);
}

/* A file with one bad row gives none of its rows. */
static void a_bad_row_spoils_the_file(void **state)
{
    (void)state;
    struct simulated_storage *disk = simulated_storage_new(1);
    struct storage *storage = simulated_storage_seam(disk);
    static const char text[] = "0\n2\na 0 5\nb 0 x\n";
    assert_int_equal(storage_write_whole(storage, "f", text, sizeof text - 1), ERROR_NONE);
    struct checkpoint_table table;
    checkpoint_table_init(&table);
    assert_int_equal(checkpoint_table_load(&table, CHECKPOINT_RECOVERY_POINT, storage, "f"),
                     ERROR_MALFORMED);
    assert_int_equal(checkpoint_table_get(&table, "a", 0, CHECKPOINT_RECOVERY_POINT), -1);
    checkpoint_table_done(&table);
    simulated_storage_free(disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_come_and_go),
        cmocka_unit_test(a_bad_row_spoils_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
