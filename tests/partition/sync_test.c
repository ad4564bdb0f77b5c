/* SPDX-License-Identifier: Apache-2.0 */
/* Group commit: when rounds of syncs begin, and that each answer is on the disk. */
#include "log/fixture.h"
#include "partition/partition.h"
#include "record/validate.h"

#include <stdio.h>

enum { PARTITIONS = 4, MANY = 70, CROWD = 64, SYNC_MS = 4, MANY_MS = 1000000 };

struct node {
    struct fixture disk;
    struct log_directory *directory;
    struct partition_table *table;
    struct partition *partitions[MANY]; /* Most tests use the first PARTITIONS. */
    int answered;
    int refused;
    bool sync_failed;
};

struct producer {
    struct node *node;
    struct buffer *batch;
    struct partition_append append;
    bool waiting;
};

static void node_start(struct node *node)
{
    *node = (struct node){0};
    fixture_init(&node->disk, 7);
    simulated_executor_work_takes(node->disk.time, SYNC_MS);
    assert_int_equal(
        log_directory_open(node->disk.storage, node->disk.executor, &node->directory, NULL),
        ERROR_NONE);
    struct partition_table_options options = {
        .storage = node->disk.storage,
        .executor = node->disk.executor,
        .directory = node->directory,
        .retention_check_interval_ms = MANY_MS,
        .checkpoint_interval_ms = MANY_MS,
    };
    assert_int_equal(partition_table_new(&options, &node->table), ERROR_NONE);
    struct partition_config config = {
        .log = node->disk.config,
        .durability = PARTITION_FSYNC,
        .max_message_bytes = 1 << 20,
        .min_insync_replicas = 1,
        .compression_codec = -1,
    };
    struct uuid id = {{9}};
    struct partition_assignment alone = partition_assigned_alone(0, 0);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(partition_table_assign(node->table, "orders", &id, i, &config, &alone,
                                                &node->partitions[i], NULL),
                         ERROR_NONE);
}

/* Once stopped. Clean unless a sync failed. */
static void node_finish(struct node *node)
{
    simulated_executor_run_until_idle(node->disk.time);
    assert_true(partition_table_idle(node->table));
    assert_int_equal(partition_table_close(node->table, true), !node->sync_failed);
    log_directory_close(node->directory);
    fixture_done(&node->disk);
}

static void node_stop(struct node *node)
{
    partition_table_stop(node->table);
    node_finish(node);
}

static void append_done(struct partition_append *append)
{
    struct producer *producer = container_of(append, struct producer, append);
    assert_true(producer->waiting);
    producer->waiting = false;
    producer->node->answered += append->error == ERROR_NONE;
    producer->node->refused += append->error != ERROR_NONE;
    buffer_unref(producer->batch);
}

static void produce(struct node *node, struct producer *producer, int partition)
{
    producer->node = node;
    producer->batch = fixture_batch(0, 1, CODEC_NONE);
    producer->waiting = true;
    producer->append = (struct partition_append){
        .batch = producer->batch->data,
        .size = producer->batch->size,
        .facts = {.offsets_in_order = true, .text_bytes = (uint64_t)fixture_text_size(0)},
        .acks = 1,
        .timeout_ms = -1,
        .done = append_done,
    };
    assert_int_equal(batch_header_read(producer->batch->data, producer->batch->size,
                                       &producer->append.facts.header),
                     ERROR_NONE);
    producer->append.facts.max_timestamp = producer->append.facts.header.max_timestamp;
    partition_append(node->partitions[partition], &producer->append);
}

static uint64_t syncs(const struct node *node)
{
    return simulated_storage_counters(node->disk.disk).syncs;
}

static int64_t now_ns(const struct node *node)
{
    return simulated_executor_clock(node->disk.time)->now_ns;
}

/* Opens the logs, whose first sync is of more than one file. */
static void produce_first(struct node *node, struct producer *producers)
{
    for (int i = 0; i < PARTITIONS; i++)
        produce(node, &producers[i], i);
    simulated_executor_run_until_idle(node->disk.time);
    assert_int_equal(node->answered, PARTITIONS);
}

