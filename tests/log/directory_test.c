/* SPDX-License-Identifier: Apache-2.0 */
/* The data directory: identity, checkpoints, the clean mark, partition names. */
#include "log/directory.h"
#include "log/fixture.h"

#include "sim/sweep.h"

struct data {
    struct simulated_storage *disk;
    struct simulated_executor *time;
    struct storage *storage;
    struct log_directory *directory;
};

static void data_init(struct data *data)
{
    data->disk = simulated_storage_new(1);
    data->time = simulated_executor_new(1, NULL);
    data->storage = simulated_storage_seam(data->disk);
    assert_int_equal(log_directory_open(data->storage, simulated_executor_seam(data->time),
                                        &data->directory, NULL),
                     ERROR_NONE);
}

static void data_reopen(struct data *data)
{
    log_directory_close(data->directory);
    assert_int_equal(log_directory_open(data->storage, simulated_executor_seam(data->time),
                                        &data->directory, NULL),
                     ERROR_NONE);
}

static void data_done(struct data *data)
{
    log_directory_close(data->directory);
    simulated_executor_free(data->time);
    simulated_storage_free(data->disk);
}

/* A fresh directory has no identity; a given one stays. */
static void the_identity_stays(void **state)
{
    (void)state;
    struct data data;
    data_init(&data);
    assert_true(uuid_is_zero(&log_directory_identity(data.directory)->cluster_id));
    struct log_identity identity = {.cluster_id = {{1, 2}}, .node_id = 7, .directory_id = {{3}}};
    assert_int_equal(log_directory_identify(data.directory, &identity), ERROR_NONE);
    data_reopen(&data);
    const struct log_identity *found = log_directory_identity(data.directory);
    assert_true(uuid_equals(&found->cluster_id, &identity.cluster_id));
    assert_true(uuid_equals(&found->directory_id, &identity.directory_id));
    assert_int_equal(found->node_id, 7);
    data_done(&data);
}

/* What Kafka's Properties.store writes is read; what is damaged or older is refused by name. */
static void foreign_identities_are_read_or_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum error error;
    } cases[] = {
        {"#\n#Mon Nov 23 12:00:00 UTC 2026\ncluster.id=5L6g3nShT-eMCtK--X86sw\n"
         "directory.id=5L6g3nShT-eMCtK--X86sg\nnode.id=1\nversion=1\n",
         ERROR_NONE},
        {"cluster.id=5L6g3nShT-eMCtK--X86sw\r\nnode.id=1\r\nversion=1\r\n", ERROR_NONE},
        {"cluster.id=5L6g3nShT-eMCtK--X86sw\nbroker.id=1\nversion=0\n", ERROR_MALFORMED},
        {"cluster.id=short\nnode.id=1\nversion=1\n", ERROR_MALFORMED},
        {"node.id=1\nversion=1\n", ERROR_MALFORMED},
        {"cluster.id=5L6g3nShT-eMCtK--X86sw\nnode.id=-1\nversion=1\n", ERROR_MALFORMED},
        {"cluster.id=5L6g3nShT-eMCtK--X86sw\nnode.id=99999999999\nversion=1\n", ERROR_MALFORMED},
        {"", ERROR_MALFORMED},
        {"garbage", ERROR_MALFORMED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct data data;
        data_init(&data);
        assert_int_equal(storage_write_whole(data.storage, "meta.properties", cases[i].text,
                                             strlen(cases[i].text)),
                         ERROR_NONE);
        struct log_directory *directory = NULL;
        struct failure failure = {0};
        assert_int_equal(log_directory_open(data.storage, simulated_executor_seam(data.time),
                                            &directory, &failure),
                         cases[i].error);
        if (cases[i].error != ERROR_NONE)
            assert_non_null(strstr(failure.where, "meta.properties"));
        else
            log_directory_close(directory);
        data_done(&data);
    }
}

/* Checkpoints come back as Kafka's text; forgetting removes the rows. */
static void checkpoints_come_back(void **state)
{
    (void)state;
    struct data data;
    data_init(&data);
    assert_int_equal(log_directory_recovery_point(data.directory, "orders", 3), -1);
    for (int32_t i = 0; i < 200; i++)
        log_directory_set(data.directory, "orders", i, 100 + i, i % 2 == 0 ? i : -1, 90 + i);
    log_directory_set(data.directory, "orders", 5, -1, -1, 1000);
    for (int32_t i = 0; i < 200; i += 10)
        log_directory_forget(data.directory, "orders", i);
    assert_int_equal(log_directory_checkpoint(data.directory), ERROR_NONE);
    uint64_t writes = simulated_storage_counters(data.disk).writes;
    assert_int_equal(log_directory_checkpoint(data.directory), ERROR_NONE);
    assert_int_equal(simulated_storage_counters(data.disk).writes, writes);
    data_reopen(&data);
    for (int32_t i = 0; i < 200; i++) {
        bool there = i % 10 != 0;
        assert_int_equal(log_directory_recovery_point(data.directory, "orders", i),
                         there ? 100 + i : -1);
        assert_int_equal(log_directory_start_offset(data.directory, "orders", i),
                         there && i % 2 == 0 ? i : -1);
        assert_int_equal(log_directory_high_watermark(data.directory, "orders", i), !there ? -1
                                                                                    : i == 5
                                                                                        ? 1000
                                                                                        : 90 + i);
    }
    for (int32_t i = 0; i < 200; i++)
        log_directory_forget(data.directory, "orders", i);
    log_directory_set(data.directory, "a.b_c-d", 0, 5, -1, -1);
    assert_int_equal(log_directory_checkpoint(data.directory), ERROR_NONE);
    uint64_t size;
    const uint8_t *text =
        simulated_storage_contents(data.disk, "recovery-point-offset-checkpoint", &size);
    static const char expected[] = "0\n1\na.b_c-d 0 5\n";
    assert_int_equal(size, sizeof expected - 1);
    assert_memory_equal(text, expected, size);
    data_done(&data);
}

