/* SPDX-License-Identifier: Apache-2.0 */
/* Builders for partition tests. */
#include "partition_fixture.h"

#include "base/memory.h"
#include "base/report.h"
#include "record/build.h"
#include "record/validate.h"

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static void reported(struct partition_reporter *reporter, int level, const char *event,
                     const char *topic, int32_t partition, const char *detail)
{
    struct partition_fixture *f = container_of(reporter, struct partition_fixture, reporter);
    size_t used = strlen(f->reported);
    if (level > REPORT_WARNING)
        return;
    (void)detail;
    (void)snprintf(f->reported + used, sizeof f->reported - used, "%s %s-%d;", event, topic,
                   (int)partition);
}

static enum error change_isr(struct partition_quorum *quorum, struct partition *partition,
                             const int32_t *isr, uint32_t isr_count)
{
    struct fixture_quorum *fixture = container_of(quorum, struct fixture_quorum, quorum);
    assert_null(fixture->partition);
    if (fixture->out_of_memory)
        return ERROR_OUT_OF_MEMORY;
    fixture->proposals++;
    fixture->partition = partition_ref(partition);
    memcpy(fixture->isr, isr, isr_count * sizeof *isr);
    fixture->isr_count = isr_count;
    return ERROR_NONE;
}

static bool may_join_isr(struct partition_quorum *quorum, int32_t node_id)
{
    return !container_of(quorum, struct fixture_quorum, quorum)->may_not_join[node_id];
}

static int64_t node_epoch(struct partition_quorum *quorum, int32_t node_id)
{
    return container_of(quorum, struct fixture_quorum, quorum)->epochs[node_id];
}

void fixture_open(struct partition_fixture *f)
{
    struct executor *executor = simulated_executor_seam(f->events);
    assert_int_equal(
        log_directory_open(simulated_storage_seam(f->disk), executor, &f->directory, NULL),
        ERROR_NONE);
    struct partition_table_options options = {.storage = simulated_storage_seam(f->disk),
                                              .executor = executor,
                                              .directory = f->directory,
                                              .quorum = &f->quorum.quorum,
                                              .replica_lag_time_max_ms = 30000,
                                              .reporter = &f->reporter,
                                              .retention_check_interval_ms = 300000,
                                              .checkpoint_interval_ms = 60000};
    assert_int_equal(partition_table_new(&options, &f->table), ERROR_NONE);
}

static bool idle(void *context)
{
    const struct partition_fixture *f = context;
    return partition_table_idle(f->table);
}

void fixture_close(struct partition_fixture *f, bool clean)
{
    partition_table_stop(f->table);
    assert_true(simulated_executor_run_until(f->events, idle, f, FIXTURE_WAIT_MS));
    simulated_executor_run_until_idle(f->events);
    if (partition_table_close(f->table, clean))
        assert_int_equal(log_directory_mark_clean(f->directory), ERROR_NONE);
    f->table = NULL;
    log_directory_close(f->directory);
    f->directory = NULL;
}

int partition_fixture_setup(void **state)
{
    struct partition_fixture *f = memory_allocate(sizeof *f);
    assert_non_null(f);
    f->disk = simulated_storage_new(1);
    f->events = simulated_executor_new(1, NULL);
    f->reporter.report = reported;
    f->quorum.quorum = (struct partition_quorum){
        .change_isr = change_isr, .may_join_isr = may_join_isr, .node_epoch = node_epoch};
    for (int i = 0; i < FIXTURE_NODES; i++)
        f->quorum.epochs[i] = 100 + i;
    f->config = (struct partition_config){
        .log = {.segment_bytes = 1 << 20,
                .segment_ms = -1,
                .segment_index_bytes = 1 << 20,
                .index_interval_bytes = 4096,
                .retention_ms = -1,
                .retention_bytes = -1,
                .producer_id_expiration_ms = 86400000,
                .delete_enabled = true},
        .durability = PARTITION_FSYNC,
        .max_message_bytes = 1 << 20,
        .min_insync_replicas = 1,
        .compression_codec = -1,
    };
    fixture_open(f);
    *state = f;
    return 0;
}

int partition_fixture_teardown(void **state)
{
    struct partition_fixture *f = *state;
    if (f->quorum.partition != NULL)
        fixture_isr_ended(f, ERROR_CLOSING);
    if (f->table != NULL)
        fixture_close(f, true);
    simulated_executor_free(f->events);
    simulated_storage_free(f->disk);
    memory_free(f);
    return 0;
}

struct uuid fixture_id(uint8_t number)
{
    struct uuid id = UUID_ZERO;
    id.bytes[0] = number;
    id.bytes[15] = 1;
    return id;
}

struct partition *fixture_assign(struct partition_fixture *f, const char *topic, uint8_t id,
                                 int32_t index)
{
    struct uuid topic_id = fixture_id(id);
    struct partition *partition = NULL;
    struct partition_assignment alone = partition_assigned_alone(0, 0);
    assert_int_equal(partition_table_assign(f->table, topic, &topic_id, index, &f->config, &alone,
                                            &partition, NULL),
                     ERROR_NONE);
    return partition;
}

