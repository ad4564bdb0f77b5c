/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes, what is agreed, appends. */
#include "replicate/replicas_fixture.h"

#include "base/memory.h"
#include "base/report.h"
#include "handle/replica_session.h"
#include "record/build.h"
#include "replicate/loopback.h"

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void reported(struct partition_reporter *reporter, int level, const char *event,
                     const char *topic, int32_t partition, const char *detail)
{
    struct replica_node *node = container_of(reporter, struct replica_node, reporter);
    size_t used = strlen(node->reported);
    (void)detail;
    if (level <= REPORT_WARNING)
        (void)snprintf(node->reported + used, sizeof node->reported - used, "%s %s-%d;", event,
                       topic, (int)partition);
}

/* ---- the quorum ---- */

struct change {
    struct timer timer;
    struct replica_node *node;
    struct partition *partition;
    struct partition_assignment wanted;
};

static void change_decided(struct timer *timer)
{
    struct change *change = container_of(timer, struct change, timer);
    struct replicas *c = change->node->cluster;
    uint32_t index = (uint32_t)partition_index(change->partition);
    struct partition_assignment *agreed = &c->agreed[index];
    struct uuid id = partition_topic_id(change->partition);
    enum error error = ERROR_INVALID_UPDATE_VERSION;
    if (uuid_equals(&id, &c->topic_id) && agreed->leader_epoch == change->wanted.leader_epoch &&
        agreed->partition_epoch == change->wanted.partition_epoch) {
        memcpy(agreed->isr, change->wanted.isr, sizeof agreed->isr);
        agreed->isr_count = change->wanted.isr_count;
        agreed->partition_epoch++;
        c->isr_changes++;
        for (int32_t i = 0; i < REPLICAS_NODES; i++)
            replicas_tell(c, i, index);
        error = ERROR_NONE;
    }
    partition_isr_change_ended(change->partition, error);
    partition_unref(change->partition);
    memory_free(change);
}

static enum error change_isr(struct partition_quorum *quorum, struct partition *partition,
                             const int32_t *isr, uint32_t isr_count)
{
    struct replica_node *node = container_of(quorum, struct replica_node, quorum);
    struct change *change = memory_allocate(sizeof *change);
    if (change == NULL)
        return ERROR_OUT_OF_MEMORY;
    change->node = node;
    change->partition = partition_ref(partition);
    change->wanted.leader_epoch = partition_leader_epoch(partition);
    change->wanted.partition_epoch = partition_epoch(partition);
    change->wanted.isr_count = isr_count;
    memcpy(change->wanted.isr, isr, isr_count * sizeof *isr);
    change->timer.fire = change_decided;
    executor_timer_start(node->broker.executor, &change->timer, 2);
    return ERROR_NONE;
}

static bool may_join_isr(struct partition_quorum *quorum, int32_t node_id)
{
    struct replicas *c = container_of(quorum, struct replica_node, quorum)->cluster;
    return c->nodes[node_id].up && !c->may_not_join[node_id];
}

static int64_t node_epoch_of(struct partition_quorum *quorum, int32_t node_id)
{
    return container_of(quorum, struct replica_node, quorum)->cluster->nodes[node_id].epoch;
}

static int64_t own_epoch(void *context)
{
    return ((struct replica_node *)context)->epoch;
}

static bool throttled(void *context, const char *topic, int32_t index)
{
    (void)topic;
    (void)index;
    return ((struct replica_node *)context)->cluster->throttles;
}

/* ---- nodes ---- */

static void open_parts(struct replica_node *node)
{
    struct replicas *c = node->cluster;
    struct broker *broker = &node->broker;
    assert_int_equal(log_directory_open(broker->storage, broker->executor, &node->directory, NULL),
                     ERROR_NONE);
    struct partition_table_options table = {
        .storage = broker->storage,
        .executor = broker->executor,
        .directory = node->directory,
        .reporter = &node->reporter,
        .quorum = &node->quorum,
        .node_id = node->id,
        .replica_lag_time_max_ms = REPLICAS_LAG_MS,
        .retention_check_interval_ms = 300000,
        .checkpoint_interval_ms = 60000,
    };
    assert_int_equal(partition_table_new(&table, &broker->partitions), ERROR_NONE);
    assert_int_equal(
        replica_sessions_new(broker->executor, broker->partitions, &broker->replica_sessions),
        ERROR_NONE);
    assert_int_equal(catalog_new(broker->executor, &broker->catalog), ERROR_NONE);
    struct fetchers_options fetchers = {
        .executor = broker->executor,
        .caller = &node->caller,
        .partitions = broker->partitions,
        .reporter = &node->reporter,
        .config = c->fetching,
        .node_id = node->id,
        .node_epoch = own_epoch,
        .throttled = throttled,
        .context = node,
    };
    assert_int_equal(fetchers_new(&fetchers, &node->fetchers), ERROR_NONE);
}