/* A damaged checkpoint counts as none. */
static void a_damaged_checkpoint_is_ignored(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "", "1\n0\n", "0\n2\nt 0 5\n", "0\n1\nt 0 -5\n", "0\n1\nt x 5\n", "0\n1\nt 0 5\nu 0 6\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct data data;
        data_init(&data);
        assert_int_equal(storage_write_whole(data.storage, "replication-offset-checkpoint",
                                             texts[i], strlen(texts[i])),
                         ERROR_NONE);
        data_reopen(&data);
        assert_int_equal(log_directory_high_watermark(data.directory, "t", 0), -1);
        data_done(&data);
    }
}

/* The clean mark is taken at open, and gone even if the power goes right afterwards. */
static void the_clean_mark_counts_once(void **state)
{
    (void)state;
    struct data data;
    data_init(&data);
    assert_false(log_directory_was_clean(data.directory));
    assert_int_equal(log_directory_mark_clean(data.directory), ERROR_NONE);
    data_reopen(&data);
    assert_true(log_directory_was_clean(data.directory));
    log_directory_close(data.directory);
    simulated_storage_crash_losing_all(data.disk);
    assert_int_equal(
        log_directory_open(data.storage, simulated_executor_seam(data.time), &data.directory, NULL),
        ERROR_NONE);
    assert_false(log_directory_was_clean(data.directory));
    data_done(&data);
}

struct seen {
    int partitions;
    int strays;
    int64_t sum;
};

static void partition_seen(void *context, const char *topic, int32_t partition, const char *name)
{
    struct seen *seen = context;
    char expected[LOG_DIRECTORY_NAME_BYTES];
    log_directory_name(topic, partition, expected);
    assert_string_equal(name, expected);
    seen->partitions++;
    seen->sum += partition;
}

static void stray_seen(void *context, const char *name)
{
    (void)name;
    ((struct seen *)context)->strays++;
}

/* Partition directories are named, deleted ones removed, others left alone. */
static void partitions_are_found(void **state)
{
    (void)state;
    static const char *const names[] = {"orders-3",
                                        "a-b-12",
                                        "__consumer_offsets-49",
                                        "orders-3.f00d-delete",
                                        "orders-4.f00d-future",
                                        "raft",
                                        "orders-03",
                                        "orders-99999999999",
                                        "-1"};
    struct data data;
    data_init(&data);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_int_equal(storage_make_directory(data.storage, names[i]), ERROR_NONE);
    struct seen seen = {0};
    assert_int_equal(log_directory_each(data.directory, partition_seen, stray_seen, &seen),
                     ERROR_NONE);
    assert_int_equal(seen.partitions, 3);
    assert_int_equal(seen.sum, 3 + 12 + 49);
    assert_int_equal(seen.strays, 5);
    assert_int_equal(storage_make_directory(data.storage, "orders-3.f00d-delete"), ERROR_NONE);
    data_done(&data);
}

static enum error sweep_run(struct storage *storage, void *context)
{
    struct log_directory *directory;
    enum error error =
        log_directory_open(storage, simulated_executor_seam(context), &directory, NULL);
    if (error != ERROR_NONE)
        return error;
    struct log_identity identity = {.cluster_id = {{1}}, .node_id = 1, .directory_id = {{2}}};
    error = log_directory_identify(directory, &identity);
    if (error == ERROR_NONE)
        error = log_directory_set(directory, "t", 0, 10, 5, 7);
    if (error == ERROR_NONE)
        error = log_directory_mark_clean(directory);
    log_directory_close(directory);
    return error;
}

/* Every fault is reported, and the directory opens afterwards. */
static void sweep_check(struct storage *storage, void *context, enum error got)
{
    (void)got;
    struct log_directory *directory;
    assert_int_equal(
        log_directory_open(storage, simulated_executor_seam(context), &directory, NULL),
        ERROR_NONE);
    int64_t point = log_directory_recovery_point(directory, "t", 0);
    assert_true(point == -1 || point == 10);
    if (log_directory_was_clean(directory))
        assert_int_equal(point, 10);
    log_directory_close(directory);
}

static void every_fault_is_reported(void **state)
{
    (void)state;
    struct simulated_executor *time = simulated_executor_new(1, NULL);
    struct sweep sweep = {.scenario = sweep_run, .check = sweep_check, .context = time, .seed = 3};
    (void)sweep_faults(&sweep);
    (void)sweep_memory(&sweep);
    (void)sweep_crashes(&sweep, 20);
    simulated_executor_free(time);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_identity_stays),
        cmocka_unit_test(foreign_identities_are_read_or_refused),
        cmocka_unit_test(checkpoints_come_back),
        cmocka_unit_test(a_damaged_checkpoint_is_ignored),
        cmocka_unit_test(the_clean_mark_counts_once),
        cmocka_unit_test(partitions_are_found),
        cmocka_unit_test(every_fault_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