static void produce_crowd(struct node *node, struct producer *producers, int count)
{
    for (int i = 0; i < count; i++)
        produce(node, &producers[i], i % PARTITIONS);
}

static void start_due(struct node *node)
{
    while (simulated_executor_pending_tasks(node->disk.time) > 0)
        assert_true(simulated_executor_step(node->disk.time));
}

/* One producer, nobody else: its sync begins at once, and nothing is answered before it. */
static void a_lone_producer_waits_for_its_sync_only(void **state)
{
    (void)state;
    struct node node;
    struct producer producers[PARTITIONS] = {0};
    node_start(&node);
    produce_first(&node, producers);
    for (int i = 0; i < 20; i++) {
        uint64_t before = syncs(&node);
        int64_t begun_ns = now_ns(&node);
        produce(&node, &producers[0], 0);
        start_due(&node);
        assert_int_equal(simulated_executor_pending_works(node.disk.time), 1);
        assert_int_equal(now_ns(&node), begun_ns);
        assert_int_equal(node.answered, PARTITIONS + i);
        simulated_executor_run_until_idle(node.disk.time);
        assert_int_equal(node.answered, PARTITIONS + i + 1);
        assert_int_equal(syncs(&node), before + 1);
    }
    node_stop(&node);
}

/* A crowd at once on every partition: one sync a partition for all of them. */
static void appends_that_come_together_share_a_sync(void **state)
{
    (void)state;
    struct node node;
    static struct producer producers[CROWD];
    node_start(&node);
    produce_first(&node, producers);
    uint64_t before = syncs(&node);
    produce_crowd(&node, producers, CROWD);
    simulated_executor_run_until_idle(node.disk.time);
    assert_int_equal(node.answered, PARTITIONS + CROWD);
    assert_int_equal(syncs(&node), before + PARTITIONS);
    node_stop(&node);
}

/* After a crowd was answered, the first of it to come back waits for the others. */
static void a_round_begins_when_the_crowd_is_back(void **state)
{
    (void)state;
    struct node node;
    static struct producer producers[CROWD];
    node_start(&node);
    produce_first(&node, producers);
    produce_crowd(&node, producers, CROWD);
    simulated_executor_run_until_idle(node.disk.time);
    uint64_t before = syncs(&node);
    for (int i = 0; i < CROWD; i++) {
        assert_int_equal(simulated_executor_pending_works(node.disk.time), 0);
        produce(&node, &producers[i], i % PARTITIONS);
        start_due(&node);
    }
    assert_int_equal(simulated_executor_pending_works(node.disk.time), 1);
    simulated_executor_run_until_idle(node.disk.time);
    assert_int_equal(node.answered, PARTITIONS + 2 * CROWD);
    assert_int_equal(syncs(&node), before + PARTITIONS);
    node_stop(&node);
}

/* The crowd went home: who stays is answered a millisecond later, and then without that wait. */
static void a_crowd_that_stays_away_is_waited_for_once(void **state)
{
    (void)state;
    struct node node;
    static struct producer producers[CROWD];
    node_start(&node);
    produce_first(&node, producers);
    produce_crowd(&node, producers, CROWD);
    simulated_executor_run_until_idle(node.disk.time);
    int64_t begun_ns = now_ns(&node);
    produce(&node, &producers[0], 0);
    start_due(&node);
    assert_int_equal(simulated_executor_pending_works(node.disk.time), 0);
    simulated_executor_run_for(node.disk.time, 1);
    assert_int_equal(simulated_executor_pending_works(node.disk.time), 1);
    assert_true(now_ns(&node) - begun_ns <= 1000000);
    simulated_executor_run_until_idle(node.disk.time);
    assert_int_equal(node.answered, PARTITIONS + CROWD + 1);
    produce(&node, &producers[0], 0);
    start_due(&node);
    assert_int_equal(simulated_executor_pending_works(node.disk.time), 1);
    simulated_executor_run_until_idle(node.disk.time);
    assert_int_equal(node.answered, PARTITIONS + CROWD + 2);
    node_stop(&node);
}