void replicas_start(struct replicas *c, int32_t id)
{
    struct replica_node *node = &c->nodes[id];
    assert_false(node->up);
    node->epoch += 1000;
    open_parts(node);
    node->up = true;
    for (uint32_t i = 0; i < c->partitions; i++)
        replicas_tell(c, id, i);
    if (!log_directory_was_clean(node->directory))
        partition_table_recover(node->broker.partitions);
}

static bool parts_idle(void *context)
{
    struct replica_node *node = context;
    return fetchers_idle(node->fetchers) && partition_table_idle(node->broker.partitions) &&
           list_empty(&node->calls);
}

static bool run_until(struct replicas *c, bool (*predicate)(void *), void *context,
                      int64_t timeout_ms)
{
    int64_t end_ns = c->clock.now_ns + timeout_ms * INT64_C(1000000);
    struct simulated_executor *all[REPLICAS_NODES + 1];
    for (int i = 0; i < REPLICAS_NODES; i++)
        all[i] = c->nodes[i].events;
    all[REPLICAS_NODES] = c->network;
    while (!predicate(context)) {
        if (c->clock.now_ns > end_ns || !simulated_executors_step(all, REPLICAS_NODES + 1))
            return false;
    }
    return true;
}

void replicas_stop(struct replicas *c, int32_t id, bool clean, bool power)
{
    struct replica_node *node = &c->nodes[id];
    struct broker *broker = &node->broker;
    assert_true(node->up);
    if (!clean)
        simulated_storage_power_off(node->disk);
    node->up = false;
    replica_sessions_stop(broker->replica_sessions);
    fetchers_stop(node->fetchers);
    partition_table_stop(broker->partitions);
    assert_true(run_until(c, parts_idle, node, 100000));
    replicas_run_for(c, 10); /* Answers and decisions on their way. */
    fetchers_free(node->fetchers);
    replica_sessions_free(broker->replica_sessions);
    catalog_free(broker->catalog);
    if (partition_table_close(broker->partitions, clean) && clean)
        assert_int_equal(log_directory_mark_clean(node->directory), ERROR_NONE);
    log_directory_close(node->directory);
    if (!clean && power)
        simulated_storage_crash_losing_all(node->disk);
    else if (!clean)
        simulated_storage_kill(node->disk);
    broker->partitions = NULL;
}

int replicas_setup(void **state)
{
    struct replicas *c = calloc(1, sizeof *c);
    assert_non_null(c);
    c->clock.wall_at_zero_ms = SIMULATED_WALL_CLOCK_MS;
    c->network = simulated_executor_new(99, &c->clock);
    c->topic_id.bytes[0] = 1;
    c->config = (struct partition_config){
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
        .min_insync_replicas = 2,
        .compression_codec = -1,
    };
    c->fetching = (struct fetchers_config){.wait_max_ms = 500,
                                           .fetch_max_bytes = 64 << 10,
                                           .response_max_bytes = 256 << 10,
                                           .backoff_min_ms = 20,
                                           .backoff_max_ms = 1000,
                                           .request_timeout_ms = 2000,
                                           .throttled_rate = INT64_MAX,
                                           .early_bytes_max = 32 << 10};
    for (int32_t i = 0; i < REPLICAS_NODES; i++) {
        struct replica_node *node = &c->nodes[i];
        node->cluster = c;
        node->id = i;
        node->disk = simulated_storage_new((uint64_t)i + 1);
        node->events = simulated_executor_new((uint64_t)i + 1, &c->clock);
        node->quorum = (struct partition_quorum){
            .change_isr = change_isr, .may_join_isr = may_join_isr, .node_epoch = node_epoch_of};
        node->reporter.report = reported;
        node->broker.executor = simulated_executor_seam(node->events);
        node->broker.storage = simulated_storage_seam(node->disk);
        node->broker.node_id = i;
        loopback_init(node);
        replicas_start(c, i);
    }
    *state = c;
    return 0;
}