struct partition_assignment fixture_assignment(int32_t leader, int32_t leader_epoch,
                                               int32_t partition_epoch, const char *isr)
{
    struct partition_assignment assignment = {.leader = leader,
                                              .leader_epoch = leader_epoch,
                                              .partition_epoch = partition_epoch,
                                              .replica_count = 3,
                                              .replicas = {0, 1, 2}};
    for (; *isr != '\0'; isr++)
        assignment.isr[assignment.isr_count++] = *isr - '0';
    return assignment;
}

struct partition *fixture_take(struct partition_fixture *f,
                               const struct partition_assignment *assignment)
{
    struct uuid topic_id = fixture_id(1);
    struct partition *partition = NULL;
    assert_int_equal(partition_table_assign(f->table, "orders", &topic_id, 0, &f->config,
                                            assignment, &partition, NULL),
                     ERROR_NONE);
    return partition;
}

void fixture_expect_isr(struct partition_fixture *f, const char *isr)
{
    if (isr == NULL) {
        assert_null(f->quorum.partition);
        return;
    }
    assert_non_null(f->quorum.partition);
    assert_int_equal(f->quorum.isr_count, strlen(isr));
    for (uint32_t i = 0; i < f->quorum.isr_count; i++)
        assert_int_equal(f->quorum.isr[i], isr[i] - '0');
}

void fixture_isr_ended(struct partition_fixture *f, enum error error)
{
    struct partition *partition = f->quorum.partition;
    assert_non_null(partition);
    f->quorum.partition = NULL;
    partition_isr_change_ended(partition, error);
    partition_unref(partition);
}

void fixture_progress(struct partition_fixture *f, struct partition *partition, int32_t node_id,
                      int64_t end, int64_t synced)
{
    partition_replica_progress(partition, node_id, f->quorum.epochs[node_id], end, synced, 0);
}

static void done(struct partition_append *append)
{
    container_of(append, struct fixture_append, append)->done++;
}

static void start(struct partition *partition, struct fixture_append *append,
                  const struct batch_options *options, int32_t count, int8_t acks,
                  int32_t timeout_ms)
{
    struct batch_builder builder;
    batch_builder_init(&builder, options);
    for (int32_t i = 0; i < count; i++)
        assert_int_equal(
            batch_builder_append_next(&builder, 1000, SLICE_NULL, slice_of("a record")),
            ERROR_NONE);
    *append = (struct fixture_append){0};
    assert_int_equal(batch_builder_finish(&builder, NULL, &append->batch), ERROR_NONE);
    batch_builder_done(&builder);
    append->append = (struct partition_append){.batch = append->batch->data,
                                               .size = append->batch->size,
                                               .acks = acks,
                                               .timeout_ms = timeout_ms,
                                               .done = done};
    assert_int_equal(batch_validate_log(append->batch->data, append->batch->size,
                                        CODEC_DECOMPRESSED_BYTES_MAX, NULL, &append->append.facts),
                     ERROR_NONE);
    partition_append(partition, &append->append);
}

void fixture_append_start(struct partition *partition, struct fixture_append *append, int32_t count,
                          int8_t acks, int32_t timeout_ms)
{
    struct batch_options options = batch_options_default();
    start(partition, append, &options, count, acks, timeout_ms);
}

void fixture_produce_start(struct partition *partition, struct fixture_append *append,
                           int64_t producer_id, int32_t sequence, int32_t count)
{
    struct batch_options options = batch_options_default();
    options.producer_id = producer_id;
    options.producer_epoch = 0;
    options.base_sequence = sequence;
    start(partition, append, &options, count, -1, FIXTURE_WAIT_MS);
}

void fixture_append_done(struct fixture_append *append)
{
    buffer_unref(append->batch);
    append->batch = NULL;
}

void fixture_run(struct partition_fixture *f)
{
    simulated_executor_run_until_idle(f->events);
}

void fixture_run_tasks(struct partition_fixture *f)
{
    while (simulated_executor_pending_tasks(f->events) > 0)
        (void)simulated_executor_step(f->events);
}

int64_t fixture_append_one(struct partition_fixture *f, struct partition *partition)
{
    struct fixture_append append;
    fixture_append_start(partition, &append, 1, -1, FIXTURE_WAIT_MS);
    fixture_run(f);
    assert_int_equal(append.done, 1);
    assert_int_equal(append.append.error, ERROR_NONE);
    fixture_append_done(&append);
    return append.append.base_offset;
}

int64_t fixture_high_watermark(struct partition *partition)
{
    struct partition_offsets offsets;
    assert_int_equal(partition_offsets(partition, &offsets), ERROR_NONE);
    return offsets.high_watermark;
}

int64_t fixture_end(struct partition *partition)
{
    struct partition_offsets offsets;
    assert_int_equal(partition_offsets(partition, &offsets), ERROR_NONE);
    return offsets.log_end_offset;
}