/* A sync that takes long holds up another partition's producer for a millisecond at most. */
static void a_slow_sync_does_not_hold_up_others(void **state)
{
    (void)state;
    struct node node;
    static struct producer producers[PARTITIONS];
    node_start(&node);
    produce_first(&node, producers);
    simulated_executor_work_takes(node.disk.time, 1000);
    produce(&node, &producers[0], 0);
    start_due(&node);
    assert_int_equal(simulated_executor_pending_works(node.disk.time), 1);
    produce(&node, &producers[1], 1);
    start_due(&node);
    assert_int_equal(simulated_executor_pending_works(node.disk.time), 1);
    simulated_executor_run_for(node.disk.time, 1);
    assert_int_equal(simulated_executor_pending_works(node.disk.time), 2);
    simulated_executor_run_until_idle(node.disk.time);
    assert_int_equal(node.answered, PARTITIONS + 2);
    node_stop(&node);
}

/* The node stops while appends wait for a round: they are told so, and the stop syncs them. */
static void a_stop_ends_those_who_wait_for_a_round(void **state)
{
    (void)state;
    struct node node;
    static struct producer producers[CROWD];
    node_start(&node);
    produce_first(&node, producers);
    produce_crowd(&node, producers, CROWD);
    simulated_executor_run_until_idle(node.disk.time);
    produce(&node, &producers[0], 0);
    produce(&node, &producers[1], 1);
    partition_table_stop(node.table);
    assert_false(partition_table_idle(node.table));
    assert_true(simulated_executor_pending_works(node.disk.time) > 0);
    simulated_executor_run_until_idle(node.disk.time);
    assert_int_equal(node.refused, 2);
    node_finish(&node);
}

/* A partition is deleted while it waits for a round: its producers are refused, others answered. */
static void a_deleted_partition_leaves_the_round(void **state)
{
    (void)state;
    struct node node;
    static struct producer producers[PARTITIONS];
    node_start(&node);
    produce_first(&node, producers);
    produce(&node, &producers[0], 0);
    produce(&node, &producers[1], 1);
    partition_table_remove(node.table, "orders", 0);
    node.partitions[0] = NULL;
    simulated_executor_run_until_idle(node.disk.time);
    assert_int_equal(node.refused, 1);
    assert_int_equal(node.answered, PARTITIONS + 1);
    node_stop(&node);
}

/* A failed sync refuses those who waited for it, and that partition from then on; no other. */
static void a_failed_sync_is_final_for_its_partition(void **state)
{
    (void)state;
    struct node node;
    static struct producer producers[PARTITIONS];
    node_start(&node);
    produce_first(&node, producers);
    struct simulated_fault fault = {
        .operations = SIMULATED_SYNC, .path_part = "orders-0/", .error = ERROR_STORAGE};
    simulated_storage_fail(node.disk.disk, &fault);
    produce(&node, &producers[0], 0);
    produce(&node, &producers[1], 1);
    simulated_executor_run_until_idle(node.disk.time);
    assert_int_equal(node.refused, 1);
    assert_int_equal(node.answered, PARTITIONS + 1);
    assert_int_equal(partition_sync(node.partitions[0]), ERROR_STORAGE);
    node.sync_failed = true;
    node_stop(&node);
}

/* Bytes that cannot be written back are their partition's failure, and are not synced once more. */
static void a_failed_write_back_is_final_for_its_partition(void **state)
{
    (void)state;
    struct node node;
    static struct producer producers[PARTITIONS];
    node_start(&node);
    produce_first(&node, producers);
    struct simulated_fault fault = {
        .operations = SIMULATED_SYNC, .path_part = "orders-2/", .error = ERROR_STORAGE};
    simulated_storage_fail(node.disk.disk, &fault);
    uint64_t before = syncs(&node);
    for (int i = 0; i < PARTITIONS; i++)
        produce(&node, &producers[i], i);
    simulated_executor_run_until_idle(node.disk.time);
    assert_int_equal(node.refused, 1);
    assert_int_equal(node.answered, 2 * PARTITIONS - 1);
    assert_int_equal(syncs(&node), before + PARTITIONS - 1);
    assert_int_equal(partition_sync(node.partitions[2]), ERROR_STORAGE);
    node.sync_failed = true;
    node_stop(&node);
}