int replicas_teardown(void **state)
{
    struct replicas *c = *state;
    for (int32_t i = 0; i < REPLICAS_NODES; i++) {
        if (c->nodes[i].up)
            replicas_stop(c, i, true, false);
    }
    for (int32_t i = 0; i < REPLICAS_NODES; i++) {
        simulated_executor_free(c->nodes[i].events);
        simulated_storage_free(c->nodes[i].disk);
    }
    simulated_executor_free(c->network);
    free(c);
    return 0;
}

/* ---- what is agreed ---- */

void replicas_tell(struct replicas *c, int32_t node, uint32_t partition)
{
    if (!c->nodes[node].up)
        return;
    assert_int_equal(partition_table_assign(c->nodes[node].broker.partitions, "orders",
                                            &c->topic_id, (int32_t)partition, &c->config,
                                            &c->agreed[partition], NULL, NULL),
                     ERROR_NONE);
}

static void isr_set(struct partition_assignment *agreed, const char *isr)
{
    agreed->isr_count = 0;
    for (; *isr != '\0'; isr++)
        agreed->isr[agreed->isr_count++] = *isr - '0';
}

void replicas_make(struct replicas *c, uint32_t count, int32_t leader)
{
    assert_true(count <= REPLICAS_PARTITIONS_MAX);
    c->partitions = count;
    for (uint32_t i = 0; i < count; i++) {
        c->agreed[i] = (struct partition_assignment){
            .leader = leader, .replica_count = 3, .replicas = {0, 1, 2}};
        isr_set(&c->agreed[i], "012");
        for (int32_t node = 0; node < REPLICAS_NODES; node++)
            replicas_tell(c, node, i);
    }
}

void replicas_elect(struct replicas *c, uint32_t partition, int32_t leader, const char *isr)
{
    c->agreed[partition].leader = leader;
    c->agreed[partition].leader_epoch++;
    c->agreed[partition].partition_epoch++;
    isr_set(&c->agreed[partition], isr);
    for (int32_t node = 0; node < REPLICAS_NODES; node++)
        replicas_tell(c, node, partition);
}

void replicas_remake(struct replicas *c, int32_t leader)
{
    uint32_t count = c->partitions;
    for (int32_t node = 0; node < REPLICAS_NODES; node++) {
        for (uint32_t i = 0; c->nodes[node].up && i < count; i++)
            partition_table_remove(c->nodes[node].broker.partitions, "orders", (int32_t)i);
    }
    c->topic_id.bytes[0]++;
    replicas_make(c, count, leader);
}

struct partition *replicas_at(struct replicas *c, int32_t node, uint32_t partition)
{
    struct partition *found = partition_table_find(c->nodes[node].broker.partitions,
                                                   slice_of("orders"), (int32_t)partition);
    assert_non_null(found);
    return found;
}

static struct partition_position position_of(struct replicas *c, int32_t node, uint32_t partition)
{
    struct partition_position position;
    assert_int_equal(partition_position(replicas_at(c, node, partition), &position), ERROR_NONE);
    return position;
}

int64_t replicas_end(struct replicas *c, int32_t node, uint32_t partition)
{
    return position_of(c, node, partition).end_offset;
}

int64_t replicas_high_watermark(struct replicas *c, int32_t node, uint32_t partition)
{
    return position_of(c, node, partition).high_watermark;
}

/* ---- appends ---- */

static void append_done(struct partition_append *append)
{
    container_of(append, struct replicas_append, append)->done++;
}