/* A crowd that is not complete is waited for. */
static void run(struct node *node)
{
    simulated_executor_run_for(node->disk.time, 2);
    simulated_executor_run_until_idle(node->disk.time);
}

static void produce_many(struct node *node, struct producer *producers)
{
    for (int i = 0; i < MANY; i++)
        produce(node, &producers[i], i);
    run(node);
}

static uint64_t whole_syncs(const struct node *node)
{
    return simulated_storage_counters(node->disk.disk).whole_syncs;
}

/* Many partitions, new files and their names included, cost one sync of the storage and none of a
 * file, and what was answered is there after a power cut that takes all it may. */
static void many_partitions_are_synced_as_a_whole(void **state)
{
    (void)state;
    struct node node;
    static struct producer producers[MANY];
    node_start(&node);
    simulated_storage_syncs_all(node.disk.disk, true);
    produce_many(&node, producers); /* Makes the logs, which costs syncs. */
    assert_int_equal(whole_syncs(&node), 1);
    uint64_t before = syncs(&node);
    produce_many(&node, producers);
    assert_int_equal(node.answered, 2 * MANY);
    assert_int_equal(whole_syncs(&node), 2);
    assert_int_equal(syncs(&node), before);
    for (int i = 0; i < MANY; i++) {
        struct log *log;
        assert_int_equal(partition_log(node.partitions[i], &log), ERROR_NONE);
        assert_int_equal(log_synced_offset(log), 2);
    }
    node_stop(&node);
}

/* Where the storage cannot, each is synced. */
static void many_partitions_are_synced_one_by_one_where_need_be(void **state)
{
    (void)state;
    struct node node;
    static struct producer producers[MANY];
    node_start(&node);
    produce_many(&node, producers);
    uint64_t before = syncs(&node);
    produce_many(&node, producers);
    assert_int_equal(node.answered, 2 * MANY);
    assert_int_equal(whole_syncs(&node), 0);
    assert_int_equal(syncs(&node), before + MANY);
    node_stop(&node);
}

/* Nobody knows what a failed sync of everything lost: all who waited for it are refused, for good,
 * and no file of theirs is synced once more. A partition that was not in the round goes on. */
static void a_failed_sync_of_all_is_final_for_the_round(void **state)
{
    (void)state;
    struct node node;
    static struct producer producers[MANY];
    node_start(&node);
    simulated_storage_syncs_all(node.disk.disk, true);
    produce_many(&node, producers);
    for (int i = 1; i < MANY; i++)
        produce(&node, &producers[i], i);
    /* Those that write back come first. */
    struct simulated_fault fault = {
        .operations = SIMULATED_SYNC, .countdown = MANY - 1, .error = ERROR_STORAGE};
    simulated_storage_fail(node.disk.disk, &fault);
    uint64_t before = syncs(&node);
    run(&node);
    assert_int_equal(node.refused, MANY - 1);
    assert_int_equal(syncs(&node), before);
    produce(&node, &producers[0], 0);
    produce(&node, &producers[1], 1);
    run(&node);
    assert_int_equal(node.refused, MANY);
    assert_int_equal(node.answered, MANY + 1);
    node.sync_failed = true;
    node_stop(&node);
}

/* A stop seals every index and writes the producers first, so that one sync covers them all, and
 * the next start trusts what it finds. */
static void a_stop_of_many_is_one_sync(void **state)
{
    (void)state;
    struct node node;
    static struct producer producers[MANY];
    node_start(&node);
    simulated_storage_syncs_all(node.disk.disk, true);
    produce_many(&node, producers);
    uint64_t before = syncs(&node);
    uint64_t whole_before = whole_syncs(&node);
    partition_table_stop(node.table);
    simulated_executor_run_until_idle(node.disk.time);
    assert_true(partition_table_close(node.table, true));
    assert_int_equal(whole_syncs(&node), whole_before + 1);
    assert_int_equal(syncs(&node), before);
    assert_int_equal(log_directory_mark_clean(node.directory), ERROR_NONE);
    log_directory_close(node.directory);

    simulated_storage_crash_losing_all(node.disk.disk);
    for (int i = 0; i < MANY; i++) {
        char directory[LOG_DIRECTORY_NAME_BYTES];
        log_directory_name("orders", i, directory);
        struct log_open_options options = {.storage = node.disk.storage,
                                           .executor = node.disk.executor,
                                           .directory = directory,
                                           .config = node.disk.config,
                                           .topic_id = {{9}},
                                           .clean = true,
                                           .recovery_point = 1};
        uint64_t read = simulated_storage_counters(node.disk.disk).writes;
        assert_int_equal(log_open(&options, &node.disk.log, NULL), ERROR_NONE);
        assert_int_equal(log_end_offset(node.disk.log), 1);
        assert_int_equal(log_damage(node.disk.log).offset, -1);
        /* Indexes made anew would be written. */
        assert_int_equal(simulated_storage_counters(node.disk.disk).writes, read);
        log_close(node.disk.log, true);
        node.disk.log = NULL;
    }
    fixture_done(&node.disk);
}

/* The power goes at any moment of a round of many: what was answered is there. */
static void a_power_cut_in_a_round_of_many_loses_nothing_answered(void **state)
{
    (void)state;
    for (int change = 0; change < 200; change += 7) {
        struct node node;
        static struct producer producers[MANY];
        node_start(&node);
        simulated_storage_syncs_all(node.disk.disk, true);
        produce_many(&node, producers);
        struct simulated_fault fault = {.operations = SIMULATED_ANY,
                                        .countdown = change,
                                        .error = ERROR_STORAGE,
                                        .persistent = true};
        simulated_storage_fail(node.disk.disk, &fault);
        produce_many(&node, producers);
        int answered = node.answered - MANY;
        assert_int_equal(answered + node.refused, MANY);
        partition_table_stop(node.table);
        simulated_executor_run_until_idle(node.disk.time);
        bool clean = partition_table_close(node.table, true);
        assert_false(clean && node.refused > 0);
        log_directory_close(node.directory);
        simulated_storage_crash_losing_all(node.disk.disk);
        int kept = 0;
        for (int i = 0; i < MANY; i++) {
            char path[400];
            (void)snprintf(path, sizeof path, "orders-%d/00000000000000000000.log", i);
            uint64_t size = 0;
            assert_non_null(simulated_storage_contents(node.disk.disk, path, &size));
            kept += size > 100; /* Two batches. */
        }
        assert_true(kept >= answered);
        fixture_done(&node.disk);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lone_producer_waits_for_its_sync_only),
        cmocka_unit_test(appends_that_come_together_share_a_sync),
        cmocka_unit_test(a_round_begins_when_the_crowd_is_back),
        cmocka_unit_test(a_crowd_that_stays_away_is_waited_for_once),
        cmocka_unit_test(a_slow_sync_does_not_hold_up_others),
        cmocka_unit_test(a_stop_ends_those_who_wait_for_a_round),
        cmocka_unit_test(a_deleted_partition_leaves_the_round),
        cmocka_unit_test(a_failed_sync_is_final_for_its_partition),
        cmocka_unit_test(a_failed_write_back_is_final_for_its_partition),
        cmocka_unit_test(many_partitions_are_synced_as_a_whole),
        cmocka_unit_test(many_partitions_are_synced_one_by_one_where_need_be),
        cmocka_unit_test(a_failed_sync_of_all_is_final_for_the_round),
        cmocka_unit_test(a_stop_of_many_is_one_sync),
        cmocka_unit_test(a_power_cut_in_a_round_of_many_loses_nothing_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