void replicas_append_start(struct replicas *c, int32_t node, uint32_t partition,
                           struct replicas_append *append, int32_t count, size_t value_bytes,
                           int8_t acks)
{
    struct batch_options options = batch_options_default();
    struct batch_builder builder;
    uint8_t *value = calloc(1, value_bytes + 1);
    assert_non_null(value);
    memset(value, 'a' + (int)(c->clock.now_ns % 26), value_bytes);
    batch_builder_init(&builder, &options);
    for (int32_t i = 0; i < count; i++)
        assert_int_equal(
            batch_builder_append_next(&builder, 1000, SLICE_NULL, slice_from(value, value_bytes)),
            ERROR_NONE);
    free(value);
    *append = (struct replicas_append){0};
    assert_int_equal(batch_builder_finish(&builder, NULL, &append->batch), ERROR_NONE);
    batch_builder_done(&builder);
    append->append = (struct partition_append){.batch = append->batch->data,
                                               .size = append->batch->size,
                                               .acks = acks,
                                               .timeout_ms = 60000,
                                               .done = append_done};
    assert_int_equal(batch_validate_log(append->batch->data, append->batch->size,
                                        CODEC_DECOMPRESSED_BYTES_MAX, NULL, &append->append.facts),
                     ERROR_NONE);
    partition_append(replicas_at(c, node, partition), &append->append);
}

static bool is_done(void *context)
{
    return ((struct replicas_append *)context)->done > 0;
}

void replicas_append(struct replicas *c, int32_t node, uint32_t partition, int32_t count,
                     size_t value_bytes, int8_t acks, enum error expected)
{
    struct replicas_append append;
    replicas_append_start(c, node, partition, &append, count, value_bytes, acks);
    assert_true(run_until(c, is_done, &append, 100000));
    assert_int_equal(append.append.error, expected);
    buffer_unref(append.batch);
}

/* ---- time ---- */

static bool never(void *context)
{
    (void)context;
    return false;
}

void replicas_run_for(struct replicas *c, int64_t ms)
{
    (void)run_until(c, never, NULL, ms);
}

struct settling {
    struct replicas *cluster;
    uint32_t partition;
};

static bool settled(void *context)
{
    const struct settling *settling = context;
    struct replicas *c = settling->cluster;
    int32_t leader = c->agreed[settling->partition].leader;
    struct partition_position led = position_of(c, leader, settling->partition);
    if (led.high_watermark != led.end_offset)
        return false;
    for (int32_t node = 0; node < REPLICAS_NODES; node++) {
        if (!c->nodes[node].up)
            continue;
        struct partition_position position = position_of(c, node, settling->partition);
        if (position.end_offset != led.end_offset ||
            position.high_watermark != led.high_watermark || position.last_epoch != led.last_epoch)
            return false;
    }
    return true;
}

bool replicas_settle(struct replicas *c, uint32_t partition, int64_t timeout_ms)
{
    struct settling settling = {.cluster = c, .partition = partition};
    return run_until(c, settled, &settling, timeout_ms);
}

static uint8_t *log_bytes(struct partition *partition, int64_t from, size_t *ret_size)
{
    struct log *log;
    assert_int_equal(partition_log(partition, &log), ERROR_NONE);
    uint8_t *bytes = malloc((size_t)log_size_bytes(log) + 1);
    assert_non_null(bytes);
    size_t size = 0;
    while (from < log_end_offset(log)) {
        struct log_slice slice;
        size_t got = 0;
        assert_int_equal(log_read(log, from, 1 << 30, true, LOG_READ_END, &slice), ERROR_NONE);
        assert_int_equal(storage_read(slice.file, slice.position, bytes + size, slice.size, &got),
                         ERROR_NONE);
        assert_int_equal(got, slice.size);
        for (size_t at = 0; at < got;) {
            struct batch_header header;
            assert_int_equal(batch_header_read(bytes + size + at, got - at, &header), ERROR_NONE);
            from = batch_last_offset(&header) + 1;
            at += header.size;
        }
        size += got;
        log_slice_release(&slice);
    }
    *ret_size = size;
    return bytes;
}

void replicas_expect_equal(struct replicas *c, uint32_t partition)
{
    int64_t from = 0;
    for (int32_t node = 0; node < REPLICAS_NODES; node++) {
        if (c->nodes[node].up && position_of(c, node, partition).log_start_offset > from)
            from = position_of(c, node, partition).log_start_offset;
    }
    size_t size = 0;
    uint8_t *expected = NULL;
    for (int32_t node = 0; node < REPLICAS_NODES; node++) {
        if (!c->nodes[node].up)
            continue;
        size_t got;
        uint8_t *bytes = log_bytes(replicas_at(c, node, partition), from, &got);
        if (expected == NULL) {
            expected = bytes;
            size = got;
            continue;
        }
        assert_int_equal(got, size);
        assert_memory_equal(bytes, expected, size);
        free(bytes);
    }
    free(expected);
}
